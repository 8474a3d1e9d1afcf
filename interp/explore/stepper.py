"""Step through a run: a slider over its records, and at each one where the workflow stands, with all its variables.

Two forms, one `mount` in `stepper.js`. The page in an `<iframe srcdoc>` holds everything and needs no kernel, so that
it works in exported notebooks, offline. The widget (`live=True`) asks the kernel for each record, and has no bound.

What is recorded goes into the page as markup that `element` has escaped, carried as JSON that cannot end the script
element it stands in. The frame is sandboxed and may run our script alone, named by its hash.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from importlib import import_module, resources
from typing import Any

from interp.errors import UsageError
from interp.explore.cards import CARD_STYLE
from interp.explore.markup import Markup, element, joined
from interp.explore.moments import Moment, moment_at, moments
from interp.explore.places import Lived, Where, failures, index_of, length_of, record_of
from interp.explore.theme import STYLE
from interp.explore.timeline import Timeline, timeline_of
from interp.explore.view import View
from interp.outline.words import count

__all__ = ["Stepper", "live_stepper", "stepper_of"]

MOST_RECORDS = 500
"""How many records a page holds; a widget has no bound."""

# How many variables can be chosen to be followed.
_VARIABLES = 200

# Lanes of the timeline above.
_LANES = 12

STEPPER_STYLE = """
.interp .st-root, .interp.st-root { outline: none; }
.interp .st-root:focus-visible, .interp.st-root:focus-visible { outline: 2px solid var(--wait); outline-offset: 4px; }
.st-scroll { max-height: 330px; overflow-y: auto; }
.st-strip { position: relative; margin-bottom: 4px; cursor: pointer; }
.st-strip svg { display: block; width: 100%; }
.st-cursor { position: absolute; top: 0; bottom: 0; width: 2px; margin-left: -1px; background: var(--fg);
pointer-events: none; }
.st-cursor::before { content: ""; position: absolute; left: -5px; top: 0; border: 6px solid transparent;
border-top: 8px solid var(--fg); border-bottom: 0; }
.st-bar { display: flex; gap: 6px; align-items: center; margin: 4px 0; }
.st-bar button, .st-bar select { font: inherit; font-size: 13px; color: var(--fg); background: var(--card);
border: 1px solid var(--line); border-radius: 6px; height: 28px; padding: 0 7px; display: inline-flex; gap: 5px;
align-items: center; cursor: pointer; }
.st-bar button:hover:not(:disabled) { border-color: var(--dim); }
.st-bar button:disabled { opacity: 0.45; cursor: default; }
.st-bar button:focus-visible, .st-bar select:focus-visible, .st-slider:focus-visible { outline: 2px solid var(--wait);
outline-offset: 1px; }
.st-slider { flex: 1; min-width: 80px; accent-color: var(--wait); margin: 0 4px; }
.st-variable { max-width: 320px; }
.st-failure { color: var(--bad) !important; }
.st-note:empty { display: none; }
.st-head { margin-top: 8px; min-height: 48px; }
"""
"""Goes with the theme and the cards into the page."""

# The scheme of a frame reaches the media query inside of it, without a script and across the sandbox (CSS Color
# Adjustment 1, section 2.4): so the page in the frame follows the theme of the notebook.
_FRAME_STYLE = """
.interp .st-frame { width: 100%; border: 0; display: block; color-scheme: light dark; background: transparent; }
body[data-jp-theme-light="true"] .interp .st-frame, body.vscode-light .interp .st-frame, .light .interp .st-frame,
.light-theme .interp .st-frame { color-scheme: light; }
body[data-jp-theme-light="false"] .interp .st-frame, body.vscode-dark .interp .st-frame,
body.vscode-high-contrast .interp .st-frame, .dark .interp .st-frame, .dark-theme .interp .st-frame
{ color-scheme: dark; }
"""


class Stepper(View):
    """A run to be stepped through, as a page of its own."""

    def __init__(self, run: Lived, at: int, *, height: int = 800) -> None:
        """Prepare the records around one of them.

        Args:
            run: The run.
            at: The record to begin with.
            height: Of the frame in a notebook, in pixels.
        """
        length = length_of(run)
        first = max(0, min(at - MOST_RECORDS // 2, length - MOST_RECORDS))
        self._run = run
        self._range = range(first, min(first + MOST_RECORDS, length))
        self._at = at
        self._height = height

    @property
    def records(self) -> range:
        """The records that are in the page."""
        return self._range

    def __repr__(self) -> str:
        """Say on one line what it is."""
        return f"<stepper through records {self._range[0]} to {self._range[-1]} of run {self._run.id!r}>"

    def html(self) -> Markup:
        """Show the stepper in a frame."""
        frame = element(
            "iframe",
            srcdoc=self.page(),
            sandbox="allow-scripts",
            class_="st-frame",
            height=self._height,
            title=f"step through run {self._run.id}",
        )
        return element("div", Markup(f"<style>{_FRAME_STYLE}</style>"), frame)

    def text(self) -> str:
        """Show the record to begin with."""
        return moment_at(self._run, self._at).text()

    def _as_file(self, kind: str) -> bytes:
        return self.page().encode() if kind == ".html" else super()._as_file(kind)

    @functools.cached_property
    def _data(self) -> dict[str, Any]:
        texts = _Texts()
        strip = _strip(self._run)
        steps: list[dict[str, Any]] = []
        variables: dict[str, list[int]] = {}
        for index, moment in zip(self._range, moments(self._run, self._range[0], self._range[-1]), strict=True):
            steps.append(
                {
                    "head": texts.numbers(moment.head_html()),
                    "columns": [texts.numbers(*column) for column in moment.cards()],
                    "rest": texts.numbers(moment.rest_html()),
                    "x": _x(self._run, strip, index),
                }
            )
            if moment.index == index:
                for name in moment.changed:
                    if name in variables or len(variables) < _VARIABLES:
                        variables.setdefault(name, []).append(index)
        return {
            "first": self._range[0],
            "last": self._range[-1],
            "start": self._at,
            "failures": [index for index in failures(self._run) if index in self._range],
            "variables": dict(sorted(variables.items())),
            "note": self._note(),
            "timeline": strip.svg() if strip is not None else "",
            "width": strip.width if strip is not None else 1,
            "below": _below(strip),
            "texts": texts.listed,
            "steps": steps,
        }

    def _note(self) -> str:
        length = length_of(self._run)
        if len(self._range) == length:
            return ""
        return (
            f"Records {self._range[0]:,} to {self._range[-1]:,} of {count(length, 'record')}: "
            f"step_through(at=…) shows others, step_through(live=True) all of them."
        )

    def page(self) -> str:
        """Return the page: one file, which loads nothing."""
        script = f"{_script()}\nmount(document.getElementById('stepper'), fixed(JSON.parse("
        script += "document.getElementById('records').textContent)));\n"
        told = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{told}'"
        head = element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=policy),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", f"Run {self._run.id}"),
            Markup(f"<style>body {{ margin: 0; padding: 6px; }}{STYLE}{CARD_STYLE}{STEPPER_STYLE}</style>"),
        )
        body = element(
            "body",
            element("div", element("div", id="stepper"), class_="interp"),
            element("script", Markup(_as_json(self._data)), type="application/json", id="records"),
            element("script", Markup(script)),
        )
        return f"<!doctype html>\n{element('html', head, body, lang='en')}"


# Where markup is cut into pieces that are the same from one record to the next: source, rows, heads.
_SEAM = re.compile(r"(?<=</tr>)|(?<=</div>)|(?<=</details>)")


class _Texts:
    """Pieces of markup, each once: most of a page is the same from one record to the next."""

    def __init__(self) -> None:
        self.listed: list[str] = []
        self._numbers: dict[str, int] = {}

    def numbers(self, *markup: str) -> list[int]:
        return [self._number(piece) for text in markup for piece in _SEAM.split(text) if piece]

    def _number(self, text: str) -> int:
        number = self._numbers.setdefault(text, len(self._numbers))
        if number == len(self.listed):
            self.listed.append(text)
        return number


def _as_json(data: object) -> str:
    r"""Write JSON for a script element: nothing in it can end the element, or a line of a script (U+2028)."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _script() -> str:
    return resources.files("interp.explore").joinpath("stepper.js").read_text(encoding="utf-8")


def _strip(run: Lived) -> Timeline | None:
    """Draw the timeline above; a run whose beginning cannot be read has none."""
    first = run.history[0] if run.history else None
    return timeline_of(run, rows=_LANES) if first is not None and first.index == 0 else None


def _below(strip: Timeline | None) -> float:
    """Return which share of the timeline is below its lanes: the cursor ends there."""
    return 0.0 if strip is None else round(1 - strip.bottom / strip.height, 4)


def _x(run: Lived, strip: Timeline | None, index: int) -> float:
    transition = record_of(run, index)
    return 0.0 if strip is None or transition is None else round(strip.x(transition.at), 1)


def stepper_of(run: Lived, at: Where | None = None, *, height: int = 800) -> Stepper:
    """Return the stepper of a run; see `Run.step_through`."""
    return Stepper(run, index_of(run, 0 if at is None else at), height=height)


# Live.

# How far a change of a variable is looked for, in records.
_SEEK = 5_000


def live_stepper(run: Lived, at: Where | None = None) -> Any:
    """Return the stepper as a widget that asks this process for each record; see `Run.step_through`.

    Raises:
        UsageError: The package anywidget is not installed, or there is no such record.
    """
    try:
        anywidget: Any = import_module("anywidget")  # only for this one form, and it brings half of Jupyter
        traitlets: Any = import_module("traitlets")  # comes with it
    except ImportError:
        told = "the live stepper is a widget of the package anywidget, which is not installed here"
        raise UsageError(f"{told}: pip install 'interp[notebook]', or leave out live=True") from None

    class LiveStepper(anywidget.AnyWidget):  # type: ignore[misc]  # neither package need be there
        """A stepper that asks for each record.

        Attributes:
            step: The record that is shown; may be set.
        """

        _esm = f"{_script()}\nexport default {{ render: widget }};\n"
        step = traitlets.Int(0).tag(sync=True)
        card = traitlets.Dict().tag(sync=True)
        shape = traitlets.Dict().tag(sync=True)
        style = traitlets.Unicode(f"<style>{STYLE}{CARD_STYLE}{STEPPER_STYLE}</style>").tag(sync=True)

        def __init__(self, run: Lived, at: int) -> None:
            self.run = run
            anywidget.AnyWidget.__init__(self, step=at, shape=_shape(run), card=_card(run, at))
            self.on_msg(self._heard)

        @traitlets.validate("step")  # type: ignore[untyped-decorator]  # neither package need be there
        def _within(self, proposal: Any) -> int:
            return min(max(int(proposal["value"]), 0), length_of(self.run) - 1)

        @traitlets.observe("step")  # type: ignore[untyped-decorator]  # as above
        def _stepped(self, _change: Any) -> None:
            self.card = _card(self.run, self.step)

        def _heard(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
            if content.get("reread"):
                self.reread()
            elif "seek" in content:
                self.seek(str(content["seek"]), 1 if content.get("direction") == 1 else -1)

        def reread(self) -> None:
            """Read the records that are new."""
            self.run = self.run.refresh()
            self.shape = _shape(self.run)
            self.step = min(self.step, length_of(self.run) - 1)
            self.card = _card(self.run, self.step)
            self.send({"told": count(length_of(self.run), "record")})

        def seek(self, name: str, direction: int) -> None:
            """Go to where a variable has changed next, or before."""
            found = _sought(self.run, name, self.step, direction)
            if found is None:
                self.send({"told": "no later change" if direction > 0 else "no earlier change"})
            else:
                self.step = found
                self.send({"told": f"{name} changed"})

    return LiveStepper(run, index_of(run, -1 if at is None else at))


def _shape(run: Lived) -> dict[str, Any]:
    strip, length = _strip(run), length_of(run)
    return {
        "last": length - 1,
        "failures": failures(run),
        "timeline": strip.svg() if strip is not None else "",
        "width": strip.width if strip is not None else 1,
        "below": _below(strip),
        "xs": [_x(run, strip, index) for index in range(length)],
        "note": "",
    }


def _card(run: Lived, index: int) -> dict[str, Any]:
    moment = moment_at(run, index)
    return {
        "index": index,
        "head": moment.head_html(),
        "columns": [joined(column) for column in moment.cards()],
        "rest": moment.rest_html(),
        "names": sorted(set(_names(moment)))[:_VARIABLES],
    }


def _names(moment: Moment) -> list[str]:
    return [f"{frame.name}.{name}" for fiber in moment.fibers for frame in fiber.frames for name in frame.local]


def _sought(run: Lived, name: str, index: int, direction: int) -> int | None:
    """Return the nearest record that has changed a variable, looked for as far as is bearable."""
    first, last = (
        (index + 1, min(index + _SEEK, length_of(run) - 1)) if direction > 0 else (max(index - _SEEK, 0), index - 1)
    )
    found = None
    for sought, moment in enumerate(moments(run, first, last), first):
        if moment.index == sought and name in moment.changed:
            found = sought
            if direction > 0:
                break
    return found

"""Step through a run: a slider over its records, and at each one where the workflow stands, with all its variables.

Two forms, one `mount` in `stepper.js`. The page in an `<iframe srcdoc>` holds everything and needs no kernel, so that
it works in exported notebooks, offline. The widget (`live=True`) asks the kernel for each record, and has no bound.

What is recorded goes into the page as markup that `element` has escaped, carried as JSON that cannot end the script
element it stands in. The frame is sandboxed and may run our script alone, named by its hash. See
docs/decisions/0028-the-stepper-has-two-forms.md.
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
from interp.explore.markup import Markup, element
from interp.explore.moments import moment_at, moments
from interp.explore.places import Lived, Where, failures, index_of, length_of, record_of
from interp.explore.theme import STYLE
from interp.explore.timeline import Timeline, timeline_of
from interp.explore.view import View
from interp.outline.words import count

__all__ = [
    "MOST_RECORDS",
    "MOST_VARIABLES",
    "STEPPER_STYLE",
    "Stepper",
    "below_lanes",
    "live_stepper",
    "script_text",
    "stepper_of",
    "strip_of",
    "x_in",
]

MOST_RECORDS = 500
"""How many records a page holds; a widget has no bound."""

MOST_VARIABLES = 200
"""How many variables can be chosen to be followed."""

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
        strip = strip_of(self._run)
        steps: list[dict[str, Any]] = []
        variables: dict[str, list[int]] = {}
        for index, moment in zip(self._range, moments(self._run, self._range[0], self._range[-1]), strict=True):
            steps.append(
                {
                    "head": texts.numbers(moment.head_html()),
                    "columns": [texts.numbers(*column) for column in moment.cards()],
                    "rest": texts.numbers(moment.rest_html()),
                    "x": x_in(self._run, strip, index),
                }
            )
            if moment.index == index:
                for name in moment.changed:
                    if name in variables or len(variables) < MOST_VARIABLES:
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
            "below": below_lanes(strip),
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
        script = f"{script_text()}\nmount(document.getElementById('stepper'), fixed(JSON.parse("
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


def script_text() -> str:
    """Return the script that both forms share."""
    return resources.files("interp.explore").joinpath("stepper.js").read_text(encoding="utf-8")


def strip_of(run: Lived) -> Timeline | None:
    """Draw the timeline above; a run whose beginning cannot be read has none."""
    first = run.history[0] if run.history else None
    return timeline_of(run, rows=_LANES) if first is not None and first.index == 0 else None


def below_lanes(strip: Timeline | None) -> float:
    """Return which share of the timeline is below its lanes: the cursor ends there."""
    return 0.0 if strip is None else round(1 - strip.bottom / strip.height, 4)


def x_in(run: Lived, strip: Timeline | None, index: int) -> float:
    """Return where a record lies on the timeline, in its own pixels."""
    transition = record_of(run, index)
    return 0.0 if strip is None or transition is None else round(strip.x(transition.at), 1)


def stepper_of(run: Lived, at: Where | None = None, *, height: int = 800) -> Stepper:
    """Return the stepper of a run; see `Run.step_through`."""
    return Stepper(run, index_of(run, 0 if at is None else at), height=height)


def live_stepper(run: Lived, at: Where | None = None) -> Any:
    """Return the stepper as a widget that asks this process for each record; see `Run.step_through`.

    Raises:
        UsageError: The package anywidget is not installed, or there is no such record.
    """
    try:
        live = import_module("interp.explore.live")  # needs a package that brings half of Jupyter
    except ImportError:
        told = "the live stepper is a widget of the package anywidget, which is not installed here"
        raise UsageError(f"{told}: pip install 'interp[notebook]', or leave out live=True") from None
    return live.LiveStepper(run, index_of(run, -1 if at is None else at))

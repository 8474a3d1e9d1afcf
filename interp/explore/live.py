"""The stepper as a widget: it asks this process for each record, and goes on with a run that goes on.

Imported when it is asked for alone, since the package anywidget need not be there. What is shown, and the script that
shows it, are those of `stepper`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from interp.explore.cards import CARD_STYLE
from interp.explore.markup import joined
from interp.explore.moments import Moment, moment_at, moments
from interp.explore.places import Lived, failures, length_of
from interp.explore.stepper import MOST_VARIABLES, STEPPER_STYLE, below_lanes, script_text, strip_of, x_in
from interp.explore.theme import STYLE
from interp.outline.words import count

__all__ = ["LiveStepper"]

# By name, so that type checkers say the same with them and without.
anywidget: Any = import_module("anywidget")
traitlets: Any = import_module("traitlets")  # comes with it

# How far a change of a variable is looked for, in records.
_SEEK = 5_000


class LiveStepper(anywidget.AnyWidget):  # type: ignore[misc]  # its base is Any, since neither package need be there
    """A stepper that asks for each record.

    Attributes:
        step: The record that is shown; may be set.
    """

    _esm = f"{script_text()}\nexport default {{ render: widget }};\n"
    step = traitlets.Int(0).tag(sync=True)
    card = traitlets.Dict().tag(sync=True)
    shape = traitlets.Dict().tag(sync=True)
    style = traitlets.Unicode(f"<style>{STYLE}{CARD_STYLE}{STEPPER_STYLE}</style>").tag(sync=True)

    def __init__(self, run: Lived, at: int) -> None:
        self.run = run
        anywidget.AnyWidget.__init__(self, step=at, shape=_shape(run), card=_card(run, at))
        self.on_msg(self._heard)

    @traitlets.validate("step")  # type: ignore[untyped-decorator]  # as above
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


def _shape(run: Lived) -> dict[str, Any]:
    strip, length = strip_of(run), length_of(run)
    return {
        "last": length - 1,
        "failures": failures(run),
        "timeline": strip.svg() if strip is not None else "",
        "width": strip.width if strip is not None else 1,
        "below": below_lanes(strip),
        "xs": [x_in(run, strip, index) for index in range(length)],
        "note": "",
    }


def _card(run: Lived, index: int) -> dict[str, Any]:
    moment = moment_at(run, index)
    return {
        "index": index,
        "head": moment.head_html(),
        "columns": [joined(column) for column in moment.cards()],
        "rest": moment.rest_html(),
        "names": sorted(set(_names(moment)))[:MOST_VARIABLES],
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

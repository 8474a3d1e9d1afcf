"""What may happen next to a run, drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from interp.commands import Child, Send
from interp.events import (
    ChildEnded,
    Completed,
    Delivered,
    Failed,
    Failure,
    Heartbeat,
    Outgrown,
    Reconciled,
    Refused,
    WasCancelled,
)
from interp.failures import timed_out
from tests.core.activities import Declined, Item, OutOfStock, SlightlyDeclined
from tests.core.driving import Driver

__all__ = ["happen", "live_through"]

_TEXT = st.text(max_size=3)
_ITEMS = st.builds(
    Item,
    _TEXT,
    st.integers(-5, 5),
    st.lists(_TEXT, max_size=2).map(tuple),
    st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=2),
)
_RESULTS: dict[str, st.SearchStrategy[Any]] = {
    "number": st.integers(-(2**70), 2**70),
    "deposit": st.integers(0, 9),
    "money": st.decimals(allow_nan=False, allow_infinity=False),
    "moment": st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001  bounds are naive
    "item": _ITEMS,
    "items": st.lists(_ITEMS, max_size=2),
    "either": st.none() | st.integers(-3, 3) | _TEXT,
    "anything": st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
        max_leaves=4,
    ),
}
_ERRORS: st.SearchStrategy[Exception] = st.one_of(
    st.builds(Declined, _TEXT),
    st.builds(SlightlyDeclined, st.integers(0, 9)),
    st.builds(OutOfStock, _ITEMS, st.integers(0, 9)),
    st.builds(ValueError, _TEXT),
)
_PAYLOADS = st.sampled_from([0, 1, 2, 3, "no number"])

_ENDS: st.SearchStrategy[Completed | Failed | WasCancelled] = st.one_of(
    st.integers(0, 9).map(lambda number: Completed(str(number).encode())),
    st.builds(lambda text: Failed(Failure("lib.Broken", text)), _TEXT),
    st.builds(WasCancelled, _TEXT),
)

# Weights: runs are to get on, and now and then something goes wrong.
_WHAT = st.sampled_from(
    ["return"] * 12
    + ["fail", "fault", "timeout"]
    + ["timer"] * 5
    + ["signal"] * 5
    + ["ask"] * 3
    + ["child", "stored"] * 4
    + ["retry", "beat", "know", "lost", "cancel", "long"]
)


_OF_ATTEMPTS = frozenset({"timeout", "retry", "beat", "know"})


def happen(draw: Callable[[st.SearchStrategy[Any]], Any], driver: Driver) -> None:
    """Let one thing happen that can."""
    pending = driver.interpreter.pending
    calls = [issued.id for issued in pending.values() if issued.definition is not None]
    attempted = [command_id for command_id in calls if pending[command_id].record.kind == "call"]  # no transacts
    what = draw(_WHAT)
    if (what in {"return", "fail", "fault"} and not calls) or (what in _OF_ATTEMPTS and not attempted):
        what = "timer"
    if what == "child" and not _open(driver, children=True):
        what = "stored"
    if what == "stored" and not _open(driver, children=False):
        what = "timer"
    if what == "timer" and driver.interpreter.next_due is None:
        what = "return" if calls else "signal"
    match what:
        case "return":
            _return(draw, driver, draw(st.sampled_from(calls)))
        case "fail":
            driver.fails(draw(st.sampled_from(calls)), draw(_ERRORS))
        case "fault":
            driver.rejects(draw(st.sampled_from(calls)), Failure("lib.Broken", draw(_TEXT), "a traceback"))
        case "timeout":
            driver.rejects(draw(st.sampled_from(attempted)), timed_out(draw(st.sampled_from([0.5, 30.0]))))
        case "retry":
            driver.retries(draw(st.sampled_from(attempted)))
        case "beat":
            driver.feed(Heartbeat(draw(st.sampled_from(attempted)), 1, b"[1]"))
        case "know":
            driver.feed(Reconciled(draw(st.sampled_from(attempted)), done=False))
        case "child":
            command_id = draw(st.sampled_from(_open(driver, children=True)))
            driver.feed(ChildEnded(command_id, 0, draw(_ENDS)))
        case "stored":
            command_id = draw(st.sampled_from(_open(driver, children=False)))
            refused = draw(st.sampled_from([None, None, None, "unknown"]))
            driver.feed(Refused(command_id, refused) if refused else Delivered(command_id))
        case "timer":
            driver.fires()
        case "signal":
            driver.signals(draw(st.sampled_from(["a", "b"])), draw(_PAYLOADS))
        case "long":
            driver.feed(Outgrown(len(driver.journal), draw(st.sampled_from([0, 7]))))
        case "ask":
            driver.asks(draw(st.sampled_from(["a", "b"])), draw(_PAYLOADS))
        case "cancel":
            driver.cancels(draw(_TEXT))
        case _:
            driver.loses_worker()


def _open(driver: Driver, *, children: bool) -> list[str]:
    """Return the children that may end, or the commands that the store has not answered."""
    found: list[str] = []
    for issued in driver.interpreter.pending.values():
        detached = isinstance(issued.command, Child) and issued.command.detached
        if issued.child is not None and not detached:
            found += [issued.id] * children
        elif issued.child is not None or isinstance(issued.command, Send):
            found += [issued.id] * (not children)
    return found


def _return(draw: Callable[[st.SearchStrategy[Any]], Any], driver: Driver, command_id: str) -> None:
    issued = driver.interpreter.pending[command_id]
    driver.returns(command_id, draw(_RESULTS[issued.record.target]))


def live_through(draw: Callable[[st.SearchStrategy[Any]], Any], driver: Driver, most: int = 25) -> Driver:
    """Let things happen until the run ends, or enough has happened."""
    for _ in range(draw(st.sampled_from([most, most // 2, 3, 1]))):
        if driver.outcome is not None:
            break
        happen(draw, driver)
    return driver

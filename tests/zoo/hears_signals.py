"""Bugs of workflows that hear signals: too early, too late, twice, or in another order than they were sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from interp import SignalTimeout, Workflow, await_signal, call, continue_as, now, race, workflow
from interp.events import Signalled
from interp.testing import Execution, Moment, either
from tests.zoo.exhibits import Bug, Explores, Holds
from tests.zoo.world import escalate, mail, publish, reserve, ship

__all__ = ["BUGS"]


@workflow
def shopping_cart() -> Workflow[list[str]]:
    """Lets the check-out win over what was put into the cart before it.

    While an item is put aside, the customer adds another one and pays. Both wait in the mailbox, and the race takes
    the branch that stands first.
    """
    items: list[str] = []
    while True:
        which, value = yield from race(check_out=await_signal("check_out"), add=await_signal("add", str))
        if which == "check_out":
            return items
        items.append(str(value))
        yield from call(ship, f"to the till: {value}")


def what_was_added_before_is_in_the_cart(life: Execution) -> None:
    if life.completed:
        names = [name for name, _ in life.signals()]
        assert names.index("check_out") <= len(life.result)


@workflow
def editorial_office(first: str, second: str) -> Workflow[None]:
    """Takes an approval that came before there was anything to approve.

    The editor's double click approves the next article, too, which nobody has read.
    """
    for article in (first, second):
        yield from call(mail, f"please read {article}")
        yield from await_signal("approve")
        yield from call(publish, article)


def every_article_has_an_approval_of_its_own(life: Execution) -> None:
    approvals = [each.index for each in life.history if isinstance(each.cause, Signalled)]
    for sent, published in zip(life.calls(mail), life.calls(publish), strict=False):
        assert any((sent.answered or 0) < index <= published.index for index in approvals)


@workflow
def mail_sorter(rounds: int, letters: list[str]) -> Workflow[list[str]]:
    """Starts over without what it has collected.

    `continue_as` keeps signals that nobody has taken; this one has taken them, and drops them.
    """
    first = yield from await_signal("letter", str)
    second = yield from await_signal("letter", str)
    letters = [*letters, first, second]
    if rounds > 0:
        return (yield from continue_as(rounds - 1, []))
    return letters


def no_letter_is_lost(life: Execution) -> None:
    if life.completed:
        assert len(life.signals("letter")) == len(life.result)


@workflow
def visited_places(left: int, seen: Any = ()) -> Workflow[int]:
    """Hands a tuple to its next round, and gets a list.

    Values pass as JSON. Without a type that says otherwise, the second round dies of adding a tuple to a list.
    """
    seen = seen + (f"place {left}",)  # noqa: RUF005  the planted bug
    yield from call(ship, seen[-1])
    if left > 0:
        return (yield from continue_as(left - 1, seen))
    return len(seen)


def a_tour_comes_to_its_end(life: Execution) -> None:
    assert not life.failed, life.ending


@workflow
def appointment(customer: str) -> Workflow[str]:
    """Awaits a moment without saying so.

    The payload of a signal without a type is what JSON has: text. Comparing it with a datetime fails in production,
    and in no test that hands in a datetime by itself.
    """
    when = yield from await_signal("when")
    if when < (yield from now()):
        return "too late"
    yield from call(mail, customer)
    return "fine"


def every_answer_is_understood(life: Execution) -> None:
    assert not life.failed, life.ending


@workflow
def holiday_request(days: int) -> Workflow[str]:
    """Does not hear an approval that comes while it escalates.

    The boss approves a second after the deadline, and the employee gets a refusal.
    """
    try:
        yield from await_signal("approve", timeout=timedelta(days=2))
    except SignalTimeout:
        yield from call(escalate, f"{days} days of holiday")
        return "refused"
    return "approved"


def who_was_approved_may_go(moment: Moment) -> None:
    if moment.completed and moment.signals("approve"):
        assert moment.result == "approved"


@workflow
def purchase_request(item: str) -> Workflow[bool]:
    """Waits on when the answer was no.

    A refused request stays open for ever, and nobody is told.
    """
    approved = False
    while not approved:
        approved = yield from await_signal("decision", bool)
    yield from call(reserve, item)
    return True


def every_decision_ends_the_matter(moment: Moment) -> None:
    assert not (moment.signals("decision") and moment.is_stuck)


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(  # noqa: DTZ001  made aware at once
    lambda moment: moment.replace(tzinfo=UTC)
)

BUGS = [
    Bug.of(shopping_cart, Holds(what_was_added_before_is_in_the_cart)),
    Bug.of(editorial_office, Holds(every_article_has_an_approval_of_its_own, {"args": ("A", "B")})),
    Bug.of(mail_sorter, Holds(no_letter_is_lost, {"args": (st.integers(0, 2), [])})),
    Bug.of(visited_places, Holds(a_tour_comes_to_its_end, {"args": (st.integers(0, 3),)})),
    Bug.of(appointment, Holds(every_answer_is_understood, {"signals": {"when": MOMENTS}})),
    Bug.of(holiday_request, Explores(who_was_approved_may_go, (3,), {"signals": {"approve": None}})),
    Bug.of(
        purchase_request,
        Explores(every_decision_ends_the_matter, ("chair",), {"signals": {"decision": either(True, False)}}),
    ),
]

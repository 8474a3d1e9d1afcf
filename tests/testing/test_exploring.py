"""Every order is explored: nothing is lost by taking equal states for one; what is found can be read and repeated."""

from __future__ import annotations

import random
from datetime import timedelta
from enum import Enum
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interp import (
    UsageError,
    Workflow,
    activity,
    await_signal,
    call,
    child,
    continue_as,
    gather,
    now,
    race,
    sleep,
    testing,
    workflow,
)
from interp.definitions import workflow_of
from interp.testing import (
    Answers,
    DoesNotHold,
    Explored,
    Moment,
    OrderMatters,
    Returned,
    TimedOut,
    check_confluent,
    either,
    explore,
    in_turn,
    reading,
    replay_schedule,
)
from interp.testing.exploring import World, search
from tests.testing.nasty import Boom, Nasty, nasty_programs, program
from tests.testing.workflows import Declined, Order, mail, pay, purchase, quote, trip

ORDER = Order("42", 5)

# Soundness: the same is found as without taking states for one.


def world_of(nasty: Nasty) -> World:
    """Return what can happen to a program."""
    answers = {"nasty_ask": either(1, 2) if nasty.answers_twice else lambda number: number}
    signals = {"go": in_turn(either(5, 6), 7)} if nasty.signals else {}
    return World({**answers, "nasty_try": either(1, Boom("b"))}, signals, cancellations=nasty.cancellations)


def searched(nasty: Nasty, bound: int = 20_000, **options: Any) -> Explored:
    """Explore a program."""
    definition = workflow_of(nasty.workflow())
    return search(definition, (), {}, world_of(nasty), failures=nasty.failures, bound=bound, **options)


def few_calls(moment: Moment) -> bool:
    return len(moment.calls("nasty_ask")) < 4


def never_two_at_once(moment: Moment) -> bool:
    return sum(made.status == "open" for made in moment.calls()) < 2


def never_returns_these(moment: Moment) -> bool:
    return not (moment.completed and moment.result in (3, 5, "3"))


def never_stuck(moment: Moment) -> bool:
    return not moment.is_stuck


def annotates_one(moment: Moment) -> bool:
    return bool(moment.state.get("n", 1) == 1)


INVARIANTS = (few_calls, never_two_at_once, never_returns_these, never_stuck, annotates_one)


def compare(nasty: Nasty, bound: int, **options: Any) -> None:
    """Check that exploring finds what trying everything finds."""
    everything = searched(nasty, bound, merges=False, **options)
    if not everything.complete:
        return
    found = searched(nasty, bound, **options)

    assert found.complete
    assert everything.schedules == found.schedules
    assert shortest_ends(everything) == shortest_ends(found)
    assert violated(everything) == violated(found)


def shortest_ends(explored: Explored) -> dict[Any, int]:
    """Return how many steps lead to each end."""
    lengths = [(ending.end, len(ending.schedule.steps)) for ending in explored.endings]
    return {end: min(steps for other, steps in lengths if other == end) for end, _ in lengths}


def violated(explored: Explored) -> set[tuple[str, int]]:
    return {(violation.invariant, len(violation.schedule.steps)) for violation in explored.violations}


@settings(suppress_health_check=list(HealthCheck))
@given(nasty_programs(), st.booleans())
def test_nothing_is_lost(nasty: Nasty, asks: bool) -> None:
    compare(nasty, 250, invariants=INVARIANTS if asks else ())


@pytest.mark.soak
@settings(max_examples=1_000, suppress_health_check=list(HealthCheck))
@given(nasty_programs(), st.booleans())
def test_nothing_is_lost_in_many_programs(nasty: Nasty, asks: bool) -> None:
    compare(nasty, 1_500, invariants=INVARIANTS if asks else ())


# Pairs of orders after which all that a naive reading sees is equal.
TRAPS = {
    "a value on the stack": program(
        ["yield call(ask, 1)", 'log.append(box["n"] * 10 + (yield call(ask, 1)))'],
        ["yield call(ask, 2)", "box['n'] = 0", "yield call(ask, 2)"],
        result="repr(log)",
    ),
    "what a loop goes over": program(
        [
            "yield call(ask, 1)",
            "for each in [1, 2] if box['n'] else [1]:\n    each = 0\n    yield call(ask, 1)\n    log.append(each)",
        ],
        ["yield call(ask, 2)", "box['n'] = 0", "yield call(ask, 2)"],
        result="len(log)",
    ),
    "one list or two": program(
        ["mine = items if box['n'] else list(items)\nyield call(ask, 1)\nmine.append(7)\nmine = None"],
        ["yield call(ask, 0)\nshared[0] = items if box['n'] == 1 else list(items)\nbox['n'] = 0\nyield call(ask, 0)"],
        ["yield call(ask, 0)\nbox['n'] = 0", "yield call(ask, 0)", "shared[0].append(5)"],
        result="len(items)",
    ),
    "from where a set pops": program(
        [
            "yield call(ask, 1)",
            "seen.add(seen.pop()) if box['n'] == 1 else None\nbox['n'] = 5",
            "yield call(ask, 1)",
            "log.append(seen.pop())",
        ],
        ["yield call(ask, 2)", "box['n'] = 5", "yield call(ask, 2)"],
        result="repr(log)",
    ),
    "one, true and one point nothing": program(
        ["yield call(ask, 1)", "table['a'] = True if box['n'] else 1\nbox['n'] = 0", "yield call(ask, 1)"],
        ["yield call(ask, 2)", "box['n'] = 0", "yield call(ask, 2)"],
        result="str(table['a'])",
    ),
    "what a struct holds": program(
        ["yield call(ask, 1)\norder.total = box['n']\nbox['n'] = 0", "yield call(ask, 1)"],
        ["yield call(ask, 2)", "box['n'] = 0", "yield call(ask, 2)"],
        result="order.total",
    ),
    "what a closure holds": program(
        ["yield call(ask, 1)", "held = box['n']\nbox['n'] = 0\nfns[:] = [lambda: held]", "yield call(ask, 1)"],
        ["yield call(ask, 2)", "box['n'] = 0", "yield call(ask, 2)"],
        result="fns[0]()",
    ),
    "a generator in common": program(
        ["yield call(ask, 1)", "box['n'] and next(numbers)\nbox['n'] = 0", "yield call(ask, 1)"],
        ["yield call(ask, 2)", "box['n'] = 0", "yield call(ask, 2)"],
        result="next(numbers)",
    ),
    "a variable that is not bound": program(
        [
            "yield call(ask, 1)\nif box['n']: one = 4\nelse: two = 4\nbox['n'] = 0",
            "yield call(ask, 1)\ntry: log.append(one)\nexcept NameError: log.append('none')",
        ],
        ["yield call(ask, 2)", "box['n'] = 0", "yield call(ask, 2)"],
        result="repr(log)",
    ),
    "what an exception carries": program(
        [
            "yield call(ask, 1)",
            "held = ValueError(box['n'])\nbox['n'] = 0",
            "yield call(ask, 1)\nlog.append(str(held))",
        ],
        ["yield call(ask, 2)", "box['n'] = 0", "yield call(ask, 2)"],
        result="repr(log)",
    ),
    "which of two equal objects": program(
        [
            "yield call(ask, 1)\none = one_object if box['n'] else other_object\nbox['n'] = 0",
            "yield call(ask, 1)\nlog.append(one is one_object)",
        ],
        ["yield call(ask, 2)", "box['n'] = 0", "yield call(ask, 2)"],
        result="repr(log)",
    ),
    "where a fiber stands": program(
        ["yield call(ask, 1)\nif box['n']: yield call(ask, 1)\nelse:\n    yield call(ask, 1)\n    log.append(1)"],
        ["yield call(ask, 2)", "box['n'] = 0", "yield call(ask, 2)"],
        result="len(log)",
    ),
    "what waits in the mailbox": program(
        ["yield call(ask, 1)", "log.append((yield await_signal('go', int)))"],
        result="repr(log)",
        signals=True,
    ),
    "who waits first": program(
        ["yield call(ask, 1)", "log.append(1 + 10 * (yield await_signal('go', int)))"],
        ["yield call(ask, 2)", "log.append(2 + 10 * (yield await_signal('go', int)))"],
        result="repr(log)",
        signals=True,
    ),
    "how many calls may still fail": program(
        ["try:\n    yield call(ask, 1)\nexcept Exception:\n    pass", "yield call(ask, 2)"],
        result="1",
        failures=1,
    ),
    "how long a timer still runs": program(
        ["yield call(ask, 1)", "yield sleep(timedelta(seconds=box['n'] * 4))\nlog.append('long')"],
        ["yield call(ask, 2)", "box['n'] = 1 + box['n']", "yield sleep(timedelta(seconds=7))\nlog.append('seven')"],
        result="repr(log)",
    ),
}


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_what_is_hidden_is_read(trap: Nasty) -> None:
    everything = searched(trap, merges=False)

    assert everything.complete
    assert len(everything.endings) > 1
    found = searched(trap)
    assert everything.schedules == found.schedules
    assert shortest_ends(everything) == shortest_ends(found)


def test_without_the_stack_outcomes_would_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = reading._frame_values  # pyright: ignore[reportPrivateUsage]  what the traps are set for

    def variables(generator: Any) -> list[Any]:
        return reads(generator)[: len(generator.gi_frame.f_locals)]

    trap = TRAPS["a value on the stack"]
    found = searched(trap)
    monkeypatch.setattr(reading, "_frame_values", variables)

    assert len(searched(trap).endings) < len(found.endings)


@pytest.mark.parametrize("probe", ["_can_read_frames", "_can_read_sets"])
def test_where_python_cannot_be_read_states_are_kept_apart(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = TRAPS["from where a set pops"]
    everything = searched(trap, merges=False)
    monkeypatch.setattr(reading, probe, lambda: False)
    found = searched(trap)

    assert [everything.steps, everything.schedules] == [found.steps, found.schedules]
    assert sum(found.unread.values()) == found.states - 1 - len(found.endings)
    assert "were compared with no other, because of a" in found.summary


# What it costs.


def branch(number: int, steps: int) -> Workflow[int]:
    total = 0
    for step in range(steps):
        total += yield from call(quote, f"{number}.{step}")
    return total


@workflow(name="kit_grid")
def grid(fibers: int, steps: int) -> Workflow[int]:
    return sum((yield from gather(*[branch(number, steps) for number in range(fibers)])))


@pytest.mark.parametrize(
    ("fibers", "steps", "schedules"), [(3, 3, 1_680), (4, 2, 2_520), (4, 3, 369_600), (5, 2, 113_400)]
)
def test_the_schedules_are_counted_without_being_walked(fibers: int, steps: int, schedules: int) -> None:
    found = explore(grid, fibers, steps, activities={quote: 1}).check()

    assert schedules == found.schedules
    assert (steps + 1) ** fibers == found.states
    assert [fibers * steps] == found.results


# What can happen.


def test_every_answer_is_tried() -> None:
    found = explore(purchase, ORDER, activities={pay: either("r-1", Declined("no")), mail: None})

    assert ("returned 'declined'", "returned 'r-1'") == found.outcomes


def test_a_call_may_fail_as_often_as_is_said() -> None:
    found = explore(trip, "a", "b", activities={quote: 1}, signals={"go": True}, failures=1)

    assert {"returned 2", "failed with SignalTimeout", "failed with CallFailed"} == {
        words.partition(":")[0].replace("interp.errors.", "") for words in found.outcomes
    }
    assert not any("2 attempts" in words for words in found.outcomes)


def test_answers_in_turn_depend_on_the_order() -> None:
    found = explore(grid, 2, 1, activities={quote: in_turn(1, 5)})

    assert [6] == found.results
    assert 2 == found.schedules


def test_a_run_may_be_cancelled_at_any_moment() -> None:
    found = explore(grid, 1, 2, activities={quote: 1}, cancellations=True)

    assert ("was cancelled", "returned 2") == found.outcomes
    assert 3 == found.schedules  # before the first call, between the two, and not at all


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@activity(name="kit_pick", raises=Declined)
def pick() -> bool | Colour | Literal["none"] | None:
    raise NotImplementedError


@workflow(name="kit_picks")
def picks() -> Workflow[str]:
    return repr((yield from call(pick)))


def test_types_of_few_values_need_no_stub() -> None:
    found = explore(picks)

    assert {"True", "False", "<Colour.RED: 'red'>", "<Colour.BLUE: 'blue'>", "'none'", "None"} == set(found.results)
    assert any("Declined" in words for words in found.outcomes)


def test_what_may_answer_anything_is_refused_with_the_cure() -> None:
    with pytest.raises(UsageError, match="quote may answer anything") as caught:
        explore(grid, 1, 1)
    assert "activities={'quote': ...}" in str(caught.value)


@workflow(name="kit_parent_of_grid")
def parent_of_grid() -> Workflow[int]:
    return (yield from child(grid, 1, 1))


def test_children_answer_too() -> None:
    assert [1, 2] == explore(parent_of_grid, activities={grid: either(1, 2)}).results


def slowly(seconds: int, log: list[int]) -> Workflow[None]:
    yield from call(mail, "")
    yield from sleep(timedelta(seconds=seconds))
    log.append(seconds)


@workflow(name="kit_two_timers")
def two_timers(first: int, second: int) -> Workflow[list[int]]:
    log: list[int] = []
    yield from gather(slowly(first, log), slowly(second, log))
    return log


def test_what_comes_late_starts_its_timer_late() -> None:
    found = explore(two_timers, 5, 8)

    assert [[5, 8], [8, 5]] == sorted(found.results)


@workflow(name="kit_what_time")
def what_time() -> Workflow[float]:
    began = yield from now()
    yield from race(sleep(timedelta(seconds=5)), call(mail, ""))
    yield from call(mail, "")
    return ((yield from now()) - began).total_seconds()


def test_who_looks_at_the_clock_is_not_taken_for_another() -> None:
    assert [0.0, 5.0] == sorted(explore(what_time).results)


@workflow(name="kit_clock_at_the_end")
def clock_at_the_end(began: float) -> Workflow[float]:
    if began < 0:
        yield from race(sleep(timedelta(seconds=5)), call(mail, ""))
        yield from call(mail, "")
        yield continue_as((yield from now()).timestamp())
    yield from call(mail, "")
    return began


def test_a_look_at_the_clock_counts_in_the_next_round() -> None:
    early, late = sorted(explore(clock_at_the_end, -1.0).results)

    assert 5.0 == late - early


# Bounds.


def test_a_bound_is_told() -> None:
    found = explore(grid, 4, 3, activities={quote: 1}, bound=100)

    assert not found.complete
    assert found.steps <= 100
    assert found.depth is not None
    assert f"not everything: {found.states} states" in found.summary
    with pytest.raises(DoesNotHold, match="nothing was found, but explored not everything"):
        found.check()


def everything_up_to(depth: int) -> Explored:
    return explore(grid, 2, 2, activities={quote: 1}, bound=depth)


def test_all_that_is_short_enough_was_explored() -> None:
    whole = everything_up_to(1_000)
    cut = everything_up_to(5)

    assert [True, False] == [whole.complete, cut.complete]
    assert 1 == cut.depth
    assert cut.states < whole.states


def test_a_workflow_that_does_not_do_the_same_again_is_refused() -> None:
    noise = iter(range(1_000))

    @workflow(name="kit_noisy")
    def noisy() -> Workflow[None]:
        for _ in range(3):
            yield from call(mail, str(next(noise)))

    with pytest.raises(UsageError, match="kit_noisy does not do the same again"):
        explore(noisy)


def test_the_world_stands_still() -> None:
    @workflow(name="kit_dice")
    def dice() -> Workflow[float]:
        yield from call(mail, "")
        return random.random()  # what a workflow must not do

    assert 1 == len(explore(dice).results)


# Invariants, and what is told when one does not hold.


@activity(name="kit_load")
def load() -> int:
    raise NotImplementedError


@activity(name="kit_save")
def save(units: int) -> None:
    raise NotImplementedError


def take_one(box: dict[str, int]) -> Workflow[None]:
    left = box["left"]
    yield from call(save, left - 1)
    box["left"] = left - 1


@workflow(name="kit_sell")
def sell(left: int, buyers: int) -> Workflow[int]:
    box = {"left": left}
    yield from gather(*[take_one(box) for _ in range(buyers)])
    return box["left"]


def one_for_each(moment: Moment) -> None:
    if moment.completed:
        assert moment.args[0] - moment.args[1] == moment.result, f"{moment.result} left"


def test_a_lost_update_is_told_as_a_story_and_as_a_test() -> None:
    found = explore(sell, 5, 2, invariant=one_for_each)

    with pytest.raises(DoesNotHold) as caught:
        found.check()
    told = str(caught.value)
    assert told.startswith("one_for_each does not hold in kit_sell\n    4 left\n")
    assert "<-- here one_for_each does not hold" in told
    assert "which stand for 2 schedules" in told
    assert found.counterexample is not None
    assert all(line in told for line in repr(found.counterexample.schedule).splitlines())
    assert repr(found.counterexample) == "<Violation of one_for_each, after 2 steps>"


def test_a_counterexample_is_code_that_does_it_again() -> None:
    found = explore(
        trip,
        "a",
        "b",
        activities={quote: either(3, Declined("no"))},
        signals={"go": either(True, False)},
        failures=1,
        cancellations=True,
    )
    assert found.complete
    for ending in found.endings:
        again = eval(repr(ending.schedule), PASTED)  # as a user would paste it

        assert [ending.execution.ending, ending.execution.journals] == [again.ending, again.journals]


PASTED = {**vars(testing), "trip": trip, "Declined": Declined}


def test_a_step_that_cannot_happen_is_refused() -> None:
    with pytest.raises(UsageError, match=r"step 2, Answers\('2'\), cannot happen to kit_grid here") as caught:
        replay_schedule(grid, (1, 2), [(Answers("1.0.1"), Returned(1)), (Answers("2"), Returned(1))])
    assert "possible are Answers('1.0.2'), Cancels()" in str(caught.value)
    with pytest.raises(UsageError, match="the run has ended"):
        replay_schedule(grid, (1, 1), [(Answers("1.0.1"), Returned(1)), (Answers("2"), Returned(1))])


@workflow(name="kit_ignores")
def ignores() -> Workflow[None]:
    yield from call(load)
    yield from call(save, 1)


def test_an_invariant_may_say_what_comes_first() -> None:
    def paid_before_mailed(moment: Moment) -> bool:
        return not moment.calls(mail) or all(made.status == "returned" for made in moment.calls(pay))

    explore(purchase, ORDER, activities={pay: "r-1"}, invariant=paid_before_mailed).check()

    def never_mailed(moment: Moment) -> bool:
        return not moment.calls("mail")

    found = explore(purchase, ORDER, activities={pay: "r-1"}, invariant=[paid_before_mailed, never_mailed])

    assert ["never_mailed"] == [violation.invariant for violation in found.violations]


@workflow(name="kit_lost_signal")
def lost_signal() -> Workflow[bool]:
    first = yield from await_signal("go", bool)
    return first and (yield from await_signal("go", bool))


def test_a_run_that_waits_for_ever_is_an_ending() -> None:
    found = explore(lost_signal, signals={"go": True})

    assert ("waits for ever",) == found.outcomes
    assert found.endings[0].is_stuck


def test_moments_with_different_pasts_are_different() -> None:
    def never_two(moment: Moment) -> bool:
        return not moment.completed or all(made.value != 2 for made in moment.calls(load))

    found = explore(ignores, activities={load: either(1, 2)}, invariant=never_two)

    assert ["never_two"] == [violation.invariant for violation in found.violations]
    assert 2 == explore(ignores, activities={load: either(1, 2)}).states - 1


# Does the order matter?


@activity(name="kit_price")
def price(what: str) -> int:
    raise NotImplementedError


def buy(what: str, log: list[str]) -> Workflow[None]:
    yield from call(price, what)
    log.append(what)


@workflow(name="kit_in_order_of_arrival")
def in_order_of_arrival() -> Workflow[str]:
    log: list[str] = []
    yield from gather(buy("flight", log), buy("hotel", log))
    return log[0]


def test_orders_that_end_differently_are_shown_side_by_side() -> None:
    with pytest.raises(OrderMatters) as caught:
        check_confluent(in_order_of_arrival, activities={price: len})

    told = str(caught.value)
    assert "the order of the same results changes the outcome" in told
    assert "    kit_price('flight') -> 6   kit_price('hotel') -> 5   <-- they part here" in told
    assert "returns 'flight'" in told
    assert "returns 'hotel'" in told
    assert 2 == told.count("replay_schedule(")


def test_different_answers_may_end_differently() -> None:
    found = check_confluent(grid, 2, 1, activities={quote: either(1, 5)})

    assert {2, 6, 10} == set(found.results)


def test_only_what_remembers_is_asked_about_orders() -> None:
    with pytest.raises(UsageError, match="use check_confluent"):
        explore(grid, 2, 1, activities={quote: 1}).check_confluent()


def test_a_call_may_time_out() -> None:
    assert any("CallTimeout" in words for words in explore(grid, 1, 1, activities={quote: TimedOut()}).outcomes)

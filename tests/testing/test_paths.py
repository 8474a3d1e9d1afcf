"""Path coverage: the ways that are in the source, and those that executions took."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import find, given, settings

from interp import Workflow, await_signal, call, gather, race, sleep, workflow
from interp.testing import Execution, Paths, check_determinism, executions
from tests.testing.workflows import Declined, mail, parent, pay, purchase, quote, trip


def hows(paths: Paths) -> dict[tuple[str, str], int]:
    return {(f"{way.kind} {way.target}".rstrip(), way.how): count for way, count in paths.ways.items()}


def test_the_ways_are_read_from_the_source_of_a_workflow_and_of_its_parts() -> None:
    assert {
        ("call quote", "raises Declined"): 0,
        ("call quote", "returns"): 0,
        ("sleep", "fires"): 0,
        ("await_signal go", "arrives"): 0,
        ("await_signal go", "times out"): 0,
    } == hows(Paths(trip))
    assert {("child kit_purchase", "returns"): 0} == hows(Paths(parent))


def test_an_execution_takes_some_ways() -> None:
    paths = Paths(purchase)
    declined = find(executions(purchase, activities={pay: Declined("no")}), lambda life: life.completed)

    paths.add(declined)

    assert {("call pay", "raises Declined"): 1, ("call pay", "returns"): 0, ("call mail", "returns"): 0} == hows(paths)
    assert 100 / 3 == paths.percent
    assert ["returns", "returns"] == [way.how for way in paths.missed]
    assert "never" in str(paths)


def test_a_check_reaches_everything_that_can_be_reached() -> None:
    assert [] == check_determinism(trip, max_examples=1_000).missed


def test_a_way_that_the_source_does_not_tell_is_counted_too() -> None:
    paths = Paths(purchase)
    paths.add(find(executions(purchase, faults=True), lambda life: life.failed and "RuntimeError" in str(life.failure)))

    assert any(how == "fails" and count for (_, how), count in hows(paths).items())


@workflow(name="kit_paths")
def several() -> Workflow[None]:
    yield from gather(call(mail, "a"), call(quote, "b"))
    _ = yield from race(
        sleep(timedelta(1)),
        await_signal("stop"),
    )


@settings(max_examples=60)
@given(executions(several))
def test_commands_inside_of_groups_are_ways(life: Execution) -> None:
    paths = Paths(several)

    paths.add(life)

    taken = {what for what, count in hows(paths).items() if count}
    assert ("call mail", "returns") in taken or life.failed
    assert life.failed or taken & {("sleep", "fires"), ("await_signal stop", "arrives")}


def test_a_signal_from_the_mailbox_counts() -> None:
    def early(life: Execution) -> bool:
        signalled = [t.index for t in life.history if type(t.cause).__name__ == "Signalled"]
        awaited = [t.index for t in life.history for command in t.commands if command.kind == "await_signal"]
        return bool(signalled and awaited) and signalled[0] < awaited[0]

    paths = Paths(trip)
    paths.add(find(executions(trip, signals={"go": True}), early))

    assert 1 == hows(paths)["await_signal go", "arrives"]

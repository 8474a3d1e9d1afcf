"""A moment tells what happened and where the workflow stood, whatever the history and the code hold."""

from __future__ import annotations

import linecache
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

import pytest

from interp import Command, activity, annotate, await_signal, call, join, spawn, workflow
from interp.definitions import workflow_of
from interp.errors import UsageError
from interp.events import Resolved, Signalled, Started, Transition
from interp.explore import Run
from interp.explore.sources import around_frame
from interp.explore.standing import let_go
from tests.explore.flows import create_subnet, provision_fleet
from tests.explore.recording import BEGIN, CLOUD, World, record
from tests.explore.standing import damaged_run, run_of

Flow = Generator[Command[Any], Any, Any]
HISTORY = record(provision_fleet, "eu", [f"vm-{n}" for n in range(6)], world=CLOUD)
CROWD = record(provision_fleet, "eu", [f"vm-{n}" for n in range(300)], world=CLOUD, until=timedelta(minutes=6))


@pytest.fixture(autouse=True)
def nothing_kept() -> Generator[None, None, None]:
    yield
    let_go()


@pytest.fixture
def run() -> Run:
    return run_of(provision_fleet, HISTORY)


def index_where(history: tuple[Transition, ...], kind: type) -> int:
    return next(each.index for each in history if isinstance(each.cause, kind))


def test_a_moment_knows_stacks_and_variables(run: Run) -> None:
    moment = run.at(3)
    (root, *vms) = moment.fibers

    assert "eu" == moment["region"]
    assert [f"vm-{n}" for n in range(6)] == moment["names"]
    assert ["provision_fleet"] == [frame.name for frame in root.frames]
    assert "its gather of 6 branches, 0 ended" == root.waits
    assert {"provision_vm"} == {fiber.function for fiber in vms}
    assert {"'eu'", "'ops@example.org'"} <= set(root.frames[0].local.values())
    assert {"stage": "'machines'"} == moment.state


def test_what_a_reader_does_to_a_variable_changes_nothing(run: Run) -> None:
    run.at(3)["names"].clear()

    assert 6 == len(run.at(3)["names"])
    assert 6 == len(run.at(4)["names"])


def test_an_unknown_variable_says_which_there_are(run: Run) -> None:
    with pytest.raises(KeyError, match="no variable 'nmaes' at record 3; there are: provision_fleet: region, names"):
        run.at(3)["nmaes"]
    with pytest.raises(KeyError, match=r"no fiber '9\.9' at record 3; there are '' \(the root\), 4\.0"):
        run.at(3).variable("name", "9.9")
    assert "vm-2" == run.at(3).variable("name", "4.2")


def test_a_function_that_is_delegated_to_stands_with_its_caller(run: Run) -> None:
    moment = run.at(str(next(each.id for each in run.tree.nodes.values() if each.record.target == "approve")))
    root = moment.fibers[0]

    assert ["provision_fleet", "ask_approval"] == [frame.name for frame in root.frames]
    assert "its race: signal 'approve', sleep 1 d (ends in 1 d)" == root.waits
    assert "provision_fleet › ask_approval" in str(moment)
    assert 6 == moment["count"]
    assert len(moment["machines"]) == moment["count"]


def test_the_expression_is_marked_to_the_column(run: Run) -> None:
    lit = [line for line in around_frame(run.at(3).fibers[1].frames[0]) if line.roles]

    assert 1 == len(lit)
    assert lit[0].marked is not None
    assert lit[0].text[slice(*lit[0].marked)].startswith("yield from call(create_volume, name, gib)")


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (0, 0),
        (-1, len(HISTORY) - 1),
        (HISTORY[5].at, 5),
        (HISTORY[5].at + timedelta(microseconds=1), 5),
        (HISTORY[5].at.astimezone().strftime("%H:%M:%S.%f"), 5),
        (HISTORY[5].at.astimezone().replace(tzinfo=None), 5),
        (f"{HISTORY[5].at.astimezone():%Y-%m-%d %H:%M:%S}.999999", 5),
        (HISTORY[5].at.isoformat(), 5),
        (HISTORY[1].commands[-1].id, 1),
    ],
)
def test_a_record_is_meant_by_its_index_a_time_or_a_command(run: Run, where: Any, index: int) -> None:
    assert index == run.at(where).index


def test_a_time_without_seconds_means_the_whole_minute(run: Run) -> None:
    minute = HISTORY[5].at.astimezone()
    last = [each.index for each in HISTORY if each.at.astimezone().strftime("%H:%M") == f"{minute:%H:%M}"][-1]

    assert last == run.at(f"{minute:%H:%M}").index


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (len(HISTORY), f"has {len(HISTORY)} records, 0 to {len(HISTORY) - 1}: there is no record {len(HISTORY)}"),
        (BEGIN - timedelta(days=1), "began at .*: there is nothing at"),
        ("77.7", "has no command '77.7'; its commands are 1 to"),
        ("tomorrow", "not a time such as"),
        (True, "give a record's index"),
        (3.5, "give a record's index"),
    ],
)
def test_what_is_no_record_is_refused(run: Run, where: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        run.at(where)


def test_fibers_at_one_line_share_a_card_however_many_they_are() -> None:
    moment = run_of(provision_fleet, CROWD).at(-1)
    text, html = str(moment), moment._repr_html_()

    assert 301 == len(moment.fibers)
    assert "all: network='net-eu', gib=100" in text
    assert "more: moment.fibers('provision_vm')" in text
    assert max(map(len, text.splitlines())) <= 120
    assert len(text.splitlines()) < 120
    assert len(html) < 40_000

    table = moment.fibers("provision_vm")
    assert 300 == len(table)
    assert [f"vm-{n}" for n in range(300)] == list(table["name"])
    assert {100} == set(table["gib"])
    with pytest.raises(UsageError, match=r"no fiber of 'vm'.*there are provision_fleet, provision_vm"):
        moment.fibers("vm")


def test_a_fiber_is_called_the_same_in_all_views_with_its_id_beside(run: Run) -> None:
    moment = run.at(20)

    assert "vm-2" == run.fiber_names["4.2"]
    assert "\n  vm-2  " in str(run.timeline())
    assert "vm-2  fiber 4.2  " in str(moment.fibers)
    assert "\nvm-2 (fiber 4.2)  provision_vm  flows.py:" in str(moment)
    assert '<b>vm-2</b><span class="dim">fiber 4.2</span><code>provision_vm</code>' in moment.html()
    assert '<th scope="row">vm-0<span class="dim"> 4.0</span>' in moment.html()
    assert "  vm-2 4.2  provision_vm.vm  " in str(run.at(19).diff(moment))


@workflow
def moments_spawning() -> Flow:
    first = yield from spawn(moments_same(), name="left")
    second = yield from spawn(moments_same())
    yield from join(first)
    yield from join(second)


def moments_same() -> Flow:
    yield await_signal("never")


def test_fibers_that_nothing_sets_apart_are_called_by_their_ids_and_by_what_the_author_says() -> None:
    text = str(run_of(moments_spawning, record(moments_spawning, until=timedelta(0))).at(-1))

    assert "signal 'never' 1.0 left" in text
    assert "signal 'never' 2.0\n" in text


def test_what_a_record_changed_is_marked(run: Run) -> None:
    index = index_where(HISTORY, Resolved)
    moment = run.at(index)

    assert ("provision_fleet.network",) == moment.changed
    assert "* network" in str(moment)
    assert 'class="changed"' in moment.html()


def test_the_difference_of_two_moments(run: Run) -> None:
    first = index_where(HISTORY, Resolved)
    changes = run.at(first - 1).diff(first)

    assert [("", "network", None, "'net-eu'")] == [
        (each.fiber, each.name, each.old, each.new) for each in changes.variables
    ]
    assert 6 == len(changes.begun) == len(changes.issued)
    assert ["create_subnet('eu') [2] → 'net-eu'"] == [told for _, told in changes.answered]
    assert [("stage", "'network'", "'machines'")] == list(changes.state)
    assert "provision_fleet.network  –  →  'net-eu'" in str(changes)
    assert "<h4>variables" in changes.html()

    back = run.at(first).diff(run.at(first - 1))
    assert 6 == len(back.ended)
    assert not run.at(3).diff(3)
    assert "nothing has changed" in str(run.at(3).diff(3))


def test_the_end_of_a_run_tells_how_it_ended(run: Run) -> None:
    moment = run.at(-1)

    assert () == tuple(moment.fibers)
    assert moment.outcome.startswith("completed → {'zone'")
    with pytest.raises(KeyError, match=r"no variables at record .*: completed"):
        moment["region"]


@workflow
def moments_fails(order: str) -> Flow:
    total = yield from call(create_subnet, order)
    lines = [1, 0]
    moments_divide(lines[0], lines[1])
    return total


def moments_divide(left: int, right: int) -> float:
    return left / right


def test_a_failed_run_shows_the_variables_of_its_last_breath() -> None:
    run = run_of(moments_fails, record(moments_fails, "o-1", run_id="fails"), "fails")
    moment = run.at("failure")

    assert len(run.history) - 1 == moment.index
    assert "failed: ZeroDivisionError: division by zero" == moment.outcome
    assert moment.fibers[0].raised
    assert ["moments_fails", "moments_divide"] == [frame.name for frame in moment.fibers[0].frames]
    assert 0 == moment["right"]
    assert [1, 0] == moment["lines"]
    assert "raised in" in moment.html()


# Code that is not what it was.


@workflow
def moments_order(lines: list[str]) -> Flow:
    first = yield from call(create_subnet, lines[0])
    second = yield from call(create_subnet, lines[1])
    return first, second


@workflow(name="moments_order_changed")
def moments_other(lines: list[str]) -> Flow:
    first = yield from call(create_subnet, lines[0])
    second = yield from call(create_subnet, f"changed {first}")
    return first, second


def test_code_that_diverges_shows_the_last_record_that_fits() -> None:
    history = record(moments_order, ["a", "b"], run_id="order")
    run = run_of(moments_other, history, "order")

    assert "" == run.at(0).trouble
    for _ in range(2):  # the second time it is known
        moment = run.at(2)
        assert (0, 2) == (moment.index, moment.wanted)
        assert "diverged from its history at record 1, command 2" in moment.trouble
        assert ["a", "b"] == moment["lines"]
        assert "Record 2 cannot be stood at; this is record 0, the last one that can" in str(moment)
        assert "diverged" in moment.html()


def test_code_that_diverges_at_once_leaves_what_the_records_tell() -> None:
    run = run_of(moments_order, HISTORY)
    moment = run.at(3)

    assert 3 == moment.index
    assert "cannot" in moment.trouble or "diverged" in moment.trouble or "argument" in moment.trouble
    assert 6 == len(moment.pending)
    assert {"stage": "'machines'"} == moment.state
    assert () == tuple(moment.fibers)


def test_code_that_is_gone_leaves_what_the_records_tell() -> None:
    started = HISTORY[0].cause
    assert isinstance(started, Started)
    run = run_of(None, HISTORY)
    object.__setattr__(run, "_code", "the workflow 'gone' is not imported here")
    moment = run.at(3)

    assert "is not imported here" in str(moment)
    assert "What record 3 tells without" in moment.html()
    assert 6 == len(moment.pending)
    with pytest.raises(KeyError, match="not imported here"):
        moment["region"]
    assert "provision_vm" not in str(moment.diff(5))


def test_source_that_is_not_what_was_recorded_is_warned_of() -> None:
    started = HISTORY[0].cause
    assert isinstance(started, Started)
    fitting = Started(started.workflow, started.args, started.seed, code=workflow_of(provision_fleet).code)
    other = Started(started.workflow, started.args, started.seed, code="0123456789ab")
    rest = HISTORY[1:]

    assert "" == run_of(provision_fleet, (Transition(0, BEGIN, fitting, HISTORY[0].commands), *rest)).at(3).warning
    moment = run_of(provision_fleet, (Transition(0, BEGIN, other, HISTORY[0].commands), *rest)).at(3)
    assert "is not what record 0 was written with" in moment.warning
    assert "recorded 0123456789ab" in str(moment)
    assert "⚠" in moment.html()


@pytest.mark.parametrize("broken", [0, 4, len(HISTORY) - 1])
def test_damaged_records_are_stood_up_to(broken: int) -> None:
    run = damaged_run(provision_fleet, HISTORY, [broken])
    for index in range(len(HISTORY)):
        moment = run.at(index)
        assert moment.trouble == ("" if index < broken else moment.trouble)
        assert (f"record {broken} cannot be read" in moment.trouble) == (index >= broken)
        assert moment.index == (min(index, broken - 1) if broken else index)
        assert str(moment)
        assert "cannot be drawn" not in moment._repr_html_()


def test_a_history_of_which_nothing_can_be_read_is_told() -> None:
    run = damaged_run(provision_fleet, HISTORY[:3], [0, 1, 2])

    assert "record 0 cannot be read" in str(run.at(1))
    assert "cannot be drawn" not in run.at(1)._repr_html_()


# Hostile variables.


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("never look at me")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("never compare me")

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("never copy me")


@activity
def moments_name(name: str) -> str:
    return name


@workflow
def moments_hostile() -> Flow:
    raises = Hostile()
    huge = "x" * 10_000_000
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    cyclic: dict[str, Any] = {}
    cyclic["self"] = cyclic
    markup = "</code></script><script>alert(1)</script><!--"
    control = "\x1b[31m\u202e\x00"
    number = 10**5_000
    generator = (each for each in "abc")
    lambda_ = lambda: raises  # noqa: E731
    yield annotate(**{"<b>": markup})
    (yield from spawn(moments_sub(markup), name="<i>"))
    result = yield from call(moments_name, markup)
    return len(huge), number > 0, generator, lambda_, control, result, cyclic, deep


def moments_sub(name: str) -> Flow:
    yield await_signal(name)


def test_hostile_variables_are_shown() -> None:
    run = run_of(moments_hostile, record(moments_hostile, run_id="hostile"), "hostile")
    moment = run.at(0)
    text, html = str(moment), moment._repr_html_()

    assert "cannot be shown" not in text
    assert "cannot be drawn" not in html
    assert "<script" not in html
    assert "<Hostile>" in text
    assert "(10,000,000 characters)" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(html) < 40_000
    assert "<Hostile>" == moment["raises"]
    assert moment["generator"].startswith("<generator")
    assert 10_000_000 == len(moment["huge"])
    assert 2 == len(moment.fibers())
    assert str(moment.diff(1))
    assert "<script" not in moment.diff(1).html()


def test_a_workflow_that_was_defined_in_a_cell_shows_its_source() -> None:
    source = (
        "@workflow(name='moments_cell')\n"
        "def moments_cell(owner):\n"
        "    answer = yield from call(create_subnet, owner)  # here\n"
        "    return answer\n"
    )
    name = "<ipython-input-1-0123456789ab>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    names: dict[str, Any] = {"workflow": workflow, "call": call, "create_subnet": create_subnet}
    exec(compile(source, name, "exec"), names)
    run = run_of(names["moments_cell"], record(names["moments_cell"], "me", run_id="cell"), "cell")

    text = str(run.at(0))
    assert ">    3 │ answer" in text or ">    3 │     answer = yield from call(create_subnet, owner)  # here" in text


def test_signals_that_nobody_took_are_in_the_mailbox() -> None:
    world = World(took={"create_subnet": (60, 60)}, signals=[(timedelta(seconds=5), "approve", b'"<yes>"')])
    run = run_of(moments_fails, record(moments_fails, "x", world=world, run_id="mail"), "mail")
    moment = run.at(index_where(run.history, Signalled))

    assert (("approve", "'<yes>'"),) == moment.mailbox
    assert "in the mailbox: approve: '<yes>'" in str(moment)
    assert "&lt;yes&gt;" in moment.html()


def test_two_moments_of_different_runs_are_not_compared(run: Run) -> None:
    other = run_of(moments_fails, record(moments_fails, "x", run_id="other"), "other")
    with pytest.raises(UsageError, match="is of another run"):
        run.at(0).diff(other.at(0))


def test_a_run_that_has_not_begun_has_no_records(run: Run) -> None:
    object.__setattr__(run, "history", ())
    with pytest.raises(UsageError, match="has no records yet"):
        run.at(0)
    assert datetime.now().astimezone() > BEGIN

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import UsageError
from interp.events import (
    CancelRequested,
    Completed,
    Event,
    Failure,
    Record,
    Rejected,
    Resolved,
    Signalled,
    Started,
    Transition,
)
from interp.explore import Differs, diff
from interp.explore.aligning import aligned
from interp.explore.contrast import contrasted, values_contrasted
from interp.sealing import REDACTED
from tests.core.happenings import live_through
from tests.core.programs import Program, loaded, programs
from tests.explore.examples import FEW
from tests.explore.flows import provision_fleet
from tests.explore.recording import CLOUD, record
from tests.explore.seen import seen

AT = datetime(2026, 1, 1, tzinfo=UTC)

NAMES = [f"web-{number}" for number in range(1, 6)]


def fleet(seed: int = 7, names: Sequence[str] = NAMES) -> Any:
    history = record(provision_fleet, "eu", list(names), world=attrs.evolve(CLOUD, seed=seed))
    return seen(history, f"prov-{seed}")


def called(number: int, argument: bytes = b"[1]", target: str = "f", where: str = "x.py:1") -> Record:
    return Record(str(number), "call", target, argument, where)


def history_of(*steps: tuple[Event, tuple[Record, ...]], args: bytes = b"[]", end: bytes | None = None) -> Any:
    """Make a history, one second a record; `end` is what the run returns with the last one."""
    transitions = [Transition(0, AT, Started("w", args, bytes(16)), (called(1),))]
    for number, (cause, commands) in enumerate(steps, 1):
        transitions.append(Transition(number, AT + timedelta(seconds=number), cause, commands))
    if end is not None:
        transitions[-1] = msgspec.structs.replace(transitions[-1], outcome=Completed(end))
    return tuple(transitions)


def loop(length: int, answer: bytes = b"") -> Any:
    steps = [(Resolved(str(number), answer or b"%d" % number), (called(number + 1),)) for number in range(1, length)]
    return seen(history_of(*steps))


# Alignment.


@given(a=st.text("abc", max_size=9), b=st.text("abcd", max_size=9))
def test_an_alignment_is_the_longest_one(a: str, b: str) -> None:
    matches = aligned(a, b)

    assert list(range(len(a))) == [one for one, _ in matches if one is not None]
    assert list(range(len(b))) == [other for _, other in matches if other is not None]
    both = [(one, other) for one, other in matches if one is not None and other is not None]
    assert all(a[one] == b[other] for one, other in both)
    assert longest(a, b) == len(both)


def longest(a: str, b: str) -> int:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for one, x in enumerate(a):
        for other, y in enumerate(b):
            table[one + 1][other + 1] = (
                table[one][other] + 1 if x == y else max(table[one][other + 1], table[one + 1][other])
            )
    return table[-1][-1]


def test_lists_that_have_little_in_common_are_aligned_all_the_same() -> None:
    a, b = [number % 7 for number in range(5000)], [number * 11 % 13 for number in range(4000)]
    matches = aligned(a, b)

    assert 5000 == sum(one is not None for one, _ in matches)
    assert 4000 == sum(other is not None for _, other in matches)


# Contrast.


@given(a=st.text("ab ._'", max_size=120), b=st.text("ab ._'", max_size=120), width=st.integers(20, 80))
def test_contrasted_texts_fit_and_part_where_they_do(a: str, b: str, width: int) -> None:
    for cut, text in zip(contrasted(a, b, width), (a, b), strict=True):
        assert len(str(cut)) <= width
        if len(text) <= width:
            assert text == str(cut)
        assert a != b or not cut.odd


def test_long_values_are_cut_around_the_place_where_they_part() -> None:
    left, right = contrasted(f"[{'1, ' * 200}100, {'2, ' * 200}]", f"[{'1, ' * 200}190, {'2, ' * 200}]", 60)

    assert ("100", "190") == (left.odd, right.odd)
    assert left.before.startswith("…")
    assert left.after.endswith("…")


def test_huge_values_are_cut_without_being_rendered() -> None:
    begin = b'["' + b"x" * 10_000_000
    left, right = values_contrasted(begin + b'a"]', begin + b'b"]', 80)

    assert str(left).endswith('a"] … (10,000,005 bytes)')
    assert str(right).endswith('b"] … (10,000,005 bytes)')
    assert max(len(str(left)), len(str(right))) <= 80


# Two runs.


def test_a_run_is_the_same_as_itself() -> None:
    difference = diff(fleet(), fleet())

    assert difference.is_same
    assert difference.first is None
    assert "They did the same: 38 commands, same answers, and came to the same." == difference.summary


def test_runs_part_at_the_first_other_answer() -> None:
    difference = fleet(7).diff(fleet(9))

    assert (
        "They part at command 4.2.4 (flows.py:57): health_check('i-web-3') gave 'starting' in A and 'healthy' in B."
        == difference.summary
    )
    assert difference.first is not None
    assert Differs.ANSWER is difference.first.kind
    assert ["4.2", "4.0", "4.1", "4.4"] == [fiber.id for fiber in difference.fibers]
    assert sorted(fiber.after for fiber in difference.fibers) == [fiber.after for fiber in difference.fibers]
    first = difference.fibers[0]
    assert [3, 0, 0] == [entry.equal_before for entry in first.entries]
    assert [Differs.ANSWER, Differs.ONLY_A, Differs.ONLY_A] == [entry.kind for entry in first.entries]
    assert [False, True] == [difference.has_same_outcome, difference.has_same_arguments]


@FEW
@given(program=programs(), data=st.data())
def test_any_run_is_the_same_as_itself_and_one_other_result_is_found(program: Program, data: st.DataObject) -> None:
    with closing(loaded(program).start()) as driver:
        history = tuple(live_through(data.draw, driver).history)

    assert diff(seen(history), seen(history)).is_same

    answers = [each.index for each in history if isinstance(each.cause, Resolved)]
    if not answers:
        return
    index = data.draw(st.sampled_from(answers), label="index")
    cause: Any = history[index].cause
    other = msgspec.structs.replace(history[index], cause=Resolved(cause.id, b'"something else"'))
    difference = diff(seen(history), seen((*history[:index], other, *history[index + 1 :])))

    assert [[cause.id]] == [[entry.id for entry in fiber.entries] for fiber in difference.fibers]
    assert difference.first is not None
    assert Differs.ANSWER is difference.first.kind


def test_the_cause_comes_before_its_effects_in_other_fibers() -> None:
    difference = fleet().diff(fleet().what_if(-5, {"7.0.1": False}).run)

    assert ["7", ""] == [fiber.id for fiber in difference.fibers]
    assert "7.0.1" == getattr(difference.first, "id", None)
    assert difference.fibers[0].is_group


def test_another_argument_is_put_beside_the_recorded_one() -> None:
    a = seen(history_of((Resolved("1", b"1"), (called(2, b"[100]", "charge"),))))
    b = seen(history_of((Resolved("1", b"1"), (called(2, b"[190]", "charge"),))))
    difference = diff(a, b)

    assert "They part at command 2 (x.py:1): charge(100) in A is charge(190) in B." == difference.summary
    assert [Differs.ARGUMENTS] == [entry.kind for entry in difference.fibers[0].entries]


def test_a_command_that_one_run_only_has_is_told_with_what_the_other_yields_instead() -> None:
    a = seen(history_of((Resolved("1", b"1"), (called(2, target="pack"),)), (Resolved("2", b"1"), (called(3),))))
    b = seen(history_of((Resolved("1", b"1"), (called(2),))))

    assert "A yields pack(1), where B yields f(1)." in diff(a, b).summary
    assert "B yields pack(1), where A yields f(1)." in diff(b, a).summary


def test_failures_and_waits_differ_from_answers() -> None:
    failed = seen(history_of((Rejected("1", Failure("builtins.ValueError", "too much"), declared=False), ())))
    done = seen(history_of((Resolved("1", b"7"), ())))
    waits = seen(history_of())

    assert "f(1) failed with ValueError: too much in A and gave 7 in B." in diff(failed, done).summary
    assert "f(1) still waits in A and gave 7 in B." in diff(waits, done).summary


def test_arguments_outcomes_and_what_came_from_outside_are_compared() -> None:
    a = history_of((Resolved("1", b"1"), ()), args=b'["eu"]', end=b"1")
    b = history_of((Resolved("1", b"1"), ()), args=b'["us"]', end=b"2")
    difference = diff(seen(a), seen(b))

    assert not difference.is_same
    assert difference.first is None
    assert (
        "They did the same, 1 command, but came to something else. They began with other arguments."
        == difference.summary
    )

    signalled = diff(seen(history_of((Signalled("a", b"1"), ()), (CancelRequested("enough"), ()))), seen(history_of()))
    assert "They part at 2 s, only in A: a cancellation was asked for: enough." == signalled.summary
    assert "only in A: signal 'a' came, and nobody took it" in str(signalled)
    assert "only in A: a cancellation was asked for: enough" in str(signalled)


def test_ids_that_a_run_chose_for_its_children_and_got_with_requests_are_no_difference() -> None:
    def family(run_id: str) -> Any:
        commands = (
            Record("1", "child", "c", b'[[1],"%s/1",false]' % run_id.encode(), "x.py:1"),
            Record("2", "reply", "q", b'["%s","ok",1]' % run_id.encode(), "x.py:2"),
        )
        return seen((Transition(0, AT, Started("w", b"[]", bytes(16)), commands),), run_id)

    assert diff(family("order-7"), family("order-8")).is_same


def test_durations_differ_only_when_asked_for() -> None:
    quick, slow = loop(3), loop(3)
    late = [msgspec.structs.replace(each, at=each.at + timedelta(minutes=each.index)) for each in slow.history]
    slow = seen(late)

    assert diff(quick, slow).is_same
    difference = diff(quick, slow, times=True)
    assert {Differs.TIME} == {entry.kind for fiber in difference.fibers for entry in fiber.entries}
    assert "f(1) took 1 s in A and 1 min 1 s in B." in difference.summary


def test_the_order_of_keys_is_no_difference() -> None:
    a = seen(history_of((Resolved("1", b'{"a":1,"b":2}'), ()), end=b'{"a":1,"b":2}'))
    b = seen(history_of((Resolved("1", b'{"b":2,"a":1}'), ()), end=b'{"b":2,"a":1}'))

    assert diff(a, b).is_same


# Views.


def test_huge_runs_are_drawn_in_little_room() -> None:
    difference = diff(loop(10_000), loop(10_000, b'"other"'))

    assert 9_999 == len(difference.fibers[0].entries)
    assert len(difference.html()) < 30_000
    assert len(str(difference)) < 6_000
    assert "… 9,987 more differences" in str(difference)


def test_many_fibers_are_counted() -> None:
    names = [f"web-{number}" for number in range(60)]
    difference = fleet(7, names).diff(fleet(8, names))

    assert len(difference.fibers) > 12
    assert f"… {len(difference.fibers) - 12} more fibers" in str(difference)
    assert len(difference.html()) < 60_000


HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e\"'&"


def test_hostile_texts_stay_texts() -> None:
    bad = msgspec.json.encode(HOSTILE)
    record_ = Record("1", "call", HOSTILE, b"[" + bad + b"]", HOSTILE)
    a = seen((Transition(0, AT, Started(HOSTILE, b"[" + bad + b"]", bytes(16)), (record_,)),), HOSTILE)
    b = seen(
        (
            *a.history,
            Transition(1, AT, Resolved("1", bad), (), Completed(bad)),
            Transition(2, AT, Signalled(HOSTILE, bad)),
        )
    )
    for difference in (diff(a, b), diff(b, a)):
        shown = difference.html()
        assert "<script>" not in shown
        assert "cannot be" not in str(difference)
        assert not {"\x1b", "\u202e"} & (set(shown) | set(str(difference)) | set(repr(difference)))


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[" * 5000, b"null", b'{"a":', b"[1,2]"])
@pytest.mark.parametrize(
    "kind", ["call", "sleep", "sleep_until", "child", "send", "reply", "annotate", "emit", "nonsense"]
)
def test_broken_payloads_are_shown(kind: str, payload: bytes) -> None:
    def broken(value: bytes) -> Any:
        command = Record("1", kind, "t", value, "x.py:1")
        return seen((Transition(0, AT, Started("w", value, bytes(16)), (command,)),))

    for difference in (diff(broken(payload), broken(b"[0]")), diff(broken(payload), broken(payload))):
        assert "cannot be" not in str(difference)
        assert "cannot be drawn" not in difference.html()


def test_encrypted_values_are_not_taken_for_equal_in_silence() -> None:
    sealed = seen(history_of((Resolved("1", REDACTED), ())))

    assert "Values of A are encrypted, and are not compared: open the journal with codec=." in str(diff(sealed, sealed))


def test_every_line_of_the_text_fits() -> None:
    text = str(fleet(7).diff(fleet(9)))

    assert max(map(len, text.splitlines())) <= 120
    assert "web-3  (fiber 4.2)  from 6:39   ◀ they part here first" in text


def test_the_table_can_be_read_aloud() -> None:
    html = fleet(7).diff(fleet(9)).html()

    assert 'scope="col"' in html
    assert 'scope="row"' in html
    assert 'title="another answer"' in html
    assert "http" not in html


# The code as it is now.


def test_a_history_that_fits_the_code_is_the_same() -> None:
    difference = fleet().diff()

    assert difference.is_same
    assert difference.divergence is None
    assert ("prov-7 as recorded", "the code as it is now") == difference.titles


def test_without_code_or_records_there_is_nothing_to_compare_with() -> None:
    run = fleet()

    with pytest.raises(
        UsageError, match="run 'prov-7' cannot be compared with its code: the workflow 'nowhere' is not"
    ):
        attrs.evolve(run, row=msgspec.structs.replace(run.row, workflow="nowhere")).diff()
    with pytest.raises(UsageError, match="it has no records that can be read"):
        attrs.evolve(run, history=()).diff()

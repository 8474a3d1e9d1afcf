"""Journals that somebody wrote who wishes us ill, or that a disk has spoiled: none of them may break a view.

Every hostile text holds `MARK`, so that a test can tell where recorded text ends up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import msgspec

from interp import activity, await_signal, call, gather, workflow
from interp.errors import JournalCorrupt, UnknownRun
from interp.events import (
    AttemptFailed,
    CancelRequested,
    ChildEnded,
    Completed,
    ContinuedAs,
    Delivered,
    Event,
    Failed,
    Failure,
    Fired,
    Outgrown,
    Reconciled,
    Record,
    Refused,
    Rejected,
    Resolved,
    Signalled,
    Started,
    Transition,
    WasCancelled,
    WorkerLost,
    encode_event,
    encode_transition,
)
from interp.runtime.live import microseconds
from interp.sealing import seal_bytes
from interp.store import Item, Message, RunFilter, RunRow, Status
from tests.explore.flows import Flow, provision_fleet
from tests.explore.recording import CLOUD, World, record

MARK = "pwned"

TEXTS = {
    "a script": f"<script>{MARK}()</script>",
    "a handler": f"\"><img src=x onerror='{MARK}()'>",
    "the end of a style": f"</style><b>{MARK}</b>",
    "the end of a script": f"</script><!--{MARK}",
    "the end of CDATA": f"]]>{MARK}<![CDATA[",
    "a picture": f"<svg onload={MARK}()><use href='data:x'/></svg>",
    "a style": f"red;}} * {{ background: url(javascript:{MARK}) }} /*",
    "an address": f"javascript:{MARK}()",
    "an entity": f"&lt;{MARK}&#x3c;&amp;quot;",
    "control characters": f"\x00\x1b[2J\x1b]0;{MARK}\x07\r\n\t\x7f\x85\u2028",
    "bidi overrides": f"\u202e{MARK}\u2066\u200f\u2069",
    "combining characters": f"{MARK}" + "\u0301" * 300,
    "wide characters": f"{MARK}" + "漢" * 200 + "👩‍👩‍👧‍👦" * 20,
    "braces": f"{{{MARK}}} {{0.__class__}} %s %(x)s ${{{MARK}}} `{MARK}` {{{{{MARK}}}}}",
    "markup for terminals": f"[bold red]{MARK}[/bold red] [link=javascript:{MARK}]x[/link] [/]",
    "a long word": MARK * 2_000,
    "many lines": f"{MARK}\n" * 2_000,
    "nothing": "",
    "a path": f"../../../../{MARK}/etc/passwd:1",
}

CALLED: list[str] = []
"""What was called that must never be: activities, and methods of users' values that do harm."""


@attrs.frozen
class Evil:
    """A run, as a store gives it.

    Attributes:
        row: Its row.
        records: Its records; an error is raised in the place of one that the store refuses to give.
        messages: What waits in its inbox.
    """

    row: RunRow
    records: Sequence[bytes | JournalCorrupt]
    messages: tuple[Message, ...] = ()


class EvilReader:
    """A store of such runs."""

    url = "lmdb:evil<script>"

    def __init__(self, *evils: Evil) -> None:
        self._evils = {evil.row.id: evil for evil in evils}

    def run(self, run_id: str) -> RunRow | None:
        return self._evils[run_id].row if run_id in self._evils else None

    def runs(self, where: RunFilter) -> list[RunRow]:
        return where.chosen(evil.row for evil in self._evils.values())

    def history(self, run_id: str, start: int = 0) -> Iterator[bytes]:
        for each in self._found(run_id).records[start:]:
            if isinstance(each, JournalCorrupt):
                raise each
            yield each

    def inbox(self, run_id: str) -> tuple[Message, ...]:
        return self._found(run_id).messages

    def stream(self, run_id: str, topic: str, start: int = 0) -> Iterator[Item]:
        self._found(run_id)
        return iter(())

    def topics(self, run_id: str) -> tuple[str, ...]:
        self._found(run_id)
        return ()

    def changed(self, timeout_s: float) -> bool:
        return False

    def close(self) -> None: ...

    def _found(self, run_id: str) -> Evil:
        if run_id not in self._evils:
            raise UnknownRun(run_id, self.url)
        return self._evils[run_id]


def row_of(
    history: Sequence[Any], *, run_id: str = "evil", workflow: str = "gone.flow", status: Status = Status.RUNNING
) -> RunRow:
    return RunRow(
        id=run_id,
        workflow=workflow,
        digest=b"",
        status=status,
        length=len(history),
        due_us=None,
        owner=None,
        token=0,
        created_us=microseconds(BEGIN),
        updated_us=microseconds(BEGIN),
        attributes=b"",
        reason="",
    )


BEGIN = datetime(2026, 11, 3, 9, tzinfo=UTC)
ENDS = {Completed: Status.COMPLETED, Failed: Status.FAILED, WasCancelled: Status.CANCELLED}


def of(history: Sequence[Transition], workflow: str = "gone.flow", **changes: Any) -> Evil:
    """A run with this history."""
    outcome = history[-1].outcome if history else None
    row = row_of(history, workflow=workflow, status=ENDS.get(type(outcome), Status.RUNNING))  # type: ignore[arg-type]
    return Evil(msgspec.structs.replace(row, **changes), [encode_transition(transition) for transition in history])


# --- hostile text, wherever text stands ---


def _with_text(value: Any, text: str) -> Any:
    """Replace every text of a recorded form, what commands refer to each other by aside."""
    if isinstance(value, msgspec.Struct):
        changed = {
            name: _json(text)
            if isinstance(found, bytes) and name != "seed"
            else found
            if name in ("id", "kind", "why")
            else _with_text(found, text)
            for name in value.__struct_fields__
            for found in [getattr(value, name)]
        }
        return msgspec.structs.replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(_with_text(item, text) for item in value)
    return text if isinstance(value, str) else value


def _json(text: str) -> bytes:
    return msgspec.json.encode([[text, {text: [text, 1]}], {text: text}])


def evil_text(text: str) -> Evil:
    """A long realistic history in which every text is this one."""
    history = tuple(_with_text(transition, text) for transition in _fleet())
    printable = text.replace("\0", "")
    return attrs.evolve(
        of(
            history,
            workflow=printable[:400],
            id=printable.encode()[:400].decode(errors="ignore") or "evil",
            status=Status.PARKED,
            owner=text,
            reason=text,
            attributes=msgspec.json.encode({text: text}),
            released_by=(text,),
        ),
        messages=(
            Message(0, encode_event(Signalled(text, _json(text)))),
            Message(1, encode_event(CancelRequested(text))),
            Message(2, text.encode()),
        ),
    )


def _fleet() -> Sequence[Transition]:
    happened = [*record(provision_fleet, "eu", ["a", "b", "c"], world=CLOUD)]
    failure = Failure("x.Error", "message", "traceback", b"{}")
    last = happened[-1]
    more: list[Event] = [
        Signalled("approve", b"1"),
        Rejected("90", failure, declared=False),
        AttemptFailed("91", 1, failure, last.at),
        ChildEnded("92", 0, Failed(failure)),
        Refused("93", "differs"),
        WorkerLost("w1", "w2"),
        CancelRequested("reason"),
        Outgrown(10, 10),
        Reconciled("91", done=True),
    ]
    kinds = ("call", "transact", "child", "send", "await_signal", "await_request", "sleep", "patched", "emit", "odd")
    commands = tuple(Record(str(90 + n), kind, "target", b"[]", "file.py:1") for n, kind in enumerate(kinds))
    happened[-1] = msgspec.structs.replace(last, commands=commands, outcome=None)
    for event in more:
        happened.append(Transition(len(happened), last.at, event))
    return happened


# --- shapes ---


def _line(*causes: Event, commands: tuple[Record, ...] = ()) -> tuple[Transition, ...]:
    started = Transition(0, BEGIN, Started("gone.flow", b"[[],{}]", bytes(16)), commands)
    return (started, *(Transition(n, BEGIN + timedelta(seconds=n), cause) for n, cause in enumerate(causes, 1)))


def _call(command_id: str, payload: bytes = b"[[],{}]") -> Record:
    return Record(command_id, "call", "shop.charge", payload, "shop.py:7")


def big_values() -> Evil:
    """Ten megabytes wherever a value or a message stands."""
    text = MARK * 2_000_000
    value = msgspec.json.encode({"a": [text]})
    failure = Failure("shop.Error", text, text, value)
    history = _line(
        Resolved("0", value),
        Signalled(text, value),
        AttemptFailed("1", 1, failure, BEGIN),
        Rejected("1", failure, declared=False),
        commands=(_call("0", value), _call("1", value), Record("2", "await_signal", text, value, text)),
    )
    return of((*history[:-1], msgspec.structs.replace(history[-1], outcome=Failed(failure))))


def deep_values() -> Evil:
    lists, dicts = b"[" * 5000 + b"]" * 5000, b'{"a":' * 5000 + b"1" + b"}" * 5000
    return of(
        _line(Resolved("0", lists), Resolved("1", dicts), commands=(_call("0", dicts), _call("1", lists), _call("2"))),
        attributes=dicts,
    )


def odd_json() -> Evil:
    """Values that are no JSON, or JSON that Python cannot hold."""
    values = [
        b"",
        b"{",
        b"\xff\xfe",
        b'"\\ud800"',
        b'{"\\udfff":"\\ud800"}',
        b"1e999",
        b"9" * 10_000,
        b"NaN",
        b"null",
        b'{"a":1,"a":2}',
    ]
    causes = [Resolved(str(n), value) for n, value in enumerate(values)]
    return of(
        _line(*causes, commands=tuple(_call(str(n), value) for n, value in enumerate(values))), attributes=b'"\\ud800"'
    )


def odd_ids() -> Evil:
    ids = ["", "x", "1..2", "-1", ".", "0.", "9" * 40, "²", "1.2.3.4.5.6", "0", "0", "٣", " 1", "1\n"]
    return of(_line(*(Resolved(each, b"1") for each in ids), commands=tuple(_call(each) for each in ids)))


def deep_fibers() -> Evil:
    ids = [".".join(["0"] * depth) for depth in (1, 3, 99, 199, 201, 9_999)]
    return of(_line(*(Resolved(each, b"1") for each in ids), commands=tuple(_call(each) for each in ids)))


def answers_to_nothing() -> Evil:
    failure = Failure("x.Error", "no")
    causes: list[Event] = [
        Resolved("7", b"1"),
        Rejected("7.0.1", failure, declared=False),
        AttemptFailed("8", 4, failure, BEGIN),
        Fired("9"),
        ChildEnded("3", 2, Completed(b"1")),
        Delivered("5"),
        Refused("5", "unknown"),
        Reconciled("5", done=False),
        WorkerLost("", ""),
        Started("again", b"", b""),
    ]
    return of(_line(*causes))


def wrong_times() -> Evil:
    times = [
        BEGIN,
        BEGIN - timedelta(days=400),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 1, 1),  # noqa: DTZ001  written by something that knows no zones
        BEGIN + timedelta(days=300_000),
        BEGIN,
    ]
    failure = Failure("x.Error", "no")
    commands = tuple(_call(str(n)) for n in range(len(times)))
    history = [Transition(0, times[0], Started("gone.flow", b"", b"", first_at=times[2], start_at=times[3]), commands)]
    for n, at in enumerate(times[1:], 1):
        cause = AttemptFailed(str(n), 1, failure, at, times[-n]) if n % 2 else Resolved(str(n), b"1", 1, times[-n])
        history.append(Transition(n, at, cause, (Record(f"{n + 20}", "sleep", "", b"[1e300]", ""),)))
    return attrs.evolve(
        of(history), row=msgspec.structs.replace(of(history).row, created_us=2**63 - 1, updated_us=0, due_us=2**63 - 1)
    )


def many_commands(number: int = 10_000) -> Evil:
    """One command after the other."""
    history = [*_line(commands=(_call("0"),))]
    for n in range(1, number):
        at = BEGIN + timedelta(seconds=n)
        history.append(Transition(n, at, Resolved(str(n - 1), b'"paid"', 1, at), (_call(str(n)),)))
    return of(history)


def many_fibers(number: int = 3_000) -> Evil:
    """So many branches at once, three commands each; a few of the commands fail."""
    commands = tuple(_call(f"0.{n}.0") for n in range(number))
    history = [*_line(commands=commands)]
    for step in range(3):
        for n in range(number):
            at = BEGIN + timedelta(milliseconds=10 * len(history))
            cause: Event = Resolved(f"0.{n}.{step}", b"1", 1, at)
            if n % 500 == 7 and step == 2:
                cause = Rejected(f"0.{n}.{step}", Failure("x.Error", MARK), declared=False)
            more = (_call(f"0.{n}.{step + 1}"),) if step < 2 else ()
            history.append(Transition(len(history), at, cause, more))
    return of(history)


def retried_for_ever() -> Evil:
    """A call with thousands of attempts, and thousands of crashes."""
    failure = Failure("x.Error", MARK, f"{MARK}\n" * 50)
    causes: list[Event] = [
        WorkerLost(f"w{n}", "") if n % 2 else AttemptFailed("0", n, failure, BEGIN + timedelta(seconds=n))
        for n in range(1, 3_000)
    ]
    return of(_line(*causes, commands=(_call("0"),)))


# --- broken records ---


def _records() -> list[bytes]:
    return [encode_transition(transition) for transition in record(provision_fleet, "eu", ["a", "b"], world=CLOUD)]


def broken_records() -> Evil:
    """Cut off, of another form, foreign, sealed, refused by the store, missing."""
    records: list[bytes | JournalCorrupt] = [*_records()]
    records[1] = records[3][:-5]  # type: ignore[index]
    records[2] = b""
    records[3] = msgspec.msgpack.encode({"a": MARK})
    records[4] = MARK.encode()
    records[5] = msgspec.msgpack.encode([7, BEGIN, ["ok", "0", b"1"], [], ["never", 1]])
    records[6] = seal_bytes(_records()[6], lambda data: data[::-1])
    records[7] = JournalCorrupt("record 7", "its checksum does not match")
    records[8] = b"\x91" * 5000
    del records[12:15]
    return Evil(row_of(records), records)


def no_records() -> Evil:
    return Evil(row_of([]), [])


def nothing_but_refusals() -> Evil:
    records = [JournalCorrupt(f"record {n}", "its checksum does not match") for n in range(3_000)]
    return Evil(row_of(records), records)


def no_start() -> Evil:
    records = _records()[3:]
    return Evil(row_of(records), records)


def sealed() -> Evil:
    records = [seal_bytes(each, lambda data: data[::-1]) for each in _records()]
    row = msgspec.structs.replace(
        row_of(records),
        attributes=seal_bytes(b"{}", lambda data: data),
        digest=seal_bytes(b"digest", lambda data: data),
    )
    return Evil(row, records, (Message(0, records[0]), Message(1, b"\x00\x01")))


def ended_as(outcome: Any) -> Callable[[], Evil]:
    def make() -> Evil:
        history = _line(commands=(_call("0"),))
        return of((msgspec.structs.replace(history[0], outcome=outcome),))

    return make


# --- code that is there, and does harm ---


@activity
def evil_activity(number: int) -> int:
    CALLED.append("evil_activity")
    return number


class Raises:
    def __repr__(self) -> str:
        raise ValueError(MARK)


class Exits:
    def __repr__(self) -> str:
        raise SystemExit(MARK)


class Huge:
    def __repr__(self) -> str:
        return MARK * 2_000_000


class NoText:
    def __repr__(self) -> str:
        return 7  # type: ignore[return-value]


class Hidden:
    """Answers every question about itself with harm."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            raise RuntimeError(MARK)
        return object.__getattribute__(self, name)


class Markup(str):
    """Pretends to be what needs no escape."""

    def __html__(self) -> str:
        return f"<script>{MARK}</script>"

    def _repr_html_(self) -> str:
        return f"<script>{MARK}</script>"


class Endless(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        while True:
            yield 1

    def __len__(self) -> int:
        return 1 << 60


class Slow:
    """Would hold up whoever looks, if it were asked more often than a view can show."""

    asked = 0

    def __repr__(self) -> str:
        type(self).asked += 1
        time.sleep(0.001)
        return "slow"


@workflow
def evil_locals(number: int) -> Flow:
    raises, huge, no_text, hidden = Raises(), Huge(), NoText(), Hidden()
    markup, endless, slow, script = Markup(f"<b>{MARK}</b>"), Endless(), [Slow()] * 1000, TEXTS["a script"]
    itself: list[Any] = []
    itself.append(itself)
    deep: Any = []
    for _ in range(50_000):
        deep = [deep]
    found = yield from call(evil_activity, number)
    exits = Exits()
    both = yield from gather(_branch(found), _branch(found + 1))
    yield from await_signal("never", str)
    return [raises, huge, no_text, hidden, markup, endless, slow, script, itself, deep, exits, both]


def _branch(number: int) -> Flow:
    script, raises = TEXTS["a handler"], Raises()
    found = yield from call(evil_activity, number)
    return [found, script, raises] and found


@workflow
def evil_loop(number: int) -> Flow:
    for n in range(number):
        yield from call(evil_activity, n)
    return number


_ANSWERS = World(answers={"evil_activity": lambda chance, args: args[0]})


def with_locals() -> Evil:
    return of(record(evil_locals, 1, world=_ANSWERS), workflow="evil_locals")


def diverged() -> Evil:
    """The history of one workflow under the name of another, parked for it."""
    history = record(evil_loop, 9, world=_ANSWERS)
    started = msgspec.structs.replace(history[0].cause, workflow="evil_locals")
    changed = (msgspec.structs.replace(history[0], cause=started), *history[1:])
    row = {"status": Status.PARKED, "reason": TEXTS["a script"], "misfit": True}
    return of(changed, workflow="evil_locals", **row)


def long_loop(number: int = 3_000) -> Evil:
    return of(record(evil_loop, number, world=_ANSWERS), workflow="evil_loop")


_FAILED = Failure(TEXTS["a script"], TEXTS["a handler"], TEXTS["many lines"], b"\xff")

JOURNALS: dict[str, Callable[[], Evil]] = {
    **{f"text: {name}": lambda text=text: evil_text(text) for name, text in TEXTS.items()},  # type: ignore[misc]
    "big values": big_values,
    "deep values": deep_values,
    "odd JSON": odd_json,
    "odd command ids": odd_ids,
    "deep fibers": deep_fibers,
    "answers to nothing": answers_to_nothing,
    "wrong times": wrong_times,
    "many commands": many_commands,
    "many fibers": many_fibers,
    "retried for ever": retried_for_ever,
    "broken records": broken_records,
    "no records": no_records,
    "nothing but refusals": nothing_but_refusals,
    "no start": no_start,
    "sealed": sealed,
    "failed at once": ended_as(Failed(_FAILED)),
    "completed with no JSON": ended_as(Completed(b"\xff")),
    "cancelled": ended_as(WasCancelled(TEXTS["a script"])),
    "continued": ended_as(ContinuedAs(Started("gone.flow", b"\xff", b"", state=b"\xff"))),
    "harmful locals": with_locals,
    "diverged": diverged,
    "a long loop": long_loop,
}

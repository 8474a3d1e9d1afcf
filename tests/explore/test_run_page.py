"""The page of a run: every way in which a run can stand, and what is made of it."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from interp import Workflow, activity, call, gather, workflow
from interp.definitions import workflow_of
from interp.events import (
    CancelRequested,
    ContinuedAs,
    Failed,
    Failure,
    Origin,
    Outcome,
    Record,
    Rejected,
    Resolved,
    Retried,
    Started,
    Transition,
    WasCancelled,
    encode_event,
)
from interp.explore.run import Damage, Run
from interp.explore.run_page import run_html, run_text
from interp.runtime.live import microseconds
from interp.store import Message, RunRow, Status
from tests.explore.flows import provision_fleet
from tests.explore.recording import BEGIN, CLOUD, World, record

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "golden"
MACHINES = [f"web-{number}" for number in range(1, 7)]


@activity
def page_step(number: int) -> int:
    return number


@workflow
def page_loop(times: int) -> Workflow[None]:
    for number in range(times):
        yield from call(page_step, number)


def page_part(times: int) -> Workflow[None]:
    for number in range(times):
        yield from call(page_step, number)


@workflow
def page_crowd(fibers: int, times: int) -> Workflow[None]:
    yield from gather(*[page_part(times) for _ in range(fibers)])


def run_of(history: Any, status: Status = Status.WAITING, **fields: Any) -> Any:
    told = {name: fields.pop(name) for name in ("damage", "messages") if name in fields}
    first = history[0].cause if history else Started("provision_fleet", b'["eu",["web-1"]]', bytes(16))
    row = RunRow(
        id="prov-7f3a",
        workflow=first.workflow,
        digest=b"",
        status=status,
        length=len(history),
        due_us=None,
        owner=None,
        token=1,
        created_us=microseconds(BEGIN),
        updated_us=microseconds(history[-1].at if history else BEGIN),
        attributes=b"",
        reason="",
    )
    return Run(msgspec.structs.replace(row, **fields), tuple(history), store="lmdb:.interp", **told)


def fleet(until: timedelta | None = None) -> tuple[Transition, ...]:
    return record(provision_fleet, "eu-west-1", MACHINES, world=CLOUD, until=until)


def short(*happened: tuple[Any, list[Record]], outcome: Outcome | None = None, **started: Any) -> list[Transition]:
    """A history of a few records, each a minute after the one before."""
    begun = Started("provision_fleet", b'["eu",["web-1"]]', bytes(16), **started)
    causes = [(begun, [Record("1", "call", "create_subnet", b'["eu"]', "flows.py:73")]), *happened]
    last = len(causes) - 1
    return [
        Transition(index, BEGIN + timedelta(minutes=index), cause, tuple(records), outcome if index == last else None)
        for index, (cause, records) in enumerate(causes)
    ]


REFUSED = Failure("builtins.ConnectionError", "refused", "Traceback ...\n  File x\nConnectionError: refused")


@attrs.define
class Page(HTMLParser):
    """A page as a screen reader goes through it."""

    markup: str
    words: list[str] = attrs.field(factory=list[str])
    headers: list[str | None] = attrs.field(factory=list["str | None"])
    open: list[str] = attrs.field(factory=list[str])
    firsts: list[str] = attrs.field(factory=list[str])
    hidden: int = 0

    def __attrs_post_init__(self) -> None:
        super().__init__()
        self.feed(self.markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.open and self.open[-1] == "details" and self.firsts[-1] == "":
            self.firsts[-1] = tag
        if tag == "details":
            self.firsts.append("")
        if tag == "th":
            self.headers.append(dict(attrs).get("scope"))
        if tag not in ("br", "hr", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_text_is_the_tree_of_the_command_line() -> None:
    text = run_text(run_of(fleet(), Status.COMPLETED), NOW)

    assert (GOLDEN / "run.txt").read_text() == text + "\n"


def test_the_text_of_a_run_that_waits() -> None:
    text = run_text(run_of(fleet(timedelta(minutes=30))), NOW)

    assert (GOLDEN / "run-waits.txt").read_text() == text + "\n"


STANDS: dict[str, tuple[Any, list[str]]] = {
    "pending": (
        run_of(
            [],
            Status.PENDING,
            messages=(Message(0, encode_event(Started("provision_fleet", b'["eu",["web-1"]]', bytes(16)))),),
        ),
        ["pending", "provision_fleet('eu', ['web-1'])", "a worker to take it up", "interp worker MODULE"],
    ),
    "waiting": (
        run_of(fleet(timedelta(minutes=30))),
        ["signal 'approve'", "flows.py:66", "interp signal prov-7f3a approve true", "await_signal", "bool"],
    ),
    "parked, does not fit": (
        run_of(short(), Status.PARKED, reason="run 'prov-7f3a' diverged\n  recorded: a", misfit=True),
        ["parked", "run 'prov-7f3a' diverged", "a deploy that fits it, or interp retry prov-7f3a"],
    ),
    "parked, poison": (
        run_of(short(), Status.PARKED, reason="5 workers were lost in a row"),
        ["5 workers were lost in a row", "interp retry prov-7f3a"],
    ),
    "completed": (run_of(fleet(), Status.COMPLETED), ["→ {'zone': 'prod.example.org'", "took 46 min"]),
    "failed": (
        run_of(short((Retried(REFUSED), []), outcome=Failed(REFUSED)), Status.FAILED),
        ["failed: ConnectionError: refused", "traceback", "retried after"],
    ),
    "failed at its start": (
        run_of(short(failures=(REFUSED, REFUSED))),
        ["failed at its start before 2 times", "create_subnet"],
    ),
    "cancelled": (
        run_of(short((CancelRequested("too late"), []), outcome=WasCancelled("too late")), Status.CANCELLED),
        ["cancelled: too late", "cancellation asked for", "withdrawn"],
    ),
    "continued": (
        run_of(
            short(outcome=ContinuedAs(Started("provision_fleet", b'["us",[]]', bytes(16), round=1))), Status.RUNNING
        ),
        ["continues as new", "['us', []]"],
    ),
    "forked": (run_of(short(forked_from=(Origin("older", 3, ("1",)),))), ["forked from older at record 3"]),
    "without its key": (
        run_of(short()[:0], damage=(Damage(0, "it is encrypted, and no codec was given", 99),)),
        ["1 record cannot be read", "it is encrypted, and no codec was given", "(99 bytes)"],
    ),
    "damaged in the middle": (
        run_of(fleet()[:5], damage=(Damage(5, "no msgpack", 7),)),
        ["1 record cannot be read", "record 5: no msgpack", "create_subnet"],
    ),
}


@pytest.mark.parametrize("name", STANDS)
def test_a_run_is_shown_however_it_stands(name: str) -> None:
    run, words = STANDS[name]
    page = Page(run_html(run, NOW))

    assert [] == [word for word in words if word not in page.text]
    assert "cannot be drawn" not in page.text
    assert run.row.status.value in run_text(run, NOW)


def test_the_page_is_made_for_all_who_read() -> None:
    page = Page(run_html(run_of(fleet(timedelta(minutes=9))), NOW))

    assert {"col", "row"} == set(page.headers)
    assert {"summary"} == set(page.firsts)  # what unfolds says what it is
    assert "waits: " in page.words  # and not by its colour alone


def test_what_failed_comes_first() -> None:
    begun = Started("page_crowd", b"[3,1]", bytes(16))
    calls = [Record(f"1.{slot}.1", "call", "page_step", b"[%d]" % slot, "x.py:1") for slot in range(3)]

    history = [
        Transition(0, BEGIN, begun, tuple(calls)),
        Transition(1, BEGIN, Resolved("1.0.1", b"0")),
        Transition(2, BEGIN, Rejected("1.2.1", REFUSED, declared=False)),
    ]
    text = Page(run_html(run_of(history), NOW)).text
    tree = text[text.index("3 branches") :]

    assert tree.index("page_step(2)") < tree.index("page_step(1)") < tree.index("page_step(0)")


@pytest.mark.parametrize(("flow", "args"), [(page_loop, (10_000,)), (page_crowd, (1_000, 10))])
def test_ten_thousand_commands_stay_bounded(flow: Any, args: tuple[int, ...]) -> None:
    run = run_of(record(flow, *args, world=World(faults={"page_step": 0.1})), Status.COMPLETED)

    assert 10_000 == len(run.tree.nodes)
    assert len(run_html(run, NOW)) < 400_000
    assert len(run_text(run, NOW)) < 100_000


def test_the_source_is_quoted_if_it_is_what_was_recorded() -> None:
    history = fleet(timedelta(minutes=30))
    line = 'which, answer = yield from race(await_signal("approve", bool), sleep(timedelta(days=1)))'
    started = history[0].cause
    assert isinstance(started, Started)
    assert workflow_of(provision_fleet).code == started.code
    changed = [Transition(0, BEGIN, msgspec.structs.replace(started, code="0123"), history[0].commands), *history[1:]]

    assert line in Page(run_html(run_of(history), NOW)).text
    assert line not in Page(run_html(run_of(changed), NOW)).text

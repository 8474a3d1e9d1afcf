"""`crash_sweep`: the real worker on a real store is killed at each of its writes, and what comes of it is compared."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from interp.codec import render_value
from interp.commands import Workflow
from interp.definitions import activity_of, workflow_of
from interp.errors import UsageError
from interp.events import Rejected, Resolved, Transition, decode_transition
from interp.runtime.attempts import idempotency_key
from interp.runtime.stores import opener_of
from interp.testing.crash_lives import Death, Entry, Life, Script, live, read_ledger, read_life
from interp.testing.story import Line, story
from interp.testing.stubs import Stubs, by_name

__all__ = ["CrashReport", "NotCrashSafe", "Repeated", "crash_sweep", "unrecorded"]

# Where files live in memory: what a killed process has written is there, and nothing waits for a disk.
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

# A failing sweep shows so many kills in full: the rest says the same again.
_MOST_SHOWN = 5


class NotCrashSafe(AssertionError):
    """A run ends otherwise, or does other things, when its worker is killed; the message tells after which write.

    Attributes:
        report: The whole report.
    """

    __interp_story__ = True  # the pytest plugin shows the message alone

    def __init__(self, report: CrashReport) -> None:
        """Take the report.

        Args:
            report: It has problems.
        """
        super().__init__(report.story)
        self.report = report


@attrs.frozen
class Repeated:
    """A call whose effect happened more than once.

    Attributes:
        death: When the worker was killed: `before write 3`.
        activity: The activity's name.
        args: Its arguments, as they are shown.
        key: The idempotency key, the same for all of its attempts.
        attempts: The attempts that had the effect, or may have had it.
    """

    death: str
    activity: str
    args: str
    key: str
    attempts: tuple[int, ...]

    def __str__(self) -> str:
        """Say what happened."""
        times = "twice" if len(self.attempts) == 2 else f"{len(self.attempts)} times"
        numbers = ", ".join(map(str, self.attempts))
        return f"{self.activity}({self.args}) happened {times} (attempts {numbers})"


@attrs.frozen
class CrashReport:
    """What came of all kills.

    Attributes:
        title: The workflow and its arguments.
        ending: How the run ends when nobody is killed.
        kills: How many processes were killed.
        writes: What each write of the life without a kill held, as lines.
        repeated: The effects that happened more than once, kill by kill.
        problems: What must not be, by kill; empty when all is well.
    """

    title: str
    ending: str
    kills: int
    writes: tuple[tuple[str, ...], ...]
    repeated: tuple[Repeated, ...]
    problems: Mapping[str, tuple[str, ...]]

    @property
    def summary(self) -> str:
        """What was found, on one line."""
        found = f"{self.title}: killed {self.kills} times, at each of {len(self.writes)} writes"
        if self.problems:
            times = "once" if len(self.problems) == 1 else f"{len(self.problems)} times"
            return f"{found}; {times} it did not come back as it was"
        return f"{found}; each time it {self.ending}"

    @property
    def story(self) -> str:
        """What was found, with the writes around the kills that matter."""
        told = [self.summary]
        if self.problems:
            told += ["", f"Without a kill it {self.ending}."]
        for death in list(self.problems)[:_MOST_SHOWN]:
            told += ["", f"killed {death}", *self._around(death)]
            told += [f"  {problem}" for problem in self.problems[death]]
        if len(self.problems) > _MOST_SHOWN:
            told += ["", f"... and {len(self.problems) - _MOST_SHOWN} more: `report.problems`"]
        if self.repeated and not self.problems:
            names = Counter(each.activity for each in self.repeated)
            told += [f"  {name} happened more than once after {_kills(count)}" for name, count in names.items()]
            told += ["  A call is made at least once: docs/how-to/exactly-once.md tells what to do where that hurts."]
        return "\n".join(told)

    def __str__(self) -> str:
        """Tell what was found."""
        return self.story

    def _around(self, death: str) -> Iterator[str]:
        """Show the write at which a process was killed."""
        *_, number = death.split()
        for line in self.writes[int(number) - 1]:
            yield f"     {number:>3}  {line}"


def _kills(count: int) -> str:
    return f"{count} kill{'s' if count > 1 else ''}"


def crash_sweep(
    workflow: Callable[..., Workflow[Any]],
    *args: Any,
    activities: Stubs | None = None,
    signals: Mapping[str, Any] | None = None,
    exactly_once: Iterable[Callable[..., Any] | str] = (),
    same_result: bool = True,
    setup: Callable[[], object] | None = None,
    id: str = "run",
) -> CrashReport:
    """Kill the worker of a run at each of its writes, let another process go on, and compare what came of it.

        def test_checkout_survives():
            crash_sweep(checkout, "order-42", activities={charge: "r-1", mail: None}, exactly_once=[charge])

    Each run is moved by the production worker on an LMDB store in a directory of its own, in a process that is killed
    by SIGKILL right before, and right after, a write; a second process goes on with what the first has left. Time is
    virtual, as in `engine`. Every attempt of an activity, or of its stub, is written to a ledger when it begins and
    when it has had its effect. It is a failure when a run ends otherwise than without a kill; when an effect is lost;
    when a result is recorded that no attempt has returned; when an effect happened that the history knows nothing of.
    That an activity happens twice is what must be expected of a call that is made at least once: it is reported.

    Args:
        workflow: A function declared with `@workflow`.
        *args: Its arguments.
        activities: Stubs, as for `engine`; without one the real activity runs, in the processes that are killed.
        signals: Signals that the run is sent as soon as it has started, by name, once each.
        exactly_once: Activities whose effect must never happen twice, by function or by name.
        same_result: Whether the run must end as it does without a kill, with the same effects. False for workflows that
            find out that a worker was lost, and then do something else (`on_unknown="fail"`).
        setup: Called before each run, in this process: puts the world back to where it was, for real activities.
        id: The run id.

    Returns:
        What was found; `print` it.

    Raises:
        NotCrashSafe: Something that must not be was found.
        UsageError: This system cannot fork processes, or the run ends in no way without a kill either.
    """
    if not hasattr(os, "fork"):
        raise UsageError("crash_sweep(): this system cannot fork processes; run it on Linux or macOS")
    definition = workflow_of(workflow)
    script = Script(workflow, args, id, activities or {}, signals or {}, opener_of("lmdb:"))
    once = frozenset(each if isinstance(each, str) else activity_of(each).name for each in exactly_once)
    _ = by_name(script.activities)  # what cannot be a stub is told here, and not in a process
    title = f"{definition.name}({definition.arguments.render(definition.arguments.encode(args, {}))})"
    whole = _played(script, None, setup)
    if whole.life.ending.startswith("does not end"):
        raise UsageError(f"crash_sweep(): without a kill, too, {title} {whole.life.ending}\n  Say `signals=`?")
    repeated: list[Repeated] = []
    problems: dict[str, tuple[str, ...]] = {}
    deaths = [Death(write, after) for write in range(1, len(whole.life.writes) + 1) for after in (False, True)]
    for death in deaths:
        again = _played(script, death, setup)
        found = list(_repeated(again.ledger, str(death)))
        repeated += found
        wrong = [f"{each}, and must happen exactly once" for each in found if each.activity in once]
        wrong += _differences(whole, again, same_result=same_result)
        if wrong:
            problems[str(death)] = tuple(wrong)
    report = CrashReport(title, whole.life.ending, len(deaths), tuple(_told(whole.life)), tuple(repeated), problems)
    if problems:
        raise NotCrashSafe(report)
    return report


@attrs.frozen
class _Played:
    """One run from its start to its end, over one or two lives: what the last one told, and all that happened."""

    life: Life
    ledger: list[Entry]


def _played(script: Script, death: Death | None, setup: Callable[[], object] | None) -> _Played:
    """Play a run to its end, with one death on the way or none."""
    if setup is not None:
        setup()
    with tempfile.TemporaryDirectory(prefix="interp-crash-", dir=_MEMORY) as name:
        folder = Path(name)
        for number, dies in enumerate([death, None] if death is not None else [None], 1):
            _live(folder, number, script, dies)
            life = read_life(folder, number)
            if life is not None:
                break
        else:
            raise UsageError(f"crash_sweep(): the process that should have gone on after a kill {death} died, too")
        if life.trouble:
            raise UsageError(f"crash_sweep(): the run cannot be played:\n{life.trouble}")
        return _Played(life, read_ledger(folder))


def _live(folder: Path, number: int, script: Script, death: Death | None) -> None:
    """Live one life in a process of its own; return when it is over."""
    with warnings.catch_warnings():
        # Other threads of the test's process are not copied. Nothing in a life needs them, or a lock that they hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        live(folder, number, script, death)
    os.waitpid(child, 0)


def _repeated(ledger: list[Entry], death: str) -> Iterator[Repeated]:
    """Give the calls of which several attempts had their effect, or may have had it."""
    attempts: dict[str, dict[tuple[int, int], str]] = {}
    begun: dict[str, Entry] = {}
    for entry in ledger:
        attempts.setdefault(entry.key, {})[entry.life, entry.attempt] = entry.what
        begun.setdefault(entry.key, entry)
    for key, each in attempts.items():
        had = tuple(attempt for (_, attempt), what in each.items() if what != "failed")
        if len(had) > 1:
            args = render_value(begun[key].payload.encode())[1:-1]
            yield Repeated(death, begun[key].activity, args, key, had)


def _differences(whole: _Played, again: _Played, *, same_result: bool) -> Iterator[str]:
    """Say what must not be."""
    if same_result and again.life.ending != whole.life.ending:
        yield f"it {again.life.ending}"
    elif same_result:
        happened = {entry.key for entry in again.ledger if entry.what in ("done", "declared")}
        for entry in _effects(whole.ledger):
            if entry.key not in happened:
                yield f"{_call(whole.ledger, entry)} never happened"
    yield from unrecorded(again.life.histories, again.ledger)


def _effects(ledger: list[Entry]) -> list[Entry]:
    return [entry for entry in ledger if entry.what in ("done", "declared")]


def _call(ledger: list[Entry], entry: Entry) -> str:
    payload = next((each.payload for each in ledger if each.key == entry.key and each.what == "begun"), "[]")
    return f"{entry.activity}({render_value(payload.encode())[1:-1]})"


def unrecorded(histories: Mapping[str, list[bytes]], ledger: list[Entry]) -> Iterator[str]:
    """Compare what the histories of runs say of calls with what their attempts did; give what does not fit.

    Args:
        histories: The records of each run.
        ledger: What the attempts did.
    """
    done: dict[str, set[str]] = {}
    for entry in _effects(ledger):
        done.setdefault(entry.key, set()).add(entry.payload if entry.what == "done" else "")
    calls: set[str] = set()
    rounds: dict[str, int] = {}
    for run_id, records in histories.items():
        history = [decode_transition(record) for record in records]
        rounds[run_id] = getattr(history[0].cause, "round", 0) if history else 0
        for transition in history:
            calls |= {_key(run_id, rounds[run_id], each.id) for each in transition.commands if each.kind == "call"}
        yield from _said(run_id, rounds[run_id], history, done)
    for entry in ledger:
        run_id, _, place = entry.key.rpartition("/")
        of_this_round = place.startswith(f"{rounds[run_id]}:") if rounds.get(run_id) else ":" not in place
        if entry.what == "begun" and of_this_round and entry.key not in calls:
            yield f"{_call(ledger, entry)} happened, and the history knows nothing of it"


def _said(run_id: str, round: int, history: list[Transition], done: Mapping[str, set[str]]) -> Iterator[str]:
    """Give the results that are recorded and that no attempt has returned."""
    names = {record.id: record.target for each in history for record in each.commands if record.kind == "call"}
    for transition in history:
        cause = transition.cause
        if isinstance(cause, Resolved) and cause.id in names:
            recorded = cause.payload.decode()
        elif isinstance(cause, Rejected) and cause.declared and cause.id in names:
            recorded = ""
        else:
            continue
        if recorded not in done.get(_key(run_id, round, cause.id), set()):
            what = f"returned {render_value(cause.payload)}" if isinstance(cause, Resolved) else "raised"
            yield f"the history says that {names[cause.id]} {what}, and no attempt has"


def _key(run_id: str, round: int, command_id: str) -> str:
    return idempotency_key(run_id, round, command_id)


def _told(life: Life) -> Iterator[tuple[str, ...]]:
    """Tell what each write held."""
    stories = {run_id: _by_record(map(decode_transition, records)) for run_id, records in life.histories.items()}
    for written in life.writes:
        lines: list[str] = []
        for run_id, index, count in written.records:
            told = stories.get(run_id, {})
            for record in range(index, index + count):
                lines += told.get(record, [f"record {record}"])
        yield tuple(lines) or ("no records",)


def _by_record(history: Iterable[Transition]) -> dict[int, list[str]]:
    """Tell a history, by record."""
    found: dict[int, list[str]] = {}
    at = 0
    for line in story(history):
        at = at if line.index is None else line.index
        found.setdefault(at, []).append(_shown(line))
    return found


def _shown(line: Line) -> str:
    return " ".join(part for part in (line.verb, line.text, f"({line.where})" if line.where else "") if part)

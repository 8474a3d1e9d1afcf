"""A run continued in memory: from one of its records on, with other answers than were recorded.

The records up to there are replayed as ever. From there on nothing is compared any more: the code goes where the new
answers lead it, and what it yields is answered, in this order, by

1. what was supposed for that very command;
2. the history: the first answer that is left of a command with the same target and arguments, in the order in which
   they were yielded, of the same fiber if there is one; a command that the history holds unanswered stays so;
3. what is known of the activity or child.

Time is virtual. An answer from the history takes as long after its command as it took then, with the attempts that had
failed on the way; what came from outside (signals, requests, a cancellation, the loss of a worker) comes when it came;
timers fire when they are due. So a run whose answers are not changed repeats its history, record by record.

What no answer is found for stops its fiber, and is named. No activity is called, nothing is stored.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeAlias

import attrs
import msgspec

from interp.commands import Child, Send
from interp.definitions import WorkflowDefinition
from interp.events import (
    AttemptFailed,
    CancelRequested,
    ChildEnded,
    Delivered,
    Event,
    Fired,
    Heartbeat,
    Outgrown,
    Reconciled,
    Record,
    Refused,
    Rejected,
    Resolved,
    Signalled,
    Transition,
)
from interp.explore.quiet import quiet
from interp.explore.supposing import from_known, signal_payload, supposed
from interp.fibers import Issued
from interp.interpreter import Interpreter, Step, UnexpectedEvent
from interp.outline.nodes import Node, State
from interp.outline.tree import Tree
from interp.replay import follow, opened

__all__ = ["Answer", "AnswerSource", "Continued", "Missing", "Past", "Suppositions", "continued"]

_Key: TypeAlias = tuple[str, str, bytes]

# New records, beyond twice those of the original: a workflow that sleeps and loops for ever must end somewhere.
_MOST_RECORDS = 10_000

# Ends a command; the other events that name one tell of its attempts.
_FINAL = (Resolved, Rejected, Fired, Delivered, Refused, ChildEnded)


class AnswerSource(Enum):
    """Where an answer comes from."""

    SUPPOSED = "supposed"
    RECORDED = "recorded"
    KNOWN = "known"
    TIMER = "timer"
    ASSUMED = "assumed"  # a message that nobody sends, a child that nobody waits for: assumed to be taken


@attrs.frozen
class Answer:
    """Where a command has its answer from.

    Attributes:
        record: The command.
        source: Where from.
        of: The recorded command whose answer it is; empty for other sources.
    """

    record: Record
    source: AnswerSource
    of: str = ""


@attrs.frozen
class Missing:
    """A command that no answer is found for.

    Attributes:
        record: The command.
        is_open: Whether the run waits for it in the end; False when it went on without.
    """

    record: Record
    is_open: bool


@attrs.frozen
class Past:
    """What was recorded.

    Attributes:
        run_id: The run.
        history: Its records.
        tree: The same, as a tree.
    """

    run_id: str
    history: Sequence[Transition]
    tree: Tree


@attrs.frozen
class Suppositions:
    """What is supposed, other than was recorded.

    Attributes:
        results: What commands come to, by id.
        signals: What later signals carry, by name.
        known: What activities and children answer where the history has nothing, by name.
    """

    results: Mapping[str, Any]
    signals: Mapping[str, Any]
    known: Mapping[str, Any]


@attrs.frozen
class Continued:
    """A run that was continued.

    Attributes:
        history: Its records: those of the original, and then the new ones.
        kept: How many are those of the original.
        answers: Where the commands behind them have their answers from.
        missing: Those that no answer was found for.
        unused: Commands for which something was supposed, and which the run never came to.
        is_cut: Whether it was stopped because it went on and on.
        state: What the workflow has annotated.
    """

    history: tuple[Transition, ...]
    kept: int
    answers: tuple[Answer, ...]
    missing: tuple[Missing, ...]
    unused: tuple[str, ...]
    is_cut: bool
    state: Mapping[str, Any]


def continued(definition: WorkflowDefinition, past: Past, index: int, what: Suppositions) -> Continued:
    """Continue a run in memory.

    Args:
        definition: Its workflow.
        past: What was recorded.
        index: The last record that is taken over, unless an answer before it is changed; -1 for none.
        what: What is supposed.

    Raises:
        NondeterminismError: The records that are taken over do not fit the code.
        UndecodableHistory: A recorded value does not fit its declared type any more.
        JournalCorrupt: The history has a gap, or does not begin with a start.
        NotEncodable: A result is not what its activity declares to return.
        UsageError: A result belongs to a command that has none.
    """
    cut = min([index + 1, *_replaced(past, what.results)])
    with quiet(), closing(opened(definition, past.history[0], past.run_id)) as interpreter:
        for transition in past.history[:cut]:
            follow(interpreter, transition)
        return _Continuation(interpreter, past, cut, what).run(_MOST_RECORDS + 2 * len(past.history))


def _replaced(past: Past, results: Mapping[str, Any]) -> list[int]:
    """Return the records that hold an answer for which another one is supposed."""
    found = [each.index for each in past.history if isinstance(each.cause, _FINAL) and each.cause.id in results]
    return found + [index for index in _letters(past, results).values() if index is not None]


def _letters(past: Past, results: Mapping[str, Any]) -> dict[str, int | None]:
    """Return the records of the signals that other ones are supposed for, by the command that took each."""
    nodes = past.tree.nodes
    return {command_id: _letter(past.history, nodes[command_id]) for command_id in results if command_id in nodes}


def _letter(history: Sequence[Transition], node: Node) -> int | None:
    """Return the record of the signal that an await-signal took, if it took one."""
    if node.record.kind != "await_signal" or node.state is not State.DONE:
        return None
    came = node.early or node.ended
    return next(
        (
            each.index
            for each in history
            if isinstance(each.cause, Signalled)
            and (each.cause.name, each.cause.payload, each.at) == (node.record.target, node.payload, came)
        ),
        None,
    )


@attrs.frozen(order=True)
class _Happening:
    """What will happen: sorted by time, and at the same moment as it was recorded."""

    due: datetime
    index: int
    serial: int
    at: datetime = attrs.field(order=False)
    event: Event = attrs.field(order=False)


class _Everything(Collection[str]):
    """All change ids: a live run answers every `patched` with True."""

    def __contains__(self, item: object) -> bool:
        return True

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


_EVERYTHING = _Everything()


class _Continuation:
    """A run, its recorded answers, and what is about to happen to it."""

    def __init__(self, interpreter: Interpreter, past: Past, cut: int, what: Suppositions) -> None:
        history = past.history
        self._interpreter = interpreter
        self._past = past
        self._cut = cut
        self._what = what
        self._history = list(history[:cut])
        self._ahead: list[_Happening] = []
        self._serial = 0
        self._answers: list[Answer] = []
        self._missing: dict[str, Record] = {}
        # Clocks may go back from one worker to the next: what counts is the order of the records.
        self._due = list(itertools.accumulate((each.at for each in history), max))
        self._now = self._due[max(cut - 1, 0)]
        self._yielded = {each.id: number for number, one in enumerate(history) for each in one.commands}
        self._patches = {each.target for one in history for each in one.commands if each.kind == "patched"}
        self._cancelled = {each.at for each in history if isinstance(each.cause, CancelRequested)}
        self._letters = _letters(past, what.results)
        self._scripts = self._read()
        self._left = self._unused()

    def _read(self) -> dict[str, list[Transition]]:
        """Return what was recorded behind the cut about each command; plan what was not about one."""
        scripts: dict[str, list[Transition]] = defaultdict(list)
        signals = dict(self._what.signals)
        for transition in self._past.history[max(self._cut, 1) :]:
            cause = transition.cause
            if isinstance(cause, (*_FINAL, AttemptFailed, Heartbeat, Reconciled)):
                scripts[cause.id].append(transition)
            elif isinstance(cause, Signalled) and cause.name in self._what.signals:
                signals.pop(cause.name, None)
                payload = signal_payload(self._what.signals[cause.name])
                self._plan(transition.index, transition.at, Signalled(cause.name, payload))
            elif transition.index not in self._letters.values():  # else what its command is supposed to get comes
                self._plan(transition.index, transition.at, cause)
        for name, value in signals.items():
            self._add(self._now, Signalled(name, signal_payload(value)))
        return scripts

    def _unused(self) -> dict[_Key, dict[str, deque[Node]]]:
        """Return the commands whose answers are left to be given, by what they are and by fiber, in order."""
        left: dict[_Key, dict[str, deque[Node]]] = defaultdict(dict)
        for node in self._past.tree.nodes.values():
            if node.id not in self._what.results and self._final(node.id) is not None:
                left[_key(node.record)].setdefault(node.fiber, deque()).append(node)
        return left

    def _final(self, command_id: str) -> Transition | None:
        """Return the record behind the cut that answers a command."""
        return next((each for each in self._scripts.get(command_id, ()) if isinstance(each.cause, _FINAL)), None)

    def run(self, most_records: int) -> Continued:
        """Let happen what will, until nothing does any more."""
        interpreter = self._interpreter
        if not self._history:
            first = self._past.history[0]
            self._note(interpreter.start(first.at, self._patches), first.cause, first.at)
        else:
            for issued in list(interpreter.pending.values()):
                self._answer(issued, is_new=False)
        room = most_records
        while self._ahead and interpreter.outcome is None and room > 0:
            room -= self._happen(heapq.heappop(self._ahead))
        is_cut = interpreter.outcome is None and room <= 0
        if not is_cut:
            self._missing.update({issued.id: issued.record for issued in interpreter.pending.values()})
        answered = {answer.record.id for answer in self._answers}
        return Continued(
            tuple(self._history),
            self._cut,
            tuple(self._answers),
            tuple(Missing(record, interpreter.awaits(record.id)) for record in self._missing.values()),
            tuple(each for each in self._what.results if each not in answered),
            is_cut,
            dict(interpreter.state),
        )

    def _happen(self, happening: _Happening) -> int:
        """Feed an event, if it still means something to this run; returns how many records it makes."""
        event = happening.event
        if isinstance(event, Outgrown) and event.records != self._interpreter.length:
            return 0  # it tells the length of another history
        self._now = max(self._now, happening.due)
        try:
            step = self._interpreter.feed(event, happening.at, self._allowed(happening))
        except UnexpectedEvent:  # its command was never yielded, or is not waited for any more
            return 0
        self._note(step, event, happening.at)
        return 1

    def _allowed(self, happening: _Happening) -> Collection[str]:
        """Return the changes that are in effect: as the history tells, so far as it goes."""
        is_told = self._past.tree.outcome is not None or happening.due <= self._due[-1]
        return self._patches if is_told else _EVERYTHING

    def _note(self, step: Step, cause: Event, at: datetime) -> None:
        records = tuple(issued.record for issued in step.commands)
        self._history.append(Transition(len(self._history), at, cause, records, step.outcome))
        for issued in step.commands:
            if self._interpreter.awaits(issued.id):
                self._answer(issued, is_new=True)

    # Answers.

    def _answer(self, issued: Issued, *, is_new: bool) -> None:
        """Plan what a command comes to; `is_new` when it was yielded just now, else it was waiting at the cut."""
        same = self._same(issued)
        since = self._now if is_new or same is None else self._due[self._yielded[same.id]]
        if issued.id in self._what.results:
            self._suppose(issued, same, since)
            return
        is_unanswered = same is not None and self._final(same.id) is None
        recorded = same if issued.due is not None or is_unanswered else self._taken(issued)
        if recorded is not None and self._follow(issued, recorded, since):
            self._answers.append(Answer(issued.record, AnswerSource.RECORDED, recorded.id))
        elif issued.due is not None:
            self._answers.append(Answer(issued.record, AnswerSource.TIMER))
            self._add(self._unanswered(same, since, issued.due), Fired(issued.id))
        elif issued.record.kind in ("await_signal", "await_request"):
            pass  # what comes from outside comes; in the end it shows whether it did
        elif issued.record.target in self._what.known:
            event = from_known(issued, self._what.known[issued.record.target], self._past.tree.round)
            self._answers.append(Answer(issued.record, AnswerSource.KNOWN))
            self._add(self._unanswered(same, since, self._now), event)
        elif isinstance(issued.command, Send) or (isinstance(issued.command, Child) and issued.command.detached):
            self._answers.append(Answer(issued.record, AnswerSource.ASSUMED))
            self._add(self._unanswered(same, since, self._now), Delivered(issued.id))
        else:
            self._missing[issued.id] = issued.record

    def _unanswered(self, same: Node | None, since: datetime, at: datetime) -> datetime:
        """Return when an answer comes that was not recorded: where the command was, not before its record ends."""
        if same is None:
            return at
        # What a cancellation withdrew is not recorded: a shielded command may have waited on.
        ended = None if same.ended in self._cancelled else same.ended
        return max(at, (ended or self._due[-1]) + (since - self._due[self._yielded[same.id]]))

    def _same(self, issued: Issued) -> Node | None:
        """Return the recorded command that this one is, if it was recorded."""
        node = self._past.tree.nodes.get(issued.id)
        return node if node is not None and _key(node.record) == _key(issued.record) else None

    def _taken(self, issued: Issued) -> Node | None:
        """Use up the recorded answer of a command that is alike; None when there is none."""
        fibers = self._left.get(_key(issued.record))
        if not fibers:
            return None
        fiber = issued.fiber.id if issued.fiber.id in fibers else next(iter(fibers))
        node = fibers[fiber].popleft()
        if not fibers[fiber]:
            del fibers[fiber]
        return node

    def _suppose(self, issued: Issued, same: Node | None, since: datetime) -> None:
        """Answer with what is supposed: when the recorded answer came, or at once."""
        value, round_ = self._what.results[issued.id], self._past.tree.round
        self._answers.append(Answer(issued.record, AnswerSource.SUPPOSED))
        final = None if same is None else self._final(same.id)
        if same is not None and final is not None:
            attempt, begun = getattr(final.cause, "attempt", None), getattr(final.cause, "begun", None)
            self._follow(issued, same, since, supposed(issued, value, round_, attempt=attempt, begun=begun))
            return
        event = supposed(issued, value, round_)
        came = self._letters.get(issued.id)
        if same is not None and came is not None:
            self._plan(came, self._past.history[came].at, event)
        else:
            self._add(self._now, event)

    def _follow(self, issued: Issued, recorded: Node, since: datetime, instead: Event | None = None) -> bool:
        """Plan for a command what happened to a recorded one; tells whether that answers it.

        Args:
            issued: The command.
            recorded: The recorded one.
            since: When the command was yielded: all happens as long after it as it did then.
            instead: Its answer, if it is another one.
        """
        shift = since - self._due[self._yielded[recorded.id]]
        is_answered = False
        for transition in self._scripts.get(recorded.id, ()):
            event = transition.cause
            if isinstance(event, _FINAL):
                is_answered = True
                event = instead or event
            self._plan(transition.index, transition.at, _moved(event, issued.id, shift), shift)
        return is_answered

    # What is ahead.

    def _plan(self, index: int, at: datetime, event: Event, shift: timedelta = timedelta(0)) -> None:
        """Plan a recorded event, so much later than it was recorded."""
        self._push(self._due[index] + shift, index, at + shift, event)

    def _add(self, at: datetime, event: Event) -> None:
        """Plan an event that was not recorded: behind what was at the same moment."""
        self._push(at, len(self._past.history), at, event)

    def _push(self, due: datetime, index: int, at: datetime, event: Event) -> None:
        if due < self._now:
            due = at = self._now
        self._serial += 1
        heapq.heappush(self._ahead, _Happening(due, index, self._serial, at, event))


def _key(record: Record) -> _Key:
    return record.kind, record.target, record.payload


def _moved(event: Event, command_id: str, shift: timedelta) -> Event:
    """Return an event of a recorded command as that of another one, at another time."""
    changes: dict[str, Any] = {}
    if getattr(event, "id", command_id) != command_id:
        changes["id"] = command_id
    if shift:
        for name in ("begun", "retry_at"):
            moment = getattr(event, name, None)
            if moment is not None:
                changes[name] = moment + shift
    return msgspec.structs.replace(event, **changes) if changes else event

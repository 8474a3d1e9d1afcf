"""A history as a tree: what each command came to, its attempts, and what happened around them.

Pure, and without the workflow's code: everything is read from the records. A record does not say when a command is
withdrawn (a loser of a race, a cancelled fiber), so that is concluded from what follows:

- the commands of one fiber come one after another: the next one ends the one before;
- a group of several fibers ends before its owner goes on: the owner's next command ends what is left of it. A group
  of one may have been spawned, and goes on beside its owner;
- a cancellation of the run withdraws everything that waits then (also what is shielded: no record says so); the end
  of the run whatever is left.

Where a conclusion was wrong, an answer that comes later corrects it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from datetime import datetime

import attrs

from interp.events import (
    Asked,
    AttemptFailed,
    CancelRequested,
    ChildEnded,
    Completed,
    Delivered,
    Event,
    Failed,
    Failure,
    Fired,
    Heartbeat,
    Outcome,
    Outgrown,
    Reconciled,
    Record,
    Refused,
    Rejected,
    Resolved,
    Retried,
    Signalled,
    Started,
    Transition,
    WasCancelled,
    WorkerLost,
)
from interp.outline.nodes import Happening, Letter, Node, State, Try

__all__ = ["Tree", "tree_of"]


@attrs.define
class Tree:
    """A history, folded. Feed it with `add`, in order.

    Attributes:
        started: How the run began.
        at: When the run (this round of it) began.
        last_at: When the last record was written.
        length: How many records there were.
        nodes: The commands, in the order in which they were yielded.
        fibers: The commands of each fiber; the root's under the empty id.
        groups: The fibers that a command started (gather, race, spawn), by the id of that command, in order of slots.
        owned: The groups that a fiber started, by the id of the fiber, in order.
        waiting: The commands that wait for an answer.
        mailbox: The signals that nobody took.
        happenings: What happened to the run as a whole.
        outcome: How it ended.
        was_cancelled: Whether a cancellation was asked for.
    """

    started: Started | None = None
    at: datetime | None = None
    last_at: datetime | None = None
    length: int = 0
    nodes: dict[str, Node] = attrs.field(factory=dict[str, Node])
    fibers: dict[str, list[Node]] = attrs.field(factory=dict[str, list[Node]])
    groups: dict[str, list[str]] = attrs.field(factory=dict[str, list[str]])
    owned: dict[str, list[str]] = attrs.field(factory=dict[str, list[str]])
    waiting: dict[str, Node] = attrs.field(factory=dict[str, Node])
    mailbox: list[Letter] = attrs.field(factory=list[Letter])
    happenings: list[Happening] = attrs.field(factory=list[Happening])
    outcome: Outcome | None = None
    was_cancelled: bool = False
    _open: dict[str, list[str]] = attrs.field(factory=dict[str, list[str]])

    @property
    def round(self) -> int:
        """How many times the run has continued as new."""
        return 0 if self.started is None else self.started.round

    def add(self, transition: Transition) -> None:
        """Take in the next record."""
        self._cause(transition.cause, transition.at)
        for record in transition.commands:
            self._issue(record, transition.at)
        if transition.outcome is not None:
            self.outcome = transition.outcome
            self._withdraw(list(self.waiting.values()), transition.at)
        self.length += 1
        self.last_at = transition.at

    # Causes.

    def _cause(self, event: Event, at: datetime) -> None:
        match event:
            case Started():
                self.started, self.at = event, at
                self.mailbox += [Letter(name, payload, None) for name, payload in event.mailbox]
                self.mailbox += [
                    Letter(name, payload, None, request_id)
                    for request_id, name, payload in event.asked
                    if payload is not None
                ]
            case Resolved() | Rejected():
                self._answered(event, at)
            case Fired():
                self._fired(event.id, at)
            case Signalled():
                self._delivered(Letter(event.name, event.payload, at), at)
            case Asked():
                self._delivered(Letter(event.name, event.payload, at, event.id), at)
            case AttemptFailed():
                self._attempt_failed(event, at)
            case Heartbeat() | Reconciled():
                pass  # the attempts tell the story
            case CancelRequested():
                self.happenings.append(Happening(event, at))
                if not self.was_cancelled:  # a second request changes nothing, and cleanup goes on
                    self._withdraw(list(self.waiting.values()), at)
                self.was_cancelled = True
            case WorkerLost():
                self.happenings.append(Happening(event, at))
                self._worker_lost(at)
            case Outgrown():
                self.happenings.append(Happening(event, at))
            case Delivered():
                self._end(event.id, State.DONE, at)
            case Refused():
                self._refused(event, at)
            case ChildEnded():
                self._child_ended(event, at)
            case Retried():
                self.happenings.append(Happening(event, at))
                self._retried(event, at)

    def _refused(self, event: Refused, at: datetime) -> None:
        node = self._end(event.id, State.FAILED, at)
        if node is not None:
            told = {"differs": "the run id is taken", "ended": "the run has ended"}
            node.failure = Failure("interp.errors.UsageError", told.get(event.why, "there is no such run"))

    def _child_ended(self, event: ChildEnded, at: datetime) -> None:
        node = self._end(event.id, State.DONE, at)
        if node is None:
            return
        match event.outcome:
            case Completed():
                node.payload = event.outcome.payload
            case Failed():
                node.state, node.failure = State.FAILED, event.outcome.failure
            case WasCancelled():
                node.state = State.FAILED
                node.failure = Failure("interp.errors.ChildCancelled", event.outcome.reason)

    def _end(self, command_id: str, state: State, at: datetime) -> Node | None:
        """End a command; one that the history does not hold is left out of the tree."""
        node = self.nodes.get(command_id)
        if node is not None:
            self.waiting.pop(command_id, None)
            node.state, node.ended = state, at
        return node

    def _answered(self, event: Resolved | Rejected, at: datetime) -> None:
        node = self._end(event.id, State.DONE, at)
        if node is None:
            return
        node.attempt, node.begun = event.attempt, event.begun
        if isinstance(event, Rejected):
            node.state, node.failure, node.declared = State.FAILED, event.failure, event.declared
        else:
            node.payload = event.payload

    def _fired(self, command_id: str, at: datetime) -> None:
        node = self._end(command_id, State.DONE, at)
        if node is not None and node.record.kind in ("await_signal", "await_request"):
            node.state = State.TIMED_OUT

    def _delivered(self, letter: Letter, at: datetime) -> None:
        for node in self.waiting.values():
            if letter.is_for(node.record):
                self._end(node.id, State.DONE, at)
                node.payload = letter.payload
                return
        self.mailbox.append(letter)

    def _attempt_failed(self, event: AttemptFailed, at: datetime) -> None:
        node = self.nodes.get(event.id)
        if node is not None:
            node.tries.append(Try(event.attempt, event.begun, at, event.failure, event.retry_at))
            node.attempt = event.attempt + 1

    def _worker_lost(self, at: datetime, answered: str = "") -> None:
        for node in self.waiting.values():
            if (
                node.id != answered
                and node.record.kind in ("call", "transact")
                and (node.due is None or node.due <= at)
            ):
                node.tries.append(Try(node.attempt, None, at))
                node.attempt += 1

    def _retried(self, event: Retried, at: datetime) -> None:
        """Note the attempts that were in flight, and the one that had failed for good."""
        rejected = event.rejected
        self._worker_lost(at, event.id if rejected is None else rejected.id)
        node = None if rejected is None else self.waiting.get(rejected.id)
        if rejected is not None and node is not None:
            ended = at if event.failed_at is None else min(event.failed_at, at)
            node.tries.append(Try(rejected.attempt, rejected.begun, ended, rejected.failure, at))
            node.attempt = rejected.attempt + 1

    # Commands.

    def _issue(self, record: Record, at: datetime) -> None:
        node = self.nodes[record.id] = Node(record, at)
        fiber = node.fiber
        self._enlist(fiber, at)
        if record.kind != "patched":
            self._close(fiber, _number(record.id), at)
        self.fibers[fiber].append(node)
        self.waiting[record.id] = node
        if record.kind in ("patched", "annotate", "emit", "reply"):
            self._end(record.id, State.DONE, at)
        elif record.kind in ("await_signal", "await_request"):
            self._take_letter(node, at)

    def _enlist(self, fiber: str, at: datetime) -> None:
        """Note a fiber, and the group that it belongs to, when its first command comes."""
        if fiber in self.fibers:
            return
        self.fibers[fiber] = []
        group = fiber.rpartition(".")[0]
        if group:
            owner = group.rpartition(".")[0]
            self._enlist(owner, at)
            if group not in self.groups:
                self._close(owner, _number(group), at)
                self.groups[group] = []
                self._open.setdefault(owner, []).append(group)
                insort(self.owned.setdefault(owner, []), group, key=_number)
            insort(self.groups[group], fiber, key=_number)  # sorting each time is too slow for thousands

    def _close(self, fiber: str, number: int, at: datetime) -> None:
        """End what must have ended because its fiber has come to a command: the one before, and groups of several."""
        before = next((node for node in reversed(self.fibers[fiber]) if node.record.kind != "patched"), None)
        if before is not None and before.id in self.waiting and _number(before.id) < number:
            self._withdraw([before], at)
        for group in self._open.get(fiber, [])[:]:
            if len(self.groups[group]) > 1 and _number(group) < number:
                self._open[fiber].remove(group)
                self._withdraw([node for node in self.waiting.values() if node.id.startswith(f"{group}.")], at)

    def _withdraw(self, nodes: Iterable[Node], at: datetime) -> None:
        for node in nodes:
            self._end(node.id, State.WITHDRAWN, at)

    def _take_letter(self, node: Node, at: datetime) -> None:
        for letter in self.mailbox:
            if letter.is_for(node.record):
                self.mailbox.remove(letter)
                self._end(node.id, State.DONE, at)
                node.payload, node.early = letter.payload, letter.at or at
                return


def _number(command_id: str) -> int:
    """Return which command of its fiber it is."""
    return int(command_id.rpartition(".")[2])


def tree_of(history: Iterable[Transition]) -> Tree:
    """Fold a history."""
    tree = Tree()
    for transition in history:
        tree.add(transition)
    return tree

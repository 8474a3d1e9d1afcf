"""`simulate`: several production workers on one store in memory, in virtual time, with faults from a seed.

Everything that happens is drawn from the seed: which worker has the next turn, what fails, who dies. One line with the
seed makes it happen again.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import inspect
import itertools
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, cast

import attrs
import msgspec

from interp.codec import encode_payload
from interp.commands import Workflow
from interp.definitions import WorkflowDefinition, find_workflow, workflow_of
from interp.errors import EngineClosed, InterpError, StoreError, StoreFailed, StoreFull, StoreReadOnly
from interp.events import Rejected, Resolved, Signalled, decode_transition, encode_event
from interp.failures import kinds_of
from interp.replay import replay
from interp.runtime.attempts import Attempt, Completion, idempotency_key
from interp.runtime.creating import new_run
from interp.runtime.live import microseconds
from interp.runtime.receipt import Receipt
from interp.runtime.requests import Start
from interp.runtime.worker import CLOSED, Worker, WorkerOptions
from interp.store import Batch, Post, Refusal, RunFilter, RunRow, Store
from interp.testing.crash_lives import Entry, ending_of
from interp.testing.crashing import unrecorded
from interp.testing.inline import Inline
from interp.testing.play import EPOCH
from interp.testing.story import render, story
from interp.testing.stubs import Stubs
from interp.testing.virtual import VirtualEngine, memory_store
from interp.testing.virtual_time import VirtualClock

__all__ = ["Faults", "Simulated", "WentWrong", "simulate"]

# A seed that has taken so many steps does not come to rest.
_MOST_STEPS = 20_000

# So many problems of one simulation are told.
_MOST_SHOWN = 2

# How long the lease of a worker lasts, and how often a living one renews it: those of the worker, with some room.
_LEASE = timedelta(seconds=31)
_RENEWAL = timedelta(seconds=10)


@attrs.frozen
class Faults:
    """How often what goes wrong, as chances from 0 to 1, and how much in all.

    Attributes:
        refused: A write is refused by the store (full, or read-only), and nothing of it is written.
        failed: A write fails, and nobody knows whether it happened; the worker ends.
        slow: A write takes up to two minutes, so that leases run out meanwhile.
        dies: A worker dies after a turn, without any cleaning up; another one begins.
        stalls: A worker stands still for up to two minutes, as a laptop does, and then goes on as if nothing was.
        raises: An attempt of an activity fails; only where another one is allowed, and once for each call.
        late: An attempt takes up to a minute.
        most: How many of these a simulation has at most, late results aside.
    """

    refused: float = 0.03
    failed: float = 0.01
    slow: float = 0.01
    dies: float = 0.02
    stalls: float = 0.02
    raises: float = 0.05
    late: float = 0.3
    most: int = 8


class WentWrong(AssertionError):
    """A simulation ended as it must not; the message tells how, and how to make it happen again.

    Attributes:
        seed: The seed.
        problems: What must not be.
    """

    __interp_story__ = True  # the pytest plugin shows the message alone

    def __init__(self, text: str, seed: int, problems: tuple[str, ...]) -> None:
        """Take what is to be told.

        Args:
            text: The story.
            seed: The seed.
            problems: What must not be.
        """
        super().__init__(text)
        self.seed = seed
        self.problems = problems


@attrs.frozen
class Simulated:
    """What happened in all simulations.

    Attributes:
        seeds: How many there were.
        runs: How many runs have ended, children included.
        faults: How often what went wrong.
        endings: How the runs ended, in words, and how many.
    """

    seeds: int = 0
    runs: int = 0
    faults: Counter[str] = attrs.field(factory=Counter[str])
    endings: Counter[str] = attrs.field(factory=Counter[str])

    def __str__(self) -> str:
        """Say it on a few lines."""
        faults = ", ".join(f"{name} {count:,}" for name, count in sorted(self.faults.items())) or "none"
        endings = [f"  {count:>6,}  {ending}" for ending, count in self.endings.most_common(10)]
        return "\n".join([f"{self.runs:,} runs in {self.seeds:,} simulations; faults: {faults}", *endings])


def simulate(
    workflow: Callable[..., Workflow[Any]],
    *args: Any,
    activities: Stubs | None = None,
    signals: Mapping[str, Any] | None = None,
    ends: Callable[[str], bool] | None = None,
    runs: int = 4,
    workers: int = 3,
    faults: Faults | None = None,
    seeds: int | Iterable[int] = 100,
    seed: int | None = None,
) -> Simulated:
    """Let several workers move runs while stores refuse, workers die and stall, and activities fail and are late.

        def test_checkout_survives_bad_days():
            simulate(checkout, "order-42", activities={charge: "r-1", mail: None})

    All in this process, in virtual time, from a seed. At the end of each simulation every run must have ended as it
    does without faults, with one result for each command; every result must be one that an attempt has returned; the
    histories must replay; and nothing may be left: no message, no due time, no owner.

    Args:
        workflow: A function declared with `@workflow`.
        *args: Its arguments.
        activities: Stubs, as for `engine`; without one the real activity runs.
        signals: Signals that each run is sent, at some moment of its first minute, by name.
        ends: Tells whether a run may end like that, such as `returns 'r-1'` or `fails with Declined: no funds`; by
            default a run must end as it does without faults.
        runs: How many runs of the workflow there are in each simulation.
        workers: How many workers there are at a time.
        faults: How often what goes wrong.
        seeds: How many simulations, or which.
        seed: The one simulation that is wanted: what a failure says.

    Returns:
        What happened.

    Raises:
        WentWrong: A simulation ended as it must not.
    """
    definition = workflow_of(workflow)
    play = _Play(definition, args, activities or {}, signals or {}, runs, workers, faults or Faults())
    if ends is None:
        usual = _usual(workflow, args, activities, signals)
        ends = lambda ending: ending == usual  # noqa: E731  one line, used once
    simulated = Simulated()
    numbers = [seed] if seed is not None else range(seeds) if isinstance(seeds, int) else seeds
    logger = logging.getLogger("interp")
    with _quiet(logger):
        for number in numbers:
            world = _World(play, number)
            problems = tuple(world.simulated(ends))
            simulated.faults.update(world.faults)
            simulated.endings.update(world.endings)
            simulated = attrs.evolve(
                simulated, seeds=simulated.seeds + 1, runs=simulated.runs + sum(world.endings.values())
            )
            if problems:
                raise WentWrong(_told(definition, args, world, problems), number, problems)
    return simulated


@attrs.frozen
class _Play:
    """What is simulated."""

    definition: WorkflowDefinition
    args: tuple[Any, ...]
    activities: Stubs
    signals: Mapping[str, Any]
    runs: int
    workers: int
    rates: Faults


class _World:
    """One simulation: its workers, their store and their clock, what went wrong and what became of it."""

    def __init__(self, play: _Play, seed: int) -> None:
        self.play = play
        self.seed = seed
        self.faults: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.ledger: list[Entry] = []
        self.notes: list[str] = []
        self.rng = random.Random(self.seed)
        self.clock = VirtualClock(EPOCH)
        self.store = memory_store()
        self._names = itertools.count(1)
        self._serial = itertools.count()
        self._acts: list[tuple[datetime, int, Callable[[], object]]] = []
        self._failed_calls: set[str] = set()
        self._dead: list[_Hand] = []
        self._hands: list[_Hand] = []

    # What goes wrong.

    def goes_wrong(self, what: str, chance: float, about: str) -> bool:
        """Draw whether something goes wrong now, with what it is about."""
        if self.rng.random() >= chance or self.faults.total() >= self.play.rates.most:
            return False
        self.faults[what] += 1
        self.note(f"{about} {what}")
        return True

    def note(self, what: str) -> None:
        """Write down what happened, for the story of a failure."""
        self.notes.append(f"{(self.clock.now - EPOCH).total_seconds():>10.3f} s  {what}")

    def may_fail(self, attempt: Attempt) -> bool:
        """Whether an attempt may fail without changing how its run ends: another one follows, and it is the first."""
        retry = attempt.options.retry
        key = idempotency_key(attempt.run_id, attempt.round, attempt.command_id)
        if retry is None or attempt.options.deadline is not None or key in self._failed_calls:
            return False
        covered = retry.covers(kinds_of(ConnectionError)) and (retry.attempts is None or retry.attempts > 1)
        if not covered or not self.goes_wrong("raises", self.play.rates.raises, attempt.definition.name):
            return False
        self._failed_calls.add(key)
        return True

    def lateness(self, attempt: Attempt) -> float:
        """Draw how long an attempt takes, in seconds; not so long that it runs into a limit of its own."""
        if self.rng.random() >= self.play.rates.late:
            return 0.0
        limit = attempt.limit(self.clock.now)
        most_s = 60.0 if limit is None else min(60.0, (limit[0] - self.clock.now).total_seconds() / 2)
        return self.rng.random() * most_s

    # What happens.

    def simulated(self, ends: Callable[[str], bool]) -> Iterator[str]:
        """Let everything happen, and give what must not be."""
        with self.clock.held():
            for _ in range(self.play.workers):
                self._hire()
            for number in range(self.play.runs):
                self._later(self.rng.random(), partial(self._begin, f"run-{number}"))
            rested = self._happens()
            if not rested:
                yield f"after {_MOST_STEPS:,} steps it has not come to rest"
            yield from self._checked(ends)
            for hand in [*self._hands, *self._dead]:
                hand.give_up()

    def _happens(self) -> bool:
        """Let one thing after the other happen; False if there is no end of it."""
        for _ in range(_MOST_STEPS):
            awake = [hand for hand in self._hands if hand.frozen_until <= self.clock.now]
            ready = [hand for hand in awake if hand.is_ready]
            if ready:
                self._give_turn(self.rng.choice(ready))
                continue
            soonest = self._soonest()
            if soonest is None:
                return True
            if soonest - self.clock.now > _RENEWAL:
                self._renew_before(soonest)
            self.clock.move(max(self.clock.now, soonest))
            while self._acts and self._acts[0][0] <= self.clock.now:
                heapq.heappop(self._acts)[2]()
        return False

    def _soonest(self) -> datetime | None:
        moments = [self._acts[0][0]] if self._acts else []
        for hand in self._hands:
            moment = hand.soonest
            if moment is not None:
                moments.append(max(moment, hand.frozen_until))
        return min(moments, default=None)

    def _renew_before(self, moment: datetime) -> None:
        """Let those who live and move give the signs of life that they would have given all the time."""
        self.clock.move(max(self.clock.now, moment - timedelta(microseconds=1)))
        for hand in self._hands:
            if hand.frozen_until <= self.clock.now:
                self._give_turn(hand, calm=True)

    def _give_turn(self, hand: _Hand, *, calm: bool = False) -> None:
        rates = self.play.rates
        hand.store.calm = calm
        try:
            hand.turn_over()
        except StoreError as error:
            self.note(f"{hand.name} ends: {type(error).__name__}")
            self._replace(hand)
            return
        if self.store.changed(0.0):
            for other in self._hands:
                other.wake()
        if calm:
            return
        if self.goes_wrong("dies", rates.dies, hand.name):
            self._replace(hand)
        elif self.goes_wrong("stalls", rates.stalls, hand.name):
            stalled_s = self.rng.uniform(1, 120)
            hand.frozen_until = self.clock.now + timedelta(seconds=stalled_s)
            self._later(stalled_s, hand.wake)
            self._wake_all_later()

    def _replace(self, hand: _Hand) -> None:
        """Drop a worker as it is, and let another one begin."""
        self._hands.remove(hand)
        self._dead.append(hand)  # kept: what is collected would run the `finally` blocks of its workflows
        self._hire()
        self._wake_all_later()

    def _wake_all_later(self) -> None:
        """Let all workers look at the store when the lease of one that is not there may have run out."""
        for seconds in (1.0, 5.0):  # an idle worker looks every few seconds
            self._later(_LEASE.total_seconds() + seconds, self._wake_all)

    def _wake_all(self) -> None:
        for hand in self._hands:
            hand.wake()

    def _hire(self) -> None:
        name = f"worker-{next(self._names)}"
        self.note(f"{name} begins")
        self._hands.append(_Hand(self, name))

    def _later(self, seconds: float, act: Callable[[], object]) -> None:
        moment = self.clock.now + timedelta(seconds=seconds)
        heapq.heappush(self._acts, (moment, next(self._serial), act))

    def _begin(self, run_id: str) -> None:
        """Start a run by some worker, and see to it that this happens."""
        hand = self.rng.choice(self._hands)
        encoded = self.play.definition.arguments.encode(self.play.args, {})
        new = new_run(self.play.definition, encoded, run_id, start_at=None, worker=hand.name)
        started = msgspec.structs.replace(new.started, seed=random.Random(f"{self.seed} {run_id}").randbytes(16))
        create = msgspec.structs.replace(new.create, start=encode_event(started))
        hand.put(Start(create, self.play.definition, started, Receipt()))
        self._later(1.0, partial(self._see_to, run_id))

    def _see_to(self, run_id: str) -> None:
        """Start a run again if it is not there; send its signals once it is."""
        if self.store.run(run_id) is None:
            self._begin(run_id)
            return
        for name, payload in self.play.signals.items():
            self._later(self.rng.random() * 60, partial(self._signal, run_id, name, payload))

    def _signal(self, run_id: str, name: str, payload: Any) -> None:
        row = self.store.run(run_id)
        if row is None or row.status.ended:
            return
        body = encode_event(Signalled(name, encode_payload(payload, None)))
        self.store.post(Post(run_id, body), microseconds(self.clock.now))
        self.note(f"signal {name!r} to {run_id}")
        self._wake_all()

    # What must be in the end.

    def _checked(self, ends: Callable[[str], bool]) -> Iterator[str]:
        histories: dict[str, list[bytes]] = {}
        for row in self.store.runs(RunFilter()):
            histories[row.id] = list(self.store.history(row.id))
            yield from self._checked_run(row, histories[row.id], ends)
        yield from unrecorded(histories, self.ledger)

    def _checked_run(self, row: RunRow, records: list[bytes], ends: Callable[[str], bool]) -> Iterator[str]:
        history = [decode_transition(record) for record in records]
        if not row.status.ended:
            told = render(story(history)) if history else "it has no records"
            reason = f": {row.reason}" if row.reason else ""
            yield f"{row.id} is {row.status}, and nothing happens any more{reason}\n{told}"
            return
        ending = ending_of(history)
        if row.workflow == self.play.definition.name:
            self.endings[ending] += 1
            if not ends(ending):
                yield f"{row.id} {ending}\n{render(story(history))}"
        answers = Counter(each.cause.id for each in history if isinstance(each.cause, (Resolved, Rejected)))
        for command_id, count in answers.items():
            if count > 1:
                yield f"{row.id}: command {command_id} has {count} results"
        if [each.index for each in history] != list(range(len(history))):
            yield f"{row.id}: its records are not numbered one after the other"
        if any(each.outcome is not None for each in history[:-1]):
            yield f"{row.id}: there are records after its end"
        if row.due_us is not None or row.owner is not None or self.store.inbox(row.id):
            yield f"{row.id} has ended, and has a due time, an owner or messages: {row}"
        try:
            replay(find_workflow(row.workflow), history, run_id=row.id).interpreter.close()
        except InterpError as error:
            yield f"{row.id} does not replay: {error}"


class _Hand:
    """A worker of a simulation, with what it has of its own."""

    def __init__(self, world: _World, name: str) -> None:
        self.name = name
        self.frozen_until = EPOCH
        self.store = _Faulty(world)
        self._clock = world.clock
        self._performer = _Unreliable(world)
        options = WorkerOptions(
            threads=1,
            cache=world.rng.choice((0, 1, 1_000)),
            clock=world.clock,
            chance=world.rng.random,
            stopwatch=lambda: 0.0,
            guard="off",
            executor=self._performer.employed,
        )
        self._worker = _Inside(cast("Store", self.store), name, options)
        self._context = contextvars.copy_context()
        self._context.run(self._worker.begin)
        self.put = self._worker.put
        self.wake = self._worker.wake

    @property
    def is_ready(self) -> bool:
        """Whether it has something to do now."""
        if self._worker.is_ready or self._performer.is_ready:
            return True
        soonest = self.soonest
        return soonest is not None and soonest <= self._clock.now

    @property
    def soonest(self) -> datetime | None:
        """When it has something to do next."""
        moments = (self._worker.next_moment_of_live, self._performer.next_moment)
        return min((moment for moment in moments if moment is not None), default=None)

    def turn_over(self) -> None:
        """Run what activities can run, and take a turn."""
        self._performer.work()
        self._context.run(self._worker.turn)

    def give_up(self) -> None:
        """Drop everything, at the very end."""
        self.store.calm = True
        self._context.run(self._worker.end, EngineClosed(CLOSED))


class _Inside(Worker):
    """The production worker, which tells when it wants a turn."""

    @property
    def is_ready(self) -> bool:
        """Whether there is something to take in or to do now."""
        return self.has_work or bool(self._inbox or self._taken)

    @property
    def next_moment_of_live(self) -> datetime | None:
        """When there is something to do, the limits of attempts that are over aside."""
        self._dispatcher.forget_ended()
        return self.next_moment


class _Faulty:
    """The store as one worker meets it."""

    def __init__(self, world: _World) -> None:
        self._world = world
        self._store = world.store
        self.calm = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def transaction(self, *, write: bool = True) -> Any:
        """Be a store that is `Transactional`, also for those who look without asking."""
        return cast("Any", self._store).transaction(write=write)

    def commit(self, batch: Batch, now_us: int) -> list[Refusal]:
        """Write, unless something goes wrong."""
        if self.calm:
            return self._store.commit(batch, now_us)
        world, rates = self._world, self._world.play.rates
        if world.goes_wrong("refused", rates.refused, "a write is"):
            kind = world.rng.choice((StoreFull, StoreReadOnly))
            raise kind(self._store.url, "so says the simulation")
        fails = world.goes_wrong("fails", rates.failed, "a write")
        if fails and world.rng.random() < 0.5:
            raise StoreFailed(self._store.url, "before it was written, says the simulation")
        if world.goes_wrong("slow", rates.slow, "a write is"):
            world.clock.move(world.clock.now + timedelta(seconds=world.rng.uniform(1, 120)))
        refusals = self._store.commit(batch, now_us)
        if fails:
            raise StoreFailed(self._store.url, "after it was written, says the simulation")
        return refusals


class _Unreliable(Inline):
    """Activities that fail now and then, and are late; they write down what they do."""

    def __init__(self, world: _World) -> None:
        super().__init__(world.clock, world.play.activities, _Noting(world.ledger))
        self._world = world

    @property
    def is_ready(self) -> bool:
        """Whether something can run now."""
        return bool(self._queue) or (self._loop is not None and bool(self._tasks) and self._loop.is_busy)

    def _function(self, attempt: Attempt) -> Callable[..., Any] | None:
        fn = super()._function(attempt)
        if fn is None or attempt.reconcile is not None:
            return fn
        raises, late_s = self._world.may_fail(attempt), self._world.lateness(attempt)
        if not raises and not late_s:
            return fn
        return _hindered_async(fn, late_s, raises) if inspect.iscoroutinefunction(fn) else _hindered(fn, late_s, raises)


def _hindered(fn: Callable[..., Any], late_s: float, raises: bool) -> Callable[..., Any]:
    def hindered(*args: Any, **kwargs: Any) -> Any:
        time.sleep(late_s)
        if raises:
            raise ConnectionError("so says the simulation")
        return fn(*args, **kwargs)

    return hindered


def _hindered_async(fn: Callable[..., Any], late_s: float, raises: bool) -> Callable[..., Any]:
    async def hindered(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(late_s)
        if raises:
            raise ConnectionError("so says the simulation")
        return await fn(*args, **kwargs)

    return hindered


class _Noting:
    """Notes what attempts do."""

    def __init__(self, ledger: list[Entry]) -> None:
        self._ledger = ledger

    def answered(self) -> Counter[str]:
        """Count the attempts so far: stubs go on where they were, whichever worker asks."""
        return Counter(entry.activity for entry in self._ledger if entry.what == "begun")

    def begun(self, attempt: Attempt) -> None:
        """Note that an attempt begins."""
        self._note("begun", attempt, attempt.payload)

    def ended(self, completion: Completion) -> None:
        """Note how it ended."""
        if completion.payload is not None:
            self._note("done", completion.attempt, completion.payload)
        else:
            self._note("declared" if completion.declared else "failed", completion.attempt, b"")

    def _note(self, what: Literal["begun", "done", "declared", "failed"], attempt: Attempt, payload: bytes) -> None:
        key = idempotency_key(attempt.run_id, attempt.round, attempt.command_id)
        self._ledger.append(Entry(0, what, key, attempt.number, attempt.definition.name, payload.decode()))


def _usual(
    workflow: Callable[..., Workflow[Any]],
    args: tuple[Any, ...],
    stubs: Stubs | None,
    signals: Mapping[str, Any] | None,
) -> str:
    """Say how a run ends when nothing goes wrong."""
    with VirtualEngine(stubs, guard="off") as engine:
        run = engine.start(workflow, *args, id="run-0")
        for name, payload in (signals or {}).items():
            run.signal(name, payload)
        engine.run_until_idle()
        return ending_of(run.history())


def _told(definition: WorkflowDefinition, args: tuple[Any, ...], world: _World, problems: tuple[str, ...]) -> str:
    arguments = ", ".join([definition.fn.__name__, *map(repr, args)])
    return "\n".join(
        [
            f"{definition.name} went wrong in simulation {world.seed}",
            f"once more: simulate({arguments}, ..., seed={world.seed})",
            "",
            *problems[:_MOST_SHOWN],
            *([f"... and {len(problems) - _MOST_SHOWN} more"] if len(problems) > _MOST_SHOWN else []),
            "",
            "what happened:",
            *(f"  {note}" for note in world.notes[-40:]),
        ]
    )


@contextmanager
def _quiet(logger: logging.Logger) -> Generator[None]:
    """Keep what workers say of the faults to themselves."""
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before

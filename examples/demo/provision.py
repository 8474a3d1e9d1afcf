"""Kill `examples.provision` three times while it builds, approve it from outside, and ask AWS what exists."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from examples.demo.census import census
from examples.demo.journal import Tally, history_of
from examples.demo.processes import DemoFailed, Process, Processes, wait_for
from examples.demo.servers import start_aws
from examples.demo.story import Story
from examples.provision.inventory import rows
from examples.provision.plan import Environment, public_resources, resources
from interp.events import Completed, Signalled, Transition
from interp.runtime import open_store
from interp.store import RunRow, Status, Store

__all__ = ["QUICK", "WHOLE", "tell_provision"]

WHOLE = Environment("shop", ("orders", "payments", "stock", "search", "mail", "users"))
QUICK = Environment("shop", ("orders", "search"))

_RUN_ID = "provision-shop"

# Each resource takes at least so many records: created, ready, written down.
_RECORDS_EACH = 3

# About how long a call takes, with eight at a time.
_LONGEST_CALL_S = 0.05

# How long to wait before the next look for a call in flight, in seconds.
_LOOK_AGAIN_S = 0.005


def tell_provision(story: Story, directory: Path, environment: Environment, seed: int) -> None:
    """Run the program, kill it three times, and count what exists."""
    planned = resources(environment)
    kinds = Counter(resource.kind for resource in planned)
    story.title(f"2. provision: {len(planned)} cloud resources of {len(kinds)} kinds (examples/provision/)")
    story.say(
        f"""The AWS API is moto, as a process of its own, and the program talks to it with boto3, eight calls at a time.
        It creates each resource, polls until it is ready, and writes a row into an SQLite file. Before the public part
        it waits for an approval. Its process is killed three times, at random moments (seed {seed}) when calls are in
        flight."""
    )
    print()
    with Processes(directory) as processes:
        story.event("starting the AWS API")
        aws, variables = start_aws(processes)
        variables |= {"INVENTORY": f"{directory}/inventory.sqlite", "INTERP_STORE": f"lmdb://{directory}/journal"}
        _replace_aws_variables(variables)
        story.event(f"it is up (process {aws.pid}), and has {len(census(environment.name))} resources of ours")
        store = open_store(variables["INTERP_STORE"])
        try:
            cast = _Cast(story, processes, store, aws, environment, random.Random(seed))
            began = time.monotonic()
            cast.play()
            took = time.monotonic() - began
            history = history_of(store, _RUN_ID)
        finally:
            store.close()
        _tell_numbers(story, cast, history, took)
        _check_journal(story, cast, history)
        _check_outside(story, environment, history)


def _replace_aws_variables(variables: dict[str, str]) -> None:
    """Set the environment, for the programs, and for ourselves when we ask AWS."""
    # Whatever account the user of this machine works with, it is not for us.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(variables)


@attrs.define
class _Cast:
    """Everyone who takes part."""

    story: Story
    processes: Processes
    store: Store
    aws: Process
    environment: Environment
    chance: random.Random
    workers: list[Process] = attrs.field(factory=list)
    deaths: list[str] = attrs.field(factory=list)
    unrecorded: int = 0

    def play(self) -> None:
        """Start, kill twice, approve, kill once more, and let it end."""
        public = len(public_resources(self.environment)) * _RECORDS_EACH
        inner = len(resources(self.environment)) * _RECORDS_EACH - public

        self.start()
        self.kill_at(self.chance.randint(inner // 20, inner * 9 // 20))
        self.start()
        self.kill_at(self.chance.randint(inner // 2, inner * 19 // 20))
        self.start()
        approved_at = self.approve()
        self.kill_at(approved_at + self.chance.randint(1, public))
        self.start()
        self.workers[-1].succeed()

    def start(self) -> None:
        """Start the program: the same command every time."""
        command = ("examples.provision", "run", self.environment.name, *self.environment.services)
        worker = self.processes.python(f"worker {len(self.workers) + 1}", *command, env={})
        self.workers.append(worker)
        again = f"python -m {' '.join(command)}" if len(self.workers) == 1 else "the same command again"
        self.story.event(f"{worker.name} ({worker.pid}):  {again}")

    def kill_at(self, length: int) -> None:
        """Kill the program when so many records are in the journal, and calls are in flight."""
        worker = self.workers[-1]

        def look() -> RunRow | None:
            row = self.row()
            if row is not None and row.status.ended:
                raise DemoFailed(f"the run has ended at record {row.length}, before it could be killed at {length}")
            return row if row is not None and row.length >= length and row.status is Status.RUNNING else None

        wait_for(f"record {length}", look, worker, self.aws)
        # Right behind a record the next calls have hardly begun. Somewhere in the middle of them is worse, and better.
        time.sleep(self.chance.uniform(0, _LONGEST_CALL_S))
        while True:
            row = wait_for("calls in flight", look, worker, self.aws)
            worker.freeze()  # so that nothing ends between the look and the kill
            if Tally.of(history_of(self.store, _RUN_ID)).attempts_at(datetime.now(UTC)):
                break
            worker.thaw()
            time.sleep(_LOOK_AGAIN_S)
        self.deaths.append(worker.kill())
        self.tell_death(worker, _stage(row))

    def tell_death(self, worker: Process, stage: str) -> None:
        """Compare what the journal knows with what exists, while nobody changes either."""
        history = history_of(self.store, _RUN_ID)
        tally = Tally.of(history)
        creations = (tally.asked[call_id] for call_id in tally.now.recorded)
        recorded = {json.loads(call.payload)[0]["name"] for call in creations if call.target.startswith("create_")}
        unrecorded = {found.name for found in census(self.environment.name)} - recorded
        self.unrecorded += len(unrecorded)
        self.story.event(
            f"kill -9 {worker.pid} at record {len(history)} ({stage}): {len(tally.now.in_flight)} calls in flight,"
            f" {len(unrecorded)} of them have made a resource already"
        )

    def approve(self) -> int:
        """Wait until the run waits for its approval, and send it from another process; returns the record."""

        def look() -> RunRow | None:
            row = self.row()
            return row if row is not None and _stage(row) == "awaiting approval" else None

        row = wait_for("the question for approval", look, self.workers[-1], self.aws)
        command = ("examples.provision", "approve", self.environment.name, "ada")
        self.story.event(f"the run waits for an approval. Another process:  python -m {' '.join(command)}")
        self.processes.python("approval", *command, env={}).succeed()
        return row.length

    def row(self) -> RunRow | None:
        """Look at the run, from outside."""
        return self.store.run(_RUN_ID)


def _stage(row: RunRow) -> str:
    """Return what the workflow says of itself by `annotate`."""
    stage: str = json.loads(row.attributes or b"{}").get("stage", "")
    return stage


def _tell_numbers(story: Story, cast: _Cast, history: tuple[Transition, ...], took: float) -> None:
    """Show what happened, in numbers that come from the journal."""
    tally = Tally.of(history)
    made = tally.made
    polls, rows_written = made.pop("is_ready", 0), made.pop("write_down", 0)
    created = sum(made.values())
    story.event(f"{cast.workers[-1].name} is done. {cast.workers[-1].output().splitlines()[-1]}")
    story.lines(
        [
            f"calls made         {tally.made.total():5}   {created} creations, {polls} polls, {rows_written} rows",
            f"attempts repeated  {tally.repeated:5}   calls that were in flight when their worker was killed",
            f"  effect was there {cast.unrecorded:5}   of them had made a resource, and died before that was recorded",
            f"calls skipped      {tally.skipped:5}   results that workers 2 to 4 took from the journal",
            f"time               {took:5.0f} s, with four starts of the program",
        ]
    )
    story.say(
        """A call whose result is in the journal is never made again. One that was in flight is, with the same
        idempotency key. Handed to AWS as a token, or kept there as a tag, the key leads it to what the dead attempt has
        made; the comments in examples/provision/cloud.py show each way."""
    )


def _check_journal(story: Story, cast: _Cast, history: tuple[Transition, ...]) -> None:
    """Hold what the processes did against what the journal says."""
    tally = Tally.of(history)
    in_flight = [len(kill.in_flight) for kill in tally.kills]
    check = story.check
    check("provision: three processes died of SIGKILL", expected=["SIGKILL"] * 3, found=cast.deaths)
    check(
        f"provision: the journal has noted three kills, with calls in flight: {in_flight}",
        expected=[True] * 3,
        found=[count > 0 for count in in_flight],
    )

    # Each process has written a line for each attempt, before the attempt did anything.
    attempts = [_attempts(worker) for worker in cast.workers]
    again = [kill.recorded & set(later) for kill, later in zip(tally.kills, attempts[1:], strict=False)]
    check(
        "provision: no call with a result in the journal was attempted again",
        expected=[],
        found=sorted(itertools.chain.from_iterable(again)),
    )
    counts = Counter(itertools.chain.from_iterable(attempts))
    twice = {call_id for call_id, count in counts.items() if count > 1}
    met = tally.failed.union(*(kill.in_flight for kill in tally.kills))
    check(
        f"provision: the {len(twice)} calls that were attempted twice were in flight at a kill, or had failed",
        expected=[],
        found=sorted(twice - met),
    )
    check("provision: every call was attempted", expected=[], found=sorted(tally.asked.keys() - counts.keys()))
    check("provision: nothing public was asked for before the approval", expected=True, found=_approved_first(history))


def _attempts(worker: Process) -> list[str]:
    """Return the command ids of the calls that a process has attempted."""
    return re.findall(rf" attempt of {_RUN_ID}/(\S+):", worker.output())


def _approved_first(history: tuple[Transition, ...]) -> bool:
    signals = [record.index for record in history if isinstance(record.cause, Signalled)]
    public = [
        record.index
        for record in history
        if any(command.target == "create_distribution" for command in record.commands)
    ]
    return len(signals) == 1 and bool(public) and signals[0] <= min(public)


def _check_outside(story: Story, environment: Environment, history: tuple[Transition, ...]) -> None:
    """Hold what AWS and the inventory have against the plan."""
    planned = {resource.name for resource in resources(environment)}
    existing = census(environment.name)
    names = Counter(found.name for found in existing)
    check = story.check
    check(f"AWS: all {len(planned)} planned resources exist", expected=[], found=sorted(planned - names.keys()))
    check("AWS: none exists twice", expected=[], found=sorted(name for name, count in names.items() if count > 1))
    check("AWS: nothing exists that was not planned", expected=[], found=sorted(names.keys() - planned))
    check("AWS: all are ready", expected=[], found=[found.name for found in existing if not found.ready])
    there = Counter(f"{found.kind} {found.name} {found.id}" for found in existing)
    noted = Counter(f"{row.kind} {row.name} {row.id}" for row in rows())
    check(
        "inventory: one row for each resource, with the id that AWS has",
        expected=[],
        found=sorted(((there - noted) + (noted - there)).elements()),
    )
    kinds = Counter(str(found.kind) for found in existing)
    check("workflow: its summary counts what AWS counts", expected=dict(sorted(kinds.items())), found=_summary(history))


def _summary(history: tuple[Transition, ...]) -> dict[str, int] | None:
    """Return the numbers in the result of the run; None when it has none."""
    outcome = history[-1].outcome
    if not isinstance(outcome, Completed):
        return None
    summary: dict[str, Any] = json.loads(outcome.payload)
    return dict(sorted(summary["built"].items()))

"""Measures interp beside its peers, in turns, and writes down every number.

    python -m benchmarks.bench [--rounds 5] [--only interp,dbos-sqlite] [--shapes one_run,replay] [--quick]
    python -m benchmarks.bench --report

Peers are set up in `.peers/` (several hundred megabytes, once). Every measurement is made by a fresh process on a fresh
database. In each round the systems take turns, each time another one first, so that a busy minute hits all of them. A
system that takes longer than a shape allows is not asked again for that size or a larger one; what takes longer than a
minute is measured in three rounds at most; what takes moments is measured up to five times in each round, and the
median counts. An interrupted run goes on where it was when it is given the same file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from benchmarks import report
from benchmarks.machine import machine
from benchmarks.peers.absurd import Absurd
from benchmarks.peers.aws import Aws
from benchmarks.peers.contender import ROOT, Contender, Failed, Overtime, Unavailable
from benchmarks.peers.dbos import DbosPostgreSQL, DbosSQLite
from benchmarks.peers.durabletask import DurableTask
from benchmarks.peers.interp import Interp, Limits
from benchmarks.peers.resonate import Resonate
from benchmarks.peers.restate import Restate
from benchmarks.peers.temporal import Temporal
from benchmarks.shapes import SHAPES, Shape, Size

CONTENDERS: tuple[type[Contender], ...] = (
    Limits,
    Interp,
    DbosSQLite,
    DbosPostgreSQL,
    Restate,
    Absurd,
    Temporal,
    DurableTask,
    Aws,
    Resonate,
)

_RESULTS = ROOT / "benchmarks" / "results"
_OURS = (Limits, Interp)

# A measurement of more than so many seconds is made in so many rounds at most.
_SLOW_S = 60
_SLOW_ROUNDS = 3

# One that takes moments is repeated, for so long or so often: a machine that is shared has slow moments.
_SHORT_S = 4
_MOST_TIMES = 5

_OVERTIME = "more than"


@attrs.frozen
class Turn:
    """One measurement to be made."""

    round: int
    shape: Shape
    size: int
    contender: Contender

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from all others."""
        return (self.round, self.shape.name, self.size, self.contender.name)


class Bench:
    """One run: the plan, and the file that its results go to."""

    def __init__(self, path: Path, *, quick: bool) -> None:
        self._path = path
        self._quick = quick
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        self._measured = {
            (line["round"], line["shape"], line["size"], line["contender"]): line
            for line in lines
            if line["kind"] == "measurement"
        }

    def write(self, **line: Any) -> None:
        """Add a line to the results."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def plan(self, contenders: list[Contender], shapes: list[Shape], rounds: int) -> Iterator[Turn]:
        """Yield what is to be measured: in each round all shapes, for each size all systems, another one first."""
        for number in range(rounds):
            first = number % max(1, len(contenders))
            turns = contenders[first:] + contenders[:first]
            for shape in shapes:
                for size in (Size(shape.quick),) if self._quick else shape.sizes:
                    for contender in turns:
                        most = size.ours if isinstance(contender, _OURS) else size.peers
                        if shape.name in contender.shapes and number < most:
                            yield Turn(number, shape, size.count, contender)

    def run(self, turns: list[Turn]) -> None:
        """Measure what has not been measured yet."""
        for done, turn in enumerate(turns, start=1):
            if turn.key in self._measured or self._is_hopeless(turn):
                continue
            line = self._measure(turn)
            self._measured[turn.key] = line
            self.write(**line)
            what = line.get("problem") or ", ".join(f"{key} {value:,.6g}" for key, value in line["numbers"].items())
            title = turn.shape.title.format(f"{turn.size:,}")
            print(f"{done:>4}/{len(turns)}  {turn.contender.name:<14} {title}: {what}", flush=True)

    def _measure(self, turn: Turn) -> dict[str, Any]:
        load, begin = os.getloadavg()[0], time.monotonic()
        line: dict[str, Any] = {
            "kind": "measurement",
            "round": turn.round,
            "shape": turn.shape.name,
            "size": turn.size,
            "contender": turn.contender.name,
        }
        try:
            made = [self._run(turn)]
            first_s = time.monotonic() - begin
            while len(made) < _MOST_TIMES and time.monotonic() - begin + first_s < _SHORT_S:
                made.append(self._run(turn))
            line["numbers"] = {key: statistics.median(numbers[key] for numbers in made) for key in made[0]}
            line["times"] = len(made)
        except Overtime:
            line["problem"] = f"{_OVERTIME} {turn.shape.limit_s:.0f} s"
        except (Failed, Unavailable) as failure:
            line["problem"] = f"failed: {failure}"
        return {**line, "took_s": round(time.monotonic() - begin, 2), "load": load}

    def _run(self, turn: Turn) -> dict[str, float]:
        scratch = ROOT / ".peers" / "data"
        scratch.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix=f"{turn.contender.name}-", dir=scratch))
        os.sync()  # what the one before has left to write is not this one's burden
        try:
            return turn.contender.run(turn.shape.name, turn.size, directory, turn.shape.limit_s)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _is_hopeless(self, turn: Turn) -> bool:
        """Whether it took too long at this size or a smaller one, failed twice, or is slow and known well enough."""
        asked = (turn.contender.name, turn.shape.name)
        same = [line for line in self._measured.values() if (line["contender"], line["shape"]) == asked]
        if any(line.get("problem", "").startswith(_OVERTIME) and line["size"] <= turn.size for line in same):
            return True
        here = [line for line in same if line["size"] == turn.size]
        failed = sum("problem" in line for line in here)
        return failed > 1 or sum(line["took_s"] > _SLOW_S for line in here) >= _SLOW_ROUNDS


def set_up(bench: Bench, names: set[str] | None) -> list[Contender]:
    """Install the systems; say of each what it is, or why it is not here."""
    ready = []
    for kind in CONTENDERS:
        if names is not None and kind.name not in names:
            continue
        contender = kind()
        about = {
            "title": kind.title,
            "durability": kind.durability,
            "settings": kind.settings,
            "is_durable": kind.is_durable,
            "shapes": sorted(kind.shapes),
            "cannot": kind.cannot,
        }
        try:
            contender.set_up()
            version = contender.version()
        except Unavailable as unavailable:
            print(f"{kind.title} cannot be measured here: {unavailable}", flush=True)
            bench.write(kind="contender", name=kind.name, reason=str(unavailable), **about)
            continue
        bench.write(kind="contender", name=kind.name, version=version, **about)
        ready.append(contender)
    return ready


def main() -> None:
    """Measure, or report what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="names of systems, separated by commas")
    parser.add_argument("--shapes", help="names of shapes, separated by commas")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that everything works")
    parser.add_argument("--to", type=Path, help="the file of results, a new one of today by default")
    parser.add_argument("--report", action="store_true", help="only write the page, from --to or the newest results")
    parser.add_argument("--page", type=Path, default=report.PAGE, help="the page to write")
    options = parser.parse_args()
    if options.report:
        path = options.to or max(_RESULTS.glob("*.jsonl"), default=None)
        if path is None:
            parser.error(f"there are no results in {_RESULTS}")
        report.write(path, options.page)
        return
    names = _names(parser, options.only, {kind.name for kind in CONTENDERS})
    wanted = _names(parser, options.shapes, {shape.name for shape in SHAPES})
    path = options.to or (
        ROOT / ".peers" / "quick.jsonl" if options.quick else _RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.jsonl"
    )
    if options.quick and options.to is None:
        path.unlink(missing_ok=True)  # a trial begins anew
    bench = Bench(path, quick=options.quick)
    bench.write(kind="machine", **machine())
    contenders = set_up(bench, names)
    shapes = [shape for shape in SHAPES if wanted is None or shape.name in wanted]
    bench.run([*bench.plan(contenders, shapes, 1 if options.quick else options.rounds)])
    for contender in contenders:
        contender.close()
    print(f"Results are in {path}; `python -m benchmarks.bench --report --to {path}` writes the page.")


def _names(parser: argparse.ArgumentParser, given: str | None, known: set[str]) -> set[str] | None:
    if given is None:
        return None
    names = set(given.split(","))
    if names - known:
        parser.error(f"unknown: {', '.join(sorted(names - known))}; known: {', '.join(sorted(known))}")
    return names


if __name__ == "__main__":
    main()

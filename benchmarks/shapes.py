"""What is measured, at which sizes, and what is wanted: the goals are ratios, or limits in units of the raw ones."""

from __future__ import annotations

from collections.abc import Callable

import attrs

__all__ = ["GOALS", "SHAPES", "Goal", "Measure", "Middle", "Shape", "Size"]

# What was measured, in one round or as the median of all: of a contender, shape, size and number.
Middle = Callable[[str, str, int, str], float | None]


@attrs.frozen
class Size:
    """How many, and in how many of the rounds: what only shows how something grows need not cost five rounds.

    Attributes:
        count: How many.
        ours: In how many rounds it is measured for interp and the raw limits.
        peers: In how many for the others.
    """

    count: int
    ours: int = 5
    peers: int = 5


@attrs.frozen
class Measure:
    """One number of a shape.

    Attributes:
        key: Its name in the answers of drivers.
        title: For people, with the unit.
        more_is_better: Which way is good.
        digits: Behind the point.
    """

    key: str
    title: str
    more_is_better: bool = False
    digits: int = 0


@attrs.frozen
class Shape:
    """One kind of measurement; `peers/drivers/driving.py` says what is done.

    Attributes:
        name: As the drivers know it.
        title: For people, with `{}` for the size.
        sizes: The first is the one that the goals are about.
        quick: The size of `--quick`, which shows that everything works and measures nothing.
        limit_s: How long one measurement may take, with its preparation, in seconds.
        measures: The numbers; the first is the one that is drawn.
        note: What a reader should know.
    """

    name: str
    title: str
    sizes: tuple[Size, ...]
    quick: int
    limit_s: float
    measures: tuple[Measure, ...]
    note: str = ""


_STEPS_PER_S = Measure("per_s", "steps/s", more_is_better=True)
_DISK = (
    Measure("disk_bytes", "bytes on disk per step"),
    Measure("log_bytes", "bytes of write-ahead log per step"),
)
_LATENCY = (Measure("p50_ms", "p50, ms", digits=2), Measure("p99_ms", "p99, ms", digits=2))

SHAPES = (
    Shape(
        "limits",
        "Raw limits",
        (Size(300),),
        20,
        120,
        (
            Measure("fdatasync_us", "write + fdatasync of 4 KiB, us"),
            Measure("lmdb_commit_us", "LMDB commit of one row, us"),
            Measure("postgres_commit_us", "PostgreSQL commit of one row, us"),
            Measure("generator_send_us", "bare generator `send`, us", digits=3),
            Measure("json_decode_us", "`json.loads` of one record, us", digits=2),
        ),
    ),
    Shape(
        "one_run",
        "1 run of {} steps, one after the other",
        (Size(1_000), Size(100, peers=3), Size(3_000, ours=3, peers=1)),
        10,
        90,
        (_STEPS_PER_S,),
        "Each step waits for the record of the one before: what counts is the latency of a durable step.",
    ),
    Shape(
        "many_runs",
        "{} runs of 10 steps, at once",
        (Size(200), Size(2_000, ours=3, peers=1)),
        3,
        240,
        (_STEPS_PER_S, *_DISK),
        "Runs can share a sync. Disk is what the files of the store grew by.",
    ),
    Shape(
        "gather",
        "1 run, {} steps at once",
        (Size(1_000), Size(100, peers=3), Size(4_000, ours=3, peers=1)),
        10,
        90,
        (_STEPS_PER_S,),
    ),
    Shape("latency", "A run of one step, from start to result", (Size(200),), 3, 60, _LATENCY),
    Shape(
        "signal",
        "From a signal, sent by another process, to the step that follows it",
        (Size(30),),
        1,
        90,
        _LATENCY,
    ),
    Shape(
        "recovery",
        "{} runs of 5 steps, killed in their third, to the end of all",
        (Size(1_000), Size(250, peers=1)),
        5,
        240,
        (Measure("seconds", "seconds", digits=2), Measure("per_s", "runs/s", more_is_better=True)),
        "From the moment at which the new process opens the store or starts the server.",
    ),
    Shape(
        "replay",
        "Replay of {} recorded steps",
        (Size(1_000), Size(10_000, peers=1), Size(50_000, ours=3, peers=1)),
        20,
        150,
        (Measure("per_s", "records/s", more_is_better=True),),
        "Ours reads, decodes and compares each record. Writing the history counts against the time limit of peers that "
        "cannot be given one.",
    ),
    Shape(
        "listing",
        "{} runs listed",
        (Size(100_000, ours=3, peers=1), Size(10_000, ours=3, peers=1)),
        50,
        300,
        (Measure("per_s", "runs/s", more_is_better=True), Measure("seconds", "seconds", digits=2)),
    ),
    Shape(
        "sleepers",
        "{} sleeping runs",
        (Size(1_000_000, ours=1), Size(100_000, ours=1)),
        500,
        1_500,
        (
            Measure("started_per_s", "started per second", more_is_better=True),
            Measure("late_ms", "the one that is due wakes too late by, ms", digits=2),
            Measure("ready_s", "seconds until a new process is ready", digits=2),
            Measure("disk_bytes", "bytes on disk per run"),
            Measure("rss_mib", "worker's memory, MiB"),
            Measure("listed_s", "seconds to list them", digits=1),
        ),
        "Only ours: a million threads, or a million connections, is nothing to ask of a peer.",
    ),
    Shape(
        "memory",
        "Memory, with {} runs that wait for a signal",
        (Size(1_000, ours=3, peers=1), Size(10_000, ours=3, peers=0)),
        10,
        150,
        (
            Measure("idle_mib", "idle, MiB"),
            Measure("cached_kib", "KiB per run that waits", digits=1),
            Measure("evicted_kib", "KiB per run that waits, evicted", digits=1),
            Measure("idle_cpu_percent", "% of a core while they wait", digits=1),
        ),
        "Per run: memory of the process that is not mapped files.",
    ),
    Shape(
        "imports",
        "Import, by a fresh interpreter",
        (Size(1),),
        1,
        60,
        (
            Measure("import_ms", "ms"),
            Measure("modules", "modules"),
            Measure("rss_mib", "memory after it, MiB"),
        ),
    ),
)


@attrs.frozen
class Goal:
    """A goal that was set before anything was measured.

    Attributes:
        words: The measure.
        wanted: The goal in words.
        found: What was measured, from the numbers of a round; None when something it needs is missing.
        is_met: Whether that meets the goal.
        unit: Of what was measured.
    """

    words: str
    wanted: str
    found: Callable[[Middle, list[str]], float | None]
    is_met: Callable[[float], bool]
    unit: str = "x"


def _best(middle: Middle, peers: list[str], shape: str, size: int, key: str, *, more: bool = True) -> float | None:
    """Return the best median of these peers."""
    found = [value for peer in peers if (value := middle(peer, shape, size, key)) is not None]
    return (max if more else min)(found, default=None)


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other


def _faster(
    shape: str, size: int, key: str = "per_s", *, more: bool = True
) -> Callable[[Middle, list[str]], float | None]:
    """How many times better than the best of the peers we are."""

    def found(middle: Middle, peers: list[str]) -> float | None:
        ours, best = middle("interp", shape, size, key), _best(middle, peers, shape, size, key, more=more)
        return _ratio(ours, best) if more else _ratio(best, ours)

    return found


def _than(shape: str, size: int, *names: str, key: str = "per_s") -> Callable[[Middle, list[str]], float | None]:
    """How many times better than these peers we are, whoever else there is."""
    among = _faster(shape, size, key)
    return lambda middle, _: among(middle, list(names))


def _step_in(ruler: str) -> Callable[[Middle, list[str]], float | None]:
    """How many of these a step of one run takes."""

    def found(middle: Middle, _: list[str]) -> float | None:
        speed, unit = middle("interp", "one_run", 1_000, "per_s"), middle("limits", "limits", 300, ruler)
        return _ratio(1e6 / speed, unit) if speed else None

    return found


def _ours(shape: str, size: int, key: str) -> Callable[[Middle, list[str]], float | None]:
    return lambda middle, _: middle("interp", shape, size, key)


# What `python -m benchmarks.counts` says of 200 runs x 10: two flushes for each of 11 commits, on 2,000 steps.
_FLUSHES_PER_STEP = 0.011


def _at_slow_syncs(middle: Middle, _: list[str]) -> float | None:
    """How many steps it were per second if a sync took 0.3 ms, as on the machine for which the goal was set."""
    speed, sync_us = middle("interp", "many_runs", 200, "per_s"), middle("limits", "limits", 300, "fdatasync_us")
    if speed is None or sync_us is None:
        return None
    return 1 / (1 / speed + _FLUSHES_PER_STEP * (300 - sync_us) / 1e6)


def _commits_of_a_run(middle: Middle, _: list[str]) -> float | None:
    ours, commit = middle("interp", "latency", 200, "p50_ms"), middle("limits", "limits", 300, "lmdb_commit_us")
    return _ratio(ours and ours * 1e3, commit)


def _linearity(middle: Middle, _: list[str]) -> float | None:
    return _ratio(middle("interp", "replay", 50_000, "per_s"), middle("interp", "replay", 1_000, "per_s"))


def _recovery(middle: Middle, _: list[str]) -> float | None:
    best = _best(middle, ["dbos-sqlite", "dbos-postgres"], "recovery", 1_000, "seconds", more=False)
    return _ratio(best, middle("interp", "recovery", 1_000, "seconds"))


_ANY = ("dbos-sqlite", "dbos-postgres", "restate", "absurd", "temporal", "durabletask", "aws")


def _at_least(bound: float) -> Callable[[float], bool]:
    return lambda found: found >= bound


def _at_most(bound: float) -> Callable[[float], bool]:
    return lambda found: found <= bound


GOALS = (
    Goal("200 runs x 10 steps", ">= 20 x the best durable peer", _faster("many_runs", 200), _at_least(20)),
    Goal(
        "200 runs x 10 steps, had each sync taken 0.3 ms",
        ">= 30,000 steps/s",
        _at_slow_syncs,
        _at_least(30_000),
        "steps/s",
    ),
    Goal("1 run x 1,000 steps, per step", "<= 1.3 LMDB commits", _step_in("lmdb_commit_us"), _at_most(1.3), "commits"),
    Goal("1 run x 1,000 steps, per step", "<= 2.5 raw fdatasyncs", _step_in("fdatasync_us"), _at_most(2.5), "syncs"),
    Goal("1 run x 1,000 steps", ">= 3 x the best durable peer", _faster("one_run", 1_000), _at_least(3)),
    Goal("one-step run, start to result, p50", "<= 3 LMDB commits", _commits_of_a_run, _at_most(3), "commits"),
    Goal(
        "one-step run, start to result, p50",
        ">= 5 x faster than the best durable peer",
        _faster("latency", 200, "p50_ms", more=False),
        _at_least(5),
    ),
    Goal("signal to reaction, p50", "<= 5 ms", _ours("signal", 30, "p50_ms"), _at_most(5), "ms"),
    Goal("recovery of 1,000 killed runs", "<= 1/20 of DBOS's time", _recovery, _at_least(20), "x faster"),
    Goal("replay", ">= 100,000 records/s", _ours("replay", 1_000, "per_s"), _at_least(100_000), "records/s"),
    Goal("replay, 50,000 records to 1,000", "linear: >= 0.8 of the speed", _linearity, _at_least(0.8)),
    Goal("replay", ">= 10 x Temporal's Replayer", _than("replay", 1_000, "temporal"), _at_least(10)),
    Goal("replay", ">= the fastest peer of any kind", _than("replay", 1_000, *_ANY), _at_least(1)),
    Goal("disk per step, 200 x 10", "<= 300 bytes", _ours("many_runs", 200, "disk_bytes"), _at_most(300), "bytes"),
    Goal("memory per run that waits, evicted", "<= 2 KiB", _ours("memory", 10_000, "evicted_kib"), _at_most(2), "KiB"),
    Goal("memory per run that waits, cached", "<= 20 KiB", _ours("memory", 10_000, "cached_kib"), _at_most(20), "KiB"),
    Goal("import", "<= 150 ms", _ours("imports", 1, "import_ms"), _at_most(150), "ms"),
)
"""In the order of the page."""

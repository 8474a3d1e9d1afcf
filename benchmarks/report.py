"""Writes the page with results: `docs/explanation/performance.md` and its pictures, from a file of `bench.py`."""

from __future__ import annotations

import functools
import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.peers.contender import ROOT
from benchmarks.plots import Span
from benchmarks.shapes import GOALS, SHAPES, Goal, Measure, Middle, Shape

__all__ = ["PAGE", "Results", "page", "write"]

PAGE = ROOT / "docs" / "explanation" / "performance.md"

_OURS = "interp"
_LIMITS = "limits"
# Shapes whose steps are durable: theirs is said in units of an LMDB commit, too.
_STEPS = ("one_run", "many_runs", "gather")

_INTRO = """\
# Performance

% This page is written by `python -m benchmarks.bench --report`: change benchmarks/report.py, not this.

What the library exists for, measured beside the others: durable steps, replay, recovery, many waiting runs. All systems
ran on one machine, in one run, in turns; each measurement was made by a fresh process on a fresh database, and what
takes moments up to five times in each round. Numbers are medians of the rounds, with the smallest and the largest in
parentheses. Ratios are worked out within each round, so that a busy minute slows both of what is compared, and are
medians of the rounds, too. Compare ratios: another disk gives other numbers.

Each system ran at its own full durability, with its own documented settings; where a documented setting was tuned, it
was tuned in its favour: [the systems](#the-systems). Some peers need a server, or a cloud, that no package contains:
they ran on what they bring for tests, which keeps everything in memory. They are marked, and no goal that speaks of
durable peers counts them.
"""

_BOUNDS = """\
## Where the time goes, and where goals end

Two of the goals that are not met have a bound: raw syncs per step, and a run of one step beside the best durable peer.
For the others this is a profile, and what was tried.

`python -m benchmarks.anatomy` takes a step apart: here 11 times, right after the measurements above, on a machine that
is shared with others and at some moments half as fast. A *floor* is a bare loop of what nobody can leave out who does
this in Python: it decodes, runs the workflow's code, encodes, writes and syncs the same records, and does nothing else.

| microseconds | at best | median |
| --- | --- | --- |
| rulers: write + fdatasync | 95 | 104 |
| rulers: an LMDB commit of one put | 234 | 269 |
| rulers: waking another thread | 18 | 27 |
| a chain of calls, each step: on the clock | 287 | 331 |
| a chain of calls, each step: in the commit | 238 | 275 |
| a chain of calls, each step: between two commits | 42 | 58 |
| a chain of calls, each step: floor | 225 | 263 |
| the same without syncs: between two commits | 29 | 31 |
| a run of one step: its two commits | 316 and 286 | 355 and 309 |
| a run of one step: before, between and after them | 120, 148 and 71 | 152, 177 and 83 |
| 200 x 10, each step: on the clock | 22 | 30 |
| 200 x 10, each step: turns of the worker, without their commits | 14 | 21 |
| 200 x 10, each step: commits | 3.3 | 3.9 |
| 200 x 10, each step: activities; the caller | 1.6; 0.7 | 2.0; 1.0 |
| 200 x 10, each step: floor | 5.7 | 6.6 |
| 200 x 10, each step, when at most 32 results share a commit | 40 | 48 |
| replay, each record | 3.5 | 4.5 |
| replay, each record: decoding; the workflow's own code | 0.4; 0.2 | 0.5; 0.2 |
| replay, each record: floor | 1.1 | 1.2 |

- **200 runs x 10.** Two thirds of a step are Python on the one thread that gives turns: 72 calls of Python functions,
  which feed the result, run the generator, encode, compare what is owed, and put; none of them has a twentieth of its
  bytecodes. Commits are an eighth. 20 x the best durable peer, whose server is written in Rust, would leave 17 us for
  everything, on one interpreter lock: two and a half times the floor. In its best round this took 18 us a step, when
  the machine was busy 36; the five rounds found 9.8 to 18.9 x.
- **A step of a chain, in LMDB commits.** It is 1.23 of them in the table here, where the two are measured within the
  same seconds; the rounds above found 1.14 to 1.54. The faster the disk, the more our own 50 us count, and the faster
  the others' steps: 2.65 to 3.30 x the best durable peer.
- **A step of a chain, in raw syncs.** A commit of LMDB syncs twice, first the pages, then the head that makes them
  valid, so that a bare one takes 2.5 to 2.7 raw syncs here: 2.5 is out of reach for anything that commits to LMDB at
  full durability before the next call is made.
- **A run of one step.** It needs two commits: the start must be durable before the call is made, and the result
  before it is told. Each writes nine pages in places of their own (row, id, journal, indexes, counters), a step of a
  chain four. The two commits, and waking a thread three times, take 0.66 ms at best without a line of our own. That is
  a quarter of the best time of the best durable peer, where the goal is a fifth. And it is 2.8 bare commits, where the
  goal is 3: 50 us are left for a start, two turns, a call and a result, which take 0.28 ms, on a core that has slept
  through a sync before each of them.
- **Disk.** The first 200 runs grow the file by 516 to 561 bytes per step, as each commit copies the pages of all runs
  before the old ones are free: the file gets three times as long as what it holds. The next 200 runs find that room:
  178 to 215 bytes per step, each time. Smaller commits copy less, and each step takes 1.6 to 1.8 times as long. Other
  keys, by which runs that start together share their pages, make it 203 bytes the first time, and 1.6 times what it is
  now where runs come one after the other. We keep speed and keys.
- **Replay.** The one peer that is faster hands the stored results to the code, without making commands of what the
  code asks for and without comparing anything: in 1.6 us for each of 1,000. Ours takes 5.8 in that measurement, as a
  process begins, and 3.5 once it is warm, of which decoding and comparing, the floor, are 1.1. The rest makes commands,
  moves fibers and keeps what the next event is compared with; it goes through the same code that runs live.
"""

_REPEAT = """\
## Measure again

    make bench

installs the peers into `.peers/` (some 700 MB, from PyPI and npm), measures, and writes this page. It takes between one
and two hours, and wants a machine that does nothing else meanwhile. `python -m benchmarks.bench --help` tells how to
measure less; `--quick` shows in a few minutes that everything works, at sizes that mean nothing.

Counts that do not depend on the machine, such as commits, bytes and function calls per step, are kept by
`tests/test_counts.py` in every run of the tests; `python -m benchmarks.counts` prints them.

Where valgrind is installed, `python -m benchmarks.instructions` counts machine instructions per step, the same number
each time: 137,204 at 200 x 10 with the Python above.
"""


class Results:
    """What a file of results says."""

    def __init__(self, lines: Iterable[dict[str, Any]]) -> None:
        self.machine: dict[str, Any] = {}
        self.contenders: dict[str, dict[str, Any]] = {}
        self.took_s = 0.0
        self._values: dict[tuple[str, str, int, str], dict[int, float]] = defaultdict(dict)
        self._problems: dict[tuple[str, str, int], str] = {}
        for line in lines:
            if line["kind"] == "machine":
                self.machine = self.machine or line  # of a run in parts, the first
            elif line["kind"] == "contender":
                self.contenders[line["name"]] = line
            else:
                self._add(line)

    def _add(self, line: dict[str, Any]) -> None:
        self.took_s += line["took_s"]
        where = (line["contender"], line["shape"], line["size"])
        if "problem" in line:
            self._problems[where] = line["problem"]
        for key, value in line.get("numbers", {}).items():
            self._values[*where, key][line["round"]] = value

    def span(self, contender: str, shape: str, size: int, key: str) -> Span | None:
        """Return median and range."""
        values = self._values.get((contender, shape, size, key), {}).values()
        return Span(min(values), statistics.median(values), max(values)) if values else None

    def middle(self, contender: str, shape: str, size: int, key: str) -> float | None:
        """Return the median."""
        span = self.span(contender, shape, size, key)
        return None if span is None else span.middle

    def over_rounds(self, found: Callable[[Middle], float | None]) -> float | None:
        """Return the median of what is worked out within each round.

        Args:
            found: Works it out. It is given the numbers of one round, and the median of what was not measured in that.

        Returns:
            The median; None when what is needed was measured in no round.
        """
        values = []
        for number in sorted({number for rounds in self._values.values() for number in rounds}):
            of_round = _Round(self, number)
            value = found(of_round)
            if value is not None and of_round.has_any:
                values.append(value)
        return statistics.median(values) if values else None

    def within(self, number: int, contender: str, shape: str, size: int, key: str) -> float | None:
        """Return what was measured in a round, None for nothing."""
        return self._values.get((contender, shape, size, key), {}).get(number)

    def rounds(self, contender: str, shape: str, size: int, key: str) -> int:
        """Return how often it was measured."""
        return len(self._values.get((contender, shape, size, key), ()))

    def problem(self, contender: str, shape: str, size: int) -> str | None:
        """Return why there is no number, if it is known."""
        return self._problems.get((contender, shape, size))

    def sizes(self, shape: str) -> list[int]:
        """Return what sizes of a shape there are."""
        measured = {size for _, of, size, _ in self._values if of == shape}
        return sorted(measured | {size for _, of, size in self._problems if of == shape})

    def title(self, name: str) -> str:
        """Return what people call a system."""
        return str(self.contenders[name]["title"])

    @property
    def durable(self) -> list[str]:
        """The peers whose steps survive the end of the process."""
        return [name for name, about in self.contenders.items() if about["is_durable"] and name not in (_OURS, _LIMITS)]


class _Round:
    """The numbers of one round.

    Attributes:
        has_any: Whether any that it was asked for was measured in the round.
    """

    def __init__(self, results: Results, number: int) -> None:
        self._results = results
        self._number = number
        self.has_any = False

    def __call__(self, contender: str, shape: str, size: int, key: str) -> float | None:
        value = self._results.within(self._number, contender, shape, size, key)
        self.has_any = self.has_any or value is not None
        return self._results.middle(contender, shape, size, key) if value is None else value


def write(path: Path, page_path: Path) -> None:
    """Write the page, and pictures beside it."""
    results = Results(json.loads(line) for line in path.read_text().splitlines())
    pictures = page_path.parent.parent / "images" / "bench"
    pictures.mkdir(parents=True, exist_ok=True)
    drawn = dict(_pictures(results))
    for name, picture in drawn.items():
        (pictures / name).write_text(picture)
    page_path.write_text(page(results, set(drawn)))
    print(f"wrote {page_path} and {len(drawn)} pictures in {pictures}")
    index = page_path.parent.parent / "index.md"
    if index.exists() and f"{page_path.parent.name}/{page_path.stem}" not in index.read_text():
        print(f"list the page in {index}: the documentation does not build with one that is not listed")


def page(results: Results, pictures: set[str]) -> str:
    """Return the text of the page."""
    sections = [_INTRO, _machine(results), _goals(results)]
    sections += [_shape(results, shape, pictures) for shape in SHAPES if results.sizes(shape.name)]
    return "\n".join([*sections, _BOUNDS, _systems(results), _REPEAT])


def _machine(results: Results) -> str:
    about = results.machine
    words = (
        f"Measured on {about['when']}: {about['processors']} x {about['processor']}, {about['memory_gib']} GiB, "
        f"{about['kernel']}, {about['file_system']}, {about['python']}; interp at {about['commit']}. "
        f"The measurements took {results.took_s / 60:.0f} minutes. The load before they began was {about['load']}."
    )
    return words + "\n"


def _goals(results: Results) -> str:
    rows = []
    for goal in GOALS:
        found = results.over_rounds(functools.partial(_found, goal, results.durable))
        verdict = "not measured" if found is None else "**met**" if goal.is_met(found) else "not met"
        number = "" if found is None else f"{_number(found)} {goal.unit}"
        rows.append((goal.words, goal.wanted, number, verdict))
    head = "## Goals\n\nThey were set before the first measurement, as ratios within one run.\n\n"
    return head + _table(("measure", "goal", "measured", ""), rows)


def _found(goal: Goal, peers: list[str], middle: Middle) -> float | None:
    return goal.found(middle, peers)


def _shape(results: Results, shape: Shape, pictures: set[str]) -> str:
    text = f"## {shape.title.format('N')}\n\n" + (f"{shape.note}\n\n" if shape.note else "")
    for kind in ("dots", "lines"):
        if f"{shape.name}-{kind}.svg" in pictures:
            text += f"![{shape.title.format('N')}](../images/bench/{shape.name}-{kind}.svg)\n\n"
    names = [name for name in results.contenders if _was_asked(results, shape, name)]
    for size in results.sizes(shape.name):
        if len(results.sizes(shape.name)) > 1:
            text += f"### {shape.title.format(f'{size:,}')}\n\n"
        text += _numbers(results, shape, size, names) + "\n"
    left = [
        f"{about['title']} ({about['cannot'][shape.name]})"
        for about in results.contenders.values()
        if shape.name in about["cannot"]
    ]
    return text + (f"Not measured: {'; '.join(left)}.\n" if left else "")


def _was_asked(results: Results, shape: Shape, name: str) -> bool:
    about = results.contenders[name]
    return ("reason" in about and name not in (_OURS, _LIMITS)) or any(
        results.rounds(name, shape.name, size, shape.measures[0].key) or results.problem(name, shape.name, size)
        for size in results.sizes(shape.name)
    )


def _numbers(results: Results, shape: Shape, size: int, names: list[str]) -> str:
    measures = [
        measure
        for measure in shape.measures
        if any(results.span(name, shape.name, size, measure.key) for name in names)
    ]
    main = shape.measures[0]
    heads = ["system", *(measure.title for measure in measures)]
    compares = len(names) > 1 and bool(measures)
    heads += ["interp is better by"] if compares else []
    heads += ["a step in LMDB commits"] if shape.name in _STEPS and measures else []
    heads += ["rounds"]
    rows = []
    for name in names:
        spans = [results.span(name, shape.name, size, measure.key) for measure in measures]
        mark = "" if results.contenders[name]["is_durable"] or shape.name == "replay" else " (not durable)"
        row = [_bold(results.title(name), name) + ("" if "memory" in results.title(name) else mark)]
        if all(span is None for span in spans):
            row += [_reason(results, shape, size, name)] + [""] * (len(heads) - 2)
        else:
            row += [_span(span, measure) for span, measure in zip(spans, measures, strict=True)]
            row += [_better(results, shape, size, name, main)] if compares else []
            row += [_in_commits(results, shape, size, name)] if shape.name in _STEPS else []
            row += [str(max(results.rounds(name, shape.name, size, measure.key) for measure in measures))]
        rows.append(row)
    return _table(heads, rows)


def _bold(title: str, name: str) -> str:
    return f"**{title}**" if name == _OURS else title


def _reason(results: Results, shape: Shape, size: int, name: str) -> str:
    about = results.contenders[name]
    if "reason" in about:
        return f"cannot be set up here: {about['reason']}"
    problem = results.problem(name, shape.name, size)
    if problem is None:
        smaller = [results.problem(name, shape.name, other) for other in results.sizes(shape.name) if other < size]
        found = next((reason for reason in reversed(smaller) if reason), None)
        return f"not asked: a smaller size took {found}" if found else "not asked at this size"
    return problem


def _span(span: Span | None, measure: Measure) -> str:
    if span is None:
        return ""
    low, middle, high = (_number(value, measure.digits) for value in (span.low, span.middle, span.high))
    return middle if low == high else f"{middle} ({low} - {high})"


def _better(results: Results, shape: Shape, size: int, name: str, main: Measure) -> str:
    def ratio(middle: Middle) -> float | None:
        ours, theirs = (middle(each, shape.name, size, main.key) for each in (_OURS, name))
        if not ours or not theirs:
            return None
        return ours / theirs if main.more_is_better else theirs / ours

    found = None if name in (_OURS, _LIMITS) else results.over_rounds(ratio)
    return "" if found is None else f"{_number(found)} x"


def _in_commits(results: Results, shape: Shape, size: int, name: str) -> str:
    limits = results.sizes("limits")

    def ratio(middle: Middle) -> float | None:
        speed = middle(name, shape.name, size, "per_s")
        commit = middle(_LIMITS, "limits", limits[0], "lmdb_commit_us") if limits else None
        return 1e6 / speed / commit if speed and commit else None

    found = results.over_rounds(ratio)
    return "" if found is None else _number(found)


def _systems(results: Results) -> str:
    rows = [
        (
            about["title"],
            about.get("version") or f"cannot be set up here: {about['reason']}",
            about["durability"],
            about["settings"],
        )
        for about in results.contenders.values()
    ]
    return "## The systems\n\n" + _table(("system", "versions", "what is on the disk", "settings"), rows)


def _pictures(results: Results) -> Iterable[tuple[str, str]]:
    for shape in SHAPES:
        main, sizes = shape.measures[0], results.sizes(shape.name)
        names = [name for name in results.contenders if name != _LIMITS]
        size = shape.sizes[0].count if shape.sizes[0].count in sizes else next(iter(sizes), None)
        if size is None or shape.name == "limits":
            continue
        title = shape.title.format(f"{size:,}")
        spans = {
            results.title(name): span for name in names if (span := results.span(name, shape.name, size, main.key))
        }
        if len(spans) > 1 and all(span.low > 0 for span in spans.values()):
            ordered = sorted(spans.items(), key=lambda row: row[1].middle, reverse=main.more_is_better)
            yield f"{shape.name}-dots.svg", plots.dots(title, main.title, dict(ordered), "interp")
        series = {
            results.title(name): points
            for name in names
            if len(points := _points(results, shape, name)) > 1 and all(value > 0 for value in points.values())
        }
        if series:
            yield f"{shape.name}-lines.svg", plots.lines(shape.title.format("N"), main.title, series, "interp")


def _points(results: Results, shape: Shape, name: str) -> dict[int, float]:
    key = shape.measures[0].key
    return {
        size: value
        for size in results.sizes(shape.name)
        if (value := results.middle(name, shape.name, size, key)) is not None
    }


def _number(value: float, digits: int | None = None) -> str:
    """Write a number with as many digits as say something."""
    if digits is None:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = [*heads]
    lines = [head, ["---"] * len(head), *[[cell.replace("|", "/") for cell in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

"""Writes the page with results: `docs/explanation/performance.md` and its pictures, from a file of `bench.py`."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.peers.contender import ROOT
from benchmarks.plots import Span
from benchmarks.shapes import GOALS, SHAPES, Measure, Shape

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
parentheses. Compare ratios: another disk gives other numbers.

Each system ran at its own full durability, with its own documented settings; where a documented setting was tuned, it
was tuned in its favour: [the systems](#the-systems). Some peers need a server, or a cloud, that no package contains:
they ran on what they bring for tests, which keeps everything in memory. They are marked, and no goal that speaks of
durable peers counts them.
"""

_BOUNDS = """\
## Where the time goes, and where goals end

Four of the goals that are not met have a bound: raw syncs per step, the two of a run of one step, and replay beside the
fastest peer. For the other three this is a profile, and what it would take.

`python -m benchmarks.anatomy` takes a step apart: here 11 times, right after the measurements above, on a machine that
is shared with others and at some moments half as fast. A *floor* is a bare loop of what nobody can leave out who does
this in Python: it decodes, runs the workflow's code, encodes, writes and syncs the same records, and does nothing else.

| microseconds | at best | median |
| --- | --- | --- |
| rulers: write + fdatasync | 83 | 88 |
| rulers: an LMDB commit of one put | 214 | 226 |
| rulers: waking another thread | 18 | 22 |
| a chain of calls, each step: in the commit | 230 | 251 |
| a chain of calls, each step: between two commits | 51 | 53 |
| the same without syncs: between two commits | 34 | 43 |
| a run of one step: its two commits | 275 and 253 | 342 and 294 |
| a run of one step: before, between and after them | 100, 164 and 115 | 148, 194 and 154 |
| 200 x 10, each step: on the clock | 25 | 26 |
| 200 x 10, each step: turns of the worker, without their commits | 18 | 19 |
| 200 x 10, each step: commits | 3.2 | 3.5 |
| 200 x 10, each step: activities; the caller | 1.8; 2.3 | 2.1; 2.8 |
| 200 x 10, each step: floor | 6.0 | 6.6 |
| 200 x 10, each step, when at most 32 results share a commit | 41 | 46 |
| replay, each record | 3.7 | 3.8 |
| replay, each record: decoding; the workflow's own code | 0.4; 0.2 | 0.5; 0.2 |
| replay, each record: floor | 1.3 | 1.3 |

- **200 runs x 10.** Three quarters of a step are Python on the one thread that gives turns: 72 calls of Python
  functions, which feed the result, run the generator, encode, compare what is owed, and put. Commits are an eighth.
  20 x the best durable peer, whose server is written in Rust, would leave 20 us for everything, on one interpreter
  lock: three times the floor, and a fifth less than now.
- **A step of a chain, in LMDB commits.** Its own commit takes 1.1 bare ones, and what lies between two of them
  another 0.24; the measurement above found more. The day before it was 1.26 in all, when a bare commit took 290 us
  instead of 218: the faster the disk, the more our own 50 us count. Nearly half of them, counted in instructions, are
  a turn's, whatever happens in it.
- **A step of a chain, in raw syncs.** A commit of LMDB syncs twice, first the pages, then the head that makes them
  valid, so that a bare one takes 2.5 to 2.6 raw syncs here: 2.5 is out of reach for anything that commits to LMDB at
  full durability before the next call is made.
- **A run of one step.** It needs two commits: the start must be durable before the call is made, and the result
  before it is told. Each writes nine pages in places of their own (row, id, journal, indexes, counters), a step of a
  chain four. The two commits, and waking a thread three times, take 0.70 ms without a line of our own: 3.1 bare
  commits, where the goal is 3, and 1/3.9 of the time of the best durable peer, where the goal is 1/5.
- **Disk.** The first 200 runs grow the file by 516 to 561 bytes per step, as each commit copies the pages of all runs
  before the old ones are free: the file gets three times as long as what it holds. The next 200 runs find that room:
  178 to 194 bytes per step, each time. Smaller commits copy less: with at most 32 results in one it is 268 bytes, and
  each step takes 1.8 times as long. We keep the speed.
- **Replay.** The one peer that is faster hands the stored results to the code, without making commands of what the
  code asks for and without comparing anything: in 1.2 us for each of 1,000. Decoding and comparing alone, the floor,
  takes 1.3.
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
each time: 143,140 at 200 x 10 with the Python above, of 196,329 before the last pass over them.
"""


class Results:
    """What a file of results says."""

    def __init__(self, lines: Iterable[dict[str, Any]]) -> None:
        self.machine: dict[str, Any] = {}
        self.contenders: dict[str, dict[str, Any]] = {}
        self.took_s = 0.0
        self._values: dict[tuple[str, str, int, str], list[float]] = defaultdict(list)
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
            self._values[*where, key].append(value)

    def span(self, contender: str, shape: str, size: int, key: str) -> Span | None:
        """Return median and range."""
        values = self._values.get((contender, shape, size, key))
        return Span(min(values), statistics.median(values), max(values)) if values else None

    def middle(self, contender: str, shape: str, size: int, key: str) -> float | None:
        """Return the median."""
        span = self.span(contender, shape, size, key)
        return None if span is None else span.middle

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
        found = goal.found(results.middle, results.durable)
        verdict = "not measured" if found is None else "**met**" if goal.is_met(found) else "not met"
        number = "" if found is None else f"{_number(found)} {goal.unit}"
        rows.append((goal.words, goal.wanted, number, verdict))
    head = "## Goals\n\nThey were set before the first measurement, as ratios within one run.\n\n"
    return head + _table(("measure", "goal", "measured", ""), rows)


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
    ours = results.middle(_OURS, shape.name, size, main.key)
    theirs = results.middle(name, shape.name, size, main.key)
    if name in (_OURS, _LIMITS) or not ours or not theirs:
        return ""
    return f"{_number(ours / theirs if main.more_is_better else theirs / ours)} x"


def _in_commits(results: Results, shape: Shape, size: int, name: str) -> str:
    speed = results.middle(name, shape.name, size, "per_s")
    sizes = results.sizes("limits")
    commit = results.middle(_LIMITS, "limits", sizes[0], "lmdb_commit_us") if sizes else None
    return _number(1e6 / speed / commit) if speed and commit else ""


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

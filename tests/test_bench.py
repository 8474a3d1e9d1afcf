"""The runner of the benchmarks and its page: that nothing is left out silently, and nothing runs for ever."""

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import lmdb
import pytest

from benchmarks import floors, report
from benchmarks.bench import Bench
from benchmarks.peers import contender as contenders
from benchmarks.peers.contender import Contender, Failed, Overtime, Unavailable, environment
from benchmarks.report import Results
from benchmarks.shapes import GOALS, SHAPES, Measure, Shape, Size
from interp import Workflow, activity, call
from interp.definitions import activity_of
from interp.events import Completed, decode_transition

STEPS = Shape("one_run", "1 run of {} steps", (Size(10), Size(20, peers=1)), 1, 5, (Measure("per_s", "steps/s"),))


class Peer(Contender):
    """Answers from a function, where others start a process."""

    title = "A peer"
    shapes = frozenset({"one_run"})
    durability = "all of it"
    settings = "defaults"

    def __init__(self, name: str, answer: Callable[[int], float]) -> None:
        super().__init__()
        self.asked: list[int] = []
        self._named, self._answer = name, answer

    @property
    def name(self) -> str:  # type: ignore[override]
        return self._named

    def run(self, shape: str, size: int, directory: Path, limit_s: float) -> dict[str, float]:
        assert not [*directory.iterdir()]
        self.asked.append(size)
        return {"per_s": self._answer(size)}


class Program(Contender):
    """A system whose driver is a program of the test's."""

    name = "program"
    title = "A program"
    shapes: ClassVar[frozenset[str]] = frozenset()
    driver = "driver.py"
    durability = settings = ""


def too_long(size: int) -> float:
    raise Overtime


def broken(size: int) -> float:
    raise Failed("of itself")


def bench(path: Path) -> Bench:
    return Bench(path / "results.jsonl", quick=False)


def measure(path: Path, *peers: Peer, rounds: int = 3) -> list[dict[str, Any]]:
    measuring = bench(path)
    measuring.run([*measuring.plan([*peers], [STEPS], rounds)])
    return [json.loads(line) for line in (path / "results.jsonl").read_text().splitlines()]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders, "ROOT", tmp_path)
    monkeypatch.setattr("benchmarks.bench.ROOT", tmp_path)
    monkeypatch.setattr(contenders, "_PEERS", tmp_path / ".peers")
    monkeypatch.setattr("benchmarks.bench._MOST_TIMES", 1)


def test_systems_take_turns(tmp_path: Path) -> None:
    lines = measure(tmp_path, Peer("a", float), Peer("b", float), rounds=2)

    assert ["a", "b", "a", "b", "b", "a"] == [line["contender"] for line in lines]
    assert [(0, 10), (0, 10), (0, 20), (0, 20), (1, 10), (1, 10)] == [(line["round"], line["size"]) for line in lines]


def test_a_system_that_takes_too_long_is_not_asked_for_more(tmp_path: Path) -> None:
    slow, quick = Peer("slow", too_long), Peer("quick", float)
    lines = measure(tmp_path, slow, quick)

    assert [10] == slow.asked
    assert [10, 20, 10, 10] == quick.asked
    assert ["more than 5 s"] == [line["problem"] for line in lines if line["contender"] == "slow"]


def test_what_takes_moments_is_repeated_and_the_median_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.bench._MOST_TIMES", 3)
    answers = iter([7.0, 1.0, 5.0, 2.0, 2.0, 2.0])
    lines = measure(tmp_path, Peer("a", lambda _: next(answers)), rounds=1)

    assert [5.0, 2.0] == [line["numbers"]["per_s"] for line in lines]
    assert [3, 3] == [line["times"] for line in lines]


def test_what_takes_longer_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.bench._MOST_TIMES", 3)
    monkeypatch.setattr("benchmarks.bench._SHORT_S", 0)
    peer = Peer("a", float)
    measure(tmp_path, peer, rounds=1)

    assert [10, 20] == peer.asked


def test_a_system_that_fails_gets_a_second_chance(tmp_path: Path) -> None:
    peer = Peer("broken", broken)
    measure(tmp_path, peer, rounds=5)

    assert [10, 20, 10] == peer.asked


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    first, second = Peer("a", float), Peer("a", float)
    measure(tmp_path, first, rounds=1)
    lines = measure(tmp_path, second, rounds=2)

    assert ([10, 20], [10]) == (first.asked, second.asked)
    assert 3 == len(lines)


def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, seconds: float = 20) -> dict[str, float]:
    monkeypatch.setattr(contenders, "_DRIVERS", tmp_path)
    (tmp_path / "driver.py").write_text(program)
    return Program().drive("part", 1, "place", time.monotonic() + seconds)


def test_what_a_driver_prints_besides_its_answer_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"per_s": 1.5} == drive(tmp_path, monkeypatch, "print('hello')\nprint('{\"per_s\": 1.5}')")


def is_over(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"  # dead, and nobody has collected it


def test_a_driver_that_takes_too_long_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(started)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    with pytest.raises(Overtime):
        drive(tmp_path, monkeypatch, program, seconds=1.5)

    assert is_over(int(started.read_text()))


def test_a_driver_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failed, match=r"part of 1: .*ZeroDivisionError: division by zero"):
        drive(tmp_path, monkeypatch, "1 / 0")


def test_a_python_that_is_not_there_is_told() -> None:
    with pytest.raises(Unavailable, match=r"it needs Python 3\.90, and none is installed beside 3\."):
        environment("none", (), (3, 90))


def contender(name: str, **more: Any) -> dict[str, Any]:
    about = {"version": f"{name} 1", "durability": "all", "settings": "", "is_durable": True, "cannot": {}}
    return {"kind": "contender", "name": name, "title": name.title(), "shapes": ["one_run"], **about, **more}


def measurement(name: str, shape: str, size: int, number: int = 0, **more: Any) -> dict[str, Any]:
    line = {"kind": "measurement", "round": number, "shape": shape, "size": size, "contender": name, "took_s": 1}
    return {**line, **more}


MACHINE = {
    "kind": "machine",
    **dict.fromkeys(
        ("when", "processor", "processors", "memory_gib", "kernel", "file_system", "python", "commit", "load"), "?"
    ),
}


def page(*lines: dict[str, Any]) -> str:
    return report.page(Results([MACHINE, *lines]), set())


def test_the_page_gives_median_range_and_ratio() -> None:
    speeds = [
        measurement(name, "one_run", 1_000, number, numbers={"per_s": speed})
        for name, all_of_them in (("interp", (900, 1_000, 1_300)), ("peer", (200, 250, 260)))
        for number, speed in enumerate(all_of_them)
    ]
    found = page(contender("interp"), contender("peer"), *speeds)

    assert "| **Interp** | 1,000 (900 - 1,300) |" in found
    assert "| Peer | 250 (200 - 260) | 4.50 x |" in found
    assert "| 1 run x 1,000 steps | >= 3 x the best durable peer | 4.50 x | **met** |" in found


def test_what_is_compared_was_measured_in_the_same_round() -> None:
    speeds = {"interp": (1_000, 500, 1_100), "peer": (100, 49, 100)}  # the machine was slow in the second round
    found = page(
        contender("interp"),
        contender("peer"),
        contender("limits"),
        *(
            measurement(name, "one_run", 1_000, number, numbers={"per_s": speed})
            for name, all_of_them in speeds.items()
            for number, speed in enumerate(all_of_them)
        ),
        *(
            measurement("limits", "limits", 300, number, numbers={"lmdb_commit_us": commit})
            for number, commit in enumerate((500, 1_000))
        ),
    )

    # Of medians it would be 10.0 x, and 1.33 commits.
    assert "| Peer | 100 (49 - 100) | 10.2 x |" in found
    assert "| 1 run x 1,000 steps, per step | <= 1.3 LMDB commits | 2.00 commits | not met |" in found


def test_what_was_measured_in_fewer_rounds_counts_for_the_others() -> None:
    found = page(
        contender("interp"),
        contender("peer"),
        *(measurement("interp", "one_run", 1_000, number, numbers={"per_s": 100 + number}) for number in range(3)),
        measurement("peer", "one_run", 1_000, 0, numbers={"per_s": 10}),
        measurement("peer", "listing", 10_000, 4, numbers={"per_s": 10}),
    )

    assert "| Peer | 10 | 10.1 x |  | 1 |" in found


def test_the_page_leaves_nobody_out() -> None:
    found = page(
        contender("interp"),
        contender("slow"),
        contender("absent", version=None, reason="no wheel for this platform"),
        contender("other", cannot={"one_run": "it has no steps"}),
        measurement("interp", "one_run", 100, numbers={"per_s": 10}),
        measurement("slow", "one_run", 100, problem="more than 90 s"),
        measurement("interp", "one_run", 1_000, numbers={"per_s": 10}),
    )

    assert "| Slow | more than 90 s |" in found
    assert "| Slow | not asked: a smaller size took more than 90 s |" in found
    assert 3 == found.count("| Absent | cannot be set up here: no wheel for this platform |")
    assert "Not measured: Other (it has no steps)." in found


def test_goals_that_speak_of_durable_peers_do_not_count_the_others() -> None:
    found = page(
        contender("interp"),
        contender("volatile", is_durable=False),
        contender("durable"),
        *(
            measurement(name, "many_runs", 200, numbers={"per_s": speed})
            for name, speed in (("interp", 1_000), ("volatile", 5_000), ("durable", 10))
        ),
    )

    assert "| 200 runs x 10 steps | >= 20 x the best durable peer | 100 x | **met** |" in found


def test_every_goal_asks_for_what_is_measured() -> None:
    asked = set()

    def middle(name: str, shape: str, size: int, key: str) -> float:
        asked.add((shape, size, key))
        return 1.0

    for goal in GOALS:
        assert goal.found(middle, ["dbos-sqlite"]) is not None
    measured = {
        (shape.name, size.count, measure.key)
        for shape in SHAPES
        for size, measure in itertools.product(shape.sizes, shape.measures)
    }

    assert asked <= measured


@activity
def double(number: int) -> int:
    return 2 * number


def doubling(length: int) -> Workflow[int]:
    number = 1
    for _ in range(length):
        number = yield from call(double, number)
    return number


def tripling(length: int) -> Workflow[int]:
    return (yield from call(double, 3 * length))


def test_the_bare_loop_writes_what_a_replay_can_read(tmp_path: Path) -> None:
    floors.steps_at_once(tmp_path, [doubling(2), doubling(3)])

    with lmdb.open(str(tmp_path), readonly=True) as env, env.begin() as txn:
        written = [(key[:8], value) for key, value in txn.cursor()]
    first, second = ([value for key, value in written if key[-1] == run] for run in (0, 1))
    assert [len(first), len(second)] == [3, 4]
    assert decode_transition(second[-1]).outcome == Completed(b"8")
    floors.replayed(doubling(3), activity_of(double), second)


def test_the_bare_chain_writes_what_a_replay_can_read(tmp_path: Path) -> None:
    floors.chained(tmp_path, doubling(3))

    with lmdb.open(str(tmp_path), readonly=True, max_dbs=1) as env:
        journal = env.open_db(b"journal", create=False)
        with env.begin(db=journal) as txn:
            records = [value for _, value in txn.cursor()]
    assert decode_transition(records[-1]).outcome == Completed(b"8")
    floors.replayed(doubling(3), activity_of(double), records)


def test_the_bare_replay_compares(tmp_path: Path) -> None:
    floors.steps_at_once(tmp_path, [doubling(1)])
    with lmdb.open(str(tmp_path), readonly=True) as env, env.begin() as txn:
        records = [value for _, value in txn.cursor()]

    with pytest.raises(AssertionError, match="the code has changed"):
        floors.replayed(tripling(1), activity_of(double), records)

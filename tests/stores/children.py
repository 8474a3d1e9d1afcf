"""Programs that tests run as processes of their own, to be killed: `python -m tests.stores.children NAME ARGUMENT ...`.

A child tells by a line on its output how far it is, and waits by reading its input: nobody sleeps.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from interp.errors import UnknownStore
from interp.store import Append, Batch, Create, Post, RunFilter, Status, Store
from stores import _lmdb_env, lmdb

RUNS = ("a", "b", "c")
FOREVER_US = 1 << 60


@attrs.frozen
class Child:
    """A running child."""

    process: subprocess.Popen[str]

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def rest(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.read().splitlines()

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.line()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def child(name: str, *arguments: str, before: tuple[str, ...] = ()) -> Iterator[Child]:
    """Run a program of this file; whatever is left of it is killed in the end."""
    command = [*before, sys.executable, "-m", "tests.stores.children", name, *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


def say(word: object) -> None:
    print(word, flush=True)


def wait() -> None:
    sys.stdin.readline()


def record(run_id: str, index: int) -> bytes:
    return f"{run_id}:{index}:".encode() + bytes(index % 300)


def commit(url: str) -> None:
    """Append to all runs in each batch for ever; say each length when it is acknowledged."""
    store = lmdb.open(url)
    store.commit(Batch(creates=[Create(run_id, "w", b"", b"", worker="ann") for run_id in RUNS]), 1)
    row = store.run(RUNS[0])
    assert row is not None
    length = row.length
    while True:
        size = 1 + length % 4
        appends = [
            Append(
                run_id, 1, length, [record(run_id, length + n) for n in range(size)], Status.RUNNING, length, 2 + length
            )
            for run_id in RUNS
        ]
        assert store.commit(Batch(appends=appends), 2) == []
        length += size
        say(length)


def make(url: str) -> None:
    """Make a store."""
    say("making")
    wait()
    lmdb.open(url).create(Create(str(os.getpid()), "w", b"", b""), 1)
    say("made")


def work(url: str) -> None:
    """Claim everything as a registered worker, and be reachable."""
    store = lmdb.open(url)
    store.register("ann")
    claims = store.claim("ann", 10, 1, 0).claims
    store.changed(0)
    store.changed(0.001)
    say(len(claims))
    wait()


def watch(url: str) -> None:
    """Wait for a change without ever looking by itself."""
    _lmdb_env._LOOK_S = 3600
    store = lmdb.open(url)
    store.changed(0)
    store.changed(0.001)
    say("waiting")
    say(store.changed(60))


def perform(store: Store, worker: str, deed: str, run_id: str, now_us: int) -> str:
    """Do one thing to a run, as it stands; say what came of it."""
    row = store.run(run_id)
    length = 0 if row is None else row.length
    tokens = {"append": row.token if row else 0, "stale": row.token - 1 if row else 0, "ahead": row.token if row else 0}
    match deed:
        case "create":
            return str(store.commit(Batch(creates=[Create(run_id, "w", b"", b"start", worker=worker)]), now_us))
        case "post":
            return str(store.commit(Batch(posts=[Post(run_id, b"message")]), now_us))
        case "claim":
            return str(store.claim(worker, 10, now_us, 5))
        case "wait":
            append = Append(run_id, tokens["append"], length, [b"waits"], Status.WAITING, now_us + 20, now_us)
        case "end":
            append = Append(run_id, tokens["append"], length, [b"ends"], Status.COMPLETED, None, now_us)
        case "anew":
            append = Append(run_id, tokens["append"], 0, [b"anew"], Status.RUNNING, None, now_us, restart=True)
        case _:
            index = length + (deed == "ahead")
            append = Append(run_id, tokens[deed], index, [b"one", b"two"], Status.RUNNING, None, now_us)
    return str(store.commit(Batch(appends=[append], by=worker), now_us))


def obey(url: str, worker: str) -> None:
    """Do what the lines on the input say, on a store that stays open."""
    store = lmdb.open(url)
    say("ready")
    for line in sys.stdin:
        deed, run_id, now_us = line.split()
        say(perform(store, worker, deed, run_id, int(now_us)))


def read(url: str) -> None:
    """Stop in the middle of a read transaction."""
    store = lmdb.open(url)

    def stop(_: object) -> None:
        say("reading")
        wait()

    store._env.read(stop)


def look(url: str) -> None:
    """Read everything over and over, as a look without leaving a trace; say how much was there each time."""
    reader = lmdb.open_reader(url)
    while True:
        rows = reader.runs(RunFilter())
        histories = {row.id: list(reader.history(row.id)) for row in rows}
        for run_id, records in histories.items():
            assert records == [record(run_id, index) for index in range(len(records))]
        say(min(map(len, histories.values()), default=0))


def look_still(url: str) -> None:
    """Stop in the middle of reading, as a look without leaving a trace."""
    reader = lmdb.open_reader(url)

    def stop(_: object) -> None:
        say("reading")
        wait()

    reader._env.read(stop)


def fork(url: str) -> None:
    """Use a store in a forked child and then in its parent."""
    store = lmdb.open(url)
    store.register("ann")
    store.changed(0)
    store.changed(0.001)
    pid = os.fork()
    if pid == 0:
        store.post(Post("a", b"from the child"), 2)
        store.close()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0
    store.post(Post("a", b"from the parent"), 3)
    say("forked")
    wait()


def hold(url: str) -> None:
    """Keep a store open, with a slot among its readers."""
    try:
        store = lmdb.open(url)
        store.run("a")
    except UnknownStore as error:
        say(error)
    else:
        say("open")
    wait()


if __name__ == "__main__":
    programs: dict[str, Callable[..., None]] = {
        program.__name__: program for program in (commit, make, work, watch, read, look, look_still, fork, hold, obey)
    }
    programs[sys.argv[1]](*sys.argv[2:])

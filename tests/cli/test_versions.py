"""Versions on the command line: which one is started, which are listed, and what is said of those that nobody has."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from interp.events import Started, encode_event
from interp.runtime import open_store
from interp.store import Append, Batch, Create, Status
from tests.cli.command import Told

Interp = Callable[..., Told]
Begin = Callable[..., "subprocess.Popen[str]"]

VERSIONS = """
from interp import await_signal, workflow

@workflow(name="renewal")
def renewal_v1(n: int):
    yield from await_signal("go")
    return f"{n} by 1"

@workflow(name="renewal", version=2)
def renewal(n: int):
    return f"{n} by 2"
    yield
"""


def deploy(place: Path, source: str = VERSIONS) -> None:
    (place / "renewals.py").write_text(source)


def test_a_name_starts_the_newest_and_a_function_or_a_version_itself(interp: Interp, place: Path) -> None:
    deploy(place)

    assert '"7 by 2"\n' == interp("run", "renewals.py", "7").out, "a module with one workflow, in two versions"
    assert '"7 by 2"\n' == interp("run", "renewals.py:renewal", "7").out
    assert '"7 by 2"\n' == interp("run", "renewals.py:renewal@2", "7").out


def test_lists_take_all_versions_or_one_and_open_runs_alone(inline: Interp, place: Path) -> None:
    store = open_store("lmdb:.interp")
    for run_id, workflow in (("old", "renewal"), ("new", "renewal@2"), ("ended", "renewal"), ("other", "renewals")):
        started = encode_event(Started(workflow, b"[1]", bytes(16)))
        store.create(Create(run_id, workflow, b"", started, worker="ann"), 1)
    store.commit(Batch(appends=[Append("ended", 1, 0, [], Status.COMPLETED, None, 2)]), 2)
    store.close()

    def listed(*options: str) -> list[str]:
        return [run["id"] for run in inline("list", "--json", *options).json["runs"]]

    assert ["ended", "new", "old"] == listed("--workflow", "renewal")
    assert ["ended", "old"] == listed("--workflow", "renewal@1")
    assert ["old"] == listed("--workflow", "renewal@1", "--open")
    assert ["new"] == listed("--workflow", "renewal@2")
    assert ["other", "new", "old"] == listed("--open")
    assert [] == listed("--open", "--status", "completed")
    assert "no such runs in lmdb:.interp\n" == inline("list", "--workflow", "renewal@3", "--open").out


def test_check_and_worker_say_which_version_is_not_there(interp: Interp, place: Path, begin: Begin) -> None:
    deploy(place)
    store = open_store("lmdb:.interp")
    store.create(Create("lost", "renewal@3", b"", encode_event(Started("renewal@3", b"[1]", bytes(16)))), 1)
    store.create(Create("old", "renewal", b"", encode_event(Started("renewal", b"[1]", bytes(16)))), 1)
    store.close()

    checked = interp("check", "renewals.py")
    assert 1 == checked.code
    assert "no workflow is registered as 'renewal@3' (known: renewal" in checked.out
    assert 0 == interp("check", "renewals.py", "--workflow", "renewal@1").code
    told = begin("worker", "renewals.py").stderr
    assert told is not None
    # It is said in the background, when the worker is at work already.
    expected = "1 open run of renewal@3 (lost) cannot be moved here; registered: renewal@1, renewal@2"
    assert any(expected in line for line in told)

"""Parked runs that a deploy fits again go on by themselves, and workers of different code do not fight over them."""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp import Engine, RunFilter, RunParked, Status, Workflow, activity, await_signal, call, workflow
from interp.definitions import workflow_of
from interp.events import Signalled, encode_event
from interp.runtime import deploys, open_store
from interp.runtime.checking import Checked, Verdict
from interp.runtime.retrying import retry
from interp.store import Append, Batch, Create, Post, Release, Store
from tests.runtime.helpers import WAIT, eventually, kinds

ROOT = Path(__file__).parents[2]


@activity
def twice(n: int) -> int:
    return 2 * n


def good(name: str) -> Callable[[], Workflow[str]]:
    @workflow(name=name)
    def deployed() -> Workflow[str]:
        n = yield from call(twice, 1)
        return f"{n}{yield from await_signal('go', str)}"

    return deployed


def bad(name: str) -> Callable[[], Workflow[str]]:
    @workflow(name=name)
    def deployed() -> Workflow[str]:
        n = yield from call(twice, 2)
        return f"{n}{yield from await_signal('go', str)}"

    return deployed


def parked_by_a_bad_deploy(url: str, name: str, ids: tuple[str, ...] = ("one",)) -> None:
    """Start runs with good code, and let bad code park them."""
    with Engine(url) as engine:
        for run_id in ids:
            _ = engine.start(good(name), id=run_id)
        eventually(lambda: all(row.status is Status.WAITING for row in engine.runs()))
    bad(name)
    with Engine(url) as engine:
        for run_id in ids:
            run = engine.get(run_id)
            run.signal("go", "!")
            with pytest.raises(RunParked, match="diverged"):
                run.result(WAIT)
            assert run.row.misfit


def looked(engine: Engine) -> None:
    """Wait until an engine has looked around."""
    (thread,) = [thread for thread in engine._threads if thread.name == "interp-deploy"]  # pyright: ignore[reportPrivateUsage]
    thread.join(WAIT.total_seconds())
    assert not thread.is_alive()


def test_a_parked_run_goes_on_by_itself_when_a_deploy_fits_it_again(url: str, caplog: pytest.LogCaptureFixture) -> None:
    parked_by_a_bad_deploy(url, "fits_again")
    good("fits_again")
    caplog.set_level(logging.INFO, "interp")

    with Engine(url) as engine:
        run = engine.get("one")
        looked(engine)

        assert "2!" == run.result(WAIT)
        assert ["Started", "Resolved", "Signalled"] == kinds(run), "nothing was done again"
    assert "run one of fits_again fits the code as it is now, and goes on" in caplog.messages


def test_a_deploy_that_does_not_fit_leaves_it_parked_with_its_reason(url: str) -> None:
    parked_by_a_bad_deploy(url, "fits_never")
    with Engine(url) as engine:
        before = engine.get("one").row
        looked(engine)

        assert before == engine.get("one").row
        assert before.misfit and "diverged" in before.reason


def test_runs_that_are_parked_for_another_reason_are_left(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code fits their history: nobody knows whether what had parked them is mended."""

    @workflow(name="breaks_live")
    def breaks() -> Workflow[str]:
        yield from await_signal("go", str)
        raise KeyboardInterrupt

    with Engine(url) as engine:
        run = engine.start(breaks, id="one")
        run.signal("go", "!")
        with pytest.raises(RunParked, match="the interpreter failed"):
            run.result(WAIT)

    good_again: list[str] = []

    @workflow(name="breaks_live")
    def mended() -> Workflow[str]:
        good_again.append("replayed")
        return (yield from await_signal("go", str))

    with Engine(url) as engine:
        looked(engine)

        assert (Status.PARKED, False) == (engine.get("one").status, engine.get("one").row.misfit)
        assert [] == good_again


def test_code_releases_a_run_once_and_then_leaves_it_to_people(url: str, caplog: pytest.LogCaptureFixture) -> None:
    parked_by_a_bad_deploy(url, "once_only")
    definition = workflow_of(good("once_only"))
    code = deploys.fingerprint(definition)
    store = open_store(url)
    assert store.unpark("one", 1, Release("gone", code)), "as an engine of this code did, which was lost"
    bad("once_only")
    with Engine(url) as engine, pytest.raises(RunParked):
        engine.get("one").result(WAIT)
    assert (code,) == store.run("one").released_by  # type: ignore[union-attr]

    good("once_only")
    with Engine(url) as engine:
        looked(engine)
        assert Status.PARKED is engine.get("one").status
        assert any("run one is parked and fits this code, which has released it before" in m for m in caplog.messages)

        engine.get("one").retry()

        assert "2!" == engine.get("one").result(WAIT)
    store.close()


def test_what_is_remembered_of_releases_is_forgotten_when_somebody_acts(url: str) -> None:
    parked_by_a_bad_deploy(url, "forgets_releases")
    store = open_store(url)
    assert store.unpark("one", 1, Release("gone", "c0de"))
    with Engine(url) as engine, pytest.raises(RunParked):
        engine.get("one").result(WAIT)
    retry(store, "one")
    with Engine(url) as engine, pytest.raises(RunParked):
        engine.get("one").result(WAIT)

    assert () == store.run("one").released_by  # type: ignore[union-attr]
    store.close()


def test_whoever_releases_a_run_owns_it_at_once(url: str) -> None:
    parked_by_a_bad_deploy(url, "owned")
    store = open_store(url)
    store.renew("ann", 1, 10**18)
    row = store.run("one")
    assert row is not None and store.unpark("one", 5, Release("ann", "c0de"))

    assert () == store.claim("bob", 10, 10, 10**6, {"owned"}).claims
    (claim,) = store.claim("ann", 10, 10, 10**6, {"owned"}).claims
    assert ("ann", row.token + 1, None) == (claim.run.owner, claim.run.token, claim.lost)
    assert not store.unpark("one", 6, Release("cy", "f00d")), "the second of two is too late"
    store.close()


def test_the_look_around_stops_with_its_engine_and_keeps_to_its_share(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parked_by_a_bad_deploy(url, "many", tuple(f"run-{n}" for n in range(5)))
    good("many")
    pauses: list[float] = []

    class Stopped:
        """An event that notes how long is waited, and is set after two runs."""

        def is_set(self) -> bool:
            return len(pauses) == 2

        def wait(self, timeout: float) -> None:
            pauses.append(timeout)

    store = open_store(url)
    deploy = deploys.Deploy(store, "ann", lambda: datetime(2026, 1, 1, tzinfo=UTC))
    deploy.look(Stopped())  # type: ignore[arg-type]

    assert 2 == sum(row.owner == "ann" for row in store.runs(RunFilter()))
    assert all(pause >= 0.02 for pause in pauses)
    store.close()


def test_a_store_that_fails_ends_the_look_around_and_nothing_else(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Any, *args: Any, **options: Any) -> None:
        raise OSError("no disk")

    monkeypatch.setattr(deploys.Deploy, "_slowly", broken)
    with Engine(url) as engine:
        looked(engine)
        run = engine.start(good("unharmed_by_the_look"))
        run.signal("go", "!")

        assert "2!" == run.result(WAIT)
    assert "looking after parked runs has ended early: no disk" in caplog.text


def test_the_fingerprint_follows_the_workflow() -> None:
    codes = [deploys.fingerprint(workflow_of(made("fingerprinted"))) for made in (good, bad, good)]

    assert codes[0] == codes[2] != codes[1]


def test_the_fingerprint_follows_a_part_in_the_same_file(tmp_path: Path) -> None:
    def deployed(cents: int) -> str:
        (tmp_path / "fingerprinted_shop.py").write_text(SHOP.format(ledger="", cents=cents))
        spec = importlib.util.spec_from_file_location("fingerprinted_shop", tmp_path / "fingerprinted_shop.py")
        assert spec is not None and spec.loader is not None
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        definition = workflow_of(module.shop_order)
        codes.append(definition.code)
        return deploys.fingerprint(definition)

    codes: list[str] = []
    cheap, dear = deployed(100), deployed(2000)
    del sys.modules["fingerprinted_shop"]

    assert codes[0] == codes[1], "the workflow itself has not changed, only what it delegates to"
    assert cheap != dear


class _Never:
    """An event that is never set, and for which nobody waits."""

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float) -> None: ...


CODES = st.sampled_from(["a", "b", "c"])


@given(st.lists(st.tuples(st.sampled_from(["start", "claim", "die"]), CODES), max_size=40), st.frozensets(CODES))
def test_whatever_workers_do_each_code_releases_a_run_at_most_once(
    happened: list[tuple[str, str]], fitting: frozenset[str]
) -> None:
    """The worst case: whoever gets the run parks it again, even with the code that has released it."""
    store = open_store("memory:")
    store.create(Create("one", "contended", b"", b"", worker="first"), 1)

    def park(token: int) -> None:
        append = Append("one", token, 0, [], Status.PARKED, None, 1, reason="diverged", misfit=True)
        assert [] == store.commit(Batch(appends=[append]), 1)

    park(1)
    released: list[str] = []
    for what, code in happened:
        before = store.run("one")
        assert before is not None
        if what == "start":
            verdict = Verdict.FITS if code in fitting else Verdict.DIVERGES
            with (
                mock.patch.object(deploys, "find_workflow"),
                mock.patch.object(deploys, "fingerprint", return_value=code),
                mock.patch.object(deploys, "check_run", return_value=Checked(before, verdict)),
            ):
                store.renew(code, 1, 100)
                deploys.Deploy(store, code, lambda: datetime(1970, 1, 1, tzinfo=UTC)).look(_Never())  # type: ignore[arg-type]
            after = store.run("one")
            assert after is not None
            released += [code] * (after.status is not before.status)
        elif what == "claim":
            for claim in store.claim(code, 1, 1, 100).claims:
                park(claim.run.token)
        else:
            store.resign(code)

    assert len(set(released)) == len(released)
    assert set(released) <= fitting
    store.close()


# --- workers of different code, and kills, with real processes ---

SHOP = """
from datetime import timedelta
from interp import Engine, activity, await_signal, call, workflow

@activity
def charge(order: str, cents: int) -> str:
    with open({ledger!r}, "a") as file:
        file.write(order + "\\n")
    return f"charged {{cents}}"

def part(order):
    return (yield from call(charge, order, {cents}))

@workflow
def shop_order(order: str):
    receipt = yield from part(order)
    yield from await_signal("go")
    return receipt

if __name__ == "__main__":
    import sys
    url, *orders = sys.argv[1:]
    with Engine(url, grace=timedelta(0)) as engine:
        for order in orders:
            engine.start(shop_order, order, id=order)
        print("ready", flush=True)
        sys.stdin.read()
"""


@contextmanager
def shop(directory: Path, url: str, cents: int, *orders: str) -> Iterator[subprocess.Popen[str]]:
    """Deploy the shop with a price, in a process of its own, until it is killed."""
    file = directory / "shop.py"
    file.write_text(SHOP.format(ledger=str(directory / "ledger"), cents=cents))
    command = [sys.executable, str(file), url, *orders]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None and "ready\n" == process.stdout.readline()
            yield process
        finally:
            process.kill()


def statuses(store: Store) -> list[Status]:
    return [row.status for row in store.runs(RunFilter())]


def test_kills_and_workers_of_two_deploys_lose_nothing_and_do_not_play_ping_pong(tmp_path: Path, lmdb_url: str) -> None:
    orders = [f"order-{n}" for n in range(6)]
    with shop(tmp_path, lmdb_url, 100, *orders):
        store = open_store(lmdb_url)
        eventually(lambda: [Status.WAITING] * 6 == statuses(store))
    with shop(tmp_path, lmdb_url, 200):
        for order in orders:
            store.post(_go(order), _now_us())
        eventually(lambda: [Status.PARKED] * 6 == statuses(store))
        assert all(row.misfit for row in store.runs(RunFilter()))

        with shop(tmp_path, lmdb_url, 100):  # beside the other one; killed somewhere in the middle
            eventually(lambda: Status.COMPLETED in statuses(store))
        released = statuses(store)
        eventually(lambda: set(statuses(store)) <= {Status.PARKED, Status.COMPLETED})
        assert Status.COMPLETED in released

    with shop(tmp_path, lmdb_url, 100):
        mine = {row.id for row in store.runs(RunFilter()) if row.released_by}
        eventually(
            lambda: (
                {row.id for row in store.runs(RunFilter(frozenset({Status.PARKED})))} == mine
                and set(statuses(store)) <= {Status.PARKED, Status.COMPLETED}
            )
        )
        for run_id in mine:  # those that the bad code parked again when their releaser was killed
            retry(store, run_id)
        eventually(lambda: [Status.COMPLETED] * 6 == statuses(store))
    store.close()

    assert sorted(orders) == sorted((tmp_path / "ledger").read_text().split()), "each was charged once, at one price"


def _go(order: str) -> Post:
    return Post(order, encode_event(Signalled("go", b"null")))


def _now_us() -> int:
    return int(datetime.now(UTC).timestamp() * 1_000_000)

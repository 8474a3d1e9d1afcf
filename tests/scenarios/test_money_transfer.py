"""Scenario: an exactly-once ledger in the store's own database. The sum never changes, whoever is killed when."""

import os
import random
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from examples.scenarios.money_transfer import (
    ACCOUNTS,
    SUM_CENTS,
    TRANSIT,
    Transfer,
    balance,
    make_all,
    open_accounts,
    orders,
)
from interp import Engine
from interp.store import RunFilter, Store, Transactional
from stores import lmdb

ROOT = Path(__file__).parents[2]
TRANSFERS = 200

# Nothing takes so long; whoever waits so long has found a bug.
WAIT_S = 120


@pytest.fixture
def chance() -> random.Random:
    seed = os.environ.get("INTERP_CRASH_SEED") or secrets.token_hex(4)
    print(f"INTERP_CRASH_SEED={seed}")
    return random.Random(seed)


def ledger(store: Store) -> Counter[str]:
    """Look at the tables at one moment: the sum is what it was; returns how often each transfer moved money."""
    assert isinstance(store, Transactional)
    with store.transaction(write=False) as tx:
        holdings = [balance(tx, account) for account in (*ACCOUNTS, TRANSIT)]
        lines = [line.decode().partition(":")[0] for _, line in tx.table("ledger").scan()]

    assert SUM_CENTS == sum(holdings)
    assert min(holdings) >= 0
    return Counter(lines)


def outcomes(store: Store) -> dict[str, str]:
    """Make some more transfers, undisturbed, and let all others end; returns what each run says of itself."""
    with Engine(store) as engine:
        make_all(engine, orders("last", TRANSFERS))
        return {row.id: engine.get(row.id).result() for row in store.runs(RunFilter())}


@contextmanager
def crowd(url: str, batch: str, size: int) -> Iterator["list[subprocess.Popen[bytes]]"]:
    """Start several programs that make the same transfers; gives them when all are at work, and ends them."""
    command = [sys.executable, "-m", "examples.scenarios.money_transfer", f"--store={url}", f"--batch={batch}"]
    command += [f"--transfers={TRANSFERS}"]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(size)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert b"open\n" == process.stdout.readline()
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def killed_at_random(tmp_path: Path, chance: random.Random, *, lives: int, size: int) -> None:
    """Kill all programs, one after the other, in each of their lives, and look at the tables all the time."""
    url = f"lmdb://{tmp_path}/bank"
    killed = 0
    with closing(lmdb.open(url)) as store:
        for life in range(lives):
            with crowd(url, f"batch{life}", size) as processes:
                for process in processes:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(chance.uniform(0, 0.1))
                    process.kill()
                    killed += process.wait(WAIT_S) != 0
                    ledger(store)
        moves = {"made": 2, "returned": 2, "refused": 0}
        expected = Counter({run_id: moves[outcome] for run_id, outcome in outcomes(store).items()})

        assert killed
        assert len(expected) >= TRANSFERS
        assert +expected == ledger(store)


def test_each_transfer_is_made_exactly_once_whoever_is_killed(tmp_path: Path, chance: random.Random) -> None:
    killed_at_random(tmp_path, chance, lives=4, size=2)


@pytest.mark.soak
def test_each_transfer_is_made_exactly_once_under_hundreds_of_kills(tmp_path: Path, chance: random.Random) -> None:
    killed_at_random(tmp_path, chance, lives=100, size=4)


def test_transfers_that_nobody_disturbs_end_in_every_way() -> None:
    with Engine("memory:") as engine:
        open_accounts(engine)
        transfers = orders("calm", 80)
        made = make_all(engine, transfers)

        assert {"made", "returned", "refused"} == set(made.values())
        assert SUM_CENTS == sum(holdings(engine).values())
        assert 0 == holdings(engine)[TRANSIT]


def test_a_transfer_that_is_asked_for_again_is_the_one_that_was_made() -> None:
    transfer = Transfer("rent", "ada", "bob", 1_000)
    with Engine("memory:") as engine:
        open_accounts(engine)

        assert {"rent": "made"} == make_all(engine, [transfer])
        assert {"rent": "made"} == make_all(engine, [transfer])
        assert 9_000 == holdings(engine)["ada"]


def holdings(engine: Engine) -> dict[str, int]:
    with engine.transaction(write=False) as tx:
        return {account: balance(tx, account) for account in (*ACCOUNTS, TRANSIT)}

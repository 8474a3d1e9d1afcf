"""Transfers between accounts that are kept in the store itself: each is made exactly once, whatever is killed when.

    python -m examples.scenarios.money_transfer [--store lmdb:bank] [--transfers 200]

Money leaves one account and, once the transfer was looked at, enters another; in between it is in transit. Each move is
one `transact`: the balances, a line in the ledger, the record that it was made, and the step that follows are one
transaction of the store. Kill it (`kill -9`), run it again, start several at once: the sum never changes, and no
transfer is made twice or lost.
"""

from __future__ import annotations

import argparse
import random

import attrs

from interp import Engine, Transaction, Workflow, activity, call, transact, workflow

ACCOUNTS = ("ada", "bob", "cyd", "dan", "eve")
OPENING_CENTS = 10_000
TRANSIT = "in transit"
SUM_CENTS = OPENING_CENTS * len(ACCOUNTS)


@attrs.frozen
class Transfer:
    """An order to move money."""

    id: str
    payer: str
    payee: str
    cents: int


class InsufficientFunds(Exception):
    """The account does not hold so much."""


@activity(raises=InsufficientFunds)
def move(tx: Transaction, transfer: Transfer, source: str, target: str) -> int:
    """Move money from one account to another, and say so in the ledger; returns what is left in the first one."""
    left = balance(tx, source) - transfer.cents
    if left < 0:
        raise InsufficientFunds(f"{source} holds {balance(tx, source)} cents, and not {transfer.cents}")
    accounts, ledger = tx.table("accounts"), tx.table("ledger")
    accounts.put(source.encode(), str(left).encode())
    accounts.put(target.encode(), str(balance(tx, target) + transfer.cents).encode())
    counter = tx.table("counters")
    line = int(counter.get(b"ledger") or b"0")
    counter.put(b"ledger", str(line + 1).encode())
    ledger.put(line.to_bytes(8, "big"), f"{transfer.id}: {source} -> {target}".encode())
    return left


def balance(tx: Transaction, account: str) -> int:
    """Return what an account holds, in cents."""
    return int(tx.table("accounts").get(account.encode()) or b"0")


@activity
def is_suspicious(transfer: Transfer) -> bool:
    """Ask a service about a transfer. Its effects, unlike those of `move`, may happen more than once."""
    return transfer.cents % 7 == 0


@workflow
def make_transfer(transfer: Transfer) -> Workflow[str]:
    """Make a transfer: `made`, `refused` for lack of funds, or `returned` as suspicious."""
    try:
        yield from transact(move, transfer, transfer.payer, TRANSIT)
    except InsufficientFunds:
        return "refused"
    if (yield from call(is_suspicious, transfer)):
        yield from transact(move, transfer, TRANSIT, transfer.payer)
        return "returned"
    yield from transact(move, transfer, TRANSIT, transfer.payee)
    return "made"


def open_accounts(engine: Engine) -> None:
    """Give each account its first balance, once; several programs may try at the same time."""
    with engine.transaction() as tx:
        accounts = tx.table("accounts")
        if accounts.get(ACCOUNTS[0].encode()) is None:
            for account in ACCOUNTS:
                accounts.put(account.encode(), str(OPENING_CENTS).encode())


def orders(batch: str, count: int) -> list[Transfer]:
    """Return transfers, the same for the same name of the batch."""
    chance = random.Random(batch)
    pairs = [chance.sample(ACCOUNTS, 2) for _ in range(count)]
    return [
        Transfer(f"{batch}-{n}", payer, payee, chance.randint(1, OPENING_CENTS // 4))
        for n, (payer, payee) in enumerate(pairs)
    ]


def make_all(engine: Engine, transfers: list[Transfer]) -> dict[str, str]:
    """Make the transfers, or go on with them; returns what came of each."""
    runs = engine.start_many(make_transfer, [(transfer.id, (transfer,)) for transfer in transfers])
    return {run.id: run.result() for run in runs}


def main() -> None:
    """Make the transfers of one batch, and show what is left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="lmdb:bank")
    parser.add_argument("--batch", default="today")
    parser.add_argument("--transfers", type=int, default=200)
    options = parser.parse_args()
    with Engine(options.store) as engine:
        open_accounts(engine)
        print("open", flush=True)
        outcomes = list(make_all(engine, orders(options.batch, options.transfers)).values())
        with engine.transaction(write=False) as tx:
            holdings = {account: balance(tx, account) for account in (*ACCOUNTS, TRANSIT)}
            lines = sum(1 for _ in tx.table("ledger").scan())
    print(", ".join(f"{outcomes.count(each)} {each}" for each in ("made", "returned", "refused")))
    print(", ".join(f"{account} {cents}" for account, cents in holdings.items()))
    print(f"sum {sum(holdings.values())}, {lines} lines in the ledger")


if __name__ == "__main__":
    main()

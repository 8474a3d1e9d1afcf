"""Open a bank account: what the customer tells is encrypted in the journal, and readable for the workflow.

    export ACCOUNTS_KEY=$(python -c "from interp import Encrypted; print(Encrypted.new_key())")
    python -m examples.scenarios.secret_payloads customer-7 "Ada Lovelace" 1815-12-10
    interp show customer-7                                               # values show as ‹encrypted›
    interp show customer-7 --codec examples.scenarios.secret_payloads:codec      # with the key they show

Two secrets do not even reach the journal: the provider's API key is read by the activity that needs it, and the PIN is
made and posted by one activity, which returns no more than where it went.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from datetime import date

import attrs

import interp
from interp import Encrypted, Workflow, activity, annotate, call, current_call, workflow

__all__ = ["Customer", "check_identity", "codec", "open_account", "send_pin"]


@attrs.frozen
class Customer:
    """What a customer tells about themselves."""

    id: str
    name: str
    born: date


@activity
def check_identity(customer: Customer) -> str:
    """Ask the provider whether there is such a person; returns the number of its answer."""
    api_key = os.environ.get("IDENTITY_API_KEY", "no key")  # here, and never in an argument
    asked = f"{api_key} {customer.name} {customer.born}"
    return f"check-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"


@activity
def send_pin(customer: Customer) -> str:
    """Make a PIN and send it by post; returns the number of the letter, and nobody but the customer sees the PIN."""
    pin = f"{secrets.randbelow(10_000):04}"
    return f"letter of {len(pin)} digits for {current_call().idempotency_key}"


@workflow
def open_account(customer: Customer) -> Workflow[str]:
    """Check who it is, and send the PIN."""
    yield from annotate(stage=f"checking {customer.name}")
    check = yield from call(check_identity, customer)
    letter = yield from call(send_pin, customer)
    return f"account of {customer.name}: {check}, {letter}"


# The first key encrypts, all of them decrypt: ACCOUNTS_KEY="new old" while a key is rotated.
_keys = os.environ.get("ACCOUNTS_KEY", "").split()
codec = Encrypted(*_keys) if _keys else None


def main() -> None:
    """Open the account of the customer that the command line names."""
    if codec is None:
        sys.exit("set ACCOUNTS_KEY; `Encrypted.new_key()` makes one")
    run_id, name, born = sys.argv[1:]
    customer = Customer(run_id, name, date.fromisoformat(born))
    print(interp.run(open_account, customer, id=run_id, codec=codec))


if __name__ == "__main__":
    main()

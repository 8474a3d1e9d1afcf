"""Request and reply with a validator: a gift card that is asked for money, and refuses what it cannot give.

    python -m examples.scenarios.checked_requests

Each request is answered exactly once, whoever is killed in between; one that is repeated under the same id is not done
again. What the validator refuses leaves no record: the history of the card holds what was spent, and nothing else.
"""

from __future__ import annotations

import tempfile
from typing import Any

import attrs

from interp import AskFailed, AskRefused, Engine, Request, Workflow, annotate, await_signal, reply, workflow


@attrs.frozen
class Spend:
    """What the till asks for."""

    cents: int
    shop: str


@attrs.frozen
class Spent:
    """What it is answered."""

    number: int
    left: int


def check_spend(spend: Spend, state: dict[str, Any]) -> None:
    """Refuse what makes no sense now. Pure and quick: it sees the request and what the card has annotated last."""
    if spend.cents <= 0:
        raise ValueError("nothing is spent")
    if spend.cents > state["left"]:
        raise ValueError(f"{spend.cents} cents are asked for, and {state['left']} are left")


@workflow(validators={"spend": check_spend})
def gift_card(cents: int) -> Workflow[list[Spend]]:
    """Answer requests until nothing is left; returns what it was spent on."""
    left = cents
    spent: list[Spend] = []
    while left:
        yield from annotate(left=left)
        request = yield from await_signal("spend", Request[Spend])
        spend = request.payload
        if spend.cents > left:  # two tills have asked at once, and both passed the validator
            yield from reply(request, error="somebody else was faster")
            continue
        left -= spend.cents
        spent.append(spend)
        yield from reply(request, Spent(len(spent), left))
    return spent


def main() -> None:
    """Spend a card."""
    with tempfile.TemporaryDirectory() as directory, Engine(f"lmdb:{directory}/journal") as engine:
        card = engine.start(gift_card, 1_000, id="card-1")
        for number, cents in enumerate([300, 800, -5, 700]):
            try:
                print(cents, "->", card.ask("spend", Spend(cents, "tea house"), type=Spent, id=f"receipt-{number}"))
            except (AskRefused, AskFailed) as error:
                print(cents, "->", error)
        print("again ->", card.ask("spend", Spend(300, "tea house"), type=Spent, id="receipt-0"))
        print(f"{len(card.result())} payments, {len(card.history())} records")


if __name__ == "__main__":
    main()

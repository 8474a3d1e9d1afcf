"""The gift card: what is refused leaves no record, and tills that ask at once spend nothing twice."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from examples.scenarios.checked_requests import Spend, Spent, gift_card
from interp import AskFailed, AskRefused, Engine
from interp.events import Asked
from tests.runtime.helpers import WAIT


def test_refused_requests_leave_no_record() -> None:
    with Engine("memory:") as engine:
        card = engine.start(gift_card, 1_000)
        assert Spent(1, 700) == card.ask("spend", Spend(300, "tea house"), type=Spent, timeout=WAIT)
        for cents, reason in ((701, "701 cents are asked for, and 700 are left"), (0, "nothing is spent")):
            with pytest.raises(AskRefused) as refused:
                card.ask("spend", Spend(cents, "tea house"))

            assert reason == refused.value.reason

        assert 2 == len(card.history())
        assert Spent(2, 0) == card.ask("spend", Spend(700, "tea house"), type=Spent)
        assert [300, 700] == [spend.cents for spend in card.result(WAIT)]


def test_tills_that_ask_at_once_spend_nothing_twice() -> None:
    with Engine("memory:") as engine, ThreadPoolExecutor(8) as pool:
        card = engine.start(gift_card, 500)

        def pay(till: int) -> bool:
            try:
                card.ask("spend", Spend(100, f"till {till}"), type=Spent, id=f"receipt-{till % 4}", timeout=WAIT)
            except (AskRefused, AskFailed):
                return False
            return True

        assert all(pool.map(pay, range(8))), "four receipts, each asked twice"
        assert Spent(5, 0) == card.ask("spend", Spend(100, "last"), type=Spent)
        assert [100] * 5 == [spend.cents for spend in card.result(WAIT)]
        assert 5 == sum(isinstance(record.cause, Asked) for record in card.history())

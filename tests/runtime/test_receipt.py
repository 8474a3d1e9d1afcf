"""What one thread waits for, and another one gives."""

import gc
import threading
import weakref

import pytest

from interp.runtime.receipt import Receipt
from tests.runtime.helpers import WAIT_S


def test_a_value_is_waited_for_and_stays() -> None:
    receipt = Receipt[int]()
    giver = threading.Timer(0.02, receipt.set_result, (3,))
    giver.start()

    assert not receipt.done
    assert [3, 3] == [receipt.result(), receipt.result()]
    assert receipt.done


def test_several_may_wait() -> None:
    receipt = Receipt[int]()
    seen: list[int] = []
    waiters = [threading.Thread(target=lambda: seen.append(receipt.result())) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    receipt.set_result(1)
    for waiter in waiters:
        waiter.join(WAIT_S)

    assert [1, 1, 1] == seen


def test_an_exception_is_raised_where_it_is_waited_for() -> None:
    receipt = Receipt[int]()
    receipt.set_exception(ValueError("no"))

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            receipt.result()


class Refused(Exception):
    """Weak references to it are possible, as to any exception of one's own."""


def test_an_exception_that_was_raised_is_not_kept_alive_by_its_own_traceback() -> None:
    gc.disable()
    try:
        receipt = Receipt[int]()
        error = Refused()
        seen = weakref.ref(error)
        receipt.set_exception(error)
        del error
        with pytest.raises(Refused):
            receipt.result()
        del receipt

        assert seen() is None
    finally:
        gc.enable()


def test_an_answer_is_given_once() -> None:
    receipt = Receipt[int]()
    receipt.set_result(1)

    with pytest.raises(AssertionError, match="answered twice"):
        receipt.set_exception(ValueError("no"))
    assert 1 == receipt.result()

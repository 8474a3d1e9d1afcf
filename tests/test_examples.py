"""The programs in examples/: their workflows as plain generators, and whole, killed by `examples.demo`."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from examples.checkout import CardDeclined, Order, Receipt, charge_card, checkout, send_mail
from examples.demo.provision import WHOLE
from examples.provision.plan import resources
from interp import call

ROOT = Path(__file__).parents[1]

ORDER = Order("order-1", 1999, "ada@example.com")
RECEIPT = Receipt("charge-1", 1999)


def test_checkout_charges_and_then_mails() -> None:
    run = checkout(ORDER)

    assert call(charge_card, ORDER) == next(run)
    assert call(send_mail, ORDER, RECEIPT) == run.send(RECEIPT)
    with pytest.raises(StopIteration) as end:
        _ = run.send("mail-1")
    assert "order-1 is paid by charge-1, confirmed by mail-1" == end.value.value


def test_checkout_sends_no_mail_when_the_card_is_declined() -> None:
    run = checkout(ORDER)

    assert call(charge_card, ORDER) == next(run)
    with pytest.raises(StopIteration) as end:
        _ = run.throw(CardDeclined("order-1"))
    assert "order-1 was declined" == end.value.value


def test_the_environment_of_the_demo_is_a_real_one() -> None:
    planned = resources(WHOLE)

    assert len(planned) >= 120
    assert len({resource.kind for resource in planned}) >= 5
    assert [] == [name for name, count in Counter(resource.name for resource in planned).items() if count > 1]


@pytest.mark.parametrize("program", [["checkout"], ["provision", "--quick"]], ids=" ".join)
def test_a_program_survives_being_killed(program: list[str]) -> None:
    command = [sys.executable, "-m", "examples.demo", *program]
    demo = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert 0 == demo.returncode, demo.stdout + demo.stderr
    kills = re.findall(r"kill -9 \d+", demo.stdout)
    assert {"checkout": 2, "provision": 3}[program[0]] == len(kills)
    held = re.search(r"(\d+) of (\d+) checks hold", demo.stdout)
    assert held is not None
    assert held[1] == held[2]
    assert int(held[1]) == demo.stdout.count("\n  ok ")
    assert int(held[1]) >= 10

import linecache
import runpy
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from interp.definitions import WorkflowDefinition
from interp.errors import NondeterminismError
from interp.events import Started, Transition
from interp.explore import Divergence, Misfit, Run
from interp.replay import replay
from tests.explore.flows import provision_fleet
from tests.explore.recording import CLOUD, record
from tests.explore.seen import seen

SHOP = """\
from datetime import timedelta

from interp import activity, call, sleep, workflow


@activity
def reserve(order: str) -> str:
    return f"s-{order}"


@activity
def charge_card(order: str, amount: int) -> str:
    return f"r-{order}"


@activity
def ship(order: str) -> str:
    return "t-1"


def pay(order, amount):
    receipt = yield from call(charge_card, order, amount)
    return receipt


@workflow(name="diverging_shop")
def shop(order: str):
    stock = yield from call(reserve, order)
    receipt = yield from pay(order, 100)
    yield sleep(timedelta(hours=1))
    tracking = yield from call(ship, order)
    return tracking
"""


@attrs.frozen
class Shop:
    """A workflow in a file of its own, which is changed after a run was recorded."""

    file: Path
    history: tuple[Transition, ...]

    def run(self, old: str = "", new: str = "") -> Run:
        """Return the run beside changed code."""
        assert old in SHOP
        return seen(self.history, "order-7", definition(self.file, SHOP.replace(old, new) if old else SHOP))


def definition(file: Path, source: str) -> WorkflowDefinition:
    file.write_text(source)
    linecache.checkcache(str(file))
    found: WorkflowDefinition = runpy.run_path(str(file))["shop"].__interp_workflow__
    return found


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    file = tmp_path / "shop.py"
    found = definition(file, SHOP)
    first, *others = record(found.fn, "42", run_id="order-7")
    assert isinstance(first.cause, Started)
    started = msgspec.structs.replace(first.cause, code=found.code)
    return Shop(file, (msgspec.structs.replace(first, cause=started), *others))


def diverged(run: Run) -> Divergence:
    found = run.divergence()
    assert found is not None
    return found


def test_a_history_that_fits_has_no_divergence(shop: Shop) -> None:
    assert shop.run().divergence() is None
    assert shop.run().diff().is_same
    assert seen(record(provision_fleet, "eu", ["a"], world=CLOUD), "prov-7f3a").divergence() is None


def test_recorded_and_yielded_are_shown_in_the_source(shop: Shop) -> None:
    found = diverged(
        shop.run("    receipt = yield from pay", '    yield from call(ship, "extra")\n    receipt = yield from pay')
    )
    text = str(found)

    assert "History and code part at record 1, command 2 (shop.py:29)." == found.summary
    assert (Misfit.DIVERGES, 1, "2", True) == (found.misfit, found.index, found.command_id, found.is_stale)
    assert "  recorded: call charge_card('42', 100)\n  yielded:  call ship(order='extra')" in text
    ((title, file, lines),) = found.excerpts()
    assert ("recorded and now", str(shop.file)) == (title, file)
    lit = {line.number: (line.roles, line.text[slice(*line.marked or (0, 0))]) for line in lines if line.roles}
    assert {
        22: (("recorded",), "yield from call(charge_card, order, amount)"),
        29: (("now",), 'yield from call(ship, "extra")'),
    } == lit
    assert "The workflow's source has changed since: the recorded line may be another one today." in text
    assert 'Guard the change with patched("charge_card")' in text


def test_what_both_agree_on_and_how_each_goes_on_is_listed(shop: Shop) -> None:
    found = diverged(shop.run("pay(order, 100)", "pay(order, 120)"))

    assert [("1", "reserve('42')", "'s-42'")] == [(each.id, each.words, each.answer) for each in found.agreed]
    assert ["charge_card('42', 100)", "sleep 1 h", "ship('42')"] == [each.words for each in found.recorded]
    assert ["charge_card('42', 120)"] == [each.words for each in found.yielded]
    assert [(29, "shop"), (22, "pay")] == [(line, function) for _, line, function in found.stack]
    assert ("100", "120") == tuple(cut.odd for cut in found.sides)


def test_one_line_may_be_recorded_and_now(shop: Shop) -> None:
    found = diverged(shop.run("pay(order, 100)", "pay(order, 120)"))

    assert [("recorded", "now")] == [line.roles for _, _, lines in found.excerpts() for line in lines if line.roles]
    assert "recorded + now >   22      receipt = yield from call(charge_card, order, amount)" in str(found)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "    tracking = yield from call(ship, order)\n    return tracking",
            "    return receipt",
            "There the run returned 'r-42'.",
        ),
        (
            "    stock = yield",
            "    stock = 1 / 0\n    yield",
            "There the run failed with ZeroDivisionError: division by zero.",
        ),
        ("return tracking", "return tracking * 2", "yielded:  the run returns 't-1t-1'"),
    ],
)
def test_code_that_ends_there_is_told(shop: Shop, old: str, new: str, told: str) -> None:
    assert told in str(diverged(shop.run(old, new)))


def test_the_text_is_the_error_of_the_worker_with_more_around_it(shop: Shop) -> None:
    run = shop.run("pay(order, 100)", "pay(order, 120)")
    found = diverged(run)

    assert isinstance(run.code, WorkflowDefinition)
    with pytest.raises(NondeterminismError) as raised:
        replay(run.code, run.history, run_id=run.id)
    assert str(found.error) == str(raised.value)
    for line in str(raised.value).splitlines()[1:3]:
        assert line.partition("    recorded at")[0] in str(found)


def test_a_value_that_does_not_decode_is_told(shop: Shop) -> None:
    run = shop.run("amount: int) -> str", "amount: int) -> int")
    found = diverged(run)

    assert (Misfit.UNDECODABLE, 2) == (found.misfit, found.index)
    assert "The recorded result of charge_card (command 2) does not fit its declared type any more" in str(found)
    assert "Make the new type accept the old values" in str(found)
    assert not run.diff().is_same
    assert "So nobody can say what the code as it is now would do." == run.diff().summary


def test_code_that_is_gone_is_told(shop: Shop) -> None:
    run = seen(shop.history, "order-7")
    gone = attrs.evolve(run, row=msgspec.structs.replace(run.row, workflow="nowhere"))
    found = diverged(gone)

    assert Misfit.UNKNOWN is found.misfit
    assert "the workflow 'nowhere' is not imported here; import its module, or give workflow=" in str(found)


def test_source_that_is_gone_leaves_the_rest(shop: Shop) -> None:
    run = shop.run("pay(order, 100)", "pay(order, 120)")
    shop.file.unlink()
    linecache.checkcache(str(shop.file))
    found = diverged(run)

    assert [] == found.excerpts()
    assert "recorded: call charge_card(order='42', amount=100)" in str(found)
    assert "cannot be" not in found.html()


def test_the_difference_shows_what_the_code_would_do_today(shop: Shop) -> None:
    run = shop.run("    tracking = yield from call(ship, order)\n    return tracking", "    return receipt")
    difference = run.diff()

    assert not difference.is_same
    assert difference.divergence is not None
    assert "They part at command 4 (shop.py:31): A yields ship('42'), where B ends." == difference.summary
    assert "B  returned 'r-42'" in str(difference)
    stops = shop.run("pay(order, 100)", "pay(order, 120)").diff()
    assert "B stops where the history has no answer to what the code yields." in str(stops)


def test_code_that_differs_from_the_first_command_on_is_compared(shop: Shop) -> None:
    difference = shop.run("    stock = yield", "    yield sleep(timedelta(days=1))\n    stock = yield").diff()

    assert difference.divergence is not None
    assert 0 == difference.divergence.index
    assert "completed" == difference.b.row.status  # all else was recorded
    assert ["1"] == [entry.id for entry in difference.fibers[0].entries]


def test_damaged_records_end_what_is_replayed(shop: Shop) -> None:
    run = shop.run("return tracking", "return 1")
    damaged = attrs.evolve(run, history=(*run.history[:-2], run.history[-1]))

    assert damaged.divergence() is None
    assert attrs.evolve(run, history=()).divergence() is None


def test_code_that_does_anything_is_told(shop: Shop) -> None:
    run = shop.run()
    assert isinstance(run.code, WorkflowDefinition)

    def broken(order: str) -> Any:
        raise RuntimeError("<b>no generator</b>")

    found = diverged(attrs.evolve(run, workflow=attrs.evolve(run.code, fn=broken)))
    assert Misfit.BROKEN is found.misfit
    assert "RuntimeError: <b>no generator</b>" in str(found)
    assert "<b>no" not in found.html()


def test_every_line_fits_and_html_is_safe(shop: Shop) -> None:
    found = diverged(shop.run("pay(order, 100)", 'pay(order, 120 if "<script>" else 0)'))

    assert max(map(len, str(found).splitlines())) <= 120
    assert "<script>" not in found.html()
    assert "<u>" in found.html()

"""Scenario 10: a mutex and a semaphore across runs: exclusive, fair, with a lease for holders that are gone."""

from typing import Any

from examples.scenarios import world
from examples.scenarios.locks import LEASE, Ticket, holding, lock
from interp import Run, Workflow, activity, await_signal, call, run_info, send, workflow
from interp.codec import ANY
from interp.events import Signalled
from tests.runtime.helpers import WAIT, causes, eventually
from tests.scenarios.stage import Stage, Start, waits


@activity
def begin_page(page: str) -> None:
    world.do(f"begin {page}")


@activity
def end_page(page: str) -> None:
    world.do(f"end {page}")


def page_alone(page: str) -> Workflow[None]:
    yield from call(begin_page, page)
    yield from call(end_page, page)


def page_without_end(page: str) -> Workflow[None]:
    yield from await_signal(f"the end of {page}")


@workflow
def print_page(page: str) -> Workflow[None]:
    yield from holding("printer", page_alone(page))


@workflow
def print_for_ever(page: str) -> Workflow[None]:
    yield from holding("printer", page_without_end(page))


@workflow
def take_and_forget() -> Workflow[None]:
    info = yield from run_info()
    yield from send("printer", "acquire", Ticket(info.id, "1"))
    yield from await_signal("granted 1")


def pages(count: int) -> list[Start]:
    return [Start(print_page, (f"page-{n}",), f"page-{n}") for n in range(count)]


def asked(printer: Run[Any]) -> list[str]:
    """Return who asked for the printer, in order."""
    signals = [cause for cause in causes(printer) if isinstance(cause, Signalled) and cause.name == "acquire"]
    return [ANY.decode(signal.payload)["run_id"] for signal in signals]


def printing_at_once() -> list[int]:
    """Return how many pages were being printed, from deed to deed."""
    levels, level = [0], 0
    for deed in world.deeds():
        level += 1 if deed.startswith("begin") else -1
        levels.append(level)
    return levels


def test_one_page_is_printed_at_a_time_in_the_order_of_asking_whatever_is_killed(stage: Stage) -> None:
    for deeds in (1, 2, 3):
        assert stage.life(Start(lock, (1,), "printer"), *pages(5), dies=deeds)

    with stage.engine() as engine:
        for run in [start.on(engine) for start in pages(5)]:
            run.result(WAIT)
        order = asked(engine.get("printer"))

    assert {start.id for start in pages(5)} == set(order)
    assert [f"{word} {page}" for page in order for word in ("begin", "end")] == world.deeds()


def test_a_semaphore_has_so_many_places(stage: Stage) -> None:
    assert stage.life(Start(lock, (2,), "printer"), *pages(6), dies=5)

    with stage.engine() as engine:
        for run in [start.on(engine) for start in pages(6)]:
            run.result(WAIT)

    assert 12 == len(world.deeds())
    assert set(printing_at_once()) <= {0, 1, 2}


def test_a_holder_that_is_gone_loses_its_place_when_the_lease_is_over(stage: Stage) -> None:
    with stage.engine() as engine:
        printer = engine.start(lock, 1, id="printer")
        engine.start(take_and_forget, id="gone").result(WAIT)
        waiting = engine.start(print_page, "next", id="next")
        eventually(lambda: ["gone", "next"] == asked(printer))
        waits(waiting)
        assert [] == world.deeds()
        stage.jump(engine, LEASE)
        waiting.result(WAIT)

    assert ["begin next", "end next"] == world.deeds()


def test_a_holder_keeps_its_place_when_the_engine_closes_and_gives_it_back_when_it_is_cancelled(stage: Stage) -> None:
    with stage.engine() as engine:
        printer = engine.start(lock, 1, id="printer")
        waits(engine.start(print_for_ever, "first", id="first"))
        eventually(lambda: ["first"] == asked(printer))
        waits(engine.start(print_page, "next", id="next"))
        eventually(lambda: ["first", "next"] == asked(printer))

    with stage.engine() as engine:
        printer = engine.get("printer")
        assert ["acquire", "acquire"] == [cause.name for cause in causes(printer) if isinstance(cause, Signalled)]
        assert [] == world.deeds()
        engine.get("first").cancel("enough")
        engine.get("next").result(WAIT)

    assert ["begin next", "end next"] == world.deeds()

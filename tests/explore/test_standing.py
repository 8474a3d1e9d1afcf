"""Standing at a record is what the interpreter is when it was fed so many; nothing of it is heard or left behind."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from collections.abc import Generator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp import Command, await_signal, call, get_logger, sleep, workflow
from interp.definitions import workflow_of
from interp.explore import Moment
from interp.explore import quiet as quieting
from interp.explore.quiet import quiet
from interp.explore.standing import Standing, let_go, standing
from interp.interpreter import Interpreter
from tests.core.happenings import live_through
from tests.core.programs import Program, loaded, programs
from tests.explore.examples import FEW
from tests.explore.flows import create_subnet, provision_fleet
from tests.explore.recording import CLOUD, record
from tests.explore.standing import run_of

Flow = Generator[Command[Any], Any, Any]
HISTORY = record(provision_fleet, "eu", [f"vm-{n}" for n in range(3)], world=CLOUD)
FLEET = workflow_of(provision_fleet)


@pytest.fixture(autouse=True)
def nothing_kept() -> Generator[None, None, None]:
    yield
    let_go()


def stacks(interpreter: Interpreter) -> dict[str, list[tuple[str, int]]]:
    """Say at which lines the fibers stand that are code."""
    found = {
        fiber_id: [(frame.function, frame.line) for frame in interpreter.stack(fiber_id)]
        for fiber_id in interpreter.fibers
    }
    return {fiber_id: lines for fiber_id, lines in found.items() if lines}


@FEW
@given(programs(), st.data())
def test_each_moment_is_what_the_interpreter_is_when_it_was_fed_so_many_records(
    program: Program, data: st.DataObject
) -> None:
    code = loaded(program)
    with closing(code.start()) as driver:  # also when Hypothesis ends the example in the middle
        live_through(data.draw, driver)
    history = driver.history
    # A program keeps what it saw beside itself, so that it can be replayed from the beginning only once.
    stepped = run_of(loaded(program).definition, history, driver.run_id)
    jumped = run_of(loaded(program).definition, history, driver.run_id)
    to = data.draw(st.integers(0, len(history) - 1))
    for run, indices in ((stepped, range(len(history))), (jumped, [to])):
        for index in indices:
            moment = run.at(index)
            with closing(driver.replay(loaded(program).definition, index + 1).interpreter) as interpreter:
                assert_stands_where(interpreter, moment)
    assert str(moment)
    assert moment.html() == moment._safe_html(), "it can be drawn"


def assert_stands_where(interpreter: Interpreter, moment: Moment) -> None:
    assert "" == moment.trouble
    assert interpreter.length - 1 == moment.index
    assert list(interpreter.pending) == [each.id for each in moment.pending]
    assert list(interpreter.state) == list(moment.state)
    if interpreter.outcome is None:
        assert stacks(interpreter) == {
            fiber.id: [(frame.function, frame.line) for frame in fiber.frames]
            for fiber in moment.fibers
            if fiber.frames
        }


def test_a_step_forward_feeds_one_record_and_a_step_back_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[int] = []
    follow = Standing._follow

    def counted(self: Standing, index: int) -> None:
        fed.append(index)
        follow(self, index)

    monkeypatch.setattr(Standing, "_follow", counted)
    with standing("run", FLEET, HISTORY) as stood:
        assert 5 == stood.go(5)
        assert list(range(6)) == fed

        fed.clear()
        assert 7 == stood.go(7)
        assert [6, 7] == fed

        fed.clear()
        assert 2 == stood.go(2)
        assert [0, 1, 2] == fed


def test_a_history_that_has_gone_on_is_followed_on_and_another_one_is_not() -> None:
    beginning = HISTORY[:10]
    with standing("run", FLEET, beginning) as stood:
        stood.go(9)
        alive = stood.interpreter
    with standing("run", FLEET, HISTORY) as stood:
        assert alive is stood.interpreter
        assert 12 == stood.go(12)
    with standing("another", FLEET, HISTORY) as stood:
        assert stood.interpreter is None
        assert not alive.fibers  # type: ignore[union-attr]


def noisy_history() -> tuple[Any, ...]:
    with quiet():
        return record(standing_noisy, run_id="noisy")


heard: list[int] = []


@workflow
def standing_noisy() -> Flow:
    print("printed")
    print("printed to stderr", file=sys.stderr)
    sys.stdout.buffer.write(b"written")
    logging.getLogger("standing.noisy").warning("logged")
    get_logger("standing.noisy").warning("told")
    try:
        yield from call(create_subnet, "eu")
        yield sleep(timedelta(minutes=1))
        yield await_signal("never", None)
    finally:
        print("cleaned up")
        heard.append(threading.get_ident())


def test_nothing_that_a_workflow_prints_or_logs_is_heard(capfd: Any, caplog: Any) -> None:
    handler = logging.StreamHandler(sys.stderr)  # has its own hold of the stream
    logging.getLogger("standing.noisy").addHandler(handler)
    try:
        run = run_of(standing_noisy, noisy_history(), "noisy")
        caplog.clear()
        capfd.readouterr()
        for index in (0, 2, 1):
            assert "standing_noisy" in str(run.at(index))
        let_go()
    finally:
        logging.getLogger("standing.noisy").removeHandler(handler)

    out, err = capfd.readouterr()
    assert ("", "") == (out, err)
    assert [] == caplog.messages
    assert not any(isinstance(each, quieting._Silence) for each in handler.filters)


def test_other_threads_are_heard_meanwhile(capsys: Any) -> None:
    with quiet():
        other = threading.Thread(target=print, args=("from the worker",))
        other.start()
        other.join()
        print("from here")

    assert "from the worker\n" == capsys.readouterr().out


def test_generators_end_on_the_thread_that_ran_them() -> None:
    run = run_of(standing_noisy, noisy_history(), "noisy")
    heard.clear()
    here: list[int] = []

    def look() -> None:
        here.append(threading.get_ident())
        run.at(1)

    other = threading.Thread(target=look)
    other.start()
    other.join()
    gc.collect()

    assert here == heard


@workflow
def standing_loops(once: bool) -> Flow:
    yield from call(create_subnet, "eu")
    if once:
        raise KeyboardInterrupt


def test_an_interrupted_replay_leaves_nothing_behind() -> None:
    interrupted = workflow_of(standing_loops)

    @workflow(name="standing_loops")
    def calm(once: bool) -> Flow:
        yield from call(create_subnet, "eu")

    run = run_of(interrupted, record(calm, True, run_id="loops"), "loops")
    with pytest.raises(KeyboardInterrupt):
        run.at(1)
    with standing("loops", interrupted, run.history) as stood:
        assert stood.interpreter is None
    assert 0 == run.at(0).index

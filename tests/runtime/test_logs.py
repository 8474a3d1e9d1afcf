"""Loggers of workflows and activities: silent in replays and drops, and every line says where it comes from."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest

from interp import Cancelled, Engine, Retry, Workflow, activity, await_signal, call, gather, get_logger, workflow
from interp.definitions import workflow_of
from interp.replay import replay
from tests.runtime.helpers import WAIT, eventually, kinds

QUICK = Retry(attempts=2, initial=timedelta(milliseconds=1), jitter=0)

log = get_logger("tests.logs")


class Kept(logging.Handler):
    """Keeps the lines of all threads."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record)


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    kept, logger = Kept(), logging.getLogger("tests.logs")
    logger.addHandler(kept)
    logger.setLevel(logging.INFO)
    yield kept.lines
    logger.removeHandler(kept)


def told(lines: list[logging.LogRecord]) -> list[str]:
    return [line.getMessage() for line in lines]


@activity(retry=QUICK)
def work(n: int) -> int:
    log.info("at work on %d", n)
    return n


@activity(retry=QUICK)
async def work_async(n: int) -> int:
    log.info("at work on %d, asynchronously", n)
    return n


@workflow
def chatty(n: int) -> Workflow[int]:
    log.info("begins")
    total = 0
    for step in range(n):
        total += yield from call(work, step)
        log.info("step %d", step)
    total += yield from await_signal("extra", int)
    log.info("ends at 100%")
    return total


def expected(run_id: str) -> list[str]:
    lines = [f"[{run_id}] begins"]
    for step in range(3):
        lines += [f"[{run_id}/{step + 1} #1] at work on {step}", f"[{run_id}/{step + 1}] step {step}"]
    return [*lines, f"[{run_id}/4] ends at 100%"]


@pytest.mark.parametrize("run_id", ["one", "100% mine"])
def test_every_line_is_written_once_however_often_the_run_is_replayed(
    url: str, lines: list[logging.LogRecord], run_id: str
) -> None:
    with Engine(url, cache=0) as engine:
        run = engine.start(chatty, 3, id=run_id)
        eventually(lambda: 3 == kinds(run).count("Resolved"))
    with Engine(url, cache=0) as engine:
        run = engine.get(run_id)
        run.signal("extra", 1)
        assert 4 == run.result(WAIT)
        replay(workflow_of(chatty), run.history(), run_id=run_id)

    assert expected(run_id) == told(lines)


def test_lines_carry_their_place_as_fields_and_belong_to_the_line_that_wrote_them(
    lines: list[logging.LogRecord],
) -> None:
    @workflow
    def both() -> Workflow[None]:
        yield from gather(call(work, 1), call(work_async, 2))
        log.warning("done", extra={"mine": 1})

    with Engine("memory:") as engine:
        engine.start(both, id="one").result(WAIT)

    places = {tuple(vars(line)[name] for name in ("run_id", "command_id", "attempt")) for line in lines}
    assert {("one", "1.0.1", 1), ("one", "1.1.1", 1), ("one", "1", 0)} == places
    assert {"test_logs.py"} == {line.filename for line in lines}
    assert {"work", "work_async", "both"} == {line.funcName for line in lines}
    assert 1 == vars(lines[-1])["mine"]


def test_outside_of_runs_it_is_a_plain_logger(lines: list[logging.LogRecord]) -> None:
    log.error("100%")
    log.info("%d%%", 100)
    try:
        raise OSError
    except OSError:
        log.exception("told")
    log.debug("not told")

    assert ["100%", "100%", "told"] == told(lines)
    assert ["", ""] == [vars(lines[0])[name] for name in ("run_id", "command_id")]
    assert lines[2].exc_info is not None
    assert "interp.runs" == get_logger().name


def test_dropping_a_run_writes_nothing_and_cancelling_it_does(url: str, lines: list[logging.LogRecord]) -> None:
    @workflow
    def cleaning() -> Workflow[None]:
        try:
            yield from await_signal("never")
        finally:
            log.info("cleans up")

    with Engine(url, cache=0) as engine:
        run = engine.start(cleaning, id="one")
        eventually(lambda: run.status.name == "WAITING")
    assert [] == told(lines)

    with Engine(url, cache=0) as engine, suppress(Exception, Cancelled):
        engine.get("one").cancel()
        engine.get("one").result(WAIT)

    assert ["[one/1] cleans up"] == told(lines)

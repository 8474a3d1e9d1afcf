"""Log lines that are kept with their run."""

import logging
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from interp import Engine, Retry, Run, Workflow, activity, await_signal, call, get_logger, workflow
from interp.runtime.capture import LOG_TOPIC, MOST_LINES, Line
from interp.runtime.streams import recorded
from tests.runtime.helpers import WAIT

log = get_logger("captured")


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@activity(retry=Retry(initial=timedelta(milliseconds=1)))
def logging_activity() -> None:
    log.info("at work, %d %%", 50)
    log.debug("too low")
    try:
        raise OSError("the line broke")
    except OSError:
        log.exception("trouble")
    log.info("%s", Unprintable())
    log.info(Unprintable())
    log.info("\ud800 %s", "x" * 9_000)


@workflow
def logging_flow() -> Workflow[str]:
    log.info("begins")
    yield from call(logging_activity)
    log.warning("waits")
    yield from await_signal("go")
    log.info("ends")
    return "done"


def lines(engine: Engine, run: Run[Any]) -> list[tuple[str, int, Line]]:
    items = (recorded(run.id, LOG_TOPIC, item) for item in engine.store.stream(run.id, LOG_TOPIC))
    return [(item.command_id, item.attempt, msgspec.json.decode(item.payload, type=Line)) for item in items]


def test_lines_of_workflows_and_activities_are_kept_once_whatever_is_replayed(url: str) -> None:
    logger = logging.getLogger("captured")
    assert not logger.isEnabledFor(logging.INFO), "what is captured does not depend on what is shown"
    with Engine(url, cache=0, capture_logs=logging.INFO) as engine:
        run = engine.start(logging_flow)
        _ = engine.start(logging_flow, id=run.id)
        run.signal("go")
        assert "done" == run.result(WAIT)

        kept = lines(engine, run)
        assert () == run.topics

    assert [("", 0, "begins"), ("1", 1, "at work, 50 %")] == [(at, n, line.text) for at, n, line in kept[:2]]
    assert [("1", 0, "waits"), ("2", 0, "ends")] == [(at, n, line.text) for at, n, line in kept[-2:]]
    assert [20, 20, 40, 20, 20, 20, 30, 20] == [line.level for _, _, line in kept]
    trouble, unprintable, unprinted, long = (line.text for _, _, line in kept[2:6])
    assert trouble.startswith("trouble\nTraceback") and trouble.endswith("OSError: the line broke")
    assert ("%s", "Unprintable") == tuple(
        text.removesuffix(" (it could not be formatted)") for text in (unprintable, unprinted)
    )
    assert long.startswith("\\ud800 xxx") and long.endswith("… (9,002 characters)")
    assert {"captured"} == {line.logger for _, _, line in kept}


@activity
def chatting(count: int) -> None:
    for number in range(count):
        log.info("line %d", number)


@workflow
def logging_much(count: int) -> Workflow[None]:
    yield from call(chatting, count)


def test_of_many_lines_the_newest_are_kept(url: str) -> None:
    with Engine(url, capture_logs=logging.INFO) as engine:
        run = engine.start(logging_much, MOST_LINES + 7)
        run.result(WAIT)

        kept = [line.text for _, _, line in lines(engine, run)]
    assert [f"line {number}" for number in range(7, MOST_LINES + 7)] == kept


def test_nothing_is_kept_unless_it_is_asked_for(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "captured")
    with Engine(url) as engine:
        run = engine.start(logging_much, 3)
        run.result(WAIT)

        assert () == engine.store.topics(run.id)
        assert 3 == len(caplog.records)


def test_a_start_that_is_no_new_run_keeps_no_lines(url: str) -> None:
    with Engine(url, capture_logs=logging.INFO) as engine:
        run = engine.start(logging_much, 1, id="one")
        run.result(WAIT)

    with Engine(url, capture_logs=logging.INFO) as engine:
        engine.start(logging_much, 1, id="one").result(WAIT)

        assert 1 == len(lines(engine, run))

"""`interp logs`: the captured lines of a run."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

from interp import Engine, Workflow, activity, call, get_logger, workflow
from tests.cli.command import Told

log = get_logger("shown")


@activity
def shown_activity() -> None:
    log.error("broken\n  at the \x1b[31mhinge")


@workflow
def shown_flow() -> Workflow[str]:
    log.info("begins")
    yield from call(shown_activity)
    return "done"


def test_logs_are_aligned_and_chosen_by_level(inline: Callable[..., Told], place: Path) -> None:
    with Engine(f"lmdb://{place}/.interp", capture_logs=logging.INFO) as engine:
        engine.start(shown_flow, id="one").result()
        assert not inline("logs", "one", "--follow").err

    shown = inline("logs", "one").out
    assert "\x1b" not in shown
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
    assert re.fullmatch(
        rf"{stamp}  INFO      -          begins\n{stamp}  ERROR     1 #1       broken\n {{46}}  at the .*hinge\n", shown
    )
    assert 2 == inline("logs", "one", "--level", "warning").out.count("\n")
    (line,) = inline("logs", "one", "--level", "ERROR", "--json").json["lines"]
    assert ("ERROR", "shown", "1", 1) == (line["level"], line["logger"], line["command"], line["attempt"])
    assert "run 'one' has no captured lines from CRITICAL on" in inline("logs", "one", "--level", "CRITICAL").err
    assert inline("logs", "nobody").is_error("there is no run 'nobody'")

"""`interp schedule` and `interp start`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from interp import Engine, Workflow, workflow
from tests.cli.command import Told
from tests.runtime.helpers import WAIT, eventually

Interp = Callable[..., Told]


@workflow
def cli_report(name: str) -> Workflow[str]:
    yield from ()
    return name


@pytest.fixture
def scheduled(place: Path) -> None:
    """A store with two schedules, and no worker."""
    with Engine() as engine:
        engine.schedule(cli_report, "a", id="nightly", cron="0 3 * * *", timezone="Europe/Zurich")
        often = engine.schedule(cli_report, "a", id="often", every=timedelta(milliseconds=20))
        eventually(lambda: often.describe().fired)
        often.pause("month end")


@pytest.mark.usefixtures("scheduled")
def test_the_list_tells_when_they_fire_and_how_they_stand(inline: Interp) -> None:
    told = inline("schedule", "list")
    nightly, often = told.out.splitlines()[1:]

    assert 0 == told.code
    assert all(part in nightly for part in ("nightly", "cli_report", "0 3 * * *", "Europe/Zurich"))
    assert all(part in often for part in ("every 20 ms", "paused", "month end"))


@pytest.mark.usefixtures("scheduled")
def test_one_is_shown_with_its_next_fires_and_its_last_ones(inline: Interp) -> None:
    nightly, often = inline("schedule", "show", "nightly"), inline("schedule", "show", "often")
    document = inline("schedule", "show", "nightly", "--json").json

    assert nightly.out.startswith("schedule nightly starts cli_report: 0 3 * * *  Europe/Zurich\n")
    assert 5 == nightly.out.count("next ") == len(document["next_fires"])
    assert "paused: month end" in often.out and "completed  often/" in often.out


@pytest.mark.usefixtures("scheduled")
def test_what_is_asked_for_is_done_by_the_next_worker(inline: Interp) -> None:
    end = datetime.now(UTC)
    told = [
        inline("schedule", "pause", "nightly", "--reason", "why"),
        inline("schedule", "trigger", "nightly", "--json"),
        inline("schedule", "resume", "often"),
        inline("schedule", "backfill", "nightly", "--from", f"{end - 2 * WEEK:%FT%TZ}", "--to", f"{end - WEEK:%FT%TZ}"),
    ]
    run_id = told[1].json["run"]
    with Engine() as engine:
        engine.get("nightly").row  # noqa: B018  it is there
        eventually(lambda: engine.get_schedule("nightly").describe().fired == 8)
        info = engine.get_schedule("nightly").describe()
        triggered = engine.get(run_id).result(WAIT)
        resumed = not engine.get_schedule("often").describe().paused
    deleted = inline("schedule", "delete", "nightly")

    assert [0] * 5 == [each.code for each in (*told, deleted)]
    assert "is asked for 7 fires of the past" in told[3].out
    assert (True, "why", "a", True) == (info.paused, info.reason, triggered, resumed)


WEEK = timedelta(days=7)


@pytest.mark.usefixtures("scheduled")
def test_an_unknown_schedule_is_told_with_those_that_there_are(inline: Interp) -> None:
    for words in (("show",), ("pause",), ("trigger",), ("delete",)):
        assert inline("schedule", *words, "nightli").is_error("no schedule 'nightli'", "there are: nightly, often")


@pytest.mark.usefixtures("scheduled")
def test_a_time_without_a_zone_is_refused(inline: Interp) -> None:
    told = inline("schedule", "backfill", "nightly", "--from", "2026-01-01", "--to", "2026-01-02T00:00Z")

    assert 2 == told.code and "does not say its time zone" in told.err
    assert "no time in ISO 8601" in inline("schedule", "backfill", "nightly", "--from", "x", "--to", "y").err


def test_a_run_is_started_for_later_and_left_to_a_worker(interp: Interp, inline: Interp) -> None:
    told = interp("start", "flows.py:quick", "a", "--id", "later", "--at", "2026-01-01T00:00Z", "--json")
    again = interp("start", "flows.py:quick", "a", "--id", "later")
    before = inline("list", "--json").json["runs"][0]
    result = interp("run", "flows.py:quick", "a", "--id", "later")

    assert {"run": "later", "workflow": "quick", "start_at": "2026-01-01T00:00:00Z", "is_new": True} == told.json
    assert "run later exists already\n" == again.out
    assert "pending" == before["status"]
    assert (0, "") == (result.code, result.err)

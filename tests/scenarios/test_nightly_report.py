"""The nightly report over missed nights and clock changes, in virtual time; and once for real."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from examples.scenarios.nightly_report import NIGHTLY, nightly_report, schedule_reports
from interp import Engine
from interp.schedules.specs import checked
from interp.schedules.times import Timing
from tests.runtime.helpers import WAIT
from tests.schedules.simulation import Simulation

ROOT = Path(__file__).parents[2]
DAY = timedelta(days=1)


def simulated(begin: datetime, catch_up: timedelta = NIGHTLY["catch_up"]) -> Simulation:
    timing = Timing(cron=NIGHTLY["cron"], timezone=NIGHTLY["timezone"])
    spec = checked(nightly_report.__name__, b'["Bern"]', timing, overlap=NIGHTLY["overlap"], catch_up=catch_up)
    simulation = Simulation(spec, begin, schedule_id="r")
    simulation.settle()
    return simulation


def nights(simulation: Simulation) -> list[str]:
    """End each run as soon as it is made, as reports take minutes, and return their times."""
    while simulation.counts["running"]:
        for run_id in simulation.book.running:
            simulation.end(run_id)
        simulation.settle()
    return [run_id.removeprefix("r/") for run_id in simulation.made]


def test_a_missed_night_is_made_good_when_the_computer_is_back() -> None:
    simulation = simulated(datetime(2026, 7, 1, 12, tzinfo=UTC))
    simulation.until(datetime(2026, 7, 2, 12, tzinfo=UTC))
    first = nights(simulation)
    simulation.now += DAY  # nobody is there in the night of the third
    simulation.restart()
    simulation.settle()

    assert ["2026-07-02T00:30:00Z"] == first
    assert ["2026-07-02T00:30:00Z", "2026-07-03T00:30:00Z"] == nights(simulation)


@pytest.mark.parametrize(("days", "made", "missed"), [(0, 0, 7), (1, 1, 6), (3, 3, 4), (30, 7, 0)])
def test_how_many_of_the_nights_of_a_week_away_are_made_good_is_what_catch_up_says(
    days: int, made: int, missed: int
) -> None:
    simulation = simulated(datetime(2026, 7, 1, 12, tzinfo=UTC), catch_up=days * DAY)
    simulation.now += 7 * DAY
    simulation.restart()
    simulation.settle()

    assert [f"2026-07-{8 - back:02}T00:30:00Z" for back in reversed(range(made))] == nights(simulation)
    assert missed == simulation.book.missed


@pytest.mark.parametrize("is_there", [True, False])
def test_the_night_with_two_half_past_twos_has_one_report_and_so_has_the_one_with_none(is_there: bool) -> None:
    autumn, spring = simulated(datetime(2026, 10, 24, 12, tzinfo=UTC)), simulated(datetime(2026, 3, 28, 12, tzinfo=UTC))
    for simulation in (autumn, spring):
        if not is_there:
            simulation.now += 2 * DAY
            simulation.restart()
        simulation.until(simulation.now if not is_there else simulation.now + 2 * DAY)

    assert ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"] == nights(autumn)
    assert ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"] == nights(spring)


def test_the_report_is_about_the_day_before_its_night(tmp_path: Path) -> None:
    with Engine(f"lmdb://{tmp_path}/journal") as engine:
        schedule = schedule_reports(engine, "Bern")
        before = schedule.describe()
        same = schedule_reports(engine, "Bern").describe()
        result = engine.get(schedule.trigger()).result(WAIT)

    assert before == attrs.evolve(same, next_fire=before.next_fire)
    assert result.startswith("Bern, 20")


def test_the_program_makes_the_reports_of_three_nights_and_may_be_run_again(tmp_path: Path) -> None:
    program = [sys.executable, str(ROOT / "examples" / "scenarios" / "nightly_report.py")]

    def run() -> str:
        done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    first = run()

    assert 3 == first.count("orders") == first.count("next")
    assert first == run()

"""A report each night at half past two, local time: over a night without a computer, and over both clock changes.

    python examples/scenarios/nightly_report.py

Which of the missed nights are made good is what `catch_up` says, and a night has one report whatever the clocks do: its
run is named after its time, `nightly-report/2026-10-25T00:30:00Z`, and that run can be made only once.

The program may be stopped, killed and started again at any time: `engine.schedule` with the same arguments changes
nothing. While it is off, nothing fires; when it is back, what was missed is made good at once.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from interp import Engine, Schedule, Workflow, activity, call, run_info, workflow

ZURICH = ZoneInfo("Europe/Zurich")

# A laptop that is off over the weekend makes the reports of its nights good; older ones interest nobody.
NIGHTLY: dict[str, Any] = {
    "cron": "30 2 * * *",
    "timezone": "Europe/Zurich",
    "catch_up": timedelta(days=3),
    "overlap": "queue",
}


@activity
def count_orders(shop: str, day: str) -> int:
    """Stand for a query of a database."""
    return sum(map(ord, shop + day)) % 100


@workflow
def nightly_report(shop: str) -> Workflow[str]:
    """Report the day that has ended when the report was due, not the day on which it is made."""
    info = yield from run_info()
    due = info.scheduled_at or info.started_at  # a report that is started by hand is due at its start
    day = f"{due.astimezone(ZURICH) - timedelta(days=1):%Y-%m-%d}"
    orders = yield from call(count_orders, shop, day)
    return f"{shop}, {day}: {orders} orders"


def schedule_reports(engine: Engine, shop: str) -> Schedule:
    """Make the schedule, or leave it as it is."""
    return engine.schedule(nightly_report, shop, id="nightly-report", **NIGHTLY)


def main() -> None:
    """Make good the reports of the last three nights, and say when the next ones are due."""
    today = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    with Engine() as engine:
        reports = schedule_reports(engine, "Bern")
        nights = reports.backfill(today - timedelta(days=3), today)
        while len(done := [fire for fire in reports.describe().recent if fire.how == "backfill"]) < nights:
            time.sleep(0.01)
        for fire in done:
            print(engine.get(fire.run_id).result())
        for moment in reports.next_fires(3):
            print("next", moment.astimezone(ZURICH))


if __name__ == "__main__":
    main()

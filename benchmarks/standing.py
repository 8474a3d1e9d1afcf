"""How long it takes to stand at a record of a long run: `python -m benchmarks.standing`.

The run is the one that the tests of `interp.explore` look at, with 2,600 machines made side by side: about 10,000
records, and in its middle as many fibers as it ever has. A jump replays from the beginning, a step feeds one record.
"""

from __future__ import annotations

import time

from tests.explore.flows import provision_fleet
from tests.explore.recording import CLOUD, World, record
from tests.explore.standing import run_of

_RECORDS = 10_000
_MACHINES = 2_600


def main() -> None:
    """Measure and print."""
    history = record(provision_fleet, "eu", [f"vm-{n}" for n in range(_MACHINES)], world=World(took=CLOUD.took))
    run = run_of(provision_fleet, history[:_RECORDS])
    print("record  kind   fibers  wall ms  cpu ms")
    for kind, index in (("jump", 9_999), ("jump", 5_000), ("jump", 1), ("jump", 9_000), ("step", 9_001)):
        wall, cpu = time.perf_counter(), time.process_time()
        moment = run.at(index)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f"{index:6}  {kind}  {len(moment.fibers):7}  {wall * 1e3:7.0f}  {cpu * 1e3:6.0f}")


if __name__ == "__main__":
    main()

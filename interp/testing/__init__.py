"""What proves workflows deterministic and correct: generated lives, checks, and stores under test.

    from hypothesis import given
    from interp.testing import check_determinism, executions

    def test_checkout_is_deterministic():
        check_determinism(checkout)

    @given(executions(checkout))
    def test_a_declined_card_is_never_mailed_about(execution):
        assert not (execution.calls(charge) and execution.calls(mail)) or execution.completed

`interp.testing.store_contract` proves a store of your own; import it by its name. Needs `interp[testing]`.
"""

from interp.linting import Finding, lint
from interp.testing.crashing import CrashReport, NotCrashSafe, Repeated, crash_sweep
from interp.testing.determinism import NotDeterministic, check_determinism, check_replay
from interp.testing.driven import NothingHappens
from interp.testing.execution import CallMade, Execution
from interp.testing.explored import DoesNotHold, Ending, Explored, Moment, OrderMatters, Violation
from interp.testing.exploring import check_confluent, explore
from interp.testing.guarding import guarded
from interp.testing.paths import Paths, Way
from interp.testing.play import (
    Answers,
    Asks,
    Cancels,
    ChildEnds,
    Fires,
    OutcomeLost,
    Raised,
    Returned,
    Signals,
    Stored,
    TimedOut,
)
from interp.testing.schedules import Passes, Schedule, replay_schedule
from interp.testing.simulating import Faults, Simulated, WentWrong, simulate
from interp.testing.strategies import executions
from interp.testing.stubs import either, in_turn
from interp.testing.virtual import VirtualEngine, VirtualRun, engine

__all__ = [
    "Answers",
    "Asks",
    "CallMade",
    "Cancels",
    "ChildEnds",
    "CrashReport",
    "DoesNotHold",
    "Ending",
    "Execution",
    "Explored",
    "Faults",
    "Finding",
    "Fires",
    "Moment",
    "NotCrashSafe",
    "NotDeterministic",
    "NothingHappens",
    "OrderMatters",
    "OutcomeLost",
    "Passes",
    "Paths",
    "Raised",
    "Repeated",
    "Returned",
    "Schedule",
    "Signals",
    "Simulated",
    "Stored",
    "TimedOut",
    "Violation",
    "VirtualEngine",
    "VirtualRun",
    "Way",
    "WentWrong",
    "check_confluent",
    "check_determinism",
    "check_replay",
    "crash_sweep",
    "either",
    "engine",
    "executions",
    "explore",
    "guarded",
    "in_turn",
    "lint",
    "replay_schedule",
    "simulate",
]

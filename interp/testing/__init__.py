"""What proves workflows deterministic and correct: generated lives, checks, and stores under test.

    from hypothesis import given
    from interp.testing import executions

    @given(executions(checkout))
    def test_a_declined_card_is_never_mailed_about(execution):
        assert not (execution.calls(charge) and execution.calls(mail)) or execution.completed

`interp.testing.store_contract` proves a store of your own; import it by its name. Needs `interp[testing]`.
"""

from interp.testing.execution import CallMade, Execution
from interp.testing.explored import DoesNotHold, Ending, Explored, Moment, OrderMatters, Violation
from interp.testing.exploring import check_confluent, explore
from interp.testing.play import (
    Answers,
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
from interp.testing.strategies import executions
from interp.testing.stubs import either, in_turn

__all__ = [
    "Answers",
    "CallMade",
    "Cancels",
    "ChildEnds",
    "DoesNotHold",
    "Ending",
    "Execution",
    "Explored",
    "Fires",
    "Moment",
    "OrderMatters",
    "OutcomeLost",
    "Passes",
    "Raised",
    "Returned",
    "Schedule",
    "Signals",
    "Stored",
    "TimedOut",
    "Violation",
    "check_confluent",
    "either",
    "executions",
    "explore",
    "in_turn",
    "replay_schedule",
]

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
from interp.testing.determinism import NotDeterministic, check_determinism, check_replay
from interp.testing.execution import CallMade, Execution
from interp.testing.guarding import guarded
from interp.testing.paths import Paths, Way
from interp.testing.play import OutcomeLost, Raised, Returned, TimedOut
from interp.testing.strategies import executions
from interp.testing.stubs import in_turn

__all__ = [
    "CallMade",
    "Execution",
    "Finding",
    "NotDeterministic",
    "OutcomeLost",
    "Paths",
    "Raised",
    "Returned",
    "TimedOut",
    "Way",
    "check_determinism",
    "check_replay",
    "executions",
    "guarded",
    "in_turn",
    "lint",
]

"""All bugs of the zoo."""

from tests.zoo import changes_code, hears_signals, keeps_state, looks_outside, moves_money, reads_badly, runs_beside
from tests.zoo.exhibits import Bug

__all__ = ["BUGS", "MOST"]

BUGS: list[Bug] = [
    *looks_outside.BUGS,
    *keeps_state.BUGS,
    *moves_money.BUGS,
    *runs_beside.BUGS,
    *hears_signals.BUGS,
    *changes_code.BUGS,
    *reads_badly.BUGS,
]

MOST = 1_000
"""So many lives are drawn at most until a bug is found."""

"""Look into runs: in a notebook, beside a live system or after a crash. Only lists the public names.

Reads, and nothing else: no activity is called, nothing is written, and no transaction stays open between two calls.
"""

from interp.explore.critical import CriticalPath, Step
from interp.explore.frames import Column, Frame, Kind
from interp.explore.journal import Journal
from interp.explore.run import Damage, Run
from interp.explore.runs import Runs
from interp.explore.timeline import Timeline

__all__ = [
    "Column",
    "CriticalPath",
    "Damage",
    "Frame",
    "Journal",
    "Kind",
    "Run",
    "Runs",
    "Step",
    "Timeline",
]

"""Look into runs: in a notebook, beside a live system or after a crash. Only lists the public names.

Reads, and nothing else: no activity is called, nothing is written, and no transaction stays open between two calls.
"""

from interp.explore.changes import Changes, VariableChange
from interp.explore.critical import CriticalPath, Step
from interp.explore.frames import Column, Frame, Kind
from interp.explore.journal import Journal
from interp.explore.moments import Fibers, Moment
from interp.explore.run import Damage, Run
from interp.explore.runs import Runs
from interp.explore.scenes import FiberAt, FrameAt, Pending
from interp.explore.stepper import Stepper
from interp.explore.timeline import Timeline

__all__ = [
    "Changes",
    "Column",
    "CriticalPath",
    "Damage",
    "FiberAt",
    "Fibers",
    "Frame",
    "FrameAt",
    "Journal",
    "Kind",
    "Moment",
    "Pending",
    "Run",
    "Runs",
    "Step",
    "Stepper",
    "Timeline",
    "VariableChange",
]

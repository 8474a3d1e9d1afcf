"""Look into runs: in a notebook, beside a live system or after a crash. Only lists the public names.

Reads, and nothing else: no activity is called, nothing is written, and no transaction stays open between two calls.
"""

from interp.explore.changes import Changes, VariableChange
from interp.explore.comparing import CommandDifference, Differs, FiberDifference
from interp.explore.continuing import Answer, AnswerSource, Missing
from interp.explore.critical import CriticalPath, Step
from interp.explore.differing import Difference
from interp.explore.divergence import Divergence, Misfit
from interp.explore.frames import Column, Frame, Kind
from interp.explore.journal import Journal
from interp.explore.moments import Fibers, Moment
from interp.explore.run import Damage, Run, diff
from interp.explore.runs import Runs
from interp.explore.scenes import FiberAt, FrameAt, Pending
from interp.explore.stepper import Stepper
from interp.explore.timeline import Timeline
from interp.explore.what_if import WhatIf

__all__ = [
    "Answer",
    "AnswerSource",
    "Changes",
    "Column",
    "CommandDifference",
    "CriticalPath",
    "Damage",
    "Difference",
    "Differs",
    "Divergence",
    "FiberAt",
    "FiberDifference",
    "Fibers",
    "Frame",
    "FrameAt",
    "Journal",
    "Kind",
    "Misfit",
    "Missing",
    "Moment",
    "Pending",
    "Run",
    "Runs",
    "Step",
    "Stepper",
    "Timeline",
    "VariableChange",
    "WhatIf",
    "diff",
]

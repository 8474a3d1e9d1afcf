"""Look into runs: in a notebook, beside a live system or after a crash. Only lists the public names.

Reads, and nothing else: no activity is called, nothing is written, and no transaction stays open between two calls.
"""

from interp.explore.blocked import Blocked, BlockedGroup
from interp.explore.changes import Changes, VariableChange
from interp.explore.comparing import CommandDifference, Differs, FiberDifference
from interp.explore.concurrency import Concurrency
from interp.explore.continuing import Answer, AnswerSource, Missing
from interp.explore.convert import to_altair, to_plotly
from interp.explore.critical import CriticalPath, Step
from interp.explore.differing import Difference
from interp.explore.divergence import Divergence, Misfit
from interp.explore.failing import Failures
from interp.explore.frames import Column, Frame, Kind
from interp.explore.journal import Journal
from interp.explore.latency import Latency
from interp.explore.moments import Fibers, Moment
from interp.explore.path_map import PathMap
from interp.explore.report import Report, report_of_run, report_of_runs
from interp.explore.run import Damage, Run, diff
from interp.explore.runs import Runs
from interp.explore.scenes import FiberAt, FrameAt, Pending
from interp.explore.slowest import Slowest
from interp.explore.stepper import Stepper
from interp.explore.timeline import Timeline
from interp.explore.waits import Wait
from interp.explore.what_if import WhatIf

__all__ = [
    "Answer",
    "AnswerSource",
    "Blocked",
    "BlockedGroup",
    "Changes",
    "Column",
    "CommandDifference",
    "Concurrency",
    "CriticalPath",
    "Damage",
    "Difference",
    "Differs",
    "Divergence",
    "Failures",
    "FiberAt",
    "FiberDifference",
    "Fibers",
    "Frame",
    "FrameAt",
    "Journal",
    "Kind",
    "Latency",
    "Misfit",
    "Missing",
    "Moment",
    "PathMap",
    "Pending",
    "Report",
    "Run",
    "Runs",
    "Slowest",
    "Step",
    "Stepper",
    "Timeline",
    "VariableChange",
    "Wait",
    "WhatIf",
    "diff",
    "report_of_run",
    "report_of_runs",
    "to_altair",
    "to_plotly",
]

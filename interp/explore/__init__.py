"""Look into runs: in a notebook, beside a live system or after a crash. Only lists the public names.

Reads, and nothing else: no activity is called, nothing is written, and no transaction stays open between two calls.
"""

from interp.explore.concurrency import Concurrency
from interp.explore.convert import to_altair, to_plotly
from interp.explore.critical import CriticalPath, Step
from interp.explore.failing import Failures
from interp.explore.frames import Column, Frame, Kind
from interp.explore.journal import Journal
from interp.explore.latency import Latency
from interp.explore.path_map import PathMap
from interp.explore.run import Damage, Run
from interp.explore.runs import Runs
from interp.explore.slowest import Slowest
from interp.explore.timeline import Timeline

__all__ = [
    "Column",
    "Concurrency",
    "CriticalPath",
    "Damage",
    "Failures",
    "Frame",
    "Journal",
    "Kind",
    "Latency",
    "PathMap",
    "Run",
    "Runs",
    "Slowest",
    "Step",
    "Timeline",
    "to_altair",
    "to_plotly",
]

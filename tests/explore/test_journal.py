"""`Journal` opens whatever holds a history, and leaves it as it was."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from interp import Engine, call, workflow
from interp.errors import UnknownRun, UnknownStore, UsageError
from interp.explore import Journal
from interp.histories import ExportedHistory, dump_history
from interp.runtime.live import decoded
from interp.store import RunFilter, Status
from interp.typing import Workflow if False else object

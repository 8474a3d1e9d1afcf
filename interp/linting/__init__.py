"""What a workflow must not do, and how to find it without running it: `lint`.

The table of what is forbidden serves the runtime guard, too (`interp.runtime.guard`).
"""

from interp.linting.codes import CODES, Code
from interp.linting.findings import Finding, is_allowed_at
from interp.linting.linter import Linted, files_in, lint, lint_file, lint_module, lint_workflow

__all__ = [
    "CODES",
    "Code",
    "Finding",
    "Linted",
    "files_in",
    "is_allowed_at",
    "lint",
    "lint_file",
    "lint_module",
    "lint_workflow",
]

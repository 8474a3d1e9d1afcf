"""Forbidden calls are seen while a test runs: `guarded`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from interp.linting import Finding
from interp.runtime.guard import collecting

__all__ = ["guarded"]


@contextmanager
def guarded() -> Generator[list[Finding]]:
    """Collect what workflows are seen to do that they must not do: clock, random, environment, I/O, threads.

        with guarded() as findings:
            execute_workflow()
        assert findings == []

    Sees the workflows that run on this thread and were defined before, with the functions of the project that they
    call, and every call that they make, in replays too. Entering costs some microseconds on Python 3.12 and newer;
    on 3.11 all code on this thread runs slower inside.

    Returns:
        A context manager that gives a list; it fills while workflows run, each call site once.
    """
    with collecting() as findings:
        yield findings

"""The `interp` command.

`run` and `worker` open an `Engine`, which moves runs; the other commands only look at the store and post messages, so
that they work beside a worker of another process.
"""

from interp.cli.app import main

__all__ = ["main"]

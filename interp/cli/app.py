"""The command `interp` itself. Its commands are imported when they are used: `interp --help` needs none of them."""

from __future__ import annotations

import importlib
import sys

import click

__all__ = ["COMMANDS", "app", "main"]

COMMANDS = {
    "run": "Start a workflow, or go on with it, and print its result.",
    "start": "Start a workflow now or later, and leave it to a worker.",
    "worker": "Move the runs of some modules until it is stopped.",
    "list": "List runs, the newest first.",
    "show": "Show the history of a run as a tree.",
    "top": "Watch the runs of a store, live.",
    "blocked": "Tell what waits: on what, since when, at which line, and what makes it go on.",
    "report": "Write what is to be seen of runs into one file that needs nothing else.",
    "stream": "Print a stream of a run, also while it goes on.",
    "logs": "Show the captured log lines of a run.",
    "result": "Wait for a run to end and print its result.",
    "signal": "Send a signal to a run.",
    "ask": "Ask a run something and print its answer.",
    "cancel": "Ask a run to cancel.",
    "retry": "Make a parked or failed run go on from where it stands.",
    "schedule": "Look at schedules and talk to them.",
    "fork": "Start a new run from the first records of another.",
    "export": "Write the history of a run as text: one line of JSON for each record.",
    "check": "Replay the open runs of a store against the code as it is now.",
    "lint": "Find what makes workflows replay differently, without running them.",
}


class _LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which one meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"interp.cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="interp", prog_name="interp")
def app() -> None:
    """Durable execution: workflows whose finished work is never done twice.

    Start one with `interp run checkout.py '{"id": "42"}' --id order-42`. If it is interrupted, the same command goes
    on where it stood. The other commands look at runs and talk to them, also while they are at work elsewhere.

    Exit codes: 0 done, 1 an error (or a run that does not fit, of `interp check`; or a finding, of `interp lint`), 2 a
    command line that makes no sense, 130 interrupted, 143 terminated.
    """


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")  # a terminal that cannot show "✓" shows "?", and nothing breaks
    app(prog_name="interp")

"""A history as it is kept: one line for each record, what happened and what the workflow answered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo

from interp.events import Record, Transition
from interp.outline.happened import happened
from interp.outline.phrases import command_words, outcome_words
from interp.outline.words import count, stamp

__all__ = ["record_lines", "told"]

# Values and commands longer than this are cut.
_WIDTH = 60

# Commands of one record that are named; the others are counted.
_COMMANDS = 4


def record_lines(history: Iterable[Transition], zone: tzinfo | None) -> Iterator[str]:
    """Write each record on a line: its index, when, what happened, and the commands or the outcome that followed."""
    commands: dict[str, Record] = {}
    for record in history:
        commands |= {command.id: command for command in record.commands}
        caused, followed = told(record, commands)
        line = f"{record.index:>4}  {stamp(record.at, zone)}  {caused}"
        yield f"{line}  ⇒  {followed}" if followed else line


def told(record: Transition, commands: Mapping[str, Record]) -> tuple[str, str]:
    """Tell what happened, and the commands or the outcome that followed; empty for none.

    Args:
        record: The record.
        commands: The commands of the run up to it, by id.
    """
    answers = [_command(command) for command in record.commands[:_COMMANDS]]
    if len(record.commands) > _COMMANDS:
        answers.append(f"{count(len(record.commands) - _COMMANDS, 'more command')}")
    if record.outcome is not None:
        answers.append(outcome_words(record.outcome, _WIDTH))
    return happened(record, commands, _WIDTH)[1], "; ".join(answers)


def _command(command: Record) -> str:
    words = command_words(command, _WIDTH)
    return words if command.kind == "patched" else f"{words} [{command.id}]"

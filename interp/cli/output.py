"""What goes to stdout and stderr, except what rich draws: JSON documents, plain lines, errors. Exit codes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

import attrs
import click
import msgspec

from interp.errors import InterpError, RunFailed
from interp.outline.words import clean

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "TERMINATED",
    "error_document",
    "fail",
    "note",
    "say",
    "write_document",
    "write_line",
]

FAILED = 1
INTERRUPTED = 130
TERMINATED = 143


def write_document(document: Mapping[str, Any]) -> None:
    """Write one JSON document to stdout. Values may be `msgspec.Raw`: recorded JSON is passed on as it is."""
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))


def write_line(value: Any) -> None:
    """Write a value to stdout as JSON on one line, at once: whoever reads along sees it."""
    click.echo(msgspec.json.encode(value))
    sys.stdout.flush()


def say(text: str) -> None:
    """Write a line to stdout."""
    click.echo(clean(text))


def note(text: str, *, dim: bool = False) -> None:
    """Write a line for people to stderr."""
    click.secho(clean(text), err=True, dim=dim or None)


def fail(error: Exception, *, as_json: bool, debug: bool) -> NoReturn:
    """Report an error and exit."""
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True)
    if as_json:
        write_document({"error": error_document(error)})
    else:
        _write_error(error)
    sys.exit(FAILED)


def error_document(error: BaseException) -> dict[str, Any]:
    """Describe an error for machines: its type, its text, its notes, and the fields of its class."""
    document: dict[str, Any] = {"type": type(error).__name__, "message": str(error)}
    if notes := getattr(error, "__notes__", ()):
        document["notes"] = list(notes)
    kind: type[Any] = type(error)
    if isinstance(error, InterpError) and attrs.has(kind):
        for field in attrs.fields(kind):
            name = f"error_{field.name}" if field.name in document else field.name
            document[name] = getattr(error, field.name)
    return document


def _failed_text(error: RunFailed) -> str:
    """Tell why a workflow failed, and at which of its lines, without repeating the message below them."""
    frames = [line for line in error.remote_traceback.splitlines() if line.startswith('  File "')]
    return "\n".join([f"run {error.run_id!r} failed: {error.type_name}: {error.message}", *frames])


def _write_error(error: Exception) -> None:
    if isinstance(error, RunFailed):
        text = _failed_text(error)
    elif isinstance(error, InterpError):
        text = str(error)
    else:
        text = (
            f"{type(error).__name__}: {error}\n"
            "This is not an error that interp expects here; --debug shows the traceback."
        )
    first, *rest = [*clean(text).splitlines(), *clean("\n".join(getattr(error, "__notes__", ()))).splitlines()] or [""]
    click.secho(first, err=True, fg="red", bold=True)
    for line in rest:
        click.echo(line, err=True)

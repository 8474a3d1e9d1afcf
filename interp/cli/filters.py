"""Which runs a command is about: --workflow, --status, --open, --since, --until, --where and --limit."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar, cast

import attrs
import click
import msgspec

from interp.errors import UsageError
from interp.explore.finding import Query, query
from interp.store import Status

__all__ = ["Filters", "filtering"]

F = TypeVar("F", bound=Callable[..., Any])

_NAMES = ("statuses", "is_open", "workflow", "since", "until", "attributes")


@attrs.frozen
class Filters:
    """What was asked for; see `query`."""

    statuses: tuple[str, ...]
    is_open: bool
    workflow: str | None
    since: str | None
    until: str | None
    attributes: tuple[str, ...]
    limit: int

    @property
    def is_given(self) -> bool:
        """Whether any was, the limit aside."""
        return any(getattr(self, name) for name in _NAMES)

    def query(self, now: datetime, *, newest: bool = True) -> Query:
        """Return them as the question to a store.

        Args:
            now: The time.
            newest: Whether the newest runs come first.

        Raises:
            UsageError: One makes no sense.
        """
        status = [*self.statuses, *(["open"] if self.is_open else [])] or None
        return query(
            self.workflow,
            status,
            self.since,
            self.until,
            dict(map(_attribute, self.attributes)),
            self.limit or None,
            newest=newest,
            now=now,
        )


def _attribute(given: str) -> tuple[str, Any]:
    name, equals, value = given.partition("=")
    if not equals or not name:
        raise UsageError(f"--where {given}: expected NAME=VALUE, such as customer=42")
    try:
        return name, msgspec.json.decode(value)
    except msgspec.MsgspecError:
        return name, value


def filtering(limit: int) -> Callable[[F], F]:
    """Add the options that choose runs; the function gets `filters`.

    Args:
        limit: The default of --limit.
    """
    options = (
        click.option(
            "--status",
            "statuses",
            multiple=True,
            type=click.Choice([status.value for status in Status]),
            help="Only runs with this status; may be given several times.",
        ),
        click.option("--open", "is_open", is_flag=True, help="Only runs that have not ended, parked ones included."),
        click.option("--workflow", metavar="NAME", help="Only runs of this workflow, such as checkout; or checkout@1."),
        click.option("--since", metavar="TIME", help="Only runs created since then: 2h ago, or 2027-01-31T08:00Z."),
        click.option("--until", metavar="TIME", help="Only runs created before then."),
        click.option(
            "--where",
            "attributes",
            metavar="NAME=VALUE",
            multiple=True,
            help="Only runs that annotated this; may be given several times.",
        ),
        click.option(
            "--limit", type=click.IntRange(min=0), default=limit, show_default=True, help="At most so many; 0 for all."
        ),
    )

    def add(function: F) -> F:
        def called(**given: Any) -> Any:
            names = [*_NAMES, "limit"]
            filters = Filters(**{name: given.pop(name) for name in names})
            return function(filters=filters, **given)

        made: Any = functools.update_wrapper(called, function)
        for option in reversed(options):
            made = option(made)
        return cast("F", made)  # with options on it, still a function of the same arguments

    return add

"""Which runs of a journal somebody asks for, in the words of the one who asks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

import attrs
import msgspec

from interp.codec import ANY
from interp.definitions import workflow_of, workflows
from interp.errors import CodecError, UsageError
from interp.outline.words import parse_span
from interp.runtime.live import microseconds
from interp.store import Reader, RunFilter, RunRow, Status
from interp.versions import family_of, is_of

__all__ = ["Query", "Statuses", "found", "query"]

Statuses = str | Status | Iterable[str | Status] | None
"""One status, several, `open` (what has not ended, parked runs included), `ended`, or any."""

_GROUPS = {
    "open": frozenset(status for status in Status if not status.ended),
    "ended": frozenset(status for status in Status if status.ended),
}

# How many rows are read at once: the store is not held up, and what is left out takes no memory.
_PAGE = 1_000

# Names that an error lists.
_MOST_NAMES = 8


@attrs.frozen
class Query:
    """Which runs; None means any.

    Attributes:
        workflow: Name of the workflow, for all its versions; or one version of it.
        statuses: One of these.
        since_us: Created at this time or later.
        until_us: Created before this time.
        attributes: What the run annotated, as plain JSON values by name.
        limit: At most so many.
        newest: Whether the newest come first, and are kept when there are more; else the oldest.
    """

    workflow: str | None = None
    statuses: frozenset[Status] | None = None
    since_us: int | None = None
    until_us: int | None = None
    attributes: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    limit: int | None = None
    newest: bool = True

    def matches(self, row: RunRow) -> bool:
        """Whether a run is one of those asked for, as far as the store cannot tell."""
        return not self.attributes or self._annotated(row.attributes)

    def _annotated(self, attributes: bytes) -> bool:
        try:
            said = msgspec.json.decode(attributes or b"{}", type=dict[str, Any])
        except msgspec.MsgspecError:  # encrypted, and there is no key
            return False
        return all(name in said and _equal(said[name], value) for name, value in self.attributes.items())


def _equal(said: Any, wanted: Any) -> bool:
    """Compare plain JSON values; unlike in Python, true is not 1."""
    return said == wanted and isinstance(said, bool) == isinstance(wanted, bool)


def query(
    workflow: Any,
    status: Statuses,
    since: datetime | timedelta | str | None,
    until: datetime | timedelta | str | None,
    attributes: Mapping[str, Any] | None,
    limit: int | None,
    *,
    newest: bool,
    now: datetime,
) -> Query:
    """Read what somebody asks for.

    Args:
        workflow: A name, a function declared with `@workflow`, or None.
        status: See `Statuses`.
        since: A moment, how long ago, or either as text: `2h`, `2026-11-03T09:00Z`.
        until: Likewise.
        attributes: Values by the names that the workflow gave them in `annotate`.
        limit: At most so many; None for all.
        newest: Whether the newest come first.
        now: The time.

    Raises:
        UsageError: A status or a time that is none, a limit below 0.
    """
    if limit is not None and limit < 0:
        raise UsageError(f"limit={limit}: give how many runs at most, or None for all")
    name = workflow if workflow is None or isinstance(workflow, str) else workflow_of(workflow).family
    try:
        plain = msgspec.json.decode(ANY.encode(dict(attributes or {})), type=dict[str, Any])
    except CodecError as error:
        raise UsageError(f"attributes={attributes!r}: {error}") from None
    return Query(
        name,
        None if status is None else _statuses(status),
        _moment("since", since, now),
        _moment("until", until, now),
        plain,
        limit,
        newest,
    )


def _statuses(status: str | Status | Iterable[str | Status]) -> frozenset[Status]:
    names = [status] if isinstance(status, str) else list(status)
    return frozenset(each for name in names for each in _status(name))


def _status(name: str) -> frozenset[Status]:
    if name in _GROUPS:
        return _GROUPS[name]
    try:
        return frozenset({Status(name)})
    except ValueError:
        known = [*(each.value for each in Status), *_GROUPS]
        raise UsageError(f"status={name!r}: {_near(str(name), known)}") from None


def _near(name: str, known: Iterable[str]) -> str:
    """Say what there is instead, the most alike first."""
    names = sorted(known)
    near = get_close_matches(name, names, cutoff=0.5)
    listed = [*near, *(each for each in names if each not in near)]
    more = ", …" if len(listed) > _MOST_NAMES + 1 else ""
    return f"there is none; {'the nearest is ' + repr(near[0]) + ', of ' if near else 'there are '}" + (
        ", ".join(listed[: _MOST_NAMES + 1]) + more
    )


def _moment(name: str, value: datetime | timedelta | str | None, now: datetime) -> int | None:
    if isinstance(value, str):
        ago = parse_span(value)
        value = _read(name, value) if ago is None else ago
    if value is None:
        return None
    if isinstance(value, timedelta):
        try:
            value = now - value
        except OverflowError:
            return 0
    if not isinstance(value, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]  nobody checks notebooks
        told = "takes how long ago, such as timedelta(seconds=30) or '2h', or a moment"
        raise UsageError(f"{name}={value!r}: {told}")
    if value.tzinfo is None:
        raise UsageError(f"{name}={value.isoformat()}: which zone? give an aware datetime, such as {value}Z in UTC")
    return microseconds(value)


def _read(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        told = "expected how long ago (30s, 15min, 2h, 7d) or a moment (2026-11-03T09:00Z)"
        raise UsageError(f"{name}={text!r}: {told}") from None


def found(reader: Reader, query: Query) -> tuple[list[RunRow], bool]:
    """List the runs that are asked for.

    Args:
        reader: The store.
        query: Which ones.

    Returns:
        The runs in order, and whether there are more than the limit.

    Raises:
        UsageError: There are none, and no run and no registered workflow has such a name.
        StoreError: The store cannot be read.
    """
    limit = query.limit
    matching = filter(query.matches, _listed(reader, query))
    rows = [*itertools.islice(matching, None if limit is None else limit + 1)]
    if not rows and query.workflow is not None:
        _check_name(reader, query.workflow)
    return rows[:limit], limit is not None and len(rows) > limit


def _listed(reader: Reader, query: Query) -> Iterator[RunRow]:
    """Give the runs that the store can tell, page by page."""
    size = _PAGE if query.limit is None or query.attributes else min(query.limit + 1, _PAGE)
    where = RunFilter(
        query.statuses,
        query.workflow,
        size,
        newest=query.newest,
        created_from_us=query.since_us,
        created_until_us=query.until_us,
    )
    while True:
        page = reader.runs(where)
        yield from page
        if len(page) < size:
            return
        where = attrs.evolve(where, after=page[-1].id)


def _check_name(reader: Reader, name: str) -> None:
    """Refuse a name that nothing has: it was mistyped, and an empty list would not tell."""
    known = set(workflows())
    if any(is_of(tag, name) for tag in known):
        return
    known |= {row.workflow for row in _listed(reader, Query())}
    if not any(is_of(tag, name) for tag in known):
        families = {family_of(tag) for tag in known if not tag.startswith("interp.")}
        told = _near(name, families) if families else "the journal has no runs"
        raise UsageError(f"workflow={name!r}: {told}")

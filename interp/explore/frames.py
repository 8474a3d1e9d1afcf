"""`Frame`: named and typed columns, for whatever data frame library its reader has, and for none.

The core depends on no such library. A frame shows itself, hands out its columns as plain Python values, and becomes a
pandas, polars or Arrow table when asked: the library is imported then. Everything that takes an Arrow stream takes a
frame as it is (`pl.DataFrame(frame)`, `pa.table(frame)`); who writes the stream, and why not we ourselves, is told in
docs/decisions/0030-frames-without-a-library.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from importlib import import_module
from typing import Any

import attrs

from interp.errors import UsageError
from interp.explore.markup import Markup, element
from interp.explore.view import View
from interp.outline.words import count, elide, one_line

__all__ = ["Column", "Frame", "Kind", "library"]

# Rows that are shown, and characters of one cell.
_ROWS = 20
_CELL = 48

# Columns of text, as wide as a terminal.
_WIDTH = 120


class Kind(Enum):
    """What a column holds; any of them may be None."""

    TEXT = "text"  # str
    WHOLE = "whole"  # int, 64 bits
    NUMBER = "number"  # float
    TRUTH = "truth"  # bool
    MOMENT = "moment"  # datetime, aware; microseconds
    SPAN = "span"  # timedelta; microseconds


@attrs.frozen(eq=False, repr=False)
class Column(Sequence[Any]):
    """One column: a sequence of plain values.

    Attributes:
        name: Its name.
        kind: What it holds.
        values: One for each row.
    """

    name: str
    kind: Kind
    values: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:
        return self.values[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __repr__(self) -> str:
        begin = ", ".join(elide(repr(value), _CELL) for value in self.values[:5])
        return f"<column {self.name!r} of {count(len(self), self.kind.value)}: {begin}{', …' if len(self) > 5 else ''}>"


class Frame(View):
    """A table that does not change: columns of plain values, all of one length.

    It is no `collections.abc.Sequence`: polars would then take it row by row instead of as the Arrow stream that it is.
    """

    def __init__(
        self, columns: Mapping[str, tuple[Kind, Iterable[Any]]], *, damaged: int = 0, noun: str = "row"
    ) -> None:
        """Make a frame.

        Args:
            columns: By name: what the column holds, and its values.
            damaged: How many records could not be read where the rows come from.
            noun: What a row is, for people: `command`, `run`.

        Raises:
            UsageError: The columns are not of one length.
        """
        self._columns = {name: Column(name, kind, tuple(values)) for name, (kind, values) in columns.items()}
        self._length = len(next(iter(self._columns.values()), ()))
        self._noun = noun
        self.damaged = damaged
        for column in self._columns.values():
            if len(column) != self._length:
                raise UsageError(f"column {column.name!r} has {len(column)} values; the first one has {self._length}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self._columns)

    def __getitem__(self, name: str) -> Column:
        """Return a column.

        Raises:
            UsageError: There is none of this name.
        """
        try:
            return self._columns[name]
        except KeyError:
            raise UsageError(f"no column {name!r}; there are {', '.join(self._columns)}") from None

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self._length

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Give the rows, each as a dict."""
        for values in zip(*(column.values for column in self._columns.values()), strict=True):
            yield dict(zip(self._columns, values, strict=True))

    def __repr__(self) -> str:
        """Say on one line what it holds."""
        return f"<frame of {count(len(self), self._noun)}, {count(len(self._columns), 'column')}>"

    # Other people's tables.

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame`: missing text and numbers as `pandas.NA`, missing times as `NaT`.

        Raises:
            UsageError: pandas is not installed.
        """
        pandas = library("pandas", "a pandas.DataFrame is made by pandas")
        return pandas.DataFrame(
            {name: pandas.Series(column.values, dtype=_PANDAS[column.kind]) for name, column in self._columns.items()}
        )

    def to_polars(self) -> Any:
        """Return a `polars.DataFrame`.

        Raises:
            UsageError: polars is not installed.
        """
        polars = library("polars", "a polars.DataFrame is made by polars")
        types = {
            Kind.TEXT: polars.String,
            Kind.WHOLE: polars.Int64,
            Kind.NUMBER: polars.Float64,
            Kind.TRUTH: polars.Boolean,
            Kind.MOMENT: polars.Datetime("us", "UTC"),
            Kind.SPAN: polars.Duration("us"),
        }
        return polars.DataFrame(
            [polars.Series(name, column.values, types[column.kind]) for name, column in self._columns.items()]
        )

    def to_arrow(self) -> Any:
        """Return a `pyarrow.Table`.

        Raises:
            UsageError: pyarrow is not installed.
        """
        arrow = library("pyarrow", "a pyarrow.Table is made by pyarrow")
        types = {
            Kind.TEXT: arrow.string(),
            Kind.WHOLE: arrow.int64(),
            Kind.NUMBER: arrow.float64(),
            Kind.TRUTH: arrow.bool_(),
            Kind.MOMENT: arrow.timestamp("us", "UTC"),
            Kind.SPAN: arrow.duration("us"),
        }
        return arrow.table(
            {name: arrow.array(column.values, types[column.kind]) for name, column in self._columns.items()}
        )

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Give the frame as an Arrow stream (the Arrow PyCapsule interface), written by pyarrow or polars.

        Args:
            requested_schema: What the taker would like the columns to be; a capsule, or None.

        Raises:
            UsageError: Neither is installed.
        """
        for name, table in (("pyarrow", self.to_arrow), ("polars", self.to_polars)):
            try:
                import_module(name)
            except ImportError:
                continue
            return table().__arrow_c_stream__(requested_schema)
        raise UsageError(
            "an Arrow stream is written by pyarrow or polars, and neither is installed here: pip install pyarrow, or "
            "take the columns as they are: dict(zip(frame.columns, map(frame.__getitem__, frame.columns)))"
        )

    # How it shows itself.

    def html(self) -> Markup:
        """Show the first rows."""
        columns = self._columns.values()
        head = element("tr", *(element("th", column.name, scope="col", class_=_align(column)) for column in columns))
        body = [
            element(
                "tr", *(element("td", cell, class_=_align(column)) for cell, column in zip(row, columns, strict=True))
            )
            for row in self._cells()
        ]
        table = element("table", element("thead", head), element("tbody", *body))
        return element(
            "div",
            element("div", table, style="overflow-x: auto; white-space: nowrap"),
            element("p", self._foot(), class_="dim", style="margin: 2px 0"),
        )

    def text(self) -> str:
        """Show the first rows, and as many columns as fit."""
        columns, rows = list(self._columns.values()), list(self._cells())
        widths = [max([len(column.name), *(len(row[place]) for row in rows)]) for place, column in enumerate(columns)]
        reached = list(itertools.accumulate(width + 2 for width in widths))
        fits = max(1, sum(end - 2 <= _WIDTH for end in reached))
        lines = [[column.name for column in columns], *rows]
        shown = [
            "  ".join(
                cell.rjust(width) if _align(column) else cell.ljust(width)
                for cell, width, column in zip(line[:fits], widths, columns, strict=False)
            ).rstrip()
            for line in lines
        ]
        hidden = [column.name for column in columns[fits:]]
        more = [elide(f"{count(len(hidden), 'more column')}: {', '.join(hidden)}", _WIDTH)] if hidden else []
        return "\n".join([*shown, *more, self._foot()])

    def _cells(self) -> Iterator[list[str]]:
        shown = zip(*(column.values[:_ROWS] for column in self._columns.values()), strict=True)
        return ([_cell(value) for value in row] for row in shown)

    def _foot(self) -> str:
        more = f"… {len(self) - _ROWS:,} more; " if len(self) > _ROWS else ""
        damaged = f"; {count(self.damaged, 'damaged record')} left out" if self.damaged else ""
        return f"{more}{count(len(self), self._noun)}{damaged}"


_PANDAS = {
    Kind.TEXT: "string",
    Kind.WHOLE: "Int64",
    Kind.NUMBER: "Float64",
    Kind.TRUTH: "boolean",
    Kind.MOMENT: "datetime64[us, UTC]",
    Kind.SPAN: "timedelta64[us]",
}

_NUMBERS = frozenset({Kind.WHOLE, Kind.NUMBER, Kind.SPAN})


def _align(column: Column) -> str | None:
    return "num" if column.kind in _NUMBERS else None


def _cell(value: object) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return str(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        case timedelta():
            return f"{value.total_seconds():,.6g} s"
        case _:
            return elide(one_line(str(value)[: _CELL * 4]), _CELL)


def library(name: str, why: str) -> Any:
    """Import a package that the core does not depend on.

    Args:
        name: What is imported.
        why: What it is needed for.

    Raises:
        UsageError: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise UsageError(f"{why}, which is not installed here: pip install {package}") from None

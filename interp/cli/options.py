"""What all commands have in common: their class, and the options --store, --json and --debug."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from interp.cli.output import INTERRUPTED, fail
from interp.cli.target import codec_in
from interp.errors import UnknownStore
from interp.outline.words import parse_span
from interp.payloads import PayloadCodec
from interp.runtime.sealed import sealed_reader, sealed_store
from interp.runtime.stores import default_url, open_reader, open_store
from interp.store import Reader, Store

__all__ = [
    "JSON_ARGUMENTS",
    "MOMENT",
    "SPAN",
    "Command",
    "MomentType",
    "SpanType",
    "any_store",
    "codec_option",
    "common",
    "existing_store",
    "given_codec",
    "reporting",
]

F = TypeVar("F", bound=Callable[..., Any])

_DEBUG = "interp.debug"
_AS_JSON = "interp.json"
_CODEC = "interp.codec"

# So that -5 is an argument; what else begins with a dash is refused by the command itself, see arguments.py.
JSON_ARGUMENTS = {"ignore_unknown_options": True}


class Command(click.Command):
    """A command whose errors are told without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; every error that is not click's own ends here."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except Exception as error:  # noqa: BLE001  reported, whatever it is
            fail(error, as_json=ctx.meta.get(_AS_JSON, False), debug=ctx.meta.get(_DEBUG, False))


def common(function: F) -> F:
    """Add the options of commands that have to do with a store; the function gets `store_url` and `as_json`."""
    function = reporting(function)
    for option in (
        click.option(
            "--codec",
            metavar="MODULE:NAME",
            envvar="INTERP_CODEC",
            expose_value=False,
            callback=_remember(_CODEC),
            help="The codec that values in the store went through, such as a variable with Encrypted(...).  "
            "[default: $INTERP_CODEC, else none]",
        ),
        click.option(
            "--store",
            "store_url",
            metavar="URL",
            help="The store: lmdb:DIR, or another kind that is installed.  [default: $INTERP_STORE, else lmdb:.interp]",
        ),
    ):
        function = option(function)
    return function


def reporting(function: F) -> F:
    """Add the options that all commands have; the function gets `as_json`."""
    for option in (
        click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=_remember(_DEBUG),
            help="Show the traceback of an error too.",
        ),
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            callback=_remember(_AS_JSON),
            is_eager=True,
            help="Write one JSON document to stdout, errors included.",
        ),
    ):
        function = option(function)
    return function


def _remember(key: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def remember(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
        ctx.meta[key] = value
        return value

    return remember


class SpanType(click.ParamType[timedelta]):
    """A span of time on the command line: `30`, `1.5h`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the span."""
        found = value if isinstance(value, timedelta) else parse_span(value)
        if found is None:
            self.fail(f"{value!r} is no span of time; write seconds, or a number with ms, s, m, h or d.", param, ctx)
        return found


class MomentType(click.ParamType[datetime]):
    """A moment on the command line, in ISO 8601: `2027-01-31T08:00Z`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the moment."""
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time in ISO 8601, such as 2027-01-31T08:00Z.", param, ctx)
        if found.tzinfo is None:
            local = found.astimezone().isoformat(timespec="minutes")
            self.fail(
                f"{value!r} does not say its time zone; here it would be {local}, and in UTC {value}Z.", param, ctx
            )
        return found


SPAN = SpanType()
MOMENT = MomentType()


def codec_option() -> str:
    """Return which codec the command line, or the environment, names; empty for none."""
    return click.get_current_context().meta.get(_CODEC) or ""


def given_codec() -> PayloadCodec | None:
    """Import the codec that the command line, or the environment, names; None when it names none.

    Raises:
        TargetError: It cannot be imported, or is no codec.
    """
    place = codec_option()
    return codec_in(place) if place else None


@contextmanager
def existing_reader(place: str | None, *, redacts: bool = False) -> Generator[Reader]:
    """Open a store for commands that only look, and close it; a backup or an exported history will do as well.

    Args:
        place: A URL or a path, see `open_reader`.
        redacts: Whether values that cannot be read without their key are shown as ‹encrypted›.

    Raises:
        UnknownStore: There is nothing, or nothing that is understood.
        StoreError: The store cannot be opened.
    """
    place = place or default_url()
    _check_there(place)
    codec = given_codec()
    reader = open_reader(place)
    try:
        yield reader if codec is None and not redacts else sealed_reader(reader, codec, redacts=redacts)
    finally:
        reader.close()


@contextmanager
def existing_store(url: str | None, *, redacts: bool = False) -> Generator[Store]:
    """Open a store for commands that post to it, and close it; one that is not there is not made.

    Args:
        url: Its URL.
        redacts: Whether values that cannot be read without their key are shown as ‹encrypted›, for looking only.

    Raises:
        UnknownStore: There is no store of this kind, or none there.
        StoreError: The store cannot be opened.
    """
    url = url or default_url()
    _check_there(url)
    with any_store(url, redacts=redacts) as store:
        yield store


def _check_there(url: str) -> None:
    """Refuse a directory that is not there: a slip of the pen in --store must not leave one behind."""
    scheme, _, rest = url.partition(":")
    path = rest.partition("?")[0]
    if scheme == "lmdb" and path and not Path(path.removeprefix("//")).exists():
        raise UnknownStore(url, "there is no such directory; `interp run` makes it")


@contextmanager
def any_store(url: str | None, *, redacts: bool = False) -> Generator[Store]:
    """Open a store, made if it is not there, behind the codec that the command line names; and close it.

    Args:
        url: Its URL.
        redacts: As for `existing_store`.

    Raises:
        UnknownStore: There is no store of this kind.
        StoreError: The store cannot be opened.
    """
    codec = given_codec()
    store = open_store(url or default_url())
    try:
        yield store if codec is None and not redacts else sealed_store(store, codec, redacts=redacts)
    finally:
        store.close()

"""How histories are written: spans of time, moments, values, commands. Pure: text in, text out."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta, tzinfo

import msgspec

from interp.codec import ANY, render_value
from interp.errors import CodecError
from interp.events import Failure, Outgrown, Record
from interp.interpreter import BEFORE_THE_FIRST
from interp.sealing import REDACTED

__all__ = [
    "LONG_BYTES",
    "READ",
    "WHOLE",
    "clean",
    "count",
    "elide",
    "failure_line",
    "heading",
    "long_history",
    "one_line",
    "parse_span",
    "recorded",
    "reflowed",
    "rendered",
    "rendered_arguments",
    "span",
    "stamp",
]

# Longer than any value: for those who want to see them whole.
WHOLE = 1 << 40

# Longer JSON is not read where only its beginning is shown: that tells what it is.
LONG_BYTES = 100_000

# So much is read at least of what is shortened: more than is shown, since blanks are joined.
READ = 1_000

_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def clean(text: str) -> str:
    """Show control characters as their escapes, so that nothing recorded can drive the terminal; newlines stay.

    So that there is one line for each of them, the separators of lines and paragraphs are control characters too.
    """
    if text.isprintable():  # nearly always, and a value may have many megabytes
        return text
    return "".join(
        char if char == "\n" or not _drives(char) else char.encode("unicode_escape").decode()
        for char in text.replace("\t", "    ")
    )


def _drives(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def one_line(text: str) -> str:
    """Return the text cleaned and on one line."""
    return clean(" ".join(text.split()))


def elide(text: str, width: int) -> str:
    """Cut a text to a width, and say so by an ellipsis."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return `1 call`, `2 calls`, `1,200 calls`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def span(delta: timedelta, *, is_rough: bool = False) -> str:
    """Return a span in its two largest units, or roughly in one: `310 ms`, `12 s`, `3 min 20 s`, `2 d 4 h`."""
    seconds = max(delta.total_seconds(), 0.0)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    for unit, size, lesser, lesser_size in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // lesser_size
            return f"{whole // size} {unit}" + (f" {rest} {lesser}" if rest and not is_rough else "")
    return f"{whole} s"


def parse_span(text: str) -> timedelta | None:
    """Read `30`, `30s`, `1.5h`; None when it is no span of time."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip())
    if found is None or (found[2] or "s") not in _UNITS_S:
        return None
    try:
        return timedelta(seconds=float(found[1]) * _UNITS_S[found[2] or "s"])
    except OverflowError:
        return None


def stamp(moment: datetime, zone: tzinfo | None) -> str:
    """Return date and time in a zone (None: the local one), to the second."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def reflowed(text: str) -> str:
    """Join the lines of a paragraph that was broken for another width; indented lines and sentences stay."""
    lines: list[str] = []
    for line in text.splitlines():
        before = lines[-1] if lines else ""
        if before and before[-1] not in ".:!?" and not before.startswith(" ") and line[:1].islower():
            lines[-1] = f"{before} {line}"
        else:
            lines.append(line)
    return "\n".join(lines)


def rendered(payload: bytes, width: int = WHOLE) -> str:
    """Return a recorded value as Python writes it, on one line: whole, or shortened to a width."""
    if payload == REDACTED:
        return "‹encrypted›"
    if len(payload) > LONG_BYTES and width < LONG_BYTES:
        return f"{payload[:width].decode('utf-8', 'replace')}… ({count(len(payload), 'byte')})"
    return render_value(payload, width)


def recorded(payload: bytes, width: int = 90) -> str:
    """Show a recorded value on one line of at most `width` characters; never raises.

    Args:
        payload: JSON, or whatever was recorded.
        width: Longest text, in characters.
    """
    if len(payload) > LONG_BYTES:
        begin = clean(" ".join(payload[: 4 * width].decode("utf-8", "replace").split()))
        size = f" … ({len(payload):,} bytes)"
        return elide(begin, max(width - len(size), 0)) + size
    return elide(one_line(rendered(payload, max(READ, 4 * width))), width)


def rendered_arguments(payload: bytes, width: int = WHOLE) -> str:
    """Return recorded arguments as Python writes them, without the brackets around all."""
    text = rendered(payload, width)
    return text if payload == REDACTED else text.removeprefix("[").removesuffix("]")


def heading(record: Record, width: int = WHOLE) -> tuple[str, str | None]:
    """Return what a recorded command is called, and the arguments of a call: `("call charge", "'42', 7")`."""
    if record.payload == REDACTED:
        return _named(record, width), rendered(record.payload)
    if len(record.payload) > LONG_BYTES and width < LONG_BYTES:
        return _named(record, width), rendered_arguments(record.payload, width)
    if len(record.target) > width:
        record = msgspec.structs.replace(record, target=elide(record.target, width))
    try:
        return _heading(record, width)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # nothing that this version writes
        return _named(record, width), rendered(record.payload, width)


def _named(record: Record, width: int) -> str:
    return clean(elide(f"{record.kind} {record.target}".rstrip(), width))


def _heading(record: Record, width: int) -> tuple[str, str | None]:
    match record.kind:
        case "call" | "transact":
            return f"{record.kind} {record.target}", rendered_arguments(record.payload, width)
        case "sleep":
            return f"sleep {_seconds(record)}", None
        case "sleep_until":
            verb = "begin at" if record.id == BEFORE_THE_FIRST else "sleep until"  # the timer of `start_at`
            return f"{verb} {rendered(record.payload)[2:-2]}", None
        case "await_signal":
            return f"signal {record.target!r}", None
        case "emit":
            return f"emit {record.target!r}", rendered(record.payload)
        case "await_request":
            return f"request {record.target!r}", None
        case "reply":
            _, how, value = _parts(record)
            return f"reply to {record.target!r}", rendered(value) if how == b'"ok"' else f"error={rendered(value)}"
        case "annotate":
            return "annotate", _fields(record)
        case "child":
            args, run_id, _ = _parts(record)
            return f"child {rendered(run_id)}: {record.target}", rendered_arguments(args)
        case "send":
            to, payload = _parts(record)
            return f"send to {rendered(to)}: {record.target}", rendered(payload)
        case _:
            return clean(f"{record.kind} {record.target!r}" if record.target else record.kind), None


def _parts(record: Record) -> list[bytes]:
    """Return the items of a recorded array, each as JSON."""
    return [bytes(part) for part in msgspec.json.decode(record.payload, type=list[msgspec.Raw])]


def failure_line(failure: Failure, width: int = WHOLE) -> str:
    """Return an exception on one line, such as `ConnectionError: refused`; a message in about so many characters."""
    name = one_line(failure.type_name[:width].removeprefix("builtins.").removeprefix("interp.errors."))
    message = elide(one_line(failure.message[: 2 * width]), width)
    return f"{name}: {message}" if message else name


def long_history(event: Outgrown) -> str:
    """Say how long a history is, and the cure."""
    took = f", whose replay took {span(timedelta(microseconds=event.replay_us))}" if event.replay_us else ""
    return f"{count(event.records, 'record')}{took}; continue_as(...) begins a fresh one"


def _fields(record: Record) -> str:
    """Return the fields of an annotate as they were written: `stage='charging'`."""
    try:
        fields = msgspec.json.decode(record.payload, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:  # nothing that this version writes
        return rendered(record.payload)
    return ", ".join(f"{name}={rendered(bytes(raw))}" for name, raw in fields.items())


def _seconds(record: Record) -> str:
    try:
        (value,) = ANY.decode(record.payload)
        return "" if value is None else span(timedelta(seconds=value))
    except (CodecError, TypeError, ValueError, OverflowError):  # nothing that this version writes
        return rendered(record.payload)

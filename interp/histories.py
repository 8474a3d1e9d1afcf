"""Histories as text: a file that people can read, compare and commit, and that gives the same records back.

The first line says what it is, then there is one line of JSON for each record, so that a comparison of two files shows
record by record where they differ. Values stand in it as the JSON that was recorded, not wrapped in anything, byte for
byte; what is as usual (the defaults of the recorded forms) is left out. Pure: whoever calls opens the file.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import attrs
import msgspec

from interp.errors import UsageError
from interp.events import AttemptFailed, Event, Heartbeat, Outcome, Record, Transition

__all__ = ["SUFFIX", "ExportedHistory", "Redact", "dump_history", "load_history", "without_attempts"]

SUFFIX = ".history.jsonl"
"""How the files are called that the pytest plugin collects."""

Redact = Callable[[Any], Any]
"""Gives what stands for a string or number in the file. The same must always stand for the same, or what was recorded
would no longer fit together."""

_FORMAT = 1

# The one recorded field of bytes that is no JSON.
_SEED = "seed"

# The one recorded field with bytes or None: requests that are not answered.
_ASKED = "asked"


@attrs.frozen
class ExportedHistory:
    """A history with what is needed to replay it.

    Attributes:
        run_id: The id of the run; child runs and idempotency keys hang on it.
        workflow: Name of the workflow, as the store has it.
        history: The records.
    """

    run_id: str
    workflow: str
    history: tuple[Transition, ...]


def dump_history(exported: ExportedHistory, redact: Redact | None = None) -> str:
    """Write a history as text.

    Args:
        exported: The history.
        redact: Replaces strings and numbers inside of values, for what must not leave the house.
    """
    head = {
        "interp": "history",
        "format": _FORMAT,
        "workflow": exported.workflow,
        "run": exported.run_id,
        "records": len(exported.history),
    }
    lines = [msgspec.json.encode(head)]
    lines += [msgspec.json.encode(_plain(transition, redact)) for transition in exported.history]
    return b"\n".join(lines).decode() + "\n"


def load_history(text: str, source: str) -> ExportedHistory:
    """Read what `dump_history` wrote.

    Args:
        text: The text.
        source: Where it comes from, for the error.

    Raises:
        UsageError: It is no such text, or not whole.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    try:
        head = msgspec.json.decode(lines[0], type=dict[str, Any]) if lines else {}
    except msgspec.MsgspecError as error:
        raise UsageError(f"{source}: its first line is no JSON: {error}") from None
    if head.get("interp") != "history":
        raise UsageError(f'{source}: it is no exported history: its first line has no "interp": "history"')
    if head.get("format") != _FORMAT:
        raise UsageError(f"{source}: its format is {head.get('format')!r}; this version of interp reads {_FORMAT}")
    history = tuple(_records(lines[1:], source))
    if len(history) != head.get("records"):
        raise UsageError(f"{source}: it has {len(history)} records, and says that it has {head.get('records')}")
    return ExportedHistory(str(head.get("run")), str(head.get("workflow")), history)


def _records(lines: Iterable[str], source: str) -> Iterator[Transition]:
    for index, line in enumerate(lines):
        try:
            transition = cast("Transition", _built(Transition, msgspec.Raw(line.encode())))
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{source}: line {index + 2} is no record: {error!r}") from None
        if transition.index != index:
            raise UsageError(f"{source}: line {index + 2} holds record {transition.index}, not {index}")
        yield transition


def without_attempts(history: Iterable[Transition]) -> Iterator[Transition]:
    """Leave out the records that only tell of attempts that failed or how far they were: they move no workflow."""
    kept = (
        transition
        for transition in history
        if not isinstance(transition.cause, (AttemptFailed, Heartbeat)) or transition.commands or transition.outcome
    )
    for index, transition in enumerate(kept):
        yield msgspec.structs.replace(transition, index=index)


# From records to plain values.


def _plain(value: Any, redact: Redact | None, name: str = "") -> Any:
    kind: type = value.__class__  # by name, and not by isinstance: of what a tuple is, nobody knows here
    if issubclass(kind, msgspec.Struct):
        return _plain_struct(value, redact)
    if kind is bytes:
        return value.hex() if name == _SEED else msgspec.Raw(_redacted(value, redact) or b"null")
    if kind is tuple and name == _ASKED:  # the one place where None is something else than a value that is null
        return [
            [request, asked, None if payload is None else [_plain(payload, redact)]]
            for request, asked, payload in value
        ]
    if kind is tuple:
        return [_plain(item, redact) for item in value]
    if redact is not None and name == "message":
        return redact(value)
    return "" if redact is not None and name == "traceback" else value


def _plain_struct(value: msgspec.Struct, redact: Redact | None) -> dict[str, Any]:
    tag = value.__struct_config__.tag
    plain: dict[str, Any] = {} if tag is None else {"is": tag}
    if redact is not None and isinstance(value, Record):
        value, redact = _redacted_record(value, redact), None
    for field in msgspec.structs.fields(value):
        found = getattr(value, field.name)
        if field.required or found != field.default:
            plain[field.name] = _plain(found, redact, field.name)
    return plain


def _redacted_record(record: Record, redact: Redact) -> Record:
    """Redact what users passed; how long a sleep is, or which run a child is, belongs to the structure."""
    match record.kind:
        case "call" | "transact" | "annotate" | "emit":
            payload = _redacted(record.payload, redact)
        case "child" | "send" | "reply":
            parts = msgspec.json.decode(record.payload, type=list[msgspec.Raw])
            users = {"child": 0, "send": 1, "reply": 2}[record.kind]
            parts[users] = msgspec.Raw(_redacted(bytes(parts[users]), redact))
            payload = msgspec.json.encode(parts)
        case _:
            payload = record.payload
    return msgspec.structs.replace(record, payload=payload)


def _redacted(payload: bytes, redact: Redact | None) -> bytes:
    return (
        payload if redact is None or not payload else msgspec.json.encode(_walked(msgspec.json.decode(payload), redact))
    )


def _walked(value: Any, redact: Redact) -> Any:
    kind: type = value.__class__
    if kind is dict:
        return {key: _walked(item, redact) for key, item in value.items()}
    if kind is list:
        return [_walked(item, redact) for item in value]
    return value if value is None or kind is bool else redact(value)


# ... and back. By the annotations of the recorded forms, so that a new field needs no line here.


def _built(kind: Any, raw: msgspec.Raw, name: str = "") -> Any:
    """Read a value of a recorded form."""
    if kind is bytes:
        return bytes.fromhex(msgspec.json.decode(raw, type=str)) if name == _SEED else bytes(raw)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _built_struct(kind, msgspec.json.decode(raw, type=dict[str, msgspec.Raw]))
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _built_union(get_args(kind), raw)
    if origin is tuple:
        items = msgspec.json.decode(raw, type=list[msgspec.Raw])
        args = get_args(kind)
        kinds = args if Ellipsis not in args else args[:1] * len(items)
        return tuple(_built(each, item) for each, item in zip(kinds, items, strict=True))
    plain: Any = msgspec.json.decode(raw, type=cast("Any", kind))
    return plain


def _built_union(kinds: tuple[Any, ...], raw: msgspec.Raw) -> Any:
    if bytes(raw) == b"null":
        return None
    structs: dict[Any, Any] = {each.__struct_config__.tag: each for each in kinds if hasattr(each, "__struct_config__")}
    if len(structs) > 1:
        fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        return _built(structs[msgspec.json.decode(fields["is"], type=str)], raw)
    (kind,) = [each for each in kinds if each is not types.NoneType]
    if kind is bytes:
        (raw,) = msgspec.json.decode(raw, type=list[msgspec.Raw])
    return _built(kind, raw)


def _built_struct(kind: type[msgspec.Struct], fields: Mapping[str, msgspec.Raw]) -> msgspec.Struct:
    hints = _hints(kind)
    unknown = set(fields) - set(hints) - {"is"}
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
    return kind(**{name: _built(hints[name], raw, name) for name, raw in fields.items() if name != "is"})


_known_hints: dict[type, dict[str, Any]] = {}


def _hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    found = _known_hints.get(kind)
    if found is None:
        names = {"Event": Event, "Outcome": Outcome, "datetime": datetime}
        hints = get_type_hints(kind, localns=names)
        found = _known_hints[kind] = {name: hints[name] for name in kind.__struct_fields__}
    return found

"""Forms of single values: numbers, text, times, enums, literals; and of anything, where nothing is declared.

Each writes one JSON scalar. Values must be of exactly the declared class: a subclass would come back as its base.
"""

from __future__ import annotations

import base64
import enum
import math
import pathlib
import re
import typing
import zoneinfo
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, DecimalException
from typing import Any
from uuid import UUID

import attrs

from interp._codec_form import (
    ANYTHING,
    SCALARS,
    TEXT,
    Form,
    Misfit,
    Shapes,
    is_array,
    is_object,
    is_tuple,
    name_of,
    refuse,
    refusing_form,
)

UNANNOTATED = (
    "without an annotation only None, bool, int, float, str, list and dict with str keys are kept as they are; "
    "annotate the parameter, field or return value with its type"
)


def atom(cls: type) -> Form:
    """Make the form of a class that JSON has itself: None, bool, int or str."""
    name = name_of(cls)

    def check(value: Any) -> Any:
        # Exactly the class: True is an int to isinstance, and a StrEnum a str.
        if type(value) is cls:
            return value
        refuse(value, name)

    return Form(name, frozenset({cls}), check, check, cls, is_atom=True)


# --- float ------------------------------------------------------------------------------------------------------------


def _lower_float(value: Any) -> float:
    if type(value) is float:
        if math.isfinite(value):
            return value
        refuse(value, "float", f"JSON has no {value!r}; use None, or annotate with Decimal, which has")
    return _widen(value)


def _lift_float(plain: Any) -> float:
    return plain if type(plain) is float else _widen(plain)


def _widen(value: Any) -> float:
    """Take an int where a float is declared, as type checkers do, if nothing is lost."""
    if type(value) is not int:
        refuse(value, "float")
    try:
        widened = float(value)
    except OverflowError:
        refuse(value, "float", "too large for a float")
    if widened != value:
        refuse(value, "float", "this int has no exact float")
    return widened


FLOAT = Form("float", frozenset({float}), _lower_float, _lift_float, float, looseness=1)


# --- values written as text -------------------------------------------------------------------------------------------


def text_form(cls: type, write: Callable[[Any], str], read: Callable[[str], Any]) -> Form:
    """Make the form of a class whose values are written as one string.

    Args:
        cls: The class that values have exactly.
        write: Value to text; a ValueError refuses the value.
        read: Text to value; ValueError, TypeError and the decimal errors refuse the text.
    """
    name = cls.__name__

    def lower(value: Any) -> str:
        if type(value) is not cls:
            refuse(value, name)
        try:
            return write(value)
        except ValueError as error:
            refuse(value, name, str(error))

    def lift(plain: Any) -> Any:
        if type(plain) is not str:
            refuse(plain, name)
        try:
            return read(plain)
        except (ValueError, TypeError, DecimalException, zoneinfo.ZoneInfoNotFoundError) as error:
            refuse(plain, name, str(error))

    return Form(name, TEXT, lower, lift, cls)


def _write_moment(value: datetime | time) -> str:
    # A zone such as Europe/Berlin has no offset for a bare time: isoformat would drop the zone without a word.
    if value.tzinfo is not None:
        offset = value.utcoffset()
        if offset is None:
            raise ValueError("its time zone gives no UTC offset here; use a fixed offset, or no zone")
        if offset.microseconds:  # fromisoformat reads +00:00:00.000001 as UTC
            raise ValueError("its UTC offset has a fraction of a second")
    return value.isoformat()


_MICROSECOND = timedelta(microseconds=1)
_DURATION = re.compile(r"(-)?P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,6}))?S)?)?", re.ASCII)


def _write_duration(value: timedelta) -> str:
    """Write ISO 8601, such as `P1DT2H0.5S`. Integers throughout: total_seconds() is inexact beyond 270 years."""
    sign = "-" if value < timedelta(0) else ""
    seconds, micros = divmod(abs(value // _MICROSECOND), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    if micros:
        clock += f"{seconds}." + f"{micros:06}".rstrip("0") + "S"
    elif seconds:
        clock += f"{seconds}S"
    if not days and not clock:
        return "PT0S"
    return f"{sign}P" + (f"{days}D" if days else "") + (f"T{clock}" if clock else "")


def _read_duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None or text[-1] in "PT":
        raise ValueError("not an ISO 8601 duration of days, hours, minutes and seconds")
    sign, days, hours, minutes, seconds, fraction = match.groups()
    whole = ((int(days or 0) * 24 + int(hours or 0)) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    micros = whole * 1_000_000 + int((fraction or "").ljust(6, "0"))
    try:
        return (-micros if sign else micros) * _MICROSECOND
    except OverflowError as error:
        raise ValueError("too long for a timedelta") from error


def _write_zone(value: zoneinfo.ZoneInfo) -> str:
    if value.key is None:  # pyright: ignore[reportUnnecessaryComparison]  # None when made by from_file
        raise ValueError("this ZoneInfo has no key")
    return value.key


def _write_base64(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode("ascii")


def _read_bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _read_bytearray(text: str) -> bytearray:
    return bytearray(_read_bytes(text))


def path_form(cls: type[pathlib.PurePath]) -> Form:
    """Make the form of a path class; `Path` stands for the class it makes on this system."""
    try:
        concrete = type(cls())
    except NotImplementedError:  # a WindowsPath elsewhere
        return text_form(cls, str, cls)
    return attrs.evolve(text_form(concrete, str, concrete), name=cls.__name__)


SCALAR_FORMS: dict[Any, Form] = {
    **{cls: atom(cls) for cls in (type(None), bool, int, str)},
    float: FLOAT,
    bytes: text_form(bytes, _write_base64, _read_bytes),
    bytearray: text_form(bytearray, _write_base64, _read_bytearray),
    datetime: text_form(datetime, _write_moment, datetime.fromisoformat),
    date: text_form(date, date.isoformat, date.fromisoformat),
    time: text_form(time, _write_moment, time.fromisoformat),
    timedelta: text_form(timedelta, _write_duration, _read_duration),
    Decimal: text_form(Decimal, str, Decimal),
    UUID: text_form(UUID, str, UUID),
    zoneinfo.ZoneInfo: text_form(zoneinfo.ZoneInfo, _write_zone, zoneinfo.ZoneInfo),
}
SCALAR_FORMS[None] = SCALAR_FORMS[type(None)]
SCALAR_FORMS[typing.LiteralString] = SCALAR_FORMS[str]


# --- enums and literals -----------------------------------------------------------------------------------------------


def enum_form(cls: type[enum.Enum]) -> Form:
    """Make the form of an enum: by value where every value is a JSON scalar, by name otherwise."""
    members = list(cls.__members__.values())
    by_value = all(_is_scalar(member.value) for member in members)
    plain_of: dict[enum.Enum, Any] = {member: member.value if by_value else member.name for member in members}
    member_of = {_typed(plain): member for member, plain in plain_of.items()}
    classes: Shapes = frozenset(kind for kind, _ in member_of) or frozenset({int})
    name = cls.__name__

    def lower(value: Any) -> Any:
        if type(value) is not cls:
            refuse(value, name)
        # A flag made of several members has a value of its own, and no entry.
        return plain_of.get(value, value.value)

    def lift(plain: Any) -> Any:
        if _is_scalar(plain) and _typed(plain) in member_of:
            return member_of[_typed(plain)]
        # Asking the class 1.0 or True would find the member 1.
        if not by_value or type(plain) not in classes:
            refuse(plain, name)
        try:
            return cls(plain)  # flags, and the author's own `_missing_`
        except ValueError as error:
            refuse(plain, name, str(error))

    return Form(name, classes, lower, lift, cls)


def literal_form(annotation: Any, form_of: Callable[[Any], Form]) -> Form:
    """Make the form of a Literal; its values are written as their own classes are."""
    name = name_of(annotation)
    values: tuple[Any, ...] = typing.get_args(annotation)
    plain_of = {_typed(value): form_of(type(value)).lower(value) for value in values}
    value_of = {_typed(plain): value for (_, value), plain in plain_of.items()}
    if len(value_of) < len(plain_of):
        return refusing_form(name, "two of its values are the same in JSON")
    classes: set[type] = {kind for kind, _ in plain_of}

    def lower(value: Any) -> Any:
        # Asking for the class first keeps unhashable values away from the table.
        if type(value) in classes and _typed(value) in plain_of:
            return plain_of[_typed(value)]
        refuse(value, name)

    def lift(plain: Any) -> Any:
        if _is_scalar(plain) and _typed(plain) in value_of:
            return value_of[_typed(plain)]
        refuse(plain, name)

    only = next(iter(classes)) if len(classes) == 1 else None
    return Form(name, frozenset(kind for kind, _ in value_of), lower, lift, only)


def _typed(value: object) -> tuple[type, Any]:
    """Make a key that tells 1, True and 1.0 apart."""
    return type(value), value


def _is_scalar(value: object) -> bool:
    return type(value) in SCALARS and (type(value) is not float or math.isfinite(value))


# --- anything ---------------------------------------------------------------------------------------------------------


_ATOMS: Shapes = SCALARS - {float}


def _check_plain(value: Any) -> Any:
    """Let a value pass that JSON keeps as it is; tuples become arrays."""
    if type(value) in _ATOMS:
        return value
    if is_array(value) or is_tuple(value):
        _check_items(value)
    elif is_object(value):
        _check_object(value)
    elif type(value) is float:
        _lower_float(value)
    else:
        refuse(value, "a plain value", UNANNOTATED)
    return value


def _check_items(values: list[Any] | tuple[Any, ...]) -> None:
    index = 0
    try:
        for index, item in enumerate(values):  # noqa: B007  # `index` is for the misfit
            _check_plain(item)
    except Misfit as misfit:
        misfit.under(f"[{index}]")
        raise


def _check_object(values: dict[Any, Any]) -> None:
    key: Any = None
    try:
        for key, item in values.items():
            if type(key) is not str:
                refuse(key, "str", "the keys of a JSON object are str; annotate the dict with its key type")
            _check_plain(item)
    except Misfit as misfit:
        misfit.under(f"[{key!r}]")
        raise


def _as_is(plain: Any) -> Any:
    return plain


ANY_FORM = Form("Any", ANYTHING, _check_plain, _as_is, looseness=2)

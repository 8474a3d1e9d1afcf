"""Forms of classes with named fields: attrs, dataclasses, msgspec structs, named tuples, typed dicts, pydantic."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import attrs
import msgspec

from interp._codec_form import (
    ANYTHING,
    ARRAY,
    OBJECT,
    Form,
    FormOf,
    Misfit,
    is_array,
    is_object,
    name_of,
    refuse,
)
from interp._codec_scalars import ANY_FORM
from interp._codec_typing import Unresolved, class_hints, strip_qualifiers

T = TypeVar("T")

_MISSING = object()


@attrs.frozen
class _Field:
    """One field of a class.

    Attributes:
        name: The attribute, and the key in JSON.
        init: The constructor's parameter; None if the constructor does not take it.
        required: Whether the constructor has no default for it.
        form: How its values are written.
    """

    name: str
    init: str | None
    required: bool
    form: Form


def lazily(make: Callable[[], T]) -> Callable[[], T]:
    """Make a value at first use. Classes need it: one may contain itself, or name a class defined further down."""
    made: list[T] = []

    def get() -> T:
        if not made:
            made.append(make())
        return made[0]

    return get


# --- attrs, dataclasses, msgspec --------------------------------------------------------------------------------------


def is_record(cls: type) -> bool:
    """Whether `record_form` knows the class."""
    return attrs.has(cls) or dataclasses.is_dataclass(cls) or issubclass(cls, msgspec.Struct)


def record_form(annotation: Any, cls: type, form_of: FormOf) -> Form:
    """Make the form of an attrs class, dataclass or msgspec struct: a JSON object of its fields."""
    name = name_of(annotation)
    fields = lazily(lambda: _record_fields(annotation, cls, form_of))
    lowers = lazily(lambda: [(field.name, field.init, field.form.lower) for field in fields()])
    lifts = lazily(lambda: [(field.name, field.init, field.form.lift, field.required) for field in fields()])

    def lower(value: Any) -> dict[str, Any]:
        if type(value) is not cls:
            refuse(value, cls.__name__, _why_not(value, cls))
        plain: dict[str, Any] = {}
        at = ""
        try:
            for at, init, lower_part in lowers():
                part = getattr(value, at, _MISSING)
                if part is not _MISSING:
                    plain[at] = lower_part(part)
                elif init is not None:
                    refuse(value, name, "this attribute is not set")
        except Misfit as misfit:
            misfit.under(f".{at}")
            raise
        return plain

    def lift(plain: Any) -> Any:
        if not is_object(plain):
            refuse(plain, name)
        given: dict[str, Any] = {}
        later: dict[str, Any] = {}
        at = ""
        try:
            for at, init, lift_part, required in lifts():
                if at in plain:
                    if init is None:
                        later[at] = lift_part(plain[at])
                    else:
                        given[init] = lift_part(plain[at])
                elif required:
                    refuse(plain, name, "this field is missing")
        except Misfit as misfit:
            misfit.under(f".{at}")
            raise
        return _build(cls, plain, given, later)

    return Form(name, OBJECT, lower, lift, cls)


def _why_not(value: object, cls: type) -> str:
    """Explain a refusal: a subclass would lose the fields that the declared class does not have."""
    if isinstance(value, cls):
        other = type(value).__name__
        return f"{other} is a subclass of {cls.__name__} and would be sliced; annotate with {other}, or with a union"
    return ""


def _build(cls: type, plain: Any, given: dict[str, Any], later: dict[str, Any]) -> Any:
    try:
        made = cls(**given)
    except Misfit:
        raise
    except Exception as error:  # noqa: BLE001  # the author's validators and __post_init__ may raise anything
        refuse(plain, cls.__name__, f"its constructor raised {type(error).__name__}: {error}")
    for name, value in later.items():
        object.__setattr__(made, name, value)  # as attrs itself does for frozen classes
    return made


def _record_fields(annotation: Any, cls: Any, form_of: FormOf) -> list[_Field]:
    hints = class_hints(annotation, cls)

    def form(name: str, known: Any = Any) -> Form:
        hint = hints.get(name, known)
        # attrs.resolve_types, with names that only its caller can see, has left the type in the field.
        is_better_known = isinstance(hint, Unresolved) and not isinstance(known, str)
        return form_of(strip_qualifiers(known if is_better_known else hint))

    if attrs.has(cls):
        return [
            _Field(
                name=field.name,
                init=(field.alias or field.name) if field.init else None,
                required=field.init and field.default is attrs.NOTHING,
                form=form(field.name, Any if field.type is None else field.type),
            )
            for field in attrs.fields(cls)
        ]
    if dataclasses.is_dataclass(cls):
        declared: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(cls)
        return [
            _Field(
                name=field.name,
                init=field.name if field.init else None,
                required=field.init
                and field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING,
                form=form(field.name, field.type),
            )
            for field in declared
        ]
    return [
        _Field(name=field.name, init=field.name, required=field.required, form=form(field.name))
        for field in msgspec.structs.fields(cls)
    ]


# --- named tuples -----------------------------------------------------------------------------------------------------


def is_typed_dict(cls: type) -> bool:
    """Whether a class is a TypedDict, of typing or typing_extensions."""
    return hasattr(cls, "__required_keys__") and issubclass(cls, dict)


def is_named_tuple(cls: type) -> bool:
    """Whether a class was made by NamedTuple or namedtuple."""
    return hasattr(cls, "_fields") and issubclass(cls, tuple)


def named_tuple_form(annotation: Any, cls: Any, form_of: FormOf) -> Form:
    """Make the form of a NamedTuple: an array, as for other tuples; trailing defaults may be absent."""
    name = name_of(annotation)
    names: tuple[str, ...] = cls._fields
    needed = len(names) - len(cls._field_defaults)

    def find_forms() -> list[Form]:
        hints = class_hints(annotation, cls)
        return [form_of(hints.get(field, Any)) for field in names]

    forms = lazily(find_forms)

    def lower(value: Any) -> list[Any]:
        if type(value) is not cls:
            refuse(value, cls.__name__, _why_not(value, cls))
        return _by_name(names, (form.lower for form in forms()), value)

    def lift(plain: Any) -> Any:
        if not is_array(plain):
            refuse(plain, name)
        if not needed <= len(plain) <= len(names):
            refuse(plain, name, f"expected {len(names)} items, found {len(plain)}")
        return cls(*_by_name(names, (form.lift for form in forms()), plain))

    return Form(name, ARRAY, lower, lift, cls)


def _by_name(names: Iterable[str], converts: Iterable[Callable[[Any], Any]], values: Iterable[Any]) -> list[Any]:
    converted: list[Any] = []
    at = ""
    try:
        for at, convert, value in zip(names, converts, values, strict=False):  # noqa: B007  # `at` is for the misfit
            converted.append(convert(value))
    except Misfit as misfit:
        misfit.under(f".{at}")
        raise
    return converted


# --- typed dicts ------------------------------------------------------------------------------------------------------


@attrs.frozen
class _Keys:
    forms: dict[str, Form]
    required: frozenset[str]


def typed_dict_form(annotation: Any, cls: type, form_of: FormOf) -> Form:
    """Make the form of a TypedDict: a JSON object, in the order of the value's keys."""
    name = name_of(annotation)
    keys = lazily(lambda: _typed_dict_keys(annotation, cls, form_of))

    def lower(value: Any) -> dict[str, Any]:
        if not is_object(value):
            refuse(value, name)
        forms, plain = keys().forms, dict[str, Any]()
        _require(keys().required, value, name)
        for key, part in value.items():
            if key not in forms:
                refuse(value, name, f"it has no key {key!r}, which would be lost")
            plain[key] = _at(f"[{key!r}]", forms[key].lower, part)
        return plain

    def lift(plain: Any) -> Any:
        if not is_object(plain):
            refuse(plain, name)
        forms = keys().forms
        _require(keys().required, plain, name)
        return {key: _at(f"[{key!r}]", forms[key].lift, part) for key, part in plain.items() if key in forms}

    return Form(name, OBJECT, lower, lift, dict)


def _require(required: frozenset[str], value: dict[Any, Any], name: str) -> None:
    for key in sorted(required - value.keys()):
        refuse(value, name, f"the key {key!r} is missing")


def _at(step: str, convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except Misfit as misfit:
        misfit.under(step)
        raise


def _typed_dict_keys(annotation: Any, cls: Any, form_of: FormOf) -> _Keys:
    """Read the keys. A TypedDict keeps no bases at run time, but all its annotations and its required keys."""
    hints = class_hints(annotation, cls)
    required: set[str] = set(cls.__required_keys__)
    # Under `from __future__ import annotations` __required_keys__ does not see the qualifiers inside the strings.
    for key, hint in class_hints(annotation, cls, keep_extras=True).items():
        if typing.get_origin(hint) is typing.NotRequired:
            required.discard(key)
        elif typing.get_origin(hint) is typing.Required:
            required.add(key)
    return _Keys({key: form_of(hint) for key, hint in hints.items()}, frozenset(required))


# --- pydantic ---------------------------------------------------------------------------------------------------------


def is_pydantic(cls: type) -> bool:
    """Whether a class is a pydantic model or pydantic dataclass. Does not import pydantic: such a class did."""
    return hasattr(cls, "__pydantic_validator__") and "pydantic" in sys.modules


def pydantic_form(cls: type) -> Form:
    """Make the form of a pydantic class, by pydantic's own rules for JSON in strict mode."""
    adapter: Any = lazily(lambda: sys.modules["pydantic"].TypeAdapter(cls))
    name = cls.__name__

    def lower(value: Any) -> Any:
        if type(value) is not cls:
            refuse(value, name, _why_not(value, cls))
        try:
            plain = adapter().dump_python(value, mode="json", by_alias=True, round_trip=True, warnings="error")
        except ValueError as error:
            refuse(value, name, str(error))
        ANY_FORM.lower(plain)
        # pydantic drops in silence what the declared classes of its fields do not have, and private attributes.
        if (again := lift(plain)) != value:
            refuse(value, name, f"pydantic would read it back as {again!r}")
        return plain

    def lift(plain: Any) -> Any:
        try:
            return adapter().validate_json(msgspec.json.encode(plain), strict=True)
        except ValueError as error:
            refuse(plain, name, str(error))

    # A RootModel may be any JSON.
    return Form(name, ANYTHING if hasattr(cls, "__pydantic_root_model__") else OBJECT, lower, lift, cls)

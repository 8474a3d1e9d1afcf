"""Users' values to canonical JSON and back, typed by annotation.

Two codecs: `ValueCodec` for one value (a result, a signal's payload), `ArgumentsCodec` for the arguments of a call.
Both are strict in both directions: a value that does not fit its annotation is refused where it is written, and
nothing is coerced when it is read. Equal values give equal bytes, in every process, and
`encode(decode(encode(value))) == encode(value)`: replay compares bytes.

Only values of users pass here; the records of the journal have fixed shapes and a format of their own. Pure: no I/O,
no clock. The forms behind the codecs are made in the `_codec_*` modules.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload  # noqa: TID251  # beside `names_later`

import attrs
import msgspec

from interp._codec_dispatch import form_of
from interp._codec_form import Form, Misfit, is_array
from interp._codec_functions import Scope, parameter_form, result_type
from interp._later import names_later
from interp.errors import NotDecodable, NotEncodable

__all__ = [
    "ANY",
    "ArgumentsCodec",
    "ValueCodec",
    "canonical",
    "codec_for",
    "converter",
    "encode_payload",
    "render_value",
]

if TYPE_CHECKING:
    from interp._codec_foreign import converter
else:
    __getattr__ = names_later(globals(), {"interp._codec_foreign": ("converter",)})

T = TypeVar("T")

_encode_json = msgspec.json.Encoder().encode
_decode_json = msgspec.json.Decoder().decode

# What writing and reading raise beside Misfit: lone surrogates, ints too long for text, values nested too deeply.
_UNWRITABLE = (ValueError, OverflowError, RecursionError)
_UNREADABLE = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)


class ValueCodec(Generic[T]):
    """Writes and reads the values of one annotation. Get one from `codec_for`.

    Attributes:
        type: The annotation.
    """

    __slots__ = ("_atom", "_form", "type")

    def __init__(self, annotation: Any, form: Form) -> None:
        """Join an annotation and its form; see `codec_for`."""
        self.type = annotation
        self._form = form
        self._atom = form.cls if form.is_atom else None  # values of just this class are written and read as they are

    def __repr__(self) -> str:
        """Name the annotation."""
        return f"<ValueCodec of {self._form.name}>"

    def encode(self, value: T) -> bytes:
        """Write a value as JSON.

        Raises:
            NotEncodable: If the value, or a part of it, does not fit the annotation or has no JSON form.
        """
        try:
            return _encode_json(value if type(value) is self._atom else self._form.lower(value))
        except Misfit as misfit:
            raise _not_encodable("$", misfit) from None
        except _UNWRITABLE as error:
            raise _unwritable("$", value, error) from None

    def decode(self, data: bytes) -> T:
        """Read a value back.

        Raises:
            NotDecodable: If the JSON does not fit the annotation.
        """
        try:
            plain: Any = _decode_json(data)
            value: T = plain
            if type(plain) is not self._atom:
                value = self._form.lift(plain)
        except Misfit as misfit:
            raise _not_decodable("$", misfit) from None
        except _UNREADABLE as error:
            raise NotDecodable("$", self._form.name, _shorten(repr(data)), str(error)) from None
        return value


_codecs: dict[Any, ValueCodec[Any]] = {}


@overload
def codec_for(annotation: type[T]) -> ValueCodec[T]: ...
@overload
def codec_for(annotation: Any) -> ValueCodec[Any]: ...
def codec_for(annotation: Any) -> ValueCodec[Any]:
    """Return the codec of an annotation. The same annotation gets the same codec, if it is hashable.

    An annotation that has no JSON form is not refused here but by `encode` and `decode`.
    """
    try:
        codec = _codecs.get(annotation)
    except TypeError:  # unhashable metadata, as in Annotated[int, []]
        return ValueCodec(annotation, form_of(annotation))
    if codec is None:
        codec = _codecs.setdefault(annotation, ValueCodec(annotation, form_of(annotation)))
    return codec


ANY: ValueCodec[Any] = codec_for(Any)
"""The codec of what has no annotation: only values whose JSON means the same."""


# --- arguments of a call ----------------------------------------------------------------------------------------------

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL
_VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD
_PREFIX: dict[object, str] = {_VAR_POSITIONAL: "*", _VAR_KEYWORD: "**"}


@attrs.frozen
class _Plan:
    """What a signature comes to, once its annotations are resolved.

    Attributes:
        parameters: In the order of the signature; each has one slot in the array.
        forms: One for each parameter.
        lowers: The forms' `lower`, for the loop of the hot path.
        lifts: Likewise `lift`.
        atoms: The classes of the values, when all of them are plain already; None when one may not be.
        fewest: How many positional arguments fill the slots directly, at least.
        most: ... and at most; -1 where keyword-only or variadic parameters need binding.
        result: The codec of what the function returns.
    """

    parameters: tuple[inspect.Parameter, ...]
    forms: tuple[Form, ...]
    lowers: tuple[Callable[[Any], Any], ...]
    lifts: tuple[Callable[[Any], Any], ...]
    atoms: tuple[type | None, ...] | None
    fewest: int
    most: int
    result: ValueCodec[Any]


class ArgumentsCodec:
    """Writes and reads the arguments of one function: a JSON array with a slot for each parameter.

    `f(1, 2)` and `f(1, b=2)` are the same bytes. Slots at the end that were not given are left out, so a parameter
    with a default can be added at the end without changing what was recorded.

    Attributes:
        name: The function's name.
        signature: Its signature.
    """

    __slots__ = ("__weakref__", "_plan", "_scope", "name", "signature")

    def __init__(self, fn: Callable[..., Any], *, given: int = 0) -> None:
        """Read the signature; see `of`.

        Args:
            fn: The function.
            given: How many of its first parameters are no arguments to record: whoever runs it gives them.
        """
        self.name: str = getattr(fn, "__qualname__", None) or type(fn).__name__
        signature = inspect.signature(fn)
        self.signature = signature.replace(parameters=[*signature.parameters.values()][given:])
        self._plan: _Plan | None = None
        self._scope = Scope.of(fn)

    @classmethod
    def of(cls, fn: Callable[..., Any]) -> ArgumentsCodec:
        """Return the codec of a function; made once, and forgotten with the function."""
        try:
            codec = _of_function.get(fn)
        except TypeError:  # not hashable, or no weak references
            return cls(fn)
        if codec is None:
            codec = _of_function.setdefault(fn, cls(fn))
        return codec

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """Write the arguments of a call.

        Raises:
            TypeError: If the function cannot be called so.
            NotEncodable: If an argument does not fit its annotation; its path begins with the parameter's name.
        """
        plan = self._plan or self._make_plan()
        values = args if not kwargs and plan.fewest <= len(args) <= plan.most else self._bind(plan, args, kwargs)
        plains: list[Any] = []
        try:
            if tuple(map(type, values)) == plan.atoms:
                return _encode_json(values)
            for lower, value in zip(plan.lowers, values, strict=False):
                plains.append(lower(value))
            return _encode_json(plains)
        except Misfit as misfit:
            raise _not_encodable(plan.parameters[len(plains)].name, misfit) from None
        except _UNWRITABLE as error:
            raise _find_unwritable(plan, values, error) from None

    def decode(self, data: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Read arguments back, ready to call: `fn(*args, **kwargs)`.

        Raises:
            NotDecodable: If they do not fit the signature as it is now.
        """
        plan = self._plan or self._make_plan()
        plains = self._read_slots(data)
        if tuple(map(type, plains)) == plan.atoms:
            return tuple(plains), {}
        args: list[Any] = []
        if plan.fewest <= len(plains) <= plan.most:
            try:
                for lift, plain in zip(plan.lifts, plains, strict=False):
                    args.append(lift(plain))
            except Misfit as misfit:
                raise _not_decodable(plan.parameters[len(args)].name, misfit) from None
            return tuple(args), {}
        self._check_count(plan, plains)
        kwargs: dict[str, Any] = {}
        for parameter, form, plain in zip(plan.parameters, plan.forms, plains, strict=False):
            value = _lift_argument(parameter, form, plain)
            if parameter.kind in _POSITIONAL:
                args.append(value)
            elif parameter.kind is _VAR_POSITIONAL:
                args.extend(value)
            elif parameter.kind is _VAR_KEYWORD:
                kwargs.update(value)
            else:
                kwargs[parameter.name] = value
        return tuple(args), kwargs

    def render(self, data: bytes, width: int = 60) -> str:
        """Write recorded arguments for people: `order='7', retries=2`. Never raises.

        Args:
            data: What `encode` gave, perhaps long ago: the names are those of the signature now.
            width: Longest text of one value, in characters.
        """
        try:
            slots = msgspec.json.decode(data, type=list[msgspec.Raw])
        except _UNREADABLE:
            return _shorten(repr(data), width)
        names = [_PREFIX.get(parameter.kind, "") + name for name, parameter in self.signature.parameters.items()]
        names += [f"({position})" for position in range(len(names), len(slots))]
        return ", ".join(f"{name}={render_value(bytes(raw), width)}" for name, raw in zip(names, slots, strict=False))

    def encode_result(self, value: Any) -> bytes:
        """Write what the function returned: `result.encode`, without the property on the way, which is a call in C.

        Raises:
            NotEncodable: If it does not fit the annotation.
        """
        return (self._plan or self._make_plan()).result.encode(value)

    def decode_result(self, data: bytes) -> Any:
        """Read back what the function returned.

        Raises:
            NotDecodable: If the JSON does not fit the annotation as it is now.
        """
        return (self._plan or self._make_plan()).result.decode(data)

    @property
    def result(self) -> ValueCodec[Any]:
        """The codec of what the function returns; of a generator function, what the generator returns."""
        return (self._plan or self._make_plan()).result

    def _make_plan(self) -> _Plan:
        """Resolve the annotations: at first use, since they may name what is defined further down."""
        scope, parameters = self._scope, tuple(self.signature.parameters.values())
        names = scope.names()
        forms = tuple(parameter_form(parameter, names) for parameter in parameters)
        is_simple = all(parameter.kind in _POSITIONAL for parameter in parameters)
        plan = _Plan(
            parameters=parameters,
            forms=forms,
            lowers=tuple(form.lower for form in forms),
            lifts=tuple(form.lift for form in forms),
            atoms=tuple(form.cls for form in forms) if is_simple and all(form.is_atom for form in forms) else None,
            fewest=sum(parameter.default is parameter.empty for parameter in parameters),
            most=len(parameters) if is_simple else -1,
            result=codec_for(result_type(self.signature, names, is_generator=scope.is_generator)),
        )
        self._plan, self._scope = plan, Scope.EMPTY
        return plan

    def _bind(self, plan: _Plan, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Put arguments into slots, up to the last one given."""
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}{self.signature}: {error}") from None
        given = set(bound.arguments)
        bound.apply_defaults()
        slots = [slot for slot, parameter in enumerate(plan.parameters) if parameter.name in given]
        return tuple(bound.arguments.values())[: slots[-1] + 1 if slots else 0]

    def _read_slots(self, data: bytes) -> list[Any]:
        try:
            plains: Any = _decode_json(data)
        except _UNREADABLE as error:
            raise NotDecodable("arguments", self._text, _shorten(repr(data)), str(error)) from None
        if not is_array(plains):
            raise NotDecodable("arguments", self._text, render_value(data), "arguments are a JSON array")
        return plains

    def _check_count(self, plan: _Plan, plains: list[Any]) -> None:
        if len(plains) > len(plan.parameters):
            found = f"{len(plains)} arguments"
            raise NotDecodable("arguments", self._text, found, "more were recorded than the function takes now")
        for parameter in plan.parameters[len(plains) :]:
            if parameter.default is parameter.empty and parameter.kind not in _PREFIX:
                raise NotDecodable(parameter.name, self._text, "nothing", "no such argument was recorded")

    @property
    def _text(self) -> str:
        return f"the arguments of {self.name}{self.signature}"


_of_function: weakref.WeakKeyDictionary[Callable[..., Any], ArgumentsCodec] = weakref.WeakKeyDictionary()


def _lift_argument(parameter: inspect.Parameter, form: Form, plain: Any) -> Any:
    try:
        return form.lift(plain)
    except Misfit as misfit:
        raise _not_decodable(parameter.name, misfit) from None


def _find_unwritable(plan: _Plan, values: tuple[Any, ...], error: Exception) -> NotEncodable:
    """Find which argument it was. Only for the message: the call has failed."""
    for parameter, form, value in zip(plan.parameters, plan.forms, values, strict=False):
        try:
            _encode_json(form.lower(value))
        except _UNWRITABLE as again:
            return _unwritable(parameter.name, value, again)
    return _unwritable("arguments", values, error)


# --- bytes for comparing and for reading ------------------------------------------------------------------------------


def canonical(data: bytes) -> bytes:
    """Write JSON again with sorted keys, so that payloads which differ only in the order of keys become equal."""
    return msgspec.json.encode(_decode_json(data), order="sorted")


def render_value(data: bytes, width: int = 60) -> str:
    """Write a recorded value for people, as Python would, shortened. Never raises.

    Args:
        data: JSON, or whatever was recorded.
        width: Longest text, in characters.
    """
    try:
        return _shorten(repr(_decode_json(data)), width)
    except _UNREADABLE:
        return _shorten(repr(data), width)


def _shorten(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


# --- errors -----------------------------------------------------------------------------------------------------------


def _not_encodable(root: str, misfit: Misfit) -> NotEncodable:
    return NotEncodable(root + misfit.path, type(misfit.value).__name__, misfit.reason)


def _not_decodable(root: str, misfit: Misfit) -> NotDecodable:
    reason = "" if misfit.reason == f"expected {misfit.expected}" else misfit.reason
    return NotDecodable(root + misfit.path, misfit.expected, _shorten(repr(misfit.value)), reason)


def _unwritable(root: str, value: object, error: Exception) -> NotEncodable:
    """Explain what the JSON writer would not take."""
    if isinstance(error, UnicodeEncodeError):
        reason = f"{_shorten(ascii(error.object))} has a lone surrogate, which UTF-8 cannot hold; use bytes"
        return NotEncodable(root, "str", reason)
    if isinstance(error, RecursionError):
        return NotEncodable(root, type(value).__name__, "it contains itself, or is nested too deeply")
    return NotEncodable(root, type(value).__name__, str(error))


def encode_payload(payload: Any, annotation: Any = None, *, name: str = "payload") -> bytes:
    """Encode a value that has no declared type: as the given type, else as plain JSON, else as its own class.

    Args:
        payload: The value, such as what goes with a signal.
        annotation: The given type; None for none.
        name: What it is called where it was given, for messages.

    Raises:
        NotEncodable: The payload cannot be recorded.
    """
    plain = payload is None or isinstance(payload, (bool, int, float, str, list, dict, tuple))
    codec: ValueCodec[Any] = ANY
    if annotation is not None:
        codec = codec_for(annotation)
    elif not plain:
        codec = codec_for(cast("Any", payload).__class__)
    try:
        return codec.encode(payload)
    except NotEncodable as error:
        raise attrs.evolve(error, path=f"{name}{error.path.removeprefix('$')}") from None

"""The vocabulary of the codec: a `Form` for each annotation, a `Misfit` for each value that does not fit.

A *plain* value is what JSON can say: None, bool, int, float, str, list, dict with str keys. A form turns a
user's value into a plain one (`lower`) and back (`lift`). Both are strict: what does not fit is refused, never
coerced. Nothing here knows a particular type; `_codec_scalars`, `_codec_containers` and `_codec_classes` make the
forms, `_codec_dispatch` chooses among them, and `interp.codec` is what others call.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias, TypeGuard

import attrs

Shapes: TypeAlias = frozenset[type]
"""The JSON types that a form may produce."""

SCALARS: Shapes = frozenset({type(None), bool, int, float, str})
TEXT: Shapes = frozenset({str})
ARRAY: Shapes = frozenset({list})
OBJECT: Shapes = frozenset({dict})
ANYTHING: Shapes = SCALARS | ARRAY | OBJECT

FormOf: TypeAlias = Callable[[Any], "Form"]
"""How a maker of forms gets the forms of the parts: the dispatcher, handed in to keep the modules in layers."""


@attrs.frozen(eq=False)
class Form:
    """How values of one annotation are written as plain values and read back.

    Attributes:
        name: The annotation, as an author writes it.
        shapes: What `lower` may return, by JSON type. A union is told apart by it.
        lower: Value to plain value. Raises `Misfit`.
        lift: Plain value to value. Raises `Misfit`.
        cls: The one class all values have, if there is one.
        is_atom: Whether values are plain already, so that checking the class is all there is to do.
        looseness: How much a value's type may change on the way: 0 not at all, 1 an int may become a float, 2 a tuple
            may become a list. A union tries its strictest member first.
    """

    name: str
    shapes: Shapes
    lower: Callable[[Any], Any]
    lift: Callable[[Any], Any]
    cls: type | None = None
    is_atom: bool = False
    looseness: int = 0


class Misfit(Exception):
    """A value does not fit its form. Carries the way from the value's root, collected while the stack unwinds.

    Internal: `interp.codec` translates it to `NotEncodable` or `NotDecodable`, which know the root's name.
    """

    def __init__(self, value: object, expected: str, reason: str) -> None:
        super().__init__(reason)
        self.value = value
        self.expected = expected
        self.reason = reason
        self._steps: list[str] = []

    def under(self, step: str) -> Misfit:
        """Add the step that led here, innermost first."""
        self._steps.append(step)
        return self

    @property
    def path(self) -> str:
        """The way from the root, such as `.items[3].price`."""
        return "".join(reversed(self._steps))


def is_array(plain: object) -> TypeGuard[list[Any]]:
    """Whether this is a list, and no subclass."""
    return type(plain) is list


def is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    """Whether this is a tuple, and no subclass."""
    return type(value) is tuple


def is_object(plain: object) -> TypeGuard[dict[Any, Any]]:
    """Whether this is a dict, and no subclass."""
    return type(plain) is dict


def refuse(value: object, expected: str, reason: str = "") -> NoReturn:
    """Raise the `Misfit` for a value; a forgotten `yield from` is named before any other reason."""
    raise Misfit(value, expected, forgotten(value) or reason or _mismatch(value, expected)) from None


def forgotten(value: object) -> str:
    """Say that this is a command or coroutine that nobody awaited, or return nothing."""
    if isinstance(value, types.GeneratorType) or getattr(type(value), "__interp_command__", False):
        return "this is a command (generator) that was never yielded; write `yield from ...`"
    if isinstance(value, types.CoroutineType):
        return "this is a coroutine that was never awaited; write `await ...`"
    return ""


def refusing_form(name: str, reason: str) -> Form:
    """Make a form that refuses every value, for a reason known beforehand."""

    def never(value: Any) -> Any:
        refuse(value, name, reason)

    return Form(name, ANYTHING, never, never)


def name_of(annotation: Any, *, qualified: bool = False) -> str:
    """Write an annotation the short way an author would: `list[Order]`, `int | None`.

    Args:
        annotation: Any annotation.
        qualified: Whether classes are written with their module.
    """
    part = functools.partial(name_of, qualified=qualified)
    if annotation is type(None) or annotation is None:
        return "None"
    if annotation is ...:
        return "..."
    origin = typing.get_origin(annotation)
    if origin is typing.Union or origin is types.UnionType:
        return " | ".join(map(part, typing.get_args(annotation)))
    if origin is not None and origin is not typing.Literal:
        return f"{part(origin)}[{', '.join(map(part, typing.get_args(annotation)))}]"
    if isinstance(annotation, type):
        return f"{annotation.__module__}.{annotation.__qualname__}" if qualified else annotation.__name__
    return repr(annotation).removeprefix("typing.")


def _mismatch(value: object, expected: str) -> str:
    for base in type(value).__mro__[1:-1]:
        if base.__name__ == expected:
            return (
                f"expected exactly {expected}; a subclass would come back as {expected}. "
                f"Convert it, or annotate with {type(value).__name__}"
            )
    return f"expected {expected}"

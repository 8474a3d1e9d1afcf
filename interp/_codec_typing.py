"""Reading annotations: strings to types, the type hints of classes, and what type variables stand for.

Each name is resolved by itself, so that one annotation that cannot be resolved is an error only where it is needed.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from interp._codec_form import name_of

_QUALIFIERS = (typing.Required, typing.NotRequired, typing.Final, typing.ClassVar)


@attrs.frozen
class Unresolved:
    """Stands for an annotation whose names cannot be found.

    Attributes:
        text: The annotation as written.
        reason: What Python said.
    """

    text: str
    reason: str


def resolve(annotation: Any, names: Mapping[str, Any], *, keep_extras: bool = False) -> Any:
    """Turn an annotation into types: strings are evaluated at every depth, None becomes its type.

    Args:
        annotation: What was written.
        names: Where names are looked up.
        keep_extras: Whether Annotated, Required and NotRequired stay; by default they are taken off at every depth,
            which also makes annotations with unhashable metadata hashable.

    Returns:
        The type, or `Unresolved`.
    """
    # get_type_hints is the one public evaluator that reaches nested strings, such as list["Order"]. It wants a class.
    holder = type("holder", (), {"__annotations__": {"it": annotation}})
    try:
        return typing.get_type_hints(holder, dict(names), {}, include_extras=keep_extras)["it"]
    except Exception as error:  # noqa: BLE001  # evaluating an author's text may raise anything
        return Unresolved(annotation if isinstance(annotation, str) else name_of(annotation), str(error))


def strip_qualifiers(annotation: Any) -> Any:
    """Take off Required, NotRequired, Final and ClassVar."""
    while typing.get_origin(annotation) in _QUALIFIERS:
        annotation = typing.get_args(annotation)[0]
    return annotation


def class_hints(annotation: Any, cls: type, *, keep_extras: bool = False) -> dict[str, Any]:
    """Return the types of a class's annotated names, its type variables replaced as the annotation says.

    Args:
        annotation: The class, or a parametrised form of it such as `Box[int]`.
        cls: The class.
        keep_extras: See `resolve`.
    """
    hints: dict[str, Any] = {}
    variables = _variables(cls, typing.get_args(annotation))
    for owner in reversed(cls.__mro__):
        names = _names_seen_by(owner)
        for name, written in inspect.get_annotations(owner).items():
            hint = resolve(written, names, keep_extras=keep_extras)
            hints[name] = substitute(hint, variables.get(owner, {}))
    return hints


def _names_seen_by(owner: type) -> dict[str, Any]:
    module = sys.modules.get(owner.__module__)
    parameters = {parameter.__name__: parameter for parameter in getattr(owner, "__type_params__", ())}
    # The class's own name comes last: a class made inside a function can at least name itself.
    return {**vars(module or typing), **vars(owner), **parameters, owner.__name__: owner}


def _variables(cls: type, arguments: tuple[Any, ...]) -> dict[type, dict[Any, Any]]:
    """Say for each class of the MRO what its type variables stand for: in `Derived(Base[list[T]])`, T differs."""
    parameters: tuple[Any, ...] = getattr(cls, "__parameters__", ())
    meaning = dict(zip(parameters, arguments, strict=False))
    found: dict[type, dict[Any, Any]] = {cls: meaning}
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin = typing.get_origin(base) or base
        if isinstance(origin, type) and origin is not object:
            given = tuple(substitute(argument, meaning) for argument in typing.get_args(base))
            found.update(_variables(origin, given))
    return found


def substitute(annotation: Any, variables: Mapping[Any, Any]) -> Any:
    """Replace type variables at every depth."""
    if not variables:
        return annotation
    if isinstance(annotation, TypeVar):
        return variables.get(annotation, annotation)
    parameters: tuple[Any, ...] = getattr(annotation, "__parameters__", ())
    is_bare = typing.get_origin(annotation) is None  # a class with type variables of its own, used bare, stays bare
    if is_bare or not parameters:
        return annotation
    return annotation[tuple(variables.get(parameter, parameter) for parameter in parameters)]

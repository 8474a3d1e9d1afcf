"""What a function's annotations say: the forms of its parameters, and the type of what it gives in the end."""

from __future__ import annotations

import inspect
import types
import typing
from collections import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from interp._codec_containers import dict_form, sequence_form, union_form
from interp._codec_dispatch import form_of
from interp._codec_form import Form
from interp._codec_scalars import SCALAR_FORMS
from interp._codec_typing import resolve


@attrs.frozen
class Scope:
    """Where the annotations of a function find their names. Holds no function: the cache must not keep it alive.

    Attributes:
        module: The globals, by reference: what is defined further down shall be found.
        cells: The variables of enclosing functions that the function uses.
        parameters: Its own type parameters.
        is_generator: Whether it is a generator function.
    """

    EMPTY: ClassVar[Scope]

    module: dict[str, Any]
    cells: dict[str, types.CellType]
    parameters: dict[str, Any]
    is_generator: bool

    @classmethod
    def of(cls, called: Any) -> Scope:
        """Find the scope of anything that can be called."""
        fn = inspect.unwrap(_function_behind(called))
        code: types.CodeType | None = getattr(fn, "__code__", None)
        return cls(
            module=getattr(fn, "__globals__", {}),
            cells=dict(zip(code.co_freevars, fn.__closure__ or (), strict=False)) if code is not None else {},
            parameters={parameter.__name__: parameter for parameter in getattr(fn, "__type_params__", ())},
            is_generator=inspect.isgeneratorfunction(fn),
        )

    def names(self) -> dict[str, Any]:
        """Return all names with what they stand for now."""
        filled = {name: cell.cell_contents for name, cell in self.cells.items() if cell != types.CellType()}
        return {**self.module, **filled, **self.parameters}


Scope.EMPTY = Scope(module={}, cells={}, parameters={}, is_generator=False)


def _function_behind(called: Any) -> Any:
    """Find the function whose annotations count: of a class its constructor, of a partial what it calls."""
    if isinstance(called, type):
        return vars(called).get("__init__", called)
    if hasattr(called, "__code__") or hasattr(called, "__wrapped__"):
        return called
    return _function_behind(called.func) if hasattr(called, "func") else type(called).__call__


def parameter_form(parameter: inspect.Parameter, names: Mapping[str, Any]) -> Form:
    """Make the form of one slot: an array for `*args`, an object for `**kwargs`."""
    written: Any = Any if parameter.annotation is parameter.empty else parameter.annotation
    annotation = resolve(written, names)
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return sequence_form(f"*{parameter.name}", form_of(annotation), cls=tuple)
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        if typing.get_origin(annotation) is typing.Unpack:
            return form_of(typing.get_args(annotation)[0])
        return dict_form(f"**{parameter.name}", SCALAR_FORMS[str], form_of(annotation))
    form = form_of(annotation)
    if parameter.default is None and type(None) not in form.shapes:  # `x: int = None` is common, and clear
        return union_form(f"{form.name} | None", (form, SCALAR_FORMS[None]))
    return form


def result_type(signature: inspect.Signature, names: Mapping[str, Any], *, is_generator: bool) -> Any:
    """Return what a call gives in the end: what a generator or coroutine returns, else the annotation."""
    if signature.return_annotation is signature.empty:
        return Any
    annotation = resolve(signature.return_annotation, names)
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin in (abc.Generator, abc.Coroutine):
        return arguments[2] if len(arguments) == 3 else Any
    # Iterator[int] tells what a generator yields, and nothing of what it returns.
    return Any if is_generator else annotation

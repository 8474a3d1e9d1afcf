"""Which form an annotation has: one table of exact types, one of generic origins, then the kinds of classes."""

from __future__ import annotations

import collections.abc as abc
import enum
import functools
import pathlib
import types
import typing
from collections import Counter
from typing import TYPE_CHECKING, Any  # noqa: TID251  # beside a `Later`

import attrs

from interp import _codec_classes as classes
from interp._codec_containers import dict_form, sequence_form, set_form, tuple_form, union_form
from interp._codec_form import ANYTHING, Form, name_of, refusing_form
from interp._codec_scalars import ANY_FORM, SCALAR_FORMS, enum_form, literal_form, path_form
from interp._codec_typing import Unresolved, resolve, strip_qualifiers, substitute
from interp._later import Later

if TYPE_CHECKING:
    from interp import _codec_foreign as foreign
else:
    foreign = Later("interp._codec_foreign")  # imports cattrs, which few need

_ARRAYS: dict[Any, tuple[type, tuple[type, ...]]] = {
    list: (list, (list,)),
    abc.MutableSequence: (list, (list,)),
    abc.Sequence: (list, (list, tuple)),
    abc.Collection: (list, (list, tuple)),
    abc.Iterable: (list, (list, tuple)),
    abc.Reversible: (list, (list, tuple)),
}
"""What each array-like origin is read back as, and what it accepts. The abstract ones are read back as lists."""

_SETS: dict[Any, tuple[type, tuple[type, ...]]] = {
    set: (set, (set,)),
    frozenset: (frozenset, (frozenset,)),
    abc.MutableSet: (set, (set,)),
    abc.Set: (set, (set, frozenset)),
}

_DICTS = (dict, abc.Mapping, abc.MutableMapping)


def form_of(annotation: Any) -> Form:
    """Return the form of an annotation.

    Raises:
        Misfit: If the annotation contradicts itself. An annotation that merely has no form gets one that refuses
            every value, so that the error names the place where it was needed.
    """
    try:
        return _cached(annotation)
    except TypeError:  # unhashable: metadata of Annotated, which plays no part here
        return _cached(_hashable(annotation))


def _hashable(annotation: Any) -> Any:
    bare = resolve(annotation, {})
    try:
        hash(bare)
    except TypeError:
        return Unresolved(name_of(annotation), "it is unhashable")
    return bare


@functools.cache
def _cached(annotation: Any) -> Form:
    annotation = strip_qualifiers(annotation)
    if (exact := _exact_form(annotation)) is not None:
        return exact
    origin = typing.get_origin(annotation)
    if origin is not None:
        return _generic_form(annotation, origin, typing.get_args(annotation))
    if isinstance(annotation, type):
        return _class_form(annotation, annotation)
    return _special_form(annotation)


def _exact_form(annotation: Any) -> Form | None:
    if annotation is Any or annotation is object:
        return ANY_FORM
    if annotation is tuple or annotation is typing.Tuple:  # noqa: UP006  # unlike tuple[()], which is empty
        return sequence_form("tuple", ANY_FORM, cls=tuple)
    return SCALAR_FORMS.get(annotation)


def _generic_form(annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> Form:
    """Make the form of something with square brackets."""
    if origin is typing.Union or origin is types.UnionType:
        return _union(annotation, arguments)
    if origin is typing.Literal:
        return literal_form(annotation, form_of)
    if origin is typing.Annotated:
        return form_of(arguments[0])
    if hasattr(origin, "__value__"):
        return _alias_form(annotation)
    container = _container_form(name_of(annotation), origin, arguments)
    return container or _class_form(annotation, origin)


def _container_form(name: str, origin: Any, arguments: tuple[Any, ...]) -> Form | None:
    item = form_of(arguments[0]) if arguments and arguments[0] is not ... else ANY_FORM
    if origin in _ARRAYS:
        cls, accepts = _ARRAYS[origin]
        return sequence_form(name, item, cls=cls, accepts=accepts)
    if origin in _SETS:
        cls, accepts = _SETS[origin]
        return set_form(name, item, cls=cls, accepts=accepts)
    if origin in _DICTS:
        return dict_form(name, _key_form(arguments), form_of(arguments[1]) if arguments else ANY_FORM)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is ...:
            return sequence_form(name, item, cls=tuple)
        return tuple_form(name, [form_of(argument) for argument in arguments])
    return None


def _key_form(arguments: tuple[Any, ...]) -> Form:
    """Take undeclared keys for str, so that dict, dict[Any, Any] and Any agree."""
    key = form_of(arguments[0]) if arguments else ANY_FORM
    return SCALAR_FORMS[str] if key is ANY_FORM else key


def _union(annotation: Any, arguments: tuple[Any, ...]) -> Form:
    members = {form_of(member): member for member in _members(arguments)}
    if ANY_FORM in members:  # `Any | None` says no more than Any
        members = {form: member for form, member in members.items() if not (form.is_atom or form.cls is float)}
    if len(members) == 1:
        return next(iter(members))
    return union_form(name_of(annotation), _told_apart(members))


def _told_apart(members: dict[Form, Any]) -> list[Form]:
    """Name members so that no two have the same name: classes of different modules may share one."""
    names = Counter(form.name for form in members)
    return [
        form if names[form.name] == 1 else attrs.evolve(form, name=name_of(member, qualified=True))
        for form, member in members.items()
    ]


def _members(arguments: tuple[Any, ...]) -> abc.Iterator[Any]:
    """Open the aliases and unions among the members, so that every member is told apart from every other."""
    for argument in arguments:
        opened = _opened(argument)
        if typing.get_origin(opened) in (typing.Union, types.UnionType):
            yield from _members(typing.get_args(opened))
        else:
            yield opened


def _opened(annotation: Any) -> Any:
    """Follow new types and `type X = ...` aliases to what they stand for."""
    while True:
        if isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif hasattr(annotation, "__value__"):
            # `Alias[int]` hands on the attributes of Alias.
            alias = typing.get_origin(annotation) or annotation
            variables = dict(zip(alias.__type_params__, typing.get_args(annotation), strict=False))
            annotation = resolve(substitute(alias.__value__, variables), {})
        else:
            return annotation


def _class_form(annotation: Any, cls: Any) -> Form:
    """Make the form of a class, bare or with type arguments."""
    if (container := _container_form(cls.__name__, cls, ())) is not None:
        return container
    if getattr(cls, "__interp_command__", False):
        return refusing_form(name_of(annotation), "this is a command, not a value")
    if classes.is_pydantic(cls):
        return classes.pydantic_form(cls)
    if classes.is_record(cls):
        return classes.record_form(annotation, cls, form_of)
    if issubclass(cls, enum.Enum):
        return enum_form(cls)
    if issubclass(cls, pathlib.PurePath):
        return path_form(cls)
    if classes.is_named_tuple(cls):
        return classes.named_tuple_form(annotation, cls, form_of)
    if classes.is_typed_dict(cls):
        return classes.typed_dict_form(annotation, cls, form_of)
    return foreign.foreign_form(annotation)


def _special_form(annotation: Any) -> Form:
    """Make the form of what is neither a class nor has square brackets."""
    if isinstance(annotation, typing.NewType):
        return form_of(annotation.__supertype__)
    if isinstance(annotation, typing.TypeVar):
        if annotation.__constraints__:
            return _union(annotation, annotation.__constraints__)
        return form_of(annotation.__bound__ if annotation.__bound__ is not None else Any)
    if hasattr(annotation, "__value__"):
        return _alias_form(annotation)
    if isinstance(annotation, (str, typing.ForwardRef)):
        return form_of(resolve(annotation, {}))
    if isinstance(annotation, Unresolved):
        return refusing_form(annotation.text, f"its annotation cannot be resolved ({annotation.reason})")
    return foreign.foreign_form(annotation)


def _alias_form(annotation: Any) -> Form:
    """Make the form of a `type X = ...` alias. Its parts are found at first use: it may contain itself."""
    inner = classes.lazily(lambda: form_of(_opened(annotation)))

    def lower(value: Any) -> Any:
        return inner().lower(value)

    def lift(plain: Any) -> Any:
        return inner().lift(plain)

    return Form(name_of(annotation), ANYTHING, lower, lift, looseness=2)

"""Forms of lists, tuples, sets, dicts and unions, made from the forms of their parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs
import msgspec

from interp._codec_form import ARRAY, OBJECT, SCALARS, TEXT, Form, Misfit, Shapes, is_array, is_object, refuse

_encode_json = msgspec.json.Encoder().encode
_decode_json = msgspec.json.Decoder().decode


def _each(convert: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    """Convert every item; a misfit is told its index."""
    converted: list[Any] = []
    try:
        for value in values:
            converted.append(convert(value))  # noqa: PERF401  # the misfit counts what was done
    except Misfit as misfit:
        misfit.under(f"[{len(converted)}]")
        raise
    return converted


# --- list, and tuples of any length -----------------------------------------------------------------------------------


def sequence_form(name: str, item: Form, *, cls: type, accepts: tuple[type, ...] = ()) -> Form:
    """Make the form of an array of equal items.

    Args:
        name: The annotation's name.
        item: The form of each item.
        cls: What to read the array back as: list or tuple.
        accepts: Classes taken when writing; by default only `cls`.
    """
    accepts = accepts or (cls,)
    atoms: Shapes = frozenset({item.cls}) if item.is_atom and item.cls else frozenset()

    def lower(value: Any) -> Any:
        if type(value) not in accepts:
            refuse(value, name)
        # All classes are checked in C; msgspec writes a tuple as an array.
        if atoms and atoms.issuperset(map(type, value)):
            return value
        return _each(item.lower, value)

    def lift(plain: Any) -> Any:
        if not is_array(plain):
            refuse(plain, name)
        items: list[Any] = plain if atoms and atoms.issuperset(map(type, plain)) else _each(item.lift, plain)
        return items if cls is list else cls(items)

    looseness = item.looseness if accepts == (cls,) else 2
    return Form(name, ARRAY, lower, lift, cls, looseness=looseness)


def tuple_form(name: str, items: Sequence[Form]) -> Form:
    """Make the form of a tuple with one form for each place."""
    lowers = [item.lower for item in items]
    lifts = [item.lift for item in items]
    size = len(items)

    def lower(value: Any) -> list[Any]:
        if type(value) is not tuple:
            refuse(value, name)
        return _place_by_place(lowers, value)

    def lift(plain: Any) -> Any:
        if not is_array(plain):
            refuse(plain, name)
        return tuple(_place_by_place(lifts, plain))

    def _place_by_place(convert: list[Callable[[Any], Any]], values: Any) -> list[Any]:
        if len(values) != size:
            refuse(values, name, f"expected {size} items, found {len(values)}")
        places = iter(convert)

        def convert_next(value: Any) -> Any:
            return next(places)(value)

        return _each(convert_next, values)

    return Form(name, ARRAY, lower, lift, tuple, looseness=_loosest(items))


def _loosest(forms: Iterable[Form]) -> int:
    return max((form.looseness for form in forms), default=0)


# --- sets -------------------------------------------------------------------------------------------------------------


def set_form(name: str, item: Form, *, cls: type, accepts: tuple[type, ...] = ()) -> Form:
    """Make the form of a set: an array sorted by the bytes of its items, since a set's own order is the process's."""
    accepts = accepts or (cls,)

    def lower(value: Any) -> list[Any]:
        if type(value) not in accepts:
            refuse(value, name)
        plains = [item.lower(each) for each in value]
        _require_hashable(item, plains)
        plains.sort(key=_encode_json)
        return plains

    def lift(plain: Any) -> Any:
        if not is_array(plain):
            refuse(plain, name)
        items: list[Any] = _each(item.lift, plain)
        try:
            return cls(items)
        except TypeError as error:
            refuse(plain, name, str(error))

    return Form(name, ARRAY, lower, lift, cls, looseness=item.looseness if accepts == (cls,) else 2)


def _require_hashable(item: Form, plains: list[Any]) -> None:
    """Refuse items that could not come back into a set: an undeclared tuple comes back as a list."""
    if item.shapes <= SCALARS:
        return
    for plain in plains:
        try:
            hash(item.lift(_decode_json(_encode_json(plain))))  # through bytes: `plain` may still hold tuples
        except TypeError:
            refuse(plain, item.name, "it would come back unhashable; annotate the items or keys with their type")


# --- dicts ------------------------------------------------------------------------------------------------------------


def dict_form(name: str, key: Form, item: Form) -> Form:
    """Make the form of a dict: a JSON object where keys are written as text, else an array of pairs.

    The order of insertion is kept: it can be seen by the code that reads the dict.
    """
    return _object_form(name, key, item) if key.shapes == TEXT else _pairs_form(name, key, item)


def _object_form(name: str, key: Form, item: Form) -> Form:
    keys: Shapes = frozenset({str}) if key.is_atom else frozenset()
    items: Shapes = frozenset({item.cls}) if item.is_atom and item.cls else frozenset()

    def lower(value: Any) -> Any:
        if not is_object(value):
            refuse(value, name)
        if keys and items and keys.issuperset(map(type, value)) and items.issuperset(map(type, value.values())):
            return value
        plain = _convert(key.lower, item.lower, value)
        if len(plain) < len(value):
            refuse(value, name, "two of its keys are the same in JSON")
        return plain

    def lift(plain: Any) -> Any:
        if not is_object(plain):
            refuse(plain, name)
        if keys and items and items.issuperset(map(type, plain.values())):
            return plain
        return _convert(key.lift, item.lift, plain)

    return Form(name, OBJECT, lower, lift, dict, looseness=_loosest((key, item)))


def _convert(key: Callable[[Any], Any], item: Callable[[Any], Any], entries: Any) -> dict[Any, Any]:
    converted: dict[Any, Any] = {}
    at: Any = None
    try:
        for at, value in entries.items():
            converted[key(at)] = item(value)
    except Misfit as misfit:
        misfit.under(f"[{at!r}]")
        raise
    return converted


def _pairs_form(name: str, key: Form, item: Form) -> Form:
    pair = tuple_form(f"[{key.name}, {item.name}]", (key, item))

    def lower(value: Any) -> list[Any]:
        if not is_object(value):
            refuse(value, name)
        pairs = _each(pair.lower, value.items())
        _require_hashable(key, [plain for plain, _ in pairs])
        return pairs

    def lift(plain: Any) -> Any:
        if not is_array(plain):
            refuse(plain, name)
        pairs = _each(pair.lift, plain)
        try:
            return dict(pairs)
        except TypeError as error:
            refuse(plain, name, str(error))

    return Form(name, ARRAY, lower, lift, dict, looseness=_loosest((key, item)))


# --- unions -----------------------------------------------------------------------------------------------------------


@attrs.frozen
class _Union:
    """A union whose members are told apart by their JSON type where that suffices, by a tag where not.

    Attributes:
        name: The annotation's name.
        members: All members, the strictest first, then by name: `int | str` and `str | int` are equal as annotations,
            and whichever came first in this process must not show in the bytes.
        tagged: Members written as `{"type": name, "value": ...}`, by name.
        by_class: Members by the class that their values have.
        by_shape: Untagged members by JSON type.
    """

    name: str
    members: tuple[Form, ...]
    tagged: dict[str, Form]
    by_class: dict[type, tuple[Form, ...]]
    by_shape: dict[type, Form]

    def lower(self, value: object) -> Any:
        """Write a value as the member of its own class, or the first that takes it."""
        own = self.by_class.get(type(value), ())
        if len(own) == 1 and len(self.members) == len(self.by_class):
            return self._write(own[0], own[0].lower(value))  # every member has its own class: no need to try others
        misfits: list[Misfit] = []
        for member in (*own, *(other for other in self.members if other not in own)):
            try:
                return self._write(member, member.lower(value))
            except Misfit as misfit:
                misfits.append(misfit)
        # The one member of the value's class knows best what is wrong, and where.
        if len(own) == 1:
            raise misfits[0]
        refuse(value, self.name)

    def _write(self, member: Form, plain: Any) -> Any:
        return {"type": member.name, "value": plain} if member.name in self.tagged else plain

    def lift(self, plain: object) -> Any:
        """Read a value as the member that the tag or the JSON type names."""
        if (member := self.by_shape.get(type(plain))) is not None:
            return member.lift(plain)
        if self.tagged and is_object(plain) and plain.keys() == {"type", "value"}:
            member = self.tagged.get(plain["type"]) if type(plain["type"]) is str else None
            if member is not None:
                return self._lift_tagged(member, plain["value"])
        return self._lift_untagged(plain)

    def _lift_tagged(self, member: Form, plain: Any) -> Any:
        try:
            return member.lift(plain)
        except Misfit as misfit:
            misfit.under(".value")
            raise

    def _lift_untagged(self, plain: Any) -> Any:
        """Read what was written before the union grew the member that made tags necessary: if only one fits."""
        fits: list[tuple[str, Any]] = []
        for member in self.members:
            try:
                fits.append((member.name, member.lift(plain)))
            except Misfit:
                continue
        if len(fits) == 1:
            return fits[0][1]
        refuse(plain, self.name, _ambiguous([name for name, _ in fits]) if fits else "")


def _ambiguous(names: Sequence[str]) -> str:
    """Say how a value tells which member of a union it is."""
    told = " and ".join((", ".join(names[:-1]), names[-1]))
    return (
        f'it fits {told}; name the one, as in {{"type": "{names[0]}", "value": ...}}, '
        "which a signal does that is sent with type="
    )


def union_form(name: str, members: Sequence[Form]) -> Form:
    """Make the form of a union."""
    ordered = tuple(sorted(members, key=lambda member: (member.looseness, member.name)))
    clashing = _clashing(ordered)
    by_class: dict[type, tuple[Form, ...]] = {}
    for member in ordered:
        if member.cls is not None:
            by_class[member.cls] = (*by_class.get(member.cls, ()), member)
    union = _Union(
        name=name,
        members=ordered,
        tagged={member.name: member for member in clashing},
        by_class=by_class,
        by_shape={shape: member for member in ordered if member not in clashing for shape in member.shapes},
    )
    shapes: Shapes = frozenset({*union.by_shape, *(OBJECT if clashing else ())})
    return Form(name, shapes, union.lower, union.lift, looseness=_loosest(ordered))


def _clashing(members: Sequence[Form]) -> list[Form]:
    """Find the members that JSON alone cannot tell apart; a tag is an object, so with tags no object goes without."""
    counts = Counter(shape for member in members for shape in member.shapes)
    if max(counts.values()) == 1:
        return []
    return [member for member in members if dict in member.shapes or any(counts[shape] > 1 for shape in member.shapes)]

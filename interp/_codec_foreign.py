"""Forms of classes that are not ours to know: what a user, or cattrs itself, has registered hooks for.

cattrs' own hooks coerce (`structure("5", int)` is 5) and keep no path on the way out, so the forms of the other modules
do not use them. Here they are the door for everything else, and what they write is proved by reading it back.
"""

from __future__ import annotations

from typing import Any

import cattrs
import msgspec
from cattrs.errors import StructureHandlerNotFoundError

from interp._codec_form import ANYTHING, Form, Misfit, name_of, refuse
from interp._codec_scalars import ANY_FORM

converter = cattrs.Converter(detailed_validation=False)
"""Where users register hooks for classes of theirs: `register_unstructure_hook` and `register_structure_hook`.

The unstructured value must be made of None, bool, int, float, str, list and dict with str keys.
"""

_NO_FORM = (
    "there is no JSON form for this type; make it an attrs class or a dataclass, "
    "or register hooks for it on interp.codec.converter"
)


def foreign_form(annotation: Any) -> Form:
    """Make the form of a type by its hooks, looked up at each use: they may be registered late."""
    name = name_of(annotation)

    def lower(value: Any) -> Any:
        _require_hooks(value)
        plain = _unstructure(value)
        data = msgspec.json.encode(plain)
        again = lift(msgspec.json.decode(data))
        if type(again) is not type(value) or msgspec.json.encode(_unstructure(again)) != data:
            refuse(value, name, f"its hooks read it back as {again!r}")
        return plain

    def lift(plain: Any) -> Any:
        _require_hooks(plain)
        try:
            return converter.structure(plain, annotation)
        except Exception as error:  # noqa: BLE001  # hooks are users' code, and may raise anything
            refuse(plain, name, f"its hook raised {type(error).__name__}: {error}")

    def _unstructure(value: Any) -> Any:
        try:
            return ANY_FORM.lower(converter.unstructure(value, unstructure_as=annotation))
        except Misfit as misfit:
            refuse(value, name, f"its hook gave something that is not plain: {misfit.reason}")
        except Exception as error:  # noqa: BLE001  # as above
            refuse(value, name, f"its hook raised {type(error).__name__}: {error}")

    def _require_hooks(value: Any) -> None:
        try:
            converter.get_structure_hook(annotation)
        except (StructureHandlerNotFoundError, TypeError):
            refuse(value, name, _NO_FORM)

    return Form(name, ANYTHING, lower, lift)

"""Imports that wait until somebody needs them: what makes `import interp` cheap.

Used where it is worth the lines. Of the 200 ms that `import interp` took on a slow machine, 100 were for what runs
workflows (asyncio 20, the metadata of packages 15), 10 for cattrs and OpenSSL; attrs and msgspec, 40, stay.
tests/test_imports.py holds on to what is left out.

Type checkers, Sphinx and the contract of the layers do not see through this. So that they need not, the same is said
in a plain import beside it, which never runs:

    if TYPE_CHECKING:
        import asyncio
    else:
        asyncio = Later("asyncio")
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["Later", "names_later"]


class Later:
    """Stands in for a module, which is imported when it is first asked for something."""

    def __init__(self, name: str) -> None:
        """Import nothing yet.

        Args:
            name: The full name of the module.
        """
        self._name = name

    def __getattr__(self, name: str) -> Any:
        """Import the module, and keep what was asked for: the next time it is an ordinary attribute."""
        value = getattr(import_module(self._name), name)
        setattr(self, name, value)
        return value


def names_later(module: dict[str, Any], sources: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a module (PEP 562): a name is imported at its first use, and is an ordinary one then.

    Args:
        module: The module's `globals()`.
        sources: The names, by the module where each is.
    """
    places = {name: source for source, names in sources.items() for name in names}

    def found(name: str) -> Any:
        if name not in places:
            here = module["__name__"]
            # With these two Python can ask whether another name was meant.
            raise AttributeError(f"module {here!r} has no attribute {name!r}", name=name, obj=sys.modules[here])
        value = module[name] = getattr(import_module(places[name]), name)
        return value

    return found

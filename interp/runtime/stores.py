"""Open a store by its URL. Stores are found by entry points, so that interp imports none of them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points, packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast  # noqa: TID251  # beside a `Later`

from interp._later import Later
from interp.errors import UnknownStore
from interp.histories import SUFFIX
from interp.store import Reader, Store

if TYPE_CHECKING:
    from interp.runtime import exported
else:
    exported = Later("interp.runtime.exported")

__all__ = ["DEFAULT_STORE", "default_url", "hint", "open_reader", "open_store", "opener_of"]

DEFAULT_STORE = "lmdb:.interp"

# The file in a directory of the default kind of store.
_DATA = "data.mdb"


def default_url() -> str:
    """Return `$INTERP_STORE`, or `lmdb:.interp` in the current directory."""
    return os.environ.get("INTERP_STORE") or DEFAULT_STORE


def hint(*words: str, store: str) -> str:
    """Return a command line to suggest; the store is named where it is not the default."""
    return "interp " + shlex.join([*words, *(["--store", store] if store != default_url() else [])])


def open_store(url: str | None = None) -> Store:
    """Open a store.

    Args:
        url: `memory:`, `lmdb:relative/dir`, `lmdb:///absolute/dir` ...; None for the default.

    Raises:
        UnknownStore: The URL names no kind of store that is installed.
        StoreError: The store cannot be opened.
    """
    url = url or default_url()
    return opener_of(url)(url)


def open_reader(place: str | Path | None = None) -> Reader:
    """Open a store to read it: nothing is made or written, and nobody is held up.

    Args:
        place: The URL of a store; or a path: of a store's directory, of a copy or a backup of one, of a history that
            `interp export` wrote, or of a folder of these. None for the default store.

    Raises:
        UnknownStore: There is nothing, or nothing that is understood.
        StoreError: The store cannot be opened.
        UsageError: The file is no exported history.
    """
    if isinstance(place, Path):
        return _at_path(place)
    place = place or default_url()
    scheme, colon, _ = place.partition(":")
    for kind in entry_points(group="interp.readers", name=scheme) if colon else ():
        return cast("Callable[[str], Reader]", _loaded(kind, place))(place)
    return open_store(place) if colon and not Path(place).exists() else _at_path(Path(place))


def _at_path(path: Path) -> Reader:
    path = path.expanduser()
    if path.name == _DATA and path.is_file():
        path = path.parent
    if not path.exists():
        raise UnknownStore(str(path), "there is no such file or directory")
    is_store = path.is_dir() and ((path / _DATA).exists() or not any(path.glob(f"*{SUFFIX}")))
    return open_reader(f"lmdb://{path.absolute()}") if is_store else exported.ExportedReader(path)


def opener_of(url: str) -> Callable[[str], Store]:
    """Find what opens stores of the kind of a URL: worth keeping for many, as looking through all packages takes long.

    Raises:
        UnknownStore: The URL names no kind of store that is installed.
    """
    scheme, colon, _ = url.partition(":")
    known = entry_points(group="interp.stores")
    found = [entry for entry in known if entry.name == scheme]
    if not colon or not found:
        kinds = ", ".join(sorted({f"{entry.name}:" for entry in known})) or "none is installed"
        raise UnknownStore(url, f"it must begin with a kind of store: {kinds}")
    return cast("Callable[[str], Store]", _loaded(found[0], url))


def _loaded(entry: EntryPoint, url: str) -> Any:
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        package = entry.module.partition(".")[0]
        owners = ", ".join(sorted(set(packages_distributions().get(package, ())))) or "no distribution"
        raise UnknownStore(
            url, f"{entry.value} cannot be imported ({error}); the package {package!r} belongs to {owners}"
        ) from error

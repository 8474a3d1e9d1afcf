"""Open a store by its URL. Stores are found by entry points, so that interp imports none of them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points, packages_distributions
from typing import cast

from interp.errors import UnknownStore
from interp.store import Store

__all__ = ["DEFAULT_STORE", "default_url", "hint", "open_store", "opener_of"]

DEFAULT_STORE = "lmdb:.interp"


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
    return _loaded(found[0], url)


def _loaded(entry: EntryPoint, url: str) -> Callable[[str], Store]:
    try:
        return cast("Callable[[str], Store]", entry.load())
    except (ImportError, AttributeError) as error:
        package = entry.module.partition(".")[0]
        owners = ", ".join(sorted(set(packages_distributions().get(package, ())))) or "no distribution"
        raise UnknownStore(
            url, f"{entry.value} cannot be imported ({error}); the package {package!r} belongs to {owners}"
        ) from error

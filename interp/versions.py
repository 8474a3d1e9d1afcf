"""How the version of a workflow is written: `checkout` is version 1 of it, `checkout@2` version 2.

Stores, claims and records know this one string. Version 1 is written without a number, so that what was recorded before
there were versions stays as it is. Names have no `@` of their own (`@workflow` refuses it), and what only looks like a
version is part of the name: a store never fails on a string that somebody else has written.
"""

from __future__ import annotations

__all__ = ["explicit", "family_of", "is_of", "split", "tag_of"]


def tag_of(family: str, version: int) -> str:
    """Return how the store writes a version: `checkout`, `checkout@2`."""
    return family if version == 1 else f"{family}@{version}"


def split(tag: str) -> tuple[str, int]:
    """Return name and version: `checkout@2` is version 2 of checkout, `checkout` and `checkout@1` version 1."""
    family, at, version = tag.rpartition("@")
    if at and family and version.isascii() and version.isdigit() and not version.startswith("0"):
        return family, int(version)
    return tag, 1


def family_of(tag: str) -> str:
    """Return the name without the version."""
    return split(tag)[0]


def explicit(tag: str) -> str:
    """Return the string that means this version and no other, for people: `checkout@1`, `checkout@2`."""
    family, version = split(tag)
    return f"{family}@{version}"


def is_of(tag: str, wanted: str) -> bool:
    """Tell whether a version is what somebody asks for: `checkout` asks for all, `checkout@1` for one of them."""
    family, version = split(tag)
    return wanted == family or wanted == f"{family}@{version}"

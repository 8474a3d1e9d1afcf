"""Where a suspended generator stands: its innermost line, its stack, its label. Pure; reads frames and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType, GeneratorType, TracebackType
from typing import Any

import attrs

from interp.commands import Command

__all__ = ["StackFrame", "label", "stack", "strip", "trace", "where"]

# `yield from command` runs through this one frame of ours; users are not interested in it.
_ITER_CODE = Command.__iter__.__code__


@attrs.frozen
class StackFrame:
    """One nested generator of a suspended fiber.

    Attributes:
        file: Full name of the source file.
        line: Line of the `yield` that it stands at.
        function: Qualified name of the generator function.
        local: Its variables by name; the values are live objects and must not be changed.
    """

    file: str
    line: int
    function: str
    local: dict[str, Any] = attrs.field(factory=dict, repr=False, eq=False)


def _frames(generator: GeneratorType[Any, Any, Any]) -> Iterator[FrameType]:
    """Give the frames of a suspended generator and of those that it delegates to, outermost first."""
    inner: object = generator
    while isinstance(inner, GeneratorType):
        frame = inner.gi_frame
        if frame is None or inner.gi_code is _ITER_CODE:
            return
        yield frame
        inner = inner.gi_yieldfrom


def where(generator: GeneratorType[Any, Any, Any]) -> str:
    """Return `file:line` of the `yield` at which a generator stands; empty when it is a bare command or has ended."""
    # Written out instead of using _frames: this runs for every command.
    found = None
    inner: Any = generator
    while type(inner) is GeneratorType and inner.gi_code is not _ITER_CODE:
        found = inner
        inner = inner.gi_yieldfrom
    if found is None:
        return ""
    frame = found.gi_frame
    return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}" if frame is not None else ""


_short_names: dict[str, str] = {}


def _short(filename: str) -> str:
    """Return the last part of a file name."""
    short = _short_names.get(filename)
    if short is None:
        short = _short_names[filename] = filename.replace("\\", "/").rpartition("/")[2]
    return short


def stack(generator: GeneratorType[Any, Any, Any]) -> tuple[StackFrame, ...]:
    """Return the nested generators at which a fiber stands, outermost first."""
    return tuple(
        StackFrame(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname, dict(frame.f_locals))
        for frame in _frames(generator)
    )


def label(generator: GeneratorType[Any, Any, Any]) -> str:
    """Return a short name for a generator: its function and its first argument."""
    frame = getattr(generator, "gi_frame", None)
    name = getattr(generator, "__name__", "?")
    if frame is None or frame.f_code is _ITER_CODE:
        return str(name) if frame is None else ""
    code = frame.f_code
    for argument in code.co_varnames[: code.co_argcount]:
        if argument in frame.f_locals:
            text = repr(frame.f_locals[argument])
            return f"{name}({text if len(text) <= 40 else text[:37] + '...'})"
    return f"{name}()"


def strip(traceback: TracebackType | None) -> TracebackType | None:
    """Drop the leading frame, that of the interpreter: it is no news, and it would keep the interpreter alive."""
    return traceback.tb_next if traceback is not None else None


def trace(error: BaseException) -> str:
    """Format an exception's traceback without reading source files, and without our frame of `yield from command`."""
    lines = ["Traceback (most recent call last):"]
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code is not _ITER_CODE:
            lines.append(f'  File "{code.co_filename}", line {step.tb_lineno}, in {code.co_qualname}')
        step = step.tb_next
    lines.append(f"{type(error).__module__}.{type(error).__qualname__}: {error}".removeprefix("builtins."))
    lines += getattr(error, "__notes__", ())
    return "\n".join(lines)

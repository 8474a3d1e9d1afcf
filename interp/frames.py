"""Where a suspended generator stands: its innermost line, its stack, its label. Pure; reads frames.

Also what can be said of users' values and exceptions, whose `__repr__` and `__str__` may do anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FrameType, GeneratorType, TracebackType
from typing import Any, cast

import attrs

from interp.commands import Command

__all__ = [
    "StackFrame",
    "brief",
    "defined",
    "label",
    "message",
    "note",
    "raised_at",
    "stack",
    "strip",
    "trace",
    "where",
]

# `yield from command` runs through this one frame of ours; users are not interested in it.
_ITER_CODE = cast("Any", Command).__iter__.__code__

# As Any, so that a comparison with it leaves `Any` alone: a generator of what, nobody knows here.
_GENERATOR: Any = GeneratorType


@attrs.frozen
class StackFrame:
    """One nested generator of a suspended fiber.

    Attributes:
        file: Full name of the source file.
        line: Line of the `yield` that it stands at.
        function: Qualified name of the generator function.
        local: Its variables by name; the values are live objects and must not be changed.
        code: Its code, for who wants to know more of the place: the exact expression, the source.
        instruction: Offset of the instruction in it that it stands at.
    """

    file: str
    line: int
    function: str
    local: dict[str, Any] = attrs.field(factory=dict[str, Any], repr=False, eq=False)
    code: CodeType | None = attrs.field(default=None, repr=False, eq=False)
    instruction: int = attrs.field(default=-1, repr=False, eq=False)


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
    found: Any = None
    inner: Any = generator
    while type(inner) is _GENERATOR and inner.gi_code is not _ITER_CODE:
        found = inner
        inner = inner.gi_yieldfrom
    if found is None:
        return ""
    frame = found.gi_frame
    return "" if frame is None else _place(frame.f_code, frame)


_MOST_CODES = 10_000

# By the address of the code, which is kept alive here: hashing a code object hashes all that it consists of.
_places: dict[int, tuple[CodeType, dict[int, str]]] = {}


def _place(code: CodeType, frame: FrameType) -> str:
    """Return `file:line` where a frame stands; remembered, since finding the line of an instruction reads a table."""
    known = _places.get(id(code))
    if known is None:
        if len(_places) >= _MOST_CODES:  # code that is made anew all the time
            _places.clear()
        known = _places[id(code)] = (code, {})
    place = known[1].get(frame.f_lasti)
    if place is None:
        place = known[1][frame.f_lasti] = f"{_short(code.co_filename)}:{frame.f_lineno}"
    return place


def defined(generator: GeneratorType[Any, Any, Any]) -> str:
    """Return `file:line` of a generator's function; known even when it has ended."""
    code = generator.gi_code
    return f"{_short(code.co_filename)}:{code.co_firstlineno}"


_short_names: dict[str, str] = {}


def _short(filename: str) -> str:
    """Return the last part of a file name."""
    short = _short_names.get(filename)
    if short is None:
        short = _short_names[filename] = filename.replace("\\", "/").rpartition("/")[2]
    return short


def stack(generator: GeneratorType[Any, Any, Any]) -> tuple[StackFrame, ...]:
    """Return the nested generators at which a fiber stands, outermost first."""
    return tuple(_stood(frame, frame.f_lineno, frame.f_lasti) for frame in _frames(generator))


def raised_at(error: BaseException) -> tuple[StackFrame, ...]:
    """Return the frames through which an exception has come, outermost first; its traceback must be alive."""
    found: list[StackFrame] = []
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code is not _ITER_CODE:
            found.append(_stood(step.tb_frame, step.tb_lineno, step.tb_lasti))
        step = step.tb_next
    return tuple(found)


def _stood(frame: FrameType, line: int, instruction: int) -> StackFrame:
    code = frame.f_code
    return StackFrame(code.co_filename, line, code.co_qualname, dict(frame.f_locals), code, instruction)


def label(generator: GeneratorType[Any, Any, Any]) -> str:
    """Return a short name for a generator: its function, and its first argument that is told by more than an address.

    The name gets into recorded failures: it must be the same in a replay.
    """
    frame = getattr(generator, "gi_frame", None)
    name = getattr(generator, "__name__", "?")
    if frame is None or frame.f_code is _ITER_CODE:
        return str(name) if frame is None else ""
    code = frame.f_code
    for argument in code.co_varnames[: code.co_argcount]:
        if argument in frame.f_locals and not _has_address(type(frame.f_locals[argument])):
            return f"{name}({brief(frame.f_locals[argument], 40)})"
    return f"{name}()"


def _has_address(kind: Any) -> bool:
    """Tell whether objects of a class are told by where they are in memory."""
    return kind.__repr__ is object.__repr__


def strip(traceback: TracebackType | None) -> TracebackType | None:
    """Drop the leading frame, that of the interpreter: it is no news, and it would keep the interpreter alive."""
    return traceback.tb_next if traceback is not None else None


# How many frames of a traceback are kept at either end.
_MOST_PLACES = 20


def trace(error: BaseException) -> str:
    """Format an exception's traceback without reading source files, and without our frame of `yield from command`."""
    places: list[str] = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code is not _ITER_CODE:
            places.append(f'  File "{code.co_filename}", line {step.tb_lineno}, in {code.co_qualname}')
        step = step.tb_next
    if len(places) > 2 * _MOST_PLACES:  # a recursion: its ends tell everything
        left_out = len(places) - 2 * _MOST_PLACES
        places[_MOST_PLACES:-_MOST_PLACES] = [f"  ... {left_out} more ..."]
    lines = ["Traceback (most recent call last):", *places]
    lines.append(f"{type(error).__module__}.{type(error).__qualname__}: {message(error)}".removeprefix("builtins."))
    lines += map(_writable, getattr(error, "__notes__", ()))
    return "\n".join(lines)


def message(error: BaseException) -> str:
    """Return `str` of a user's exception, made fit to be recorded; never raises."""
    try:
        return _writable(str(error))
    except (Exception, SystemExit, GeneratorExit) as broken:  # noqa: BLE001  a user's __str__ may do anything
        return f"<its __str__ raised {type(broken).__name__}>"


def brief(value: Any, width: int = 80) -> str:
    """Return `repr` of a user's value, shortened to so many characters; never raises."""
    try:
        text = _writable(repr(value))
    except (Exception, SystemExit, GeneratorExit):  # noqa: BLE001  a user's __repr__ may do anything
        text = f"<{type(value).__name__}>"
    return text if len(text) <= width else text[: width - 3] + "..."


def note(error: BaseException, text: str) -> None:
    """Add a note to a user's exception, if it takes one."""
    try:
        error.add_note(text)
    except Exception:  # noqa: BLE001  a frozen class, such as an older attrs or a dataclass makes, may refuse
        return


def _writable(text: object) -> str:
    """Escape lone surrogates, which cannot be written as UTF-8."""
    return str(text).encode("utf-8", "backslashreplace").decode()

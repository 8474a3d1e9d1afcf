"""The runtime guard: sees forbidden calls while a workflow runs, and names their lines.

The lint reads source; this sees what is really called: through `getattr`, a callback, a method of an object. It uses
`sys.monitoring` (Python 3.12 and newer): the code of workflows, and of the functions of the same project that they are
seen to call, tells about each of its calls; all other code runs as ever, but for looks at `os.environ`. In workers a
call site that was seen to be clean is switched off (`DISABLE`), so that it costs nothing from then on; in tests every
call is looked at.

On Python 3.11 nothing watches in workers; in tests `sys.setprofile` does, which slows down all code.

There is no sandbox, and no import of workflows a second time: what they break, and what a module costs to import, is
known of other libraries. Audit hooks see input and output alone, and can never be removed.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, MethodDescriptorType, MethodType, ModuleType
from typing import Any, Literal, Protocol, TypeAlias, cast

import attrs

from interp.definitions import WorkflowDefinition, registered
from interp.errors import ForbiddenInWorkflow
from interp.interpreter import at_work
from interp.linting import CODES, Finding, is_allowed_at
from interp.linting.forbidden import CALLS, READS, Rule, called
from interp.linting.names import full_name, function_of, is_library, known_as

__all__ = ["GuardMode", "collecting", "enter", "is_available", "say", "watch"]

_log = logging.getLogger("interp")

GuardMode: TypeAlias = Literal["warn", "off", "error"]

# As Any: type checkers look at Python 3.11, which has none.
_monitoring: Any = getattr(sys, "monitoring", None)

# One of the ids that no kind of tool has a claim to; Hypothesis takes the other, 3.
_TOOL = 4

_frame = sys._getframe  # pyright: ignore[reportPrivateUsage]  # the public way takes twice as long

# What functions are that Cython has made, as those of NumPy are; there is no class to import.
_CYTHON = "cython_function_or_method"

# What the first argument is when there is none, and when nobody knows.
_MISSING: object = None if _monitoring is None else _monitoring.MISSING
_UNKNOWN = object()

# The generator behind `random.random()` and its sisters.
_INNER = cast("object", random.random.__self__)  # type: ignore[attr-defined]  # a bound method of a builtin class


class _Sink(Protocol):
    """Takes what was found."""

    def found(self, finding: Finding) -> None: ...


_sink: ContextVar[_Sink | None] = ContextVar("interp_guard", default=None)


@attrs.define(eq=False)
class _Watched:
    """What is watched in this process.

    Attributes:
        codes: The code that tells about its calls, by its id: equal code is not the same.
        quiet: Code with call sites that are switched off.
        tests: How many tests want to see every call; sites are not switched off meanwhile.
        ready: Whether the tool is ours.
    """

    codes: dict[int, CodeType] = attrs.field(factory=dict[int, CodeType])
    quiet: dict[int, CodeType] = attrs.field(factory=dict[int, CodeType])
    tests: int = 0
    ready: bool = False
    lock: threading.Lock = attrs.field(factory=threading.Lock)


_watched = _Watched()


def is_available() -> bool:
    """Tell whether calls can be watched in workers: on Python 3.12 and newer, unless another tool has our place."""
    if _monitoring is None:
        return False
    with _watched.lock:
        if not _watched.ready:
            if _monitoring.get_tool(_TOOL) is not None:
                return False
            _monitoring.use_tool_id(_TOOL, "interp")
            _monitoring.register_callback(_TOOL, _monitoring.events.CALL, _on_call)
            _monitoring.register_callback(_TOOL, _monitoring.events.PY_START, _on_start)
            for name in ("__getitem__", "__setitem__", "__delitem__", "__iter__"):  # os.environ["X"] is no call
                code = getattr(type(os.environ), name).__code__
                _monitoring.set_local_events(_TOOL, code, _monitoring.events.PY_START)
            _watched.ready = True
    return True


def watch(definition: WorkflowDefinition) -> None:
    """Watch the code of a workflow; it is enough to do so once."""
    fn = function_of(definition.fn)
    if fn is not None and id(fn.__code__) not in _watched.codes:
        _watch_code(fn.__code__)


def _watch_code(code: CodeType) -> None:
    """Watch some code, and the functions inside it."""
    if id(code) in _watched.codes:
        return
    _watched.codes[id(code)] = code
    if _watched.ready:
        _monitoring.set_local_events(_TOOL, code, _monitoring.events.CALL)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _watch_code(constant)


def enter(mode: GuardMode) -> None:
    """Say what becomes of findings on this thread, for good: what a worker does as it begins."""
    if mode != "off" and is_available():
        _sink.set(_Raising() if mode == "error" else _Warning())
        if mode == "error":
            _switch_on()


def _switch_on() -> None:
    """Switch call sites on again that were switched off."""
    with _watched.lock:
        quiet = list(_watched.quiet.values())
        _watched.quiet.clear()
    for code in quiet:
        _monitoring.set_local_events(_TOOL, code, 0)
        _monitoring.set_local_events(_TOOL, code, _monitoring.events.CALL)


@contextmanager
def collecting() -> Generator[list[Finding]]:
    """Collect what registered workflows are seen to do on this thread; every call is looked at."""
    collector = _Collecting()
    is_monitored = is_available()
    with _watched.lock:
        _watched.tests += 1
    _switch_on()
    for definition in registered():
        watch(definition)
    token = _sink.set(collector)
    try:
        with nullcontext() if is_monitored else _profiling():
            yield collector.findings
    finally:
        _sink.reset(token)
        with _watched.lock:
            _watched.tests -= 1


# What becomes of findings.


_told: set[tuple[str, int, int, str]] = set()


def say(finding: Finding) -> None:
    """Log a finding, each place once in the life of the process, whoever found it."""
    place = (finding.file, finding.line, finding.column, finding.code)
    if place not in _told:
        _told.add(place)
        _log.warning("%s", finding)


class _Warning:
    """Logs what was found."""

    def found(self, finding: Finding) -> None:
        say(finding)


class _Raising:
    """Raises at the call, as if it had failed."""

    def found(self, finding: Finding) -> None:
        raise ForbiddenInWorkflow(finding.workflow, (str(finding),))


class _Collecting:
    """Keeps each call site once."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def found(self, finding: Finding) -> None:
        if finding not in self.findings:
            self.findings.append(finding)


# What Python tells.


def _on_call(code: CodeType, offset: int, callee: object, first: object) -> object:
    """Look at one call of watched code; what goes wrong here must not reach the workflow."""
    try:
        return _look_at_call(code, offset, callee, first, _frame(1))
    except ForbiddenInWorkflow:
        raise
    except Exception:  # noqa: BLE001  a bug of ours, or an object that answers no question
        _log.exception("the guard could not judge a call in %s:%s", code.co_filename, code.co_firstlineno)
        return _monitoring.DISABLE


def _look_at_call(code: CodeType, offset: int, callee: object, first: object, caller: FrameType) -> object:
    sink = _sink.get()
    interpreter = at_work()
    if type(callee) is functools.partial:
        callee, first = _unwrapped(callee, first)
    found = _judged(callee, first, caller)
    if found is None:
        followed = _followed(callee, first)
        if followed is not None:
            if interpreter is None:  # an activity uses a function that a workflow uses, too: not our business
                return None
            _watch_code(followed.__code__)
        if _watched.tests:
            return None
        _watched.quiet[id(code)] = code
        return _monitoring.DISABLE
    if sink is None or interpreter is None:
        return None
    _tell(sink, *found, caller, offset)
    if _watched.tests or isinstance(sink, _Raising):
        return None
    _watched.quiet[id(code)] = code
    return _monitoring.DISABLE


def _unwrapped(callee: Any, first: object) -> tuple[object, object]:
    """Return what a partial calls, and its first argument."""
    args = callee.args
    return callee.func, args[0] if args else first


def _on_start(code: CodeType, _offset: int) -> None:
    """Look at who uses `os.environ` without calling it."""
    if at_work() is not None:
        _look_at_environ(code, _frame(1))


def _look_at_environ(code: CodeType, frame: FrameType) -> None:
    caller = frame.f_back
    sink = _sink.get()
    if caller is None or id(caller.f_code) not in _watched.codes or sink is None or at_work() is None:
        return
    if frame.f_locals.get("self") is os.environ:
        name = code.co_name.strip("_")
        what = "os.environ" if name == "iter" else "os.environ[...]" if "item" in name else f"os.environ.{name}()"
        _tell(sink, READS["os.environ"], what, caller, caller.f_lasti)


@contextmanager
def _profiling() -> Generator[None]:
    """Let Python 3.11 tell about every call on this thread."""
    before = sys.getprofile()

    def tell(frame: FrameType, event: Any, arg: object) -> None:
        if before is not None:
            before(frame, event, arg)
        if event == "c_call" and id(frame.f_code) in _watched.codes:
            _on_profiled(arg, _UNKNOWN, frame)
        elif event == "call" and frame.f_back is not None:
            _on_entered(frame, frame.f_back)

    sys.setprofile(tell)
    try:
        yield
    finally:
        sys.setprofile(before)


def _on_profiled(callee: object, first: object, frame: FrameType) -> None:
    """Look at a call of something that is written in C."""
    sink = _sink.get()
    if sink is not None and at_work() is not None:
        found = _judged(callee, first, frame)
        if found is not None:
            _tell(sink, *found, frame, frame.f_lasti)


def _on_entered(frame: FrameType, caller: FrameType) -> None:
    """Look at a call of something that is written in Python, as it begins."""
    sink = _sink.get()
    if sink is None or at_work() is None:
        return
    code = frame.f_code
    module = str(frame.f_globals.get("__name__", ""))
    if not is_library(module):
        named = frame.f_globals.get(code.co_name)
        if not hasattr(named, "__interp_activity__") or getattr(function_of(named), "__code__", None) is not code:
            _watch_code(code)  # also branches, which the interpreter itself begins
        elif id(caller.f_code) in _watched.codes:
            _tell(sink, _activity_call(code.co_name), f"{code.co_name}()", caller, caller.f_lasti)
    elif id(caller.f_code) in _watched.codes:
        for place, name in _PLACES:
            if getattr(vars(place)[name], "__code__", None) is code:
                _tell(sink, CALLS[f"{place.__name__}.{name}"], f"{place.__name__}.{name}()", caller, caller.f_lasti)
                return
        first = frame.f_locals.get("self", _UNKNOWN) if module in ("random", "os", "collections.abc") else _UNKNOWN
        if first is os.environ:
            _look_at_environ(code, frame)
            return
        found = _judged_name(known_as(module, code.co_qualname), first, caller)
        if found is not None:
            _tell(sink, *found, caller, caller.f_lasti)


# Judging.


_Found: TypeAlias = "tuple[Rule, str]"

_names: dict[int, tuple[object, str]] = {}


def _judged(callee: Any, first: object, caller: FrameType) -> _Found | None:
    """Return the rule against a call, and what to call it.

    Args:
        callee: What is called.
        first: The first argument, the instance of a method.
        caller: Who calls.
    """
    kind = cast("Any", type(callee))
    is_bare = first is _MISSING
    if kind is FunctionType or kind is MethodType:
        replaced = _replaced(callee)
        if replaced:
            return _judged_name(replaced, _UNKNOWN, caller, is_bare=is_bare)
    if kind is MethodType:
        first, callee = callee.__self__, callee.__func__
        kind = cast("Any", type(callee))
    if kind is FunctionType:
        if first is os.environ:
            return READS["os.environ"], f"os.environ.{callee.__name__}()"
        if hasattr(callee, "__interp_activity__"):
            return _activity_call(callee.__name__), f"{callee.__name__}()"
        if not is_library(callee.__module__):
            return None
    elif kind is BuiltinFunctionType:
        if isinstance(callee.__self__, random.Random):
            first = callee.__self__
    elif kind.__name__ == _CYTHON:
        name = full_name(callee)
        is_theirs = "." in callee.__qualname__ and not _is_shared(first, caller)
        return None if is_theirs else _judged_name(name, _UNKNOWN, caller, is_bare=is_bare)
    elif kind is not MethodDescriptorType and not isinstance(callee, type):
        return None
    return _judged_name(_name_of(callee), first, caller, is_bare=is_bare)


# Tests put functions of their own in these places: to hold the clock still, to make chance repeatable.
_PLACES: tuple[tuple[ModuleType, str], ...] = (
    (os, "urandom"),
    *((time, name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")),
)


def _replaced(callee: object) -> str:
    """Return for what a Python function stands in at the moment; empty for nothing."""
    for module, name in _PLACES:
        if vars(module)[name] is callee:
            return f"{module.__name__}.{name}"
    return ""


def _judged_name(name: str, first: object, caller: FrameType, *, is_bare: bool = False) -> _Found | None:
    """Return the rule against a call by the name of what is called."""
    if isinstance(first, random.Random):
        method = name.rpartition(".")[2]
        if first is _INNER:
            name = f"random.{method}"
        elif isinstance(first, random.SystemRandom):
            name = f"random.SystemRandom.{method}"
        elif _is_shared(first, caller):
            return Rule("random", CODES["random"].cure), f"{method}() of a generator that all runs share"
        else:
            return None
    if name == "builtins.hash" and (first is _UNKNOWN or type(first) in (int, float, bool, complex)):
        return None
    rule = called(name, 0 if is_bare else None)
    return (rule, f"{name.removeprefix('builtins.')}()") if rule is not None and CODES[rule.code].watched else None


def _is_shared(generator: object, caller: FrameType) -> bool:
    """Tell a generator of random numbers that all runs draw from, from one that a workflow has made itself."""
    numpys = getattr(sys.modules.get("numpy.random.mtrand"), "_rand", None)
    return generator is numpys or any(value is generator for value in caller.f_globals.values())


def _name_of(callee: Any) -> str:
    """Return the full name of something that is called, remembered where it stays."""
    known = _names.get(id(callee))
    if known is not None and known[0] is callee:
        return known[1]
    name = full_name(callee)
    if type(callee) is not BuiltinFunctionType or type(callee.__self__) is type(sys):
        _names[id(callee)] = (callee, name)
    return name


def _followed(callee: Any, first: object) -> FunctionType | None:
    """Return the function of the project that a call leads to: its own code is watched from then on."""
    if isinstance(callee, type):
        fn = first if callee in (map, filter, functools.partial) else getattr(callee, "__init__", None)
    else:
        fn = callee.__func__ if type(callee) is MethodType else callee
        if type(first) is FunctionType and first.__code__.co_flags & inspect.CO_GENERATOR:  # map_(branch, items)
            fn = first
    return fn if type(fn) is FunctionType and not is_library(fn.__module__) else None


@functools.cache
def _activity_call(name: str) -> Rule:
    return Rule("activity-call", f"yield from call({name}, ...)")


# Telling.


def _tell(sink: _Sink, rule: Rule, what: str, frame: FrameType, offset: int) -> None:
    """Say where something was called, unless that line allows it."""
    interpreter = at_work()
    assert interpreter is not None
    # What attrs and dataclasses write has no line; the one that called it has.
    while frame.f_code.co_filename.startswith("<") and frame.f_back is not None and _has_watched(frame.f_back):
        frame = frame.f_back
        offset = frame.f_lasti
    code = frame.f_code
    line, end, column, _ = next(itertools.islice(code.co_positions(), offset // 2, None), (None, None, None, None))
    line = line or frame.f_lineno
    if any(is_allowed_at(rule.code, code.co_filename, number) for number in {line, end or line}):
        return
    definition = interpreter.definition
    is_itself = code is getattr(definition.fn, "__code__", None)
    function = definition.name if is_itself else code.co_qualname.rpartition("<locals>.")[2]
    finding = Finding(code.co_filename, line, (column or 0) + 1, rule.code, what, function, definition.name, rule.cure)
    sink.found(finding)


def _has_watched(frame: FrameType) -> bool:
    return id(frame.f_code) in _watched.codes

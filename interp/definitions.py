"""@workflow and @activity: their options, their names, and the registry of workflows.

Both decorators return the function itself, so that it stays callable, picklable and fully typed; what they know of it
hangs on the function as a definition. Names leave out the module, so that code may move between files, and a script
run as `__main__` finds the runs that it started when it was imported.
"""

from __future__ import annotations

import functools
import inspect
import reprlib
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import timedelta
from importlib import import_module
from types import GeneratorType, MethodType
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload  # noqa: TID251  # beside a `Later`
from weakref import WeakKeyDictionary

import attrs

from interp._later import Later
from interp.codec import ArgumentsCodec
from interp.commands import CallOptions, Command, Compare, OnUnknown
from interp.errors import InvalidDefinition, UnknownWorkflow
from interp.policies import Retry
from interp.versions import explicit, family_of, split, tag_of

if TYPE_CHECKING:
    import hashlib
else:
    hashlib = Later("hashlib")  # loads OpenSSL

__all__ = [
    "ActivityDefinition",
    "ByName",
    "Validator",
    "WorkflowDefinition",
    "activity",
    "activity_of",
    "by_name",
    "defined_in",
    "find_workflow",
    "newest_workflow",
    "registered",
    "successor_of",
    "transaction_of",
    "workflow",
    "workflow_of",
    "workflows",
]

F = TypeVar("F", bound=Callable[..., Any])
W = TypeVar("W", bound=Callable[..., Generator[Command[Any], Any, Any]])

_DEFAULT_RETRY = Retry()
_DEFAULT_OPTIONS = CallOptions(retry=_DEFAULT_RETRY)


@attrs.frozen(eq=False)
class ActivityDefinition:
    """A function that may do anything, and how it is called.

    Attributes:
        name: What the journal calls it.
        fn: The function.
        options: How it is called, where the call itself does not say otherwise.
        raises: Exceptions that are outcomes of the business: recorded, not retried, raised as themselves.
        is_async: Whether it runs on the event loop.
        arguments: How its arguments and result are recorded.
    """

    name: str
    fn: Callable[..., Any]
    options: CallOptions
    raises: tuple[type[Exception], ...]
    is_async: bool
    arguments: ArgumentsCodec


@attrs.frozen(eq=False)
class Validator:
    """A function that may refuse a request, by raising an exception.

    Attributes:
        fn: It is called with the payload and the state that the workflow has annotated.
        arguments: How the two are decoded: as it annotates them.
    """

    fn: Callable[..., object]
    arguments: ArgumentsCodec


@attrs.frozen(eq=False)
class WorkflowDefinition:
    """A generator function that must be deterministic.

    Attributes:
        name: What the journal calls it, with the version: `checkout`, `checkout@2`.
        fn: The generator function.
        compare: How replay compares commands with their records.
        arguments: How its arguments and result are recorded.
        validators: What may refuse requests before anything is recorded, by the name of the request.
    """

    name: str
    fn: Callable[..., Generator[Command[Any], Any, Any]]
    compare: Compare
    arguments: ArgumentsCodec
    validators: Mapping[str, Validator] = attrs.field(factory=dict[str, "Validator"])

    @property
    def family(self) -> str:
        """Its name without the version."""
        return family_of(self.name)

    @property
    def version(self) -> int:
        """Which version of it this is, from 1."""
        return split(self.name)[1]

    @functools.cached_property
    def code(self) -> str:
        """Fingerprint of its source: tells when a run was recorded with other code."""
        try:
            source = inspect.getsource(self.fn).encode()
        except (OSError, TypeError):  # typed at a prompt, or built from text
            source = self.fn.__code__.co_code
        return hashlib.blake2b(source, digest_size=6).hexdigest()


@attrs.frozen(eq=False)
class ByName(WorkflowDefinition):
    """A workflow that is known by its name only: it can be started, and is moved by whoever has its code."""


class _AsRecorded(ArgumentsCodec):
    """Takes arguments that are encoded already."""

    __slots__ = ()

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """Return the one argument: a JSON array of them all."""
        (encoded,) = args
        return bytes(encoded)


@overload
def activity(fn: F, /) -> F: ...
@overload
def activity(
    *,
    name: str | None = None,
    retry: Retry = ...,
    timeout: timedelta | None = None,
    deadline: timedelta | None = None,
    heartbeat: timedelta | None = None,
    on_unknown: OnUnknown = "retry",
    start_timeout: timedelta | None = None,
    raises: type[Exception] | tuple[type[Exception], ...] = (),
) -> Callable[[F], F]: ...
def activity(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retry: Retry = _DEFAULT_RETRY,
    timeout: timedelta | None = None,
    deadline: timedelta | None = None,
    heartbeat: timedelta | None = None,
    on_unknown: OnUnknown = "retry",
    start_timeout: timedelta | None = None,
    raises: type[Exception] | tuple[type[Exception], ...] = (),
) -> Any:
    """Declare how a function is called from workflows; the function itself is returned.

    Args:
        fn: A plain function (it runs on a thread) or an `async def` one (it runs on an event loop).
        name: What the journal calls it; its qualified name by default. Keep it when the function moves or is renamed.
        retry: When to try again after an exception that is not declared.
        timeout: How long one attempt may take; None for no limit.
        deadline: How long the whole call may take, with all attempts and pauses; None for no limit.
        heartbeat: How long an attempt may be silent, from its begin or its last `current_call().heartbeat()`, before
            it is given up as failed; None for no limit.
        on_unknown: What happens when the worker was lost during an attempt, so that nobody knows whether it took
            effect: `retry` it; `fail` with `OutcomeUnknown`; or a function, sync or async, that is called with the same
            arguments and idempotency key, and returns the result if the effect has happened, or raises `NotDone`.
        start_timeout: How long an attempt may wait until it begins, while all threads are busy, before it is given up
            as failed; None for no limit.
        raises: Exceptions that are outcomes of the business: recorded, not retried, raised as themselves.

    Raises:
        InvalidDefinition: The function cannot be an activity.
    """
    declared = raises if isinstance(raises, tuple) else (raises,)
    options = CallOptions(retry, timeout, None, deadline, heartbeat, on_unknown, start_timeout)

    def declare(fn: Callable[..., Any]) -> Callable[..., Any]:
        definition = _activity(fn, name or _name_of(fn), options, declared)
        fn.__interp_activity__ = definition  # type: ignore[attr-defined]  # any function takes attributes
        return fn

    return declare if fn is None else declare(fn)


_plain: WeakKeyDictionary[Callable[..., Any], ActivityDefinition] = WeakKeyDictionary()


def activity_of(fn: Callable[..., Any]) -> ActivityDefinition:
    """Return the definition of an activity; a plain function gets one without options.

    Raises:
        InvalidDefinition: The function cannot be an activity.
    """
    declared: ActivityDefinition | None = getattr(fn, "__interp_activity__", None)
    if declared is not None:
        if isinstance(fn, MethodType):  # bound: its `self` is no argument to record
            return attrs.evolve(declared, fn=fn, arguments=ArgumentsCodec.of(fn))
        return declared
    definition = _plain.get(fn)
    if definition is None:
        definition = _plain[fn] = _activity(fn, _name_of(fn), _DEFAULT_OPTIONS, ())
    return definition


_transactions: WeakKeyDictionary[Callable[..., Any], ActivityDefinition] = WeakKeyDictionary()


def transaction_of(fn: Callable[..., Any]) -> ActivityDefinition:
    """Return the definition of a function that `transact` runs: an activity whose first argument the store gives.

    Raises:
        InvalidDefinition: The function cannot be run inside a transaction.
    """
    definition = _transactions.get(fn)
    if definition is None:
        definition = _transaction(activity_of(fn))
        if not inspect.ismethod(fn):  # a bound one is made anew each time
            _transactions[fn] = definition
    return definition


def _transaction(declared: ActivityDefinition) -> ActivityDefinition:
    fn, name, options = declared.fn, declared.name, declared.options
    if declared.is_async:
        raise InvalidDefinition(
            name,
            _where(fn),
            "is an async function and cannot run inside a transaction, which must not wait for anything",
            "Write `def` instead of `async def`; what has to be awaited belongs in an activity before it.",
        )
    first = next(iter(inspect.signature(fn).parameters.values()), None)
    if first is None or first.kind not in _TAKES_TRANSACTION:
        raise InvalidDefinition(
            name,
            _where(fn),
            "takes no transaction",
            f"Write `def {name}(tx: Transaction, ...)`: its first argument is the store's transaction.",
        )
    idle = (options.timeout, options.deadline, options.heartbeat) == (None, None, None)
    if not idle or options.retry != _DEFAULT_RETRY or options.on_unknown not in (None, "retry"):
        raise InvalidDefinition(
            name,
            _where(fn),
            "is declared with options that have no meaning inside a transaction",
            "Only raises= and name= have: it is run at once, never retried, and its outcome is always known.",
        )
    return attrs.evolve(declared, arguments=ArgumentsCodec(fn, given=1))


_TAKES_TRANSACTION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _activity(
    fn: Callable[..., Any],
    name: str,
    options: CallOptions,
    raises: tuple[type[Exception], ...],
) -> ActivityDefinition:
    if inspect.isgeneratorfunction(fn) or hasattr(fn, "__interp_workflow__"):
        raise InvalidDefinition(
            name,
            _where(fn),
            "is a generator function and cannot be called as an activity",
            f"A part of this workflow is written `yield from {name}(...)`.",
        )
    if inspect.isasyncgenfunction(fn):
        raise InvalidDefinition(
            name, _where(fn), "is an async generator and cannot be an activity", "Return a value instead of yielding."
        )
    if name == "<lambda>":
        raise InvalidDefinition(
            name, _where(fn), "has no name to be recorded by", "Write it as a function with `def`, or wrap it in one."
        )
    for kind in raises:
        if not issubclass(kind, Exception):  # pyright: ignore[reportUnnecessaryIsInstance]  for callers without types
            raise InvalidDefinition(name, _where(fn), f"declares raises={kind!r}", "Give subclasses of Exception.")
    return ActivityDefinition(
        name=name,
        fn=fn,
        options=options,
        raises=raises,
        is_async=inspect.iscoroutinefunction(fn),
        arguments=ArgumentsCodec.of(fn),
    )


@overload
def workflow(fn: W, /) -> W: ...
@overload
def workflow(
    *,
    name: str | None = None,
    version: int = 1,
    compare: Compare = "strict",
    validators: Mapping[str, Callable[[Any, Any], object]] | None = None,
) -> Callable[[W], W]: ...
def workflow(
    fn: Callable[..., Generator[Command[Any], Any, Any]] | None = None,
    /,
    *,
    name: str | None = None,
    version: int = 1,
    compare: Compare = "strict",
    validators: Mapping[str, Callable[[Any, Any], object]] | None = None,
) -> Any:
    """Declare a generator function a workflow; the function itself is returned, and registered by its name.

    Args:
        fn: A generator function that yields commands and is deterministic.
        name: What the journal calls it; its qualified name by default. Keep it when the function moves or is renamed.
            Without `@`, which marks versions in the journal.
        version: Which version this is, from 1. Versions of one name stand side by side: new runs take the newest that
            is registered, open runs stay on theirs.
        compare: How replay compares commands with their records: `strict`, or `names` to accept other arguments.
        validators: By the name of a request, a function of its payload and of the run's state (what was annotated
            last) that raises an exception to refuse it: nothing is recorded then, and whoever asked gets `AskRefused`
            with its text. It must be quick and have no effects.

    Raises:
        InvalidDefinition: The function is no generator function, name or version cannot be recorded, or a validator
            cannot be one.
    """

    def declare(fn: Callable[..., Generator[Command[Any], Any, Any]]) -> Callable[..., Any]:
        definition = _workflow(fn, name or _name_of(fn), version, compare, validators or {})
        _register(definition)
        fn.__interp_workflow__ = definition  # type: ignore[attr-defined]  # any function takes attributes
        return fn

    return declare if fn is None else declare(fn)


def by_name(name: str) -> Callable[..., Generator[Command[Any], Any, Any]]:
    """Return what stands for a workflow whose code may be elsewhere, in `child`; its one argument is encoded already.

    Looking it up in the registry instead would make a workflow depend on what its process has imported.
    """

    def elsewhere(encoded: bytes) -> Generator[Command[Any], Any, Any]:
        raise AssertionError(f"{name} is known by name only, {encoded!r} cannot be run here")
        yield

    definition = ByName(name, elsewhere, "strict", _AsRecorded(elsewhere))
    elsewhere.__interp_workflow__ = definition  # type: ignore[attr-defined]  # any function takes attributes
    return elsewhere


def _workflow(
    fn: Callable[..., Any],
    name: str,
    version: int,
    compare: Compare,
    validators: Mapping[str, Callable[..., object]],
) -> WorkflowDefinition:
    if inspect.isasyncgenfunction(fn) or inspect.iscoroutinefunction(fn):
        raise InvalidDefinition(
            name,
            _where(fn),
            "is an async function, and a workflow is a plain generator",
            "Write `def` instead of `async def`, and `yield from` instead of `await`; activities may be async.",
        )
    if not inspect.isgeneratorfunction(fn):
        raise InvalidDefinition(
            name,
            _where(fn),
            "never yields, so it is no generator function and cannot be a workflow",
            "Yield its commands: `result = yield from call(...)`. A function with side effects is an @activity.",
        )
    if "@" in name:
        cure = "Write the version as a number of its own: @workflow(name=..., version=2)."
        raise InvalidDefinition(name, _where(fn), "has '@' in its name, which marks the version in the journal", cure)
    if type(version) is not int or version < 1:
        cure = "Versions are whole numbers from 1 on; leave it out for the first."
        raise InvalidDefinition(name, _where(fn), f"declares version={version!r}", cure)
    return WorkflowDefinition(
        name=tag_of(name, version),
        fn=fn,
        compare=compare,
        arguments=ArgumentsCodec.of(fn),
        validators={asked: _validator(name, asked, check) for asked, check in validators.items()},
    )


def _validator(name: str, asked: str, fn: Callable[..., object]) -> Validator:
    problem = ""
    if not callable(fn):
        problem = "which is no function"
    elif inspect.iscoroutinefunction(fn) or inspect.isgeneratorfunction(fn):
        problem = "which is async or a generator function"
    else:
        arguments = ArgumentsCodec.of(fn)
        try:
            arguments.signature.bind(None, None)
        except TypeError:
            problem = f"whose parameters are {arguments.signature}"
        else:
            return Validator(fn, arguments)
    raise InvalidDefinition(
        name,
        _where(fn),
        f"declares for request {asked!r} the validator {getattr(fn, '__qualname__', repr(fn))}, {problem}",
        "A validator is a plain function of two: `def check(payload: Order, state: dict[str, Any]) -> None`.",
    )


def workflow_of(fn: Callable[..., Any]) -> WorkflowDefinition:
    """Return the definition of a workflow.

    Raises:
        InvalidDefinition: The function was not declared with `@workflow`, or it is no function.
    """
    definition = getattr(fn, "__interp_workflow__", None)
    if definition is None:
        if not callable(fn):  # for callers without types
            raise _no_function(fn)
        name = getattr(fn, "__qualname__", repr(fn))
        _workflow(fn, name, 1, "strict", {})
        raise InvalidDefinition(name, _where(fn), "is not declared a workflow", "Write @workflow above its `def`.")
    return cast("WorkflowDefinition", definition)


def _no_function(given: Any) -> InvalidDefinition:
    """Say what to write in place of `engine.start(count(3))`, which gives what the call made."""
    cure = "Give the function and, apart from it, its arguments"
    if inspect.isgenerator(given):
        code = given.gi_code
        parts = [code.co_name, *_arguments(given)]
        return InvalidDefinition(
            f"{code.co_name}({', '.join(parts[1:])})",
            f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}",
            "is a generator, made by calling the workflow, where the workflow itself is wanted",
            f"{cure}: write `{', '.join(parts)}`, as in engine.start({', '.join(parts)}, id=...).",
        )
    if inspect.iscoroutine(given):
        code = given.cr_code
        return InvalidDefinition(
            f"{code.co_name}(...)",
            f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}",
            "is a coroutine, where a workflow is wanted, which is a plain generator function",
            f"Write `def {code.co_name}` with `yield from`, and @workflow above it. {cure}, as in "
            f"engine.start({code.co_name}, ..., id=...).",
        )
    return InvalidDefinition(
        reprlib.repr(given),
        f"of type {type(given).__name__}",
        "is no function, where a workflow is wanted",
        f"{cure}, as in engine.start(checkout, order, id=...).",
    )


def _arguments(generator: GeneratorType[Any, Any, Any]) -> list[str]:
    """Show what a generator was called with, as far as it still holds it: until it begins."""
    code, frame = generator.gi_code, generator.gi_frame
    if frame is None or inspect.getgeneratorstate(generator) != inspect.GEN_CREATED:
        return ["..."]
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    known = [reprlib.repr(frame.f_locals[name]) if name in frame.f_locals else "..." for name in names]
    by_name = [f"{name}={value}" for name, value in zip(names, known, strict=True)][code.co_argcount :]
    packed = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    return [*known[: code.co_argcount], *by_name, *(["..."] if packed else [])]


# By name and version, then by the file that defines it. More than one file: these alone do not say which is meant.
_registry: dict[str, dict[str, WorkflowDefinition]] = {}

# By name, the module that registers it once it is imported.
_elsewhere: dict[str, str] = {}


def _register(new: WorkflowDefinition) -> None:
    """Add a workflow to the registry.

    The same file may define it again (a reload, a notebook, a test). What is defined at a prompt or inside a function
    is made again and again: it replaces others of its kind, but never what a module defines.
    """
    found = _registry.setdefault(new.name, {})
    if _is_passing(new):
        for file in [file for file, other in found.items() if _is_passing(other)]:
            del found[file]
    found[new.fn.__code__.co_filename] = new


def defined_in(module: str, name: str) -> None:
    """Say which module defines a workflow: it is imported when a history, or somebody, asks for that by its name."""
    _elsewhere[name] = module


def _is_passing(definition: WorkflowDefinition) -> bool:
    """Whether a workflow was defined at a prompt or inside a function."""
    fn = definition.fn
    return fn.__code__.co_filename.startswith("<") or "<locals>" in fn.__qualname__


def find_workflow(name: str) -> WorkflowDefinition:
    """Return the workflow registered under a name as the journal has it: `checkout` is version 1, and no other.

    Raises:
        UnknownWorkflow: There is none of this version.
        InvalidDefinition: Several files define one; starting a run with the function itself is still possible.
    """
    if name in _elsewhere and name not in _registry:
        import_module(_elsewhere[name])
    found = [*_registry.get(name, {}).values()]
    if not found:
        # `checkout` alone would read as if the whole workflow were unknown, where only its version 1 is.
        has_others = any(family_of(known) == family_of(name) for known in _registry)
        raise UnknownWorkflow(
            explicit(name) if has_others else name,
            tuple(sorted(known for known in _registry if not known.startswith("interp."))),
        )
    if len(found) > 1:
        raise InvalidDefinition(
            name,
            _where(found[-1].fn),
            "is not the only workflow of this name: " + ", ".join(_where(other.fn) for other in found[:-1]),
            "Give each a name of its own: @workflow(name=...), or a version: @workflow(version=2).",
        )
    return found[0]


def newest_workflow(name: str) -> WorkflowDefinition:
    """Return the workflow that somebody names: `checkout` is the newest version of it, `checkout@1` version 1.

    Raises:
        UnknownWorkflow: There is none.
        InvalidDefinition: Several files define this version, or the newest.
    """
    if "@" in name:
        return find_workflow(tag_of(*split(name)))
    versions = [split(tag)[1] for tag in list(_registry) if family_of(tag) == name]
    return find_workflow(tag_of(name, max(versions, default=1)))


def successor_of(definition: WorkflowDefinition) -> WorkflowDefinition:
    """Return the newest version of a workflow that is registered in one place; itself where none is newer."""
    same = [other for other in workflows().values() if other.family == definition.family]
    return max([definition, *same], key=lambda other: other.version)


def newest_tag(tag: str) -> str:
    """Return the newest version of a workflow that is registered in one place; the tag itself where none is newer."""
    same = [other for other in workflows() if family_of(other) == family_of(tag)]
    return max([tag, *same], key=lambda other: split(other)[1])


def workflows() -> dict[str, WorkflowDefinition]:
    """Return the registered workflows as the journal names them, those left out whose name several files use."""
    registered = list(_registry.items())  # another thread may register one meanwhile
    return {name: next(iter(found.values())) for name, found in registered if len(found) == 1}


def registered() -> Iterator[WorkflowDefinition]:
    """Give all registered workflows, those of one name too."""
    for found in _registry.values():
        yield from found.values()


def _name_of(fn: Callable[..., Any]) -> str:
    """Return the qualified name, from the innermost function that defines it on."""
    name = getattr(fn, "__qualname__", None)
    if name is None:
        raise InvalidDefinition(
            repr(fn), "", "has no name to be recorded by", "Wrap it in a function with `def`, or give name=."
        )
    return str(name).rpartition("<locals>.")[2]


def _where(fn: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(fn), "__code__", None)
    return f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}" if code else "built in"

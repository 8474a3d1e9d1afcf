"""Reads the body of one function, and tells what a workflow must not do in it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator

import attrs

from interp import branching, constructors
from interp.linting.codes import CODES
from interp.linting.forbidden import Rule, called, read
from interp.linting.names import FunctionNode, Meaning, function_of, is_library
from interp.linting.scopes import Scope, inside, is_container, is_generator, is_set, parameters

__all__ = ["Body", "Suspicion", "workflow_name"]

_MAKERS = frozenset(
    f"{place}.{name}"
    for module in (constructors, branching)
    for name in module.__all__
    if name != "parts_of"
    for place in ("interp", module.__name__)
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

# What makes an order of the elements it is given, and what does not care.
_ORDERS = frozenset(
    f"builtins.{name}" for name in ("list", "tuple", "enumerate", "iter", "map", "filter", "zip", "next")
) | {"collections.deque", "collections.OrderedDict", "builtins.dict.fromkeys", "dict.fromkeys", "itertools.chain"}
_ORDERLESS = frozenset(
    f"builtins.{name}" for name in ("sorted", "set", "frozenset", "len", "sum", "min", "max", "any", "all")
) | {"collections.Counter"}
_CALLBACKS = frozenset(f"builtins.{name}" for name in ("sorted", "map", "filter", "min", "max", "list.sort")) | {
    "functools.partial",
    "functools.reduce",
}
_CHANGES = (
    frozenset({"append", "appendleft", "add", "update", "pop", "popleft", "popitem", "clear", "extend", "extendleft"})
    | {"insert", "remove", "discard", "setdefault", "sort", "reverse", "rotate", "subtract"}
    | {"difference_update", "intersection_update", "symmetric_difference_update"}
)
_EVERYTHING = frozenset({"builtins.BaseException", "builtins.GeneratorExit"})


@attrs.frozen
class Suspicion:
    """Something found in a function: a finding that does not know its file yet."""

    node: ast.AST
    code: str
    what: str
    cure: str
    certain: bool = False


@attrs.define(eq=False)
class Body:
    """One function at a time, and what was found in it.

    Attributes:
        suspicions: What was found.
        callees: Functions that it calls, to be read next.
    """

    suspicions: list[Suspicion] = attrs.field(factory=list[Suspicion])
    callees: list[Meaning] = attrs.field(factory=list[Meaning])
    _orderless: set[ast.AST] = attrs.field(factory=set[ast.AST])
    _told: set[tuple[str, str]] = attrs.field(factory=set[tuple[str, str]])

    def read(self, node: FunctionNode | ast.Lambda, around: Scope) -> None:
        """Read a function and those inside it.

        Args:
            node: The function.
            around: The names around it.
        """
        scope = around.of(node)
        defaults: frozenset[str] = frozenset()
        if not isinstance(node, ast.Lambda):
            known = parameters(node)
            defaults = frozenset(name for name, value in known if is_container(around.meaning(value)))
        yields = is_generator(node)
        frame = _Frame(scope, defaults, yields, _passed_to_calls(node, scope))
        for statement in node.body if isinstance(node.body, list) else [node.body]:
            self._visit(statement, frame)

    def _tell(self, node: ast.AST, code: str, what: str, cure: str = "", *, certain: bool = False) -> None:
        self.suspicions.append(Suspicion(node, code, what, cure or CODES[code].cure, certain))

    def _visit(self, node: ast.AST, frame: _Frame) -> None:
        scope = frame.scope
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if not _is_activity(node, scope) and node.name not in frame.activities:
                    self.read(node, scope)
                return
            case ast.ClassDef():
                return
            case ast.Lambda():
                self.read(node, scope)
                return
            case ast.Call():
                self._call(node, frame)
            case ast.Attribute(ctx=ast.Load()) | ast.Name(ctx=ast.Load()):
                self._look(node, scope)
            case ast.For() if is_set(scope.meaning(node.iter)) and not _is_orderless(node.body, scope):
                self._unordered(node.iter, "a loop over")
            case ast.Expr(value=ast.Call() as made) if self._makes(made, scope):
                self._forgotten(made, "made and dropped", certain=_is_certain(made, scope))
            case ast.FormattedValue(value=ast.Call() as made) if self._makes(made, scope):
                problem = "made into a string instead of being yielded"
                self._forgotten(made, problem, certain=_is_certain(made, scope))
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as made) if self._makes(made, scope):
                if name not in scope.loaded and name not in scope.outer:
                    self._forgotten(made, f"assigned to {name} and never yielded", certain=False)
            case ast.Assign(targets=[ast.Tuple()], value=value) if is_set(scope.meaning(value)):
                self._unordered(value, "the unpacking of")
            case ast.Starred(value=value, ctx=ast.Load()) if is_set(scope.meaning(value)):
                self._unordered(value, "the unpacking of")
            case ast.Try() if frame.yields:
                self._swallows(node, scope)
            case ast.With() if frame.yields:
                self._suppresses(node, scope)
            case _:
                pass
        self._changes(node, frame)
        if isinstance(node, _COMPREHENSIONS):
            frame = self._comprehension(node, frame)
        for child in ast.iter_child_nodes(node):
            if child is not getattr(node, "annotation", None):
                self._visit(child, frame)

    # Calls.

    def _call(self, node: ast.Call, frame: _Frame) -> None:
        scope = frame.scope
        of = scope.meaning(node.func)
        if of.name in _ORDERLESS:
            self._orderless.update(_consumed(node, scope))
        elif of.name in _ORDERS or _is_join(node):
            if node not in self._orderless:
                for given in filter(lambda given: is_set(scope.meaning(given)), node.args):
                    self._unordered(given, f"{_short(node.func)}() of")
        elif (popped := _popped(node)) is not None and is_set(scope.meaning(popped)):
            self._unordered(popped, "pop() of")
        if of.name == "builtins.next" and node.args:
            counter = scope.meaning(node.args[0])
            if counter.shared and counter.made:
                self._tell(node, "global-state", f"{ast.unparse(node)} moves an iterator that all runs share")
        if of.name and not self._is_activity_call(node, of, scope):
            self._forbidden(node, of)
            self._follow(of)
        for given in [*node.args, *(keyword.value for keyword in node.keywords)]:
            if isinstance(given, ast.Name | ast.Attribute):
                reference = scope.meaning(given)
                if of.name in _CALLBACKS or _generates(reference):
                    self._follow(reference)

    def _is_activity_call(self, node: ast.Call, of: Meaning, scope: Scope) -> bool:
        """Tell an activity, or a coroutine, that is called on the spot."""
        fn = function_of(of.value)
        text = ast.unparse(node.func)
        if hasattr(of.value, "__interp_activity__") or (of.node is not None and _is_activity(of.node, scope)):
            self._tell(
                node, "activity-call", f"{text}(...) calls an activity directly", f"yield from call({text}, ...)"
            )
            return True
        is_theirs = fn is not None and inspect.iscoroutinefunction(fn) and not is_library(fn.__module__)
        if is_theirs or isinstance(of.node, ast.AsyncFunctionDef):
            self._tell(node, "coroutine", f"{text}(...) is a coroutine", f"yield from call({text}, ...)")
            return True
        return False

    def _forbidden(self, node: ast.Call, of: Meaning) -> None:
        """Tell a call of what the table forbids."""
        given = len(node.args) + len(node.keywords)
        if any(isinstance(each, ast.Starred) for each in node.args) or any(each.arg is None for each in node.keywords):
            rule = called(of.name)
        else:
            rule = called(of.name, given)
        if of.shared and of.name.startswith("random.Random."):
            rule = Rule("random", CODES["random"].cure)
            what = f"{ast.unparse(node.func)}() draws from a generator that all runs share"
        elif rule is None or (of.bound and not of.shared and rule.code == "random" and "SystemRandom" not in of.name):
            return  # a generator that the workflow has made itself, with a seed
        else:
            what = _shown(node.func, of, "()")
        self._tell(node, rule.code, what, rule.cure)

    def _follow(self, of: Meaning) -> None:
        """Note a function to be read next."""
        if isinstance(of.value, type) and not of.made:
            of = Meaning(value=inspect.getattr_static(of.value, "__init__", None))
        if of.node is not None or function_of(of.value) is not None:
            self.callees.append(of)

    def _look(self, node: ast.Attribute | ast.Name, scope: Scope) -> None:
        """Tell a look at what the table forbids to read."""
        of = scope.meaning(node)
        rule = read(of.name)
        if rule is not None and not of.made:
            self._tell(node, rule.code, _shown(node, of), rule.cure)

    def _makes(self, node: ast.Call, scope: Scope) -> bool:
        """Whether a call makes a command or a generator that has to be yielded."""
        func: ast.expr = node.func
        while isinstance(func, ast.Attribute) and isinstance(func.value, ast.Call):  # call(...).options(...)
            if not self._makes(func.value, scope):
                break
            return func.attr == "options"
        of = scope.meaning(func)
        if of.name in _MAKERS:
            return True
        return _generates(of) and not (of.node is not None and _is_decorated(of.node, scope))

    def _forgotten(self, node: ast.Call, problem: str, *, certain: bool) -> None:
        text = ast.unparse(node)
        self._tell(node, "forgotten-yield", f"{text} was {problem}", f"yield from {text}", certain=certain)

    # Sets.

    def _unordered(self, node: ast.expr, by: str) -> None:
        cure = f"sorted({ast.unparse(node)}), or a tuple or list from the beginning"
        self._tell(node, "set-order", f"{by} {_short(node)}, a set", cure)

    def _comprehension(self, node: ast.AST, frame: _Frame) -> _Frame:
        inner = attrs.evolve(frame, scope=frame.scope.of(node))
        for generator in getattr(node, "generators", ()):
            is_free = isinstance(node, ast.SetComp) or node in self._orderless
            if not is_free and is_set(frame.scope.meaning(generator.iter)):
                self._unordered(generator.iter, "a comprehension over")
        return inner

    # Cancellation.

    def _swallows(self, node: ast.Try, scope: Scope) -> None:
        if not _yields(node.body):
            return
        for handler in node.handlers:
            kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            is_all = any(kind is None or scope.meaning(kind).name in _EVERYTHING for kind in kinds)
            if is_all and not any(isinstance(each, ast.Raise) for each in inside(handler)):
                caught = ast.unparse(handler.type) if handler.type is not None else ""
                self._tell(handler, "swallowed", f"except {caught}".strip() + ": around a yield, without raise")

    def _suppresses(self, node: ast.With, scope: Scope) -> None:
        for item in node.items:
            match item.context_expr:
                case ast.Call(func=func, args=kinds) if scope.meaning(func).name == "contextlib.suppress":
                    if _yields(node.body) and any(scope.meaning(kind).name in _EVERYTHING for kind in kinds):
                        self._tell(item.context_expr, "swallowed", f"{ast.unparse(item.context_expr)} around a yield")
                case _:
                    pass

    # State.

    def _changes(self, node: ast.AST, frame: _Frame) -> None:
        """Tell changes of what outlives the run."""
        for target, is_rebound in _changed(node):
            name = _root(target)
            if name:
                self._change(node, target, name, frame, is_rebound=is_rebound)

    def _change(self, node: ast.AST, target: ast.expr, name: str, frame: _Frame, *, is_rebound: bool) -> None:
        scope = frame.scope
        owner = scope.owner(name)
        is_outside = owner is None or owner.is_outside
        if is_rebound:
            declared = scope.outer.get(name)
            if declared == "global" or (declared == "nonlocal" and is_outside):
                self._tell_once(node, "global-state", name, f"{declared} {name} is changed")
            elif isinstance(node, ast.AugAssign) and owner is scope and name in frame.defaults:
                self._tell_once(node, "mutable-default", name, f"the default of {name} is changed")
            return
        if owner is scope and name in frame.defaults:
            self._tell_once(node, "mutable-default", name, f"the default of {name} is changed")
        elif is_outside:
            of = scope.find(name)
            is_open = isinstance(target, ast.Attribute | ast.Subscript) and bool(of.name) and of.name != "os.environ"
            if is_container(of) if isinstance(node, ast.Call) else is_open:
                self._tell_once(node, "global-state", name, f"{name} is changed, which outlives the run")

    def _tell_once(self, node: ast.AST, code: str, name: str, what: str) -> None:
        if (code, name) not in self._told:
            self._told.add((code, name))
            self._tell(node, code, what)


@attrs.frozen(eq=False)
class _Frame:
    """What is known at a place in a function.

    Attributes:
        scope: Its names.
        defaults: Its parameters whose default is a container.
        yields: Whether it is a generator.
        activities: Functions inside it that are passed to `call`: they may do anything.
    """

    scope: Scope
    defaults: frozenset[str]
    yields: bool
    activities: frozenset[str]


def _passed_to_calls(node: ast.AST, scope: Scope) -> frozenset[str]:
    """Return the names of what is made into calls."""
    names: set[str] = set()
    for each in ast.walk(node):
        match each:
            case ast.Call(func=func, args=[ast.Name(id=name), *_]) if scope.meaning(func).name in _MAKERS:
                names.add(name)
            case _:
                pass
    return frozenset(names)


def _is_certain(node: ast.Call, scope: Scope) -> bool:
    """Whether it is certain what is called: a method of an object may be that of a subclass, which does not yield."""
    return not scope.meaning(node.func).bound


def _generates(of: Meaning) -> bool:
    """Whether something is a generator function."""
    return is_generator(of.node) if of.node is not None else inspect.isgeneratorfunction(of.value)


def _is_decorated(node: FunctionNode, scope: Scope) -> bool:
    """Whether a decorator may make something else of a generator function, as `contextmanager` does."""
    return any(_decorator(each, scope) not in _WORKFLOW for each in node.decorator_list)


_WORKFLOW = frozenset({"interp.workflow", "interp.definitions.workflow"})
_ACTIVITY = frozenset({"interp.activity", "interp.definitions.activity"})


def _is_activity(node: FunctionNode, scope: Scope) -> bool:
    return any(_decorator(each, scope) in _ACTIVITY for each in node.decorator_list)


def workflow_name(node: FunctionNode, scope: Scope) -> str:
    """Return the name under which a function is declared a workflow in the source at hand; empty when it is not."""
    for each in node.decorator_list:
        if _decorator(each, scope) in _WORKFLOW:
            for keyword in each.keywords if isinstance(each, ast.Call) else ():
                if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)
            return node.name
    return ""


def _decorator(node: ast.expr, scope: Scope) -> str:
    return scope.meaning(node.func if isinstance(node, ast.Call) else node).name


def _consumed(node: ast.Call, scope: Scope) -> Iterator[ast.AST]:
    """Give the arguments of a call that does not care for their order, and theirs where they pass on elements."""
    for given in node.args:
        yield given
        if isinstance(given, ast.Call) and scope.meaning(given.func).name in _ORDERS:
            yield from _consumed(given, scope)


def _popped(node: ast.Call) -> ast.expr | None:
    """Return what stands before `.pop()`."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="pop"), args=[]):
            return value
        case _:
            return None


def _is_join(node: ast.Call) -> bool:
    """Whether it is `", ".join(...)`."""
    return isinstance(node.func, ast.Attribute) and node.func.attr == "join" and len(node.args) == 1


def _is_orderless(body: list[ast.stmt], scope: Scope) -> bool:
    """Whether a loop does the same in any order: it only collects in sets, counts, and skips."""
    for statement in body:
        match statement:
            case ast.Pass() | ast.Continue():
                pass
            case ast.If(body=then, orelse=orelse) if not any(isinstance(n, ast.NamedExpr) for n in ast.walk(statement)):
                if not _is_orderless(then, scope) or not _is_orderless(orelse, scope):
                    return False
            case ast.AugAssign(op=ast.Add() | ast.Sub(), value=ast.Constant(value=int()) | ast.Call() as value):
                if isinstance(value, ast.Call) and scope.meaning(value.func).name != "builtins.len":
                    return False
            case ast.AugAssign(op=ast.BitOr() | ast.BitAnd(), target=target) if is_set(scope.meaning(target)):
                pass
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=of, attr="add" | "discard" | "update"))):
                if not is_set(scope.meaning(of)):
                    return False
            case _:
                return False
    return True


def _yields(body: Iterable[ast.stmt]) -> bool:
    return any(
        isinstance(each, ast.Yield | ast.YieldFrom)
        for statement in body
        if not isinstance(statement, (*_FUNCTIONS, ast.ClassDef))
        for each in inside(statement)
    )


def _changed(node: ast.AST) -> Iterator[tuple[ast.expr, bool]]:
    """Give what a statement or call changes, and whether a name is bound anew."""
    targets: list[ast.expr] = []
    match node:
        case ast.Assign() | ast.Delete():
            targets = node.targets
        case ast.AugAssign() | ast.AnnAssign(value=ast.expr()):
            targets = [node.target]
        case ast.Call(func=ast.Attribute(value=of, attr=attr)) if attr in _CHANGES:
            yield of, False
        case _:
            pass
    for target in targets:
        for part in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
            yield part, isinstance(part, ast.Name)


def _root(node: ast.expr) -> str:
    """Return the name that `name.attribute[item]` begins with; empty when it begins with something else."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _shown(node: ast.expr, of: Meaning, end: str = "") -> str:
    """Return an expression as it was written, with its full name where that says more."""
    written = _short(node)
    is_telling = of.bound or of.name.rpartition(".")[2] == written.rpartition(".")[2]
    return written + end if is_telling else f"{written}{end} is {of.name}{end}"


def _short(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 40 else text[:37] + "..."

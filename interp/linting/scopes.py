"""What the expressions in a function stand for: its own names, then those around it.

A name that is assigned once, or always something of one kind, stands for that; any other local name for nothing known.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TypeAlias, get_origin, get_type_hints

import attrs

from interp.linting.names import (
    FileNames,
    FunctionNode,
    Meaning,
    Names,
    attribute,
    full_name,
    function_of,
    imported,
    is_library,
)

__all__ = ["Scope", "inside", "is_call", "is_container", "is_generator", "is_set", "parameters"]

_SETS = frozenset({"builtins.set", "builtins.frozenset"})
_CONTAINERS = _SETS | {
    "builtins.list",
    "builtins.dict",
    "builtins.bytearray",
    "collections.deque",
    "collections.defaultdict",
    "collections.Counter",
    "collections.OrderedDict",
}
_SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
_DISPLAYS: dict[type[ast.expr], str] = {
    ast.Set: "builtins.set",
    ast.SetComp: "builtins.set",
    ast.List: "builtins.list",
    ast.ListComp: "builtins.list",
    ast.Dict: "builtins.dict",
    ast.DictComp: "builtins.dict",
}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

_HIDDEN = Meaning()
_Bound: TypeAlias = "ast.expr | Meaning"


def is_set(meaning: Meaning) -> bool:
    """Whether something is a set."""
    return meaning.made and meaning.name in _SETS


def is_container(meaning: Meaning) -> bool:
    """Whether something is a container that can be changed."""
    return meaning.made and meaning.name in _CONTAINERS and meaning.name != "builtins.frozenset"


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """Give the nodes in a function, without those of the functions and classes inside it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
            yield from inside(child)


def is_call(meaning: Meaning) -> bool:
    """Whether something is our `call`."""
    return meaning.name in ("interp.call", "interp.constructors.call")


def is_generator(node: ast.AST) -> bool:
    """Whether a function yields."""
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(each, ast.Yield | ast.YieldFrom) for each in inside(node)
    )


@attrs.define(eq=False)
class Scope:
    """The names of one function, lambda or comprehension.

    Attributes:
        names: What is around the outermost function.
        parent: The scope around this one.
        bound: What each local name is bound to.
        annotated: The annotations among them.
        outer: Names that belong to another scope, by `global` or `nonlocal`.
        loaded: Names that are read in it or below.
        is_outside: Whether it is a function around the workflow, whose names outlive the run.
        asking: Names that are being looked up, against those that stand for themselves.
    """

    names: Names
    parent: Scope | None = None
    bound: dict[str, list[_Bound]] = attrs.field(factory=dict[str, list[_Bound]])
    annotated: list[ast.expr] = attrs.field(factory=list[ast.expr])
    outer: dict[str, str] = attrs.field(factory=dict[str, str])
    loaded: frozenset[str] = frozenset()
    is_outside: bool = False
    asking: set[str] = attrs.field(factory=set[str])

    def of(self, node: ast.AST) -> Scope:
        """Return the scope of a function, lambda or comprehension in this one."""
        scope = Scope(self.names, self)
        if isinstance(node, _FUNCTIONS):
            scope._bind_parameters(node.args)
        else:
            for generator in getattr(node, "generators", ()):
                scope._bind(generator.target, None)
        body = ast.iter_child_nodes(node) if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else node.body
        if isinstance(node, _FUNCTIONS):
            for child in body:
                is_nested = isinstance(child, (*_FUNCTIONS, ast.ClassDef))
                for each in [child] if is_nested else [child, *inside(child)]:
                    scope._bind_all(each)
        scope.loaded = frozenset(
            each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)
        )
        return scope

    def owner(self, name: str) -> Scope | None:
        """Return the scope that has a local name, this one or one around it; None for a name of the module."""
        scope: Scope | None = self
        while scope is not None:
            if scope.outer.get(name) == "global":
                return None
            if name in scope.bound and name not in scope.outer:
                return scope
            scope = scope.parent
        return None

    def find(self, name: str) -> Meaning:
        """Return what a name stands for."""
        owner = self.owner(name)
        if owner is not None:
            found = owner._local(name)
            return attrs.evolve(found, shared=True) if owner.is_outside and found.made else found
        found = self.names.find(name)
        if not found.name and isinstance(self.names, FileNames):
            return self._of_file(self.names, name)
        return found

    def meaning(self, node: ast.expr | None) -> Meaning:
        """Return what an expression stands for; an empty meaning where nobody knows."""
        match node:
            case ast.Name(id=name):
                return self.find(name)
            case ast.Attribute(value=value, attr=attr):
                of = self.meaning(value)
                return attribute(of, attr) if of.name else _HIDDEN
            case ast.Call():
                return self._result(node)
            case ast.Set() | ast.SetComp() | ast.List() | ast.ListComp() | ast.Dict() | ast.DictComp():
                return Meaning(_DISPLAYS[type(node)], made=True)
            case ast.BinOp():
                return self._combined(node)
            case ast.IfExp():
                first, second = self.meaning(node.body), self.meaning(node.orelse)
                return first if (first.name, first.made) == (second.name, second.made) else _HIDDEN
            case ast.NamedExpr():
                return self.meaning(node.value)
            case ast.YieldFrom(value=ast.Call(func=func, args=[called, *_])) if is_call(self.meaning(func)):
                return self._returned(self.meaning(called))
            case _:
                return _HIDDEN

    def _returned(self, of: Meaning) -> Meaning:
        """Return what a function returns, as far as its annotation says."""
        if of.node is not None:
            return self._annotation(of.node.returns) if of.node.returns is not None else _HIDDEN
        fn = function_of(of.value)
        if fn is None or is_library(fn.__module__):
            return _HIDDEN
        try:
            kind = get_type_hints(fn).get("return")
        except Exception:  # noqa: BLE001  an annotation may be anything, and name what is not there
            return _HIDDEN
        kind = get_origin(kind) or kind
        return Meaning(full_name(kind), kind, made=True) if isinstance(kind, type) else _HIDDEN

    def _result(self, node: ast.Call) -> Meaning:
        """Return what a call makes: of a class an instance, of a set another set."""
        if isinstance(node.func, ast.Attribute) and node.func.attr in _SET_METHODS:
            of = self.meaning(node.func.value)
            return attrs.evolve(of, shared=False) if is_set(of) else _HIDDEN
        of = self.meaning(node.func)
        if of.name in ("logging.getLogger", "logging.Logger.getChild"):
            return Meaning("logging.Logger", made=True)
        is_class = isinstance(of.value, type) or of.name in _CONTAINERS or of.name.rpartition(".")[2][:1].isupper()
        if is_class:
            return Meaning(of.name, of.value, made=True) if not of.made else _HIDDEN
        return self._returned(of)

    def _combined(self, node: ast.BinOp) -> Meaning:
        """Return what `|`, `&`, `-` and `^` make of sets, and of the keys of a dict."""
        if isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor):
            for side in (node.left, node.right):
                if is_set(self.meaning(side)) or _is_view(side):
                    return Meaning("builtins.set", set, made=True)
        return _HIDDEN

    def _annotation(self, node: ast.expr) -> Meaning:
        """Return what a parameter with an annotation is."""
        match node:
            case ast.Subscript(value=value):
                return self._annotation(value)
            case ast.BinOp(left=left, right=ast.Constant(value=None)):
                return self._annotation(left)
            case ast.Constant(value=str() as text):
                try:
                    return self._annotation(ast.parse(text, mode="eval").body)
                except SyntaxError:
                    return _HIDDEN
            case _:
                of = (self.parent or self).meaning(node)
                return Meaning(of.name, of.value, made=True) if of.name and not of.made else _HIDDEN

    def _local(self, name: str) -> Meaning:
        if name in self.asking:
            return _HIDDEN
        self.asking.add(name)
        try:
            found = [self._of_bound(name, each) for each in self.bound[name]]
            return found[0] if len({(meaning.name, meaning.made) for meaning in found}) == 1 else _HIDDEN
        finally:
            self.asking.discard(name)

    def _of_bound(self, name: str, bound: _Bound) -> Meaning:
        if isinstance(bound, Meaning):
            return bound
        if any(bound is each for each in self.annotated):
            return self._annotation(bound)
        return attrs.evolve(self.meaning(bound), node=None)

    def _of_file(self, names: FileNames, name: str) -> Meaning:
        """Return what a file assigns to a name; what lives there is shared by all runs."""
        value = names.found.get(name)
        if isinstance(value, Meaning) or value is None or name in self.asking:
            return _HIDDEN
        self.asking.add(name)
        try:
            return attrs.evolve(Scope(names, asking=self.asking).meaning(value), shared=True)
        finally:
            self.asking.discard(name)

    def _bind_parameters(self, args: ast.arguments) -> None:
        for arg in [*args.posonlyargs, *args.args, *args.kwonlyargs]:
            if arg.annotation is None:
                self.bound[arg.arg] = [_HIDDEN]
            else:
                self.bound[arg.arg] = [arg.annotation]
                self.annotated.append(arg.annotation)
        for rest in (args.vararg, args.kwarg):
            if rest is not None:
                self.bound[rest.arg] = [_HIDDEN]

    def _bind_all(self, node: ast.AST) -> None:
        """Note the names that one node binds."""
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target, value)
            case ast.AnnAssign(target=target, annotation=annotation):
                self._bind(target, annotation)
                self.annotated.append(annotation)
            case ast.NamedExpr(target=target, value=value):
                self._bind(target, value)
            case ast.For(target=target) | ast.AsyncFor(target=target):
                self._bind(target, None)
            case ast.withitem(optional_vars=ast.expr() as target):
                self._bind(target, None)
            case ast.Import() | ast.ImportFrom():
                for name, meaning in imported(node, is_loaded=not isinstance(self.names, FileNames)).items():
                    self._add(name, meaning)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._add(node.name, Meaning(node.name, node=node))
            case ast.ClassDef(name=str() as name) | ast.ExceptHandler(name=str() as name):
                self._add(name, _HIDDEN)
            case ast.MatchAs(name=str() as name) | ast.MatchStar(name=str() as name):
                self._add(name, _HIDDEN)
            case ast.Global(names=names):
                self.outer.update(dict.fromkeys(names, "global"))
            case ast.Nonlocal(names=names):
                self.outer.update(dict.fromkeys(names, "nonlocal"))
            case _:
                pass

    def _bind(self, target: ast.expr, value: ast.expr | None) -> None:
        match target:
            case ast.Name(id=name):
                self._add(name, value if value is not None else _HIDDEN)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                for part in parts:
                    self._bind(part, None)
            case ast.Starred(value=part):
                self._bind(part, None)
            case _:
                pass

    def _add(self, name: str, bound: _Bound) -> None:
        self.bound.setdefault(name, []).append(bound)


def _is_view(node: ast.expr) -> bool:
    """Whether an expression is `something.keys()`, of which `-`, `&`, `|` and `^` make a set."""
    match node:
        case ast.Call(func=ast.Attribute(attr="keys"), args=[]):
            return True
        case _:
            return False


def parameters(node: FunctionNode) -> Iterable[tuple[str, ast.expr]]:
    """Give the parameters of a function that have a default, with it."""
    places = [*node.args.posonlyargs, *node.args.args]
    defaults = node.args.defaults
    yield from zip((arg.arg for arg in places[len(places) - len(defaults) :]), defaults, strict=True)
    for arg, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if default is not None:
            yield arg.arg, default

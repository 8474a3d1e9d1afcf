"""Random workflows: trees of commands, written out as real source, so that every command has a line of its own."""

from __future__ import annotations

import copy
import itertools
import weakref
from collections.abc import Callable, Generator, Iterator
from datetime import timedelta
from types import GeneratorType
from typing import Any, Literal, TypeAlias, cast

import attrs
from hypothesis import strategies as st

import interp
from interp.codec import ArgumentsCodec
from interp.definitions import WorkflowDefinition
from interp.errors import Cancelled
from tests.core.activities import ACTIVITIES, Declined, core_child, deposit
from tests.core.driving import EPOCH, Driver

__all__ = ["Node", "Program", "Token", "blocks", "loaded", "orderly_programs", "programs", "reads_well"]

Kind: TypeAlias = Literal[
    "call", "sleep", "sleep_until", "signal", "gather", "race", "spawn", "join", "cancel", "now", "random", "uuid",
    "info", "annotate", "patched", "sub", "try", "raise", "loop", "map", "timeout", "shield", "saga", "child", "send",
    "transact",
    "emit", "request", "reply",
]  # fmt: skip
Block: TypeAlias = "list[Node]"

_OPTIONS = ("limit", "return_errors", "min_successful", "tolerated_failures")

RECORDED: tuple[Kind, ...] = (
    "call", "sleep", "sleep_until", "signal", "annotate", "child", "send", "transact", "emit", "request",
)  # fmt: skip


@attrs.define(eq=False)
class Node:
    """One statement of a program.

    Attributes:
        kind: What it is.
        data: Its details; what they mean depends on the kind.
        blocks: The programs inside it.
        key: Its number in the program.
    """

    kind: Kind
    data: dict[str, Any] = attrs.field(factory=dict)
    blocks: list[Block] = attrs.field(factory=list)
    key: int = 0


@attrs.define(eq=False)
class Program:
    """A workflow as a tree."""

    body: Block

    def __attrs_post_init__(self) -> None:
        for key, node in enumerate(self.nodes(), start=1):
            node.key = key

    def nodes(self) -> Iterator[Node]:
        """Give all statements, outer ones first."""
        waiting = list(reversed(self.body))
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed([inner for block in node.blocks for inner in block]))

    def node(self, key: int) -> Node:
        """Find a statement."""
        return next(node for node in self.nodes() if node.key == key)

    def changed(self, change: Callable[[Program], None]) -> Program:
        """Return a copy with a change; statements keep their keys."""
        other = copy.deepcopy(self)
        change(other)
        return other

    def __repr__(self) -> str:
        """Show the source: what a failing example prints."""
        return f"<program\n{Source(self).text}>"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))


class Source:
    """The source of a program.

    Attributes:
        text: The source.
        lines: The line of each statement's command, by key.
    """

    def __init__(self, program: Program) -> None:
        self.lines: dict[int, int] = {}
        self._out: list[str] = []
        self._functions: list[tuple[str, Block]] = []
        self._counter = itertools.count(1)
        self._main(program.body)
        while self._functions:
            self._function(*self._functions.pop(0))
        self.text = "\n".join(self._out) + "\n"

    def _line(self, depth: int, text: str) -> int:
        self._out.append("    " * depth + text)
        return len(self._out)

    def _main(self, body: Block) -> None:
        self._line(0, "def main():")
        self._line(1, "me = Token(None)")
        self._body("main", body)

    def _function(self, name: str, body: Block) -> None:
        self._line(0, "@tracked")
        self._line(0, f"def {name}(me):")
        self._body(name, body)

    def _body(self, name: str, body: Block) -> None:
        self._line(1, "me.begins()")
        self._line(1, "try:")
        self._block(2, body)
        self._line(2, f"return {name!r}")
        self._line(1, "except BaseException as error:")
        self._line(2, f"seen(me, {name!r}, error)")
        self._line(2, "raise")
        self._line(1, "finally:")
        self._line(2, "me.ends()")
        self._line(1, "yield  # makes it a generator, however empty it is")

    def _block(self, depth: int, body: Block) -> None:
        for node in body:
            self._statement(depth, node)
        if not body:
            self._line(depth, "pass")

    def _statement(self, depth: int, node: Node) -> None:
        match node.kind:
            case "try":
                self._try(depth, node)
            case "raise":
                self._line(depth, f"raise {node.data['error']}")
            case "loop":
                self._line(depth, f"for _ in range({node.data['times']}):")
                self._block(depth + 1, node.blocks[0])
            case "patched":
                verb = "" if node.data.get("dropped") else "yield from "
                self.lines[node.key] = self._line(depth, f"if ({verb}patched({node.data['id']!r})):")
                self._block(depth + 1, node.blocks[0])
                self._line(depth, "else:")
                self._block(depth + 1, node.blocks[1])
            case "spawn":
                self._plain_command(depth, node)
                self._line(depth, "tasks.append(value)")
            case "request":
                self._command(depth, node)
                self._line(depth, "if isinstance(value, Request):")
                self._line(depth + 1, "requests.append(value)")
            case "reply":
                self._line(depth, "if requests:")
                self._command(depth + 1, node)
            case "join" | "cancel":
                self._line(depth, "if tasks:")
                self._command(depth + 1, node)
            case _:
                self._command(depth, node)

    def _command(self, depth: int, node: Node) -> None:
        if node.data.get("guarded"):
            self._line(depth, "try:")
            self._plain_command(depth + 1, node)
            self._line(depth, "except Exception as error:")
            self._line(depth + 1, f"value = seen(me, {node.key}, error)")
        else:
            self._plain_command(depth, node)

    def _plain_command(self, depth: int, node: Node) -> None:
        if node.data.get("dropped"):  # the mistake of leaving out `yield from`
            self.lines[node.key] = self._line(depth, f"value = {self._expression(node)}")
            self._line(depth, f"seen(me, {node.key}, 'a command')")
            return
        verb = "yield" if node.data.get("bare") and node.kind not in {"sub", "saga"} else "yield from"
        self.lines[node.key] = self._line(depth, f"value = {verb} {self._expression(node)}")
        for block in node.blocks:
            for inner in block if self._is_bare(node, block) else ():
                self.lines[inner.key] = self.lines[node.key]
        self._line(depth, f"seen(me, {node.key}, value)")

    def _try(self, depth: int, node: Node) -> None:
        body, handler, final = node.blocks
        self._line(depth, "try:")
        self._block(depth + 1, body)
        if node.data["catches"]:
            self._line(depth, f"except {node.data['catches']} as error:")
            self._line(depth + 1, f"seen(me, {node.key}, error)")
            self._block(depth + 1, handler)
            if node.data["again"]:
                self._line(depth + 1, "raise")
        self._line(depth, "finally:")
        self._block(depth + 1, final)

    def _expression(self, node: Node) -> str:
        data = node.data
        match node.kind:
            case "call":
                extra = f", {data['currency']!r}" if data.get("currency") else ""
                options = ".options(timeout=timedelta(seconds=9))" if data.get("options") else ""
                return f"call({data['fn']}, {data['arg']}{extra}){options}"
            case "transact":
                return f"transact(deposit, {data['arg']})"
            case "sleep":
                return f"sleep(timedelta(seconds={data['s']}))"
            case "sleep_until":
                return f"sleep_until(EPOCH + timedelta(seconds={data['s']}))"
            case "signal":
                timeout = f", timeout=timedelta(seconds={data['s']})" if data["s"] is not None else ""
                return f"await_signal({data['name']!r}{', int' if data.get('typed') else ''}{timeout})"
            case "child":
                how = f"detached={data['detached']}, on_parent_close={data['close']!r}"
                return f"child(core_child, {data['arg']}, {how})"
            case "send":
                return f"send({data['to']!r}, {data['name']!r}, {data['arg']})"
            case "gather" | "race":
                parts = [self._part(node, block) for block in node.blocks]
                if data.get("named"):
                    parts = [f"part{slot}={part}" for slot, part in enumerate(parts)]
                return f"{node.kind}({', '.join(parts + self._options(node))})"
            case "map":
                items = list(range(data["count"]))
                return f"map_({', '.join([data['fn'], str(items), *self._options(node)])})"
            case "timeout":
                return f"timeout(timedelta(seconds={data['s']}), {self._part(node, node.blocks[0])})"
            case "shield":
                return f"shield({self._part(node, node.blocks[0])})"
            case "saga":
                body, *undos = [self._later(block) for block in node.blocks]
                return f"Saga.run(registering({body}, [{', '.join(undos)}]), me)"
            case "spawn":
                return f"spawn({self._part(node, node.blocks[0])})"
            case "join" | "cancel":
                return f"{node.kind}(tasks[{data['k']} % len(tasks)])"
            case "info":
                return "run_info()"
            case "request":
                timeout = f", timeout=timedelta(seconds={data['s']})" if data["s"] is not None else ""
                return f"await_signal({data['name']!r}, Request{'[int]' if data.get('typed') else ''}{timeout})"
            case "reply":
                error = ", error='no'" if data["fails"] else f", {data['k']}"
                return f"reply(requests[{data['k']} % len(requests)]{error})"
            case "emit":
                return f"emit({data['topic']!r}, {data['value']})"
            case "annotate":
                return f"annotate(field={data['value']})"
            case "sub":
                return f"{self._later(node.blocks[0])}(me)"
            case "now" | "random" | "uuid":
                return f"{node.kind}()"
            case _:
                raise AssertionError(node.kind)

    @staticmethod
    def _is_bare(node: Node, block: Block) -> bool:
        return (
            node.kind in {"gather", "race", "spawn", "timeout", "shield"}
            and len(block) == 1
            and block[0].kind in {"call", "transact", "sleep", "sleep_until", "signal", "request", "child", "send"}
            and bool(block[0].data.get("bare"))
        )

    @staticmethod
    def _options(node: Node) -> list[str]:
        if node.kind == "race":  # it may have been a gather before it was edited
            return []
        return [f"{name}={node.data[name]}" for name in _OPTIONS if node.data.get(name) is not None]

    def _part(self, node: Node, block: Block) -> str:
        if self._is_bare(node, block):
            return self._expression(block[0])
        return f"{self._later(block)}(Token(me, {node.kind == 'spawn'}))"

    def _later(self, block: Block) -> str:
        name = f"block{next(self._counter)}"
        self._functions.append((name, block))
        return name


@attrs.define(eq=False)
class Token:
    """Stands for one fiber inside the program, to see who runs when.

    Attributes:
        parent: That of the fiber that made it.
        depth: How many of its functions have begun and not ended.
        cancellations: The different `Cancelled` that it saw.
    """

    parent: Token | None
    is_spawned: bool = False
    children: list[Token] = attrs.field(factory=list)
    depth: int = 0
    begun: bool = False
    cancellations: list[BaseException] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        if self.parent is not None:
            self.parent.children.append(self)

    def begins(self) -> None:
        self.begun = True
        self.depth += 1

    def ends(self) -> None:
        """Note that one of its functions has ended; the members of its gathers and races have ended before."""
        self.depth -= 1

    @property
    def outlived(self) -> list[Token]:
        """Members of its gathers and races that still run."""
        return [child for child in self.children if child.depth > 0 and not child.is_spawned]

    def sees(self, value: object) -> None:
        if isinstance(value, Cancelled) and not any(value is other for other in self.cancellations):
            self.cancellations.append(value)

    def all(self) -> Iterator[Token]:
        """Give this token and those made below it."""
        yield self
        for child in self.children:
            yield from child.all()


Code: TypeAlias = "Generator[interp.Command[Any], Any, Any]"
Body: TypeAlias = "Callable[[Token], Code]"


@attrs.define(eq=False)
class Loaded:
    """A program as code.

    Attributes:
        definition: The workflow.
        lines: The line of each statement's command, by key.
        log: What the workflow saw, in order: where, and the value with its type.
        generators: Those that were made.
    """

    definition: WorkflowDefinition
    file: str
    lines: dict[int, int]
    log: list[tuple[object, ...]] = attrs.field(factory=list)
    tokens: list[Token] = attrs.field(factory=list)
    trespassers: list[Token] = attrs.field(factory=list)
    generators: list[weakref.ref[GeneratorType[Any, Any, Any]]] = attrs.field(factory=list)

    def where(self, key: int) -> str:
        """Return `file:line` of a statement."""
        return f"{self.file}:{self.lines[key]}"

    def alive(self) -> list[str]:
        """Name the generators that have begun and not ended."""
        return [
            generator.__name__
            for reference in self.generators
            if (generator := reference()) is not None and generator.gi_frame is not None and generator.gi_suspended
        ]

    def start(self) -> Driver:
        """Start a run."""
        return Driver(self.definition)


def loaded(program: Program, file: str = "program.py") -> Loaded:
    """Compile a program. Each time it gets a log and fibers of its own."""
    source = Source(program)
    names: dict[str, Any] = {name: getattr(interp, name) for name in interp.__all__}
    code = Loaded(cast("Any", None), file, source.lines)

    def seen(me: Token, key: object, value: object) -> None:
        me.sees(value)
        # Whoever runs again after a gather or a race runs alone; so nobody below it may be running.
        code.trespassers += me.outlived
        code.log.append((key, *reads_well(value)))

    def token(parent: Token | None, is_spawned: bool = False) -> Token:
        made = Token(parent, is_spawned)
        code.tokens.append(made)
        return made

    def tracked(fn: Callable[..., GeneratorType[Any, Any, Any]]) -> Callable[..., GeneratorType[Any, Any, Any]]:
        def make(*args: Any) -> GeneratorType[Any, Any, Any]:
            generator = fn(*args)
            code.generators.append(weakref.ref(generator))
            return generator

        return make

    def registering(body: Body, undos: list[Body]) -> Callable[[interp.Saga, Token], Code]:
        def begin(saga: interp.Saga, me: Token) -> Code:
            undoing = token(me)
            for undo in undos:
                saga.undo(undo(undoing))
            return (yield from body(me))

        return begin

    names |= ACTIVITIES | {"registering": registering, "core_child": core_child, "deposit": deposit}
    names |= {
        "Token": token,
        "seen": seen,
        "tracked": tracked,
        "timedelta": timedelta,
        "EPOCH": EPOCH,
        "tasks": [],
        "requests": [],
    }
    names |= {"Declined": Declined, "__name__": "program"}
    exec(compile(source.text, file, "exec"), names)
    # Not by @workflow: that would register each of them for ever.
    code.definition = WorkflowDefinition("program", names["main"], "strict", ArgumentsCodec.of(names["main"]))
    return code


def reads_well(value: object) -> tuple[object, ...]:
    """Return what two values must have in common to be the same to a workflow."""
    if isinstance(value, BaseException):
        return (type(value).__name__, str(value), tuple(map(repr, value.args)), repr(sorted(vars(value))))
    return (type(value).__name__, repr(value))


# --- strategies ---

_KEYS = st.integers(0, 9)
_SECONDS = st.sampled_from([0, 1, 5, 5, 60])
_GUARDED = st.sampled_from([True, True, False])
_SIGNALS = st.sampled_from(["a", "b"])


def _bare(draw: st.DrawFn) -> bool:
    return draw(st.booleans())


def _policy(draw: st.DrawFn, parts: int) -> dict[str, Any]:
    """Draw the options of a gather; they are refused where two of them say what becomes of failures."""
    policies: list[dict[str, Any]] = [{}, {}, {"return_errors": True}, {"tolerated_failures": draw(st.integers(0, 2))}]
    if parts:
        policies.append({"min_successful": draw(st.integers(1, parts))})
    return {"limit": draw(st.sampled_from([None, None, 1, 2])), **draw(st.sampled_from(policies))}


@st.composite
def leaves(draw: st.DrawFn, *, kinds: tuple[Kind, ...]) -> Node:
    """Draw a statement without parts."""
    kind = draw(st.sampled_from(kinds))
    data: dict[str, Any] = {"bare": _bare(draw), "guarded": draw(_GUARDED)}
    match kind:
        case "call":
            data |= {"fn": draw(st.sampled_from(sorted(ACTIVITIES))), "arg": draw(_KEYS), "options": _bare(draw)}
        case "transact":
            data |= {"arg": draw(_KEYS)}
        case "sleep" | "sleep_until":
            data |= {"s": draw(_SECONDS)}
        case "reply":
            data |= {"k": draw(_KEYS), "fails": draw(st.booleans())}
        case "signal" | "request":
            data |= {"name": draw(_SIGNALS), "s": draw(st.sampled_from([None, None, 0, 5])), "typed": _bare(draw)}
        case "join" | "cancel":
            data |= {"k": draw(_KEYS)}
        case "child":
            close = draw(st.sampled_from(["cancel", "abandon", "wait"]))
            data |= {"arg": draw(_KEYS), "detached": draw(st.booleans()), "close": close}
        case "send":
            data |= {"to": draw(_SIGNALS), "name": draw(_SIGNALS), "arg": draw(_KEYS)}
        case "annotate":
            data |= {"value": draw(_KEYS)}
        case "emit":
            data |= {"topic": draw(_SIGNALS), "value": draw(_KEYS)}
        case "map":
            count = draw(st.integers(0, 3))
            data |= {"fn": draw(st.sampled_from(sorted(ACTIVITIES))), "count": count, **_policy(draw, count)}
        case "raise":
            data |= {"error": draw(st.sampled_from(["ValueError('bad')", "Declined('no')", "KeyError(1)"]))}
        case _:
            pass
    return Node(kind, data)


_LEAVES: tuple[Kind, ...] = (
    "call", "call", "call", "call", "sleep", "sleep_until", "signal", "signal", "now", "random", "uuid", "info",
    "annotate", "join", "cancel", "call", "call", "sleep", "signal", "join", "raise", "map", "child", "child", "send",
    "transact", "transact",
    "emit", "request", "request", "reply",
)  # fmt: skip
_TREES: tuple[Kind, ...] = (
    "gather",
    "gather",
    "race",
    "race",
    "spawn",
    "spawn",
    "try",
    "try",
    "sub",
    "patched",
    "loop",
    "timeout",
    "shield",
    "saga",
)

_ORDERLY_LEAVES: tuple[Kind, ...] = (
    "call", "call", "sleep", "sleep_until", "signal", "now", "random", "uuid", "info", "annotate", "map", "child",
    "send", "transact", "emit", "request",
)  # fmt: skip
_ORDERLY_TREES: tuple[Kind, ...] = ("gather", "gather", "spawn", "sub", "loop", "patched", "shield", "saga")


@st.composite
def trees(draw: st.DrawFn, kinds: tuple[Kind, ...], inner: st.SearchStrategy[Block]) -> Node:
    """Draw a statement with parts."""
    kind = draw(st.sampled_from(kinds))
    data: dict[str, Any] = {"bare": _bare(draw), "guarded": draw(_GUARDED)}
    match kind:
        case "gather":
            count = draw(st.integers(0, 3))
            data |= _policy(draw, count)
        case "timeout":
            count = 1
            data |= {"s": draw(_SECONDS)}
        case "saga":
            count = draw(st.integers(1, 3))
        case "race":
            count = draw(st.integers(1, 3))
            data |= {"named": _bare(draw)}
        case "try":
            count = 3
            catches = st.sampled_from(["Exception", "Cancelled", "BaseException", "Declined", ""])
            data |= {"catches": draw(catches), "again": _bare(draw)}
        case "patched":
            count = 2
            data |= {"id": draw(st.sampled_from(["p", "q"]))}
        case "loop":
            count = 1
            data |= {"times": draw(st.integers(1, 3))}
        case _:
            count = 1
    return Node(kind, data, [draw(inner) for _ in range(count)])


def blocks(depth: int, leaf_kinds: tuple[Kind, ...], tree_kinds: tuple[Kind, ...]) -> st.SearchStrategy[Block]:
    """Make the strategy of blocks that are nested at most so deep."""
    leaf = leaves(kinds=leaf_kinds)
    if depth == 0:
        return st.lists(leaf, max_size=3)
    inner = blocks(depth - 1, leaf_kinds, tree_kinds)
    return st.lists(st.one_of(leaf, trees(tree_kinds, inner)), min_size=1, max_size=3)


def programs(depth: int = 3) -> st.SearchStrategy[Program]:
    """Workflows of every kind."""
    return _bodies(depth, _LEAVES, _TREES).map(Program)


@st.composite
def _bodies(draw: st.DrawFn, depth: int, leaf_kinds: tuple[Kind, ...], tree_kinds: tuple[Kind, ...]) -> Block:
    """Draw what a workflow does: some of it at once, some of it side by side, so that much is going on."""
    inner = blocks(depth - 1, leaf_kinds, tree_kinds)
    tree = trees(tree_kinds, inner)
    return [draw(tree), *draw(st.lists(st.one_of(leaves(kinds=leaf_kinds), tree), min_size=1, max_size=4)), draw(tree)]


def orderly_programs(depth: int = 3) -> st.SearchStrategy[Program]:
    """Workflows whose path does not depend on what happens, only its order: nothing fails, nobody wins."""
    orderly = _bodies(depth, _ORDERLY_LEAVES, _ORDERLY_TREES).map(Program)
    return orderly.map(_without_winners)


def _without_winners(program: Program) -> Program:
    for node in program.nodes():
        node.data.pop("min_successful", None)
        if node.kind in {"signal", "request"}:
            node.data |= {"s": None, "typed": False}
    return program

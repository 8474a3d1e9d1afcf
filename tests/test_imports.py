"""What an import loads: counted, since times differ from machine to machine. `import interp` is to be cheap."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import interp
from interp import codec
from interp.schedules.book import NAME

# What takes its time, with what it brings, and is needed where workflows run, or not even there.
HEAVY = frozenset(
    {
        "asyncio",
        "cattrs",
        "concurrent.futures",
        "cronsim",
        "email",
        "importlib.metadata",
        "interp.linting",
        "interp.outline",
        "interp.runtime.attempts",
        "interp.runtime.engine",
        "interp.schedules",
        "interp.store",
        "lmdb",
        "logging",
        "rich",
        "secrets",
        "socket",
        "ssl",
    }
)


def loaded(statements: str) -> set[str]:
    """Return the modules that statements load in a fresh process."""
    program = (
        f"import json, sys\nbefore = set(sys.modules)\n{statements}\nprint(json.dumps([*sys.modules.keys() - before]))"
    )
    return set(json.loads(subprocess.check_output([sys.executable, "-c", program], text=True, timeout=60)))


def test_import_interp_leaves_out_what_only_runs_need() -> None:
    modules = loaded("import interp")

    assert set() == HEAVY & modules
    assert len([name for name in modules if name.partition(".")[0] == "interp"]) <= 26
    assert len(modules) <= 150


def test_an_activity_asks_for_its_call_without_an_engine() -> None:
    modules = loaded("from interp import activity, current_call")

    assert set() == {"asyncio", "cattrs", "interp.runtime.engine", "interp.runtime.worker"} & modules


def test_an_engine_needs_neither_an_event_loop_nor_what_reads_histories() -> None:
    modules = loaded("from interp import Engine")

    assert set() == {"asyncio", "cattrs", "interp.outline", "interp.runtime.exported", "lmdb", "ssl"} & modules
    assert len(modules) <= 270


PROGRAM = """
from dataclasses import dataclass
from interp import Workflow, activity, call, run, workflow

@dataclass
class Order:
    id: str

@activity
def charge(order: Order) -> str:
    return f"charged {order.id}"

@workflow
def checkout(order: Order) -> Workflow[str]:
    return (yield from call(charge, order))

assert "charged 7" == run(checkout, Order("7"), store="memory:")
"""


def test_a_program_that_awaits_nothing_never_loads_an_event_loop() -> None:
    modules = loaded(PROGRAM)

    assert "interp.runtime.worker" in modules
    assert set() == {"asyncio", "cattrs", "lmdb", "ssl"} & modules


def test_the_workflow_of_schedules_is_known_to_programs_without_an_engine() -> None:
    modules = loaded(f"from interp.definitions import find_workflow; find_workflow({NAME!r})")

    assert "interp.schedules.keeper" in modules
    assert "interp.runtime.engine" not in modules


def test_what_is_loaded_later_says_what_it_has_not() -> None:
    with pytest.raises(AttributeError, match="module 'interp' has no attribute 'Enigne'") as refused:
        _ = getattr(interp, "Enigne")  # noqa: B009  # type checkers would see it, too

    assert ("Enigne", interp) == (refused.value.name, refused.value.obj)
    assert not hasattr(codec, "convertor")


def _said_twice(path: Path) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return what a module imports later, by source: as type checkers read it, and as it is run."""
    found = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
    (block,) = [node for node in found if ast.unparse(node.test) == "TYPE_CHECKING"]
    static = {
        node.module or "": {alias.name for alias in node.names}
        for node in block.body
        if isinstance(node, ast.ImportFrom)
    }
    (assignment,) = block.orelse
    assert isinstance(assignment, ast.Assign) and isinstance(assignment.value, ast.Call)
    table: dict[str, tuple[str, ...]] = ast.literal_eval(assignment.value.args[1])
    return static, {source: set(names) for source, names in table.items()}


@pytest.mark.parametrize("module", [interp, codec, interp.runtime], ids=lambda module: str(module.__name__))
def test_type_checkers_read_the_same_as_is_imported_later(module: object) -> None:
    static, late = _said_twice(Path(str(getattr(module, "__file__", ""))))

    assert static == late

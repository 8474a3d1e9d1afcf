"""House rules that no other tool keeps."""

import ast
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT_TEXT = (ROOT / "pyproject.toml").read_text()
PYPROJECT = tomllib.loads(PYPROJECT_TEXT)
(PURE_MODULES,) = (
    contract["source_modules"]
    for contract in PYPROJECT["tool"]["importlinter"]["contracts"]
    if contract["name"].startswith("The core is pure")
)


def why(entry: str) -> str:
    """The comment on the line of pyproject.toml that lists the entry alone."""
    (line,) = (line.strip() for line in PYPROJECT_TEXT.splitlines() if line.strip().startswith(f'"{entry}",'))
    return line.removeprefix(f'"{entry}",').strip().removeprefix("#").strip()


def body(path: Path) -> list[ast.stmt]:
    """The statements of a module after its docstring, which it must have."""
    docstring, *rest = ast.parse(path.read_text()).body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(docstring.value, ast.Constant)
    assert isinstance(docstring.value.value, str)
    return rest


def requirements() -> list[str]:
    project = PYPROJECT["project"]
    return [
        *project["dependencies"],
        *(entry for extra in project["optional-dependencies"].values() for entry in extra),
    ]


@pytest.mark.parametrize("requirement", requirements())
def test_every_dependency_says_what_it_is_for(requirement: str) -> None:
    assert why(requirement)


@pytest.mark.parametrize("rule", PYPROJECT["tool"]["ruff"]["lint"]["ignore"])
def test_every_ignored_lint_rule_says_why(rule: str) -> None:
    assert why(rule)


@pytest.mark.parametrize("package", ["interp", "stores"])
def test_type_checkers_of_users_see_our_types(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()


def test_the_package_of_stores_holds_a_docstring_and_nothing_else() -> None:
    # Another distribution installs a package of this name too: whichever comes first, nothing of ours may get lost.
    assert [] == body(ROOT / "stores" / "__init__.py")


def test_the_package_of_the_library_only_lists_its_public_names() -> None:
    statements = body(ROOT / "interp" / "__init__.py")
    listing, later, schedules, names = [
        statement for statement in statements if not isinstance(statement, ast.ImportFrom)
    ]

    assert isinstance(listing, ast.Assign)
    assert ["__all__"] == [ast.unparse(target) for target in listing.targets]
    assert isinstance(later, ast.If)  # what it imports, and when: tests/test_imports.py
    assert ast.unparse(schedules).startswith("defined_in(")
    assert isinstance(names, ast.FunctionDef)
    assert "__dir__" == names.name


@pytest.mark.parametrize("module", PURE_MODULES)
def test_pure_modules_do_not_ask_datetime_or_uuid_what_they_must_be_told(module: str) -> None:
    # import-linter keeps them off time, random and the rest; these two are allowed in for their types.
    place = ROOT / module.replace(".", "/")
    trees = [ast.parse(file.read_text()) for file in (*place.glob("*.py"), place.with_suffix(".py")) if file.exists()]
    called = {
        node.func.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }

    assert trees
    assert set() == called & {"now", "utcnow", "today", "uuid1", "uuid4"}


@pytest.mark.parametrize("scheme", PYPROJECT["project"]["entry-points"]["interp.stores"])
def test_every_store_is_found_by_its_scheme(scheme: str) -> None:
    (store,) = entry_points(group="interp.stores", name=scheme)

    assert callable(store.load())

"""Everything shown is run: the Python blocks of README.md and docs/, and the examples in docstrings.

The blocks of one page run in order and share one namespace, as if they were one script. Above a block that cannot run
by itself stands `<!-- skip: next "the reason" -->`; what a page needs and a reader does not stands in an
`<!-- invisible-code-block: python ... -->`. Only blocks fenced as `python` are run.
"""

import doctest
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import SkipTest

import pytest
from sybil import Document
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser

from interp import definitions

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(path for path in ROOT.glob("docs/**/*.md") if "_build" not in path.parts)]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("interp", "stores")
    for path in sorted(ROOT.glob(f"{package}/**/*.py"))
    if path.stem != "live" or path.parent.name != "explore"  # which cannot be imported without anywidget
]


@pytest.fixture(autouse=True)
def _own_workflows() -> Iterator[None]:
    """Let a page know no workflows but its own, nor leave any: other tests have some of the same name."""
    registry = definitions._registry  # pyright: ignore[reportPrivateUsage]  # there is no public way, and need be none
    before = {name: dict(found) for name, found in registry.items()}
    _forget_theirs(registry)
    yield
    _forget_theirs(registry)
    registry.update(before)


def _forget_theirs(registry: dict[str, Any]) -> None:
    """Take out all workflows but those of the library, which registers them once: when it is imported, by any page."""
    for name in [name for name in registry if not name.startswith("interp.")]:
        del registry[name]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """An empty main module in an empty directory: what a reader has who types a page in."""
    script = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", script)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INTERP_STORE", raising=False)
    return script


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_of_a_page_run_in_order(page: Path, script: ModuleType) -> None:
    document = Document.parse(str(page), PythonCodeBlockParser(), SkipParser())
    document.namespace = vars(script)
    for example in document.examples():
        with suppress(SkipTest):  # a skip that gives its reason skips this block alone
            example.evaluate()


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_show_what_happens(module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.FAIL_FAST

    failed, _ = doctest.testmod(import_module(module), optionflags=flags)

    assert failed == 0, "The report of doctest is in the captured output."

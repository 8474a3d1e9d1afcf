"""The page about the scenarios: it lists every example, shows real code, and every example has its test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "scenarios.md"
EXAMPLES = sorted(
    path.name for path in (ROOT / "examples" / "scenarios").glob("*.py") if path.name not in ("__init__.py", "world.py")
)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_listed_shown_and_tested(name: str) -> None:
    page = PAGE.read_text()

    assert f"| `{name}` |" in page
    assert f"```{{literalinclude}} ../../examples/scenarios/{name}\n" in page
    assert (ROOT / "tests" / "scenarios" / f"test_{name}").exists()


def test_every_example_of_the_table_exists() -> None:
    listed = re.findall(r"^\|.*\| `([\w./]+)` \|", PAGE.read_text(), re.MULTILINE)

    assert len(listed) >= len(EXAMPLES)
    assert [] == [name for name in listed if not (ROOT / "examples" / "scenarios" / name).exists()]

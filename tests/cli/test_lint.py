"""`interp lint`, as it is used in a terminal and in CI."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Told

Interp = Callable[..., Told]

SHOP = """\
import time
from datetime import timedelta

from helpers import stamp
from interp import Workflow, sleep, workflow


@workflow
def lint_cli_shop() -> Workflow[float]:
    sleep(timedelta(seconds=1))
    yield sleep(timedelta(seconds=1))
    return time.time() + stamp()
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a workflow that has mistakes, and a helper in another file."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "helpers.py").write_text("import time\n\ndef stamp():\n    return time.time()\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_findings_are_told_with_their_lines_and_end_with_1(shop: Path, inline: Interp) -> None:
    told = inline("lint", "shop.py")

    assert 1 == told.code
    assert [
        "shop.py:10:5: forgotten-yield: sleep(timedelta(seconds=1)) was made and dropped  (in workflow lint_cli_shop)",
        "shop.py:12:12: clock: time.time()  (in workflow lint_cli_shop)",
        "2 findings: 1 workflow in 1 file",
    ] == [line for line in told.out.splitlines() if line and not line.startswith(" ")]
    assert "# interp: allow[code]" in told.err


def test_without_arguments_it_reads_what_is_here(shop: Path, inline: Interp) -> None:
    told = inline("lint").out

    assert "shop.py:12:12: clock: time.time()" in told
    assert told.endswith("in 3 files\n")


def test_what_is_no_python_is_left_out_of_a_directory(shop: Path, inline: Interp) -> None:
    (shop / "template.py").write_text("def {{ name }}(")

    told = inline("lint", ".")

    assert told.out.endswith("in 3 files\n")
    assert "left out: template.py:1 cannot be read" in told.err


def test_a_place_is_told_once(shop: Path, inline: Interp) -> None:
    assert inline("lint", "shop.py", "shop.py").out.splitlines()[-1] == "2 findings: 2 workflows in 2 files"


def test_a_module_is_followed_into_others(shop: Path, interp: Interp) -> None:
    told = interp("lint", "shop")

    assert 1 == told.code
    assert "helpers.py:4:12: clock: time.time()  (in stamp, for workflow lint_cli_shop)" in told.out


def test_a_path_is_not_imported(shop: Path, inline: Interp) -> None:
    (shop / "shop.py").write_text(f"raise SystemExit(3)\n{SHOP}")

    assert "2 findings" in inline("lint", "shop.py").out


def test_correct_code_ends_with_0(shop: Path, inline: Interp) -> None:
    (shop / "shop.py").write_text(SHOP.replace("    sleep", "    yield sleep", 1).replace("time.time()", "0"))

    told = inline("lint", "shop.py")
    assert (0, "nothing found: 1 workflow in 1 file\n", "") == (told.code, told.out, told.err)


@pytest.mark.parametrize("words", [("--json",), ("--format", "json")])
def test_one_document_for_machines(shop: Path, inline: Interp, words: tuple[str, ...]) -> None:
    told = inline("lint", "shop.py", *words)

    assert 1 == told.code
    assert (1, 1) == (told.json["workflows"], told.json["files"])
    assert [("shop.py", 10, 5, True), ("shop.py", 12, 12, False)] == [
        (each["file"], each["line"], each["column"], each["certain"]) for each in told.json["findings"]
    ]
    assert "moment = yield from now()" == told.json["findings"][1]["cure"]


def test_annotations_for_github(shop: Path, inline: Interp) -> None:
    first, second = inline("lint", "shop.py", "--format", "github").out.splitlines()

    assert first.startswith("::error file=shop.py,line=10,col=5,title=interp%3A forgotten-yield::sleep(")
    assert second.startswith("::warning file=shop.py,line=12,col=12,title=interp%3A clock::time.time()")
    assert "%0AInstead: moment = yield from now()" in second


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("nowhere", "nowhere is no module that Python can find"),
        ("nowhere.py", "nowhere.py is not there"),
        ("helpers.py", "helpers.py has no workflow"),
        ("broken.py", "broken.py:1 cannot be read"),
    ],
)
def test_a_target_that_makes_no_sense_is_an_error(shop: Path, inline: Interp, target: str, problem: str) -> None:
    (shop / "broken.py").write_text("def (")

    assert inline("lint", target).is_error(problem)

"""The lint finds what is marked in bodies.py, on that line and with that code, and nothing else."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from interp import UsageError, Workflow, call, sleep, workflow
from interp.errors import InvalidDefinition
from interp.linting import CODES, Finding, lint
from interp.linting.reference import page
from tests.linting import bodies, elsewhere
from tests.linting.marks import marked

ROOT = Path(__file__).parents[2]
BODIES = Path(bodies.__file__)
ELSEWHERE = Path(elsewhere.__file__)

HEAD = """
from datetime import timedelta
from interp import sleep, workflow
TICK = timedelta(seconds=1)
"""


def places(findings: list[Finding], path: Path) -> set[tuple[int, str]]:
    return {(finding.line, finding.code) for finding in findings if finding.file == str(path)}


def found(tmp_path: Path, source: str) -> list[str]:
    """What is found in a file that is read."""
    file = tmp_path / "flow.py"
    file.write_text(HEAD + source)
    return [f"{finding.code}: {finding.what}" for finding in lint(file)]


def test_a_file_is_read_without_being_imported() -> None:
    findings = lint(BODIES)

    assert marked(BODIES, "file") == places(findings, BODIES)
    assert {str(BODIES)} == {finding.file for finding in findings}


def test_what_is_loaded_is_read_with_the_names_of_run_time() -> None:
    findings = lint(bodies)

    assert marked(BODIES, "live") == places(findings, BODIES)


def test_what_is_loaded_is_followed_into_other_modules() -> None:
    findings = [finding for finding in lint(bodies) if finding.file == str(ELSEWHERE)]
    lines = [number for number, line in enumerate(ELSEWHERE.read_text().splitlines(), 1) if "found" in line]

    assert lines == sorted(finding.line for finding in findings)
    assert {("stamp", "clock_in_a_helper_of_another_module")} <= {(each.function, each.workflow) for each in findings}


def test_every_code_has_an_example() -> None:
    assert set(CODES) == {code for _, code in marked(BODIES, "live")}


def test_the_reference_is_made_from_the_codes() -> None:
    stale = "stale: python -m interp.linting.reference > docs/reference/lint.md"

    assert page() == (ROOT / "docs" / "reference" / "lint.md").read_text(), stale


@pytest.mark.parametrize("folder", ["examples", "benchmarks"])
def test_no_false_alarm_in_our_own_programs(folder: str) -> None:
    assert [] == lint(ROOT / folder)


def test_a_finding_tells_where_what_why_and_the_cure() -> None:
    (finding,) = lint(bodies.time_alias)

    assert [
        f"{BODIES}:{finding.line}:12: clock: t() is time.time()  (in workflow time_alias)",
        "  Every replay reads another time, and may take another branch.",
        "  Instead: moment = yield from now()",
    ] == str(finding).splitlines()


def test_a_helper_of_two_workflows_is_told_once() -> None:
    calling = [finding for finding in lint(BODIES) if finding.function == "two_down"]

    assert ["helpers"] == [finding.workflow for finding in calling]


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("np.random.rand(3)", ["random: np.random.rand()"]),
        ("np.random.default_rng()", ["random: np.random.default_rng()"]),
        ("np.random.default_rng(3).random()", []),
        ("np.array([1]).sum()", []),
        ("pd.Timestamp.now()", ["clock: pd.Timestamp.now()"]),
        ("requests.get('http://localhost')", ["io: requests.get()"]),
        ("isinstance(1, requests.Session)", []),
    ],
)
def test_packages_that_are_not_installed_are_known_by_name(tmp_path: Path, statement: str, what: list[str]) -> None:
    imports = "import numpy as np\nimport pandas as pd\nimport requests\n"

    assert what == found(tmp_path, f"{imports}\n@workflow\ndef flow():\n    yield sleep(TICK)\n    {statement}\n")


@pytest.mark.parametrize(
    ("comment", "is_found"),
    [
        ("interp: allow[clock] shown to people", False),
        ("interp: allow[uuid, clock]", False),
        ("noqa: X  # interp:allow[clock]", False),
        ("interp: allow[uuid]", True),
        ("interp: allow clock", True),
    ],
)
def test_a_comment_allows_one_code_on_one_line(tmp_path: Path, comment: str, is_found: bool) -> None:
    body = f"    a = time.time()  # {comment}\n    b = time.time()\n    return a, b\n"
    told = found(tmp_path, f"import time\n\n@workflow\ndef flow():\n    yield sleep(TICK)\n{body}")

    assert ["clock: time.time()"] * (2 if is_found else 1) == told


def test_a_call_over_several_lines_is_allowed_at_its_end(tmp_path: Path) -> None:
    call = "    time.strftime(\n        '%Y',\n    )  # interp: allow[clock] for people\n"

    assert [] == found(tmp_path, f"import time\n\n@workflow\ndef flow():\n    yield sleep(TICK)\n{call}")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def helper(:\n", "flow.py:1 cannot be read: "),
        ("x = '\0'\n", "cannot be read: "),
    ],
)
def test_a_file_that_is_no_python_is_an_error_with_its_line(tmp_path: Path, source: str, told: str) -> None:
    (tmp_path / "flow.py").write_text(source)

    with pytest.raises(UsageError) as refused:
        lint(tmp_path / "flow.py")
    assert told in str(refused.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.py is not there"):
        lint(tmp_path / "nowhere.py")


def test_a_directory_is_read_without_what_is_hidden_or_installed(tmp_path: Path) -> None:
    flow = HEAD + "import time\n\n@workflow\ndef flow():\n    yield sleep(TICK)\n    time.time()\n"
    for folder in ("shop", ".venv/lib", "env/lib/site-packages/other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "flow.py").write_text(flow)

    assert [str(tmp_path / "shop" / "flow.py")] == [finding.file for finding in lint(tmp_path)]


def test_names_that_a_star_brings_are_known(tmp_path: Path) -> None:
    source = "from interp import *\nfrom time import *\n\n@workflow\ndef flow():\n    yield now()\n    monotonic()\n"
    (tmp_path / "flow.py").write_text(source)

    assert [7] == [finding.line for finding in lint(tmp_path / "flow.py")]


def test_what_is_no_workflow_is_refused() -> None:
    with pytest.raises(InvalidDefinition):
        lint(elsewhere.stamp)


def test_a_workflow_without_source_has_no_findings() -> None:
    names: dict[str, Any] = {"workflow": workflow, "sleep": sleep}
    exec("import time\n@workflow\ndef lint_typed_in():\n    yield sleep(None)\n    time.time()", names)

    assert [] == lint(names["lint_typed_in"])


def test_functions_that_call_each_other_are_read_once(tmp_path: Path) -> None:
    source = """
import time

def even(n):
    return n == 0 or odd(n - 1)

def odd(n):
    return time.time() > 0 and even(n - 1)

@workflow
def flow():
    yield sleep(TICK)
    return even(4)
"""

    assert ["clock: time.time()"] == found(tmp_path, source)


def test_findings_do_not_depend_on_the_hash_seed() -> None:
    code = f"from interp.linting import lint\nfor each in lint({str(BODIES)!r}): print(each)"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, cwd=ROOT, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }

    assert 1 == len(told)


def test_names_of_a_function_around_a_workflow_are_its_own(tmp_path: Path) -> None:
    source = """
import time

def test_something(time, hash):
    log = []
    count = 0

    @workflow(name="shop.flow")
    def flow():
        nonlocal count
        yield sleep(TICK)
        log.append(hash(time.time()))
        count += 1
"""
    told = found(tmp_path, source)

    assert [
        "global-state: log is changed, which outlives the run",
        "global-state: nonlocal count is changed",
    ] == told
    assert {"shop.flow"} == {finding.workflow for finding in lint(tmp_path)}


class _Base:
    def steps(self) -> Workflow[None]:
        yield sleep(timedelta(0))


@workflow(name="lint_drops_a_method")
def drops_a_method(base: _Base) -> Workflow[None]:
    base.steps()
    call(str, 1)  # type: ignore[unused-awaitable]  # the mistake
    yield sleep(timedelta(0))


def test_a_function_of_the_file_hides_a_builtin_of_its_name(tmp_path: Path) -> None:
    source = """
def open(n):
    return n

def id(n):
    return hash

print = open
hash = print

@workflow
def flow():
    yield sleep(TICK)
    return open(1), print(2), id(3)(4), hash(5)
"""

    assert [] == found(tmp_path, source)


def test_only_what_is_certain_keeps_a_workflow_from_starting() -> None:
    # A subclass of _Base may have another `steps`, which does not yield.
    assert [("base.steps() was made and dropped", False), ("call(str, 1) was made and dropped", True)] == [
        (finding.what, finding.certain) for finding in lint(drops_a_method)
    ]

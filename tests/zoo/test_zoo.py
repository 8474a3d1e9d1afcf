"""Every bug of the zoo is found by the tools that should find it, and nothing is said against what is correct."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from interp.testing import Execution, check_determinism, executions, explore, guarded, lint
from tests.zoo.bugs import BUGS, MOST
from tests.zoo.correct import CORRECT
from tests.zoo.exhibits import Bug, Correct, Hunt
from tests.zoo.report import TABLE, TEXTS, counterexamples, without_numbers

HUNTS = [pytest.param(bug, hunt, id=f"{bug.name}-{hunt.tool.replace(' ', '_')}") for bug in BUGS for hunt in bug.hunts]
QUIET = [pytest.param(correct, id=correct.name) for correct in CORRECT]


@pytest.mark.parametrize(("bug", "hunt"), HUNTS)
def test_a_bug_is_found(bug: Bug, hunt: Hunt) -> None:
    is_deep = settings.get_current_profile_name() in ("ci", "night")
    for seed in (1, 2, 3) if is_deep else (1,):
        finding = hunt.find(bug.flow, seed, MOST)

        assert finding is not None, f"{hunt.tool} does not see that {bug.name} {bug.title[0].lower()}{bug.title[1:]}"
        assert finding.size <= 12, f"the counterexample is too long to be read:\n{finding.text}"


def test_there_is_something_to_see() -> None:
    assert len(BUGS) >= 25
    assert len(CORRECT) >= 25
    assert len({bug.name for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize("correct", QUIET)
def test_what_is_correct_replays(correct: Correct) -> None:
    check_determinism(correct.flow, max_examples=15, **correct.options)


@pytest.mark.parametrize("correct", QUIET)
def test_nothing_is_read_or_seen_in_what_is_correct(correct: Correct) -> None:
    lives = executions(correct.flow, faults=True, cancellations=True, **correct.options)

    @settings(max_examples=25, database=None, suppress_health_check=list(HealthCheck))
    @given(lives)
    def holds(execution: Execution) -> None:
        if correct.holds is not None:
            correct.holds(execution)

    with guarded() as seen:
        holds()

    assert [] == lint(correct.flow)
    assert [] == seen


@pytest.mark.parametrize("correct", [param for param in QUIET if param.values[0].explored is not None])  # type: ignore[union-attr]
def test_what_is_correct_can_be_explored(correct: Correct) -> None:
    assert correct.explored is not None
    explored = explore(
        correct.flow, *correct.explored, activities=correct.stubs, signals=correct.signals, cancellations=True
    )

    assert explored.complete, explored.summary


def test_the_page_shows_what_is_printed() -> None:
    shown = without_numbers(TEXTS.read_text())

    assert shown == without_numbers(counterexamples()), "write it anew: python -m tests.zoo.report --texts"


def test_the_table_has_a_row_for_everything() -> None:
    rows = [line.split(" | ") for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    wanted = [(bug.name, bug.title, hunt.tool) for bug in BUGS for hunt in bug.hunts]

    assert wanted == [(row[0].strip("| `"), row[1], row[2]) for row in rows if len(row) == 5]
    assert [correct.name for correct in CORRECT] == [row[0].strip("| `") for row in rows if len(row) == 2]

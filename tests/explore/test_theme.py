"""The style of a view holds in that view alone: in a notebook all of them share one page."""

import re

import pytest

from interp.explore.report import report_of_run
from interp.explore.theme import STYLE, within
from interp.explore.view import View
from tests.explore.flows import provision_fleet
from tests.explore.living import run_of
from tests.explore.recording import CLOUD, record

RUN = run_of(record(provision_fleet, "eu", ["a", "b"], world=CLOUD))
VIEWS: dict[str, View] = {
    "run": RUN,
    "moment": RUN.at(9),
    "fibers": RUN.at(9).fibers,
    "changes": RUN.at(9).diff(4),
    "difference": RUN.diff(RUN.imagined(RUN.history[:9], {})),
    "report": report_of_run(RUN),
    "blocked": RUN.blocked(),
}

# The outermost class of each part, or what the names of its classes begin with.
PARTS = r"run|report|differ|diverged|whatif|cards|at-.*|st-.*"

# What all views have in common, and the theme says how it looks.
COMMON = set(re.findall(r"\.([a-z][\w-]*)", re.sub(r"\{[^{}]*\}", "", STYLE)))


def selectors(html: str) -> list[str]:
    sheets = re.sub(r"@media[^{]*\{", "", "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL)))
    return [
        each.strip() for rule in re.findall(r"([^{}]+)\{[^{}]*\}", sheets) for each in re.split(r",(?![^(]*\))", rule)
    ]


@pytest.mark.parametrize("name", VIEWS)
def test_each_rule_names_the_part_that_it_is_for(name: str) -> None:
    for selector in selectors(VIEWS[name].html()):
        own = [each for each in re.findall(r"\.([a-z][\w-]*)", selector) if each not in COMMON]

        assert selector.startswith(".interp "), selector
        assert any(re.fullmatch(PARTS, each) for each in own), f"{selector} is for every view"


def test_the_rules_of_a_part_hold_inside_of_it() -> None:
    assert ".interp :where(.run) .note p, .interp :where(.run) b { }" == within("run", ".interp .note p, .interp b { }")

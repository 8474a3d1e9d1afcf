"""That views which nobody can see are noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interp.explore.markup import Markup
from interp.explore.view import page
from tests.explore.browser import chromium
from tests.notebooks.drawn import faults

pytestmark = pytest.mark.lab

FINE = '<p>Read me.</p><svg width="90" height="30" viewBox="0 0 90 30"><text y="20">and me</text></svg>'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(dark=True) as session:
        yield session


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (FINE, []),
        (f'{FINE}<p style="color: #345">Guess me.</p>', ["view 1 cannot be read: 'Guess me.'"]),
        (f"{FINE}<p hidden>Never mind.</p>", []),
        (f'{FINE}<svg width="0" height="9"></svg>', ["a picture of view 1 is 0 x 9"]),
        ("<p></p>", ["view 1 is 1200 x 0"]),
        (f'{FINE}<p style="width: 1300px">Too much.</p>', ["view 1 is cut off at the right by 100 px"]),
        (f'{FINE}<p style="width: 9px">Unbearable.</p>', ["view 1 has no room for 'Unbearable.'"]),
        (
            f"{FINE}<style>td {{ text-align: right }}</style><table><tr><td>1</table>",
            [],  # ours come first
        ),
        (
            f"{FINE}<style>.interp td {{ text-align: right }}</style><table><tr><td>1</table>",
            ["the page around it sets '1' of view 1 to the right"],
        ),
        (
            f"{FINE}<iframe srcdoc=\"<div class='interp' style='height: 9px'>Framed</div>\"></iframe>",
            ["view 2 is 284 x 9"],
        ),
    ],
)
def test_what_cannot_be_seen_is_told(browser: Any, tmp_path: Path, body: str, told: list[str]) -> None:
    file = tmp_path / "page.html"
    file.write_text(page("Views", Markup(body)).replace("margin: 24px auto; max-width: 1200px;", "width: 1200px;"))

    browser.get(file.as_uri())

    assert told == faults(browser)

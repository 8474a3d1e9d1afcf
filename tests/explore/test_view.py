from pathlib import Path

import pytest

from interp.errors import UsageError
from interp.explore.markup import Markup, element
from interp.explore.view import View, page


class Greeting(View):
    def html(self) -> Markup:
        return element("p", "1 < 2")

    def text(self) -> str:
        return "1 < 2"


class Broken(View):
    def html(self) -> Markup:
        raise RuntimeError("<b>")

    def text(self) -> str:
        raise RuntimeError("<b>")


def test_a_view_shows_itself_as_text_and_as_html() -> None:
    bundle = Greeting()._repr_mimebundle_()

    assert "1 < 2" == str(Greeting()) == bundle["text/plain"]
    assert bundle["text/html"].endswith("<p>1 &lt; 2</p></div>")
    assert "<style>" in bundle["text/html"]


def test_a_view_that_cannot_be_drawn_says_so_instead_of_raising() -> None:
    shown = Broken()._repr_html_()

    assert "Broken cannot be drawn: RuntimeError: &lt;b&gt;" in shown
    assert "Broken cannot be shown: RuntimeError: <b>" == str(Broken())


def test_style_sheets_outrank_those_of_the_page_around_and_nothing_else_is_touched() -> None:
    class Told(View):
        def html(self) -> Markup:
            return element("code", "from .interp import <style>.interp b</style>")

    shown = Told()._repr_html_()

    assert ".interp.interp.interp code" in shown
    assert "from .interp import &lt;style&gt;.interp b&lt;/style&gt;" in shown


def test_a_view_is_saved_as_what_its_name_ends_in(tmp_path: Path) -> None:
    path = Greeting().save(tmp_path / "greeting.html")

    assert path.read_text().startswith('<!doctype html>\n<html lang="en">')
    assert "1 < 2\n" == Greeting().save(tmp_path / "greeting.txt").read_text()
    with pytest.raises(UsageError, match=r"greeting.doc: Greeting can be saved as .html, .txt"):
        Greeting().save(tmp_path / "greeting.doc")


def test_a_page_needs_nothing_from_elsewhere() -> None:
    whole = page("</title><script>", element("p", "x"))

    assert "<title>&lt;/title&gt;&lt;script&gt;</title>" in whole
    assert "http" not in whole
    assert "url(" not in whole


def test_a_view_is_told_on_one_line_where_a_prompt_shows_it() -> None:
    class CriticalPath(Greeting):
        run_id = "order-7"

    assert "<greeting: print() shows it>" == repr(Greeting())
    assert "<critical path of run 'order-7': print() shows it>" == repr(CriticalPath())

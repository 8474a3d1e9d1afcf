from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.explore.markup import Markup, element, indented, joined, text

ANY_TEXT = st.text(st.characters(blacklist_categories=[]))


class _Reader(HTMLParser):
    """Notes what a browser would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _read(markup: str) -> _Reader:
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return reader


@given(ANY_TEXT, ANY_TEXT)
def test_no_text_becomes_a_tag_or_an_attribute(child: str, attribute: str) -> None:
    reader = _read(element("p", child, title=attribute))

    assert [("p", {"title"})] == [(tag, set(found)) for tag, found in reader.tags]


@given(ANY_TEXT, ANY_TEXT)
def test_what_is_written_is_well_formed_xml_too(child: str, attribute: str) -> None:
    ET.fromstring(element("p", child, title=attribute))


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1))
def test_printable_text_shows_as_itself(child: str) -> None:
    assert child == "".join(_read(element("p", child)).words)


@pytest.mark.parametrize("char", ["\x00", "\x1b", "\x7f", "\ud800", "\u202e", "\u2066", "\uffff"])
def test_what_cannot_or_must_not_be_shown_shows_as_its_code(char: str) -> None:
    assert f"a{char.encode('unicode_escape').decode()}b" == text(f"a{char}b")


def test_markup_is_not_escaped_twice() -> None:
    inner = element("b", "1 < 2")

    assert "<p><b>1 &lt; 2</b>!</p>" == element("p", inner, "!")
    assert isinstance(element("p", inner), Markup)


def test_children_may_be_nested_and_none() -> None:
    assert "<p>a1<i>b</i></p>" == element("p", ["a", [1, None]], (element("i", part) for part in "b"))
    assert "" == joined(None)


def test_attributes_are_left_out_named_alone_or_renamed() -> None:
    made = element("details", open=True, hidden=False, title=None, class_="x", aria_label="say")

    assert '<details open class="x" aria-label="say"></details>' == made


def test_void_elements_have_no_end() -> None:
    assert "<br>" == element("br")


def test_an_indentation_keeps_its_width_where_white_space_is_squeezed() -> None:
    assert "\xa0\xa0\xa0\xa0" == indented("    ")
    assert "    total += " == indented("    total += ")
    assert "" == indented("")

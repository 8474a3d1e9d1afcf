"""Whatever a journal holds, every view of it can be shown, does no harm and stays readable."""

import functools
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from interp.errors import InterpError
from interp.events import Transition, encode_transition
from interp.explore import Journal, Run
from interp.explore.view import View
from tests.explore.examples import FEW
from tests.explore.hostile import (
    BEGIN,
    CALLED,
    JOURNALS,
    MARK,
    Evil,
    EvilReader,
    many_commands,
    many_fibers,
    row_of,
)

TAGS = frozenset(
    [
        "a",
        "b",
        "br",
        "button",
        "caption",
        "circle",
        "clippath",
        "code",
        "col",
        "colgroup",
        "dd",
        "defs",
        "details",
        "div",
        "dl",
        "dt",
        "ellipse",
        "em",
        "figcaption",
        "figure",
        "g",
        "h1",
        "h2",
        "h3",
        "h4",
        "hr",
        "html",
        "i",
        "iframe",
        "input",
        "kbd",
        "label",
        "legend",
        "li",
        "line",
        "lineargradient",
        "marker",
        "meta",
        "nav",
        "ol",
        "optgroup",
        "option",
        "output",
        "p",
        "path",
        "pattern",
        "polygon",
        "polyline",
        "pre",
        "rect",
        "script",
        "section",
        "select",
        "small",
        "span",
        "stop",
        "strong",
        "style",
        "sub",
        "summary",
        "sup",
        "svg",
        "table",
        "tbody",
        "td",
        "text",
        "tfoot",
        "th",
        "thead",
        "time",
        "title",
        "tr",
        "tspan",
        "u",
        "ul",
        "use",
        "body",
        "head",
        "header",
        "footer",
        "article",
        "aside",
        "main",
        "mark",
    ]
)

# What a browser loads, follows or runs.
LOADED = frozenset({"src", "href", "xlink:href", "action", "formaction", "data", "poster", "background", "srcset"})

# The largest page and text, whatever the journal: what a notebook can hold many of.
HTML_BYTES = 4_000_000
TEXT_BYTES = 400_000
COLUMNS = 120

# Not views: they write files, wait, import what may not be installed, or have to do with the store.
PASSED_BY = frozenset(
    {"save", "close", "refresh", "watch", "changed", "run", "html", "text", "svg", "to_pandas", "to_polars", "to_arrow"}
    | {"fork", "imagined"}  # these write, or take what only the library has
    | {"png", "to_plotly", "to_altair", "pasts", "url", "id", "store", "columns", "ids"}
)

# How methods with arguments are called: by the names of these.
ARGUMENTS: dict[str, Callable[[Run], list[Any]]] = {
    "other": lambda run: [run],
    "where": lambda run: [0, len(run.history) // 2, -1, "failure", MARK],
    "at": lambda run: [0, len(run.history) // 2, -1],
    "workflow": lambda run: [run.row.workflow],
}

# What the doors must give whatever the journal holds; of the others there may be none, and then an error is right.
ALWAYS = frozenset(
    [
        "run",
        "run.timeline",
        "run.critical_path",
        "run.commands",
        "run.records",
        "run.blocked",
        "journal.runs",
        "journal.commands",
        "journal.blocked",
        "journal.runs.latency",
    ]
)


def opened(evil: Evil, monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr("interp.explore.journal.open_reader", lambda url: EvilReader(evil))
    return Journal("lmdb:evil")


# --- every view there is ---


def views_of(run: Run, journal: Journal) -> Iterator[tuple[str, View]]:
    """Give all that can be shown, by how one gets it: from the journal and the run, and from what these give."""
    yield "run", run
    for name, view in [*_members("journal", journal, run), *_members("run", run, run)]:
        yield name, view
        if view is not run:
            yield from _members(name, view, run)


def _members(place: str, thing: object, run: Run) -> Iterator[tuple[str, View]]:
    for name in dir(type(thing)):
        if name.startswith("_") or name in PASSED_BY:
            continue
        found = getattr(thing, name)
        for view in _called(found, run, f"{place}.{name}") if inspect.ismethod(found) else [found]:
            if isinstance(view, View) and view is not thing:
                yield f"{place}.{name}", view


def _called(method: Any, run: Run, name: str) -> Iterator[object]:
    needed = [
        parameter.name
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    is_door = isinstance(method.__self__, (Run, Journal))
    if needed and not is_door:
        return
    unknown = [each for each in needed if each not in ARGUMENTS]
    assert not unknown, f"say in ARGUMENTS how to call {name}: {unknown}"
    for arguments in itertools.product(*(ARGUMENTS[each](run) for each in needed)):
        try:
            yield method(*arguments)
        except InterpError:
            if name in ALWAYS:
                raise


@pytest.mark.parametrize("make", JOURNALS.values(), ids=JOURNALS)
def test_every_view_of_every_hostile_journal_is_safe_and_bounded(
    make: Callable[[], Evil], monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = make()
    shown: set[str] = set()
    with opened(evil, monkeypatch) as journal:
        run = journal[evil.row.id]
        for name, view in views_of(run, journal):
            check(name, view)
            shown.add(name)

    assert shown >= ALWAYS
    assert CALLED == []


def check(name: str, view: View) -> None:
    """Check one view: both its forms, as they are and as a notebook gets them."""
    markup, text = view.html(), view.text()  # these raise where the notebook's forms would tell of an error
    _check_html(name, markup)
    _check_html(name, view._repr_html_())
    _check_text(name, text)
    assert str(view) == text
    assert view._repr_mimebundle_()["text/plain"] == text


def _check_text(name: str, text: str) -> None:
    assert len(text) <= TEXT_BYTES, f"{name}: {len(text):,} characters"
    bad = {char for char in text if char != "\n" and not char.isprintable()}
    assert not bad, f"{name}: {bad}"
    # Views count characters: combining ones take no column, and wide ones take two.
    longest = max(text.split("\n"), key=lambda line: min(len(line), cell_len(line)))
    assert min(len(longest), cell_len(longest)) <= COLUMNS, f"{name}: {longest}"


def _check_html(name: str, markup: str) -> None:
    assert len(markup.encode()) <= HTML_BYTES, f"{name}: {len(markup):,} characters"
    reader = _Browser(name)
    reader.feed(markup)
    reader.close()
    assert not reader.open, f"{name}: never closed: {reader.open}"


class _Browser(HTMLParser):
    """Reads a page like a browser, and refuses what a hostile journal would need."""

    def __init__(self, name: str) -> None:
        super().__init__(convert_charrefs=True)
        self.name = name
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, f"{self.name}: <{tag}>"
        for key, value in attrs:
            value = value or ""
            assert not key.startswith("on"), f"{self.name}: <{tag} {key}>"
            if key in LOADED:
                assert re.fullmatch(r"#[\w-]*", value), f"{self.name}: <{tag} {key}={value!r}>"
            if key in ("style", "class", "id", "for", "fill", "stroke", "transform", "d"):
                assert MARK not in value, f"{self.name}: <{tag} {key}={value!r}>"
                assert "url(" not in value.replace("url(#", ""), f"{self.name}: <{tag} {key}={value!r}>"
            if key == "srcdoc":
                _check_html(f"{self.name}, within", value)
            assert "\x00" not in value
        if tag == "iframe":
            sandbox = dict(attrs).get("sandbox")
            assert sandbox is not None and "allow-same-origin" not in sandbox, f"{self.name}: an iframe with rights"
        if tag not in ("br", "col", "hr", "img", "input", "meta"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{self.name}: </{tag}>"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            assert MARK not in data or (self.open[-1] == "script" and _is_data(data)), (
                f"{self.name}: recorded text runs"
            )
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]", data), self.name

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"{self.name}: a comment: {data[:60]}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"{self.name}: an instruction: {data[:60]}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"{self.name}: a declaration: {data[:60]}")


def _is_data(script: str) -> bool:
    """Tell JSON, which nobody runs."""
    try:
        msgspec.json.decode(script.encode())
    except msgspec.MsgspecError:
        return False
    return "<" not in script


def test_the_browser_of_these_tests_sees_what_would_do_harm() -> None:
    bad = [
        "<script src='x'></script>",
        f"<script>{MARK}()</script>",
        f"<style>{MARK}</style>",
        "<p onclick=x></p>",
        "<a href='javascript:x'></a>",
        "<a href='//elsewhere'></a>",
        "<img src=x>",
        f"<p style='{MARK}'></p>",
        "<p style='background: url(x)'></p>",
        "<iframe srcdoc=''></iframe>",
        "<iframe sandbox='' srcdoc='<p onclick=x></p>'></iframe>",
        "<!--x-->",
        "<p><b></p></b>",
        "<p>",
        "<p>\u202e</p>",
    ]
    for markup in bad:
        with pytest.raises(AssertionError):
            _check_html("test", markup)
    _check_html("test", f'<p title="{MARK}"><b>{MARK}</b><a href="#x">y</a><i style="color: url(#x)"></i></p>')


# --- the work is bounded, too ---


def _calls(work: Callable[[], object]) -> int:
    """Count the calls of Python functions."""
    number = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal number
        number += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return number


@pytest.mark.parametrize("make", [many_commands, many_fibers])
def test_ten_times_as_long_a_history_takes_some_ten_times_as_much_work(
    make: Callable[[int], Evil], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(number: int) -> int:
        evil = make(number)
        with opened(evil, monkeypatch) as journal:
            return _calls(lambda: [view.html() + view.text() for _, view in views_of(journal["evil"], journal)])

    work(10)  # what is worked out once

    assert work(300) < 20 * work(30)


# --- whatever else there may be ---


def _shapes(kind: Any) -> st.SearchStrategy[Any]:
    return st.from_type(kind)


TIMES = st.sampled_from([BEGIN, BEGIN.replace(year=1), BEGIN.replace(year=9999), BEGIN.replace(tzinfo=None)])
IDS = st.sampled_from(["0", "1", "0.0", "0.0.0", "0.1.0", "0.1.2.3", "2", "", "x", "1.x"])
PAYLOADS = st.sampled_from([b"", b"1", b"[[],{}]", b"[null]", b"[1e999]", b'{"a":', b"\xff", b'"\\ud800"'])


@functools.cache
def _structs() -> st.SearchStrategy[Any]:
    """Draw records of the right form whose parts do not belong together."""
    from interp import events  # noqa: PLC0415  only to walk its classes

    def built(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
        hints = inspect.get_annotations(kind, eval_str=False)
        return st.builds(kind, **{name: _field(str(hint), name) for name, hint in hints.items()})

    def _field(hint: str, name: str) -> st.SearchStrategy[Any]:
        if name == "id":
            return IDS
        if "Failure" in hint:
            return failure if "tuple" not in hint else st.just(())
        if "datetime" in hint:
            return (st.none() | TIMES) if "None" in hint else TIMES
        if "tuple" in hint:
            return st.none() if "None" in hint.rpartition("|")[2] else st.just(())
        if "bytes" in hint:
            return PAYLOADS
        if "bool" in hint:
            return st.booleans()
        if "int" in hint:
            return st.sampled_from([0, 1, 2, 7, -1, 2**63 - 1])
        return st.sampled_from(["", "a", "call", "sleep", MARK, "<b>"])

    failure = built(events.Failure)
    kinds = st.sampled_from(["call", "sleep", "await_signal", "child", "patched", "transact", "emit", "odd"])
    command = st.builds(
        events.Record, id=IDS, kind=kinds, target=st.just("t"), payload=PAYLOADS, where=st.sampled_from(["", "a.py:1"])
    )
    cause = st.one_of([built(kind) for kind in _events(events) if kind is not events.ChildEnded])
    ends = st.none() | st.one_of([built(kind) for kind in (events.Completed, events.Failed, events.WasCancelled)])
    return st.builds(
        Transition,
        index=st.integers(0, 5),
        at=TIMES,
        cause=cause,
        commands=st.lists(command, max_size=4).map(tuple),
        outcome=ends,
    )


def _events(module: Any) -> list[type[msgspec.Struct]]:
    return list(module.Event.__args__)


RECORDS = st.lists(
    _structs().map(encode_transition) | st.binary(max_size=40) | st.sampled_from([b"", b"\xc1"]), max_size=6
)


@settings(FEW, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(records=RECORDS)
def test_any_records_can_be_shown(records: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    evil = Evil(row_of(records), records)
    with opened(evil, monkeypatch) as journal:
        for name, view in views_of(journal["evil"], journal):
            check(name, view)

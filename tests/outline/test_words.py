from datetime import timedelta

import pytest

from interp.events import Record
from interp.outline.words import clean, count, elide, heading, one_line, parse_span, reflowed, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 ms"),
        (0, "0 ms"),
        (0.31, "310 ms"),
        (0.9996, "1 s"),
        (1, "1 s"),
        (5.25, "5.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert text == span(timedelta(seconds=seconds))


def test_a_rough_span_has_one_unit() -> None:
    assert "3 min" == span(timedelta(seconds=200), is_rough=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("30s", 30),
        ("0.5", 0.5),
        ("500ms", 0.5),
        ("5m", 300),
        ("5 min", 300),
        ("1.5h", 5400),
        ("2d", 172_800),
    ],
)
def test_a_span_is_read_with_or_without_a_unit(text: str, seconds: float) -> None:
    assert timedelta(seconds=seconds) == parse_span(text)


@pytest.mark.parametrize("text", ["", "soon", "-1", "1w", "1e9", "9" * 30])
def test_what_is_no_span_is_none(text: str) -> None:
    assert parse_span(text) is None


def test_control_characters_are_shown_and_not_sent() -> None:
    assert "a\\x1b[31mb\\x07\nc" == clean("a\x1b[31mb\x07\nc")
    assert "a b c" == one_line("a\n b\t c\n")
    assert "\\u202e" == clean("\u202e")


def test_a_cut_text_has_the_width_and_an_ellipsis() -> None:
    assert "abc" == elide("abc", 3)
    assert "ab…" == elide("abcd", 3)


def test_one_is_singular() -> None:
    assert ["1 call", "1,200 calls", "2 retries"] == [
        count(1, "call"),
        count(1200, "call"),
        count(2, "retry", "retries"),
    ]


def test_broken_paragraphs_are_joined_and_drawings_kept() -> None:
    assert "a b c.\nD\n  e\n  f" == reflowed("a b\nc.\nD\n  e\n  f")


@pytest.mark.parametrize(
    ("kind", "target", "payload", "text"),
    [
        ("call", "charge", b'["7",{"a":null}]', ("call charge", "'7', {'a': None}")),
        ("call", "charge", b"[]", ("call charge", "")),
        ("transact", "transfer", b'["a",7]', ("transact transfer", "'a', 7")),
        ("sleep", "", b"[3600.0]", ("sleep 1 h", None)),
        ("sleep", "", b"garbage", ("sleep b'garbage'", None)),
        ("sleep_until", "", b'["2026-01-01T00:00:00+00:00"]', ("sleep until 2026-01-01T00:00:00+00:00", None)),
        ("await_signal", "go", b"[null]", ("signal 'go'", None)),
        ("annotate", "", b'{"stage":"one","n":2}', ("annotate", "stage='one', n=2")),
        ("annotate", "", b"[]", ("annotate", "[]")),
        ("patched", "v2", b"[]", ("patched 'v2'", None)),
    ],
)
def test_a_command_is_told_by_what_it_does(
    kind: str, target: str, payload: bytes, text: tuple[str, str | None]
) -> None:
    assert text == heading(Record("1", kind, target, payload, "f.py:1"))


def test_the_timer_of_a_start_at_tells_when_the_workflow_begins() -> None:
    record = Record("0", "sleep_until", "", b'["2026-01-01T00:00:00+00:00"]', "")

    assert ("begin at 2026-01-01T00:00:00+00:00", None) == heading(record)


@pytest.mark.parametrize("kind", ["annotate", "child", "reply", "send", "sleep", "sleep_until"])
def test_a_command_that_is_nested_too_deeply_is_still_named(kind: str) -> None:
    payload = b'{"at":' * 5_000 + b"1" + b"}" * 5_000

    head, _ = heading(Record("1", kind, "ship", payload, "f.py:1"))

    assert head.startswith(kind.partition("_")[0])

"""Source is quoted around the lines that are meant, with the expression underlined to the character."""

from pathlib import Path

import pytest

from interp.explore.scenes import FrameAt
from interp.explore.sources import SourceLine, around_frame, around_lines, place_of

SOURCE = """\
def greet(name):

    print("Grüße, 世界"); answer = yield ask("größer")
    return answer


def after():
    first = yield ask(
        "one",
    )
    {odd}
    return first
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "greeting.py"
    file.write_text(SOURCE.replace("{odd}", "x = yield 'a\u202eb'; y = 1"), encoding="utf-8")
    return file


def marked(lines: list[SourceLine]) -> list[str]:
    return [line.text[slice(*line.marked)] for line in lines if line.marked is not None]


def test_a_line_is_underlined_to_the_character_in_any_script(file: Path) -> None:
    lines = around_lines(str(file), {3: ("recorded",)})

    assert ['yield ask("größer")'] == marked(lines)
    assert [(3, ("recorded",))] == [(line.number, line.roles) for line in lines if line.roles]


def test_a_frame_and_a_record_underline_the_same(file: Path) -> None:
    line = file.read_text(encoding="utf-8").splitlines()[2]
    begin = len(line.partition("yield")[0].encode())
    frame = FrameAt(str(file), 3, "greet", {}, (3, 3, begin, len(line.encode())), first=1)

    assert marked(around_lines(str(file), {3: ("now",)})) == marked(around_frame(frame))


def test_the_lines_of_a_frame_end_with_its_function(file: Path) -> None:
    lines = around_frame(FrameAt(str(file), 3, "greet", {}, first=1), around=9)

    assert [1, 2, 3, 4] == [line.number for line in lines]


def test_a_line_that_is_written_in_other_characters_is_not_underlined(file: Path) -> None:
    lines = around_lines(str(file), {11: ("now",)})

    assert [r"x = yield 'a\u202eb'; y = 1"] == [line.text for line in lines if line.roles]
    assert [] == marked(lines)


def test_lines_far_apart_have_a_gap_between_them(file: Path) -> None:
    file.write_text("\n".join(f"line_{number} = 0" for number in range(1, 41)), encoding="utf-8")

    lines = around_lines(str(file), {5: ("recorded",), 30: ("now",)})

    assert [*range(2, 9), 0, *range(27, 34)] == [line.number for line in lines]


@pytest.mark.parametrize(
    "where", [None, "", "shop.py", ":3", "shop.py:", "shop.py:x", "shop.py:٣", "shop.py:123456789"]
)
def test_what_names_no_line_is_no_place(where: str | None) -> None:
    assert place_of(where) is None


def test_source_that_is_not_at_hand_is_not_quoted(tmp_path: Path) -> None:
    assert [] == around_lines("", {1: ("now",)})
    assert [] == around_lines(str(tmp_path / "gone.py"), {1: ("now",)})
    assert [] == around_frame(FrameAt(str(tmp_path / "gone.py"), 1, "gone", {}))

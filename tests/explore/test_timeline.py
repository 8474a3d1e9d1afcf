"""The timeline as a picture and as text: what is on it, that it is well formed, bounded, and safe."""

import re
import subprocess
import sys
from collections.abc import Generator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp import activity, await_signal, call, gather, race, sleep, workflow
from interp.commands import Command
from interp.errors import UsageError
from interp.events import Transition
from interp.explore import Timeline
from interp.store import Status
from tests.explore.browser import needed
from tests.explore.examples import FEW
from tests.explore.flows import provision_fleet
from tests.explore.living import end_of, histories, run_of
from tests.explore.pictures import IMAGES, PICTURES
from tests.explore.recording import BEGIN, CLOUD, World, record

Flow = Generator[Command[Any], Any, Any]

SIX = [f"web-{number}" for number in range(1, 7)]
GOLDEN = Path(__file__).parent / "golden"

# Names that a picture must survive: tags, quotes, ends of comments and CDATA, control and bidi characters, variables.
EVIL = '<script>alert(1)</script>"\' ]]> --> \x00\x1b[31m\u202e\ud800 style="fill:var(--fg)" 名前 🎉 &amp;'


def timeline(history: Sequence[Transition], *, later: float = 0.0, **options: Any) -> Timeline:
    return run_of(history).timeline(now=end_of(history) + timedelta(seconds=later), **options)


def drawn(picture: Timeline) -> Element:
    """Parse a picture as XML."""
    return fromstring(picture.svg().encode())


def titles(picture: Timeline) -> list[str]:
    return [element.text or "" for element in drawn(picture).iter("{http://www.w3.org/2000/svg}title")]


def texts(picture: Timeline) -> list[str]:
    return [element.text or "" for element in drawn(picture).iter("{http://www.w3.org/2000/svg}text")]


def cloud(machines: Sequence[str] = SIX, **options: Any) -> tuple[Transition, ...]:
    return record(provision_fleet, "eu-west-1", list(machines), world=CLOUD, **options)


@activity
def fetch(name: str) -> str:
    return name


def several(name: str, number: int) -> Flow:
    for part in range(number):
        yield from call(fetch, f"{name}/{part}")


@workflow
def fan(names: list[str], number: int) -> Flow:
    yield from gather(*[several(name, number) for name in names])


@workflow
def ask(name: str) -> Flow:
    yield from race(await_signal(name), sleep(timedelta(days=1)))


@workflow
def nothing() -> Flow:
    return 1
    yield


FAST = World(took={"fetch": (1, 3)})


# What holds for every run.


@FEW
@given(histories(), st.sampled_from([0.0, 30.0]), st.booleans(), st.sampled_from([1, 3, 40]))
def test_every_run_can_be_drawn(history: tuple[Transition, ...], later: float, critical: bool, rows: int) -> None:
    picture = timeline(history, later=later, critical=critical, rows=rows)

    root = drawn(picture)
    assert [0, 0, picture.width, picture.height] == [float(number) for number in root.attrib["viewBox"].split()]
    places = [picture.x(transition.at) for transition in history]
    assert places == sorted(places)
    assert all(picture.axis.left <= place <= picture.axis.right for place in places)
    assert all(len(line) <= 100 for line in picture.text().splitlines())


# One run, as somebody liked it.


def test_the_timeline_as_text_is_as_it_was_when_somebody_liked_it() -> None:
    assert (GOLDEN / "timeline.txt").read_text() == f"{timeline(cloud())}\n"


def test_the_crowd_as_text_is_as_it_was_when_somebody_liked_it() -> None:
    world = attrs.evolve(CLOUD, slots=12)
    history = record(provision_fleet, "eu-west-1", [f"web-{number}" for number in range(60)], world=world)

    assert (GOLDEN / "crowd.txt").read_text() == f"{timeline(history)}\n"


def test_the_picture_has_the_lanes_their_durations_and_what_happened() -> None:
    told = texts(timeline(cloud()))

    assert {"provision_fleet", *SIX, "46 min 21 s", "create_vm", "25 min idle"} <= set(told)
    assert "▲ w1 lost · w2 replayed 16 records" in told
    assert {"failed attempt", "outcome unknown", "waits to try again", "sleeps"} <= set(told)


def test_a_bar_tells_its_command_attempt_time_line_and_failure() -> None:
    told = titles(timeline(cloud()))

    (failed,) = [title for title in told if title.startswith("4.0.1  create_volume('web-1', 100)\nattempt 2: failed")]
    assert "2026-11-03 09:02:58.299 UTC, 2 min 58 s after the begin, took 1 min 13 s" in failed
    assert re.search(r"\nflows\.py:\d+\nConnectionError: create_volume: the provider is busy$", failed)
    assert any(title.endswith("→ 'i-web-3'") for title in told)
    assert any(title.startswith("4.0.2  create_vm(") and "attempt 1: its worker was lost" in title for title in told)
    assert any("signal 'approve' came" in title and title.endswith("→ True") for title in told)


def test_a_moment_is_where_the_cursor_is_to_be() -> None:
    picture = timeline(cloud())

    assert picture.axis.left == picture.x(BEGIN)
    assert picture.axis.right == picture.x(BEGIN + timedelta(days=1))
    crash = picture.x(BEGIN + timedelta(minutes=9, seconds=25))
    assert f'<rect x="{picture.x(picture.chart.notes[0].begin):.1f}"' in picture.svg()
    assert picture.axis.left < crash < picture.axis.right
    assert f'height="{picture.bottom - 30:.0f}" style="fill:var(--crash-band)"' in picture.svg()


def test_what_is_not_folded_is_to_scale() -> None:
    picture = timeline(cloud(), fold=False)

    middle = picture.chart.begin + (picture.chart.end - picture.chart.begin) / 2
    assert pytest.approx((picture.axis.left + picture.axis.right) / 2) == picture.x(middle)
    assert not [told for told in texts(picture) if "idle" in told]


def test_the_critical_path_is_marked() -> None:
    assert "critical path" not in texts(timeline(cloud()))
    assert "critical path" in texts(timeline(cloud(), critical=True))
    assert (
        timeline(cloud(), critical=True).text().endswith("critical path: waited 59 %, ran 24 %, retried 8 %, lost 8 %")
    )
    assert [
        title for title in titles(timeline(cloud(), critical=True)) if title.startswith("critical path: waited 59 %")
    ]


def test_a_run_of_too_many_fibers_shows_how_many_did_what_and_the_worst_of_them() -> None:
    history = cloud([f"web-{number}" for number in range(60)])
    picture = timeline(history)

    assert "the 6 fibers with most failed attempts, of 60" in texts(picture)
    assert 7 == len(picture.lanes)
    assert [title for title in titles(picture) if re.match(r"create_vm: at most \d+ at once, .* in all", title)]
    assert "" == timeline(history, rows=80).which
    assert "the 1 fiber on the critical path, of 60" in texts(timeline(history, critical=True))


# Sizes.


def test_a_lane_of_ten_thousand_commands_is_bounded_and_tells_how_many_there_are() -> None:
    history = record(fan, ["a"], 10_000, world=FAST)
    picture = timeline(history)

    assert len(picture.svg()) < 150_000
    counts = [
        int(found[1].replace(",", "")) for title in titles(picture) if (found := re.match(r"([\d,]+) command", title))
    ]
    assert 10_000 == sum(counts)


def test_a_crowd_of_two_thousand_fibers_is_bounded() -> None:
    history = record(fan, [f"name-{number}" for number in range(2000)], 2, world=attrs.evolve(FAST, slots=50))

    assert len(timeline(history).svg()) < 150_000


def test_as_many_lanes_as_are_asked_for_are_bounded_each() -> None:
    history = record(fan, [f"name-{number}" for number in range(40)], 250, world=FAST)

    assert len(timeline(history, rows=50).svg()) < 1_500_000


# What has no length, no end, no records.


def test_a_run_of_one_record_is_drawn() -> None:
    assert ["0", "nothing", "0 ms"] == texts(timeline(record(nothing)))


def test_a_run_without_records_is_drawn() -> None:
    run = run_of(())

    assert "flow" in texts(run.timeline())
    assert "flow" in run.timeline().text()
    assert "0 ms" in run.critical_path().text()


def test_what_goes_on_ends_in_a_point_and_says_so() -> None:
    picture = timeline(cloud(until=timedelta(minutes=12)), later=60)

    assert "…" == next(told for told in texts(picture) if told.endswith("…"))[-1]
    assert "▸" in picture.text()
    assert "attempt 2: at work" in "".join(titles(picture))
    assert "so far" in drawn(picture).attrib["aria-label"]


def test_a_parked_run_says_why() -> None:
    history = cloud(until=timedelta(minutes=12))
    row = msgspec.structs.replace(run_of(history).row, status=Status.PARKED, reason="diverged <at> record 3")

    assert "✗ parked: diverged <at> record 3" in texts(attrs.evolve(run_of(history), row=row).timeline())


def test_records_that_cannot_be_read_are_told_and_what_has_ended_does_not_go_on() -> None:
    run = run_of(cloud())
    damaged = attrs.evolve(run, history=(*run.history[:5], *run.history[7:-1]))
    picture = damaged.timeline(now=BEGIN + timedelta(days=9))

    assert "? 3 records cannot be read: what they told is missing here" in texts(picture)
    assert not picture.chart.is_open
    assert picture.chart.end == damaged.history[-1].at
    assert str(damaged.critical_path())


# Hostile journals.


@pytest.mark.parametrize("names", [[EVIL, EVIL + "2"], ["", " "], ["x" * 100_000, "y" * 100_000]])
def test_hostile_names_are_shown_as_text(names: list[str], tmp_path: Path) -> None:
    clean = [name.encode("utf-8", "replace").decode() for name in names]  # a journal is UTF-8
    history = record(fan, clean, 2, world=FAST)
    picture = timeline(history)

    assert len(picture.svg()) < 40_000
    tags = {element.tag.rpartition("}")[2] for element in drawn(picture).iter()}
    assert {"svg", "g", "rect", "path", "line", "text", "title"} >= tags
    for kind in ("svg", "html", "txt"):
        assert "<script" not in picture.save(tmp_path / f"x.{kind}").read_text() or kind == "txt"
    assert picture.text().replace("\n", "").isprintable()


@given(st.text(min_size=1, max_size=30))
def test_any_name_of_a_signal_can_be_drawn(name: str) -> None:
    history = record(ask, name, world=World(signals=[(timedelta(hours=1), name, b"1")]))

    assert drawn(timeline(history)) is not None
    assert timeline(history).text().replace("\n", "").isprintable()


# Files.


def test_a_picture_of_its_own_follows_the_theme_and_needs_nothing_else(tmp_path: Path) -> None:
    saved = timeline(cloud()).save(tmp_path / "run.svg").read_text()

    root = fromstring(saved.encode())
    used = set(re.findall(r"var\((--[a-z-]+)\)", saved))
    defined = set(re.findall(r"(--[a-z-]+):#", saved))
    assert used <= defined
    assert "prefers-color-scheme:dark" in saved
    assert not re.findall(r"(?:href|src|url\()", saved)
    assert "{http://www.w3.org/2000/svg}svg" == root.tag


@pytest.mark.lab
@pytest.mark.parametrize("dark", [False, True])
def test_a_picture_becomes_pixels(dark: bool, tmp_path: Path) -> None:
    needed("resvg_py")
    picture = timeline(cloud())
    small, large = picture.png(zoom=1, dark=dark), picture.png(zoom=2, dark=dark)

    assert b"\x89PNG" == small[:4]
    assert [round(picture.width), round(picture.height)] == pytest.approx(size(small), abs=1)
    assert [2 * side for side in size(small)] == pytest.approx(size(large), abs=2)
    assert small != picture.png(zoom=1, dark=not dark)
    assert b"\x89PNG" == picture.save(tmp_path / "run.png").read_bytes()[:4]


def size(png: bytes) -> list[int]:
    return [int.from_bytes(png[place : place + 4], "big") for place in (16, 20)]


def test_without_the_package_that_draws_pixels_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)

    with pytest.raises(UsageError, match=re.escape("pip install 'interp[notebook]', or save as .svg or .html")):
        timeline(cloud()).png()


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(".svg, .png, .html, .txt")):
        timeline(cloud()).save(tmp_path / "run.gif")


def test_nothing_is_loaded_that_only_some_pictures_need() -> None:
    code = "import interp.explore, sys; print({'resvg_py', 'pandas', 'anywidget'} & set(sys.modules))"

    assert "set()\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_of_the_documentation_are_what_is_drawn_today(name: str, tmp_path: Path) -> None:
    today = PICTURES[name].save(tmp_path / "today.svg").read_text()

    assert today == (IMAGES / f"{name}.svg").read_text(), "python -m tests.explore.pictures draws them anew; look first"

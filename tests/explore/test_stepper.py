"""The stepper, in a real browser: what a reader clicks, drags and presses, and what then stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Generator, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from interp import Command, activity, annotate, call, workflow
from interp.errors import UsageError
from interp.explore import Run, Stepper
from interp.explore.standing import let_go
from interp.explore.stepper import MOST_RECORDS
from interp.explore.view import page
from tests.explore.browser import chromium, complaints, needed
from tests.explore.flows import provision_fleet
from tests.explore.recording import CLOUD, record
from tests.explore.standing import damaged_run, run_of

Flow = Generator[Command[Any], Any, Any]
HISTORY = record(provision_fleet, "eu", [f"vm-{n}" for n in range(6)], world=CLOUD)
RUN = run_of(provision_fleet, HISTORY)

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\u2028<!--"


@activity
def stepper_echo(text: str) -> str:
    return text


@workflow
def stepper_hostile(text: str) -> Flow:
    yield annotate(**{text: text})
    total = 0
    for _ in range(3):
        total += len((yield from call(stepper_echo, text)))
    raise RuntimeError(text)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    let_go()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(width=1250, height=1000) as session:
        yield session


def opened(browser: Any, run: Run, tmp_path: Path, at: int = 0, dark: str = "") -> None:
    """Show the stepper in its frame, as a notebook does, and look into the frame."""
    html = page("stepper", run.step_through(at).html())
    file = tmp_path / "page.html"
    file.write_text(html.replace("<body>", f'<body data-jp-theme-light="{dark}">') if dark else html)
    browser.get(file.as_uri())
    browser.switch_to.frame(browser.find_element("css selector", "iframe"))
    find(browser, ".st-head").click()  # keys go to where the reader has clicked


def find(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def at(browser: Any) -> int:
    return int(find(browser, "#stepper").get_attribute("data-record"))


def lit(browser: Any) -> list[str]:
    return [each.text for each in browser.find_elements("css selector", ".lit")]


def press(browser: Any, key: str) -> None:
    keys = needed("selenium.webdriver.common.keys").Keys
    find(browser, "body").send_keys(getattr(keys, key))


@pytest.mark.lab
def test_keys_buttons_and_the_slider_move_through_the_records(browser: Any, tmp_path: Path) -> None:
    opened(browser, RUN, tmp_path, at=1)

    assert 1 == at(browser)
    assert "gather" in lit(browser)[0]
    find(browser, ".st-next").click()
    assert 2 == at(browser)
    find(browser, ".st-previous").click()
    find(browser, ".st-previous").click()
    assert 0 == at(browser)
    assert "create_subnet" in lit(browser)[0]
    find(browser, ".st-previous").click()
    assert 0 == at(browser), "there is nothing before the first one"

    press(browser, "ARROW_RIGHT")
    assert 1 == at(browser)
    assert "gather" in lit(browser)[0]
    press(browser, "END")
    assert len(HISTORY) - 1 == at(browser)
    assert "completed" in find(browser, ".st-head").text
    press(browser, "HOME")
    assert 0 == at(browser)

    slider = find(browser, ".st-slider")
    browser.execute_script("arguments[0].value = 5; arguments[0].dispatchEvent(new Event('input'))", slider)
    assert 5 == at(browser)
    slider.send_keys(needed("selenium.webdriver.common.keys").Keys.ARROW_RIGHT)
    assert 6 == at(browser), "one step, not two"
    assert [] == complaints(browser)


@pytest.mark.lab
def test_every_record_shows_what_the_moment_shows(browser: Any, tmp_path: Path) -> None:
    opened(browser, RUN, tmp_path)
    for index in range(len(HISTORY)):
        moment = RUN.at(index)
        seen = [re.sub(r"\s+", " ", each.text) for each in browser.find_elements("css selector", ".at-head .place")]
        assert index == at(browser)
        assert sorted({fiber.frames[-1].place for fiber in moment.fibers if fiber.frames}) == sorted(seen)
        changed = {each.text for each in browser.find_elements("css selector", "td.changed code")}
        assert bool(moment.changed) == bool(changed)
        press(browser, "ARROW_RIGHT")
    assert [] == complaints(browser)


@pytest.mark.lab
def test_jumps_go_to_failures_and_to_where_a_variable_changed(browser: Any, tmp_path: Path) -> None:
    opened(browser, RUN, tmp_path)
    expected = [each.index for each in HISTORY if type(each.cause).__name__ in ("AttemptFailed", "Rejected")]
    visited: list[int] = []
    for _ in (*expected, "and around"):
        find(browser, ".st-failure").click()
        visited.append(at(browser))

    assert [*expected, expected[0]] == visited

    press(browser, "HOME")
    assert not find(browser, ".st-after").is_enabled()
    select = needed("selenium.webdriver.support.select").Select(find(browser, ".st-variable"))
    select.select_by_visible_text("provision_vm.status")
    changes = [index for index in range(len(HISTORY)) if "provision_vm.status" in RUN.at(index).changed]
    for index in changes:
        find(browser, ".st-after").click()
        assert index == at(browser)
        assert "provision_vm.status changed" == find(browser, ".st-told").text
    find(browser, ".st-after").click()
    assert (changes[-1], "no later change") == (at(browser), find(browser, ".st-told").text)
    find(browser, ".st-before").click()
    assert changes[-2] == at(browser)
    assert [] == complaints(browser)


@pytest.mark.lab
def test_the_timeline_has_a_cursor_and_can_be_clicked(browser: Any, tmp_path: Path) -> None:
    opened(browser, RUN, tmp_path)
    chains = needed("selenium.webdriver").ActionChains
    before = find(browser, ".st-cursor").location["x"]
    strip = find(browser, ".st-strip")
    chains(browser).move_to_element_with_offset(strip, 60, 0).click().perform()

    assert 0 < at(browser) < len(HISTORY) - 1
    assert find(browser, ".st-cursor").location["x"] > before
    assert [] == complaints(browser)


@pytest.mark.lab
def test_the_frame_follows_the_theme_of_the_notebook(browser: Any, tmp_path: Path) -> None:
    colours = {}
    for light in ("true", "false"):
        opened(browser, RUN, tmp_path, dark=light)
        colours[light] = find(browser, ".st-root").value_of_css_property("color")

    assert "rgba(31, 35, 40, 1)" == colours["true"]
    assert "rgba(230, 237, 243, 1)" == colours["false"]


@pytest.mark.lab
def test_nothing_that_is_recorded_becomes_more_than_text(browser: Any, tmp_path: Path) -> None:
    history = record(stepper_hostile, HOSTILE, run_id=HOSTILE)
    run = run_of(stepper_hostile, history, HOSTILE)
    opened(browser, run, tmp_path)
    for _ in history:
        assert HOSTILE[:40] in find(browser, "#stepper").text
        assert browser.execute_script("return window.hacked") is None
        assert 3 == len(browser.find_elements("css selector", "script")) + 1
        assert [] == browser.find_elements("css selector", "img")
        press(browser, "ARROW_RIGHT")
    assert "raised in" in find(browser, ".cards").text
    assert [] == complaints(browser)


# Without a browser.


def data_of(stepper: Stepper) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="records">(.*?)</script>', stepper.page(), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_data_cannot_end_the_element_it_stands_in() -> None:
    run = run_of(stepper_hostile, record(stepper_hostile, HOSTILE, run_id=HOSTILE), HOSTILE)
    found = re.search(r'id="records">(.*?)</script>', run.step_through().page(), re.DOTALL)

    assert found is not None
    assert not set("<>&\u2028\u2029") & set(found[1])
    assert len(run.history) == len(json.loads(found[1])["steps"])


def test_a_long_run_is_shown_around_the_wish() -> None:
    history = record(provision_fleet, "eu", [f"vm-{n}" for n in range(150)], world=CLOUD)
    run = run_of(provision_fleet, history)
    stepper = run.step_through(at=400)
    data = data_of(stepper)

    assert 400 in stepper.records
    assert MOST_RECORDS == len(stepper.records) == len(data["steps"])
    assert (400, 150, 649) == (data["start"], data["first"], data["last"])
    assert data["note"].startswith("Records 150 to 649 of")
    assert MOST_RECORDS == len(run.step_through(at=-1).records)
    assert len(history) - 1 == run.step_through(at=-1).records[-1]
    assert len(stepper.page()) < 4_000_000


@pytest.mark.parametrize("broken", [0, 5])
def test_damaged_and_unknown_code_can_be_stepped_through(broken: int) -> None:
    run = damaged_run(provision_fleet, HISTORY, [broken])

    assert len(HISTORY) == len(data_of(run.step_through())["steps"])
    assert "cannot be drawn" not in run.step_through()._repr_html_()
    object.__setattr__(run, "_code", "gone")
    assert len(HISTORY) == len(data_of(run.step_through())["steps"])


def test_it_saves_itself_as_a_page_and_as_text(tmp_path: Path) -> None:
    stepper = RUN.step_through(3)
    assert "<!doctype html>" in stepper.save(tmp_path / "run.html").read_text()[:20]
    assert str(RUN.at(3)) in stepper.save(tmp_path / "run.txt").read_text()
    assert not re.search(r"(src|href)=|url\(|@import", stepper.page().partition('id="records"')[0])


def test_the_script_is_part_of_the_package() -> None:
    assert resources.files("interp.explore").joinpath("stepper.js").is_file()


@pytest.mark.lab
def test_the_widget_shows_each_record_it_is_set_to() -> None:
    needed("anywidget")
    widget = RUN.step_through(3, live=True)

    assert (3, 3) == (widget.step, widget.card["index"])
    widget.step = 4
    assert 4 == widget.card["index"]
    assert RUN.at(4).head_html() == widget.card["head"]
    widget.step = 10_000
    assert len(HISTORY) - 1 == widget.step == widget.card["index"]
    widget.step = 0
    changes = [index for index in range(len(HISTORY)) if "provision_vm.status" in RUN.at(index).changed]
    widget._handle_custom_msg({"seek": "provision_vm.status", "direction": 1}, [])
    assert changes[0] == widget.step
    widget._handle_custom_msg({"seek": "provision_vm.status", "direction": 1}, [])
    assert changes[1] == widget.step
    widget._handle_custom_msg({"seek": "provision_vm.status", "direction": -1}, [])
    assert changes[0] == widget.step
    widget._handle_custom_msg({"reread": True}, [])
    assert changes[0] == widget.step
    json.dumps({"card": widget.card, "shape": widget.shape})


def test_without_the_package_the_widget_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['anywidget'] = None; from interp.explore.stepper import live_stepper as live; live(0)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    ).stderr

    assert "pip install 'interp[notebook]', or leave out live=True" in told


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no record 999"):
        RUN.step_through(999)


@pytest.mark.lab
def test_the_widget_steps_in_a_browser_as_the_page_does(browser: Any, tmp_path: Path) -> None:
    """The two forms share `mount`; here a model that answers as the kernel does stands in for the kernel."""
    needed("anywidget")
    widget = RUN.step_through(3, live=True)
    cards = []
    for index in range(8):
        widget.step = index
        cards.append(widget.card)
    state = {"step": 3, "card": cards[3], "shape": widget.shape, "style": ""}
    stand_in = (
        f"const cards = {json.dumps(cards)}; const state = {json.dumps(state)};"
        "const heard = {};"
        "const model = { get: (k) => state[k], set: (k, v) => { state[k] = v; }, on: (e, f) => { heard[e] = f; },"
        "save_changes: () => setTimeout(() => { state.card = cards[state.step]; heard['change:card'](); }),"
        "send: (m) => { window.sent = m; } };"
        "widget({ model, el: document.getElementById('here') });"
    ).replace("</", "<\\/")
    script = resources.files("interp.explore").joinpath("stepper.js").read_text(encoding="utf-8")
    file = tmp_path / "widget.html"
    file.write_text(f"<!doctype html><meta charset=utf-8><div id=here></div><script>{script}\n{stand_in}</script>")
    browser.get(file.as_uri())
    wait = needed("selenium.webdriver.support.wait").WebDriverWait(browser, 10)

    def record_is(index: int) -> Any:
        return wait.until(lambda _: find(browser, ".st-root").get_attribute("data-record") == str(index))

    assert record_is(3)
    find(browser, ".st-next").click()
    assert record_is(4)
    find(browser, ".st-root").send_keys(needed("selenium.webdriver.common.keys").Keys.ARROW_LEFT)
    assert record_is(3)
    select = needed("selenium.webdriver.support.select").Select(find(browser, ".st-variable"))
    select.select_by_visible_text("provision_vm.name")
    find(browser, ".st-after").click()
    assert {"seek": "provision_vm.name", "direction": 1} == browser.execute_script("return window.sent")
    find(browser, ".st-reread").click()
    assert {"reread": True} == browser.execute_script("return window.sent")
    assert [] == complaints(browser)

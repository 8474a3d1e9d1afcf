"""`interp report` and `interp blocked`."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from interp.explore.finding import Query
from interp.explore.report import report_of_runs
from interp.explore.runs import Runs, runs_of
from interp.runtime.stores import open_store
from tests.cli.command import Told
from tests.explore.flows import provision_fleet
from tests.explore.recording import CLOUD, keep, record

Interp = Callable[..., Told]


class Page(HTMLParser):
    """The page, as a browser goes through it; it may load nothing and run nothing of ours but the stepper."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert tag not in ("script", "link", "img", "object")
        assert not {"src", "action", "data"} & found.keys()
        assert not [name for name in found if name.startswith("on")]
        if tag == "iframe":
            assert "allow-same-origin" not in (found["sandbox"] or "")
        self.ids += [found["id"] or ""] if "id" in found and tag == "section" else []
        self.links += [found["href"] or ""] if tag == "a" else []


@pytest.fixture
def filled(place: Path) -> Path:
    store = open_store("lmdb:.interp")
    history = record(provision_fleet, "eu-west-1", ["web-1", "web-2"], world=CLOUD, run_id="done")
    keep(store, "done", history)
    keep(store, "open", history[:9])
    store.close()
    return place


def test_one_run_in_one_file(inline: Interp, filled: Path) -> None:
    told = inline("report", "done", "-o", "out/done.html")
    text = (filled / "out/done.html").read_text()
    page = Page(text)

    assert 0 == told.code
    assert re.search(r"out/done.html: 1 run, \d+ kB", told.err)
    assert [f"#{name}" for name in page.ids] == page.links
    assert ["The run", "Critical path", "Step by step"] == re.findall(r"<h2>(.*?)</h2>", text)
    assert not re.search("https?://", re.sub("xmlns=[^ >]*", "", text))


def test_many_runs_in_one_file(inline: Interp, filled: Path) -> None:
    told = inline("report", "--json", "--whole", "1")
    text = (filled / "report.html").read_text()
    page = Page(text)

    assert {"file": "report.html", "runs": 2} == {name: told.json[name] for name in ("file", "runs")}
    assert len(page.ids) == len(page.links) >= 8
    assert "What waits" in text
    assert "… and 1 more run" in text
    assert "cannot be drawn" not in text


def test_filters_choose(inline: Interp, filled: Path) -> None:
    assert 1 == inline("report", "--json", "--open").json["runs"]
    assert 1 == inline("report", "--json", "--status", "completed").json["runs"]
    assert 1 == inline("report", "--json", "--limit", "1").json["runs"]
    assert 0 == inline("report", "--json", "--where", "stage=nowhere").json["runs"]
    assert inline("report", "done", "open", "--open").is_error("give run ids, or filters")
    assert inline("report", "--where", "stage").is_error("--where stage: expected NAME=VALUE")
    assert inline("report", "nobody").is_error("there is no run 'nobody'")


def test_plain_text(inline: Interp, filled: Path) -> None:
    assert 0 == inline("report", "done", "-o", "done.txt").code
    assert "provision_fleet('eu-west-1', ['web-1', 'web-2'])" in (filled / "done.txt").read_text()


def test_a_part_that_fails_does_not_take_the_others_with_it(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Runs) -> None:
        raise LookupError("<b>a part</b>")

    store = open_store("lmdb:.interp")
    monkeypatch.setattr(Runs, "latency", broken)
    text = report_of_runs(runs_of(store, Query())).html()
    store.close()

    assert "How long calls took cannot be drawn: LookupError: &lt;b&gt;a part&lt;/b&gt;" in text
    assert "Run by run" in text


def test_blocked_tells_what_waits(inline: Interp, filled: Path) -> None:
    told = inline("blocked")
    group, *_ = inline("blocked", "open", "--json").json["groups"]

    assert "1 open run, " in told.out
    assert "wakes: a worker: none has the run" in told.out
    assert {"workflow": "provision_fleet", "kind": "call"} == {name: group[name] for name in ("workflow", "kind")}
    assert ["open"] == group["runs"]
    assert "nothing waits\n" == inline("blocked", "done").out

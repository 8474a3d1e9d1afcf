"""Runs, listed as a person asks for them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from interp import Engine, annotate, call, workflow
from interp.errors import UnknownRun, UsageError
from interp.explore import Journal
from interp.explore.finding import query
from interp.explore.runs import runs_of
from interp.runtime.live import microseconds
from interp.runtime.stores import open_store
from interp.store import Append, Batch, Create, Reader, Status, Store
from tests.explore.flows import Flow, announce, provision_fleet
from tests.explore.recording import BEGIN, CLOUD, keep, record

NOW = BEGIN + timedelta(hours=10)
HOSTILE = "<script>alert(1)</script>\u202e"


@workflow
def listed_order(customer: str) -> Flow:
    yield annotate(customer=customer, vip=True, size={"w": 2})
    yield from call(announce, customer, "hello")


def _store(number: int) -> Store:
    """Runs r0, r1 ... one per hour: completed, failed, parked, pending in turn; workflows a and b in turn."""
    store = open_store("memory:")
    statuses = (Status.COMPLETED, Status.FAILED, Status.PARKED, Status.PENDING)
    for each in range(number):
        at_us = microseconds(BEGIN + timedelta(hours=each))
        name = f"wf_{'ab'[each % 2]}" + ("@2" if each % 4 == 3 else "")
        store.create(Create(f"r{each}", name, b"", b"", worker="w"), at_us)
        status = statuses[each % 4]
        if status is not Status.PENDING:
            reason = "diverged\nat record 3" if status is Status.PARKED else ""
            attributes = f'{{"customer":"{each}","n":{each}}}'.encode()
            append = Append(
                f"r{each}", 1, 0, [b"x"], status, None, at_us + 1_500_000, attributes=attributes, reason=reason
            )
            assert not store.commit(Batch(appends=[append]), at_us)
    return store


def _ids(store: Reader, workflow: Any = None, limit: int | None = None, **asked: Any) -> list[str]:
    asked = {"status": None, "since": None, "until": None, "attributes": None, "newest": False, **asked}
    return [*runs_of(store, query(workflow, limit=limit, now=NOW, **asked)).ids]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "01234567"),
        ({"newest": True, "limit": 3}, "765"),
        ({"newest": False, "limit": 3}, "012"),
        ({"limit": 0}, ""),
        ({"workflow": "wf_a"}, "0246"),
        ({"workflow": "wf_b"}, "1357"),
        ({"workflow": "wf_b@2"}, "37"),
        ({"workflow": "wf_b@1"}, "15"),
        ({"status": "failed"}, "15"),
        ({"status": Status.FAILED}, "15"),
        ({"status": ["failed", "parked"]}, "1256"),
        ({"status": "open"}, "2367"),
        ({"status": "ended"}, "0145"),
        ({"status": ["ended", "parked"]}, "012456"),
        ({"status": []}, ""),
        ({"since": BEGIN + timedelta(hours=6)}, "67"),
        ({"since": timedelta(hours=4)}, "67"),
        ({"since": "4h"}, "67"),
        ({"since": "2026-11-03T15:00+00:00"}, "67"),
        ({"until": BEGIN + timedelta(hours=2)}, "01"),
        ({"since": "8h", "until": "6h"}, "23"),
        ({"since": timedelta(days=999_999_999)}, "01234567"),
        ({"attributes": {"customer": "4"}}, "4"),
        ({"attributes": {"n": 4}}, "4"),
        ({"attributes": {"n": "4"}}, ""),
        ({"attributes": {"n": True}}, ""),
        ({"attributes": {"customer": "4", "n": 5}}, ""),
        ({"attributes": {"nothing": None}}, ""),
        ({"status": "open", "workflow": "wf_a", "since": "5h", "attributes": {"n": 6}}, "6"),
    ],
)
def test_runs_are_found_by_what_is_asked(asked: dict[str, Any], expected: str) -> None:
    assert [f"r{digit}" for digit in expected] == _ids(_store(8), **asked)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"status": "complete"}, "status='complete': there is none; the nearest is 'completed', of "),
        ({"status": ["open", "parkd"]}, "status='parkd': there is none; the nearest is 'parked'"),
        ({"workflow": "wf_c"}, "workflow='wf_c': there is none; the nearest is 'wf_"),
        ({"workflow": "wf_a@9"}, "workflow='wf_a@9': there is none; the nearest is 'wf_a'"),
        ({"since": "yesterday"}, "since='yesterday': expected how long ago"),
        ({"until": datetime(2026, 11, 3)}, "until=2026-11-03T00:00:00: which zone?"),  # noqa: DTZ001  that is the mistake
        ({"limit": -1}, "limit=-1: give how many"),
        ({"attributes": {"x": object()}}, "attributes="),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_can(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        _ids(_store(8), **asked)

    assert str(raised.value).startswith(told)


def test_a_workflow_without_runs_is_no_mistake() -> None:
    assert [] == _ids(_store(8), provision_fleet)
    assert [] == _ids(_store(8), "provision_fleet")


def test_long_lists_are_read_page_by_page() -> None:
    store = _store(2_500)

    assert [f"r{each}" for each in range(2_500)] == _ids(store)
    assert ["r2499", "r2498"] == _ids(store, newest=True, limit=2)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    url = f"lmdb:{tmp_path / 'runs'}"
    store = open_store(url)
    for number in range(3):
        history = record(provision_fleet, "eu", ["a", "b"], world=attrs.evolve(CLOUD, seed=number))
        keep(store, f"prov-{number}", history)
    open_history = record(provision_fleet, "eu", ["a"], world=CLOUD, until=timedelta(minutes=20))
    keep(store, "waiting-1", open_history)
    keep(store, HOSTILE, open_history, Status.FAILED)
    store.close()
    with Journal(url) as journal:
        yield journal


def test_a_run_is_read_by_its_place_and_by_its_id(journal: Journal) -> None:
    runs = journal.runs("provision_fleet", newest=False)

    assert ["prov-0", "prov-1", "prov-2", "waiting-1", HOSTILE] == [*runs.ids]
    assert ("prov-0", "prov-1", HOSTILE) == (runs[0].id, runs["prov-1"].id, runs[-1].id)
    assert [*runs.ids[1:3]] == [run.id for run in runs[1:3]]
    assert "prov-1" in runs
    assert "prov-9" not in runs
    with pytest.raises(IndexError):
        runs[5]
    with pytest.raises(UnknownRun, match=r"prov-1.*these 1 run of lmdb"):
        runs[:1]["prov-1"]


def test_a_listing_reads_no_history(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interp.explore.runs.read_run", None)

    assert 5 == len(journal.runs())
    assert 5 == len(journal.runs().frame())


def test_refreshing_lists_again_what_was_asked_for(journal: Journal) -> None:
    runs = journal.runs(status="open")
    store = open_store(journal.url)
    keep(store, "waiting-2", record(provision_fleet, "eu", ["a"], world=CLOUD, until=timedelta(minutes=20)))
    store.close()

    assert ("waiting-1",) == runs.ids
    assert ("waiting-2", "waiting-1") == runs.refresh().ids


def test_the_table_tells_how_runs_stand_and_what_they_wait_for(journal: Journal) -> None:
    text, html = str(journal.runs()), journal.runs()._repr_html_()

    assert "waiting-1" in text
    assert "call create_vm" in text or "signal 'approve'" in text
    assert '<span class="pill waiting">waiting</span>' in html
    assert '<th scope="col">waits for</th>' in html
    assert all(len(line) <= 120 for line in text.splitlines())


def test_hostile_ids_are_text(journal: Journal) -> None:
    html, text = journal.runs()._repr_html_(), str(journal.runs())

    assert "<script" not in html
    assert "<a" not in html
    assert "\u202e" not in html + text


def test_a_closed_journal_shows_what_was_listed(journal: Journal) -> None:
    runs = journal.runs()
    journal.close()

    assert "waiting-1" in str(runs)


def test_long_lists_show_their_beginning() -> None:
    runs = runs_of(_store(60), query(None, None, None, None, None, None, newest=True, now=NOW))

    assert "… 10 more; 60 runs in memory:; times in UTC" in str(runs)
    assert 51 == runs._repr_html_().count("<tr>")
    assert "no such runs in memory:" == str(runs[:0])


def test_a_listing_that_the_limit_cut_says_so() -> None:
    runs = runs_of(_store(8), query(None, None, None, None, None, 3, newest=True, now=NOW))

    assert runs.is_cut
    assert str(runs).endswith("3 runs in memory:, the newest of more: limit=None lists all; times in UTC")


def test_parked_and_pending_runs_tell_why(journal: Journal) -> None:
    text = str(runs_of(_store(4), query(None, None, None, None, None, None, newest=False, now=NOW)))

    assert "diverged" in text
    assert "at record 3" not in text
    assert "a worker" in text


def test_the_rows_are_columns() -> None:
    frame = runs_of(_store(4), query(None, None, None, None, None, None, newest=False, now=NOW)).frame()

    assert ("r0", "r1", "r2", "r3") == frame["run"].values
    assert ("completed", "failed", "parked", "pending") == frame["status"].values
    assert (1.5, 1.5, None, None) == frame["took_s"].values
    assert (1, 1, 1, 0) == frame["records"].values
    assert BEGIN + timedelta(hours=1) == frame["created_at"][1]
    assert ('{"customer":"0","n":0}', None) == (frame["attributes"][0], frame["attributes"][3])
    assert (None, "diverged\nat record 3") == (frame["reason"][0], frame["reason"][2])


def test_what_a_workflow_annotates_is_what_it_is_found_by(tmp_path: Path) -> None:
    url = f"lmdb:{tmp_path / 'runs'}"
    with Engine(url) as engine:
        for customer in ("41", "42"):
            engine.start(listed_order, customer, id=f"order-{customer}").result()
    with Journal(url) as journal:
        runs = journal.runs(attributes={"customer": "42", "vip": True, "size": {"w": 2}})

        assert ("order-42",) == runs.ids
        assert "&#x27;customer&#x27;: &#x27;42&#x27;" in runs._repr_html_()

"""Runs whose values go through a codec: they behave as without one, and nothing of their values is in the store."""

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interp import (
    Compressed,
    Encrypted,
    Engine,
    PayloadLocked,
    Retry,
    RunCancelled,
    RunFailed,
    RunParked,
    Status,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    child,
    current_call,
    workflow,
)
from interp.errors import RunExists
from interp.runtime.checking import check
from tests.runtime.helpers import WAIT, eventually, kinds

KEY, OTHER_KEY = Encrypted.new_key(), Encrypted.new_key()
CARD = "4242-SECRET"


@activity(retry=Retry(attempts=1))
def charge_sealed(card: str) -> str:
    current_call().heartbeat(f"charging {card}")
    if card.endswith("-bad"):
        raise ConnectionError(f"cannot charge {card}")
    return f"receipt of {card}"


@workflow
def paying_sealed(card: str) -> Workflow[str]:
    yield from annotate(card=card)
    receipt = yield from call(charge_sealed, card)
    comment = yield from await_signal("comment", str)
    return f"{receipt}, {comment}"


@workflow
def family_sealed(card: str) -> Workflow[str]:
    return (yield from child(paying_sealed, card, id="child"))


def on_disk(url: str) -> bytes:
    return (Path(url.removeprefix("lmdb://")) / "data.mdb").read_bytes()


def test_no_value_is_on_disk_and_the_run_is_as_without_a_codec(lmdb_url: str) -> None:
    with Engine(lmdb_url, codec=Encrypted(KEY), cache=0) as engine:  # no cache: replayed for each signal
        run = engine.start(paying_sealed, CARD, id="one")
        eventually(lambda: run.status is Status.WAITING)
        assert {"card": CARD} == run.state
        run.signal("comment", f"for {CARD}")
        assert f"receipt of {CARD}, for {CARD}" == run.result(WAIT)
        failed = engine.start(paying_sealed, f"{CARD}-bad")
        with pytest.raises(RunFailed, match=CARD):
            failed.result(WAIT)
        cancelled = engine.start(paying_sealed, CARD)
        cancelled.cancel(f"not {CARD}")
        with pytest.raises(RunCancelled, match=CARD):
            cancelled.result(WAIT)

    assert b"SECRET" not in on_disk(lmdb_url)
    assert b"charge_sealed" in on_disk(lmdb_url)


def test_who_waits_without_the_key_hears_so_and_the_worker_goes_on(url: str) -> None:
    told: list[BaseException] = []
    with Engine(url, codec=Encrypted(KEY)) as engine, Engine(url) as other:
        run = engine.start(paying_sealed, CARD)

        def wait() -> None:
            try:
                other.get(run.id).result(WAIT)
            except PayloadLocked as error:
                told.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        eventually(lambda: run.id in other._worker._watches._waiting)
        run.signal("comment", "thanks")
        waiting.join(WAIT.total_seconds())

        assert len(told) == 1 and "no codec was given" in str(told[0])
        assert other.trouble is None


def test_the_same_start_is_found_again_also_after_a_rotation_and_from_before_the_codec(url: str) -> None:
    with Engine(url) as engine:
        _ = engine.start(paying_sealed, CARD, id="plain")
    with Engine(url, codec=Encrypted(KEY)) as engine:
        _ = engine.start(paying_sealed, CARD, id="sealed")
    with Engine(url, codec=Encrypted(OTHER_KEY, KEY), cache=0) as engine:
        for run_id in ("plain", "sealed"):
            run = engine.start(paying_sealed, CARD, id=run_id)
            with pytest.raises(RunExists, match="is taken"):
                _ = engine.start(paying_sealed, "another", id=run_id)
            run.signal("comment", "ok")
            assert f"receipt of {CARD}, ok" == run.result(WAIT)


@pytest.mark.parametrize("codec", [None, Encrypted(OTHER_KEY)], ids=["no codec", "another key"])
def test_a_worker_without_the_key_leaves_the_run_to_others_and_says_so(
    lmdb_url: str, codec: Encrypted | None, caplog: pytest.LogCaptureFixture
) -> None:
    with Engine(lmdb_url, codec=Encrypted(KEY)) as engine:
        run = engine.start(paying_sealed, CARD, id="one")
        eventually(lambda: run.status is Status.WAITING)
        length = run.row.length
    with caplog.at_level(logging.ERROR), Engine(lmdb_url, codec=codec) as engine:
        run = engine.get("one")
        run.signal("comment", "ok")
        eventually(lambda: "is left to other workers" in caplog.text)
        plain = engine.start(paying_sealed, "not-a-bad", id="other")  # the worker goes on with what it can read
        with pytest.raises(RunFailed):
            plain.result(WAIT)
        for look in (run.history, lambda: run.state, lambda: engine.start(paying_sealed, "x", id="one").id):
            with pytest.raises(PayloadLocked, match=r"(no codec was given|encrypted with key .* given: key )"):
                look()
        assert (Status.WAITING, length) == (run.status, run.row.length)
    with Engine(lmdb_url, codec=Encrypted(KEY, OTHER_KEY)) as engine:
        run = engine.get("one")
        run.signal("comment", "late")
        assert f"receipt of {CARD}, ok" == run.result(WAIT)


def test_a_message_that_cannot_be_read_keeps_its_place(lmdb_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), Engine(lmdb_url) as plain, Engine(lmdb_url, codec=Encrypted(KEY)) as sealed:
        run = plain.start(paying_sealed, CARD, id="one")
        eventually(lambda: run.status is Status.WAITING)
        sealed.get("one").signal("comment", "first")
        eventually(lambda: "is left to other workers" in caplog.text)
        plain.close()
        sealed.get("one").signal("comment", "second")
        assert f"receipt of {CARD}, first" == sealed.get("one").result(WAIT)


def test_a_parked_run_tells_why_only_to_who_has_the_key(lmdb_url: str) -> None:
    @workflow(name="deployed_sealed")
    def first(card: str) -> Workflow[None]:
        yield from annotate(card=card)
        yield from await_signal("go")

    @workflow(name="deployed_sealed")
    def second(card: str) -> Workflow[None]:
        yield from annotate(other=card)
        yield from await_signal("go")

    with Engine(lmdb_url, codec=Encrypted(KEY)) as engine:
        run = engine.start(first, CARD, id="one")
        eventually(lambda: run.status is Status.WAITING)
    with Engine(lmdb_url, codec=Encrypted(KEY)) as engine:
        run = engine.start(second, CARD, id="one")
        run.signal("go")
        with pytest.raises(RunParked, match=CARD):
            run.result(WAIT)
    with Engine(lmdb_url) as engine, pytest.raises(RunParked) as parked:
        engine.get("one").result(WAIT)

    assert CARD not in str(parked.value)
    assert b"SECRET" not in on_disk(lmdb_url)


def test_children_forks_and_retries_go_through_the_codec(lmdb_url: str) -> None:
    with Engine(lmdb_url, codec=Compressed(Encrypted(KEY))) as engine:
        parent = engine.start(family_sealed, CARD)
        eventually(lambda: any(row.id == "child" and row.status is Status.WAITING for row in engine.runs()))
        engine.get("child").signal("comment", "ok")
        assert f"receipt of {CARD}, ok" == parent.result(WAIT)
        fork = engine.fork("child", at=2, id="fork")
        fork.signal("comment", "again")
        assert f"receipt of {CARD}, again" == fork.result(WAIT)
        failed = engine.start(paying_sealed, f"{CARD}-bad", id="failed")
        with pytest.raises(RunFailed):
            failed.result(WAIT)
        failed.retry()
        with pytest.raises(RunFailed):
            failed.result(WAIT)
        assert "Retried" in kinds(failed)
        assert check(engine.store, closed=True).fits

    assert b"SECRET" not in on_disk(lmdb_url)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)


@activity
def echo_sealed(value: Any) -> Any:
    return value


@workflow
def echoing_sealed(value: Any) -> Workflow[Any]:
    return (yield from call(echo_sealed, value))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=JSON)
def test_any_value_is_replayed_as_it_was_recorded(engines: list[Engine], value: Any) -> None:
    plain, sealed = (engine.start(echoing_sealed, value) for engine in engines)

    assert value == plain.result(WAIT) == sealed.result(WAIT)
    assert [record.commands for record in plain.history()] == [record.commands for record in sealed.history()]
    assert check(engines[1].store, closed=True).fits


@pytest.fixture
def engines() -> Any:
    with Engine("memory:") as plain, Engine("memory:", codec=Compressed(Encrypted(KEY))) as sealed:
        yield [plain, sealed]


class Failing:
    """A codec whose key store is out of reach now and then."""

    def __init__(self) -> None:
        self.is_out = threading.Event()
        self.asked = 0

    def encode(self, data: bytes, /) -> bytes:
        return data[::-1]

    def decode(self, data: bytes, /) -> bytes:
        self.asked += 1
        if self.is_out.is_set():
            raise OSError("the key store cannot be reached")
        return data[::-1]


def test_a_codec_that_fails_to_read_parks_nothing() -> None:
    codec = Failing()
    with Engine("memory:", codec=codec, cache=0) as engine:
        run = engine.start(paying_sealed, CARD)
        eventually(lambda: run.status is Status.WAITING)
        codec.is_out.set()
        with pytest.raises(PayloadLocked, match="the key store cannot be reached"):
            run.history()
        codec.is_out.clear()
        run.signal("comment", "ok")
        assert run.result(timeout=WAIT).endswith("ok")

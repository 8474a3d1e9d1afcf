"""Requests: who asks gets one answer, or learns why there is none; what is refused leaves no record."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import attrs
import pytest

from interp import (
    AskFailed,
    AskRefused,
    AskTimeout,
    AskUnanswered,
    Engine,
    Request,
    Run,
    RunFailed,
    RunParked,
    SignalPayloadError,
    SignalTimeout,
    Workflow,
    annotate,
    await_signal,
    continue_as,
    reply,
    workflow,
)
from interp.errors import InvalidDefinition, NotDecodable, NotEncodable, RunEnded, UnknownRun, UsageError
from interp.events import Asked, Signalled, Started, decode_event, encode_event
from interp.store import Post
from tests.runtime.helpers import WAIT, eventually, kinds

SOON = timedelta(milliseconds=30)


@attrs.frozen
class Order:
    item: str
    count: int


@attrs.frozen
class Price:
    cents: int


@workflow
def asking_shop(sells: int) -> Workflow[list[str]]:
    """Answer so many requests."""
    asked: list[str] = []
    for _ in range(sells):
        request = yield from await_signal("quote", Request[Order])
        asked.append(request.payload.item)
        if request.payload.count > 10:
            yield from reply(request, error="sold out")
        else:
            yield from reply(request, Price(100 * request.payload.count))
    return asked


def test_a_request_is_answered_and_both_sides_are_typed(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(asking_shop, 2)

        assert Price(300) == run.ask("quote", Order("tea", 3), type=Price, timeout=WAIT)
        assert {"cents": 200} == run.ask("quote", {"item": "jam", "count": 2})
        assert ["tea", "jam"] == run.result(WAIT)
        assert ["Started", "Asked", "Asked"] == kinds(run)
        assert () == run.topics, "answers are no streams of the user"


def test_an_error_in_reply_is_raised_where_it_was_asked(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(asking_shop, 1, id="shop")

        with pytest.raises(AskFailed, match="run 'shop' answered request 'quote' with an error: sold out"):
            run.ask("quote", Order("tea", 11))


def test_a_request_that_came_before_it_is_awaited_is_kept(url: str) -> None:
    with Engine(url) as engine, ThreadPoolExecutor(3) as pool:
        run = engine.start(asking_later)
        asking = [pool.submit(run.ask, "quote", Order("tea", count), type=Price) for count in (1, 2, 3)]
        eventually(lambda: kinds(run).count("Asked") == 3)
        run.signal("open")

        assert [Price(100), Price(200), Price(300)] == [each.result(WAIT.total_seconds()) for each in asking]


@workflow
def asking_later() -> Workflow[list[str]]:
    yield from await_signal("open")
    return (yield from asking_shop(3))


def test_the_same_id_is_asked_once_and_answered_the_same_also_after_the_end(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(asking_shop, 2, id="shop")

        assert Price(300) == run.ask("quote", Order("tea", 3), type=Price, id="one")
        assert Price(300) == run.ask("quote", Order("tea", 3), type=Price, id="one")
        engine.store.post(Post("shop", encode_event(Asked("quote", b'{"item":"tea","count":5}', "one"))), 1)
        assert Price(500) == run.ask("quote", Order("jam", 5), type=Price)
        assert ["tea", "jam"] == run.result(WAIT)
        assert ["Started", "Asked", "Asked"] == kinds(run)

    with Engine(url) as engine:
        assert Price(300) == engine.get("shop").ask("quote", Order("tea", 3), type=Price, id="one")


def test_many_who_ask_at_once_under_one_id_get_one_answer(url: str) -> None:
    with Engine(url) as engine, ThreadPoolExecutor(8) as pool:
        run = engine.start(asking_shop, 1)
        asking = [pool.submit(run.ask, "quote", Order("tea", 1), type=Price, id="one", timeout=WAIT) for _ in range(8)]

        assert [Price(100)] * 8 == [each.result() for each in asking]
        assert ["tea"] == run.result(WAIT)
        assert ["Started", "Asked"] == kinds(run)


def test_a_request_that_times_out_may_be_answered_later(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(asking_later, id="shop")
        with pytest.raises(AskTimeout, match=r"has not answered request 'quote' within 0\.03 s") as late:
            run.ask("quote", Order("tea", 1), timeout=SOON)
        assert isinstance(late.value, TimeoutError)
        run.signal("open")

        assert Price(100) == run.ask("quote", Order("tea", 1), type=Price, id=late.value.request_id)
        assert 1 == kinds(run).count("Asked")


@workflow
def asking_in_vain() -> Workflow[str]:
    yield from await_signal("quote", Request)
    yield from await_signal("go")
    return "without a word"


def test_a_run_that_ends_without_an_answer_is_told_at_once(url: str) -> None:
    with Engine(url) as engine, ThreadPoolExecutor(2) as pool:
        run = engine.start(asking_in_vain, id="mute")
        asking = [pool.submit(run.ask, name, 1) for name in ("quote", "nobody awaits it")]
        eventually(lambda: kinds(run).count("Asked") == 2)
        run.signal("go")

        for each in asking:
            with pytest.raises(AskUnanswered, match=r"run 'mute' has ended \(completed\) without answering request"):
                each.result()
        with pytest.raises(RunEnded, match="completed"):
            run.ask("quote", 1)
        run.id = "gone"
        with pytest.raises(UnknownRun):
            run.ask("quote", 1)


def test_a_cancelled_run_may_answer_in_its_cleanup(url: str) -> None:
    with Engine(url) as engine, ThreadPoolExecutor(1) as pool:
        run = engine.start(asking_while_cancelled)
        asking = pool.submit(run.ask, "quote", 1)
        eventually(lambda: "Asked" in kinds(run))
        run.cancel()

        with pytest.raises(AskFailed, match="closed"):
            asking.result()


@workflow
def asking_while_cancelled() -> Workflow[None]:
    request = yield from await_signal("quote", Request[int])
    try:
        yield from await_signal("never")
    finally:
        yield from reply(request, error="closed")


class TooMuch(Exception):
    """Why an order is refused."""


def check_order(order: Order, state: dict[str, Any]) -> None:
    if order.count > state.get("left", 0):
        raise TooMuch(f"{order.count} of {state.get('left', 0)}")
    if order.count == 0:
        raise ValueError("order something")
    if order.count < 0:
        raise AssertionError


@workflow(validators={"quote": check_order})
def asking_checked(left: int) -> Workflow[int]:
    while left:
        yield from annotate(left=left)
        request = yield from await_signal("quote", Request[Order])
        left -= request.payload.count
        yield from reply(request, left)
    return left


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"item": "tea", "count": 4}, "TooMuch: 4 of 3"),
        ({"item": "tea", "count": 0}, "order something"),
        ({"item": "tea", "count": -1}, "AssertionError"),
        ({"item": "tea"}, "order.count: expected Order"),
        ("tea", "order: expected Order, found 'tea'"),
    ],
)
def test_a_refused_request_leaves_no_record(url: str, order: Any, reason: str) -> None:
    with Engine(url) as engine, Engine(url) as other:
        run = engine.start(asking_checked, 3, id="shop")
        for ask in (run.ask, other.get("shop").ask):  # fed directly, and by the inbox
            with pytest.raises(AskRefused) as refused:
                ask("quote", order, id=None)

            assert refused.value.reason.startswith(reason)
            assert f"run 'shop' refused request 'quote': {refused.value.reason}" == str(refused.value)
        assert ["Started"] == kinds(run)
        assert () == engine.store.inbox("shop")


def exits(number: int, _state: dict[str, Any]) -> None:
    sys.exit(f"no {number}")


@workflow(validators={"ask": exits})
def asking_exits() -> Workflow[int]:
    request = yield from await_signal("ask", Request[int])
    return request.payload


def test_a_validator_that_exits_refuses_and_its_worker_lives_on(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(asking_exits)
        with pytest.raises(AskRefused, match="SystemExit: no 7"):
            run.ask("ask", 7, timeout=WAIT)

        assert engine.trouble is None


def test_a_validator_sees_the_last_state_and_is_asked_once_about_an_id(url: str) -> None:
    with Engine(url, cache=0) as engine:
        run = engine.start(asking_checked, 3)

        assert 1 == run.ask("quote", Order("tea", 2), id="a")
        for _ in range(2):
            with pytest.raises(AskRefused, match="2 of 1"):
                run.ask("quote", Order("tea", 2), id="b")
        assert 0 == run.ask("quote", Order("tea", 1), id="c")
        with pytest.raises(AskRefused, match="2 of 1"):
            run.ask("quote", Order("tea", 2), id="b")
        assert ["Started", "Asked", "Asked"] == kinds(run)


def test_a_payload_that_does_not_fit_what_is_awaited_is_refused_without_a_record(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(asking_shop, 1)
        with pytest.raises(AskRefused, match=r"expected Order"):
            run.ask("quote", 3)

        assert Price(100) == run.ask("quote", Order("tea", 1), type=Price)
        assert ["Started", "Asked"] == kinds(run)


@workflow
def asking_later_for_a_number() -> Workflow[str]:
    yield from await_signal("open")
    try:
        request = yield from await_signal("quote", Request[int])
    except SignalPayloadError as error:
        return error.payload
    yield from reply(request)
    return "fits"


def test_a_payload_that_turns_out_not_to_fit_is_refused_when_it_is_awaited(url: str) -> None:
    with Engine(url) as engine, ThreadPoolExecutor(1) as pool:
        run = engine.start(asking_later_for_a_number)
        asking = pool.submit(run.ask, "quote", "three")
        eventually(lambda: "Asked" in kinds(run))
        run.signal("open")

        with pytest.raises(AskRefused, match="expected int, found 'three'"):
            asking.result()
        assert "'three'" == run.result(WAIT)


@workflow
def asking_both() -> Workflow[list[Any]]:
    got: list[Any] = [(yield from await_signal("x", int))]
    request = yield from await_signal("x", Request[int])
    yield from reply(request, request.payload + 1)
    return [*got, request.payload]


def test_signals_and_requests_of_one_name_do_not_mix(url: str) -> None:
    with Engine(url) as engine, ThreadPoolExecutor(1) as pool:
        run = engine.start(asking_both)
        asking = pool.submit(run.ask, "x", 1)
        eventually(lambda: "Asked" in kinds(run))
        assert not asking.done(), "a plain signal is awaited, and a request is none"
        run.signal("x", 7)

        assert 2 == asking.result()
        assert [7, 1] == run.result(WAIT)

        run = engine.start(asking_shop, 1)
        run.signal("quote", {"item": "tea", "count": 1})
        assert Price(200) == run.ask("quote", Order("tea", 2), type=Price)
        assert ["tea"] == run.result(WAIT)


@workflow
def asking_rounds(round_no: int, request: Request[int] | None) -> Workflow[int]:
    """Answer the request of the round before, take the next one, and continue as new."""
    if request is not None:
        yield from reply(request, round_no)
    if round_no == 3:
        return round_no
    taken = yield from await_signal("next", Request[int])
    return (yield from continue_as(round_no + 1, taken))


def test_requests_outlive_a_round_whether_they_were_taken_or_not(url: str) -> None:
    with Engine(url, cache=0) as engine, ThreadPoolExecutor(3) as pool:
        run = engine.start(asking_rounds, 0, None)
        asking = []
        for number in range(3):
            asking.append(pool.submit(run.ask, "next", number, id=f"request {number}"))
            eventually(lambda number=number: round_of(run) > number)  # type: ignore[misc]  # mypy cannot infer a lambda's default

        assert [1, 2, 3] == [each.result() for each in asking]
        assert 1 == run.ask("next", 0, id="request 0")
        assert 3 == run.result(WAIT)


def round_of(run: Run[Any]) -> int:
    (first, *_) = run.history()
    assert isinstance(first.cause, Started)
    return first.cause.round


@workflow
def asking_twice() -> Workflow[list[str]]:
    told: list[str] = []
    request = yield from await_signal("quote", Request)
    for answered in (request, Request("another", 1), request):
        try:
            yield from reply(answered, object() if not told and answered is request else 1)
        except (UsageError, NotEncodable) as error:
            told.append(str(error))
            if isinstance(error, NotEncodable):
                yield from reply(request, "once")
    return told


def test_a_request_is_answered_once_and_only_where_it_was_asked(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(asking_twice)

        assert "once" == run.ask("quote", 1, id="one")
        first, *others = run.result(WAIT)
        assert first.startswith("value")
        assert [
            "reply: request 'another' ('') was never asked of this run",
            "reply: request 'one' ('quote') was answered before",
        ] == others


def test_what_cannot_be_a_reply_is_refused() -> None:
    with pytest.raises(TypeError, match="takes a Request"):
        reply(3)  # type: ignore[arg-type, unused-awaitable]
    with pytest.raises(ValueError, match="a value or an error"):
        reply(Request("a", 1), 2, error="both")  # type: ignore[unused-awaitable]


@workflow
def asking_for_a_while() -> Workflow[str]:
    try:
        yield from await_signal("quote", Request, timeout=timedelta(milliseconds=1))
    except SignalTimeout as late:
        return str(late)
    return "unreached"


def test_awaiting_a_request_times_out_like_a_signal(url: str) -> None:
    with Engine(url) as engine:
        assert "no signal 'quote' within 0.001 s" == engine.start(asking_for_a_while).result(WAIT)


@workflow
def asking_and_failing() -> Workflow[str]:
    request = yield from await_signal("quote", Request[int])
    yield from reply(request, "first")
    if not _mended.is_set():
        raise ValueError("broken")
    again = yield from await_signal("quote", Request[int])
    yield from reply(again, "second")
    return "mended"


_mended = threading.Event()


def test_a_retry_answers_nobody_anew_and_takes_the_request_again(url: str) -> None:
    _mended.clear()
    with Engine(url) as engine:
        run: Run[str] = engine.start(asking_and_failing)
        assert "first" == run.ask("quote", 1, id="one")
        with pytest.raises(RunFailed):
            run.result(WAIT)
        _mended.set()
        run.retry()

        assert "first" == run.ask("quote", 1, id="one")
        assert "second" == run.ask("quote", 2, id="two")
        assert "mended" == run.result(WAIT)
        assert ["Started", "Retried", "Asked", "Asked"] == kinds(run)


def test_a_fork_and_a_replay_answer_nobody(url: str) -> None:
    with Engine(url, cache=0) as engine:
        run = engine.start(asking_shop, 2, id="shop")
        assert Price(100) == run.ask("quote", Order("tea", 1), type=Price, id="one")
        fork = engine.fork("shop", at=2, id="fork")
        assert Price(300) == fork.ask("quote", Order("jam", 3), type=Price)
        assert Price(200) == run.ask("quote", Order("jam", 2), type=Price)

        assert ["tea", "jam"] == fork.result(WAIT) == run.result(WAIT)
        assert 2 == len(engine.store.topics("shop"))
        assert 1 == len(engine.store.topics("fork"))


def test_a_fork_refuses_what_its_history_has_answered_and_answers_what_it_owes(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(asking_shop, 2, id="shop")
        _ = run.ask("quote", Order("tea", 1), id="one")
        fork = engine.fork("shop", at=2, id="fork")
        with pytest.raises(AskRefused, match="forked from has answered it"):
            fork.ask("quote", Order("tea", 1), id="one", timeout=WAIT)
        assert Price(300) == fork.ask("quote", Order("jam", 3), type=Price, id="two", timeout=WAIT)
        assert ["tea", "jam"] == fork.result(WAIT)


def test_a_parked_run_keeps_the_request_and_says_that_it_is_parked(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(asking_parked, 0)
        with pytest.raises(RunParked):
            run.ask("quote", 1, id="one")

        assert ["Started", "Asked"] == [type(each).__name__ for each in inbox(engine, run.id)]


@workflow
def asking_parked(number: int) -> Workflow[None]:
    yield from continue_as(number)


def inbox(engine: Engine, run_id: str) -> list[object]:
    return [decode_event(message.body) for message in engine.store.inbox(run_id)]


@pytest.mark.parametrize("request_id", ["", "x" * 181, "a\0b", "\ud800"])
def test_an_id_that_cannot_be_is_refused(url: str, request_id: str) -> None:
    with Engine(url) as engine:
        run = engine.start(asking_in_vain)

        with pytest.raises(UsageError, match="request id"):
            run.ask("quote", 1, id=request_id)


def test_values_that_do_not_fit_say_so(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(asking_shop, 1)
        with pytest.raises(NotEncodable, match="payload"):
            run.ask("quote", object())
        with pytest.raises(NotDecodable, match="answer to request 'quote': expected str"):
            run.ask("quote", Order("tea", 1), type=str)


async def check_async(payload: Any, state: Any) -> None:
    pass


@pytest.mark.parametrize("validator", [check_async, lambda payload: None, 3], ids=["async", "one", "number"])
def test_what_cannot_be_a_validator_is_refused(validator: Any) -> None:
    with pytest.raises(InvalidDefinition, match="declares for request 'quote' the validator"):

        @workflow(validators={"quote": validator})
        def asking_wrongly() -> Workflow[None]:
            yield from await_signal("quote", Request)


def test_a_signal_has_no_validator(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(asking_checked, 3)
        run.signal("quote", "anything")

        assert Signalled("quote", b'"anything"') == run.history()[-1].cause

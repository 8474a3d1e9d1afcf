"""What type checkers infer where workflows are started. Never run: mypy and pyright read it."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_type

import interp
from interp import Engine, Run, Stream, StreamItem, Workflow, sleep, workflow

HOUR = timedelta(hours=1)


def seen(*values: object) -> None: ...


class Order:
    id: str


@workflow
def checkout(order: Order) -> Workflow[str]:
    yield from sleep(HOUR)
    return order.id


@workflow
def with_default(order: Order, note: str = "") -> Workflow[int]:
    yield from sleep(HOUR)
    return len(note)


@workflow
def with_keyword(order: Order, *, note: str = "") -> Workflow[int]:
    yield from sleep(HOUR)
    return len(note)


@workflow
def with_many(*orders: Order) -> Workflow[int]:
    yield from sleep(HOUR)
    return len(orders)


@workflow
def without() -> Workflow[None]:
    yield from sleep(HOUR)


async def started(engine: Engine, order: Order) -> None:
    run = engine.start(checkout, order, id="order-42")
    seen(assert_type(run, Run[str]))
    assert_type(run.result(timeout=HOUR), str)
    assert_type(await run, str)
    assert_type(run.state, dict[str, Any])
    seen(assert_type(engine.start(with_default, order), Run[int]))
    seen(assert_type(engine.start(with_default, order, "note"), Run[int]))
    seen(assert_type(engine.start(with_keyword, order), Run[int]))
    seen(assert_type(engine.start(with_many, order, order), Run[int]))
    seen(assert_type(engine.start(without), Run[None]))
    seen(assert_type(engine.get("order-42"), Run[Any]))
    assert_type(interp.run(checkout, order, id="order-42"), str)
    assert_type(interp.run(with_default, order), int)
    assert_type(interp.run(without), None)


def wrong(engine: Engine, order: Order) -> None:
    seen(engine.start(checkout))  # type: ignore[arg-type]
    seen(engine.start(checkout, "42"))  # type: ignore[arg-type]
    # Keyword arguments of `start` are its own: a workflow's arguments go by position.
    seen(engine.start(with_keyword, order, note="gift"))  # type: ignore[call-arg]
    seen(engine.start(checkout, order, order))  # type: ignore[arg-type]
    interp.run(checkout, 42)  # type: ignore[arg-type]
    text: int = interp.run(checkout, order)  # type: ignore[assignment]
    seen(text)


def told(run: Run[str]) -> None:
    assert_type(run.ask("quote", Order(), type=int, timeout=HOUR), int)
    assert_type(run.ask("quote"), Any)
    seen(assert_type(run.stream("tokens", type=str), Stream[str]))
    seen(assert_type(run.stream("tokens", start=3), Stream[Any]))
    for item in run.stream("tokens", type=str).items():
        seen(assert_type(item, StreamItem[str]), assert_type(item.value, str))
    for token in run.stream("tokens", type=str):
        assert_type(token, str)


async def told_live(run: Run[str]) -> None:
    async for token in run.stream("tokens", type=str):
        assert_type(token, str)

"""The order of things: networks, then what lies in them, then an approval, then what the public sees.

Nothing here touches the world, so that it can be replayed: after a crash the whole function runs again, up to the
place where it stood, with the results that are in the journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import attrs

from examples.provision.cloud import CREATORS, is_ready
from examples.provision.inventory import write_down
from examples.provision.plan import Environment, Resource, inner_resources, networks, public_resources
from interp import Workflow, annotate, await_signal, call, gather, now, sleep, workflow

__all__ = ["Approval", "Built", "NeverReady", "Summary", "build", "in_lanes", "provision"]

T = TypeVar("T")
R = TypeVar("R")

# How many resources are worked on at the same time: what the API lets one account do without throttling it.
LANES = 8

# How often a resource is looked at until it is ready, and after how many looks something must be wrong.
POLL_EVERY = timedelta(seconds=0.4)
MOST_POLLS = 150


@attrs.frozen
class Approval:
    """What must come in before the environment goes public."""

    by: str


@attrs.frozen
class Built:
    """A resource that is there, ready and written down."""

    resource: Resource
    id: str


@attrs.frozen
class Summary:
    """What came of it."""

    environment: str
    built: dict[str, int]
    approved_by: str
    took: timedelta


class NeverReady(Exception):
    """A resource was created and did not become ready."""


@workflow
def provision(environment: Environment) -> Workflow[Summary]:
    """Build an environment, and let somebody look at it before the public can."""
    began = yield from now()

    yield annotate(stage="networks")
    outer = yield from in_lanes(build, networks(environment))

    yield annotate(stage="services")
    network_ids = {built.resource.service: built.id for built in outer}
    inner = yield from in_lanes(build, inner_resources(environment, network_ids))

    yield annotate(stage="awaiting approval")
    approval = yield from await_signal("approve", Approval)

    yield annotate(stage="public")
    public = yield from in_lanes(build, public_resources(environment))

    ended = yield from now()
    kinds = Counter(str(built.resource.kind) for built in (*outer, *inner, *public))
    return Summary(environment.name, dict(kinds), approval.by, ended - began)


def build(resource: Resource) -> Workflow[Built]:
    """Create one resource, wait until it is ready, and write it down."""
    resource_id = yield from call(CREATORS[resource.kind], resource)
    for _ in range(MOST_POLLS):
        if (yield from call(is_ready, resource.kind, resource_id)):
            yield from call(write_down, resource, resource_id)
            return Built(resource, resource_id)
        yield from sleep(POLL_EVERY)
    raise NeverReady(f"{resource.kind} {resource_id} ({resource.name})")


def in_lanes(work: Callable[[T], Workflow[R]], items: Sequence[T]) -> Workflow[list[R]]:
    """Do the same work for all items, several at a time, and return the results in the order of the items."""
    # All lanes take from one iterator: a lane that is done with its item takes the next one. Which lane gets which item
    # depends on which results come first, and that is written in the journal: a replay deals them out the same way.
    waiting = iter(enumerate(items))
    results: dict[int, R] = {}

    def lane() -> Workflow[None]:
        for number, item in waiting:
            results[number] = yield from work(item)

    yield from gather(*[lane() for _ in range(LANES)])
    return [results[number] for number in range(len(items))]

"""The yields of a workflow as a graph, and how it is laid out."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp import call, gather, race, sleep, spawn, workflow
from interp.definitions import workflow_of
from interp.explore import Journal
from interp.explore.commands import Past
from interp.explore.layout import lay_out
from interp.explore.path_map import path_map_of
from interp.explore.ways import ENDS, START, Ways, ways_of
from interp.runtime.stores import open_store
from tests.explore.flows import Flow, announce, attach, create_subnet, health_check, provision_fleet
from tests.explore.recording import CLOUD, World, keep, record

QUIET = World(answers={"health_check": lambda chance, _: "healthy" if chance.random() < 0.5 else "starting"})


@workflow
def mapped_chain(times: int) -> Flow:
    yield from call(announce, "a", "b")
    for _ in range(times):
        yield from call(health_check, "vm")
    yield from call(attach, "vm", "vol")


def _branch(name: str) -> Flow:
    yield from call(health_check, name)
    yield from call(attach, name, "vol")


@workflow
def mapped_gather(names: list[str]) -> Flow:
    yield from call(announce, "a", "b")
    yield from gather(*[_branch(name) for name in names])
    yield from call(create_subnet, "eu")


@workflow
def mapped_race() -> Flow:
    yield from race(call(health_check, "vm"), sleep(timedelta(days=1)))
    yield from call(create_subnet, "eu")


@workflow
def mapped_spawn() -> Flow:
    _ = yield spawn(_branch("a"))
    yield from call(create_subnet, "eu")
    yield sleep(timedelta(hours=1))


@workflow
def mapped_failure() -> Flow:
    yield from call(announce, "a", "b")
    yield from call(health_check, "vm")
    raise RuntimeError("no")


def _past(flow: Any, *args: Any, world: World = QUIET, run: str = "r", **more: Any) -> Past:
    return Past(run, "wf", record(flow, *args, world=world, **more))


def _named(ways: Ways) -> dict[tuple[str, str], int]:
    """The edges by short names: activity, or kind."""

    def name(key: str) -> str:
        site = ways.sites.get(key)
        return key if site is None else site.target or site.kind

    return {(name(source), name(target)): number for (source, target), number in ways.edges.items()}


def test_a_loop_leads_back_to_its_own_place() -> None:
    ways = ways_of([_past(mapped_chain, 3), _past(mapped_chain, 0)])

    assert {
        (START, "announce"): 2,
        ("announce", "health_check"): 1,
        ("health_check", "health_check"): 2,
        ("health_check", "attach"): 1,
        ("announce", "attach"): 1,
        ("attach", "completed"): 2,
    } == _named(ways)
    assert [2, 3, 2] == [site.number for site in ways.sites.values()]
    assert (2, Counter(completed=2)) == (ways.runs, ways.ends)


def test_branches_fork_and_join() -> None:
    ways = ways_of([_past(mapped_gather, ["a", "b", "c"])])

    assert {
        (START, "announce"): 1,
        ("announce", "health_check"): 3,
        ("health_check", "attach"): 3,
        ("attach", "create_subnet"): 1,
        ("create_subnet", "completed"): 1,
    } == _named(ways)


def test_nothing_leads_on_from_the_loser_of_a_race() -> None:
    assert {
        (START, "health_check"): 1,
        (START, "sleep"): 1,
        ("health_check", "create_subnet"): 1,
        ("create_subnet", "completed"): 1,
    } == _named(ways_of([_past(mapped_race)]))


def test_a_spawned_fiber_goes_beside_its_owner() -> None:
    edges = _named(ways_of([_past(mapped_spawn)]))

    assert edges[START, "health_check"] == edges[START, "create_subnet"] == 1
    assert ("attach", "create_subnet") not in edges


@workflow
def mapped_fork(is_large: bool) -> Flow:
    if is_large:
        yield sleep(timedelta(hours=1))
        yield from call(create_subnet, "eu")
    yield from call(announce, "a", "b")


def test_yields_that_no_run_reached_are_shown_apart() -> None:
    definition = workflow_of(mapped_fork)
    ways = ways_of([_past(mapped_fork, False)], definition)
    view = path_map_of(ways, "forks")

    assert [("sleep", ""), ("call", "create_subnet")] == [(each.kind, each.target) for each in ways.unreached]
    assert "never reached by these runs" in view.svg()
    assert ["never reached"] * 2 == re.findall("never reached", str(view))
    assert () == ways_of([_past(mapped_fork, True)], definition).unreached


def test_yields_of_a_generator_that_a_comprehension_calls_are_found_too() -> None:
    ways = ways_of([_past(mapped_gather, [])], workflow_of(mapped_gather))

    assert ["health_check", "attach"] == [each.target for each in ways.unreached]


def test_what_other_code_has_recorded_does_not_tell_what_is_never_reached() -> None:
    past = _past(mapped_fork, False)
    first = past.history[0]
    cause = msgspec.structs.replace(first.cause, code="abcdef")
    other = attrs.evolve(past, history=(msgspec.structs.replace(first, cause=cause), *past.history[1:]))

    assert () == ways_of([past, other], workflow_of(mapped_fork)).unreached


def test_runs_end_at_the_command_that_ended_them() -> None:
    ways = ways_of([_past(mapped_failure)])

    assert ("health_check", "failed") in _named(ways)
    assert ("announce", "failed") not in _named(ways)


def test_runs_that_go_on_wait_where_they_stand() -> None:
    ways = ways_of([_past(provision_fleet, "eu", ["a", "b"], world=CLOUD, until=timedelta(minutes=8))])
    waits = {site.target or site.kind: site.waits for site in ways.sites.values() if site.waits}

    assert not ways.ends
    assert {"create_vm": 1, "sleep": 1} == waits
    assert "1 waits here" in path_map_of(ways, "x").svg()


def test_a_long_title_does_not_make_the_picture_wide() -> None:
    svg = path_map_of(ways_of([]), "checkout" * 1_000).svg()
    found = re.search(r'viewBox="0 0 (\d+)', svg)

    assert found is not None
    assert int(found[1]) < 1_000


def test_everything_is_counted() -> None:
    pasts = [_past(provision_fleet, "eu", ["a", "b", "c"], world=attrs.evolve(CLOUD, seed=seed)) for seed in range(5)]
    ways = ways_of(pasts)
    commands = sum(len(each.commands) for past in pasts for each in past.history)

    assert commands == sum(site.number for site in ways.sites.values())
    assert 5 == sum(ways.ends.values()) == ways.edges[START, next(iter(ways.sites))]
    assert all(source in ways.sites or source == START for source, _ in ways.edges)


def _lines(number: int) -> Any:
    """Return a generator function of so many lines, each with a call: what generated workflows look like."""
    body = "".join(f"    yield from call(announce, 'a', '{line}')\n" for line in range(number))
    names: dict[str, Any] = {"call": call, "announce": announce}
    exec(compile(f"def lines():\n{body}", "lines.py", "exec"), names)
    return names["lines"]


SIXTY = _lines(60)


@workflow
def mapped_many() -> Flow:
    yield from SIXTY()


def test_too_many_places_leave_out_the_rarest_and_the_ways_lead_past_them() -> None:
    ways = ways_of([_past(mapped_many)])

    assert (36, 24) == (len(ways.sites), ways.hidden)
    assert 37 == len(ways.edges)
    reached, node = 0, START
    while node not in ENDS:
        (node,) = [target for source, target in ways.edges if source == node]
        reached += 1
    assert 37 == reached
    assert "24 places left out" in str(path_map_of(ways, "x"))


# Layout.


@st.composite
def _graphs(draw: st.DrawFn) -> tuple[list[str], dict[tuple[str, str], float]]:
    nodes = [str(number) for number in range(draw(st.integers(1, 14)))]
    pairs = st.tuples(st.sampled_from(nodes), st.sampled_from(nodes))
    edges = draw(st.dictionaries(pairs, st.floats(1, 1000), max_size=40))
    return nodes, edges


@given(_graphs())
def test_nodes_never_overlap_and_edges_lead_down(graph: tuple[list[str], dict[tuple[str, str], float]]) -> None:
    nodes, edges = graph
    laid = lay_out(nodes, edges, first=nodes[0], width=100, gap=20, lane=10)
    level = {node: place for place, layer in enumerate(laid.layers) for node in layer}

    assert sorted(nodes) == sorted(level)
    for layer in laid.layers:
        places = [laid.x[node] for node in layer]
        assert all(other - one >= 119.99 for one, other in itertools.pairwise(places))
    assert all(49.99 <= laid.x[node] <= laid.width - 49.99 for node in nodes)
    for source, target in edges:
        if source != target and (source, target) not in laid.back:
            assert level[source] < level[target]
            assert level[target] - level[source] - 1 == len(laid.routes[source, target])
    assert not laid.back or all(level[source] >= level[target] for source, target in laid.back)


@given(_graphs())
def test_the_layout_is_always_the_same(graph: tuple[list[str], dict[tuple[str, str], float]]) -> None:
    nodes, edges = graph

    assert lay_out(nodes, edges, first=nodes[0], width=9, gap=2, lane=1) == lay_out(
        nodes, edges, first=nodes[0], width=9, gap=2, lane=1
    )


def test_a_chain_is_a_straight_line() -> None:
    laid = lay_out(list("abc"), {("a", "b"): 1.0, ("b", "c"): 1.0}, first="a", last=["c"], width=9, gap=2, lane=1)

    assert (("a",), ("b",), ("c",)) == laid.layers
    assert 1 == len(set(laid.x.values()))


# The view.


@pytest.fixture
def journal(request: pytest.FixtureRequest) -> Iterator[Journal]:
    url = f"memory:{request.node.name}"
    store = open_store(url)
    keep(store, "chain", record(mapped_chain, 2, world=QUIET))
    keep(store, "fleet", record(provision_fleet, "eu", ["a", "b"], world=CLOUD))
    with Journal(url) as journal:
        yield journal
    store.close()


def test_the_map_of_a_workflow_is_of_its_runs_alone(journal: Journal) -> None:
    view = journal.path_map(mapped_chain)

    assert {"announce", "health_check", "attach"} == set(view.frame["target"])
    assert [1, 2, 1] == list(view.frame["commands"])
    assert 1 == view.ways.runs
    assert "start" in view.edges["from"].values


def test_the_text_tells_the_ways_on(journal: Journal) -> None:
    lines = str(journal.path_map("mapped_chain")).splitlines()

    assert "mapped_chain  the ways of 1 run" == lines[0]
    assert "   start → 1 ×1" == lines[1]
    assert lines[2].startswith("   1  announce ")
    assert "      → 2 ×1, 3 ×1" == lines[5]
    assert "      completed: 1 run" == lines[-1]

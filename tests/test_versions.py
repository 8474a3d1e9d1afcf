"""How versions are written, asked for and registered."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp import RunFilter, Workflow, call, workflow
from interp.definitions import find_workflow, newest_workflow, successor_of, workflow_of, workflows
from interp.errors import InvalidDefinition, UnknownWorkflow
from interp.store import Create, RunRow, Status
from interp.versions import explicit, family_of, is_of, split, tag_of

FAMILIES = st.text(st.characters(exclude_characters="@", codec="utf-8"), min_size=1, max_size=5)
VERSIONS = st.integers(1, 10**6)
ANY_TEXT = st.text(st.sampled_from("a@012"), max_size=6)


def defined(name: str, version: int, file: str = "shop.py") -> Any:
    """Define a version of a workflow as if in a file of its own."""
    source = f"@workflow(name={name!r}, version={version})\ndef some_function(n: int):\n    yield None\n"
    namespace: dict[str, Any] = {"workflow": workflow, "__name__": file.removesuffix(".py")}
    exec(compile(source, file, "exec"), namespace)
    return namespace["some_function"]


# --- how they are written ---


@given(FAMILIES, VERSIONS)
def test_name_and_version_come_back_from_what_the_store_writes(family: str, version: int) -> None:
    tag = tag_of(family, version)

    assert (family, version) == split(tag) == split(explicit(tag))
    assert family == family_of(tag)
    assert is_of(tag, family) and is_of(tag, explicit(tag))
    assert not is_of(tag, f"{family}@{version + 1}")


@given(FAMILIES, VERSIONS, FAMILIES, VERSIONS)
def test_two_versions_are_written_alike_only_if_they_are_the_same(
    family: str, version: int, other: str, other_version: int
) -> None:
    assert ((family, version) == (other, other_version)) == (tag_of(family, version) == tag_of(other, other_version))


@given(ANY_TEXT)
def test_whatever_a_store_holds_has_a_name_and_a_version_and_is_what_it_is(text: str) -> None:
    family, version = split(text)

    assert version >= 1
    assert text in (tag_of(family, version), explicit(text))
    assert is_of(text, text)


def test_version_1_is_written_as_before_there_were_versions() -> None:
    assert ("checkout", "checkout@2") == (tag_of("checkout", 1), tag_of("checkout", 2))


# --- what is asked for ---


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 3))), st.sampled_from(["a", "b"]), VERSIONS)
def test_a_filter_finds_all_versions_of_a_name_and_one_when_it_is_given(
    runs: list[tuple[str, int]], family: str, version: int
) -> None:
    rows = [RunRow("x", tag_of(*run), b"", Status.WAITING, 0, None, None, 0, 0, 0, b"", "") for run in runs]
    all_of_it, one = RunFilter(workflow=family), RunFilter(workflow=f"{family}@{version}")

    assert [run[0] == family for run in runs] == [all_of_it.matches(row) for row in rows]
    assert [run == (family, version) for run in runs] == [one.matches(row) for row in rows]


@given(FAMILIES, VERSIONS, VERSIONS, st.binary(max_size=2), st.binary(max_size=2))
def test_the_same_is_asked_for_again_whatever_the_version(
    family: str, version: int, other: int, digest: bytes, other_digest: bytes
) -> None:
    create = Create("x", tag_of(family, version), digest, b"")

    assert (digest == other_digest) == create.is_same(tag_of(family, other), other_digest)
    assert not create.is_same(tag_of(f"{family}x", version), digest)


# --- what is registered ---


def test_versions_stand_side_by_side_and_a_name_means_the_newest() -> None:
    first, third = (defined("side_by_side", version) for version in (1, 3))

    assert workflow_of(first) is find_workflow("side_by_side") is newest_workflow("side_by_side@1")
    assert workflow_of(third) is find_workflow("side_by_side@3") is newest_workflow("side_by_side")
    assert workflow_of(third) is newest_workflow("side_by_side@3") is successor_of(workflow_of(first))
    assert ("side_by_side", 3) == (workflow_of(third).family, workflow_of(third).version)
    assert {"side_by_side", "side_by_side@3"} <= workflows().keys()


@given(st.lists(st.integers(1, 9), min_size=1, unique=True), st.data())
def test_the_newest_is_the_greatest_number_in_whatever_order_they_are_defined(
    versions: list[int], data: st.DataObject
) -> None:
    name = f"ordered_{'_'.join(map(str, versions))}"
    made = [workflow_of(defined(name, version)) for version in versions]
    newest = max(made, key=lambda definition: definition.version)

    assert newest is newest_workflow(name)
    assert newest is successor_of(data.draw(st.sampled_from(made)))


def test_an_older_version_alone_is_never_taken_for_another() -> None:
    defined("only_second", 2)

    with pytest.raises(UnknownWorkflow, match=r"'only_second@1'.*only_second@2"):
        find_workflow("only_second")
    with pytest.raises(UnknownWorkflow, match="'only_second@3'"):
        newest_workflow("only_second@3")


def test_the_same_version_again_in_one_file_replaces_it_and_in_another_is_not_guessed() -> None:
    defined("versioned_twice", 1)
    defined("versioned_twice", 2)
    again = workflow_of(defined("versioned_twice", 2))
    assert again is newest_workflow("versioned_twice")

    defined("versioned_twice", 2, file="other.py")

    with pytest.raises(InvalidDefinition, match=r"other\.py:1.*shop\.py:1"):
        newest_workflow("versioned_twice")
    assert "versioned_twice@2" not in workflows()
    first = find_workflow("versioned_twice")
    assert first is successor_of(first), "a version that is not known for certain is nothing to go on in"


@pytest.mark.parametrize("version", [0, -1, True, "2", 1.0])
def test_a_version_that_is_no_number_from_1_on_is_refused(version: Any) -> None:
    with pytest.raises(InvalidDefinition, match=r"odd_version.*declares version=.*\n  Versions are whole numbers"):

        @workflow(version=version)
        def odd_version() -> Workflow[None]:
            yield from call(print)


def test_a_name_with_an_at_sign_is_refused_with_the_cure() -> None:
    with pytest.raises(InvalidDefinition, match=r"'@' in its name.*\n  .*version=2"):

        @workflow(name="checkout@2")
        def named_like_a_version() -> Workflow[None]:
            yield from call(print)

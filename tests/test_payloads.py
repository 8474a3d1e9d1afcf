"""Codecs for values at rest, and which bytes of a record go through them."""

import inspect
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp import events
from interp.errors import UsageError
from interp.events import (
    AttemptFailed,
    CancelRequested,
    ChildEnded,
    Completed,
    ContinuedAs,
    Event,
    Failed,
    Failure,
    Fired,
    Heartbeat,
    Origin,
    Record,
    Rejected,
    Resolved,
    Retried,
    Signalled,
    Started,
    Transition,
    WasCancelled,
    WorkerLost,
    encode_event,
    encode_transition,
)
from interp.payloads import Compressed, Encrypted, PayloadCodec
from interp.sealing import TEXTS, Ways, is_sealed, open_bytes, open_text, seal_bytes, seal_text
from interp.store import Append, Batch, Claim, Create, Message, Post, Reopen, RunRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = [Encrypted.new_key() for _ in range(2)]
CODECS: list[PayloadCodec] = [
    Encrypted(KEYS[0]),
    Compressed(),
    Compressed(Encrypted(KEYS[0])),
    Compressed(Compressed(), level=1),
]

# --- codecs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: str(CODECS.index(codec)))
@given(data=st.binary() | st.binary(max_size=8).map(lambda part: part * 1_000) | st.just(b"\x00zlib\x00"))
def test_a_value_comes_back_as_it_was(codec: PayloadCodec, data: bytes) -> None:
    assert data == codec.decode(codec.encode(data))


def test_what_is_encrypted_does_not_show_and_is_never_the_same_twice() -> None:
    codec = Encrypted(KEYS[0])
    first, second = codec.encode(b"4242"), codec.encode(b"4242")

    assert first != second
    assert b"4242" not in first
    assert KEYS[0] not in repr(codec)


def test_a_key_is_rotated_by_putting_the_new_one_in_front() -> None:
    old, both, new = Encrypted(KEYS[0]), Encrypted(KEYS[1], KEYS[0]), Encrypted(KEYS[1])

    assert b"x" == both.decode(old.encode(b"x"))
    assert b"x" == new.decode(both.encode(b"x"))


def test_another_key_says_which_one_is_needed() -> None:
    sealed = Encrypted(KEYS[0]).encode(b"x")

    with pytest.raises(ValueError, match=f"encrypted with key {sealed[:4].hex()}, which was not given; given: key "):
        Encrypted(KEYS[1]).decode(sealed)


@given(st.binary(), st.data())
def test_a_change_of_a_single_bit_is_noticed(data: bytes, drawn: st.DataObject) -> None:
    codec = Encrypted(KEYS[0])
    sealed = bytearray(codec.encode(data))
    sealed[drawn.draw(st.integers(0, len(sealed) - 1))] ^= 1 << drawn.draw(st.integers(0, 7))

    with pytest.raises(ValueError, match=r"damaged|not given"):
        codec.decode(bytes(sealed))


@pytest.mark.parametrize("keys", [(), ("secret",), (KEYS[0], b"short")])
def test_what_is_no_key_is_refused_and_not_shown(keys: tuple[str | bytes, ...]) -> None:
    with pytest.raises(UsageError, match="new_key") as refused:
        Encrypted(*keys)

    assert "secret" not in str(refused.value)
    assert "short" not in str(refused.value)


def test_compression_makes_smaller_what_can_be_smaller_and_nothing_larger() -> None:
    codec = Compressed()

    assert len(codec.encode(b'{"cents": 1999}, ' * 1_000)) < 200
    assert b'{"cents": 1999}' == codec.encode(b'{"cents": 1999}')
    assert b"old" == Compressed(Encrypted(KEYS[0])).decode(Encrypted(KEYS[0]).encode(b"old"))
    with pytest.raises(UsageError, match="level=0"):
        Compressed(level=0)


# --- what is sealed ---------------------------------------------------------------------------------------------------

NAMES = {
    "Failure": {"type_name"},
    "Record": {"id", "kind", "target", "where"},
    "Origin": {"run_id", "given"},
    "Started": {"workflow", "code", "worker", "mailbox", "parent", "tells", "asked"},
    "Resolved": {"id"},
    "Rejected": {"id"},
    "AttemptFailed": {"id"},
    "Heartbeat": {"id"},
    "Reconciled": {"id"},
    "Fired": {"id"},
    "Signalled": {"name"},
    "Asked": {"id", "name"},
    "WorkerLost": {"worker", "successor", "code"},
    "Delivered": {"id"},
    "Refused": {"id", "why"},
    "Retried": {"id"},
    "ChildEnded": {"id"},
}


def test_every_text_of_a_record_is_known_as_a_name_or_sealed() -> None:
    # Who adds a field decides here whether it may quote a value; then it belongs into TEXTS. Bytes are always sealed.
    found: dict[str, set[str]] = {}
    for kind in vars(events).values():
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == events.__name__:
            names = {field.name for field in msgspec.structs.fields(kind) if "str" in str(field.type)}
            names -= TEXTS.get(kind, frozenset())
            if names:
                found[kind.__name__] = names

    assert NAMES == found


def test_every_field_of_a_row_is_known_to_the_store_behind_the_codec() -> None:
    # Who adds a field here with values in it seals it in runtime/sealed.py.
    fields = {kind.__name__: " ".join(inspect.signature(kind).parameters) for kind in ROWS}

    assert {
        "RunRow": (
            "id workflow digest status length due_us owner token created_us updated_us attributes reason "
            "misfit released_by"
        ),
        "Message": "number body",
        "Create": "run_id workflow digest start worker records messages attributes",
        "Post": "run_id body",
        "Append": (
            "run_id token index records status due_us at_us consumed seen attributes reason restart release "
            "creates posts workflow misfit emits"
        ),
        "Reopen": "run_id length record messages attributes",
        "Batch": "creates posts appends transacts emissions by",
        "Claim": "run messages lost",
    } == fields


ROWS = (RunRow, Message, Create, Post, Append, Reopen, Batch, Claim)

SECRETS = st.text().map(lambda text: f"SECRET{text}")
VALUES = SECRETS.map(str.encode)
FAILURES = st.builds(Failure, st.just("shop.Refused"), SECRETS, SECRETS, VALUES)
STARTS = st.builds(
    Started,
    st.just("checkout"),
    VALUES,
    VALUES,
    mailbox=st.lists(st.tuples(st.just("approve"), VALUES)).map(tuple),
    state=VALUES | st.just(b""),
    forked_from=st.just((Origin("run", 1, ("2",)),)),
    failures=st.lists(FAILURES).map(tuple),
)
ENDS = st.builds(Completed, VALUES) | st.builds(Failed, FAILURES) | st.builds(WasCancelled, SECRETS)
REJECTED = st.builds(Rejected, st.just("1"), FAILURES, st.booleans())
EVENTS: st.SearchStrategy[Event] = (
    STARTS
    | REJECTED
    | st.builds(Resolved, st.just("1"), VALUES)
    | st.builds(AttemptFailed, st.just("1"), st.just(1), FAILURES, st.just(NOON))
    | st.builds(Heartbeat, st.just("1"), st.just(1), VALUES)
    | st.builds(Signalled, st.just("approve"), VALUES)
    | st.builds(CancelRequested, SECRETS)
    | st.builds(ChildEnded, st.just("1"), st.just(0), ENDS)
    | st.builds(Retried, FAILURES, REJECTED)
    | st.just(Fired("1"))
    | st.just(WorkerLost("a", "b"))
)
KINDS = st.sampled_from(["call", "child", "new kind"])
RECORDS = st.builds(
    Record,
    st.just("1"),
    st.sampled_from(["call", "child", "new kind"]),
    st.just("charge"),
    VALUES,
    st.just("shop.py:7"),
)
TRANSITIONS = st.builds(
    Transition, st.integers(0, 99), st.just(NOON), EVENTS, st.lists(RECORDS).map(tuple), ENDS | st.none()
)


def ways(codec: PayloadCodec) -> tuple[Ways, Ways]:
    return (
        Ways(codec.encode, lambda text: seal_text(text, codec.encode)),
        Ways(codec.decode, lambda text: open_text(text, codec.decode)),
    )


@pytest.mark.parametrize("codec", [CODECS[0], CODECS[2]], ids=["encrypted", "compressed"])
@given(data=EVENTS.map(encode_event) | TRANSITIONS.map(encode_transition))
def test_no_value_shows_and_all_of_them_come_back(codec: PayloadCodec, data: bytes) -> None:
    seal, opened = ways(codec)
    sealed = seal.seal(data)

    assert b"SECRET" not in sealed
    assert is_sealed(sealed) == (b"SECRET" in data)
    assert data == opened.open(sealed)
    assert data == opened.open(data)


@given(data=st.binary())
def test_what_is_no_record_is_sealed_whole(data: bytes) -> None:
    codec = CODECS[0]

    assert data == open_bytes(seal_bytes(data, codec.encode), codec.decode)
    # What is sealed begins as neither JSON nor MessagePack may.
    assert is_sealed(data) or data == open_bytes(data, codec.decode)


@given(text=st.text(alphabet=st.characters()))
def test_texts_come_back_lone_surrogates_too(text: str) -> None:
    assert text == open_text(seal_text(text, CODECS[0].encode), CODECS[0].decode)


def test_the_structure_of_a_record_is_readable_without_the_key() -> None:
    seal, _ = ways(CODECS[0])
    commands = (
        Record("2", "call", "charge", b'["SECRET"]', "shop.py:7"),
        Record("3", "sleep", "", b"[3600.0]", "shop.py:8"),
    )
    record = Transition(4, NOON, Resolved("1", b'"SECRET"'), commands, ContinuedAs(Started("shop", b"[]", b"SECRET")))
    shown = events.decode_transition(seal.seal(encode_transition(record))[2:])

    assert (4, NOON, "1") == (shown.index, shown.at, getattr(shown.cause, "id", None))
    assert [("2", "call", "charge", "shop.py:7"), ("3", "sleep", "", "shop.py:8")] == [
        (command.id, command.kind, command.target, command.where) for command in shown.commands
    ]
    assert b"[3600.0]" == shown.commands[1].payload

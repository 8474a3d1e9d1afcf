"""What is left of a history when parts of it are damaged."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interp.errors import JournalCorrupt
from interp.events import encode_transition
from interp.explore import Journal
from interp.explore.decoding import read_history
from interp.store import Append, Batch, Create, Status
from stores import lmdb
from tests.explore.flows import provision_fleet
from tests.explore.hostile import Evil, EvilReader, row_of
from tests.explore.recording import CLOUD, record

HISTORY = record(provision_fleet, "eu", ["a"], world=CLOUD)
RECORDS = [encode_transition(transition) for transition in HISTORY]


def read(records: list[bytes | JournalCorrupt]) -> tuple[list[int], dict[int, str]]:
    history, damage = read_history(EvilReader(Evil(row_of(records), records)), "evil")
    return [transition.index for transition in history], {lost.index: lost.why for lost in damage}


def changed(place: int, **changes: Any) -> bytes:
    return encode_transition(msgspec.structs.replace(HISTORY[place], **changes))


def test_a_sound_history_is_read_as_it_is() -> None:
    reader = EvilReader(Evil(row_of(RECORDS), RECORDS))

    assert read_history(reader, "evil") == (HISTORY, ())


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (b"", "truncated"),
        (RECORDS[3][:-4], "truncated"),
        (b"\xc1", "malformed"),
        (JournalCorrupt("record 3", "its checksum does not match"), "its checksum does not match"),
        (changed(3, at=datetime(1, 1, 1, tzinfo=UTC)), "its time is 0001-01-01"),
        (changed(3, at=datetime(2026, 1, 1)), "its time is 2026-01-01T00:00:00"),  # noqa: DTZ001  that is the point
        (changed(3, index=2), "it says that it is record 2"),
        (changed(3, index=9_999), "it says that it is record 9,999"),
        (changed(1, index=3, commands=(msgspec.structs.replace(HISTORY[1].commands[-1], id="x"),)), "'x' in it is no"),
        (changed(1, index=3), "a command in it has the id of another"),
        (changed(3, commands=2 * HISTORY[3].commands), "a command in it has the id of another"),
    ],
)
def test_what_cannot_be_read_is_told_in_its_place(record: bytes | JournalCorrupt, why: str) -> None:
    indexes, damage = read([*RECORDS[:3], record, *RECORDS[4:]])

    assert indexes == [index for index in range(len(RECORDS)) if index != 3]
    assert list(damage) == [3]
    assert why in damage[3]


def test_missing_records_are_told_one_by_one() -> None:
    indexes, damage = read([*RECORDS[:3], *RECORDS[5:]])

    assert indexes == [0, 1, 2, *range(5, len(RECORDS))]
    assert damage == {3: "it is missing", 4: "it is missing"}


def test_a_store_that_refuses_everything_is_given_up() -> None:
    indexes, damage = read([JournalCorrupt("here", "no")] * 5_000)

    assert indexes == []
    assert len(damage) == 1_000


def test_a_flipped_bit_in_an_lmdb_store_costs_one_record(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = lmdb.open(f"lmdb://{path}")
    append = Append("a", 1, 0, RECORDS, Status.RUNNING, None, 2)
    store.commit(Batch(creates=[Create("a", "w", b"", b"", worker="ann")], appends=[append]), 1)
    store.close()
    data = (path / "data.mdb").read_bytes()
    assert data.count(RECORDS[4]) == 1
    (path / "data.mdb").write_bytes(data.replace(RECORDS[4], RECORDS[4][:-1] + bytes([RECORDS[4][-1] ^ 1])))

    with Journal(path) as journal:
        run = journal["a"]

    assert [lost.index for lost in run.damage] == [4]
    assert run.history == (*HISTORY[:4], *HISTORY[5:])

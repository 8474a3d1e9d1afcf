"""The workflow of examples/scenarios/large_files.py with a file of 20 MB."""

from pathlib import Path

import pytest

from examples.scenarios.large_files import kept, sort_lines, sorted_file, take_in
from interp import Engine

SIZE = 20_000_000


def test_a_large_file_leaves_a_small_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOBS", str(tmp_path / "blobs"))
    source = tmp_path / "measurements.csv"
    source.write_bytes(b"".join(b"%019d\n" % (number * 7919 % 1_000_003) for number in range(SIZE // 20)))

    with Engine(f"lmdb://{tmp_path}/journal") as engine:
        run = engine.start(sorted_file, str(source))
        assert {"lines": SIZE // 20, "bytes": SIZE} == run.result()
        records = sum(len(record) for record in engine.store.history(run.id))

    assert records < 5_000
    assert 2 == len(list((tmp_path / "blobs").iterdir()))


def test_an_activity_that_is_made_again_gives_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOBS", str(tmp_path / "blobs"))
    source = tmp_path / "lines"
    source.write_bytes(b"b\na\nc\n")

    first, second = (sort_lines(take_in(str(source))) for _ in range(2))

    assert first == second
    assert b"a\nb\nc\n" == kept(first).read_bytes()

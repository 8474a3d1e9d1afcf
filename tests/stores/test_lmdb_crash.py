"""What an LMDB store holds after the process that wrote it was killed."""

import random
from pathlib import Path

import pytest

from interp.store import Create
from stores import lmdb
from tests.stores.children import RUNS, child, record

ROUNDS = 20


@pytest.mark.parametrize("durability", ["full", "none"])
def test_after_a_kill_each_history_is_a_prefix_and_holds_all_that_was_acknowledged(
    tmp_path: Path, durability: str
) -> None:
    url = f"lmdb://{tmp_path}/store?durability={durability}"
    for seed in range(ROUNDS):
        with child("commit", url) as writer:
            acknowledged = [writer.line() for _ in range(random.Random(seed).randrange(1, 60))]
            writer.kill()
            acknowledged += writer.rest()
        store = lmdb.open(url)
        histories = {run_id: list(store.history(run_id)) for run_id in RUNS}
        store.close()

        lengths = {len(history) for history in histories.values()}
        assert len(lengths) == 1, f"seed {seed}: a batch was written in part"
        assert min(lengths) >= int(acknowledged[-1]), f"seed {seed}: an acknowledged record is missing"
        for run_id, history in histories.items():
            assert history == [record(run_id, index) for index in range(len(history))], f"seed {seed}"


def test_a_kill_while_the_store_is_made_leaves_none_or_a_whole_one(tmp_path: Path) -> None:
    generator = random.Random(0)
    for number in range(8):
        url = f"lmdb://{tmp_path}/{number}"
        with child("make", url) as maker:
            maker.line()
            maker.go_on()
            for _ in range(generator.randrange(30_000)):  # a moment somewhere in the making
                pass
            maker.kill()
        store = lmdb.open(url)
        assert store.create(Create("mine", "w", b"", b""), 1)
        store.close()

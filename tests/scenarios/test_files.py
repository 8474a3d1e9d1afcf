"""Scenario 17: the calls of a run are made on one worker's disk; when it dies, the next one begins on its own."""

import os
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import pytest

from examples.scenarios import world
from examples.scenarios.files import shrink_video
from interp import Status, Workflow, activity, call, sleep, workflow
from tests.runtime.helpers import WAIT, WAIT_S
from tests.scenarios.stage import Stage, Start


@pytest.fixture
def disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The disks of two workers: the second is that of this process."""
    disks = [tmp_path / name for name in ("disk-a", "disk-b")]
    for disk in disks:
        disk.mkdir()
    monkeypatch.setenv("SCRATCH", str(disks[1]))
    return [str(disk) for disk in disks]


def test_the_worker_that_takes_over_starts_with_its_own_disk(stage: Stage, disks: list[str]) -> None:
    stage.killed(shrink_video, "cat.mp4", dies=2, scratch=disks[0])

    assert "5 frames" == stage.played(shrink_video, "cat.mp4")

    assert [
        "download cat.mp4 to disk-a",
        "shrink in disk-a",
        "download cat.mp4 to disk-b",
        "shrink in disk-b",
        "upload 5 frames from disk-b",
    ] == world.deeds()


@activity
def touch(step: str) -> None:
    world.do(step)


@workflow
def rest_between() -> Workflow[None]:
    yield from call(touch, "before")
    yield from sleep(timedelta(milliseconds=50))
    yield from call(touch, "after")


def test_a_run_that_sleeps_stays_with_its_worker_while_others_are_idle(stage: Stage) -> None:
    runs = [Start(rest_between, id=f"run-{n}") for n in range(10)]
    with stage.engine() as idle:
        process = stage.begin(*runs)
        process.join(WAIT_S)
        assert [Status.COMPLETED] * 10 == [idle.get(run.id).status for run in runs]

    assert {process.pid} == {request.process for request in world.requests()}
    assert 20 == len(world.requests())


def test_two_workers_that_live_do_not_share_a_run(stage: Stage, disks: list[str]) -> None:
    videos = [Start(shrink_video, (f"{n}.mp4",), f"video-{n}") for n in range(8)]
    process = stage.begin(*videos[:4], scratch=disks[0])
    with stage.engine() as engine:
        for video in videos[4:]:
            engine.start(shrink_video, *video.args, id=video.id).result(WAIT)
        process.join()
        for video in videos:
            assert "5 frames" == engine.get(video.id).result(WAIT)

    workers = defaultdict[str, set[int]](set)
    for request in world.requests():
        workers[request.key.partition("/")[0]].add(request.process)
    assert 8 == len(workers)
    assert {os.getpid(), process.pid} == set[int]().union(*workers.values())
    assert {1} == {len(processes) for processes in workers.values()}
    assert 24 == len(world.requests())

"""Drives Temporal's Replayer over histories that are made here: no server is needed for that."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta

from driving import Numbers, main, per_second
from google.protobuf.duration_pb2 import Duration
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload, Payloads, RetryPolicy
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.sdk.v1 import WorkflowTaskCompletedMetadata
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

_MINUTE = Duration(seconds=60)


@activity.defn
async def increment(number: int) -> int:
    return number + 1


@workflow.defn
class Count:
    @workflow.run
    async def run(self, steps: int) -> int:
        number = 0
        for _ in range(steps):
            number = await workflow.execute_activity(increment, number, start_to_close_timeout=timedelta(seconds=60))
        return number


class Writer:
    """Writes the events that a server would have recorded."""

    def __init__(self, steps: int) -> None:
        self.events: list[HistoryEvent] = []
        self._milliseconds = 1_700_000_000_000
        self._task_completed = 0
        event = self._add("WORKFLOW_EXECUTION_STARTED")
        started = event.workflow_execution_started_event_attributes
        started.workflow_type.name = "Count"
        started.task_queue.name, started.task_queue.kind = "queue", 1
        started.input.CopyFrom(_payloads(steps))
        started.original_execution_run_id = started.first_execution_run_id = "00000000-0000-0000-0000-000000000001"
        started.workflow_id = "run"
        started.attempt = 1
        started.workflow_task_timeout.CopyFrom(_MINUTE)

    def _add(self, kind: str) -> HistoryEvent:
        self._milliseconds += 1
        event = HistoryEvent(event_id=len(self.events) + 1, event_type=EventType.Value(f"EVENT_TYPE_{kind}"))
        event.event_time.FromMilliseconds(self._milliseconds)
        self.events.append(event)
        return event

    def workflow_task(self) -> None:
        """The workflow is called, and has answered."""
        scheduled = self._add("WORKFLOW_TASK_SCHEDULED")
        scheduled.workflow_task_scheduled_event_attributes.task_queue.name = "queue"
        scheduled.workflow_task_scheduled_event_attributes.start_to_close_timeout.CopyFrom(_MINUTE)
        scheduled.workflow_task_scheduled_event_attributes.attempt = 1
        started = self._add("WORKFLOW_TASK_STARTED")
        started.workflow_task_started_event_attributes.scheduled_event_id = scheduled.event_id
        started.workflow_task_started_event_attributes.identity = "worker"
        started.workflow_task_started_event_attributes.request_id = "6d71379a-1a94-474a-bf61-424bcc4c720b"
        completed = self._add("WORKFLOW_TASK_COMPLETED")
        attributes = completed.workflow_task_completed_event_attributes
        attributes.scheduled_event_id = scheduled.event_id
        attributes.started_event_id = started.event_id
        attributes.identity = "worker"
        if not self._task_completed:
            flags = WorkflowTaskCompletedMetadata(core_used_flags=[1, 2, 3], lang_used_flags=[1, 2])
            attributes.sdk_metadata.CopyFrom(flags)
        self._task_completed = completed.event_id

    def call(self, number: int) -> None:
        """An activity is called, and has answered."""
        scheduled = self._add("ACTIVITY_TASK_SCHEDULED")
        attributes = scheduled.activity_task_scheduled_event_attributes
        attributes.activity_id = str(number + 1)
        attributes.activity_type.name = "increment"
        attributes.task_queue.name, attributes.task_queue.kind = "queue", 1
        attributes.input.CopyFrom(_payloads(number))
        attributes.schedule_to_close_timeout.CopyFrom(_MINUTE)
        attributes.schedule_to_start_timeout.CopyFrom(_MINUTE)
        attributes.start_to_close_timeout.CopyFrom(_MINUTE)
        attributes.workflow_task_completed_event_id = self._task_completed
        attributes.retry_policy.CopyFrom(RetryPolicy(initial_interval=Duration(seconds=1), backoff_coefficient=2))
        started = self._add("ACTIVITY_TASK_STARTED")
        started.activity_task_started_event_attributes.scheduled_event_id = scheduled.event_id
        started.activity_task_started_event_attributes.attempt = 1
        completed = self._add("ACTIVITY_TASK_COMPLETED").activity_task_completed_event_attributes
        completed.scheduled_event_id = scheduled.event_id
        completed.started_event_id = started.event_id
        completed.result.CopyFrom(_payloads(number + 1))

    def completed(self, result: int) -> None:
        """The workflow has ended."""
        attributes = self._add("WORKFLOW_EXECUTION_COMPLETED").workflow_execution_completed_event_attributes
        attributes.result.CopyFrom(_payloads(result))
        attributes.workflow_task_completed_event_id = self._task_completed


def _payloads(value: int) -> Payloads:
    return Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())])


def _history(steps: int) -> WorkflowHistory:
    writer = Writer(steps)
    for number in range(steps):
        writer.workflow_task()
        writer.call(number)
    writer.workflow_task()
    writer.completed(steps)
    return WorkflowHistory(workflow_id="run", events=writer.events)


def replay(steps: int, place: str) -> Numbers:
    history = _history(steps)

    async def again(of: WorkflowHistory) -> float:
        replayer = Replayer(workflows=[Count], workflow_runner=UnsandboxedWorkflowRunner())
        begin = time.perf_counter()
        result = await replayer.replay_workflow(of)
        assert result.replay_failure is None, result
        return time.perf_counter() - begin

    asyncio.run(again(_history(10)))
    return per_second(steps, asyncio.run(again(history)))


if __name__ == "__main__":
    main({"replay": replay})

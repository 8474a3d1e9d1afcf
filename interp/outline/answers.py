"""What came of a command, and what it waits for, in a few words. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from interp.outline.nodes import Node, State
from interp.outline.words import WHOLE, count, elide, failure_line, heading, one_line, rendered, span

__all__ = ["answer", "remark", "short_path", "wait_line"]


def wait_line(node: Node, now: datetime) -> tuple[str, str]:
    """Return what a command waits for, and until when: `("signal 'approve'", "times out in 2 d")`."""
    record, due = node.record, node.due
    left = span(due - now) if due is not None and due > now else ""
    if record.kind in ("call", "transact"):
        head = one_line(f"{record.kind} {record.target}({heading(record)[1]})")
        if left:
            return head, f"attempt {node.attempt} in {left}"
        return head, f"attempt {node.attempt}" if node.attempt > 1 else ""
    if record.kind in ("await_signal", "await_request"):
        return one_line(heading(record)[0]), f"times out {_in_time(left)}" if due is not None else ""
    if record.kind in ("child", "send"):
        return one_line(heading(record)[0]), ""
    return heading(record)[0], f"ends {_in_time(left)}"


def _in_time(left: str) -> str:
    return f"in {left}" if left else "now"


def answer(node: Node, now: datetime, *, is_open: bool, width: int = WHOLE) -> str:
    """Say what came of a command; a value in about so many characters."""
    match node.state:
        case State.WAITS:
            until = wait_line(node, now)[1] if is_open else ""
            return f"… {until}".rstrip()
        case State.TIMED_OUT:
            return "timed out"
        case State.WITHDRAWN:
            return "withdrawn"
        case State.FAILED:
            assert node.failure is not None
            return failure_line(node.failure, width)
        case State.DONE if node.payload is not None:
            return f"→ {one_line(rendered(node.payload, width))}"
        case State.DONE:
            return ""


def remark(node: Node) -> str:
    """Return what is worth knowing besides the answer, and short."""
    if node.early is not None:
        return " (had come before)"
    if node.state is State.FAILED and node.attempt > 1:
        return f" ({count(node.attempt, 'attempt')})"
    return ""


# How many commands of a way are named, and how long its beginning may be.
_STEPS = 7
_BEGINNING = 60


def short_path(nodes: Iterable[Node]) -> str:
    """Tell the way of a fiber: `create_volume('web-1', 100) › create_vm › health_check ×2`."""
    steps: list[list[str]] = []
    for node in nodes:
        head, inside = heading(node.record, _BEGINNING)
        name = node.record.target.rpartition(".")[2] if inside is not None else head
        if steps and steps[-1][0] == name:
            steps[-1].append(name)
        elif not steps and inside is not None:
            steps.append([f"{name}({elide(one_line(inside), _BEGINNING)})"])
        else:
            steps.append([name])
    told = [f"{name} ×{len(again) + 1}" if again else name for name, *again in steps[:_STEPS]]
    return one_line(" › ".join([*told, *(["…"] if len(steps) > _STEPS else [])]))

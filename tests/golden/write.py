"""Write the golden history of the present version: `python -m tests.golden.write VERSION`. Done once per format."""

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from interp.definitions import workflow_of
from interp.events import (
    AttemptFailed,
    Event,
    Failure,
    Fired,
    Rejected,
    Resolved,
    Signalled,
    Started,
    Transition,
    WorkerLost,
    encode_transition,
)
from interp.failures import declared_failure
from interp.interpreter import Interpreter
from tests.golden.workflows import Line, OutOfStock, golden_order

BEGIN = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def events() -> list[Event]:
    """Return what happened, after the start."""
    fault = Failure("builtins.ConnectionError", "no route", "Traceback ...")
    return [
        Signalled("approve", b"true"),
        Rejected("6.1.1", declared_failure(OutOfStock("lamp")), declared=True),
        Resolved("6.0.1", b'"12345678-1234-4678-9234-567812345678"', begun=BEGIN),
        Fired("7.0.1"),
        Fired("8"),
        AttemptFailed("10", 1, fault, BEGIN + timedelta(hours=1), BEGIN),
        WorkerLost("worker-1", "worker-2", "c0de"),
        Rejected("10", fault, declared=False, attempt=3),
        Resolved("13.0.1", b"null"),
    ]


def history() -> list[Transition]:
    """Run the workflow through the events."""
    definition = workflow_of(golden_order)
    lines = [Line("book", Decimal("19.99"), frozenset({"paper", "gift"})), Line("lamp", Decimal(5))]
    args = definition.arguments.encode((lines, True), {})
    started = Started(definition.name, args, bytes(range(16)), code="c0de", worker="worker-1")
    interpreter = Interpreter(definition, started, "golden")
    transitions: list[Transition] = []
    for index, cause in enumerate([started, *events()]):
        at = BEGIN + timedelta(seconds=index)
        step = interpreter.start(at) if index == 0 else interpreter.feed(cause, at)
        commands = tuple(issued.record for issued in step.commands)
        transitions.append(Transition(index, at, cause, commands, step.outcome))
        print(index, type(cause).__name__, [command.id for command in commands], step.outcome)
    assert interpreter.outcome is not None
    return transitions


def main() -> None:
    """Write the file."""
    path = Path(__file__).with_name(f"{sys.argv[1]}-order.hex")
    path.write_text("".join(f"{encode_transition(transition).hex()}\n" for transition in history()))


if __name__ == "__main__":
    main()

"""The other process of a determinism check: replays what it is sent, with another hash seed. `Twins` talks to it.

The order of a set, and whatever else hangs on `hash()` of text, is the same throughout one process and different in the
next: no check within one process can see it. So two more processes, with hash seeds of their own, import the workflow
and replay every history. They share nothing with the test but the source: what a module keeps from run to run shows,
too.

Run as `python -m interp.testing.twin`: takes and gives frames on stdin and stdout.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import msgspec

from interp.definitions import WorkflowDefinition, workflow_of
from interp.errors import NondeterminismError, ReplayError
from interp.events import decode_transition
from interp.testing.controlled import SHIFTS, controlled
from interp.testing.replaying import replay_round
from interp.testing.twin_protocol import Address, Difference, Load, Reply, Request, read_frame, write_frame

__all__ = ["main"]


_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)


def main() -> None:
    """Serve until the asking process is gone."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what workflows print must not fall between the frames
    found: dict[Address, WorkflowDefinition] = {}
    while (body := read_frame(requests)) is not None:
        write_frame(replies, msgspec.msgpack.encode(_answer(_requests.decode(body), found)))


def _answer(request: Request, found: dict[Address, WorkflowDefinition]) -> Reply:
    try:
        if isinstance(request, Load):
            found[request.address] = _load(request)
            return Reply()
        history = list(map(decode_transition, request.records))
        with controlled(SHIFTS[0]):
            replay_round(found[request.address], history, request.run_id)
    except NondeterminismError as error:
        return Reply(Difference.of(error))
    except ReplayError as error:
        return Reply(trouble=str(error))
    except BaseException:  # noqa: BLE001  user code may do anything when it is imported
        return Reply(trouble=traceback.format_exc())
    return Reply()


def _load(request: Load) -> WorkflowDefinition:
    """Import a workflow; its module by its name, or from its file where it has none (a script, a test)."""
    for entry in reversed(request.path):
        if entry not in sys.path:
            sys.path.insert(0, entry)
    address = request.address
    value: Any = _module(address)
    for name in address.qualname.split("."):
        value = getattr(value, name)
    return workflow_of(value)


def _module(address: Address) -> Any:
    if address.module in sys.modules and address.module != "__main__":
        return sys.modules[address.module]
    if address.module != "__main__" and _is_there(address):
        return importlib.import_module(address.module)
    name = "__interp_twin_main__" if address.module == "__main__" else address.module
    spec = importlib.util.spec_from_file_location(name, address.file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _is_there(address: Address) -> bool:
    """Whether the module's name leads to its very file: test runners give names that lead nowhere."""
    try:
        spec = importlib.util.find_spec(address.module)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None and Path(spec.origin) == Path(address.file)


if __name__ == "__main__":
    main()

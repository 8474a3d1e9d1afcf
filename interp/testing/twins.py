"""`Twins`: the asking side of the processes that replay histories with other hash seeds; see `interp.testing.twin`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
import msgspec

from interp.definitions import WorkflowDefinition
from interp.testing.twin_protocol import Address, Difference, Load, Replay, Reply, Request, read_frame, write_frame

__all__ = ["TwinTrouble", "Twins", "address_of"]

# Fixed, so that a failure does not depend on the seed of the test's own process; the two see most sets differently.
_HASH_SEEDS = ("1", "2")

_replies = msgspec.msgpack.Decoder(Reply)


class TwinTrouble(RuntimeError):
    """A process could not import the workflow, or could not replay its history at all."""


def address_of(definition: WorkflowDefinition) -> Address | None:
    """Say where another process finds a workflow; None when it cannot: inside of a function, or typed at a prompt."""
    fn = definition.fn
    file = fn.__code__.co_filename
    if "<" in fn.__qualname__ or not (file.endswith(".py") and Path(file).is_file()):
        return None
    return Address(fn.__module__, str(Path(file).resolve()), fn.__qualname__)


@attrs.define(eq=False)
class Twins:
    """Processes that replay what this one has seen.

    Attributes:
        changed: When each loaded file was changed last, in nanoseconds since the epoch.
    """

    changed: dict[Address, int] = attrs.field(factory=dict[Address, int])
    _processes: list[subprocess.Popen[bytes]] = attrs.field(factory=list["subprocess.Popen[bytes]"])

    def load(self, address: Address) -> None:
        """Have a workflow imported, anew when its file has changed.

        Raises:
            TwinTrouble: It cannot be imported; the message holds the traceback.
        """
        now = Path(address.file).stat().st_mtime_ns
        if self.changed.get(address, now) != now:
            self.close()
        if address in self.changed:
            return
        self._start()
        for reply in self._ask(Load(address, [os.path.abspath(entry) for entry in sys.path])):  # noqa: PTH100  '' is the working directory
            if reply.trouble:
                raise TwinTrouble(f"{address.module} cannot be imported by another process:\n{reply.trouble}")
        self.changed[address] = now

    def replay(self, address: Address, records: Sequence[bytes], run_id: str) -> Difference | None:
        """Replay a history in both processes.

        Args:
            address: The workflow, loaded before.
            records: The journal of one round.
            run_id: The id of the run.

        Returns:
            The first difference found; None when both agree with it.

        Raises:
            TwinTrouble: It cannot be replayed.
        """
        found: Difference | None = None
        for reply in self._ask(Replay(address, run_id, list(records))):
            if reply.trouble:
                raise TwinTrouble(reply.trouble)
            found = found or reply.difference
        return found

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.communicate()
        self._processes.clear()
        self.changed.clear()

    def _start(self) -> None:
        if self._processes and all(process.poll() is None for process in self._processes):
            return
        self.close()
        for seed in _HASH_SEEDS:
            environ = {**os.environ, "PYTHONHASHSEED": seed}
            command = [sys.executable, "-m", "interp.testing.twin"]
            self._processes.append(
                subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )

    def _ask(self, request: Request) -> list[Reply]:
        """Ask both at once, then read what each says."""
        body = msgspec.msgpack.encode(request)
        bodies: list[bytes | None] = []
        try:
            for process in self._processes:
                assert process.stdin is not None
                write_frame(process.stdin, body)
            for process in self._processes:
                assert process.stdout is not None
                bodies.append(read_frame(process.stdout))
        except BrokenPipeError:
            bodies.append(None)
        if None in bodies:
            self.close()
            raise TwinTrouble("the process that replays with another hash seed has died")
        return [_replies.decode(reply) for reply in bodies if reply is not None]

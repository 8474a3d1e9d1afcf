"""How the processes of one store wake each other: a datagram doorbell for each, in the store's directory `wake/`.

A process that waits binds a socket `<pid>-<random>`; who committed something that others may wait for sends a byte to
each. A ring carries no news: the listener looks into the store. On Linux the same thread watches the processes behind
the other bells, so that the end of one wakes its survivors at once.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["Doorbell"]

# A file that appears within one tick of the file system's clock after a listing may not change the directory's time.
_TICK_NS = 100_000_000


class Doorbell:
    """The bell of this process and the way to those of the others.

    Args:
        directory: Where the bells are.
        rung: Called from the listening thread when somebody rang.
        died: Called from the listening thread when a process with a bell ended.
    """

    def __init__(self, directory: Path, rung: Callable[[], None], died: Callable[[], None]) -> None:
        self._directory = directory
        self._rung = rung
        self._died = died
        self._lock = threading.Lock()
        self._bell: socket.socket | None = None
        self._mute = False
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._listener: threading.Thread | None = None
        self._watched: dict[str, int] = {}
        self._peers: tuple[str, ...] = ()
        self._listed_ns = -1
        self._sender = _socket()

    def listen(self) -> bool:
        """Be reachable from now on; False if that is not possible, mostly as the path is too long for a socket."""
        with self._lock:
            if self._bell is None and not self._mute:
                bell = _socket()
                try:
                    bell.bind(str(self._directory / self._name))
                except OSError:
                    bell.close()
                    self._mute = True
                    return False
                self._bell = bell
                self._listener = threading.Thread(target=self._run, args=(bell,), name="interp-doorbell", daemon=True)
                self._listener.start()
                with contextlib.suppress(OSError):
                    self._ring()  # not news, but the others learn whom to watch
            return self._bell is not None

    def ring(self) -> None:
        """Wake the other processes."""
        with self._lock, contextlib.suppress(OSError):  # what is written is written, heard or not
            self._ring()

    def _ring(self) -> None:
        for name in self._others():
            self._send(name)

    def _send(self, name: str) -> None:
        bell = self._directory / name
        try:
            self._sender.sendto(b"!", str(bell))
        except ConnectionRefusedError:
            bell.unlink(missing_ok=True)  # its process is gone
        except OSError:
            pass  # its buffer is full of rings already, it has just left, or the path is too long

    def _others(self) -> tuple[str, ...]:
        """List the other bells; again only when the directory has changed, since this is done for many commits."""
        changed_ns = self._directory.stat().st_mtime_ns
        if changed_ns != self._listed_ns:
            self._peers = tuple(bell.name for bell in self._directory.iterdir() if bell.name != self._name)
            self._listed_ns = changed_ns if time.time_ns() - changed_ns > _TICK_NS else -1
        return self._peers

    def close(self) -> None:
        """Stop listening."""
        with self._lock:
            self._mute = True
            bell, listener = self._bell, self._listener
            self._bell = self._listener = None
            if bell is not None:
                self._send(self._name)
        if listener is not None:
            listener.join()
            (self._directory / self._name).unlink(missing_ok=True)
        self._sender.close()

    def abandon(self) -> None:
        """Forget everything in a forked child: bell and thread are its parent's."""
        for descriptor in self._watched.values():
            os.close(descriptor)
        if self._bell is not None:
            self._bell.close()
        self._sender.close()

    # --- the listening thread ---

    def _run(self, bell: socket.socket) -> None:
        poll = select.poll()
        poll.register(bell, select.POLLIN)
        with bell:
            while self._bell is bell:
                self._watch(poll)
                ready = {descriptor for descriptor, _ in poll.poll()}
                if bell.fileno() in ready:
                    _drain(bell)
                for name in [name for name, descriptor in self._watched.items() if descriptor in ready]:
                    self._unwatch(poll, name)
                    self._died()
                self._rung()
        for name in list(self._watched):
            self._unwatch(poll, name)

    def _watch(self, poll: select.poll) -> None:
        """Watch the processes whose bells have appeared."""
        if not hasattr(os, "pidfd_open"):
            return
        with contextlib.suppress(OSError):
            names = {bell.name for bell in self._directory.iterdir()} - {self._name, *self._watched}
            for name in names:
                self._watch_one(poll, name)

    def _watch_one(self, poll: select.poll, name: str) -> None:
        try:
            descriptor = os.pidfd_open(int(name.partition("-")[0]))
        except (OSError, ValueError):
            return  # gone, or of another pid namespace: its lock or lease will tell in time
        self._watched[name] = descriptor
        poll.register(descriptor, select.POLLIN)

    def _unwatch(self, poll: select.poll, name: str) -> None:
        descriptor = self._watched.pop(name)
        poll.unregister(descriptor)
        os.close(descriptor)


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made


def _drain(bell: socket.socket) -> None:
    """Take all rings: many are worth as much as one."""
    with contextlib.suppress(BlockingIOError):
        while True:
            bell.recv(1)

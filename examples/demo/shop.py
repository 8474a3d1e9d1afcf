"""The shop's outside world: a payment provider and a mail server, in one HTTP server that nobody kills.

    POST /charges    takes money, at most once for an `Idempotency-Key`; then takes its time to answer
    POST /mails      takes its time, then accepts the mail, unless the sender has hung up
    GET  /books      what has come in, and what came of it

Both are slow on purpose: a kill while somebody waits for them hits the moments that matter.
"""

from __future__ import annotations

import json
import select
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

__all__ = ["main"]

# How long a request takes.
_SLOWNESS_S = 0.8


class _Shop(BaseHTTPRequestHandler):
    """Answers one request; what is known is kept by the class, for all of them."""

    asked: ClassVar[list[dict[str, str]]] = []
    charges: ClassVar[dict[str, dict[str, Any]]] = {}
    mails: ClassVar[list[dict[str, Any]]] = []
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_GET(self) -> None:
        """Show the books."""
        with self.lock:
            books = {"asked": self.asked, "charges": list(self.charges.values()), "mails": self.mails}
            self._answer(books)

    def do_POST(self) -> None:
        """Take money, or a mail."""
        key = self.headers["Idempotency-Key"]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.lock:
            self.asked.append({"path": self.path, "order": body["order"], "key": key})
        if self.path == "/charges":
            self._charge(key, body)
        else:
            self._mail(key, body)

    def _charge(self, key: str, body: dict[str, Any]) -> None:
        with self.lock:
            charge = self.charges.setdefault(key, {"charge": f"charge-{len(self.charges) + 1}", **body})
        # The money is taken. Whoever asked does not know that yet.
        if not self._hung_up():
            self._answer(charge)

    def _mail(self, key: str, body: dict[str, Any]) -> None:
        if self._hung_up():
            return
        with self.lock:
            mail = {"mail": f"mail-{len(self.mails) + 1}", "key": key, **body}
            self.mails.append(mail)
        self._answer(mail)

    def _hung_up(self) -> bool:
        """Take the time that a request takes, and tell whether the one who asked is gone."""
        # Who waits for an answer sends nothing: if there is something to read, then it is the end of the connection.
        readable, _, _ = select.select([self.connection], [], [], _SLOWNESS_S)
        return bool(readable)

    def _answer(self, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    """Serve at a free port, and print the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Shop)
    print(f"Running on http://127.0.0.1:{server.server_port}")
    server.serve_forever()


if __name__ == "__main__":
    main()

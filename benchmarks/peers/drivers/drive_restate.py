"""Drives Restate: its server, a service of ours under hypercorn, and HTTP clients. The place is a directory."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from driving import (
    STEPS,
    Numbers,
    anonymous_kib,
    disk_bytes,
    latencies,
    main,
    per_second,
    resident_mib,
    serve,
    signals,
    timed,
    wait_to_be_killed,
)

_CONFIG = """
cluster-name = "bench"
node-name = "n1"
bind-ip = "127.0.0.1"
bind-port = {node}
advertised-address = "http://127.0.0.1:{node}/"
listen-mode = "tcp"
disable-telemetry = true
log-filter = "error"

[ingress]
bind-ip = "127.0.0.1"
bind-port = {ingress}
advertised-address = "http://127.0.0.1:{ingress}/"

[admin]
bind-ip = "127.0.0.1"
bind-port = {admin}
advertised-address = "http://127.0.0.1:{admin}/"
"""

_HYPERCORN = """
bind = "127.0.0.1:{service}"
h2_max_concurrent_streams = 2147483647
keep_alive_max_requests = 2147483647
keep_alive_timeout = 2147483647
workers = 1
loglevel = "WARNING"
"""

# How long a client waits for an answer, in seconds; the runner ends what takes too long before.
_PATIENCE_S = 900


class Subject:
    """A server and a service, on ports that stay the same for a place."""

    def __init__(self, place: str) -> None:
        self.place = Path(place)
        kept = self.place / "ports.json"
        if not kept.exists():
            kept.write_text(json.dumps(_free_ports("node", "ingress", "admin", "service")))
        self.ports = json.loads(kept.read_text())

    def start(self) -> None:
        (self.place / "restate.toml").write_text(_CONFIG.format(**self.ports))
        (self.place / "hypercorn.toml").write_text(_HYPERCORN.format(**self.ports))
        # The service first: a server that finds none waits longer from try to try.
        service = [sys.executable, "-m", "hypercorn", "--config", str(self.place / "hypercorn.toml")]
        self.service = self._spawn([*service, "restate_service:app"])
        self._await(self.service, "service", "/health")
        server = [os.environ["RESTATE_SERVER"], "-c", str(self.place / "restate.toml"), "--no-logo"]
        self.server = self._spawn([*server, "--base-dir", str(self.place / "data")])
        self._await(self.server, "ingress", "/restate/health")
        self._await(self.server, "admin", "/health")
        self.post("admin", "/deployments", {"uri": f"http://127.0.0.1:{self.ports['service']}", "force": True})

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        log = (self.place / "log").open("ab")
        return subprocess.Popen(command, cwd=Path(__file__).parent, stdout=log, stderr=log)

    def _await(self, process: subprocess.Popen[bytes], port: str, path: str) -> None:
        while True:
            if process.poll() is not None:
                raise SystemExit(f"the {port} has ended: " + (self.place / "log").read_text()[-300:])
            try:
                urllib.request.urlopen(self._url(port, path), timeout=1).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.01)
            else:
                return

    def _url(self, port: str, path: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def post(self, port: str, path: str, body: object):
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self._url(port, path), json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def do(self, workflow: str, name: str, size: int):
        return self.post("ingress", f"/{workflow}/{name}/run", size)

    def send(self, workflow: str, name: str, size: int = 0) -> None:
        self.post("ingress", f"/{workflow}/{name}/run/send", size)

    async def request(self, method: str, path: str, body: object = None):
        """Ask with a connection of its own, so that many can be asked at once."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["ingress"])
        content = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        raw = await reader.read()
        writer.close()
        status, _, rest = raw.partition(b"\r\n")
        if method == "GET" and status.split(b" ")[1] == b"404":  # a server that has just started does not know it yet
            await asyncio.sleep(0.02)
            return await self.request(method, path, body)
        if not status.split(b" ")[1].startswith(b"2"):
            raise SystemExit(f"{path}: {raw[:300]!r}")
        return json.loads(rest.partition(b"\r\n\r\n")[2] or b"null")

    async def all_of_them(self, method: str, path: str, runs: int, body: object = None) -> set[object]:
        return set(await asyncio.gather(*[self.request(method, path.format(n), body) for n in range(runs)]))


def _free_ports(*names: str) -> dict[str, int]:
    probes = [socket.socket() for _ in names]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = {name: probe.getsockname()[1] for name, probe in zip(names, probes, strict=True)}
    for probe in probes:
        probe.close()
    return ports


def _started(place: str) -> Subject:
    subject = Subject(place)
    subject.start()
    assert subject.do("Count", "warm-up", 3) == 3
    return subject


def one_run(steps: int, place: str) -> Numbers:
    subject = _started(place)
    return per_second(steps, timed(lambda: subject.do("Count", "long", steps), steps))


def many_runs(runs: int, place: str) -> Numbers:
    subject = _started(place)
    before = disk_bytes(subject.place / "data")
    work = subject.all_of_them("POST", "/Count/run-{}/run", runs, STEPS)
    seconds = timed(lambda: asyncio.run(work), {STEPS})
    disk = disk_bytes(subject.place / "data") - before
    return {**per_second(runs * STEPS, seconds), "disk_bytes": disk / (runs * STEPS)}


def gather(steps: int, place: str) -> Numbers:
    subject = _started(place)
    return per_second(steps, timed(lambda: subject.do("Fan", "wide", steps), steps))


def latency(times: int, place: str) -> Numbers:
    subject = _started(place)
    connection = http.client.HTTPConnection("127.0.0.1", subject.ports["ingress"], timeout=_PATIENCE_S)
    numbers = iter(range(10_000_000))

    def one() -> int:
        connection.request("POST", f"/Count/one-{next(numbers)}/run", "1", {"content-type": "application/json"})
        return int(connection.getresponse().read())

    return latencies(times, one)


def signal(times: int, place: str) -> Numbers:
    subject = _started(place)

    def reacted(name: str) -> float:
        return float(asyncio.run(subject.request("GET", f"/restate/workflow/Waiting/{name}/attach")))

    return signals(times, place, lambda name: subject.send("Waiting", name), reacted)


def send(times: int, place: str) -> Numbers:
    subject = Subject(place)
    return serve(lambda name: subject.post("ingress", f"/Waiting/{name}/go", 1))


def recovery_setup(runs: int, place: str) -> Numbers:
    subject = _started(place)
    for number in range(runs):
        subject.send("Gated", f"run-{number}")
    query = "select count(*) as steps from sys_journal j join sys_invocation i on j.id = i.id where {}"
    query = query.format("i.target_service_name = 'Gated' and j.entry_type like '%Run%'")
    while _asked(subject, query) < 2 * runs:
        time.sleep(0.2)
    time.sleep(1)
    wait_to_be_killed()
    return {}


def _asked(subject: Subject, query: str) -> int:
    headers = {"content-type": "application/json", "accept": "application/json"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{subject.ports['admin']}/query", json.dumps({"query": query}).encode(), headers
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        (row,) = json.loads(answer.read())["rows"]
    return int(row["steps"])


def recovery(runs: int, place: str) -> Numbers:
    begin = time.perf_counter()
    subject = Subject(place)
    subject.start()
    results = asyncio.run(subject.all_of_them("GET", "/restate/workflow/Gated/run-{}/attach", runs))
    assert results == {5}, results
    return per_second(runs, time.perf_counter() - begin)


def replay(steps: int, place: str) -> Numbers:
    subject = _started(place)
    return per_second(steps, subject.do("Replaying", "long", steps))


def memory(runs: int, place: str) -> Numbers:
    subject = _started(place)
    time.sleep(3)
    pids = (subject.server.pid, subject.service.pid, *_children(subject.service.pid))
    numbers = {"idle_mib": sum(map(resident_mib, pids))}
    before = sum(map(anonymous_kib, pids))
    for number in range(runs):
        subject.send("Waiting", f"run-{number}")
    time.sleep(3)
    numbers["cached_kib"] = (sum(map(anonymous_kib, pids)) - before) / runs
    begin = sum(map(_cpu_s, pids))
    time.sleep(3)
    return {**numbers, "idle_cpu_percent": (sum(map(_cpu_s, pids)) - begin) / 3 * 100}


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(
        {
            "one_run": one_run,
            "many_runs": many_runs,
            "gather": gather,
            "latency": latency,
            "signal": signal,
            "send": send,
            "recovery_setup": recovery_setup,
            "recovery": recovery,
            "replay": replay,
            "memory": memory,
        }
    )

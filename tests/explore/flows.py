"""The workflows whose histories the tests of `interp.explore` look at."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

from interp import activity, annotate, await_signal, call, gather, race, sleep, workflow
from interp.commands import Command

Flow = Generator[Command[Any], Any, Any]


@activity
def create_subnet(region: str) -> str:
    return f"net-{region}"


@activity
def create_volume(name: str, gib: int) -> str:
    return f"vol-{name}"


@activity
def create_vm(name: str, network: str, volume: str) -> str:
    return f"i-{name}"


@activity
def attach(vm: str, volume: str) -> None: ...


@activity
def health_check(vm: str) -> str:
    return "healthy"


@activity
def announce(whom: str, text: str) -> None: ...


@activity
def register_dns(vms: list[str]) -> str:
    return "prod.example.org"


@activity
def rollback(vms: list[str]) -> None: ...


def provision_vm(name: str, network: str, gib: int = 100) -> Flow:
    volume = yield from call(create_volume, name, gib)
    vm = yield from call(create_vm, name, network, volume)
    yield from call(attach, vm, volume)
    for checks in range(1, 6):
        status = yield from call(health_check, vm)
        if status == "healthy":
            return {"vm": vm, "volume": volume, "checks": checks}
        yield sleep(timedelta(minutes=1))
    raise RuntimeError(f"{name} never became healthy")


def ask_approval(owner: str, count: int) -> Generator[Command[Any], Any, bool]:
    yield from call(announce, owner, f"{count} machines are ready")
    which, answer = yield from race(await_signal("approve", bool), sleep(timedelta(days=1)))
    return bool(answer) if which == 0 else False


@workflow
def provision_fleet(region: str, names: list[str], owner: str = "ops@example.org") -> Flow:
    yield annotate(stage="network")
    network = yield from call(create_subnet, region)
    yield annotate(stage="machines")
    machines = yield from gather(*[provision_vm(name, network) for name in names], limit=None)
    checks = sum(machine["checks"] for machine in machines)
    vms = [machine["vm"] for machine in machines]
    yield annotate(stage="approval")
    if (yield from ask_approval(owner, len(machines))):
        zone = yield from call(register_dns, vms)
        return {"zone": zone, "machines": len(machines), "checks": checks}
    yield from call(rollback, vms)
    return None

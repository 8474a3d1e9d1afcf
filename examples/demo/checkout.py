"""Kill `examples.checkout` twice: between the charge and the mail, and inside the charge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from examples.demo.journal import Tally, history_of, show
from examples.demo.processes import Process, Processes, wait_for
from examples.demo.servers import get_json, start_shop
from examples.demo.story import Story
from interp.runtime import open_store
from interp.store import Store

__all__ = ["tell_checkout"]


def tell_checkout(story: Story, directory: Path) -> None:
    """Run the program, kill it, run it again, and ask the payment provider and the mail server."""
    story.title("1. checkout: charge a card, then send a mail (examples/checkout.py)")
    story.say(
        """The payment provider and the mail server are a process of their own, reached by HTTP. Nobody kills that one,
        so that it can be asked in the end what it has seen."""
    )
    with Processes(directory) as processes:
        shop, url = start_shop(processes)
        store = open_store(f"lmdb://{directory}/journal")
        try:
            stage = _Stage(story, processes, store, shop, url)
            _cut_between(stage)
            _cut_inside(stage)
        finally:
            store.close()


@attrs.frozen
class _Stage:
    """What the two scenes are played on."""

    story: Story
    processes: Processes
    store: Store
    shop: Process
    url: str

    def start(self, name: str, order: str) -> Process:
        """Start the program for an order."""
        command = ("examples.checkout", order, "1999", "ada@example.com")
        env = {"SHOP_URL": self.url, "INTERP_STORE": self.store.url}
        process = self.processes.python(f"{order} {name} process", *command, env=env)
        self.story.event(f"{name} process ({process.pid}):  python -m {' '.join(command)}")
        return process

    def books(self, part: str, order: str, path: str = "") -> list[dict[str, Any]]:
        """Ask the outside what it has in its books for an order."""
        entries: list[dict[str, Any]] = get_json(f"{self.url}/books")[part]
        return [entry for entry in entries if entry["order"] == order and entry.get("path", "") == path]

    def kill_when(self, process: Process, what: str, moment: Callable[[], bool]) -> None:
        """Wait for a moment, and kill."""
        wait_for(what, lambda: moment() or None, process, self.shop)
        died = process.kill()
        self.story.event(f"{what}:  kill -9 {process.pid}")
        self.story.check(f"checkout: {process.name} died of SIGKILL", expected="SIGKILL", found=died)

    def finish(self, process: Process) -> None:
        """Wait until the program is done, and show what it says."""
        process.succeed()
        self.story.event(f"it says: {process.output().strip()}")


def _cut_between(stage: _Stage) -> None:
    """Kill it when the receipt is in the journal and the mail is on its way."""
    stage.story.title("1a. Killed between the two")

    def between() -> bool:
        row = stage.store.run("order-1")
        return row is not None and row.length == 2 and bool(stage.books("asked", "order-1", "/mails"))

    first = stage.start("first", "order-1")
    stage.kill_when(first, "The receipt is in the journal, the mail is on its way", between)
    stage.finish(stage.start("second", "order-1"))

    history = history_of(stage.store, "order-1")
    stage.story.lines(show(history))
    stage.story.say(
        """The second process found the receipt in the journal (record 1) and did not ask the provider again. Only the
        mail, which had no result there, was tried again."""
    )
    asked, charges, mails = _books(stage, "order-1")
    check = stage.story.check
    check("order-1: the provider was asked for money once", expected=1, found=len(asked))
    check("order-1: it charged once", expected=1, found=len(charges))
    check("order-1: one mail was sent", expected=1, found=len(mails))
    check("order-1: the journal holds one result for each call", expected=_EACH_ONCE, found=Tally.of(history).made)


def _cut_inside(stage: _Stage) -> None:
    """Kill it when the provider has taken the money, and the program does not know."""
    stage.story.title("1b. Killed inside the charge")
    first = stage.start("first", "order-2")
    stage.kill_when(
        first,
        "The money is taken, the provider has not answered, the journal knows nothing",
        lambda: bool(stage.books("charges", "order-2")),
    )
    before = Tally.of(history_of(stage.store, "order-2"))
    stage.finish(stage.start("second", "order-2"))

    asked, charges, mails = _books(stage, "order-2")
    keys = [request["key"] for request in asked]
    stage.story.lines([f"POST /charges  Idempotency-Key: {key}" for key in keys])
    stage.story.say(
        """No library can know whether that request has arrived. So the charge was attempted again, with the same key,
        and the provider answered with the charge that it had already made."""
    )
    check = stage.story.check
    check("order-2: the charge was not in the journal when the process died", expected={}, found=before.made)
    check("order-2: the provider was asked twice, with one key", expected=(2, 1), found=(len(keys), len(set(keys))))
    check("order-2: it charged once", expected=1, found=len(charges))
    check("order-2: one mail was sent", expected=1, found=len(mails))
    check(
        "order-2: the mail names the charge that was made",
        expected=True,
        found=bool(charges and mails and charges[0]["charge"] in mails[0]["text"]),
    )


_EACH_ONCE = {"charge_card": 1, "send_mail": 1}


def _books(stage: _Stage, order: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Ask the outside: requests for money, charges and mails of an order."""
    return stage.books("asked", order, "/charges"), stage.books("charges", order), stage.books("mails", order)

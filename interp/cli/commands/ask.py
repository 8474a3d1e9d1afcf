"""`interp ask`: ask a run something and print its answer."""

from __future__ import annotations

import secrets
import time
from datetime import timedelta

import click
import msgspec

from interp.asking import answer_topic, check_request_id
from interp.cli.arguments import encoded_value, refuse_options
from interp.cli.history import refuse_unsealed
from interp.cli.options import JSON_ARGUMENTS, SPAN, Command, common, existing_store
from interp.cli.output import say, write_document
from interp.events import Asked, encode_event
from interp.runtime.asking import answer
from interp.runtime.streams import Tail
from interp.store import Post

__all__ = ["command"]

# The store rings when the answer is there; the look in between is for safety.
_LOOK_S = 1.0


@click.command("ask", cls=Command, context_settings=JSON_ARGUMENTS)
@click.argument("run_id", metavar="RUN")
@click.argument("name")
@click.argument("payload", metavar="[JSON]", required=False, type=click.UNPROCESSED)
@click.option("--timeout", type=SPAN, metavar="TIME", help="How long to wait: seconds, or 500ms, 5m, 2h.")
@click.option("--id", "request_id", metavar="ID", help="Id of the request: asked again, it is not repeated.")
@common
def command(
    run_id: str,
    name: str,
    payload: str | None,
    timeout: timedelta | None,
    request_id: str | None,
    store_url: str | None,
    as_json: bool,
) -> None:
    """Ask a run something and print its answer.

    The payload is one JSON value, null when it is left out; a text that is no JSON is taken as a string.

    The answer goes to stdout as JSON. A request that is refused, answered with an error or not answered gives exit
    code 1.

    The request is kept until the workflow awaits it, also when the time is up. No worker is started: the run is moved
    by the one that is at work.
    """
    refuse_options((payload,) if payload is not None else ())
    asked = Asked(name, encoded_value(payload), check_request_id(request_id or secrets.token_hex(8)))
    with existing_store(store_url) as store:

        def send(asked: Asked) -> None:
            store.post(Post(run_id, encode_event(asked)), time.time_ns() // 1000)

        def wait(left_s: float | None) -> None:
            store.changed(_LOOK_S if left_s is None else min(left_s, _LOOK_S))

        refuse_unsealed(store, run_id, "request")
        tail = Tail(store, run_id, answer_topic(asked.id))
        found = answer(asked, tail, send=send, look=Tail.look, wait=wait, timeout=timeout)
    if as_json:
        write_document({"run": run_id, "request": name, "id": asked.id, "answer": msgspec.Raw(found)})
    else:
        say(found.decode())

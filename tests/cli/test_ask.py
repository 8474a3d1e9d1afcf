"""`interp ask`: a question from the command line to a run that another process moves."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.cli.command import PATIENCE_S, Told
from tests.runtime.helpers import eventually

Interp = Callable[..., Told]
Begin = Callable[..., "subprocess.Popen[str]"]

FLOWS = """
from typing import Any

from interp import Request, Workflow, await_signal, reply, workflow


def check(count: int, state: dict[str, Any]) -> None:
    if count > 100:
        raise ValueError(f"{count} is too much")


@workflow(validators={"quote": check})
def selling() -> Workflow[str]:
    while True:
        request = yield from await_signal("quote", Request[int])
        if not request.payload:
            yield from reply(request, error="nothing")
            return "sold"
        yield from reply(request, {"cents": request.payload * 100})
"""


def test_ask_prints_the_answer_or_why_there_is_none(inline: Interp, begin: Begin, place: Path) -> None:
    (place / "selling.py").write_text(FLOWS)
    shop = begin("run", "selling.py", "--id", "shop")
    eventually(lambda: "await_request" in inline("show", "shop", "--json").out)

    assert Told(0, '{"cents":300}\n', "") == inline("ask", "shop", "quote", "3", "--timeout", "30s", "--id", "one")
    assert Told(0, '{"cents":300}\n', "") == inline("ask", "shop", "quote", "3", "--id", "one")
    document = inline("ask", "shop", "quote", "3", "--id", "one", "--json").json
    assert {"run": "shop", "request": "quote", "id": "one", "answer": {"cents": 300}} == document
    assert inline("ask", "shop", "quote", "101").is_error("run 'shop' refused request 'quote': 101 is too much")
    assert inline("ask", "shop", "quote", "tea").is_error("run 'shop' refused request 'quote': count: expected int")
    assert inline("ask", "shop", "other", "--timeout", "10ms").is_error(
        "run 'shop' has not answered request 'other' within 0.01 s", "asked again with id="
    )
    assert "AskTimeout" == inline("ask", "shop", "other", "--timeout", "10ms", "--json").json["error"]["type"]
    told = inline("signal", "shop", "quote", "3")
    assert (0, True) == (told.code, "waits for a request 'quote', which a signal is not: `interp ask`" in told.err)

    shown = inline("show", "shop")
    assert "reply to 'quote'" in shown.out and "request 'quote'" in shown.out
    assert "not taken" in shown.out
    listed = inline("show", "shop", "--records").out
    assert "request 'quote' came: 3  ⇒  reply to 'quote'({'cents': 300}) [2]; request 'quote' [3]" in listed

    assert inline("ask", "shop", "quote", "0").is_error("answered request 'quote' with an error: nothing")
    assert 0 == shop.wait(PATIENCE_S)
    assert inline("ask", "shop", "quote", "3").is_error("run 'shop' has ended (completed)")
    assert inline("ask", "nobody", "quote").is_error("there is no run 'nobody'")
    assert inline("ask", "shop", "quote", "--id", "x" * 181).is_error("request id")

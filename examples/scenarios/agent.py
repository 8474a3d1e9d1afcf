"""An agent: model call, tools side by side, model call, and a human who is asked before money is spent.

    python -m examples.scenarios.agent

- Each model call is a call of an activity: recorded once, and never paid twice. A worker that dies in the middle of one
  leaves an attempt whose outcome nobody knows; the next attempt gives the provider the same idempotency key.
- Tokens are streamed as they come. Who reads them may come late: the stream is kept from its first token on.
- The tools that the model asks for run side by side, each with retries of its own.
- A tool that spends money waits for a human, for days if need be, and over restarts.

`Provider` stands for the client of a model: it keeps its book in a file, so that a test can look at it.
"""

from __future__ import annotations

import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Literal

import attrs

from interp import Engine, Workflow, activity, await_signal, call, current_call, emit, gather, workflow


@attrs.frozen
class ToolCall:
    """What the model wants to be done."""

    tool: Literal["search", "weather", "book"]
    about: str


@attrs.frozen
class Turn:
    """What the model answered: words, and perhaps tools to be called."""

    text: str
    tools: tuple[ToolCall, ...] = ()


@attrs.frozen
class Message:
    """One line of the conversation."""

    role: Literal["user", "model", "tool"]
    text: str


class Provider:
    """Stands for a model: what it says depends on how far the conversation is. Charges are lines in a book."""

    def __init__(self, book: Path) -> None:
        self.book = book

    def complete(self, conversation: list[Message], idempotency_key: str) -> Turn:
        """Answer, and charge for it; with a key that it knows, answer the same and charge nothing."""
        if idempotency_key not in self.charges():
            with self.book.open("a") as book:
                book.write(f"{idempotency_key}\n")
        return _said(sum(message.role == "model" for message in conversation))

    def charges(self) -> list[str]:
        """Return the idempotency keys of what was charged."""
        return self.book.read_text().splitlines() if self.book.exists() else []


def _said(turn: int) -> Turn:
    match turn:
        case 0:
            tools = (ToolCall("search", "trains to Lyon"), ToolCall("weather", "Lyon"))
            return Turn("Let me look for trains and for the weather.", tools)
        case 1:
            return Turn("It will be sunny. Shall I book the 9:04?", (ToolCall("book", "the 9:04 to Lyon"),))
        case _:
            return Turn("All is arranged. Have a good trip!")


@activity(timeout=timedelta(minutes=2))
def ask_model(book: Path, conversation: list[Message]) -> Turn:
    """Call the model, and stream its words."""
    turn = Provider(book).complete(conversation, current_call().idempotency_key)
    for word in turn.text.split():
        current_call().emit("tokens", word)
        time.sleep(0.002)  # a model takes its time
    return turn


@activity
def use_tool(wanted: ToolCall) -> str:
    """Do what the model wants."""
    return f"{wanted.tool}: found what there is about {wanted.about}"


def asking_first(wanted: ToolCall) -> Workflow[str]:
    """Use a tool; where it spends money, only if a human agrees."""
    if wanted.tool == "book":
        yield from emit("stages", f"waits for approval: {wanted.about}")
        if not (yield from await_signal("approve", bool)):
            return f"{wanted.tool}: the user said no"
    return (yield from call(use_tool, wanted))


@workflow
def agent(book: Path, question: str) -> Workflow[list[Message]]:
    """Answer a question, with as many turns and tools as it takes."""
    conversation = [Message("user", question)]
    while True:
        turn = yield from call(ask_model, book, conversation)
        conversation.append(Message("model", turn.text))
        yield from emit("stages", f"turn {len(conversation)}")
        if not turn.tools:
            return conversation
        results = yield from gather(*[asking_first(wanted) for wanted in turn.tools])
        conversation += [Message("tool", result) for result in results]


def main() -> None:
    """Ask the agent, read along, and approve."""
    with tempfile.TemporaryDirectory() as directory, Engine(f"lmdb:{directory}/journal") as engine:
        book = Path(directory) / "charges"
        run = engine.start(agent, book, "How do I get to Lyon?", id="trip")
        run.signal("approve", True)
        for item in run.stream("tokens", type=str).items():
            print(item.value, end=" ", flush=True)
        print()
        for message in run.result():
            print(f"{message.role:>5}: {message.text}")
        print(f"{len(Provider(book).charges())} model calls were paid")


if __name__ == "__main__":
    main()

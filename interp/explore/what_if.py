"""What if: a run continued in memory with other answers than were recorded, and how that compares."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any, Generic, TypeVar

import attrs
import msgspec

from interp.definitions import WorkflowDefinition
from interp.errors import UsageError
from interp.events import Failure, Outcome, Rejected, Resolved, Transition
from interp.explore.continuing import Answer, AnswerSource, Missing, Past, Suppositions, continued
from interp.explore.differing import Difference, difference_of
from interp.explore.divergence import whole
from interp.explore.markup import Markup, element, table
from interp.explore.subject import Subject
from interp.explore.supposing import Known, by_name
from interp.explore.values import shown
from interp.explore.view import View
from interp.outline.phrases import command_words, outcome_words
from interp.outline.tree import tree_of
from interp.outline.words import clean, count, elide, one_line, recorded
from interp.runtime.engine import Engine
from interp.runtime.forking import fork
from interp.runtime.stores import open_store
from interp.store import Store

__all__ = ["WhatIf", "made_real", "what_if"]

R = TypeVar("R", bound=Subject)

# Of a text view; and how many commands are named.
_COLUMNS = 118
_NAMED = 8


@attrs.frozen(eq=False, repr=False, slots=False)  # for cached properties
class WhatIf(View, Generic[R]):
    """A run as it would have gone with other answers. It exists in memory only.

    Attributes:
        original: The run as it was recorded.
        run: The run as it would have gone: all views of a run work on it.
        kept: How many records both share.
        results: What was supposed of commands, by id.
        signals: What was supposed of signals, by name.
        answers: Where the commands behind the shared records have their answers from.
        missing: The commands that no answer was found for.
        unused: The commands of `results` that the run never came to.
        is_cut: Whether it was stopped because it went on and on.
    """

    original: R
    run: R
    kept: int
    results: Mapping[str, Any]
    signals: Mapping[str, Any]
    answers: tuple[Answer, ...]
    missing: tuple[Missing, ...]
    unused: tuple[str, ...]
    is_cut: bool

    @property
    def outcome(self) -> Outcome | None:
        """How the run would have ended; None when it waits for what nobody has told."""
        return self.run.tree.outcome

    def diff(self, *, times: bool = False) -> Difference:
        """Compare what was recorded (A) with what would have been (B).

        Args:
            times: Whether durations that differ much are differences, too.
        """
        return difference_of(
            self.original, self.run, times=times, titles=(f"{one_line(self.original.id)} as recorded", "what if")
        )

    def fork(self, into: str | Store | Engine | None = None, *, id: str | None = None) -> str:
        """Make it real: start a live run with these answers. It is written to the store, and calls activities.

        The new run takes over the records before the first answer that was changed, gets the results, and goes on from
        there: its activities are executed, whatever the history or `known` says of them.

        Args:
            into: An engine or a store that is open; or the URL of one. By default the store is opened that the run was
                read from, for writing, for as long as this takes.
            id: The id of the new run; a random one by default.

        Returns:
            The id of the new run; the next worker moves it.

        Raises:
            StoreError: The store cannot be opened for writing.
            RunExists: The id is taken by something else.
            UsageError: What was supposed cannot be given to a live run: a failure, a signal, a later command.
        """
        if self.signals:
            raise UsageError(
                "fork: a live run cannot be given signals beforehand; fork it without, and send them to it"
            )
        refused = [command_id for command_id, value in self.results.items() if _is_failure(value)]
        if refused:
            raise UsageError(f"fork: command {refused[0]!r} was supposed to fail; a live run can be given results only")
        replaced = _answers(self.original.history, self.kept) in self.results
        return made_real(self.original, into, self.kept + replaced, self.results, id)

    # Words.

    @functools.cached_property
    def difference(self) -> Difference:
        """What differs from what was recorded."""
        return self.diff()

    @property
    def question(self) -> str:
        """What was supposed, as a question."""
        parts = [f"{self._command(each)} came to {_told(value)}" for each, value in self.results.items()]
        parts += [f"signal {name!r} carried {_told(value)}" for name, value in self.signals.items()]
        if not parts:
            return f"What if the run went on from record {self.kept - 1}?"
        more = f", and {len(parts) - 3} more" if len(parts) > 3 else ""
        return one_line(f"What if {', and '.join(parts[:3])}{more}?")

    def _command(self, command_id: str) -> str:
        node = self.run.tree.nodes.get(command_id)
        told = "" if node is None else f", {command_words(node.record, 60)},"
        return f"command {command_id}{told}"

    @property
    def answer(self) -> str:
        """What would have become of the run, in a sentence or two."""
        if self.is_cut:
            added = len(self.run.history) - self.kept
            return f"It goes on and on: it was stopped {count(added, 'record')} after the change."
        if self.outcome is None:
            return f"It stops: {self._named()}."
        before = self.original.tree.outcome
        was = "has not ended" if before is None else outcome_words(before, 90)
        if self.difference.has_same_outcome:
            return f"It comes to the same: it {was}."
        return f"Then it {outcome_words(self.outcome, 90)}; as recorded, it {was}."

    def _named(self) -> str:
        open_ = [each.record for each in self.missing if each.is_open]
        first = open_[0] if open_ else None
        if first is None:
            return "it waits"
        if first.kind in ("await_signal", "await_request"):
            told = f"it waits for {command_words(first, 60)} ({first.where}), which was not recorded"
        else:
            told = f"nothing is recorded for {command_words(first, 60)} ({first.where})"
        return f"{told}, and {len(open_) - 1} more" if len(open_) > 1 else told

    def _remarks(self) -> Iterator[str]:
        added = len(self.run.history) - self.kept
        came = Counter(answer.source for answer in self.answers)
        parts = [f"{number:,} {_FROM[source]}" for source in AnswerSource if (number := came[source])]
        told = f": {', '.join(parts)}" if parts else ""
        yield f"{count(self.kept, 'record')} kept, {count(added, 'record')} new; answers{told or ': none'}."
        for command_id in self.unused:
            yield f"Command {command_id} never got what was supposed: the run did not come to it."

    def _missing_lines(self) -> Iterator[tuple[str, str, str]]:
        """Give what is missing: the command, its id and line, and what it means."""
        for each in self.missing[:_NAMED]:
            left = "" if each.is_open else "; the run went on without it"
            yield command_words(each.record, 70), each.record.id, f"{each.record.where}{left}"

    @property
    def _cure(self) -> str:
        """What to give so that the run gets further."""
        calls = [each.record for each in self.missing if each.record.kind in ("call", "transact", "child")]
        if calls:
            return f"To go on, tell what it answers: known={{{calls[0].target!r}: ...}}"
        signals = [each.record for each in self.missing if each.record.kind == "await_signal"]
        return f"To go on, tell what it carries: signals={{{signals[0].target!r}: ...}}" if signals else ""

    def __repr__(self) -> str:
        """Say on one line what was asked, and what came of it."""
        return f"<{self.question} {self.answer}>"

    def text(self) -> str:
        """Show what would have become of the run, and where that differs."""
        lines = [*wrap(self.question, _COLUMNS), *wrap(self.answer, _COLUMNS), ""]
        lines += [elide(remark, _COLUMNS) for remark in self._remarks()]
        if self.missing:
            lines += ["", "Nothing is recorded for"]
            for told, command_id, where in self._missing_lines():
                lines.append(elide(f"  {told:<72}  {command_id:<8} {clean(where)}", _COLUMNS))
            if len(self.missing) > _NAMED:
                lines.append(f"  … {len(self.missing) - _NAMED:,} more")
            lines += [elide(self._cure, _COLUMNS)] if self._cure else []
        return "\n".join([*lines, "", str(self.difference)])

    def html(self) -> Markup:
        """Show what would have become of the run, and where that differs."""
        return element(
            "div",
            Markup(f"<style>{_STYLE}</style>"),
            element("h3", self.question),
            element("p", self.answer, class_="answer stops" if self.outcome is None else "answer"),
            [element("p", remark, class_="dim") for remark in self._remarks()],
            self._missing_table(),
            self.difference.html(),
            class_="whatif",
        )

    def _missing_table(self) -> Markup | None:
        if not self.missing:
            return None
        rows = [
            element("tr", element("td", element("code", told)), element("td", id_), element("td", clean(where)))
            for told, id_, where in self._missing_lines()
        ]
        heads = ("nothing is recorded for", "command", "source line")
        left = len(self.missing) - _NAMED
        return element(
            "div",
            table(heads, rows),
            element("p", f"… {left:,} more") if left > 0 else None,
            element("p", element("code", self._cure)) if self._cure else None,
            class_="missing",
        )


_FROM = {
    AnswerSource.SUPPOSED: "as supposed",
    AnswerSource.RECORDED: "from the history",
    AnswerSource.KNOWN: "known",
    AnswerSource.TIMER: "by timers",
    AnswerSource.ASSUMED: "assumed delivered",
}


def what_if(
    run: R,
    at: int,
    results: Mapping[str, Any] | None = None,
    *,
    signals: Mapping[str, Any] | None = None,
    known: Known | None = None,
) -> WhatIf[R]:
    """Continue a run in memory with other answers; arguments and errors as for `Run.what_if`."""
    definition = run.code
    if not isinstance(definition, WorkflowDefinition):
        raise UsageError(f"run {run.id!r}: {definition}")
    history = whole(run.history)
    if not -len(history) <= at < len(history) or not history:
        told = f"{count(len(history), 'record')} that can be read, 0 to {len(history) - 1}" if history else "no records"
        raise UsageError(f"at={at}: run {run.id!r} has {told}")
    past = Past(run.id, history, run.tree if len(history) == len(run.history) else tree_of(history))
    what = Suppositions(dict(results or {}), dict(signals or {}), by_name(known))
    found = continued(definition, past, at % len(history), what)
    imagined = run.imagined(found.history, found.state)
    return WhatIf(
        run, imagined, found.kept, what.results, what.signals, found.answers, found.missing, found.unused, found.is_cut
    )


def _answers(history: tuple[Transition, ...], index: int) -> str:
    """Return the command whose answer a record holds, or nothing."""
    cause = history[index].cause if index < len(history) else None
    return cause.id if isinstance(cause, (Resolved, Rejected)) else ""


def _told(value: Any) -> str:
    return recorded(bytes(value), 60) if isinstance(value, msgspec.Raw) else shown(value, 60)


def _is_failure(value: Any) -> bool:
    return isinstance(value, (BaseException, Failure)) or (isinstance(value, type) and issubclass(value, BaseException))


def made_real(
    run: Subject, into: str | Store | Engine | None, at: int, results: Mapping[str, Any], id: str | None
) -> str:
    """Fork a run into a live one; arguments and errors as for `Run.fork` and `WhatIf.fork`."""
    definition = run.code if isinstance(run.code, WorkflowDefinition) else None
    if isinstance(into, Engine):
        return into.fork(run.id, at=at, results=results, id=id).id
    if into is not None and not isinstance(into, str):
        return fork(into, run.id, at=at, results=results, id=id, definition=definition)
    store = open_store(into or run.store)
    try:
        return fork(store, run.id, at=at, results=results, id=id, definition=definition)
    finally:
        store.close()


_STYLE = """
.interp .whatif h3 { font-size: 16px; overflow-wrap: anywhere; }
.interp .whatif p { margin: 4px 0; overflow-wrap: anywhere; }
.interp .whatif p.answer { font-size: 15px; font-weight: 600; border-left: 4px solid var(--good); padding: 4px 12px;
background: var(--band); margin: 6px 0; }
.interp .whatif p.answer.stops { border-color: var(--lit-edge); }
.interp .whatif .missing { border: 1px solid var(--lit-edge); border-radius: 6px; padding: 6px 12px; margin: 10px 0; }
.interp .whatif .differ { margin-top: 14px; }
"""

"""The codes of findings: what each means, why it matters, and the cure. Pure; the reference page is made from it."""

from __future__ import annotations

import attrs

__all__ = ["CODES", "Code"]


@attrs.frozen
class Code:
    """One kind of thing that a workflow must not do.

    Attributes:
        id: Short and stable: what `# interp: allow[...]` names.
        title: What it is, in a few words.
        why: What goes wrong because of it.
        cure: What to write instead.
        watched: Whether the runtime guard sees it too.
    """

    id: str
    title: str
    why: str
    cure: str
    watched: bool = False


_ALL = (
    Code(
        "clock",
        "the clock",
        "Every replay reads another time, and may take another branch.",
        "moment = yield from now()",
        watched=True,
    ),
    Code(
        "sleep",
        "sleeping on the spot",
        "It stops the worker with all its runs, and again in every replay.",
        "yield sleep(timedelta(...)), which survives restarts",
        watched=True,
    ),
    Code(
        "random",
        "random numbers",
        "Every replay draws others.",
        "chance = yield from random(), or Random(seed) with a seed that is an argument",
        watched=True,
    ),
    Code(
        "uuid",
        "random ids",
        "Every replay makes another id, so that the outside world sees two.",
        "new_id = yield from uuid()",
        watched=True,
    ),
    Code(
        "environment",
        "the environment",
        "A replay may happen on another machine, in another process, after a change of settings.",
        "make it an argument of the workflow, or read it in an activity: yield from call(...)",
        watched=True,
    ),
    Code(
        "io",
        "input and output",
        "It happens again in every replay, and may answer otherwise; nothing of it is recorded.",
        "do it in an activity: yield from call(...)",
        watched=True,
    ),
    Code(
        "output",
        "lines written",
        "They are written again in every replay.",
        "log = interp.get_logger(), which is silent in replays",
    ),
    Code(
        "concurrency",
        "threads, processes and event loops",
        "Who comes first differs from run to run, and nobody waits for them when the run is replayed.",
        "yield from gather(...), race(...) or spawn(...)",
        watched=True,
    ),
    Code(
        "identity",
        "hash values and addresses",
        "hash() and id() differ from process to process: strings are hashed with another seed, objects lie elsewhere.",
        "compare the values, or use zlib.crc32 or hashlib on bytes",
        watched=True,
    ),
    Code(
        "set-order",
        "the order of a set",
        "Another process gives the elements in another order, and so the commands.",
        "sorted(...), or a tuple or list from the beginning",
    ),
    Code(
        "forgotten-yield",
        "a command that is never yielded",
        "It only describes what to do: nothing happens until it is yielded.",
        "write yield from in front of it",
    ),
    Code(
        "activity-call",
        "an activity that is called directly",
        "It runs on the spot, without a record: again in every replay, without retries and timeouts.",
        "yield from call(activity, ...)",
        watched=True,
    ),
    Code(
        "coroutine",
        "a coroutine that is never awaited",
        "A workflow does not await, so that the coroutine never runs.",
        "make it an activity: yield from call(fn, ...)",
    ),
    Code(
        "swallowed",
        "an except that swallows cancellation",
        "It catches Cancelled and GeneratorExit, so that the run cannot be cancelled or dropped there.",
        "except Exception, or raise at its end",
    ),
    Code(
        "global-state",
        "state outside of the workflow",
        "Other runs and replays in the same process change it too, and another process starts without it.",
        "keep it in a local variable, or in an activity",
    ),
    Code(
        "mutable-default",
        "a default argument that is changed",
        "There is one for all calls: what one run leaves in it, the next run and every replay find.",
        "default to None, and make a new one in the body",
    ),
)

CODES = {code.id: code for code in _ALL}
"""All codes by their id, in the order of the reference page."""

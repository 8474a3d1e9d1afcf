"""Requests: questions from outside that a workflow answers. Their value, and the recorded form of answers.

An answer is an item of a stream of its own, whose topic is made of the request's id: whoever asked reads it there, and
whoever asks again under the same id does, too.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeAlias, TypeVar, get_args, get_origin

import attrs
import msgspec

from interp.errors import UsageError
from interp.streams import RESERVED

__all__ = ["REQUEST_ID_BYTES", "Answer", "Request", "answer_topic", "asked_type", "check_request_id", "decode_answer"]

T = TypeVar("T")

# With its prefix it is a topic.
REQUEST_ID_BYTES = 180

How: TypeAlias = Literal["ok", "error", "refused"]


@attrs.frozen
class Request(Generic[T]):
    """A question from outside, to be answered by `reply`.

        request = yield from await_signal("quote", Request[Order])
        yield from reply(request, price_of(request.payload))

    Attributes:
        id: Tells it from all others; given by whoever asks, or random.
        payload: What was asked.
        name: The name under which it was asked.
    """

    id: str
    payload: T
    name: str = ""


@attrs.frozen
class Answer:
    """What came of a request.

    Attributes:
        how: `ok` with a value; `error` (the workflow replied with one) or `refused`, both with a text.
        value: As JSON.
    """

    how: How
    value: bytes

    @classmethod
    def refusal(cls, reason: str) -> Answer:
        """Say why a request is refused."""
        # A lone surrogate cannot be written as UTF-8.
        return cls("refused", msgspec.json.encode(reason.encode("utf-8", "backslashreplace").decode()))

    def encode(self, request_id: str) -> bytes:
        """Write it as the arguments of `reply`, and as the item that is read by whoever asked."""
        return b"[%s,%s,%s]" % (msgspec.json.encode(request_id), msgspec.json.encode(self.how), self.value)

    @property
    def text(self) -> str:
        """The text of an error or a refusal."""
        return str(msgspec.json.decode(self.value))


_decoder = msgspec.json.Decoder(tuple[str, How, msgspec.Raw])


def decode_answer(payload: bytes) -> Answer:
    """Read an answer back; raises `msgspec.MsgspecError` when it is none."""
    _, how, value = _decoder.decode(payload)
    return Answer(how, bytes(value))


def answer_topic(request_id: str) -> str:
    """Return the topic of the stream in which a request is answered."""
    return f"{RESERVED}answer/{request_id}"


def check_request_id(request_id: str) -> str:
    """Return the id of a request if it can be one.

    Raises:
        UsageError: It cannot.
    """
    try:
        possible = 0 < len(request_id.encode()) <= REQUEST_ID_BYTES and "\0" not in request_id
    except UnicodeEncodeError:
        possible = False
    if not possible:
        shown = repr(request_id if len(request_id) <= 40 else request_id[:40] + "...")
        raise UsageError(
            f"request id {shown}: it must have 1 to {REQUEST_ID_BYTES} bytes of UTF-8, without NUL and surrogates"
        )
    return request_id


def asked_type(annotation: Any) -> Any:
    """Return the type of the payload where requests are awaited; None where plain signals are.

    >>> asked_type(Request[int]), asked_type(Request), asked_type(int)
    (<class 'int'>, typing.Any, None)
    """
    if annotation is Request:
        return Any
    return get_args(annotation)[0] if get_origin(annotation) is Request else None

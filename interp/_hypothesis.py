"""Tells Hypothesis how to draw our types; it calls `register` when it is imported (entry point group `hypothesis`)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

from hypothesis import strategies as st

from interp.asking import Request
from interp.policies import Retry

__all__ = ["register"]

_PAUSES = st.timedeltas(timedelta(0), timedelta(days=1))


def register() -> None:
    """Register strategies for the types whose fields alone do not say which values make sense."""
    st.register_type_strategy(
        Retry,
        st.builds(
            Retry,
            attempts=st.none() | st.integers(1, 20),
            initial=_PAUSES,
            backoff=st.floats(1, 10),
            maximum=_PAUSES,
            jitter=st.floats(0, 1),
            never=st.just(()),
            only=st.just(()),
        ),
    )
    st.register_type_strategy(Request, _requests)


def _requests(annotation: Any) -> st.SearchStrategy[Request[Any]]:
    """Draw requests with payloads of the type in `Request[T]`; of any simple one where it is not said."""
    (payload,) = get_args(annotation) or (str,)
    return st.builds(Request, st.uuids().map(str), st.from_type(payload), st.just(""))

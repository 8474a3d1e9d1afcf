"""The stores of the tests of the runtime."""

from tests.runtime.conftest import url

__all__ = ["url"]

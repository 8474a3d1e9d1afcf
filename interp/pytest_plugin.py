"""The pytest plugin: exported histories are tests, failures of the testing kit print their story alone, and fixtures.

Collected are files called `*.history.jsonl`, as `interp export` writes them: each is replayed against the code as it is
now. Loaded with every pytest that finds interp installed, so it imports nothing heavy by itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest

from interp.definitions import find_workflow
from interp.errors import NondeterminismError, UnknownWorkflow
from interp.histories import SUFFIX, ExportedHistory, load_history
from interp.replay import replay

__all__ = ["HistoryFile", "HistoryTest"]

_EXAMPLES = {"quick": 20, "usual": 100, "deep": 2_000}

_Report: TypeAlias = Generator[None, pytest.TestReport, pytest.TestReport]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the plugin can be told."""
    group = parser.getgroup("interp", "durable workflows")
    group.addoption(
        "--interp-histories",
        choices=["replay", "ignore"],
        default="replay",
        help=f"whether files called *{SUFFIX} are replayed as tests (default: replay)",
    )
    group.addoption(
        "--interp-profile",
        choices=sorted(_EXAMPLES),
        help="how many examples Hypothesis looks at, in checks of workflows and everywhere: "
        + ", ".join(f"{name} {count:,}" for name, count in _EXAMPLES.items()),
    )
    parser.addini("interp_modules", "modules that define the workflows of exported histories", "args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Take the profile that was asked for."""
    profile = config.getoption("--interp-profile")
    if profile is not None:
        from hypothesis import settings  # noqa: PLC0415  only for who asks

        settings.register_profile(f"interp-{profile}", max_examples=_EXAMPLES[profile], deadline=None)
        settings.load_profile(f"interp-{profile}")


@pytest.fixture
def interp_store(tmp_path: Path) -> str:
    """URL of a fresh LMDB store, which is gone with the test's directory."""
    return f"lmdb://{tmp_path}/interp"


@pytest.fixture
def interp_engine() -> Iterator[Any]:
    """An engine in virtual time on a store in memory, without stubs: `interp.testing.engine()`."""
    from interp.testing import engine  # noqa: PLC0415  brings Hypothesis, which this plugin does not wait for

    with engine() as opened:
        yield opened


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect exported histories."""
    if not file_path.name.endswith(SUFFIX) or parent.config.getoption("--interp-histories") == "ignore":
        return None
    made: HistoryFile = cast("Any", HistoryFile).from_parent(parent, path=file_path)  # it has no types in pytest
    return made


class HistoryFile(pytest.File):
    """A file that `interp export` wrote."""

    def collect(self) -> Iterable[pytest.Item]:
        """Give the one test that it is."""
        yield cast("Any", HistoryTest).from_parent(self, name="replays")


class HistoryTest(pytest.Item):
    """Replays one exported history."""

    def runtest(self) -> None:
        """Replay it against the code as it is now."""
        for module in self.config.getini("interp_modules"):
            importlib.import_module(module)
        exported = self._load()
        definition = find_workflow(exported.workflow)
        replay(definition, exported.history, run_id=exported.run_id).interpreter.close()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:  # type: ignore[override]  # pytest takes text, too
        """Tell what differs; a traceback would show the inside of the replay."""
        error = excinfo.value
        if isinstance(error, UnknownWorkflow):
            return f"{error}\n  Name the module that defines it: interp_modules = [...] in pytest's configuration."
        told = str(error) or repr(error)
        if isinstance(error, NondeterminismError):
            return f"{self.path.name} does not fit the code any more\n\n{self._story(error)}\n\n{told}"
        return told

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Say where it is."""
        return self.path, None, self.path.name

    def _load(self) -> ExportedHistory:
        return load_history(self.path.read_text(encoding="utf-8"), str(self.path))

    def _story(self, error: NondeterminismError) -> str:
        try:
            from interp.testing.story import marked, render, story  # noqa: PLC0415  brings Hypothesis, which is not needed
        except ImportError:
            return ""
        return render(marked(story(self._load().history), error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> _Report:
    """Show a failure of the kit as its story: where in the kit it was raised is no news."""
    report = yield
    error = call.excinfo.value if call.excinfo is not None else None
    if report.failed and getattr(error, "__interp_story__", False):
        report.longrepr = str(error)
    return report

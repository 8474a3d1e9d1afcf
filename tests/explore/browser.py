"""A headless Chromium, driven by Selenium: what views look like, and do, where people read them.

It reaches this machine and nothing else, so that a view that loads something from elsewhere is found out.

Where the browser or a package is missing, tests are skipped and say so; with `INTERP_NO_SKIP` set, as in CI, they fail.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest

__all__ = ["chromium", "complaints", "missing", "needed"]

_FLAGS = (
    "--headless",
    "--no-sandbox",  # of no use inside of a container, and refused to root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",  # containers have a small /dev/shm
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def missing(reason: str) -> None:
    """Skip the test, or fail it where nothing may be skipped."""
    if os.environ.get("INTERP_NO_SKIP"):
        pytest.fail(reason)
    pytest.skip(reason)


def needed(module: str) -> Any:
    """Import a module that `interp[lab]` brings."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing(f"{error.name} is not installed: pip install 'interp[lab]'")


@contextmanager
def chromium(*, dark: bool = False, width: int = 1300, height: int = 1000, scale: float = 1) -> Iterator[Any]:
    """Start a browser with a profile of its own.

    Args:
        dark: Whether pages are told that the reader prefers dark.
        width: Of the window, in CSS pixels.
        height: Of the window, in CSS pixels.
        scale: Device pixels for one CSS pixel: 2 for sharp pictures.
    """
    webdriver = needed("selenium.webdriver")
    browser, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if browser is None or driver is None:
        missing("there is no Chromium with its driver: apt-get install chromium chromium-driver")
    with tempfile.TemporaryDirectory(prefix="interp-chromium-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--force-device-scale-factor={scale}"):
            options.add_argument(flag)
        options.add_argument(f"--window-size={width},{height}")
        if dark:
            options.add_argument("--blink-settings=preferredColorScheme=0")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        try:
            session.set_script_timeout(120)
            yield session
        finally:
            session.quit()


def complaints(session: Any) -> list[str]:
    """What the page wrote to the console as errors since the last time."""
    return [entry["message"] for entry in session.get_log("browser") if entry["level"] == "SEVERE"]

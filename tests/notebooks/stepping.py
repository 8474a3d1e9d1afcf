"""Drives the stepper as a reader does, by clicks and by keys, wherever it is: in a frame, or live in JupyterLab."""

from __future__ import annotations

import time
from typing import Any

import attrs

from tests.explore.browser import needed

__all__ = ["SteppedThrough"]


@attrs.frozen
class SteppedThrough:
    """A stepper that is in the page, or in the frame, which the browser looks at.

    Attributes:
        session: The browser.
    """

    session: Any

    def click(self, name: str) -> None:
        """Click one of the buttons: `next`, `previous`, `first`, `last`, `failure`, `before`, `after`."""
        self.session.find_element("css selector", f".st-{name}").click()

    def press(self, key: str) -> None:
        """Press a key, with the stepper in focus: `ARROW_LEFT`, `ARROW_RIGHT`, `HOME`, `END`."""
        keys = needed("selenium.webdriver").Keys
        self.session.find_element("css selector", ".st-root").send_keys(getattr(keys, key))

    def follow(self, variable: str) -> None:
        """Choose the variable whose changes are looked for."""
        self.session.find_element("css selector", f'.st-variable option[value="{variable}"]').click()

    def click_timeline(self, share: float) -> None:
        """Click on the timeline, so far from its left side."""
        strip = self.session.find_element("css selector", ".st-strip")
        chain = needed("selenium.webdriver").ActionChains(self.session)
        across = int(strip.size["width"] * (share - 0.5))
        chain.move_to_element_with_offset(strip, across, 0).click().perform()

    def stands_at(self, record: int, *words: str) -> None:
        """Wait until a record is shown, with these words in its cards."""
        deadline = time.monotonic() + 20
        while True:
            root = self.session.find_element("css selector", ".st-root")
            shown, text = root.get_attribute("data-record"), root.text
            if shown == str(record) and all(word in text for word in words):
                return
            assert time.monotonic() < deadline, f"shows record {shown} and not {record} with {words}:\n{text}"
            time.sleep(0.05)

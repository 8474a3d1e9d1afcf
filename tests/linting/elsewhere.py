"""Another module of the same project: names that lead away from the one that is looked at."""

import random
import time
from time import time as clock

__all__ = ["DICE", "Cart", "clock", "stamp", "tally"]

DICE = random.Random()


def stamp() -> float:
    return time.time()  # found from a workflow in another module


def tally(seen: list[str] = []) -> int:  # noqa: B006  the mistake
    seen.append("x")  # found as well
    return len(seen)


class Cart:
    def total(self) -> float:
        return round(time.time())  # found as well

"""How many examples the properties look at that live through a whole run, or draw it, for each of them."""

from hypothesis import settings

FEW = settings(max_examples=max(20, settings().max_examples // 5))

"""Two texts beside each other: where they part, with little around it. Pure."""

from __future__ import annotations

import attrs

from interp.outline.words import LONG_BYTES, clean, elide, one_line, rendered

__all__ = ["Cut", "contrasted", "values_contrasted"]

# What is kept of long JSON before and behind the place where two of them part, in bytes.
_BEFORE, _BEHIND = 120, 360


@attrs.frozen
class Cut:
    """A text, cut to be shown.

    Attributes:
        before: What it shares with the other one.
        odd: What differs.
        after: What it shares with the other one again.
    """

    before: str = ""
    odd: str = ""
    after: str = ""

    def __str__(self) -> str:
        """Return the text."""
        return f"{self.before}{self.odd}{self.after}"


def contrasted(a: str, b: str, width: int) -> tuple[Cut, Cut]:
    """Cut two texts to at most `width` characters each, around the place where they part.

    Args:
        a: One text, on one line.
        b: The other one.
        width: Longest text, in characters.
    """
    begin = _whole_word(a, b, _common(a, b))
    end = _common(a[begin:][::-1], b[begin:][::-1])
    while end and _is_word(a[-end]) and (_is_word(_at(a, -end - 1)) or _is_word(_at(b, -end - 1))):
        end -= 1
    return _cut(a, begin, end, width), _cut(b, begin, end, width)


def values_contrasted(a: bytes, b: bytes, width: int) -> tuple[Cut, Cut]:
    """Cut two recorded values, however large, to at most `width` characters each around where they part."""
    if max(len(a), len(b)) <= LONG_BYTES:
        return contrasted(one_line(rendered(a)), one_line(rendered(b)), width)
    begin = max(_common(a, b) - _BEFORE, 0)
    return tuple(_excerpts(a, b, begin, width))  # type: ignore[return-value]  # a pair in, a pair out


def _excerpts(a: bytes, b: bytes, begin: int, width: int) -> list[Cut]:
    sizes = [f" … ({len(value):,} bytes)" for value in (a, b)]
    parts = [clean(" ".join(each[begin : begin + _BEHIND].decode("utf-8", "replace").split())) for each in (a, b)]
    cuts = contrasted(parts[0], parts[1], max(width - max(map(len, sizes)) - 1, 8))
    lead = "…" if begin else ""
    return [
        attrs.evolve(cut, before=_elided(lead, cut.before), after=cut.after + size)
        for cut, size in zip(cuts, sizes, strict=True)
    ]


def _elided(lead: str, text: str) -> str:
    """Put an ellipsis before a text that has none."""
    return text if not lead or text.startswith(lead) else lead + text


def _cut(text: str, begin: int, end: int, width: int) -> Cut:
    before, odd, after = text[:begin], text[begin : len(text) - end], text[len(text) - end :]
    if len(text) <= width:
        return Cut(before, odd, after)
    if before == text:  # nothing differs
        return Cut(elide(text, width))
    odd = elide(odd, max(width * 2 // 3, 4))
    room = width - len(odd)
    kept = max(room // 2, room - len(after))
    if len(before) > kept:
        before = "…" + before[len(before) - max(kept - 1, 0) :]
    return Cut(before, odd, elide(after, width - len(odd) - len(before)))


def _common(a: str | bytes, b: str | bytes) -> int:
    """Return how many leading items two texts share; by halves, because comparing slices takes no time."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _whole_word(a: str, b: str, at: int) -> int:
    """Go back to where the word begins that differs: '100' and '190' part in the number, not within."""
    if not (_is_word(_at(a, at)) or _is_word(_at(b, at))):
        return at
    begin = at
    while begin and at - begin < 20 and _is_word(a[begin - 1]):
        begin -= 1
    return begin


def _is_word(char: str) -> bool:
    return char.isalnum() or char in "_."


def _at(text: str, at: int) -> str:
    return text[at] if -len(text) <= at < len(text) else " "

"""What happened to a run as a whole, drawn over its lanes: crashes as bands, other moments as lines, told below."""

from __future__ import annotations

from collections.abc import Sequence

from interp.explore.axis import Axis, lasted
from interp.explore.chart import Note, Tone
from interp.explore.markup import Markup, element
from interp.explore.picture import fitted, paint, rect, words, words_width
from interp.outline.words import elide

__all__ = ["draw_bands", "draw_notes"]

_LINE = 20.0
_MOST = 6  # lines of notes
_TITLE = 400  # characters of a tooltip

# A run that crashes a thousand times is told by the first ones.
_MOST_BANDS = 60


def draw_bands(notes: Sequence[Note], axis: Axis, top: float, bottom: float) -> list[Markup]:
    """Draw where the notes are, from top to bottom."""
    return [_band(note, axis, top, bottom) for note in notes[:_MOST_BANDS]]


def _band(note: Note, axis: Axis, top: float, bottom: float) -> Markup:
    begin, end = axis.x(note.begin), axis.x(note.end)
    title = element("title", f"{elide(note.text, _TITLE)}\n{_when(note)}")
    if note.tone is Tone.CRASH:
        return rect(begin, top, max(end - begin, 2.5), bottom - top, "crash-band", title)
    style = f"stroke:{paint(note.tone.value)};stroke-width:1.2;stroke-dasharray:3 3"
    return element("path", title, d=f"M{end:.1f} {top:.1f}V{bottom:.1f}", style=style)


def _when(note: Note) -> str:
    if note.end > note.begin:
        return f"{note.begin:%H:%M:%S} to {note.end:%H:%M:%S} UTC ({lasted(note.end - note.begin)})"
    return f"{note.end:%H:%M:%S} UTC"


def draw_notes(notes: Sequence[Note], axis: Axis, top: float, width: float) -> tuple[list[Markup], float]:
    """Write what the notes say, each under its place.

    Args:
        notes: What happened.
        axis: The time axis.
        top: Where the first line begins.
        width: Of the picture.

    Returns:
        What is drawn, and where it ends.
    """
    drawn: list[Markup] = []
    reached: list[float] = []
    left_out = 0
    for note in notes:
        told = fitted(f"{note.mark} {note.text}", width - 16, 12, bold=True)
        room = words_width(told, 12, bold=True)
        place = axis.x(note.begin if note.tone is Tone.CRASH else note.end) - 2
        x = max(min(place, width - 8 - room), 8.0)
        line = next((line for line, end in enumerate(reached) if end + 14 <= x), len(reached))
        if line >= _MOST:
            left_out += 1
            continue
        reached[line : line + 1] = [x + room]
        drawn.append(words(x, top + _LINE * line + 16, told, size=12, fill=note.tone.value, bold=True))
    if left_out:
        drawn.append(words(8, top + _LINE * len(reached) + 16, f"… {left_out:,} more", size=12, fill="dim"))
    return drawn, top + _LINE * (len(reached) + bool(left_out))

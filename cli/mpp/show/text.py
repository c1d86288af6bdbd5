"""Styled text for a terminal: lines of pieces, cut to a width, with colours or without."""

from __future__ import annotations

import unicodedata
from itertools import groupby

COLOURS = {"": "", "title": "1", "dim": "2", "green": "32", "yellow": "33", "red": "31", "alarm": "1;31"}
EIGHTHS = " ▏▎▍▌▋▊▉"
IDLE_MBIT = 0.05  # less is shown as 0
BUSY_PART, FULL_PART = 0.7, 0.95  # of the capacity

Piece = tuple[str, str]  # text, style: a key of COLOURS
Line = list[Piece]


def plain(text: str) -> str:
    """Without what would move the cursor or take two columns: a line break becomes a space."""
    return "".join((" " if not char.isprintable() else
                    "?" if unicodedata.east_asian_width(char) in "WF" else char) for char in text)


def short(text: str, width: int) -> str:
    """At most `width` characters; the last is an ellipsis where there were more."""
    return text if len(text) <= width else text[:max(width - 1, 0)] + "…"[:width]


def length(line: Line) -> int:
    return sum(len(text) for text, _ in line)


def padded(line: Line, width: int) -> Line:
    return [*line, (" " * max(width - length(line), 0), "")]


def render(line: Line, width: int, has_colour: bool) -> str:
    is_cut = length(line) > width
    room, out = width - is_cut, ""
    for style, pieces in groupby(line, key=lambda piece: piece[1]):
        text = plain("".join(text for text, _ in pieces))[:room]
        room -= len(text)
        has_style = has_colour and style and text.strip()
        out += f"\x1b[{COLOURS[style]}m{text}\x1b[0m" if has_style else text
    return out + "…" if is_cut else out.rstrip(" ")


def number(mbit: float) -> str:
    """Four characters for up to a Tbit/s."""
    if mbit < IDLE_MBIT:
        return "0"
    if mbit < 99.95:
        return f"{mbit:.1f}".removesuffix(".0")
    if mbit < 9999.5:
        return f"{mbit:.0f}"
    return f"{mbit / 1e3:.0f}k" if mbit < 999_500 else f"{mbit / 1e6:.1f}M"


def load_style(carried_mbit: float, capacity_mbit: float) -> str:
    if carried_mbit < IDLE_MBIT:
        return "dim"
    if carried_mbit < BUSY_PART * capacity_mbit:
        return "green"
    return "yellow" if carried_mbit < FULL_PART * capacity_mbit else "red"


def bar(carried_mbit: float, whole_mbit: float, width: int, style: str) -> Line:
    """Filled in eighths of a character; dots for the part that is free."""
    part = min(carried_mbit / whole_mbit, 1) if whole_mbit > 0 else 0
    full, eighths = divmod(round(part * width * 8), 8)
    filled = "█" * full + (EIGHTHS[eighths] if eighths else "")
    return [(filled, style), ("·" * (width - len(filled)), "dim")]

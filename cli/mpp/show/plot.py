"""A picture of the last minutes: what each path and each application carried, events marked. The same
samples and events give the same SVG, byte for byte, in the same time zone."""

from __future__ import annotations

import math
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence, Union
from xml.sax.saxutils import escape

from ..events import Event
from ..history import SAMPLE_S, Sample
from .text import plain, short

WIDTH, LEFT, RIGHT, TOP = 960, 64, 20, 64
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, 340
BOTTOM = TOP + PLOT_HEIGHT
ROW, CHAR = 18, 7.7  # of text, in pixels: its height, and the width of a digit
BOLD_CHAR = 11.5  # of the title
LEGEND_COLUMNS = 3
LEGEND_WIDTH = PLOT_WIDTH / LEGEND_COLUMNS
KEY_WIDTH = 34  # the line before a legend's text
MARK_WIDTH = 34  # events that are nearer than that have one number, as 3-5
EVENTS_MAX = 40
GAP_S = 5 * SAMPLE_S  # longer without a sample: the curve has a gap
TICKS_X_MAX, TICKS_Y_MAX = 8, 6
TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")  # Okabe, Ito
DASHES = ("none", "6 3", "2 3", "9 3 2 3")  # the next one each time the colours are used up
INK, GREY, PALE = "#222222", "#888888", "#e4e4e4"


class ShowError(Exception):
    """Nothing to show, or no way to show it."""


@dataclass(frozen=True)
class Curve:
    """Of an application (app,), or of a path of one (app, path)."""

    key: tuple[str, ...]
    index: int  # chooses its colour
    points: list[tuple[float, float]]  # seconds since the epoch, Mbit/s

    @property
    def name(self) -> str:
        return " ".join(self.key)

    @property
    def is_total(self) -> bool:
        return len(self.key) == 1

    @property
    def width(self) -> float:
        return 3.5 if self.is_total else 1.5


@dataclass(frozen=True)
class Frame:
    """From seconds and Mbit/s to pixels."""

    begin: float
    end: float
    tick_mbit: float
    mbit_max: float

    def x(self, at: float) -> float:
        return LEFT + PLOT_WIDTH * min((at - self.begin) / (self.end - self.begin), 1)

    def y(self, mbit: float) -> float:
        return BOTTOM - PLOT_HEIGHT * mbit / self.mbit_max


def write(path: Union[str, Path], samples: Sequence[Sample], events: Sequence[Event], title: str,
          seconds: float = 300) -> None:
    """As .svg or .png, by the end of its name."""
    path = Path(path)
    if path.suffix not in (".svg", ".png"):
        raise ShowError(f"{path}: expected a name that ends in .svg or .png")
    picture = svg(samples, events, title, seconds)
    try:
        path.write_bytes(picture.encode() if path.suffix == ".svg" else _png(picture))
    except OSError as error:
        raise ShowError(f"{path}: {error.strerror}") from None


def _png(picture: str) -> bytes:
    if shutil.which("rsvg-convert") is None:
        raise ShowError("PNG needs rsvg-convert: apt-get install librsvg2-bin; an .svg needs nothing")
    done = subprocess.run(["rsvg-convert", "--zoom=2"], input=picture.encode(), capture_output=True)
    if done.returncode != 0:
        raise ShowError(f"rsvg-convert: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def svg(samples: Sequence[Sample], events: Sequence[Event], title: str, seconds: float = 300) -> str:
    """Of the `seconds` before the last sample."""
    end = max((sample.at for sample in samples), default=0)
    begin = end - max(seconds, SAMPLE_S)
    shown = sorted((sample for sample in samples if sample.at >= begin), key=lambda sample: sample.at)
    curves = _curves(shown)
    if not curves:
        raise ShowError("nothing was carried yet: commit an application, and try again after some seconds")
    frame = _frame(shown, curves)
    marked = [event for event in events if frame.begin <= event.at <= end + SAMPLE_S][-EVENTS_MAX:]
    legend_y = BOTTOM + 52
    events_y = legend_y + ROW * (math.ceil(len(curves) / LEGEND_COLUMNS) + 1)
    parts = [*_heading(title), *_mbit_axis(frame), *_time_axis(frame), *_marks(marked, frame),
             *_lines(curves, frame), *_legend(curves, legend_y), *_list(marked, events_y)]
    return _document(parts, events_y + ROW * len(marked))


def _curves(samples: list[Sample]) -> list[Curve]:
    """Those of the applications, then those of the paths, by name."""
    points: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for sample in samples:
        totals = {(app,): mbit for app, mbit in sample.apps.items()}
        for key, mbit in (totals | sample.paths).items():
            if math.isfinite(mbit):
                points.setdefault(key, []).append((sample.at, mbit))
    keys = sorted(points, key=lambda key: (len(key), key))
    return [Curve(key, index, points[key]) for index, key in enumerate(keys)]


def _frame(samples: list[Sample], curves: list[Curve]) -> Frame:
    """Up to the next round tick above all curves."""
    most = max(mbit for curve in curves for _, mbit in curve.points)
    least = max(most, 1) / TICKS_Y_MAX
    power = 10 ** math.floor(math.log10(least))
    tick = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)
    return Frame(samples[0].at - SAMPLE_S, samples[-1].at, tick, tick * max(math.ceil(most / tick), 1))


# Parts of the picture


def _text(x: float, y: float, text: str, width: float, more: str = "", char: float = CHAR) -> str:
    """Cut to a width; the whole of it is shown where the mouse rests."""
    text = plain(text)
    cut = short(text, int(width / char))
    tip = f"<title>{escape(text)}</title>" if cut != text else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{tip}{escape(cut)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" {more}/>')


def _heading(title: str) -> list[str]:
    return [_text(LEFT, 26, title, PLOT_WIDTH, 'font-size="16" font-weight="bold"', BOLD_CHAR),
            _text(LEFT - 8, TOP - 14, "Mbit/s", LEFT, 'text-anchor="end"')]


def _mbit_axis(frame: Frame) -> list[str]:
    parts = []
    for i in range(round(frame.mbit_max / frame.tick_mbit) + 1):
        mbit, y = i * frame.tick_mbit, frame.y(i * frame.tick_mbit)
        parts += [_line(LEFT, y, LEFT + PLOT_WIDTH, y, GREY if i == 0 else PALE),
                  _text(LEFT - 8, y + 4, f"{mbit:.10g}", LEFT, 'text-anchor="end"')]
    return parts


def _time_axis(frame: Frame) -> list[str]:
    """The clock, as in the list of events."""
    span = frame.end - frame.begin
    step = next((step for step in TICKS_S if span / step <= TICKS_X_MAX), span / TICKS_X_MAX)
    parts = []
    for i in range(math.ceil(frame.begin / step), math.floor(frame.end / step) + 1):
        x = frame.x(i * step)
        clock = time.strftime("%H:%M:%S", time.localtime(i * step))
        parts += [_line(x, BOTTOM, x, BOTTOM + 5, GREY),
                  _text(x, BOTTOM + 20, clock, PLOT_WIDTH, 'text-anchor="middle"')]
    return parts


def _marks(events: list[Event], frame: Frame) -> list[str]:
    """A line for each event; above it its number, or the numbers of those that are near."""
    places = [frame.x(event.at) for event in events]
    parts = [_line(x, TOP - 6, x, BOTTOM, GREY, 'stroke-dasharray="3 3"') for x in places]
    first = 0
    for i in range(1, len(places) + 1):
        if i < len(places) and places[i] - places[first] < MARK_WIDTH:
            continue
        numbers = f"{first + 1}" if i - first == 1 else f"{first + 1}-{i}"
        parts.append(_text((places[first] + places[i - 1]) / 2, TOP - 12, numbers, PLOT_WIDTH,
                           'text-anchor="middle" font-weight="bold"'))
        first = i
    return parts


def _stroke(curve: Curve) -> str:
    turn, colour = divmod(curve.index, len(COLOURS))
    return (f'fill="none" stroke="{COLOURS[colour]}" stroke-width="{curve.width}" stroke-linejoin="round" '
            f'stroke-linecap="round" stroke-dasharray="{DASHES[turn % len(DASHES)]}"')


def _lines(curves: list[Curve], frame: Frame) -> list[str]:
    """The thick totals are first, below the thin ones of the paths."""
    return [f'<path d="{_steps(curve, frame)}" {_stroke(curve)}><title>{escape(plain(curve.name))}'
            "</title></path>" for curve in curves]


def _steps(curve: Curve, frame: Frame) -> str:
    """A lone point is a dot: a line to itself."""
    steps, before = [], -math.inf
    for at, mbit in curve.points:
        place = f"{frame.x(at):.1f},{frame.y(mbit):.1f}"
        steps.append(f"L{place}" if at - before <= GAP_S else f"M{place}L{place}")
        before = at
    return "".join(steps)


def _legend(curves: list[Curve], y: float) -> list[str]:
    """In columns, read downwards: each application and then its paths."""
    rows = math.ceil(len(curves) / LEGEND_COLUMNS)
    parts = []
    for i, curve in enumerate(sorted(curves, key=lambda curve: curve.key)):
        column, row = divmod(i, rows)
        left, middle = LEFT + column * LEGEND_WIDTH, y + row * ROW
        more = 'font-weight="bold"' if curve.is_total else ""
        parts += [f'<path d="M{left:.1f},{middle - 4:.1f}h{KEY_WIDTH - 10}" {_stroke(curve)}/>',
                  _text(left + KEY_WIDTH, middle, curve.name, LEGEND_WIDTH - KEY_WIDTH - 8, more)]
    return parts


def _list(events: list[Event], y: float) -> list[str]:
    return [part for i, event in enumerate(events)
            for part in (_text(LEFT + KEY_WIDTH - 10, y + i * ROW, f"{i + 1}", KEY_WIDTH,
                               'text-anchor="end" font-weight="bold"'),
                         _text(LEFT + KEY_WIDTH, y + i * ROW, str(event), PLOT_WIDTH - KEY_WIDTH))]


def _document(parts: list[str], height: float) -> str:
    """On white, also in a dark viewer."""
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12" '
        f'fill="{INK}">', f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>', *parts, "</svg>", ""])

"""A small network as a drawing: PoPs on an ellipse, a line for all links between two of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations

from ..model import PopId
from .text import Line, load_style, number, short

POPS_MAX = 8
EDGES_MAX = 20
COLUMNS_MIN, ROWS_MIN = 34, 10
ID_CHARS_MAX, BOX_HEIGHT = 10, 3
SHOWN_MBIT = 1.0  # a direction with less, as acknowledgements, is left to the table
ARROWS = "→↘↓↙←↖↑↗"  # clockwise, as y grows downwards
BRAILLE = 0x2800
DOT_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # by row, then column
ROUNDING = 1e-9
LABEL_PLACES = (0.5, 0.42, 0.58, 0.35, 0.65, 0.28, 0.72)  # of the way


@dataclass
class Edge:
    """All links between two PoPs."""

    a: PopId
    b: PopId
    links: list[dict]

    @property
    def is_up(self) -> bool:
        return any(link["is_up"] for link in self.links)

    def carried_mbit(self, tail: PopId) -> float:
        return sum(way["carried_mbit"] for link in self.links for way in link["directions"]
                   if way["from"] == tail)

    def capacity_mbit(self, tail: PopId) -> float:
        return sum(link["bandwidth_mbit"] for link in self.links
                   if link["is_up"] and (link["a"] == tail or not link["is_one_way"]))

    @property
    def tails(self) -> list[PopId]:
        """The ends that links go from, the busier first."""
        ends = [pop for pop in (self.a, self.b) if self.capacity_mbit(pop) > 0]
        return sorted(ends, key=lambda pop: -self.carried_mbit(pop))

    @property
    def style(self) -> str:
        if not self.is_up:
            return "alarm"
        return load_style(self.carried_mbit(self.tails[0]), self.capacity_mbit(self.tails[0]))

    def label(self, arrows: dict[PopId, str]) -> str:
        """As →48/50 ←12/50: carried and capacity."""
        if not self.is_up:
            return "DOWN"
        first, *others = self.tails
        shown = [first, *(tail for tail in others if self.carried_mbit(tail) >= SHOWN_MBIT)]
        is_plain = self.carried_mbit(first) < SHOWN_MBIT and bool(others)  # idle both ways
        return " ".join(f"{'' if is_plain else arrows[tail]}{number(self.carried_mbit(tail))}/"
                        f"{number(self.capacity_mbit(tail))}" for tail in shown)


class Canvas:
    """Characters over lines of Braille dots, two by four in a cell."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self.chars: dict[tuple[int, int], tuple[str, str]] = {}
        self.dots: dict[tuple[int, int], tuple[int, str]] = {}

    def line(self, a: tuple[int, int], b: tuple[int, int], style: str, is_dashed: bool) -> None:
        """From the middle of one cell to that of another."""
        (ax, ay), (bx, by) = ((2 * x + 1, 4 * y + 2) for x, y in (a, b))
        steps = max(abs(bx - ax), abs(by - ay), 1)
        for i in range(steps + 1):
            if is_dashed and i % 6 > 2:
                continue
            x, y = round(ax + (bx - ax) * i / steps), round(ay + (by - ay) * i / steps)
            bits = self.dots.get((x // 2, y // 4), (0, ""))[0]
            self.dots[x // 2, y // 4] = bits | DOT_BITS[y % 4][x % 2], style

    def is_free(self, x: int, y: int, text: str) -> bool:
        return 0 <= x and x + len(text) <= self.width and not any(
            (x + i, y) in self.chars for i in range(len(text)))

    def text(self, x: int, y: int, text: str, style: str) -> None:
        self.chars.update({(x + i, y): (char, style) for i, char in enumerate(text)})

    def _cell(self, x: int, y: int) -> tuple[str, str]:
        if (x, y) in self.chars:
            return self.chars[x, y]
        bits, style = self.dots.get((x, y), (0, ""))
        return (chr(BRAILLE + bits), style) if bits else (" ", "")

    def lines(self) -> list[Line]:
        return [[self._cell(x, y) for x in range(self.width)] for y in range(self.height)]


def edges_of(links: list[dict]) -> list[Edge]:
    edges: dict[frozenset, Edge] = {}
    for link in links:
        edges.setdefault(frozenset((link["a"], link["b"])), Edge(link["a"], link["b"], [])).links.append(link)
    return list(edges.values())


def is_small(status: dict) -> bool:
    return 1 < len(status["pops"]) <= POPS_MAX and len(edges_of(status["links"])) <= EDGES_MAX


def sketch(status: dict, width: int, height: int) -> list[Line]:
    """`height` lines of `width` columns; none where it would not be readable."""
    if not is_small(status) or width < COLUMNS_MIN or height < ROWS_MIN:
        return []
    names = {pop["id"]: short(str(pop["id"]), ID_CHARS_MAX) for pop in status["pops"]}
    edges = edges_of(status["links"])
    ring = _ring(tuple(names), tuple((edge.a, edge.b) for edge in edges))
    box_width = max(map(len, names.values())) + 4
    places = dict(zip(ring, _places(len(ring), box_width, width, height)))
    if any(abs(ax - bx) < box_width and abs(ay - by) < BOX_HEIGHT
           for (ax, ay), (bx, by) in combinations(places.values(), 2)):
        return []
    return _draw(Canvas(width, height), names, edges, places)


def _draw(canvas: Canvas, names: dict[PopId, str], edges: list[Edge],
          places: dict[PopId, tuple[int, int]]) -> list[Line]:
    for edge in edges:
        canvas.line(places[edge.a], places[edge.b], edge.style, not edge.is_up)
    for pop, (x, y) in places.items():
        _draw_pop(canvas, x, y, names[pop])
    for edge in edges:
        _draw_label(canvas, edge, places[edge.a], places[edge.b])
    return canvas.lines()


@lru_cache(maxsize=8)
def _ring(pops: tuple, pairs: tuple) -> tuple:
    """The order around the ellipse where the fewest lines cross, then that with the shortest ones."""
    def cost(others: tuple) -> tuple[int, int]:
        at = {pop: i for i, pop in enumerate((pops[0], *others))}
        chords = [sorted((at[a], at[b])) for a, b in pairs]
        crossings = sum(a < c < b < d or c < a < d < b for (a, b), (c, d) in combinations(chords, 2))
        return crossings, sum(min(b - a, len(pops) - b + a) for a, b in chords)
    return pops[0], *min(permutations(pops[1:]), key=cost)


def _places(count: int, box_width: int, width: int, height: int) -> list[tuple[int, int]]:
    """Clockwise, stretched to the canvas; an odd count has one at the top, an even one flat sides."""
    angles = [2 * math.pi * (i - (0 if count % 2 else 0.5)) / count - math.pi / 2 for i in range(count)]
    xs = _stretched([math.cos(angle) for angle in angles], (box_width - 1) / 2, width - (box_width + 1) / 2)
    ys = _stretched([math.sin(angle) for angle in angles], 1, height - 2)
    return list(zip(xs, ys))


def _stretched(values: list[float], low: float, high: float) -> list[int]:
    """Halves go up, also when they are a little less by rounding."""
    least, span = min(values), max(values) - min(values)
    parts = [(value - least) / span if span > ROUNDING else 0.5 for value in values]
    return [math.floor(low + part * (high - low) + 0.5 + ROUNDING) for part in parts]


def _draw_pop(canvas: Canvas, x: int, y: int, name: str) -> None:
    left, line = x - (len(name) + 4) // 2, "─" * (len(name) + 2)
    canvas.text(left, y - 1, f"╭{line}╮", "")
    canvas.text(left, y, f"│ {name} │", "title")
    canvas.text(left, y + 1, f"╰{line}╯", "")


def _draw_label(canvas: Canvas, edge: Edge, a: tuple[int, int], b: tuple[int, int]) -> None:
    """On its line, as near to the middle as there is room; without room it is left to the table."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    eighth = round(math.atan2(2 * dy, dx) / (math.pi / 4))  # a cell is twice as high as wide
    text = f" {edge.label({edge.a: ARROWS[eighth % 8], edge.b: ARROWS[(eighth + 4) % 8]})} "
    for part in LABEL_PLACES:
        x, y = round(a[0] + dx * part - len(text) / 2), round(a[1] + dy * part)
        if canvas.is_free(x, y, text):
            canvas.text(x, y, text, edge.style)
            return

"""The live view: a drawing of the network, its links and applications with what they carry, and the
last events. `drawing` makes the lines of a status; `run` keeps them on a terminal."""

from __future__ import annotations

import os
import select
import shutil
import sys
import termios
import textwrap
import time
import tty
from contextlib import contextmanager
from itertools import zip_longest
from typing import Callable, Iterator, Optional, TextIO

from .sketch import COLUMNS_MIN, ROWS_MIN, is_small, sketch
from .text import IDLE_MBIT, Line, bar, length, load_style, number, padded, render, short

BESIDE_COLUMNS_MIN = 80  # the drawing and the links beside each other
LINKS_COLUMNS_MIN = 46  # with the two between
SKETCH_COLUMNS_MAX, SKETCH_ROWS_MAX = 76, 17
BAR_CHARS_MAX = 12
EVENTS_ROWS_MIN, EVENTS_MAX = 4, 20
SIZE_WITHOUT_TERMINAL = (100, 200)
RATES_CHARS = 9  # as 48.1/50


def drawing(status: dict, width: int, height: int, has_colour: bool = False, clock: str = "") -> list[str]:
    """At most `height` lines of at most `width` columns. Applications get up to a third of them, links
    more; events have what is left."""
    rows = max(height - 1, 0)
    apps = _apps(status["apps"], width, rows - min(_links_rows(status), rows * 2 // 3))
    body = _network(status, width, rows - len(apps))
    gap: list[Line] = [[]] if rows - len(body) - len(apps) > 2 * EVENTS_ROWS_MIN else []
    body += gap + apps + gap
    body += _events(status["events"], rows - len(body))
    lines = [_header(status, width, clock), *body][:height]
    return [render(line, width, has_colour) for line in lines]


def _header(status: dict, width: int, clock: str) -> Line:
    carried, planned = (sum(app[name] for app in status["apps"]) for name in ("carried_mbit", "planned_mbit"))
    left: Line = [(status["config"], "title"), (f" on {status['on']}", ""),
                  ("" if status["is_set_up"] else ", not set up", "yellow"),
                  (", autopilot" if status["autopilot"] else "", "green"),
                  (f": {number(carried)} of {number(planned)} Mbit/s planned", "")]
    return [*padded(left, width - len(clock) - 1), (f" {clock}", "dim")] if clock else left


def _cut(lines: list[Line], rows: int) -> list[Line]:
    """A title and an item in each further line; the last says how many are missing."""
    if len(lines) <= rows:
        return lines
    return [*lines[:rows - 1], [(f"... and {len(lines) - rows + 1} more", "dim")]] if rows > 1 else []


def _name_chars(names: list[str], title: str, width: int) -> int:
    return min(max(map(len, [title, *names])), max(width // 4, 8))


def _rates(carried_mbit: float, planned_mbit: float, style: str) -> Line:
    return [(f"{number(carried_mbit):>4}", style), (f"/{number(planned_mbit):<4}", "")]


# The network


def _links_rows(status: dict) -> int:
    return max(1 + len(status["links"]), ROWS_MIN if is_small(status) else 0)


def _network(status: dict, width: int, rows: int) -> list[Line]:
    """The drawing beside the links, or above them where that is too narrow."""
    if width >= BESIDE_COLUMNS_MIN and rows >= ROWS_MIN:
        return _beside(status, width, rows)
    rows_above = min(rows - 1 - len(status["links"]) - EVENTS_ROWS_MIN, SKETCH_ROWS_MAX)
    above = sketch(status, width, rows_above)
    return above + _links(status["links"], width, rows - len(above))


def _beside(status: dict, width: int, rows: int) -> list[Line]:
    columns = min(max(width - LINKS_COLUMNS_MIN, COLUMNS_MIN), SKETCH_COLUMNS_MAX)
    links = _links(status["links"], width - columns - 2, rows)
    left = sketch(status, columns, min(max(rows - EVENTS_ROWS_MIN, ROWS_MIN, len(links)), SKETCH_ROWS_MAX))
    if not left:
        return _links(status["links"], width, rows)
    return [[*padded(line, columns + 2), *link] for line, link in zip_longest(left, links, fillvalue=[])]


def _links(links: list[dict], width: int, rows: int) -> list[Line]:
    """The fullest first where not all have room."""
    if len(links) + 1 > rows:
        links = sorted(links, key=lambda link: (link["is_up"], -_load(link)))
    name_chars = _name_chars([link["name"] for link in links], "link", width)
    bar_chars = max(min((width - name_chars - 11) // 2 - RATES_CHARS - 1, BAR_CHARS_MAX), 0)
    way_chars = RATES_CHARS + 1 + bar_chars
    title = f"{'link':{name_chars}} Mbit/s  {'→ now/plan':{way_chars}}  {'← now/plan':{way_chars}}"
    return _cut([[(title, "dim")], *(_link(link, name_chars, bar_chars) for link in links)], rows)


def _load(link: dict) -> float:
    return max((way["carried_mbit"] for way in link["directions"]), default=0) / link["bandwidth_mbit"]


def _link(link: dict, name_chars: int, bar_chars: int) -> Line:
    line: Line = [(f"{short(link['name'], name_chars):{name_chars}} ", "" if link["is_up"] else "alarm"),
                  (f"{number(link['bandwidth_mbit']):>6}", "")]
    if not link["is_up"]:
        return [*line, ("  DOWN", "alarm")]
    for tail in (link["a"], link["b"]):
        for way in (way for way in link["directions"] if way["from"] == tail):
            carried, style = way["carried_mbit"], load_style(way["carried_mbit"], link["bandwidth_mbit"])
            line += [("  ", ""), *_rates(carried, way["planned_mbit"], style), (" ", ""),
                     *bar(carried, link["bandwidth_mbit"], bar_chars, style)]
    return line


# Applications and events


def _apps(apps: list[dict], width: int, rows: int) -> list[Line]:
    """Each with its flows beneath, where there is room for those of all."""
    name_chars = _name_chars([app["name"] for app in apps], "app", width)
    ends_chars = _name_chars([_ends(app) for app in apps], "from", width)
    title: Line = [(f"{'app':{name_chars}} {'from':{ends_chars}} {'state':7} sessions   now/plan", "dim")]
    blocks = [[_app(app, name_chars, ends_chars, width), *_flows(app, width)] for app in apps]
    whole = [title, *(line for block in blocks for line in block)]
    return whole if len(whole) <= rows else _cut([title, *(block[0] for block in blocks)], rows)


def _ends(app: dict) -> str:
    return f"{app['source']}→{app['target']}"


def _app(app: dict, name_chars: int, ends_chars: int, width: int) -> Line:
    carried, planned = app["carried_mbit"], app["planned_mbit"]
    style = "green" if carried >= IDLE_MBIT else "dim"
    line: Line = [(f"{short(app['name'], name_chars):{name_chars}} ", ""),
                  (f"{short(_ends(app), ends_chars):{ends_chars}} ", ""),
                  (f"{app['state']:7} ", "green" if app["state"] == "running" else "dim"),
                  (f"{app['sessions']:>8}  ", ""), *_rates(carried, planned, style), (" ", "")]
    bar_chars = max(min(width - length(line), 2 * BAR_CHARS_MAX), 0)
    return [*line, *bar(carried, planned, bar_chars, style)]


def _flows(app: dict, width: int) -> list[Line]:
    """As 3-2-0-4: 50, as many in a line as there is room for."""
    flows = ", ".join(f"{'-'.join(map(str, flow['pops']))}:\xa0{number(flow['rate_mbit'])}"
                      for flow in app["flows"])
    lines = textwrap.wrap(flows, max(width - 2, 8), break_on_hyphens=False)
    return [[("  " + line.replace("\xa0", " "), "dim")] for line in lines]


def _events(events: list[dict], rows: int) -> list[Line]:
    """The last ones, the newest at the end."""
    count = min(rows - 1, EVENTS_MAX)
    if count < 1 or not events:
        return []
    return [[("events", "dim")], *(_event(event) for event in events[-count:])]


def _event(event: dict) -> Line:
    clock = time.strftime("%H:%M:%S", time.localtime(event["at"]))
    return [(f"{clock} ", "dim"), (event["what"], ""), (f" ({event['why']})", "dim")]


# On a terminal


def run(get_status: Callable[[], dict], seconds: Optional[float] = None, out: TextIO = sys.stdout,
        interval_s: float = 1.0) -> None:
    """Draws anew every `interval_s`, until 'q', Ctrl-C or the end of `seconds`. Where `out` is no
    terminal: once."""
    if not out.isatty():
        print(*drawing(get_status(), *shutil.get_terminal_size(SIZE_WITHOUT_TERMINAL)), sep="\n", file=out)
        return
    end = time.monotonic() + seconds if seconds is not None else float("inf")
    has_colour = "NO_COLOR" not in os.environ
    try:
        with _own_screen(out), _single_keys():
            while True:
                _draw(get_status(), out, has_colour)
                wait_s = min(interval_s, end - time.monotonic())
                if wait_s <= 0 or _is_quit(wait_s):
                    return
    except KeyboardInterrupt:
        return


def _draw(status: dict, out: TextIO, has_colour: bool) -> None:
    width, height = shutil.get_terminal_size()
    lines = drawing(status, width, height, has_colour, time.strftime("%H:%M:%S"))
    out.write("\x1b[H" + "\r\n".join(f"\x1b[K{line}" for line in lines) + "\x1b[J")
    out.flush()


@contextmanager
def _own_screen(out: TextIO) -> Iterator[None]:
    """The alternate screen without a cursor; then what was there before."""
    out.write("\x1b[?1049h\x1b[?25l")
    try:
        yield
    finally:
        out.write("\x1b[?25h\x1b[?1049l")
        out.flush()


@contextmanager
def _single_keys() -> Iterator[None]:
    """Keys come without Enter, when there is a keyboard."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _is_quit(wait_s: float) -> bool:
    """After at most that long."""
    if not sys.stdin.isatty():
        time.sleep(wait_s)
        return False
    is_ready = bool(select.select([sys.stdin], [], [], wait_s)[0])
    return is_ready and os.read(sys.stdin.fileno(), 64) in (b"", b"q", b"Q")

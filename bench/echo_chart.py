"""The echo models side by side as one SVG: messages a second by size, at one outstanding and at many;
below, the connections that each holds."""

from xml.sax.saxutils import escape

import echo_connections
import echo_messages
from report import short

WIDTH, LEFT, TOP = 960, 70, 60
PANEL, GAP, LABEL = 200, 70, 16  # heights in pixels: bars, the space between two panels, a line of text
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00", "#888888")
INK, PALE = "#222222", "#e4e4e4"


def write(report, path):
    """Beside the JSON at `path`; nothing when no part of it was measured."""
    panels = [*message_panels(report.rows), *connection_panels(report.rows)]
    if not panels:
        return None
    chart = path.with_suffix(".svg")
    chart.write_text(draw(panels, report.machine), encoding="utf-8")
    return chart


def message_panels(rows):
    """[(title, {group: {case: value}})]"""
    panels = []
    for depth in echo_messages.DEPTHS:
        groups = {}
        for size in echo_messages.SIZES:
            begin = f"{size} B, {depth} outstanding, "
            bars = {row["case"].removeprefix(begin): row["value"] for row in rows
                    if row["part"] == echo_messages.NAME and row["figure"] == "payload"
                    and row["case"].startswith(begin)}
            if bars:
                groups[f"{size} B"] = bars
        if groups:
            panels.append((f"MB/s, {depth} outstanding on each of {echo_messages.CONNECTIONS} "
                           "connections; each size on a scale of its own", groups))
    return panels


def connection_panels(rows):
    bars = {row["case"].partition(",")[0]: row["value"] for row in rows
            if row["part"] == echo_connections.NAME and row["figure"] == "held at once"
            and row["case"].endswith("event client")}
    return [("connections held and verified", {"": bars})] if bars else []


def draw(panels, machine):
    names = list(dict.fromkeys(case for _, groups in panels for bars in groups.values()
                               for case in bars))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    height = TOP + len(panels) * (PANEL + GAP) + LABEL
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'font-family="sans-serif" font-size="12" fill="{INK}">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>', *legend(colours)]
    for number, (title, groups) in enumerate(panels):
        out += panel(TOP + number * (PANEL + GAP), title, groups, colours)
    said = f'{machine["machine"]}, Linux {machine["kernel"]}, {machine["date"]}'
    out += [text(LEFT, height - 6, said), "</svg>"]
    return "\n".join(out) + "\n"


def legend(colours):
    out, x = [], LEFT
    for name, colour in colours.items():
        out += [f'<rect x="{x}" y="18" width="12" height="12" fill="{colour}"/>',
                text(x + 17, 28, name)]
        x += 34 + 7 * len(name)
    return out


def panel(top, title, groups, colours):
    """Bars of each group beside each other, each group on a scale of its own; the value stands above
    each bar."""
    bottom, count = top + PANEL, sum(len(bars) + 1 for bars in groups.values())
    step = (WIDTH - LEFT - 20) / count
    out = [text(LEFT, top - 4, title),
           f'<line x1="{LEFT}" y1="{bottom}" x2="{WIDTH - 20}" y2="{bottom}" stroke="{PALE}"/>']
    x, labels = LEFT, []  # which stand before all bars
    for group, bars in groups.items():
        labels.append(text(x, bottom + LABEL, group))
        most = max(bars.values()) or 1
        for case, value in bars.items():
            tall = (PANEL - 2 * LABEL) * value / most
            out.append(f'<rect x="{x:.1f}" y="{bottom - tall:.1f}" width="{step * 0.9:.1f}" '
                       f'height="{tall:.1f}" fill="{colours[case]}"/>')
            labels.append(text(x, bottom - tall - 3, short(value), size=8))
            x += step
        x += step
    return out + labels


def text(x, y, words, size=12):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}">{escape(words)}</text>'

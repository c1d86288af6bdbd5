#!/usr/bin/python3
"""The table of docs/schedulers.md, from the JSON of `make bench-paths ARGS="--only schedulers"`:
bench/schedulers_table.py bench/results/DATE.json [...]"""

import json
import sys

PLACES = {"equal": "two of 100 Mbit/s, 20 ms", "unequal": "100 at 10 ms, 10 at 300 ms",
          "lossy": "two of 100 at 20 ms, one loses 1 %",
          "black hole": "two of 100 at 20 ms, one gone for 1 s"}


def main(names):
    rows = [row for name in names for row in json.load(open(name, encoding="utf-8"))["rows"]
            if row["part"] == "schedulers"]
    cells = {}
    for row in rows:
        place, _, case = row["case"].partition(", ")
        cells.setdefault(case, {}).setdefault(place, {})[row["figure"]] = row["value"]
    print(f"| | {' | '.join(PLACES.values())} |\n|{'---|' * (len(PLACES) + 1)}")
    for case, places in cells.items():
        print(f"| {case} | {' | '.join(cell(places.get(place)) for place in PLACES)} |")


def cell(found):
    if not found:
        return "–"
    text = f"**{found['rate']:.0f}**"
    if "100 KB, p50" in found:
        text += f", {found['100 KB, p50']:.0f} / {found['100 KB, p99']:.0f} ms"
    if "longest gap" in found:
        text += f", gap {found['longest gap']:.0f} ms"
    if found.get("sent twice", 0) >= 0.05:
        text += f", {short(found['sent twice'])} % twice"
    return text


def short(percent):
    return f"{percent:.0f}" if percent >= 10 else f"{percent:.2g}"


if __name__ == "__main__":
    main(sys.argv[1:])

"""Divides the rate of an interface among applications, by classes of HTB (Devera 2002): each has its own
rate for sure, and what others leave. Classes are named by their TCP port."""

from __future__ import annotations

import re
from typing import Callable, Mapping

from .base import PlaceError

ROOT, LINK, OTHERS = "2:", "2:ffff", "2:1"
OTHERS_PART_MIN = 0.01  # of the rate, for what belongs to none of them
QUANTUM_BYTES = 15_000  # that a class sends in its turn: ten packets
PART_OFF_MAX = 0.01
UNITS = {"bit": 1e-3, "Kbit": 1, "Mbit": 1e3, "Gbit": 1e6}
SHOWN = re.compile(r"^class htb (\S+) .*?rate (\d+)([KMG]?bit) ", re.MULTILINE)


def divide(tc: Callable[..., str], device: str, rate_kbit: float, queue_kb: int,
           shares_kbit: Mapping[int, float]) -> None:
    """`shares_kbit` by port; together they are not more than `rate_kbit`."""
    wanted = {f"{ROOT}{port:x}": kbit for port, kbit in shares_kbit.items()}
    wanted[OTHERS] = max(rate_kbit - sum(shares_kbit.values()), OTHERS_PART_MIN * rate_kbit)
    if "htb 2: root" not in tc("qdisc", "show", "dev", device):
        tc("qdisc", "replace", "dev", device, "root", "handle", ROOT, "htb", "default", "1")
    _make_class(tc, device, ROOT, LINK, rate_kbit, rate_kbit)
    for name, kbit in wanted.items():
        _make_class(tc, device, LINK, name, kbit, rate_kbit)
        tc("qdisc", "replace", "dev", device, "parent", name, "bfifo", "limit", f"{queue_kb}kb")
    tc("filter", "delete", "dev", device, "parent", ROOT)
    for port in shares_kbit:
        for side in ("sport", "dport"):
            tc("filter", "add", "dev", device, "parent", ROOT, "protocol", "ip", "prio", "1", "u32",
               "match", "ip", "protocol", "6", "0xff", "match", "ip", side, str(port), "0xffff",
               "flowid", f"{ROOT}{port:x}")
    shown = _shown(tc, device)
    for name in set(shown) - set(wanted) - {LINK}:
        tc("class", "delete", "dev", device, "classid", name)
    for name, kbit in wanted.items():
        if abs(shown.get(name, 0) - kbit) > PART_OFF_MAX * kbit:
            raise PlaceError(f"no class of {kbit:g} kbit/s on {device}: the kernel has "
                             f"{shown.get(name, 0):g}")


def _make_class(tc: Callable[..., str], device: str, parent: str, name: str, rate_kbit: float,
                most_kbit: float) -> None:
    tc("class", "replace", "dev", device, "parent", parent, "classid", name, "htb",
       "rate", f"{rate_kbit * 1000:.0f}bit", "ceil", f"{most_kbit * 1000:.0f}bit",
       "quantum", str(QUANTUM_BYTES))


def _shown(tc: Callable[..., str], device: str) -> dict[str, float]:
    """The rates of classes, in kbit/s. They are shown as text also when JSON is asked for."""
    return {name: float(number) * UNITS[unit]
            for name, number, unit in SHOWN.findall(tc("class", "show", "dev", device))}

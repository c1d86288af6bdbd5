"""Divides the rate of an interface among applications, by classes of HTB (Devera 2002): each has its own
rate for sure, and what others leave. Classes are named by their TCP port."""

from __future__ import annotations

import re
from typing import Callable, Optional, Sequence

from .base import PlaceError, Shares

ROOT, LINK, OTHERS = "2:", "2:ffff", "2:1"
OTHERS_PART_MIN = 0.01  # of the rate, for what belongs to none of them
QUANTUM_BYTES = 15_000  # that a class sends in its turn: ten packets
PART_OFF_MAX = 0.01
UNITS = {"bit": 1e-3, "Kbit": 1, "Mbit": 1e3, "Gbit": 1e6}
SHOWN = re.compile(r"^class htb (\S+) .*?rate (\d+)([KMG]?bit) ", re.MULTILINE)


def divide(tc: Callable[..., str], device: str, rate_kbit: float, queue: Sequence[str],
           shares_kbit: Shares) -> None:
    """`shares_kbit` by port. `queue`, a qdisc in tc's words, is what each class has of its own."""
    wanted = parts(rate_kbit, shares_kbit)
    if "htb 2: root" not in tc("qdisc", "show", "dev", device):
        tc("qdisc", "replace", "dev", device, "root", "handle", ROOT, "htb", "default", "1")
    _make_class(tc, device, ROOT, LINK, rate_kbit, rate_kbit)
    for name, kbit in wanted.items():
        _make_class(tc, device, LINK, name, kbit, rate_kbit)
        tc("qdisc", "replace", "dev", device, "parent", name, *queue)
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


def parts(rate_kbit: float, shares_kbit: Shares) -> dict[str, float]:
    """The rate of each class. Together they are that of the link: of more HTB would still give each
    its own, and the link's queue would decide again. So shares of more are smaller, in proportion."""
    wanted = sum(shares_kbit.values())
    scale = min(1.0, (1 - OTHERS_PART_MIN) * rate_kbit / wanted)
    rates = {f"{ROOT}{port:x}": scale * kbit for port, kbit in shares_kbit.items()}
    return {**rates, OTHERS: rate_kbit - scale * wanted}


def rate_kbit_of(tc: Callable[..., str], device: str) -> Optional[float]:
    """What is divided there."""
    return _shown(tc, device).get(LINK)


def _make_class(tc: Callable[..., str], device: str, parent: str, name: str, rate_kbit: float,
                most_kbit: float) -> None:
    tc("class", "replace", "dev", device, "parent", parent, "classid", name, "htb",
       "rate", f"{rate_kbit * 1000:.0f}bit", "ceil", f"{most_kbit * 1000:.0f}bit",
       "quantum", str(QUANTUM_BYTES))


def _shown(tc: Callable[..., str], device: str) -> dict[str, float]:
    """The rates of classes, in kbit/s. They are shown as text also when JSON is asked for."""
    return {name: float(number) * UNITS[unit]
            for name, number, unit in SHOWN.findall(tc("class", "show", "dev", device))}

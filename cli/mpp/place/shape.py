"""Gives an interface a rate, and a delay and loss where the kernel has netem. Whether a shape is there
is seen by what the kernel then says of it: `tc` has been known to succeed without one."""

from __future__ import annotations

import json
import math
from types import MappingProxyType
from typing import Callable

from ..model import Link
from . import classes
from .base import PlaceError, Shares

BURST_MS = 2  # of the rate that may go out at once
BURST_KB_MIN = 16  # and so much: segments of TSO are 64 KB, which TBF splits
QUEUE_MS = 50  # what waits for its turn, or the round trip when that is longer
QUEUE_KB_MIN = 64
PACKET_BYTES = 1500  # netem counts packets, those on the wire, too
PART_OFF_MAX = 0.01  # of the rate, as the kernel rounds it

# tc(words) runs it where the interface is and returns what it says.
Tc = Callable[..., str]


def _kb(rate_mbit: float, ms: float, least: float) -> int:
    return round(max(rate_mbit * 1e6 / 8 * ms / 1e3 / 1024, least))


def queue_kb(link: Link) -> int:
    """One bandwidth-delay product at least."""
    return _kb(link.bandwidth_mbit, max(QUEUE_MS, 2 * link.delay_ms), QUEUE_KB_MIN)


def needs_netem(link: Link) -> bool:
    return link.delay_ms > 0 or link.loss_percent > 0


def shape(tc: Tc, device: str, link: Link, shares_kbit: Shares = MappingProxyType({})) -> None:
    """All that leaves by the interface: rate by TBF, with netem inside it when it is needed. With
    `shares_kbit` TCP connections from and to these ports have so much of it for themselves, and
    netem is inside each class."""
    if shares_kbit:
        classes.divide(tc, device, link.bandwidth_mbit * 1000, _inner(link), shares_kbit)
        _check_netem(_shown(tc, device), device, link)
        return
    rate = f"{link.bandwidth_mbit * 1e6:.0f}bit"
    if not needs_netem(link) and "netem" in tc("qdisc", "show", "dev", device):
        tc("qdisc", "delete", "dev", device, "root")  # else it would stay inside
    burst = f"{_kb(link.bandwidth_mbit, BURST_MS, BURST_KB_MIN)}kb"
    tc("qdisc", "replace", "dev", device, "root", "handle", "1:", "tbf", "rate", rate,
       "burst", burst, "limit", f"{queue_kb(link)}kb")
    if needs_netem(link):
        tc("qdisc", "replace", "dev", device, "parent", "1:1", "handle", "10:", *_inner(link))
    _check(tc, device, link)


def _inner(link: Link) -> list[str]:
    """The queue, with the delay and loss of the link where it has them."""
    if not needs_netem(link):
        return ["bfifo", "limit", f"{queue_kb(link)}kb"]
    packets = (queue_kb(link) * 1024 + link.bandwidth_mbit * link.delay_ms * 1e3 / 8) / PACKET_BYTES
    return ["netem", "limit", f"{math.ceil(packets)}", "delay", f"{link.delay_ms * 1000:.0f}us",
            "loss", f"{link.loss_percent:g}%"]


def _shown(tc: Tc, device: str) -> dict[str, dict]:
    """The options of each kind of qdisc there."""
    return {qdisc["kind"]: qdisc.get("options", {})
            for qdisc in json.loads(tc("-j", "qdisc", "show", "dev", device))}


def _check(tc: Tc, device: str, link: Link) -> None:
    qdiscs = _shown(tc, device)
    wanted = link.bandwidth_mbit * 1e6 / 8
    got = qdiscs.get("tbf", {}).get("rate", 0)
    if abs(got - wanted) > PART_OFF_MAX * wanted:
        raise PlaceError(f"{link}: no rate of {link.bandwidth_mbit:g} Mbit/s on {device}: the kernel "
                         f"has {', '.join(qdiscs) or 'nothing'} there, at {got * 8 / 1e6:g} Mbit/s")
    _check_netem(qdiscs, device, link)


def _check_netem(qdiscs: dict[str, dict], device: str, link: Link) -> None:
    if needs_netem(link) and "netem" not in qdiscs:
        raise PlaceError(f"{link}: no delay or loss on {device}: this kernel has no netem")


def rates_kbit(tc: Tc) -> dict[str, float]:
    """Of the interfaces that have one, whole or divided. What is shaped elsewhere, by a modem or a
    switch on the way, no kernel tells: that shows only in what gets through."""
    rates = {}
    for qdisc in json.loads(tc("-j", "qdisc", "show")):
        if qdisc["kind"] == "tbf":
            rates[qdisc["dev"]] = qdisc["options"]["rate"] * 8 / 1000
        elif qdisc["kind"] == "htb" and qdisc["handle"] == classes.ROOT:
            if (kbit := classes.rate_kbit_of(tc, qdisc["dev"])) is not None:
                rates[qdisc["dev"]] = kbit
    return rates


def has_root(tc: Tc, device: str) -> bool:
    """One that was asked for."""
    return any(qdisc.get("root") and qdisc["handle"] != "0:"
               for qdisc in json.loads(tc("-j", "qdisc", "show", "dev", device)))


def has_netem(tc: Tc, device: str) -> bool:
    """By a trial on an interface that nobody uses."""
    try:
        tc("qdisc", "replace", "dev", device, "root", "netem", "delay", "1ms")
        return any(qdisc["kind"] == "netem"
                   for qdisc in json.loads(tc("-j", "qdisc", "show", "dev", device)))
    except PlaceError:
        return False

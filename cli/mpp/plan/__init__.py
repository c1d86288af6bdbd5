"""How much of which application goes over which link: docs/planning.md. Only a plan needs numpy and
scipy: they come with the first."""

from __future__ import annotations

from types import MappingProxyType
from typing import Mapping, Sequence

from ..model import App, Network, PopId
from .outcome import Flow, Infeasible, Plan, Unsolved, arc_rates

__all__ = ["Flow", "Infeasible", "Plan", "Unsolved", "arc_rates", "plan"]


def plan(network: Network, apps: Sequence[App],
         less_kbit: Mapping[tuple[str, PopId], float] = MappingProxyType({})) -> Plan:
    """`less_kbit`: what of each (link, tail) is not to be used."""
    from .flows import find_flows  # pylint: disable=import-outside-toplevel
    return find_flows(network, apps, less_kbit)

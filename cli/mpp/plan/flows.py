"""Which application gets how much, and over which paths: from a network to a plan. How much is found
in `shares.py`."""

from __future__ import annotations

from typing import Mapping, Sequence

from ..model import KBIT_PER_MBIT, App, Arc, Network, PopId
from .graph import Graph
from .outcome import Flow, Infeasible, Plan
from .paths import decompose
from .programme import Demand
from .shares import Misfit, Shares

ARCS_MAX = 16  # of a path: the hop limit of docs/protocol.md; what would need more is left out
PART_OFF = 1e-5  # that a minimum may be short of: `shares` has slacks


def find_flows(network: Network, apps: Sequence[App],
               less_kbit: Mapping[tuple[str, PopId], float]) -> Plan:
    arcs = network.arcs(less_kbit)
    graph = _graph_of(network, arcs)
    if not apps:
        return Plan({}, 0)
    demands = _demands(network, apps)
    shares = Shares(graph, demands)
    try:
        bound_kbit = shares.find()
    except Misfit as misfit:
        raise _infeasible(misfit, apps, arcs) from None
    flows = {}
    for app, demand, on_arcs in zip(apps, demands, shares.fewest_hops()):
        paths = decompose(graph, on_arcs, demand.source, demand.target)
        flows[app.name] = [Flow(app.name, tuple(arcs[i] for i in path), rate)
                           for path, rate in paths if len(path) <= ARCS_MAX]
        if len(flows[app.name]) < len(paths):
            _check_what_is_left(app, flows[app.name])
    return Plan(flows, bound_kbit)


def _infeasible(misfit: Misfit, apps: Sequence[App], arcs: Sequence[Arc]) -> Infeasible:
    wanting, full = [apps[k] for k in misfit.apps], [arcs[i] for i in misfit.arcs]
    cut = ", ".join(f"{arc} ({arc.rate_kbit / KBIT_PER_MBIT:g} Mbit/s)" for arc in full)
    return Infeasible(
        wanting, f"of what {'it wants' if len(wanting) == 1 else 'they want'} at least, there is "
        f"{100 * misfit.part:.4g} %; " + (f"the cut is {cut}" if full else "no link leads there"),
        full, misfit.part)


def _check_what_is_left(app: App, flows: Sequence[Flow]) -> None:
    """Of an application some of whose paths are too long."""
    rate_mbit = sum(flow.rate_kbit for flow in flows) / KBIT_PER_MBIT
    if not flows or rate_mbit < app.rate_mbit_min * (1 - PART_OFF):
        raise Infeasible([app], f"it has only {rate_mbit:g} Mbit/s, as its other paths are over "
                         f"{ARCS_MAX} hops long")


def _graph_of(network: Network, arcs: Sequence[Arc]) -> Graph:
    index = {pop: i for i, pop in enumerate(network.pops)}
    return Graph(len(index), [index[arc.tail] for arc in arcs], [index[arc.head] for arc in arcs],
                 [arc.rate_kbit for arc in arcs])


def _demands(network: Network, apps: Sequence[App]) -> list[Demand]:
    index = {pop: i for i, pop in enumerate(network.pops)}
    return [Demand(index[app.source], index[app.target], app.rate_mbit_min * KBIT_PER_MBIT,
                   None if app.rate_mbit_max is None else app.rate_mbit_max * KBIT_PER_MBIT)
            for app in apps]

"""From the flows of one application to the modules that carry them: an ingress at its source, a proxy
at each PoP on the way, an egress at its target.

Every arc of the flows is one subflow hop: the PoP behind it listens there, on the address of that link,
and the PoP before it has this as a backend; its rate is the ratio. Where flows meet and part again,
the proxy has several of both and splits what comes by what is planned to go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Sequence

from .model import App, Arc, PopId
from .plan import Flow, arc_rates

RATIO_MAX = 1_000_000
INGRESS, PROXY, EGRESS = "mpp_adv_ingress", "mpp_dataplane_proxy", "mpp_adv_egress"


@dataclass(frozen=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass
class Module:
    """What one program is to do. Addresses have ratios; those in `listens` are its own."""

    program: str
    pop: PopId
    name: str
    comm_port: int
    listens: dict[Address, int] = field(default_factory=dict)
    backends: dict[Address, int] = field(default_factory=dict)


@dataclass
class Layout:
    """The modules of one application for one set of flows. `addresses`: where the head of each arc
    listens; they stay while only rates change."""

    app: App
    ingress: Module
    egress: Module
    proxies: dict[PopId, Module]
    rates_kbit: dict[Arc, float]
    addresses: dict[Arc, Address]

    @property
    def modules(self) -> list[Module]:
        return [self.egress, *self.proxies.values(), self.ingress]


def ratios(rates_kbit: dict[Arc, float]) -> dict[Arc, int]:
    """Whole numbers in these proportions, in kbit/s where that is small enough."""
    scale = min(1.0, RATIO_MAX / max(rates_kbit.values(), default=1.0))
    return {arc: max(1, round(rate * scale)) for arc, rate in rates_kbit.items()}


def lay_out(app: App, flows: Sequence[Flow], address_of: Callable[[Arc], str],
            take_port: Callable[[PopId], int], suffix: str = "") -> Layout:
    """`address_of` an arc is that of its link at its head; `take_port` gives one that is free there."""
    rates = arc_rates(flows)
    addresses = {arc: Address(address_of(arc), take_port(arc.head)) for arc in rates}
    pops = {pop for arc in rates for pop in (arc.tail, arc.head)}
    relays = pops - {app.source, app.target}

    def module(program: str, pop: PopId, role: str) -> Module:
        return Module(program, pop, f"{app.name}{suffix}-{role}", take_port(pop))

    layout = Layout(app, module(INGRESS, app.source, "ingress"),
                    module(EGRESS, app.target, "egress"),
                    {pop: module(PROXY, pop, f"proxy-{pop}") for pop in sorted(relays, key=str)},
                    rates, addresses)
    set_ratios(layout, rates)
    return layout


def module_at(layout: Layout, pop: PopId) -> Module:
    if pop == layout.app.source:
        return layout.ingress
    return layout.egress if pop == layout.app.target else layout.proxies[pop]


def set_ratios(layout: Layout, rates_kbit: dict[Arc, float]) -> None:
    """The arcs stay those of the layout."""
    layout.rates_kbit = dict(rates_kbit)
    for arc, ratio in ratios(rates_kbit).items():
        module_at(layout, arc.tail).backends[layout.addresses[arc]] = ratio
        module_at(layout, arc.head).listens[layout.addresses[arc]] = ratio


def changed_ratios(layout: Layout, rates_kbit: dict[Arc, float]
                   ) -> list[tuple[Module, Address, int, str]]:
    """What `set_weight` has to tell whom, side last; for the same arcs."""
    before, after = ratios(layout.rates_kbit), ratios(rates_kbit)
    told = []
    for arc, ratio in after.items():
        if ratio != before[arc]:
            address = layout.addresses[arc]
            told.append((module_at(layout, arc.tail), address, ratio, "backend"))
            told.append((module_at(layout, arc.head), address, ratio, "listen"))
    return told

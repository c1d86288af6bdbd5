"""Large random networks, the same for the same seed: to see how planning grows, and to try things on
more than a few PoPs."""

from __future__ import annotations

import random

from .model import App, Link, Network, Pop

RATES_MBIT = (10, 25, 50, 100, 150, 200, 400, 1000)
DELAYS_MS = (1, 2, 5, 10, 20, 40)
WANTED_MBIT = (50, 100, 200, 500, 1000)
LISTEN_PORT, SERVER_PORT = 6000, 8000


def random_network(pop_count: int, link_count: int, app_count: int, seed: int = 1,
                   has_limits: bool = True) -> Network:
    """Every PoP reaches every other: a random tree, and further links between random PoPs. Applications
    want some rate, or, without `has_limits`, all that they can get."""
    if pop_count < 2 or link_count < pop_count - 1:
        raise ValueError(f"{pop_count} PoPs and {link_count} links: expected at least 2, and a link "
                         "less than PoPs")
    chance = random.Random(seed)
    ends = [(chance.randrange(pop), pop) for pop in range(1, pop_count)]
    while len(ends) < link_count:
        ends.append(tuple(chance.sample(range(pop_count), 2)))
    links = [Link(a, b, chance.choice(RATES_MBIT), delay_ms=chance.choice(DELAYS_MS))
             for a, b in ends]
    apps = [App(f"app{i}", *chance.sample(range(pop_count), 2), listen_port=LISTEN_PORT + i,
                server_port=SERVER_PORT + i,
                rate_mbit_max=chance.choice(WANTED_MBIT) if has_limits else None)
            for i in range(app_count)]
    return Network([Pop(i) for i in range(pop_count)], links, apps)

"""A large random network, the same each time: MPP_RANDOM="PoPs links applications seed" chooses another."""

import os

from mpp.generate import random_network

network = random_network(*map(int, (os.environ.get("MPP_RANDOM") or "20 60 5 1").split()))
pops, links = list(network.pops.values()), list(network.links.values())
apps = list(network.apps.values())

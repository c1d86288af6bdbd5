"""Ports that are free at a PoP, as far as we know: each is ours until it is given back."""

from __future__ import annotations

from .model import Network, PopId
from .place.base import PlaceError

FIRST_PORT, LAST_PORT = 20000, 32767  # below the range that kernels give to clients


class Ports:
    """A port that was given back is taken again last: a peer may still mean the one who had it."""

    def __init__(self) -> None:
        self.used: dict[PopId, set[int]] = {}
        self.last: dict[PopId, int] = {}

    def reserve(self, network: Network) -> None:
        """Those that the applications name are not for us."""
        for app in network.apps.values():
            self.used.setdefault(app.source, set()).add(app.listen_port)
            self.used.setdefault(app.target, set()).add(app.server_port)

    def take(self, pop: PopId) -> int:
        used = self.used.setdefault(pop, set())
        port = self.last.get(pop, FIRST_PORT - 1)
        for _ in range(FIRST_PORT, LAST_PORT + 1):
            port = port + 1 if port < LAST_PORT else FIRST_PORT
            if port not in used:
                used.add(port)
                self.last[pop] = port
                return port
        raise PlaceError(f"PoP {pop}: no port from {FIRST_PORT} to {LAST_PORT} is left")

    def give_back(self, pop: PopId, port: int) -> None:
        self.used[pop].discard(port)

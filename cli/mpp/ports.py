"""Ports that are free at a PoP, as far as we know: each is ours until it is given back."""

from __future__ import annotations

from .model import PORT_MAX, PopId

FIRST_PORT = 20000  # below the range that kernels give to clients


class Ports:
    """A port that was given back is taken again last: a peer may still mean the one who had it."""

    def __init__(self, first: int = FIRST_PORT):
        self.first = first
        self.used: dict[PopId, set[int]] = {}
        self.last: dict[PopId, int] = {}

    def take(self, pop: PopId) -> int:
        used = self.used.setdefault(pop, set())
        port = self.last.get(pop, self.first - 1)
        for _ in range(PORT_MAX - self.first):
            port = port + 1 if port < PORT_MAX else self.first
            if port not in used:
                used.add(port)
                self.last[pop] = port
                return port
        raise RuntimeError(f"PoP {pop}: no port is left")

    def give_back(self, pop: PopId, port: int) -> None:
        self.used[pop].discard(port)

"""The smallest network with two paths: one stream from PoP 0 to PoP 3 over the relays 1 and 2, which
are as far and not as wide."""

pops = [Pop(i) for i in range(4)]

links = [
    Link(0, 1, 100, delay_ms=5), Link(1, 3, 100, delay_ms=5),
    Link(0, 2, 50, delay_ms=5), Link(2, 3, 50, delay_ms=5),
]

apps = [App("app03", 0, 3, listen_port=6000, server_port=8000)]

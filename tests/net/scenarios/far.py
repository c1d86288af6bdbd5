"""Paths with a round trip that is longer than what TCP's first window takes to send.

                       +==(40 Mbit/s, 20 ms each way)== relay1 --+
    client -- ingress -+                                         +- egress -- server
                       +==(20 Mbit/s, 20 ms each way)== relay2 --+
"""

import threading

from chain import Chain
from lab import wait_for
from links import Emulator
from peers import Job, random_blocks
from scenario import Scenario

RATES_MBIT, DELAY_MS = (40, 20), 20
IN_USE_BYTES = 1_000_000  # more than any start: a path that got its first frames only is not in use
USED_WITHIN_S = 20


def both_used(lab, is_upload):
    """A stream fills both from its start on: the first frames of a path whose TCP has just begun
    take a round trip more than later ones, and say nothing about what it can carry."""
    emulator = Emulator(lab)
    chain = Chain(lab, paths=2,
                  join=lambda a, b, _rate: lab.link(a, b) if b.name == "egress"
                  else emulator.link(a, b))
    for link, rate in zip(chain.near, RATES_MBIT):
        link.set(rate_mbit=rate, delay_ms=DELAY_MS, limit_kb=256)
    listener = chain.listen()
    chain.ready()
    client, server = chain.session(listener)
    source, sink = (client, server) if is_upload else (server, client)
    is_over = threading.Event()

    def send():
        blocks = random_blocks(1 << 40, 1)
        while not is_over.is_set():
            source.sendall(next(blocks))
        source.close()

    def receive():
        while sink.recv(1 << 16):
            pass

    jobs = [Job(send), Job(receive)]
    direction = "a>b" if is_upload else "b>a"

    def carried():
        stats = emulator.stats()
        return [stats[link.name][direction]["out_bytes"] for link in chain.near]

    wait_for(lambda: min(carried()) >= IN_USE_BYTES, f"{IN_USE_BYTES} bytes over either path",
             USED_WITHIN_S)
    is_over.set()
    for job in jobs:
        job.result()
    sink.close()


SCENARIOS = [
    Scenario("both_used_down", both_used, (False,)),
    Scenario("both_used_up", both_used, (True,)),
]

"""The laboratory itself: what the other scenarios rely on is in force.

    a ---(50 Mbit/s, IPv4 and IPv6)--- b
"""

import json

from lab import expect
from scenario import Scenario

RATE_MBIT = 50
TOLERANCE = 1.05


def shaping(lab, ipv6):
    """A link passes no more than its rate, in both directions, under the promised congestion
    control. (Less would be noise of the machine; more is a shaper that is not there.)"""
    a, b = lab.node("a"), lab.node("b")
    host = lab.link(a, b, RATE_MBIT).ends(ipv6)[1]
    for reverse in ([], ["--reverse"]):
        server = b.start(f"iperf3-server{len(reverse)}", ["iperf3", "-s", "-1"])
        b.wait_open_port(5201)
        result = json.loads(a.output(["iperf3", "-J", "-c", host, "-t", 2, *reverse]))["end"]
        rate = result["sum_received"]["bits_per_second"] / 1e6
        expect(RATE_MBIT / 10 < rate < RATE_MBIT * TOLERANCE, f"{rate:.1f} Mbit/s {reverse}")
        expect(result["sender_tcp_congestion"] == "cubic", f"{result['sender_tcp_congestion']}")
        server.succeed()


SCENARIOS = [
    Scenario("shaping_ipv4", shaping, (False,)),
    Scenario("shaping_ipv6", shaping, (True,)),
]

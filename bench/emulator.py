"""How exact the link emulator is, on one core: what a packet's way takes against what was asked,
and what passes against the rate.

    a ---(link_emulator, pinned)--- b       UDP from a to b, sender and receiver on another core

Delays run from just before the send to the kernel's stamp at the receiver, rates from the first
such stamp to the last."""

from common import alternate, cpu_seconds, run_helper
from lab import Failure, call
from links import Emulator

NAME = "emulator"
TOOLS = ("taskset", "nice")
RUNS = 5
SECONDS, QUICK_SECONDS = 5, 2
DELAY_MS = 10
EMULATOR_CPU, TRAFFIC_CPU = "1", "0"
FULL_BYTES, SMALL_BYTES = 1514, 100  # frames
GBIT_PPS, SMALL_PPS = 82_563, 200_000  # 1 Gbit/s of full frames
# So much is offered that the line never rests, even when the sender has to.
OVERLOAD = 1.2
RATES_MBIT = (10, 100, 1000)
LIMIT_PACKETS = 20_000
MEDIAN_MS, P99_MS, RATE_PERCENT = 0.1, 0.5, 1

DELAYS = {  # case: packets a second, bytes of each
    "1 Gbit/s of 1500-byte packets": (GBIT_PPS, FULL_BYTES),
    "200 kpps": (SMALL_PPS, SMALL_BYTES),
    "1 kpps": (1000, SMALL_BYTES),
}


def measure(bench):
    with bench.make_lab("emulator") as lab:
        a, b = lab.node("a"), lab.node("b")
        emulator = Emulator(lab, wrap=["taskset", "-c", EMULATOR_CPU])
        link = emulator.link(a, b)
        a.output(["ping", "-c", "1", link.b_ip])  # neighbours know each other
        seconds = bench.size(SECONDS, QUICK_SECONDS)
        delays(bench, link, seconds)
        rates(bench, link, seconds)
        emulator.stop()
        if not has_netem(a):
            bench.report.note("emulator: this kernel has no netem to compare with")


def has_netem(node):
    try:
        call(["tc", "-n", node.namespace, "qdisc", "add", "dev", "lo", "root", "netem"])
    except Failure:
        return False
    return True


def send(bench, link, pps, size, seconds):
    """What came, and the emulator's share of a core meanwhile."""
    before = cpu_seconds([link.emulator])
    said = run_helper(link.a, ["taskset", "-c", TRAFFIC_CPU, "nice", "-n", "-20", *bench.helper(
        "packets", link.a.namespace, link.b.namespace, link.b_ip, pps, size, seconds)])
    return said, (cpu_seconds([link.emulator]) - before) / seconds


def errors_ms(said):
    """How far the median is off, and the worse of both ends (1 %, 99 %)."""
    _, p1, p50, p99, _, _ = (us / 1e3 - DELAY_MS for us in said["delays_us"])
    return abs(p50), max(abs(p1), abs(p99))


def delays(bench, link, seconds):
    link.set(rate_mbit=None, delay_ms=DELAY_MS)
    measured = {case: [] for case in DELAYS}
    for run in range(bench.runs(RUNS)):
        for case in alternate(DELAYS, run):
            measured[case].append(send(bench, link, *DELAYS[case], seconds))
    for case, runs in measured.items():
        medians, ends = zip(*(errors_ms(said) for said, _ in runs))
        row = bench.report.row
        row(NAME, case, f"delay of {DELAY_MS} ms, error at p50", medians, "ms", ("<=", MEDIAN_MS))
        row(NAME, case, f"delay of {DELAY_MS} ms, error at p99", ends, "ms", ("<=", P99_MS))
        row(NAME, case, "lost", [100 * (1 - s["received"] / s["sent"]) for s, _ in runs], "%")
        row(NAME, case, "share of a core", [cpu for _, cpu in runs])


def rates(bench, link, seconds):
    measured = {rate: [] for rate in RATES_MBIT}
    for run in range(bench.runs(RUNS)):
        for rate in alternate(RATES_MBIT, run):
            link.set(rate_mbit=rate, delay_ms=DELAY_MS, limit_packets=LIMIT_PACKETS)
            pps = int(rate * 1e6 / 8 / FULL_BYTES * OVERLOAD)
            measured[rate].append(send(bench, link, pps, FULL_BYTES, seconds)[0])
    for rate, runs in measured.items():
        bench.report.row(NAME, f"{rate} Mbit/s, {OVERLOAD} times that sent", "error of the rate",
                         [100 * abs(s["rate_bps"] / rate / 1e6 - 1) for s in runs], "%",
                         ("<=", RATE_PERCENT))

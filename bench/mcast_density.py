"""Fifty streams of 3,000 packets a second through two bridges with IGMP snooping and a querier, 50
generators, 50 sinks: relayed by multicast_relay with one and with two workers, and by 50 socat
(into 50 socat). In bursts, and as evenly spaced single packets. Then one stream along a chain
without bridges: 100,000 packets at 50,000 a second, and a minute at 150,000."""

import statistics

from common import alternate, cpu_seconds_of
from lab import Failure, expect
from mcast_place import (BURST, PPS, SOCAT, STREAMS, Counters, Ours, Sinks, Socat, SocatSinks,
                         generate_each, per_cent_lost, pss_mib, wait_all)
from multicasting import Place

NAME = "density"
TOOLS = ("nft", SOCAT)
RUNS = 3
SECONDS, QUICK_SECONDS = 60, 5
SPACINGS = {f"bursts of {BURST}": BURST, "single packets": 1}
CHAIN_RATE, CHAIN_PACKETS = 50_000, 100_000
CHAIN_FULL_RATE = 150_000
TENTH = 0.1
HEAD = ["case", "processes", "memory (Pss)", "CPU", "configuration", "lost", "duplicated",
        "lost by the sinks"]


def measure(bench):
    seconds = bench.size(SECONDS, QUICK_SECONDS)
    with bench.make_lab("density") as lab:
        place = Place(lab, is_bridged=True)
        relays = [Ours(place, 1), Ours(place, 2), Socat(place)]
        for spacing, burst in SPACINGS.items():
            case = f"{STREAMS} × {PPS}, {spacing}"
            measure_case(bench, case, relays, lambda relay, burst=burst: run_one(
                place, relay, STREAMS, PPS, seconds * PPS // BURST * BURST, burst))
    with bench.make_lab("chain") as lab:
        place = Place(lab)
        relays = [Ours(place, 1, streams=1), Socat(place, streams=1)]
        for rate, count in ((CHAIN_RATE, CHAIN_PACKETS),
                            (CHAIN_FULL_RATE, CHAIN_FULL_RATE * seconds)):
            measure_case(bench, f"chain, {rate} × {count / rate:g} s", relays,
                         lambda relay, rate=rate, count=count: run_one(
                             place, relay, 1, rate, count, 1))


def measure_case(bench, case, relays, run_relay):
    if not bench.is_wanted(case):
        return
    runs = {relay.name: [] for relay in relays}
    for run in range(bench.runs(RUNS)):
        for relay in alternate(relays, run):
            runs[relay.name].append(run_relay(relay))
    losses = {name: [r["lost"] for r in results] for name, results in runs.items()}
    for name, results in runs.items():
        tell(bench.report, f"{case}, {name}", results, is_zero_asked(case, name))
    if not case.startswith("chain"):
        tell_tenth(bench.report, case, losses)
    bench.report.table(case, HEAD, [cells(name, results) for name, results in runs.items()])


def is_zero_asked(case, name):
    return name != SOCAT and "single" not in case and "chain" not in case


def run_one(place, relay, streams, rate, count, burst):
    """What one relay makes of one run."""
    counters = Counters(place, streams)
    counters.reset()
    configuration_s = relay.start()
    sinks = SocatSinks(place, streams) if relay.name == SOCAT else Sinks(place, count, streams)
    before = cpu_seconds_of(relay.pids())
    generators = generate_each(place, count, rate, burst, streams)
    wait_all(generators, 30 + 3 * count / rate)
    entered, left = counters.settled()
    expect(entered, "no packet entered the relay")
    pids = relay.pids()
    drops = {} if relay.name == SOCAT else relay.drops()
    found = {"processes": len(pids), "pss_mib": pss_mib(pids), "configuration_s": configuration_s,
             "cpu_s": cpu_seconds_of(pids) - before, "entered": entered, "left": left,
             "not_entered": streams * count - entered, "lost": per_cent_lost(entered, left),
             "drops": drops}
    found.update(at_sinks(sinks.end(), entered, left))
    relay.stop()
    return found


def at_sinks(total, entered, left):
    """socat counts nothing: more than came in must be duplicates."""
    if total is None:
        return {"duplicated": max(0, left - entered), "sink_lost": None}
    if total["corrupted"]:
        raise Failure(f"{total['corrupted']} packets were not as they were sent")
    return {"duplicated": total["duplicated"],
            "sink_lost": left - total["received"] - total["duplicated"]}


def column(results, key):
    return [result[key] for result in results]


def tell(report, case, results, is_zero):
    report.row(NAME, case, "lost between the interfaces", column(results, "lost"), "%",
               ("<=", 0) if is_zero else None)
    report.row(NAME, case, "duplicated", column(results, "duplicated"), "",
               ("<=", 0) if SOCAT not in case else None)
    report.row(NAME, case, "CPU", column(results, "cpu_s"), "s")
    report.row(NAME, case, "memory (Pss)", column(results, "pss_mib"), "MiB")
    report.row(NAME, case, "configuration", column(results, "configuration_s"), "s")
    if any(column(results, "drops")):
        report.note(f"{case}: the relay says it dropped {column(results, 'drops')}")
    short = max(column(results, "not_entered"))
    if short:
        report.note(f"{case}: up to {short} packets that were sent did not reach the relay")


def tell_tenth(report, case, losses):
    """With single packets a plain relay is at its edge."""
    for name, own in losses.items():
        if name != SOCAT:
            report.row(NAME, f"{case}, {name}", "lost, of what socat loses",
                       [a / b if b else float(a > 0) for a, b in zip(own, losses[SOCAT])], "×",
                       ("<=", TENTH) if "single" in case else None)


def cells(name, results):
    def middle(key):
        return statistics.median(column(results, key))

    sink_lost = "" if name == SOCAT else f"{middle('sink_lost'):.0f}"
    return [name, f"{middle('processes'):.0f}", f"{middle('pss_mib'):.1f} MiB",
            f"{middle('cpu_s'):.2f} s", f"{middle('configuration_s'):.3f} s",
            f"{middle('lost'):.4f} %", f"{middle('duplicated'):.0f}", sink_lost]

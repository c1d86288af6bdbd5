"""What the relay adds to the one-way delay, from the generator's stamp before its send to the
kernel's at the sink: fifty streams of single packets, in all half the rate of the plan, to a sink
behind the relay and to one beside it, in turn.

    source --(in)-- relay --(out)-- target
       '---------------------------'
"""

from common import alternate
from lab import expect_equal, wait_for
from mcast_place import PPS, SIZE, STREAMS, Ours
from multicasting import IN_GROUP, IN_PORT, OUT_GROUP, OUT_PORT, Place, result

NAME = "latency"
TOOLS = ()
RUNS = 5
SECONDS, QUICK_SECONDS = 20, 3
HALF_PPS = PPS // 2
ASKED_MS = 0.2
QUANTILES = ("p50", "p99", "p99_9")
DIRECT, RELAYED = "direct", "relayed"


def measure(bench):
    seconds = bench.size(SECONDS, QUICK_SECONDS)
    with bench.make_lab("latency") as lab:
        place = Place(lab)
        beside = lab.link(place.source, place.target)
        for which in ("all", "default", beside.b_device):
            place.target.set(f"net/ipv4/conf/{which}/rp_filter", "0")
        for workers in (1, 2):
            relay = Ours(place, workers)
            relay.start()
            tell(bench.report, relay.name, [run_pair(place, beside, seconds, run)
                                            for run in range(bench.runs(RUNS))])
            relay.stop()


def run_pair(place, beside, seconds, run):
    return {way: run_one(place, beside if way == DIRECT else None, seconds)
            for way in alternate((DIRECT, RELAYED), run)}


def run_one(place, beside, seconds):
    """Delays in ms, by the sink; `beside`: by this link, the relay's left alone."""
    group, port, device = OUT_GROUP, OUT_PORT, place.target_device
    if beside:
        group, port, device = IN_GROUP, IN_PORT, beside.b_device
    sink = place.target.start(f"sink{len(place.lab.processes)}", [
        place.lab.bin_dir / "traffic_sink", "--group", group, "--port", port, "--interface", device,
        "--streams", STREAMS, "--expect", HALF_PPS * seconds, "--idle", "5s", "--json"],
        stdout=(place.lab.folder / "sink.json").open("wb"))
    sink.out = place.lab.folder / "sink.json"
    wait_for(lambda: "ready" in sink.log(), "the sink is ready")
    generator = place.source.start(f"generator{len(place.lab.processes)}", [
        place.lab.bin_dir / "traffic_generator", "--group", IN_GROUP, "--port", IN_PORT,
        "--interface", beside.a_device if beside else place.source_device, "--streams", STREAMS,
        "--rate", HALF_PPS, "--size", SIZE, "--count", HALF_PPS * seconds, "--json"])
    generator.succeed(30 + 3 * seconds)
    total = result(sink)["total"]
    expect_equal(total["duplicated"], 0, "packets that came twice")
    return {"lost": total["lost"], **{q: total["delay_us"][q] / 1000 for q in QUANTILES}}


def tell(report, name, pairs):
    for quantile in QUANTILES:
        for way in (DIRECT, RELAYED):
            report.row(NAME, f"{name}, {way}", f"one-way delay at {quantile.replace('_', '.')}",
                       [pair[way][quantile] for pair in pairs], "ms")
    report.row(NAME, f"{name}, added", "one-way delay at p99",
               [pair[RELAYED]["p99"] - pair[DIRECT]["p99"] for pair in pairs], "ms",
               ("<=", ASKED_MS))
    lost = {way: sum(pair[way]["lost"] for pair in pairs) for way in (DIRECT, RELAYED)}
    if any(lost.values()):
        report.note(f"{name}: lost {lost[DIRECT]} packets direct, {lost[RELAYED]} relayed")

"""How close three paths of ratio 1:2:3 come to it, in first copies of payload (sent_bytes of the
sending end's paths), one bulk session in each direction through

                       +-- relay1 (1) --+
    client -- ingress -+-- relay2 (2) --+- egress -- server
                       +-- relay3 (3) --+

`weighted` unshaped and shaped at full speed, `adaptive` at half of what the links carry."""

from chain import Chain
from common import run_helper, stop_all
from lab import expect

NAME = "shares"
TOOLS = ()
BYTES, QUICK_BYTES = 1_000_000_000, 100_000_000
RUNS = 1
RATIOS = [1, 2, 3]
RATES_MBIT = [50, 100, 150]
HALF_MBIT = sum(RATES_MBIT) // 2

# (case, scheduler, rates of the links, rate of the client or None, largest deviation in %)
CASES = [
    ("weighted, unshaped", "weighted", None, None, 1),
    ("weighted, 50+100+150 Mbit/s", "weighted", RATES_MBIT, None, 1),
    (f"adaptive, {HALF_MBIT} of 50+100+150 Mbit/s", "adaptive", RATES_MBIT, HALF_MBIT, 5),
]


def measure(bench):
    for number, case in enumerate(CASES):
        measured = {"download": [], "upload": []}
        for run in range(bench.runs(RUNS)):
            with bench.make_lab(f"shares{number}.{run}") as lab:
                chain = make_chain(bench, lab, case)
                for direction, verb in (("download", "get"), ("upload", "put")):
                    measured[direction].append(one_run(bench, chain, case, verb))
        for direction, samples in measured.items():
            tell(bench.report, case, direction, samples)


def make_chain(bench, lab, case):
    _, scheduler, rates, _, _ = case
    chain = Chain(lab, ratios=RATIOS, rates_mbit=rates, options=("--scheduler", scheduler))
    chain.server.start("server", bench.helper("bulk", "serve", *chain.target))
    chain.server.wait_open(*chain.target)
    return chain


def one_run(bench, chain, case, verb):
    """(largest deviation in %, shares of the paths), with modules that start from nothing."""
    chain.start().ready()
    mbit = case[3]
    size = bench.size(BYTES, QUICK_BYTES)
    run_helper(chain.client, bench.helper("bulk", verb, *chain.entry, size,
                                          *([mbit] if mbit else [])))
    sent = sent_by_path(chain, verb)
    expect(sum(sent) >= size, f"the paths sent {sum(sent)} of {size} bytes: {sent}")
    stop_all(chain.modules())
    shares = [count / sum(sent) for count in sent]
    wanted = [ratio / sum(RATIOS) for ratio in RATIOS]
    return max(abs(s / w - 1) for s, w in zip(shares, wanted)) * 100, shares


def sent_by_path(chain, verb):
    """First copies on each path, by the address at the relay's near or far side."""
    end, links, side = ((chain.egress, chain.far, 0) if verb == "get"
                        else (chain.ingress, chain.near, 1))
    paths = end.must("paths")["paths"]
    return [sum(p["sent_bytes"] for p in paths if p["peer"].startswith(link.ends()[side] + ":"))
            for link in links]


def tell(report, case, direction, samples):
    name, bound = f"{case[0]}, {direction}", case[4]
    report.row(NAME, name, "largest deviation from 1:2:3", [s[0] for s in samples], "%",
               ("<=", bound))
    last = " : ".join(f"{share * sum(RATIOS):.3f}" for share in samples[-1][1])
    report.note(f"{name}: shares {last}")

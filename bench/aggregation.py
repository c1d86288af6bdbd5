"""How much of the links one curl transfer gets: a file from nginx and back to it over three paths
of 50, 100 and 150 Mbit/s, as a fraction of what TCP's payload can have of them.

                        +-- relay1 (50) ---+
    client --- ingress -+-- relay2 (100) --+- egress --- server (nginx)
                        +-- relay3 (150) --+

Ours goes through a proxy on each relay; "direct" through none: the relays then forward packets.
Over the same links, between the ingress's node and an nginx in the egress's: one TCP connection
over the best link, and kernel MPTCP with three subflows where mptcpize is installed."""

import json
import shutil

from chain import EGRESS, INGRESS, SERVER_PORT, Chain, Module
from common import WrongBytes, alternate, cpu_seconds, start_all, stop_all
from lab import expect
from paths_place import CAPACITY, announce_addresses, route_through_relays
from peers import MB, NGINX, file_hash, make_file, start_nginx
from report import GB

NAME = "aggregation"
TOOLS = ("curl", "nginx")
SIZE_MB, QUICK_SIZE_MB = 300, 30
RUNS = 3
RATES_MBIT = [50, 100, 150]
ASKED_PERCENT = 99.6
BEST = RATES_MBIT.index(max(RATES_MBIT))
RATIOS = {"1:2:3": [1, 2, 3], "1:1:1": [1, 1, 1]}
SCHEDULER = ("--scheduler", "adaptive")
LIMIT_S = 200
# An upload must not wait for `100 Continue`.
CURL = ["curl", "-q", "--noproxy", "*", "-sS", "--fail", "-H", "Expect:", "--max-time", LIMIT_S,
        "-w", "%{json}"]


def measure(bench):
    with bench.make_lab("aggregation") as lab:
        place = Place(lab, bench.size(SIZE_MB, QUICK_SIZE_MB) * MB)
        cases = make_cases(place)
        if not shutil.which("mptcpize"):
            bench.report.note("aggregation: kernel MPTCP not measured, there is no mptcpize")
        measured = {}
        for run in range(bench.runs(RUNS)):
            for name, case in alternate(list(cases.items()), run):
                for direction, sample in case().items():
                    measured.setdefault((name, direction), []).append(sample)
        for name in cases:
            for direction in ("download", "upload"):
                tell(bench.report, name, direction, measured[name, direction])


def make_cases(place):
    cases = {}
    for name, ratios in RATIOS.items():
        cases[f"ours, three proxies, {name}"] = lambda ratios=ratios: place.ours(ratios, True)
        cases[f"ours, direct, {name}"] = lambda ratios=ratios: place.ours(ratios, False)
    if shutil.which("mptcpize"):
        cases["kernel MPTCP"] = place.mptcp
    cases["best single path"] = place.single
    return cases


def tell(report, name, direction, samples):
    case = f"{name}, {direction}"
    is_ours = name.startswith("ours")
    report.row(NAME, case, "of the links' payload capacity", [s["percent"] for s in samples], "%",
               (">=", ASKED_PERCENT) if is_ours else None,
               cpu=[s["cpu"] for s in samples] if is_ours else None)
    carried = samples[-1]["carried"]
    shares = " : ".join(f"{count / sum(carried):.1%}" for count in carried)
    report.note(f"{case}: {samples[-1]['mbit']:.1f} Mbit/s, on the links {shares}")


class Place:
    """The links, the web servers and the file."""

    def __init__(self, lab, size):
        self.lab, self.size = lab, size
        self.chain = Chain(lab, ratios=RATIOS["1:2:3"], rates_mbit=RATES_MBIT, options=SCHEDULER)
        route_through_relays(self.chain)
        www = start_nginx(lab, self.chain.server, *self.chain.target)
        self.file, self.stored, self.got = www / "file", www / "put", lab.folder / "got"
        self.wanted = make_file(self.file, size)
        self.start_near_nginx()

    def start_near_nginx(self):
        """In the egress's node, for MPTCP and plain TCP; it serves the same files."""
        folder = self.lab.folder / "near"
        folder.mkdir()
        (folder / "www").symlink_to(self.lab.folder / "www")
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, address=f"0.0.0.0:{SERVER_PORT}"))
        back = self.chain.back
        wrap = ["mptcpize", "run"] if shutil.which("mptcpize") else []
        back.start("near-nginx", [*wrap, "nginx", "-p", folder, "-c", config,
                                  "-e", folder / "nginx-error.log"])
        announce_addresses(self.chain, BEST)
        back.wait_open(self.chain.far[BEST].b_ip, SERVER_PORT)

    def ours(self, ratios, has_proxies):
        chain = self.chain
        for name in ("proxy_addresses", "egress_addresses"):
            setattr(chain, name, [(host, port, ratio) for (host, port, _), ratio
                                  in zip(getattr(chain, name), ratios)])
        modules = self.start_with_proxies() if has_proxies else self.start_direct()
        samples = self.both_ways(chain.client, chain.url, modules)
        stop_all(modules)
        return samples

    def start_with_proxies(self):
        self.chain.start().ready()
        return self.chain.modules()

    def start_direct(self):
        chain = self.chain
        egress = Module(self.lab, chain.back, EGRESS, chain.egress_addresses,
                        [(*chain.target, 0)], options=SCHEDULER)
        ingress = Module(self.lab, chain.front, INGRESS, [(*chain.entry, 0)],
                         chain.egress_addresses, options=SCHEDULER)
        return start_all([egress, ingress])

    def near_url(self, path):
        return f"http://{self.chain.far[BEST].b_ip}:{SERVER_PORT}/{path}"

    def single(self):
        return self.both_ways(self.chain.front, self.near_url)

    def mptcp(self):
        samples = self.both_ways(self.chain.front, self.near_url, wrap=("mptcpize", "run"))
        expect(min(samples["download"]["carried"]) > self.size / 100,
               f"MPTCP left a link out: {samples['download']['carried']}")
        return samples

    def both_ways(self, node, url, modules=(), wrap=()):
        samples = {}
        for direction, words, result in (
                ("download", ["-o", self.got, url("file")], self.got),
                ("upload", ["-o", "/dev/null", "-T", self.file, url("put")], self.stored)):
            samples[direction] = self.transfer(node, [*wrap, *CURL, *words], modules)
            if file_hash(result) != self.wanted:
                raise WrongBytes(f"SHA-256 after the {direction} differs")
            result.unlink()
        return samples

    def transfer(self, node, argv, modules):
        """From the first byte of the request to the last of the answer."""
        carried, cpu = self.link_bytes(), cpu_seconds(modules)
        said = json.loads(node.output(argv, limit_s=LIMIT_S + 10))
        seconds = said["time_total"] - said["time_pretransfer"]
        mbit = self.size * 8 / 1e6 / seconds
        return {"mbit": mbit, "percent": 100 * mbit / (sum(RATES_MBIT) * CAPACITY),
                "carried": [b - a for a, b in zip(carried, self.link_bytes())],
                "cpu": (cpu_seconds(modules) - cpu) / (self.size / GB)}

    def link_bytes(self):
        """Of the links next to the ingress, in both directions."""
        return [sum(self.chain.front.counters(link.a_device)) for link in self.chain.near]

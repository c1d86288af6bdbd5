"""Messages there and back over a hundred connections: rate and round trip of each model, beside a bare
epoll loop, nginx (which only passes on: to that loop), socat and ncat."""

from common import LOOPBACK, alternate, ratios
from echo_place import MODELS, PORT, Place, end
from lab import expect

NAME = "messages"
TOOLS = ("nginx", "socat", "ncat")
SIZES = (64, 256, 512, 1024, 4096, 16384)
DEPTHS = (1, 64)
CONNECTIONS = 100
SECONDS, QUICK_SECONDS = 2, 1
RUNS = 3
BARE, PART_OF_BARE = "bare epoll loop", 0.9
DEEP_MB_S = 2000
BEHIND_PORT = 7008  # of the loop behind nginx

NGINX = """
load_module modules/ngx_stream_module.so;
daemon off;
master_process off;
pid {folder}/nginx-echo.pid;
error_log {folder}/nginx-echo-error.log;
events {{ worker_connections 1024; }}
stream {{
    server {{
        listen {host}:{port} backlog=1024;
        tcp_nodelay on;
        proxy_pass {host}:{behind};
    }}
}}
"""


def measure(bench):
    with bench.make_lab("echo-messages") as lab:
        place = Place(bench, lab)
        cases = [case for case in CASES if bench.is_wanted(case)]
        for depth in DEPTHS:
            seen = {case: [] for case in cases}
            for run in range(bench.runs(RUNS)):
                for case in alternate(cases, run):
                    seen[case].append(one_run(bench, place, case, depth))
            tell(bench.report, depth, {case: runs for case, runs in seen.items() if all(runs)})


def one_run(bench, place, case, depth):
    """{bytes: what the client says of that size}; nothing of a peer that did not send all back."""
    servers = CASES[case](place)
    said = place.drive("--test", "throughput", "--workers", 1, "--connections", CONNECTIONS,
                       "--size", ",".join(map(str, SIZES)), "--depth", depth,
                       "--seconds", bench.size(SECONDS, QUICK_SECONDS), "--warm-up", 0.3)
    for server in servers:
        end(server)
    if not said["good"]:
        expect(case not in MODELS, f"{case}, {depth} outstanding: {said}")
        bench.report.note(f"{case}, {depth} outstanding: {said['timed_out']} of {CONNECTIONS} "
                          "connections stood still; no figures")
        return {}
    return {size["size"]: size for size in said["sizes"]}


def tell(report, depth, seen):
    for size in SIZES:
        rates = {case: [said[size]["messages_per_s"] for said in runs]
                 for case, runs in seen.items()}
        for case, samples in rates.items():
            name = f"{size} B, {depth} outstanding, {case}"
            report.row(NAME, name, "messages", samples, "1/s")
            report.row(NAME, name, "payload", [size * rate / 1e6 for rate in samples], "MB/s",
                       (">=", DEEP_MB_S) if (size, depth) == (256, 64)
                       and case in ("event", "uring") else None)
            for figure in ("p50", "p99"):
                report.row(NAME, name, f"round trip {figure}",
                           [said[size]["latency_us"][figure] for said in seen[case]], "µs")
        if (size, depth) == (256, 1):
            tell_pairs(report, rates)


def tell_pairs(report, rates):
    for ours, theirs, bound in (("event", BARE, PART_OF_BARE), ("uring", "event", 1)):
        if rates.get(ours) and rates.get(theirs):
            report.row(NAME, "256 B, 1 outstanding", f"{ours} : {theirs}",
                       ratios(rates[ours], rates[theirs]), "×", (">=", bound))


# ---- who echoes: each returns the processes ----
def ours(model):
    return lambda place: [place.serve(model, "--workers", 1)]


def bare(place, port=PORT):
    return [place.start(f"epoll-{port}", place.bench.helper("epoll_echo", LOOPBACK, port), port)]


def nginx(place):
    behind = bare(place, BEHIND_PORT)
    conf = place.lab.folder / "nginx-echo.conf"
    conf.write_text(NGINX.format(folder=place.lab.folder, host=LOOPBACK, port=PORT,
                                 behind=BEHIND_PORT))
    return [place.start("nginx", ["nginx", "-e", "stderr", "-c", conf]), *behind]


def socat(place):
    return [place.start("socat", [
        "socat", f"TCP-LISTEN:{PORT},bind={LOOPBACK},reuseaddr,fork,nodelay,backlog=1024", "PIPE"])]


def ncat(place):
    return [place.start("ncat", ["ncat", "--listen", "--keep-open", "--max-conns", 2 * CONNECTIONS,
                                 "--exec", "/bin/cat", LOOPBACK, PORT])]


CASES = {**{model: ours(model) for model in MODELS}, BARE: bare,
         "nginx before the bare loop": nginx, "socat": socat, "ncat": ncat}

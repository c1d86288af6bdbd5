"""What relaying costs, unshaped on one machine: one bulk stream through two relays in a row.

    client -- ingress ==(two subflows)== egress -- server       against, in the same run:
    client -- peer -- peer -- server                             socat, HAProxy, nginx stream

Rate at the receiver and CPU-seconds of the relays per GB, in alternating runs."""

from chain import EGRESS, INGRESS, Module
from common import (LOOPBACK, alternate, cpu_seconds, loopback_node, ratios, run_helper, start_all,
                    stop_all)
from lab import expect
from report import GB

NAME = "relay"
TOOLS = ("socat", "haproxy", "nginx")
BYTES, QUICK_BYTES = 4_000_000_000, 1_000_000_000
RUNS = 9
SERVER_PORT, ENTRY_PORT, MIDDLE_PORT = 8080, 5001, 5002
SUBFLOW_PORTS = (7001, 7002)
COMM = {EGRESS: (LOOPBACK, 9001), INGRESS: (LOOPBACK, 9002)}
COMPARED = ("socat -b65536", "HAProxy")

HAPROXY = """
global
    maxconn 1000
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
{options}
listen relay
    bind {host}:{port}
    server next {host}:{next_port}
"""

NGINX_STREAM = """
load_module modules/ngx_stream_module.so;
daemon off;
master_process off;
pid {folder}/{name}.pid;
error_log {folder}/{name}-error.log;
events {{ worker_connections 256; }}
stream {{
    server {{
        listen {host}:{port};
        proxy_buffer_size 64k;
        proxy_half_close on;
        proxy_pass {host}:{next_port};
    }}
}}
"""


def measure(bench):
    size = bench.size(BYTES, QUICK_BYTES)
    with bench.make_lab("relay") as lab:
        node = loopback_node(lab)
        node.start("server", bench.helper("bulk", "serve", LOOPBACK, SERVER_PORT))
        node.wait_open_port(SERVER_PORT)
        for verb, direction in (("get", "download"), ("put", "upload")):
            measured = {case: [] for case in CASES}
            for run in range(bench.runs(RUNS)):
                for case in alternate(CASES, run):
                    measured[case].append(one_run(bench, lab, node, case, (verb, size)))
            tell(bench.report, direction, measured)


def one_run(bench, lab, node, case, work):
    """(bytes per second, CPU-seconds per GB of the relays)"""
    verb, size = work
    port, relays = CASES[case](lab, node)
    before = cpu_seconds(relays)
    said = run_helper(node, bench.helper("bulk", verb, LOOPBACK, port, size))
    used = cpu_seconds(relays) - before
    stop_all(relays)
    return said["bytes"] / said["seconds"], used / (size / GB)


def tell(report, direction, measured):
    for case, samples in measured.items():
        report.row(NAME, f"{case}, {direction}", "rate", [8 * rate / GB for rate, _ in samples],
                   "Gbit/s", cpu=[cpu for _, cpu in samples])
    for peer in COMPARED:
        pair = f"ingress → egress : {peer}, {direction}"
        ours, theirs = zip(*measured[OURS]), zip(*measured[peer])
        (rates, cpus), (peer_rates, peer_cpus) = ours, theirs
        report.row(NAME, pair, "paired ratio of rates", ratios(rates, peer_rates), "×",
                   (">=", 1))
        report.row(NAME, pair, "paired ratio of CPU s/GB", ratios(cpus, peer_cpus), "×",
                   ("<=", 1))


# ---- the relays: each returns the port to connect to and the processes ----
def direct(_lab, _node):
    return SERVER_PORT, []


def chain_of_ours(lab, node):
    subflows = [(LOOPBACK, port, 1) for port in SUBFLOW_PORTS]
    egress = Module(lab, node, EGRESS, subflows, [(LOOPBACK, SERVER_PORT, 0)], comm=COMM[EGRESS])
    ingress = Module(lab, node, INGRESS, [(LOOPBACK, ENTRY_PORT, 0)], subflows,
                     comm=COMM[INGRESS])
    return ENTRY_PORT, start_all([egress, ingress])


def two_in_a_row(start):
    """`start(port, next_port)` starts one relay."""
    relays = [start(MIDDLE_PORT, SERVER_PORT), start(ENTRY_PORT, MIDDLE_PORT)]
    return ENTRY_PORT, relays


def wait_ports(node, ports):
    for port in ports:
        node.wait_open_port(port)


def socat(lab, node):
    """Serves one connection and ends; it is waited for only after its time was read."""
    del lab

    def start(port, next_port):
        return node.start(f"socat-{port}", [
            "socat", "-t60", "-b65536", f"TCP-LISTEN:{port},bind={LOOPBACK},reuseaddr",
            f"TCP:{LOOPBACK}:{next_port}"])

    entry, relays = two_in_a_row(start)
    wait_ports(node, (ENTRY_PORT, MIDDLE_PORT))
    return entry, relays


def haproxy_with(options):
    def both(lab, node):
        def start(port, next_port):
            config = lab.folder / f"haproxy-{port}.cfg"
            config.write_text(HAPROXY.format(host=LOOPBACK, port=port, next_port=next_port,
                                             options=options))
            return node.start(f"haproxy-{port}", ["haproxy", "-db", "-f", config])

        entry, relays = two_in_a_row(start)
        wait_ports(node, (ENTRY_PORT, MIDDLE_PORT))
        return entry, relays
    return both


def nginx_stream(lab, node):
    def start(port, next_port):
        name = f"nginx-{port}"
        config = lab.folder / f"{name}.conf"
        config.write_text(NGINX_STREAM.format(folder=lab.folder, name=name, host=LOOPBACK,
                                              port=port, next_port=next_port))
        return node.start(name, ["nginx", "-p", "/usr/share/nginx", "-c", config,
                                 "-e", lab.folder / f"{name}-error.log"])

    entry, relays = two_in_a_row(start)
    wait_ports(node, (ENTRY_PORT, MIDDLE_PORT))
    expect(all(r.is_running() for r in relays), f"nginx ended: {relays[0].log()[-300:]}")
    return entry, relays


OURS = "ingress → egress"
CASES = {
    "direct": direct,
    OURS: chain_of_ours,
    "socat -b65536": socat,
    "HAProxy": haproxy_with(""),
    "HAProxy splice": haproxy_with("    option splice-request\n    option splice-response"),
    "nginx stream 64k": nginx_stream,
}

"""Ending and operating: SIGTERM, close, reset, and the three dialects of the comm socket.

                       +-- relay1 --+
    client -- ingress -+-- relay2 --+- egress -- server
                       +-- relay3 --+
"""

import json
import re
import signal

from chain import COMM, Chain
from lab import expect, expect_equal, wait_for
from peers import MB, check_session, end_both, expect_reset, move_both_ways
from scenario import Scenario

STATS = {
    "sessions": ("open", "waiting", "opened_total", "finished_total", "reset_total",
                 "refused_total"),
    "bytes": ("from_edge_total", "to_edge_total", "sent_total", "resent_total", "received_total",
              "duplicate_total"),
    "memory": ("used_bytes", "used_bytes_max", "granted_bytes", "limit_bytes"),
    "connections": ("accepted_total", "rejected_total"),
}
HOP = "tunnel worker side peer state why ratio hop_rtt_us sent_bytes received_bytes".split()
END = ("index share rate_bps base_rtt_us rtt_us inflight_bytes cap_bytes resent_bytes "
       "duplicate_bytes stalls parks doubt_us").split()
SIDES = {"backend": ["dials", "losses", "redials"], "listen": ["listener"]}
AT_PROXY = {"backend": ["stalls"], "listen": ["stalls"]}
SESSION = ("tunnel worker id peer state sent_bytes acked_bytes received_bytes delivered_bytes "
           "send_credit_bytes window_bytes age_ms idle_ms").split()
METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? [-+0-9.eEinfNa]+( [0-9]+)?")


def plain(lab, **more):
    chain = Chain(lab, **more)
    listener = chain.listen()
    return chain.ready(), listener


def is_refused(chain):
    """No new client gets in: refused, or reset at once."""
    try:
        with chain.dial(limit_s=5) as client:
            return client.recv(1) == b"?"  # never: an end is no refusal
    except ConnectionError:
        return True


def drains(lab, who, how):
    """The session under way goes on to its end, then the process ends with 0."""
    chain, listener = plain(lab)
    module = getattr(chain, who)
    client, server = chain.session(listener)
    move_both_ways(client, server, MB, 1)
    module.may_end = True
    how(module)
    wait_for(lambda: module.stats()["state"] == "draining", f"{who} drains")
    if who == "ingress":
        wait_for(lambda: is_refused(chain), "new clients are refused")
    move_both_ways(client, server, 8 * MB, 2)
    expect(module.is_running(), f"{who} did not wait for the session")
    end_both(client, server)
    expect_equal(module.wait(20), 0, f"exit code of {who}")


def second_sigterm(lab, who):
    """Ends at once although a session is open, which is reset."""
    chain, listener = plain(lab, options=("--session-wait", "1s"))
    module = getattr(chain, who)
    client, server = chain.session(listener)
    move_both_ways(client, server, MB, 1)
    module.may_end = True
    module.signal(signal.SIGTERM)
    wait_for(lambda: module.stats()["state"] == "draining", f"{who} drains")
    module.signal(signal.SIGTERM)
    expect_equal(module.wait(10), 0, f"exit code of {who}")
    expect_reset(client, "client")
    expect_reset(server, "server")


def idle_ends_at_once(lab):
    """Without sessions one SIGTERM is enough for every module."""
    chain, listener = plain(lab)
    check_session(chain, listener)
    for module in chain.modules():
        module.may_end = True
        module.signal(signal.SIGTERM)
        expect_equal(module.wait(10), 0, f"exit code of {module.name}")


def reset(lab, who, dialect):
    """All sessions end by a reset at both sides; the module listens again."""
    chain, listener = plain(lab)
    module = getattr(chain, who)
    pairs = [chain.session(listener) for _ in range(5)]
    for i, pair in enumerate(pairs):
        move_both_ways(*pair, 100_000, i)
    if dialect == "controller":
        done = module.control("reset")
        expect_equal((done.returncode, done.stdout.count("\n")), (0, 1), f"reset: {done}")
    elif dialect == "byte":
        expect_equal(module.one_byte(b"4"), b"6", "reply to the byte 4")
    else:
        expect_equal(module.must("reset")["sessions"], 5, "sessions that reset ended")
    for client, server in pairs:
        expect_reset(client, "client")
        expect_reset(server, "server")
    chain.ready()
    check_session(chain, listener)


def byte_dialect(lab):
    """The original's commands, several on one connection."""
    chain, _ = plain(lab)
    for module in chain.modules():
        expect_equal(module.one_byte(b"1"), b"6", f"{module.name}: health_check")
        expect_equal(module.one_byte(b"141", 3), b"666", f"{module.name}: three commands")
        expect_equal(module.one_byte(b"3"), b"7", f"{module.name}: update_topo, nothing prepared")


def check_paths(chain, module):
    """The fields of each path are those of docs/control.md, no more and no less."""
    is_end = module in (chain.ingress, chain.egress)
    paths = module.must("paths")["paths"]
    sides = {chain.ingress: {"backend"}, chain.egress: {"listen"}}.get(module, set(SIDES))
    expect_equal({path["side"] for path in paths}, sides, f"{module.name}: sides")
    for path in paths:
        wanted = HOP + SIDES[path["side"]] + (END if is_end else AT_PROXY[path["side"]])
        expect_equal(sorted(path), sorted(wanted), f"{module.name}: a path's fields")
    titles = module.control("paths").stdout.splitlines()[0].split()
    expect_equal([title in titles for title in ("HOP-RTT", "SHARE", "RTT", "LOSSES", "LISTENER")],
                 [True, is_end, is_end, "backend" in sides, "listen" in sides],
                 f"{module.name}: columns of {titles}")


def json_dialect(lab):
    """What docs/control.md promises is there."""
    chain, listener = plain(lab)
    client, server = chain.session(listener)
    move_both_ways(client, server, MB, 1)
    for module in chain.modules():
        health = module.must("health_check")
        expect_equal((health["live"], health["ready"], health["degraded"]), (True, True, []),
                     f"{module.name}: health")
        stats = module.stats()
        for group, names in STATS.items():
            expect_equal([n for n in names if n not in stats[group]], [], f"missing in {group}")
        check_paths(chain, module)
        reply = module.ask("dance")
        expect_equal((reply["ok"], reply["code"]), (False, "unknown_op"), f"{module.name}: {reply}")
    for end in (chain.ingress, chain.egress):
        reply = end.must("sessions")
        expect_equal((reply["total"], len(reply["sessions"])), (1, 1), f"{end.name}: sessions")
        expect_equal([n for n in SESSION if n not in reply["sessions"][0]], [], "missing")
    counted = chain.ingress.stats()["bytes"]
    expect_equal((counted["from_edge_total"], counted["to_edge_total"]), (MB, MB),
                 "bytes from and to the client")
    end_both(client, server)


def http_dialect(lab):
    chain, _ = plain(lab)
    host, port = COMM
    curl = ["curl", "-q", "--noproxy", "*", "-sS", "--fail", "--max-time", "10"]
    for module in chain.modules():
        base = f"http://{host}:{port}"
        module.node.output([*curl, f"{base}/healthz"])
        status = json.loads(module.node.output([*curl, f"{base}/status"]))
        expect(status["stats"].get("version") and status["health"]["live"], f"{module.name}: /status says {status}")
        metrics = module.node.output([*curl, f"{base}/metrics"]).splitlines()
        samples = [line for line in metrics if line and not line.startswith("#")]
        expect(len(samples) > 5, f"{module.name}: {len(samples)} metrics")
        for line in samples:
            expect(METRIC.fullmatch(line), f"{module.name}: no Prometheus sample: {line!r}")
        missing = module.node.run([*curl, "-o", "/dev/null", "-w", "%{http_code}",
                                   f"{base}/nothing"])
        expect_equal(missing.stdout, "404", f"{module.name}: an unknown page")


def controller(lab):
    """One line, or JSON; exit codes 0, 1 (the module said no) and 2 (unreachable)."""
    chain, _ = plain(lab)
    for module in chain.modules():
        done = module.control("health_check")
        expect_equal((done.returncode, done.stdout.count("\n"), done.stderr), (0, 1, ""),
                     f"{module.name}: health_check")
        program = lab.bin_dir / "mpp_controller"
        reply = json.loads(module.node.output([program, "--json", *COMM, "health_check"]))
        expect(reply["ok"] is True, f"{module.name}: {reply}")
        done = module.control("update_topo")
        expect_equal((done.returncode, (done.stdout + done.stderr).count("\n")), (1, 1),
                     f"{module.name}: update_topo, nothing prepared")
        done = module.node.run([program, COMM[0], 1, "health_check"])
        expect_equal((done.returncode, done.stderr.count("\n")), (2, 1), "nobody listens")


CLOSINGS = {
    "sigterm": lambda module: module.signal(signal.SIGTERM),
    "close_json": lambda module: module.ask("close"),
    "close_byte": lambda module: module.one_byte(b"5", 0),
    "close_controller": lambda module: expect_equal(module.control("close").returncode, 0, "close"),
}
SCENARIOS = [
    *(Scenario(f"{name}_{who}", drains, (who, how)) for name, how in CLOSINGS.items()
      for who in ("ingress", "egress")),
    *(Scenario(f"second_sigterm_{who}", second_sigterm, (who,)) for who in ("ingress", "egress")),
    Scenario("idle_sigterm", idle_ends_at_once),
    *(Scenario(f"reset_{who}_{dialect}", reset, (who, dialect)) for who in ("ingress", "egress")
      for dialect in ("json", "byte", "controller")),
    Scenario("byte_dialect", byte_dialect),
    Scenario("json_dialect", json_dialect),
    Scenario("http_dialect", http_dialect),
    Scenario("controller", controller),
]

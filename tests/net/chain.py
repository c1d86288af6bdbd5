"""The modules of MPP in a Lab: their fixed command lines, their comm sockets, and the chain that
most scenarios use. A module that ends by itself, complains through a sanitizer or does not end
when it is told to fails the scenario."""

import json
import pathlib
import re
import signal
import socket
import time

from lab import Failure, Process, expect, wait_for

INGRESS, PROXY, EGRESS = "mpp_adv_ingress", "mpp_dataplane_proxy", "mpp_adv_egress"
CONTROLLER = "mpp_controller"
COMM = ("127.0.0.1", 9000)
CLIENT_PORT, SUBFLOW_PORT, SERVER_PORT = 5001, 7001, 8080
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")
STOP_LIMIT_S = 15


def command_line(program, listen, backend, comm=COMM, options=()):
    """`listen` and `backend` are lists of (host, port, ratio)."""
    words = [program, *options, len(listen), len(backend)]
    for address in [*listen, *backend]:
        words += address
    return [str(w) for w in [*words, *comm]]


def is_sanitized(lab):
    """Sanitizers make the modules several times slower and larger: use smaller sizes."""
    program = lab.bin_dir / INGRESS
    data = program.read_bytes() if program.exists() else b""
    return b"__asan_init" in data or b"__tsan_init" in data


def ask(node, op, comm=COMM, **arguments):
    """One JSON line to a comm socket and its reply."""
    with node.connect(*comm, limit_s=15) as peer, peer.makefile("rwb") as stream:
        stream.write(json.dumps({"op": op, **arguments}).encode() + b"\n")
        stream.flush()
        line = stream.readline()
    expect(line.endswith(b"\n"), f"{op}: the comm socket closed without a whole reply: {line!r}")
    return json.loads(line)


class Module(Process):
    def __init__(self, lab, node, program, listen, backend, name=None, comm=COMM, options=(),
                 wrap=()):
        self.made_with = (lab, node, program, listen, backend, name, comm, options, wrap)
        self.node, self.program, self.comm = node, program, comm
        self.may_end = False
        argv = command_line(lab.bin_dir / program, listen, backend, comm,
                            ["--log-level", "info", *options])
        super().__init__(lab, node, name or f"{program}@{node.name}", [*wrap, *argv])

    def again(self):
        """The same command line in a new process, with the same log."""
        expect(not self.is_running(), f"{self.name} still runs")
        self.may_end = True
        return Module(*self.made_with)

    def kill(self):
        self.may_end = True
        super().kill()

    def freeze(self):
        """SIGSTOP, and every thread has stopped: one of them takes the signal, and tells the
        others when it gets to run."""
        self.signal(signal.SIGSTOP)
        threads = pathlib.Path(f"/proc/{self.popen.pid}/task")
        wait_for(lambda: all("State:\tT" in t.read_text() for t in threads.glob("*/status")),
                 f"{self.name} stopped")

    def thaw(self):
        self.signal(signal.SIGCONT)

    def ask(self, op, **arguments):
        return ask(self.node, op, self.comm, **arguments)

    def must(self, op, **arguments):
        reply = self.ask(op, **arguments)
        expect(reply.get("ok") is True, f"{self.name}: {op} said {reply}")
        return reply

    def control(self, *words):
        """mpp_controller from the module's own node."""
        return self.node.run([self.node.lab.bin_dir / CONTROLLER, *self.comm, *words], limit_s=30)

    def one_byte(self, data, reply_bytes=1):
        """The original's dialect."""
        with self.node.connect(*self.comm, limit_s=15) as peer:
            peer.sendall(data)
            reply = b""
            while len(reply) < reply_bytes:
                more = peer.recv(reply_bytes - len(reply))
                expect(more, f"{self.name}: closed after reply {reply!r} to {data!r}")
                reply += more
            return reply

    def health(self):
        """The reply to health_check, or None while nobody answers yet."""
        expect(self.is_running(), f"{self.name} ended with {self.popen.returncode}: "
                                  f"{self.log()[-500:].strip()}")
        try:
            return self.must("health_check")
        except OSError:
            return None

    def wait_live(self):
        return wait_for(self.health, f"{self.name} live")

    def is_whole(self):
        health = self.health()
        return health and health["ready"] and not health["degraded"]

    def wait_ready(self):
        """Every path end to end."""
        wait_for(self.is_whole, f"{self.name} ready and not degraded")

    def resident_bytes(self):
        with open(f"/proc/{self.popen.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def stats(self):
        return self.must("stats")

    def wait_log(self, pattern, limit_s=20):
        wait_for(lambda: re.search(pattern, self.log(), re.IGNORECASE),
                 f"{self.name}: a log line that matches {pattern!r}", limit_s)


def verify_modules(lab):
    """Called at the end of a scenario that went well: all modules still run, end when they are
    told to (sessions that are left need the second SIGTERM), with code 0 and a clean log."""
    modules = [p for p in lab.processes if isinstance(p, Module)]
    for m in modules:
        expect(m.may_end or m.is_running(), f"{m.name} ended by itself: {m.popen.poll()}")
    stopping = [m for m in modules if m.is_running()]
    for m in stopping:
        m.signal(signal.SIGTERM)
    for m in stopping:
        stop(m)
    for m in modules:
        found = SANITIZER.search(m.log())
        expect(not found, f"{m.name}: {found and found.group()}")


def stop(module):
    """The second SIGTERM is repeated: two that arrive together are one."""
    deadline = time.monotonic() + STOP_LIMIT_S
    while module.is_running():
        expect(time.monotonic() < deadline, f"{module.name} runs on after SIGTERM, and a second")
        try:
            module.wait(0.3)
        except Failure:
            module.signal(signal.SIGTERM)
    code = module.popen.returncode
    expect(code == 0, f"{module.name} ended with {code} on SIGTERM")


class Chain:
    """client -- ingress ==(links)== relays ==(links)== egress -- server

    Every relay carries one proxy; ratios and rates are per path. The links between the ends are
    made by `join`(a, b, rate_mbit), plain ones where it is not given."""

    def __init__(self, lab, paths=3, ratios=None, rates_mbit=None, ipv6=False, options=(),
                 ingress_options=(), proxy_options=(), egress_options=(), wraps=None, join=None):
        self.lab = lab
        join = join or lab.link
        self.ratios = ratios or [1] * paths
        rates = rates_mbit or [None] * paths
        self.options = {INGRESS: [*options, *ingress_options], PROXY: [*options, *proxy_options],
                        EGRESS: [*options, *egress_options]}
        self.wraps = wraps or {}
        self.client, self.front = lab.node("client"), lab.node("ingress")
        self.relays = [lab.node(f"relay{i + 1}") for i in range(paths)]
        self.back, self.server = lab.node("egress"), lab.node("server")
        self.access = lab.link(self.client, self.front)
        self.near = [join(self.front, r, rate) for r, rate in zip(self.relays, rates)]
        self.far = [join(r, self.back, rate) for r, rate in zip(self.relays, rates)]
        self.exit = lab.link(self.back, self.server)
        self.entry = (self.access.ends(ipv6)[1], CLIENT_PORT)
        self.target = (self.exit.ends(ipv6)[1], SERVER_PORT)
        self.proxy_addresses = [(link.ends(ipv6)[1], SUBFLOW_PORT, ratio)
                                for link, ratio in zip(self.near, self.ratios)]
        self.egress_addresses = [(link.ends(ipv6)[1], SUBFLOW_PORT, ratio)
                                 for link, ratio in zip(self.far, self.ratios)]
        self.ingress = self.egress = None
        self.proxies = [None] * paths

    def start(self, order=(EGRESS, PROXY, INGRESS)):
        for program in order:
            {INGRESS: self.start_ingress, PROXY: self.start_proxies,
             EGRESS: self.start_egress}[program]()
        return self

    def start_module(self, node, program, listen, backend):
        return Module(self.lab, node, program, listen, backend, options=self.options[program],
                      wrap=self.wraps.get(program, ()))

    def start_ingress(self):
        self.ingress = self.start_module(self.front, INGRESS, [(*self.entry, 0)],
                                         self.proxy_addresses)

    def start_proxies(self):
        self.proxies = [self.start_module(node, PROXY, [near], [far]) for node, near, far
                        in zip(self.relays, self.proxy_addresses, self.egress_addresses)]

    def start_egress(self):
        self.egress = self.start_module(self.back, EGRESS, self.egress_addresses,
                                        [(*self.target, 0)])

    def modules(self):
        return [self.ingress, *self.proxies, self.egress]

    def ready(self):
        """Starts what is not started yet and waits until every path is up."""
        if self.ingress is None:
            self.start()
        for m in self.modules():
            m.wait_live()
        self.ingress.wait_ready()
        return self

    def listen(self):
        return self.server.listen(*self.target)

    def dial(self, limit_s=30):
        return self.client.connect(*self.entry, limit_s=limit_s)

    def session(self, listener):
        """Both ends of one session as sockets; nothing has been sent yet."""
        client = self.dial()
        server = listener.accept()[0]
        server.settimeout(30)
        return client, server

    def url(self, path=""):
        host = f"[{self.entry[0]}]" if ":" in self.entry[0] else self.entry[0]
        return f"http://{host}:{self.entry[1]}/{path}"


def reset_on_close(sock):
    """close() will send a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

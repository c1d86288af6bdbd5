"""What goes wrong in networks, done to a chain under traffic. Each file in tests/net/chaos/ is one
scenario, README.md there says what may stand in it; pairs.json does what two of them do at once, to
neighbouring paths.

                       +==(near)== relay1 ==(far)==+
    client -- ingress -+==(near)== relay2 ==(far)==+- egress -- server
                       +==(near)== relay3 ==(far)==+

Two sessions that never rest carry random bytes in both directions, one rests, and short ones come
and go. Unless a file says that they are to be reset, all of them arrive exactly; memory stays below
its limit, and no module has an ERROR to tell."""

import json
import pathlib
import random
import signal
import socket
import threading
import time

from chain import PROXY, Chain, is_sanitized
from lab import CONGESTION_CONTROL, Failure, expect, expect_equal, wait_for
from links import BOTH, Emulator
from peers import BLOCK, MB, Job, check_session, end_both, expect_reset, move_both_ways
from scenario import Scenario

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "chaos"
PATH = {"rate_mbit": 50, "delay_ms": 5, "limit_kb": 128}
PATHS = 3
FLOWS = 2
SHORT_BYTES = 50_000
# To move what an event waits for: ten times what it takes, and less than SILENCE_MAX_MS: what only
# moves on when a connection is given up has failed.
PROGRESS_LIMIT_S = 12
END_LIMIT_S = 60
LIMIT_S = 150
MEMORY_LIMIT, MEMORY_LIMIT_BYTES = "64M", 64 << 20
HARD_SLACK_BYTES = 32 << 20  # MEMORY_HARD_SLACK_BYTES of limits.h
RSS_SLACK_BYTES = 64 << 20
MEMORY_LOOK_S = 0.1
RESET_SLACK_S = 2.5
CARRIED_BYTES = 256 << 10


# ---- streams ----
class WrongBytes(Failure):
    """The one thing that no end of a session excuses."""


class Stream:
    """Random bytes one way until it is told to end; the receiver makes the same ones."""

    def __init__(self, source, sink, seed):
        self.source, self.sink, self.seed = source, sink, seed
        self.sent = self.got = 0
        self.is_ending = threading.Event()
        self.sending, self.receiving = Job(self.send), Job(self.receive)

    def send(self):
        bytes_of = random.Random(self.seed)
        while not self.is_ending.is_set():
            self.source.sendall(bytes_of.randbytes(BLOCK))
            self.sent += BLOCK
        self.source.shutdown(socket.SHUT_WR)

    def receive(self):
        bytes_of, block = random.Random(self.seed), b""
        while data := self.sink.recv(BLOCK):
            while len(block) < len(data):
                block += bytes_of.randbytes(BLOCK)
            if not block.startswith(data):
                raise WrongBytes(f"seed {self.seed}: wrong bytes behind {self.got}")
            block = block[len(data):]
            self.got += len(data)
        expect(self.is_ending.is_set(), f"a clean end after {self.got} bytes of a stream that "
                                        "goes on")

    def error(self):
        return self.sending.error or self.receiving.error

    def end_exact(self):
        self.is_ending.set()
        self.sending.result(END_LIMIT_S)
        self.receiving.result(END_LIMIT_S)
        expect_equal(self.got, self.sent, "bytes received of those sent")


def expect_both_reset(up, down):
    """Of one session's streams. The kernel tells a reset once, to the reader or to the writer of
    a socket; the other sees a clean end or a broken pipe then."""
    for who, jobs in (("client", (up.sending, down.receiving)),
                      ("server", (down.sending, up.receiving))):
        for job in jobs:
            job.join(END_LIMIT_S)
            expect(not job.is_alive(), f"{who}: {job.work.__name__} still waits where a reset "
                                       "was due")
            if isinstance(job.error, WrongBytes):
                raise job.error
        expect(any(isinstance(job.error, ConnectionResetError) for job in jobs),
               f"{who}: {[job.error for job in jobs]} where a reset was due")


# ---- chains ----
class OneProxy(Chain):
    """One path up to the proxy, two behind it."""

    def __init__(self, lab, join, **more):
        super().__init__(lab, paths=1, join=join, **more)
        self.far.append(join(self.relays[0], self.back, None))
        self.egress_addresses.append((self.far[1].b_ip, *self.egress_addresses[0][1:]))

    def start_proxies(self):
        self.proxies = [self.start_module(self.relays[0], PROXY, self.proxy_addresses,
                                          self.egress_addresses)]


class Chaos:
    def __init__(self, lab, plan):
        self.lab, self.plan = lab, plan
        self.emulator = Emulator(lab)
        options = ["--memory-limit", MEMORY_LIMIT, *plan.get("options", [])]
        if plan.get("shape") == "one proxy":
            self.chain = OneProxy(lab, self.join, options=options)
        else:
            self.chain = Chain(lab, PATHS, join=self.join, options=options)
        for path, settings in zip(self.chain.near if len(self.chain.near) > 1 else self.chain.far,
                                  plan.get("paths", [{}] * PATHS)):
            path.set(**{**PATH, **settings})
        self.listener = self.chain.listen()
        self.chain.ready()
        self.is_over = threading.Event()
        self.streams, self.sockets, self.resting = [], [], None
        self.updates = 0
        self.broken_at = self.failed_at = None  # the last kill, the first error of a stream

    def join(self, a, b, _rate):
        return self.emulator.link(a, b)

    def run(self):
        self.start_streams()
        tracks = [Job(self.run_track, track) for track in self.plan["tracks"]]
        short = Job(self.run_short_sessions) if self.is_exact() else None
        try:
            while any(track.is_alive() for track in tracks):
                self.check_memory()
                self.look_for_errors()
                time.sleep(MEMORY_LOOK_S)
            for track in tracks:
                track.result()
        finally:
            self.is_over.set()
        if short:
            short.result()
        self.end_streams()
        self.check_memory()
        self.check_logs()
        check_session(self.chain, self.listener)

    def look_for_errors(self):
        if self.failed_at is None and any(stream.error() for stream in self.streams):
            self.failed_at = time.monotonic()

    def check_reset_time(self, after_s):
        """The streams have waited for so long, and not much longer."""
        expect(self.failed_at is not None, "no stream ended while the events lasted")
        took_s = self.failed_at - self.broken_at
        expect(0.9 * after_s <= took_s <= after_s + RESET_SLACK_S,
               f"reset {took_s:.1f} s after the kill, expected {after_s}")

    def is_exact(self):
        return self.plan.get("end", "exact") == "exact"

    # ---- traffic ----
    def start_streams(self):
        self.resting = self.chain.session(self.listener)
        move_both_ways(*self.resting, SHORT_BYTES, 50)
        for number in range(FLOWS):
            client, server = self.chain.session(self.listener)
            for end in (client, server):
                end.settimeout(LIMIT_S)
            self.sockets += [client, server]
            self.streams += [Stream(client, server, 2 * number),
                             Stream(server, client, 2 * number + 1)]

    def run_short_sessions(self):
        seed = 100
        while not self.is_over.is_set():
            check_session(self.chain, self.listener, SHORT_BYTES, seed)
            seed += 2

    def end_streams(self):
        if self.is_exact():
            for stream in self.streams:
                stream.is_ending.set()
            for stream in self.streams:
                stream.end_exact()
            move_both_ways(*self.resting, SHORT_BYTES, 60)
            end_both(*self.resting)
        else:
            for up, down in zip(self.streams[::2], self.streams[1::2]):
                expect_both_reset(up, down)
            if "reset_after_s" in self.plan:
                self.check_reset_time(self.plan["reset_after_s"])
            # Here nothing was unread when a module was killed, so the kernel resets only what
            # it was told to.
            for who, end in zip(("resting client", "resting server"), self.resting):
                expect_reset(end, who)
        for end in [*self.sockets, *self.resting]:
            end.close()

    def progress(self):
        """The bytes that the slowest stream has moved."""
        if self.is_exact():
            for stream in self.streams:
                if stream.error():
                    raise stream.error()
        return min(stream.got for stream in self.streams)

    # ---- events ----
    def run_track(self, events):
        moved = self.progress()
        for event in events:
            event = dict(event)
            time.sleep(event.pop("after_s", 0))
            wanted = moved + event.pop("after_mb", 0) * MB
            wait_for(lambda wanted=wanted: self.progress() >= wanted,
                     f"every stream moves on before {event}", PROGRESS_LIMIT_S)
            action = event.pop("do", None)
            if action:
                ACTIONS[action](self, **event)
            moved = self.progress()

    # ---- what must hold ----
    def running(self):
        return [m for m in self.chain.modules() if m and not m.may_end and m.is_running()]

    def check_memory(self):
        """Sanitizers keep what was freed: with them only the module's own count is looked at."""
        for module in self.running():
            try:
                resident = 0 if is_sanitized(self.lab) else module.resident_bytes()
            except (OSError, StopIteration):
                continue  # it is just being killed
            expect(resident <= MEMORY_LIMIT_BYTES + RSS_SLACK_BYTES,
                   f"{module.name}: {resident} bytes resident, limit {MEMORY_LIMIT}")

    def check_logs(self):
        for module in self.chain.modules():
            if module.is_running():
                used = module.stats()["memory"]["used_bytes_max"]
                expect(used <= MEMORY_LIMIT_BYTES + HARD_SLACK_BYTES,
                       f"{module.name} used {used} bytes, limit {MEMORY_LIMIT}")
            errors = [line for line in module.log().splitlines() if " ERROR " in line]
            expect(not errors, f"{module.name}: {errors[:3]}")
        for who, pattern in self.plan.get("log", {}).items():
            getattr(self.chain, who).wait_log(pattern)


# ---- what can happen ----
def links_of(chaos, path, side):
    """`path` is a number, or "all"."""
    links = getattr(chaos.chain, side)
    return links if path == "all" else [links[path]]


def kill(chaos, proxy=None, who=None):
    chaos.broken_at = time.monotonic()
    for module in modules_of(chaos, proxy, who):
        module.kill()


def start(chaos, proxy=None, who=None):
    chain = chaos.chain
    if who:
        setattr(chain, who, getattr(chain, who).again())
        return
    for number, module in enumerate(chain.proxies):
        if proxy in (number, "all"):
            chain.proxies[number] = module.again()


def restart(chaos, **which):
    kill(chaos, **which)
    start(chaos, **which)


def modules_of(chaos, proxy, who):
    if who:
        return [getattr(chaos.chain, who)]
    return chaos.chain.proxies if proxy == "all" else [chaos.chain.proxies[proxy]]


def stop(chaos, proxy):
    for module in modules_of(chaos, proxy, None):
        module.signal(signal.SIGSTOP)


def resume(chaos, proxy):
    for module in modules_of(chaos, proxy, None):
        module.signal(signal.SIGCONT)


def down(chaos, path, side="near"):
    for link in links_of(chaos, path, side):
        link.down()


def up(chaos, path, side="near"):
    for link in links_of(chaos, path, side):
        link.up()


def device_down(chaos, path):
    """By the administrator of the ingress: its routes are gone, too."""
    for link in links_of(chaos, path, "near"):
        link.a.ip(f"link set {link.a_device} down")


def device_up(chaos, path):
    for link in links_of(chaos, path, "near"):
        link.a.ip(f"link set {link.a_device} up",
                  f"route replace 10.77.{link.number}.0/24 dev {link.a_device} "
                  f"congctl {CONGESTION_CONTROL}")


def blackhole(chaos, path, side="near", direction=BOTH):
    for link in links_of(chaos, path, side):
        link.blackhole(direction)


def heal(chaos, path, side="near"):
    for link in links_of(chaos, path, side):
        link.heal()


def flap(chaos, path, every_s, times, how="down"):
    """Gone for `every_s`, there for `every_s`."""
    away, back = {"down": (down, up), "blackhole": (blackhole, heal)}[how]
    for _ in range(times):
        away(chaos, path)
        time.sleep(every_s)
        back(chaos, path)
        time.sleep(every_s)


def settings(chaos, path, side="near", direction=BOTH, **changed):
    for link in links_of(chaos, path, side):
        link.set(direction, **changed)


def update(chaos, times=1):
    """Of three paths two are in use, others after each update; in the end all are."""
    for _ in range(times):
        chaos.updates += 1
        use_paths(chaos, [(chaos.updates + i) % PATHS for i in range(PATHS - 1)])
    use_paths(chaos, range(PATHS))


def use_paths(chaos, numbers):
    chain = chaos.chain
    for module, addresses in ((chain.ingress, chain.proxy_addresses),
                              (chain.egress, chain.egress_addresses)):
        module.must("update_topo_pre", addresses=[
            dict(zip(("host", "port", "ratio"), addresses[i])) for i in numbers])
    at_egress = Job(chain.egress.must, "update_topo")
    chain.ingress.must("update_topo")
    at_egress.result()


def await_ready(chaos):
    chaos.chain.ingress.wait_ready()


def await_carrying(chaos, path):
    """Its proxy passes on bytes of the streams again, up and down."""
    chaos.chain.proxies[path].wait_live()
    before = carried(chaos, path)
    wait_for(lambda: all(now >= was + CARRIED_BYTES
                         for was, now in zip(before, carried(chaos, path))),
             f"path {path} carries again, from {before}", PROGRESS_LIMIT_S)


def carried(chaos, path):
    hops = chaos.chain.proxies[path].must("paths")["paths"]
    return [sum(hop["sent_bytes"] for hop in hops if hop["side"] == side)
            for side in ("backend", "listen")]


ACTIONS = {f.__name__: f for f in (
    kill, start, restart, stop, resume, down, up, device_down, device_up, blackhole, heal, flap,
    update, await_ready, await_carrying)}
ACTIONS["set"] = settings


# ---- files ----
def run(lab, plan):
    Chaos(lab, plan).run()


def shifted(track, by):
    """The same, done to a neighbouring path."""
    return [{key: value + by if key in ("path", "proxy") and value != "all" else value
             for key, value in event.items()} for event in track]


def load():
    plans = {p.stem: json.loads(p.read_text()) for p in sorted(FOLDER.glob("*.json"))
             if p.stem != "pairs"}
    for one, other in json.loads((FOLDER / "pairs.json").read_text()):
        plans[f"{one}+{other}"] = {"tracks": [
            *plans[one]["tracks"], *(shifted(track, 1) for track in plans[other]["tracks"])]}
    return plans


SCENARIOS = [Scenario(name, run, (plan,), LIMIT_S, is_sampled=True)
             for name, plan in load().items()]

"""What an operator may ask for and not get, beside a stream that must not notice: each refusal has
a clear reason, and the topology is the same before and after.

                       +-- relay1 --+
    client -- ingress -+-- relay2 --+- egress -- server
                       .   relay3   .                       runs, but neither end knows of it
"""

import ipaddress
import signal
import threading
import time

from chain import COMM, CONTROLLER, SUBFLOW_PORT, Chain, reset_on_close
from lab import Failure, expect, expect_equal, wait_for
from peers import Job, check_session, end_both, move_both_ways
from scenario import Scenario

SCHEDULERS = ["adaptive", "weighted", "ecf", "blest", "minrtt", "redundant", "backup"]
TOPO_WAIT_S = 1
BLOCK = 200_000
PAUSE_S = 0.01  # between two blocks: the stream is to be there, not to fill the machine
KEPT = "side tunnel peer listener index ratio state why dials losses redials".split()


class Stream:
    """Bytes both ways through one session until `end`, compared block by block."""

    def __init__(self, chain, listener):
        self.client, self.server = chain.session(listener)
        self.is_over = threading.Event()
        self.blocks = 0
        self.job = Job(self.run)
        self.wait_moved()

    def run(self):
        while not self.is_over.wait(PAUSE_S):
            move_both_ways(self.client, self.server, BLOCK, 2 * self.blocks)
            self.blocks += 1

    def wait_moved(self):
        """Two more, of which one has begun from here on."""
        until = self.blocks + 2
        wait_for(lambda: self.blocks >= until or self.job.error, "the stream goes on")

    def end(self):
        self.wait_moved()
        self.is_over.set()
        self.job.result()
        end_both(self.client, self.server)


class Place:
    """The chain above with a stream through it."""

    def __init__(self, lab):
        chain = self.chain = Chain(lab, ratios=[1, 2, 3],
                                   options=("--topo-wait", f"{TOPO_WAIT_S}s"))
        self.listener = chain.listen()
        chain.start_proxies()
        self.near, self.far = chain.proxy_addresses, chain.egress_addresses
        chain.proxy_addresses, chain.egress_addresses = self.near[:2], self.far[:2]
        chain.start_egress()
        chain.start_ingress()
        chain.ready()
        self.ingress, self.egress = chain.ingress, chain.egress
        self.used = [self.ingress, *chain.proxies[:2], self.egress]
        self.prepared = []  # names of backends that `paths` lists beside those in use
        self.stream = Stream(chain, self.listener)
        wait_for(lambda: all(path["state"] == "up" for module in self.used
                             for path in module.must("paths")["paths"]), "all paths are up")
        self.before = self.picture()

    def picture(self):
        """All that a refused change must leave alone; a port tells a connection from a new one."""
        return {m.name: (m.stats()["scheduler"],
                         sorted([str(path.get(key)) for key in KEPT]
                                for path in m.must("paths")["paths"]
                                if path["peer"] not in self.prepared)) for m in self.used}

    def expect_untouched(self):
        try:
            wait_for(lambda: self.picture() == self.before, "the topology is as it was")
        except Failure as failure:
            changed = [(self.before[name], now) for name, now in self.picture().items()
                       if now != self.before[name]]
            raise Failure(f"{failure}: (before, now): {changed}") from failure

    def prepared_leg(self):
        """The egress's path through relay 3, or None."""
        host, port, _ = self.far[2]
        return next((p for p in self.egress.must("paths")["paths"]
                     if p["listener"] == f"{host}:{port}" and "sent_bytes" in p), None)

    def end(self):
        self.stream.end()
        check_session(self.chain, self.listener)


def listed(addresses):
    return [{"host": host, "port": port} for host, port, *_ in addresses]


def names(addresses):
    return sorted(f"{host}:{port}" for host, port, *_ in addresses)


def expect_refused(reply, code, *texts):
    expect_equal((reply["ok"], reply.get("code")), (False, code), f"reply {reply}")
    for text in texts:
        expect(text in reply["error"], f"{text!r} is not in {reply}")


def used_by(module):
    """The addresses that a module's paths which are up go by."""
    key = "peer" if module.program.endswith("ingress") else "listener"
    return sorted(p[key] for p in module.must("paths")["paths"] if p["state"] == "up")


def wait_used(module, addresses):
    wait_for(lambda: used_by(module) == names(addresses), f"{module.name} uses {addresses}")


def is_under_way(module, addresses):
    """Is a change at the workers? (One is prepared, so this asks for nothing that is done.)"""
    reply = module.ask("update_topo_pre", addresses=listed(addresses))
    expect_refused(reply, "busy")
    return "under way" in reply["error"]


# ---- nothing prepared, prepared twice ----

def prepared_twice(lab):
    """The second one is refused, whoever asks and however; the first stays what it was."""
    place = Place(lab)
    for module, addresses in ((place.ingress, place.near), (place.egress, place.far)):
        expect_refused(module.ask("update_topo"), "not_prepared", "update_topo_pre comes first")
        expect_refused(module.ask("abort_topo"), "not_prepared")
        module.must("update_topo_pre", addresses=listed(addresses[1:]))
        for again in (addresses[1:], addresses[:1], addresses):
            reply = module.ask("update_topo_pre", addresses=listed(again))
            expect_refused(reply, "busy", "prepared already", "abort_topo")
        host, port, _ = addresses[0]
        done = module.control("update_topo_pre", 1, host, port)
        expect_equal(done.returncode, 1, "exit code of the controller")
        expect("prepared already" in done.stderr, f"the controller says {done.stderr!r}")
        data = b"21" + ipaddress.IPv4Address(host).packed + port.to_bytes(2, "big")
        expect_equal(module.one_byte(data), b"7", "reply to the original's command")
    updating = Job(place.egress.must, "update_topo")
    place.ingress.must("update_topo")
    updating.result()
    wait_used(place.ingress, place.near[1:])
    wait_used(place.egress, place.far[1:])
    place.end()


def prepared_again(lab):
    """Dropped and prepared again before the proxy on the way has noticed: it still carries none."""
    place = Place(lab)
    proxy = place.chain.proxies[2]
    place.egress.must("update_topo_pre", addresses=listed(place.far))
    place.ingress.must("update_topo_pre", addresses=listed(place.near), wait=True)
    for _ in range(10):
        proxy.signal(signal.SIGSTOP)
        place.ingress.must("abort_topo")
        place.ingress.must("update_topo_pre", addresses=listed(place.near))
        proxy.signal(signal.SIGCONT)
        prepared = wait_for(place.prepared_leg, "the egress has the new path")
        expect_equal(prepared["state"], "prepared", "the new path's state")
    for module in (place.ingress, place.egress):
        module.must("abort_topo")
    place.expect_untouched()
    place.end()


# ---- backends that do not come up ----

def refusing(place):
    return place.chain.near[2].b_ip, SUBFLOW_PORT + 1


def silent(place):
    """Connections are taken by the kernel, and nobody ever says HELLO_ACK."""
    address = refusing(place)
    place.silent_listener = place.chain.relays[2].listen(*address)
    return address


def black_hole(place):
    """Packets go out, to a neighbour whose interface does not take them: no answer at all."""
    link = place.chain.near[2]
    host = str(ipaddress.IPv4Address(link.b_ip) + 70)
    place.chain.front.ip(f"neigh add {host} lladdr 02:00:00:00:00:01 dev {link.a_device}")
    return host, SUBFLOW_PORT


def not_up(lab, make, whys):
    """Beside a good new backend: the change fails as a whole, in time, and says what and why."""
    place = Place(lab)
    host, port = make(place)
    place.egress.must("update_topo_pre", addresses=listed(place.far))
    place.ingress.must("update_topo_pre", addresses=listed([*place.near[1:], (host, port)]))
    for _ in range(2):
        begin = time.monotonic()
        reply = place.ingress.ask("update_topo")
        expect_refused(reply, "timeout", f"{host}:{port}: ")
        expect(any(why in reply["error"] for why in whys), f"a reason of {whys}: {reply}")
        expect(place.near[2][0] + f":{SUBFLOW_PORT}:" not in reply["error"],
               f"the good backend is named: {reply}")
        took_s = time.monotonic() - begin
        expect(took_s < TOPO_WAIT_S + 3, f"update_topo took {took_s:.1f} s")
    for module in (place.ingress, place.egress):
        module.must("abort_topo")
        expect_refused(module.ask("update_topo"), "not_prepared")
    place.expect_untouched()
    place.end()


def not_to_be_bound(lab):
    """Listeners that the egress cannot have: refused at once, beside a good one."""
    place = Place(lab)
    host, port, _ = place.far[2]
    for bad in (("10.99.99.99", SUBFLOW_PORT), COMM):
        reply = place.egress.ask("update_topo_pre", addresses=listed([place.far[2], bad]))
        expect_refused(reply, "busy", f"{bad[0]}")
        expect_refused(place.egress.ask("update_topo"), "not_prepared")
        expect(not place.chain.back.is_open(host, port), "the good one was left open")
    place.expect_untouched()
    place.end()


# ---- controllers that go away, and that come together ----

def ask_and_leave(module, data, by_reset=False):
    peer = module.node.connect(*module.comm)
    peer.sendall(data)
    if by_reset:
        reset_on_close(peer)
    return peer.close


def controller_and_kill(module, _):
    process = module.node.start("controller", [module.node.lab.bin_dir / CONTROLLER, *module.comm,
                                               "update_topo"])
    return process.kill


def json_and_close(module, _):
    return ask_and_leave(module, b'{"op": "update_topo"}\n')


def json_and_reset(module, _):
    return ask_and_leave(module, b'{"op": "update_topo"}\n', by_reset=True)


def byte_and_close(module, _):
    return ask_and_leave(module, b"3")


def gone_in_vain(lab):
    """Nobody waits for the answer any more: the change fails all the same, and another may come."""
    place = Place(lab)
    bad = [(*refusing(place), 1)]
    place.ingress.must("update_topo_pre", addresses=listed(bad))
    place.prepared = names(bad)
    for ask in (controller_and_kill, json_and_close, json_and_reset, byte_and_close):
        leave = ask(place.ingress, bad)
        wait_for(lambda: is_under_way(place.ingress, bad), "update_topo waits")
        leave()
        wait_for(lambda: not is_under_way(place.ingress, bad), "update_topo has given up")
        place.expect_untouched()
    place.ingress.must("abort_topo")
    place.prepared = []
    host, port, _ = place.near[0]
    place.ingress.must("set_weight", host=host, port=port, ratio=1)
    place.expect_untouched()
    place.end()


def gone_and_done(lab):
    """The change is carried out whole, although nobody waits for the answer."""
    place = Place(lab)
    place.ingress.must("update_topo_pre", addresses=listed(place.near[1:]))
    leave = controller_and_kill(place.ingress, None)
    wait_for(lambda: is_under_way(place.ingress, place.near), "update_topo waits")
    leave()
    place.egress.must("update_topo_pre", addresses=listed(place.far[1:]))
    wait_used(place.ingress, place.near[1:])
    json_and_close(place.egress, None)()
    wait_used(place.egress, place.far[1:])
    place.end()


def busy(lab):
    """While one update_topo waits every other change is refused, and questions are answered."""
    place = Place(lab)
    bad = [(*refusing(place), 1)]
    place.ingress.must("update_topo_pre", addresses=listed(bad))
    waiting = Job(place.ingress.ask, "update_topo")
    wait_for(lambda: is_under_way(place.ingress, bad), "update_topo waits")
    known, new = listed(place.near[:1])[0], listed(place.near[2:])[0]
    for op, arguments in (("update_topo", {}), ("abort_topo", {}),
                          ("update_topo_pre", {"addresses": [new]}), ("remove_path", known),
                          ("set_weight", {**known, "ratio": 7}), ("add_path", new)):
        expect_refused(place.ingress.ask(op, **arguments), "busy", "under way")
    expect(place.ingress.must("health_check")["ready"], "health_check answers")
    expect(waiting.is_alive(), "update_topo still waits")
    expect_refused(waiting.result(), "timeout", names(bad)[0])
    place.ingress.must("abort_topo")
    place.expect_untouched()
    place.end()


def together(module, op, each):
    """All at the same time; how often it was done."""
    begin = threading.Barrier(len(each))

    def ask(arguments):
        begin.wait()
        return module.ask(op, **arguments)

    replies = [job.result() for job in [Job(ask, arguments) for arguments in each]]
    for reply in replies:
        expect(reply["ok"] or reply["code"] in ("busy", "not_prepared"), f"{op}: {reply}")
    return [arguments for arguments, reply in zip(each, replies) if reply["ok"]]


def race(lab):
    """Eight controllers prepare, each something else, and eight update: one of them each time, and
    what is in force is all of what that one asked for."""
    place = Place(lab)
    for module, addresses in ((place.egress, place.far), (place.ingress, place.near)):
        wishes = [addresses[i % 2:3] if i % 4 < 2 else addresses[::-1][:1 + i % 2]
                  for i in range(8)]
        done = together(module, "update_topo_pre", [{"addresses": listed(w)} for w in wishes])
        expect_equal(len(done), 1, f"update_topo_pre that were done at {module.name}")
        module.must("abort_topo")
        place.expect_untouched()
    place.egress.must("update_topo_pre", addresses=listed(place.far[1:]))
    place.ingress.must("update_topo_pre", addresses=listed(place.near[1:]))
    jobs = [Job(together, module, "update_topo", [{}] * 8)
            for module in (place.egress, place.ingress)]
    for job in jobs:
        expect_equal(len(job.result()), 1, "update_topo that were done")
    wait_used(place.ingress, place.near[1:])
    wait_used(place.egress, place.far[1:])
    place.end()


# ---- schedulers and weights that there are not ----

def unknown_values(lab):
    """At every kind of module, in JSON and by mpp_controller: what there is, or the range."""
    place = Place(lab)
    proxy = place.chain.proxies[0]
    for module, address in ((place.ingress, place.near[0]), (place.egress, place.far[0]),
                            (proxy, place.near[0])):
        refuse_schedulers(module, is_end=module is not proxy)
        refuse_weights(module, *address[:2])
    new = {"host": place.far[2][0], "port": SUBFLOW_PORT + 3}
    for module in (place.ingress, place.egress):
        for ratio in (0, 1_000_001):
            reply = module.ask("update_topo_pre", addresses=[{**new, "ratio": ratio}])
            expect_refused(reply, "bad_request", "ratio: expected", "1 to 1000000")
        expect_refused(module.ask("update_topo"), "not_prepared")
    place.expect_untouched()
    place.end()


def refuse_schedulers(module, is_end):
    for name in ("fastest", "", "Adaptive", "adaptive ", 7, None):
        reply = module.ask("set_scheduler", scheduler=name)
        expect_refused(reply, *(("bad_request", *SCHEDULERS) if is_end else ("unsupported",)))
    done = module.control("set_scheduler", "fastest")
    expect_equal(done.returncode, 1, f"{module.name}: exit code of the controller")
    expect(all(name in done.stderr for name in SCHEDULERS) or not is_end, done.stderr)


def refuse_weights(module, host, port):
    for ratio in (0, -1, 1_000_001, 2**40, 2**32 + 1, 1.5, "many", None):
        reply = module.ask("set_weight", host=host, port=port, ratio=ratio)
        expect_refused(reply, "bad_request", "ratio: expected a whole number from 1 to 1000000")
    for ratio in ("0", "-1", "1000001", "1.5", "many"):
        done = module.control("set_weight", host, port, ratio)
        expect_equal(done.returncode, 2, f"{module.name}: exit code of the controller")
        expect("from 1 to 1000000" in done.stderr, done.stderr)
    for ratio in (0, 1_000_001):
        reply = module.ask("add_path", host=host, port=port + 5, ratio=ratio, side="backend")
        expect_refused(reply, "bad_request", "from 1 to 1000000")


SCENARIOS = [
    Scenario("prepared_twice", prepared_twice),
    Scenario("prepared_again", prepared_again),
    Scenario("backend_refuses", not_up, (refusing, ["refused"])),
    Scenario("backend_is_silent", not_up, (silent, ["no answer", "stalled"])),
    Scenario("backend_is_a_black_hole", not_up, (black_hole, ["no answer", "timed out"])),
    Scenario("listener_not_to_be_bound", not_to_be_bound),
    Scenario("controller_gone_in_vain", gone_in_vain),
    Scenario("controller_gone_and_done", gone_and_done),
    Scenario("busy", busy),
    Scenario("race", race),
    Scenario("unknown_values", unknown_values),
]

"""An application over namespaces of this machine: its modules start, go over to other flows under a
running stream, and leave nothing behind, also when something fails or we are killed. As root; the
programs must be built."""

import contextlib
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "cli")]

from mpp.deployment import SILENT_LOOKS, Deployment  # noqa: E402
from mpp.journal import Busy, Journal, start_time  # noqa: E402
from mpp.model import App, Link, Network, Pop  # noqa: E402
from mpp.place.base import PlaceError  # noqa: E402
from mpp.place.emulated import Emulator  # noqa: E402
from mpp.place.netns import NETNS_FOLDER, NamespacePlace, inside  # noqa: E402
from mpp.plan import plan  # noqa: E402
from mpp.ports import Ports  # noqa: E402
from orchestrated import check_m4, m4, said_before_it_was_killed  # noqa: E402

BIN = Path(os.environ.get("MPP_BIN_DIR", ROOT / "bin"))
LIMIT_S = 60
PIECE = 1 << 16


def network_of(*left_out):
    """Two ways from 0 to 3, and a link across."""
    links = {"0-1": Link(0, 1, 80), "1-3": Link(1, 3, 80), "0-2": Link(0, 2, 40),
             "2-3": Link(2, 3, 40), "1-2": Link(1, 2, 40)}
    return Network([Pop(i) for i in range(4)],
                   [link for name, link in links.items() if name not in left_out],
                   [App("app", 0, 3, listen_port=6000, server_port=8000)])


def flows_of(network):
    return plan(network, list(network.apps.values())).flows["app"]


def pids_in(journal):
    return [entry["pid"] for entry in journal.entries("process")]


class Stream:
    """From a client at PoP 0 to a server at PoP 3, under way until `end`."""

    def __init__(self, place):
        self.place, self.is_over = place, threading.Event()
        self.sent, self.received = hashlib.sha256(), hashlib.sha256()
        with inside(place.namespace(3)):
            self.server = socket.create_server(("127.0.0.1", 8000))
        with inside(place.namespace(0)):
            self.client = socket.create_connection(("127.0.0.1", 6000), LIMIT_S)
        self.threads = [threading.Thread(target=work) for work in (self.send, self.receive)]
        self.has_begun = threading.Event()
        for thread in self.threads:
            thread.start()
        assert self.has_begun.wait(LIMIT_S)

    def send(self):
        chance = random.Random(1)
        while not self.is_over.is_set():
            piece = chance.randbytes(PIECE)
            self.sent.update(piece)
            self.client.sendall(piece)
        self.client.shutdown(socket.SHUT_WR)

    def receive(self):
        peer, _ = self.server.accept()
        peer.settimeout(LIMIT_S)
        while piece := peer.recv(PIECE):
            self.received.update(piece)
            self.has_begun.set()
        peer.close()

    def end(self):
        """True when all came."""
        self.is_over.set()
        for thread in self.threads:
            thread.join(LIMIT_S)
        self.client.close()
        self.server.close()
        return self.sent.digest() == self.received.digest()


def flood(sock):
    """Until it is closed by the other end."""
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(bytes(PIECE))


def receive_for(sock, seconds):
    """How many bytes."""
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        count += len(sock.recv(PIECE))
    return count


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Deploying(unittest.TestCase):
    kind = NamespacePlace

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.journal = Journal(Path(folder.name))
        self.addCleanup(self.journal.close)
        self.tag = f"t{os.getpid() % 100000:05}"
        self.place = self.kind(self.journal, BIN, self.tag)
        self.network = network_of()
        self.addCleanup(self.place.destroy)
        self.place.setup(self.network)
        self.ports = Ports()
        self.app = Deployment(self.place, self.network.apps["app"], self.ports)

    def namespaces(self):
        return [name for name in os.listdir(NETNS_FOLDER) if name.startswith(f"{self.tag}.")]

    def pids(self):
        return {name: process.popen.pid for name, process in self.app.running.items()}

    def test_a_stream_goes_on_over_other_flows(self):
        self.app.commit(flows_of(self.network))
        self.assertEqual(set(self.app.check().values()), {"ready"})
        stream = Stream(self.place)
        before = self.pids()
        for left_out in (["1-3"], [], ["0-2"], ["0-1", "1-2"], []):
            self.app.commit(flows_of(network_of(*left_out)))
            self.assertEqual(set(self.app.check().values()), {"ready"})
        after = self.pids()
        for end in ("app-ingress", "app-egress"):
            self.assertEqual(before[end], after[end])
        self.assertEqual(len(after), 4)
        self.assertTrue(stream.end())
        self.app.close()
        self.assertEqual({pop: len(used) for pop, used in self.ports.used.items()},
                         dict.fromkeys(range(4), 0))

    def test_only_weights(self):
        flows = flows_of(self.network)
        self.app.commit(flows)
        before = self.pids()
        half = [type(flow)(flow.app, flow.arcs, flow.rate_kbit / (1 + i))
                for i, flow in enumerate(flows)]
        self.assertIn("weights set", self.app.commit(half))
        self.assertEqual(self.pids(), before)
        self.assertEqual(set(self.app.check().values()), {"ready"})

    def test_what_fails_leaves_all_as_it_was(self):
        self.app.commit(flows_of(network_of("1-3")))
        stream, before = Stream(self.place), self.pids()
        used = {pop: set(ports) for pop, ports in self.ports.used.items()}
        used.setdefault(1, set())
        # The next port of PoP 1 is somebody's.
        with inside(self.place.namespace(1)):
            other = socket.create_server((self.place.address("0-1", 1), 20000))
        with self.assertRaisesRegex(PlaceError, "proxy-1 at PoP 1; it has ended.*\n.*20000"):
            self.app.commit(flows_of(network_of("0-2", "2-3")))
        self.assertEqual(self.pids(), before)
        self.assertEqual(self.ports.used, used)
        other.close()
        self.app.commit(flows_of(network_of("0-2", "2-3")))
        self.assertTrue(stream.end())

    def test_one_that_hangs_is_replaced(self):
        self.app.commit(flows_of(self.network))
        stream, hung = Stream(self.place), self.app.running["app-proxy-1"]
        os.kill(hung.popen.pid, signal.SIGSTOP)
        for _ in range(SILENT_LOOKS):
            self.assertNotIn("app-proxy-1", self.app.dead())
            self.app.hops()
        self.assertEqual(self.app.dead(), ["app-proxy-1"])
        self.app.commit(flows_of(self.network))
        self.assertEqual(set(self.app.check().values()), {"ready"})
        self.assertFalse(hung.is_alive())
        self.assertTrue(stream.end())

    def test_a_module_that_dies_says_why(self):
        with inside(self.place.namespace(0)):
            other = socket.create_server(("0.0.0.0", 6000))
        with self.assertRaisesRegex(PlaceError, "app-ingress at PoP 0.*\n.*6000.*in use"):
            self.app.commit(flows_of(self.network))
        self.assertEqual(self.app.running, {})
        other.close()
        self.app.commit(flows_of(self.network))

    def test_who_runs_it_is_alone(self):
        with self.assertRaisesRegex(Busy, str(os.getpid())):
            Journal(self.journal.folder)

    def ping_ms(self):
        """The round trip from PoP 0 to PoP 1."""
        said = self.place.run(0, ["ping", "-c", "3", "-i", "0.05", self.place.address("0-1", 1)])
        return float(re.search(r"rtt [^=]*= ([0-9.]+)/", said)[1])

    def test_a_link_changes(self):
        self.assertLess(self.ping_ms(), 5)
        self.place.set_link("0-1", Link(0, 1, 50, delay_ms=10))
        self.assertGreater(self.ping_ms(), 19)
        self.assertLess(self.ping_ms(), 30)
        self.place.set_link("0-1", Link(0, 1, 50, delay_ms=1))
        self.assertLess(self.ping_ms(), 10)
        for is_up in (False, True):
            self.place.set_link_up("0-1", is_up)
            seen = self.place.look()  # at once
            self.assertEqual([seen["0-1", pop].is_up for pop in (0, 1)], [is_up, is_up])
            if not is_up:
                with self.assertRaises(PlaceError):
                    self.ping_ms()
        self.assertLess(self.ping_ms(), 10)

    def test_a_rate_of_its_own(self):
        """Others may take all but that, and all when it ends."""
        rates = []
        self.place.set_link("0-1", Link(0, 1, 20))
        self.place.start(0, "udp", ["/usr/bin/python3", "-c", (ROOT / "cli/mpp/udp_sender.py").read_text(),
                                    self.place.address("0-1", 1), "30"])
        for shares_kbit in ({20001: 12000, 20002: 100}, {20001: 6000}, {}):
            self.place.set_shares("0-1", 0, shares_kbit)
            self.assertAlmostEqual(self.place.look()["0-1", 0].bandwidth_kbit, 20000, delta=200)
            with inside(self.place.namespace(1)):
                server = socket.create_server((self.place.address("0-1", 1), 20001))
            with inside(self.place.namespace(0)):
                client = socket.create_connection((self.place.address("0-1", 1), 20001), LIMIT_S)
            peer, _ = server.accept()
            sender = threading.Thread(target=flood, args=(client,))
            sender.start()
            receive_for(peer, 1)  # until TCP knows its rate
            rates.append(receive_for(peer, 2) * 8e-3 / 2)
            for sock in (peer, server, client):
                sock.close()
            sender.join(LIMIT_S)
        self.assertGreater(rates[0], 9000)
        self.assertGreater(rates[1], 4500)
        self.assertLess(rates[1], 8000)
        self.assertLess(rates[2], 4500)

    def test_a_shape_that_cannot_be_had_is_an_error(self):
        with self.assertRaisesRegex(PlaceError, "dev nothing"):
            self.place.sides["0-1"][0].device = "nothing"
            self.place.set_link("0-1", Link(0, 1, 5))

    def test_an_emulator_that_cannot_be_had_leaves_the_link(self):
        if self.place.has_netem:
            self.skipTest("this kernel has netem")
        folder = Path(self.journal.folder / "bin")
        folder.mkdir()
        self.place.bin_dir, program = folder, folder / "link_emulator"
        for said in ("there is no such program", "link_emulator: broken"):
            for _ in range(2):
                with self.assertRaisesRegex(PlaceError, said):
                    self.place.set_link("0-1", Link(0, 1, 50, delay_ms=10))
                self.assertLess(self.ping_ms(), 5)
            program.write_text("#!/bin/sh\necho broken >&2\nexit 1\n", encoding="ascii")
            program.chmod(0o755)
        self.place.bin_dir = BIN
        with mock.patch.object(Emulator, "join", side_effect=PlaceError("no")):
            with self.assertRaisesRegex(PlaceError, "^no$"):
                self.place.set_link("0-1", Link(0, 1, 50, delay_ms=10))
        self.assertLess(self.ping_ms(), 5)
        seen = self.place.look()
        self.assertEqual([seen["0-1", pop].bandwidth_kbit for pop in (0, 1)], [80000, 80000])
        self.assertEqual(self.place.network.links["0-1"], Link(0, 1, 80))
        self.place.set_link("0-1", Link(0, 1, 50, delay_ms=10))
        self.assertGreater(self.ping_ms(), 19)
        self.assertEqual(self.place.look()["0-1", 1].bandwidth_kbit, 50000)

    def logs(self):
        return {path.stem for path in self.journal.folder.glob("app*.log")}

    def test_what_has_ended_is_forgotten(self):
        self.app.commit(flows_of(self.network))
        for left_out in ("1-3", "1-2", "1-3"):
            self.app.commit(flows_of(network_of(left_out)))
            self.assertEqual(self.logs(), set(self.app.running))
        self.assertEqual(self.place.processes, set(self.app.running.values()))
        self.app.close()
        self.assertEqual((self.place.processes, self.logs()), (set(), set()))

    def test_the_log_of_one_that_was_killed_stays(self):
        self.app.commit(flows_of(self.network))
        killed = self.app.running["app-proxy-1"]
        killed.popen.kill()
        killed.popen.wait(LIMIT_S)
        self.place.destroy()
        self.assertEqual(self.logs(), {"app-proxy-1"})

    def test_an_orchestrator_from_setup_to_destroy(self):
        self.place.destroy()
        check_m4(self, self.place, m4())
        self.assertEqual(self.namespaces(), [])

    def assert_all_reach_all(self):
        addresses = [str(side.address.ip) for sides in self.place.sides.values() for side in sides]
        for pop in self.network.pops:
            for address in addresses:
                self.place.run(pop, ["ping", "-c", "1", "-W", "2", address])

    def test_routes(self):
        # 0 and 3 lack three links, 1 and 2 lack two; each link has two addresses.
        self.assertEqual(self.place.route(), 2 * (3 + 3 + 2 + 2))
        self.assert_all_reach_all()
        self.assertEqual(self.place.route(), 20)
        self.place.set_link_up("0-1", False)
        self.place.set_link("0-1", Link(0, 1, 80, delay_ms=1))
        with self.assertRaises(PlaceError):
            self.ping_ms()
        self.place.set_link_up("0-1", True)
        self.assert_all_reach_all()

    def test_it_leaves_nothing(self):
        self.place.set_link("0-1", Link(0, 1, 80, delay_ms=1))
        self.app.commit(flows_of(self.network))
        pids = pids_in(self.journal)
        devices = {side.device for sides in self.place.sides.values() for side in sides}
        self.assertEqual(len(self.namespaces()), 5)
        self.assertFalse(devices & set(os.listdir("/sys/class/net")))
        self.place.destroy()
        self.assertEqual(self.namespaces(), [])
        self.assertFalse(devices & set(os.listdir("/sys/class/net")))
        self.assertEqual([pid for pid in pids if start_time(pid)], [])
        self.assertEqual(pids_in(self.journal), [])


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Killed(unittest.TestCase):
    kind = NamespacePlace

    def test_the_next_start_clears_what_is_left(self):
        tag = f"k{os.getpid() % 100000:05}"
        with tempfile.TemporaryDirectory() as folder:
            pids = [int(word) for word in said_before_it_was_killed(
                "from deployment_test import *\n"
                f"from {self.kind.__module__} import {self.kind.__name__} as Kind\n"
                f"place = Kind(Journal(Path({folder!r})), BIN, {tag!r})\n"
                "place.setup(network_of())\n"
                "app = Deployment(place, place.network.apps['app'], Ports())\n"
                "app.commit(flows_of(place.network))\n"
                "print(*(p.popen.pid for p in app.running.values()), flush=True)")]
            self.assertEqual(len(pids), 4)
            self.assertTrue([n for n in os.listdir(NETNS_FOLDER) if n.startswith(f"{tag}.")])
            journal = Journal(Path(folder))
            self.assertLessEqual(set(pids), set(pids_in(journal)))
            pids = pids_in(journal)
            journal.clear()
            journal.close()
            self.assertFalse([n for n in os.listdir(NETNS_FOLDER) if n.startswith(f"{tag}.")])
            self.assertEqual([pid for pid in pids if start_time(pid)], [])


class Naming(unittest.TestCase):
    def test_addresses_that_are_chosen_are_not_those_that_are_given(self):
        place = NamespacePlace(None, None, "t")
        place.network = Network([Pop(i) for i in range(4)], [
            Link(0, 1, 10), Link(1, 2, 10), Link(2, 3, 10, a_address="10.200.0.1/24",
                                                 b_address="10.200.0.6/24")], [])
        place._name_sides()
        addresses = [place.address(name, pop) for name, link in place.network.links.items()
                     for pop in (link.a, link.b)]
        self.assertEqual(addresses, ["10.200.0.9", "10.200.0.10", "10.200.0.13", "10.200.0.14",
                                     "10.200.0.1", "10.200.0.6"])


@unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
class Ordinary(unittest.TestCase):
    where, pops_are = "netns", "namespaces"

    def test_a_user_who_is_not_root_is_told_so(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            for name in ("cli", "configs"):
                shutil.copytree(ROOT / name, Path(folder, name))
            done = subprocess.run(
                ["/usr/bin/python3", "cli/cli.py", "m5_config", "--state-dir", f"{folder}/state",
                 "--on", self.where, "--run", "setup; status"], cwd=folder, user="nobody",
                extra_groups=[], capture_output=True, text=True, check=False, timeout=LIMIT_S,
                stdin=subprocess.DEVNULL)
            left = list(Path(folder).glob("state/*/journal"))
        self.assertEqual((done.returncode, done.stdout, left), (1, "", []))
        self.assertRegex(done.stderr, f"^setup: PoPs that are {self.pops_are} need root, and this "
                                      "is user [0-9]+\n$")


if __name__ == "__main__":
    unittest.main()

"""An application over hosts that are reached by ssh. Each host here is a namespace with an sshd and a
home folder of its own; all of them are gone in the end. As root; the programs must be built.

                10.197.LINK.1  .2
    (here) ------ host 0 ------- host 1 ------ host 3       and the same by host 2
                 10.X.Y.2, .6, .10, .14: by chance for each run
"""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "cli"), str(HERE)]

from deployment_test import Stream, flows_of  # noqa: E402
from mpp.deployment import Deployment  # noqa: E402
from mpp.journal import Journal, start_time  # noqa: E402
from mpp.model import App, Link, Network, Pop  # noqa: E402
from mpp.place.base import PlaceError  # noqa: E402
from mpp.place.local import inside  # noqa: E402
from mpp.place.remote import Remote, RemoteChannel  # noqa: E402
from mpp.place.ssh import LOOK_LIMIT_S, PROGRAMS, SshPlace  # noqa: E402
from mpp.ports import Ports  # noqa: E402
from orchestrated import check_m4, m4, said_before_it_was_killed  # noqa: E402

BIN = Path(os.environ.get("MPP_BIN_DIR", ROOT / "bin"))
LIMIT_S = 30
PORT = 2222
ENDS = ((0, 1, 80), (1, 3, 80), (0, 2, 40), (2, 3, 40))
FAST = ["-o", "ServerAliveInterval=1", "-o", "ConnectTimeout=2"]
SSHD_FOLDER = Path("/run/sshd")  # of the package: sshd wants it to be there
CONFIG = """Port {port}
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv HOME={home}
"""


def wait_until(is_so, what):
    deadline = time.monotonic() + LIMIT_S
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"not after {LIMIT_S} s: {what}")
        time.sleep(0.01)


def sh(*words):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL).stdout


class Lab:
    """Four hosts. `options` are what ssh needs to reach them; `in_the_end` is a test's addCleanup."""

    def __init__(self, folder, in_the_end):
        self.folder, self.tag = folder, f"s{random.randrange(1 << 20):05x}"
        self.base = f"10.{random.randrange(64, 128)}.{random.randrange(256)}"
        self.in_the_end = in_the_end
        SSHD_FOLDER.mkdir(mode=0o755, exist_ok=True)
        for key in ("host_key", "user_key"):
            sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key)
        host_key = (folder / "host_key.pub").read_text(encoding="ascii")
        (folder / "known").write_text(f"* {host_key}", encoding="ascii")
        self.options = ["-F", "none", "-p", str(PORT), "-i", str(folder / "user_key"),
                        "-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={folder / 'known'}",
                        *FAST]
        self.daemons = [self._make_host(number) for number in range(4)]
        for number, (a, b, _) in enumerate(ENDS):
            self._join(number, a, b)

    def namespace(self, pop):
        return f"{self.tag}.{pop}"

    def address(self, pop):
        return f"{self.base}.{4 * pop + 2}"

    def host(self, pop):
        return f"root@{self.address(pop)}"

    def home(self, pop):
        return self.folder / f"home{pop}"

    def _make_host(self, pop):
        name, here, home = self.namespace(pop), f"{self.tag}.m{pop}", self.home(pop)
        home.mkdir()
        sh("ip", "netns", "add", name)
        self.in_the_end(self._remove, name)
        sh("ip", "-n", name, "link", "set", "lo", "up")
        sh("ip", "link", "add", here, "type", "veth", "peer", "name", "manage", "netns", name)
        sh("ip", "address", "add", f"{self.base}.{4 * pop + 1}/30", "dev", here)
        sh("ip", "-n", name, "address", "add", f"{self.address(pop)}/30", "dev", "manage")
        sh("ip", "-n", name, "link", "set", "manage", "up")
        sh("ip", "link", "set", here, "up")
        config = self.folder / f"sshd{pop}"
        config.write_text(CONFIG.format(port=PORT, address=self.address(pop), folder=self.folder,
                                        home=home), encoding="utf-8")
        daemon = subprocess.Popen(["ip", "netns", "exec", name, "/usr/sbin/sshd", "-D", "-e", "-f",
                                   str(config)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.in_the_end(self.end_daemon, daemon)
        wait_until(lambda: self._answers(pop), f"sshd of host {pop}")
        return daemon

    def _answers(self, pop):
        with contextlib.suppress(OSError), socket.create_connection((self.address(pop), PORT), 1):
            return True
        return False

    @staticmethod
    def end_daemon(daemon):
        daemon.terminate()
        daemon.wait()

    @staticmethod
    def _remove(name):
        for pid in sh("ip", "netns", "pids", name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        sh("ip", "netns", "delete", name)

    def _join(self, number, a, b):
        sh("ip", "-n", self.namespace(a), "link", "add", f"to-{b}", "type", "veth",
           "peer", "name", f"to-{a}", "netns", self.namespace(b))
        for pop, peer, last in ((a, b, 1), (b, a, 2)):
            sh("ip", "-n", self.namespace(pop), "address", "add", f"10.197.{number}.{last}/30",
               "dev", f"to-{peer}")
            sh("ip", "-n", self.namespace(pop), "link", "set", f"to-{peer}", "up")

    def network(self, *left_out, has_interfaces=False):
        links = {}
        for number, (a, b, rate) in enumerate(ENDS):
            devices = {"a_interface": f"to-{b}", "b_interface": f"to-{a}"} if has_interfaces else {}
            links[f"{a}-{b}"] = Link(a, b, rate, a_address=f"10.197.{number}.1/30",
                                     b_address=f"10.197.{number}.2/30", **devices)
        return Network([Pop(pop, host=self.host(pop)) for pop in range(4)],
                       [link for name, link in links.items() if name not in left_out],
                       [App("app", 0, 3, listen_port=6000, server_port=8000)])

    def programs(self):
        """Ours that run on any host."""
        pids = [pid for pop in range(4) for pid in sh("ip", "netns", "pids", self.namespace(pop)).split()]
        return {int(pid) for pid in pids if Path(f"/proc/{pid}/exe").exists()
                and Path(f"/proc/{pid}/exe").resolve().name in PROGRAMS}

    def runs(self):
        """What is on the hosts for a time."""
        return list(self.folder.glob("home*/.cache/mpp/*/run-*"))

    def logs(self):
        return {path.stem for folder in self.runs() for path in folder.glob("*.log")}

    def qdisc(self, pop, device):
        return sh("tc", "-n", self.namespace(pop), "qdisc", "show", "dev", device).split()[1]


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class OverSsh(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.lab = Lab(self.folder, self.addCleanup)
        self.journal = Journal(self.folder / "journal")
        self.addCleanup(self.journal.close)
        self.place = SshPlace(self.journal, BIN, self.lab.tag, self.lab.options)
        self.addCleanup(self.place.destroy)

    def assert_nothing_is_left(self):
        self.assertEqual(self.lab.programs(), set())
        self.assertEqual(self.lab.runs(), [])
        self.assertFalse(self.journal.path.exists())
        self.assertEqual([path.name for path in self.journal.folder.iterdir()], ["lock"])

    def test_a_stream_goes_on_over_other_flows(self):
        network = self.lab.network(has_interfaces=True)
        self.place.setup(network)
        app = Deployment(self.place, network.apps["app"], Ports())
        app.commit(flows_of(network))
        self.assertEqual(set(app.check().values()), {"ready"})
        stream, before = Stream(self.lab), self.place.look()
        ends = app.running["app-ingress"].identity, app.running["app-egress"].identity
        for left_out in (["1-3"], [], ["0-2"], []):
            app.commit(flows_of(self.lab.network(*left_out)))
            self.assertEqual(set(app.check().values()), {"ready"})
        self.assertEqual(ends, (app.running["app-ingress"].identity,
                                app.running["app-egress"].identity))
        self.assertTrue(stream.end())
        after = self.place.look()
        self.assertEqual(len(after), 8)
        self.assertGreater(after["0-1", 0].sent_bytes, before["0-1", 0].sent_bytes + (1 << 16))
        self.assertEqual(len(self.lab.programs()), 4)
        self.assertEqual(self.lab.logs(), set(app.running))
        app.close()
        self.assertEqual((self.lab.programs(), self.lab.logs()), (set(), set()))
        self.place.destroy()
        self.assert_nothing_is_left()

    def test_a_program_is_copied_when_it_differs(self):
        network = self.lab.network()
        self.place.setup(network)
        self.place.destroy()
        files = [self.lab.home(pop) / ".cache/mpp" / self.lab.tag / name
                 for pop in range(4) for name in PROGRAMS if (BIN / name).exists()]
        self.assertTrue(all(path.read_bytes() == (BIN / path.name).read_bytes() for path in files))
        inodes = [path.stat().st_ino for path in files]
        files[0].write_bytes(b"another")
        files[1].unlink()
        self.place.setup(network)
        self.assertEqual([path.stat().st_ino for path in files][2:], inodes[2:])
        self.assertTrue(all(path.read_bytes() == (BIN / path.name).read_bytes() for path in files))

    def test_a_program_that_cannot_start_there_is_said(self):
        bad = self.folder / "bin"
        bad.mkdir()
        (bad / PROGRAMS[0]).write_text("#!/bin/sh\necho no such library >&2\nexit 1\n",
                                       encoding="ascii")
        place = SshPlace(self.journal, bad, self.lab.tag, self.lab.options)
        with self.assertRaisesRegex(PlaceError, ": take mpp_adv_ingress: no such library"):
            place.setup(self.lab.network())
        self.assert_nothing_is_left()

    def test_a_host_that_is_unreachable(self):
        self.lab.end_daemon(self.lab.daemons[2])
        with self.assertRaisesRegex(PlaceError, f"^host {self.lab.host(2)}: [^\n]*refused$"):
            self.place.setup(self.lab.network(has_interfaces=True))
        self.assert_nothing_is_left()

    def test_a_host_that_is_lost_is_cleared_later(self):
        network = self.lab.network()
        self.place.setup(network)
        app = Deployment(self.place, network.apps["app"], Ports())
        app.commit(flows_of(network))
        self.wait_until_down(set())
        sh("ip", "link", "set", f"{self.lab.tag}.m2", "down")
        started = time.monotonic()
        self.wait_until_down({"0-2", "2-3"})
        self.assertEqual(app.dead(), [])
        self.assertLess(time.monotonic() - started, LOOK_LIMIT_S + 1)
        with self.assertRaisesRegex(PlaceError, f"^host {self.lab.host(2)}: ."):
            self.place.run(2, ["true"])
        self.assertEqual(app.dead(), [])
        with self.assertRaisesRegex(PlaceError, f"^left for the next start: host {self.lab.host(2)}"):
            self.place.destroy()
        self.assertEqual(len(self.lab.programs()), 1)
        sh("ip", "link", "set", f"{self.lab.tag}.m2", "up")
        self.assertEqual(self.journal.clear(), [])
        SshPlace(self.journal, BIN, self.lab.tag, self.lab.options).destroy()
        self.assertEqual(self.lab.programs(), set())
        self.assertEqual(self.lab.runs(), [])

    def wait_until_down(self, links):
        """By one side at least; all are told."""
        def is_so():
            seen = self.place.look()
            self.assertEqual(len(seen), 8)
            return {name for (name, _), side in seen.items() if not side.is_up} == links

        wait_until(is_so, f"{links} are down")

    def test_a_host_that_comes_back_is_seen_and_told_what_to_stop(self):
        self.place.setup(self.lab.network())
        process = self.place.start(2, "script", ["/bin/sleep", "600"])
        pid = int(process.identity[0])
        self.wait_until_down(set())
        sent_bytes = self.place.look()["0-2", 2].sent_bytes
        self.assertGreater(sent_bytes, 0)
        sh("ip", "link", "set", f"{self.lab.tag}.m2", "down")
        self.wait_until_down({"0-2", "2-3"})
        self.assertGreaterEqual(self.place.look()["0-2", 2].sent_bytes, sent_bytes)
        started = time.monotonic()
        process.stop()
        self.assertLess(time.monotonic() - started, 1)
        self.assertIsNotNone(start_time(pid))
        sh("ip", "link", "set", f"{self.lab.tag}.m2", "up")
        self.wait_until_down(set())
        self.assertIsNone(start_time(pid))

    def test_an_orchestrator_from_setup_to_destroy(self):
        check_m4(self, self.place, m4(
            hosts=[self.lab.host(pop) for pop in range(4)],
            delay_ms=lambda *_: 0,  # that the kernel here may not have
            a_interface=lambda _, link: f"to-{link.b}", b_interface=lambda _, link: f"to-{link.a}",
            a_address=lambda number, _: f"10.197.{number}.1/30",
            b_address=lambda number, _: f"10.197.{number}.2/30"))
        self.assert_nothing_is_left()
        self.assertEqual(self.lab.qdisc(0, "to-1"), "noqueue")

    def test_a_module_that_dies_says_why(self):
        network = self.lab.network()
        self.place.setup(network)
        app = Deployment(self.place, network.apps["app"], Ports())
        with inside(self.lab.namespace(0)), socket.create_server(("0.0.0.0", 6000)):
            with self.assertRaisesRegex(PlaceError, "app-ingress at PoP 0.*\n.*6000.*in use"):
                app.commit(flows_of(network))
        self.assertEqual(self.lab.programs(), set())
        app.commit(flows_of(network))

    def test_nobody_listens(self):
        self.place.setup(self.lab.network())
        with contextlib.closing(self.place.connect(0, 9, 5)) as channel:
            with self.assertRaisesRegex(ConnectionError, f"host {self.lab.host(0)}: ."):
                channel.ask(op="stats")

    def test_commands_say_what_failed(self):
        self.place.setup(self.lab.network())
        process = self.place.start(1, "script", ["/bin/sh", "-c", "echo \"it's\" $1", "-", "a  b"])
        wait_until(lambda: not process.is_alive(), "a script ends")
        self.assertEqual(process.log_lines(1), ["it's a b"])
        self.assertEqual(self.place.run(1, ["echo", "it's", "$HOME", "a  b"]), "it's $HOME a  b\n")
        with self.assertRaisesRegex(PlaceError, f"^host {self.lab.host(1)}: ls /none: .*No such file"):
            self.place.run(1, ["ls", "/none"])
        with self.assertRaisesRegex(PlaceError, f"^host {self.lab.host(1)}: sleep 9: not done after 1 s"):
            self.place.run(1, ["sleep", "9"], 1)
        with self.assertRaisesRegex(PlaceError, f"^host {self.lab.host(1)}: sh -c exit 255: exit code"):
            self.place.run(1, ["sh", "-c", "exit 255"])

    def test_shapes(self):
        self.place.setup(self.lab.network(has_interfaces=True))
        self.assertEqual(self.lab.qdisc(0, "to-1"), "tbf")
        self.place.set_link("0-1", Link(0, 1, 10))
        self.assertIn("10Mbit", self.place.run(0, ["tc", "qdisc", "show", "dev", "to-1"]))
        seen = self.place.look()
        self.assertEqual((len(seen), seen["0-1", 1].bandwidth_kbit, seen["1-3", 1].bandwidth_kbit),
                         (8, 10000, 80000))
        self.assertTrue(all(side.is_up for side in seen.values()))
        self.place.set_link_up("0-1", False)
        self.assertEqual({side for side, seen in self.place.look().items() if not seen.is_up},
                         {("0-1", 0), ("0-1", 1)})
        with self.assertRaises(PlaceError):
            self.place.run(0, ["ping", "-c", "1", "-W", "1", self.place.address("0-1", 1)])
        self.place.destroy()
        self.assertEqual(self.lab.qdisc(0, "to-1"), "noqueue")
        sh("ip", "netns", "exec", self.lab.namespace(0), "ping", "-c", "1", "-W", "5", "10.197.0.2")

    def test_a_shape_of_somebody_else_stays(self):
        sh("tc", "-n", self.lab.namespace(3), "qdisc", "add", "dev", "to-2", "root", "handle", "7:",
           "tbf", "rate", "1gbit", "burst", "100kb", "limit", "100kb")
        with self.assertRaisesRegex(PlaceError, "to-2 has a shape that is not ours: qdisc tbf 7:"):
            self.place.setup(self.lab.network(has_interfaces=True))
        self.assertEqual(self.lab.qdisc(3, "to-2"), "tbf")
        self.assertEqual(self.lab.qdisc(0, "to-1"), "noqueue")

    def test_delay_is_had_or_refused(self):
        self.place.setup(self.lab.network(has_interfaces=True))
        try:
            self.place.set_link("0-1", Link(0, 1, 20, delay_ms=10))
        except PlaceError as error:
            self.assertRegex(str(error), "netem|qdisc")
            self.assertEqual(self.place.network.links["0-1"].bandwidth_mbit, 80)
            self.assertIn("80Mbit", self.place.run(0, ["tc", "qdisc", "show", "dev", "to-1"]))
        else:
            said = self.place.run(0, ["ping", "-c", "1", self.place.address("0-1", 1)])
            self.assertGreater(float(re.search("time=([0-9.]+)", said)[1]), 19)

    def test_what_has_no_interface_is_not_cut(self):
        self.place.setup(self.lab.network())
        with self.assertRaisesRegex(PlaceError, "Link 0-1: it names no interface"):
            self.place.set_link_up("0-1", False)
        self.assertEqual([side.bandwidth_kbit for side in self.place.look().values()], [None] * 8)

    def test_the_way_of_ssh_is_not_cut(self):
        network = Network([Pop(0, host=self.lab.host(0)), Pop(1, host=self.lab.host(1))],
                          [Link(0, 1, 10, a_interface="manage", a_address=f"{self.lab.address(0)}/30",
                                b_address="10.197.0.2/30")], [])
        self.place.setup(network)
        with self.assertRaisesRegex(PlaceError, "manage cannot be cut: ssh comes by it"):
            self.place.set_link_up("0-1", False)

    def test_routes(self):
        self.place.setup(self.lab.network(has_interfaces=True))
        far = self.place.address("1-3", 3)
        with self.assertRaises(PlaceError):
            self.place.run(0, ["ping", "-c", "1", "-W", "1", far])
        for _ in range(2):
            self.assertEqual(self.place.route(), 16)
        for _ in range(2):
            self.place.run(0, ["ping", "-c", "1", "-W", "5", far])
            self.place.set_link_up("0-1", False)
            self.place.set_link_up("0-1", True)
        self.place.destroy()
        self.assertNotIn("via", sh("ip", "-n", self.lab.namespace(0), "route", "show"))
        self.assertEqual(sh("ip", "netns", "exec", self.lab.namespace(1), "cat",
                            "/proc/sys/net/ipv4/conf/all/forwarding").strip(), "0")

    def test_a_socket_in_a_long_folder(self):
        folder = self.folder / ("long" * 30)
        journal = Journal(folder)
        self.addCleanup(journal.close)
        place = SshPlace(journal, BIN, self.lab.tag, self.lab.options)
        place.setup(self.lab.network())
        control = Path(place.remotes[0].ssh[-1])
        self.assertTrue(control.exists())
        place.destroy()
        self.assertFalse(control.parent.exists())

    def test_what_a_network_has_to_say(self):
        link = Link(0, 1, 1, a_address="10.197.0.1/30")
        for pops, links, said in (
                ([Pop(0)], [], "PoP 0: host: not given"),
                ([Pop(0, host="a"), Pop(1, host="a")], [], "PoP 1: host: a is that of PoP 0 already"),
                ([Pop(0, host="a"), Pop(1, host="b")], [link], "Link 0-1: b_address: not given")):
            with self.assertRaisesRegex(PlaceError, said):
                self.place.setup(Network(pops, links, []))

    def test_the_next_start_clears_what_a_killed_one_left(self):
        masters = [int(word) for word in said_before_it_was_killed(
            "from ssh_test import *\n"
            f"lab = object.__new__(Lab)\nlab.base = {self.lab.base!r}\n"
            "network = lab.network(has_interfaces=True)\n"
            f"place = SshPlace(Journal(Path({str(self.folder / 'killed')!r})), BIN, "
            f"{self.lab.tag!r}, {self.lab.options!r})\n"
            "place.setup(network)\n"
            "Deployment(place, network.apps['app'], Ports()).commit(flows_of(network))\n"
            "print(*(remote.master_pid() for remote in place.remotes.values()), flush=True)")]
        self.assertEqual((len(masters), len(self.lab.programs()), len(self.lab.runs())), (4, 4, 4))
        journal = Journal(self.folder / "killed")
        self.addCleanup(journal.close)
        self.assertEqual(journal.clear(), [])
        self.assertEqual((self.lab.programs(), self.lab.runs()), (set(), []))
        self.assertEqual([start_time(pid) for pid in masters], [None] * 4)
        self.assertEqual(self.lab.qdisc(0, "to-1"), "noqueue")


class Channels(unittest.TestCase):
    def test_one_that_is_closed_says_what_ssh_said(self):
        """Whether ssh has ended before or after the request was written."""
        remote = Remote("nowhere", Path("none"), "tag", [])
        for first in ("read -r line", ":"):
            remote.ssh = ["sh", "-c", f"{first}; echo no way there >&2"]
            with contextlib.closing(RemoteChannel(remote, 9, LIMIT_S)) as channel:
                with self.assertRaisesRegex(ConnectionError, "^host nowhere: no way there$"):
                    channel.ask(op="stats")


if __name__ == "__main__":
    unittest.main()

"""cli.py as users run it: what it says, how it ends, and that it leaves nothing behind. Networks need
root; the programs must be built."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "cli"))

from mpp.main import digest  # noqa: E402
from mpp.prompt import commands_of  # noqa: E402

BIN = Path(os.environ.get("MPP_BIN_DIR", ROOT / "bin"))
NAMESPACES = Path("/run/netns")
LIMIT_S = 60
needs_root = unittest.skipUnless(os.geteuid() == 0, "needs root")


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def words(self, *arguments, config="m5_config.py"):
        return [sys.executable, str(ROOT / "cli/cli.py"), str(config), "--state-dir", str(self.folder),
                "--bin-dir", str(BIN), *arguments]

    def run_cli(self, *arguments, config="m5_config.py", **more):
        done = subprocess.run(self.words(*arguments, config=config), capture_output=True, text=True,
                              check=False, timeout=LIMIT_S, stdin=subprocess.DEVNULL, **more)
        self.assertNotIn("Traceback", done.stderr)
        return done

    def namespaces(self, config="m5_config"):
        state = next(self.folder.glob(f"{config}-*"))
        return [n for n in (os.listdir(NAMESPACES) if NAMESPACES.exists() else [])
                if n.startswith(f"m{digest(state)}.")]

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


class Saying(Case):
    def test_configurations_are_found_and_checked(self):
        for config, where in (("m5_config.py", ROOT / "cli"), ("m5_config", Path("/")),
                              ("configs/m5_config.py", ROOT), (ROOT / "configs/m4_config.py", Path("/"))):
            done = self.run_cli("-n", config=config, cwd=where)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"[45] PoPs, \d links, \d applications")

    def test_a_configuration_that_is_wrong_is_one_line(self):
        for name, text, said in (
                ("syntax.py", "pops = [Pop(1),\nlinks = ]\n", "syntax.py:2: "),
                ("field.py", "pops = [Pop(1), Pop(2)]\nlinks = [\n Link(1, 2, -5)]\n",
                 "field.py:3: Link 1-2: bandwidth_mbit: -5"),
                ("unknown.py", "pops = [Pop(1)]\nlinks = [Link(1, 7, 5)]\napps = []\n", "no PoP 7"),
                ("none.py", "pops = [Pop(1)]\n", "no links; expected")):
            done = self.run_cli("-n", config=self.write(name, text))
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)
        done = self.run_cli(config="nowhere.py")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no configuration 'nowhere.py': looked for nowhere.py", done.stderr)

    def test_plans_and_mistakes_need_no_network(self):
        done = self.run_cli("--run", "plan; plan all")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("app34: 200 Mbit/s", done.stdout)
        self.assertIn("together 450 Mbit/s, the most there can be", done.stdout)
        for script, said in (("dance", "dance: no such command"), ("change", "usage: change LINK"),
                             ("commit", "setup comes first"), ("plan app99", "no application app99"),
                             ("autopilot maybe", "usage: autopilot on|off"), ("check", "no application"),
                             ("wait soon", "'soon', expected a number"), ("help 'me", "No closing"),
                             ("plot x.svg", "plot: "), ("udp 0-3 -1", "expected a number")):
            done = self.run_cli("--run", f"{script}; help")
            self.assertEqual(done.returncode, 1, script)
            self.assertIn(said, done.stderr)
            self.assertEqual(done.stdout, "")  # nothing after what failed

    def test_what_does_not_fit(self):
        config = self.write("tight.py", """
pops = [Pop(0), Pop(1)]
links = [Link(0, 1, 10)]
apps = [App("greedy", 0, 1, listen_port=1, server_port=2, rate_mbit_min=20)]
""")
        done = self.run_cli("--run", "plan", config=config)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no plan: greedy (20 Mbit/s)", done.stderr)
        self.assertIn("the cut is 0->1 (10 Mbit/s)", done.stderr)

    def test_odd_configurations(self):
        for name, text, said in (
                ("twins.py", "pops = [Pop(1), Pop('1')]\nlinks = []\napps = []\n", "2 PoPs have it"),
                ("list.py", "pops = [Pop(1), Pop(2)]\nlinks = [Link([1], 2, 5)]\napps = []\n", "no PoP [1]"),
                ("exit.py", "raise SystemExit(0)\n", "exit.py:1: SystemExit"),
                ("server.py", "apps = [App('a', 1, 2, 5, 6, server='here')]\n", "expected HOST:PORT")):
            done = self.run_cli("-n", config=self.write(name, text))
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
            self.assertIn(said, done.stderr)
        nothing = self.write("nothing.py", "pops = [Pop(1)]\nlinks = []\napps = []\n")
        done = self.run_cli("--run", "plan", config=nothing)
        self.assertEqual(done.returncode, 0, done.stderr)
        # A ring whose long way round has more hops than frames live.
        ring = self.write("ring.py", "pops = [Pop(i) for i in range(22)]\n"
                          "links = [Link(i, (i + 1) % 22, 100) for i in range(22)]\n"
                          "apps = [App('a', 0, 5, 6000, 8000)]\n")
        done = self.run_cli("--run", "plan", config=ring)
        self.assertIn("a: 100 Mbit/s", done.stdout)

    def test_words(self):
        self.assertEqual(commands_of("setup; commit a b;;wait 5 # later\n\nquit"),
                         [["setup"], ["commit", "a", "b"], ["wait", "5"], ["quit"]])
        self.assertEqual(commands_of("plot 'my plot.svg'"), [["plot", "my plot.svg"]])


def end_child(pid):
    """Its exit code; None when that has been told before."""
    with contextlib.suppress(ChildProcessError):
        deadline = time.monotonic() + LIMIT_S
        while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        return os.waitstatus_to_exitcode(ended[1])
    return None


@needs_root
class Running(Case):
    def test_m5(self):
        done = self.run_cli("--run", "setup; route; commit; check; change 0-3 bandwidth=30 delay=2; udp 0-3 5; "
                            "commit app01; status --json; close app01; reset; log; destroy; setup; destroy")
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout[done.stdout.index("\n{") + 1:done.stdout.index("\n}") + 2])
        apps = {app["name"]: app for app in said["apps"]}
        self.assertEqual(apps["app34"]["state"], "running")
        self.assertEqual({module["state"] for module in apps["app34"]["modules"]}, {"ready"})
        self.assertGreaterEqual(apps["app01"]["planned_mbit"], 50)
        link = next(link for link in said["links"] if link["name"] == "0-3")
        self.assertEqual((link["bandwidth_mbit"], link["delay_ms"]), (30, 2))
        self.assertEqual(self.namespaces(), [])

    def test_rates_of_their_own_also_over_links_with_delay(self):
        config = self.write("own.py", """
pops = [Pop(i) for i in range(3)]
links = [Link(0, 1, 20), Link(1, 2, 20, delay_ms=2), Link(0, 2, 10)]
apps = [App(f"app{i}", 0, 2, listen_port=6000 + i, server_port=8000, rate_mbit_min=5, has_own_rate=i < 2)
        for i in range(3)]
""")
        done = self.run_cli("--run", "setup; commit; check; change 0-1 bandwidth=15; change 0-1 delay=1; commit; "
                            "close app0; commit; change 1-2 delay=0; check; log 50", config=config)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("failed", done.stdout)
        self.assertNotIn("not divided", done.stdout)

    def test_every_pop_reaches_every_other(self):
        config = self.write("line.py", """
pops = [Pop(i) for i in range(4)]
links = [Link(i, i + 1, 100) for i in range(3)]
apps = []
""")
        code = ("import sys; sys.path.insert(0, sys.argv[1])\n"
                "from pathlib import Path\n"
                "from mpp.load import load\n"
                "from mpp.journal import Journal\n"
                "from mpp.place.netns import NamespacePlace\n"
                "journal = Journal(Path(sys.argv[3]) / 'state')\n"
                "place = NamespacePlace(journal, Path('/'), sys.argv[4])\n"
                "place.setup(load(Path(sys.argv[2])))\n"
                "try:\n"
                "    print(place.route())\n"
                "    place.run(0, ['ping', '-c', '1', '-W', '5', place.address('2-3', 3)])\n"
                "    place.run(3, ['ping', '-c', '1', '-W', '5', place.address('0-1', 0)])\n"
                "finally:\n"
                "    place.destroy()\n")
        subprocess.run([sys.executable, "-c", code, str(ROOT / "cli"), str(config), str(self.folder),
                        f"r{os.getpid() % 100000:05}"], check=True, timeout=LIMIT_S,
                       stdout=subprocess.DEVNULL)

    def test_addresses_that_cannot_meet(self):
        config = self.write("nets.py", "pops = [Pop(1), Pop(2)]\nlinks = [Link(1, 2, 5, "
                            "a_address='10.1.0.1/24', b_address='10.2.0.1/24')]\napps = []\n")
        done = self.run_cli("--run", "setup", config=config)
        self.assertEqual(done.returncode, 1)
        self.assertIn("10.1.0.1/24 and 10.2.0.1/24 are not in one network", done.stderr)
        self.assertEqual(self.namespaces("nets"), [])

    def test_a_program_that_is_missing(self):
        done = self.run_cli("--bin-dir", str(self.folder), "--run", "setup; commit")
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no such program", done.stderr)
        self.assertEqual(self.namespaces(), [])

    def start(self):
        """One that has committed, and waits."""
        process = subprocess.Popen(self.words("--run", "setup; commit; wait 600"), text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        while "modules started" not in process.stdout.readline():
            self.assertIsNone(process.poll())
        return process

    def test_signals_take_all_of_it_down(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 1)):
            process = self.start()
            self.assertEqual(len(self.namespaces()), 5)
            process.send_signal(number)
            self.assertEqual(process.wait(LIMIT_S), code)
            self.assertNotIn("Traceback", process.stderr.read())
            self.assertEqual(self.namespaces(), [])

    def test_what_a_killed_one_leaves_the_next_clears_and_only_one_runs(self):
        process = self.start()
        done = self.run_cli("--run", "status")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"process {process.pid} runs it already", done.stderr)
        process.kill()
        process.wait(LIMIT_S)
        self.assertEqual(len(self.namespaces()), 5)
        done = self.run_cli("--run", "setup; commit; check")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("left by an earlier run", done.stdout)
        self.assertEqual(self.namespaces(), [])

    def test_a_terminal_has_a_prompt(self):
        pid, fd = os.forkpty()
        if pid == 0:
            os.environ["XDG_STATE_HOME"], os.environ["TERM"] = str(self.folder), "vt100"
            os.execv(sys.executable, self.words())
        self.addCleanup(end_child, pid)
        said = b""

        def expect(text):
            nonlocal said
            deadline = time.monotonic() + LIMIT_S
            while text not in said:
                ready, _, _ = select.select([fd], [], [], max(deadline - time.monotonic(), 0))
                self.assertTrue(ready, f"no {text}: {said}")
                said += os.read(fd, 1000)
            said = said.partition(text)[2]

        expect(b"m5_config> ")
        os.write(fd, b"aut\tof\t\n")
        expect(b"setup comes first")
        expect(b"m5_config> ")
        os.write(fd, b"help quit; wait 600\n")
        expect(b"takes all of it down")
        os.write(fd, b"\x03")
        expect(b"m5_config> ")
        os.write(fd, b"\x1b[A\x1b[A\n")  # the line before the last again
        expect(b"setup comes first")
        os.write(fd, b"quit\n")
        with contextlib.suppress(OSError):  # the end of a terminal that nobody has any more
            while os.read(fd, 1000):
                pass
        os.close(fd)
        self.assertEqual(end_child(pid), 0)


if __name__ == "__main__":
    unittest.main()

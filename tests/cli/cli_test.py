"""cli.py as users run it: what it says, how it ends, and that it leaves nothing behind. Networks need
root; the programs must be built."""

import contextlib
import json
import os
import re
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
                              ("configs/m5_config.py", ROOT), ("configs/m5_config.py", Path("/")),
                              (ROOT / "configs/m4_config.py", Path("/")), ("random_config", ROOT)):
            done = self.run_cli("-n", config=config, cwd=where)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"\d+ PoPs, \d+ links, \d applications")

    def test_a_random_network_is_planned(self):
        done = self.run_cli("--run", "plan all", config="random_config.py",
                            env={**os.environ, "MPP_RANDOM": "30 80 7 2"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(re.findall(r"^app\d: [\d.]+ Mbit/s", done.stdout, re.MULTILINE)), 7)
        done = self.run_cli("-n", config="random_config.py", env={**os.environ, "MPP_RANDOM": "30"})
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)

    def test_help_and_version(self):
        done = subprocess.run(self.words()[:2] + ["--help"], capture_output=True, text=True, check=True)
        page = (ROOT / "man/mpp_cli.1").read_text().replace("\\", "")
        for option in re.findall(r"(?<![\w-])--?\w[\w-]*", done.stdout):
            self.assertIn(option, page)
        done = subprocess.run(self.words()[:2] + ["-V"], capture_output=True, text=True, check=True)
        version = re.search(r"^VERSION := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
        self.assertEqual(done.stdout, f"cli.py {version}\n")
        for words in ([], ["--clean", "m5_config"], ["m5_config", "--dance"]):
            done = subprocess.run(self.words()[:2] + words, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn("usage: cli.py", done.stderr)

    def test_every_command_is_in_the_manual(self):
        page = (ROOT / "man/mpp_cli.1").read_text()
        for line in self.run_cli("--run", "help").stdout.splitlines():
            self.assertRegex(page, rf"(?m)^\.B[RI]? .*\b{line.split()[0]}\b")

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
        done = self.run_cli("--run", "setup; route; commit; check; change 0-3 bandwidth=30 delay=2; "
                            "udp 0-3 5; commit app01; status --json; close app01; reset; log; destroy; "
                            "setup; destroy; exit; no")
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout[done.stdout.index("\n{") + 1:done.stdout.index("\n}") + 2])
        apps = {app["name"]: app for app in said["apps"]}
        self.assertEqual(apps["app34"]["state"], "running")
        self.assertEqual({module["state"] for module in apps["app34"]["modules"]}, {"ready"})
        self.assertGreaterEqual(apps["app01"]["planned_mbit"], 50)
        link = next(link for link in said["links"] if link["name"] == "0-3")
        self.assertEqual((link["bandwidth_mbit"], link["delay_ms"]), (30, 2))
        self.assertEqual([sender["is_running"] for sender in said["udp"]], [True, True])
        self.assertIn("the most there can be", done.stdout)
        self.assertEqual(self.namespaces(), [])

    def test_top_and_plot(self):
        picture = self.folder / "plot.svg"
        done = self.run_cli("--run", f"setup; commit all; wait 3.5; top; plot {picture}; log")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^app34 +3→4 +running")
        self.assertIn("app34 3-&gt;", picture.read_text())

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

    def start(self, config="m5_config.py"):
        """One that has committed, and waits."""
        process = subprocess.Popen(self.words("--run", "setup; commit; wait 600", config=config), text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        while "modules started" not in process.stdout.readline():
            self.assertIsNone(process.poll())
        return process

    def test_signals_take_all_of_it_down(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 1), (signal.SIGHUP, 1)):
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

    def test_what_is_left_of_a_configuration_that_is_gone(self):
        config = self.write("gone.py", (ROOT / "configs/m4_config.py").read_text())
        process = self.start(config)
        clean = [*self.words(config="--clean")]
        done = subprocess.run(clean, capture_output=True, text=True, check=True)
        self.assertIn(f"process {process.pid} runs it already; it is left alone", done.stdout)
        self.assertGreaterEqual(len(self.namespaces("gone")), 4)
        process.kill()
        process.wait(LIMIT_S)
        config.unlink()
        done = subprocess.run(clean, capture_output=True, text=True, check=True)
        self.assertIn("cleared namespace", done.stdout)
        self.assertEqual(self.namespaces("gone"), [])
        self.assertEqual(subprocess.run(clean, capture_output=True, check=True).stdout, b"")

    def terminal(self):
        """(its pid, how to say something there, how to wait for what it says)"""
        pid, fd = os.forkpty()
        if pid == 0:
            os.environ["XDG_STATE_HOME"], os.environ["TERM"] = str(self.folder), "vt100"
            os.execv(sys.executable, self.words())
        self.addCleanup(end_child, pid)
        self.addCleanup(os.close, fd)
        said = b""

        def expect(text):
            nonlocal said
            deadline = time.monotonic() + LIMIT_S
            while text not in said:
                ready, _, _ = select.select([fd], [], [], max(deadline - time.monotonic(), 0))
                self.assertTrue(ready, f"no {text}: {said}")
                said += os.read(fd, 1000)
            said = said.partition(text)[2]

        def end():
            """The exit code."""
            with contextlib.suppress(OSError):  # the end of a terminal that nobody has any more
                while os.read(fd, 1000):
                    pass
            return end_child(pid)

        expect(b"m5_config> ")
        return pid, lambda text: os.write(fd, text), expect, end

    def test_a_terminal_has_a_prompt(self):
        _, say, expect, end = self.terminal()
        say(b"aut\tof\t\n")
        expect(b"setup comes first")
        expect(b"m5_config> ")
        say(b"help quit; wait 600\n")
        expect(b"takes all of it down")
        say(b"\x03")
        expect(b"m5_config> ")
        say(b"\x1b[A\x1b[A\n")  # the line before the last again
        expect(b"setup comes first")
        expect(b"m5_config> ")
        say(b"chang\t0-3\tba\t20\n")  # no space behind the equals sign
        expect(b"setup comes first")
        say(b"exit\n")
        self.assertEqual(end(), 0)

    def test_a_signal_loses_no_history(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            pid, say, expect, end = self.terminal()
            say(f"plan  # {number.name}\n".encode())
            expect(b"together 200 Mbit/s")
            expect(b"m5_config> ")
            os.kill(pid, number)
            self.assertEqual(end(), 1)
            self.assertIn(f"plan  # {number.name}\n", (self.folder / "mpp/history").read_text())


if __name__ == "__main__":
    unittest.main()

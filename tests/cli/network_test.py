"""The autopilot over a real network, under a stream: what happens to links, PoPs and modules by itself, and
what `status --json` says of it then. As root; the programs must be built."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from deployment_test import BIN, Stream, network_of  # noqa: E402
from mpp.commands import perform  # noqa: E402
from mpp.events import Events  # noqa: E402
from mpp.journal import Journal  # noqa: E402
from mpp.orchestrator import Orchestrator  # noqa: E402
from mpp.place.base import PlaceError  # noqa: E402
from mpp.place.netns import NamespacePlace  # noqa: E402

LIMIT_S = 60


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Flying(unittest.TestCase):
    """Two ways from 0 to 3, over 1 with 80 Mbit/s and over 2 with 40, and a link between 1 and 2."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        journal = Journal(Path(folder.name))
        self.addCleanup(journal.close)
        self.place = NamespacePlace(journal, BIN, f"f{os.getpid() % 100000:05}")
        self.all = Orchestrator("flying", network_of(), self.place, "netns", Events())
        self.addCleanup(self.all.destroy)
        for words in ("setup", "commit", "autopilot on"):
            self.do(words)
        self.stream = Stream(self.place)

    def do(self, words):
        name, *words = words.split()
        return perform(self.all, name, words)

    def status(self):
        return json.loads(self.do("status --json"))

    def app(self):
        return self.status()["apps"][0]

    def wait_for(self, what, limit_s=LIMIT_S):
        """How long until `what()` of the application is so."""
        started = time.monotonic()
        while not what(app := self.app()):
            self.assertLess(time.monotonic() - started, limit_s, f"{app}\n{self.do('log 50')}")
            time.sleep(0.1)
        return time.monotonic() - started

    def uses(self, pop):
        """A question to an application."""
        return lambda app: any(pop in flow["pops"] for flow in app["flows"])

    def does_without(self, pop):
        return lambda app: app["flows"] and not self.uses(pop)(app)

    def is_ready(self, app):
        return {module["state"] for module in app["modules"]} == {"ready"}

    def pid(self, module):
        return self.all.apps["app"].running[module].popen.pid

    def set_device(self, pop, device, state):
        """Behind our back."""
        subprocess.run(["ip", "-n", self.place.namespace(pop), "link", "set", device, state], check=True)

    def test_a_link_goes_down_and_comes_back(self):
        self.assertTrue(self.uses(1)(self.app()))
        self.set_device(1, "to-3", "down")
        self.wait_for(lambda app: not any("1-3" in flow["links"] for flow in app["flows"]), 5)
        self.wait_for(self.is_ready)
        link = next(link for link in self.status()["links"] if link["name"] == "1-3")
        self.assertFalse(link["is_up"])
        # Flows change one after the other; the plan is the new one when all have.
        self.wait_for(lambda _: abs(self.status()["plan"]["rate_mbit"] - 40) < 0.05)
        self.set_device(1, "to-3", "up")
        self.wait_for(lambda app: any("1-3" in flow["links"] for flow in app["flows"]))
        self.wait_for(lambda _: "link 1-3 is back" in self.do("log 50"))
        self.assertTrue(self.stream.end())

    def test_a_pop_fails(self):
        os.kill(self.pid("app-proxy-1"), signal.SIGKILL)
        for peer in (0, 2, 3):
            self.set_device(1, f"to-{peer}", "down")
        self.wait_for(self.does_without(1), 5)
        self.wait_for(self.is_ready)
        self.assertTrue(self.stream.end())

    def test_a_module_dies_and_is_started_anew(self):
        for _ in range(2):
            name = next(name for name in self.all.apps["app"].running if name.endswith("proxy-1"))
            os.kill(self.pid(name), signal.SIGKILL)
            self.wait_for(lambda app, old=name: old not in {module["name"] for module in app["modules"]}
                          and self.is_ready(app))
            # What is done is told when it is done, and status does not wait for that.
            self.wait_for(lambda _, old=name: f"{old} has ended" in self.do("log 50"))
        self.assertTrue(self.uses(1)(self.app()))
        self.assertTrue(self.stream.end())

    def test_a_relay_where_nothing_starts_is_done_without(self):
        start = self.place.start

        def start_elsewhere(pop, *more):
            if pop == 1:
                raise PlaceError("PoP 1: there is no room")
            return start(pop, *more)

        self.place.start = start_elsewhere
        os.kill(self.pid("app-proxy-1"), signal.SIGKILL)
        self.wait_for(self.does_without(1))
        self.wait_for(self.is_ready)
        self.place.start = start
        self.wait_for(self.uses(1))
        self.wait_for(lambda _: "PoP 1 is tried again" in self.do("log 50"))
        self.assertTrue(self.stream.end())

    def test_flows_give_way_to_what_others_send(self):
        self.wait_for(lambda app: app["carried_mbit"] > 90)
        self.do("udp 0-1 60 from=0")
        self.wait_for(lambda app: app["planned_mbit"] < 85, 20)
        self.wait_for(lambda app: 0 < app["carried_mbit"] < 85)
        self.do("udp 0-1 0")
        self.wait_for(lambda app: app["planned_mbit"] > 119)
        self.assertTrue(self.stream.end())


if __name__ == "__main__":
    unittest.main()

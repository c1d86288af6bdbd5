"""What the orchestrator does with requests, looks and failures, over a place that is made up: nothing
runs, and nobody needs root."""

import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "cli"))

from mpp import orchestrator as orchestrator_module  # noqa: E402
from mpp.autopilot import Autopilot, Look  # noqa: E402
from mpp.commands import CommandError, perform  # noqa: E402
from mpp.deployment import NotStarted  # noqa: E402
from mpp.events import FILE_BYTES_MAX, Events  # noqa: E402
from mpp.history import Counters  # noqa: E402
from mpp.model import App, Link, Network, Pop  # noqa: E402
from mpp.orchestrator import Orchestrator  # noqa: E402
from mpp.place.base import PlaceError, SideSeen  # noqa: E402
from mpp.prompt import Prompt  # noqa: E402
from mpp.watch import Watch  # noqa: E402

LIMIT_S = 20


def network():
    """Two ways from 0 to 3, and two applications."""
    return Network([Pop(i) for i in range(4)],
                   [Link(0, 1, 80), Link(1, 3, 80), Link(0, 2, 40), Link(2, 3, 40)],
                   [App("one", 0, 3, 6000, 8000), App("two", 3, 0, 6001, 8001)])


class Process:
    def __init__(self, name, pop, lines, is_running):
        self.name, self.pop, self.lines, self.is_running = name, pop, lines, is_running

    def is_alive(self):
        return self.is_running

    def log_lines(self, count):
        return self.lines[-count:]

    def stop(self):
        self.is_running = False


class MadeUpPlace:
    """`said` is what commands there say; a PlaceError is raised."""

    def __init__(self):
        self.cut, self.is_up, self.sender = set(), False, (["sending"], True)
        self.said, self.asked = {}, []

    def setup(self, made):
        self.network, self.is_up = made, True

    def destroy(self):
        self.is_up = False
        self.cut.clear()

    def set_link(self, name, link):
        self.network.links[name] = link

    def set_link_up(self, name, is_up):
        (self.cut.discard if is_up else self.cut.add)(name)

    def set_shares(self, name, pop, shares_kbit):
        pass

    def address(self, _link, pop):
        return f"10.0.0.{pop}"

    def start(self, pop, name, _argv):
        return Process(name, pop, *self.sender)

    def run(self, _pop, argv, limit_s=30):  # pylint: disable=unused-argument
        self.asked.append(argv[0])
        if isinstance(said := self.said.get(argv[0], ""), PlaceError):
            raise said
        return said

    def look(self):
        return {(name, pop): SideSeen(name not in self.cut, 0)
                for name, link in self.network.links.items() for pop in (link.a, link.b)}


class MadeUpApp:
    """Instead of a Deployment. `failure` is raised by the next commits."""

    def __init__(self, _place, app, _ports):
        self.app, self.layout, self.flows, self.ended = app, None, [], []
        self.failure, self.is_settled = FAILURES.get(app.name), True

    def commit(self, flows):
        if self.failure:
            raise self.failure
        self.flows = flows
        return "done"

    def hops(self):
        return {}

    def stats(self):
        return {}

    def check(self):
        return {}

    def close(self):
        pass


FAILURES = {}


class Orchestrating(unittest.TestCase):
    def setUp(self):
        self.place = MadeUpPlace()
        self.all = Orchestrator("made_up", network(), self.place, "nowhere", Events())
        self.addCleanup(self.all.destroy)
        kind = orchestrator_module.Deployment
        orchestrator_module.Deployment = MadeUpApp
        self.addCleanup(setattr, orchestrator_module, "Deployment", kind)
        self.addCleanup(FAILURES.clear)

    def said(self):
        return [str(event) for event in self.all.events.last(100)]

    def links_used(self):
        return {arc.link for flows in self.all.plan().flows.values() for flow in flows
                for arc in flow.arcs}

    # ---- requests ----

    def test_ctrl_c_does_not_leave_half_of_it(self):
        begun = threading.Event()

        def look():
            """It comes while the watcher is waited for."""
            begun.set()
            self.all.is_over.wait(LIMIT_S)
            os.kill(os.getpid(), signal.SIGINT)
            return {}

        self.all.setup()
        self.place.look = look
        self.assertTrue(begun.wait(LIMIT_S))
        with self.assertRaises(KeyboardInterrupt):
            self.all.destroy()
        self.assertFalse(self.all.is_set_up or self.place.is_up)
        self.assertEqual(self.all.destroy(), "nothing is set up")
        del self.place.look
        self.all.setup()

    def test_what_changed_is_as_configured_after_destroy(self):
        self.all.setup()
        self.all.change("0-1", {"bandwidth_mbit": 20.0, "delay_ms": 5.0}, False)
        self.assertEqual(self.all.network.links["0-1"].bandwidth_mbit, 20)
        self.all.destroy()
        self.all.setup()
        link = next(link for link in self.all.status()["links"] if link["name"] == "0-1")
        self.assertEqual((link["bandwidth_mbit"], link["delay_ms"], link["is_up"]), (80, 0, True))

    def test_one_application_fails_and_the_others_go_on(self):
        self.all.setup()
        for failure in (OSError("no room"), PlaceError("no room")):
            FAILURES["one"] = failure
            divided = []
            self.all._divide_links = lambda: divided.append(1)
            with self.assertRaisesRegex(PlaceError, "one: no room\ncommit two: 120 Mbit/s, done"):
                self.all.commit()
            self.assertEqual((list(self.all.apps), divided), (["two"], [1]))

    def test_status_waits_for_nobody(self):
        self.all.setup()
        begun, may_end = threading.Event(), threading.Event()
        self.addCleanup(may_end.set)
        self.all._divide_links = lambda: begun.set() or may_end.wait(LIMIT_S)
        committing = threading.Thread(target=self.all.commit)
        committing.start()
        self.assertTrue(begun.wait(LIMIT_S))
        started = time.monotonic()
        self.assertTrue(self.all.status()["is_set_up"])
        self.all.check()
        self.assertLess(time.monotonic() - started, 1)
        may_end.set()
        committing.join(LIMIT_S)

    def test_an_udp_sender_that_ends_says_why(self):
        self.all.setup()
        self.place.sender = ["a line", "there is no python3"], False
        with self.assertRaisesRegex(PlaceError, "udp-0-1-0 at PoP 0 does not send: there is no python3"):
            self.all.udp("0-1", 5)
        self.place.sender = ["sending"], True
        self.all.udp("0-1", 5, [1])
        self.assertIn({"link": "0-1", "from": 1, "mbit": 5, "is_running": True},
                      self.all.status()["udp"])
        self.all.udp("0-1", 0)
        self.assertEqual(self.all.status()["udp"], [])

    def test_plans_as_json_and_what_is_left_of_the_bound(self):
        made = json.loads(perform(self.all, "plan", ["--json"]))
        self.assertEqual(made["rate_mbit"], 240)
        self.assertLess(made["gap"], 1e-5)
        self.assertEqual(made["apps"][0]["flows"][0], {"pops": [0, 1, 3], "links": ["0-1", "1-3"],
                                                       "rate_mbit": 80})
        self.assertIsNone(self.all.status()["plan"])
        self.all.setup()
        self.assertIn("together 240 Mbit/s, the most there can be", perform(self.all, "commit", []))
        self.assertEqual(self.all.status()["plan"]["bound_mbit"], 240)

    def test_no_way(self):
        self.all.setup()
        for name in ("0-1", "0-2"):
            self.all.change(name, {}, False)
        self.assertIn("one: 0 Mbit/s: no link leads there", perform(self.all, "plan", []))

    def test_completion(self):
        def words(before):
            return Prompt(self.all).completions(before)

        self.assertLessEqual({"setup", "exit"}, set(words("")))
        self.assertEqual(words("setup; change "), list(self.all.network.links))
        self.assertEqual(words("change 0-3 "), ["bandwidth=", "delay=", "loss=", "up", "down"])
        self.assertEqual(words("commit "), ["one", "two", "all"])
        self.assertEqual(words("plan "), ["one", "two", "all", "--json"])
        self.assertEqual(words("autopilot "), ["on", "off"])
        self.assertIn("plot", words("help "))
        self.assertEqual(words("udp 0-1 "), ["from="])
        self.assertEqual((words("dance "), words("plot ")), ([], []))

    def test_a_picture_of_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(CommandError, "nothing was carried yet"):
                perform(self.all, "plot", [f"{folder}/a.svg"])

    # ---- looks ----

    def watch(self):
        """Instead of the one that looks by itself."""
        self.all.is_over.set()
        self.all.watcher.join(LIMIT_S)
        self.all.is_over.clear()
        return Watch(self.all.network, self.place, self.all._tell)

    def test_a_look_during_a_change_says_nothing(self):
        """As that at a link whose interface is being made anew."""
        self.all.setup()
        self.all.commit()
        self.all.set_autopilot(True)
        seen, look = [], self.place.look

        def look_and_change():
            sides = {side: SideSeen(False, 0) for side in look()}
            if not seen:
                seen.append(sides)
                self.all.change("0-1", {"delay_ms": 5.0})
            return sides

        watch, self.place.look = self.watch(), look_and_change
        self.all._look(watch)
        self.assertEqual(self.all.autopilot.bad_links, set())
        self.all._look(watch)
        self.assertEqual(self.all.autopilot.bad_links, set(self.all.network.links))

    def test_without_ping_links_are_used_again_untried(self):
        self.all.setup()
        watch = self.watch()
        self.place.said = {"ping": PlaceError("exec of ping failed"), "sh": "/usr/bin/ping\n"}
        self.assertEqual(watch.look([], {"0-1"})[0].stuck, {"0-1"})
        self.place.said["sh"] = PlaceError("host 0 does not answer")
        watch = self.watch()
        self.assertEqual(watch.look([], {"0-1"})[0].stuck, {"0-1"})
        self.place.said["sh"] = "missing\n"
        for _ in range(3):
            self.assertEqual(watch.look([], {"0-1", "0-2"})[0].stuck, set())
        [said] = [line for line in self.said() if "ping" in line]
        self.assertIn("PoP 0 has no ping (apt-get install iputils-ping)", said)

    def test_paths_over_parallel_links_have_names_of_their_own(self):
        made = Network([Pop("a.b"), Pop("c"), Pop(0)],
                       [Link("a.b", "c", 1), Link("c", 0, 1), Link(0, "c", 1, is_one_way=True)], [])
        watch = Watch(made, self.place, print)
        self.assertEqual([watch._label(arc) for arc in made.arcs()],
                         ["a.b->c", "c->a.b", "c->0", "0->c over c-0", "0->c over 0->c"])

    def test_a_relay_where_nothing_starts_is_done_without(self):
        self.all.setup()
        FAILURES["one"] = NotStarted("no shell there", 1)
        with self.assertRaisesRegex(PlaceError, "no shell there"):
            self.all.commit()
        self.assertIn("0-1", self.links_used())  # nobody is there to take it back
        with self.all.lock:  # the watcher waits
            self.all.set_autopilot(True)
            with contextlib.suppress(PlaceError):
                self.all.commit()
            self.assertEqual(self.links_used(), {"0-2", "2-3"})
            FAILURES["one"] = NotStarted("no shell there", 0)  # its source: no way is without
            with contextlib.suppress(PlaceError):
                self.all.commit()
            self.assertEqual(self.links_used(), {"0-2", "2-3"})

    def test_what_was_due_ends_with_the_autopilot(self):
        self.all.setup()
        self.all.commit()
        self.all.set_autopilot(True)
        self.all.autopilot.retry.need(0, ["link 0-1 is down"], [])
        self.all.set_autopilot(False)
        self.all.set_autopilot(True)
        self.assertEqual(self.all.autopilot.retry.due, "")


class RelaysTest(unittest.TestCase):
    def test_it_is_tried_again_later_and_later(self):
        pilot, holds = Autopilot(network()), []
        now = 1000.0
        pilot.fail_pop(now, 1)
        while len(holds) < 7:
            self.assertEqual(pilot.bad_pops, {1})
            failed_at = now
            while not (reasons := pilot.look(now, Look())):
                now += 0.4
            self.assertIn("PoP 1 is tried again", reasons[0])
            self.assertEqual(pilot.bad_pops, set())
            holds.append(now - failed_at)
            pilot.fail_pop(now, 1)
        self.assertEqual(holds, sorted(holds))
        self.assertLess(holds[0], 2)
        self.assertLess(holds[-1], 62)


class Recording(unittest.TestCase):
    def test_the_file_of_events_is_bounded(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "events.log"
            events = Events(path)
            for i in range(300):
                events.add(f"{i} " + 20_000 * "x", "asked")
            sizes = {file.name: file.stat().st_size for file in Path(folder).iterdir()}
            self.assertEqual(set(sizes), {"events.log", "events.log.1"})
            self.assertLess(max(sizes.values()), FILE_BYTES_MAX + 30_000)
            self.assertIn(" 299 x", path.read_text().splitlines()[-1])
        events.add("the folder is gone", "asked")
        self.assertEqual(events.last(1)[0].what, "the folder is gone")

    def test_paths_are_in_the_status_of_their_application(self):
        place = MadeUpPlace()
        made = Orchestrator("made_up", network(), place, "nowhere", Events())
        for i in range(2):
            made.history.add(Counters(1000.0 + i, apps={"one": i * 1_000_000},
                                      paths={("one", "0->1"): i * 1_000_000, ("two", "3->1"): 0}))
        one = made.status()["apps"][0]
        self.assertEqual((one["carried_mbit"], one["paths"]),
                         (8, [{"name": "0->1", "carried_mbit": 8}]))
        self.assertEqual(made.samples()[0].apps, {"one": 8})


if __name__ == "__main__":
    unittest.main()

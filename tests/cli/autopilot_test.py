"""When a new plan is due, in virtual time."""

import sys
import unittest
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "cli"))

from mpp.autopilot import HOLD_FIRST_S, HOLD_MAX_S, REST_S, Autopilot, Look  # noqa: E402
from mpp.model import Link, Network, Pop  # noqa: E402
from mpp.retry import WAIT_MAX_S, WELL_S, Retry  # noqa: E402

LOOK_S = 0.4
MBIT = 1000


class Flying(unittest.TestCase):
    def setUp(self):
        self.network = Network([Pop(0), Pop(1), Pop(2)], [Link(0, 1, 100), Link(1, 2, 50)], [])
        self.pilot = Autopilot(self.network)
        self.now = 1000.0

    def see(self, **seen):
        self.now += LOOK_S
        return self.pilot.look(self.now, Look(**seen))

    def see_for(self, seconds, **seen):
        """(when after now, reasons) of the looks that gave some."""
        started, given = self.now, []
        while self.now < started + seconds:
            if reasons := self.see(**seen):
                given.append((self.now - started, reasons))
        return given

    def test_nothing_happens(self):
        self.assertEqual(self.see_for(60, others_kbit={("0-1", 0): 5 * MBIT}), [])

    def test_down_at_once_and_back_after_the_hold(self):
        self.assertEqual(self.see(down={"0-1"}), ["link 0-1 is down"])
        self.assertEqual(self.pilot.bad_links, {"0-1"})
        self.assertEqual(self.see_for(5, down={"0-1"}), [])
        [(after_s, reasons)] = self.see_for(60)
        self.assertIn("link 0-1 is back", reasons[0])
        self.assertLessEqual(after_s, 2)
        self.assertGreaterEqual(after_s, HOLD_FIRST_S)
        self.assertEqual(self.pilot.bad_links, set())

    def test_one_that_flaps_stays_out(self):
        plans, holds = 0, []
        for _ in range(200):  # 2 s bad, 2 s good, for 800 s
            plans += len(self.see_for(2, down={"0-1"})) + len(self.see_for(2))
            holds.append(self.pilot.links["0-1"].hold_s)
        self.assertLess(plans, 10)
        self.assertLessEqual(max(holds), HOLD_MAX_S)
        # And is used again in the end, with what was forgotten after that.
        self.assertEqual(len(self.see_for(2 * HOLD_MAX_S)), 1)
        self.see_for(200)
        self.see(down={"0-1"})
        self.assertEqual(self.pilot.links["0-1"].hold_s, HOLD_FIRST_S)

    def test_stuck_needs_two_looks(self):
        self.assertEqual(self.see(stuck={"1-2"}), [])
        self.assertEqual(self.see(), [])
        self.assertEqual(self.see(stuck={"1-2"}), [])
        self.assertEqual(self.see(stuck={"1-2"}), ["link 1-2 does not carry what is sent over it"])
        self.assertEqual(self.see_for(10, stuck={"1-2"}), [])
        self.assertEqual(len(self.see_for(3)), 1)

    def test_what_others_take(self):
        side = ("0-1", 0)
        [(after_s, reasons)] = self.see_for(10, others_kbit={side: 40 * MBIT})
        self.assertIn("link 0-1 has 60 Mbit/s for us from PoP 0, 100 before", reasons[0])
        self.assertLessEqual(after_s, 2)
        self.assertEqual(self.pilot.less_kbit, {side: 40 * MBIT})
        # A little more or less is nothing new, and what jumps is not believed.
        self.assertEqual(self.see_for(10, others_kbit={side: 45 * MBIT}), [])
        for mbit in (0, 90, 10, 80, 20, 70):
            self.assertEqual(self.see(others_kbit={side: mbit * MBIT}), [])
        [(after_s, _)] = self.see_for(10, others_kbit={side: 0})
        self.assertLessEqual(after_s, 2)
        self.assertEqual(self.pilot.less_kbit, {side: 0})

    def test_rates_rest_between_plans(self):
        times = [after_s for mbit in (20, 40, 60, 80)
                 for after_s in [self.now + at for at, _ in
                                 self.see_for(1, others_kbit={("0-1", 0): mbit * MBIT})]]
        self.assertTrue(times)
        for one, next_one in zip(times, times[1:]):
            self.assertGreaterEqual(next_one - one, REST_S)

    def test_what_the_kernel_says_and_what_we_are_told(self):
        seen = {"others_kbit": {("0-1", 0): 0}}
        [(_, reasons)] = self.see_for(5, bandwidth_kbit={("0-1", 0): 30 * MBIT}, **seen)
        self.assertIn("has 30 Mbit/s", reasons[0])
        self.network.links["0-1"] = replace(self.network.links["0-1"], bandwidth_mbit=30)
        reasons = self.see(bandwidth_kbit={("0-1", 0): 30 * MBIT}, **seen)
        self.assertEqual(reasons, ["link 0-1 has 30 Mbit/s now, 100 before"])


class Retrying(unittest.TestCase):
    def setUp(self):
        self.retry, self.now = Retry(), 1000.0

    def tries(self, seconds, is_good, news=(), ended=()):
        """When it was time, of looks over so many seconds. `is_good`, `ended`: of a time."""
        until, times = self.now + seconds, []
        while self.now < until:
            if self.retry.need(self.now, news, ended(self.now) if callable(ended) else ended):
                times.append(self.now)
                self.retry.tried(self.now, is_good)
            self.now += LOOK_S
        return times

    def test_what_fails_for_days(self):
        self.retry.need(self.now, ["link 0-1 is down"], [])
        times = self.tries(5 * 86400, is_good=False)
        self.assertGreater(len(times), 2000)
        self.assertLessEqual(max(b - a for a, b in zip(times, times[1:])), WAIT_MAX_S + LOOK_S)
        self.assertLess(times[1] - times[0], 2)
        self.assertEqual(self.retry.due, "link 0-1 is down")

    def test_what_dies_after_each_good_start(self):
        times = self.tries(3600, is_good=True, ended=["proxy-1 has ended"])
        self.assertLess(len(times), 80)
        self.assertLess(times[1] - times[0], 2)
        self.assertEqual(self.retry.due, "proxy-1 has ended")

    def test_it_is_forgotten_when_it_was_well_for_a_while(self):
        self.tries(20, is_good=True, ended=["proxy-1 has ended"])
        self.assertGreater(self.retry.wait_s, WELL_S)
        self.assertEqual(len(self.tries(self.retry.wait_s + 1, is_good=True)), 1)
        self.assertEqual(self.tries(120, is_good=True), [])
        first, second = self.tries(2, is_good=True, ended=["proxy-1 has ended"])[:2]
        self.assertLess(second - first, 2)

    def test_news_is_tried_at_once_and_makes_nobody_wait(self):
        self.tries(60, is_good=False, ended=["proxy-1 has ended"])
        self.assertGreater(self.retry.wait_s, 10)
        self.assertTrue(self.retry.need(self.now, ["link 0-1 is down"], []))
        self.assertIn("link 0-1 is down", self.retry.due)
        calm = Retry()
        for i in range(50):
            self.assertTrue(calm.need(i * 3.0, ["link 0-1 is back"], []))
            calm.tried(i * 3.0, True)
        self.assertFalse(calm.need(147.1, [], []))
        self.assertTrue(calm.need(148, [], ["proxy-1 has ended"]))


if __name__ == "__main__":
    unittest.main()

"""A change whose end nobody has told: Ctrl-C, or an answer that is lost, when ingress and egress are going
over. The stream goes on, and the next commit finds out what is so. As root; the programs must be built."""

import json
import os
import signal
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import deployment_test  # noqa: E402
from deployment_test import LIMIT_S, Stream, flows_of, network_of  # noqa: E402
from mpp.place.base import PlaceError  # noqa: E402
from mpp.place.netns import NamespacePlace  # noqa: E402


def with_pops(flows):
    return sorted(flow.pops for flow in flows)


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Settling(unittest.TestCase):
    kind = NamespacePlace
    begin = deployment_test.Deploying.setUp

    def setUp(self):
        self.begin()
        self.first, self.second = flows_of(network_of("1-3")), flows_of(network_of("0-2", "2-3"))
        self.app.commit(self.first)
        self.stream = Stream(self.place)

    def when_asked(self, program, op, do):
        """`do(ask)` stands in for the next such request."""
        ask = self.app._ask

        def asked(module, wanted, *more, **arguments):
            if (module.program, wanted) != (program, op):
                return ask(module, wanted, *more, **arguments)
            self.app._ask = ask
            return do(lambda *limit: ask(module, wanted, *limit, **arguments))

        self.app._ask = asked

    def assert_good(self, flows):
        """These are in force, all of the modules are ready, and nothing else runs."""
        self.assertTrue(self.app.is_settled)
        self.assertEqual(with_pops(self.app.flows), with_pops(flows))
        self.assertEqual(set(self.app.check().values()), {"ready"})
        self.assertEqual(set(self.app.running), {module.name for module in self.app.layout.modules})

    def assert_goes_on(self):
        """Also over further changes."""
        for flows in (self.first, self.second):
            self.app.commit(flows)
            self.assert_good(flows)
        self.assertTrue(self.stream.end())
        self.app.close()
        self.assertEqual({pop: len(used) for pop, used in self.ports.used.items() if used}, {})

    def test_ctrl_c_waits_until_both_have_gone_over(self):
        def interrupted(ask):
            os.kill(os.getpid(), signal.SIGINT)
            return ask()

        self.when_asked("mpp_adv_ingress", "update_topo", interrupted)
        with self.assertRaises(KeyboardInterrupt):
            self.app.commit(self.second)
        self.assert_good(self.second)
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)
        self.assert_goes_on()

    def test_an_answer_that_is_lost(self):
        def lost(ask):
            ask()
            raise PlaceError("the answer is lost")

        self.when_asked("mpp_adv_ingress", "update_topo", lost)
        with self.assertRaisesRegex(PlaceError, "is lost"):
            self.app.commit(self.second)
        self.assertFalse(self.app.is_settled)
        self.app.commit(self.second)
        self.assert_good(self.second)
        self.assert_goes_on()

    def test_an_answer_that_does_not_come_in_time(self):
        self.when_asked("mpp_adv_ingress", "update_topo", lambda ask: ask(0.001))
        with self.assertRaises(PlaceError):
            self.app.commit(self.second)
        deadline = time.monotonic() + LIMIT_S
        while True:  # "busy" while it is at it
            try:
                self.app.commit(self.first)
                break
            except PlaceError:
                self.assertLess(time.monotonic(), deadline)
        self.assert_good(self.first)
        self.assert_goes_on()

    def test_a_request_that_never_came(self):
        def lost(_ask):
            raise PlaceError("the request is lost")

        self.when_asked("mpp_adv_ingress", "update_topo", lost)
        with self.assertRaisesRegex(PlaceError, "is lost"):
            self.app.commit(self.second)
        self.app.commit(self.first)
        self.assert_good(self.first)
        self.assert_goes_on()

    def test_what_the_ingress_refuses_is_rolled_back(self):
        def refuse(ask):
            for module in self.app.running:
                if module.startswith("app.2-"):
                    self.app.running[module].stop()
            return ask()

        self.when_asked("mpp_adv_ingress", "update_topo", refuse)
        with self.assertRaisesRegex(PlaceError, "update_topo"):
            self.app.commit(self.second)
        self.assert_good(self.first)
        self.assert_goes_on()

    def test_an_egress_that_does_not_answer(self):
        def lost(_ask):
            raise PlaceError("the request is lost")

        for _ in range(2):
            self.when_asked("mpp_adv_egress", "update_topo", lost)
            with self.assertRaisesRegex(PlaceError, "is lost"):
                self.app.commit(self.second)
            self.assertFalse(self.app.is_settled)
            self.assertEqual(with_pops(self.app.flows), with_pops(self.second))
        self.app.commit(self.second)
        self.assert_good(self.second)
        self.assert_goes_on()

    def test_what_is_no_json_is_an_error_of_that_application(self):
        class Channel:
            def ask(self, **_request):
                return json.loads("nonsense")

            def close(self):
                pass

        connect, self.place.connect = self.place.connect, lambda *_: Channel()
        with self.assertRaisesRegex(PlaceError, "app-ingress at PoP 0: reset: Expecting value"):
            self.app.reset()
        self.place.connect = connect
        self.assert_goes_on()


if __name__ == "__main__":
    unittest.main()

"""What tc is told for a link's figures and for shares of its rate. In the kernel's place is one of a
few lines, also with netem, which the one here may not have."""

import json
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "cli"))

from mpp.model import Link, Network, Pop  # noqa: E402
from mpp.place import classes, shape  # noqa: E402
from mpp.place.base import PlaceError  # noqa: E402
from mpp.place.netns import NamespacePlace  # noqa: E402

PARTS = {20001: 12000, 20002: 6000}  # kbit/s by port


class Kernel:
    """One interface, "eth", as tc changes and shows it. It refuses the kinds in `refused`."""

    def __init__(self, *refused):
        self.refused = set(refused)
        self.qdiscs = {}  # by parent: (kind, handle, what else was said)
        self.rates = {}  # bit/s, of classes

    def __call__(self, *words):
        as_json, words = words[0] == "-j", [word for word in words if word != "-j"]
        what, verb = words[:2]
        if verb == "show":
            return self.show_classes() if what == "class" else self.show_qdiscs(as_json)
        if what == "qdisc":
            self.change_qdisc(verb, words[4:])
        elif what == "class":
            self.change_class(verb, words)
        return ""

    def change_qdisc(self, verb, words):
        parent, words = ("root", words[1:]) if words[0] == "root" else (words[1], words[2:])
        if verb == "delete":
            self.qdiscs, self.rates = {}, {}
            return
        handle, words = (words[1], words[2:]) if words[0] == "handle" else ("8001:", words)
        kind, *more = words
        if kind in self.refused:
            raise PlaceError(f"tc: Specified qdisc kind is unknown: {kind}")
        if parent == "root" and self.qdiscs.get("root", (kind,))[0] != kind:
            self.qdiscs, self.rates = {}, {}
        self.qdiscs[parent] = kind, handle, more

    def change_class(self, verb, words):
        name = words[words.index("classid") + 1]
        if verb == "delete":
            del self.rates[name]
            self.qdiscs.pop(name, None)
        else:
            self.rates[name] = int(words[words.index("rate") + 1].removesuffix("bit"))

    def show_classes(self):
        return "".join(f"class htb {name} prio 0 rate {rate}bit ceil {rate}bit\n"
                       for name, rate in self.rates.items())

    def show_qdiscs(self, as_json):
        if not as_json:
            return "".join(f"qdisc {kind} {handle} {parent} {' '.join(words)}\n"
                           for parent, (kind, handle, words) in self.qdiscs.items())
        return json.dumps([{"kind": kind, "handle": handle, "dev": "eth", "root": parent == "root",
                            "options": {"rate": int(words[1].removesuffix("bit")) / 8}
                            if kind == "tbf" else {}}
                           for parent, (kind, handle, words) in self.qdiscs.items()])

    def kbit(self, name):
        return self.rates[name] / 1000


class Shapes(unittest.TestCase):
    def test_classes_have_the_delay_and_loss_of_their_link(self):
        kernel, link = Kernel(), Link(0, 1, 20, delay_ms=10, loss_percent=1)
        shape.shape(kernel, "eth", link)
        self.assertEqual([kind for kind, _, _ in kernel.qdiscs.values()], ["tbf", "netem"])
        shape.shape(kernel, "eth", link, PARTS)
        leaves = [said for parent, said in kernel.qdiscs.items() if parent != "root"]
        self.assertEqual(len(leaves), 3)
        for kind, _, words in leaves:
            self.assertEqual((kind, words[-4:]), ("netem", ["delay", "10000us", "loss", "1%"]))
            # 50 ms in the queue and 10 on the wire are 100 packets.
            self.assertEqual(words[:2], ["limit", "100"])
        shape.shape(kernel, "eth", Link(0, 1, 20), PARTS)
        self.assertEqual({kind for kind, _, _ in kernel.qdiscs.values()}, {"htb", "bfifo"})
        shape.shape(kernel, "eth", link)
        self.assertEqual([kind for kind, _, _ in kernel.qdiscs.values()], ["tbf", "netem"])

    def test_a_delay_that_is_not_there_is_an_error(self):
        """Whether tc says so or not."""
        link = Link(0, 1, 20, delay_ms=10)
        for parts in ({}, PARTS):
            with self.assertRaisesRegex(PlaceError, "netem"):
                shape.shape(Kernel("netem"), "eth", link, parts)
            with mock.patch.object(shape, "_inner", return_value=["bfifo", "limit", "64kb"]):
                with self.assertRaisesRegex(PlaceError, "Link 0-1: no delay or loss on eth"):
                    shape.shape(Kernel(), "eth", link, parts)

    def test_shares_are_not_more_than_the_link(self):
        for rate_kbit, wanted, others, got in (
                (1000, (300,), 700, (300,)), (1000, (600, 600), 10, (495, 495)),
                (1000, (1000,), 10, (990,)), (1000, (3000, 100), 10, (990 * 30 / 31, 990 / 31))):
            parts = classes.parts(rate_kbit, dict(enumerate(wanted, 2)))
            for name, kbit in (("2:1", others), *zip(("2:2", "2:3"), got)):
                self.assertAlmostEqual(parts[name], kbit)
            self.assertAlmostEqual(sum(parts.values()), rate_kbit)
            self.assertEqual(len(parts), 1 + len(wanted))

    def test_a_link_that_becomes_less_has_less_to_share(self):
        kernel = Kernel()
        shape.shape(kernel, "eth", Link(0, 1, 20), PARTS)
        self.assertEqual(kernel.kbit("2:4e21"), 12000)
        shape.shape(kernel, "eth", Link(0, 1, 9), PARTS)
        self.assertEqual(kernel.kbit(classes.LINK), 9000)
        self.assertAlmostEqual(kernel.kbit("2:4e21"), 5940, places=2)
        self.assertAlmostEqual(sum(map(kernel.kbit, kernel.rates)), 2 * 9000, places=2)

    def test_rates_are_seen_whether_or_not_they_are_divided(self):
        kernel = Kernel()
        self.assertEqual(shape.rates_kbit(kernel), {})
        shape.shape(kernel, "eth", Link(0, 1, 20))
        self.assertEqual(shape.rates_kbit(kernel), {"eth": 20000})
        shape.shape(kernel, "eth", Link(0, 1, 20), PARTS)
        self.assertEqual(shape.rates_kbit(kernel), {"eth": 20000})
        kernel.rates[classes.LINK] = 5_000_000
        self.assertEqual(shape.rates_kbit(kernel), {"eth": 5000})


class Sides(unittest.TestCase):
    """Of a place whose every interface is such a kernel's."""

    def setUp(self):
        self.kernels = {}  # by namespace
        self.place = NamespacePlace(None, Path("/"), "t")
        self.place.network = Network([Pop(0), Pop(1)], [Link(0, 1, 20)], [])
        self.place._name_sides()
        patch = mock.patch("mpp.place.netns.call", self.call)
        patch.start()
        self.addCleanup(patch.stop)
        self.place.set_link("0-1", Link(0, 1, 20))

    def call(self, words, _lines=None):
        return self.kernels.setdefault(words[2], Kernel())(*words[3:])

    def root(self, namespace):
        return self.kernels[namespace].qdiscs["root"][0]

    def test_shares_that_cannot_be_had_leave_the_old_and_are_tried_again(self):
        self.kernels["t.0"].refused = {"htb"}
        for _ in range(2):
            with self.assertRaisesRegex(PlaceError, "htb"):
                self.place.set_shares("0-1", 0, PARTS)
            self.assertEqual(self.root("t.0"), "tbf")
        self.kernels["t.0"].refused = set()
        self.place.set_shares("0-1", 0, PARTS)
        self.assertEqual(self.root("t.0"), "htb")
        self.place.set_shares("0-1", 0, {})
        self.assertEqual(self.root("t.0"), "tbf")

    def test_a_link_that_cannot_change_stays(self):
        self.kernels["t.1"].refused = {"netem"}
        self.place.has_netem = True  # so it seemed
        with self.assertRaisesRegex(PlaceError, "netem"):
            self.place.set_link("0-1", Link(0, 1, 30, delay_ms=5))
        for kernel in self.kernels.values():
            self.assertEqual(shape.rates_kbit(kernel), {"eth": 20000})
        self.assertEqual(set(self.kernels["t.0"].qdiscs), {"root"})
        self.assertEqual(self.place.network.links["0-1"], Link(0, 1, 20))


if __name__ == "__main__":
    unittest.main()

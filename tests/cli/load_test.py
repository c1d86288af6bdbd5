"""What is wrong about a configuration comes as one line: the file, the line or the object, the field,
what was expected."""

import os
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "cli"))

from mpp.load import ConfigError, find, load  # noqa: E402

GOOD = """
pops = [Pop(0), Pop("west"), Pop(2)]
links = [Link(0, "west", 50, delay_ms=5), Link("west", 2, 33.333), Link(2, 0, 10, is_one_way=True)]
apps = [App("a", 0, 2, listen_port=6000, server_port=8000)]
"""

WRONG = [
    ("pops = [", ":1: "),
    ("pops = 1 / 0", ":1: ZeroDivisionError"),
    ("import nothing_of_that_name", ":1: ModuleNotFoundError"),
    ("links = []\napps = []", "no pops; expected pops = [Pop(...), ...]"),
    ("pops = 3\nlinks = []\napps = []", "pops: int, expected a list of Pop"),
    ("pops = [3]\nlinks = []\napps = []", "pops[0]: 3, expected a Pop"),
    ("pops = []\nlinks = []\napps = []", "pops: list: there is none"),
    ("\npops = [Pop(-1)]", ":2: Pop: id: -1, expected a number or a name"),
    ("pops = [Pop(0), Pop(0)]\nlinks = []\napps = []", "PoP 0: id: 2 PoPs have it"),
    ("pops = [Pop(0)]\nlinks = [Link(0, 0, 5)]", ":2: Link 0-0: b: the same PoP as a"),
    ("pops = [Pop(0)]\nlinks = [Link(0, 1, 5)]\napps = []",
     "Link 0-1: b: no PoP 1; there are 0"),
    ("Link(0, 1, 0)", "Link 0-1: bandwidth_mbit: 0, expected 0.001 to 1e+06 Mbit/s"),
    ("Link(0, 1, '50')", "Link 0-1: bandwidth_mbit: '50', expected"),
    ("Link(0, 1, float('nan'))", "Link 0-1: bandwidth_mbit: nan, expected"),
    ("Link(0, 1, 5, delay_ms=-1)", "Link 0-1: delay_ms: -1, expected 0 to 10000 ms"),
    ("Link(0, 1, 5, loss_percent=101)", "Link 0-1: loss_percent: 101, expected 0 to 100 percent"),
    ("Link(0, 1, 5, is_one_way='yes')", "Link 0->1: is_one_way: 'yes', expected True or False"),
    ("Link(0, 1, 5, a_interface='a name that is too long')", "Link 0-1: a_interface: "),
    ("Link(0, 1, 5, a_address='10.0.0.300/24')", "Link 0-1: a_address: '10.0.0.300/24', expected"),
    ("pops = [Pop(0), Pop(1)]\napps = []\n"
     "links = [Link(0, 1, 5, a_address='10.0.0.1/24', b_address='10.0.0.1/24')]",
     "Link 0-1, b_address: address: 10.0.0.1 is that of Link 0-1, a_address already"),
    ("App('a b', 0, 1, 1, 1)", "App: name: 'a b', expected letters"),
    ("App('a', 0, 1, 0, 1)", "App a: listen_port: 0, expected a port, 1 to 65535"),
    ("App('a', 0, 1, 1, 1, rate_mbit_min=5, rate_mbit_max=4)", "App a: rate_mbit_min: 5, more than"),
    ("Scheduler('fastest')", "Scheduler: name: 'fastest', expected one of adaptive, weighted"),
    ("pops = [Pop(0), Pop(1)]\nlinks = []\n"
     "apps = [App('a', 0, 1, 6000, 1), App('b', 0, 1, 6000, 1)]",
     "App b: listen_port: (0, 6000) is that of App a already"),
]


class Loading(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name) / "some_config.py"

    def load(self, text):
        self.path.write_text(text, encoding="utf-8")
        return load(self.path)

    def test_good(self):
        network = self.load(GOOD)
        self.assertEqual(list(network.links), ["0-west", "west-2", "2->0"])
        self.assertEqual([(str(arc), arc.rate_kbit) for arc in network.arcs()],
                         [("0->west", 50000), ("west->0", 50000), ("west->2", 33333),
                          ("2->west", 33333), ("2->0", 10000)])

    def test_parallel_links_have_names_of_their_own(self):
        network = self.load("pops = [Pop(0), Pop(1)]\nlinks = 3 * [Link(0, 1, 5)]\napps = []")
        self.assertEqual(list(network.links), ["0-1", "0-1.2", "0-1.3"])

    def test_wrong(self):
        for text, expected in WRONG:
            with self.subTest(text=text):
                with self.assertRaises(ConfigError) as caught:
                    self.load(text)
                said = str(caught.exception)
                self.assertIn(expected, said)
                self.assertTrue(said.startswith(str(self.path)), said)
                self.assertNotIn("\n", said)

    def test_not_text(self):
        self.path.write_bytes(b"\xff\xfe\x00")
        with self.assertRaisesRegex(ConfigError, "some_config.py: "):
            load(self.path)

    def test_the_examples_are_found_by_name(self):
        for name in ("m5_config.py", "m5_config", "m4_config", str(ROOT / "configs/m4_config")):
            self.assertTrue(load(find(name)).apps)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir("/")
        self.assertEqual(find("configs/m5_config.py"), ROOT / "configs/m5_config.py")

    def test_what_is_not_there(self):
        with self.assertRaisesRegex(ConfigError, "no configuration 'nowhere': looked for nowhere, "):
            find("nowhere")


if __name__ == "__main__":
    unittest.main()

"""What fits together in a configuration, beside what `load_test.py` has by its words."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "cli"))

from mpp.model import Link, ModelError, Network, Pop  # noqa: E402


class Addresses(unittest.TestCase):
    def check(self, addresses, a_address, said):
        pops = [Pop(number, address=address) for number, address in enumerate(addresses)]
        links = [Link(0, 1, 10, a_address=a_address)]
        if said is None:
            Network(pops, links, [])
            return
        with self.assertRaisesRegex(ModelError, said):
            Network(pops, links, [])

    def test_two_pops_have_not_the_same(self):
        self.check(["10.0.0.1/24", "10.0.0.1/16"], None,
                   "^PoP 1: address: 10.0.0.1 is that of PoP 0 already$")
        self.check(["10.0.0.1/24", "10.0.0.2/24", None], None, None)

    def test_one_on_a_link_is_its_pops(self):
        self.check([None, "10.0.0.1/24"], "10.0.0.1/24",
                   "^PoP 1: address: 10.0.0.1 is that of Link 0-1, a_address already$")
        self.check(["10.0.0.1/24", None], "10.0.0.1/24", None)


if __name__ == "__main__":
    unittest.main()

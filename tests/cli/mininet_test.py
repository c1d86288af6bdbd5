"""An application over hosts of Mininet: all that holds over namespaces holds there too."""

import os
import sys
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "cli")]

import deployment_test  # noqa: E402
from mpp.model import Link  # noqa: E402
from mpp.place import mininet  # noqa: E402
from mpp.place.base import PlaceError  # noqa: E402

needs_mininet = unittest.skipUnless(mininet.Mininet and os.geteuid() == 0, "needs mininet and root")


@needs_mininet
class DeployingOnMininet(deployment_test.Deploying):
    kind = mininet.MininetPlace

    def test_mininet_knows_hosts_and_links(self):
        self.assertEqual(len(self.place.net.hosts), 4)
        self.assertEqual(self.place.net[f"{self.tag}_0"], self.place.host(0))
        self.assertEqual(self.place.host(1).IP(), self.place.address("0-1", 1))
        self.assertEqual(len(self.place.net.linksBetween(self.place.host(0), self.place.host(1))), 1)
        self.place.route()
        for link in (self.network.links["0-1"], Link(0, 1, 50, delay_ms=1)):
            self.place.set_link("0-1", link)
            said = self.place.host(0).cmd("ping -c 1 -W 2", self.place.host(3).IP())
            self.assertIn(" 0% packet loss", said)

    def test_a_host_whose_shell_ended_is_still_there(self):
        self.place.host(1).terminate()
        self.assertLess(self.ping_ms(), 5)

    def test_the_machine_keeps_its_limits(self):
        self.place.destroy()
        with mock.patch.object(mininet.Mininet, "inited", False), \
                mock.patch("mininet.net.fixLimits") as fix_limits:
            self.place.setup(self.network)
        fix_limits.assert_not_called()


@needs_mininet
class KilledOnMininet(deployment_test.Killed):
    kind = mininet.MininetPlace


@needs_mininet
class OrdinaryWithMininet(deployment_test.Ordinary):
    where, pops_are = "mininet", "hosts of Mininet"


class Asking(unittest.TestCase):
    def test_it_is_not_there(self):
        for change in (mock.patch.object(mininet, "Mininet", None),
                       mock.patch.dict(os.environ, PATH="/nowhere")):
            with change, self.assertRaisesRegex(PlaceError, "^mininet is not installed: apt-get install "
                                                            "mininet; or use --on netns$"):
                mininet.MininetPlace(None, None, "tag")


if __name__ == "__main__":
    unittest.main()

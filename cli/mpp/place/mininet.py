"""PoPs as hosts of Mininet. Their namespaces get names as well, so that all else is as in `netns.py`:
links are made and shaped by us, as Mininet's own shapes may be missing without an error."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Optional

from ..journal import Journal
from ..model import Link, Network, PopId
from .base import PlaceError
from .netns import NamespacePlace

sys.path.append("/usr/lib/python3/dist-packages")  # where the package puts it, for other Pythons
try:
    from mininet.link import Link as MininetLink
    from mininet.net import Mininet
except ImportError:
    Mininet, MininetLink = None, object
finally:
    sys.path.pop()

PROGRAMS = ("mnexec", "ifconfig")  # without them Mininet ends us


class JoinedLink(MininetLink):
    """Tells Mininet of a link that is there, and goes with its hosts."""

    @classmethod
    def makeIntfPair(cls, *_args, **_kwargs):  # pylint: disable=arguments-differ,invalid-name
        pass

    def stop(self):
        pass


class MininetPlace(NamespacePlace):
    """`net` is the network as Mininet knows it, for its prompt and tests: `place.host(pop).cmd("ip route")`,
    `mininet.cli.CLI(place.net)`. It is None when nothing is set up."""

    pops_are = "hosts of Mininet"

    def __init__(self, journal: Journal, bin_dir: Path, tag: str):
        if Mininet is None or not all(map(shutil.which, PROGRAMS)):
            raise PlaceError("mininet is not installed: apt-get install mininet; or use --on netns")
        super().__init__(journal, bin_dir, tag)
        self.net: Optional[Mininet] = None

    def host(self, pop: PopId):
        return self.net[f"{self.tag}_{pop}"]

    def setup(self, network: Network) -> None:
        self._need_root()
        Mininet.inited = True  # or it would raise limits of the whole machine, for good
        self.net = Mininet(build=False)
        super().setup(network)

    def _make_pop(self, pop: PopId) -> None:
        """A host is a shell. It ends with us, as we have its terminal; the journal is for one that
        does not."""
        host = self.net.addHost(f"{self.tag}_{pop}", ip=None)
        self.journal.add_process(host.pid)
        self._make_namespace(self.namespace(pop), host.pid)

    def _join(self, name: str, link: Link) -> None:
        super()._join(name, link)
        a, b = self.sides[name]
        known = self.net.addLink(self.host(a.pop), self.host(b.pop), cls=JoinedLink, addr1=None,
                                 addr2=None, intfName1=a.device, intfName2=b.device)
        for interface, side in ((known.intf1, a), (known.intf2, b)):
            interface.ip, interface.prefixLen = str(side.address.ip), side.address.network.prefixlen

    def destroy(self) -> None:
        if self.net is not None:
            self.net.stop()
            self.net = None
        super().destroy()

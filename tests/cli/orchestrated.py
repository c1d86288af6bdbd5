"""For tests of each place: the two-path network from setup to destroy by an orchestrator, and one
that is killed."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "cli"))

from mpp.events import Events  # noqa: E402
from mpp.load import load  # noqa: E402
from mpp.model import Network, Pop  # noqa: E402
from mpp.orchestrator import Orchestrator  # noqa: E402

M4 = ROOT / "configs/m4_config.py"


def m4(hosts=(), **of_link):
    """`hosts` are those of its PoPs; `of_link` makes fields of a link from its number and it."""
    network = load(M4)
    links = [replace(link, **{field: value(number, link) for field, value in of_link.items()})
             for number, link in enumerate(network.links.values())]
    pops = [Pop(pop, host=host) for pop, host in zip(network.pops, hosts)]
    return Network(pops or list(network.pops.values()), links, list(network.apps.values()))


def check_m4(case, place, network):
    """Also that a narrower link moves weights, and a cut one proxies."""
    orchestrator = Orchestrator("m4_config", network, place, "there", Events())

    def commit(mbit, flow_count):
        [said] = orchestrator.commit()
        case.assertEqual(set(orchestrator.check().values()), {"ready"})
        [app] = orchestrator.status()["apps"]
        case.assertAlmostEqual(app["planned_mbit"], mbit, places=2)
        case.assertEqual(len(app["flows"]), flow_count)
        return said

    try:
        orchestrator.setup()
        commit(150, 2)
        orchestrator.change("1-3", {"bandwidth_mbit": 30})
        case.assertIn("weights set", commit(80, 2))
        orchestrator.change("0-2", {}, is_up=False)
        case.assertIn("in place of the old", commit(30, 1))
        orchestrator.change("0-2", {}, is_up=True)
        commit(80, 2)
    finally:
        orchestrator.destroy()
    case.assertEqual(place.cut, set())


def said_before_it_was_killed(code):
    """The words that these lines of Python print, before a SIGKILL; they may import tests."""
    paths = f"import signal, sys; sys.path[:0] = [{str(ROOT / 'cli')!r}, {str(HERE)!r}]\n"
    with subprocess.Popen([sys.executable, "-c", f"{paths}{code}\nsignal.pause()\n"],
                          stdout=subprocess.PIPE) as victim:
        words = victim.stdout.readline().decode().split()
        victim.send_signal(signal.SIGKILL)
    return words

"""The live view fits its terminal whatever it shows, and the picture is good XML with all that it was
given."""

import io
import os
import pty
import re
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "cli"))

from mpp.events import Event, Events  # noqa: E402
from mpp.generate import random_network  # noqa: E402
from mpp.history import Sample  # noqa: E402
from mpp.load import load  # noqa: E402
from mpp.orchestrator import Orchestrator, flows_status  # noqa: E402
from mpp.plan import plan  # noqa: E402
from mpp.show import plot, top  # noqa: E402
from mpp.show.text import bar, number, plain  # noqa: E402

SIZES = [(1, 1), (20, 5), (33, 40), (40, 12), (60, 24), (79, 60), (80, 24), (80, 8), (100, 30), (120, 15),
         (132, 43), (200, 60)]
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
START = 1_700_000_000
HOSTILE = "<app> & \"co\" \x00\x1b[2J\n漢 ]]>"


def status_of(network, is_running=True):
    """What would be said of a network with all its applications at 90 % of their plan."""
    plans = plan(network, list(network.apps.values())) if is_running else None
    rates = plans.arc_rates_kbit() if plans else {}
    rates = {(arc.link, arc.tail): rate_kbit / 1000 for arc, rate_kbit in rates.items()}
    flows = plans.flows if plans else {}
    return {"config": "some_config", "on": "netns", "is_set_up": is_running, "autopilot": True,
            "plan": {"rate_mbit": 450, "bound_mbit": 450, "gap": 0.0} if is_running else None,
            "pops": [{"id": pop} for pop in network.pops], "udp": [],
            "links": [link_status(name, link, rates) for name, link in network.links.items()],
            "apps": [app_status(app, flows.get(app.name, []), is_running) for app in network.apps.values()],
            "events": [{"at": START + i, "what": f"event {i}", "why": "asked"} for i in range(9)]}


def link_status(name, link, rates):
    ways = [(link.a, link.b)] if link.is_one_way else [(link.a, link.b), (link.b, link.a)]
    return {"name": name, "a": link.a, "b": link.b, "bandwidth_mbit": link.bandwidth_mbit,
            "delay_ms": link.delay_ms, "loss_percent": 0, "is_one_way": link.is_one_way, "is_up": True,
            "directions": [{"from": tail, "to": head, "planned_mbit": rates.get((name, tail), 0),
                            "carried_mbit": rates.get((name, tail), 0) * 0.9} for tail, head in ways]}


def app_status(app, flows, is_running):
    planned = sum(flow.rate_kbit for flow in flows) / 1000
    return {"name": app.name, "source": app.source, "target": app.target,
            "listen_port": app.listen_port, "server_port": app.server_port, "planned_mbit": planned,
            "state": "running" if is_running else "stopped", "carried_mbit": planned * 0.9, "sessions": 2,
            "flows": flows_status(flows), "paths": [], "modules": []}


def network_of(text):
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(text)
        file.flush()
        return load(Path(file.name))


def m5():
    return status_of(load(ROOT / "configs/m5_config.py"))


def named():
    return status_of(network_of("""
pops = [Pop("frankfurt-am-main"), Pop("west"), Pop(2)]
links = [Link("frankfurt-am-main", "west", 50), Link("west", 2, 33.333), Link(2, "west", 5),
         Link(2, "frankfurt-am-main", 10, is_one_way=True)]
apps = [App("a-name-of-thirty-one-characters", 2, "west", listen_port=6000, server_port=8000)]
"""))


def large():
    return status_of(random_network(100, 300, 40))


def empty():
    return {"config": "none", "on": "netns", "is_set_up": False, "autopilot": False, "plan": None,
            "pops": [], "links": [], "apps": [], "udp": [], "events": []}


def keys_of(status):
    """Of all that is in it, by where it is."""
    found = {"": set(status)}
    for name in ("plan", "pops", "links", "apps", "udp", "events"):
        for entry in status[name] if isinstance(status[name], list) else [status[name]]:
            found.setdefault(name, set()).update(entry)
    found["directions"] = {key for link in status["links"] for way in link["directions"] for key in way}
    found["flows"] = {key for app in status["apps"] for flow in app["flows"] for key in flow}
    return found


class DrawingTest(unittest.TestCase):
    def test_what_is_drawn_here_is_what_the_orchestrator_says(self):
        network = load(ROOT / "configs/m5_config.py")
        real = Orchestrator("m5", network, unittest.mock.Mock(cut=set()), "netns", Events())
        real.planned = plan(network, list(network.apps.values()))
        real.events.add("nothing", "asked")
        ours, said = keys_of(m5()), keys_of(real.status())
        said["flows"] = set(flows_status(real.planned.flows["app34"])[0])
        self.assertEqual(ours, said)

    def test_fits_every_size(self):
        hostile = m5()
        hostile["events"] = [{"at": START, "what": HOSTILE * 9, "why": HOSTILE}]
        for status in (m5(), named(), large(), empty(), hostile):
            for width, height in SIZES:
                with self.subTest(pops=len(status["pops"]), width=width, height=height):
                    lines = top.drawing(status, width, height, clock="12:34:56")
                    self.assertLessEqual(len(lines), height)
                    self.assertLessEqual(max(map(len, lines)), width)
                    self.assertTrue(all(line.isprintable() for line in lines))

    def test_colours_change_nothing_else(self):
        for width, height in SIZES:
            coloured = top.drawing(m5(), width, height, has_colour=True)
            stripped = [COLOUR.sub("", line).rstrip() for line in coloured]
            self.assertEqual(stripped, [line.rstrip() for line in top.drawing(m5(), width, height)])

    def test_shows_all_links_and_applications_in_an_ordinary_terminal(self):
        status = m5()
        text = "\n".join(top.drawing(status, 80, 24))
        for link in status["links"]:
            self.assertRegex(text, rf"(?m)\b{link['name']} +{link['bandwidth_mbit']} ")
        for app in status["apps"]:
            self.assertRegex(text, rf"(?m)^{app['name']} +{app['source']}→{app['target']}")
        for pop in range(5):
            self.assertIn(f"│ {pop} │", text)
        self.assertNotIn("more", text)

    def test_a_direction_has_what_it_carries_against_plan_and_capacity(self):
        status = status_of(network_of("""
pops = [Pop(0), Pop(1)]
links = [Link(0, 1, 50)]
apps = [App("a", 0, 1, listen_port=6000, server_port=8000, rate_mbit_max=20)]
"""))
        text = "\n".join(top.drawing(status, 100, 30))
        self.assertRegex(text, r"0-1 +50 +18/20 +█+[▏▎▍▌▋▊▉]?·+ +0/0 +·+")
        self.assertRegex(text, r"a +0→1 +running +2 +18/20 ")
        self.assertIn("0-1: 20", text)
        self.assertRegex(text, "[→←]18/50")

    def test_marks_what_is_down(self):
        status = m5()
        status["links"][3]["is_up"] = False
        lines = top.drawing(status, 100, 30)
        self.assertTrue(any(re.search(r"2-1 +100 +DOWN", line) for line in lines))
        self.assertEqual("\n".join(lines).count("DOWN"), 2)  # also in the drawing

    def test_one_way_links_have_one_direction(self):
        line = next(line for line in top.drawing(named(), 120, 12) if line.startswith("2->"))
        self.assertEqual(line.count("/"), 1)

    def test_two_links_between_the_same_pops_have_one_line_and_a_sum(self):
        status = named()
        text = "\n".join(top.drawing(status, 120, 40))
        self.assertRegex(text, r"/38\.3\b")
        self.assertIn("│ frankfurt… │", text)

    def test_a_hundred_pops_are_a_table_that_is_cut(self):
        lines = top.drawing(large(), 80, 24)
        more = [int(match[1]) for line in lines if (match := re.fullmatch(r"\.\.\. and (\d+) more", line))]
        shown_links = sum(bool(re.match(r"\d+-\d+", line)) for line in lines)
        shown_apps = sum(line.startswith("app") for line in lines) - 1
        self.assertEqual(more, [300 - shown_links, 40 - shown_apps])
        self.assertNotIn("╭", "".join(lines))

    def test_a_cut_table_begins_with_what_is_down_and_full(self):
        status = large()
        status["links"][-1]["is_up"] = False
        lines = top.drawing(status, 80, 24)
        self.assertIn("DOWN", lines[2])
        self.assertNotRegex(lines[3], r" 0/0 .* 0/0 ")

    def test_nothing_is_set_up(self):
        self.assertIn("not set up", top.drawing(empty(), 80, 24)[0])
        stopped = status_of(load(ROOT / "configs/m5_config.py"), is_running=False)
        self.assertIn("stopped", "\n".join(top.drawing(stopped, 80, 24)))

    def test_the_newest_event_is_last(self):
        self.assertTrue(top.drawing(m5(), 80, 30)[-1].endswith("event 8 (asked)"))

    def test_numbers_and_bars(self):
        self.assertEqual([number(mbit) for mbit in (0, 0.04, 0.5, 50, 99.96, 1234.5, 25_000, 1_000_000)],
                         ["0", "0", "0.5", "50", "100", "1234", "25k", "1.0M"])
        self.assertEqual(bar(25, 50, 4, ""), [("██", ""), ("··", "dim")])
        self.assertEqual(bar(99, 50, 4, "")[0][0], "████")
        self.assertEqual(bar(1, 0, 2, "")[1][0], "··")
        self.assertEqual(plain("a\x1b\n漢"), "a  ?")


class Terminal(io.StringIO):
    def isatty(self):
        return True


class RunTest(unittest.TestCase):
    def test_once_where_there_is_no_terminal(self):
        out = io.StringIO()
        top.run(m5, out=out)
        self.assertIn("some_config", out.getvalue())
        self.assertNotIn("\x1b", out.getvalue())

    def on_terminal(self, get_status, seconds):
        out = Terminal()
        with unittest.mock.patch.object(sys, "stdin", io.StringIO()):
            try:
                top.run(get_status, seconds, out, interval_s=0.01)
            finally:
                self.assertTrue(out.getvalue().startswith("\x1b[?1049h\x1b[?25l"))
                self.assertTrue(out.getvalue().endswith("\x1b[?25h\x1b[?1049l"))
        return out.getvalue()

    def test_draws_until_its_time_is_over(self):
        self.assertGreater(self.on_terminal(empty, 0.05).count("not set up"), 1)

    def test_ctrl_c_ends(self):
        self.on_terminal(unittest.mock.Mock(side_effect=[empty(), KeyboardInterrupt]), None)

    def test_an_error_goes_on_to_the_caller(self):
        with self.assertRaises(KeyError):
            self.on_terminal(dict, None)

    def test_q_ends_and_the_keyboard_is_as_before(self):
        pid, main = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, "-c", f"""
import sys, termios
sys.path[:0] = [{str(ROOT / 'cli')!r}]
from mpp.show import top
before = termios.tcgetattr(0)
top.run(lambda: {empty()!r})
print("same" if termios.tcgetattr(0) == before else "changed")"""])
        text = b""
        while b"Mbit/s" not in text:
            text += os.read(main, 4096)
        os.write(main, b"q")
        text = b""
        while b"same" not in text and b"changed" not in text:
            text += os.read(main, 4096)
        self.assertIn(b"\x1b[?1049l", text)
        self.assertIn(b"same", text)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        os.close(main)


def samples_of(count=60, paths=("3-2-0-4", "3-2-1-4", "3-0-4"), app="app34"):
    return [Sample(START + i, {}, {app: 50.0 * len(paths)}, {(app, path): 50.0 for path in paths})
            for i in range(count)]


def texts_of(picture):
    return ["".join(element.itertext()) for element in xml.fromstring(picture).iter()]


class PlotTest(unittest.TestCase):
    def test_has_every_path_and_event(self):
        events = [Event(START + i * 3, f"event number {i}", "asked") for i in range(20)]
        picture = plot.svg(samples_of(), events, "some title")
        texts = texts_of(picture)
        for wanted in ("some title", "app34", "app34 3-2-0-4", "app34 3-2-1-4", "app34 3-0-4", "Mbit/s",
                       "150", *map(str, events)):
            self.assertIn(wanted, texts)
        self.assertNotIn("nan", picture.lower())
        self.assertEqual(picture, plot.svg(samples_of(), events, "some title"))

    def test_a_total_is_thick(self):
        widths = re.findall(r'stroke-width="([0-9.]+)"', plot.svg(samples_of(), [], ""))
        self.assertEqual(widths.count("3.5"), 2)  # its curve and its legend
        self.assertEqual(widths.count("1.5"), 6)

    def test_hostile_names_are_text(self):
        picture = plot.svg(samples_of(app=HOSTILE), [Event(START, HOSTILE, HOSTILE)], HOSTILE)
        self.assertIn(plain(HOSTILE), texts_of(picture))

    def test_long_and_many_names_stay_inside(self):
        paths = ["-".join(str(i + j) for j in range(40)) for i in range(90)]
        picture = plot.svg(samples_of(3, paths), [Event(START, "x" * 999, "y")], "t" * 999)
        height = float(xml.fromstring(picture).get("height"))
        for element in xml.fromstring(picture).iter("{http://www.w3.org/2000/svg}text"):
            self.assertLess(len(element.text or element[0].tail or ""), plot.WIDTH / 6)
            self.assertLess(float(element.get("y")), height)
        self.assertTrue(all(f"app34 {path}" in texts_of(picture) for path in paths[:3]))

    def test_everything_is_inside_the_axes(self):
        samples = [Sample(START + i, {}, {"a": mbit}, {}) for i, mbit in
                   enumerate((0, 0.003, 7, 123_456.7, float("nan"), float("inf"), 3))]
        picture = plot.svg(samples, [Event(START + 6.9, "late", "asked")], "")
        curve = xml.fromstring(picture).find("{http://www.w3.org/2000/svg}path").get("d")
        for place in re.split("[ML]", curve)[1:]:
            x, y = map(float, place.split(","))
            self.assertTrue(plot.LEFT <= x <= plot.WIDTH - plot.RIGHT and plot.TOP <= y <= plot.BOTTOM)
        self.assertIn("late", picture)

    def test_only_the_last_seconds(self):
        samples = [Sample(START, {}, {"old": 1.0}, {}), *samples_of(100)[50:]]
        picture = plot.svg(samples, [Event(START, "long ago", "asked")], "", seconds=30)
        self.assertNotIn("old", texts_of(picture))
        self.assertNotIn("long ago", "".join(texts_of(picture)))

    def test_a_pause_is_a_gap_and_a_lone_sample_a_dot(self):
        samples = samples_of(10, ()) + [Sample(START + 60, {}, {"app34": 5.0}, {})]
        curve = re.search(r'd="(M[^"]*L[^"]*)"', plot.svg(samples, [], ""))[1]
        self.assertEqual(curve.count("M"), 2)
        xml.fromstring(plot.svg(samples_of(1), [], ""))

    def test_events_that_are_near_have_one_number(self):
        events = [Event(START + at, "x", "y") for at in (10, 10.5, 11, 40)]
        texts = texts_of(plot.svg(samples_of(), events, ""))
        self.assertIn("1-3", texts)

    def test_nothing_was_carried(self):
        for samples in ([], [Sample(START)]):
            with self.assertRaisesRegex(plot.ShowError, "nothing was carried yet"):
                plot.svg(samples, [], "")


class WriteTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_svg(self):
        plot.write(self.folder / "a.svg", samples_of(), [], "t")
        self.assertEqual((self.folder / "a.svg").read_text(), plot.svg(samples_of(), [], "t"))

    def test_png_asks_for_what_is_missing(self):
        with unittest.mock.patch("shutil.which", return_value=None):
            with self.assertRaisesRegex(plot.ShowError, "apt-get install librsvg2-bin"):
                plot.write(self.folder / "a.png", samples_of(), [], "t")
        self.assertFalse((self.folder / "a.png").exists())

    def test_png_through_the_program(self):
        program = self.folder / "rsvg-convert"
        for script, wanted in (("printf PNG", b"PNG"), ("echo no font >&2; exit 1", None)):
            program.write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\n")
            program.chmod(0o755)
            with unittest.mock.patch.dict(os.environ, PATH=f"{self.folder}:{os.environ['PATH']}"):
                if wanted is None:
                    with self.assertRaisesRegex(plot.ShowError, "rsvg-convert: no font"):
                        plot.write(self.folder / "a.png", samples_of(), [], "t")
                else:
                    plot.write(self.folder / "a.png", samples_of(), [], "t")
                    self.assertEqual((self.folder / "a.png").read_bytes(), wanted)

    def test_what_cannot_be_written(self):
        for name, why in (("a.pdf", "expected a name that ends in .svg or .png"), ("a", "expected"),
                          ("none/a.svg", "No such file or directory")):
            with self.assertRaisesRegex(plot.ShowError, why):
                plot.write(self.folder / name, samples_of(), [], "t")


if __name__ == "__main__":
    unittest.main()

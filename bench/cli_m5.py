"""The five-PoP network, from nothing to a stream: how long setting up and committing take, how soon a live
update and the autopilot are done and what the stream notices of it, and what part of the plan one stream
gets.

    gap watch (client) at PoP 3 --- three paths, 200 Mbit/s planned --- gap serve at PoP 4"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

from common import expect_exact
from lab import Failure, expect, wait_for
from paths_place import CAPACITY, Record

NAME = "m5"
TOOLS = ()
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "cli"))
APP, CUT = "app34", "0-4"
RUNS, UPDATES, STREAM_S = 5, 20, 20
AUTOPILOT_LIMIT_S = 10
BEGIN_S = 1  # of a stream, until it fills its paths


def measure(bench):
    seconds = [begin(bench, lambda orchestrator: None)[0] for _ in range(bench.runs(RUNS))]
    bench.report.row(NAME, "setup and commit, one application", "time", seconds, "s", ("<=", 3))
    seconds = [until_committed(bench) for _ in range(bench.runs(RUNS))]
    bench.report.row(NAME, "cli.py, from its start until one application is committed", "time",
                     seconds, "s", ("<=", 3))
    begin(bench, lambda orchestrator: one_stream(bench, orchestrator))
    begin(bench, lambda orchestrator: updates(bench, orchestrator))
    begin(bench, lambda orchestrator: flight(bench, orchestrator))


def begin(bench, work):
    """With the network up and committed; returns how long that took, and what `work` gave."""
    from mpp.events import Events
    from mpp.journal import Journal
    from mpp.load import load
    from mpp.orchestrator import Orchestrator
    from mpp.place.netns import NamespacePlace
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(pathlib.Path(folder))
        place = NamespacePlace(journal, bench.bin_dir, f"b{time.monotonic_ns() % 99991:05}")
        orchestrator = Orchestrator(NAME, load(ROOT / "configs/m5_config.py"), place, "netns",
                                    Events())
        started = time.monotonic()
        try:
            orchestrator.setup()
            orchestrator.commit()
            took = time.monotonic() - started
            return took, work(orchestrator)
        finally:
            orchestrator.destroy()
            journal.close()


def until_committed(bench):
    """As its user sees it: the interpreter, scipy and the configuration count."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, ROOT / "cli/cli.py", ROOT / "configs/m5_config.py", "--bin-dir",
                 bench.bin_dir, "--state-dir", folder, "--run", "setup; commit; destroy"]
        started = time.monotonic()
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as cli:
            committed = [time.monotonic() for line in cli.stdout if line.startswith("commit ")]
    expect(cli.returncode == 0 and committed, f"cli.py ended with {cli.returncode}")
    return committed[0] - started


class Stream:
    """A download that is told when to end."""

    def __init__(self, bench, orchestrator):
        place, app = orchestrator.place, orchestrator.network.apps[APP]
        gap = bench.helper("gap")[0]

        def start(pop, *words):
            return subprocess.Popen(["ip", "netns", "exec", place.namespace(pop), gap,
                                     *map(str, words)], stdout=subprocess.PIPE, text=True)

        self.server = start(app.target, "serve", "127.0.0.1", app.server_port)
        wait_for(lambda: "LISTEN" in place.run(app.target, ["ss", "-Htln", f"sport = {app.server_port}"]),
                 "the server")
        self.client = start(app.source, "watch", "127.0.0.1", app.listen_port, 3600)
        wait_for(lambda: orchestrator.apps[APP].stats()["bytes"]["to_edge_total"] > 0, "first bytes")

    def end(self):
        self.client.terminate()
        said, _ = self.client.communicate(timeout=20)
        self.server.kill()
        self.server.communicate()
        expect_exact(self.client.returncode, "gap watch", "")
        return Record(json.loads(said))


def one_stream(bench, orchestrator):
    stream = Stream(bench, orchestrator)
    time.sleep(bench.size(STREAM_S, 4))
    record = stream.end()
    planned = sum(flow.rate_kbit for flow in orchestrator.apps[APP].flows) / 1000
    rate = record.rate_mbit(record.started + BEGIN_S, record.last - BEGIN_S / 2)
    bench.report.row(NAME, f"one stream, {planned:g} Mbit/s planned", "part of the payload capacity",
                     [100 * rate / (planned * CAPACITY)], "%", (">=", 98))


def updates(bench, orchestrator):
    """To the flows without a link, and back."""
    stream, took, times = Stream(bench, orchestrator), [], []
    for turn in range(bench.size(UPDATES, 4)):
        time.sleep(1)
        cut = orchestrator.place.cut
        (cut.discard if turn % 2 else cut.add)(CUT)
        started = time.monotonic()
        [said] = orchestrator.commit()
        expect("in place of the old" in said, f"no full update: {said}")
        took.append(time.monotonic() - started)
        times.append((started, time.monotonic() + 0.2))
    record = stream.end()
    gaps = [record.longest_gap_ms(*window) for window in times]
    bench.report.row(NAME, "live update of all proxies", "time", took, "s", ("<=", 1))
    bench.report.row(NAME, "live update of all proxies", "longest gap", [max(gaps)], "ms", ("<=", 20))


def flight(bench, orchestrator):
    """A link is cut by the kernel, and joined again: nobody tells the orchestrator."""
    orchestrator.set_autopilot(True)
    stream = Stream(bench, orchestrator)
    seconds = {False: [], True: []}
    for _ in range(bench.size(4, 1)):
        for is_up in (False, True):
            time.sleep(1)
            seconds[is_up].append(plan_after(orchestrator, is_up))
    record = stream.end()
    expect(record.end == "told", f"the stream ended by itself ({record.end})")
    bench.report.row(NAME, "autopilot, a link goes down", "new plan in force after", seconds[False], "s",
                     ("<=", 2))
    bench.report.row(NAME, "autopilot, it is back", "new plan in force after (with the hold)",
                     seconds[True], "s")


def plan_after(orchestrator, is_up):
    def commits():
        return [event for event in orchestrator.events.last(100)
                if event.what.startswith("commit") and "link" in event.why]

    before, started = len(commits()), time.time()
    orchestrator.place.set_link_up(CUT, is_up)
    wait_for(lambda: len(commits()) > before, "a new plan", AUTOPILOT_LIMIT_S * 8)
    if "failed" in commits()[-1].what:
        raise Failure(str(commits()[-1]))
    return commits()[-1].at - started

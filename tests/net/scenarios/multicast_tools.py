"""traffic_generator and traffic_sink: every packet is accounted for, whichever way it is sent and
whatever happens to it; wrong command lines get one line.

    source ---- sink
"""

import json
import signal
import socket
import struct
import subprocess

from lab import expect, expect_equal, wait_for
from links import Emulator
from scenario import Scenario

GENERATOR, SINK = "traffic_generator", "traffic_sink"
GROUP, GROUP6, PORT = "239.1.1.1", "ff15::1:fffe", 5000
MARK = 0x4D63617374537431  # src/mcast/core/stamp.c
SEQUENCE = "@th,224,32"  # its lower half, behind 8 bytes of UDP and 20 of the stamp
COUNT = 200


class Pair:
    """Two nodes and a link, and the words that both programs get."""

    def __init__(self, lab, link=None, ipv6=False):
        self.lab = lab
        self.source, self.sink = (link.a, link.b) if link else (lab.node("source"),
                                                                lab.node("sink"))
        self.link = link or lab.link(self.source, self.sink)
        self.group = GROUP6 if ipv6 else GROUP
        self.sinks = 0

    def words(self, program, device, more):
        return [self.lab.bin_dir / program, "--group", self.group, "--port", PORT, "--interface",
                device, "--json", *more]

    def listen(self, *more):
        """A sink that has joined all its groups."""
        self.sinks += 1
        sink = self.sink.start(f"sink{self.sinks}", self.words(SINK, self.link.b_device, more),
                               stdout=subprocess.PIPE)
        wait_for(lambda: sink.log() == "ready\n" or not sink.is_running(), "the sink is ready")
        expect_equal(sink.log(), "ready\n", "what the sink says first")
        return sink

    def send(self, *more, code=0):
        done = self.source.run(self.words(GENERATOR, self.link.a_device, more))
        expect_equal((done.returncode, done.stderr), (code, ""), f"end of the generator {more}")
        return json.loads(done.stdout)

    def start(self, *more):
        return self.source.start("generator", self.words(GENERATOR, self.link.a_device, more),
                                 stdout=subprocess.PIPE)


def said(process, code=0):
    """What it reported at its end."""
    text = process.popen.communicate(timeout=30)[0]
    expect_equal(process.popen.returncode, code, f"exit code of {process.name}: {text}")
    return json.loads(text)


def figures(report, *names):
    return tuple(report["total"][name] for name in names)


def exact(lab, ipv6, streams, sent_with, received_with=()):
    """All of it once, in order, by whatever way of sending."""
    pair = Pair(lab, ipv6=ipv6)
    sink = pair.listen("--streams", streams, "--expect", COUNT, *received_with)
    sent = pair.send("--streams", streams, "--count", COUNT, *sent_with)
    expect_equal((sent["packets"], sent["errors"], sent["interrupted"]),
                 (COUNT * streams, {}, False), "what was sent")
    report = said(sink)
    expect_equal(figures(report, "received", "bytes", "lost", "duplicated", "reordered", "too_late",
                         "corrupted", "foreign", "dropped_here"),
                 (sent["packets"], sent["bytes"], 0, 0, 0, 0, 0, 0, 0), "what came")
    expect_equal((report["exact"], report["ended_by"]), (True, "expect"), "how it ended")
    expect_equal([(s["stream"], s["run"], s["received"]) for s in report["streams"]],
                 [(i, sent["run"], COUNT) for i in range(streams)], "the streams")
    delay = report["total"]["delay_us"]
    expect(0 < delay["p50"] <= delay["p99"] <= delay["max"], f"delays: {delay}")


def given(lab):
    """The bytes of a file are in every packet, as many as fit; a sink that does not know of them
    calls all corrupted."""
    pair = Pair(lab)
    for name, length in (("short", 20), ("long", 3000)):
        (lab.folder / name).write_bytes(bytes(range(1, 251)) * 12 if length > 250 else b"x" * length)
        knows = pair.listen("--expect", COUNT, "--payload", name)
        wonders = pair.listen("--expect", COUNT, "--idle", "500ms")
        pair.send("--count", COUNT, "--payload", name)
        expect_equal(figures(said(knows), "received", "corrupted"), (COUNT, 0), f"{name}: known")
        expect_equal(figures(said(wonders, 1), "received", "corrupted"), (0, COUNT),
                     f"{name}: not known")


def source_specific(lab, ipv6):
    """A sink that listens to another source gets nothing, one beside it everything."""
    pair = Pair(lab, ipv6=ipv6)
    right = pair.link.ends(ipv6)[0]
    wrong = "fd77::99" if ipv6 else "10.77.99.99"
    deaf = pair.listen("--source", wrong, "--expect", COUNT)
    hears = pair.listen("--source", right, "--expect", COUNT)
    pair.send("--source", right, "--count", COUNT)
    expect_equal(figures(said(hears), "received", "lost"), (COUNT, 0), "from the right source")
    deaf.signal(signal.SIGTERM)
    expect_equal(figures(said(deaf, 1), "received", "lost", "foreign"), (0, COUNT, 0),
                 "from the wrong one")


def lost(lab):
    """Three packets of one stream are known to be dropped, the last ones of another."""
    pair = Pair(lab)
    pair.sink.output(["nft", "add table ip holes; add chain ip holes in "
                             "{ type filter hook input priority 0; }; "
                             f"add rule ip holes in udp dport {PORT} {SEQUENCE} "
                             "{ 10, 20, 21 } drop; "
                             f"add rule ip holes in udp dport {PORT + 1} {SEQUENCE} "
                             f"{{ {COUNT - 2}, {COUNT - 1} }} drop"])
    sink = pair.listen("--streams", 3, "--expect", COUNT, "--idle", "1s")
    pair.send("--streams", 3, "--count", COUNT)
    report = said(sink, 1)
    expect_equal([s["lost"] for s in report["streams"]], [3, 2, 0], "lost")
    expect_equal(figures(report, "received", "lost", "lost_on_way", "dropped_here", "duplicated",
                         "reordered"), (3 * COUNT - 5, 5, 5, 0, 0, 0), "all of them")
    expect_equal((report["exact"], report["ended_by"]), (False, "idle"), "how it ended")


def full_queue(lab):
    """What a socket has no room for is lost here and not on the way."""
    pair = Pair(lab)
    sink = pair.listen("--expect", 1000, "--idle", "2s", "--receive-buffer", "4K")
    sink.signal(signal.SIGSTOP)
    pair.send("--count", 1000, "--rate", 10000)
    sink.signal(signal.SIGCONT)
    report = said(sink, 1)
    received, gone, here, on_way = figures(report, "received", "lost", "dropped_here",
                                           "lost_on_way")
    expect(0 < received < 1000, f"{received} fit into 4 KiB")
    expect_equal((gone, here, on_way), (1000 - received, gone, 0), "lost, here, on the way")


def impaired(lab):
    """Loss, copies and packets held back by a link: each is counted as what it is."""
    emulator = Emulator(lab, ["--seed", 1])
    a, b = lab.node("source"), lab.node("sink")
    pair = Pair(lab, emulator.link(a, b))
    pair.link.wait_carrier()
    pair.link.set("a>b", loss_percent=5, duplicate_percent=5, reorder=(5, 10))
    sink = pair.listen("--expect", 2000, "--idle", "2s")
    pair.send("--count", 2000, "--rate", 2000, "--size", 100)
    report = said(sink, 1)
    received, gone, copies, swapped = figures(report, "received", "lost", "duplicated",
                                              "reordered")
    expect_equal(received, 2000 - gone + copies, "received")
    expect(min(gone, copies, swapped) > 20, f"lost {gone}, copies {copies}, reordered {swapped}")
    expect_equal(figures(report, "corrupted", "foreign", "too_late"), (0, 0, 0), "the rest")
    expect(report["total"]["delay_us"]["max"] >= 10000, "some were held back for 10 ms")
    emulator.stop()


def foreign(lab):
    """Packets without a stamp, of another run, and damaged ones are told apart and count as none
    of the stream's."""
    pair = Pair(lab)
    sink = pair.listen("--expect", COUNT)
    with pair.source.inside():
        stray = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stray.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(pair.link.a_ip))
    for payload in (b"", b"x", b"x" * 1000, struct.pack(">QIIQQ", MARK, 1, 0, 5, 7)[:31]):
        stray.sendto(payload, (GROUP, PORT))
    stray.sendto(struct.pack(">QIIQQ", MARK, 1, 0, 5, 7) + b"x" * 100, (GROUP, PORT))
    pair.send("--count", COUNT - 1)
    pair.send("--count", 10)  # another run
    sink.signal(signal.SIGINT)
    report = said(sink, 1)
    expect_equal(figures(report, "received", "lost", "duplicated", "foreign", "corrupted"),
                 (COUNT - 1, 1, 0, 14, 1), "what came")
    expect_equal(report["ended_by"], "signal", "how it ended")


def refused(lab):
    """What the kernel refuses is an error of the generator with a name, and no loss."""
    pair = Pair(lab)
    pair.source.output(["nft", "add table ip wall; add chain ip wall out "
                               "{ type filter hook output priority 0; }; "
                               f"add rule ip wall out udp dport {PORT} drop"])
    sink = pair.listen("--streams", 2, "--idle", "1s")
    sent = pair.send("--streams", 2, "--count", COUNT, code=1)
    expect_equal((sent["packets"], sent["unsent"], sent["errors"]), (COUNT, COUNT, {"EPERM": COUNT}),
                 "one stream of two")
    report = said(sink)
    expect_equal([s["received"] for s in report["streams"]], [0, COUNT], "received")
    expect_equal(figures(report, "lost"), (0,), "lost")


def signals(lab):
    """Without an end of their own both go on until they are told, and report then."""
    pair = Pair(lab)
    for number in (signal.SIGINT, signal.SIGTERM):
        enough = received_bytes(pair) + 20 * 1316
        sink, generator = pair.listen("--streams", 2), pair.start("--streams", 2, "--rate", 500)
        wait_for(lambda enough=enough: received_bytes(pair) > enough, "packets come")
        generator.signal(number)
        sent = said(generator)
        expect(sent["interrupted"] and sent["packets"] > 0, f"report of the generator: {sent}")
        sink.signal(number)
        report = said(sink)
        expect_equal(figures(report, "received", "lost"), (sent["packets"], 0), "what came")


def received_bytes(pair):
    return pair.sink.counters(pair.link.b_device)[0]


def ends(lab):
    """--duration of both, --idle, --quiet, and the texts for people."""
    pair = Pair(lab)
    sink = pair.listen("--duration", "200ms")
    expect_equal(said(sink)["ended_by"], "duration", "the sink ends")
    sink = pair.listen("--idle", "300ms")
    sent = pair.send("--duration", "500ms", "--rate", 100)
    expect(0 < sent["packets"] <= 50, f"{sent['packets']} packets in 500 ms at 100 a second")
    report = said(sink)
    expect_equal((report["ended_by"], report["total"]["received"]), ("idle", sent["packets"]),
                 "the sink ends")
    for quiet, count in ((["--quiet"], 0), ([], 4)):
        words = pair.words(GENERATOR, pair.link.a_device, ["--count", 3, *quiet])
        words.remove("--json")
        expect_equal(len(pair.source.output(words).splitlines()), count, "lines of the generator")


def wrong(lab):
    """(program, words, what the one line must name)"""
    node = lab.node("one")
    good = f"--group {GROUP} --port {PORT} --interface lo"
    both = [
        ("", "--group"),
        (f"--port {PORT} --interface lo", "--group"),
        (f"--group {GROUP} --interface lo", "--port"),
        (f"--group {GROUP} --port {PORT}", "--interface"),
        (good.replace("lo", "nowhere0"), "nowhere0"),
        (good.replace("lo", "a-name-that-is-too-long"), "a-name-that-is-too-long"),
        (good.replace(GROUP, "10.0.0.1"), "10.0.0.1"),
        (good.replace(GROUP, "239.1.1.256"), "239.1.1.256"),
        (good.replace(GROUP, "fe80::1"), "fe80::1"),
        (good.replace(str(PORT), "0"), '--port "0"'),
        (good.replace(str(PORT), "65536"), "65536"),
        (good.replace(str(PORT), "65500") + " --streams 50", "65549"),
        (good.replace(GROUP, "239.255.255.255") + " --streams 2", "239.255.255.255"),
        (good + " --streams 0", '--streams "0"'),
        (good + " --streams 2 --group-step 0 --port-step 0", "--group-step 0"),
        (good + " --port-step -1", "-1"),
        (good + " --group-step 4294967296", "4294967296"),
        (good + " --source here", "here"),
        (good + " --source fd00::1", "--source"),
        (good + " --source 239.1.1.1", "239.1.1.1"),
        (good + " --duration soon", "soon"),
        (good + " --duration 0", '--duration "0"'),
        (good + " --dance", "--dance"),
        (good + " 239.1.1.2", "239.1.1.2"),
        (good + " --streams", "--streams"),
        (good + " --payload missing", "missing"),
        (good + " --payload /dev/null", "/dev/null"),
    ]
    generator = [
        (good + " --rate 0", '--rate "0"'),
        (good + " --rate 1000001", "1000001"),
        (good + " --size 31", '--size "31"'),
        (good + " --size 65508", "65508"),
        (good + " --size 43 --rtp", "44"),
        (good + " --count 0", '--count "0"'),
        (good + " --count 5 --duration 5s", "--duration"),
        (good + " --ttl 256", "256"),
        (good + " --burst 0", '--burst "0"'),
        (good + " --gso", "--burst 1"),
        (good + " --gso --burst 65", "--burst 65"),
        (good + " --gso --burst 64 --size 1400", "1400"),
        (good + " --gso --burst 2 --size 1400", "1400"),  # beyond the MTU
        (good + " --source 192.0.2.9", "192.0.2.9"),
    ]
    sink = [
        (good + " --expect 0", '--expect "0"'),
        (good + " --expect all", "all"),
        (good + " --idle never", "never"),
        (good + " --receive-buffer 1", '--receive-buffer "1"'),
        (good + " --receive-buffer lots", "lots"),
    ]
    node.ip("link set lo mtu 1400")
    found = []
    table = [(p, *line) for p in (GENERATOR, SINK) for line in both]
    table += [(GENERATOR, *line) for line in generator] + [(SINK, *line) for line in sink]
    for program, words, named in table:
        try:
            done = node.run([lab.bin_dir / program, *words.split()], limit_s=5)
        except subprocess.TimeoutExpired:
            found.append(f"{program} {words}\n    runs on")
            continue
        lines = done.stderr.splitlines()
        if done.returncode != 2 or len(lines) != 1 or named not in lines[0] or done.stdout:
            found.append(f"{program} {words}\n    exit code {done.returncode}, must name "
                         f"{named!r}; stdout {done.stdout[:200]!r}, stderr {done.stderr[:400]!r}")
    expect(not found, f"{len(found)} of {len(table)} wrong command lines:\n" + "\n".join(found))


SCENARIOS = [
    Scenario("exact", exact, (False, 1, ())),
    Scenario("exact_ipv6", exact, (True, 3, ("--size", 44, "--ttl", 9))),
    Scenario("exact_50", exact, (False, 50, ("--rate", 200))),
    Scenario("exact_50_together", exact, (False, 50, ("--rate", 200, "--together", "--spread",
                                                      "--together", "--spin"))),
    Scenario("exact_steps", exact, (False, 5, ("--group-step", 256, "--port-step", 0),
                                    ("--group-step", 256, "--port-step", 0))),
    Scenario("exact_one_group", exact, (True, 5, ("--group-step", 0), ("--group-step", 0))),
    Scenario("exact_bursts", exact, (False, 3, ("--burst", 7, "--size", 32))),
    Scenario("exact_gso", exact, (False, 3, ("--burst", 7, "--gso"))),
    Scenario("exact_gso_ipv6", exact, (True, 3, ("--burst", 64, "--gso", "--size", 100))),
    Scenario("exact_rtp", exact, (False, 2, ("--rtp", "--size", 200), ("--rtp",))),
    Scenario("exact_fragments", exact, (False, 2, ("--size", 65507))),
    Scenario("given", given),
    Scenario("source_specific", source_specific, (False,)),
    Scenario("source_specific_ipv6", source_specific, (True,)),
    Scenario("lost", lost),
    Scenario("full_queue", full_queue),
    Scenario("impaired", impaired),
    Scenario("foreign", foreign),
    Scenario("refused", refused),
    Scenario("signals", signals),
    Scenario("ends", ends),
    Scenario("wrong", wrong),
]

"""The link emulator: what it asks of packets holds for real TCP over veth with its default
offloads, for IPv6, over TUN devices; faults act at once and end; commands are answered.

    a ---(emulator)--- b
"""

import json
import os
import re
import select
import signal
import socket

from lab import Process, expect, expect_equal, wait_for
from links import PROGRAM, Emulator, carrier
from peers import Job, end_both, move, move_both_ways
from scenario import Scenario

PORT = 7000
SIZE = 20_000_000
SIZE_SLOW = 1_000_000


def pair(lab, **settings):
    a, b = lab.node("a"), lab.node("b")
    emulator = Emulator(lab, ["--seed", 1])
    link = emulator.link(a, b, **settings)
    return emulator, link


def connect(link, ipv6=False, limit_s=30):
    """(socket at a, socket at b)"""
    host = link.ends(ipv6)[1]
    with link.b.listen(host, PORT, limit_s) as listener:
        near = link.a.connect(host, PORT, limit_s)
        far = listener.accept()[0]
    far.settimeout(limit_s)
    return near, far


def ping(link, count=1, wait_s=1):
    """Received replies, and their round-trip times in ms."""
    said = link.a.run(["ping", "-n", "-i", "0.01", "-c", count, "-W", wait_s, link.b_ip]).stdout
    times = [float(t) for t in re.findall(r"time=([\d.]+) ms", said)]
    return len(times), times


def tcp(lab, ipv6, settings):
    """Byte-exact both ways, with the offloads that veth has by default: large segments and sums
    that are not filled in come to the emulator, packets of the MTU leave it."""
    emulator, link = pair(lab, **settings)
    near, far = connect(link, ipv6)
    before = link.stats()  # a's first words, before b was up, could not be sent to it
    move_both_ways(near, far, SIZE_SLOW if settings else SIZE, 1)
    end_both(near, far)
    stats = emulator.stop()[link.name]
    for way in ("a>b", "b>a"):
        for why in ("unsupported", "send"):
            expect_equal(stats[way]["dropped"][why], before[way]["dropped"][why],
                         f"{way}: packets that were dropped as {why!r}")


def large_packets(lab):
    """The sender must really have handed over large segments, or `tcp` shows nothing."""
    emulator, link = pair(lab, rate_mbit=500, limit_kb=1000)
    features = link.a.output(["ethtool", "-k", link.a_device])
    expect("tcp-segmentation-offload: on" in features, "veth has no TSO here")
    near, far = connect(link)
    move(near, far, SIZE, 1)
    end_both(near, far)
    sent = packets(link.a, link.a_device)[1]
    came = link.stats()["a>b"]["in_packets"]
    expect(sent * 2 < came, f"{sent} packets were sent and {came} cut from them")
    emulator.stop()


def packets(node, device):
    """(received, sent) packets of a device."""
    said = json.loads(node.output(["ip", "-j", "-s", "link", "show", "dev", device]))[0]
    return said["stats64"]["rx"]["packets"], said["stats64"]["tx"]["packets"]


def kernel():
    return tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups()))


def udp(lab):
    """UDP with segmentation offload (UDP_SEGMENT) is cut too, and arrives datagram by datagram."""
    emulator, link = pair(lab)
    with link.b.inside():
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind((link.b_ip, PORT))
    sink.settimeout(10)
    with link.a.inside():
        source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    source.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
    data = bytes(range(256)) * 20
    source.sendto(data, (link.b_ip, PORT))
    if kernel() < (6, 2):  # there the packet socket cannot tell of such packets
        wait_for(lambda: link.stats()["a>b"]["dropped"]["unsupported"] > 0, "it is counted")
        return
    got = [sink.recv(2000) for _ in range(6)]
    expect_equal([len(g) for g in got], [1000] * 5 + [120], "sizes of the datagrams")
    expect(b"".join(got) == data, "the datagrams hold what was sent")
    emulator.stop()


def delay(lab):
    """There and back: never less than was asked, until it is not asked any more."""
    emulator, link = pair(lab, delay_ms=20)
    ping(link)  # neighbours are known then
    count, times = ping(link, 20)
    expect_equal(count, 20, "replies")
    expect(min(times) > 39.9, f"{min(times)} ms where 40 were asked")
    link.set(delay_ms=None)
    expect(min(ping(link, 20)[1]) < 39.9, "the delay is gone")
    emulator.stop()


def blackhole(lab):
    """In one direction, in both, and off again; the emulator's own figures agree."""
    emulator, link = pair(lab)
    expect_equal(ping(link)[0], 1, "replies before")
    link.blackhole("b>a")
    expect_equal(ping(link, 3, 0.3)[0], 0, "replies while nothing comes back")
    stats = link.stats()
    expect(stats["a>b"]["dropped"]["blackhole"] == 0 < stats["b>a"]["dropped"]["blackhole"],
           f"what was dropped where: {stats}")
    link.blackhole()
    link.heal()
    expect_equal(ping(link)[0], 1, "replies after")
    near, far = connect(link)
    link.blackhole()
    moving = Job(move, near, far, SIZE_SLOW, 2)
    wait_for(lambda: link.stats()["a>b"]["dropped"]["blackhole"] > 0, "TCP runs into the hole")
    expect(moving.is_alive(), "nothing can have come through")
    link.heal()
    moving.result()
    end_both(near, far)
    emulator.stop()


def down_up(lab):
    """Both ends lose the carrier and get it back; a stream goes on."""
    emulator, link = pair(lab, delay_ms=1)
    link.wait_carrier()
    near, far = connect(link)
    link.down()
    for node, device in ((link.a, link.a_device), (link.b, link.b_device)):
        wait_for(lambda: not carrier(node, device), f"{node.name} without carrier")
    moving = Job(move, near, far, SIZE_SLOW, 3)
    expect(link.stats()["down"], "the statistics say that it is down")
    link.up()
    link.wait_carrier()
    moving.result()
    end_both(near, far)
    emulator.stop()


def change(lab):
    """A rate that changes while bytes run: what is sent meanwhile says so."""
    emulator, link = pair(lab, rate_mbit=20, limit_kb=64)
    near, far = connect(link)
    moving = Job(move, near, far, 10_000_000, 4)  # 4 s at 20 Mbit/s
    wait_for(lambda: link.stats()["a>b"]["out_bytes"] > 500_000, "the stream runs")
    expect_equal(link.stats()["a>b"]["settings"]["rate_bps"], 20_000_000, "rate")
    link.set("a>b", rate_mbit=400)
    stats = link.stats()
    expect_equal(stats["a>b"]["settings"]["rate_bps"], 400_000_000, "rate")
    expect_equal(stats["b>a"]["settings"]["rate_bps"], 20_000_000, "rate of the other direction")
    moving.result()
    end_both(near, far)
    emulator.stop()


def impaired(lab):
    """TCP through all of it at once is slow and exact."""
    # 700 packets each way at the least: that 2 % hit none of them happens once in a million.
    emulator, link = pair(lab, rate_mbit=100, delay_ms=2, jitter_ms=1, loss_percent=2,
                          burst=(0.05, 3), reorder=(3, 3), duplicate_percent=3, limit_packets=200)
    near, far = connect(link)
    move_both_ways(near, far, SIZE_SLOW, 5)
    end_both(near, far)
    stats = emulator.stop()[link.name]
    for way in ("a>b", "b>a"):
        for what in ("duplicated", "reordered"):
            expect(stats[way][what] > 0, f"{way}: nothing was {what}")
        expect(stats[way]["dropped"]["loss"] > 0, f"{way}: nothing was lost")


def two_links(lab):
    """One process, two links, each by itself."""
    a, b, c = lab.node("a"), lab.node("b"), lab.node("c")
    emulator = Emulator(lab)
    one, two = emulator.link(a, b, delay_ms=30), emulator.link(a, c)
    ping(one)
    expect(min(ping(one, 5)[1]) > 59, "the delay of the first")
    expect(min(ping(two, 5)[1]) < 59, "the second has none")
    one.blackhole()
    expect_equal((ping(one, 1, 0.3)[0], ping(two)[0]), (0, 1), "replies over the two")
    expect_equal(len(emulator.stats()), 2, "links in the statistics")
    emulator.stop()


def tun(lab):
    """Two TUN devices in two namespaces, made by the emulator, gone with it."""
    a, b = lab.node("a"), lab.node("b")
    emulator = Emulator(lab)
    emulator.command(f"link tuns tun:t0@{a.namespace} tun:t0@{b.namespace}")
    a.ip("addr add 10.78.0.1/24 dev t0")
    b.ip("addr add 10.78.0.2/24 dev t0")
    emulator.command("set tuns delay 5ms rate 100mbit")
    with b.listen("10.78.0.2", PORT) as listener:
        near = a.connect("10.78.0.2", PORT)
        far = listener.accept()[0]
        far.settimeout(30)
    move_both_ways(near, far, SIZE_SLOW, 6)
    end_both(near, far)
    emulator.command("down tuns on")
    wait_for(lambda: not carrier(a, "t0") and not carrier(b, "t0"), "no carrier")
    emulator.command("down tuns off")
    wait_for(lambda: carrier(a, "t0") and carrier(b, "t0"), "carrier")
    emulator.stop()
    expect(a.run(["ip", "link", "show", "dev", "t0"]).returncode != 0, "the device is gone")


def gone(lab):
    """Interfaces that are deleted under it harm only their own link, and cost nothing."""
    a, b, c = lab.node("a"), lab.node("b"), lab.node("c")
    emulator = Emulator(lab)
    one, two = emulator.link(a, b), emulator.link(a, c)
    emulator.command(f"link tuns tun:t0@{a.namespace} tun:t0@{b.namespace}")
    a.ip("link del t0", f"link del {one.a_device}")
    emulator.wait_log("t0 is gone")
    expect_equal(ping(two)[0], 1, "replies over the other link")
    for command in ("stats", f"set {one.name} rate 1mbit", "blackhole tuns on"):
        emulator.command(command)
    emulator.command("quit")
    emulator.read_line()
    emulator.succeed()


def namespaces(lab):
    """Interfaces by the names of their namespaces, from outside of them; the control socket; a
    file of commands; the end by SIGTERM with the statistics."""
    a, b = lab.node("a"), lab.node("b")
    for node, ip in ((a, "10.78.0.1"), (b, "10.78.0.2")):
        node.ip("link add host type veth peer name port", f"addr add {ip}/24 dev host",
                "link set host up")
    (lab.folder / "commands").write_text(
        f"# both ends are elsewhere\nlink wan port@{a.namespace} port@{b.namespace}\n\n"
        "set wan delay 1ms\n")
    output = lab.folder / "stdout"
    with open(output, "wb") as out:
        program = Process(lab, lab.node("c"), PROGRAM,
                          [lab.bin_dir / PROGRAM, "--file", "commands", "--control", "socket"],
                          stdout=out)
    wait_for(lambda: output.read_text().startswith("ready\n"), "ready")
    a.output(["ping", "-c", "1", "10.78.0.2"])
    folder = os.open(lab.folder, os.O_RDONLY)
    check_control(f"/proc/self/fd/{folder}/socket")  # the path of a socket must be short
    os.close(folder)
    program.signal(signal.SIGTERM)
    program.succeed()
    last = json.loads(output.read_text().splitlines()[-1])
    expect(last["links"]["wan"]["a>b"]["out_packets"] > 0, f"statistics at the end: {last}")
    expect(not (lab.folder / "socket").exists(), "the socket is gone")


def check_control(path):
    """Nonsense is answered with an error, and the next line is obeyed."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(path)
        lines = peer.makefile("rwb")
        for said, expected in (("dance", "error: "), ("set lan rate 1mbit", "error: "),
                               ("set wan rate 1mbit", "ok"), ("x" * 5000, "error: "),
                               ("\0\1\2", "error: "), ("stats wan", "ok {")):
            lines.write(said.encode() + b"\n")
            lines.flush()
            reply = lines.readline().decode()
            expect(reply.startswith(expected) and reply.endswith("\n"),
                   f"{said[:50]!r} was answered {reply[:200]!r}")


def replies_unread(lab):
    """Whoever does not read the replies holds up his own commands and no packets."""
    emulator, link = pair(lab)
    ping(link)
    stdin, stdout = emulator.popen.stdin, emulator.popen.stdout
    stdin.write(b"stats\n" * 500)
    stdin.flush()
    wait_for(lambda: is_full(emulator), "standard output is full")
    expect_equal(ping(link, 3)[0], 3, "replies to ping meanwhile")
    said = [stdout.readline().decode() for _ in range(500)]
    expect(all(json.loads(line.removeprefix("ok "))["links"] for line in said), "each is whole")
    stdin.write(b"stats\n" * 500)
    stdin.flush()
    wait_for(lambda: is_full(emulator), "standard output is full again")
    emulator.signal(signal.SIGTERM)
    *said, last = stdout.read().decode().splitlines()
    expect(said and all(json.loads(line.removeprefix("ok "))["links"] for line in said),
           "what was begun is ended")
    expect(json.loads(last)["links"], "the statistics at the end")
    emulator.succeed()


def is_full(process):
    """Its standard output, a pipe: no page of it takes anything more."""
    pipe = os.open(f"/proc/{process.popen.pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK)
    try:
        return not select.select([], [pipe], [], 0)[1]
    finally:
        os.close(pipe)


WRONG = [
    ([], "--command"),
    (["--dance"], "--dance"),
    (["veth0"], "veth0"),
    (["--seed", "x"], "x"),
    (["-e", "dance"], "dance"),
    (["-e", "link wan nothing0 nothing1"], "nothing0"),
    (["-e", "link wan lo@nowhere lo"], "nowhere"),
    (["-e", "link wan lo@../../etc lo"], "../../etc"),
    (["-e", "link wan lo tun:t0"], "TUN"),
    (["-e", "link wan an_interface_too_long lo"], "an_interface_too_long"),
    (["-e", "set wan rate 1mbit"], "wan"),
    (["-e", "link wan lo lo", "-e", "link wan lo lo"], "wan"),
    (["-e", "link wan lo lo", "-e", "set wan rate soon"], "soon"),
    (["-f", "nowhere"], "nowhere"),
    (["-c", "no/such/folder"], "no/such/folder"),
    (["-c", "x" * 200], "xxx"),
]


FILES = {
    "long": "# " + "x" * 1022 + "\n",
    "good_and_long": "\n# " + "x" * 1021 + "\n# " + "x" * 3000 + "\n",
}
LONG = "longer than 1023 bytes"
WRONG_FILES = [
    (["-f", "long"], f"long:1: {LONG}"),
    (["-f", "good_and_long"], f"good_and_long:3: {LONG}"),
    (["-f", "/"], "Is a directory"),
]


def check_refused(lab, node, arguments, named):
    done = node.run([lab.bin_dir / PROGRAM, *arguments], limit_s=10)
    expect_equal((done.returncode, len(done.stderr.splitlines()), done.stdout), (2, 1, ""),
                 f"{arguments}: {done.stderr}")
    expect(named in done.stderr, f"{arguments}: {done.stderr!r} does not name {named}")


def vast(lab):
    """Some devices take any MTU; a frame of that size would not fit what is read into."""
    node = lab.node("a")
    node.ip("link set lo mtu 65537")
    check_refused(lab, node, ["-e", "link wan lo lo"], "its MTU is 65537: expected at most 65536")


def wrong(lab):
    """Exit code 2 and one line that names what is wrong."""
    node = lab.node("a")
    for name, text in FILES.items():
        (lab.folder / name).write_text(text)
    for arguments, named in WRONG + WRONG_FILES:
        check_refused(lab, node, arguments, named)
    for option in ("--help", "--version"):
        done = node.run([lab.bin_dir / PROGRAM, option])
        expect(done.returncode == 0 and done.stdout and not done.stderr, f"{option}: {done}")


IMPAIRED = {"rate_mbit": 50, "delay_ms": 5, "limit_kb": 64}
SCENARIOS = [
    Scenario("tcp_ipv4", tcp, (False, {})),
    Scenario("tcp_ipv6", tcp, (True, {})),
    Scenario("tcp_slow", tcp, (True, IMPAIRED)),
    Scenario("large_packets", large_packets),
    Scenario("udp", udp),
    Scenario("delay", delay),
    Scenario("blackhole", blackhole),
    Scenario("down_up", down_up),
    Scenario("change", change),
    Scenario("impaired", impaired),
    Scenario("two_links", two_links),
    Scenario("tun", tun),
    Scenario("gone", gone),
    Scenario("namespaces", namespaces),
    Scenario("replies_unread", replies_unread),
    Scenario("vast", vast),
    Scenario("wrong", wrong),
]

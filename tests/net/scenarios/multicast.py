"""The multicast relay: every packet exactly once, whatever is done to rules, workers and the
supervisor meanwhile; and what it refuses.

    source --(in)-- relay --(out)-- target
"""

import json
import os
import signal
import socket
import time

from lab import expect, expect_equal, wait_for
from multicasting import (IN_GROUP, IN_PORT, OUT_GROUP, OUT_PORT, SO_RCVBUFFORCE, Place, Relay,
                          expect_exact, plus, result)
from scenario import Scenario

STREAMS = 20
RATE = 200
COUNT = 600  # 3 s


def start(lab, streams=STREAMS, is_bridged=False, **more):
    place = Place(lab, is_bridged)
    relay = Relay(lab, place.node, **more)
    relay.ask_all([{"op": "add", "rule": place.rule(number)} for number in range(streams)])
    expect_equal(relay.must("list")["total"], streams, "rules")
    return place, relay


def exactly_once(lab, is_bridged, *options):
    """Each packet of each stream, and no other."""
    place, relay = start(lab, is_bridged=is_bridged)
    sink = place.sink(STREAMS, COUNT)
    place.generate(STREAMS, COUNT, RATE, *options).succeed()
    expect_exact(sink)
    expect_equal(relay.end(), (STREAMS * COUNT, STREAMS * COUNT), "packets matched and sent")


def under_traffic(act, place, relay):
    """`act(relay, place)` once and again while packets come."""
    sink = place.sink(STREAMS, COUNT)
    generator = place.generate(STREAMS, COUNT, RATE)
    times = 0
    while generator.is_running():
        act(relay, place, times)
        times += 1
    generator.succeed()
    expect(times >= 3, f"only {times} times while packets came")
    expect_exact(sink)


def move_all(relay, _place, times):
    for number in range(STREAMS):
        relay.must("move", name=f"stream{number}", worker=(number + times) % 2)


def restart_workers(relay, _place, times):
    old = relay.pids()
    relay.must("restart-worker", worker=times % 2)
    wait_for(lambda: old[times % 2] not in all_pids(relay), "the old worker has ended")


def all_pids(relay):
    return [w["pid"] for w in relay.must("workers")["workers"]]


def add_and_remove(relay, place, times):
    """Other rules come and go, one by one and in batches."""
    for number in range(100, 120):
        relay.add(place.rule(number))
    batch = relay.must("batch")["batch"]
    relay.ask_all([{"op": "remove", "name": f"stream{number}", "batch": batch}
                   for number in range(100, 120)])
    expect_equal(relay.must("commit", batch=batch)["removed"], 20, "removed in one batch")


def change_outputs(relay, place, times):
    """An output more, and one less; the first one stays."""
    for number in range(STREAMS):
        rule = place.rule(number)
        if times % 2 == 0:
            rule["outputs"].append({"address": "239.20.0.1", "port": 7000 + number,
                                    "interface": place.output})
        relay.must("change", rule=rule)


def detach(relay, _place, _times):
    """The supervisor ends in order, and another one takes over."""
    pids = relay.pids()
    relay.must("detach")
    relay.process.succeed()
    relay.start()
    expect_equal(relay.pids(), pids, "workers that were taken over")
    expect_equal(relay.must("list")["total"], STREAMS, "rules that were taken over")


def kill_supervisor(relay, _place, _times):
    pids = relay.pids()
    relay.process.kill()
    relay.start()
    expect_equal(relay.pids(), pids, "workers that were taken over")
    expect_equal(relay.must("list")["total"], STREAMS, "rules that were taken over")


def counters_stay(lab, act):
    place, relay = start(lab)
    under_traffic(act, place, relay)
    expect_equal(relay.end(), (STREAMS * COUNT, STREAMS * COUNT), "packets matched and sent")


def outputs_change(lab):
    place, relay = start(lab)
    under_traffic(change_outputs, place, relay)
    matched, _ = relay.end()
    expect_equal(matched, STREAMS * COUNT, "packets matched")


def kill_worker(lab):
    """What a worker had read and not sent dies with it, and nothing else; nothing comes twice."""
    place, relay = start(lab)
    sink = place.sink(STREAMS, COUNT, "--idle", "2s")
    generator = place.generate(STREAMS, COUNT, RATE)
    kills = 0
    while generator.is_running() and kills < 4:
        pid = relay.pids()[kills % 2]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: len(relay.pids()) == 2 and pid not in all_pids(relay),
                 "another worker is there")
        kills += 1
    generator.succeed()
    total = result(sink)["total"]
    expect_equal(total["duplicated"], 0, "packets that came twice")
    expect(total["lost"] <= kills * 128, f"{total['lost']} packets lost by {kills} kills")
    expect(kills >= 2, f"only {kills} kills")
    relay.end()


def ipv6_and_source(lab):
    """IPv6, and of two senders to a group only the one that was asked for."""
    place = Place(lab)
    relay = Relay(lab, place.node)
    relay.add({"name": "six", "inputs": [{"interface": place.input, "group": "ff15::1:1",
                                          "port": 5001, "source": place.near.a_ip6}],
               "outputs": [{"address": "ff15::2:1", "port": 6001, "interface": place.output,
                            "source": place.far.a_ip6, "ttl": 3}]})
    relay.add({"name": "nobody", "inputs": [{"interface": place.input, "group": IN_GROUP,
                                             "port": 5005, "source": "10.99.0.1"}],
               "outputs": [{"address": OUT_GROUP, "port": 6005, "interface": place.output}]})
    sink = place.sink(1, 100, group="ff15::2:1", port=6001)
    place.generate(1, 100, 500, group="ff15::1:1", port=5001).succeed()
    place.generate(1, 100, 500, group=IN_GROUP, port=5005, name="other").succeed()
    expect_exact(sink)
    expect_equal(relay.must("stats", name="nobody")["streams"][0]["received_packets"], 0,
                 "packets of a source that was not asked for")


def several_outputs(lab):
    """To two groups and a host; another host does not answer, and hurts nobody."""
    place = Place(lab)
    relay = Relay(lab, place.node)
    rule = place.rule()
    dead = plus(place.far.b_ip, 100)
    rule["outputs"] += [
        {"address": plus(OUT_GROUP, 50), "port": 6050, "interface": place.output},
        {"address": dead, "port": 6060},
        {"address": place.far.b_ip, "port": 6070}]
    relay.add(rule)
    with place.target.inside():
        host = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    host.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    host.bind((place.far.b_ip, 6070))
    host.settimeout(10)
    sinks = [place.sink(1, COUNT), place.sink(1, COUNT, group=plus(OUT_GROUP, 50), port=6050,
                                              name="second")]
    place.generate(1, COUNT, 1000).succeed()
    for sink in sinks:
        expect_exact(sink)
    for _ in range(COUNT):
        expect_equal(len(host.recv(2048)), 1024, "bytes of a packet")
    host.close()


def interface_comes_and_goes(lab):
    """A rule whose interface is missing waits for it, and for its return; so does an output."""
    place = Place(lab)
    relay = Relay(lab, place.node)
    rule = {"name": "late", "inputs": [{"interface": "late0", "group": IN_GROUP, "port": 5001}],
            "outputs": [{"address": OUT_GROUP, "port": 6001, "interface": "late1"},
                        {"address": "ff12::1:1", "port": 6002, "interface": "late1"}]}
    expect("late0" in relay.must("add", rule=rule)["waiting"], "the reply says what it waits for")
    expect_equal(relay.must("list")["rules"][0]["state"], "waiting", "state")
    for times in range(2):
        near = lab.link(place.source, place.node)
        far = lab.link(place.node, place.target)
        for link, device, name, ip in ((near, near.b_device, "late0", near.b_ip),
                                       (far, far.a_device, "late1", far.a_ip)):
            place.node.ip(f"link set {device} down", f"link set {device} name {name}",
                          f"link set {name} up")
            place.node.set(f"net/ipv4/conf/{name}/rp_filter", "0")
            place.node.ip(f"route replace 10.77.{link.number}.0/24 dev {name}")
        place.target.set(f"net/ipv4/conf/{far.b_device}/rp_filter", "0")
        wait_for(lambda: relay.must("list")["rules"][0]["state"] == "live", "the rule is live")
        place.source_device, place.target_device = near.a_device, far.b_device
        # An output that was missing is looked for once a second.
        with place.sender(near.a_ip) as sender:
            for probe in (place.probe(OUT_GROUP, 6001), place.probe("ff12::1:1", 6002)):
                with probe:
                    wait_for(lambda p=probe: passes(sender, p), f"packets pass, time {times}")
        sink = place.sink(1, 100, name=f"sink{times}")
        place.generate(1, 100, 500, name=f"generator{times}").succeed()
        expect_exact(sink)
        place.node.ip("link del late0", "link del late1")
        wait_for(lambda: relay.must("list")["rules"][0]["state"] == "waiting", "it waits again")


def passes(sender, probe, port=IN_PORT):
    sender.sendto(b"?", (IN_GROUP, port))
    try:
        return probe.recv(10) == b"?"
    except TimeoutError:
        return False


def redundant_inputs(lab, match, *options):
    """The same stream by two ways, each of which loses packets: what either brought goes on, once."""
    place = Place(lab)
    second = lab.link(place.source, place.node)
    for which in ("all", second.b_device):
        place.node.set(f"net/ipv4/conf/{which}/rp_filter", "0")
    relay = Relay(lab, place.node)
    rule = place.rule(match=match)
    rule["inputs"].append({**rule["inputs"][0], "interface": second.b_device})
    relay.add(rule)
    sink = place.sink(1, COUNT, "--idle", "2s", *options)
    copy(place, second, options)
    total = result(sink)["total"]
    expect_equal(total["duplicated"], 0, "packets that came twice")
    expect_equal(total["lost"], -(-COUNT // 35), "packets that both ways have lost")


LAG = 150  # packets by which the second way is behind


def late_copies(lab):
    """The second way is behind; whoever gets the stream meanwhile knows the copies that are to
    come."""
    place = Place(lab)
    second = lab.link(place.source, place.node)
    place.node.set(f"net/ipv4/conf/{second.b_device}/rp_filter", "0")
    relay = Relay(lab, place.node)
    rule = place.rule(match="content")
    rule["inputs"].append({**rule["inputs"][0], "interface": second.b_device})
    relay.add(rule)
    probe = place.probe(OUT_GROUP, OUT_PORT)
    ways = [place.sender(ip) for ip in (place.near.a_ip, second.a_ip)]
    acts = [lambda times: relay.must("move", name="stream0", worker=times % 2),
            lambda times: relay.must("restart-worker", worker=times % 2),
            lambda times: relay.must("change", rule={**rule, "outputs": rule["outputs"] + [
                {"address": "239.20.0.1", "port": 7000 + times, "interface": place.output}]})]
    for number in range(COUNT + LAG):
        if number % 50 == 49:
            acts[number // 50 % len(acts)](number // 50)
        for way, packet in zip(ways, (number, number - LAG)):
            if 0 <= packet < COUNT:
                way.sendto(b"%d" % packet, (IN_GROUP, IN_PORT))
        time.sleep(0.001)  # the pace of a stream
    wait_for(lambda: relay.total()["received_packets"] == 2 * COUNT, "all packets have come")
    expect_equal(sorted(int(p) for p in received(probe)), list(range(COUNT)),
                 "packets that went on")


def received(probe):
    packets = []
    try:
        while True:
            packets.append(probe.recv(2048))
    except TimeoutError:
        return packets


def copy(place, second, options):
    """One generator's packets leave by both ways: the kernel duplicates them. Every fifth is lost
    by one of them, every seventh by the other, at the sender: packet sockets would see what is
    dropped where it comes in, and the sender would send again what is dropped where it leaves."""
    place.source.ip("link add nowhere type bridge", "link set nowhere up")
    udp = f"udp dport {IN_PORT}"
    hook = "type filter hook egress device"
    place.source.output(["nft", "add table netdev both; add chain netdev both one "
                         f"{{ {hook} {place.source_device} priority 0; }}; "
                         f"add rule netdev both one {udp} dup to {second.a_device}; "
                         f"add rule netdev both one {udp} numgen inc mod 5 == 0 fwd to nowhere; "
                         f"add chain netdev both two {{ {hook} {second.a_device} priority 0; }}; "
                         f"add rule netdev both two {udp} numgen inc mod 7 == 0 fwd to nowhere"])
    place.generate(1, COUNT, 1000, *options).succeed()


def rules_are_checked(lab):
    """What is no rule, or no rule beside the others, is refused in words, and changes nothing."""
    place, relay = start(lab, streams=2)
    good = place.rule(5)
    bad = [
        ("group", {"group": "10.1.1.1"}), ("port", {"port": 0}), ("port", {"port": 65536}),
        ("interface", {"interface": ""}), ("interface", {"interface": "a" * 16}),
        ("group", {"group": "239.1.1"}), ("source", {"source": "239.1.1.1"}),
        ("colour", {"colour": "red"}),
    ]
    for what, change in bad:
        relay.refuse(what, "add", rule={**good, "inputs": [{**good["inputs"][0], **change}]})
    relay.refuse("outputs", "add", rule={**good, "outputs": []})
    relay.refuse("stream0", "add", rule={**good, "name": "stream0"})
    relay.refuse("stream0", "add", rule={**good, "inputs": place.rule(0)["inputs"]})
    relay.refuse("nobody", "remove", name="nobody")
    relay.refuse("nobody", "change", rule={**good, "name": "nobody"})
    relay.refuse("op", "dance")
    relay.refuse("worker", "move", name="stream0", worker=9)
    expect_equal(relay.must("list")["total"], 2, "rules")
    there = {"name": "there", "inputs": [{"interface": place.input, "group": "239.9.0.1",
                                          "port": 9000}],
             "outputs": [{"address": "239.9.0.2", "port": 9000, "interface": place.output}]}
    back = {"name": "back", "inputs": [{"interface": place.output, "group": "239.9.0.2",
                                        "port": 9000}],
            "outputs": [{"address": "239.9.0.1", "port": 9000, "interface": place.input}]}
    relay.add(there)
    relay.refuse("loop", "add", rule=back)
    batch = relay.must("batch")["batch"]
    relay.must("add", rule=place.rule(10), batch=batch)
    relay.must("add", rule=place.rule(0), batch=batch)
    relay.refuse("stream0", "commit", batch=batch)
    expect_equal(relay.must("list")["total"], 3, "rules after a batch that failed")


def file_of_rules(lab):
    """save, --check, --config, SIGHUP and reload: the difference is what changes."""
    config = lab.folder / "rules.conf"
    place, relay = start(lab, streams=3)
    relay.must("save", file=str(config))
    check = [lab.bin_dir / "multicast_relay", "supervisor", "--check", "--config", config]
    expect("3 rules" in place.node.output(check), "--check counts the rules")
    relay.end()
    relay = Relay(lab, place.node, options=("--config", config), name="second")
    expect_equal([r["name"] for r in relay.must("list")["rules"]],
                 ["stream0", "stream1", "stream2"], "rules of the file")
    relay.must("remove", name="stream1")
    relay.add(place.rule(7))
    relay.process.signal(signal.SIGHUP)
    wait_for(lambda: {r["name"] for r in relay.must("list")["rules"]} ==
             {"stream0", "stream1", "stream2"}, "SIGHUP has read the file again")
    expect_equal(relay.must("reload"), {"ok": True, "added": 0, "changed": 0, "removed": 0},
                 "nothing differs")
    config.write_text(config.read_text().replace("5001", "0"))
    relay.refuse("rules.conf", "reload")
    expect_equal(relay.must("list")["total"], 3, "rules after a file that is wrong")
    done = place.node.run(check)
    expect(done.returncode == 2 and "rules.conf" in done.stderr, f"--check: {done}")


def many_rules(lab):
    """10,000 in one batch, beside streams that lose nothing by it."""
    count = 1000 if not lab.is_long else 10_000
    place, relay = start(lab)
    sink = place.sink(STREAMS, COUNT)
    generator = place.generate(STREAMS, COUNT, RATE)
    batch = relay.must("batch")["batch"]
    replies = relay.ask_all([{"op": "add", "batch": batch, "rule": {
        "name": f"more{n}", "inputs": [{"interface": place.input, "port": 10_000 + n % 50_000,
                                        "group": plus("239.100.0.0", n)}],
        "outputs": [{"address": plus("239.200.0.0", n), "port": 7000,
                     "interface": place.output}]}} for n in range(count)])
    expect(all(reply["ok"] for reply in replies), f"{replies[:1]}")
    expect_equal(relay.must("commit", batch=batch)["added"], count, "rules added")
    expect_equal(relay.must("list", count=1)["total"], count + STREAMS, "rules")
    page = relay.must("list", **{"from": count}, count=50)["rules"]
    expect(len(page) == STREAMS and all(r["state"] == "live" for r in page), f"{page[:1]}")
    generator.succeed()
    expect_exact(sink)
    batch = relay.must("batch")["batch"]
    relay.ask_all([{"op": "remove", "batch": batch, "name": f"more{n}"} for n in range(count)])
    expect_equal(relay.must("commit", batch=batch)["removed"], count, "rules removed")


def bad_clients(lab):
    """Lines that are no requests, lines without end, clients that never read: the others and the
    packets go on."""
    place, relay = start(lab)
    sink = place.sink(STREAMS, COUNT)
    generator = place.generate(STREAMS, COUNT, RATE)
    clients, refused = [], []
    for text in (b"{]\n", b"[1,2]\n", b"\0\1\2\n", b'{"op": 7}\n', b"x" * 1_000_000,
                 b'{"op": "' + b"x" * 1_000_000, b'{"op": "stats"}\n' * 20_000):
        client = socket.socket(socket.AF_UNIX)
        client.connect(relay.path)
        client.setblocking(False)
        try:
            client.send(text)
        except (BlockingIOError, BrokenPipeError):
            pass
        clients.append(client)
        if not text.startswith(b"{") or b"\n" not in text:
            refused.append((client, text[:20]))
    for _ in range(20):
        relay.must("ping")
    generator.succeed()
    expect_exact(sink)
    for client, text in refused:
        expect(is_hung_up_on(client), f"{text} keeps its connection")
    for client in clients:
        client.close()


def is_hung_up_on(client):
    client.setblocking(True)
    client.settimeout(10)
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def by_client(lab):
    """The real control_client commands the real relay: the plan's words, and what it says."""
    place = Place(lab)
    relay = Relay(lab, place.node)

    def client(words, *more, code=0):
        done = place.node.run([lab.bin_dir / "control_client", "--control-socket", relay.path,
                               *words.split(), *more])
        expect_equal(done.returncode, code, f"{words}: {done.stdout} {done.stderr}")
        return done.stdout + done.stderr

    add = (f"add --input-interface {{}} --input-group {IN_GROUP} --input-port {IN_PORT} "
           f"--ttl 3 --outputs {OUT_GROUP}:{OUT_PORT}:{place.output},239.20.0.1:7000:{place.output}")
    expect_equal(client(add.format(place.input), "--name", "tv1"), "added tv1\n", "reply")
    expect("already" in client(add.format(place.input), "--name", "tv1", code=1), "the same name")
    expect("nowhere0" in client(add.format("nowhere0"), "--name", "tv2"), "what tv2 waits for")
    sink = place.sink(1, 100)
    place.generate(1, 100, 500).succeed()
    expect_exact(sink)
    stats = json.loads(client("--json stats tv1"))["streams"][0]
    expect_equal((stats["received_packets"], stats["matched_packets"], stats["sent_packets"]),
                 (100, 100, 200), "packets received, matched and sent")
    expect(0 < stats["jitter_us"] < 2000 and stats["pps"] >= 0, f"jitter and rate: {stats}")
    for words, said in (("list", "nowhere0"), ("stats", "tv1"), ("workers", "live"),
                        ("ping", "version"), ("move tv1 1", "move: done"),
                        ("remove tv2", "remove: done"), ("shutdown", "shutdown: done")):
        expect(said in client(words), f"{words} says {said!r}")
    relay.process.succeed()


def load_is_shared(lab):
    """All that comes is for one of two workers, each on a processor of its own: soon both have like
    shares."""
    place = Place(lab)
    relay = Relay(lab, place.node)
    relay.ask_all([{"op": "add", "rule": place.rule(number)} for number in range(8)])
    at = {rule["name"]: rule["worker"] for rule in relay.must("list")["rules"]}
    heavy = [number for number in range(8) if at[f"stream{number}"] == 0]
    expect_equal(len(heavy), 4, f"streams of worker 0 of {at}")
    generators = [place.generate(1, 60 * 500, 500, group=plus(IN_GROUP, number),
                                 port=IN_PORT + number, name=f"generator{number}")
                  for number in heavy]  # until it is over

    def shares():
        return sorted(w["pps"] for w in relay.must("workers")["workers"])

    wait_for(lambda: shares()[1] > 1000, "one worker has all of the load")
    wait_for(lambda: shares()[0] > 0.8 * shares()[1] > 600, "both have like shares")
    places = [next(line.split()[1] for line in open(f"/proc/{pid}/status", encoding="ascii")
                   if line.startswith("Cpus_allowed_list")) for pid in relay.pids().values()]
    expect(all(one.isdigit() for one in places), f"processors of the workers: {places}")
    expect(len(set(places)) == min(2, len(os.sched_getaffinity(0))), f"they are {places}")
    for generator in generators:
        generator.kill()


def own_packets(lab):
    """Two networks are one behind the relay: what it has sent comes in again, and goes no further.
    A rule that another one feeds takes it."""
    place = Place(lab)
    relay = Relay(lab, place.node)
    back = lab.link(place.target, place.node)
    place.node.set(f"net/ipv4/conf/{back.b_device}/rp_filter", "0")
    place.node.set("net/ipv4/conf/all/accept_local", "1")
    place.target.ip("link add joined type bridge mcast_snooping 0",
                    f"link set {place.target_device} master joined",
                    f"link set {back.a_device} master joined", "link set joined up",
                    f"addr add {place.far.b_ip}/24 dev joined")
    place.target_device = "joined"
    relay.add(place.rule())
    # The same group and port by another interface, which no rule writes to.
    relay.add({"name": "round", "inputs": [{"interface": back.b_device, "group": OUT_GROUP,
                                            "port": OUT_PORT}],
               "outputs": [{"address": OUT_GROUP, "port": OUT_PORT + 1,
                            "interface": place.output}]})
    sinks = [place.sink(1, 100), place.sink(1, 1, "--idle", "1s", port=OUT_PORT + 1,
                                            name="second")]
    place.generate(1, 100, 500).succeed()
    expect_exact(sinks[0])
    expect_equal(result(sinks[1])["total"]["received"], 0, "own packets that went on")
    looped = relay.must("stats", name="round")["streams"][0]
    expect_equal(looped["drops"]["loop"], 100, f"packets known as own ones of {looped}")
    relay.add({"name": "chained", "inputs": [{"interface": place.output, "group": OUT_GROUP,
                                              "port": OUT_PORT}],
               "outputs": [{"address": OUT_GROUP, "port": 7000, "interface": place.output}]})
    sink = place.sink(1, 100, port=7000, name="third")
    place.generate(1, 100, 500, name="again").succeed()
    expect_exact(sink)


def own_output(lab):
    """What is sent to a bridge leaves by it, and is taken in by a rule for it once."""
    place = Place(lab, is_bridged=True)
    relay = Relay(lab, place.node)
    relay.add(place.rule())
    relay.add({"name": "chained", "inputs": [{"interface": place.output, "group": OUT_GROUP,
                                              "port": OUT_PORT}],
               "outputs": [{"address": OUT_GROUP, "port": 7000, "interface": place.output}]})
    sinks = [place.sink(1, COUNT), place.sink(1, COUNT, port=7000, name="second")]
    place.generate(1, COUNT, 1000).succeed()
    for sink in sinks:
        expect_exact(sink)
    expect_equal(relay.end(), (2 * COUNT, 2 * COUNT), "packets matched and sent")


def reverse_path(lab, path):
    """A strict reverse path filter drops packets before UDP sees them; rings see them."""
    place = Place(lab)
    place.node.set(f"net/ipv4/conf/{place.input}/rp_filter", "1")
    place.node.ip(f"route add {place.near.a_ip}/32 dev {place.output}")
    relay = Relay(lab, place.node, name="sockets")
    relay.add(place.rule())
    place.generate(1, 100, 500).succeed()
    expect_equal(relay.end(), (0, 0), "packets that UDP sockets have got")
    relay = Relay(lab, place.node, options=("--rx", path))
    relay.add(place.rule())
    sink = place.sink(1, COUNT)
    place.generate(1, COUNT, 1000, name="again").succeed()
    expect_exact(sink)
    expect_equal(relay.end(), (COUNT, COUNT), f"packets that came by --rx {path}")


def fragments(lab):
    """Longer than the link takes, IPv4: whole again before it is relayed."""
    place = Place(lab)
    relay = Relay(lab, place.node)
    relay.add(place.rule())
    sink = place.sink(1, COUNT)
    place.generate(1, COUNT, 200, size=4000).succeed()
    expect_exact(sink)
    expect_equal(relay.end(), (COUNT, COUNT), "packets matched and sent")


def link_flaps(lab):
    """The input goes down and comes up: what comes then is relayed."""
    place, relay = start(lab)
    place.node.ip(f"link set {place.input} down", f"link set {place.input} up")
    wait_for(lambda: "LOWER_UP" in place.node.output(["ip", "link", "show", place.input]),
             "the link is up")
    sink = place.sink(STREAMS, COUNT)
    place.generate(STREAMS, COUNT, RATE).succeed()
    expect_exact(sink)
    relay.end()


def metrics(lab):
    place, relay = start(lab, streams=1)
    sink = place.sink(1, 100)
    place.generate(1, 100, 500).succeed()
    expect_exact(sink)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(relay.path)
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b""
        while more := client.recv(65536):
            text += more
    for line in ('mcast_sent_packets_total{rule="stream0"} 100', 'mcast_live{rule="stream0"} 1',
                 'mcast_jitter_seconds{rule="stream0"} 0.', 'mcast_drops_total{rule="stream0",'
                 'reason="loop"} 0', 'mcast_worker_up{worker="1"} 1', 'mcast_rules 1',
                 'mcast_ring_drops_total{reason="queue"} 0'):
        expect(line.encode() in text, f"{line}: not in {text!r}")
    expect(os.stat(relay.path).st_mode & 0o777 == 0o660, "the mode of the control socket")
    second = place.node.run([lab.bin_dir / "multicast_relay", "supervisor", "--control-socket",
                             relay.path])
    expect(second.returncode == 2, "a second relay at the same socket ends")


def interface_returns_unseen(lab):
    """Another interface of an input's name comes while there is no supervisor: the next one joins
    there."""
    place, relay = start(lab, streams=1)
    relay.must("detach")
    relay.process.succeed()
    place.node.ip(f"link del {place.input}")
    near = lab.link(place.source, place.node)
    place.node.ip(f"link set {near.b_device} down", f"link set {near.b_device} name {place.input}",
                  f"link set {place.input} up")
    place.node.set(f"net/ipv4/conf/{place.input}/rp_filter", "0")
    place.source_device = near.a_device
    relay.start()
    expect_equal(relay.must("list")["rules"][0]["state"], "live", "state")
    sink = place.sink(1, 100)
    place.generate(1, 100, 500).succeed()
    expect_exact(sink)


def all_renamed(lab):
    """One batch that puts as many new rules in the place of all: their slots are free only later."""
    count = 300 if not lab.is_long else 10_000
    place = Place(lab)
    relay = Relay(lab, place.node)

    def change(op, name):
        batch = relay.must("batch")["batch"]
        relay.ask_all([{"op": "remove", "name": f"{op}{n}", "batch": batch}
                       for n in range(count) if op != "first"])
        replies = relay.ask_all([{"op": "add", "batch": batch, "rule": {
            **place.rule(n % 50_000), "name": f"{name}{n}"}} for n in range(count)])
        expect(all(reply["ok"] for reply in replies), f"{replies[:1]}")
        expect_equal(relay.must("commit", batch=batch)["added"], count, "rules added")

    change("first", "old")
    change("old", "new")
    wait_for(lambda: all(rule["state"] == "live" for rule in
                         relay.must("list", count=count)["rules"]), "all rules are live")
    sink = place.sink(STREAMS, 100)
    place.generate(STREAMS, 100, 500).succeed()
    expect_exact(sink)


def removed_stay_away(lab):
    """What was removed just before a supervisor leaves is not there for the next one, and what was
    added is."""
    place, relay = start(lab, streams=200)
    batch = relay.must("batch")["batch"]
    relay.ask_all([{"op": "remove", "batch": batch, "name": f"stream{n}"} for n in range(199)])
    relay.ask_all([{"op": "add", "batch": batch, "rule": place.rule(n)} for n in range(300, 400)])
    relay.must("commit", batch=batch)
    relay.must("detach")
    relay.process.succeed()
    relay.start()
    expect_equal({rule["name"] for rule in relay.must("list")["rules"]},
                 {f"stream{n}" for n in (199, *range(300, 400))}, "rules that were taken over")


def ended_while_taking_over(lab):
    """SIGTERM while a supervisor waits for workers: it ends, and so do they."""
    _, relay = start(lab, streams=3)
    pids = relay.pids().values()
    relay.process.kill()
    relay.launch()
    wait_for(lambda: "awaited" in relay.process.log(), "it waits for workers")
    relay.process.signal(signal.SIGTERM)
    relay.process.succeed()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids),
             "the workers have ended")


def stopped_worker(lab):
    """A worker that does not end when it is told to is killed, and the supervisor ends."""
    _, relay = start(lab, streams=3)
    os.kill(relay.pids()[0], signal.SIGSTOP)
    relay.end()


def several_queues(lab):
    """The input's driver has two queues, and streams come by both."""
    place = Place(lab)
    for node, device in ((place.source, place.source_device), (place.node, place.input)):
        node.output(["ethtool", "-L", device, "rx", "2", "tx", "2"])
    relay = Relay(lab, place.node, options=("--rx", "xdp"))
    relay.ask_all([{"op": "add", "rule": place.rule(number)} for number in range(STREAMS)])
    under_traffic(move_all, place, relay)
    counts = dict(line.strip().split(":") for line in
                  place.node.output(["ethtool", "-S", place.input]).splitlines()[1:])
    used = [int(counts[f"rx_queue_{queue}_xdp_packets"]) for queue in range(2)]
    expect(all(used), f"packets by queue: {used}")
    expect_equal(relay.end(), (STREAMS * COUNT, STREAMS * COUNT), "packets matched and sent")


def occupied(lab):
    """Another program is at the input's driver: it is said, and packets come by the sockets."""
    place = Place(lab)
    first = Relay(lab, place.node, options=("--rx", "xdp"), name="first")
    first.add(place.rule())
    second = Relay(lab, place.node, options=("--rx", "xdp"), name="second")
    second.add(place.rule(1))
    expect("its packets come by sockets" in second.process.log(), second.process.log())
    sink = place.sink(2, COUNT)
    generator = place.generate(2, COUNT, RATE)
    times = 0
    while generator.is_running():
        for number, relay in enumerate((first, second)):
            relay.must("move", name=f"stream{number}", worker=times % 2)
        times += 1
    generator.succeed()
    expect_exact(sink)


def other_buffer(lab, path):
    """A supervisor that was told of other buffers takes over: new workers share rings that have the
    old size."""
    place, relay = start(lab, options=("--rx", path, "--receive-buffer", "2M"))
    sink = place.sink(STREAMS, COUNT)
    generator = place.generate(STREAMS, COUNT, RATE)
    for size in ("64K", "8M"):
        relay.must("detach")
        relay.process.succeed()
        relay.options = ("--rx", path, "--receive-buffer", size)
        relay.start()
        for worker in (0, 1):
            restart_workers(relay, place, worker)
    generator.succeed()
    expect_exact(sink)
    expect_equal(relay.end(), (STREAMS * COUNT, STREAMS * COUNT), "packets matched and sent")


def by_path(lab, path, run, *arguments):
    """The same, by another receive path."""
    lab.relay_options = ("--rx", path)
    run(lab, *arguments)


ACTS = (move_all, restart_workers, add_and_remove, detach, kill_supervisor)
ANY_PATH = [
    Scenario("exactly_once", exactly_once, (False,)),
    Scenario("bridges", exactly_once, (True,)),
    Scenario("bursts", exactly_once, (True, "--burst", "8")),
    Scenario("segments", exactly_once, (False, "--burst", "8", "--gso")),
    *(Scenario(act.__name__, counters_stay, (act,)) for act in ACTS),
    Scenario("change_outputs", outputs_change),
    Scenario("kill_worker", kill_worker),
    Scenario("ipv6_and_source", ipv6_and_source),
    Scenario("several_outputs", several_outputs),
    Scenario("interface_comes_and_goes", interface_comes_and_goes),
    Scenario("redundant_rtp", redundant_inputs, ("rtp", "--rtp")),
    Scenario("redundant_content", redundant_inputs, ("content",)),
    Scenario("late_copies", late_copies),
    Scenario("interface_returns_unseen", interface_returns_unseen),
    Scenario("rules_are_checked", rules_are_checked),
    Scenario("file_of_rules", file_of_rules),
    Scenario("many_rules", many_rules, limit_s=120),
    Scenario("all_renamed", all_renamed, limit_s=120),
    Scenario("removed_stay_away", removed_stay_away),
    Scenario("bad_clients", bad_clients),
    Scenario("own_packets", own_packets),
    Scenario("own_output", own_output),
    Scenario("fragments", fragments),
    Scenario("link_flaps", link_flaps),
    Scenario("metrics", metrics),
]
SCENARIOS = [
    *ANY_PATH,
    *(one._replace(name=f"{path}_{one.name}", run=by_path, arguments=(path, one.run, *one.arguments),
                   is_sampled=True)
      for path in ("packet", "xdp") for one in ANY_PATH),
    Scenario("by_client", by_client),
    Scenario("load_is_shared", load_is_shared),
    Scenario("ended_while_taking_over", ended_while_taking_over),
    Scenario("stopped_worker", stopped_worker),
    Scenario("xdp_several_queues", several_queues),
    Scenario("xdp_occupied", occupied),
    *(Scenario(f"{path}_other_buffer", other_buffer, (path,)) for path in ("packet", "xdp")),
    *(Scenario(f"{path}_reverse_path", reverse_path, (path,)) for path in ("packet", "xdp")),
]

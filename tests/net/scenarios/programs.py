"""Other real programs: iperf3, redis-benchmark with pipelining, socat.

                       +-- relay1 --+
    client -- ingress -+-- relay2 --+- egress -- server
                       +-- relay3 --+
"""

import csv
import json
import os

from chain import Chain
from lab import expect, expect_equal
from peers import MB, make_file
from scenario import Scenario


def iperf(lab, more):
    """Every stream moves. iperf3 ends all of them as soon as one direction has sent what was asked
    for, and counts nothing from then on: the rest is in buffers, and the other direction of
    --bidir may be anywhere. That every byte of many streams arrives is for many.sessions_*."""
    chain = Chain(lab).ready()
    host, port = chain.target
    server = chain.server.start("iperf3-server", ["iperf3", "-s", "-1", "-p", port])
    chain.server.wait_open_port(port)
    wanted = (512 if lab.is_long else 64) * MB
    result = json.loads(chain.client.output(["iperf3", "-J", "-c", chain.entry[0],
                                             "-p", chain.entry[1], "-n", wanted, *more]))
    expect("error" not in result, f"iperf3: {result.get('error')}")
    end = result["end"]
    sums = [(end["sum_sent" + way]["bytes"], end["sum_received" + way]["bytes"])
            for way in ("", "_bidir_reverse") if "sum_sent" + way in end]
    sent, got = max(sums)
    expect(sent >= wanted and got >= wanted // 10,
           f"of {wanted} bytes {sent} were sent and {got} counted by the receiver")
    for stream in end["streams"]:
        sent, got = stream["sender"]["bytes"], stream["receiver"]["bytes"]
        expect(0 < got <= sent, f"stream {stream['sender']['socket']}: got {got} of {sent} bytes")
    server.succeed()


def start_redis(chain):
    host, port = chain.target
    chain.server.start("redis-server", ["redis-server", "--bind", host, "--port", port,
                                        "--save", "", "--appendonly", "no",
                                        "--protected-mode", "no"])
    chain.server.wait_open(host, port)


def redis_benchmark(lab):
    chain = Chain(lab).ready()
    start_redis(chain)
    count = 200_000 if lab.is_long else 20_000
    output = chain.client.output(["redis-benchmark", "-h", chain.entry[0], "-p", chain.entry[1],
                                  "-P", 16, "-c", 50, "-n", count, "-t", "set,get", "--csv"])
    rows = {row["test"]: float(row["rps"]) for row in csv.DictReader(output.splitlines())}
    expect_equal(sorted(rows), ["GET", "SET"], "tests that redis-benchmark finished")
    expect(min(rows.values()) > 0, f"requests per second: {rows}")


def redis_value(lab):
    """A large value comes back as it was set."""
    chain = Chain(lab).ready()
    start_redis(chain)
    value = os.urandom(8 * MB)
    with chain.dial() as peer, peer.makefile("rb") as replies:
        peer.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%b\r\n" % (len(value), value))
        expect_equal(replies.readline(), b"+OK\r\n", "reply to SET")
        peer.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
        expect_equal(replies.readline(), b"$%d\r\n" % len(value), "length of GET")
        expect(replies.read(len(value)) == value, "the value differs")


def socat_half_close(lab):
    """Like scp: the answer (a hash of all) can only be given after the client's end."""
    chain = Chain(lab).ready()
    host, port = chain.target
    wanted = make_file(lab.folder / "big", (512 if lab.is_long else 32) * MB)
    chain.server.start("socat", ["socat", "-t60", f"TCP-LISTEN:{port},bind={host},reuseaddr,fork",
                                 "EXEC:sha256sum"])
    chain.server.wait_open_port(port)
    entry = f"TCP:{chain.entry[0]}:{chain.entry[1]}"
    with open(lab.folder / "big", "rb") as data:
        answer = chain.client.output(["socat", "-t60", "-", entry], stdin=data)
    expect_equal(answer.split()[:1], [wanted], "the server's SHA-256")


SCENARIOS = [
    Scenario("iperf3_up", iperf, ([],)),
    Scenario("iperf3_down", iperf, (["--reverse"],)),
    Scenario("iperf3_both_4", iperf, (["--bidir", "-P", "4"],)),
    Scenario("redis_benchmark", redis_benchmark, limit_s=90),
    Scenario("redis_value", redis_value),
    Scenario("socat_half_close", socat_half_close, limit_s=90),
]

"""control_client against a relay that is played here: the words of each operation become the right
lines, replies are shown, batches are sent without waiting and apply as a whole, and whatever the
relay does, a clear line comes of it. One namespace, no links.

    one: control_client, and a unix socket
"""

import contextlib
import json
import socket
import threading

from lab import expect, expect_equal
from scenario import Scenario

CLIENT = "control_client"
TIMEOUT = ("--timeout", "20s")
INPUT = "--input-interface br0 --input-group 239.1.1.1 --input-port 5001"
RULE = INPUT + " --outputs 239.10.1.1:6001:br1"
NAME = "239.1.1.1:5001@br0"
MANY = 10_000


class Relay:
    """Listens at a path; every line of every connection is kept, and answered by
    `answer(request)`: a reply, bytes to be sent as they are, or None for none at all. An answer that
    raises HangUp ends the connection."""

    def __init__(self, lab, answer):
        self.path = lab.folder / "relay.sock"
        self.path.unlink(missing_ok=True)
        self.answer, self.asked = answer, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        with contextlib.suppress(OSError):  # it was closed
            while True:
                connection, _ = self.listener.accept()
                with connection, contextlib.suppress(HangUp, OSError):
                    self.talk(connection)

    def talk(self, connection):
        for line in connection.makefile("rb"):
            request = json.loads(line)
            self.asked.append(request)
            reply = self.answer(request)
            if reply is not None:
                connection.sendall(reply if isinstance(reply, bytes)
                                   else json.dumps(reply).encode() + b"\n")

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


class HangUp(Exception):
    pass


def ok(**body):
    return {"ok": True, **body}


def no(code, error):
    return {"ok": False, "code": code, "error": error}


def run(lab, words, relay=None, **more):
    words = words.split() if isinstance(words, str) else words
    path = relay.path if relay else lab.folder / "relay.sock"
    return lab.nodes["one"].run([lab.bin_dir / CLIENT, "--control-socket", path, *TIMEOUT, *words],
                                **more)


@contextlib.contextmanager
def relay_of(lab, answer):
    if "one" not in lab.nodes:
        lab.node("one")
    relay = Relay(lab, answer)
    try:
        yield relay
    finally:
        relay.close()


def expect_ended(done, code, *lines):
    """`lines` have to be in those of standard error, one in each, and there are no others."""
    found = done.stderr.splitlines()
    expect(done.returncode == code and len(found) == len(lines)
           and all(text in line for text, line in zip(lines, found)),
           f"exit code {done.returncode}, expected {code}; standard error {found}, expected "
           f"{list(lines)}; standard output {done.stdout[:300]!r}")


RULES = [
    {"name": "tv1", "inputs": [{"interface": "br0", "group": "239.1.1.1", "port": 5001}],
     "outputs": [{"address": "239.10.1.1", "port": 6001, "interface": "br1"},
                 {"address": "ff15::1", "port": 6001, "interface": "br1"}],
     "state": "live", "worker": 1},
    {"name": "tv2", "match": "rtp",
     "inputs": [{"interface": "br0", "group": "ff15::2", "port": 5001, "source": "fd00::9"},
                {"interface": "br9", "group": "ff15::2", "port": 5001, "source": "fd00::9"}],
     "outputs": [{"address": "10.0.0.5", "port": 6001}], "state": "waiting",
     "why": "br9 is \x1b[31mmissing"},
]
STREAMS = [
    {"name": "tv1", "received_packets": 10, "matched_packets": 9, "sent_packets": 18,
     "sent_bytes": 1024, "pps": 100, "bps": 2_000_000, "drops": {"copy": 1, "busy": 0},
     "jitter_us": 250, "idle_ms": 100},
]


def part(rows, request):
    return rows[request["from"]:request["from"] + request["count"]]


def play(request):
    """All operations, as a relay that is well."""
    op = request["op"]
    if op in ("add", "change"):
        return ok(name=request["rule"].get("name", "?"))
    if op == "list":
        return ok(rules=part(RULES, request), total=len(RULES))
    if op == "stats":
        if "name" in request:
            return ok(streams=STREAMS)
        return ok(streams=part(STREAMS, request), total={"sent_packets": 18})
    return {
        "ping": ok(pid=7, version="1.2", uptime_s=3),
        "workers": ok(workers=[{"index": 0, "pid": 8, "streams": 2, "pps": 100, "busy": 0.25,
                                "turns": 40, "state": "live", "queue_drops": 1, "damaged": 2,
                                "strays": 3}]),
        "batch": ok(batch=5),
        "commit": ok(added=2, changed=0, removed=1),
        "reload": ok(added=1, changed=2, removed=3),
        "save": ok(file=request.get("file", "/etc/relay.conf"), count=2),
        "remove": no("not_found", "no such rule") if request.get("name") == "none" else ok(),
    }.get(op, ok())


# words, the requests that come of them (a function of the folder where a file is named), the output
def conversation(folder):
    both = {"inputs": [{"interface": "br0", "group": "239.1.1.1", "port": 5001,
                        "source": "10.0.0.9"},
                       {"interface": "br2", "group": "239.1.1.2", "port": 5002,
                        "source": "10.0.0.9"}],
            "match": "rtp", "name": "tv1",
            "outputs": [{"address": "ff15::1", "port": 6001, "interface": "br1", "ttl": 3}]}
    rule = {"name": NAME, "outputs": [{"address": "239.10.1.1", "port": 6001, "interface": "br1"}],
            "inputs": [{"interface": "br0", "group": "239.1.1.1", "port": 5001}]}
    start = {"from": 0, "count": 200}
    return [
        ("ping", [{"op": "ping"}], "version 1.2, process 7, up for 3 s\n"),
        (f"add {RULE}", [{"op": "add", "rule": rule}], f"added {NAME}\n"),
        (f"change {INPUT} --source=10.0.0.9 --second-interface br2 --second-group 239.1.1.2 "
         "--second-port=5002 --match rtp --outputs [ff15::1]:6001:br1 --ttl 3 --name tv1",
         [{"op": "change", "rule": both}], "changed tv1\n"),
        ("remove tv1", [{"op": "remove", "name": "tv1"}], "remove: done\n"),
        (f"remove {INPUT}", [{"op": "list", **start}, {"op": "list", **start, "from": 2},
                             {"op": "remove", "name": "tv1"}], "remove: done\n"),
        ("remove --input-interface br9 --input-group ff15::2 --input-port 5001 --source fd00::9",
         [{"op": "list", **start}, {"op": "list", **start, "from": 2},
          {"op": "remove", "name": "tv2"}], "remove: done\n"),
        ("list", [{"op": "list", **start}, {"op": "list", **start, "from": 2}],
         "NAME  STATE    WORKER  INPUT                       SECOND                    "
         "  MATCH  OUTPUTS                 WHY\n"
         "tv1   live          1  239.1.1.1:5001@br0          -                         "
         "  -      239.10.1.1:6001@br1 +1  -\n"
         "tv2   waiting       -  fd00::9/[ff15::2]:5001@br0  fd00::9/[ff15::2]:5001@br9"
         "  rtp    10.0.0.5:6001           br9 is ?[31mmissing\n"
         "2 rules\n"),
        ("stats tv1", [{"op": "stats", "name": "tv1"}],
         "NAME  PPS        RATE  RECEIVED  MATCHED  SENT    BYTES   JITTER   IDLE  DROPS\n"
         "tv1   100  2.0 Mbit/s        10        9    18  1.0 KiB  0.25 ms  0.1 s  copy 1\n"),
        ("workers", [{"op": "workers"}],
         "WORKER  PID  STREAMS  PPS    BUSY  STATE  LOST  DAMAGED  STRAYS\n"
         "     0    8        2  100  25.0 %  live      1        2       3\n"),
        ("move tv1 3", [{"op": "move", "name": "tv1", "worker": 3}], "move: done\n"),
        ("restart-worker 0", [{"op": "restart-worker", "worker": 0}], "restart-worker: done\n"),
        ("save", [{"op": "save"}], "2 rules in /etc/relay.conf\n"),
        ("save rules.conf", [{"op": "save", "file": f"{folder}/rules.conf"}],
         f"2 rules in {folder}/rules.conf\n"),
        ("reload", [{"op": "reload"}], "1 added, 2 changed, 3 removed\n"),
        ("detach", [{"op": "detach"}], "detach: done\n"),
        ("shutdown", [{"op": "shutdown"}], "shutdown: done\n"),
        ("--json ping", [{"op": "ping"}], '{"ok":true,"pid":7,"version":"1.2","uptime_s":3}\n'),
        ("--json stats", [{"op": "stats", **start}, {"op": "stats", **start, "from": 1}],
         json.dumps(ok(streams=STREAMS, total={"sent_packets": 18}), separators=(",", ":"))
         + "\n"),
    ]


def operations(lab):
    """Each one's request and its words for people."""
    with relay_of(lab, play) as relay:
        for words, requests, output in conversation(lab.folder):
            relay.asked.clear()
            done = run(lab, words, relay)
            expect_ended(done, 0)
            expect_equal(relay.asked, requests, f"what {words!r} asked")
            if words.startswith("--json"):
                expect_equal(json.loads(done.stdout), json.loads(output), words)
            else:
                got = [line.rstrip() for line in done.stdout.splitlines()]
                expect_equal(got, [line.rstrip() for line in output.splitlines()], words)
        done = run(lab, "remove none", relay)
        expect_ended(done, 1, "control_client: remove: not_found: no such rule")
        done = run(lab, "--json remove none", relay)
        expect_ended(done, 1)
        expect_equal(json.loads(done.stdout), no("not_found", "no such rule"), "reply")


def watch(lab):
    """stats --watch asks again and again, until the relay says no."""
    left = [3]

    def answer(request):
        left[0] -= 1
        return ok(streams=STREAMS) if left[0] else no("busy", "it is ending")

    with relay_of(lab, answer) as relay:
        done = run(lab, "stats tv1 --watch 100ms", relay)
        expect_ended(done, 1, "stats: busy: it is ending")
        expect_equal(done.stdout.count("tv1 "), 2, "samples")


def batch_text(count):
    lines = ["# rules of a test\n", "\n", "  \t# and a comment behind blanks\r\n"]
    lines += [f"add --input-interface br0 --input-group 239.1.{i // 250}.{i % 250} --input-port 5001"
              f" --outputs 239.10.{i // 250}.{i % 250}:6001:br1 --name tv{i} # {i}\n"
              for i in range(count)]
    return "".join(lines)


def batch(lab):
    """Many lines from a file and from standard input, in one batch and in their order."""
    with relay_of(lab, play) as relay:
        (lab.folder / "rules.txt").write_text(batch_text(MANY))
        done = run(lab, "batch rules.txt", relay)
        expect_ended(done, 0)
        expect_equal(done.stdout, "2 added, 0 changed, 1 removed\n", "output")
        expect_equal([r["op"] for r in relay.asked], ["batch"] + ["add"] * MANY + ["commit"],
                     "operations")
        expect_equal([r["rule"]["name"] for r in relay.asked[1:-1]],
                     [f"tv{i}" for i in range(MANY)], "rules, in their order")
        expect_equal({r["batch"] for r in relay.asked[1:]}, {5}, "the batch's number")
        relay.asked.clear()
        done = run(lab, "--json batch -", relay,
                   input=f"remove {INPUT}\nadd {RULE}\nchange {RULE} --name tv7\nremove none2\n")
        expect_ended(done, 0)
        expect_equal(json.loads(done.stdout), ok(added=2, changed=0, removed=1), "reply")
        expect_equal([(r["op"], r.get("name")) for r in relay.asked],
                     [("list", None), ("list", None), ("batch", None), ("remove", "tv1"),
                      ("add", None), ("change", None), ("remove", "none2"), ("commit", None)],
                     "operations")


def batch_is_pipelined(lab):
    """A relay that says nothing before it has been told all: nobody waits for a reply in between."""
    told = []

    def answer(request):
        if request["op"] in ("batch", "commit"):
            return play(request)
        told.append(request)
        if len(told) < 300:
            return None
        return b'{"ok":true}\n' * 300

    with relay_of(lab, answer) as relay:
        done = run(lab, "batch -", relay, input=batch_text(300))
        expect_ended(done, 0)


def batch_errors(lab):
    """The file's own mistakes: line by line, and nothing is sent."""
    with relay_of(lab, play) as relay:
        text = (f"add {RULE}\nadd {RULE.replace('5001', '0')}\n# fine\ndance\nremove\n"
                f"change {RULE}\n")
        (lab.folder / "bad.txt").write_text(text)
        expect_ended(run(lab, "batch bad.txt", relay), 2,
                     'bad.txt:2: --input-port "0": expected a port from 1 to 65535',
                     'bad.txt:4: "dance", expected add, change or remove',
                     "bad.txt:5: remove: --input-interface is missing",
                     "bad.txt:6: change: --name is missing", "bad.txt: nothing was sent")
        done = run(lab, "batch -", relay, input="dance\n" * 50)
        expect_equal((done.returncode, len(done.stderr.splitlines())), (2, 22), done.stderr[-200:])
        expect("30 more lines" in done.stderr, done.stderr)
        expect_ended(run(lab, "batch -", relay, input="x" * 100_000), 2,
                     "standard input:1: expected text of less than 65536 bytes a line",
                     "nothing was sent")
        expect_ended(run(lab, "batch -", relay, input="ping\0\n"), 2, "standard input:1: expected",
                     "nothing was sent")
        expect_ended(run(lab, "batch nowhere.txt", relay), 2, "nowhere.txt: No such file")
        expect_ended(run(lab, "batch .", relay), 2, "cannot be read: Is a directory")
        expect_equal(relay.asked, [], "what was sent")
        expect_ended(run(lab, "batch -", relay, input="# nothing\n"), 0)


def batch_refusals(lab):
    """What the relay refuses: told with the file's line, and the batch is aborted."""
    def answer(request):
        if request["op"] == "add" and request["rule"]["name"] in ("tv3", "tv4"):
            return no("exists", f"{request['rule']['name']} is there")
        if request["op"] == "commit":
            return no("loop", 'rule "tv1": in a loop')
        return play(request)

    with relay_of(lab, answer) as relay:
        done = run(lab, "batch -", relay, input=batch_text(10))
        expect_ended(done, 1, "standard input:7: exists: tv3 is there",
                     "standard input:8: exists: tv4 is there", "nothing was applied")
        expect_equal((relay.asked[-1]["op"], relay.asked[-1]["batch"]), ("abort", 5), "the end")
        done = run(lab, "--json batch -", relay, input=batch_text(10))
        expect_equal((done.returncode, json.loads(done.stdout)),
                     (1, no("exists", "tv3 is there")), "with --json")
        done = run(lab, "batch -", relay, input=batch_text(3))
        expect_ended(done, 1, 'standard input:5: loop: rule "tv1": in a loop',
                     "nothing was applied")
    with relay_of(lab, lambda request: no("busy", "another batch")) as relay:
        done = run(lab, "batch -", relay, input=batch_text(3))
        expect_ended(done, 1, "standard input: busy: another batch", "nothing was applied")
        expect_equal(len(relay.asked), 1, "requests")


def relays_that_are_ill(lab):
    """One that dies at any point, is mute, talks nonsense, or is not there."""
    def dying(at):
        def answer(request):
            if request["op"] == at:
                raise HangUp
            return play(request)
        return answer

    def mute(request):
        return None if request["op"] in ("ping", "commit") else play(request)

    gone = "it closed the connection without an answer"
    for at, what in (("batch", "nothing was applied"), ("add", "nothing was applied"),
                     ("commit", "whether it was applied is not known")):
        with relay_of(lab, dying(at)) as relay:
            done = run(lab, "batch -", relay, input=batch_text(3000))
            expect_ended(done, 2, f"relay.sock: {gone}; {what}")
    with relay_of(lab, dying("ping")) as relay:
        expect_ended(run(lab, "ping", relay), 2, f"relay.sock: {gone}")
    with relay_of(lab, mute) as relay:
        expect_ended(run(lab, "--timeout 100ms ping", relay), 2, "relay.sock: no answer in time")
        expect_ended(run(lab, "--timeout 100ms batch -", relay, input=batch_text(3)), 2,
                     "no answer in time; whether it was applied is not known")
    for nonsense in (b"hello\n", b"[]\n", b'{"ok":1}\n', b"\xff\n"):
        with relay_of(lab, lambda request, reply=nonsense: reply) as relay:
            expect_ended(run(lab, "ping", relay), 2, "what answers there is no comm socket")
    with relay_of(lab, lambda request: ok(rules=[7, {}, {"inputs": 7, "outputs": [{}]}])) as relay:
        done = run(lab, "list", relay)  # and it has no end
        expect_equal(done.returncode, 0, done.stderr)
    expect_ended(run(lab, "ping"), 2, "cannot connect: nobody listens there")
    (lab.folder / "relay.sock").unlink()
    expect_ended(run(lab, "ping"), 2, "cannot connect: there is no such socket")


SCENARIOS = [
    Scenario("operations", operations),
    Scenario("watch", watch),
    Scenario("batch", batch),
    Scenario("batch_is_pipelined", batch_is_pipelined),
    Scenario("batch_errors", batch_errors),
    Scenario("batch_refusals", batch_refusals),
    Scenario("relays_that_are_ill", relays_that_are_ill),
]

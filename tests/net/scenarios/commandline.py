"""Command lines: the wrong ones end with exit code 2 and exactly one line that has the value in
it; what asks for words gets them. One namespace, no links.

    one: a module at a time, loopback only
"""

import pathlib
import re
import subprocess

from chain import CONTROLLER, EGRESS, INGRESS, PROXY
from lab import expect, expect_equal
from scenario import Scenario

MAN = pathlib.Path(__file__).resolve().parents[3] / "man"
EMULATOR, ECHO = "link_emulator", ("echo_server", "echo_client")
TRAFFIC = ("traffic_generator", "traffic_sink")
CLIENT, RELAY = "control_client", "multicast_relay"
GOOD = {
    INGRESS: "1 2 127.0.0.1 5001 0 127.0.0.1 7001 1 127.0.0.1 7002 2 127.0.0.1 9000",
    PROXY: "1 1 127.0.0.1 7001 1 127.0.0.1 7002 1 127.0.0.1 9000",
    EGRESS: "2 1 127.0.0.1 7001 1 127.0.0.1 7002 2 127.0.0.1 8080 0 127.0.0.1 9000",
}
RULE = ("add --input-interface br0 --input-group 239.1.1.1 --input-port 5001 "
        "--outputs 239.10.1.1:6001:br1")
# (program, words, what the line must name). The value as it was typed, where there is one.
WRONG = [
    (INGRESS, "1", "1"),
    (INGRESS, "1 2 127.0.0.1 5001 0 127.0.0.1 7001 1 127.0.0.1 9000", "backend"),
    (INGRESS, GOOD[INGRESS] + " 7", "14 arguments"),
    (INGRESS, "2 1 127.0.0.1 5001 0 127.0.0.1 5002 0 127.0.0.1 7001 1 127.0.0.1 9000", "2"),
    (INGRESS, "0 1 127.0.0.1 7001 1 127.0.0.1 9000", "0"),
    (INGRESS, "1 0 127.0.0.1 5001 0 127.0.0.1 9000", "0"),
    (INGRESS, "1 65 127.0.0.1 5001 0", "65"),
    (INGRESS, "one 1 127.0.0.1 5001 0 127.0.0.1 7001 1 127.0.0.1 9000", "one"),
    (INGRESS, "1 -1 127.0.0.1 5001 0 127.0.0.1 7001 1 127.0.0.1 9000", "-1"),
    (INGRESS, "1 1 127.0.0.1 5001 0 127.0.0.1 7001 0 127.0.0.1 9000", "0"),
    (INGRESS, "1 1 127.0.0.1 5001 0 127.0.0.1 7001 -3 127.0.0.1 9000", "-3"),
    (INGRESS, "1 1 127.0.0.1 5001 0 127.0.0.1 7001 1.5 127.0.0.1 9000", "1.5"),
    (INGRESS, "1 1 127.0.0.1 5001 0 127.0.0.1 7001 nan 127.0.0.1 9000", "nan"),
    (INGRESS, "1 1 127.0.0.1 5001 0 127.0.0.1 7001 99999999999999999999 127.0.0.1 9000",
     "99999999999999999999"),
    (INGRESS, "1 1 127.0.0.1 5001 0 127.0.0.1 7001 1000001 127.0.0.1 9000", "1000001"),
    (INGRESS, "1 1 127.0.0.1 70000 0 127.0.0.1 7001 1 127.0.0.1 9000", "70000"),
    (INGRESS, "1 1 127.0.0.1 0 0 127.0.0.1 7001 1 127.0.0.1 9000", "0"),
    (INGRESS, "1 1 127.0.0.1 50x1 0 127.0.0.1 7001 1 127.0.0.1 9000", "50x1"),
    (INGRESS, "1 1 127.0.0.300 5001 0 127.0.0.1 7001 1 127.0.0.1 9000", "127.0.0.300"),
    (INGRESS, "1 1 under_score! 5001 0 127.0.0.1 7001 1 127.0.0.1 9000", "under_score!"),
    (INGRESS, "1 1 127.0.0.1 5001 0 127.0.0.1 7001 1 127.0.0.1 99999", "99999"),
    (INGRESS, "1 1 192.0.2.7 5001 0 127.0.0.1 7001 1 127.0.0.1 9000", "192.0.2.7"),
    (INGRESS, "--dance " + GOOD[INGRESS], "--dance"),
    (INGRESS, "--workers many " + GOOD[INGRESS], "many"),
    (INGRESS, "--workers 0 " + GOOD[INGRESS], "0"),
    (INGRESS, "--scheduler dice " + GOOD[INGRESS], "dice"),
    (INGRESS, "--memory-limit 1M " + GOOD[INGRESS], "1M"),
    (INGRESS, "--memory-limit lots " + GOOD[INGRESS], "lots"),
    (INGRESS, "--session-wait soon " + GOOD[INGRESS], "soon"),
    (INGRESS, "--log-level loud " + GOOD[INGRESS], "loud"),
    (INGRESS, "--log-format xml " + GOOD[INGRESS], "xml"),
    (INGRESS, "--key-file short.key " + GOOD[INGRESS], "short.key"),
    (INGRESS, "--check --key-file short.key " + GOOD[INGRESS], "not of 15"),
    (PROXY, "--check --key-file long.key " + GOOD[PROXY], "not of more"),
    (EGRESS, "--check --config key.conf", "key.conf:1"),
    (EGRESS, "--client-wait 1s " + GOOD[EGRESS], "--client-wait"),
    (INGRESS, "--config nowhere.conf", "nowhere.conf"),
    (INGRESS, "--config typo.conf", "typo.conf"),
    (INGRESS, "--config broken.conf", "broken.conf"),
    (PROXY, "0 1 127.0.0.1 7001 1 127.0.0.1 9000", "0"),
    (PROXY, "1 1 127.0.0.1 7001 0 127.0.0.1 7002 1 127.0.0.1 9000", "0"),
    (PROXY, "1 1 127.0.0.1 7001 1 127.0.0.1 7002 0 127.0.0.1 9000", "0"),
    (EGRESS, "1 2 127.0.0.1 7001 1 127.0.0.1 8080 0 127.0.0.1 8081 0 127.0.0.1 9000", "2"),
    (EGRESS, "1 1 127.0.0.1 7001 0 127.0.0.1 8080 0 127.0.0.1 9000", "0"),
    (EGRESS, "1 1 127.0.0.1 7001 x 127.0.0.1 8080 0 127.0.0.1 9000", "x"),
    (CONTROLLER, "", "remote_ip"),
    (CONTROLLER, "127.0.0.1", "remote_port"),
    (CONTROLLER, "127.0.0.1 9000", "operation"),
    (CONTROLLER, "127.0.0.1 9000 dance", "dance"),
    (CONTROLLER, "127.0.0.1 nine health_check", "nine"),
    (CONTROLLER, "127.0.0.1 9000 health_check now", "now"),
    (CONTROLLER, "127.0.0.1 9000 update_topo_pre", 'n "'),
    (CONTROLLER, "127.0.0.1 9000 update_topo_pre 2 127.0.0.1 7001", "2"),
    (CONTROLLER, "127.0.0.1 9000 update_topo_pre 1 127.0.0.1 port", "port"),
    (CONTROLLER, "127.0.0.1 9000 health_check", "9000"),  # nobody listens there
    (RELAY, "", "supervisor"),
    (RELAY, "dance", "dance"),
    (RELAY, "supervisor now", "now"),
    (RELAY, "supervisor --dance", "--dance"),
    (RELAY, "supervisor --num-workers 0", "0"),
    (RELAY, "supervisor --num-workers 33", "33"),
    (RELAY, "supervisor --receive-buffer 1K", "1K"),
    (RELAY, "supervisor --rx pigeon", "pigeon"),
    (RELAY, "supervisor --log-level loud", "loud"),
    (RELAY, "supervisor --log-format xml", "xml"),
    (RELAY, "supervisor --check", "--config"),
    (RELAY, "supervisor --check --config no-such.conf", "no-such.conf"),
    (RELAY, "supervisor --config no-such.conf --control-socket rules.sock --log-level error", "no-such.conf"),
    (RELAY, "supervisor --control-socket no/such/folder.sock", "no/such/folder.sock"),
    (CLIENT, "", "no operation"),
    (CLIENT, "dance", "dance"),
    (CLIENT, "--dance ping", "--dance"),
    (CLIENT, "--timeout soon ping", "soon"),
    (CLIENT, "ping now", "now"),
    (CLIENT, "add", "--input-interface"),
    (CLIENT, f"{RULE} --ttl 256", "256"),
    (CLIENT, f"{RULE} --match rtp", "--second-interface"),
    (CLIENT, f"{RULE} --second-interface br1 --match none", "none"),
    (CLIENT, RULE.replace("239.1.1.1", "10.0.0.1"), "10.0.0.1"),
    (CLIENT, RULE.replace("239.10.1.1:6001:br1", "239.1.1.1:5001:br0"), "a loop"),
    (CLIENT, f"{RULE},ff15::1:6001:br1", "ff15::1:6001:br1"),
    (CLIENT, "remove tv1 --input-port 1", "--input-port"),
    (CLIENT, "move tv1 64", "64"),
    (CLIENT, "stats --watch 1h", "1h"),
    (CLIENT, "batch", "batch"),
    (CLIENT, "batch nowhere.txt", "nowhere.txt"),
    (CLIENT, "--control-socket nowhere.sock ping", "nowhere.sock"),
    (CLIENT, f"--control-socket {'x' * 108} ping", "108"),
]
FILES = {
    "typo.conf": 'liisten = ( );\n',
    "broken.conf": 'listen = ( "127.0.0.1\n',
    "key.conf": 'key_file = "long.key";\n',
    "short.key": "k" * 15 + "\n",
    "good.key": "k" * 256 + "\n",
    "long.key": "k" * 257,
}


def write_files(lab):
    for name, text in FILES.items():
        (lab.folder / name).write_text(text)


def wrong(lab):
    """All of the table, then one report of all that differs."""
    node = lab.node("one")
    write_files(lab)
    found = []
    for program, words, named in WRONG:
        try:
            done = node.run([lab.bin_dir / program, *words.split()], limit_s=5)
        except subprocess.TimeoutExpired:
            found.append(f"{program} {words}\n    runs on")
            continue
        lines = done.stderr.splitlines()
        if done.returncode != 2 or len(lines) != 1 or named not in lines[0] or done.stdout:
            found.append(f"{program} {words}\n    exit code {done.returncode}, must name "
                         f"{named!r}; stdout {done.stdout[:200]!r}, stderr {done.stderr[:400]!r}")
    expect(not found, f"{len(found)} of {len(WRONG)} wrong command lines:\n" + "\n".join(found))


def port_in_use(lab):
    """A listener or comm port that somebody has: the same exit code and one line."""
    node = lab.node("one")
    for program, words in GOOD.items():
        listen_port = int(words.split()[3])
        for port in (listen_port, 9000):
            with node.listen("127.0.0.1", port):
                done = node.run([lab.bin_dir / program, *words.split()], limit_s=10)
            expect_equal((done.returncode, len(done.stderr.splitlines())), (2, 1),
                         f"{program} with port {port} in use: {done.stderr!r}")
            expect(str(port) in done.stderr, f"the line names {port}: {done.stderr!r}")


def words(lab):
    """--help, --version and --check."""
    node = lab.node("one")
    for program in (*GOOD, CONTROLLER, CLIENT, RELAY):
        for option in ("--help", "--version"):
            done = node.run([lab.bin_dir / program, option], limit_s=10)
            expect_equal((done.returncode, done.stderr), (0, ""), f"{program} {option}")
            expect(done.stdout.strip(), f"{program} {option} says nothing")
    write_files(lab)
    for program, line in GOOD.items():
        for key in ([], ["--key-file", "good.key"]):
            done = node.run([lab.bin_dir / program, "--check", *key, *line.split()], limit_s=10)
            expect_equal(done.returncode, 0, f"{program} --check {key}: {done.stderr}")
        done = node.run([lab.bin_dir / program, "--check", *line.split()[:-1]], limit_s=10)
        expect_equal(done.returncode, 2, f"{program} --check, one word less: {done.stderr}")


def example_of_rules(lab):
    node = lab.node("one")
    done = node.run([lab.bin_dir / RELAY, "supervisor", "--check", "--config",
                     MAN.parent / "configs/multicast_relay.conf"])
    expect_equal((done.returncode, done.stderr), (0, ""), "--check of the example")


def help_of(lab, program):
    return lab.nodes["one"].output([lab.bin_dir / program, "--help"])


def options_of_help(text):
    return set(re.findall(r"^ +(?:-\w, +)?--([a-z][a-z-]+)", text, re.MULTILINE))


def options_of_man(program):
    """Of both kinds of pages: ".It Fl h , -help", and ".BR \\-h ", " \\-\\-help" behind ".TP"."""
    text = (MAN / f"{program}.1").read_text(encoding="utf-8").replace("\\-", "-")
    entries = re.findall(r"^\.It Fl (.*)$|^\.TP\n\.\w+ (.*)$", text, re.MULTILINE)
    return {name for mdoc, plain in entries
            for name in re.findall(r"(?:^| )-([a-z][a-z-]+)", mdoc)
            + re.findall(r"--([a-z][a-z-]+)", plain)}


def manuals(lab):
    """A page has an entry for each option and operation that --help lists, and for no other."""
    lab.node("one")
    for program in (*GOOD, CONTROLLER, CLIENT, EMULATOR, *ECHO, *TRAFFIC, RELAY):
        listed = options_of_help(help_of(lab, program))
        expect({"help", "version"} < listed, f"{program} --help lists {listed}")
        expect_equal(sorted(options_of_man(program)), sorted(listed), f"options in {program}.1")
    for program in (CONTROLLER, CLIENT):
        lines = help_of(lab, program).partition("Operations:")[2].partition("\n\n")[0]
        listed = re.findall(r"^  ([a-z_-]+)", lines, re.MULTILINE)
        page = (MAN / f"{program}.1").read_text(encoding="utf-8").replace("\\-", "-")
        operations = page.partition(".SH OPERATIONS")[2].partition(".SH ")[0]
        expect_equal(re.findall(r"^\.TP\n\.BI? ([a-z_-]+)", operations, re.MULTILINE), listed,
                     f"operations in {program}.1")


SCENARIOS = [
    Scenario("wrong", wrong, limit_s=120),
    Scenario("port_in_use", port_in_use),
    Scenario("words", words),
    Scenario("example_of_rules", example_of_rules),
    Scenario("manuals", manuals),
]

"""The echo suite: four models of serving and three of asking do the same; clients and servers that
misbehave, and limits of the system, are counted and survived.

    one: server and client over the loopback
    a ---- b: where source addresses are added to an interface
"""

import json
import os
import signal
import socket
import struct
import subprocess
import threading

from lab import Failure, expect, expect_equal, wait_for
from peers import MB, Job, random_blocks, receive_exactly, receive_hash, send_random
from scenario import Scenario

HOST, PORT = "127.0.0.1", 7007
SERVERS = ("thread", "fork", "event", "uring")
CLIENTS = ("thread", "fork", "event")
CLIENT_LIMIT_S = 120
FEW_FILES = 64  # of a process, so that 300 connections need several
STALLED = 20


# ---- server ----
class Server:
    def __init__(self, lab, node, model, *options, files=None):
        limit = ["prlimit", f"--nofile={files}"] if files else []
        self.node = node
        self.process = node.start(f"echo_server-{model}", [
            *limit, lab.bin_dir / "echo_server", "--model", model, "--port", PORT, "--json",
            *options], stdout=subprocess.PIPE)
        ready = self.read()
        expect_equal((ready["event"], ready["port"], ready["model"]), ("ready", PORT, model),
                     "its first line")

    def read(self):
        line = self.process.popen.stdout.readline()
        expect(line, f"echo_server ended: {self.process.log()}")
        return json.loads(line)

    def counters(self):
        self.process.signal(signal.SIGUSR1)
        return self.read()

    def wait(self, **wanted):
        """For these counters."""
        last = {}

        def are_there():
            last.update(self.counters())
            return all(last[name] == value for name, value in wanted.items()) and last

        try:
            return wait_for(are_there, f"counters {wanted}")
        except Failure as failure:
            raise Failure(f"{failure}: {last}") from failure

    def workers(self):
        return children(self.process.popen.pid)

    def connect(self, host=HOST):
        return self.node.connect(host, PORT)

    def end(self):
        self.process.signal(signal.SIGTERM)
        said, _ = self.process.popen.communicate(timeout=60)
        expect_equal(self.process.popen.returncode, 0, f"exit code; {self.process.log()}")
        expect_equal(self.process.log(), "", "what the server complained of")
        return json.loads(said.splitlines()[-1])


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def one_server(lab, model, *options, **more):
    return Server(lab, lab.node("one"), model, *options, **more)


def ping(sock, data=b"ping"):
    sock.sendall(data)
    expect_equal(receive_exactly(sock, len(data)), data, "what came back")


def ends_well(lab, model):
    """Every byte comes back, also when the client has ended its side long before it reads."""
    server = one_server(lab, model)
    socks = [server.connect() for _ in range(5)]
    sending = [Job(send_random, sock, 3 * MB, seed) for seed, sock in enumerate(socks)]
    for sock, job in zip(socks, sending):
        wanted = receive_hash(sock, 3 * MB)
        expect_equal(wanted, job.result(), "what came back")
        sock.shutdown(socket.SHUT_WR)
        expect_equal(sock.recv(1), b"", "the end")
    sock = server.connect()
    data = b"".join(random_blocks(MB, 9))
    sock.sendall(data[:MB // 4])
    sock.shutdown(socket.SHUT_WR)
    expect_equal(receive_exactly(sock, MB // 4), data[:MB // 4], "what came back behind the end")
    expect_equal(sock.recv(1), b"", "the end")
    counted = server.wait(open=0, ended=6, bytes=15 * MB + MB // 4)
    expect_equal((counted["accepted"], counted["reset"], counted["failed"]), (6, 0, 0), "counters")
    server.end()


def at_once_again(lab, model):
    """When it has ended, its port is free."""
    node = lab.node("one")
    for _ in range(10):
        server = Server(lab, node, model)
        ping(server.connect())
        server.end()
        expect(not node.is_open(HOST, PORT), "somebody still listens")


def misbehaving(lab, model):
    """Clients that break off and clients that never read cost the others nothing."""
    server = one_server(lab, model, "--workers", "1")
    quiet, busy = server.connect(), server.connect()
    ping(quiet)
    fill(busy)
    for sock in (quiet, busy):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    server.wait(open=0, reset=2)
    stalled = []
    for _ in range(STALLED):
        sock = server.connect()
        stalled.append((sock, fill(sock)))
    wait_for(lambda: server.counters()["stalled"] >= STALLED, "all of them stalled")
    good = server.connect()
    for number in range(100):
        ping(good, b"%06d" % number)
    before = spent(server.workers())
    wait_for(lambda: good.close() is None and server.counters()["open"] == STALLED, "only they")
    expect(spent(server.workers()) - before < 100, "a second of work for clients that stand still")
    for sock, sent in stalled:
        sock.setblocking(True)
        sock.shutdown(socket.SHUT_WR)
        expect_equal(count(sock), sent, "bytes that were held back")
    server.wait(open=0)
    server.end()


def fill(sock):
    """Until nothing more goes in: its own buffer, the server's and that of the way back are full."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.settimeout(0.15)
    sent = 0
    try:
        while True:
            sent += sock.send(b"\0" * 65536)
    except TimeoutError:
        return sent


def count(sock):
    got = 0
    while data := sock.recv(1 << 20):
        got += len(data)
    return got


def spent(pids):
    """Hundredths of a second."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks


def few_files(lab, model):
    """Full workers are joined by others; with --workers given, clients wait for room."""
    server = one_server(lab, model, files=FEW_FILES)
    socks = [server.connect() for _ in range(300)]
    for sock in socks:
        ping(sock)
    expect(model == "fork" or server.counters()["workers"] > 4, "no further workers")
    for sock in socks:
        sock.close()
    server.wait(open=0, ended=300)
    server.end()
    if model != "fork":
        waiting(Server(lab, lab.nodes["one"], model, "--workers", "1", files=FEW_FILES))


def waiting(server):
    socks = [server.connect() for _ in range(FEW_FILES)]
    counted = server.counters()
    expect(counted["open"] < FEW_FILES and counted["workers"] == 1, f"counters: {counted}")
    for sock in socks[:40]:
        sock.close()
    for sock in socks[40:]:
        ping(sock)
    server.end()


def worker_killed(lab, model):
    """It is replaced, its connections are gone, the others go on."""
    server = one_server(lab, model, "--workers", "2")
    socks = [server.connect() for _ in range(20)]
    for sock in socks:
        ping(sock)
    victim = server.workers()[0]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(server.workers()) == 2 and victim not in server.workers(), "a new worker")
    for _ in range(20):
        ping(server.connect())
    expect("ended by signal 9" in server.process.log(), f"it says {server.process.log()!r}")
    workers = server.workers()
    server.process.kill()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers),
             "the end of the workers of a server that was killed")


# ---- client ----
def ask(lab, node, *options):
    """(exit code, what it says as JSON, standard error)"""
    done = node.run([lab.bin_dir / "echo_client", "--port", PORT, "--json", *options],
                    limit_s=CLIENT_LIMIT_S)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def pairs(lab, client):
    """Each model of asking from each of serving."""
    node = lab.node("one")
    for model in SERVERS:
        server = Server(lab, node, model)
        code, said, errors = ask(lab, node, "-m", client, "-t", "throughput", "-n", 12, "-s",
                                 "1,256,100K", "-d", 5, "-T", 0.3, "--warm-up", 0.1)
        expect_equal((code, said["wrong"], said["connected"]), (0, 0, 12), f"{model}: {errors}")
        for size in said["sizes"]:
            expect(size["messages"] > 0 and size["latency_us"]["p50"] > 0, f"{model}: {size}")
        code, said, errors = ask(lab, node, "-m", client, "-t", "connections", "-n", 150,
                                 "--verify", "all", "--hold", 0.1)
        expect_equal((code, said["held"], said["verified"]), (0, 150, 150), f"{model}: {errors}")
        server.wait(open=0, accepted=162)
        server.end()


def client_few_files(lab, client):
    node = lab.node("one")
    server = Server(lab, node, "event")
    done = node.run(["prlimit", f"--nofile={FEW_FILES}", lab.bin_dir / "echo_client", "--json",
                     "--port", PORT, "-m", client, "-t", "connections", "-n", 300, "--hold", 0.1,
                     "--verify", "all", "--server-pid", server.process.popen.pid])
    said = json.loads(done.stdout)
    expect_equal((done.returncode, said["held"], said["verified"]), (0, 300, 300), done.stderr)
    server.wait(open=0)
    server.end()


class WrongServer(threading.Thread):
    """Answers the first bytes of each connection as `answer` says, which gets the socket."""

    def __init__(self, node, answer):
        super().__init__(daemon=True)
        self.listener, self.answer = node.listen(HOST, PORT), answer
        self.start()

    def run(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self.join()
        self.listener.close()

    def serve(self, sock):
        try:
            self.answer(sock)
        except OSError:
            pass  # the client has seen enough


def one_wrong_byte(sock):
    data = bytearray(receive_exactly(sock, 256))
    data[100] ^= 1
    sock.sendall(data)
    sock.recv(1)


def ends_early(sock):
    sock.sendall(receive_exactly(sock, 256)[:10])
    sock.close()


def breaks_off(sock):
    receive_exactly(sock, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def never_answers(sock):
    while sock.recv(65536):
        pass


def wrong_servers(lab, client):
    """Each is noticed for what it is, and the exit code is 1."""
    node = lab.node("one")
    options = ("-m", client, "-t", "throughput", "-n", 3, "-T", 2, "--warm-up", 0.1,
               "--timeout", 1)
    for answer, counter in ((one_wrong_byte, "wrong"), (ends_early, "ended_early"),
                            (breaks_off, "reset"), (never_answers, "timed_out")):
        server = WrongServer(node, answer)
        code, said, errors = ask(lab, node, *options)
        expect_equal((code, said[counter]), (1, 3), f"{answer.__name__}: {said} {errors}")
        if answer is one_wrong_byte:
            expect_equal(said["first_wrong"]["offset"], 100, "offset of the wrong byte")
        server.end()
    code, said, _ = ask(lab, node, *options)
    expect_equal((code, said["failed"].get("refused")), (1, 3), f"nobody listens: {said}")


def source_addresses(lab):
    """They are on the interface while the client runs, and gone when it has ended or was killed."""
    a, b = lab.node("a"), lab.node("b")
    link = lab.link(a, b)
    pool = "10.99.0.0/24"
    b.ip(f"route add {pool} dev {link.b_device}")
    server = Server(lab, b, "event", "--listen", link.b_ip)

    def start():
        return a.start("echo_client", [
            lab.bin_dir / "echo_client", "-m", "event", "-t", "connections", "-n", 100, "-H",
            link.b_ip, "-p", PORT, "--sources", pool, "--source-dev", link.a_device,
            "--hold", 600])

    def added():
        shown = json.loads(a.output(["ip", "-j", "address", "show", "dev", link.a_device]))
        return [address for address in shown[0]["addr_info"]
                if address["local"].startswith("10.99.0.")]

    client = start()
    server.wait(open=100)
    expect(added(), "no address of the pool on the interface")
    client.signal(signal.SIGTERM)
    expect_equal(client.wait(), 1, "exit code of a client that was interrupted")
    expect_equal(added(), [], "addresses left behind")
    client = start()
    server.wait(open=100)
    client.kill()
    for address in added():
        expect(address["valid_life_time"] < 120, f"it stays: {address}")
    server.wait(open=0)
    server.end()


def latency(lab, client):
    """Round trips, and a second size after the first."""
    node = lab.node("one")
    server = Server(lab, node, "event")
    code, said, errors = ask(lab, node, "-m", client, "-t", "latency", "-n", 3, "-s", "64,4K",
                             "-T", 0.2, "--warm-up", 0.1)
    expect_equal((code, said["good"], said["depth"]), (0, True, 1), f"{said} {errors}")
    for size in said["sizes"]:
        times = size["latency_us"]
        expect(0 < times["p50"] <= times["p99"] <= times["max"], f"{size}")
        expect_equal(times["samples"], size["messages"], "at depth 1 each message is timed")
    server.end()


def as_text(lab):
    """What both programs tell people."""
    node = lab.node("one")
    server = node.start("echo_server", [lab.bin_dir / "echo_server", "-m", "event", "-p", PORT],
                        stdout=subprocess.PIPE)
    node.wait_open_port(PORT)
    for test, words in (("connections", ("connected", "held", "verified", "all were tried")),
                        ("latency", ("p99.9 us", "messages/s"))):
        said = node.output([lab.bin_dir / "echo_client", "-m", "event", "-t", test, "-n", 20,
                            "-p", PORT, "-T", 0.2, "--warm-up", 0, "--hold", 0])
        expect(f"{test} test, event model, {HOST} port {PORT}" in said
               and all(word in said for word in words), said)
    server.signal(signal.SIGTERM)
    said, _ = server.popen.communicate(timeout=20)
    expect(server.popen.returncode == 0 and str(PORT) in said.decode() and "accepted" in said.decode(),
           f"{server.popen.returncode}: {said}")


def any_port(lab):
    """--port 0: the server says which one it got, and it is a good one."""
    node = lab.node("one")
    server = node.start("echo_server", [lab.bin_dir / "echo_server", "-m", "event", "--port", 0,
                                        "--json"], stdout=subprocess.PIPE)
    ready = json.loads(server.popen.stdout.readline())
    expect(ready["port"] > 0, f"{ready}")
    with node.connect(HOST, ready["port"]) as sock:
        ping(sock)
    server.signal(signal.SIGTERM)
    server.succeed()


def ipv6(lab, client):
    node = lab.node("one")
    server = Server(lab, node, "event", "--listen", "::1")
    code, said, errors = ask(lab, node, "-m", client, "-t", "connections", "-n", 20, "-H", "::1",
                             "--hold", 0, "--verify", "all")
    expect_equal((code, said["host"], said["verified"]), (0, "::1", 20), f"{said} {errors}")
    server.end()


# ---- as many as fit ----
def as_many(lab, node, client, *options, wrap=()):
    """Like ask(), and that what it has is held and verified."""
    done = node.run([*wrap, lab.bin_dir / "echo_client", "--port", PORT, "--json", "-m", client,
                     "-t", "connections", "--hold", 0, "--verify", "all", *options])
    said = json.loads(done.stdout or "{}")
    expect_equal((done.returncode, said.get("good")), (0, True), f"{said} {done.stderr}")
    expect_equal((said["held"], said["verified"]), (said["connected"],) * 2, f"{said}")
    return said


def no_ports(lab, client):
    """Ten ports for each source address: the client takes one address after the other, and says
    what has stopped it where there is none."""
    node = lab.node("one")
    node.set("net/ipv4/ip_local_port_range", "40000 40009")
    server = Server(lab, node, "event")
    said = as_many(lab, node, client, "-n", 1000, "-w", 1)
    expect_equal((said["connected"], said["stopped_by"]), (1000, "all"), f"{said}")
    server.wait(open=0)
    said = as_many(lab, node, client, "-n", "max", "--sources", "127.0.1.0/29")
    expect_equal((said["connected"], said["stopped_by"]), (60, "no_ports"), f"{said}")
    server.end()


def faked(lab, node, path, text):
    """(a file, what makes a program see it in the place of `path`)"""
    fake = lab.folder / "fake"
    fake.write_text(text)
    return fake, ["unshare", "-m", "sh", "-c", f'mount --bind {fake} {path} && exec "$@"', "-"]


def no_memory(lab, client):
    """Memory gets scarce while it connects."""
    def meminfo(available):
        return f"MemTotal: 1000000 kB\nMemAvailable: {available} kB\n"

    node = lab.node("one")
    server = Server(lab, node, "event")
    fake, wrap = faked(lab, node, "/proc/meminfo", meminfo(900_000))
    job = Job(lambda: as_many(lab, node, client, "-n", "max", wrap=wrap))
    wait_for(lambda: server.counters()["open"] > 50, "connections")
    with open(fake, "r+", encoding="ascii") as file:
        file.write(meminfo(" 40000"))
    expect_equal(job.result()["stopped_by"], "no_memory", "what stopped it")
    server.end()


def no_watches(lab):
    """Half of epoll's watches are the server's; libuv does not survive that there is none."""
    node = lab.node("one")
    server = Server(lab, node, "event")
    _, wrap = faked(lab, node, "/proc/sys/fs/epoll/max_user_watches", "500\n")
    said = as_many(lab, node, "event", "-n", "max", wrap=wrap)
    expect_equal((said["connected"], said["stopped_by"]), (250, "no_watches"), f"{said}")
    server.end()


def memory_figures(lab):
    node = lab.node("one")
    server = Server(lab, node, "event")
    said = as_many(lab, node, "event", "-n", 1500, "--server-pid", server.process.popen.pid)
    expect_equal(sorted(said["memory"]), ["client_bytes", "kernel_bytes", "server_bytes"], "memory")
    for name, value in said["memory"].items():
        # Other scenarios come and go: what the kernel lost may make no sense, and is null then.
        expect(value is None or value >= 0, f"{name}: {said['memory']}")
    expect(said["memory"]["client_bytes"] > 100, f"{said['memory']}")
    server.end()


# ---- a client in trouble ----
def no_answer(lab, client):
    """Nobody answers a SYN: the attempts end when their time is up, and so does the client, before
    all are tried."""
    a, b = lab.node("a"), lab.node("b")
    link = lab.link(a, b)
    b.ip("route add blackhole 10.77.1.1/32 metric 0")
    b.ip(f"route del 10.77.1.0/24 dev {link.b_device}")
    code, said, errors = ask(lab, a, "-m", client, "-t", "connections", "-n", 1000, "-H", link.b_ip,
                             "--timeout", 0.4)
    expect_equal((code, said["connected"], said["stopped_by"]), (1, 0, "timed_out"),
                 f"{said} {errors}")


def client_worker_killed(lab, client):
    """It is said, the others go on, and the exit code is 1."""
    node = lab.node("one")
    server = Server(lab, node, "event")
    process = node.start("echo_client", [
        lab.bin_dir / "echo_client", "-m", client, "-t", "connections", "-n", 40, "-p", PORT,
        "-w", 2, "--hold", 1, "--json"], stdout=subprocess.PIPE)
    server.wait(open=40)
    os.kill(children(process.popen.pid)[0], signal.SIGKILL)
    said, _ = process.popen.communicate(timeout=30)
    said = json.loads(said)
    expect_equal((process.popen.returncode, said["workers_lost"], said["good"], said["held"]),
                 (1, 1, False, 20), f"{said}")
    server.end()


def client_task_killed(lab):
    """A process of the fork model: the worker does not wait for it, nor answer too soon."""
    node = lab.node("one")
    server = Server(lab, node, "event")
    process = node.start("echo_client", [
        lab.bin_dir / "echo_client", "-m", "fork", "-t", "connections", "-n", 40, "-p", PORT,
        "-w", 1, "--hold", 1, "--verify", "all", "--json"], stdout=subprocess.PIPE)
    server.wait(open=40)
    for victim in children(children(process.popen.pid)[0])[:3]:
        os.kill(victim, signal.SIGKILL)
    said, _ = process.popen.communicate(timeout=30)
    said = json.loads(said)
    expect_equal((process.popen.returncode, said["broken"], said["held"], said["verified"]),
                 (1, 3, 37, 37), f"{said}")
    server.end()


# ---- command lines ----
WRONG = [
    ("echo_server", "", "--model"),
    ("echo_server", "-m poll", "poll"),
    ("echo_server", "-m event -p 70000", "70000"),
    ("echo_server", "-m event -l nowhere.invalid", "nowhere.invalid"),
    ("echo_server", "-m event -w 0", "0"),
    ("echo_server", "-m event extra", "extra"),
    ("echo_client", "-t latency", "--model"),
    ("echo_client", "-m event", "--test"),
    ("echo_client", "-m event -t speed", "speed"),
    ("echo_client", "-m event -t latency -s 0", "0"),
    ("echo_client", "-m event -t latency -s 1,x", "x"),
    ("echo_client", "-m event -t latency -n 0", "0"),
    ("echo_client", "-m event -t latency --sources 10.0.0.0/99", "10.0.0.0/99"),
    ("echo_client", "-m event -t latency --source-dev lo", "--sources"),
]


def command_lines(lab):
    """Each mistake gets one line that names it, and exit code 2; so does a port that is taken."""
    node = lab.node("one")
    for program, words, named in WRONG:
        done = node.run([lab.bin_dir / program, *words.split()], limit_s=10)
        expect(done.returncode == 2 and done.stderr.count("\n") == 1 and named in done.stderr,
               f"{program} {words}: {done.returncode}, {done.stderr!r}")
    server = Server(lab, node, "event")
    done = node.run([lab.bin_dir / "echo_server", "-m", "uring", "-p", PORT], limit_s=10)
    expect(done.returncode == 2 and str(PORT) in done.stderr and done.stderr.count("\n") == 1,
           f"a port that is taken: {done.returncode}, {done.stderr!r}")
    server.end()


SCENARIOS = [
    *(Scenario(f"ends_well_{model}", ends_well, (model,)) for model in SERVERS),
    *(Scenario(f"at_once_again_{model}", at_once_again, (model,)) for model in SERVERS),
    *(Scenario(f"misbehaving_{model}", misbehaving, (model,), limit_s=120) for model in SERVERS),
    *(Scenario(f"few_files_{model}", few_files, (model,)) for model in SERVERS),
    *(Scenario(f"worker_killed_{model}", worker_killed, (model,)) for model in SERVERS),
    *(Scenario(f"pairs_{client}", pairs, (client,), limit_s=150) for client in CLIENTS),
    *(Scenario(f"client_few_files_{client}", client_few_files, (client,)) for client in CLIENTS),
    *(Scenario(f"wrong_servers_{client}", wrong_servers, (client,), limit_s=90)
      for client in CLIENTS),
    *(Scenario(f"{run.__name__}_{client}", run, (client,)) for client in CLIENTS
      for run in (latency, ipv6, no_ports, no_memory, no_answer, client_worker_killed)),
    Scenario("as_text", as_text),
    Scenario("any_port", any_port),
    Scenario("no_watches", no_watches),
    Scenario("memory_figures", memory_figures),
    Scenario("client_task_killed", client_task_killed),
    Scenario("source_addresses", source_addresses),
    Scenario("command_lines", command_lines),
]

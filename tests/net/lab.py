"""A network laboratory: namespaces, veth links with addresses and rates, and the processes in them.
Whatever a Lab makes carries its tag, and closing it takes all of that away again, also after a
failure, Ctrl-C or SIGTERM. Scenarios and the demo build on it; it knows nothing of MPP."""

import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

CLONE_NEWNET = 0x40000000
CONGESTION_CONTROL = "cubic"  # the figures we compare with were measured with it
RUN_LIMIT_S = 60
NETNS_FOLDER = pathlib.Path("/run/netns")
libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """A scenario found something wrong; the text is for the reader of the result."""


class Stopped(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP: passes every `except Exception` on its way out."""


def expect(condition, text):
    if not condition:
        raise Failure(text)


def expect_equal(got, wanted, what):
    if got != wanted:
        raise Failure(f"{what}: got {got!r}, expected {wanted!r}")


def wait_for(condition, what, limit_s=20):
    """Polls until `condition()` is true and returns what it gave. Never a plain sleep instead."""
    deadline = time.monotonic() + limit_s
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {limit_s} s")
        time.sleep(0.02)


def enter_namespace(fd):
    """Moves the calling thread only, so that its sockets and children are made there."""
    if libc.setns(fd, CLONE_NEWNET) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"setns: {os.strerror(errno)}")


def call(argv, **more):
    """A set-up command. It gets a session of its own, so that Ctrl-C reaches only us."""
    done = subprocess.run(argv, capture_output=True, text=True, start_new_session=True,
                          timeout=RUN_LIMIT_S, **more)
    if done.returncode != 0:
        raise Failure(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Process:
    """A program in a node, ended by its pid. Its errors (and output) go to its own log."""

    def __init__(self, lab, node, name, argv, stdin=subprocess.DEVNULL, stdout=None):
        self.name = name
        self.log_path = lab.folder / f"{name}.log"
        lab.processes.append(self)
        with open(self.log_path, "ab") as log, node.inside():
            self.popen = subprocess.Popen([str(a) for a in argv], stdin=stdin,
                                          stdout=stdout or log, stderr=log, cwd=lab.folder,
                                          start_new_session=True)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def is_running(self):
        return self.popen.poll() is None

    def wait(self, limit_s=RUN_LIMIT_S):
        """Returns the exit code; negative is the number of the signal that ended it."""
        wait_for(lambda: not self.is_running(), f"end of {self.name}", limit_s)
        return self.popen.returncode

    def succeed(self, limit_s=RUN_LIMIT_S):
        expect_equal(self.wait(limit_s), 0, f"exit code of {self.name}")

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        """kill -9 and wait; also fine when it has ended already."""
        self.popen.kill()
        self.popen.wait()


class Node:
    """One namespace."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.devices = []
        self.namespace = f"{lab.tag}.{name}"
        call(["ip", "netns", "add", self.namespace])
        self.fd = os.open(NETNS_FOLDER / self.namespace, os.O_RDONLY | os.O_CLOEXEC)
        self.ip("link set lo up")

    def new_device(self, name):
        """A second one of the same name gets a number."""
        self.devices.append(name)
        count = self.devices.count(name)
        return name if count == 1 else f"{name}{count}"

    def ip(self, *lines):
        call(["ip", "-n", self.namespace, "-batch", "-"], input="\n".join(lines) + "\n")

    @contextlib.contextmanager
    def inside(self):
        try:
            enter_namespace(self.fd)
            yield
        finally:
            enter_namespace(self.lab.home_fd)

    def start(self, name, argv, **more):
        return Process(self.lab, self, name, argv, **more)

    def run(self, argv, limit_s=RUN_LIMIT_S, **more):
        """Runs to the end; returns CompletedProcess with text, whatever the exit code."""
        with self.inside():
            return subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                                  errors="replace", timeout=limit_s, cwd=self.lab.folder,
                                  start_new_session=True, **more)

    def output(self, argv, **more):
        done = self.run(argv, **more)
        expect(done.returncode == 0, f"{self.name}: {argv[0]} ended with {done.returncode}: "
                                     f"{(done.stderr or done.stdout).strip()[-500:]}")
        return done.stdout

    def connect(self, host, port, limit_s=30):
        with self.inside():
            return socket.create_connection((host, port), timeout=limit_s)

    def listen(self, host, port, limit_s=30, backlog=1024):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with self.inside():
            listener = socket.create_server((host, port), family=family, backlog=backlog)
        listener.settimeout(limit_s)
        return listener

    def is_open(self, host, port):
        try:
            self.connect(host, port, 2).close()
        except OSError:
            return False
        return True

    def wait_open(self, host, port):
        wait_for(lambda: self.is_open(host, port), f"{self.name}: {host}:{port} open")

    def wait_open_port(self, port):
        """Without a connection, for servers that serve only one."""
        wait_for(lambda: self.run(["ss", "-Hltn", f"sport = :{port}"]).stdout.strip(),
                 f"{self.name}: port {port} open")

    def set(self, name, value):
        """A sysctl of this namespace, as in "net/ipv4/tcp_rmem"."""
        with self.inside(), open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
            file.write(value)

    def counters(self, device):
        """(received, sent) bytes of a device since it was made."""
        with self.inside(), open("/proc/thread-self/net/dev", encoding="ascii") as table:
            for line in table:
                name, _, fields = line.partition(":")
                if name.strip() == device:
                    numbers = fields.split()
                    return int(numbers[0]), int(numbers[8])
        raise Failure(f"{self.name} has no device {device}")

    def shape(self, device, rate_mbit):
        """Limits what leaves by `device`, and reads it back: tc's exit code is no proof."""
        # 64 KiB pass a whole GSO packet; 50 ms of queue is what a fair router would have.
        limit_bytes = max(rate_mbit * 125_000 * 50 // 1000, 128 * 1024)
        tc = ["tc", "-n", self.namespace]
        call(tc + ["qdisc", "replace", "dev", device, "root", "tbf", "rate", f"{rate_mbit}mbit",
                   "burst", "64kb", "limit", str(limit_bytes)])
        root = [q for q in json.loads(call(tc + ["-j", "qdisc", "show", "dev", device]))
                if q.get("root")]
        expect(len(root) == 1 and root[0]["kind"] == "tbf"
               and root[0]["options"]["rate"] == rate_mbit * 125_000,
               f"{self.name}: {device} is not shaped to {rate_mbit} Mbit/s: {root}")


class Link:
    """A veth pair: addresses 10.77.N.1 and .2, fd77:N::1 and ::2 at its ends a and b."""

    def __init__(self, lab, a, b, rate_mbit=None):
        n = self.number = lab.link_count = lab.link_count + 1
        self.a, self.b = a, b
        self.a_device = a.new_device(f"to-{b.name}")
        self.b_device = b.new_device(f"to-{a.name}")
        self.a_ip, self.b_ip = f"10.77.{n}.1", f"10.77.{n}.2"
        self.a_ip6, self.b_ip6 = f"fd77:{n}::1", f"fd77:{n}::2"
        self.join()
        self.address(a, self.a_device, self.a_ip, self.a_ip6)
        self.address(b, self.b_device, self.b_ip, self.b_ip6)
        if rate_mbit:
            a.shape(self.a_device, rate_mbit)
            b.shape(self.b_device, rate_mbit)

    def join(self):
        self.a.ip(f"link add {self.a_device} type veth "
                  f"peer name {self.b_device} netns {self.b.namespace}")

    def address(self, node, device, ip, ip6):
        # The congestion control is set by the route: a namespace may not set its sysctl to one
        # that the machine does not allow to everybody, and we leave the machine alone.
        node.ip(f"addr add {ip}/24 dev {device} noprefixroute",
                f"addr add {ip6}/64 dev {device} noprefixroute nodad",
                f"link set {device} up",
                f"route add 10.77.{self.number}.0/24 dev {device} congctl {CONGESTION_CONTROL}",
                f"route add fd77:{self.number}::/64 dev {device} congctl {CONGESTION_CONTROL}")

    def ends(self, ipv6=False):
        return (self.a_ip6, self.b_ip6) if ipv6 else (self.a_ip, self.b_ip)


class Lab:
    """`with Lab(...) as lab:` makes the folder; leaving it removes all that has the tag."""

    def __init__(self, tag, folder, bin_dir, is_long=False, keep=False):
        self.tag, self.keep, self.is_long = tag, keep, is_long
        self.folder = pathlib.Path(folder).resolve()
        self.bin_dir = pathlib.Path(bin_dir).resolve()
        self.nodes, self.processes, self.link_count = {}, [], 0

    def __enter__(self):
        self.home_fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.on_signal)
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # nothing may interrupt the cleaning
        enter_namespace(self.home_fd)
        for node in self.nodes.values():
            os.close(node.fd)
        for process in self.processes:
            if hasattr(process, "popen"):
                process.kill()
        sweep(self.tag + ".")
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def on_signal(number, _frame):
        signal.signal(number, signal.SIG_IGN)
        raise Stopped(signal.Signals(number).name)

    def node(self, name):
        self.nodes[name] = Node(self, name)
        return self.nodes[name]

    def link(self, a, b, rate_mbit=None):
        return Link(self, a, b, rate_mbit)


def sweep(prefix):
    """Ends what runs in namespaces named `prefix`*, by pid, and deletes them."""
    spaces = [p for p in NETNS_FOLDER.glob("*") if p.name.startswith(prefix)]
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        pids = pids_inside(spaces)
        if not pids:
            break
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    for space in spaces:
        subprocess.run(["ip", "netns", "del", space.name], check=False, start_new_session=True)


def pids_inside(spaces):
    inodes = {space.stat().st_ino for space in spaces}
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if (entry / "ns/net").stat().st_ino in inodes:
                found.append(int(entry.name))
    return found

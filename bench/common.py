"""What the parts of the benchmark share: our C helpers, a namespace with only a loopback, chains
that are started and stopped between two runs, CPU time, statistics."""

import fnmatch
import json
import os
import pathlib
import subprocess

from chain import Module, stop
from lab import CONGESTION_CONTROL, Failure, expect

LOOPBACK = "127.0.0.1"
WRONG_BYTES = 3  # exit code of the helpers, bench/peer.h
HELPER_LIMIT_S = 300  # five times what the longest of them takes
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class WrongBytes(Exception):
    """The one thing that fails a benchmark."""


class Bench:
    """What a part is given: where the programs are, how much to do, where results go."""

    def __init__(self, arguments, report, make_lab):
        self.helpers, self.bin_dir = arguments.helper_dir.resolve(), arguments.bin_dir.resolve()
        self.quick, self.runs_wanted = arguments.quick, arguments.runs
        self.patterns = arguments.match
        self.report, self.make_lab = report, make_lab

    def is_wanted(self, case):
        return any(fnmatch.fnmatch(case, pattern) for pattern in self.patterns)

    def helper(self, name, *words):
        return [self.helpers / name, *words]

    def runs(self, usual):
        return self.runs_wanted or (1 if self.quick else usual)

    def size(self, usual, quick):
        return quick if self.quick else usual


def expect_exact(code, what, said):
    """Of one of our helpers."""
    if code == WRONG_BYTES:
        raise WrongBytes(f"{what}: {said.strip()}")
    expect(code == 0, f"{what} ended with {code}: {said.strip()}")


def run_helper(node, argv, limit_s=HELPER_LIMIT_S):
    """Runs one of our helpers to its end; returns what it printed as JSON."""
    try:
        done = node.run(argv, limit_s=limit_s)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{pathlib.Path(argv[0]).name}: no end within {limit_s} s") from error
    expect_exact(done.returncode, f"{pathlib.Path(argv[0]).name} {argv[1]}", done.stderr)
    return json.loads(done.stdout)


def loopback_node(lab):
    """A namespace of its own whose loopback has the congestion control of all our links."""
    node = lab.node("loopback")
    for prefix in ("127.0.0.0/8", LOOPBACK):
        node.ip(f"route replace local {prefix} dev lo table local proto kernel scope host "
                f"src {LOOPBACK} congctl {CONGESTION_CONTROL}")
    return node


def cpu_seconds(processes):
    """Spent so far by running processes, or by ended ones that nobody has waited for."""
    return cpu_seconds_of(process.popen.pid for process in processes)


def cpu_seconds_of(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime, stime (proc(5), fields 14 and 15)
    return ticks / TICKS_PER_S


def start_all(modules):
    """Waits until modules, the ingress last, are whole. Returns them."""
    for module in modules:
        module.wait_live()
    modules[-1].wait_ready()
    return modules


def stop_all(processes):
    """Modules as they are meant to end, all else at once."""
    for process in processes:
        if isinstance(process, Module):
            process.may_end = True
            process.signal(15)
    for process in processes:
        if isinstance(process, Module):
            stop(process)
        else:
            process.kill()


def alternate(cases, run):
    """Every other run goes backwards: no case always has the same neighbour."""
    return list(cases) if run % 2 == 0 else list(reversed(cases))


def ratios(ours, theirs):
    """Of samples that were taken in pairs."""
    return [a / b for a, b in zip(ours, theirs)]

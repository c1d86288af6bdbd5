#!/usr/bin/python3
"""Runs the network scenarios, each in its own process under a time limit, one result line each.
Nothing is left behind: namespaces, processes and folders carry this run's tag and are removed,
also on failure, Ctrl-C and SIGTERM; several runs can go on at once."""

import argparse
import ctypes
import fnmatch
import os
import pathlib
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True

import chain
import lab
import links
import scenario

GRACE_S = 15  # what a scenario that was told to stop has for cleaning up
LONG_FACTOR = 4
SAMPLE = 6  # of the scenarios of a file that are sampled
LOG_LINES = 25
PR_SET_PDEATHSIG = 1


def main():
    arguments = parse()
    scenarios = scenario.load_all()
    if arguments.one:
        return run_one(arguments, scenarios[arguments.one])
    chosen = choose(scenarios, arguments)
    if arguments.only is None and not arguments.long:
        chosen = sample(scenarios, chosen, arguments.seed)
    if arguments.list:
        print("\n".join(chosen))
        return 0
    if not chosen:
        return complain("--only", arguments.only, "the name of a scenario, see --list")
    if os.geteuid() != 0:
        return complain("user id", os.geteuid(), "root, for network namespaces")
    missing = [p for p in (chain.INGRESS, chain.PROXY, chain.EGRESS, chain.CONTROLLER,
                           links.PROGRAM)
               if not (arguments.bin_dir / p).exists()]
    if missing:
        return complain("--bin-dir", arguments.bin_dir, f"a folder with {', '.join(missing)}")
    return Runner(arguments, scenarios, chosen).run()


def parse():
    parser = argparse.ArgumentParser(description="network scenarios of MPP")
    parser.add_argument("--bin-dir", type=pathlib.Path, default=pathlib.Path("bin"))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names, globs allowed")
    parser.add_argument("--long", action="store_true", help="full sizes, and the long ones too")
    parser.add_argument("--jobs", type=int, default=2, help="scenarios at once")
    parser.add_argument("--keep", action="store_true", help="keep the folders with the logs")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000),
                        help="of the sample that is drawn without --only and --long")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # how the runner calls itself
    parser.add_argument("--tag", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def complain(what, value, expected):
    print(f"run.py: {what} {value}: expected {expected}", file=sys.stderr)
    return 2


def choose(scenarios, arguments):
    """A pattern chooses by full name, or a whole file by its name."""
    names = [n for n, s in scenarios.items() if arguments.long or not s.long_only]
    if not arguments.only:
        return names
    return [n for n in names if any(fnmatch.fnmatch(n, p) or n.startswith(p + ".")
                                    for p in arguments.only)]


def sample(scenarios, chosen, seed):
    """All that are not sampled, and some of each file's that are."""
    pools = {}
    for name in chosen:
        if scenarios[name].is_sampled:
            pools.setdefault(name.partition(".")[0], []).append(name)
    drawn = [name for pool in pools.values()
             for name in random.Random(seed).sample(pool, min(SAMPLE, len(pool)))]
    print(f"seed {seed}: {len(drawn)} of {sum(map(len, pools.values()))}: {' '.join(drawn)}",
          flush=True)
    return [n for n in chosen if not scenarios[n].is_sampled or n in drawn]


def run_one(arguments, chosen):
    """In the scenario's own process. Its words on a failure go to standard output."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # clean up when the runner is gone
    with lab.Lab(arguments.tag, arguments.folder, arguments.bin_dir, arguments.long,
                 keep=arguments.keep) as place:
        try:
            chosen.run(place, *chosen.arguments)
            chain.verify_modules(place)
            return 0
        except lab.Failure as failure:
            print(failure, where(failure), sep="\n")
        except (Exception, lab.Stopped) as error:  # pylint: disable=broad-except
            print(f"{type(error).__name__}: {error}", where(error), sep="\n")
        print_logs(place)
    return 1


def where(error):
    """The scenario's own line that led to the failure."""
    here = os.path.dirname(os.path.abspath(__file__))
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames[1:] if f.filename.startswith(here)]
    return "\n".join(f"    {os.path.basename(f.filename)}:{f.lineno}: {f.line}" for f in own)


def print_logs(place):
    for path in sorted(place.folder.glob("*.log")):
        lines = path.read_text(errors="replace").splitlines()
        if lines:
            print(f"-- {path.name} ({len(lines)} lines)")
            print("\n".join(line[:300] for line in lines[-LOG_LINES:]))


class Running:
    """One scenario's process."""

    def __init__(self, arguments, name, chosen, tag, folder):
        self.name, self.tag = name, tag
        self.started = time.monotonic()
        self.limit_s = chosen.limit_s * (LONG_FACTOR if arguments.long else 1)
        self.told = False
        self.output = folder / f"{name}.out"
        words = [sys.executable, os.path.abspath(__file__), "--one", name, "--tag", tag,
                 "--folder", folder / name, "--bin-dir", arguments.bin_dir.resolve()]
        words += ["--long"] * arguments.long + ["--keep"] * arguments.keep
        with open(self.output, "wb") as out:
            self.popen = subprocess.Popen([str(w) for w in words], stdout=out, stderr=out,
                                          stdin=subprocess.DEVNULL, start_new_session=True)

    def seconds(self):
        return time.monotonic() - self.started

    def tell(self):
        if not self.told:
            self.told = True
            self.popen.send_signal(signal.SIGTERM)

    def enforce_limit(self):
        if self.seconds() > self.limit_s:
            self.tell()
        if self.seconds() > self.limit_s + GRACE_S:
            self.popen.kill()


class Runner:
    def __init__(self, arguments, scenarios, chosen):
        self.arguments, self.scenarios, self.waiting = arguments, scenarios, list(chosen)
        self.tag = f"mpp-{os.getpid()}-{secrets.token_hex(3)}"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.tag}-"))
        self.running, self.passed, self.failed, self.count = [], 0, 0, 0

    def run(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lab.Lab.on_signal)
        try:
            while self.waiting or self.running:
                self.step()
            print(f"{self.passed} passed, {self.failed} failed", flush=True)
            return 1 if self.failed else 0
        except lab.Stopped as stop:
            print(f"run.py: stopped by {stop}", file=sys.stderr)
            return 130
        finally:
            self.clean()

    def step(self):
        while self.waiting and len(self.running) < max(self.arguments.jobs, 1):
            name = self.waiting.pop(0)
            self.count += 1
            self.running.append(Running(self.arguments, name, self.scenarios[name],
                                        f"{self.tag}-{self.count}", self.folder))
        time.sleep(0.02)
        for one in list(self.running):
            one.enforce_limit()
            if one.popen.poll() is not None:
                self.running.remove(one)
                self.report(one)

    def report(self, one):
        lab.sweep(one.tag + ".")
        good = one.popen.returncode == 0
        self.passed, self.failed = self.passed + good, self.failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {one.name} {one.seconds():.1f} s", flush=True)
        if not good:
            text = one.output.read_text(errors="replace").rstrip()
            print("\n".join("     " + line for line in text.splitlines()), flush=True)

    def clean(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for one in self.running:
            one.tell()
        for one in self.running:
            try:
                one.popen.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                one.popen.kill()
                one.popen.wait()
        lab.sweep(self.tag + "-")
        if self.arguments.keep:
            print(f"logs: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""`make bench`: measures MPP beside its peers, in alternating runs of one go, and says what was
asked for and whether it holds. A number never fails it, wrong bytes do. See bench/README.md."""

import argparse
import os
import pathlib
import secrets
import shutil
import sys
import tempfile
import time
import resource

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/net"))

import aggregation
import emulator
import interactive
import relay
import sessions
import shares
from chain import CONTROLLER, EGRESS, INGRESS, PROXY
from common import Bench, WrongBytes
from lab import CONGESTION_CONTROL, Failure, Lab, Stopped, sweep
from links import PROGRAM as LINK_EMULATOR
from report import Report

PARTS = {part.NAME: part for part in (shares, aggregation, relay, interactive, sessions,
                                   emulator)}
HELPERS = ("bulk", "crowd", "epoll_echo", "gap", "packets", "pingpong", "volley")
ECHO = ("echo_server", "echo_client")
MCAST = ("multicast_relay", "control_client", "traffic_generator", "traffic_sink")
TOOLS = ("ip", "tc", "ss")
LOG_LINES = 8


def main(parts, draw=None):
    """`parts` by their names; `draw` makes a picture of the report, beside its JSON."""
    arguments = parse(parts)
    chosen = [parts[name] for name in arguments.only or parts]
    missing = what_is_missing(arguments, chosen)
    if os.geteuid() != 0:
        return complain("needs root, for network namespaces", 2)
    if missing:
        return complain(f"not found: {', '.join(missing)} (run tools/setup.sh bench, and "
                        "`make bench` instead of this script)", 2)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # inherited by all
    return Run(arguments, draw).measure(chosen)


def parse(parts):
    parser = argparse.ArgumentParser(description="measurements of MPP beside its peers")
    parser.add_argument("--bin-dir", type=pathlib.Path, default=ROOT / "bin")
    parser.add_argument("--helper-dir", type=pathlib.Path, default=ROOT / "build/release/bench",
                        help=f"where {', '.join(HELPERS)} are")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "bench/results",
                        help="folder for the JSON")
    parser.add_argument("--only", nargs="+", choices=parts, metavar="PART",
                        help=f"of {', '.join(parts)}")
    parser.add_argument("--quick", action="store_true",
                        help="one run of smaller sizes: to see that it works, not for figures")
    parser.add_argument("--match", nargs="+", default=["*"], metavar="GLOB",
                        help="only the cases of such names, in parts whose cases can be chosen")
    parser.add_argument("--runs", type=positive, help="instead of each part's own number")
    return parser.parse_args()


def positive(text):
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")
    return int(text)


def complain(text, code=1):
    print(f"bench: {text}", file=sys.stderr)
    return code


def what_is_missing(arguments, chosen):
    programs = (INGRESS, PROXY, EGRESS, CONTROLLER, LINK_EMULATOR, *ECHO, *MCAST)
    files = [arguments.bin_dir / p for p in programs]
    files += [arguments.helper_dir / h for h in HELPERS]
    tools = [t for part in chosen for t in part.TOOLS]
    return ([str(f) for f in files if not f.exists()]
            + [t for t in dict.fromkeys([*TOOLS, *tools]) if not shutil.which(t)])


class Run:
    def __init__(self, arguments, draw):
        self.arguments, self.draw = arguments, draw
        self.tag = f"mpp-bench-{os.getpid()}-{secrets.token_hex(3)}"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.tag}-"))
        self.report = Report(CONGESTION_CONTROL, {"quick": arguments.quick,
                                                  "runs": arguments.runs})

    def make_lab(self, name):
        """A fresh one for each topology, all with this run's tag."""
        self.lab_folder = self.folder / name
        return Lab(self.tag, self.lab_folder, self.arguments.bin_dir, keep=True)

    def measure(self, chosen):
        """A part that cannot be measured is reported, and the others go on."""
        code = 0
        bench = Bench(self.arguments, self.report, self.make_lab)
        try:
            for part in chosen:
                code = max(code, self.measure_part(part, bench))
        except Stopped as stop:
            print(f"\nbench: stopped by {stop}, all taken down", file=sys.stderr)
            return 130
        finally:
            sweep(self.tag + ".")
            shutil.rmtree(self.folder, ignore_errors=True)
        saved = self.report.save(self.arguments.results)
        drawn = self.draw and self.draw(self.report, saved)
        print(f"\n{self.report.markdown()}\n\n{saved}", *([drawn] if drawn else []), sep="\n")
        return code

    def measure_part(self, part, bench):
        print(f"\n{part.NAME}:", flush=True)
        started = time.monotonic()
        try:
            part.measure(bench)
        except WrongBytes as wrong:
            self.report.note(f"**{part.NAME}: wrong bytes: {wrong}**")
            self.print_logs()
            return 1
        except Failure as failure:
            self.report.note(f"**{part.NAME} was not measured to its end: {failure}**")
            self.print_logs()
            return 1
        print(f"  ({time.monotonic() - started:.0f} s)")
        return 0

    def print_logs(self):
        for path in sorted(self.lab_folder.glob("mpp_*.log")):
            lines = path.read_text(errors="replace").splitlines()[-LOG_LINES:]
            print("\n".join([f"-- {path.stem}", *lines]), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(PARTS))

#!/usr/bin/python3
"""Runs everything that `make check` has built, one runner after the other, each under a time
limit: a line per test program, its own words only when it failed, everything added up in one
closing line `N passed, N failed`. Exit code 0 when something passed and nothing failed."""

import argparse
import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASAN, TSAN, RELEASE = Path("build/asan"), Path("build/tsan"), Path()

# Seconds that a runner may take: many times what it needs, so that only a hang meets it.
UNIT_LIMIT_S = 60
FUZZ_LIMIT_S = 60
LAYERS_LIMIT_S = 30
CLI_LIMIT_S = 480
SIM_LIMIT_S = {False: 240, True: 3600}
NET_LIMIT_S = {False: 600, True: 3600}
GRACE_S = 20  # for cleaning up (namespaces) after SIGTERM, before SIGKILL

SIM_SEEDS = {False: 1000, True: 20000}
# Scenarios that keep several workers and the comm socket busy, run once more under TSan.
TSAN_SCENARIOS = [
    "web.download_two_workers", "web.upload_two_workers", "kill.each_proxy_up", "stop.controller",
]
# Scenarios that look at what the modules have resident, which sanitizers make meaningless.
RESIDENT_SCENARIOS = {
    False: ["many.sessions", "many.stalled_clients", "chaos.kill_proxy"],
    True: ["many.*", "chaos.*"],
}
OUTPUT_LINES = 200  # of a program that failed, from its end

# What makes a unit test one of a threaded part.
THREADED = re.compile(r"\b(pthread_create|uv_thread_create|uv_queue_work)\b")

SANITIZERS = {
    "CMOCKA_MESSAGE_OUTPUT": "TAP",
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:handle_segv=2",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:"
                    f"suppressions={Path('tests/tsan.supp').resolve()}",
}

SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed$")
TAP = re.compile(r"^(ok|not ok) \d+(?: # (SKIP))?")


class Result:
    """What one program did: counts, its output, and how it ended ("" when well)."""

    def __init__(self, passed, failed, output="", trouble="", skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped
        self.output, self.trouble = output, trouble


class Ended:
    """A program's output and return code; `trouble` says what is wrong about its end."""

    def __init__(self, output, code, limit_s, is_late):
        self.output = output
        self.code = code
        self.trouble = ""
        if is_late:
            self.trouble = f"not done after {limit_s} s"
        elif code < 0:
            self.trouble = f"ended by {signal.Signals(-code).name}"
        elif code > 0:
            self.trouble = f"exit code {code}"


def run(words, limit_s, is_live=False):
    """Runs a program in its own process group, to be ended as a whole; `is_live` shows its
    lines, indented, as they come (all but its summary). Its output goes through a file: a pipe
    could be held open for ever by a child that outlives it."""
    words = [str(word) for word in words]
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=out, start_new_session=True)
        is_late = wait(child, limit_s, out if is_live else None)
        return Ended(read_from(out, 0), child.returncode, limit_s, is_late)


def wait(child, limit_s, shown):
    """Waits for the child and ends it when it is late, true then, or when we are interrupted."""
    ends_at, position = time.monotonic() + limit_s, 0
    try:
        while True:
            try:
                child.wait(timeout=0.2 if shown else limit_s)
            except subprocess.TimeoutExpired:
                pass
            if shown:
                position = show(shown, position, child.poll() is not None)
            if child.poll() is not None:
                return False
            if time.monotonic() >= ends_at:
                return True
    finally:
        end(child)


def end(child):
    """Ends the child and whatever it left behind in its process group."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    child.wait()


def read_from(file, position):
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size - position, position).decode(errors="replace")


def show(file, position, is_last):
    """Prints the whole lines from `position` on; where the next call goes on."""
    text = read_from(file, position)
    if not is_last:
        text = text[:text.rfind("\n") + 1]
    for line in text.splitlines():
        if not SUMMARY.match(line):
            print(f"    {line}", flush=True)
    return position + len(text.encode())


def counted(ended):
    """A runner that ends with a summary of its own."""
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    summary = SUMMARY.match(lines[-1]) if lines else None
    if not summary:
        return Result(0, 1, ended.output, ended.trouble or "no summary in its last line")
    passed, failed = int(summary[1]), int(summary[2])
    if not failed and ended.trouble:
        return Result(passed, 1, ended.output, ended.trouble)
    if not passed + failed:
        return Result(0, 1, ended.output, "nothing ran")
    return Result(passed, failed, ended.output)


def tap(ended):
    """A cmocka program. One that ends badly beside its tests (a sanitizer's report, a crash, a
    hang, fewer results than planned) has failed once more."""
    results = [match for match in map(TAP.match, ended.output.splitlines()) if match]
    skipped = sum(match[2] is not None for match in results)
    passed = sum(match[1] == "ok" and not match[2] for match in results)
    failed = len(results) - passed - skipped
    planned = sum(int(count) for count in re.findall(r"^1\.\.(\d+)$", ended.output, re.M))
    trouble = ended.trouble
    if failed and ended.code == failed:
        trouble = ""  # cmocka's exit code is its number of failed tests
    elif not trouble and len(results) != planned:
        trouble = f"{len(results)} of {planned} tests reported"
    elif not trouble and not results:
        trouble = "nothing ran"
    return Result(passed, failed + bool(trouble), ended.output, trouble, skipped)


def whole(ended):
    """A program that is one test."""
    is_good = not ended.trouble
    return Result(int(is_good), int(not is_good), ended.output, ended.trouble)


# ---- the kinds: each yields (name, a function that runs it) ----

def unit_sources():
    return sorted((ROOT / "tests/unit").rglob("*_test.c"))


def unit_program(variant, source):
    return variant / source.relative_to(ROOT).with_suffix("")


def unit_name(source):
    return str(source.relative_to(ROOT / "tests/unit").with_suffix(""))


def unit(_arguments):
    for source in unit_sources():
        program = unit_program(ASAN, source)
        yield unit_name(source), lambda program=program: tap(run([program], UNIT_LIMIT_S))


def tsan(arguments):
    for source in unit_sources():
        if THREADED.search(source.read_text(encoding="utf-8")):
            program = unit_program(TSAN, source)
            yield unit_name(source), lambda program=program: tap(run([program], UNIT_LIMIT_S))
    if (ROOT / "tests/net/run.py").exists():
        only = [] if arguments.long else ["--only", *TSAN_SCENARIOS]
        yield "tests/net/run.py", lambda: scenarios(TSAN, only, NET_LIMIT_S[arguments.long])


def layers(_arguments):
    for option in [], ["--self-test"]:
        words = [sys.executable, "tools/layers.py", *option]
        yield " ".join(words[1:]), lambda words=words: whole(run(words, LAYERS_LIMIT_S))


def fuzz(_arguments):
    for source in sorted((ROOT / "fuzz").glob("*_fuzz.c")):
        target = source.name.removesuffix("_fuzz.c")
        yield target, lambda target=target: replay(target)


def replay(target):
    inputs = sorted((ROOT / "fuzz/corpus" / target).glob("*"))
    if not inputs:
        return Result(0, 1, "", f"fuzz/corpus/{target} holds no files")
    return whole(run([ASAN / "fuzz" / target, *inputs], FUZZ_LIMIT_S))


def cli(_arguments):
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    words = [*sudo, "env", f"MPP_BIN_DIR={ROOT / ASAN / 'bin'}", sys.executable, "tests/cli/run.py"]
    yield "tests/cli/run.py", lambda: counted(run(words, CLI_LIMIT_S))


def sim(arguments):
    if not list((ROOT / "tests/sim").glob("*.c")):
        return
    seeds = SIM_SEEDS[arguments.long]
    words = [ASAN / "bin/sim", "--seeds", seeds, "--jobs", os.cpu_count() or 1]
    yield f"sim --seeds {seeds}", lambda: counted(run(words, SIM_LIMIT_S[arguments.long]))


def net(arguments):
    if (ROOT / "tests/net/run.py").exists():
        options = ["--long"] if arguments.long else []
        yield "tests/net/run.py", lambda: scenarios(ASAN, options, NET_LIMIT_S[arguments.long])


def resident(arguments):
    options = ["--only", *RESIDENT_SCENARIOS[arguments.long]]
    if arguments.long:
        options.append("--long")
    yield "tests/net/run.py", lambda: scenarios(RELEASE, options, NET_LIMIT_S[arguments.long])


def scenarios_at_once(variant):
    """Under TSan one keeps two processors busy, and what has a time limit would wait for the other."""
    processors = os.cpu_count() or 1
    return max(processors // 2, 1) if variant == TSAN else processors


def scenarios(variant, options, limit_s):
    print(f"    tests/net/run.py on {variant}/bin", flush=True)
    sudo = [] if os.geteuid() == 0 else ["sudo", "env", *map("=".join, SANITIZERS.items())]
    words = [*sudo, sys.executable, "tests/net/run.py", "--bin-dir", variant / "bin",
             "--jobs", scenarios_at_once(variant), *options]
    result = counted(run(words, limit_s, is_live=True))
    result.output = ""  # was shown
    return result


KINDS = {"layers": layers, "unit": unit, "tsan": tsan, "fuzz": fuzz, "cli": cli, "sim": sim, "net": net,
         "resident": resident}


def report(kind, name, result, seconds):
    said = [f"{result.passed} passed"]
    said += [f"{result.skipped} skipped"] if result.skipped else []
    said += [f"{result.failed} FAILED"] if result.failed else []
    said += [result.trouble] if result.trouble else []
    print(f"{kind:8} {name:36} {seconds:6.1f} s  {', '.join(said)}", flush=True)
    if result.failed:
        for line in result.output.splitlines()[-OUTPUT_LINES:]:
            print(f"    | {line}")


def attempt(job):
    """A program that is not there or cannot be run has failed."""
    try:
        return job()
    except OSError as error:
        return Result(0, 1, "", f"{error.filename}: {error.strerror}")


def fix_addresses():
    """Sanitizers of older compilers cannot live with the address randomisation of newer kernels:
    all that we start goes without it. Where that is forbidden, they have to try."""
    addr_no_randomize = 0x0040000
    ctypes.CDLL(None).personality(addr_no_randomize)


def parse():
    parser = argparse.ArgumentParser(description="runs the tests that `make check` has built")
    parser.add_argument("--long", action="store_true", help="more of each")
    parser.add_argument("--only", nargs="+", choices=KINDS, metavar="KIND", default=KINDS,
                        help=f"of {', '.join(KINDS)}")
    return parser.parse_args()


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    fix_addresses()
    os.environ.update(SANITIZERS)
    passed = failed = 0
    started = time.monotonic()
    for kind in (kind for kind in KINDS if kind in arguments.only):
        for name, job in KINDS[kind](arguments):
            job_started = time.monotonic()
            result = attempt(job)
            report(kind, name, result, time.monotonic() - job_started)
            passed += result.passed
            failed += result.failed
    print(f"in {time.monotonic() - started:.0f} s")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

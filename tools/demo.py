#!/usr/bin/python3
"""`make demo`: one curl download and one upload over three paths of 50, 100 and 150 Mbit/s, live.

                                   +-- 50 Mbit/s --- relay1 --+
    client (curl) ----- ingress ---+-- 100 Mbit/s -- relay2 --+--- egress ----- server (nginx)
                                   +-- 150 Mbit/s -- relay3 --+

Everything lives in network namespaces of its own and is taken down again, however it ends."""

import argparse
import json
import os
import pathlib
import secrets
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/net"))

from chain import CONTROLLER, EGRESS, INGRESS, PROXY, Chain, verify_modules
from lab import Failure, Lab, Stopped, expect, sweep
from peers import MB, file_hash, make_file, start_nginx

RATES_MBIT = [50, 100, 150]
RATIOS = [1, 2, 3]
SIZE_MB = 300
CAPACITY = 1448 / 1514  # payload of a full TCP segment to its Ethernet frame
EVERY_S = 0.5
TOOLS = ("ip", "tc", "ss", "curl", "nginx")


def main():
    arguments = parse()
    missing = [p for p in (INGRESS, PROXY, EGRESS, CONTROLLER)
               if not (arguments.bin_dir / p).exists()]
    missing += [t for t in TOOLS if not shutil.which(t)]
    if os.geteuid() != 0:
        return complain("needs root, for network namespaces")
    if missing:
        return complain(f"not found: {' '.join(missing)} (run tools/setup.sh demo and make)")
    tag = f"mpp-demo-{os.getpid()}-{secrets.token_hex(3)}"
    folder = tempfile.mkdtemp(prefix=f"{tag}-")
    try:
        with Lab(tag, folder, arguments.bin_dir) as lab:
            return show(lab, arguments.size_mb * MB)
    except Stopped as stop:
        print(f"\ndemo: stopped by {stop}, all taken down", file=sys.stderr)
        return 130
    except Failure as failure:
        print()
        return complain(failure)
    finally:
        sweep(tag + ".")
        shutil.rmtree(folder, ignore_errors=True)


def parse():
    parser = argparse.ArgumentParser(description="MPP over three shaped paths, live")
    parser.add_argument("--bin-dir", type=pathlib.Path, default=ROOT / "bin")
    parser.add_argument("--size-mb", type=int, default=SIZE_MB, help="of the file, in 10^6 bytes")
    return parser.parse_args()


def complain(text):
    print(f"demo: {text}", file=sys.stderr)
    return 1


def show(lab, size):
    started = time.monotonic()
    paths = " + ".join(map(str, RATES_MBIT))
    print(f"Three paths of {paths} Mbit/s, ratios {':'.join(map(str, RATIOS))}; "
          f"one connection from curl to nginx; {size // MB} MB each way.")
    chain = Chain(lab, ratios=RATIOS, rates_mbit=RATES_MBIT)
    www = start_nginx(lab, chain.server, *chain.target)
    wanted = make_file(www / "file", size)
    try:
        chain.ready()
        down = transfer(chain, "download", ["-o", lab.folder / "got", chain.url("file")])
        down["same"] = file_hash(lab.folder / "got") == wanted
        up = transfer(chain, "upload", ["-T", lab.folder / "got", chain.url("put")])
        up["same"] = file_hash(www / "put") == wanted
        print_table((down, up))
        print(f"SHA-256 of the file at the server  {wanted}")
        for result in (down, up):
            expect(result["same"], f"SHA-256 after the {result['name']} differs")
        print("SHA-256 is the same after the download and after the upload.")
        verify_modules(lab)
    except Failure:
        print_logs(lab)
        raise
    print(f"All taken down again after {time.monotonic() - started:.0f} s.")
    return 0


def print_logs(lab):
    for path in sorted(lab.folder.glob("mpp_*.log")):
        lines = path.read_text(errors="replace").splitlines()[-8:]
        print("\n".join([f"-- {path.stem}", *lines]), file=sys.stderr)


def path_bytes(chain, name):
    """Bytes on each link next to the ingress, in the direction of the transfer."""
    side = 0 if name == "download" else 1
    return [chain.front.counters(link.a_device)[side] for link in chain.near]


def transfer(chain, name, words):
    """Runs curl and shows a line of what the paths carry until it has ended."""
    print(f"\n{name} (Mbit/s and share of each path):")
    first = path_bytes(chain, name)
    with open(chain.lab.folder / f"{name}.json", "wb") as report:
        curl = chain.client.start(f"curl-{name}", [
            "curl", "-q", "--noproxy", "*", "-sS", "--fail", "--max-time", 120,
            "-w", "%{json}", *words], stdout=report)
    before, then = first, time.monotonic()
    while curl.is_running():
        time.sleep(EVERY_S)  # the display's pace
        now, current = time.monotonic(), path_bytes(chain, name)
        print_progress([b - a for a, b in zip(before, current)], now - then)
        before, then = current, now
    print()
    expect(curl.popen.returncode == 0, f"curl ended with {curl.popen.returncode}: "
                                       f"{curl.log().strip()}")
    said = json.loads((chain.lab.folder / f"{name}.json").read_text())
    moved = [b - a for a, b in zip(first, path_bytes(chain, name))]
    seconds = said["time_total"]
    for rate, count in zip(RATES_MBIT, moved):
        # tbf lets its burst pass at once; anything above that was not shaped.
        expect(count * 8 / 1e6 <= rate * (seconds + 1) * 1.02,
               f"a path of {rate} Mbit/s carried {count} bytes in {seconds:.1f} s: not shaped")
    size = said["size_download"] if name == "download" else said["size_upload"]
    return {"name": name, "seconds": seconds, "mbit": size * 8 / 1e6 / seconds, "moved": moved}


def print_progress(counts, seconds):
    rates = [count * 8 / 1e6 / seconds for count in counts]
    total, links = sum(rates), sum(RATES_MBIT)
    parts = [f"{i + 1}:{rate:6.1f} ({rate / total if total else 0:4.0%})"
             for i, rate in enumerate(rates)]
    line = f"  {' | '.join(parts)} | sum{total:6.1f}/{links} Mbit/s {total / links:4.0%}"
    print(line, end="\r" if sys.stdout.isatty() else "\n", flush=True)


def print_table(results):
    links = sum(RATES_MBIT)
    print(f"\n{'':10} {'seconds':>8} {'goodput':>13}  {'of the links':>12} "
          f"{'of their payload capacity':>26}")
    for r in results:
        part = r["mbit"] / links
        print(f"{r['name']:10} {r['seconds']:8.2f} {r['mbit']:6.1f} Mbit/s  {part:12.1%} "
              f"{part / CAPACITY:26.1%}")
    print(f"\n{'':10} {'path 1':>18} {'path 2':>18} {'path 3':>18}")
    print(f"{'ratio':10} " + " ".join(f"{r / sum(RATIOS):18.1%}" for r in RATIOS))
    for r in results:
        print(f"{r['name']:10} " + " ".join(f"{m / sum(r['moved']):18.1%}" for m in r["moved"]))
    print()


if __name__ == "__main__":
    sys.exit(main())

"""curl against nginx through the chain, compared by SHA-256.

                     +-- relay1 --+
    curl -- ingress -+-- relay2 --+- egress -- nginx
                     +-- relay3 --+
"""

import json

from chain import Chain, is_sanitized
from lab import expect, expect_equal
from peers import MB, file_hash, make_file, start_nginx
from scenario import Scenario

CURL = ["curl", "-q", "--noproxy", "*", "-sS", "--fail", "--max-time", "100"]
REQUESTS_AT_ONCE = 500
CURL_PARALLEL_MAX = 250  # curl itself allows 300, so it takes two of them
WEIGHTED = ("--scheduler", "weighted")


def size_for(lab):
    return 1000 * MB if lab.is_long and not is_sanitized(lab) else 64 * MB


def whole(lab, **more):
    chain = Chain(lab, **more)
    www = start_nginx(lab, chain.server, *chain.target)
    return chain.ready(), www


def download(lab, more):
    chain, www = whole(lab, **more)
    wanted = make_file(www / "big", size_for(lab))
    chain.client.output([*CURL, "-o", lab.folder / "got", chain.url("big")], limit_s=200)
    expect_equal(file_hash(lab.folder / "got"), wanted, "SHA-256 of the download")


def upload(lab, more):
    chain, www = whole(lab, **more)
    wanted = make_file(lab.folder / "big", size_for(lab))
    chain.client.output([*CURL, "-T", lab.folder / "big", chain.url("put")], limit_s=200)
    expect_equal(file_hash(www / "put"), wanted, "SHA-256 of the upload")


def keep_alive(lab):
    """20 requests on one connection are one session."""
    chain, www = whole(lab)
    wanted = [make_file(www / f"f{i}", 50_000 + i) for i in range(20)]
    lines = chain.client.output([*CURL, "-w", "%{json}\\n", chain.url("f[0-19]"),
                                 "-o", lab.folder / "got#1"]).splitlines()
    got = [file_hash(lab.folder / f"got{i}") for i in range(20)]
    expect_equal(got, wanted, "SHA-256 of 20 files")
    expect_equal(sum(json.loads(line)["num_connects"] for line in lines), 1, "connections")
    expect_equal(chain.ingress.stats()["sessions"]["opened_total"], 1, "sessions")


def parallel(lab):
    """500 requests at once, every file another."""
    chain, www = whole(lab)
    wanted = [make_file(www / f"f{i}", 60_000 + i) for i in range(REQUESTS_AT_ONCE)]
    curls = []
    for first in range(0, REQUESTS_AT_ONCE, CURL_PARALLEL_MAX):
        numbers = f"[{first}-{first + CURL_PARALLEL_MAX - 1}]"
        curls.append(chain.client.start(f"curl{first}", [
            *CURL, "--parallel", "--parallel-immediate", "--parallel-max", CURL_PARALLEL_MAX,
            chain.url("f" + numbers), "-o", lab.folder / "got#1"]))
    for curl in curls:
        curl.succeed()
    got = [file_hash(lab.folder / f"got{i}") for i in range(REQUESTS_AT_ONCE)]
    expect_equal(got, wanted, f"SHA-256 of {REQUESTS_AT_ONCE} files")


def shares(lab, upwards):
    """`weighted` splits first copies by the ratios, whatever the links could do."""
    chain, www = whole(lab, ratios=[1, 2, 3], options=WEIGHTED)
    size = 256 * MB if lab.is_long else 64 * MB
    make_file(www / "big", size)
    if upwards:
        chain.client.output([*CURL, "-T", www / "big", chain.url("put")])
    else:
        chain.client.output([*CURL, "-o", lab.folder / "got", chain.url("big")])
    sender = chain.ingress if upwards else chain.egress
    paths = sorted(sender.must("paths")["paths"], key=lambda p: p["ratio"])
    expect_equal([p["ratio"] for p in paths], [1, 2, 3], "ratios of the paths")
    sent = [p["sent_bytes"] for p in paths]  # first copies
    expect(sum(sent) >= size, f"{sum(sent)} bytes sent of {size}: {sent}")
    for share, ratio in zip(sent, (1, 2, 3)):
        # Up to two frames of 64 KiB a path are rounding.
        expect(abs(share / sum(sent) - ratio / 6) < 0.01, f"sent by path: {sent}")


BOTH = (("download", download), ("upload", upload))
KINDS = (
    ("", {}),
    ("_weighted", {"options": WEIGHTED, "ratios": [1, 2, 3]}),
    ("_shaped", {"rates_mbit": [50, 100, 150], "ratios": [1, 2, 3]}),
    ("_two_workers", {"options": ("--workers", "2")}),
)
SCENARIOS = [
    *(Scenario(name + kind, run, (more,), limit_s=120) for name, run in BOTH
      for kind, more in KINDS),
    Scenario("keep_alive", keep_alive),
    Scenario("parallel_500", parallel, limit_s=90),
    Scenario("shares_down", shares, (False,), limit_s=90),
    Scenario("shares_up", shares, (True,), limit_s=90),
]

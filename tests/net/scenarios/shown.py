"""What an operator is shown of each path: JSON, the controller's tables and /metrics say the same,
and docs/control.md explains it.

                       +-- relay1 --+
    client -- ingress -+-- relay2 --+- egress -- server
"""

import json
import pathlib
import re

from chain import COMM, Chain
from lab import expect, expect_equal, wait_for
from peers import MB, check_session
from scenario import Scenario

CONTROL_MD = pathlib.Path(__file__).resolve().parents[3] / "docs/control.md"


def documented_figures():
    """(JSON member, column, metric) of each row of docs/control.md's table."""
    row = re.compile(r"^\| `(\w+)` \| ([A-Z-]+) \| `(\w+)` \|", re.MULTILINE)
    return row.findall(CONTROL_MD.read_text(encoding="utf-8"))


def metrics_of(module):
    """{name: [(labels, value)]}"""
    text = module.node.output(["curl", "-sS", f"http://{COMM[0]}:{COMM[1]}/metrics"])
    found = {}
    for name, labels, value in re.findall(r"^(mpp_path_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        pairs = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels))
        found.setdefault(name, []).append((pairs, float(value)))
    return found


def ready_gauge(module):
    text = module.node.output(["curl", "-sS", f"http://{COMM[0]}:{COMM[1]}/metrics"])
    value, = re.findall(r"^mpp_ready (\S+)$", text, re.MULTILINE)
    return int(value)


def titles_of(module):
    """The columns of both tables."""
    tables = module.control("paths").stdout.split("\n\n")
    expect_equal(len(tables), 2, f"{module.name}: tables")
    return {title for table in tables for title in table.splitlines()[0].split()}


def of_path(samples, path):
    return [(labels, value) for labels, value in samples
            if all(labels[key] == str(path[key]) for key in ("tunnel", "worker", "side", "peer"))]


def alike(lab):
    """What a path has in JSON it has in the table and in /metrics, under the documented names."""
    chain = Chain(lab, paths=2)
    listener = chain.listen()
    check_session(chain.ready(), listener, MB)
    figures = documented_figures()
    expect(len(figures) >= 18, f"the table of docs/control.md has {len(figures)} rows")
    for module in (chain.ingress, chain.proxies[0], chain.egress):
        paths = module.must("paths")["paths"]
        metrics, titles = metrics_of(module), titles_of(module)
        numbers = {key for path in paths for key in path if isinstance(path[key], (int, float))}
        expect_equal(numbers - {key for key, _, _ in figures}, numbers & {"worker", "index"},
                     f"{module.name}: members that docs/control.md does not explain")
        for key, title, metric in figures:
            having = [path for path in paths if key in path]
            expect_equal(title in titles, bool(having), f"{module.name}: column {title}")
            samples = metrics.get(f"mpp_path_{metric}", [])
            expect_equal(len(samples), len(having), f"{module.name}: samples of {metric}")
            expect(all(len(of_path(samples, path)) == 1 for path in having),
                   f"{module.name}: {metric} of each path: {samples}")
        for path in paths:
            (labels, value), = of_path(metrics["mpp_path_state"], path)
            expect_equal((labels["state"], labels["why"], value), (path["state"], path["why"], 1),
                         f"{module.name}: mpp_path_state of {json.dumps(path)}")
            (_, value), = of_path(metrics["mpp_path_sent_bytes_total"], path)
            expect(value >= path["sent_bytes"], f"{module.name}: {value} bytes of {path}")


def ready(lab):
    """mpp_ready says what health_check says: before there is a way, with some, and without one."""
    chain = Chain(lab, paths=2)
    chain.start_ingress()
    chain.ingress.wait_live()
    expect_equal((ready_gauge(chain.ingress), chain.ingress.must("health_check")["ready"]),
                 (0, False), "mpp_ready and health_check alone")
    chain.start_proxies()
    chain.start_egress()
    chain.ready()
    for module in (chain.ingress, *chain.proxies, chain.egress):
        wait_for(lambda: module.must("health_check")["ready"], f"{module.name} ready")
        expect_equal(ready_gauge(module), 1, f"{module.name}: mpp_ready in the chain")
    chain.proxies[0].kill()
    wait_for(lambda: chain.ingress.must("health_check")["degraded"], "the ingress is degraded")
    expect_equal(ready_gauge(chain.ingress), 1, "mpp_ready with one path of two")
    chain.proxies[1].kill()
    wait_for(lambda: not chain.ingress.must("health_check")["ready"], "the ingress has no way")
    expect_equal(ready_gauge(chain.ingress), 0, "mpp_ready without a path")


SCENARIOS = [
    Scenario("alike", alike),
    Scenario("ready", ready),
]

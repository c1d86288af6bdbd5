"""How planning grows with the network: time, memory, and the gap to the bound; beside it the programme
with a variable for each application on each arc, of which only the total is asked. Each in a process of
its own."""

import json
import pathlib
import resource
import subprocess
import sys
import time

NAME = "plan"
TOOLS = ()
ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT_S = 600
SIZES = ((20, 60, 5), (50, 200, 10), (100, 500, 25), (200, 1000, 50), (500, 3000, 100),
         (1000, 6000, 200))  # PoPs, links, applications
QUICK_SIZES = SIZES[:3]
DENSE_MAX = 500 * 50  # arcs times applications; beyond it takes minutes
ASKED_S = {(200, 1000, 50): 5, (1000, 6000, 200): 60}
UNLIMITED_MAX = (200, 1000, 50)  # where all want all they can get, larger ones take minutes
MIB_ASKED = 2048
GAP_ASKED_PERCENT = 1


def measure(bench):
    for size in bench.size(SIZES, QUICK_SIZES):
        name = "{} PoPs, {} links, {} applications".format(*size)
        for has_limits in (True, False):
            if has_limits or size <= UNLIMITED_MAX:
                case = name + ("" if has_limits else " that want all")
                tell(bench, case, size, [run("ours", size, has_limits)
                                         for _ in range(bench.runs(3))])
        if 2 * size[1] * size[2] <= DENSE_MAX:
            tell(bench, f"{name} that want all, arc by arc", size,
                 [run("arc by arc", size, False) for _ in range(bench.runs(3))])


def tell(bench, case, size, runs):
    is_ours = "gap" in runs[0]
    asked_s = ("<=", ASKED_S[size]) if is_ours and size in ASKED_S else None
    bench.report.row(NAME, case, "time", [said["seconds"] for said in runs], "s", asked_s)
    bench.report.row(NAME, case, "memory", [said["mib"] for said in runs], "MiB",
                     ("<=", MIB_ASKED) if is_ours else None)
    if is_ours:
        bench.report.row(NAME, case, "gap to the bound", [100 * said["gap"] for said in runs], "%",
                         ("<=", GAP_ASKED_PERCENT))


def run(how, size, has_limits):
    words = [sys.executable, __file__, how, *map(str, size), str(int(has_limits))]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=LIMIT_S)
    return json.loads(done.stdout)


def arc_by_arc(network):
    """The most for all together: x[k, arc] >= 0, and at each PoP what comes leaves again."""
    import numpy as np
    from scipy.optimize import linprog
    from scipy.sparse import block_diag, csr_matrix, hstack, identity
    arcs, apps = network.arcs(), list(network.apps.values())
    index = {pop: i for i, pop in enumerate(network.pops)}
    tails, heads = ([index[getattr(arc, end)] for arc in arcs] for end in ("tail", "head"))
    across = np.arange(len(arcs))
    balance = (csr_matrix((np.ones(len(arcs)), (tails, across)), shape=(len(index), len(arcs)))
               - csr_matrix((np.ones(len(arcs)), (heads, across)), shape=(len(index), len(arcs))))
    blocks, gains = [], []
    for app in apps:
        inner = [i for i in range(len(index)) if i not in (index[app.source], index[app.target])]
        blocks.append(balance[inner])
        gains.append(-balance[index[app.source]].toarray()[0])
    rows = block_diag(blocks)
    done = linprog(np.concatenate(gains), A_ub=hstack([identity(len(arcs))] * len(apps)),
                   b_ub=[arc.rate_kbit for arc in arcs], A_eq=rows, b_eq=np.zeros(rows.shape[0]),
                   method="highs")
    return {"kbit": -done.fun}


def ours(network):
    from mpp.plan import plan
    made = plan(network, list(network.apps.values()))
    return {"kbit": made.rate_kbit_total, "gap": made.gap}


def main():
    sys.path.insert(0, str(ROOT / "cli"))
    from mpp.generate import random_network
    how, *size, has_limits = sys.argv[1:]
    network = random_network(*map(int, size), has_limits=bool(int(has_limits)))
    started = time.monotonic()
    found = {"ours": ours, "arc by arc": arc_by_arc}[how](network)
    print(json.dumps({**found, "seconds": time.monotonic() - started,
                      "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()

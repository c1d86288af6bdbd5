"""How many connections each model holds at once, how soon they are there, what one costs in memory,
and that none fails when all of them echo a message."""

from echo_place import Place, end

NAME = "connections"
TOOLS = ()
# Server's model: connections that are asked for.
ASKED = {"event": 1_000_000, "uring": 1_000_000, "thread": 40_000, "fork": 20_000}
QUICK_PART = 20
RUNS = 1
PER_SECOND = 24_000  # asked of event and uring
# Of the client: fewer, since both ends then take threads or processes.
CLIENTS = {"thread": 10_000, "fork": 5_000}


def measure(bench):
    with bench.make_lab("echo-connections") as lab:
        place = Place(bench, lab)
        for model, count in ASKED.items():
            one_case(bench, place, model, "event", bench.size(count, count // QUICK_PART))
        for client, count in CLIENTS.items():
            one_case(bench, place, "event", client, bench.size(count, count // QUICK_PART))


def one_case(bench, place, model, client, count):
    case = f"{model}, {count:,} from the {client} client"
    if not bench.is_wanted(case):
        return
    seen = [one_run(place, model, client, count) for _ in range(bench.runs(RUNS))]
    tell(bench.report, case, seen, ASKED[model] if client == "event" and not bench.quick else count,
         client == "event" and model in ("event", "uring"))


def one_run(place, model, client, count):
    server = place.serve(model)
    said = place.drive("--test", "connections", "--connections", count, "--verify", "all",
                       "--server-pid", server.popen.pid, "--timeout", 60, model=client)
    said["counted"] = end(server)
    return said


def tell(report, case, seen, asked, is_timed):
    def row(figure, pick, unit="", bound=None):
        report.row(NAME, case, figure, [pick(said) for said in seen], unit, bound)

    row("held at once", lambda said: said["held"], bound=(">=", asked))
    row("echoed, every byte", lambda said: said["verified"], bound=(">=", asked))
    row("failed", lambda said: sum(said["failed"].values()) + said["reset"] + said["timed_out"]
        + said["ended_early"] + said["dropped"] + said["broken"], bound=("<=", 0))
    row("set up", lambda said: said["connections_per_s"], "1/s",
        (">=", PER_SECOND) if is_timed else None)
    for who in ("client", "server", "kernel"):
        if all((said["memory"] or {}).get(f"{who}_bytes") for said in seen):  # else it cannot be told
            row(f"memory of one, {who}", lambda said, who=who: said["memory"][f"{who}_bytes"], "B")
    row("server's processes for connections", lambda said: said["counted"].get("workers", 0))
    for said in seen:
        if said["stopped_by"] != "all":
            report.note(f"{case}: stopped by {said['stopped_by']}")

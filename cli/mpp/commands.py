"""What can be said at the prompt and in scripts. A command gets its words and returns what to print;
CommandError is its failure."""

from __future__ import annotations

import json
import time
import traceback
from dataclasses import dataclass
from typing import Callable, Optional, Sequence

from .model import KBIT_PER_MBIT, ModelError
from .orchestrator import Orchestrator, Refused, flows_status, plan_totals
from .place.base import PlaceError
from .plan import Infeasible, Plan, Unsolved

FIGURES = {"bandwidth": "bandwidth_mbit", "delay": "delay_ms", "loss": "loss_percent"}
LOG_LINES = 20
NUMBER_MAX = 1e6
PLOT_S = 300
PLOT_EVENTS = 1000
JSON = "--json"


class CommandError(Exception):
    """What to say; the script ends here."""


@dataclass(frozen=True)
class Command:
    name: str
    usage: str  # behind the name
    help: str
    run: Callable[[Orchestrator, list[str]], str]
    words: str = ""  # what completes its arguments: "apps", "links"


def perform(orchestrator: Orchestrator, name: str, words: Sequence[str]) -> str:
    command = COMMANDS.get(name)
    if command is None:
        raise CommandError(f"{name}: no such command; help lists them")
    try:
        return command.run(orchestrator, list(words))
    except (Refused, PlaceError, ModelError, OSError, json.JSONDecodeError) as error:
        raise CommandError(f"{name}: {error}") from None
    except ModuleNotFoundError as error:
        raise CommandError(f"{name}: needs python3-{error.name.partition('.')[0]}, which this Python does "
                           "not have") from None
    except CommandError:
        raise
    except Exception as error:  # pylint: disable=broad-except  # a mistake of ours ends no network
        orchestrator.events.add(f"{name} failed: {traceback.format_exc()}", "a mistake in the orchestrator")
        raise CommandError(f"{name}: {type(error).__name__}: {error}; log has more") from None


def usage_error(name: str) -> CommandError:
    return CommandError(f"usage: {name} {COMMANDS[name].usage}")


def read_number(name: str, text: str, low: float = 0) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not low <= value <= NUMBER_MAX:
        raise CommandError(f"{name}: {text!r}, expected a number from {low:g} to {NUMBER_MAX:g}")
    return value


# ---- the network ----
def change(orchestrator: Orchestrator, words: list[str]) -> str:
    if len(words) < 2:
        raise usage_error("change")
    link, *settings = words
    figures: dict[str, float] = {}
    is_up: Optional[bool] = None
    for setting in settings:
        key, equals, text = setting.partition("=")
        if setting in ("up", "down") and is_up is None:
            is_up = setting == "up"
        elif equals and key in FIGURES:
            figures[FIGURES[key]] = read_number("change", text)
        else:
            raise usage_error("change")
    return orchestrator.change(link, figures, is_up)


def udp(orchestrator: Orchestrator, words: list[str]) -> str:
    if len(words) not in (2, 3) or (len(words) == 3 and not words[2].startswith("from=")):
        raise usage_error("udp")
    sources = [pop_id(orchestrator, words[2].removeprefix("from="))] if len(words) == 3 else []
    return orchestrator.udp(words[0], read_number("udp", words[1]), sources)


def pop_id(orchestrator: Orchestrator, text: str):
    for pop in orchestrator.network.pops:
        if str(pop) == text:
            return pop
    raise CommandError(f"no PoP {text}; there are {', '.join(map(str, orchestrator.network.pops))}")


# ---- applications ----
def plan(orchestrator: Orchestrator, words: list[str]) -> str:
    made = planned(lambda: orchestrator.plan([word for word in words if word != JSON]))
    if JSON in words:
        return json.dumps({**plan_totals(made), "apps": [
            {"name": name, "rate_mbit": round(made.rate_kbit(name) / KBIT_PER_MBIT, 3),
             "flows": flows_status(flows)} for name, flows in made.flows.items()]}, indent=1)
    lines = []
    for name, flows in made.flows.items():
        lines.append(f"{name}: {made.rate_kbit(name) / KBIT_PER_MBIT:g} Mbit/s"
                     + ("" if flows else ": no link leads there"))
        lines += [f"  {flow.rate_kbit / KBIT_PER_MBIT:8g}  {' - '.join(map(str, flow.pops))}"
                  for flow in flows]
    return "\n".join([*lines, total(made)])


def total(made: Plan) -> str:
    said = f"together {made.rate_kbit_total / KBIT_PER_MBIT:g} Mbit/s"
    return said + (f", within {made.gap:.2%} of the most there can be" if made.gap >= 1e-4 else
                   ", the most there can be")


def planned(work: Callable):
    try:
        return work()
    except (Infeasible, Unsolved) as error:
        raise CommandError(f"no plan: {error}") from None


def commit(orchestrator: Orchestrator, words: list[str]) -> str:
    done = planned(lambda: orchestrator.commit(words))
    if not done or orchestrator.planned is None:
        return "no application is to be committed"
    return "\n".join([*done, total(orchestrator.planned)])


def check(orchestrator: Orchestrator, words: list[str]) -> str:
    if words:
        raise usage_error("check")
    said = orchestrator.check()
    if not said:
        raise CommandError("check: no application runs")
    lines = "\n".join(f"{name}: {state}" for name, state in said.items())
    if any(state != "ready" for state in said.values()):
        raise CommandError(lines)
    return lines


# ---- looking ----
def status(orchestrator: Orchestrator, words: list[str]) -> str:
    if words not in ([], [JSON]):
        raise usage_error("status")
    said = orchestrator.status()
    if words:
        return json.dumps(said, indent=1)
    from .show.top import drawing  # pylint: disable=import-outside-toplevel
    return "\n".join(drawing(said, 100, 200)).rstrip()


def top(orchestrator: Orchestrator, words: list[str]) -> str:
    if len(words) > 1:
        raise usage_error("top")
    from .show import top as view  # pylint: disable=import-outside-toplevel
    view.run(orchestrator.status, read_number("top", words[0]) if words else None)
    return ""


def plot(orchestrator: Orchestrator, words: list[str]) -> str:
    if len(words) not in (1, 2):
        raise usage_error("plot")
    from .show import plot as picture  # pylint: disable=import-outside-toplevel
    seconds = read_number("plot", words[1], 1) if len(words) == 2 else PLOT_S
    try:
        picture.write(words[0], orchestrator.samples(), orchestrator.events.last(PLOT_EVENTS),
                      orchestrator.name, seconds)
    except (picture.ShowError, OSError) as error:
        raise CommandError(f"plot: {error}") from None
    return f"plot: {words[0]}"


def autopilot(orchestrator: Orchestrator, words: list[str]) -> str:
    if words not in (["on"], ["off"]):
        raise usage_error("autopilot")
    return orchestrator.set_autopilot(words == ["on"])


def log(orchestrator: Orchestrator, words: list[str]) -> str:
    if len(words) > 1:
        raise usage_error("log")
    count = int(read_number("log", words[0], 1)) if words else LOG_LINES
    return "\n".join(map(str, orchestrator.events.last(count)))


def wait(_orchestrator: Orchestrator, words: list[str]) -> str:
    if len(words) != 1:
        raise usage_error("wait")
    time.sleep(read_number("wait", words[0]))
    return ""


def help_text(_orchestrator: Orchestrator, words: list[str]) -> str:
    if unknown := [word for word in words if word not in COMMANDS]:
        raise CommandError(f"help: {unknown[0]}: no such command")
    chosen = [COMMANDS[word] for word in words] or list(COMMANDS.values())
    width = max(len(f"{c.name} {c.usage}") for c in chosen)
    return "\n".join(f"{f'{c.name} {c.usage}':{width}}  {c.help}" for c in chosen)


def without_words(name: str, work: Callable[[Orchestrator], str]) -> Callable:
    def run(orchestrator: Orchestrator, words: list[str]) -> str:
        if words:
            raise usage_error(name)
        return work(orchestrator)
    return run


QUIT = ("quit", "exit")
COMMANDS = {command.name: command for command in (
    Command("setup", "", "builds the network", without_words("setup", Orchestrator.setup)),
    Command("change", "LINK [bandwidth=MBIT] [delay=MS] [loss=PERCENT] [up|down]",
            "changes a link, now", change, "links"),
    Command("route", "", "static routes, so that every PoP reaches every other",
            without_words("route", Orchestrator.route)),
    Command("udp", "LINK MBIT [from=POP]", "sends UDP over a link, both ways or from one PoP; 0 ends it",
            udp, "links"),
    Command("destroy", "", "takes all of it down", without_words("destroy", Orchestrator.destroy)),
    Command("plan", "[APP...|all] [--json]", "shows what commit would do", plan, "apps"),
    Command("commit", "[APP...|all]", "plans anew with these applications, too, and goes over to it",
            commit, "apps"),
    Command("check", "", "asks every module whether it is ready", check),
    Command("reset", "[APP...|all]", "ends all streams", lambda o, words: o.reset(words), "apps"),
    Command("close", "[APP...|all]", "ends applications", lambda o, words: o.close(words), "apps"),
    Command("status", "[--json]", "shows what is so", status),
    Command("top", "[SECONDS]", "shows it live; q ends it", top),
    Command("plot", "FILE.svg|FILE.png [SECONDS]", "draws the throughput of the last minutes", plot),
    Command("autopilot", "on|off", "plans anew when links fail, change or return", autopilot),
    Command("log", "[LINES]", "shows what happened, and why", log),
    Command("wait", "SECONDS", "does nothing for so long", wait),
    Command("help", "[COMMAND]", "shows this", help_text),
    Command("quit", "", "takes all of it down, and ends", without_words("quit", lambda _: "")),
    Command("exit", "", "the same", without_words("exit", lambda _: "")),
)}

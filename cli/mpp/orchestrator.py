"""One network and what runs on it: the one thing behind the prompt, scripts, `top` and the autopilot.
Whoever asks, each request that changes something is done alone, and what came of it is an event;
who only looks waits for nobody."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from pathlib import Path
from typing import Iterator, Optional, Sequence

from .autopilot import Autopilot
from .deployment import Deployment, NotStarted
from .events import Events
from .history import SAMPLE_S, History, Sample
from .interrupts import held
from .model import KBIT_PER_MBIT, App, Link, Network, PopId
from .place.base import Place, PlaceError, Running
from .plan import Flow, Infeasible, Plan, Unsolved, plan
from .ports import Ports
from .together import at_once
from .watch import ACK_PART, Watch

LOOK_S = 0.4
EVENTS_SHOWN = 20
ASKED, WATCHED = "asked", "it is looked at always"  # why something was done
UDP_START_LIMIT_S = 10
OWN_KBIT_MIN = 100  # for acknowledgements of what is slow, too
UDP_SENDER = Path(__file__).resolve().parent / "udp_sender.py"


class Refused(Exception):
    """One line: what cannot be done now, and what to do first."""


@dataclasses.dataclass(frozen=True)
class UdpSender:
    process: Running
    mbit: float


class Orchestrator:
    """`name` is that of the configuration, `where` of the place."""

    def __init__(self, name: str, network: Network, place: Place, where: str, events: Events):
        self.name, self.network, self.place, self.where = name, network, place, where
        self.configured = dict(network.links)  # before any `change`
        self.events, self.history = events, History()
        self.lock = threading.RLock()
        self.turn = 0  # of those that change something
        self.is_set_up = False
        self.apps: dict[str, Deployment] = {}
        self.planned: Optional[Plan] = None  # the last that was committed
        self.divided: set[tuple[str, PopId]] = set()  # sides of links
        self.udp_senders: dict[tuple[str, PopId], UdpSender] = {}
        self.autopilot: Optional[Autopilot] = None
        self.is_over = threading.Event()
        self.watcher: Optional[threading.Thread] = None

    # ---- the network ----

    def setup(self) -> str:
        with self._changing():
            if self.is_set_up:
                raise Refused("the network is set up already; destroy takes it down")
            started = time.monotonic()
            self.place.setup(self.network)
            self.is_set_up, self.ports = True, Ports()
            self.ports.reserve(self.network)
            self.is_over.clear()
            self.watcher = threading.Thread(target=self._watch, daemon=True)
            self.watcher.start()
            return self._tell(f"setup: {len(self.network.pops)} PoPs, {len(self.network.links)} "
                              f"links in {time.monotonic() - started:.2f} s")

    def destroy(self) -> str:
        """Also half a network, and when there is none. Links get their configured figures again."""
        with held():
            self.is_over.set()
            if self.watcher is not None and self.watcher is not threading.current_thread():
                self.watcher.join()
            with self._changing():
                self.watcher = self.autopilot = self.planned = None
                for deployment in self.apps.values():
                    with contextlib.suppress(PlaceError, OSError):
                        deployment.close()
                self.apps.clear()
                self.udp_senders.clear()
                self.divided.clear()
                self.history = History()
                was_set_up, self.is_set_up = self.is_set_up, False
                self.network.links.update(self.configured)
                self.place.destroy()
                return self._tell("destroy") if was_set_up else "nothing is set up"

    def change(self, name: str, figures: dict[str, float], is_up: Optional[bool] = None) -> str:
        """`figures` by the fields of Link; `is_up` cuts the link or joins it again."""
        with self._changing():
            self._needs_network()
            link = self._link(name)
            if figures:
                link = dataclasses.replace(link, **figures)
                self.place.set_link(name, link)  # of the same network
            if is_up is not None:
                self.place.set_link_up(name, is_up)
            said = [f"{key.rpartition('_')[0]} {value:g}" for key, value in figures.items()]
            said += [] if is_up is None else ["up" if is_up else "down"]
            return self._tell(f"change {name}: {', '.join(said)}")

    def route(self) -> str:
        with self._changing():
            self._needs_network()
            return self._tell(f"route: {self.place.route()} routes")

    def udp(self, name: str, mbit: float, sources: Sequence[PopId] = ()) -> str:
        """Sends UDP over a link, from both its PoPs or from those; 0 ends it."""
        with self._changing():
            self._needs_network()
            link = self._link(name)
            for pop in sources or (link.a, link.b):
                if pop not in (link.a, link.b):
                    raise Refused(f"link {name} does not begin at PoP {pop}")
                self._send_udp(name, pop, link.b if pop == link.a else link.a, mbit)
            return self._tell(f"udp {name}: {mbit:g} Mbit/s"
                              + "".join(f" from {pop}" for pop in sources))

    def _send_udp(self, name: str, pop: PopId, other: PopId, mbit: float) -> None:
        before = self.udp_senders.pop((name, pop), None)
        if before is not None:
            before.process.stop()
        if mbit > 0:
            process = self.place.start(
                pop, f"udp-{name}-{pop}",
                ["/usr/bin/python3", "-c", UDP_SENDER.read_text(encoding="utf-8"),
                 self.place.address(name, other), f"{mbit:g}"])
            self.udp_senders[name, pop] = UdpSender(process, mbit)
            _wait_until_it_sends(process)

    # ---- applications ----

    def wanted(self, names: Sequence[str]) -> list[App]:
        """Those that run, and these; without names, those that a configuration commits at first."""
        unknown = [name for name in names if name not in self.network.apps and name != "all"]
        if unknown:
            raise Refused(f"no application {unknown[0]}; there are "
                          f"{', '.join(self.network.apps) or 'none'}")
        chosen = {name for name, app in self.network.apps.items()
                  if name in names or "all" in names or (not names and app.is_committed)}
        return [app for name, app in self.network.apps.items()
                if name in chosen or name in self.apps]

    def plan(self, names: Sequence[str] = ()) -> Plan:
        """What `commit` would do."""
        with self.lock:  # not while it plans: that may take long
            wanted = self.wanted(names)
            less_kbit = dict(self.autopilot.less_kbit) if self.autopilot else {}
            for name in self._left_out({pop for app in wanted for pop in (app.source, app.target)}):
                link = self.network.links[name]
                for pop in (link.a, link.b):
                    less_kbit[name, pop] = link.bandwidth_mbit * KBIT_PER_MBIT
        return plan(self.network, wanted, less_kbit)

    def _left_out(self, ends: set[PopId]) -> set[str]:
        """The links that are not used: also those of relays where nothing starts, but for PoPs that
        an application cannot do without."""
        bad_pops = self.autopilot.bad_pops - ends if self.autopilot else set()
        return self.place.cut | self._bad_links() | {
            name for name, link in self.network.links.items() if {link.a, link.b} & bad_pops}

    def commit(self, names: Sequence[str] = (), why: str = ASKED) -> list[str]:
        """What was done, a line for each application. One that fails stays as it was, and the others go
        on; then PlaceError says which."""
        with self._changing():
            self._needs_network()
            made, done, failed = self.plan(names), [], []
            for name, flows in made.flows.items():
                deployment = self.apps.get(name) or Deployment(self.place, self.network.apps[name],
                                                               self.ports)
                try:
                    said = deployment.commit(flows)
                    self.apps[name] = deployment
                    mbit = made.rate_kbit(name) / KBIT_PER_MBIT
                    done.append(self._tell(f"commit {name}: {mbit:g} Mbit/s, {said}", why))
                except (PlaceError, OSError) as error:
                    self._leave_out(deployment.app, error)
                    failed.append(f"{name}: {error}")
                    self._tell(f"commit {name} failed: {error}", why)
            self.planned = made
            try:
                self._divide_links()
            except (PlaceError, OSError) as error:
                failed.append(self._tell(f"links were not divided: {error}", why))
            if failed:
                raise PlaceError("\n".join([*failed, *done]))
            return done

    def _leave_out(self, app: App, error: Exception) -> None:
        """The next plan does without a relay where nothing starts."""
        if (self.autopilot is not None and isinstance(error, NotStarted)
                and error.pop not in (app.source, app.target)):
            self.autopilot.fail_pop(time.monotonic(), error.pop)

    def _divide_links(self) -> None:
        """Among the applications that are to have their own rates, by the port of each hop."""
        shares: dict[tuple[str, PopId], dict[int, float]] = {side: {} for side in self.divided}
        for deployment in self.apps.values():
            if deployment.app.has_own_rate and deployment.layout:
                for arc, kbit in deployment.layout.rates_kbit.items():
                    port = deployment.layout.addresses[arc].port
                    for pop, part in ((arc.tail, 1.0), (arc.head, ACK_PART)):
                        ports = shares.setdefault((arc.link, pop), {})
                        ports[port] = ports.get(port, 0) + max(part * kbit, OWN_KBIT_MIN)
        for (link, pop), ports in shares.items():
            self.place.set_shares(link, pop, ports)
        self.divided = {side for side, ports in shares.items() if ports}

    def check(self) -> dict[str, str]:
        """Of each module: "ready", or what is missing."""
        return {name: said for of_app in at_once(Deployment.check, list(self.apps.values()))
                for name, said in of_app.items()}

    def reset(self, names: Sequence[str] = ()) -> str:
        with self.lock:
            running = self._running(names)
        return self._tell(f"reset: {sum(at_once(Deployment.reset, running))} streams ended")

    def close(self, names: Sequence[str] = ()) -> str:
        with self._changing():
            closed = self._running(names)
            for deployment in closed:
                deployment.close()
                del self.apps[deployment.app.name]
            self._divide_links()
            return self._tell(f"close: {', '.join(d.app.name for d in closed) or 'nothing ran'}")

    def _running(self, names: Sequence[str]) -> list[Deployment]:
        missing = [name for name in names if name not in self.apps and name != "all"]
        if missing:
            raise Refused(f"application {missing[0]} does not run; "
                          f"{', '.join(self.apps) or 'none'} does")
        return [d for name, d in self.apps.items() if not names or "all" in names or name in names]

    # ---- watching ----

    def set_autopilot(self, is_on: bool) -> str:
        with self._changing():
            self._needs_network()
            if is_on == (self.autopilot is not None):
                return f"autopilot is {'on' if is_on else 'off'} already"
            self.autopilot = Autopilot(self.network) if is_on else None
            return self._tell(f"autopilot {'on' if is_on else 'off'}")

    def _watch(self) -> None:
        watch = Watch(self.network, self.place, lambda what: self._tell(what, WATCHED))
        complaint = ""
        while not self.is_over.wait(LOOK_S):
            try:
                self._look(watch)
                complaint = ""
            except Exception as error:  # pylint: disable=broad-except  # it must go on
                if str(error) != complaint and not self.is_over.is_set():
                    complaint = str(error)
                    self._tell(f"the network cannot be looked at: {complaint}", WATCHED)

    def _look(self, watch: Watch) -> None:
        """Others need not wait for it: what it has seen while something changed says nothing."""
        with self.lock:
            turn, running, bad_links = self.turn, list(self.apps.values()), self._bad_links()
        look, counters = watch.look(running, bad_links)
        with self.lock:
            if turn != self.turn or self.is_over.is_set():
                return
            if abs(counters.at - (self.history.before.at if self.history.before else 0)) >= SAMPLE_S * .9:
                self.history.add(counters)
            if self.autopilot is not None:
                self._react(self.autopilot, self.autopilot.look(time.monotonic(), look))

    def _react(self, autopilot: Autopilot, news: list[str]) -> None:
        ended = [f"{name} has ended" for d in self.apps.values() for name in d.ended]
        for name, deployment in self.apps.items():
            ended += [] if deployment.layout else [f"{name} does not run"]
            ended += [] if deployment.is_settled else [f"{name} is between two plans"]
        if self.apps and autopilot.retry.need(time.monotonic(), news, ended):
            is_good = self._plan_anew(autopilot.retry.due)
            autopilot.retry.tried(time.monotonic(), is_good)

    def _plan_anew(self, why: str) -> bool:
        try:
            self.commit(list(self.apps), why)
        except (Infeasible, Unsolved, ModuleNotFoundError) as error:
            self._tell(f"no plan: {error}", why)
            return False
        except PlaceError:
            return False  # it is an event
        return True

    # ---- what is so ----

    def samples(self) -> list[Sample]:
        """What was carried lately."""
        return self.history.samples

    def status(self) -> dict:
        """All of it, as JSON may have it: README.md of cli/ names the fields. It waits for nobody:
        it is what is so also while a request is under way."""
        running, senders = dict(self.apps), dict(self.udp_senders)
        sample, made = self.history.last, self.planned
        said = dict(zip(running, at_once(AppSeen, running.values())))
        planned: dict[tuple[str, PopId], float] = {}
        for seen in said.values():
            for arc, kbit in seen.layout.rates_kbit.items() if seen.layout else ():
                side = arc.link, arc.tail
                planned[side] = planned.get(side, 0) + kbit / KBIT_PER_MBIT
        return {
            "config": self.name, "on": self.where, "is_set_up": self.is_set_up,
            "autopilot": self.autopilot is not None,
            "plan": None if made is None else plan_totals(made),
            "pops": [{"id": pop} for pop in self.network.pops],
            "links": [self._link_status(name, link, planned, sample.links)
                      for name, link in self.network.links.items()],
            "apps": [app_status(app, said.get(app.name), sample)
                     for app in self.network.apps.values()],
            "udp": [{"link": link, "from": pop, "mbit": sender.mbit,
                     "is_running": sender.process.is_alive()}
                    for (link, pop), sender in senders.items()],
            "events": [dataclasses.asdict(event) for event in self.events.last(EVENTS_SHOWN)],
        }

    def _link_status(self, name: str, link: Link, planned: dict, carried: dict) -> dict:
        return {
            "name": name, "a": link.a, "b": link.b, "bandwidth_mbit": link.bandwidth_mbit,
            "delay_ms": link.delay_ms, "loss_percent": link.loss_percent,
            "is_one_way": link.is_one_way, "is_up": name not in self.place.cut | self._bad_links(),
            "directions": [{"from": tail, "to": head,
                            "planned_mbit": round(planned.get((name, tail), 0), 3),
                            "carried_mbit": round(carried.get((name, tail), 0), 3)}
                           for tail, head in link.directions],
        }

    # ---- helpers ----

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Alone. What was seen before this says nothing any more."""
        with self.lock:
            self.turn += 1
            yield

    def _link(self, name: str) -> Link:
        if name not in self.network.links:
            raise Refused(f"no link {name}; there are {', '.join(self.network.links)}")
        return self.network.links[name]

    def _bad_links(self) -> set[str]:
        """That the autopilot leaves out."""
        autopilot = self.autopilot  # that another thread may end
        return autopilot.bad_links if autopilot else set()

    def _needs_network(self) -> None:
        if not self.is_set_up:
            raise Refused("there is no network yet: setup comes first")

    def _tell(self, what: str, why: str = ASKED) -> str:
        self.events.add(what, why)
        return what


def _wait_until_it_sends(sender: Running) -> None:
    """PlaceError: it does not, and what it said last."""
    deadline = time.monotonic() + UDP_START_LIMIT_S
    while True:
        is_alive, said = sender.is_alive(), sender.log_lines(1)  # in this order, for its last words
        if is_alive and said == ["sending"]:
            return
        if not is_alive or time.monotonic() > deadline:
            raise PlaceError(f"{sender.name} at PoP {sender.pop} does not send: "
                             f"{said[-1] if said else 'it says nothing'}")
        time.sleep(0.02)


class AppSeen:
    """What a running application is, and says of itself now."""

    def __init__(self, deployment: Deployment):
        self.layout, self.flows = deployment.layout, deployment.flows
        self.stats, self.health = deployment.stats(), deployment.check()


def app_status(app: App, seen: Optional[AppSeen], sample: Sample) -> dict:
    modules = seen.layout.modules if seen and seen.layout else []
    flows = seen.flows if seen else []
    return {
        "name": app.name, "source": app.source, "target": app.target,
        "listen_port": app.listen_port, "server_port": app.server_port,
        "state": "running" if modules else "stopped",
        "planned_mbit": round(sum(flow.rate_kbit for flow in flows) / KBIT_PER_MBIT, 3),
        "carried_mbit": round(sample.apps.get(app.name, 0), 3),
        "sessions": seen.stats.get("sessions", {}).get("open", 0) if seen else 0,
        "flows": flows_status(flows),
        "paths": [{"name": path, "carried_mbit": round(mbit, 3)}
                  for (name, path), mbit in sample.paths.items() if name == app.name],
        "modules": [{"name": module.name, "pop": module.pop, "program": module.program,
                     "comm_port": module.comm_port, "state": seen.health.get(module.name, "")}
                    for module in modules],
    }


def flows_status(flows: Sequence[Flow]) -> list[dict]:
    return [{"pops": flow.pops, "links": [arc.link for arc in flow.arcs],
             "rate_mbit": round(flow.rate_kbit / KBIT_PER_MBIT, 3)} for flow in flows]


def plan_totals(made: Plan) -> dict:
    return {"rate_mbit": round(made.rate_kbit_total / KBIT_PER_MBIT, 3),
            "bound_mbit": round(made.rate_kbit_bound / KBIT_PER_MBIT, 3), "gap": made.gap}

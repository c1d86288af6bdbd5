"""One network and what runs on it: the one thing behind the prompt, scripts, `top` and the autopilot.
Whoever asks, each request is done alone, and what came of it is an event."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from pathlib import Path
from typing import Optional, Sequence

from .autopilot import Autopilot
from .deployment import Deployment
from .events import Events
from .history import SAMPLE_S, History
from .model import KBIT_PER_MBIT, App, Link, Network, PopId
from .place.base import Place, PlaceError, Running
from .ports import Ports
from .watch import ACK_PART, Watch

LOOK_S = 0.4
RETRY_MAX_S = 60.0
EVENTS_SHOWN = 20
ASKED = "asked"
OWN_KBIT_MIN = 100  # for acknowledgements of what is slow, too
UDP_SENDER = Path(__file__).resolve().parent / "udp_sender.py"


class Refused(Exception):
    """One line: what cannot be done now, and what to do first."""


class Orchestrator:
    """`name` is that of the configuration, `where` of the place."""

    def __init__(self, name: str, network: Network, place: Place, where: str, events: Events):
        self.name, self.network, self.place, self.where = name, network, place, where
        self.events, self.history = events, History()
        self.lock = threading.RLock()
        self.is_set_up = False
        self.cut: set[str] = set()  # links that `change` has cut
        self.apps: dict[str, Deployment] = {}
        self.divided: set[tuple[str, PopId]] = set()  # sides of links
        self.udp_senders: dict[tuple[str, PopId], Running] = {}
        self.autopilot: Optional[Autopilot] = None
        self.due, self.retry_at, self.retries = "", 0.0, 0  # why a plan is, and from when it may be
        self.is_over = threading.Event()
        self.watcher: Optional[threading.Thread] = None

    # ---- the network ----

    def setup(self) -> str:
        with self.lock:
            if self.is_set_up:
                raise Refused("the network is set up already; destroy takes it down")
            started = time.monotonic()
            self.place.setup(self.network)
            self.is_set_up, self.ports = True, Ports()
            self.ports.reserve(self.network)
            self.is_over.clear()
            self.watcher = threading.Thread(target=self._watch, daemon=True)
            self.watcher.start()
            return self._done(f"setup: {len(self.network.pops)} PoPs, {len(self.network.links)} links "
                              f"in {time.monotonic() - started:.2f} s")

    def destroy(self) -> str:
        """Also half a network, and when there is none."""
        self.is_over.set()
        if self.watcher is not None and self.watcher is not threading.current_thread():
            self.watcher.join()
        with self.lock:
            self.watcher = self.autopilot = None
            for deployment in self.apps.values():
                with contextlib.suppress(PlaceError):
                    deployment.close()
            self.apps.clear()
            self.udp_senders.clear()
            self.cut.clear()
            self.divided.clear()
            self.history = History()
            was_set_up, self.is_set_up = self.is_set_up, False
            self.place.destroy()
            return self._done("destroy") if was_set_up else "nothing is set up"

    def change(self, name: str, figures: dict[str, float], is_up: Optional[bool] = None) -> str:
        """`figures` by the fields of Link; `is_up` cuts the link or joins it again."""
        with self.lock:
            self._needs_network()
            link = self._link(name)
            if figures:
                link = dataclasses.replace(link, **figures)
                self.place.set_link(name, link)  # of the same network
            if is_up is not None:
                self.place.set_link_up(name, is_up)
                (self.cut.discard if is_up else self.cut.add)(name)
            said = [f"{key.rpartition('_')[0]} {value:g}" for key, value in figures.items()]
            said += [] if is_up is None else ["up" if is_up else "down"]
            return self._done(f"change {name}: {', '.join(said)}")

    def route(self) -> str:
        with self.lock:
            self._needs_network()
            return self._done(f"route: {self.place.route()} routes")

    def udp(self, name: str, mbit: float, sources: Sequence[PopId] = ()) -> str:
        """Sends UDP over a link, from both its PoPs or from those; 0 ends it."""
        with self.lock:
            self._needs_network()
            link = self._link(name)
            for pop in sources or (link.a, link.b):
                if pop not in (link.a, link.b):
                    raise Refused(f"link {name} does not begin at PoP {pop}")
                self._send_udp(name, pop, link.b if pop == link.a else link.a, mbit)
            return self._done(f"udp {name}: {mbit:g} Mbit/s" + "".join(f" from {p}" for p in sources))

    def _send_udp(self, name: str, pop: PopId, other: PopId, mbit: float) -> None:
        before = self.udp_senders.pop((name, pop), None)
        if before is not None:
            before.stop()
        if mbit > 0:
            self.udp_senders[name, pop] = self.place.start(
                pop, f"udp-{name}-{pop}",
                ["/usr/bin/python3", "-c", UDP_SENDER.read_text(encoding="utf-8"),
                 self.place.address(name, other), f"{mbit:g}"])

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

    def plan(self, names: Sequence[str] = ()):
        """What `commit` would do: a plan.Plan."""
        from .plan import plan  # pylint: disable=import-outside-toplevel  # the rest does without scipy
        with self.lock:
            less_kbit = dict(self.autopilot.less_kbit) if self.autopilot else {}
            for link in self.cut | self._bad_links():
                ends = self.network.links[link]
                for pop in (ends.a, ends.b):
                    less_kbit[link, pop] = ends.bandwidth_mbit * KBIT_PER_MBIT
            return plan(self.network, self.wanted(names), less_kbit)

    def commit(self, names: Sequence[str] = (), why: str = ASKED) -> list[str]:
        """What was done, a line for each application. One that fails stays as it was, and the others go
        on; then PlaceError says which."""
        with self.lock:
            self._needs_network()
            made, done, failed = self.plan(names), [], []
            for app in self.wanted(names):
                deployment = self.apps.get(app.name) or Deployment(self.place, app, self.ports)
                try:
                    said = deployment.commit(made.flows[app.name])
                    self.apps[app.name] = deployment
                    done.append(self._done(f"commit {app.name}: {made.rate_kbit(app.name) / KBIT_PER_MBIT:g} "
                                           f"Mbit/s, {said}", why))
                except PlaceError as error:
                    failed.append(f"{app.name}: {error}")
                    self._done(f"commit {app.name} failed: {error}", why)
            try:
                self._divide_links()
            except PlaceError as error:
                failed.append(self._done(f"links were not divided: {error}", why))
            if failed:
                raise PlaceError("\n".join([*failed, *done]))
            return done

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
        with self.lock:
            return {name: said for deployment in self.apps.values()
                    for name, said in deployment.check().items()}

    def reset(self, names: Sequence[str] = ()) -> str:
        with self.lock:
            count = sum(deployment.reset() for deployment in self._running(names))
            return self._done(f"reset: {count} streams ended")

    def close(self, names: Sequence[str] = ()) -> str:
        with self.lock:
            closed = self._running(names)
            for deployment in closed:
                deployment.close()
                del self.apps[deployment.app.name]
            self._divide_links()
            return self._done(f"close: {', '.join(d.app.name for d in closed) or 'nothing ran'}")

    def _running(self, names: Sequence[str]) -> list[Deployment]:
        missing = [name for name in names if name not in self.apps and name != "all"]
        if missing:
            raise Refused(f"application {missing[0]} does not run; "
                          f"{', '.join(self.apps) or 'none'} does")
        return [d for name, d in self.apps.items() if not names or "all" in names or name in names]

    # ---- watching ----

    def set_autopilot(self, is_on: bool) -> str:
        with self.lock:
            self._needs_network()
            if is_on == (self.autopilot is not None):
                return f"autopilot is {'on' if is_on else 'off'} already"
            self.autopilot = Autopilot(self.network) if is_on else None
            return self._done(f"autopilot {'on' if is_on else 'off'}")

    def _watch(self) -> None:
        watch, complaint = Watch(self.place), ""
        while not self.is_over.wait(LOOK_S):
            try:
                self._look(watch)
                complaint = ""
            except Exception as error:  # pylint: disable=broad-except  # it must go on
                if str(error) != complaint and not self.is_over.is_set():
                    complaint = str(error)
                    self._done(f"the network cannot be looked at: {complaint}", "it is looked at always")

    def _look(self, watch: Watch) -> None:
        with self.lock:
            look, counters = watch.look(self.network, self.apps.values(), self._bad_links())
            if abs(counters.at - (self.history.before.at if self.history.before else 0)) >= SAMPLE_S * .9:
                self.history.add(counters)
            if self.autopilot is not None:
                self._react(self.autopilot.look(time.monotonic(), look))

    def _react(self, reasons: list[str]) -> None:
        """To what is new at once; when it fails again and again, later and later."""
        now = time.monotonic()
        ended = [f"{name} has ended" for d in self.apps.values() for name in d.dead()]
        ended += [f"{name} does not run" for name, d in self.apps.items() if d.layout is None]
        if reasons:
            self.retry_at, self.retries = now, 0
        if reasons or ended:
            self.due = "; ".join([*reasons, *ended])
        if not self.due or not self.apps or now < self.retry_at:
            return
        if self._plan_anew(self.due):
            self.due, self.retries = "", 0
        else:
            self.retries += 1
        self.retry_at = now + min(LOOK_S * 2 ** self.retries, RETRY_MAX_S)

    def _plan_anew(self, why: str) -> bool:
        from .plan import Infeasible, Unsolved  # pylint: disable=import-outside-toplevel
        try:
            self.commit(list(self.apps), why)
        except (Infeasible, Unsolved) as error:
            self._done(f"no plan: {error}", why)
            return False
        except PlaceError:
            return False  # it is an event
        return True

    # ---- what is so ----

    def status(self) -> dict:
        """All of it, as JSON may have it: README.md of cli/ names the fields."""
        with self.lock:
            sample = self.history.last
            planned: dict[tuple[str, PopId], float] = {}
            for deployment in self.apps.values():
                for arc, kbit in deployment.layout.rates_kbit.items() if deployment.layout else ():
                    planned[arc.link, arc.tail] = (planned.get((arc.link, arc.tail), 0)
                                                   + kbit / KBIT_PER_MBIT)
            return {
                "config": self.name, "on": self.where, "is_set_up": self.is_set_up,
                "autopilot": self.autopilot is not None,
                "pops": [{"id": pop} for pop in self.network.pops],
                "links": [self._link_status(name, link, planned, sample.links)
                          for name, link in self.network.links.items()],
                "apps": [self._app_status(app, sample.apps) for app in self.network.apps.values()],
                "events": [dataclasses.asdict(event) for event in self.events.last(EVENTS_SHOWN)],
            }

    def _link_status(self, name: str, link: Link, planned: dict, carried: dict) -> dict:
        bad = self.cut | self._bad_links()
        return {
            "name": name, "a": link.a, "b": link.b, "bandwidth_mbit": link.bandwidth_mbit,
            "delay_ms": link.delay_ms, "loss_percent": link.loss_percent,
            "is_one_way": link.is_one_way, "is_up": name not in bad,
            "directions": [{"from": tail, "to": head,
                            "planned_mbit": round(planned.get((name, tail), 0), 3),
                            "carried_mbit": round(carried.get((name, tail), 0), 3)}
                           for tail, head in link.directions],
        }

    def _app_status(self, app: App, carried: dict[str, float]) -> dict:
        deployment = self.apps.get(app.name)
        flows = deployment.flows if deployment else []
        said = deployment.stats() if deployment else {}
        checked = deployment.check() if deployment else {}
        modules = deployment.layout.modules if deployment and deployment.layout else []
        return {
            "name": app.name, "source": app.source, "target": app.target,
            "listen_port": app.listen_port, "server_port": app.server_port,
            "state": "running" if modules else "stopped",
            "planned_mbit": round(sum(flow.rate_kbit for flow in flows) / KBIT_PER_MBIT, 3),
            "carried_mbit": round(carried.get(app.name, 0), 3),
            "sessions": said.get("sessions", {}).get("open", 0),
            "flows": [{"pops": flow.pops, "rate_mbit": round(flow.rate_kbit / KBIT_PER_MBIT, 3)}
                      for flow in flows],
            "modules": [{"name": module.name, "pop": module.pop, "program": module.program,
                         "comm_port": module.comm_port, "state": checked.get(module.name, "")}
                        for module in modules],
        }

    # ---- helpers ----

    def _link(self, name: str) -> Link:
        if name not in self.network.links:
            raise Refused(f"no link {name}; there are {', '.join(self.network.links)}")
        return self.network.links[name]

    def _bad_links(self) -> set[str]:
        """That the autopilot leaves out."""
        return self.autopilot.bad_links if self.autopilot else set()

    def _needs_network(self) -> None:
        if not self.is_set_up:
            raise Refused("there is no network yet: setup comes first")

    def _done(self, what: str, why: str = ASKED) -> str:
        self.events.add(what, why)
        return what

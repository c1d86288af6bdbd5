"""The running modules of one application, and how they change without its streams noticing: what
is new comes up beside the old, ingress and egress go over together, then the old is closed.
Whatever fails before that leaves all as it was; a change that is half done, as a module gave no
answer, is ended by the next one."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Callable, Iterable, Optional, Sequence

from .interrupts import held
from .layout import (EGRESS, INGRESS, Address, Layout, Module, changed_ratios, lay_out,
                     set_ratios)
from .model import App, Arc, PopId
from .place.base import Place, PlaceError, Running
from .plan import Flow, arc_rates
from .ports import Ports
from .together import at_once

COMM_HOST = "127.0.0.1"
ASK_LIMIT_S = 15  # above what update_topo may take
LOOK_LIMIT_S = 1  # a module that only tells does so at once
SILENT_LOOKS = 3
START_LIMIT_S = 10
LOG_LINES = 3  # of a module that died, shown


class Refusal(PlaceError):
    """A module has answered that it does not do it; `code` is of docs/control.md."""

    def __init__(self, what: str, code: str):
        super().__init__(what)
        self.code = code


class NotStarted(PlaceError):
    """A module that does not run as it should, at this PoP."""

    def __init__(self, what: str, pop: PopId):
        super().__init__(what)
        self.pop = pop


@dataclass
class Hop:
    """Over one arc, of all tunnels: is it up for all, and the payload bytes along it and against it."""

    is_up: bool = True
    sent_bytes: int = 0
    received_bytes: int = 0

    def add(self, path: dict) -> None:
        self.is_up = self.is_up and path["state"] not in ("stalled", "dialling", "down")
        self.sent_bytes += path.get("sent_bytes", 0)
        self.received_bytes += path.get("received_bytes", 0)


class Deployment:
    """Nothing runs before the first `commit`, and nothing after `close`."""

    def __init__(self, place: Place, app: App, ports: Ports):
        self.place, self.app, self.ports = place, app, ports
        self.layout: Optional[Layout] = None
        self.flows: list[Flow] = []
        self.coming: Optional[tuple[Layout, list[Flow]]] = None  # prepared, or on the way
        self.egress_is_behind = False  # the ingress has gone over, and the egress has yet to
        self.running: dict[str, Running] = {}  # by the module's name
        self.silent: dict[str, int] = {}  # those that did not answer, for how many looks
        self.ended: list[str] = []  # those that were dead at the last look
        self.version = 0

    # ---- what the prompt asks for ----

    @property
    def is_settled(self) -> bool:
        """No change is half done."""
        return self.coming is None and not self.egress_is_behind

    def commit(self, flows: Sequence[Flow]) -> str:
        """Goes over to these flows, and says how. PlaceError: nothing has changed; or, while it is
        not `is_settled`, what was half done when a module gave no answer is still so: the next one
        finishes that first."""
        if not flows:
            raise PlaceError(f"{self.app}: no link leads from PoP {self.app.source} to PoP "
                             f"{self.app.target}")
        rates = arc_rates(flows)
        dead = self.dead()
        if self.layout is not None and {self.layout.ingress.name, self.layout.egress.name} & set(dead):
            self.close()
        with held():
            self._settle()
        if self.layout is None:
            self._begin(flows)
            return f"{len(self.layout.modules)} modules started"
        if set(rates) == set(self.layout.rates_kbit) and not set(dead) & set(self.running):
            count = self._set_weights(rates)
            self.flows = list(flows)
            return f"{count} weights set"
        self._go_over(flows)
        return f"{len(self.layout.proxies)} proxies in place of the old"

    def check(self) -> dict[str, str]:
        """Of each module: "ready", or what is missing."""
        layout = self.layout  # another thread may change it meanwhile
        if layout is None:
            return {self.app.name: "does not run"}
        said = at_once(self._health, layout.modules)
        return {module.name: state for module, (_, state) in zip(layout.modules, said)}

    def reset(self) -> int:
        """Ends all streams; how many those were."""
        layout = self.layout
        return self._ask(layout.ingress, "reset")["sessions"] if layout else 0

    def close(self) -> None:
        """Also half a one."""
        self._close([self.running[name] for name in reversed(self.running)])
        self._forget(self.layout)
        if self.coming is not None:
            self._forget(self.coming[0])
        self.layout, self.flows, self.coming, self.egress_is_behind = None, [], None, False

    def dead(self) -> list[str]:
        """The modules that have ended by themselves, or have not answered for SILENT_LOOKS looks."""
        return [name for name, process in list(self.running.items())
                if self.silent.get(name, 0) >= SILENT_LOOKS or not process.is_alive()]

    def hops(self) -> dict[Arc, Hop]:
        """What the module before each arc says of it; arcs are missing whose module does not
        answer. A look: `ended` is from now."""
        layout, seen = self.layout, {}
        if layout is not None:
            said = dict(zip((module.name for module in layout.modules),
                            at_once(self._paths, layout.modules)))
            self.silent = {name: self.silent.get(name, 0) + 1 for name, paths in said.items()
                           if paths is None}
            seen = _hops(layout, said)
        self.ended = self.dead()
        return seen

    def _paths(self, module: Module) -> Optional[list[dict]]:
        """None: it does not answer."""
        try:
            return self._ask(module, "paths", LOOK_LIMIT_S)["paths"]
        except PlaceError:
            return None

    def stats(self) -> dict:
        """The ingress's; {} when there is none, or it does not answer."""
        with contextlib.suppress(PlaceError):
            layout = self.layout
            return self._ask(layout.ingress, "stats", LOOK_LIMIT_S) if layout else {}
        return {}

    # ---- asking modules ----

    def _ask(self, module: Module, op: str, limit_s: float = ASK_LIMIT_S, **arguments: object) -> dict:
        where = f"{module.name} at PoP {module.pop}: {op}"
        try:
            with contextlib.closing(self.place.connect(module.pop, module.comm_port,
                                                       limit_s)) as channel:
                reply = channel.ask(op=op, **arguments)
        except (OSError, ValueError) as error:  # no connection, or what is no JSON
            raise PlaceError(f"{where}: {getattr(error, 'strerror', None) or error}"
                             f"{self._last_words(module)}") from None
        if not reply.get("ok"):
            raise Refusal(f"{where}: {reply.get('error')}", reply.get("code", ""))
        return reply

    def _last_words(self, module: Module) -> str:
        process = self.running.get(module.name)
        if process is None or process.is_alive():
            return ""
        return "; it has ended, and said last:\n  " + "\n  ".join(process.log_lines(LOG_LINES))

    def _health(self, module: Module) -> tuple[bool, str]:
        """Does it answer, and "ready" or what is missing."""
        try:
            reply = self._ask(module, "health_check", LOOK_LIMIT_S)
        except PlaceError as error:
            return False, str(error)
        return True, "ready" if reply["ready"] else "; ".join(reply["degraded"]) or "not ready"

    # ---- starting and ending ----

    def _start(self, modules: Sequence[Module]) -> None:
        for module in modules:
            try:
                self.running[module.name] = self.place.start(module.pop, module.name,
                                                             command(self.app, module))
            except (PlaceError, OSError) as error:
                raise NotStarted(str(error), module.pop) from None

    def _wait(self, modules: Sequence[Module], needs_way: bool) -> None:
        """Until all answer; with `needs_way`, until all are ready: a proxy is only once an ingress has
        come."""
        deadline = time.monotonic() + START_LIMIT_S
        for module in modules:
            while True:
                answers, said = self._health(module)
                if said == "ready" or (answers and not needs_way):
                    break
                self._check_alive(modules)
                if time.monotonic() > deadline:
                    raise NotStarted(f"{module.name} at PoP {module.pop} is not ready: {said}",
                                     module.pop)
                time.sleep(0.01)

    def _check_alive(self, modules: Sequence[Module]) -> None:
        for module in modules:
            if said := self._last_words(module):
                raise NotStarted(f"{module.name} at PoP {module.pop}{said}", module.pop)

    def _close(self, processes: Sequence[Running]) -> None:
        at_once(lambda process: process.stop(), processes)
        gone = {process.name for process in processes}
        self.running = {name: p for name, p in self.running.items() if name not in gone}

    def _forget(self, layout: Optional[Layout], keeps: Sequence[Module] = ()) -> None:
        """Gives its ports back."""
        if layout is None:
            return
        for arc, address in layout.addresses.items():
            self.ports.give_back(arc.head, address.port)
        for module in layout.modules:
            if module not in keeps:
                self.ports.give_back(module.pop, module.comm_port)

    def _lay_out(self, flows: Sequence[Flow]) -> Layout:
        self.version += 1
        return lay_out(self.app, flows, lambda arc: self.place.address(arc.link, arc.head),
                       self.ports.take, f".{self.version}" if self.version > 1 else "")

    def _begin(self, flows: Sequence[Flow]) -> None:
        layout = self._lay_out(flows)
        try:
            self._start(layout.modules)
            self._wait(layout.modules, needs_way=True)
        except BaseException:
            self._close(list(self.running.values()))
            self._forget(layout)
            raise
        self.layout, self.flows = layout, list(flows)

    # ---- changing ----

    def _set_weights(self, rates: dict[Arc, float]) -> int:
        before, changes = self.layout.rates_kbit, changed_ratios(self.layout, rates)
        try:
            self._tell_weights(changes)
        except BaseException:
            set_ratios(self.layout, rates)
            with contextlib.suppress(PlaceError):
                self._tell_weights(changed_ratios(self.layout, before))
            set_ratios(self.layout, before)
            raise
        set_ratios(self.layout, rates)
        return len(changes)

    def _tell_weights(self, changes: Sequence[tuple[Module, Address, int, str]]) -> None:
        for module, address, ratio, side in changes:
            self._ask(module, "set_weight", host=address.host, port=address.port, ratio=ratio,
                      side=side)

    def _go_over(self, flows: Sequence[Flow]) -> None:
        old, new = self.layout, self._lay_out(flows)
        undo: list[Callable[[], object]] = [lambda: self._drop(new)]
        try:
            proxies = list(new.proxies.values())
            self._start(proxies)
            self._wait(proxies, needs_way=False)
            for end, addresses, more in ((old.egress, new.egress.listens, {}),
                                         (old.ingress, new.ingress.backends, {"wait": True})):
                undo.append(lambda end=end: self._ask(end, "abort_topo"))  # also of half a one
                self._ask(end, "update_topo_pre", addresses=listed(addresses), **more)
            self.coming = new, list(flows)
        except BaseException:
            self.coming = None
            _do_all(reversed(undo))
            raise
        with held():  # the ends would go on without us
            self._settle("update_topo")

    def _settle(self, op: str = "abort_topo") -> None:
        """Ends a change that both ends have prepared: forwards when the ingress goes over, or has
        gone; back when it has not and will not. PlaceError: back, or it is not known yet, or the
        egress has still to go over; the next call finds out."""
        if self.coming is not None:
            refusal = None
            try:
                self._ask(self.layout.ingress, op)
            except Refusal as error:
                if error.code == "busy":  # it is still at it
                    raise
                refusal = error
            has_gone_over = refusal.code == "not_prepared" if refusal else op == "update_topo"
            if has_gone_over:
                self._take_over()
            else:
                self._go_back()
                if refusal is not None:
                    raise refusal
        if self.egress_is_behind:
            self._update_egress()

    def _go_back(self) -> None:
        (new, _), self.coming = self.coming, None
        _do_all([*(lambda end=end: self._ask(end, "abort_topo")
                   for end in (self.layout.ingress, self.layout.egress)), lambda: self._drop(new)])

    def _take_over(self) -> None:
        """The ends go on with the addresses of the new layout."""
        (new, flows), old = self.coming, self.layout
        egress, ingress = ends = old.egress, old.ingress
        egress.listens, ingress.backends = new.egress.listens, new.ingress.backends
        for spare in (new.egress, new.ingress):
            self.ports.give_back(spare.pop, spare.comm_port)
        self._forget(old, keeps=ends)
        new.egress, new.ingress = ends
        self.layout, self.flows, self.coming, self.egress_is_behind = new, flows, None, True

    def _update_egress(self) -> None:
        """It may have done so before, when its answer was lost. Then nobody needs the old proxies;
        and while it does not answer they do not help it."""
        try:
            self._ask(self.layout.egress, "update_topo")
            self.egress_is_behind = False
        except Refusal as refusal:
            if refusal.code != "not_prepared":
                raise
            self.egress_is_behind = False
        finally:
            names = {module.name for module in self.layout.modules}
            self._close([process for name, process in self.running.items() if name not in names])

    def _drop(self, layout: Layout) -> None:
        """A layout whose ends were those of another all the time."""
        self._close([self.running[module.name] for module in layout.proxies.values()
                     if module.name in self.running])
        self._forget(layout)


def _do_all(steps: Iterable[Callable[[], object]]) -> None:
    """Each as well as it can be."""
    for step in steps:
        with contextlib.suppress(PlaceError, OSError):
            step()


def _hops(layout: Layout, said: dict[str, Optional[list[dict]]]) -> dict[Arc, Hop]:
    """By what modules have said of their paths."""
    arcs = {(arc.tail, str(address)): arc for arc, address in layout.addresses.items()}
    seen: dict[Arc, Hop] = {}
    for module in layout.modules:
        for path in said[module.name] or ():
            arc = arcs.get((module.pop, path["peer"]))
            if arc is not None and path["side"] == "backend":
                seen.setdefault(arc, Hop()).add(path)
    return seen


def listed(addresses: dict[Address, int]) -> list[dict]:
    return [{"host": address.host, "port": address.port, "ratio": ratio}
            for address, ratio in addresses.items()]


def command(app: App, module: Module) -> list[str]:
    """Its command line: docs/control.md, man/."""
    listens, backends = dict(module.listens), dict(module.backends)
    options = ["--scheduler", app.scheduler.name] if module.program in (INGRESS, EGRESS) else []
    if module.program == INGRESS:
        listens = {Address("0.0.0.0", app.listen_port): 0}
    if module.program == EGRESS:
        host, _, port = (app.server or f"127.0.0.1:{app.server_port}").rpartition(":")
        backends = {Address(host, int(port)): 0}
    words = [module.program, *options, str(len(listens)), str(len(backends))]
    for address, ratio in [*listens.items(), *backends.items()]:
        words += [address.host, str(address.port), str(ratio)]
    return [*words, COMM_HOST, str(module.comm_port)]



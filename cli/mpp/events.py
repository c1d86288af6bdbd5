"""What happened and why, for people: in memory, and a line each in a file."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

EVENTS_MAX = 1000  # in memory; the file has all


@dataclass(frozen=True)
class Event:
    at: float  # seconds since the epoch
    what: str  # as "commit app34: 6 modules started"
    why: str  # as "asked", or what the autopilot saw

    def __str__(self) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(self.at))
        return f"{clock}.{int(self.at * 1000) % 1000:03} {self.what} ({self.why})"


class Events:
    """Any thread may add."""

    def __init__(self, path: Optional[Path] = None):
        self.path = path
        self.lock = threading.Lock()
        self.list: deque[Event] = deque(maxlen=EVENTS_MAX)

    def add(self, what: str, why: str) -> Event:
        event = Event(time.time(), what, why)
        with self.lock:
            self.list.append(event)
            if self.path is not None:
                day = time.strftime("%Y-%m-%d", time.localtime(event.at))
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write(f"{day} {event}\n")
        return event

    def last(self, count: int) -> list[Event]:
        with self.lock:
            return list(self.list)[-count:]

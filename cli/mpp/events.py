"""What happened and why, for people: in memory, and a line each in a file; what was before the last
megabyte or two is forgotten."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

EVENTS_MAX = 1000  # in memory; the file has more
FILE_BYTES_MAX = 1 << 20  # then it becomes the one before, .1, and that is gone


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
                with contextlib.suppress(OSError):  # what was done is done, also on a full disk
                    self._write(event)
        return event

    def _write(self, event: Event) -> None:
        day = time.strftime("%Y-%m-%d", time.localtime(event.at))
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(f"{day} {event}\n")
            is_full = file.tell() >= FILE_BYTES_MAX
        if is_full:
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))

    def last(self, count: int) -> list[Event]:
        with self.lock:
            return list(self.list)[-count:]

"""What the orchestrator has made, on disk before it is made: so that after a `kill -9` the next start
clears that, and nothing else. One folder per configuration; who holds its lock owns what it lists."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Iterator, Optional

END_S = 3.0  # for SIGTERM to work before SIGKILL


class Busy(Exception):
    """Another orchestrator runs this configuration."""


def start_time(pid: int) -> Optional[int]:
    """In ticks since boot: with the pid it names a process for good. None: there is none."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2]
    except OSError:
        return None
    state, *fields = after_name.split()
    return None if state in "ZX" else int(fields[18])


def _end_processes(pids: list[int], starts: list[int]) -> None:
    def left() -> list[int]:
        return [pid for pid, start in zip(pids, starts) if start_time(pid) == start]

    for number, limit_s in ((signal.SIGTERM, END_S), (signal.SIGKILL, END_S)):
        for pid in left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + limit_s
        while left() and time.monotonic() < deadline:
            time.sleep(0.01)


class Journal:
    """Holds the lock until `close`."""

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "journal"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.lock = open(folder / "lock", "a+", encoding="utf-8")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.lock.seek(0)
            owner = self.lock.read().strip()
            self.lock.close()
            raise Busy(f"process {owner or '?'} runs it already") from None
        self.lock.truncate(0)
        self.lock.write(str(os.getpid()))
        self.lock.flush()

    def add(self, kind: str, **what: object) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **what}) + "\n")

    def add_process(self, pid: int) -> None:
        self.add("process", pid=pid, start=start_time(pid))

    def entries(self, kind: str) -> Iterator[dict]:
        """Also when the last line is half one: its writer was killed before it made anything."""
        if not self.path.exists():
            return
        for line in self.path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if entry["kind"] == kind:
                    yield entry

    def clear(self, say: Callable[[str], None] = lambda text: None) -> None:
        """Ends and deletes all that is listed, and begins an empty list."""
        processes = [entry for entry in self.entries("process") if entry["start"] is not None]
        _end_processes([p["pid"] for p in processes], [p["start"] for p in processes])
        for entry in self.entries("namespace"):
            if Path("/run/netns", entry["name"]).exists():
                subprocess.run(["ip", "netns", "delete", entry["name"]], check=False,
                               capture_output=True)
                say(f"cleared namespace {entry['name']}")
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        self.lock.close()

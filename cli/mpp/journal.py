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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence

END_S = 3.0  # for SIGTERM to work before SIGKILL
UNDO_LIMIT_S = 30
UNDO_AT_ONCE = 32


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


def _undo(entry: dict) -> Optional[str]:
    """None, or why it could not be."""
    try:
        done = subprocess.run(entry["argv"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", check=False, timeout=UNDO_LIMIT_S,
                              start_new_session=True)
    except OSError as error:
        return f"{entry['what']}: {error}"
    except subprocess.TimeoutExpired:
        return f"{entry['what']}: not done after {UNDO_LIMIT_S} s"
    if done.returncode == 0:
        return None
    said = done.stderr.strip() or f"exit code {done.returncode}"
    return f"{entry['what']}: {said.splitlines()[-1]}"


def _end_all_inside(namespace: str) -> None:
    """Also one whose starter was killed before it could list it."""
    said = subprocess.run(["ip", "netns", "pids", namespace], check=False, capture_output=True, text=True)
    for pid in said.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


class Journal:
    """Holds the lock until `close`."""

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "journal"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_uid != os.geteuid():  # what it lists is done
            raise PermissionError(f"{folder}: it belongs to another user")
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

    def add_undo(self, what: str, argv: Sequence[str]) -> None:
        """A command that takes away what is about to be made. It may find nothing of it."""
        self.add("undo", what=what, argv=list(argv))

    def entries(self, kind: str) -> Iterator[dict]:
        """Also when the last line is half one: its writer was killed before it made anything."""
        if not self.path.exists():
            return
        for line in self.path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.get("kind") == kind:
                    yield entry

    def clear(self, say: Callable[[str], None] = lambda text: None) -> list[str]:
        """Ends and deletes all that is listed, and begins a list of only what could not be undone:
        what that is, and why."""
        left = self._undo_all(say)
        processes = [entry for entry in self.entries("process") if entry["start"] is not None]
        _end_processes([p["pid"] for p in processes], [p["start"] for p in processes])
        for entry in self.entries("namespace"):
            if Path("/run/netns", entry["name"]).exists():
                _end_all_inside(entry["name"])
                subprocess.run(["ip", "netns", "delete", entry["name"]], check=False,
                               capture_output=True)
                say(f"cleared namespace {entry['name']}")
        self._keep([entry for entry, _ in left])
        return [why for _, why in left]

    def _undo_all(self, say: Callable[[str], None]) -> list[tuple[dict, str]]:
        entries = list(self.entries("undo"))
        with ThreadPoolExecutor(UNDO_AT_ONCE) as pool:
            complaints = list(pool.map(_undo, entries))
        for entry, why in zip(entries, complaints):
            say(f"not cleared: {why}" if why else f"cleared {entry['what']}")
        return [(entry, why) for entry, why in zip(entries, complaints) if why]

    def _keep(self, entries: Sequence[dict]) -> None:
        if not entries:
            self.path.unlink(missing_ok=True)
            return
        new = self.path.with_suffix(".new")
        new.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
        new.replace(self.path)

    def close(self) -> None:
        self.lock.close()

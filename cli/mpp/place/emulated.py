"""Links through `link_emulator`, for kernels without netem: one process has all of them."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import threading
from pathlib import Path
from typing import Sequence

from ..model import Link
from .base import PlaceError
from .shape import queue_kb

REPLY_LIMIT_S = 10
WAYS = ("a>b", "b>a")


class Emulator:
    """`wrap` is what begins it where its ports are. It ends when we do: its input is ours."""

    def __init__(self, program: Path, wrap: Sequence[str], log: Path):
        with open(log, "wb") as errors:
            self.popen = subprocess.Popen([*wrap, str(program), "--stdin"], stderr=errors,
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          start_new_session=True)
        self.log, self.lock = log, threading.Lock()
        self.is_awaited = True  # a reply
        try:
            self._expect("ready", self._read())
        except BaseException:
            self.stop()
            raise

    def _read(self) -> str:
        if not select.select([self.popen.stdout], [], [], REPLY_LIMIT_S)[0]:
            self.popen.kill()
            self.popen.wait()
            raise PlaceError(f"link_emulator: no reply in {REPLY_LIMIT_S} s; it has been ended")
        line = self.popen.stdout.readline().decode()
        self.is_awaited = False
        if not line:
            said = self.log.read_text(errors="replace").strip().splitlines()
            raise PlaceError(f"link_emulator: {said[-1] if said else 'no reply'}")
        return line.rstrip("\n")

    def _expect(self, wanted: str, line: str) -> str:
        if not line.startswith(wanted):
            raise PlaceError(f"link_emulator: {line}")
        return line[len(wanted):].strip()

    def command(self, *words: object) -> str:
        with self.lock:
            if self.is_awaited:  # who asked before was interrupted
                self._read()
            try:
                self.popen.stdin.write((" ".join(map(str, words)) + "\n").encode())
                self.popen.stdin.flush()
            except OSError as error:
                raise PlaceError(f"link_emulator has ended: {error.strerror}") from None
            self.is_awaited = True
            return self._expect("ok", self._read())

    def join(self, name: str, ports: Sequence[str]) -> None:
        self.command("link", name, *ports)

    def set(self, name: str, link: Link) -> None:
        self.command("set", name, "both", "rate", f"{link.bandwidth_mbit:.6f}mbit",
                     "delay", f"{link.delay_ms:.6f}ms", "loss", f"{link.loss_percent:.6f}%",
                     "limit", f"{queue_kb(link)}kb")

    def rates_kbit(self) -> dict[tuple[str, int], float]:
        """Of each link, of what comes in at its ports 0 and 1."""
        links = json.loads(self.command("stats"))["links"]
        return {(name, port): ways[way]["settings"]["rate_bps"] / 1000
                for name, ways in links.items() for port, way in enumerate(WAYS)}

    def stop(self) -> None:
        with contextlib.suppress(OSError):  # it has ended by itself
            self.popen.stdin.close()
        try:
            self.popen.wait(REPLY_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.popen.stdout.close()

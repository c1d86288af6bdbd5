"""Links through `link_emulator`, for kernels without netem: one process has all of them."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
from pathlib import Path
from typing import Sequence

from ..model import Link
from .base import PlaceError
from .shape import queue_kb

REPLY_LIMIT_S = 10


class Emulator:
    """`wrap` is what begins it where its ports are. It ends when we do: its input is ours."""

    def __init__(self, program: Path, wrap: Sequence[str], log: Path):
        with open(log, "ab") as errors:
            self.popen = subprocess.Popen([*wrap, str(program), "--stdin"], stderr=errors,
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          start_new_session=True)
        self.log = log
        self._expect("ready", self._read())

    def _read(self) -> str:
        ready = select.select([self.popen.stdout], [], [], REPLY_LIMIT_S)[0]
        line = self.popen.stdout.readline().decode() if ready else ""
        if not line:
            said = self.log.read_text(errors="replace").strip().splitlines()
            raise PlaceError(f"link_emulator: {said[-1] if said else 'no reply'}")
        return line.rstrip("\n")

    def _expect(self, wanted: str, line: str) -> str:
        if not line.startswith(wanted):
            raise PlaceError(f"link_emulator: {line}")
        return line[len(wanted):].strip()

    def command(self, *words: object) -> str:
        try:
            self.popen.stdin.write((" ".join(map(str, words)) + "\n").encode())
            self.popen.stdin.flush()
        except OSError as error:
            raise PlaceError(f"link_emulator has ended: {error.strerror}") from None
        return self._expect("ok", self._read())

    def join(self, name: str, ports: Sequence[str]) -> None:
        self.command("link", name, *ports)

    def set(self, name: str, link: Link) -> None:
        self.command("set", name, "both", "rate", f"{link.bandwidth_mbit:.6f}mbit",
                     "delay", f"{link.delay_ms:.6f}ms", "loss", f"{link.loss_percent:.6f}%",
                     "limit", f"{queue_kb(link)}kb")

    def set_up(self, name: str, is_up: bool) -> None:
        self.command("down", name, "off" if is_up else "on")

    def stats(self) -> dict:
        return json.loads(self.command("stats"))["links"]

    def stop(self) -> None:
        with contextlib.suppress(OSError):  # it has ended by itself
            self.popen.stdin.close()
        try:
            self.popen.wait(REPLY_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.popen.stdout.close()

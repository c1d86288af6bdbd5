"""One host, by the `ssh` program: its user's own keys and configuration, never a password. All that is
said to it goes through one connection; what it does is in host.sh."""

from __future__ import annotations

import contextlib
import re
import shlex
import socket
import subprocess
import threading
import time
import uuid
from collections import deque
from pathlib import Path
from typing import Optional, Sequence

from .base import Channel, PlaceError

SCRIPT = Path(__file__).with_name("host.sh").read_text(encoding="utf-8")
LIMIT_S = 60
SESSIONS_MAX = 8  # at once over a connection: sshd has 10 unless told otherwise
RETRY_S = 10  # after a host did not answer; until then it is not asked
SSH_FAILED = 255  # ssh's exit code for what is its own failure
OPTIONS = ("BatchMode=yes", "ConnectTimeout=5", "ControlMaster=auto", "ControlPersist=60",
           "ServerAliveInterval=2", "ServerAliveCountMax=2", "RequestTTY=no")


class Remote:
    """`control` is the socket of the connection, `tag` names our folder there."""

    def __init__(self, host: str, control: Path, tag: str, options: Sequence[str]):
        self.host, self.tag, self.run = host, tag, f"run-{uuid.uuid4().hex[:12]}"
        self.ssh = ["ssh", *options, *(word for option in OPTIONS for word in ("-o", option)),
                    "-S", str(control).replace("%", "%%")]
        self.turns = threading.BoundedSemaphore(SESSIONS_MAX)
        self.lost: tuple[float, str] = (0.0, "")  # until when, and why
        self.is_silent = False  # it has yet to answer a look
        self.to_stop: deque[Sequence[str]] = deque()  # name, pid and start time of processes

    def __str__(self) -> str:
        return f"host {self.host}"

    def command(self, verb: str, *words: object) -> list[str]:
        """What runs a function of host.sh there."""
        script = ["sh", "-c", SCRIPT, "host.sh", self.tag, self.run, verb, *map(str, words)]
        return [*self.ssh, "--", self.host, shlex.join(script)]

    def undo_command(self) -> list[str]:
        """For the journal: it needs no connection, and leaves none."""
        return ["ssh", "-o", "ControlMaster=no", *self.command("end")[1:]]

    def ask(self, verb: str, *words: object, data: bytes = b"", what: str = "",
            limit_s: float = LIMIT_S) -> str:
        """What it says. `what` names that in a complaint."""
        what = what or " ".join(map(str, [verb, *words]))
        with self.turns:
            self.check()
            done = self._call(self.command(verb, *words), what, data, limit_s)
        if done.returncode == 0:
            return done.stdout.decode(errors="replace")
        said = last_line(done.stderr) or f"exit code {done.returncode}"
        if done.returncode == SSH_FAILED:
            self.lost = time.monotonic() + RETRY_S, said
            self.check()
        raise PlaceError(f"{self}: {what}: {said}")

    @property
    def is_lost(self) -> bool:
        return time.monotonic() < self.lost[0]

    def check(self) -> None:
        """PlaceError at once, when it has just been lost."""
        if self.is_lost:
            raise PlaceError(f"{self}: {self.lost[1]}")

    @property
    def answers(self) -> bool:
        """As far as was seen."""
        return not self.is_lost and not self.is_silent

    def check_answering(self) -> None:
        """PlaceError at once also when it is silent: for what can wait, or need not be known."""
        self.check()
        if self.is_silent:
            raise PlaceError(f"{self}: it does not answer")

    def stop_what_is_left(self) -> None:
        """Of the time when it did not answer."""
        while self.to_stop:
            self.ask("stop", *self.to_stop[0])
            self.to_stop.popleft()

    def _call(self, argv: Sequence[str], what: str, data: bytes,
              limit_s: float) -> subprocess.CompletedProcess:
        try:
            return subprocess.run(argv, input=data, capture_output=True, check=False,
                                  timeout=limit_s, start_new_session=True)
        except FileNotFoundError:
            raise PlaceError("ssh: there is no such program; apt-get install openssh-client"
                             ) from None
        except subprocess.TimeoutExpired:
            raise PlaceError(f"{self}: {what}: not done after {limit_s:g} s") from None

    def master_pid(self) -> Optional[int]:
        """Of the process here that holds the connection."""
        said = self._control("check")
        found = re.search(r"pid=(\d+)", said)
        return int(found[1]) if found else None

    def close(self) -> None:
        """Whether or not there is a connection."""
        self._control("exit")

    def _control(self, request: str) -> str:
        done = self._call([*self.ssh, "-O", request, "--", self.host], request, b"", LIMIT_S)
        return done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")


class RemoteChannel(Channel):
    """Through `ssh -W`. That nobody listens is known when the first reply does not come."""

    def __init__(self, remote: Remote, port: int, limit_s: float):
        remote.check_answering()
        self.remote = remote
        self.connection, theirs = socket.socketpair()
        self.connection.settimeout(limit_s)
        with theirs:
            self.ssh = subprocess.Popen([*remote.ssh, "-W", f"127.0.0.1:{port}", "--", remote.host],
                                        stdin=theirs, stdout=theirs, stderr=subprocess.PIPE,
                                        start_new_session=True)
        self.reader, self.writer = self.connection.makefile("rb"), self.connection.makefile("wb")

    def ask(self, **request: object) -> dict:
        try:
            return super().ask(**request)
        except ConnectionError as error:
            said = last_line(self.ssh.stderr.read()) or str(error)
            raise ConnectionError(f"{self.remote}: {said}") from None

    def close(self) -> None:
        for end in (self.reader, self.writer, self.connection):
            with contextlib.suppress(OSError):
                end.close()
        self.ssh.kill()
        self.ssh.wait()
        self.ssh.stderr.close()


def last_line(said: bytes) -> str:
    """Of what a program complained, or nothing."""
    return (said.decode(errors="replace").strip().splitlines() or [""])[-1].strip()

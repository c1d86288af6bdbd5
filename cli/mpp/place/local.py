"""Programs and connections inside namespaces of this machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Callable

from ..model import PopId
from .base import Channel, PlaceError, Running

NETNS_FOLDER = Path("/run/netns")
CLONE_NEWNET = 0x40000000
STOP_LIMIT_S = 5
ENDED_WELL = (0, -signal.SIGTERM)  # exit codes
LIBC = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(namespace: str):
    """Moves the calling thread only, so that its sockets and children are made there."""
    with open("/proc/thread-self/ns/net", "rb") as home:
        with open(NETNS_FOLDER / namespace, "rb") as there:
            _set_namespace(there.fileno())
        try:
            yield
        finally:
            _set_namespace(home.fileno())


def _set_namespace(fd: int) -> None:
    if LIBC.setns(fd, CLONE_NEWNET) != 0:
        raise PlaceError(f"cannot enter a namespace: {os.strerror(ctypes.get_errno())}")


class LocalProcess(Running):
    """`forget` is told once it has been stopped."""

    def __init__(self, name: str, pop: PopId, log: Path, popen: subprocess.Popen,
                 forget: Callable[[LocalProcess], object]):
        self.name, self.pop, self.log, self.popen, self.forget = name, pop, log, popen, forget

    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def log_lines(self, count: int) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()[-count:]

    def stop(self) -> None:
        """The log of one that ends as it is told to goes with it."""
        if self.is_alive():
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                if self.popen.wait(STOP_LIMIT_S) in ENDED_WELL:
                    self.log.unlink(missing_ok=True)
        if self.is_alive():
            self.popen.kill()
            self.popen.wait()
        self.forget(self)


class SocketChannel(Channel):
    def __init__(self, connection: socket.socket):
        self.connection = connection
        self.reader, self.writer = connection.makefile("rb"), connection.makefile("wb")

    def close(self) -> None:
        for end in (self.reader, self.writer, self.connection):
            with contextlib.suppress(OSError):  # what could not be written
                end.close()

"""Ctrl-C in the middle of what must be done whole."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import Iterator


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Ctrl-C is KeyboardInterrupt at the end of this, and not before. Only the main thread gets it, and
    where it means something else already it is left alone."""
    is_ours = (threading.current_thread() is threading.main_thread()
               and signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    if not is_ours:
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if came:
            raise KeyboardInterrupt

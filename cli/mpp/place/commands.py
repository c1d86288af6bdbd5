"""Runs what others' programs do for us, with their complaint when they fail."""

from __future__ import annotations

import subprocess
from typing import Optional, Sequence

from .base import PlaceError

LIMIT_S = 60


def call(argv: Sequence[object], text: Optional[str] = None, limit_s: float = LIMIT_S) -> str:
    """Its output. It has a session of its own, so that Ctrl-C reaches only us."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False,
                              errors="replace", timeout=limit_s, start_new_session=True)
    except FileNotFoundError:
        raise PlaceError(f"{words[0]}: there is no such program") from None
    except subprocess.TimeoutExpired:
        raise PlaceError(f"{' '.join(words)}: not done after {limit_s:g} s") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}")
        raise PlaceError(f"{' '.join(words)}: {said.splitlines()[-1]}")
    return done.stdout

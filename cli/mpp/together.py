"""What takes its time for each of several, for all at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Iterable, TypeVar

AT_ONCE_MAX = 64

T = TypeVar("T")
R = TypeVar("R")


def at_once(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """`work` of each, in their order. The first that fails is raised when all have ended."""
    items = list(items)
    with ThreadPoolExecutor(min(max(len(items), 1), AT_ONCE_MAX)) as pool:
        return list(pool.map(work, items))

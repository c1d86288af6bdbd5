"""What was carried lately: a sample each second, of every link, application and path."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from .model import PopId

SAMPLE_S = 1.0
SAMPLES_MAX = 600  # ten minutes


@dataclass
class Counters:
    """Bytes since some start. A counter that has become smaller has started anew."""

    at: float  # seconds since the epoch
    links: dict[tuple[str, PopId], int] = field(default_factory=dict)  # taken from that PoP
    apps: dict[str, int] = field(default_factory=dict)  # payload, both directions
    paths: dict[tuple[str, str], int] = field(default_factory=dict)  # of (application, path)


@dataclass
class Sample:
    """Mbit/s over the time before `at`; keys are those of Counters."""

    at: float
    links: dict[tuple[str, PopId], float] = field(default_factory=dict)
    apps: dict[str, float] = field(default_factory=dict)
    paths: dict[tuple[str, str], float] = field(default_factory=dict)


def _rates(before: dict, after: dict, seconds: float) -> dict:
    return {key: max(value - before.get(key, value), 0) * 8e-6 / seconds
            for key, value in after.items()}


class History:
    """Written by one thread, read by others: they get copies."""

    def __init__(self) -> None:
        self.before: Counters | None = None
        self.list: deque[Sample] = deque(maxlen=SAMPLES_MAX)

    def add(self, now: Counters) -> None:
        before, self.before = self.before, now
        if before is None or now.at <= before.at:
            return
        seconds = now.at - before.at
        self.list.append(Sample(now.at, _rates(before.links, now.links, seconds),
                                _rates(before.apps, now.apps, seconds),
                                _rates(before.paths, now.paths, seconds)))

    @property
    def samples(self) -> list[Sample]:
        return list(self.list)

    @property
    def last(self) -> Sample:
        return self.list[-1] if self.list else Sample(0)

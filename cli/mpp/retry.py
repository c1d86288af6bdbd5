"""When what failed, or died soon after a good start, is tried again: a decision without a clock."""

from __future__ import annotations

from typing import Sequence

WAIT_FIRST_S, WAIT_MAX_S = 0.4, 60.0
WELL_S = 10.0  # without a need for so long, and for the last wait: all before is forgotten


class Retry:
    """`due` says why a plan is needed; empty: it is not."""

    def __init__(self) -> None:
        self.due = ""
        self.is_news = False  # of the network, and not tried yet
        self.wait_s = WAIT_FIRST_S
        self.not_before = self.needed_at = float("-inf")

    def need(self, now: float, news: Sequence[str], ended: Sequence[str]) -> bool:
        """Is it time? What is new about the network is tried at once, and is damped by who tells it; what
        has ended again, and what failed, later and later."""
        if news or ended:
            self.due = "; ".join([*news, *ended])
        self.is_news = self.is_news or bool(news)
        if self.due:
            self.needed_at = now
        elif now - self.needed_at >= max(WELL_S, self.wait_s):
            self.wait_s = WAIT_FIRST_S
        return bool(self.due) and (bool(news) or now >= self.not_before)

    def tried(self, now: float, is_good: bool) -> None:
        self.not_before = now + self.wait_s
        if not (is_good and self.is_news):
            self.wait_s = min(2 * self.wait_s, WAIT_MAX_S)
        self.is_news = False
        if is_good:
            self.due = ""

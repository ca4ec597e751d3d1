"""What a server has done since it began, as plain numbers: they cost next to nothing, and whoever
publishes them (`status`) reads them when asked.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

import attrs

LOG: Final = logging.getLogger("support_chat.server")
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
"""The upper bounds of the classes that the durations of requests are counted in, in seconds."""
_EVERY: Final = 60.0
_TOLD: Final = MappingProxyType(
    {
        "slow_reader": "did not take what they were sent",
        "slow_head": "did not say what they want",
        "slow_body": "did not send the body that they announced",
        "too_much_buffered": "held too much while the server's buffers were full",
        "too_many_connections": "were one connection too many",
        "too_many_links": "wanted one link too many",
        "too_many_frames": "sent too many frames over a link",
        "invented_credentials": "came with too many credentials that are none",
    }
)


@attrs.define
class Durations:
    """How often a thing took how long."""

    classes: list[int] = attrs.field(factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Counts one more."""
        self.classes[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@attrs.define
class Counts:
    """The numbers; `clock` is monotonic, in seconds."""

    clock: Callable[[], float]
    answered: Counter[tuple[str, int]] = attrs.field(factory=Counter[tuple[str, int]])
    """Requests by endpoint and status."""
    took: dict[str, Durations] = attrs.field(factory=dict[str, Durations])
    """How long requests took, by endpoint; those that wait on purpose are not among them."""
    links: int = 0
    """WebSockets that are open."""
    closed: Counter[int] = attrs.field(factory=Counter[int])
    """WebSockets that the gateway has closed, by code."""
    turned_away: Counter[str] = attrs.field(factory=Counter[str])
    """Clients that were cut or refused since they held too much, by why."""
    _told: dict[str, tuple[float, int]] = attrs.field(factory=dict[str, tuple[float, int]])

    def turn_away(self, why: str) -> None:
        """Counts a client that was cut or refused. The log tells of the first at once, and of those
        who follow once a minute, however many there are.
        """
        self.turned_away[why] += 1
        if why not in self._told:
            self._tell(why)

    def look_around(self) -> None:
        """Tells of those who followed, once a minute."""
        for why, (at, count) in tuple(self._told.items()):
            if self.clock() - at < _EVERY:
                continue
            if self.turned_away[why] > count:
                self._tell(why)
            else:
                del self._told[why]

    def _tell(self, why: str) -> None:
        _, count = self._told.get(why, (0.0, self.turned_away[why] - 1))
        more = self.turned_away[why] - count
        self._told[why] = self.clock(), self.turned_away[why]
        LOG.warning(
            "turned away %d that %s (%s)",
            more,
            _TOLD[why],
            why,
            extra={"fields": {"event": "turned_away", "why": why, "count": more}},
        )

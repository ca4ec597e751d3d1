"""How often a caller may ask: a token bucket for each, so that a burst passes and a flood does not.

Sessions are begun by anybody, so these are counted by the caller's address; everything else is
counted by session, so that many people behind one address do not take each other's share.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import attrs

from support_chat.errors import InvalidInputError, RateLimitedError

_PRUNE_ABOVE: Final = 10_000


def _not_negative(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value < math.inf:
        raise InvalidInputError(f"{attribute.name} must be zero (no limit) or more, not {value}.")


@attrs.frozen(kw_only=True)
class RateLimits:
    """Requests a minute; a whole minute's worth may come at once. 0 means no limit."""

    opens_per_minute: float = attrs.field(default=120.0, validator=_not_negative)
    """Sessions that one address begins or resumes."""
    requests_per_minute: float = attrs.field(default=600.0, validator=_not_negative)
    """Everything else, of one session."""


@attrs.define
class Buckets:
    """One bucket a caller, each refilled `per_minute` tokens a minute; `clock` is monotonic, in
    seconds.
    """

    per_minute: float
    clock: Callable[[], float]
    _levels: dict[str, tuple[float, float]] = attrs.field(factory=dict[str, tuple[float, float]])

    def take(self, caller: str) -> None:
        """Takes one token; raises RateLimitedError, with the seconds until there is one, if the
        caller has none left.
        """
        if not self.per_minute:
            return
        now = self.clock()
        level, at = self._levels.get(caller, (self.per_minute, now))
        level = min(self.per_minute, level + (now - at) * self.per_minute / 60)
        if level < 1:
            wait = (1 - level) * 60 / self.per_minute
            raise RateLimitedError(
                f"Too many requests; come back after {wait:.1f} s.", retry_after=wait
            )
        self._levels[caller] = (level - 1, now)
        if len(self._levels) > _PRUNE_ABOVE:
            self._prune(now)

    def _prune(self, now: float) -> None:
        """Forgets callers whose bucket is full again: they are as good as new."""
        self._levels = {
            caller: (level, at)
            for caller, (level, at) in self._levels.items()
            if level + (now - at) * self.per_minute / 60 < self.per_minute
        }

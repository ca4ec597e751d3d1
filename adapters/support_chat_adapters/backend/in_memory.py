"""What the gateways of a store share, where there is one gateway: kept in the memory of its
process.

Nothing here waits for anything, so nobody comes between what belongs together; and nothing costs
more where there are more callers.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import attrs

from support_chat.errors import RateLimitedError

from .store import hashed

MOST_CALLERS: Final = 100_000
"""How many callers are remembered at once; of more, those are forgotten who asked least lately."""


@attrs.define
class MemoryTokens:
    """`RealtimeTokens` of this process, good for `lifetime` seconds; `clock` is monotonic, in
    seconds.
    """

    lifetime: float
    clock: Callable[[], float]
    _sessions: OrderedDict[str, tuple[str, float]] = attrs.field(
        factory=OrderedDict[str, tuple[str, float]], repr=False
    )

    async def mint(self, session: str) -> str:
        """A new token for this session."""
        now = self.clock()
        while self._sessions and next(iter(self._sessions.values()))[1] <= now:
            self._sessions.popitem(last=False)
        token = secrets.token_urlsafe(24)
        self._sessions[hashed(token)] = (session, now + self.lifetime)
        return token

    async def redeem(self, token: str) -> str | None:
        """The session of a token, which is used up by this."""
        session, until = self._sessions.pop(hashed(token), ("", 0.0))
        return session if until > self.clock() else None


@attrs.define
class MemoryBuckets:
    """`Buckets` of this process, each refilled `per_minute` tokens a minute; `clock` is monotonic,
    in seconds.
    """

    per_minute: float
    clock: Callable[[], float]
    _levels: OrderedDict[str, tuple[float, float]] = attrs.field(
        factory=OrderedDict[str, tuple[float, float]], repr=False
    )

    async def take(self, caller: str) -> None:
        """Takes one token."""
        await self.check(caller)
        if not self.per_minute:
            return
        now = self.clock()
        self._levels[caller] = (self._level(caller, now) - 1, now)
        self._levels.move_to_end(caller)  # the order is that of the last time asked
        self._forget_the_oldest(now)

    async def check(self, caller: str) -> None:
        """Raises as `take`, and takes nothing."""
        if not self.per_minute:
            return
        level = self._level(caller, self.clock())
        if level < 1:
            wait = (1 - level) * 60 / self.per_minute
            raise RateLimitedError(
                f"Too many requests; come back after {wait:.1f} s.", retry_after=wait
            )

    async def knows(self, caller: str) -> bool:
        """Whether this caller has asked lately."""
        return caller in self._levels

    async def forget(self, caller: str) -> None:
        """Takes no account of a caller any more."""
        self._levels.pop(caller, None)

    def _level(self, caller: str, now: float) -> float:
        most = max(1.0, self.per_minute)  # of less nobody would ever get a whole token
        level, at = self._levels.get(caller, (most, now))
        return min(most, level + (now - at) * self.per_minute / 60)

    @property
    def _refilled(self) -> float:
        """Seconds after which a bucket is full, however empty it was."""
        return 60 / min(1.0, self.per_minute)

    def _forget_the_oldest(self, now: float) -> None:
        """Forgets callers whose bucket is full again whatever they had taken: they are as good as
        new. And the first of them, if there are too many for the memory.
        """
        while self._levels:
            _, at = next(iter(self._levels.values()))
            if at > now - self._refilled and len(self._levels) <= MOST_CALLERS:
                return
            self._levels.popitem(last=False)

"""How much one caller gets: requests in a minute, links at once, and how long anybody may keep the
server waiting.

Sessions are begun by anybody, so these are counted by the caller's address; everything else is
counted by session, so that many people behind one address do not take each other's share. A
credential that no session has gets no share of its own: such requests are counted by address, too.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import attrs

from support_chat.errors import InvalidInputError, RateLimitedError

_COME_BACK: Final = 15.0
"""Seconds to stay away for who holds too much: by then what has broken unseen may have ended."""


def _not_negative(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0 <= value < math.inf:
        raise InvalidInputError(f"{attribute.name} must be zero (no limit) or more, not {value}.")


def _positive(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0 < value < math.inf:
        raise InvalidInputError(f"{attribute.name} must be more than zero, not {value}.")


@attrs.frozen(kw_only=True)
class RateLimits:
    """Requests a minute; a whole minute's worth may come at once. 0 means no limit."""

    opens_per_minute: float = attrs.field(default=120.0, validator=_not_negative)
    """Sessions that one address begins or resumes."""
    requests_per_minute: float = attrs.field(default=600.0, validator=_not_negative)
    """Everything else, of one session."""

    @property
    def failures_per_minute(self) -> float:
        """Requests of one address with credentials that no session has: a tenth of what a session
        may ask.
        """
        return self.requests_per_minute / 10


@attrs.frozen(kw_only=True)
class ConnectionLimits:
    """What may be held open, and how long the server waits for anybody. Of a count or a size, 0
    means no limit; times are in seconds.
    """

    connections: int = attrs.field(default=10_000, validator=_not_negative)
    """TCP connections of all together; fewer where the system lets the process open fewer files."""
    connections_per_address: int = attrs.field(default=5_000, validator=_not_negative)
    """TCP connections of one address that is no named proxy."""
    links_per_address: int = attrs.field(default=1_500, validator=_not_negative)
    """Links, by WebSocket or waiting poll, of one address."""
    links_per_session: int = attrs.field(default=8, validator=_not_negative)
    """Links of one session; a client has one, and for a moment two."""
    buffered: int = attrs.field(default=64 * 2**20, validator=_not_negative)
    """Bytes that wait in this process for clients to take them, or for the rest of a body to come,
    of all together. Beyond it those are cut who hold most.
    """
    head_seconds: float = attrs.field(default=10.0, validator=_positive)
    """From the beginning of a connection, or from an answer, until the head of the next request is
    complete.
    """
    body_seconds: float = attrs.field(default=20.0, validator=_positive)
    """From the head of a request until its body is complete."""
    send_seconds: float = attrs.field(default=20.0, validator=_positive)
    """Until a client has taken what waits for it beyond 64 KiB."""
    goodbye_seconds: float = attrs.field(default=5.0, validator=_positive)
    """Until a client has taken the rest of a connection that is being closed; and when the server
    ends, until requests under way are answered and clients have taken leave.
    """
    frames_per_minute: float = attrs.field(default=120.0, validator=_not_negative)
    """Frames that a client sends over a link, where it has nothing to say."""


@attrs.define
class Shares:
    """How many of something each caller holds at once, `most` at the most; 0 is no limit."""

    most: int
    what: str
    _held: dict[str, int] = attrs.field(factory=dict[str, int])

    @contextmanager
    def one_more(self, caller: str) -> Generator[None, None, None]:
        """Holds one more within the block; raises RateLimitedError if the caller holds as many as
        they may.
        """
        held = self._held.get(caller, 0)
        if self.most and held >= self.most:
            raise RateLimitedError(
                f"There are {held} {self.what} already, as many as there may be; close one.",
                retry_after=_COME_BACK,
            )
        self._held[caller] = held + 1
        try:
            yield
        finally:
            if self._held[caller] > 1:
                self._held[caller] -= 1
            else:
                del self._held[caller]

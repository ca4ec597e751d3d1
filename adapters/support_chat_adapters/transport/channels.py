"""The seam between a link and the way its news comes: a WebSocket where one gets through, else long
polls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from support_chat.errors import NetworkError
from support_chat.ports import LinkEvent

if TYPE_CHECKING:
    from .wire.frames import Hello, Polled


class Channel(Protocol):
    """The realtime half of one link, open already. After `abort()` it delivers nothing."""

    @property
    def attached(self) -> Hello | Polled:
        """What the backend said when the channel began: where the replay ends, whether something
        before it is lost, what is unread.
        """
        ...

    @property
    def heard_at(self) -> float:
        """When the last sign of life came, in the running loop's `time()`."""
        ...

    async def next(self) -> LinkEvent:
        """The next event, in order; raises NetworkError when there will be none."""
        ...

    def renewed(self) -> None:
        """The session has a fresh token: its expiry is news again."""
        ...

    async def aclose(self) -> None:
        """Says goodbye and closes."""
        ...

    def abort(self) -> None:
        """Closes at once, without a goodbye; a second call does nothing."""
        ...


class Events:
    """Iterates over what `next` brings; unlike an async generator it leaves nothing to finalise."""

    def __init__(self, next: Callable[[], Awaitable[LinkEvent]]) -> None:
        self._next = next

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> LinkEvent:
        return await self._next()


def link_over() -> NetworkError:
    """What whoever still uses a link gets once it is over."""
    return NetworkError(
        "The link to the backend is over; what was requested may have happened. The session dials "
        "again."
    )


class ChannelBlocked(Exception):
    """No WebSocket gets through here, though the backend can be reached: a proxy or a firewall is
    in the way.
    """

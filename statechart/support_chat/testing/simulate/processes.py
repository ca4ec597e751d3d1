"""A process that can die, and that is watched: the adapters that a tab is given. They note when
each request began and ended; once the process is dead they do nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from ...errors import NetworkError, RateLimitedError, StorageError, SupportChatError
from ...ports import Link, LinkEvent, Storage, Transport
from .witness import Asked, Witness

_ASKED: Final = frozenset(
    {"identify", "renew", "update", "send", "conversations", "messages", "mark_read", "aclose"}
)

JUST: Final = 1e-3
"""Seconds by which virtual times may differ that are the same."""


class Process:
    """Whether a tab's process lives. What its adapters were asked may still happen."""

    def __init__(self, witness: Witness, silence: float) -> None:
        self.witness, self.silence = witness, silence
        self.links: list[Link] = []
        self.kept: list[Any] = []
        """The links that its session listens to."""
        self._not_before = 0.0

    def die(self) -> None:
        """It is killed: its links end, and nothing is asked any more."""
        self.witness.dead = True
        for link in self.links:
            link.abort()

    def cut(self) -> None:
        """The links break that its session listens to."""
        for link in tuple(self.kept):
            link.cut()

    async def ask(self, operation: str, work: Any, error: type[SupportChatError]) -> Any:
        """Asks an adapter, and notes it."""
        if self.witness.dead:
            raise error("This process is dead.")
        loop = asyncio.get_running_loop()
        if operation == "open" and loop.time() < self._not_before - JUST:
            self.witness.wrong.append("dialled before the time for which the backend had asked")
        asked = Asked(operation, loop.time())
        self.witness.asked.append(asked)
        working = asyncio.ensure_future(work())
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            asked.ended_at = (
                loop.time()
            )  # what is deaf to it goes on, and its session does not mind
            working.cancel()
            return await working
        except RateLimitedError as refused:
            self._stays_away(operation, loop.time(), refused.retry_after)
            raise
        finally:
            asked.ended_at = asked.ended_at or loop.time()

    def _stays_away(self, operation: str, now: float, seconds: float | None) -> None:
        if operation == "open" and seconds is not None:
            self._not_before = max(self._not_before, now + seconds)


class WatchedStorage:
    """A storage of a process."""

    def __init__(self, inner: Storage, process: Process) -> None:
        self._inner, self._process = inner, process

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        async def call(*arguments: Any) -> Any:
            return await self._process.ask(name, lambda: method(*arguments), StorageError)

        return method if name == "aclose" else call


class WatchedTransport:
    """A transport of a process."""

    def __init__(self, inner: Transport, process: Process) -> None:
        self._inner, self._process = inner, process

    async def open(self, credentials: Any) -> Any:
        """Dials."""
        process = self._process
        link = await process.ask("open", lambda: self._inner.open(credentials), NetworkError)
        process.links.append(link)
        if process.witness.dead:
            link.abort()
        return _WatchedLink(link, process)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        async def call(*arguments: Any) -> Any:
            return await self._process.ask(name, lambda: method(*arguments), NetworkError)

        return method if name == "aclose" else call


class _WatchedLink:
    def __init__(self, inner: Link, process: Process) -> None:
        self._inner, self._process = inner, process
        self._kept_at = 0.0

    def abort(self) -> None:
        """Its session lets go of it, at the latest when it has been silent for long."""
        process, loop = self._process, asyncio.get_running_loop()
        silent_for = loop.time() - max(self._inner.heard_at, self._kept_at)
        if self in process.kept:
            process.kept.remove(self)
            if silent_for > process.silence + JUST:
                process.witness.wrong.append(f"heard nothing for {silent_for:g} s on its link")
        self._inner.abort()

    def cut(self) -> None:
        """It breaks, and nobody has wanted it."""
        self._inner.abort()

    async def events(self) -> AsyncIterator[LinkEvent]:
        """What the link yields; once it is lost its session is to know."""
        self._process.kept.append(self)
        self._kept_at = asyncio.get_running_loop().time()
        try:
            async for event in self._inner.events():
                yield event
        finally:
            asyncio.get_running_loop().call_later(JUST, self._is_known_to_be_lost)

    def _is_known_to_be_lost(self) -> None:
        process = self._process
        if self in process.kept and not process.witness.dead:
            process.kept.remove(self)
            process.witness.wrong.append("has lost its link, and goes on as if it had not")

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in _ASKED:
            return method

        async def call(*arguments: Any) -> Any:
            if name == "aclose" and self in self._process.kept:
                self._process.kept.remove(self)  # it says goodbye: nobody minds its end
            return await self._process.ask(name, lambda: method(*arguments), NetworkError)

        return call

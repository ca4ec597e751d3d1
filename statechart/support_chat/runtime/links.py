"""The links of a session: the one that is open, those of ended sessions that still say goodbye, and
those that came too late.

A link is aborted, not trusted: whatever an adapter does afterwards, nothing of it is heard any
more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from ..errors import SupportChatError
from ..ports import Link, LinkEvent, Transport
from ..settings import Settings

LOG: Final = logging.getLogger("support_chat")

Heard = Callable[["LinkEvent | None", "Exception | None", int], None]
"""Takes an event of the open link, or None and the error when the link is lost, and the link's tag.
"""


class Links:
    """Keeps at most one link open; `heard` is told what it yields."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: Transport,
        settings: Settings,
        heard: Heard,
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._settings = settings
        self._heard = heard
        self.open: Link | None = None
        self._listening: asyncio.Task[None] | None = None
        self._leaving: set[Link] = set()
        self._background: set[asyncio.Task[None]] = set()

    def keep(self, link: Link, tag: int) -> None:
        """This link is the session's from now on."""
        self.open = link
        self._listening = self._in_background(self._listen(link, tag), "link")

    def cut(self) -> None:
        """Aborts the open link, if there is one."""
        link, self.open = self.open, None
        self._abort(link)
        if self._listening is not None and self._listening is not asyncio.current_task():
            # an aborted link delivers nothing; one that does all the same is not heard
            self._listening.cancel()
        self._listening = None

    def leave(self) -> Link | None:
        """The open link is no longer the session's: it may say goodbye until `left`, and is not
        aborted by `cut`.
        """
        link, self.open = self.open, None
        if link is not None:
            self._leaving.add(link)
        return link

    def left(self, link: Link | None = None) -> None:
        """The goodbye of this link is over, said or not; without a link, every goodbye is."""
        for over in tuple(self._leaving) if link is None else (link,):
            self._leaving.discard(over)
            self._abort(over)

    def dispose(self, link: Link, began: bool) -> None:
        """Closes a link that came too late, and revokes the session that its dial began."""
        self._abort(link)
        if began:
            self._in_background(self._revoke(link.welcome.session), "revoke")

    async def ended(self) -> None:
        """Waits for what goes on in the background: revocations, each with its limit."""
        if self._background:
            await asyncio.wait(tuple(self._background))

    async def _listen(self, link: Link, tag: int) -> None:
        error: Exception | None = None
        try:
            async for event in link.events():
                self._heard(event, None, tag)
        except Exception as raised:
            error = raised
            if not isinstance(raised, SupportChatError):
                LOG.exception(
                    "a link failed in a way that its port does not know; it counts as lost"
                )
        self._heard(None, error, tag)

    async def _revoke(self, session: str) -> None:
        try:
            async with asyncio.timeout(self._settings.revoke_timeout):
                await self._transport.revoke(session)
        except Exception as error:
            LOG.info("a superseded session could not be revoked: %s", type(error).__name__)

    def _abort(self, link: Link | None) -> None:
        if link is None:
            return
        try:
            link.abort()
        except Exception:
            LOG.exception("a link could not be aborted; the session goes on without it")

    def _in_background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name=f"support-chat {name}")
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

"""A client from beginning to end: a session, a controller before it, a shell before that, and what
is left to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import Any, cast

import attrs

from support_chat import Identity, Storage, SupportChat, Transport
from support_chat.ports import Credentials, Link, UpdateAnswer
from support_chat.values import Changes

from .controller import Controller, Person, Shell
from .events import Warned


async def chat(
    shell: Shell,
    person: Person,
    *,
    transport: Transport,
    storage: Storage,
    url: str,
    workspace_id: str,
    widget_id: str,
    scope: str,
) -> str | None:
    """Runs until the person leaves, and returns None, or until the session is over by itself, and
    returns why.

    SIGTERM, and Ctrl-C where the shell does not take it as a key, are ways of leaving. Transport
    and storage stay open.
    """
    answered = asyncio.Event()
    answered.set()
    async with SupportChat(
        workspace_id=workspace_id,
        widget_id=widget_id,
        transport=cast("Transport", Observed(transport, answered)),
        storage=storage,
        scope=scope,
    ) as session:
        controller = Controller(session, person, url, shell.show, answered)
        beginning = asyncio.create_task(controller.begin())
        running = asyncio.create_task(_run(shell, controller))
        loop, log = asyncio.get_running_loop(), logging.getLogger("support_chat")
        warnings = _Warnings(controller, loop)
        with contextlib.ExitStack() as stack:
            stack.callback(beginning.cancel)
            stack.callback(running.cancel)
            for number in (signal.SIGINT, signal.SIGTERM):
                # Windows, and threads other than the first
                with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                    loop.add_signal_handler(number, running.cancel)
                    stack.callback(loop.remove_signal_handler, number)
            # the library's warnings go where everything goes, and not across the prompt
            log.addHandler(warnings)
            stack.callback(log.removeHandler, warnings)
            await asyncio.wait((running,))
        for ended in await asyncio.gather(beginning, running, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        return controller.over.result() if controller.over.done() else None


@attrs.frozen(eq=False)
class Observed:
    """Stands before a transport, and before each of its links, and passes everything on; `answered`
    is set while no update waits for its answer, which no event tells.
    """

    inner: Any
    answered: asyncio.Event

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def open(self, credentials: Credentials) -> Link:
        """Dials."""
        return cast("Link", Observed(await self.inner.open(credentials), self.answered))

    async def update(self, changes: Changes, owner: Identity | None = None) -> UpdateAnswer:
        """Tells the backend what has changed."""
        self.answered.clear()
        try:
            return cast("UpdateAnswer", await self.inner.update(changes, owner))
        finally:
            self.answered.set()


async def _run(shell: Shell, controller: Controller) -> None:
    await shell.run(controller)
    await controller.leave()


class _Warnings(logging.Handler):
    def __init__(self, controller: Controller, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.WARNING)
        self._controller = controller
        self._loop = loop

    def emit(self, record: logging.LogRecord) -> None:
        """Storages warn on threads of their own."""
        self._loop.call_soon_threadsafe(self._controller.show, Warned(record.getMessage()))

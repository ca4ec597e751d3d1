"""A client from beginning to end: a session, a desk before it, a shell before that, and what is
left to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Generator

from support_chat import Storage, SupportChat, Transport

from .desk import Desk, Person, Shell
from .told import Warned


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
    async with SupportChat(
        workspace_id=workspace_id,
        widget_id=widget_id,
        transport=transport,
        storage=storage,
        scope=scope,
    ) as session:
        desk = Desk(session, person, url, shell.show)
        beginning = asyncio.create_task(desk.begin())
        running = asyncio.create_task(shell.run(desk))
        tasks = (beginning, running)
        try:
            with _told_to_leave(running), _warnings_to(desk):
                await asyncio.wait((running,))
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):
                raise result
        return desk.failure


@contextlib.contextmanager
def _warnings_to(desk: Desk) -> Generator[None, None, None]:
    """While this lasts, the library's warnings go where everything goes, and not across the
    prompt.
    """
    log, handler = logging.getLogger("support_chat"), _Warnings(desk, asyncio.get_running_loop())
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Warnings(logging.Handler):
    def __init__(self, desk: Desk, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.WARNING)
        self._desk = desk
        self._loop = loop

    def emit(self, record: logging.LogRecord) -> None:
        """Storages warn on threads of their own."""
        self._loop.call_soon_threadsafe(self._desk.tell, Warned(record.getMessage()))


@contextlib.contextmanager
def _told_to_leave(running: asyncio.Task[None]) -> Generator[None, None, None]:
    """While this lasts, signals that ask the program to end end the shell, in order and with the
    terminal put right.
    """
    loop = asyncio.get_running_loop()
    handled: list[signal.Signals] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows, and threads other than the first
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, running.cancel)
            handled.append(number)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)

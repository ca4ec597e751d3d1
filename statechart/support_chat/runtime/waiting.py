"""To wait for something to the end, whoever gives up waiting meanwhile."""

from __future__ import annotations

import asyncio


async def finished(work: asyncio.Future[None]) -> None:
    """Returns when the work has ended; one who is cancelled meanwhile waits on, and is cancelled
    then.
    """
    cancelled = None
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled

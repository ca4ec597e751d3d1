"""The served backend inside the test's own loop, for tests that reach into it; `served` is the one
in a process of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from support_chat_adapters.backend import Backend
from support_chat_adapters.backend.server import run as server_run


@asynccontextmanager
async def serving(backend: Backend, **options: Any) -> AsyncGenerator[str, None]:
    """Serves `backend` in this block and yields its address; `options` are those of
    `support_chat_adapters.backend.server.run.serve`.
    """
    listener = server_run.bound("127.0.0.1", 0)
    begun = asyncio.Event()
    task = asyncio.ensure_future(server_run.serve(backend, listener, started=begun.set, **options))
    try:
        await asyncio.wait(
            (task, asyncio.ensure_future(begun.wait())), return_when=asyncio.FIRST_COMPLETED
        )
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        backend.hang_up()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        listener.close()

"""What runs in Pyodide, and what says there that it cannot: `pyodide.cjs` awaits `everything()` on
the loop of a page.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from support_chat import ErrorOccurred, NetworkError, SupportChat, User
from support_chat.errors import StorageError
from support_chat.runtime.shell import Clock
from support_chat.testing import RecordingTransport, VirtualLoop, check_storage, run
from support_chat_adapters.backend import Backend
from support_chat_adapters.cli import main as support_chat
from support_chat_adapters.storage import (
    FileStorage,
    MappingStorage,
    MemoryStorage,
    SQLiteStorage,
)
from support_chat_adapters.transport import LoopbackTransport

LIMIT = 20.0


async def a_whole_session(transport: Any, storage: Any) -> None:
    heard: list[Any] = []
    chat = SupportChat(workspace_id="acme", widget_id="web", transport=transport, storage=storage)
    async with chat:
        chat.on(object, heard.append)
        await chat.boot()
        assert (await chat.send_message("Hello")).text == "Hello"
        await chat.update(context={"page": "billing"})
        await chat.shutdown(clear_storage=True)
    assert chat.state == "destroyed"
    assert "message_sent" in [event.type for event in heard]


async def it_reconnects_and_asks_a_plain_token_provider() -> None:
    transport = RecordingTransport()
    transport.fail_next("open", NetworkError("down"))
    async with SupportChat(
        workspace_id="acme", widget_id="web", transport=transport, storage=MemoryStorage()
    ) as chat:
        await chat.boot()
        await chat.identify(user=User("ada"), token_provider=lambda: "a token")
        transport.link.lose()
        await chat.wait_for(chat.state.RECONNECTING)
        await chat.wait_for(chat.state.AUTHENTICATED)


async def a_call_that_nobody_awaits_is_told() -> None:
    told = asyncio.Event()
    async with SupportChat(
        workspace_id="acme",
        widget_id="web",
        transport=RecordingTransport(),
        storage=MemoryStorage(),
    ) as chat:
        chat.on(ErrorOccurred, lambda event: told.set())
        chat.identify(user=User("ada"))
        await asyncio.sleep(0)
        gc.collect()
        await told.wait()


async def a_session_on_the_embedded_backend() -> None:
    with Backend(workspace_id="acme", widget_id="web") as backend:
        await a_whole_session(LoopbackTransport(backend), MemoryStorage())


async def the_clock_counts_no_suspensions() -> None:
    try:
        time.clock_gettime(time.CLOCK_BOOTTIME)
    except OSError:
        pass
    else:
        raise AssertionError("it has this clock by now: say so where the clock is read")
    loop = asyncio.get_running_loop()
    clock = Clock(loop)
    assert abs(clock() - loop.time()) < 1.0


async def a_storage_on_a_thread_says_so(storage: Any) -> None:
    uses: tuple[Any, ...] = (storage.keys(), a_whole_session(RecordingTransport(), storage))
    for error in await asyncio.gather(*uses, return_exceptions=True):
        assert isinstance(error, StorageError), error
        assert error.reason == "no_threads"
        assert "needs a thread of its own" in str(error)
    await storage.aclose()


async def a_tool_says_so(tool: Callable[[], object]) -> None:
    said = "nothing"
    try:
        tool()
    except NotImplementedError as error:
        said = str(error)
    assert "Pyodide has none: use it under CPython" in said


async def nothing() -> None: ...


async def the_chart_is_checked() -> None:
    assert support_chat(["check", "-q"]) == 0


async def test(name: str, trial: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(LIMIT):
            await trial()
    except Exception as error:
        raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error
    gc.collect()


async def everything() -> None:
    """Tries it all; raises AssertionError."""
    left: list[str] = []
    warnings.simplefilter("error")
    sys.unraisablehook = lambda args: left.append(f"{args.object!r}: {args.exc_value!r}")
    folder = Path("/tmp")
    trials: dict[str, Callable[[], Awaitable[None]]] = {
        "memory": lambda: a_whole_session(RecordingTransport(), MemoryStorage()),
        "mapping": lambda: a_whole_session(RecordingTransport(), MappingStorage({})),
        "reconnects": it_reconnects_and_asks_a_plain_token_provider,
        "nobody awaits": a_call_that_nobody_awaits_is_told,
        "embedded backend": a_session_on_the_embedded_backend,
        "clock": the_clock_counts_no_suspensions,
        "file": lambda: a_storage_on_a_thread_says_so(FileStorage(folder / "one.json")),
        "SQLite": lambda: a_storage_on_a_thread_says_so(SQLiteStorage(folder / "one.db")),
        "VirtualLoop": lambda: a_tool_says_so(VirtualLoop),
        "run": lambda: a_tool_says_so(lambda: run(nothing())),
        "check_storage": lambda: a_tool_says_so(lambda: check_storage(MemoryStorage)),
        "check": the_chart_is_checked,
    }
    for name, trial in trials.items():
        await test(name, trial)
    assert left == [], left
    print(f"{len(trials)} trials passed in Pyodide, Python {sys.version.split()[0]}")

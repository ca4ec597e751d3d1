"""Virtual time stands still while a thread works for a session: no limit of it is over because a
disk or a token provider took its (real) time.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from async_tests import in_virtual_time
from support_chat import Settings, SupportChat, User
from support_chat.ports import Storage
from support_chat.testing import RecordingStorage, RecordingTransport
from support_chat_adapters.storage import FileStorage, SQLiteStorage
from support_chat_adapters.storage.files import FileLock

IMPATIENT = Settings(storage_timeout=1e-6, token_timeout=1e-6)
"""Limits far below what a thread takes, on whatever machine: one virtual jump ends them."""
A_WHILE = 0.05


def session(storage: Storage) -> SupportChat:
    return SupportChat(
        workspace_id="acme",
        widget_id="help",
        transport=RecordingTransport(),
        storage=storage,
        settings=IMPATIENT,
    )


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("open_storage", [FileStorage, SQLiteStorage])
@in_virtual_time
async def test_it_stands_while_a_storage_waits_for_another_process(
    open_storage: Callable[[Path], Any], tmp_path: Path
) -> None:
    storage, held = open_storage(tmp_path / "visitor"), contextlib.ExitStack()
    held.enter_context(FileLock(tmp_path / "visitor.lock").held())
    threading.Timer(A_WHILE, held.close).start()
    async with session(storage) as chat:
        await chat.boot()
        assert now() == 0.0
        await chat.shutdown(clear_storage=True)
        assert now() == 0.0
    await storage.aclose()


@in_virtual_time
async def test_it_stands_while_a_token_provider_works_on_a_thread() -> None:
    def fetch() -> str:
        threading.Event().wait(A_WHILE)
        return "opaque"

    async with session(RecordingStorage()) as chat:
        await chat.boot(user=User("ada"), token_provider=fetch)
        assert now() == 0.0


@in_virtual_time
async def test_it_goes_on_when_the_thread_has_answered(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "visitor")
    async with session(storage) as chat:
        await chat.boot()
        await asyncio.sleep(3600.0)
        assert now() == 3600.0
    await storage.aclose()

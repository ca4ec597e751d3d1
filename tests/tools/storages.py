"""What tests of storages share: one use of a storage from an ordinary test, and paths that are no
place for a file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

from support_chat.ports import Storage

S = TypeVar("S", bound=Storage)
T = TypeVar("T")


def using(storage: S, use: Callable[[S], Awaitable[T]]) -> T:
    """What this use of the storage comes to; the storage is closed."""

    async def main() -> T:
        async with aclosing(storage):
            return await use(storage)

    return asyncio.run(asyncio.wait_for(main(), 60.0))


def in_a_missing_folder(path: Path) -> Path:
    """The same name in a folder that does not exist."""
    return path.parent / "missing" / path.name


def in_a_folder_that_is_a_file(path: Path) -> Path:
    """The same name in what is a file."""
    (path.parent / "file").touch()
    return path.parent / "file" / path.name


def where_a_folder_is(path: Path) -> Path:
    """The path, where a folder lies."""
    path.mkdir()
    return path


def names(folder: Path) -> list[str]:
    """The names of what lies in a folder, sorted."""
    return sorted(file.name for file in folder.iterdir())

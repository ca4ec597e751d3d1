"""What tests of storages share: for each storage that ships a place, one use of a storage from an
ordinary test, and paths that are no place for a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import aclosing
from pathlib import Path
from typing import IO, Any, Final, TypeAlias, TypeVar, cast

import attrs
from redis import Redis

from support_chat.ports import Storage

S = TypeVar("S", bound=Storage)
T = TypeVar("T")


PRELUDE = '''
import contextlib, os, shelve, sys
from collections.abc import MutableMapping
from support_chat_adapters.storage import *


class HeldShelf(MutableMapping):
    """A shelf that is open while its lock is held, so that it shows what other processes wrote."""

    def __init__(self, path, lock):
        self.path, self.lock, self.shelf = path, lock, None

    @contextlib.contextmanager
    def held(self):
        with self.lock.held(), shelve.open(self.path) as self.shelf:
            yield

    def __getitem__(self, key):
        return self.shelf[key]

    def __setitem__(self, key, value):
        self.shelf[key] = value

    def __delitem__(self, key):
        del self.shelf[key]

    def __iter__(self):
        return iter(self.shelf)

    def __len__(self):
        return len(self.shelf)

    def sync(self):
        self.shelf.sync()


def on_a_shelf(path, lock):
    shelf = HeldShelf(path, lock)
    return MappingStorage(shelf, lock=shelf.held)


def plaintext(path):
    from keyrings.alt.file import PlaintextKeyring

    keyring = PlaintextKeyring()
    keyring.file_path = path
    return keyring
'''
"""What the code that opens a place may use, in this process and in others."""
Warned: TypeAlias = Callable[[], list[str]]
"""The warnings in the log of the library so far; each call begins anew."""


@attrs.frozen
class RedisPlace:
    """The server of the tests: its URL, and the folder of its snapshots."""

    url: str
    folder: Path

    @contextlib.contextmanager
    def client(self) -> Generator[Any, None, None]:
        """A client for the tests' own looking around (Any: redis-py leaves much of it without
        types).
        """
        with contextlib.closing(cast("Any", Redis).from_url(self.url)) as client:
            yield client


@attrs.frozen
class Place:
    """Where a storage keeps things: `code` opens it, after `PRELUDE`, in any process."""

    kind: str
    folder: Path
    code: str
    redis: RedisPlace | None = None

    def open(self) -> Storage:
        """A new storage on this place; close it."""
        names: dict[str, Any] = {}
        exec(PRELUDE, names)
        return cast("Storage", eval(self.code, names))

    def child(self, program: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Starts `program`, which finds a storage on this place in `storage`, as a process of its
        own.
        """
        code = f"{PRELUDE}\nstorage = {self.code}\n{program}"
        return subprocess.Popen([sys.executable, "-c", code, *arguments], text=True, **options)

    def left(self) -> dict[str, bytes]:
        """Every byte that lies where the storage keeps things, by the name of the file or key."""
        found = {file.name: file.read_bytes() for file in self.folder.rglob("*") if file.is_file()}
        if self.redis is not None:
            with self.redis.client() as client:
                client.save()
                found["dump.rdb"] = (self.redis.folder / "dump.rdb").read_bytes()
                found |= {repr(key): key + client.dump(key) for key in client.scan_iter()}
        return found


PEOPLE: Final = ("ada", "bob", "cyd", "dan")


@contextlib.contextmanager
def racers(place: Place, program: str) -> Generator[Callable[[], list[str]], None, None]:
    """A process for each of the people, which gets its name, answers each line that it reads with
    one, and prints nothing else; each call lets all do so at once, and returns what they answer.
    """
    with contextlib.ExitStack() as stack:
        pipe = subprocess.PIPE
        everybody = [
            stack.enter_context(place.child(program, name, stdin=pipe, stdout=pipe))
            for name in PEOPLE
        ]

        def go() -> list[str]:
            for each in everybody:
                print("go", file=each.stdin, flush=True)
            return [cast("IO[str]", each.stdout).readline().strip() for each in everybody]

        yield go


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


@contextlib.contextmanager
def locked_by_sqlite(path: Path) -> Generator[None, None, None]:
    """Another user of a database keeps it to themselves."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()

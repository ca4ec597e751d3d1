"""The places of the storage tests: for each storage that ships, how to open it in this or another
process, and what it left.

A test that takes `place` runs once for each kind of storage it is parametrized with (`KINDS` in the
test's module).
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, cast

import attrs
import pytest
from redis import Redis

from redis_server import INSTALL, is_installed, redis_server
from support_chat.ports import Storage

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


@pytest.fixture(scope="session")
def redis_place(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisPlace, None, None]:
    """A real redis-server, for all tests of a run; each uses a prefix of its own."""
    if not is_installed():
        pytest.skip(f"needs redis-server: {INSTALL}")
    folder = tmp_path_factory.mktemp("redis")
    with redis_server(folder) as url:
        yield RedisPlace(url, folder)


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


def _code(kind: str, folder: Path, redis: RedisPlace | None) -> str:
    name = uuid.uuid4().hex
    match kind:
        case "memory":
            return "MemoryStorage()"
        case "file":
            return f"FileStorage({str(folder / 'chat.json')!r}, timeout=60.0)"
        case "sqlite":
            return f"SQLiteStorage({str(folder / 'chat.db')!r}, timeout=60.0)"
        case "redis":
            assert redis is not None
            return f"RedisStorage({redis.url!r}, prefix={name + ':'!r}, timeout=60.0)"
        case "keyring":
            return (
                f"KeyringStorage({name!r}, keyring=plaintext({str(folder / 'keyring.cfg')!r}), "
                "timeout=60.0)"
            )
        case "mapping":
            return "MappingStorage({})"
        case "shelf":
            lock = f"FileLock({str(folder / 'lock')!r}, timeout=60.0)"
            return f"on_a_shelf({str(folder / 'shelf')!r}, {lock})"
        case _:
            raise ValueError(kind)


@pytest.fixture
def place_of(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], Place]:
    """Makes a place of the kind that is named."""

    def make(kind: str) -> Place:
        redis = (
            cast("RedisPlace", request.getfixturevalue("redis_place")) if kind == "redis" else None
        )
        folder = tmp_path / kind
        folder.mkdir()
        return Place(kind, folder, _code(kind, folder, redis), redis)

    return make


@pytest.fixture
def place(request: pytest.FixtureRequest, place_of: Callable[[str], Place]) -> Place:
    """The place of the kind that the test is parametrized with."""
    return place_of(cast("str", request.param))


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The warnings in the log of the library so far; each call begins anew."""
    caplog.set_level(logging.WARNING, "support_chat")

    def take() -> list[str]:
        found = [record.getMessage() for record in caplog.records if record.name == "support_chat"]
        assert all(record.levelno == logging.WARNING for record in caplog.records)
        caplog.clear()
        return found

    return take

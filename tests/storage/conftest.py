"""The places of the storage tests: for each storage that ships, how it is opened.

A test that takes `place` runs once for each kind of storage it is parametrized with (`KINDS` in the
test's module).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from storages import Place, RedisPlace, Warned


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
def warned(caplog: pytest.LogCaptureFixture) -> Warned:
    """The warnings in the log of the library so far; each call begins anew."""
    caplog.set_level(logging.WARNING, "support_chat")

    def take() -> list[str]:
        found = [record.getMessage() for record in caplog.records if record.name == "support_chat"]
        assert all(record.levelno == logging.WARNING for record in caplog.records)
        caplog.clear()
        return found

    return take

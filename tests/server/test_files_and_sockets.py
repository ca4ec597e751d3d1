"""What a served backend makes on its machine: files that are its owner's alone, and connections
that answer at once.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from served import Served
from support_chat_adapters.backend import Backend
from support_chat_adapters.backend.server.run import bound
from widget_client import widget_client


@pytest.fixture
def no_umask() -> Generator[None, None, None]:
    """Nothing is taken from the modes that files are made with."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """The modes of a database, of what SQLite lays beside it, and of its secret."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("chat.db*")}


def test_the_database_what_lies_beside_it_and_the_secret_are_their_owners_alone(
    own: Served,
) -> None:
    with widget_client(own.url) as client:
        client.begin()
        client.say("in the write-ahead log")
        assert modes(own.db.parent) == dict.fromkeys(
            ("chat.db", "chat.db-shm", "chat.db-wal", "chat.db.key"), 0o600
        )


@pytest.mark.usefixtures("no_umask")
def test_also_where_the_umask_takes_nothing_away_and_a_database_that_is_there_keeps_its_mode(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chat.db"
    with Backend(path, workspace_id="demo", widget_id="web"):
        assert modes(tmp_path)["chat.db"] == 0o600
    path.chmod(0o640)
    with Backend(path, workspace_id="demo", widget_id="web"):
        assert modes(tmp_path)["chat.db"] == 0o640


def test_answers_leave_at_once_and_do_not_wait_for_the_client_to_acknowledge_their_head() -> None:
    """With Nagle's algorithm each answer would be some 40 ms late."""

    async def accepted() -> int:
        seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.set_result(
                writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            )
            writer.close()

        listener = bound("127.0.0.1", 0)
        async with await asyncio.start_server(serve, sock=listener):
            with closing(socket.create_connection(listener.getsockname()[:2])):
                return await asyncio.wait_for(seen, 60)

    assert asyncio.run(accepted()) != 0

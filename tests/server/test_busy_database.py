"""Another program holds the database's lock (a browser of databases, a backup): requests wait, are
told when to come back if that takes long, and afterwards everything goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect

from serving import serving
from support_chat.errors import RateLimitedError
from support_chat_adapters.backend import Backend, SQLiteStore
from support_chat_adapters.transport.wire.endpoints import BASE
from support_chat_adapters.transport.wire.problems import Response, error_of

WIDGET: dict[str, Any] = {"workspace_id": "demo", "widget_id": "web"}
LIMIT = 60.0
PATIENCE = 1.0


class Client:
    """A visitor with a conversation, and a live link."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self._http, self._url, self._sent = http, url, 0
        self.session = self.conversation = ""

    async def begin(self) -> None:
        body = {"workspaceId": "demo", "widgetId": "web", "visitor": "v" * 43}
        self.session = (await self.ask("POST", "/sessions/anonymous", body)).json()["session"]
        begun = await self.ask(
            "POST", "/conversations", {"message": "hello", "clientMessageId": "first"}
        )
        self.conversation = begun.json()["conversation"]["id"]

    async def ask(self, method: str, path: str, body: object = None) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.session}"} if self.session else {}
        return await self._http.request(method, BASE + path, json=body, headers=headers)

    async def say(self, text: str) -> httpx2.Response:
        self._sent += 1
        body = {"text": text, "clientMessageId": f"m-{self._sent}"}
        return await self.ask("POST", f"/conversations/{self.conversation}/messages", body)

    async def texts(self) -> list[str]:
        found = await self.ask("GET", f"/conversations/{self.conversation}/messages")
        return [message["text"] for message in found.json()["messages"]]

    @contextlib.asynccontextmanager
    async def link(self) -> AsyncGenerator[ClientConnection, None]:
        token = (await self.ask("POST", "/sessions/realtime-token")).json()["realtimeToken"]
        url = self._url.replace("http", "ws") + f"{BASE}/realtime?session_token={token}"
        async with connect(url) as socket:
            await socket.recv()  # its hello
            yield socket


@contextlib.contextmanager
def locked(path: Path) -> Generator[None, None, None]:
    """Another program is in the middle of a transaction."""
    other = sqlite3.connect(path, isolation_level=None, timeout=LIMIT)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
    finally:
        other.close()


@contextlib.asynccontextmanager
async def served(path: Path) -> AsyncGenerator[tuple[Backend, Client], None]:
    async with asyncio.timeout(LIMIT):
        with Backend(SQLiteStore(path, patience=PATIENCE), **WIDGET) as backend:
            async with (
                serving(backend) as url,
                httpx2.AsyncClient(base_url=url, trust_env=False, timeout=LIMIT) as http,
            ):
                client = Client(http, url)
                await client.begin()
                yield backend, client


def test_a_lock_that_is_held_for_long_is_a_503_that_says_when_to_come_back(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with served(tmp_path / "chat.db") as (_, client):
            with locked(tmp_path / "chat.db"):
                answers = await asyncio.gather(*(client.say(f"{n}") for n in range(3)))
                assert await client.texts() == ["hello"], "what is read needs no lock"
            for answer in answers:
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) > 0
                assert answer.json()["error"]["reason"] == "busy"
                error = error_of(Response(503, dict(answer.headers), answer.content))
                assert isinstance(error, RateLimitedError)
                assert error.recoverable
            assert (await client.say("again")).status_code == 200
            assert await client.texts() == ["hello", "again"], "nothing was done of what failed"

    asyncio.run(main())


def test_a_lock_that_is_let_go_in_time_delays_and_no_more(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path / "chat.db") as (_, client):
            with locked(tmp_path / "chat.db"):
                asked = asyncio.ensure_future(client.say("while it is locked"))
                assert await client.texts() == ["hello"]
                await asyncio.sleep(PATIENCE / 4)
                assert not asked.done()
            assert (await asked).status_code == 200
            assert await client.texts() == ["hello", "while it is locked"]

    asyncio.run(main())


def test_after_any_lock_what_others_write_is_delivered_live(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "chat.db"
        async with served(path) as (backend, client), client.link() as socket:
            for turn in range(3):
                with locked(path):
                    await asyncio.sleep(2 * PATIENCE if turn else PATIENCE / 4)
                with Backend(path, **WIDGET) as operator:
                    operator.agent.reply(client.conversation, f"after lock {turn}")
                came = json.loads(await socket.recv())
                assert came["message"]["text"] == f"after lock {turn}"
                backend.agent.reply(client.conversation, f"also {turn}")
                assert json.loads(await socket.recv())["message"]["text"] == f"also {turn}"

    asyncio.run(main())


@pytest.mark.parametrize("asks", ["say", "texts"])
def test_a_caller_who_hangs_up_while_it_waits_leaves_nothing_locked(
    asks: str, tmp_path: Path
) -> None:
    async def main() -> None:
        path = tmp_path / "chat.db"
        async with served(path) as (_, client):
            with locked(path):
                asked = [
                    asyncio.ensure_future(client.say("x") if asks == "say" else client.texts())
                    for _ in range(5)
                ]
                await asyncio.sleep(PATIENCE / 4)
                for one in asked:
                    one.cancel()
                await asyncio.gather(*asked, return_exceptions=True)
            with Backend(SQLiteStore(path, patience=PATIENCE), **WIDGET) as operator:
                operator.agent.reply(client.conversation, "from another process")
            assert (await client.say("last")).status_code == 200

    asyncio.run(main())

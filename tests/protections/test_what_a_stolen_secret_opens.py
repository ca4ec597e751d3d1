"""What SECURITY.md says of each secret: what it opens in a thief's hands, and until when."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from serving import serving
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token

KEY = secrets.token_urlsafe(32)
WIDGET: dict[str, Any] = {"workspace_id": "demo", "widget_id": "web"}
LIFETIME = 900.0


@attrs.define
class Widget:
    """A served backend, its clock, and what a thief does with it."""

    client: httpx2.AsyncClient
    backend: Backend
    now: float

    def token(self, user: str) -> str:
        return sign_identity_token(user, KEY, **WIDGET, lifetime=LIFETIME, now=self.now)

    async def ask(self, path: str, session: str | None = None, body: Any = None) -> httpx2.Response:
        headers = {"authorization": f"Bearer {session}"} if session else {}
        if body is None:
            return await self.client.get(f"/widget/v1{path}", headers=headers)
        return await self.client.post(f"/widget/v1{path}", headers=headers, json=body)

    async def open(self, visitor: str, **identity: str) -> Any:
        body = {"workspaceId": "demo", "widgetId": "web", "visitor": visitor}
        answer = await self.ask(
            "/sessions/anonymous", body=body | ({"identity": identity} if identity else {})
        )
        return answer.json() if answer.status_code == 200 else answer.status_code

    async def identify(self, session: str, visitor: str, user: str) -> Any:
        body = {"identifyId": f"i-{user}", "userId": user, "visitor": visitor}
        body["token"] = self.token(user)
        return (await self.ask("/sessions/identify", session, body)).json()

    async def say(self, session: str, text: str) -> None:
        await self.ask("/conversations", session, {"message": text, "clientMessageId": text})

    async def reads(self, session: str) -> int | list[str]:
        """The texts that a session can list, or the status that refuses it."""
        listed = await self.ask("/conversations", session)
        if listed.status_code != 200:
            return listed.status_code
        texts: list[str] = []
        for conversation in listed.json()["conversations"]:
            page = await self.ask(f"/conversations/{conversation['id']}/messages", session)
            texts += [message["text"] for message in page.json()["messages"]]
        return texts

    async def polls(self, session: str) -> int | list[str]:
        """The texts that a long poll replays to a session, or the status that refuses it."""
        answer = await self.ask("/realtime?cursor=0&wait=0", session)
        if answer.status_code != 200:
            return answer.status_code
        return [frame["message"]["text"] for frame in answer.json().get("frames", ())]

    async def listens(self, realtime_token: str, frames: int) -> list[str]:
        """The first texts that the gateway replays to the holder of a realtime token."""
        url = str(self.client.base_url).replace("http", "ws", 1).rstrip("/")
        query = f"session_token={realtime_token}&cursor=0"
        async with asyncio.timeout(60), connect(f"{url}/widget/v1/realtime?{query}") as socket:
            received = [json.loads(await socket.recv()) for _ in range(frames + 1)]
        return [frame["message"]["text"] for frame in received[1:]]


def widget(tmp_path: Path, story: Callable[[Widget], Awaitable[None]]) -> None:
    async def main() -> None:
        place: list[Widget] = []
        with Backend(
            tmp_path / "backend.db",
            **WIDGET,
            keys=[IdentityKey("HS256", KEY)],
            clock=lambda: place[0].now if place else 0.0,
        ) as backend:
            async with (
                serving(backend) as url,
                httpx2.AsyncClient(base_url=url, timeout=60.0) as client,
            ):
                place.append(Widget(client, backend, 1_800_000_000.0))
                await story(place[0])

    asyncio.run(main())


def content(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def test_a_visitors_secret_opens_the_visitor_until_a_merge_and_no_plain_shutdown_ends_it(
    tmp_path: Path,
) -> None:
    async def story(w: Widget) -> None:
        visitor = secrets.token_urlsafe(32)
        own = await w.open(visitor)
        await w.say(own["session"], "mine")
        await w.ask("/sessions/shutdown", own["session"], {})

        stolen = await w.open(visitor)
        assert await w.reads(stolen["session"]) == ["mine"]

        own = await w.open(visitor)
        assert (await w.identify(own["session"], visitor, "rachel"))["merged"]
        assert await w.reads(stolen["session"]) == []
        assert await w.reads((await w.open(visitor))["session"]) == []

    widget(tmp_path, story)


def test_a_visitors_secret_that_the_backend_is_told_is_over_opens_nothing(tmp_path: Path) -> None:
    async def story(w: Widget) -> None:
        visitor = secrets.token_urlsafe(32)
        own, stolen = await w.open(visitor), await w.open(visitor)
        await w.say(own["session"], "mine")
        told = await w.ask(
            "/visitors/end", None, {"workspaceId": "demo", "widgetId": "web", "visitor": visitor}
        )
        assert told.status_code == 204
        assert await w.reads(stolen["session"]) == 403
        assert await w.open(visitor) == 401

    widget(tmp_path, story)


def test_a_visitors_secret_and_a_token_of_the_thief_move_the_conversations(tmp_path: Path) -> None:
    async def story(w: Widget) -> None:
        visitor = secrets.token_urlsafe(32)
        own, stolen = await w.open(visitor), await w.open(visitor)
        await w.say(own["session"], "mine")
        await w.identify(stolen["session"], visitor, "mallory")
        assert await w.reads(stolen["session"]) == ["mine"]
        assert await w.reads(own["session"]) == []

    widget(tmp_path, story)


def test_a_users_session_reads_nothing_with_its_token_expired_and_goes_on_with_a_fresh_one(
    tmp_path: Path,
) -> None:
    async def story(w: Widget) -> None:
        own = await w.open("v" * 43, userId="rachel", token=w.token("rachel"))
        other = await w.open("o" * 43, userId="rachel", token=w.token("rachel"))
        await w.say(other["session"], "mine")
        assert await w.reads(own["session"]) == ["mine"]

        w.now += LIFETIME
        assert await w.reads(own["session"]) == 401
        assert await w.polls(own["session"]) == []
        with pytest.raises(ConnectionClosed, match="token_expired"):
            await w.listens(own["realtimeToken"], 1)

        fresh = {"token": w.token("rachel")}
        assert (await w.ask("/sessions/refresh", own["session"], fresh)).status_code == 204
        assert await w.polls(own["session"]) == ["mine"]

        await w.ask("/sessions/shutdown", own["session"], {})
        assert await w.polls(own["session"]) == 403

    widget(tmp_path, story)


def test_a_realtime_token_replays_everything_to_its_first_holder(tmp_path: Path) -> None:
    async def story(w: Widget) -> None:
        visitor = secrets.token_urlsafe(32)
        await w.say((await w.open(visitor))["session"], "mine")
        token = (await w.open(visitor))["realtimeToken"]
        assert await w.listens(token, 1) == ["mine"]
        with pytest.raises(ConnectionClosed, match="realtime_token_unknown"):
            await w.listens(token, 1)

    widget(tmp_path, story)


def test_an_identity_token_opens_sessions_for_anybody_until_it_expires(tmp_path: Path) -> None:
    async def story(w: Widget) -> None:
        token = w.token("rachel")
        for visitor in ("a" * 43, "b" * 43):
            assert (await w.open(visitor, userId="rachel", token=token))["userId"] == "rachel"
        w.now += LIFETIME
        assert await w.open("c" * 43, userId="rachel", token=token) == 401

    widget(tmp_path, story)


def test_a_copied_database_shows_what_was_written_and_opens_nothing(tmp_path: Path) -> None:
    async def story(w: Widget) -> None:
        visitor, token = secrets.token_urlsafe(32), w.token("rachel")
        own = await w.open(visitor, userId="rachel", token=token)
        await w.say(own["session"], "what was written")
        copied = content(tmp_path)
        assert b"what was written" in copied
        for secret in (visitor, token, own["session"], own["realtimeToken"]):
            assert secret.encode() not in copied

    widget(tmp_path, story)

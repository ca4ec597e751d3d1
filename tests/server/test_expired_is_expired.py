"""From the second in which a user's token expires until it is renewed, a session is told nothing of
what is written: not by a link that is open, not by a new one, not by a poll; and then all of it, in
order, once.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import attrs
import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from serving import serving
from support_chat.values import SignedIn
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from widget_client import BASE, PATIENCE

KEY = secrets.token_urlsafe(32)
WIDGET: dict[str, Any] = {"workspace_id": "demo", "widget_id": "web"}
LIFETIME = 900.0
_LONG = 0.5
"""Seconds, several looks around, in which what is not to come would have come."""


@attrs.define
class Ada:
    """A user of a served backend, whose clock is the test's."""

    backend: Backend
    http: httpx2.AsyncClient
    stack: AsyncExitStack
    now: float = 1_800_000_000.0
    session: str = ""
    realtime_token: str = ""
    cursor: str = ""

    def token(self) -> str:
        return sign_identity_token("ada", KEY, **WIDGET, lifetime=LIFETIME, now=self.now)

    async def begin(self) -> None:
        """A session, and what a link needs."""
        identity = {"userId": "ada", "token": self.token()}
        body = {"workspaceId": "demo", "widgetId": "web", "visitor": "v" * 43}
        answer = await self.ask("POST", "/sessions/anonymous", {**body, "identity": identity})
        begun = answer.raise_for_status().json()
        self.session, self.realtime_token = begun["session"], begun["realtimeToken"]
        self.cursor = begun["cursor"]

    async def ask(self, method: str, path: str, body: Any = None, **query: str) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.session}"} if self.session else {}
        return await self.http.request(
            method, BASE + path, json=body, params=query, headers=headers
        )

    async def polled(self, **query: str) -> dict[str, Any]:
        answer = await self.ask("GET", "/realtime", **{"cursor": self.cursor, **query})
        return dict(answer.raise_for_status().json())

    async def link(self, *, cursor: str | None = None) -> ClientConnection:
        """A WebSocket, by the realtime token of the opening."""
        query = f"session_token={self.realtime_token}&cursor={cursor or self.cursor}"
        url = f"{str(self.http.base_url).replace('http', 'ws', 1).rstrip('/')}{BASE}/realtime"
        return await self.stack.enter_async_context(connect(f"{url}?{query}"))

    def written(self, *texts: str) -> None:
        """An agent writes."""
        for text in texts:
            self.backend.agent.reply(SignedIn("ada"), text)

    async def renew(self) -> None:
        answer = await self.ask("POST", "/sessions/refresh", {"token": self.token()})
        assert answer.status_code == 204


def with_ada(story: Callable[[Ada], Awaitable[None]]) -> None:
    async def main() -> None:
        place: list[Ada] = []

        def clock() -> float:
            return place[0].now if place else 1_800_000_000.0

        async with asyncio.timeout(2 * PATIENCE), AsyncExitStack() as stack:
            keys = [IdentityKey("HS256", KEY)]
            backend = stack.enter_context(Backend(**WIDGET, keys=keys, clock=clock))
            url = await stack.enter_async_context(serving(backend))
            client = httpx2.AsyncClient(base_url=url, timeout=PATIENCE)
            http = await stack.enter_async_context(client)
            place.append(Ada(backend, http, stack))
            await place[0].begin()
            place[0].written("before")
            await story(place[0])

    asyncio.run(main())


async def frame(link: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        return dict(json.loads(await link.recv()))


async def texts(link: ClientConnection, count: int) -> list[str]:
    return [(await frame(link))["message"]["text"] for _ in range(count)]


async def is_quiet(link: ClientConnection) -> bool:
    try:
        async with asyncio.timeout(_LONG):
            await link.recv()
    except TimeoutError:
        return True
    return False


def polled_texts(answer: dict[str, Any]) -> list[str]:
    return [each["message"]["text"] for each in answer.get("frames", ())]


def test_an_open_link_says_nothing_of_what_is_written_until_the_token_is_renewed() -> None:
    async def story(ada: Ada) -> None:
        link = await ada.link()
        assert (await frame(link))["type"] == "hello"
        assert await texts(link, 1) == ["before"]
        ada.now += LIFETIME - 0.001
        ada.written("in time")
        assert await texts(link, 1) == ["in time"]

        ada.now += 0.001
        ada.written("one", "two")  # before the server has looked around
        assert await frame(link) == {"type": "token.expired"}
        ada.written("three")
        assert await is_quiet(link)
        await ada.renew()
        assert await texts(link, 3) == ["one", "two", "three"]
        ada.written("and on")
        assert await texts(link, 1) == ["and on"]

        ada.now += LIFETIME
        assert await frame(link) == {"type": "token.expired"}, "and so with every token"
        ada.written("again")
        assert await is_quiet(link)
        await ada.renew()
        assert await texts(link, 1) == ["again"]
        assert await is_quiet(link)

    with_ada(story)


def test_a_link_that_is_lost_while_the_token_is_expired_loses_nothing() -> None:
    async def story(ada: Ada) -> None:
        link = await ada.link()
        await frame(link)
        before = await frame(link)
        ada.now += LIFETIME
        ada.written("one", "two")
        await frame(link)
        await link.close()
        ada.now += 60
        await ada.renew()
        answer = await ada.ask("POST", "/sessions/realtime-token")
        ada.realtime_token = answer.json()["realtimeToken"]
        again = await ada.link(cursor=before["cursor"])
        assert (await frame(again))["unread"] == 3
        assert await texts(again, 2) == ["one", "two"]
        assert await is_quiet(again)

    with_ada(story)


def test_no_link_begins_with_an_expired_token_not_even_by_an_older_realtime_token() -> None:
    async def story(ada: Ada) -> None:
        ada.now += LIFETIME
        link = await ada.link()
        with pytest.raises(ConnectionClosed) as closed:
            await frame(link)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "token_expired")
        assert (await ada.ask("POST", "/sessions/realtime-token")).status_code == 401

    with_ada(story)


def test_a_poll_says_no_more_than_that_the_token_has_expired() -> None:
    async def story(ada: Ada) -> None:
        ada.now += LIFETIME
        ada.written("after")
        nothing = {"cursor": ada.cursor, "tokenExpired": True, "marked": 0, "owner": "user:ada"}
        for known in ("false", "true"):
            assert await ada.polled(token_expired=known) == nothing
            assert await ada.polled(token_expired=known, cursor="0") == {**nothing, "cursor": "0"}
        await ada.renew()
        assert polled_texts(await ada.polled()) == ["before", "after"]

    with_ada(story)


def test_a_poll_that_waits_while_the_token_expires_is_told_that_and_nothing_written_then() -> None:
    async def story(ada: Ada) -> None:
        ada.cursor = (await ada.polled())["cursor"]
        waiting = asyncio.ensure_future(ada.polled(wait="20"))
        await asyncio.sleep(_LONG)
        ada.now += LIFETIME
        ada.written("one")
        nothing = {"cursor": ada.cursor, "tokenExpired": True, "marked": 0, "owner": "user:ada"}
        assert await waiting == nothing

        waiting = asyncio.ensure_future(ada.polled(wait="20", token_expired="true"))
        await asyncio.sleep(_LONG)
        ada.written("two")
        await asyncio.sleep(_LONG)
        assert not waiting.done()
        await ada.renew()
        came = polled_texts(await waiting)
        if came == ["one"]:  # it was on its way before the second was asked for
            came += polled_texts(await ada.polled())
        assert came == ["one", "two"]

    with_ada(story)


def test_what_an_expired_session_is_refused_is_every_listing() -> None:
    async def story(ada: Ada) -> None:
        ada.now += LIFETIME
        conversation = "/conversations/conversation-1"
        for method, path in (
            ("GET", "/conversations"),
            ("GET", conversation),
            ("GET", f"{conversation}/messages"),
            ("POST", f"{conversation}/read"),
            ("POST", "/sessions/realtime-token"),
        ):
            answer = await ada.ask(method, path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "auth_expired")

    with_ada(story)


def test_a_visitor_has_no_token_that_could_expire() -> None:
    async def story(ada: Ada) -> None:
        body = {"workspaceId": "demo", "widgetId": "web", "visitor": "w" * 43}
        begun = (await ada.ask("POST", "/sessions/anonymous", body)).json()
        ada.session, ada.realtime_token = begun["session"], begun["realtimeToken"]
        said = {"message": "hello", "clientMessageId": "first"}
        await ada.ask("POST", "/conversations", said)
        link = await ada.link()
        await frame(link)
        ada.now += 1000 * LIFETIME
        conversations = (await ada.ask("GET", "/conversations")).json()["conversations"]
        ada.backend.agent.reply(conversations[0]["id"], "still here")
        assert await texts(link, 1) == ["still here"]

    with_ada(story)

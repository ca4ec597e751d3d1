"""A shop whose pages have a chat, as it has to be written while a server keeps its sessions itself.

It keeps by itself one session for each browser (`Sessions`: made once, ended when nobody has used
it for a while or when there are too many), whom the session is for (`become`, on every page), the
order of what one browser sends, and in a stream what was told already. Run it with
`uvicorn shop_before:app --timeout-graceful-shutdown 5`.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import os
import secrets
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from support_chat import (
    AuthChanged,
    ConnectionChanged,
    Message,
    MessageReceived,
    MessageSent,
    SignedIn,
    SupportChat,
    SupportChatError,
    User,
    Visitor,
)
from support_chat_adapters.backend import sign_identity_token
from support_chat_adapters.storage import SQLiteStorage
from support_chat_adapters.transport import WidgetAPITransport

BACKEND, STORAGE, SECRET = (os.environ[f"SHOP_{name}"] for name in ("BACKEND", "STORAGE", "SECRET"))
IDLE, MOST = float(os.environ.get("SHOP_IDLE", "900")), int(os.environ.get("SHOP_MOST", "1000"))
WIDGET: dict[str, Any] = {"workspace_id": "demo", "widget_id": "web"}
PASSWORDS = {"ada": "lovelace", "bob": "builder"}
signed_in: dict[str, str] = {}  # the shop's own: who has signed in, by the cookie `login`
PAGE = """<!doctype html><title>Shop</title><p id=who>{who}</p><ul id=said>{said}</ul>
<form method=post action=/say><input name=text><input type=hidden name=id value={id}></form>
<form method=post action=/login><input name=name><input type=password name=password></form>
<form method=post action=/logout><button>Sign out</button></form>"""


class Session:
    def __init__(self, chat: SupportChat) -> None:
        self.chat, self.users, self.used_at = chat, 0, 0.0
        self.becoming, self.sending = asyncio.Lock(), asyncio.Lock()


class Sessions:
    def __init__(self) -> None:
        self.transport, self.storage = WidgetAPITransport(BACKEND), SQLiteStorage(STORAGE)
        self.of: dict[str, Session] = {}

    @contextlib.asynccontextmanager
    async def session(self, browser: str) -> AsyncGenerator[Session, None]:
        if browser not in self.of:
            self.of[browser] = Session(
                SupportChat(**WIDGET, transport=self.transport, storage=self.storage, scope=browser)
            )
        session = self.of[browser]
        session.users += 1
        try:
            yield session
        finally:
            session.users -= 1
            session.used_at = time.monotonic()

    async def sweep(self) -> None:
        while True:
            await asyncio.sleep(min(IDLE / 4, 10.0))
            for browser in sorted(self.of, key=lambda one: self.of[one].used_at):
                session = self.of[browser]
                idle = time.monotonic() - session.used_at > IDLE
                if not session.users and (idle or len(self.of) > MOST):
                    del self.of[browser]  # first: who comes meanwhile gets another
                    await session.chat.destroy()

    async def close(self) -> None:
        for session in self.of.values():
            await session.chat.destroy()
        await self.storage.aclose()
        await self.transport.aclose()


async def become(session: Session, name: str | None) -> SupportChat:
    """Whoever the browser is for now; a visitor who signs in takes along what they wrote."""
    chat = session.chat
    async with session.becoming:
        now = chat.identity
        if isinstance(now, SignedIn) and now.user_id != name:
            await chat.shutdown(clear_storage=True)
        if name is None:
            await chat.boot(timeout=10.0)
            return chat

        def provider() -> str:
            return sign_identity_token(name, SECRET, **WIDGET)

        if isinstance(now, Visitor):
            await chat.identify(user=User(name), token_provider=provider, timeout=10.0)
        else:
            await chat.boot(user=User(name), token_provider=provider, timeout=10.0)
        return chat


def who(request: Request) -> str | None:
    return signed_in.get(request.cookies.get("login", ""))


async def form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode()))


async def newest(chat: SupportChat) -> str | None:
    conversations = await chat.conversations()
    return conversations[0].id if conversations else None


async def history(chat: SupportChat) -> Sequence[Message]:
    conversation = await newest(chat)
    if conversation is not None and chat.unread:
        await chat.mark_read(conversation)
    return () if conversation is None else await chat.messages(conversation)


async def page(request: Request) -> Response:
    browser, messages = request.cookies.get("browser"), list[Message]()
    if browser is not None:  # else it may be a robot, which costs no session
        async with request.app.state.sessions.session(browser) as session:
            messages += await history(await become(session, who(request)))
    said = "".join(f"<li class={m.author}>{html.escape(m.text)}</li>" for m in messages)
    filled = PAGE.format(who=who(request) or "nobody", said=said, id=secrets.token_hex(8))
    answer = HTMLResponse(filled)
    answer.set_cookie("browser", browser or secrets.token_hex(), httponly=True, samesite="lax")
    return answer


async def say(request: Request) -> Response:
    sent = await form(request)
    async with (
        request.app.state.sessions.session(request.cookies["browser"]) as session,
        session.sending,
    ):
        chat = await become(session, who(request))
        await chat.send_message(sent["text"], await newest(chat), sent["id"])
    return RedirectResponse("/", 303)


async def login(request: Request) -> Response:
    sent = await form(request)
    if PASSWORDS.get(sent["name"]) != sent["password"]:
        return Response("No such name and password.", 403)
    return await turn(request, sent["name"])


async def logout(request: Request) -> Response:
    return await turn(request, None)


async def turn(request: Request, name: str | None) -> Response:
    signed_in.pop(request.cookies.get("login", ""), None)
    answer = RedirectResponse("/", 303)
    if name is not None:
        login = secrets.token_hex()
        signed_in[login] = name
        answer.set_cookie("login", login, httponly=True, samesite="lax")
    async with request.app.state.sessions.session(request.cookies["browser"]) as session:
        await become(session, name)
    return answer


async def stream(request: Request) -> Response:
    seen = set[str]()

    def lines(messages: Iterable[Message]) -> str:
        new = [message for message in messages if message.id not in seen]
        seen.update(message.id for message in new)
        told = [json.dumps({"author": message.author, "text": message.text}) for message in new]
        return "".join(f"data: {each}\n\n" for each in told)

    async def told() -> AsyncGenerator[str, None]:
        async with request.app.state.sessions.session(request.cookies["browser"]) as session:
            chat = await become(session, who(request))
            async with chat.events() as events:
                yield lines(await history(chat))
                async for event in events:
                    match event:
                        case MessageReceived(message) | MessageSent(message):
                            yield lines([message])
                        case ConnectionChanged(connected=True):
                            yield lines(await history(chat))
                        case AuthChanged():
                            return  # the page asks again, as somebody else
                        case _:
                            pass

    return StreamingResponse(told(), media_type="text/event-stream")


async def trouble(_: Request, error: Exception) -> Response:
    return Response(f"The chat is not there now; go back and try again. {error}", 503)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None, None]:
    app.state.sessions = sessions = Sessions()
    sweeping = asyncio.create_task(sessions.sweep())
    try:
        yield
    finally:
        sweeping.cancel()
        await sessions.close()


app = Starlette(
    lifespan=lifespan,
    exception_handlers={SupportChatError: trouble, KeyError: trouble},
    routes=[
        Route("/", page),
        Route("/say", say, methods=["POST"]),
        Route("/login", login, methods=["POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/stream", stream),
    ],
)

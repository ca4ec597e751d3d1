"""A shop whose pages have a chat. Run it with `uvicorn shop:app`."""

from __future__ import annotations

import html
import json
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from secrets import token_hex
from signal import SIGINT, SIGTERM
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from support_chat import (
    AuthChanged,
    Message,
    OpenConversation,
    SessionPool,
    SupportChat,
    SupportChatError,
    User,
)
from support_chat_adapters.backend import sign_identity_token
from support_chat_adapters.storage import SQLiteStorage
from support_chat_adapters.transport import WidgetAPITransport

IDLE, MOST = float(os.environ.get("SHOP_IDLE", "900")), int(os.environ.get("SHOP_MOST", "1000"))
WIDGET: dict[str, Any] = {"workspace_id": "demo", "widget_id": "web"}
PASSWORDS = {"ada": "lovelace", "bob": "builder"}
signed_in: dict[str, User] = {}  # by the cookie `login`
PAGE = """<!doctype html><title>Shop</title><p id=who>{who}</p><ul id=said>{said}</ul>
<form method=post action=/say><input name=text><input type=hidden name=id value={id}></form>
<form method=post action=/login><input name=name><input type=password name=password></form>
<form method=post action=/logout><button>Sign out</button></form>"""

transport = WidgetAPITransport(os.environ["SHOP_BACKEND"])
storage = SQLiteStorage(os.environ["SHOP_STORAGE"])
token = partial(sign_identity_token, secret=os.environ["SHOP_SECRET"], **WIDGET)
pool = SessionPool(
    **WIDGET, transport=transport, storage=storage, token_provider=token, idle=IDLE, maximum=MOST
)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncGenerator[None]:
    async with aclosing(transport), aclosing(storage), pool.ended_by(SIGTERM, SIGINT):
        yield


@asynccontextmanager
async def chat(request: Request) -> AsyncGenerator[tuple[SupportChat, OpenConversation]]:
    """The session of this browser, for whoever it is signed in as, and what they say there."""
    async with pool.session(request.cookies["browser"]) as session:
        await session.become(signed_in.get(request.cookies.get("login", "")), clear_storage=True)
        yield session, await session.newest_conversation()


async def page(request: Request) -> Response:
    browser, who, rows = request.cookies.get("browser"), "nobody", ""
    if browser is not None:  # else it may be a robot, which costs no session
        async with chat(request) as (session, conversation):
            who, said = str(session.identity), await conversation.messages()
            rows = "".join(f"<li class={m.author}>{html.escape(m.text)}</li>" for m in said)
    answer = HTMLResponse(PAGE.format(who=html.escape(who), said=rows, id=token_hex(8)))
    answer.set_cookie("browser", browser or token_hex(), httponly=True, samesite="lax")
    return answer


async def say(request: Request) -> Response:
    sent = dict(parse_qsl((await request.body()).decode()))
    async with chat(request) as (_, conversation):
        await conversation.send(sent["text"], sent["id"], queue=False)
    return RedirectResponse("/", 303)


async def login(request: Request) -> Response:
    sent, login = dict(parse_qsl((await request.body()).decode())), token_hex()
    if PASSWORDS.get(sent["name"]) != sent["password"]:
        return Response("No such name and password.", 403)
    signed_in[login] = User(sent["name"])
    answer = RedirectResponse("/", 303)
    answer.set_cookie("login", login, httponly=True, samesite="lax")
    return answer


async def logout(request: Request) -> Response:
    signed_in.pop(request.cookies.get("login", ""), None)
    return RedirectResponse("/", 303)


async def stream(request: Request) -> Response:
    async def told() -> AsyncGenerator[str]:
        async with chat(request) as (_, conversation):
            async for item in conversation.timeline(mark_read=True, until=AuthChanged):
                if isinstance(item, Message):
                    yield f"data: {json.dumps({'author': item.author, 'text': item.text})}\n\n"

    return StreamingResponse(told(), media_type="text/event-stream")


async def trouble(_: Request, error: Exception) -> Response:
    return Response(f"The chat is not there now; go back and try again. {error}", 503)


posts = [Route(f"/{do.__name__}", do, methods=["POST"]) for do in (say, login, logout)]
routes = [Route("/", page), Route("/stream", stream), *posts]
app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={SupportChatError: trouble})

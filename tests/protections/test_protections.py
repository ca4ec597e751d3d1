"""What protects people, each as a check, and each check seen to fail when its protection is taken
away.

A row is a protection: what is tried against it, and the one line of the code that stands in the
way, removed. The check runs twice: as things are, where it must hold, and without the protection,
where it must not.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import secrets
import sqlite3
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import attrs
import httpx2
import jwt
import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from serving import serving
from support_chat import SupportChat, User
from support_chat.ports import Credentials
from support_chat.runtime import log
from support_chat.testing import RecordingTransport
from support_chat_adapters.backend import (
    Backend,
    IdentityKey,
    Transaction,
    identity_tokens,
    sessions,
    sign_identity_token,
)
from support_chat_adapters.backend.server import run as server_run
from support_chat_adapters.backend.server.origins import AllowedOrigins
from support_chat_adapters.backend.sessions import Session
from support_chat_adapters.storage import FileStorage, MemoryStorage, SQLiteStorage, sqlite
from support_chat_adapters.transport import WidgetAPITransport, socket_channel
from support_chat_adapters.transport.wire.frames import MAX_FRAME_BYTES

SECRET = secrets.token_urlsafe(32)
WIDGET: dict[str, Any] = {"workspace_id": "demo", "widget_id": "web"}
EMAIL = "rachel.4711@example.com"


@attrs.frozen
class Attempt:
    """What a check works with."""

    folder: Path
    log: pytest.LogCaptureFixture
    patch: pytest.MonkeyPatch


@contextlib.asynccontextmanager
async def widget(attempt: Attempt) -> AsyncGenerator[tuple[Backend, str], None]:
    with Backend(
        attempt.folder / "backend.db", **WIDGET, keys=[IdentityKey("HS256", SECRET)]
    ) as backend:
        async with serving(backend, origins=AllowedOrigins(["https://app.example.com"])) as url:
            yield backend, url


def token(user: str = "rachel") -> str:
    return sign_identity_token(User(user, email=EMAIL), SECRET, **WIDGET)


async def ask(
    url: str,
    path: str,
    payload: Any = None,
    *,
    session: str | None = None,
    origin: str | None = None,
) -> httpx2.Response:
    headers = {
        name: value
        for name, value in (("authorization", session and f"Bearer {session}"), ("origin", origin))
        if value
    }
    async with httpx2.AsyncClient(
        base_url=f"{url}/widget/v1", headers=headers, timeout=60.0
    ) as client:
        return await (client.get(path) if payload is None else client.post(path, json=payload))


async def opened(url: str, visitor: str, **more: Any) -> Any:
    response = await ask(
        url,
        "/sessions/anonymous",
        {"workspaceId": "demo", "widgetId": "web", "visitor": visitor, **more},
    )
    return response.json()


async def lived(storage: Any, url: str, **options: Any) -> list[str]:
    """A whole life of a session, to its full clear; returns what must be left nowhere."""
    words = [EMAIL, "rachel-the-user"]

    async def fetch() -> str:
        words.append(token("rachel-the-user"))
        return words[-1]

    transport = WidgetAPITransport(url, **options)
    async with SupportChat(**WIDGET, transport=transport, storage=storage) as chat:
        await chat.boot()
        words.extend([value for key in await storage.keys() if (value := await storage.get(key))])
        await chat.send_message("Hello")
        await chat.identify(user=User("rachel-the-user", email=EMAIL), token_provider=fetch)
        await asyncio.sleep(0.05)
        words.extend([value for key in await storage.keys() if (value := await storage.get(key))])
        await chat.shutdown(clear_storage=True)
    await transport.aclose()
    return words


def residue(folder: Path, words: list[str]) -> list[str]:
    content = b"".join(
        file.read_bytes() for file in folder.iterdir() if file.name.startswith("visitor")
    )
    return [word for word in words if word.encode() in content]


# --- what is tried ---


async def a_clear_leaves_nothing_in_the_database(attempt: Attempt) -> None:
    async with widget(attempt) as (_, url):
        storage = SQLiteStorage(attempt.folder / "visitor.db")
        words = await lived(storage, url)
        await storage.aclose()
    assert len(words) >= 4, "the visitors before and after the merge, and the token, are looked for"
    assert residue(attempt.folder, words) == []


async def a_clear_leaves_nothing_in_the_file(attempt: Attempt) -> None:
    async with widget(attempt) as (_, url):
        storage = FileStorage(attempt.folder / "visitor.json")
        words = await lived(storage, url)
        await storage.aclose()
    assert residue(attempt.folder, words) == []


async def no_log_line_holds_a_secret(attempt: Attempt) -> None:
    """Every logger of the process, at its most talkative: ours, the server's, and those of the
    libraries on the way.
    """
    minted: list[str] = []
    real = secrets.token_urlsafe

    def noted(size: int = 32) -> str:
        minted.append(real(size))
        return minted[-1]

    attempt.patch.setattr(secrets, "token_urlsafe", noted)
    with attempt.log.at_level(logging.DEBUG):
        async with widget(attempt) as (_, url):
            ways: list[dict[str, Any]] = [{}, {"websocket": None}]
            for options in ways:
                storage = FileStorage(attempt.folder / f"visitor-{len(options)}.json")
                minted += await lived(storage, url, **options)
                await storage.aclose()
    said = attempt.log.text
    assert "link_up" in said, "the log was read"
    assert len(minted) > 10, "visitors, sessions, realtime tokens, identity tokens"
    assert [word for word in minted if word in said] == []


async def no_traceback_holds_what_an_adapter_was_given(attempt: Attempt) -> None:
    """An adapter fails with a secret in its text, as a cache does that does not know a key."""

    class Careless(RecordingTransport):
        async def open(self, credentials: Credentials) -> Any:
            if not given:
                given.extend([credentials.visitor, f"token of {credentials.user_id}"])
                raise KeyError(given)
            return await super().open(credentials)

    given: list[str] = []
    with attempt.log.at_level(logging.DEBUG):
        chat = SupportChat(**WIDGET, transport=Careless(), storage=MemoryStorage())
        async with chat:
            await chat.boot()
    assert "Traceback" in attempt.log.text
    assert [word for word in given if word in attempt.log.text] == []


async def a_page_of_another_origin_may_not_use_the_widget(attempt: Attempt) -> None:
    visitor = secrets.token_urlsafe(32)
    opening = {"workspaceId": "demo", "widgetId": "web", "visitor": visitor}
    async with widget(attempt) as (_, url):
        allowed = await ask(url, "/sessions/anonymous", opening, origin="https://app.example.com")
        assert allowed.status_code == 200
        refused = await ask(url, "/sessions/anonymous", opening, origin="https://evil.example")
        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == "invalid_origin"
        query = urlencode({"session_token": allowed.json()["realtimeToken"]})
        gateway = f"ws{url.removeprefix('http')}/widget/v1/realtime?{query}"
        with pytest.raises(InvalidStatus) as denied:
            async with connect(gateway, origin=Origin("https://evil.example")):
                pass
        assert denied.value.response.status_code == 403


async def a_client_cannot_make_the_server_read_a_large_frame(attempt: Attempt) -> None:
    async with widget(attempt) as (_, url):
        begun = await opened(url, secrets.token_urlsafe(32))
        query = urlencode({"session_token": begun["realtimeToken"]})
        async with connect(f"ws{url.removeprefix('http')}/widget/v1/realtime?{query}") as socket:
            await socket.recv()
            await socket.send("x" * 64_000)
            with pytest.raises(ConnectionClosed) as closed:
                async with asyncio.timeout(60):
                    await (await socket.ping())  # answered by who has read what was before it
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def a_backend_cannot_make_the_client_read_a_large_frame(attempt: Attempt) -> None:
    async def gateway(socket: ServerConnection) -> None:
        await socket.send('{"type": "hello", "cursor": "0"}')
        await socket.send(json.dumps({"type": "unknown", "padding": "x" * (MAX_FRAME_BYTES + 1)}))
        await socket.send(json.dumps({"type": "token.expired"}))
        await socket.wait_closed()

    async with serve(gateway, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        channel = await socket_channel.open_socket(
            connect, f"ws://127.0.0.1:{port}/", {}, ping_every=60.0, patience=5.0
        )
        try:
            with pytest.raises(ConnectionError):
                await channel.next()
        finally:
            channel.abort()


async def nobody_signs_in_with_a_token_without_a_signature(attempt: Attempt) -> None:
    def part(content: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    claims = jwt.decode(token("admin"), options={"verify_signature": False})
    await _is_refused(attempt, f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.")


async def nobody_signs_in_with_a_token_for_another_widget(attempt: Attempt) -> None:
    await _is_refused(
        attempt, sign_identity_token("admin", SECRET, workspace_id="demo", widget_id="another")
    )


async def nobody_signs_in_with_a_token_of_another_workspace(attempt: Attempt) -> None:
    await _is_refused(
        attempt, sign_identity_token("admin", SECRET, workspace_id="another", widget_id="web")
    )


async def nobody_signs_in_with_the_token_of_somebody_else(attempt: Attempt) -> None:
    await _is_refused(attempt, token("mallory"))


async def _is_refused(attempt: Attempt, forged: str) -> None:
    async with widget(attempt) as (_, url):
        answer = await opened(
            url, secrets.token_urlsafe(32), identity={"userId": "admin", "token": token("admin")}
        )
        assert answer["userId"] == "admin", "a good token is accepted"
        answer = await opened(
            url, secrets.token_urlsafe(32), identity={"userId": "admin", "token": forged}
        )
        assert answer.get("error", {}).get("code") == "invalid_token"


async def a_guessed_visitor_is_nobody(attempt: Attempt) -> None:
    async with widget(attempt) as (_, url):
        visitor = secrets.token_urlsafe(32)
        theirs = await opened(url, visitor)
        await ask(
            url,
            "/conversations",
            {"message": "A secret.", "clientMessageId": "1"},
            session=theirs["session"],
        )
        for guess in (
            theirs["visitorId"].ljust(22, "0"),
            visitor[:22],
            visitor.swapcase(),
            visitor + "=",
        ):
            mine = await opened(url, guess)
            assert mine["visitorId"] != theirs["visitorId"]
            listed = await ask(url, "/conversations", session=mine["session"])
            assert listed.json()["conversations"] == []


async def a_guessed_session_is_none(attempt: Attempt) -> None:
    async with widget(attempt) as (_, url):
        theirs = await opened(url, secrets.token_urlsafe(32))
        name, _, secret = theirs["session"].partition(".")
        for guess in (
            name,
            f"{name}.",
            f"{name}.{secrets.token_urlsafe(24)}",
            f"{name}.{secret[:-1]}",
        ):
            answer = await ask(url, "/conversations", session=guess)
            assert answer.status_code in (401, 403)
        assert (await ask(url, "/conversations", session=theirs["session"])).status_code == 200


async def a_retired_visitor_shows_nothing_of_the_user(attempt: Attempt) -> None:
    async with widget(attempt) as (_, url):
        visitor = secrets.token_urlsafe(32)
        before = await opened(url, visitor)
        await ask(
            url,
            "/conversations",
            {"message": "A secret.", "clientMessageId": "1"},
            session=before["session"],
        )
        identify = {"identifyId": "one", "userId": "rachel", "visitor": visitor, "token": token()}
        merged = await ask(url, "/sessions/identify", identify, session=before["session"])
        assert merged.json()["conversationsMoved"] == 1
        replayed = await opened(url, visitor)
        assert replayed["visitorId"] != before["visitorId"]
        listed = await ask(url, "/conversations", session=replayed["session"])
        assert listed.json()["conversations"] == []


async def an_ended_session_stays_ended(attempt: Attempt) -> None:
    async with widget(attempt) as (_, url):
        visitor = secrets.token_urlsafe(32)
        begun = await opened(url, visitor)
        ended = await ask(url, "/sessions/shutdown", {}, session=begun["session"])
        assert ended.status_code == 204
        listed = await ask(url, "/conversations", session=begun["session"])
        assert listed.status_code in (401, 403)
        assert "error" in await opened(url, visitor, session=begun["session"])


# --- and what stands in the way, removed ---


def without_overwriting(patch: pytest.MonkeyPatch) -> None:
    # what is taken away is inside
    real = sqlite._prepare  # pyright: ignore[reportPrivateUsage]

    def careless(connection: sqlite3.Connection) -> None:
        real(connection)
        connection.execute("PRAGMA secure_delete = OFF")

    patch.setattr(sqlite, "_prepare", careless)


def with_a_draft_left_behind(patch: pytest.MonkeyPatch) -> None:
    real = os.replace

    def careless(draft: str, path: str) -> None:
        Path(f"{path}.bak").write_bytes(
            Path(draft).read_bytes()
            + (Path(f"{path}.bak").read_bytes() if Path(f"{path}.bak").exists() else b"")
        )
        real(draft, path)

    patch.setattr(os, "replace", careless)


def with_an_access_log(patch: pytest.MonkeyPatch) -> None:
    real: Any = uvicorn.Config

    def talkative(app: Any, **options: Any) -> Any:
        return real(app, **{**options, "access_log": True, "log_level": "debug"})

    patch.setattr(uvicorn, "Config", talkative)


def with_the_texts_of_foreign_errors(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(log, "_text", str)


def with_talkative_websockets(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(socket_channel, "LOG", logging.getLogger("websockets.client"))


def without_a_look_at_the_origin(patch: pytest.MonkeyPatch) -> None:
    def careless(self: AllowedOrigins, origin: str | None) -> None: ...

    patch.setattr(AllowedOrigins, "check", careless)


def without_a_limit_for_client_frames(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(server_run, "MAX_CLIENT_FRAME_BYTES", 2**24)


def without_a_limit_for_backend_frames(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(socket_channel, "MAX_FRAME_BYTES", None)


def without_a_look_at_the_signature(patch: pytest.MonkeyPatch) -> None:
    def careless(token: str, keys: Sequence[IdentityKey]) -> dict[str, object]:
        return jwt.decode(token, options={"verify_signature": False})

    patch.setattr(identity_tokens, "_payload", careless)


def without_a_look_at(claim: str) -> Callable[[pytest.MonkeyPatch], None]:
    """The claim is taken for what the backend wants it to be."""

    def remove(patch: pytest.MonkeyPatch) -> None:
        real = identity_tokens._payload  # pyright: ignore[reportPrivateUsage]
        wanted = {"widget_id": "web", "workspace_id": "demo", "sub": "admin"}[claim]

        def careless(token: str, keys: Sequence[IdentityKey]) -> dict[str, object]:
            return {**real(token, keys), claim: wanted}

        patch.setattr(identity_tokens, "_payload", careless)

    return remove


def with_the_first_visitor_for_everybody(patch: pytest.MonkeyPatch) -> None:
    real = sessions.visitor_of

    def careless(db: Transaction, secret_hash: str, now: float) -> str:
        found = db.execute("SELECT id FROM visitors LIMIT 1").fetchone()
        return str(found["id"]) if found else real(db, secret_hash, now)

    patch.setattr(sessions, "visitor_of", careless)


def with_sessions_known_by_their_name(patch: pytest.MonkeyPatch) -> None:
    def careless(db: Transaction, credential: str) -> Session:
        row = db.execute(
            "SELECT * FROM sessions WHERE 'session-' || id = ?", (sessions.session_ref(credential),)
        ).fetchone()
        return Session(row["id"], row["visitor_id"], row["user_id"], row["token_expires"])

    patch.setattr(sessions, "find", careless)


def with_retired_visitors_taken_for_their_users(patch: pytest.MonkeyPatch) -> None:
    def careless(db: Transaction, session: Session, now: float) -> Session:
        row = db.execute("SELECT user_id FROM merges").fetchone()
        return (
            attrs.evolve(session, user_id=row["user_id"])
            if row and session.user_id is None
            else session
        )

    patch.setattr(sessions, "succeeded", careless)


Check = Callable[[Attempt], Coroutine[Any, Any, None]]
PROTECTIONS: list[tuple[Check, Callable[[pytest.MonkeyPatch], None]]] = [
    (a_clear_leaves_nothing_in_the_database, without_overwriting),
    (a_clear_leaves_nothing_in_the_file, with_a_draft_left_behind),
    (no_log_line_holds_a_secret, with_an_access_log),
    (no_log_line_holds_a_secret, with_talkative_websockets),
    (no_traceback_holds_what_an_adapter_was_given, with_the_texts_of_foreign_errors),
    (a_page_of_another_origin_may_not_use_the_widget, without_a_look_at_the_origin),
    (a_client_cannot_make_the_server_read_a_large_frame, without_a_limit_for_client_frames),
    (a_backend_cannot_make_the_client_read_a_large_frame, without_a_limit_for_backend_frames),
    (nobody_signs_in_with_a_token_without_a_signature, without_a_look_at_the_signature),
    (nobody_signs_in_with_a_token_for_another_widget, without_a_look_at("widget_id")),
    (nobody_signs_in_with_a_token_of_another_workspace, without_a_look_at("workspace_id")),
    (nobody_signs_in_with_the_token_of_somebody_else, without_a_look_at("sub")),
    (a_guessed_visitor_is_nobody, with_the_first_visitor_for_everybody),
    (a_guessed_session_is_none, with_sessions_known_by_their_name),
    (a_retired_visitor_shows_nothing_of_the_user, with_retired_visitors_taken_for_their_users),
    (an_ended_session_stays_ended, with_sessions_known_by_their_name),
]
NAMES = [f"{check.__name__}-{protection.__name__}" for check, protection in PROTECTIONS]


@pytest.mark.parametrize(
    "check", dict.fromkeys(check for check, _ in PROTECTIONS), ids=lambda check: check.__name__
)
def test_it_is_protected(
    check: Check, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(check(Attempt(tmp_path, caplog, monkeypatch)))


@pytest.mark.parametrize(("check", "remove"), PROTECTIONS, ids=NAMES)
def test_without_its_protection_the_check_fails(
    check: Check,
    remove: Callable[[pytest.MonkeyPatch], None],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remove(monkeypatch)
    with pytest.raises((AssertionError, TimeoutError, pytest.fail.Exception)):
        asyncio.run(check(Attempt(tmp_path, caplog, monkeypatch)))

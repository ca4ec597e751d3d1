"""The worlds in which one suite of session tests runs: each storage that ships, beside each way to
a backend.

The backend on the network is `support-chat serve` in a process of its own, which a test may take
down and bring back; the Redis is a real server. A world is asked for by its two names (`world` is
parametrized with them), and a test sees no difference between two.
"""

from __future__ import annotations

import asyncio
import contextlib
import shelve
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from pathlib import Path
from typing import Any, cast

import attrs
import pytest
from keyring.core import load_keyring

from redis_server import INSTALL, is_installed, redis_server
from served import WIDGET, WORKSPACE, Served, served
from support_chat import Settings, SupportChat
from support_chat.lifecycle.events import AnyEvent
from support_chat.ports import Storage, Transport
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.storage import (
    FileStorage,
    KeyringStorage,
    MappingStorage,
    MemoryStorage,
    RedisStorage,
    SQLiteStorage,
)
from support_chat_adapters.transport import LoopbackTransport, WidgetAPITransport

QUICK = Settings(
    backoff_base=0.05,
    backoff_min=0.01,
    backoff_max=0.2,
    update_interval=0.02,
    min_refresh_interval=0.05,
    probe_interval=0.3,
)
"""The delays of the shipped settings, made short: these tests wait in real time."""


@attrs.define(eq=False)
class World:
    """Adapters for sessions, and the hands of everybody else: the backend's data, its agents, and
    who takes it down.
    """

    storage: Storage
    transport: Transport
    backend: Backend
    """The backend's data and its agent; on the network another process serves them."""
    secret: str
    take_down: Callable[[], Awaitable[None]]
    """The backend is gone: links break, dials fail."""
    bring_back: Callable[[], Awaitable[None]]
    _chats: list[SupportChat] = attrs.field(factory=list[SupportChat])
    heard: list[AnyEvent] = attrs.field(factory=list[AnyEvent])
    """Every event of every session, in order."""
    user: str = attrs.field(factory=lambda: f"user-{uuid.uuid4().hex[:8]}")
    """A user whom the backend has never seen."""
    scope: str = attrs.field(factory=lambda: uuid.uuid4().hex[:8])

    def chat(self, **options: Any) -> SupportChat:
        """A session in this world, destroyed at the end."""
        options = {"scope": self.scope, "settings": QUICK, **options}
        chat = SupportChat(
            workspace_id=WORKSPACE,
            widget_id=WIDGET,
            transport=self.transport,
            storage=self.storage,
            **options,
        )
        chat.on(object, self.heard.append)  # every event there is
        self._chats.append(chat)
        return chat

    def tokens(self, user: str, *, lifetime: float = 900.0) -> Callable[[], Awaitable[str]]:
        """A provider of tokens for this user, a new one at each call."""

        async def fetch() -> str:
            return sign_identity_token(
                user, self.secret, workspace_id=WORKSPACE, widget_id=WIDGET, lifetime=lifetime
            )

        return fetch

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of this kind so far."""
        return [event for event in self.heard if isinstance(event, kind)]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until it holds, two minutes at the most."""
        async with asyncio.timeout(120):
            while not holds():  # noqa: ASYNC110  # what is waited for may be a row in a database
                await asyncio.sleep(0.005)

    async def end(self) -> None:
        """Every session is destroyed, and the adapters are closed by who made them."""
        for chat in self._chats:
            await chat.destroy()
        await self.storage.aclose()
        await self.transport.aclose()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """A real redis-server."""
    if not is_installed():
        pytest.skip(f"needs redis-server: {INSTALL}")
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="session")
def on_the_network(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served, None, None]:
    """A real `support-chat serve`."""
    with served(
        tmp_path_factory.mktemp("served"), "--opens-per-minute=0", "--requests-per-minute=0"
    ) as one:
        yield one


def _storage(
    kind: str, folder: Path, request: pytest.FixtureRequest, leaving: contextlib.ExitStack
) -> Storage:
    match kind:
        case "memory":
            return MemoryStorage()
        case "file":
            return FileStorage(folder / "visitor.json")
        case "sqlite":
            return SQLiteStorage(folder / "visitor.db")
        case "redis":
            return RedisStorage(
                cast("str", request.getfixturevalue("redis_url")), prefix=f"{uuid.uuid4().hex}:"
            )
        case "keyring":
            plaintext: Any = load_keyring("keyrings.alt.file.PlaintextKeyring")
            plaintext.file_path = str(folder / "keyring.cfg")
            return KeyringStorage(uuid.uuid4().hex, keyring=plaintext)
        case "mapping":
            return MappingStorage({})
        case "shelf":
            return MappingStorage(leaving.enter_context(shelve.open(str(folder / "shelf"))))
        case _:
            raise ValueError(kind)


@contextlib.asynccontextmanager
async def _on_loopback(storage: Storage, folder: Path) -> AsyncGenerator[World, None]:
    secret = uuid.uuid4().hex
    with Backend(
        folder / "backend.db",
        workspace_id=WORKSPACE,
        widget_id=WIDGET,
        keys=[IdentityKey("HS256", secret)],
    ) as backend:

        async def take_down() -> None:
            backend.faults.refuse_dials()
            backend.faults.drop_links()

        async def bring_back() -> None:
            backend.faults.heal()

        yield World(storage, LoopbackTransport(backend), backend, secret, take_down, bring_back)


@contextlib.asynccontextmanager
async def _on_network(
    storage: Storage, served: Served, transport: Transport
) -> AsyncGenerator[World, None]:
    async def take_down() -> None:
        await asyncio.to_thread(served.kill)

    async def bring_back() -> None:
        await asyncio.to_thread(served.start)

    with served.backend() as data:
        yield World(storage, transport, data, served.secret, take_down, bring_back)


Scenario = Callable[[World], Awaitable[None]]


@pytest.fixture
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, str, Scenario], None]:
    """Plays a scenario in the world of this storage and this transport."""

    async def main(
        storage_kind: str, transport_kind: str, scenario: Scenario, leaving: contextlib.ExitStack
    ) -> None:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: complaints.append(context)
        )
        storage = _storage(storage_kind, tmp_path, request, leaving)
        async with contextlib.AsyncExitStack() as stack:
            if transport_kind == "loopback":
                world = await stack.enter_async_context(_on_loopback(storage, tmp_path))
            else:
                server = cast("Served", request.getfixturevalue("on_the_network"))
                websocket: dict[str, Any] = {"websocket": None} if transport_kind == "polls" else {}
                transport = WidgetAPITransport(
                    server.url, poll_wait=2.0, ping_every=1.0, **websocket
                )
                world = await stack.enter_async_context(_on_network(storage, server, transport))
            try:
                async with asyncio.timeout(300):
                    await scenario(world)
            finally:
                await world.bring_back()
                await world.end()
        assert complaints == []

    def run(storage_kind: str, transport_kind: str, scenario: Scenario) -> None:
        with contextlib.ExitStack() as leaving:
            asyncio.run(main(storage_kind, transport_kind, scenario, leaving))

    return run

"""Two gateways on one database, behind a balancer: clients of either hear each other, and whoever
dies, a gateway or the server, they go on at whatever answers, with everything once and in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from async_tests import in_real_time
from balancer import Balancer, balancing
from postgres_server import PostgresServer, postgres_server
from served import WIDGET, WORKSPACE, Served, served
from served_arrangement import UNLIMITED
from support_chat import MessageReceived, Phase, Settings, SupportChat, User
from support_chat.errors import SupportChatError
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import WidgetAPITransport

QUICK: Final = Settings(backoff_base=0.05, backoff_min=0.01, backoff_max=0.2)
SENDS: Final = 30
"""How many messages each client sends."""
LIVE: Final = (Phase.ANONYMOUS, Phase.AUTHENTICATED)


@attrs.define(eq=False)
class Client:
    """A session of a user, and what it has heard."""

    chat: SupportChat
    heard: list[str] = attrs.field(factory=list[str])

    async def hears(self, *texts: str) -> None:
        while not set(texts) <= set(self.heard):  # noqa: ASYNC110 - what is heard is a list
            await asyncio.sleep(0.01)

    async def says(self, text: str, conversation: str | None = None) -> str:
        """Sends it, again and again under its id until it is known to be stored; returns the
        conversation.
        """
        while True:
            try:
                return (await self.chat.send_message(text, conversation, text)).conversation_id
            except SupportChatError:
                await asyncio.sleep(0.05)


@attrs.define(eq=False)
class Gateways:
    """Two gateways, and who stands before them."""

    one: Served
    other: Served
    balancer: Balancer
    _leaving: AsyncExitStack

    async def client(self, user: str, url: str) -> Client:
        """A session of this user, booted at this address."""
        transport = WidgetAPITransport(url, ping_every=1.0)
        self._leaving.push_async_callback(transport.aclose)
        chat = SupportChat(
            workspace_id=WORKSPACE,
            widget_id=WIDGET,
            transport=transport,
            storage=MemoryStorage(),
            settings=QUICK,
        )
        self._leaving.push_async_callback(chat.destroy)
        client = Client(chat)
        chat.on(MessageReceived, lambda event: client.heard.append(event.message.text))
        await chat.boot(user=User(user), token_provider=lambda: self.one.token(user))
        return client


@asynccontextmanager
async def two_gateways(address: str, folder: Path) -> AsyncGenerator[Gateways, None]:
    async with AsyncExitStack() as stack:
        one, other = (
            stack.enter_context(served(folder, *UNLIMITED, address=address)) for _ in range(2)
        )
        balancer = stack.enter_context(balancing(one.port, other.port))
        leaving = await stack.enter_async_context(AsyncExitStack())
        yield Gateways(one, other, balancer, leaving)


@in_real_time
async def test_what_is_written_at_one_gateway_is_heard_at_the_other(
    database: str, tmp_path: Path
) -> None:
    async with two_gateways(database, tmp_path) as both:
        here, there = [await both.client("ada", each.url) for each in (both.one, both.other)]
        conversation = await here.says("here 0")
        await there.hears("here 0")
        for n in range(1, 10):
            await there.says(f"there {n}", conversation)
            await here.says(f"here {n}", conversation)
        wanted = [f"{place} {n}" for n in range(1, 10) for place in ("there", "here")]
        await there.hears(*wanted[1::2])
        await here.hears(*wanted[::2])
        assert [each for each in here.heard if each in wanted] == wanted[::2]
        assert [each for each in there.heard if each in wanted] == wanted[1::2]
        texts = [message.text for message in await here.chat.messages(conversation)]
        assert texts == ["here 0", *wanted]


async def _go_on(
    both: Gateways, strike: Callable[[int], Any], users: tuple[str, ...] = ("ada", "bob")
) -> None:
    """Two tabs of each user write, while something strikes now and then."""
    pairs = [[await both.client(user, both.balancer.url) for _ in range(2)] for user in users]
    conversations = [
        await pair[0].says(f"{user} begins") for user, pair in zip(users, pairs, strict=True)
    ]

    async def write(user: str, number: int, client: Client, conversation: str) -> list[str]:
        texts = [f"{user} {number} {n}" for n in range(SENDS)]
        for text in texts:
            await client.says(text, conversation)
            await asyncio.sleep(0.05)
        return texts

    writing = asyncio.gather(
        *(
            write(user, number, client, conversation)
            for user, pair, conversation in zip(users, pairs, conversations, strict=True)
            for number, client in enumerate(pair)
        )
    )
    turn = 0
    while not writing.done():
        await asyncio.sleep(0.4)
        await asyncio.to_thread(strike, turn)
        turn += 1
    assert turn > 1, "it was struck while they wrote"
    written = await writing
    for pair, conversation, of_one, of_other in zip(
        pairs, conversations, written[::2], written[1::2], strict=True
    ):
        for client, theirs in zip(pair, (of_other, of_one), strict=True):
            await client.chat.wait_for(*LIVE)
            await client.hears(*theirs)
            heard = [text for text in client.heard if text in theirs]
            assert heard == theirs, "each once, in order"
        stored = [message.text for message in await pair[0].chat.messages(conversation)]
        assert sorted(stored[1:]) == sorted([*of_one, *of_other]), "each once"


@in_real_time
async def test_clients_of_a_gateway_that_is_killed_go_on_at_the_other(
    database: str, tmp_path: Path
) -> None:
    async with two_gateways(database, tmp_path) as both:

        def strike(turn: int) -> None:
            gateway = (both.one, both.other)[turn % 2]
            gateway.restart()

        await _go_on(both, strike)


@in_real_time
async def test_clients_go_on_though_the_server_is_killed(tmp_path: Path) -> None:
    with postgres_server("-c fsync=off") as server:

        def strike(turn: int) -> None:
            if turn < 2:
                server.kill()
                server.start()

        async with two_gateways(server.create("chat"), tmp_path) as both:
            await _go_on(both, strike)


@in_real_time
async def test_clients_go_on_though_the_way_to_the_server_is_cut(
    postgres: PostgresServer, database: str, tmp_path: Path
) -> None:
    with balancing(postgres.port) as between:
        address = database.replace(f":{postgres.port}", f":{between.port}")
        async with two_gateways(address, tmp_path) as both:
            await _go_on(both, lambda turn: between.cut())

"""A server's sessions: one for each scope however many requests come, kept while somebody needs
it, destroyed when nobody does; and no request that leaves does harm to another.
"""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import weakref
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from async_tests import in_virtual_time
from support_chat import (
    InvalidInputError,
    NetworkError,
    Phase,
    PhaseChanged,
    SessionDestroyedError,
    SessionPool,
    StorageError,
    SupportChat,
    User,
    WrongThreadError,
)
from support_chat.testing import RecordingStorage, RecordingTransport, run, unsigned_token
from support_chat_adapters.backend import Backend
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

IDLE = 60.0


class Rig:
    """A pool, and the adapters behind it."""

    def __init__(self, **limits: Any) -> None:
        self.transport = RecordingTransport()
        self.storage = RecordingStorage()
        self.pool = pool_of(self.transport, self.storage, **{"idle": IDLE, **limits})

    def count(self, name: str) -> int:
        return len(self.transport.log.of(name)) + len(self.storage.log.of(name))


def pool_of(transport: Any, storage: Any, **limits: Any) -> SessionPool:
    return SessionPool(
        workspace_id="acme",
        widget_id="help",
        transport=transport,
        storage=storage,
        **limits,
    )


async def booted(pool: SessionPool, scope: str) -> SupportChat:
    """The session of a scope after a request that has booted it."""
    async with pool.session(scope) as chat:
        await chat.boot()
    return chat


# --- one session a scope --------------------------------------------------------------------------


@in_virtual_time
async def test_a_scope_may_have_a_storage_of_its_own_and_users_their_tokens_by_their_ids() -> None:
    storages = {scope: RecordingStorage() for scope in "ab"}
    asked: list[str] = []

    def token(user_id: str) -> str:
        asked.append(user_id)
        return unsigned_token(sub=user_id)

    pool = SessionPool(
        workspace_id="acme",
        widget_id="help",
        transport=RecordingTransport(),
        storage=lambda scope: storages[scope],
        token_provider=token,
    )
    async with pool:
        await booted(pool, "a")
        async with pool.session("b") as chat:
            await chat.become(User("ann"))
    assert asked == ["ann"]
    assert [len(each.log.of("storage.create")) for each in storages.values()] == [1, 1]


@in_virtual_time
async def test_requests_of_one_scope_share_a_session_and_scopes_share_none() -> None:
    rig = Rig()
    async with rig.pool as pool:
        one, again, two = [await booted(pool, scope) for scope in ("a", "a", "b")]
        assert one is again
        assert one is not two
        assert one.identity != two.identity
        assert (len(pool), rig.count("transport.open")) == (2, 2)


@in_virtual_time
async def test_fifty_requests_at_once_boot_once_whichever_of_them_leave() -> None:
    rig = Rig()
    async with rig.pool as pool:
        rig.transport.hold("open")

        async def request() -> SupportChat:
            return await booted(pool, "a")

        requests = [asyncio.create_task(request()) for _ in range(50)]
        await asyncio.sleep(1)
        requests[0].cancel()
        await asyncio.sleep(1)
        for each in requests[1:-1]:
            each.cancel()
        await asyncio.sleep(1)
        rig.transport.release("open")
        chat = await requests[-1]
        assert chat.is_in(Phase.ANONYMOUS)
        assert (rig.count("transport.open"), rig.count("storage.create"), len(pool)) == (1, 1, 1)
        assert sum(each.cancelled() for each in requests) == 49


def test_a_browser_that_leaves_at_any_moment_leaves_nothing_half_done() -> None:
    """Its request is cancelled in each turn of the loop that it takes, as asyncio does it once and
    as anyio does it over and over.
    """

    async def page(pool: SessionPool) -> None:
        async with pool.session("a") as chat:
            await chat.boot()
            await chat.send_message("once", client_message_id="id")

    async def leaves(pool: SessionPool, turns: int) -> bool:
        request = asyncio.create_task(page(pool))
        for _ in range(turns):
            await asyncio.sleep(0)
        return request.cancel()

    async def leaves_a_scope(pool: SessionPool, turns: int) -> bool:
        ended: list[None] = []

        async def request() -> None:
            await page(pool)
            ended.append(None)

        async with anyio.create_task_group() as group:
            group.start_soon(request)
            for _ in range(turns):
                await asyncio.sleep(0)
            group.cancel_scope.cancel()
        return not ended

    async def scenario(leave: Callable[[SessionPool, int], Coroutine[Any, Any, bool]]) -> int:
        for turns in range(1000):
            backend, storage = Backend(workspace_id="acme", widget_id="help"), MemoryStorage()
            async with pool_of(LoopbackTransport(backend), storage) as pool:
                in_time = await leave(pool, turns)
                await page(pool)
                async with pool.session("a") as chat:
                    [conversation] = await chat.conversations()
                    assert conversation.messages == 1
            assert len(await storage.keys()) == 1
            backend.close()
            if not in_time:
                return turns
        raise AssertionError("The request never ended.")

    assert run(scenario(leaves)) > 10
    assert run(scenario(leaves_a_scope)) > 10


# --- how long it is kept --------------------------------------------------------------------------


@in_virtual_time
async def test_an_idle_session_is_destroyed_and_its_visitor_comes_back() -> None:
    rig = Rig()
    async with rig.pool as pool:
        chat = await booted(pool, "a")
        was, gone = chat.identity, weakref.ref(chat)
        await asyncio.sleep(IDLE / 2)
        assert await booted(pool, "a") is chat, "a use begins the time anew"
        await asyncio.sleep(IDLE - 1)
        assert chat.is_in(Phase.ANONYMOUS)
        await asyncio.sleep(2)
        assert chat.is_in(Phase.DESTROYED)
        assert (len(pool), rig.count("transport.revoke"), rig.count("storage.delete")) == (0, 0, 0)
        assert not rig.transport.open_links
        del chat
        gc.collect()
        assert gone() is None
        assert (await booted(pool, "a")).identity == was


@in_virtual_time
async def test_beyond_the_maximum_the_one_used_least_recently_goes_and_none_in_use() -> None:
    async with Rig(maximum=2).pool as pool:
        one, two = [await booted(pool, scope) for scope in "ab"]
        await booted(pool, "a")
        three = await booted(pool, "c")
        states = [chat.is_in(Phase.DESTROYED) for chat in (one, two, three)]
        assert states == [False, True, False]
        async with AsyncExitStack() as requests:
            in_use = [await requests.enter_async_context(pool.session(scope)) for scope in "acdef"]
            for chat in in_use:
                await chat.boot()
            assert len(pool) == 5
        assert [chat.is_in(Phase.DESTROYED) for chat in in_use].count(False) == len(pool) == 2


Busy = Callable[[Rig, SupportChat], Coroutine[Any, Any, Any]]


async def waits(rig: Rig, chat: SupportChat) -> None:
    """A message without a link."""
    rig.transport.hold("open")
    rig.transport.link.lose()
    await chat.wait_for(Phase.RECONNECTING)
    chat.send_message("later", timeout=1e6)


async def unknown(rig: Rig, chat: SupportChat) -> None:
    """A message that has left and has no answer, whose call has given up."""
    rig.transport.fail_next("send", NetworkError("Cut."))
    rig.transport.hold("send")
    with pytest.raises(TimeoutError):
        await chat.send_message("perhaps", timeout=0.1)


async def unanswered(rig: Rig, chat: SupportChat) -> None:
    """A call under way."""
    rig.transport.hold("conversations")
    asked = asyncio.ensure_future(chat.conversations())
    asked.add_done_callback(lambda asked: asked.exception())
    await asyncio.sleep(0)


async def streamed(rig: Rig, chat: SupportChat) -> Any:
    """A stream of events that outlives its request's block."""
    stream = chat.events(PhaseChanged)
    await stream.__aenter__()
    return stream


async def not_cleared(rig: Rig, chat: SupportChat) -> None:
    """A clear that failed, and that the next boot owes."""
    rig.storage.fail_next("delete", StorageError("Full."))
    with pytest.raises(StorageError):
        await chat.shutdown(clear_storage=True)


@pytest.mark.parametrize("make", [waits, unknown, streamed, not_cleared])
def test_a_session_that_is_busy_is_not_destroyed_whoever_wants_its_place(make: Busy) -> None:
    async def scenario() -> None:
        rig = Rig(maximum=1)
        async with rig.pool as pool:
            async with pool.session("a") as chat:
                await chat.boot()
                assert not chat.busy
                held = await make(rig, chat)
                assert chat.busy
            async with pool.session("b"), pool.session("c"):
                await asyncio.sleep(5 * IDLE)
            assert not chat.is_in(Phase.DESTROYED)
            del held

    run(scenario())


@in_virtual_time
async def test_what_kept_it_busy_ends_and_then_the_session_does() -> None:
    rig = Rig()
    async with rig.pool as pool:
        async with pool.session("a") as chat:
            await chat.boot()
            await unanswered(rig, chat)
            assert chat.busy
        rig.transport.release("conversations")
        await asyncio.sleep(1)
        assert not chat.busy
        await asyncio.sleep(2 * IDLE)
        assert chat.is_in(Phase.DESTROYED)


@in_virtual_time
async def test_who_never_boots_costs_nothing_that_lasts() -> None:
    rig = Rig()
    async with rig.pool as pool:
        before = len(asyncio.all_tasks())
        for number in range(500):
            async with pool.session(f"bot {number}") as chat:
                assert chat.identity is None
                await chat.load()
            assert len(pool) == 0
            if number % 100 == 0:
                await asyncio.sleep(1)
                assert len(asyncio.all_tasks()) == before
        assert not rig.storage.contents
        assert rig.count("transport.open") == 0


# --- the very instant -----------------------------------------------------------------------------


@pytest.mark.parametrize("early", [1e-6, 0.0, -1e-6])
@pytest.mark.parametrize("turns", range(12))
def test_use_at_the_instant_of_the_end_gets_a_living_session(early: float, turns: int) -> None:
    async def scenario() -> None:
        rig = Rig()
        async with rig.pool as pool:
            first = await booted(pool, "a")
            await asyncio.sleep(IDLE - early)
            for _ in range(turns):
                await asyncio.sleep(0)
            async with pool.session("a") as chat:
                assert not chat.is_in(Phase.DESTROYED)
                assert chat is first or (first.is_in(Phase.DESTROYED) and not first.connected)
                await chat.boot()
                await asyncio.sleep(3 * IDLE)
                assert chat.is_in(Phase.ANONYMOUS)
                assert len(rig.transport.open_links) == 1

    run(scenario())


@in_virtual_time
async def test_a_session_that_is_being_destroyed_is_waited_for_and_never_handed_out() -> None:
    rig = Rig()
    async with rig.pool as pool:
        rig.transport.hold("revoke")
        async with pool.session("a") as first:
            await first.boot()
            first.shutdown()
            ended = first.destroy()
        requests = [asyncio.create_task(booted(pool, "a")) for _ in range(10)]
        await asyncio.sleep(0.5)
        assert not ended.done
        requests[0].cancel()
        [second] = {await request for request in requests[1:]}
        assert ended.done
        assert second is not first
        assert len(rig.transport.open_links) == 1


@in_virtual_time
async def test_a_session_that_a_page_has_destroyed_is_replaced() -> None:
    async with Rig().pool as pool:
        first = await booted(pool, "a")
        async with pool.session("a") as chat:
            ended = chat.destroy()
            async with pool.session("a") as other:
                assert other is not first
            await ended
        assert (await booted(pool, "a")).is_in(Phase.ANONYMOUS)


@pytest.mark.parametrize("seed", range(30))
def test_in_any_order_a_scope_has_one_session_and_nobody_gets_a_dead_one(seed: int) -> None:
    dice = random.Random(seed)

    async def request(pool: SessionPool, last: dict[str, SupportChat]) -> None:
        scope = dice.choice("abc")
        await asyncio.sleep(dice.choice((0.0, 1.0, 2.0, dice.random() * 30)))
        async with pool.session(scope) as chat:
            former = last.get(scope)
            if chat is not former:
                assert former is None or (former.is_in(Phase.DESTROYED) and not former.busy)
                last[scope] = chat
            assert not chat.is_in(Phase.DESTROYED)
            if dice.random() < 0.8:
                await chat.boot()
                await chat.send_message("hello")
            await asyncio.sleep(dice.choice((0.0, dice.random() * 3)))
            assert not chat.is_in(Phase.DESTROYED)

    async def scenario() -> None:
        rig, last = Rig(idle=2.0, maximum=2), dict[str, SupportChat]()
        async with rig.pool as pool:
            requests = [asyncio.create_task(request(pool, last)) for _ in range(60)]
            for each in requests:
                if dice.random() < 0.3:
                    asyncio.get_running_loop().call_later(dice.random() * 30, each.cancel)
            for outcome in await asyncio.gather(*requests, return_exceptions=True):
                assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome
            assert len(rig.transport.open_links) == len(pool)
            await asyncio.sleep(10)
            assert (len(pool), rig.transport.open_links) == (0, [])

    run(scenario())


# --- its own end ----------------------------------------------------------------------------------


@in_virtual_time
async def test_the_end_of_the_pool_ends_every_session_and_whoever_reads_its_events() -> None:
    rig, read = Rig(), asyncio.Event()

    async def stream(pool: SessionPool) -> str:
        async with pool.session("a") as chat, chat.events() as events:
            read.set()
            async for _ in events:
                pass
        return "ended"

    async with rig.pool as pool:
        chats = [await booted(pool, scope) for scope in "abc"]
        reader = asyncio.create_task(stream(pool))
        await read.wait()
    assert all(chat.is_in(Phase.DESTROYED) for chat in chats)
    assert not rig.transport.open_links
    assert rig.count("transport.revoke") == 0
    assert await reader == "ended"
    with pytest.raises(SessionDestroyedError, match="not open"):
        await booted(pool, "a")


@in_virtual_time
async def test_a_pool_whose_end_is_cancelled_ends_all_the_same() -> None:
    rig, chats = Rig(), list[SupportChat]()

    async def serve() -> None:
        async with rig.pool as pool:
            rig.transport.hold("revoke")
            chats.append(await booted(pool, "a"))
            chats[0].shutdown()

    server = asyncio.create_task(serve())
    await asyncio.sleep(0.5)
    server.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server
    assert chats[0].is_in(Phase.DESTROYED)
    assert not chats[0].busy


def test_a_pool_that_is_not_entered_gives_no_session() -> None:
    with pytest.raises(SessionDestroyedError, match="async with"):
        run(booted(Rig().pool, "a"))


@in_virtual_time
async def test_a_pool_is_entered_once_at_a_time() -> None:
    async with Rig().pool as pool:
        with pytest.raises(InvalidInputError, match="already"):
            await pool.__aenter__()


def test_a_pool_made_at_import_serves_one_loop_after_another_and_no_two() -> None:
    rig = Rig()
    identities: list[object] = []

    async def other_loop(pool: SessionPool) -> None:
        def there() -> None:
            with pytest.raises(WrongThreadError, match="another event loop"):
                asyncio.run(booted(pool, "a"))

        await asyncio.to_thread(there)

    async def server() -> None:
        async with rig.pool as pool:
            identities.append((await booted(pool, "a")).identity)
            await other_loop(pool)

    asyncio.run(server())
    asyncio.run(server())
    assert identities[0] == identities[1]


def test_a_signal_ends_the_pool_and_is_then_handled_as_before() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    rig = Rig()

    async def server() -> None:
        async with (
            rig.pool.ended_by(signal.SIGUSR1, signal.SIGUSR2) as pool,
            pool.session("a") as chat,
            chat.events() as events,
        ):
            await chat.boot()
            signal.raise_signal(signal.SIGUSR1)
            async for _ in events:
                pass
            assert chat.is_in(Phase.DESTROYED)
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL

    try:
        handler = signal.getsignal(signal.SIGUSR1)
        asyncio.run(server())
        assert signal.getsignal(signal.SIGUSR1) is handler
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == [signal.SIGUSR1]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("workspace_id", ""),
        ("storage", None),
        ("storage", "visitors.db"),
        ("maximum", 0),
        ("maximum", True),
        ("idle", 0.0),
        ("idle", "1"),
    ],
)
def test_what_cannot_be_is_refused_on_the_line(argument: str, value: Any) -> None:
    limits: dict[str, Any] = {
        "workspace_id": "acme",
        "widget_id": "help",
        "transport": RecordingTransport(),
        "storage": one_of_its_own,
        argument: value,
    }
    with pytest.raises(InvalidInputError, match=argument):
        SessionPool(**limits)


def one_of_its_own(scope: str) -> RecordingStorage:
    return RecordingStorage()


@in_virtual_time
async def test_a_scope_that_cannot_be_one_is_refused() -> None:
    async with Rig().pool as pool:
        with pytest.raises(InvalidInputError, match="scope"):
            await booted(pool, "")

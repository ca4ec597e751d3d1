"""One round from its seed to its evidence: a process is killed with its call under way, others take
its storage over, the last one clears it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from forking import Forked, nursery
from held_network import Network, network, until
from killing import stored
from served import WIDGET, WORKSPACE, Served
from storages import Place, RedisPlace
from support_chat import MessageReceived, SupportChat
from support_chat.errors import StorageError, VisitorEndedError
from support_chat.ports import Credentials, Storage

from .evidence import Evidence, Told, first_of
from .lives import SETTINGS, key_of, reaching
from .plans import Plan

PATIENCE: Final = 60.0
"""Seconds that a process has for its next line, and what is on its way for its arrival, on the
slowest machine.
"""
DEADLINE: Final = 1.0
"""Seconds within which a write may land that the network holds."""
_PROGRAM: Final = "from killing_clients.lives import main; main()"
_IMPORTS: Final = (
    "killing_clients.lives",
    *("anyio._backends._asyncio", "httpcore2", "redis.asyncio", "shelve", "truststore"),
    *(
        f"support_chat_adapters.storage.{name}"
        for name in ("file", "keyring", "mapping", "redis", "sqlite")
    ),
    "support_chat_adapters.transport.socket_channel",
)
"""What the processes import until they are done."""
_A_SECRET: Final = rb"[A-Za-z0-9_-]{43}"
"""Whatever may be one."""
_HELD: Final[dict[str, bytes]] = {"boot": b"redis.call('SET'", "clear": b"redis.call('DEL'"}


@attrs.frozen
class World:
    """Where rounds are played: the backend, a folder for storages, perhaps a Redis server. `breaks`
    is run in the clients' processes first; what they owe is waited for so many seconds.
    """

    served: Served
    folder: Path
    redis: RedisPlace | None = None
    breaks: str = ""
    patience: float = PATIENCE

    def place(self, plan: Plan, url: str | None = None, timeout: float | None = None) -> Place:
        """Where the round's storage keeps things; `url` is another way to the Redis server."""
        folder = self.folder / plan.scope
        folder.mkdir(exist_ok=True)
        timeout = timeout or self.patience
        match plan.storage:
            case "file":
                code = f"FileStorage({str(folder / 'chat.json')!r}, timeout={timeout})"
            case "sqlite":
                code = f"SQLiteStorage({str(folder / 'chat.db')!r}, timeout={timeout})"
            case "redis":
                assert self.redis is not None
                url = url or self.redis.url
                code = f"RedisStorage({url!r}, prefix={plan.scope + ':'!r}, timeout={timeout})"
        redis = self.redis if plan.storage == "redis" else None
        return Place(plan.storage, folder, code, redis)

    def takes(self, secret: str) -> bool:
        """Whether the backend takes a visitor's secret."""
        with self.served.backend() as backend:
            try:
                backend.open(Credentials(WORKSPACE, WIDGET, secret))
            except VisitorEndedError:
                return False
        return True


class Process:
    """One process of a round, and what it tells."""

    def __init__(self, world: World, role: Mapping[str, Any]) -> None:
        self.told = Told()
        self._process: Forked = nursery(*_IMPORTS).fork(
            f"{world.breaks}\n{_PROGRAM}", [json.dumps(role)], os.environ, 2
        )

    async def until(self, what: str) -> None:
        """Until it has told so, or has ended."""
        while not self.told.did(what) and (line := await self._line()):
            self.told.lines.append(json.loads(line))

    async def ends(self) -> Told:
        """Kills it, if it is there, and waits for its end; returns all that it has told."""
        self._process.kill()
        while line := await self._line():
            self.told.lines.append(json.loads(line))
        self._process.stdout.close()
        self.told.status = await asyncio.to_thread(self._process.wait)
        return self.told

    async def _line(self) -> str:
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.to_thread(self._process.stdout.readline)
        except TimeoutError:
            self._process.kill()  # which also ends the thread that reads
            raise AssertionError(f"a process hangs, it told {self.told.lines}") from None


async def play(plan: Plan, world: World) -> Evidence:
    """Plays the round against the world, whose backend runs."""
    evidence = Evidence(plan)
    before = {visitor.id for visitor in stored.read(world.served.db).visitors}
    place = world.place(plan)
    async with AsyncExitStack() as closing:
        storage = place.open()
        closing.push_async_callback(storage.aclose)
        tab = await closing.enter_async_context(_other_tab(plan, world)) if plan.watched else None
        between = await closing.enter_async_context(_holding(plan, place)) if plan.held else None
        await _dies(evidence, world, between)
        if between is not None and plan.in_time:
            await _let_through(between)
        try:
            evidence.found = await storage.get(key_of(plan.scope))
        except StorageError as error:
            evidence.complaints.append(f"what the dead left cannot be read: {error}")
            return evidence
        await _taken_over(evidence, world)
        if tab is not None:
            evidence.heard = await _heard(tab, evidence, world)
        if between is not None and not plan.in_time and plan.call == "clear":
            await _late(evidence, between, storage)
        await _cleared(evidence, world, storage)
        if between is not None and not plan.in_time and plan.call == "boot":
            await _late(evidence, between, storage)
    evidence.stored = stored.read(world.served.db)
    there = {visitor.id for visitor in evidence.stored.visitors}
    evidence.visitors = frozenset(there - before)
    return evidence


async def _dies(evidence: Evidence, world: World, between: Network | None) -> None:
    plan = evidence.plan
    place = world.place(plan) if between is None else world.place(plan, between.url, DEADLINE)
    begun = first_of(plan) if plan.begun or plan.call == "clear" else None
    process = Process(world, _role(world, place, plan, "dies", plan.calls, begun=begun))
    if between is not None:
        async with asyncio.timeout(PATIENCE):
            await between.came.wait()
    elif plan.after is not None:
        await process.until("under way")
        await asyncio.sleep(plan.after)
    else:
        await process.until("done")
        if process.told.did("cleared") and process.told.did("done"):
            await _over(evidence, world, process.told)
    evidence.dead = await process.ends()


async def _taken_over(evidence: Evidence, world: World) -> None:
    plan, place = evidence.plan, world.place(evidence.plan)
    roles = [
        _role(
            world,
            place,
            plan,
            "succeeds",
            _unknown(evidence) if n == 0 else (),
            conversation=_conversation(evidence),
        )
        for n in range(plan.successors)
    ]
    processes = [Process(world, role) for role in roles]
    for process in processes:
        await process.until("done")
        evidence.successors.append(await process.ends())
    if evidence.found is None:
        for secret in evidence.dead.of("booted", "secret"):
            _look(evidence, place, re.escape(secret).encode())


async def _cleared(evidence: Evidence, world: World, storage: Storage) -> None:
    place = world.place(evidence.plan)
    role = _role(
        world,
        place,
        evidence.plan,
        "succeeds",
        _unknown(evidence),
        conversation=_conversation(evidence),
        clears=True,
    )
    last = Process(world, role)
    await last.until("done")
    if last.told.did("cleared"):
        await _over(evidence, world, last.told)
        _look(evidence, place, _A_SECRET)
        evidence.left_behind += [f"the key {key} is stored" for key in await storage.keys()]
    evidence.successors.append(await last.ends())


def _unknown(evidence: Evidence) -> list[str]:
    """What is sent again, now: all that has no answer, unless its visitor is gone."""
    if not evidence.plan.resends or evidence.found is None:
        return []
    return [name for name in evidence.names if name not in evidence.answered]


def _conversation(evidence: Evidence) -> str | None:
    """The one that is gone on with, if there is one."""
    told = (evidence.dead, *evidence.successors) if evidence.found is not None else ()
    return next((id for one in told for id in one.of("acknowledged", "conversation")), None)


def _look(evidence: Evidence, place: Place, secret: bytes) -> None:
    """Looks for what is left of somebody who was cleared."""
    evidence.left_behind += [
        f"a secret is still in {name}"
        for name, content in place.left().items()
        if re.search(secret, content)
    ]


async def _over(evidence: Evidence, world: World, told: Told) -> None:
    """Waits until the backend knows of a clear."""
    (secret,) = told.of("booted", "secret")
    end = time.monotonic() + world.patience
    while (taken := world.takes(secret)) and time.monotonic() < end:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)
    evidence.accepted[secret] = taken


async def _late(evidence: Evidence, between: Network, storage: Storage) -> None:
    """What the network holds gets through once its deadline is over."""
    await asyncio.sleep(DEADLINE)
    evidence.before_late = await storage.get(key_of(evidence.plan.scope))
    await _let_through(between)
    evidence.after_late = await storage.get(key_of(evidence.plan.scope))


async def _let_through(between: Network) -> None:
    """What the network holds gets through, and is answered."""
    answered = len(between.answered)
    between.holds = False
    await until(lambda: len(between.answered) > answered)


@asynccontextmanager
async def _holding(plan: Plan, place: Place) -> AsyncGenerator[Network, None]:
    """A way to the Redis server that holds what the call writes."""
    assert place.redis is not None
    async with network(place.redis.url) as between:
        between.holding = (_HELD[plan.call],)
        yield between


@asynccontextmanager
async def _other_tab(plan: Plan, world: World) -> AsyncGenerator[list[str], None]:
    """A tab of the visitor in this process; what it hears of is added to the list."""
    heard = list[str]()
    async with AsyncExitStack() as closing:
        storage = world.place(plan).open()
        closing.push_async_callback(storage.aclose)
        transport = await closing.enter_async_context(reaching(world.served.url))
        chat = await closing.enter_async_context(
            SupportChat(
                workspace_id=WORKSPACE,
                widget_id=WIDGET,
                transport=transport,
                storage=storage,
                settings=SETTINGS,
                scope=plan.scope,
            )
        )
        chat.on(MessageReceived, lambda event: heard.append(event.message.client_message_id or ""))
        await chat.boot()
        yield heard


async def _heard(tab: list[str], evidence: Evidence, world: World) -> list[str]:
    """What the other tab has heard of, once all that is stored has had its time to arrive."""
    mine = f"message-{evidence.plan.seed}-"
    rows = stored.read(world.served.db).messages
    count = sum((row.client_message_id or "").startswith(mine) for row in rows)
    end = time.monotonic() + world.patience
    while len(tab) < count and time.monotonic() < end:  # noqa: ASYNC110 - a list tells nobody
        await asyncio.sleep(0.01)
    return list(tab)


def _role(
    world: World,
    place: Place,
    plan: Plan,
    part: str,
    calls: Sequence[str],
    **more: Any,
) -> Mapping[str, Any]:
    return {
        "part": part,
        "url": world.served.url,
        "storage": place.code,
        "scope": plan.scope,
        "call": plan.call,
        "calls": calls,
        "pause": plan.pause,
        "step": plan.step if part == "dies" else None,
        "again": plan.held,
        "begun": None,
        "clears": False,
        **more,
    }

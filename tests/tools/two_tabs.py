"""The world of simulations: the reference backend, storages in memory, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from repeatable import RepeatableTransport
from support_chat.errors import InvalidInputError, NetworkError, StorageError
from support_chat.ports import Credentials, Link, Storage, Transport
from support_chat.testing import Faults, FaultyTransport
from support_chat.testing.simulate import Disturbance, Plan, Stored
from support_chat.values import JSON, Identity, Visitor
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.backend.log import Operation
from support_chat_adapters.backend.store import as_it_is
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

T = TypeVar("T")
EPOCH: Final = 1_800_000_000.0
SECRET: Final = "0123456789abcdef0123456789abcdef"
OPERATIONS: Final[Sequence[Operation]] = (
    "dial",
    "dial",
    "identify",
    "identify",
    "send",
    "send",
    "mark_read",
    "end_visitor",
)


LASTING: Final = 5.0
"""Seconds after a single fault in which something counts as wrong."""
REQUESTS: Final = (
    "open", "revoke", "end_visitor", "identify", "renew", "update", "send", "conversations",
    "messages", "mark_read",
)  # fmt: skip
"""What a bad link does to; its events come once and in order, as the port promises."""


class TwoTabs:
    """A reference backend and one storage a scope. To every other tab it is one that remembers no
    identify, and each that is lost lands late.
    """

    users: Sequence[str] = ("ada", "bob")

    def __init__(self, plan: Plan) -> None:
        self._loop = asyncio.get_running_loop()
        self._plan = plan
        self._chance = plan.chance("latencies")
        self._shared: dict[str, MemoryStorage] = {}
        self.sick = False
        self.ill = False
        self.broken = False
        self._slow = False
        self._until = 0.0
        self._transports = 0
        self.backend = Backend(
            workspace_id="acme",
            widget_id="help",
            keys=[IdentityKey("HS256", SECRET)],
            clock=self._clock,
            remembers=100_000,
        )

    def _clock(self) -> float:
        return EPOCH + self._loop.time()

    def latency(self) -> float:
        """How long a way takes."""
        return self._chance.choice((0.0, 0.001, 0.001, 0.02))

    def calls_back(self) -> bool:
        """Whether a dial that is cancelled does not come up."""
        return self._chance.random() < 0.5

    def transport(self) -> Transport:
        self._transports += 1
        well: Transport = LoopbackTransport(self.backend)
        if self._transports % 2 == 0:
            well = cast("Transport", RepeatableTransport(well, self.backend))
        faults = Faults(
            seed=self._chance.randrange(1_000_000),
            delay=0.3, fail=0.03, drop=0.05, duplicate=0.03, reorder=0.05, hang=0.01, longest=2.0,
            only=REQUESTS,
        )  # fmt: skip
        return _Network(self, well, FaultyTransport(well, faults))

    def storage(self, scope: str) -> Storage:
        return _Shared(self, self._shared.setdefault(scope, MemoryStorage()))

    def token(self, user_id: str) -> str:
        return sign_identity_token(
            user_id, SECRET, workspace_id="acme", widget_id="help", now=self._clock()
        )

    @property
    def disturbed(self) -> bool:
        return self.sick or self.ill or self.broken or self._slow or self._loop.time() < self._until

    def disturb(self, choose: random.Random) -> Disturbance:
        faults, operation = self.backend.faults, choose.choice(OPERATIONS)
        kind = choose.choice((
            "links", "lost", "lost", "error", "slow", "goodbyes", "storage", "storage", "silence",
            "network", "network", "answers", "limit", "revoked", "expired", "history",
        ))  # fmt: skip
        self._until = self._loop.time() + LASTING
        match kind:
            case "links":
                faults.drop_links()
                return Disturbance("links break", "every link breaks")
            case "silence":
                faults.silence_links()
                return Disturbance("links fall silent", "every link falls silent")
            case "lost":
                faults.swallow(operation)
                return Disturbance("an answer is lost", f"the next answer to {operation} is lost")
            case "answers":
                faults.swallow(operation, silently=True)
                told = f"the next answer to {operation} never comes"
                return Disturbance("an answer never comes", told)
            case "error":
                faults.fail(operation, NetworkError("No route."))
                return Disturbance("a request fails", f"the next {operation} fails")
            case "limit":
                faults.rate_limit(choose.choice((0.5, 20.0, 100.0)), operation)
                told = f"the next {operation} is one too many"
                return Disturbance("a request is one too many", told)
            case "network":
                self.ill = not self.ill
                told = f"links that are opened from now on are {'bad' if self.ill else 'good'}"
                return Disturbance("the network is bad", told)
            case "slow":
                request, answer = choose.choice((0.0, 0.3)), choose.choice((0.1, 3.0))
                faults.delay(request=request, answer=answer)
                # it arrives after some have given it up, and dialled anew
                faults.delay(request=2.0, operation="identify")
                self._slow = True
                return Disturbance("the backend is slow", "the backend is slow")
            case "goodbyes":
                faults.delay(request=4.0, operation="close")
                self._slow = True
                return Disturbance("goodbyes are slow", "goodbyes take 4 s")
            case "revoked":
                opened = self.backend.log.of("opened")
                if opened and (session := choose.choice(opened).session):
                    faults.revoke(session)
                return Disturbance("a session is revoked", "an operator ends a session")
            case "expired":
                faults.expire_tokens()
                return Disturbance("tokens expire", "every token expires")
            case "history":
                faults.drop_history()
                return Disturbance("history is dropped", "what was sent is replayed no more")
            case _ if choose.random() < 0.5:
                self.broken = not self.broken
                told = f"the storages are {'broken' if self.broken else 'whole'}"
                return Disturbance("the storages fail", told)
            case _:
                self.sick = not self.sick
                told = f"the storages are {'sick' if self.sick else 'well'}"
                return Disturbance("the storages hang", told)

    def heal(self) -> None:
        self.sick = self.ill = self.broken = self._slow = False
        self._until = 0.0
        self.backend.faults.heal()

    def answer(self, identity: Identity, text: str) -> None:
        with contextlib.suppress(InvalidInputError):  # they are somebody else by now
            self.backend.agent.reply(identity, text)

    def stored(self) -> Sequence[Stored]:
        agent = self.backend.agent
        found: list[Stored] = []
        owners: list[Identity] = [*agent.users(), *agent.visitors()]
        for owner in owners:
            for conversation in agent.conversations(owner):
                found += [Stored(owner, m) for m in agent.messages(conversation.id)]
        return sorted(found, key=lambda each: (each.message.created_at, _number(each.message.id)))

    def now(self, identity: Identity) -> Identity:
        user = self.backend.agent.merged_into(identity) if isinstance(identity, Visitor) else None
        return user or identity

    def traits(self, identity: Identity) -> Mapping[str, JSON]:
        return self.backend.agent.traits(identity)

    def links(self) -> int:
        return self.backend.log.open_links

    def sessions(self) -> int:
        counted = "SELECT count(*) AS number FROM sessions WHERE revoked = 0"
        row = self.backend.store.read_now(lambda db: db.execute(counted).fetchone(), as_it_is)
        return int(row["number"])

    def contents(self, scope: str) -> Mapping[str, str]:
        storage = self._shared.get(scope)
        if storage is None:
            return {}
        return {key: _at_once(storage.get(key)) or "" for key in _at_once(storage.keys())}


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """What it returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as ended:
        return cast("T", ended.value)
    raise AssertionError("it waits")


def _number(message_id: str) -> int:
    digits = "".join(c for c in message_id if c.isdigit())
    return int(digits or 0)


class _Network:
    """A tab's way to the backend, which is bad at times."""

    def __init__(self, world: TwoTabs, well: Transport, ill: Transport) -> None:
        self._world, self._well, self._ill = world, well, ill

    @property
    def _now(self) -> Transport:
        return self._ill if self._world.ill else self._well

    async def open(self, credentials: Credentials) -> Link:
        if not self._world.ill:
            return await self._dialled(self._well, credentials)
        link = await self._dialled(self._ill, credentials)
        if not self._world.ill:  # healed meanwhile: nothing bad is left
            link.abort()
            raise NetworkError("The link broke.")
        return link

    async def _dialled(self, transport: Transport, credentials: Credentials) -> Link:
        """Some dials cannot be called back: they come up all the same, or fail at last."""
        dial = asyncio.ensure_future(transport.open(credentials))
        try:
            return await asyncio.shield(dial)
        except asyncio.CancelledError:
            if self._world.calls_back():
                dial.cancel()
                raise
            try:
                async with asyncio.timeout(LASTING):
                    return await dial
            except TimeoutError:
                raise NetworkError("No answer came.") from None

    async def revoke(self, session: str) -> None:
        await self._now.revoke(session)

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        await self._now.end_visitor(workspace_id, widget_id, visitor)

    async def aclose(self) -> None:
        await self._well.aclose()


class _Shared:
    """A tab's way to a storage: it takes time, and more than a session allows while the storages
    are sick.
    """

    def __init__(self, world: TwoTabs, inner: MemoryStorage) -> None:
        self._world, self._inner = world, inner

    async def get(self, key: str) -> str | None:
        await self._way()
        return await self._inner.get(key)

    async def create(self, key: str, value: str) -> str:
        await self._way()
        return await self._inner.create(key, value)

    async def delete(self, *keys: str) -> Mapping[str, str]:
        await self._way()
        return await self._inner.delete(*keys)

    async def keys(self) -> Sequence[str]:
        await self._way()
        return await self._inner.keys()

    async def aclose(self) -> None:
        """The tabs of a scope share it."""

    async def _way(self) -> None:
        await asyncio.sleep(7.0 if self._world.sick else self._world.latency())
        if self._world.broken:
            raise StorageError("The disk is full.")

"""The world of simulations: the reference backend, storages in memory, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from typing import Final, cast

from repeatable import RepeatableTransport
from support_chat.errors import InvalidInputError, NetworkError
from support_chat.ports import Credentials, Link, Storage, Transport
from support_chat.testing import Faults, FaultyTransport
from support_chat.testing.simulate import Stored
from support_chat.values import Identity, Visitor
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.backend.log import Operation
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

EPOCH: Final = 1_800_000_000.0
SECRET: Final = "0123456789abcdef0123456789abcdef"
OPERATIONS: Final[Sequence[Operation]] = (
    "dial",
    "dial",
    "identify",
    "send",
    "send",
    "mark_read",
    "end_visitor",
)


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

    def __init__(self, seed: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._seed = seed
        self._shared: dict[str, MemoryStorage] = {}
        self.sick = False
        self.ill = False
        self._transports = 0
        self.backend = Backend(
            workspace_id="acme",
            widget_id="help",
            keys=[IdentityKey("HS256", SECRET)],
            clock=self._clock,
        )

    def _clock(self) -> float:
        return EPOCH + self._loop.time()

    def transport(self) -> Transport:
        self._transports += 1
        well: Transport = LoopbackTransport(self.backend)
        if self._transports % 2 == 0:
            well = cast("Transport", RepeatableTransport(well, self.backend))
        faults = Faults(
            seed=self._seed * 1000 + self._transports,
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

    def disturb(self, choose: random.Random) -> str:
        faults, operation = self.backend.faults, choose.choice(OPERATIONS)
        kind = choose.choice((
            "links", "lost", "lost", "error", "slow", "storage", "silence", "network", "network",
        ))  # fmt: skip
        if kind == "links":
            faults.drop_links()
            return "every link breaks"
        if kind == "silence":
            faults.silence_links()
            return "every link falls silent"
        if kind == "lost":
            faults.swallow(operation)
            return f"the next answer to {operation} is lost"
        if kind == "error":
            faults.fail(operation, NetworkError("No route."))
            return f"the next {operation} fails"
        if kind == "network":
            self.ill = not self.ill
            return f"links that are opened from now on are {'bad' if self.ill else 'good'}"
        if kind == "slow":
            faults.delay(request=choose.choice((0.0, 0.3)), answer=choose.choice((0.1, 3.0)))
            return "the backend is slow"
        self.sick = not self.sick
        return f"the storages are {'sick' if self.sick else 'well'}"

    def heal(self) -> None:
        self.sick = self.ill = False
        self.backend.faults.heal()
        self.backend.faults.drop_links()

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

    async def contents(self, scope: str) -> Mapping[str, str]:
        storage = self._shared[scope]
        return {key: await storage.get(key) or "" for key in await storage.keys()}


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
            return await self._well.open(credentials)
        link = await self._ill.open(credentials)
        if not self._world.ill:  # healed meanwhile: nothing bad is left
            link.abort()
            raise NetworkError("The link broke.")
        return link

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
        await asyncio.sleep(7.0 if self._world.sick else 0.001)

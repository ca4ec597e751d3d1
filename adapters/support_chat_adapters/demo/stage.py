"""The stage: one session in its world, what it has told so far, and the steps that scenes are made
of.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from support_chat import (
    AuthChanged,
    AuthExpired,
    ConnectionChanged,
    ErrorOccurred,
    MessageFailed,
    MessageReceived,
    MessageSent,
    Phase,
    PhaseChanged,
    Ready,
    SupportChat,
    SupportChatError,
    UnreadChanged,
)
from support_chat.lifecycle.events import AnyEvent
from support_chat.values import JSON
from support_chat_adapters.storage import SQLiteStorage

from .report import Fact, Reporter, Step, named
from .world import WIDGET, WORKSPACE, World

E = TypeVar("E")

EVENTS: Final[tuple[type[Any], ...]] = (
    PhaseChanged,
    Ready,
    AuthChanged,
    AuthExpired,
    ConnectionChanged,
    ErrorOccurred,
    MessageReceived,
    MessageSent,
    MessageFailed,
    UnreadChanged,
)
_LOOK_AGAIN: Final = 0.005  # seconds


@attrs.define
class Outcome:
    """What a scene says of the step it is in; a step of which nothing is said has failed."""

    says: str = ""
    facts: tuple[Fact, ...] = ()

    def check(self, says: str, **facts: tuple[object, object]) -> None:
        """`says` in plain words what came of the step; each fact is (seen, wanted), and both must
        be the same.
        """
        self.says = says
        self.facts = named(facts.items())


@attrs.define(eq=False)
class Stage:
    """What a scene works with. The session, the world and the storage are the real ones; nothing is
    mocked.
    """

    chat: SupportChat
    world: World
    storage: SQLiteStorage
    folder: Path
    reporter: Reporter
    number: int = 0
    """The scene being played, from 1."""
    doing: str = ""
    """The step being done."""
    told: list[AnyEvent] = attrs.field(factory=list[AnyEvent])
    visited: list[Phase] = attrs.field(factory=list[Phase])
    steps: list[Step] = attrs.field(factory=list[Step])

    def listen(self) -> None:
        """Hears everything that the session tells, and passes it on."""
        self.visited.append(self.chat.state)
        for kind in EVENTS:
            self.chat.on(kind, self._hear)

    def _hear(self, event: AnyEvent) -> None:
        self.told.append(event)
        if isinstance(event, PhaseChanged) and event.current not in self.visited:
            self.visited.append(event.current)
        self.reporter.event(event)

    @contextlib.asynccontextmanager
    async def step(self, did: str) -> AsyncGenerator[Outcome, None]:
        """A step that does `did`; the block does it and checks its outcome. What it raises ends the
        scene.
        """
        self.doing = did
        self.reporter.begin(did)
        outcome = Outcome()
        yield outcome
        # what the session tells comes a turn after the call, and should be read before its outcome
        await asyncio.sleep(0)
        self._ended(outcome.says, outcome.facts, None if outcome.says else "nothing was checked")
        await asyncio.sleep(self.world.pace.pause + self.world.pace.reading * len(outcome.says))

    def fail(self, failure: str) -> None:
        """The step being done could not be finished."""
        self._ended("", (), failure)

    def _ended(self, says: str, facts: tuple[Fact, ...], failure: str | None) -> None:
        step = Step(self.number, self.doing, says, facts, self.world.counters(), failure)
        self.steps.append(step)
        self.reporter.step(step)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Waits until it is so; the time limit of the scene is the only one."""
        # the other side is looked at as a person would: it has no event to wait for
        while not reached():  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN)

    async def round_trip(self) -> None:
        """Asks the backend something small: afterwards the answers to everything asked before have
        arrived as well.
        """
        await self.chat.conversations()

    def events(self, kind: type[E]) -> list[E]:
        """The events of this kind that were told, the oldest first."""
        return [event for event in self.told if isinstance(event, kind)]

    @property
    def dials(self) -> int:
        """How many dials there were so far."""
        return self.world.counters().dials

    def received(self) -> list[str]:
        """The texts of the messages that arrived, the oldest first."""
        return [event.message.text for event in self.events(MessageReceived)]

    def update(self, **context: JSON) -> None:
        """Calls update() with this context, and counts it; nobody waits for the call."""
        self.world.updates += 1
        self.chat.update(context=context)

    async def secret(self) -> str:
        """What the storage keeps of the visitor, and must keep to itself; empty if it keeps
        nothing.
        """
        for key in await self.storage.keys():
            return await self.storage.get(key) or ""
        return ""

    def on_disk(self, secret: str) -> bool:
        """Whether the bytes of `secret` are in any file of the storage's folder."""
        return any(
            secret.encode() in path.read_bytes() for path in self.folder.iterdir() if path.is_file()
        )


async def refusal(call: Awaitable[object]) -> SupportChatError | None:
    """The error that the call ends with, None if it succeeds."""
    try:
        await call
    except SupportChatError as error:
        return error
    return None


@contextlib.asynccontextmanager
async def opened(world: World, reporter: Reporter) -> AsyncGenerator[Stage, None]:
    """A stage with a session that nothing was done with yet; afterwards the session is destroyed
    and its files are gone.
    """
    with tempfile.TemporaryDirectory(prefix="support-chat-demo-") as name:
        storage = SQLiteStorage(Path(name) / "chat.sqlite")
        chat = SupportChat(
            workspace_id=WORKSPACE,
            widget_id=WIDGET,
            transport=world.wire,
            storage=storage,
            settings=world.pace.settings,
        )
        stage = Stage(chat, world, storage, Path(name), reporter)
        stage.listen()
        try:
            yield stage
        finally:
            await chat.destroy()
            await storage.aclose()

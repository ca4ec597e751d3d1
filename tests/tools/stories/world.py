"""Two sessions, a storage and a backend; what happens to them happens in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar
from unittest import mock

import attrs

from support_chat import CHART, Phase, SupportChat
from support_chat.engine import Emit
from support_chat.errors import (
    IdentityConflictError,
    NetworkError,
    NotBootedError,
    SessionDestroyedError,
    SupportChatError,
)
from support_chat.lifecycle.chart import ONLINE
from support_chat.lifecycle.events import AnyEvent, PhaseChanged
from support_chat.lifecycle.names import Effect, Fact
from support_chat.runtime.calls import Call
from support_chat.runtime.shell import Shell
from support_chat.testing import RecordingStorage, ScriptedTokens, VirtualLoop
from support_chat.testing.trace import watch
from support_chat.verify import Model
from support_chat.verify.following import follow
from support_chat.verify.trace import Trace
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.transport import LoopbackTransport

from . import promises
from .watching import WatchedTransport, Wire

T = TypeVar("T")

EPOCH = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
FORGED = "fedcba9876543210fedcba9876543210"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
MODEL = Model(CHART)
USES = ("send_message", "conversations")


class Choose(Protocol):
    """Picks one of several."""

    def __call__(self, options: Sequence[T], /) -> T: ...


Move: TypeAlias = "Callable[[Session, Choose], Any]"
"""One thing that happens to a session, or around it; what it returns is awaited, if it can be."""


@attrs.frozen(eq=False)
class Made:
    """A call that was made, and when."""

    session: Session
    name: str
    call: Call[Any]
    at: float
    message: str | None

    async def wait(self) -> None:
        """Awaits it."""
        with contextlib.suppress(SupportChatError):
            await self.call

    @property
    def error(self) -> BaseException | None:
        """The error of a call that has settled, None if it has succeeded."""
        try:
            next(self.call.__await__())
        except StopIteration:
            return None
        except Exception as error:
            return error
        raise AssertionError(f"{self.call!r} has not settled")


class World:
    """What the sessions share, every call that was made, and every promise that was broken."""

    def __init__(self, scopes: Iterable[str] = ("default", "default"), seed: int = 0) -> None:
        self.loop = VirtualLoop()
        self.loop.set_exception_handler(self._unexpected)
        # delays and ids are drawn from it
        self._entropy = mock.patch("os.urandom", random.Random(seed).randbytes)
        self._entropy.start()
        self.backend = Backend(
            **WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=lambda: EPOCH + self.loop.time()
        )
        self.contents: dict[str, str] = {}
        self.tokens = "well"
        self.broken: list[str] = []
        self.made: list[Made] = []
        self.open: list[Made] = []
        """The calls that had not settled at the last look."""
        self.values = 0
        self.sessions: list[Session] = []
        for scope in scopes:
            self._within(lambda scope=scope: self.sessions.append(Session(self, scope)))  # type: ignore[misc]

    def _unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.broken.append(f"unexpected: {context.get('message')} {context.get('exception')!r}")

    def _within(self, act: Callable[[], Any]) -> None:
        async def do() -> None:
            going_on = act()
            if going_on is not None:
                await going_on

        self.loop.run_until_complete(do())

    def happen(self, move: Move, session: int, choose: Choose) -> Sequence[str]:
        """Makes it happen; returns the promises that are broken."""
        self._within(lambda: move(self.sessions[session], choose))
        return self.look()

    def look(self) -> Sequence[str]:
        """Looks at every promise; returns those that are broken."""
        for session in self.sessions:
            self.broken += session.look()
        for made in self.open:
            self.broken += promises.of_call(made, self.loop.time())
        self.open = [made for made in self.open if not made.call.done]
        return self.broken

    def recover(self) -> None:
        """Everything around the sessions is well again."""
        self.tokens = "well"
        for session in self.sessions:
            session.recover()
        self.backend.faults.heal()

    def end(self) -> Sequence[str]:
        """Destroys both sessions, whatever goes wrong around them; returns the promises that are
        broken, and where a session did what the model cannot.
        """
        for session in self.sessions:
            self._within(partial(session.make, "destroy"))
        self._within(lambda: asyncio.sleep(4 * 5.0 + 1))
        late = [made.call for made in self.open if not made.call.done]
        self._within(self.recover)
        self._within(lambda: asyncio.sleep(60.0))
        self.broken += [f"L7 {call!r} outlives destroy()" for call in late]
        self.look()
        self.broken += promises.at_the_end(self)
        for session in self.sessions:
            self.broken += filter(None, [follow(session.trace, MODEL)])
        return self.broken

    def close(self) -> None:
        """Ends whatever is left."""
        self.backend.close()
        self._entropy.stop()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


class Session:
    """One session, with adapters of its own and what was seen of it."""

    def __init__(self, world: World, scope: str) -> None:
        self.world, self.scope = world, scope
        self.prefix = f"support-chat/acme/help/{scope.replace('%', '%25').replace('/', '%2F')}/"
        self.wire = Wire(self)
        self.transport = WatchedTransport(self.wire, LoopbackTransport(world.backend))
        self.storage = RecordingStorage()
        self.storage.contents = world.contents
        self.stores_well = True
        """Whether its storage has always done what it said."""
        self.chat = SupportChat(
            **WIDGET, transport=self.transport, storage=self.storage, scope=scope
        )
        self.providers = {
            user: ScriptedTokens(partial(self._mint, user)) for user in ("ann", "bob")
        }
        self.trace: Trace = watch(self.chat)
        self.epoch = 0
        """How many times a call has ended it."""
        self.heard: list[tuple[int, AnyEvent]] = []
        self.reactions: list[Callable[[], object]] = []
        self.past = promises.Past()
        self.chat.on(object, self._hear)  # every event there is

    @property
    def shell(self) -> Shell:
        """What runs it."""
        shell = self.chat._shell  # pyright: ignore[reportPrivateUsage]
        assert shell is not None
        return shell

    def look(self) -> Iterable[str]:
        """The promises that it has broken since the last look."""
        for seen in self.trace.steps[self.past.steps :]:
            yield from self.past.take(seen)
        yield from promises.of_session(self)

    def _hear(self, event: AnyEvent) -> None:
        self.heard.append((self.epoch, event))
        if isinstance(event, PhaseChanged) and self.reactions:
            self.reactions.pop(0)()

    def value(self, owner: str | None) -> str:
        """A value that nobody had before, and that says whose it is."""
        self.world.values += 1
        return f"{self.epoch}|{owner or 'visitor'}|{self.world.values}"

    def _mint(self, user: str, number: int) -> str:
        kind, time = self.world.tokens, self.world.loop.time()
        if kind == "opaque":
            return f"{self.epoch} {number}"
        return sign_identity_token(
            "eve" if kind == "another's" else user,
            FORGED if kind == "forged" else SECRET,
            **WIDGET,
            lifetime=20.0 if kind == "short-lived" else 900.0,
            now=EPOCH + (0.0 if kind == "the same bytes" else time),
        )

    def recover(self) -> None:
        """Its adapters are well again."""
        self.transport.behaves = "well"
        self.storage.release("get", "create", "delete", "keys")
        for tokens in self.providers.values():
            tokens.release("fetch")

    def make(self, name: str, **arguments: Any) -> None:
        """Makes a call, and compares what it says at once with the table of calls."""
        user: dict[str, Any] = arguments.get("user") or {}
        queues = bool(arguments.get("queue", name == "send_message"))
        refusal, before = self._refusal(name, user.get("id"), queues), self.shell.snapshot
        if refusal is None and name in ("shutdown", "destroy"):
            self.epoch += 1
        if name in ("boot", "identify", "become"):
            self.wire.refused.clear()  # S15 is about what a session does by itself
        call = getattr(self.chat, name)(**arguments)
        message = arguments.get("client_message_id")
        made = Made(self, name, call, self.world.loop.time(), message)
        self.world.made.append(made)
        self.world.open.append(made)
        self.world.broken += self._unlike(refusal, made, before.state.phase)
        if refusal is not None and self.shell.snapshot != before:
            self.world.broken.append(f"S13 a refused {name} changes the session")

    def _unlike(
        self, refusal: type[SupportChatError] | None, made: Made, phase: str
    ) -> Iterable[str]:
        if refusal is not None and not (made.call.done and isinstance(made.error, refusal)):
            yield f"{made.name} in {phase} must raise {refusal.__name__} at once"
        if refusal is None and made.call.done and made.name not in USES and made.error is not None:
            yield f"{made.name} in {phase} must be accepted"

    def _refusal(self, name: str, user: str | None, queues: bool) -> type[SupportChatError] | None:
        """The table of calls, read from outside: the error with which a call must be refused now,
        None if it must be accepted.
        """
        phase, (signed_in, target) = self.chat.state, self.shell.snapshot.state.registers
        booted = Fact.BOOTED in self.trace.facts(self.shell.snapshot, self.shell._now())  # pyright: ignore[reportPrivateUsage]
        if phase is Phase.DESTROYED:
            return None if name == "destroy" else SessionDestroyedError
        if name in ("load", "become", "shutdown", "destroy"):
            return None
        if name == "boot":
            return IdentityConflictError if booted and user != signed_in else None
        if not booted:
            return NotBootedError
        if name == "identify":
            return IdentityConflictError if user != (signed_in or target or user) else None
        if name == "update":
            return None if user in (None, signed_in, target) else IdentityConflictError
        return None if queues or phase in ONLINE else NetworkError

    def is_ended_by_becoming(self, user: str | None) -> bool:
        """Whether a become() of this user ends the session of somebody else."""
        signed_in, target = self.shell.snapshot.state.registers
        facts = self.trace.facts(self.shell.snapshot, self.shell._now())  # pyright: ignore[reportPrivateUsage]
        if signed_in is not None:
            return user != signed_in
        return Fact.UNRESOLVED in facts and user != target

    def untold(self) -> bool:
        """Whether listeners have not heard everything that was emitted before the release."""
        released = next(
            (i for i, seen in enumerate(self.trace.steps) if _releases(seen.rows)), None
        )
        emitted = [
            [command.event for command in seen.commands if isinstance(command, Emit)]
            for seen in self.trace.steps
        ]
        heard = [event for _, event in self.heard]
        due = sum(map(len, emitted[:released]))
        return len(heard) < due or heard != [e for events in emitted for e in events][: len(heard)]


def _releases(rows: Iterable[Any]) -> bool:
    return any(Effect.RELEASE in row.effects for row in rows)

"""Makes a real session go through what a model's story tells: every call, every outcome, every
expiry, when the story says so.

A model abstracts from time and values, so they are made up here. Calls name the users that the
story names, and bring a token provider or traits where the story says that the session then has
one. Every adapter is held, and ends in the outcome that the story says; so are the timers, and
virtual time goes along. What nobody could bring about raises `Impossible`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from ..chart.machine import Compiled
from ..chart.model import Ask
from ..errors import (
    AuthRefusedError,
    BackendRejectedError,
    NetworkError,
    RateLimitedError,
    StorageError,
    TokenProviderError,
    TokenRefusedError,
)
from ..lifecycle.names import Effect as E
from ..lifecycle.names import Fact as F
from ..lifecycle.names import Lane, Register, Slot, Timer
from ..lifecycle.names import Trigger as T
from ..ports import IdentifyAnswer, MessageArrived, SessionRevoked, TokenExpired, Welcome
from ..runtime.calls import Call
from ..session import SupportChat
from ..settings import Settings
from ..testing.doubles.script import CallLog, Pending
from ..testing.doubles.storage import RecordingStorage
from ..testing.doubles.tokens import ScriptedTokens, unsigned_token
from ..testing.doubles.transport import RecordingTransport
from ..values import Message, User
from .story import Occurrence
from .trace import Trace, watch

_NEVER: Final = 1e8
_SETTINGS: Final = Settings(
    connect_timeout=_NEVER,
    boot_timeout=3000.0,
    call_timeout=3000.0,
    storage_timeout=_NEVER,
    token_timeout=_NEVER,
    revoke_timeout=_NEVER,
    destroy_timeout=_NEVER,
)
"""Limits beyond every replay: what is held ends when the story says so. A backend may still ask a
boot to stay away for longer.
"""
_LONGEST: Final = 60.0
"""How much virtual time passes at most until a timer expires, in seconds: well within those limits.
"""
_TICKS: Final = 25
"""Rounds of the loop after each step, so that adapters are asked and links are heard."""

_STORAGE: Final = {
    E.CHECK_ADAPTERS: "get",
    E.READ_VISITOR: "create",
    E.RETIRE_VISITOR: "replace",
    E.CLEAR_USER: "keys",
    E.CLEAR_ALL: "keys",
}
_TOKENS: Final = {E.FETCH_TOKEN: "fetch", E.FETCH_TARGET_TOKEN: "fetch"}
_BACKEND: Final = {
    E.DIAL: "open",
    E.SEND_IDENTIFY: "identify",
    E.SEND_UPDATE: "update",
    E.SEND_TOKEN: "renew",
    E.USE_LINK: "conversations",
    E.PART: "revoke",
}
_GOODBYE: Final = "close"
"""What a parting asks of the link, beside the revocation."""


class Impossible(Exception):
    """Nobody can bring about what the story tells."""


class Actor:
    """A session that runs a chart on held adapters, and whoever acts on it. Make it within the
    loop.
    """

    def __init__(self, compiled: Compiled) -> None:
        log = CallLog()
        self._storage, self._transport, self._tokens = (
            RecordingStorage(log=log),
            RecordingTransport(log=log),
            ScriptedTokens(log=log),
        )
        self._scripts = (
            (self._storage, _STORAGE),
            (self._transport, _BACKEND),
            (self._tokens, _TOKENS),
        )
        for script, operations in self._scripts:
            script.hold(*set(operations.values()))
        self._transport.hold(_GOODBYE)
        self._timers, self._released = _HeldTimers(), asyncio.Event()
        self._chat = SupportChat(
            workspace_id="w",
            widget_id="w",
            transport=self._transport,
            storage=self._storage,
            settings=_SETTINGS,
        )
        self._chart = compiled.chart
        self.trace: Trace = watch(self._chat, compiled, self._timers)
        # a double
        self.trace.runner.links = _HeldEnd(self.trace.runner.links, self._released)  # type: ignore[assignment]
        self._awaiters: list[tuple[Call[Any], asyncio.Task[None]]] = []
        self._made = 0

    async def perform(self, one: Occurrence, rest: Sequence[Occurrence]) -> None:
        """Makes it happen; `rest` is what the story tells afterwards. Raises Impossible."""
        spec = self._chart.effects.get(one.of)
        if not one.of:
            self._call(one, rest)
        elif one.trigger in self._chart.events:
            self._event(T(one.trigger))
        elif isinstance(spec, Ask):
            self._outcome(one, spec, rest)
        else:
            await self._expiry(one)
        await _tick()

    async def leave(self) -> None:
        """Lets go of everything."""
        self._released.set()
        for script, operations in self._scripts:
            script.release(*set(operations.values()))
        for _, task in self._awaiters:
            task.cancel()
        self._chat.destroy()
        await _tick()

    # --- calls and hints --------------------------------------------------------------------------

    def _call(self, one: Occurrence, rest: Sequence[Occurrence]) -> None:
        match one.trigger:
            case T.GO_ONLINE | T.GO_OFFLINE:
                self._chat.set_online(one.trigger == T.GO_ONLINE)
            case T.ABANDON_BOOT:
                self._abandon(Slot.BOOT)
            case T.ABANDON_IDENTIFY:
                self._abandon(Slot.IDENTIFY)
            case _:
                made = self._make(one, rest)
                self._awaiters.append((made, asyncio.ensure_future(_await(made))))

    def _abandon(self, slot: Slot) -> None:
        """Cancels everybody who waits in the slot."""
        left = self.trace.slots.waiting.get(slot, [])
        if not left:
            raise Impossible(f"nobody waits for the {slot}, and the story cancels whoever does")
        for call, task in self._awaiters:
            if call in left:
                task.cancel()

    def _make(self, one: Occurrence, rest: Sequence[Occurrence]) -> Call[Any]:
        """The call that is told, with what the story says that the session then has of it."""
        adopts = E.ADOPT in one.effects and F.PROVIDER in one.facts
        adopts_target = E.ADOPT_TARGET in one.effects and F.TARGET_PROVIDER in one.facts
        provider = self._tokens if adopts or adopts_target else None
        traits = {"n": self._new()} if _records(one, rest) else {}
        chat, named = self._chat, User(one.user, traits=traits) if one.user else None
        match one.trigger:
            case T.LOAD:
                return chat.load()
            case T.SHUTDOWN:
                return chat.shutdown(clear_storage=F.FULL in one.carried)
            case T.DESTROY:
                return chat.destroy()
            case T.USE:
                return chat.conversations()
            case T.UPDATE:
                return chat.update(user={"id": one.user} if one.user else None, context=traits)
            case T.IDENTIFY if named:
                return chat.identify(user=named, token_provider=provider)
            case T.BOOT if named:
                return chat.boot(user=named, token_provider=provider)
            case T.BOOT if provider is None:
                return chat.boot(company={"id": "c", "traits": traits} if traits else None)
            case T.BOOT:
                raise Impossible("a visitor has no token provider")
            case _:
                raise Impossible(f"nobody can call {one.trigger}() so")

    def _new(self) -> int:
        """A number that was not used before, for whatever must differ from what was."""
        self._made += 1
        return self._made

    # --- what the world does ----------------------------------------------------------------------

    def _event(self, trigger: T) -> None:
        link = self._transport.link
        match trigger:
            case T.MESSAGE_ARRIVED:
                number = str(self._new())
                link.emit(MessageArrived(Message(number, "c", "agent", "hello", 0.0), number))
            case T.TOKEN_EXPIRED:
                link.emit(TokenExpired())
            case T.SESSION_REVOKED:
                link.emit(SessionRevoked())
            case _:
                link.lose()

    async def _expiry(self, one: Occurrence) -> None:
        silent = F.SILENT in one.carried
        if silent:
            self._transport.link.fall_silent()
        await self._timers.expire(Timer(one.of), _SETTINGS.silence_timeout if silent else 0.0)

    def _outcome(self, one: Occurrence, spec: Ask, rest: Sequence[Occurrence]) -> None:
        if one.of == E.RELEASE:
            self._released.set()
            return
        pending, lane = self._held(one.of), Lane(spec.lane)
        if one.of == E.PART:
            self._transport.release(_GOODBYE)
        if one.trigger == spec.success:
            pending.succeed(*self._answer(one, rest))
        elif one.trigger == spec.refusal:
            pending.fail((TokenRefusedError if lane is Lane.TOKEN else AuthRefusedError)("No."))
        elif one.trigger == spec.rejection:
            pending.fail(BackendRejectedError("Never."))
        elif F.BEYOND in one.carried:
            pending.fail(RateLimitedError("Later.", retry_after=10 * _NEVER))
        elif one.of in _STORAGE:
            pending.fail(StorageError("Not now."))
        else:
            pending.fail(
                TokenProviderError("Not now.") if lane is Lane.TOKEN else NetworkError("Not now.")
            )

    def _held(self, effect: str) -> Pending:
        """The last one held of what this effect asked: earlier ones are superseded."""
        for script, operations in self._scripts:
            if effect in operations and (waiting := script.waiting(operations[E(effect)])):
                return waiting[-1]
        raise Impossible(f"no adapter is at work on {effect}")

    def _answer(self, one: Occurrence, rest: Sequence[Occurrence]) -> tuple[object, ...]:
        """What the adapter answers; nothing where its double knows."""
        runner = self.trace.runner
        book, target = (
            runner.book,
            runner.state.registers[self._chart.registers.index(Register.TARGET)],
        )
        merged = F.MERGED in one.carried
        match one.trigger:
            case T.LINK_UP:
                answer = (
                    IdentifyAnswer(one.user, merged)
                    if one.user and one.user == target and book.claim
                    else None
                )
                return (
                    Welcome(book.session or f"session {self._new()}", "visitor", one.user, answer),
                )
            case T.IDENTIFIED:
                return (IdentifyAnswer(one.user or "", merged),)
            case T.TOKEN_ARRIVED:
                user = book.user_id if one.of == E.FETCH_TOKEN else target
                renewed = next((later for later in rest if E.ARM_RENEW in later.effects), None)
                expires = (
                    {"iat": 0, "exp": 3600}
                    if renewed and f"timer {Timer.RENEW}" in renewed.ledger
                    else {}
                )
                return (unsigned_token(sub=user or "", jti=str(self._new()), **expires),)
            case _:
                return ()


def _records(one: Occurrence, rest: Sequence[Occurrence]) -> bool:
    """Whether the call brings something new: at once, or held until the identify that it waits for
    makes the user.
    """
    if E.RECORD in one.effects or E.ADOPT in one.effects:
        return F.PENDING in one.facts
    ends = next((later for later in rest if E.BECOME_USER in later.effects), None)
    return E.HOLD in one.effects and ends is not None and F.PENDING in ends.facts


class _HeldTimers:
    """Timers that expire when the story says so."""

    def __init__(self) -> None:
        self._armed: dict[str, tuple[float, Callable[[], None]]] = {}

    def arm(self, timer: str, delay: float, expired: Callable[[], None]) -> None:
        self._armed[timer] = (asyncio.get_running_loop().time() + delay, expired)

    def disarm(self, timers: Iterable[str]) -> None:
        for timer in timers:
            self._armed.pop(timer, None)

    async def expire(self, timer: str, at_least: float) -> None:
        """Lets virtual time pass until the timer is due, and lets it expire."""
        if timer not in self._armed:
            raise Impossible(f"the timer {timer} does not run")
        due, expired = self._armed.pop(timer)
        await asyncio.sleep(min(max(due - asyncio.get_running_loop().time(), at_least), _LONGEST))
        expired()


class _HeldEnd:
    """The links of a session; that all of them have ended is heard when the story says so."""

    def __init__(self, links: Any, released: asyncio.Event) -> None:
        self._links, self._released = links, released

    async def ended(self) -> None:
        await self._released.wait()
        await self._links.ended()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._links, name)


async def _await(call: Call[Any]) -> None:
    # what becomes of it is compared with the story, slot by slot
    with contextlib.suppress(Exception):
        await call


async def _tick() -> None:
    for _ in range(_TICKS):
        await asyncio.sleep(0)

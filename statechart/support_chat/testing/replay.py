"""Replays a story of the model checker on the real `SupportChat`, step by step, and compares where both stand after each.

A story is the way to a state in which a property fails. The model abstracts from time and values, so a replay makes them up: calls
name the users that the story names, bring a token provider or traits where the story says that the book then has one; every adapter
is held, and ends in the outcome the story says; timers are held, too, and expire when the story says, virtual time going along.
If the session stands where the model stands after each step, the story is real: a session that runs this chart can be led there.

`beats()` turns the steps of a story into data that stands alone, `replay()` plays it, `as_test()` writes it as a pytest file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import attrs

from ..chart.machine import Compiled
from ..chart.model import Ask, Chart
from ..errors import (
    AuthRefusedError,
    BackendRejectedError,
    NetworkError,
    RateLimitedError,
    StorageError,
    TokenProviderError,
    TokenRefusedError,
)
from ..lifecycle.alphabet import Effect as E
from ..lifecycle.alphabet import Fact as F
from ..lifecycle.alphabet import Lane, Register
from ..lifecycle.alphabet import Trigger as T
from ..ports import IdentifyAnswer, MessageArrived, SessionRevoked, TokenExpired, Welcome
from ..session.calls import Call
from ..session.session import SupportChat
from ..settings import Settings
from ..values import Message, User
from ..verify.explore import Step
from ..verify.model import Model
from ..verify.views import View
from .recording_storage import RecordingStorage
from .recording_transport import RecordingTransport
from .script import CallLog, Pending
from .scripted_tokens import ScriptedTokens, unsigned_token
from .trace import Trace, watch
from .virtual_loop import run

_NEVER: Final = 1e8
"""Limits of adapters in a replay, in seconds: what is held ends when the story says so."""
_SETTINGS: Final = Settings(
    connect_timeout=_NEVER,
    boot_timeout=_NEVER,
    call_timeout=_NEVER,
    storage_timeout=_NEVER,
    token_timeout=_NEVER,
    revoke_timeout=_NEVER,
    destroy_timeout=_NEVER,
)
_LONGEST: Final = 3600.0
"""How much virtual time passes at most until a timer expires, in seconds: well within those limits."""
_TICKS: Final = 25
"""Rounds of the loop after each step, so that adapters are asked and links are heard."""
_NAMES: Final = ("ada", "bob", "cleo", "dan")


@attrs.frozen
class Beat:
    """One step of a story as data: what happens, and where the session stands afterwards.

    `user` is who is named ("" for nobody), `carries` are the facts that come along, `of` is the effect, timer or lane that it is the
    outcome, expiry or event of ("" for a call or a hint). `rows` names what fires, `effects` what is asked; then come phase, registers
    ("" for nobody), facts and ledger, as `support_chat.verify.View` has them.
    """

    trigger: str
    user: str = ""
    carries: tuple[str, ...] = ()
    of: str = ""
    rows: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    phase: str = ""
    registers: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    ledger: tuple[str, ...] = ()


@attrs.frozen
class Replay:
    """How far a replay went: `steps` that went as in the story, and where the session `differs` after them ("" if nowhere)."""

    steps: int
    differs: str = ""


def beats(model: Model, story: Sequence[Step]) -> tuple[Beat, ...]:
    """The steps of a story as data; users get names, and keep them although the model numbers them anew after each step."""
    told: list[Beat] = []
    names = {0: ""}
    for step in story:
        happening = step.happening
        if happening.named not in names:
            names[happening.named] = next(name for name in _NAMES if name not in names.values())
        view = View(model, step.raw)
        told.append(
            Beat(
                trigger=happening.trigger,
                user=names[happening.named],
                carries=model.names(happening.carried),
                of=happening.of,
                rows=tuple(row.name for row in step.rows),
                effects=tuple(effect for row in step.rows for effect in row.effects),
                phase=view.phase,
                registers=tuple(names[who] for who in model.registers_of(step.raw)),
                facts=view.facts(),
                ledger=tuple(entry for entry in view.ledger() if not entry.startswith("stored ")),
            )
        )
        renamed = zip(model.registers_of(step.after), model.registers_of(step.raw), strict=True)
        names = {0: "", **{new: names[old] for new, old in renamed}}
    return tuple(told)


def replay(chart: Chart, story: Sequence[Beat]) -> Replay:
    """Plays the story on a session that runs `chart`, in virtual time; returns how far it went as the story says."""
    return run(_Stage(Compiled(chart), story).play())


def as_test(story: Sequence[Beat], chart: str, sentence: str, name: str) -> str:
    """The story as the text of a pytest file that stands alone: its test fails as long as the session goes all the way.

    `chart` says where the chart is, as `package.module:CHART`; `sentence` is the property that fails, `name` ends the test's name.
    """
    module, _, attribute = chart.partition(":")
    lines = "".join(f"    {_shown(beat)},\n" for beat in story)
    return (
        f'"""A shortest story after which this does not hold: {sentence}"""\n\n'
        f"from {module} import {attribute or 'CHART'}\n"
        "from support_chat.testing.replay import Beat, replay\n\n"
        f"STORY = (\n{lines})\n\n\n"
        f"def test_{name}_no_session_goes_this_way() -> None:\n"
        f"    assert replay({attribute or 'CHART'}, STORY).differs\n"
    )


def _shown(beat: Beat) -> str:
    values = {field.name: getattr(beat, field.name) for field in attrs.fields(Beat)}
    plain = {name: str(value) if isinstance(value, str) else tuple(map(str, value)) for name, value in values.items()}
    return f"Beat({', '.join(f'{name}={value!r}' for name, value in plain.items() if value)})"


# --- the stage ----------------------------------------------------------------------------------------------------------


class _HeldTimers:
    """Timers that expire when the story says so."""

    def __init__(self) -> None:
        self._armed: dict[str, tuple[float, Callable[[], None]]] = {}

    def arm(self, timer: str, delay: float, expired: Callable[[], None]) -> None:
        self._armed[timer] = (asyncio.get_running_loop().time() + delay, expired)

    def disarm(self, timers: Iterable[str]) -> None:
        for timer in timers:
            self._armed.pop(timer, None)

    @property
    def running(self) -> frozenset[str]:
        return frozenset(self._armed)

    async def expire(self, timer: str, at_least: float = 0.0) -> None:
        """Lets virtual time pass until the timer is due, and lets it expire."""
        due, expired = self._armed.pop(timer)
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(min(max(due - now, at_least, 0.0), _LONGEST))
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


_OPERATIONS: Final = {
    E.CHECK_ADAPTERS: "get",
    E.READ_VISITOR: "create",
    E.RETIRE_VISITOR: "replace",
    E.CLEAR_USER: "keys",
    E.CLEAR_ALL: "keys",
    E.FETCH_TOKEN: "fetch",
    E.FETCH_TARGET_TOKEN: "fetch",
    E.DIAL: "open",
    E.SEND_IDENTIFY: "identify",
    E.SEND_UPDATE: "update",
    E.SEND_TOKEN: "renew",
    E.USE_LINK: "conversations",
    E.PART: "revoke",
}
"""The operation by which each effect asks a port; what else it does is not held."""


class _Differs(Exception):
    """The session does not go on as the story does."""


class _Stage:
    """A session on held adapters, and the story that is played on it."""

    def __init__(self, compiled: Compiled, story: Sequence[Beat]) -> None:
        self.compiled, self.story = compiled, story
        self.storage, self.transport, self.tokens = _held(CallLog())
        self.timers, self.released = _HeldTimers(), asyncio.Event()
        self.awaiters: list[tuple[Call[Any], asyncio.Task[None]]] = []
        self.count = 0

    async def play(self) -> Replay:
        """Plays every beat until the session differs; then lets go of everything."""
        chat = SupportChat(workspace_id="w", widget_id="w", transport=self.transport, storage=self.storage, settings=_SETTINGS)
        trace = watch(chat, self.compiled, self.timers)
        trace.runner.links = _HeldEnd(trace.runner.links, self.released)  # type: ignore[assignment]  # a double
        played = 0
        try:
            for played, beat in enumerate(self.story):
                before = len(trace.steps)
                await self.perform(chat, trace, beat, self.story[played + 1 :])
                self.compare(trace, beat, before)
            return Replay(len(self.story))
        except _Differs as differs:
            return Replay(played, f"{self.story[played].trigger}: {differs}")
        finally:
            await self.end(chat)

    async def end(self, chat: SupportChat) -> None:
        """Lets go of everything."""
        self.released.set()
        for script in (self.storage, self.transport, self.tokens):
            script.release(*{operation for operation in _OPERATIONS.values() if operation in _KNOWN[type(script)]})
        for _, task in self.awaiters:
            task.cancel()
        chat.destroy()
        await _tick()

    def compare(self, trace: Trace, beat: Beat, before: int) -> None:
        """Raises _Differs unless the session made this one step, and stands where the model does."""
        trace.close()
        made = [seen for seen in trace.steps[before:] if seen.current]  # what is late changes nothing, and the model leaves it out
        if [seen.trigger for seen in made] != [beat.trigger]:
            raise _Differs(f"what happened in the session is {', '.join(seen.trigger for seen in made) or 'nothing'}")
        seen = made[0]
        pairs: tuple[tuple[str, Sequence[str], Sequence[str]], ...] = (
            ("phase", [beat.phase], [seen.phase]),
            ("registers", beat.registers, [who or "" for who in seen.registers]),
            ("facts", sorted(beat.facts), sorted(seen.facts)),
            ("ledger", sorted(beat.ledger), sorted(seen.ledger)),
            ("effects", beat.effects, [effect for row in seen.rows for effect in row.effects]),
        )
        for what, model, session in pairs:
            if list(model) != list(session):
                only = [[str(entry) for entry in one if entry not in other] for one, other in ((model, session), (session, model))]
                raise _Differs(f"{what}: {only[0]} only in the story, {only[1]} only in the session")
        if seen.faults:
            raise _Differs("; ".join(seen.faults))

    # --- what happens ---------------------------------------------------------------------------------------------------

    async def perform(self, chat: SupportChat, trace: Trace, beat: Beat, rest: Sequence[Beat]) -> None:
        """Makes the beat happen."""
        spec = self.compiled.chart.effects.get(beat.of)
        if not beat.of:
            self.call(chat, trace, beat, rest)
        elif beat.trigger in self.compiled.chart.events:
            self.event(T(beat.trigger))
        elif isinstance(spec, Ask):
            await self.outcome(trace, beat, spec, rest)
        else:
            silent = F.SILENT in beat.carries
            if silent:
                self.transport.link.fall_silent()
            await self.timers.expire(beat.of, Settings().silence_timeout if silent else 0.0)
        await _tick()

    def call(self, chat: SupportChat, trace: Trace, beat: Beat, rest: Sequence[Beat]) -> None:
        """Makes the call or gives the hint."""
        match beat.trigger:
            case T.GO_ONLINE | T.GO_OFFLINE:
                chat.set_online(beat.trigger == T.GO_ONLINE)
            case T.ABANDON_BOOT | T.ABANDON_IDENTIFY:
                slot = "boot" if beat.trigger == T.ABANDON_BOOT else "identify"
                left = trace.slots.waiting.get(slot, [])
                if not left:
                    raise _Differs(f"nobody waits for the {slot}, whom the story cancels")
                for call, task in self.awaiters:
                    if call in left:
                        task.cancel()
            case _:
                made = self.made(chat, beat, rest)
                self.awaiters.append((made, asyncio.ensure_future(_await(made))))

    def made(self, chat: SupportChat, beat: Beat, rest: Sequence[Beat]) -> Call[Any]:
        """The call that the beat says, with what the story says that the book then knows."""
        adopts = E.ADOPT in beat.effects and F.PROVIDER in beat.facts
        adopts_target = E.ADOPT_TARGET in beat.effects and F.TARGET_PROVIDER in beat.facts
        provider = self.tokens if adopts or adopts_target else None
        self.count += 1
        traits = {"n": self.count} if self.records(beat, rest) else {}
        match beat.trigger:
            case T.LOAD:
                return chat.load()
            case T.SHUTDOWN:
                return chat.shutdown(clear_storage=F.FULL in beat.carries)
            case T.DESTROY:
                return chat.destroy()
            case T.USE:
                return chat.conversations()
            case T.UPDATE:
                return chat.update(user={"id": beat.user} if beat.user else None, context=traits)
            case T.IDENTIFY if beat.user:
                return chat.identify(user=User(beat.user, traits=traits), token_provider=provider)
            case T.BOOT if beat.user:
                return chat.boot(user=User(beat.user, traits=traits), token_provider=provider)
            case T.BOOT if provider is None:
                return chat.boot(company={"id": "c", "traits": traits} if traits else None)
            case _:
                pass
        raise _Differs(f"nobody can call {beat.trigger}() so: a visitor has no token provider, and an identify names somebody")

    def records(self, beat: Beat, rest: Sequence[Beat]) -> bool:
        """Whether the call brings something new: at once, or held until the identify that it waits for makes the user."""
        if E.RECORD in beat.effects or E.ADOPT in beat.effects:
            return F.PENDING in beat.facts
        ends = next((later for later in rest if E.BECOME_USER in later.effects), None)
        return E.HOLD in beat.effects and ends is not None and F.PENDING in ends.facts

    def event(self, trigger: T) -> None:
        """The backend speaks, or the link goes."""
        link = self.transport.link
        match trigger:
            case T.MESSAGE_ARRIVED:
                self.count += 1
                link.emit(MessageArrived(Message(f"m{self.count}", "c", "agent", "hello", 0.0), str(self.count)))
            case T.TOKEN_EXPIRED:
                link.emit(TokenExpired())
            case T.SESSION_REVOKED:
                link.emit(SessionRevoked())
            case _:
                link.lose()

    # --- outcomes -------------------------------------------------------------------------------------------------------

    async def outcome(self, trace: Trace, beat: Beat, spec: Ask, rest: Sequence[Beat]) -> None:
        """Lets what is held end as the story says."""
        if beat.of == E.RELEASE:
            self.released.set()
            return
        pending = self.held(beat.of)
        if beat.of == E.PART:
            self.transport.release("close")
        if beat.trigger == spec.success:
            pending.succeed(*self.answer(trace, beat, rest))
        elif beat.trigger == spec.refusal:
            pending.fail((TokenRefusedError if spec.lane == Lane.TOKEN else AuthRefusedError)("No."))
        elif beat.trigger == spec.rejection:
            pending.fail(BackendRejectedError("Never."))
        elif F.BEYOND in beat.carries:
            pending.fail(RateLimitedError("Later.", retry_after=10 * _NEVER))
        else:
            pending.fail(_FAILURES.get(Lane(spec.lane), NetworkError)("Not now."))

    def held(self, effect: str) -> Pending:
        """The last one held of what this effect asked: earlier ones are superseded."""
        operation = _OPERATIONS[E(effect)]
        for script in (self.storage, self.transport, self.tokens):
            if operation in _KNOWN[type(script)] and (waiting := script.waiting(operation)):
                return waiting[-1]
        raise _Differs(f"no adapter is at work on {effect}")

    def answer(self, trace: Trace, beat: Beat, rest: Sequence[Beat]) -> tuple[object, ...]:
        """What the adapter answers; nothing where its double knows."""
        book = trace.runner.book
        target = trace.runner.state.registers[trace.chart.registers.index(Register.TARGET)]
        match beat.trigger:
            case T.LINK_UP:
                claim = book.claim if beat.user and beat.user == target else None
                answer = IdentifyAnswer(beat.user, merged=F.MERGED in beat.carries) if claim else None
                return (Welcome(book.session or f"session {self.count}", "visitor", beat.user or None, answer),)
            case T.IDENTIFIED:
                return (IdentifyAnswer(beat.user, merged=F.MERGED in beat.carries),)
            case T.TOKEN_ARRIVED:
                self.count += 1
                user = book.user_id if beat.of == E.FETCH_TOKEN else target
                renewed = next((later for later in rest if E.ARM_RENEW in later.effects), None)
                expires = {"iat": 0, "exp": 3600} if renewed and "timer renew" in renewed.ledger else {}
                return (unsigned_token(sub=user or "", jti=str(self.count), **expires),)
            case _:
                return ()


_FAILURES: Final = {
    Lane.LOAD: StorageError,
    Lane.VISITOR: StorageError,
    Lane.CLEAR: StorageError,
    Lane.TOKEN: TokenProviderError,
}
_KNOWN: Final[dict[type[Any], frozenset[str]]] = {
    RecordingStorage: frozenset(("get", "create", "replace", "keys")),
    RecordingTransport: frozenset(("open", "revoke", "identify", "update", "renew", "conversations")),
    ScriptedTokens: frozenset(("fetch",)),
}


def _held(log: CallLog) -> tuple[RecordingStorage, RecordingTransport, ScriptedTokens]:
    storage, transport, tokens = RecordingStorage(log=log), RecordingTransport(log=log), ScriptedTokens(log=log)
    storage.hold(*_KNOWN[RecordingStorage])
    transport.hold(*_KNOWN[RecordingTransport], "close")
    tokens.hold(*_KNOWN[ScriptedTokens])
    return storage, transport, tokens


async def _await(call: Call[Any]) -> None:
    with contextlib.suppress(Exception):  # what becomes of it is compared with the story, slot by slot
        await call


async def _tick() -> None:
    for _ in range(_TICKS):
        await asyncio.sleep(0)

"""Replays a story of the model checker on the engine that a session runs, step by step, and
compares where both stand after each.

A story is the way to a state in which a property fails. If the engine stands where the model does
after each of its steps, the story is real: a session that runs this chart can be led there.
`replay()` takes what `support_chat.verify.occurrences()` makes of a verdict, `as_test()` writes it
as a pytest file that stands alone.

A model abstracts from time and values, so they are made up here: calls bring a token provider or
traits where the story says that the session then has one, and what is under way ends as it says.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs

from ..chart.model import Arm, Ask, Chart
from ..engine import (
    AwaiterLeft,
    CallMade,
    Engine,
    Expired,
    Heard,
    Hinted,
    Input,
    Now,
    Outcome,
    Request,
)
from ..errors import (
    BackendRejectedError,
    RateLimitedError,
)
from ..lifecycle.calls import Arguments
from ..lifecycle.names import Effect as E, Fact as F, Slot, Timer, Trigger as T
from ..lifecycle.outbox import OWNER_CHANGED
from ..lifecycle.requests import Keys
from ..ports import (
    IdentifyAnswer,
    ListConversations,
    MessageArrived,
    Outgoing,
    OwnerChanged,
    ReadUpTo,
    RenewAnswer,
    SessionRevoked,
    TokenExpired,
    UpdateAnswer,
    Welcome,
)
from ..settings import Settings
from ..values import Message
from .story import Occurrence
from .trace import Seen, Trace

_SETTINGS: Final = Settings(boot_timeout=3000.0, call_timeout=3000.0)
"""Limits beyond every replay; a backend may still ask a boot to stay away for longer."""
_EVENTS: Final = {
    T.TOKEN_EXPIRED: TokenExpired(),
    T.SESSION_REVOKED: SessionRevoked(),
    T.OWNER_CHANGED: OwnerChanged(),
    T.READ_MARKED: ReadUpTo("c", "m", 0),
    T.LINK_LOST: None,
}
_ABANDONED: Final = {T.ABANDON_BOOT: Slot.BOOT, T.ABANDON_IDENTIFY: Slot.IDENTIFY}


@attrs.frozen
class Replay:
    """How far a replay went: `steps` that went as in the story, and how the next one `differs` (""
    if they all went so).
    """

    steps: int
    differs: str = ""


def replay(chart: Chart, story: Sequence[Occurrence]) -> Replay:
    """Plays the story on an engine that runs `chart`; returns how far it went as the story says.

    An optional timer may run on the engine, and something of a batch be under way, where the story
    has it not: that is the context's to say, which a model does not hold, and in the story nothing
    comes of it.
    """
    player = Player(chart)
    for number, one in enumerate(story):
        try:
            wrong = differs(chart, one, player.play(one, story[number + 1 :]))
        except Impossible as impossible:
            wrong = str(impossible)
        if wrong:
            return Replay(number, f"{one.trigger}: {wrong}")
    return Replay(len(story))


class Impossible(Exception):
    """Nobody can bring about what the story tells."""


class Player:
    """An engine, and whoever brings about what it goes through."""

    def __init__(self, chart: Chart) -> None:
        self.trace = Trace(Engine(chart, _SETTINGS, Keys("w", "w", "default")))
        self._chart = chart
        self._made = 0
        self._at = 0.0

    def play(self, one: Occurrence, rest: Sequence[Occurrence]) -> Sequence[Seen]:
        """Makes it happen; `rest` is what the story tells afterwards. Raises Impossible."""
        before = len(self.trace.steps)
        self._at += 1.0
        silent = _SETTINGS.silence_timeout if F.SILENT in one.carried else 0.0
        now = Now(self._at, self._at - silent, entropy=str(self._new()).encode())
        for happened in self._inputs(one, rest):
            self.trace.step(self.trace.snapshot, happened, now)
        return self.trace.steps[before:]

    def _new(self) -> int:
        """A number that was not used before, for whatever must differ from what was."""
        self._made += 1
        return self._made

    def _inputs(self, one: Occurrence, rest: Sequence[Occurrence]) -> Sequence[Input]:
        trigger, account = T(one.trigger), self.trace.account
        spec = self._chart.effects.get(one.of)
        if trigger in _ABANDONED:
            slot = _ABANDONED[trigger]
            if not (calls := account.slots.get(slot)):
                raise Impossible(f"nobody waits for the {slot}, and the story cancels whoever does")
            return [AwaiterLeft(call) for call in sorted(calls)]
        if not one.of:
            if trigger in (T.GO_ONLINE, T.GO_OFFLINE):
                return [Hinted(trigger)]
            return [CallMade(self._new(), trigger, self._arguments(one, rest))]
        if trigger in self._chart.events:
            if account.link is None:
                raise Impossible("no link is open")
            return [Heard(account.link, self._event(trigger, one))]
        if isinstance(spec, Ask):
            asked = [r for r in account.asked.values() if r.effect == one.of]
            if not asked:
                raise Impossible(f"no adapter is at work on {one.of}")
            return [self._outcome(one, spec, asked[-1], rest)]
        if one.of not in account.timers:
            raise Impossible(f"the timer {one.of} does not run")
        return [Expired(one.of)]

    def _arguments(self, one: Occurrence, rest: Sequence[Occurrence]) -> Arguments:
        """What the call brings, by what the story says that the session then has of it."""
        adopts = E.ADOPT in one.effects and F.PROVIDER in one.facts
        provided = adopts or (E.ADOPT_TARGET in one.effects and F.TARGET_PROVIDER in one.facts)
        if one.trigger == T.BOOT and provided and not one.user:
            raise Impossible("a visitor has no token provider")
        if one.trigger == T.IDENTIFY and not one.user:
            raise Impossible("nobody can call identify() so")
        return Arguments(
            user_id=one.user,
            changes={"context.n": self._new()} if _records(one, rest) else {},
            provider=(lambda: "") if provided else None,
            clear_storage=F.FULL in one.carried,
            use=ListConversations() if one.trigger == T.USE else None,
            message=Outgoing(f"m{self._new()}", "hello") if one.trigger == T.SEND else None,
            queue=F.AT_ONCE not in one.carried,
        )

    def _event(self, trigger: T, one: Occurrence) -> Any:
        if trigger is T.MESSAGE_ARRIVED:
            number, own = str(self._new()), F.OWN in one.carried
            return MessageArrived(Message(number, "c", "agent", "hello", 0.0), number, own=own)
        return _EVENTS[trigger]

    def _outcome(
        self, one: Occurrence, spec: Ask, request: Request, rest: Sequence[Occurrence]
    ) -> Outcome:
        if one.trigger == spec.success:
            return Outcome(request, self._result(one, request, rest))
        blame = spec.blame
        assert blame is not None, "whatever a session asks says whose fault a failure is"
        if F.OUTDATED in one.carried:
            payload = attrs.evolve(request.payload, tokens_accepted=-1)
            request = attrs.evolve(request, payload=payload)
        if F.BEYOND in one.carried:
            return Outcome(request, error=RateLimitedError("Later.", retry_after=1e9))
        if F.DISOWNED in one.carried:
            return Outcome(request, error=BackendRejectedError("No.", code=OWNER_CHANGED))
        told = {
            spec.ended: blame.ended,
            spec.stranger: blame.strangers,
            spec.rejection: blame.rejections,
            spec.refusal: blame.refusals,
        }
        return Outcome(request, error=told.get(one.trigger, (blame.error,))[0]("No."))

    def _result(self, one: Occurrence, request: Request, rest: Sequence[Occurrence]) -> Any:
        context, payload = self.trace.snapshot.context, request.payload
        match T(one.trigger):
            case T.LINK_UP:
                claim = payload.credentials.claim
                known = claim is not None and one.user == claim.user_id
                answer = IdentifyAnswer(one.user, True) if known and one.user else None
                session = context.session or f"session {self._new()}"
                repeats = F.REPEATABLE in one.carried
                welcome = Welcome(session, "visitor", one.user, answer)
                return attrs.evolve(welcome, identify="repeatable") if repeats else welcome
            case T.IDENTIFIED:
                return IdentifyAnswer(one.user or "", True)
            case T.TOKEN_ARRIVED:
                renewed = next((later for later in rest if E.ARM_RENEW in later.effects), None)
                expires = renewed is not None and f"timer {Timer.RENEW}" in renewed.ledger
                return token(payload.user_id, self._new(), expires)
            case T.UPDATED:
                return UpdateAnswer()
            case T.RENEWED:
                return RenewAnswer()
            case T.VISITOR_CHECKED:
                return payload.visitor
            case T.LOADED | T.VISITOR_READ:
                return "damage" if F.DAMAGED in one.carried else "a-secret-that-can-be-one"
            case T.SENT:
                return Message(str(self._new()), "c", "visitor", "hello", 0.0)
            case T.REPLIED:
                return ()
            case _:
                return None


def token(user: str | None, number: int, expires: bool) -> str:
    """An identity token as a client reads it: unsigned, and of a known life or not."""
    claims = {"sub": user, "jti": number, **({"iat": 0, "exp": 3600} if expires else {})}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"header.{body}.signature"


def _records(one: Occurrence, rest: Sequence[Occurrence]) -> bool:
    """Whether the call brings something new: at once, or held until the identify that it waits for
    makes the user.
    """
    if E.RECORD in one.effects or E.ADOPT in one.effects:
        return F.PENDING in one.facts
    ends = next((later for later in rest if E.BECOME_USER in later.effects), None)
    return E.HOLD in one.effects and ends is not None and F.PENDING in ends.facts


def _optional(chart: Chart) -> Iterator[str]:
    """The entries of the ledger that an effect makes or does not make."""
    for effect, spec in chart.effects.items():
        if isinstance(spec, Arm) and spec.optional:
            yield f"timer {spec.timer}"
        elif isinstance(spec, Ask) and spec.batch:
            yield f"asked {effect}"


def differs(chart: Chart, one: Occurrence, steps: Sequence[Seen]) -> str:
    """How what an engine or a session with this chart did differs from what is told; "" if it does
    not. What the context decides may be otherwise, as `replay` says.
    """
    optional = set(_optional(chart))
    if [seen.trigger for seen in steps] != [one.trigger]:
        return f"what happened is {', '.join(seen.trigger for seen in steps) or 'nothing'}"
    seen = steps[0]
    pairs = (
        ("phase", [one.phase], [seen.phase]),
        (
            "registers",
            [who or "" for who in one.registers.values()],
            [who or "" for who in seen.registers],
        ),
        ("facts", sorted(one.facts), sorted(seen.facts)),
        (
            "ledger",
            sorted(entry for entry in one.ledger if not entry.startswith("stored ")),
            sorted(e for e in seen.ledger if e in one.ledger or e not in optional),
        ),
        ("effects", list(one.effects), [effect for row in seen.rows for effect in row.effects]),
    )
    for what, story, session in pairs:
        if story != session:
            mine, its = (
                [str(entry) for entry in one if entry not in other]
                for one, other in ((story, session), (session, story))
            )
            return f"{what}: {mine} only in the story, {its} only in the session"
    return "; ".join(seen.faults)


def as_test(story: Sequence[Occurrence], chart: str, sentence: str, name: str) -> str:
    """The story as the text of a pytest file that stands alone: its test fails as long as the
    session goes all the way.

    `chart` says where the chart is, as `package.module:CHART`; `sentence` is the property that
    fails, `name` begins the test's name.
    """
    module, _, attribute = chart.partition(":")
    chart = attribute or "CHART"
    lines = "".join(f"    {_shown(one)},\n" for one in story)
    return (
        f'"""A way on which this does not hold: {sentence}"""\n\n'
        f"from {module} import {chart}\n"
        "from support_chat.verify import Occurrence\n"
        "from support_chat.verify.replay import replay\n\n"
        f"STORY = (\n{lines})\n\n\n"
        f"def test_{name}_no_session_goes_this_way() -> None:\n"
        f"    assert replay({chart}, STORY).differs\n"
    )


def _shown(one: Occurrence) -> str:
    values = ((field.name, getattr(one, field.name)) for field in attrs.fields(Occurrence))
    return f"Occurrence(\n        {', '.join(f'{name}={value!r}' for name, value in values)}\n    )"

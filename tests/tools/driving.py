"""Lives of a session without a loop: an engine, and everybody around it.

A `Life` takes inputs and keeps an account of what is under way beside the engine, by inputs and
commands alone. Whatever is under way may come in at any moment, in any order, whatever the chart
believes: calls, outcomes of current and of superseded requests, events of open and of closed links,
expiries, hints, awaiters that leave and come. Nothing else may.

After each step it looks at what must hold of every engine: a call is settled once, and waits until
then (S20); a link that came up is kept or closed (S25).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any, Final, cast

import attrs

from support_chat.chart.model import Ask, Chart
from support_chat.engine import (
    Arm,
    AwaiterCame,
    AwaiterLeft,
    Bound,
    CallMade,
    Cancel,
    Close,
    Engine,
    Expired,
    Heard,
    Hinted,
    Input,
    LimitReachedError,
    Now,
    Outcome,
    OutOfTime,
    Perform,
    Reaction,
    Request,
    Settle,
    Snapshot,
)
from support_chat.errors import BackendRejectedError, RateLimitedError
from support_chat.lifecycle.calls import Arguments
from support_chat.lifecycle.chart import CHART
from support_chat.lifecycle.names import Fact, Trigger as T
from support_chat.lifecycle.outbox import OWNER_CHANGED
from support_chat.lifecycle.requests import (
    CheckVisitor,
    Clear,
    CreateVisitor,
    Dial,
    FetchToken,
    Identify,
    Keys,
    MendVisitor,
    Renew,
    SendMessage,
    Update,
    UseLink,
)
from support_chat.ports import (
    IdentifyAnswer,
    LinkEvent,
    ListConversations,
    MarkRead,
    MessageArrived,
    Outgoing,
    OwnerChanged,
    ReadAnswer,
    ReadUpTo,
    RenewAnswer,
    SessionRevoked,
    TokenExpired,
    UpdateAnswer,
    Welcome,
)
from support_chat.settings import Settings
from support_chat.testing.doubles.tokens import unsigned_token
from support_chat.values import Message
from support_chat.verify.trace import Account

KEYS: Final = Keys("workspace", "widget", "default")
USERS: Final = ("ann", "bob")
CALLS: Final = {
    T.BOOT: 50,
    T.IDENTIFY: 40,
    T.BECOME: 15,
    T.UPDATE: 40,
    T.SEND: 30,
    T.USE: 10,
    T.SHUTDOWN: 12,
    T.LOAD: 6,
    T.DESTROY: 2,
}
"""How often each is called."""


class GoesWell(random.Random):
    """Takes the first of what there is to choose from: outcomes are successes, and right."""

    def choice(self, seq: Any) -> Any:
        """The first."""
        return seq[0]


@attrs.frozen
class Provider:
    """A token provider; `name` tells it from every other one. Nobody calls it: its outcome is an
    input.
    """

    name: str

    def __call__(self) -> str:
        """Not to be called."""
        raise AssertionError("the engine calls nobody")


@attrs.frozen
class Taken:
    """A step: what happened and when, where the session stood, whether what happened was current by
    the account, and what it came to.
    """

    happened: Input
    now: Now
    before: Snapshot
    current: bool
    reaction: Reaction

    @property
    def effects(self) -> list[str]:
        """The effects of every row that fired."""
        return [effect for row in self.reaction.rows for effect in row.effects]

    @property
    def cancelled(self) -> set[str]:
        """The lanes that are cancelled."""
        return {lane for c in self.reaction.commands if isinstance(c, Cancel) for lane in c.lanes}

    def is_outcome_of(self, number: int) -> bool:
        """Whether this request has ended."""
        return isinstance(self.happened, Outcome) and self.happened.request.number == number

    @property
    def asked(self) -> list[Request]:
        """What adapters are asked for, but for what nobody waits for."""
        commands = self.reaction.commands
        return [c.request for c in commands if isinstance(c, Perform) and c.request.lane]


@attrs.define(eq=False)
class Life:
    """A session, from input to input."""

    engine: Engine
    roll: random.Random
    snapshot: Snapshot
    account: Account
    at: float = 1000.0
    due: dict[str, float] = attrs.field(factory=dict[str, float])
    """When each timer expires that was armed."""
    bounds: dict[int, float] = attrs.field(factory=dict[int, float])
    """When the time of each call is over that waits within one."""
    pending: dict[int, tuple[Request, int]] = attrs.field(factory=dict[int, "tuple[Request, int]"])
    """Requests that an adapter may still end, superseded ones too, and in which session they were
    made.
    """
    closed: list[int] = attrs.field(factory=list[int])
    """Links that were closed."""
    unsettled: set[int] = attrs.field(factory=set[int])
    abandoned: set[int] = attrs.field(factory=set[int])
    """Calls that nobody awaits."""
    owners: dict[str, tuple[str | None, int]] = attrs.field(
        factory=dict[str, "tuple[str | None, int]"]
    )
    """Whom a value belongs to (None: whoever the session is for), and in which session."""
    sessions: int = 0
    """How many sessions have ended."""
    log: list[Taken] = attrs.field(factory=list[Taken])
    made: int = 0

    @classmethod
    def begin(
        cls, roll: random.Random, chart: Chart = CHART, settings: Settings | None = None
    ) -> Life:
        """A life of this chart; the same `roll` takes the same way."""
        engine = Engine(chart, settings or Settings(), KEYS)
        return cls(engine, roll, engine.initial, Account(chart))

    def branch(self, roll: random.Random) -> Life:
        """A life that goes on from here on its own."""
        account = Account(**_copied(self.account))
        fields: dict[str, Any] = {**_copied(self), "account": account, "roll": roll}
        return Life(**fields)

    # --- what happens -----------------------------------------------------------------------------

    def now(self, *, silent: float = 0.0) -> Now:
        """The clocks, and randomness of this step's own; the link was silent for so long."""
        return Now(self.at, self.at - silent, 1e9 + self.at, str(self.made).encode())

    def look(self, happened: Input, now: Now) -> Reaction:
        """What would come of it."""
        return self.engine.step(self.snapshot, happened, now)

    def take(self, happened: Input, now: Now | None = None) -> Taken:
        """Makes it happen. Raises AssertionError for what must never be."""
        now = now or self.now()
        reaction = self.look(happened, now)
        taken = Taken(happened, now, self.snapshot, self.account.cause(happened)[1], reaction)
        self.log.append(taken)
        self.snapshot = reaction.snapshot
        problems = list(self.account.take(happened, reaction))
        if self.holds(Fact.BOOTED, taken.before) and not self.holds(Fact.BOOTED):
            self.sessions += 1
        match happened:
            case CallMade(call):
                self.unsettled.add(call)
            case AwaiterLeft(call):
                self.abandoned.add(call)
            case AwaiterCame(call):
                self.abandoned.discard(call)
            case OutOfTime(call):
                self.bounds.pop(call)
            case Outcome(request, _, error) if not isinstance(error, LimitReachedError):
                self.pending.pop(request.number, None)
            case _:
                pass
        for command in reaction.commands:
            self._obey(command)
        assert not problems, f"S25 {problems}"
        waiting = self.snapshot.waiting
        assert waiting == self.unsettled, f"S20 {set(waiting)} wait, {self.unsettled} should"
        return taken

    def _obey(self, command: object) -> None:
        match command:
            case Perform(request) if request.lane:
                self.pending[request.number] = request, self.sessions
            case Arm(timer, seconds):
                self.due[timer] = self.at + seconds
            case Close(link):
                self.closed.append(link)
            case Bound(call, seconds):
                self.bounds[call] = self.at + seconds
            case Settle(call):
                assert call in self.unsettled, f"S20 the call {call} is settled twice"
                self.unsettled.discard(call)
                self.abandoned.discard(call)
                self.bounds.pop(call, None)
            case _:
                pass

    @property
    def phase(self) -> str:
        """Where the session stands."""
        return self.snapshot.state.phase

    @property
    def lanes(self) -> set[str]:
        """The lanes on which an adapter is asked for something, by the account."""
        return {request.lane for request in self.account.asked.values()}

    def holds(self, fact: Fact, snapshot: Snapshot | None = None) -> bool:
        """Whether a stored fact holds, now or in another snapshot."""
        state = (snapshot or self.snapshot).state
        return bool(state.facts & self.engine.program.machine.bits[fact])

    @property
    def story(self) -> str:
        """What happened, step by step."""
        return "\n".join(
            f"{fired.trigger} {fired.named or ''} in {fired.phase} by {fired.row.name}"
            for taken in self.log
            for fired in taken.reaction.fired
        )

    # --- calls ------------------------------------------------------------------------------------

    def new(self) -> int:
        """A number that was not used before."""
        self.made += 1
        return self.made

    def own(self, what: str, user: str | None = None, session: int | None = None) -> str:
        """A new value of this user, or of whoever the session is for."""
        value = f"{what}-{self.new()}"
        self.owners[value] = user, self.sessions if session is None else session
        return value

    def one_of(self, *of: Any) -> Any:
        """One of them."""
        return self.roll.choice(of)

    def call(self, trigger: T, **arguments: Any) -> int:
        """Somebody calls; returns the number of the call."""
        number = self.new()
        self.take(CallMade(number, trigger, Arguments(**arguments)))
        return number

    def _call(self) -> Input:
        kind = self.roll.choices(list(CALLS), list(CALLS.values()))[0]
        # most of what is worth seeing happens while live
        booted = self.holds(Fact.BOOTED)
        if booted == (kind == T.BOOT) and self.one_of(True, False):
            kind = T.IDENTIFY if booted else T.BOOT
        who = self.one_of("ann", "ann", "ann", "bob")
        anybody = self.one_of(None, None, who)
        user = {T.IDENTIFY: who, T.BOOT: anybody, T.BECOME: anybody}.get(kind)
        user = self.one_of(None, None, who) if kind == T.UPDATE else user
        changes = {}
        describes = kind in (T.BOOT, T.IDENTIFY, T.BECOME) and self.one_of(True, False, False)
        if kind == T.UPDATE or describes:
            value = self.one_of(1, 2, None, self.own("trait", user))
            changes = {f"user.traits.{self.one_of('a', 'b')}": value}
        provider = None
        if user and kind != T.UPDATE and self.one_of(True, True, False):
            provider = Provider(self.own("provider", user))
        begins = self.one_of(None, "c-1", "c-2")
        sends = Outgoing(f"message-{self.new()}", self.own("text"), begins)
        marks = MarkRead(self.one_of("c-1", "c-2"), "m")
        return CallMade(
            self.new(),
            kind,
            Arguments(
                user_id=user,
                changes=changes,
                provider=provider,
                timeout=self.one_of(None, 1.0, 100.0),
                clear_storage=kind in (T.SHUTDOWN, T.BECOME) and self.one_of(True, False),
                use=ListConversations() if kind == T.USE else None,
                message=self.one_of(sends, sends, marks) if kind == T.SEND else None,
                queue=self.one_of(True, True, False),
            ),
        )

    # --- outcomes ---------------------------------------------------------------------------------

    def outcome(self, request: Request) -> Outcome:
        """One of those that an adapter may end in, as good or as bad as it may be."""
        spec = self.engine.chart.effects[request.effect]
        assert isinstance(spec, Ask)
        assert spec.blame is not None
        if self.one_of(True, False):
            return Outcome(request, self.result(request))
        if self.one_of(*[False] * 19, True):
            return Outcome(request, object())  # nothing that the port knows
        later = RateLimitedError("later", retry_after=self.one_of(0.5, 1e6))
        fault = self.one_of(LimitReachedError(1.0), spec.blame.error("fault"), ValueError("fault"))
        blame = spec.blame
        told = (*blame.refusals, *blame.rejections[:1], *blame.strangers, *blame.ended)
        noes = [kind("no") for kind in told]
        if isinstance(request.payload, SendMessage):
            noes.append(BackendRejectedError("no", code=OWNER_CHANGED))
        return Outcome(request, error=self.one_of(later, fault, *noes))

    def result(self, request: Request) -> Any:
        """A result of the right type; who it is for, and what is said of it, may be wrong."""
        session = self.pending.get(request.number, (request, self.sessions))[1]
        if request.number in self.account.asked:
            session = self.sessions
        match request.payload:
            case CreateVisitor() | MendVisitor():
                damage = "damage" * self.one_of(*[False] * 8, True)
                return damage or self.own("the-secret-of-a-visitor", None, session)
            case CheckVisitor(_, visitor):
                other = self.own("the-secret-of-another", None, session)
                return self.one_of(*[visitor] * 8, other, None)
            case Clear():
                return self.one_of(None, "the-secret-that-is-over")
            case FetchToken(_, name):
                subject = self.one_of(*[name] * 8, *USERS)
                claims = self.one_of({"iat": 0, "exp": self.one_of(1, 20, 900)}, {})
                token = unsigned_token(sub=subject, jti=self.new(), **claims)
                self.owners[token] = name, session
                return token
            case Dial(credentials):
                who = self.one_of(*[credentials.user_id] * 8, None, *USERS)
                claim, answer = credentials.claim, None
                if claim is not None and self.one_of(True, False):
                    answer = self._answer(claim.user_id, session)
                    who = answer.user_id
                cursor = self.own("cursor", None, session)
                gap, began = self.one_of(True, False), self.own("session", None, session)
                unread, echoes = self.one_of(0, 1, None), self.one_of(False, True)
                visitor = self.one_of("v-1", "v-2", *[None] * (who is not None))
                identify = self.one_of("remembered", "repeatable")
                return Welcome(began, visitor, who, answer, cursor, gap, unread, echoes, identify)
            case Identify(asked):
                return self._answer(asked.user_id, session)
            case Renew():
                return RenewAnswer(self.one_of(None, self.own("session", None, session)))
            case Update(changes):
                return UpdateAnswer(self._rejected(changes))
            case SendMessage(MarkRead()):
                return ReadAnswer(self.one_of(0, 1))
            case SendMessage(Outgoing() as message):
                return _stored(message)
            case UseLink():
                return ()
            case _:
                return None

    def _answer(self, user: str, session: int) -> IdentifyAnswer:
        who, merged = self.one_of(user, user, user, *USERS), self.one_of(True, False)
        rejected, unread = self._rejected({"user.traits.a": 1}), self.one_of(None, 0, 1)
        renewed = self.one_of(None, self.own("session", None, session))
        return IdentifyAnswer(who, merged, rejected=rejected, unread=unread, session=renewed)

    def _rejected(self, changes: Any) -> tuple[tuple[str, str], ...]:
        return tuple((path, "no") for path in changes if self.one_of(False, False, True))

    # --- whatever else may come in ----------------------------------------------------------------

    def event(self) -> LinkEvent | None:
        """What a link yields; None if it is lost."""
        said, own = Message("m", "c-1", "agent", "hello", 0.0), self.one_of(False, True)
        entries = self.snapshot.context.outbox.entries
        if own and (sent := [e.message for e in entries if isinstance(e.message, Outgoing)]):
            said = _stored(self.one_of(*sent))
        arrived = MessageArrived(said, self.own("cursor"), self.one_of(0, 1, None), own)
        read = ReadUpTo(self.one_of("c-1", "c-2"), "m", self.one_of(0, 1, None))
        events = (arrived, read, TokenExpired(), OwnerChanged(), SessionRevoked(), None)
        return self.roll.choices(events, (4, 2, 4, 2, 1, 6))[0]

    def enabled(self) -> tuple[Input, Now]:
        """One of the inputs that may come in now."""
        account, roll, entries = self.account, self.roll, self.snapshot.context.outbox.entries
        superseded = [r for n, (r, _) in self.pending.items() if n not in account.asked]
        awaited = sorted(self.unsettled - self.abandoned)
        kinds: list[tuple[object, int, Callable[[], Input]]] = [
            (True, 6, self._call),
            (True, 1, lambda: Hinted(self.one_of(T.GO_ONLINE, T.GO_OFFLINE))),
            (entries, 1, lambda: Hinted(T.WITHDRAW, roll.choice(entries).number)),
            (account.asked, 13, lambda: self.outcome(roll.choice(list(account.asked.values())))),
            (superseded, 2, lambda: self.outcome(roll.choice(superseded))),
            (account.link, 3, lambda: Heard(account.link or 0, self.event())),
            (self.closed, 1, lambda: Heard(roll.choice(self.closed), self.event())),
            (account.timers, 4, lambda: Expired(roll.choice(sorted(account.timers)))),
            (awaited, 2, lambda: AwaiterLeft(roll.choice(awaited))),
            (self.bounds, 1, lambda: OutOfTime(roll.choice(sorted(self.bounds)))),
            (self.abandoned, 1, lambda: AwaiterCame(roll.choice(sorted(self.abandoned)))),
        ]
        possible = [(weight, kind) for there_is, weight, kind in kinds if there_is]
        happened = roll.choices([k for _, k in possible], [weight for weight, _ in possible])[0]()
        return happened, self.now(silent=self.one_of(0.0, 100.0))

    def go_on(self) -> None:
        """What was asked last succeeds; where nothing was asked, the next timer expires."""
        if self.account.asked:
            request = self.account.asked[max(self.account.asked)]
            self.take(Outcome(request, self.result(request)))
        else:
            self.wait()

    def wait(self) -> None:
        """Time passes until the next timer expires, or the time of a call is over."""
        ends: list[tuple[float, Input]] = [
            *((self.due[timer], Expired(timer)) for timer in sorted(self.account.timers)),
            *((until, OutOfTime(call)) for call, until in self.bounds.items()),
        ]
        if ends:
            until, happened = min(ends, key=lambda end: end[0])
            self.at = max(self.at, until)
            self.take(happened)

    def live(self, steps: int, look: Callable[[Life], None] = lambda life: None) -> None:
        """Takes so many of them, and looks after each."""
        for _ in range(steps):
            self.at += self.one_of(0.0, 0.01, 0.5, 4.0, 40.0)
            self.take(*self.enabled())
            look(self)

    def end(self, look: Callable[[Life], None] = lambda life: None) -> None:
        """Destroys it, with adapters that hang: timers expire, limits are reached. Then whatever
        was superseded succeeds.
        """
        self.call(T.DESTROY)
        while self.account.timers or self.account.asked:
            for timer in sorted(self.account.timers):
                self.take(Expired(timer))
            for request in list(self.account.asked.values()):
                self.take(Outcome(request, error=LimitReachedError(1.0)))
            look(self)
        for request, _ in list(self.pending.values()):
            self.take(Outcome(request, self.result(request)))
            look(self)


def _stored(message: Outgoing) -> Message:
    """The message, as a backend stored it."""
    conversation = message.conversation_id or "c-new"
    return Message("m", conversation, "user", message.text, 0.0, message.client_message_id)


def _copied(record: Any) -> dict[str, Any]:
    """The fields of a record, none of which can be changed by way of the other."""
    kind = record.__class__
    return {field.name: _copy(getattr(record, field.name)) for field in attrs.fields(kind)}


def _copy(value: Any) -> Any:
    kind = value.__class__
    if kind is dict:
        return {key: _copy(each) for key, each in value.items()}
    return value.copy() if kind in (set, list) else value


def reachable(root: object) -> Iterator[object]:
    """Everything that can be got at from an object: fields, items, keys, closures, defaults. What a
    `repr` shows plays no part.
    """
    waiting: list[Any] = [root]
    seen = set[int]()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, Mapping):
            mapping = cast("Any", value)
            waiting += mapping.items()
        elif isinstance(value, tuple | list | set | frozenset):
            waiting += cast("Iterable[Any]", value)
        elif isinstance(value, FunctionType):
            waiting += [cell.cell_contents for cell in value.__closure__ or ()]
            waiting += value.__defaults__ or ()
        elif not isinstance(value, type):
            fields = getattr(value, "__attrs_attrs__", ())
            waiting += [getattr(value, field.name) for field in fields]
            waiting += getattr(value, "__dict__", {}).values()

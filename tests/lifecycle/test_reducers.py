"""The context: which facts a moment makes true, how each reducer changes it, and that nothing of a
user is left after FORGET.

- every fact that is read from the context or the moment can be true and can be false;
- facts and reducers are pure, on every trigger on which the chart asks for them;
- who we are, tokens, providers, claims and cursors change by the rules that stand here one by one;
- every row that ends a session leaves nothing of the user reachable, and keeps what protects the
  backend; no `repr` shows a secret.

How long things wait is in `test_delays.py`, the record of updates in `test_updates.py`.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from driving import KEYS, Provider, reachable
from support_chat import (
    CHART,
    AuthRefusedError,
    BackendRejectedError,
    Fact,
    NetworkError,
    RateLimitedError,
    Settings,
    SignedIn,
    SupportChatError,
    Trigger,
    Visitor,
)
from support_chat.chart.model import Carried, Derived, Transition
from support_chat.engine import Moment, Now, Request
from support_chat.lifecycle import reducers as do
from support_chat.lifecycle.calls import Arguments
from support_chat.lifecycle.context import Context, Target
from support_chat.lifecycle.effects import EFFECTS
from support_chat.lifecycle.facts import FACTS
from support_chat.lifecycle.names import Effect as E, Lane
from support_chat.lifecycle.outbox import OWNER_CHANGED, Entry, Outbox
from support_chat.lifecycle.requests import SendMessage
from support_chat.lifecycle.tokens import Token
from support_chat.lifecycle.updates import Updates
from support_chat.ports import (
    Claim,
    IdentifyAnswer,
    MarkRead,
    MessageArrived,
    Outgoing,
    ReadUpTo,
    RenewAnswer,
    UpdateAnswer,
    Welcome,
)
from support_chat.values import Message

PROVIDER, FALLBACK = Provider("one"), Provider("another")
MERGED = IdentifyAnswer("user_1", True, 3, unread=6, session="session_3")
WELCOME = Welcome("session_2", "visitor_2", "user_1", claim=MERGED, cursor="cursor_2", unread=4)
OWN = MessageArrived(Message("m", "c", "user", "hello", 1.0, "message_1"), "cursor_4", 5, own=True)
RESULTS: dict[Trigger, object] = {
    Trigger.LINK_UP: WELCOME,
    Trigger.TOKEN_ARRIVED: Token("token_2", 60.0),
    Trigger.VISITOR_READ: "secret_2",
    Trigger.IDENTIFIED: MERGED,
    Trigger.RENEWED: RenewAnswer("session_3"),
    Trigger.UPDATED: UpdateAnswer((("user.name", "too long"),)),
    Trigger.MESSAGE_ARRIVED: MessageArrived(
        Message("m", "c", "agent", "hello", 1.0), "cursor_3", 5
    ),
    Trigger.READ_MARKED: ReadUpTo("c", "m", 7),
    Trigger.SENT: Message("m", "c", "user", "hello", 1.0, "message_1"),
}
ARGUMENTS = Arguments(
    user_id="user_1",
    changes={"company.plan": "pro"},
    provider=PROVIDER,
    timeout=7.0,
    clear_storage=True,
    message=Outgoing("message_2", "again", "c"),
    queue=False,
)
FULL = Context(
    user_id="user_1",
    identity=SignedIn("user_1"),
    provider=PROVIDER,
    target=Target("user_1", PROVIDER, "identify_1"),
    visitor="secret_1",
    session="session_1",
    cursor="cursor_1",
    unread=2,
    token=Token("token_1", 60.0),
    arrived_at=90.0,
    fetched_at=89.0,
    spent=b"digest",
    failures=3,
    dialled_at=80.0,
    not_before=85.0,
    up_at=81.0,
    boot_until=120.0,
    identify_until=130.0,
    updates=Updates(*({"user.name": field.name} for field in attrs.fields(Updates))),
    updated_at=(70.0, 80.0),
    update_failures=1,
    outbox=Outbox((Entry(1, Outgoing("message_1", "hello", "c"), 200.0),)),
)


SENDING = Request(
    E.SEND_MESSAGES, Lane.SEND, 1, SendMessage(Outgoing("message_1", "hello", "c"), 1, 1)
)
UNDER_ONE = attrs.evolve(SENDING, payload=attrs.evolve(SENDING.payload, tokens_accepted=1))
REQUESTS: dict[Trigger, Request] = dict.fromkeys(
    (Trigger.SENT, Trigger.SEND_UNAUTHORISED, Trigger.SEND_REFUSED, Trigger.SEND_FAILED), SENDING
)
ERRORS: dict[Trigger, SupportChatError] = {
    Trigger.SEND_UNAUTHORISED: AuthRefusedError("who are you?"),
    Trigger.SEND_REFUSED: BackendRejectedError("no"),
    Trigger.SEND_FAILED: NetworkError("down"),
}


def moment(trigger: Trigger = Trigger.PROCEED, *, silent: float = 0.0, **brings: Any) -> Moment:
    """A moment at 100 s, with a result of the trigger's type, or with its error, and with the
    message that it is the outcome of.
    """
    brings = {
        "result": RESULTS.get(trigger),
        "error": ERRORS.get(trigger),
        "request": REQUESTS.get(trigger),
        **brings,
    }
    return Moment(trigger, Now(100.0, 100.0 - silent), Settings(), KEYS, **brings)


def facts(context: Context, when: Moment) -> set[str]:
    """The facts that are read as true."""
    read = {fact: kind for fact, kind in FACTS.items() if isinstance(kind, Carried | Derived)}
    return {fact for fact, kind in read.items() if kind.reads and kind.reads(context, when)}


# --- facts ----------------------------------------------------------------------------------------

NOTHING = Context()
FACTS_OF: dict[str, tuple[Context, Moment, set[Fact]]] = {
    "nothing is known and nothing comes": (NOTHING, moment(), set()),
    "a provider for the user": (Context(provider=PROVIDER), moment(), {Fact.PROVIDER}),
    "a target without a provider": (Context(target=Target("u")), moment(), set()),
    "a target with one": (
        Context(target=Target("u", PROVIDER)),
        moment(),
        {Fact.TARGET_PROVIDER},
    ),
    "something to send": (
        Context(updates=Updates(recorded={"a": None})),
        moment(),
        {Fact.PENDING},
    ),
    "held and sent updates are not pending": (
        Context(updates=Updates(held={"a": 1}, sent={"b": 1})),
        moment(),
        set(),
    ),
    "a full clear": (
        NOTHING,
        moment(Trigger.SHUTDOWN, arguments=Arguments(clear_storage=True)),
        {Fact.FULL},
    ),
    "a message that has no answer": (
        Context(outbox=FULL.outbox),
        moment(),
        {Fact.QUEUED},
    ),
    "as many as the outbox holds": (
        Context(outbox=Outbox(FULL.outbox.entries * 100)),
        moment(),
        {Fact.QUEUED, Fact.CROWDED},
    ),
    "a message that waits for no link, and there is none": (
        NOTHING,
        moment(Trigger.SEND, arguments=Arguments(queue=False)),
        {Fact.AT_ONCE},
    ),
    "a message that waits for no link, and there is one": (
        Context(up_at=90.0),
        moment(Trigger.SEND, arguments=Arguments(queue=False)),
        set(),
    ),
    "as many messages as the outbox holds, and a mark": (
        Context(up_at=90.0, outbox=Outbox(FULL.outbox.entries * 100)),
        moment(Trigger.SEND, arguments=Arguments(message=MarkRead("c", "m"))),
        {Fact.QUEUED},
    ),
    "as many marks as may be owed, and another": (
        Context(up_at=90.0, outbox=Outbox((Entry(2, MarkRead("c", "m"), 200.0),) * 100)),
        moment(Trigger.SEND, arguments=Arguments(message=MarkRead("c", "m"))),
        {Fact.QUEUED, Fact.CROWDED},
    ),
    "what was for the visitor, whom an identify may have merged": (
        Context(target=Target("u", None, "identify_1")),
        moment(Trigger.SEND_REFUSED, error=BackendRejectedError("no", code=OWNER_CHANGED)),
        {Fact.DISOWNED},
    ),
    "what was refused under an earlier token": (
        Context(tokens_accepted=2),
        moment(Trigger.SEND_UNAUTHORISED, request=UNDER_ONE),
        {Fact.OUTDATED},
    ),
    "what was refused under this token": (
        Context(tokens_accepted=1),
        moment(Trigger.SEND_UNAUTHORISED, request=UNDER_ONE),
        set(),
    ),
    "what was for somebody else": (
        NOTHING,
        moment(Trigger.SEND_REFUSED, error=BackendRejectedError("no", code=OWNER_CHANGED)),
        set(),
    ),
    "a backend that remembers identifies": (NOTHING, moment(Trigger.LINK_UP), set()),
    "a backend that takes them again": (
        NOTHING,
        moment(Trigger.LINK_UP, result=Welcome("s", "v", identify="repeatable")),
        {Fact.REPEATABLE},
    ),
    "what is refused for another reason": (
        Context(target=Target("u", None, "identify_1")),
        moment(Trigger.SEND_REFUSED),
        set(),
    ),
    "a message of another": (NOTHING, moment(Trigger.MESSAGE_ARRIVED), set()),
    "a message of this session": (
        NOTHING,
        moment(Trigger.MESSAGE_ARRIVED, result=OWN),
        {Fact.OWN},
    ),
    "a plain shutdown": (NOTHING, moment(Trigger.SHUTDOWN, arguments=Arguments()), set()),
    "damage in place of a visitor": (
        NOTHING,
        moment(Trigger.VISITOR_READ, result="x" * 21),
        {Fact.DAMAGED},
    ),
    "a visitor's secret": (NOTHING, moment(Trigger.VISITOR_READ, result="x" * 22), set()),
    "silence at its limit": (NOTHING, moment(Trigger.SILENCE_DUE, silent=35.0), {Fact.SILENT}),
    "silence within it": (NOTHING, moment(Trigger.SILENCE_DUE, silent=34.9), set()),
}


@pytest.mark.parametrize("case", FACTS_OF)
def test_the_facts_of_a_moment(case: str) -> None:
    context, when, true = FACTS_OF[case]
    assert facts(context, when) == true


@pytest.mark.parametrize(
    ("lane", "retry_after", "beyond"),
    [
        (Lane.DIAL, 19.9, False),
        (Lane.DIAL, 20.1, True),
        (Lane.IDENTIFY, 29.9, False),
        (Lane.IDENTIFY, 30.1, True),
        (Lane.DIAL, None, False),
    ],
)
def test_a_wait_that_the_backend_asks_for_is_beyond_the_time_of_the_call_it_belongs_to(
    lane: Lane, retry_after: float | None, beyond: bool
) -> None:
    error = NetworkError("down")
    if retry_after is not None:
        error = RateLimitedError("later", retry_after=retry_after)
    when = moment(Trigger.DIAL_FAILED, error=error, request=Request("", lane, 1, None))
    assert (Fact.BEYOND in facts(FULL, when)) is beyond


def test_a_wait_says_nothing_of_an_identify_that_was_asked_before() -> None:
    later = RateLimitedError("later", retry_after=1e6)
    asked = Request(E.SEND_IDENTIFY, Lane.IDENTIFY, 1, None)
    when = moment(Trigger.IDENTIFY_FAILED, error=later, request=asked)
    again = do.send_identify(FULL, moment(Trigger.LINK_UP))
    assert (Fact.BEYOND in facts(FULL, when), Fact.BEYOND in facts(again, when)) == (True, False)


def test_every_fact_that_is_read_can_be_true_and_can_be_false() -> None:
    read = {f for f, k in FACTS.items() if isinstance(k, Carried | Derived) and k.reads}
    error = RateLimitedError("later", retry_after=1e6)
    request = Request(E.SEND_IDENTIFY, Lane.IDENTIFY, 1, None)
    everything = moment(
        Trigger.IDENTIFIED, arguments=ARGUMENTS, error=error, request=request, silent=100.0
    )
    damage = moment(Trigger.VISITOR_READ, result="damage")
    own = moment(Trigger.MESSAGE_ARRIVED, result=OWN)
    crowded = Context(outbox=Outbox(FULL.outbox.entries * 100))
    true = facts(attrs.evolve(FULL, up_at=None), everything) | facts(crowded, own)
    for name in (
        "what was for the visitor, whom an identify may have merged",
        "what was refused under an earlier token",
        "a backend that takes them again",
    ):
        true |= facts(*FACTS_OF[name][:2])
    assert true | facts(NOTHING, damage) == read
    assert facts(NOTHING, moment()) == set()


# --- purity ---------------------------------------------------------------------------------------

REDUCERS = [effect for effect, spec in EFFECTS.items() if getattr(spec, "reduce", None)]


def reduced(context: Context, effect: str, when: Moment) -> Context:
    """The context after this effect."""
    reduce = getattr(EFFECTS[effect], "reduce", None)
    after: Context = reduce(context, when) if reduce else context
    return after


@pytest.mark.parametrize("effect", REDUCERS)
def test_a_reducer_is_pure_on_every_trigger_on_which_the_chart_asks_for_it(effect: str) -> None:
    def in_words(value: Any) -> str:  # an error is equal to itself alone
        return repr(attrs.asdict(value))

    shown = in_words(FULL) + in_words(ARGUMENTS)
    triggers = {
        Trigger(trigger)
        for row in CHART.transitions
        if effect in row.effects
        for trigger in row.trigger
    }
    assert triggers
    for context in (FULL, NOTHING):
        for trigger in triggers:
            when = moment(trigger, arguments=None if trigger in RESULTS else ARGUMENTS)
            after, again = (reduced(context, effect, when) for _ in range(2))
            assert in_words(after) == in_words(again)
            assert facts(context, when) == facts(context, when)
    assert in_words(FULL) + in_words(ARGUMENTS) == shown


# --- one by one -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "before", "after"),
    [
        (Arguments(user_id="u", provider=PROVIDER, fallback=FALLBACK), None, PROVIDER),
        (Arguments(user_id="u", fallback=FALLBACK), None, FALLBACK),
        (Arguments(user_id="u", fallback=FALLBACK), PROVIDER, PROVIDER),
        (Arguments(user_id="u", provider=FALLBACK), PROVIDER, FALLBACK),
        (Arguments(fallback=FALLBACK), None, None),
    ],
)
def test_a_call_s_provider_replaces_the_session_s_and_a_visitor_has_none(
    given: Arguments, before: Provider | None, after: Provider | None
) -> None:
    when = moment(Trigger.BOOT, arguments=given)
    assert do.adopt(Context(provider=before), when).provider is after
    if given.user_id is not None:
        adopted = do.adopt_target(Context(target=Target("u", before)), when).target
        assert adopted == Target("u", after)


def test_what_a_join_brings_while_an_identify_is_out_is_not_lost_when_it_is_committed() -> None:
    """A second boot() of the visitor's session may bring a company; the identify has left without
    it.
    """
    sent = do.send_identify(Context(target=Target("user_1")), moment())
    company = Arguments(changes={"company.plan": "pro"})
    joined = do.adopt(sent, moment(Trigger.BOOT, arguments=company))
    after = do.become_user(joined, moment(Trigger.IDENTIFIED))
    assert after.updates.recorded == {"company.plan": "pro"}


def test_an_identify_is_claimed_on_a_dial_until_its_outcome_is_known() -> None:
    context = do.adopt_target(NOTHING, moment(Trigger.IDENTIFY, arguments=ARGUMENTS))
    assert context.claim is None
    when = moment()
    sent = do.send_identify(context, when)
    assert sent.claim == Claim(when.now.draw("identify").hex(), "user_1")
    assert do.unclaim(sent, moment(Trigger.LINK_UP)).claim is None
    assert do.forget_target(sent, moment()).claim is None
    assert do.become_user(sent, moment(Trigger.IDENTIFIED)).claim is None


def test_an_identify_that_is_asked_again_is_the_same_one_with_what_it_carried() -> None:
    recorded = Updates(recorded={"user.name": "Ann"}, held={"company.plan": "pro"})
    sent = do.send_identify(Context(target=Target("user_1"), updates=recorded), moment())
    held = do.hold(sent, moment(Trigger.UPDATE, arguments=ARGUMENTS))
    again = do.send_identify(held, moment(Trigger.LINK_UP))
    assert (again.claim, again.updates) == (sent.claim, held.updates)
    joined = do.adopt_target(again, moment(Trigger.IDENTIFY, arguments=ARGUMENTS))
    assert joined.target == attrs.evolve(again.target or Target(""), provider=PROVIDER)
    anew = do.send_identify(do.unclaim(again, moment(Trigger.LINK_UP)), moment())
    assert anew.target == attrs.evolve(sent.target or Target(""), again=False)


@pytest.mark.parametrize(
    ("before", "welcome", "after"),
    [
        (None, Welcome("s", "v", cursor="new"), "new"),  # nothing was seen yet
        ("old", Welcome("s", "v", cursor="new"), "old"),  # the replay moves it message by message
        ("old", Welcome("s", "v", cursor="new", gap=True), "new"),  # there is no replay to move it
        ("old", Welcome("s", "v"), "old"),
    ],
)
def test_a_link_that_breaks_during_the_replay_goes_on_where_the_replay_had_come(
    before: str | None, welcome: Welcome, after: str
) -> None:
    up = moment(Trigger.LINK_UP, result=welcome)
    assert do.keep_link(attrs.evolve(FULL, cursor=before), up).cursor == after


def test_a_link_brings_its_session_and_who_it_is_for() -> None:
    after = do.keep_link(FULL, moment(Trigger.LINK_UP))
    assert (after.identity, after.session) == (SignedIn("user_1"), "session_2")
    assert (after.unread, after.up_at) == (4, 100.0)
    welcome = Welcome("s", "visitor_2")
    visitor = do.keep_link(FULL, moment(Trigger.LINK_UP, result=welcome))
    assert visitor.identity == Visitor("visitor_2")


@pytest.mark.parametrize(("visitor", "known"), [("visitor_1", {"a": 1}), ("visitor_2", {})])
def test_of_the_successor_of_a_merged_visitor_the_backend_knows_nothing(
    visitor: str, known: dict[str, int]
) -> None:
    before = Context(identity=Visitor("visitor_1"), updates=Updates(known={"a": 1}))
    after = do.keep_link(before, moment(Trigger.LINK_UP, result=Welcome("s", visitor)))
    assert after.updates.known == known


def test_a_spent_token_is_remembered_by_its_digest_until_another_one_is_accepted() -> None:
    spent = do.spend_token(FULL, moment())
    assert FULL.token is not None
    assert (spent.token, spent.spent) == (None, FULL.token.digest)
    assert do.spend_token(spent, moment()).spent == FULL.token.digest
    assert do.accept_token(spent, moment()).spent is None


def test_the_rules_that_are_one_field_each() -> None:
    for after, expected in (
        (do.keep_visitor(FULL, moment(Trigger.VISITOR_READ)), {"visitor": "secret_2"}),
        (do.drop_token(FULL, moment()), {"token": None}),
        (do.receive(FULL, moment(Trigger.MESSAGE_ARRIVED)), {"cursor": "cursor_3", "unread": 5}),
    ):
        assert after == attrs.evolve(FULL, **expected)


# --- FORGET ---------------------------------------------------------------------------------------

SECRETS = {
    *("user", "visitor", "session", "cursor", "token", "identify", "provider", "target"),
    *(f"update {field.name}" for field in attrs.fields(Updates)),
}


def bound(name: str) -> Any:
    """A token provider that holds something of the user in its closure."""
    secret = f"S-{name}"
    return lambda: secret


def secretive() -> Context:
    """A context in which every field that can hold something of a user does."""
    names = [f"S-update {field.name}" for field in attrs.fields(Updates)]
    token = Token("S-token", 60.0)
    return attrs.evolve(
        FULL,
        user_id="S-user",
        identity=SignedIn("S-user"),
        provider=bound("provider"),
        target=Target("S-target", bound("target"), "S-identify"),
        visitor="S-visitor",
        session="S-session",
        cursor="S-cursor",
        token=token,
        spent=token.digest,
        updates=Updates(*({f"user.traits.{name}": [{"deep": name}]} for name in names)),
    )


def found_in(context: Context) -> set[str]:
    """Which secrets can be got at."""
    values = list(reachable(context))
    texts = [value for value in values if isinstance(value, str)]
    digest = {"digest"} if Token("S-token").digest in values else set[str]()
    return digest | {name for name in SECRETS if any(f"S-{name}" in text for text in texts)}


def test_the_search_finds_everything_that_there_is_to_find() -> None:
    assert found_in(secretive()) == {*SECRETS, "digest"}


ENDS = [row for row in CHART.transitions if E.FORGET in row.effects]


@pytest.mark.parametrize("row", ENDS, ids=lambda row: row.name)
def test_every_row_that_ends_a_session_leaves_nothing_of_the_user_reachable(
    row: Transition,
) -> None:
    for trigger in row.trigger:
        context = secretive()
        for effect in row.effects:
            context = reduced(context, effect, moment(Trigger(trigger)))
        assert found_in(context) == set(), trigger


def test_forget_keeps_what_protects_the_backend() -> None:
    kept = attrs.asdict(do.forget(secretive(), moment()))
    protects = ("failures", "dialled_at", "not_before", "updated_at", "update_failures")
    assert {name: kept[name] for name in protects} == {
        name: getattr(FULL, name) for name in protects
    }
    assert kept == attrs.asdict(Context()) | {name: kept[name] for name in protects}


def test_the_repr_of_a_context_shows_no_secret_and_no_trait() -> None:
    shown = repr(secretive())
    for name in SECRETS - {"user", "target", "cursor", "identify"}:  # ids are no secrets
        assert f"S-{name}" not in shown, name

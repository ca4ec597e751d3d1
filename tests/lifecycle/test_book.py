"""The book: what is true of an occasion, what each effect writes down, and that nothing of a user
is left after FORGET.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from support_chat import (
    CHART,
    Fact,
    NetworkError,
    RateLimitedError,
    Settings,
    SignedIn,
    Trigger,
    Visitor,
)
from support_chat.chart.model import Abandon, Ask, Booked, Carried
from support_chat.lifecycle.chart import SESSION_IS_OVER
from support_chat.lifecycle.context import LANES, Book, Target, facts
from support_chat.lifecycle.effects import EFFECTS
from support_chat.lifecycle.names import Effect as E
from support_chat.lifecycle.names import Lane
from support_chat.lifecycle.occasion import Asked, Occasion
from support_chat.lifecycle.reducers import arrive, note
from support_chat.lifecycle.tokens import Token
from support_chat.lifecycle.updates import Updates
from support_chat.ports import Claim, IdentifyAnswer, MessageArrived, UpdateAnswer, Welcome
from support_chat.values import Message

SETTINGS = Settings()


def provider() -> str:
    return "token"


def fallback() -> str:
    return "another"


MERGED = IdentifyAnswer("user_1", True, 3)
WELCOME = Welcome("session_2", "visitor_2", "user_1", claim=MERGED, cursor="cursor_2", unread=4)
RESULTS: dict[Trigger, object] = {
    Trigger.LINK_UP: WELCOME,
    Trigger.TOKEN_ARRIVED: Token("token_2", 60.0),
    Trigger.VISITOR_READ: "secret_2",
    Trigger.VISITOR_RETIRED: "secret_3",
    Trigger.IDENTIFIED: MERGED,
    Trigger.UPDATED: UpdateAnswer((("user.name", "too long"),)),
    Trigger.MESSAGE_ARRIVED: MessageArrived(
        Message("m", "c", "agent", "hello", 1.0), "cursor_3", 5
    ),
}
ASKED = Asked(
    user_id="user_1",
    changes={"company.plan": "pro"},
    provider=provider,
    timeout=7.0,
    clear_storage=True,
)

FULL = Book(
    serial=50,
    tags=tuple(range(10, 10 + len(LANES))),
    user_id="user_1",
    identity=SignedIn("user_1"),
    provider=provider,
    target=Target("user_1", provider, "identify_1"),
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
    updates=Updates(
        recorded={"user.name": "recorded"},
        sent={"user.name": "sent"},
        held={"user.name": "held"},
        carried={"user.name": "carried"},
        carried_held={"user.name": "carried_held"},
        known={"user.name": "known"},
    ),
    updated_at=(70.0, 80.0),
    update_failures=1,
)


def occasion(trigger: Trigger = Trigger.PROCEED, now: float = 100.0, **rest: Any) -> Occasion:
    given: dict[str, Any] = {"result": RESULTS.get(trigger), "fresh_id": "fresh", **rest}
    return Occasion(trigger, now, **given)


def written(effect: str) -> Iterator[Trigger]:
    """The triggers on which the chart asks for an effect: those whose occasions it may be noted
    with.
    """
    for row in CHART.transitions:
        if effect in row.effects:
            yield from (Trigger(trigger) for trigger in row.trigger)


# --- facts ----------------------------------------------------------------------------------------

TRUE: tuple[tuple[str, Book, Occasion, set[Fact]], ...] = (
    ("nothing is known and nothing comes", Book(), occasion(heard_at=100.0), set()),
    ("a provider for the user", Book(provider=provider), occasion(heard_at=100.0), {Fact.PROVIDER}),
    ("a target without a provider", Book(target=Target("u")), occasion(heard_at=100.0), set()),
    (
        "a target with one",
        Book(target=Target("u", provider)),
        occasion(heard_at=100.0),
        {Fact.TARGET_PROVIDER},
    ),
    (
        "something to send",
        Book(updates=Updates(recorded={"a": None})),
        occasion(heard_at=100.0),
        {Fact.PENDING},
    ),
    (
        "held updates are not pending",
        Book(updates=Updates(held={"a": 1}, sent={"b": 1})),
        occasion(heard_at=100.0),
        set(),
    ),
    (
        "a full clear",
        Book(),
        occasion(Trigger.SHUTDOWN, heard_at=100.0, asked=Asked(clear_storage=True)),
        {Fact.FULL},
    ),
    ("a plain shutdown", Book(), occasion(Trigger.SHUTDOWN, heard_at=100.0, asked=Asked()), set()),
    ("a merge", Book(), occasion(Trigger.IDENTIFIED, heard_at=100.0, result=MERGED), {Fact.MERGED}),
    (
        "a merge learnt from a dial",
        Book(),
        occasion(Trigger.LINK_UP, heard_at=100.0, result=WELCOME),
        {Fact.MERGED},
    ),
    (
        "no merge",
        Book(),
        occasion(Trigger.IDENTIFIED, heard_at=100.0, result=IdentifyAnswer("u", False)),
        set(),
    ),
    ("silence at its limit", Book(), occasion(Trigger.SILENCE_DUE, heard_at=65.0), {Fact.SILENT}),
    ("silence within it", Book(), occasion(Trigger.SILENCE_DUE, heard_at=65.1), set()),
)


@pytest.mark.parametrize(("case", "book", "when", "true"), TRUE, ids=[case for case, *_ in TRUE])
def test_the_facts_of_an_occasion(case: str, book: Book, when: Occasion, true: set[Fact]) -> None:
    assert set(facts(book, when, SETTINGS)) == true


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
    error = (
        NetworkError("down")
        if retry_after is None
        else RateLimitedError("later", retry_after=retry_after)
    )
    when = occasion(Trigger.DIAL_FAILED, error=error, lane=lane)
    assert (Fact.BEYOND in facts(FULL, when, SETTINGS)) is beyond


def test_every_fact_from_the_book_or_the_trigger_can_be_true_and_can_be_false() -> None:
    outside = {fact for fact, kind in CHART.facts.items() if isinstance(kind, Booked | Carried)}
    error = RateLimitedError("later", retry_after=1e6)
    seen = set[str]()
    for when in (
        occasion(Trigger.IDENTIFIED, asked=ASKED, error=error, lane=Lane.IDENTIFY),
        occasion(heard_at=100.0),
    ):
        seen |= set(facts(FULL, when, SETTINGS))
    assert seen == outside
    assert facts(Book(), occasion(heard_at=100.0), SETTINGS) == ()


# --- tags -----------------------------------------------------------------------------------------

ASKS = [(effect, spec) for effect, spec in EFFECTS.items() if isinstance(spec, Ask)]


def is_late(book: Book, lane: Lane, tag: int) -> bool:
    return Fact.LATE in facts(book, occasion(lane=lane, tag=tag), SETTINGS)


def trigger_of(effect: str) -> Trigger:
    return next(written(effect))


@pytest.mark.parametrize(("effect", "spec"), ASKS, ids=[effect for effect, _ in ASKS])
def test_only_the_last_one_asked_on_a_lane_is_current(effect: str, spec: Ask) -> None:
    lane, when = Lane(spec.lane), occasion(trigger_of(effect))
    if spec.several:  # any number at once, all of them this link's
        assert note(FULL, effect, when, SETTINGS).tags == FULL.tags
        return
    first = note(FULL, effect, when, SETTINGS)
    second = note(first, effect, when, SETTINGS)
    assert not is_late(first, lane, first.tag(lane))
    assert is_late(second, lane, first.tag(lane))
    assert not is_late(second, lane, second.tag(lane))
    assert len({FULL.tag(lane), first.tag(lane), second.tag(lane), 0}) == 4
    for other in set(LANES) - {lane}:
        if effect != E.RELEASE:
            assert first.tag(other) == FULL.tag(other), (
                "another lane's outcome is as current as before"
            )


@pytest.mark.parametrize("lane", [lane for lane in LANES if lane is not Lane.LINK])
def test_an_outcome_comes_once_the_second_one_with_its_tag_is_late(lane: Lane) -> None:
    tag = FULL.tag(lane)
    after = arrive(FULL, occasion(lane=lane, tag=tag))
    assert is_late(after, lane, tag)
    assert {other for other in LANES if after.tag(other) != FULL.tag(other)} == {lane}


def test_a_link_goes_on_to_deliver() -> None:
    tag = FULL.tag(Lane.LINK)
    assert arrive(FULL, occasion(Trigger.MESSAGE_ARRIVED, lane=Lane.LINK, tag=tag)) is FULL


@pytest.mark.parametrize("lane", LANES)
def test_a_late_outcome_does_not_end_what_is_current(lane: Lane) -> None:
    assert arrive(FULL, occasion(lane=lane, tag=FULL.tag(lane) + 1)) is FULL
    assert arrive(FULL, occasion()) is FULL


ABANDONS = [(effect, spec) for effect, spec in EFFECTS.items() if isinstance(spec, Abandon)]


@pytest.mark.parametrize(("effect", "spec"), ABANDONS, ids=[effect for effect, _ in ABANDONS])
def test_what_is_abandoned_is_late_and_nothing_else_is(effect: str, spec: Abandon) -> None:
    after = note(FULL, effect, occasion(trigger_of(effect)), SETTINGS)
    for lane in LANES:
        assert is_late(after, lane, FULL.tag(lane)) is (lane in spec.lanes)


def test_after_a_shutdown_and_another_boot_every_outcome_of_the_session_before_is_late() -> None:
    after = FULL
    for effect in (*SESSION_IS_OVER, E.READ_VISITOR, E.FETCH_TOKEN, E.DIAL):
        after = note(after, effect, occasion(Trigger.SHUTDOWN), SETTINGS)
    for lane in (
        Lane.VISITOR,
        Lane.TOKEN,
        Lane.DIAL,
        Lane.LINK,
        Lane.IDENTIFY,
        Lane.UPDATE,
        Lane.RENEW,
    ):
        assert is_late(after, lane, FULL.tag(lane)), lane
    for lane in (Lane.CLEAR, Lane.PART):  # they belong to the shutdown that asked for them
        assert not is_late(after, lane, FULL.tag(lane)), lane


def test_a_tag_is_never_given_twice() -> None:
    book, given = Book(), list[int]()
    for _ in range(3):
        for effect, spec in ASKS:
            if not spec.several and effect != E.RELEASE:
                book = note(book, effect, occasion(trigger_of(effect)), SETTINGS)
                given.append(book.tag(Lane(spec.lane)))
        book = note(book, E.FORGET, occasion(), SETTINGS)
    assert len(given) == len(set(given))


# --- purity ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", list(EFFECTS))
def test_noting_an_effect_is_pure_on_every_trigger_that_may_cause_it(effect: str) -> None:
    snapshot = _frozen(FULL)
    for book in (FULL, Book()):
        for trigger in dict.fromkeys(written(effect)):
            when = occasion(trigger, asked=ASKED if RESULTS.get(trigger) is None else None)
            assert note(book, effect, when, SETTINGS) == note(book, effect, when, SETTINGS)
            assert facts(book, when, SETTINGS) == facts(book, when, SETTINGS)
            assert arrive(book, when) == arrive(book, when)
    assert _frozen(FULL) == snapshot


def _frozen(book: Book) -> str:
    return repr(attrs.asdict(book)) + repr(attrs.asdict(ASKED))


def test_an_effect_that_writes_nothing_down_returns_the_very_same_book() -> None:
    for effect in (
        E.TELL_READY,
        E.DONE,
        E.REFUSE,
        E.ARM_RETRY,
        E.SETTLE_BOOT,
        E.DISARM,
        E.PROCEED,
        E.DISPOSE,
    ):
        assert note(FULL, effect, occasion(), SETTINGS) is FULL


# --- what is written down -------------------------------------------------------------------------


def test_a_call_s_provider_replaces_the_session_s_and_a_visitor_has_none() -> None:
    for asked, before, after in (
        (Asked(user_id="u", provider=provider, fallback=fallback), None, provider),
        (Asked(user_id="u", fallback=fallback), None, fallback),
        (Asked(user_id="u", fallback=fallback), provider, provider),
        (Asked(user_id="u", provider=fallback), provider, fallback),
        (Asked(user_id=None, provider=None, fallback=fallback), None, None),
    ):
        assert (
            note(
                Book(provider=before), E.ADOPT, occasion(Trigger.BOOT, asked=asked), SETTINGS
            ).provider
            is after
        )
        if asked.user_id is not None:
            target = Book(target=Target("u", before))
            adopted = note(
                target, E.ADOPT_TARGET, occasion(Trigger.IDENTIFY, asked=asked), SETTINGS
            ).target
            assert adopted is not None
            assert adopted.provider is after


def test_what_a_join_brings_while_an_identify_is_out_is_not_lost_when_it_is_committed() -> None:
    """A second boot() of the visitor's session may bring a company; the identify has left without
    it.
    """
    sent = note(Book(target=Target("user_1")), E.SEND_IDENTIFY, occasion(), SETTINGS)
    joined = note(
        sent,
        E.ADOPT,
        occasion(Trigger.BOOT, asked=Asked(changes={"company.plan": "pro"})),
        SETTINGS,
    )
    after = note(joined, E.BECOME_USER, occasion(Trigger.IDENTIFIED), SETTINGS)
    assert after.updates.recorded == {"company.plan": "pro"}


def test_an_identify_s_request_is_presented_on_a_dial_until_its_outcome_is_known() -> None:
    book = note(Book(), E.ADOPT_TARGET, occasion(Trigger.IDENTIFY, asked=ASKED), SETTINGS)
    assert book.claim is None
    sent = note(book, E.SEND_IDENTIFY, occasion(), SETTINGS)
    assert sent.claim == Claim("fresh", "user_1")
    assert note(sent, E.UNCLAIM, occasion(Trigger.LINK_UP), SETTINGS).claim is None
    assert note(sent, E.FORGET_TARGET, occasion(), SETTINGS).claim is None
    assert note(sent, E.BECOME_USER, occasion(Trigger.IDENTIFIED), SETTINGS).claim is None


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
    up = occasion(Trigger.LINK_UP, lane=Lane.DIAL, tag=7, result=welcome)
    assert note(attrs.evolve(FULL, cursor=before), E.KEEP_LINK, up, SETTINGS).cursor == after


def test_a_link_brings_its_session_and_who_it_is_for() -> None:
    book = note(FULL, E.KEEP_LINK, occasion(Trigger.LINK_UP, lane=Lane.DIAL, tag=7), SETTINGS)
    assert (book.identity, book.session, book.unread, book.up_at) == (
        SignedIn("user_1"),
        "session_2",
        4,
        100.0,
    )
    assert book.tag(Lane.LINK) == 7
    visitor = note(
        FULL, E.KEEP_LINK, occasion(Trigger.LINK_UP, result=Welcome("s", "visitor_2")), SETTINGS
    )
    assert visitor.identity == Visitor("visitor_2")


def test_a_spent_token_is_remembered_by_its_digest_until_another_one_is_accepted() -> None:
    spent = note(FULL, E.SPEND_TOKEN, occasion(), SETTINGS)
    assert FULL.token is not None
    assert (spent.token, spent.spent) == (None, FULL.token.digest)
    assert note(spent, E.SPEND_TOKEN, occasion(), SETTINGS).spent == FULL.token.digest
    assert note(spent, E.ACCEPT_TOKEN, occasion(), SETTINGS).spent is None


# --- FORGET ---------------------------------------------------------------------------------------

SECRETS = {
    "user": "S-user",
    "visitor": "S-visitor",
    "session": "S-session",
    "cursor": "S-cursor",
    "token": "S-token",
    "identify": "S-identify",
    "recorded": "S-recorded",
    "sent": "S-sent",
    "held": "S-held",
    "carried": "S-carried",
    "carried_held": "S-carried_held",
    "known": "S-known",
    "provider": "S-provider",
    "target": "S-target",
}


def bound(name: str) -> Any:
    """A token provider that holds something of the user in its closure."""
    secret = SECRETS[name]
    return lambda: secret


def secretive() -> Book:
    """A book in which every field that can hold something of a user does."""
    updates = {
        name: {f"user.traits.{SECRETS[name]}": [{"deep": SECRETS[name]}]}
        for name in attrs.asdict(Updates())
    }
    token = Token(SECRETS["token"], 60.0)
    return attrs.evolve(
        FULL,
        user_id=SECRETS["user"],
        identity=SignedIn(SECRETS["user"]),
        provider=bound("provider"),
        target=Target(SECRETS["target"], bound("target"), SECRETS["identify"]),
        visitor=SECRETS["visitor"],
        session=SECRETS["session"],
        cursor=SECRETS["cursor"],
        token=token,
        spent=token.digest,
        updates=Updates(**updates),
    )


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
        kind: Any = value.__class__
        fields: list[Any] = list(getattr(kind, "__attrs_attrs__", ()))
        if issubclass(kind, dict):
            waiting += [*value.keys(), *value.values()]
        elif issubclass(kind, tuple | list | set | frozenset):
            waiting += list(value)
        elif kind is types.FunctionType:
            waiting += [cell.cell_contents for cell in value.__closure__ or ()] + list(
                value.__defaults__ or ()
            )
        elif not issubclass(kind, type):
            waiting += [getattr(value, field.name) for field in fields]
            waiting += list(getattr(value, "__dict__", {}).values())


def found_in(book: Book) -> set[str]:
    digest = Token(SECRETS["token"]).digest
    values = list(reachable(book))
    shown = {
        name
        for name, secret in SECRETS.items()
        if any(isinstance(value, str) and secret in value for value in values)
    }
    return shown | ({"digest"} if digest in values else set())


def test_the_search_finds_everything_that_there_is_to_find() -> None:
    assert found_in(secretive()) == {*SECRETS, "digest"}


def test_forget_leaves_nothing_of_the_user_reachable() -> None:
    assert found_in(note(secretive(), E.FORGET, occasion(), SETTINGS)) == set()


@pytest.mark.parametrize(
    "row", [row for row in CHART.transitions if E.FORGET in row.effects], ids=lambda row: row.name
)
def test_every_row_that_ends_a_session_leaves_nothing_of_the_user_reachable(row: Any) -> None:
    for trigger in row.trigger:
        book = secretive()
        for effect in row.effects:
            book = note(book, effect, occasion(Trigger(trigger)), SETTINGS)
        assert found_in(book) == set(), trigger


def test_forget_keeps_what_protects_the_backend_and_the_tags() -> None:
    kept = note(secretive(), E.FORGET, occasion(), SETTINGS)
    for name in (
        "serial",
        "tags",
        "failures",
        "dialled_at",
        "not_before",
        "updated_at",
        "update_failures",
    ):
        assert getattr(kept, name) == getattr(FULL, name)


def test_the_repr_of_a_book_shows_no_secret_and_no_trait() -> None:
    shown = repr(secretive())
    for name in set(SECRETS) - {"user", "target", "cursor", "identify"}:  # ids are no secrets
        assert SECRETS[name] not in shown, name

"""The engine, driven without a loop.

On a thousand random lives, whatever comes in, in whatever order:

- S20 each call is settled at most once, and waits until then;
- L1 every call is settled by the end: after destroy() and what then expires, nobody waits, though
  every adapter hangs;
- S25 each link that a dial has brought is kept or closed, also one that comes after the end;
- S4 no request holds a value (id, trait, token, provider, session, visitor's secret) of another
  identity or of another session than the one that it is for;
- a log of inputs replays: the same inputs give the same commands, whoever steps the engine.

Each of these can fail: charts with one fault each are found within some lives, and the seed that
finds one finds it again.

One by one: calls that nobody awaits any more, what is superseded, and what no chart knows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, cast

import attrs
import pytest

from driving import KEYS, GoesWell, Life, Provider, reachable
from support_chat import CHART, Chart, Fact, Phase, Settings
from support_chat.chart.model import EffectSpec, Note
from support_chat.engine import (
    AwaiterCame,
    AwaiterLeft,
    CallMade,
    Close,
    Engine,
    Expired,
    Heard,
    Hinted,
    Input,
    LimitReachedError,
    Moment,
    Now,
    Outcome,
    Perform,
    Reaction,
    Request,
    Settle,
)
from support_chat.errors import ChartError, SessionEndedError
from support_chat.lifecycle import requests
from support_chat.lifecycle.chart import ONLINE
from support_chat.lifecycle.context import Context
from support_chat.lifecycle.delays import DELAYS
from support_chat.lifecycle.names import Effect as E
from support_chat.lifecycle.names import Trigger as T
from support_chat.lifecycle.requests import Dial, FetchToken, Identify, Revoke
from support_chat.lifecycle.semantics import SEMANTICS
from support_chat.ports import ListConversations, SessionRevoked, TokenExpired

SEEDS = range(1000)
STEPS = 40


# --- lives ----------------------------------------------------------------------------------------


def lived(seed: int, chart: Chart = CHART) -> Life:
    """A random life to its end, with every promise looked at. Raises AssertionError with the story
    of how one was broken.
    """
    life = Life.begin(random.Random(seed), chart)
    try:
        life.live(STEPS, s04_nothing_of_another_identity)
        life.end(s04_nothing_of_another_identity)
        assert not life.unsettled, "L1 somebody waits after the end"
        assert not life.account.open, "S25 a link is open after the end"
    except AssertionError as broken:
        what = str(broken).partition("\n")[0]
        raise AssertionError(f"{what} (seed {seed})\n{life.story}") from broken
    return life


def s04_nothing_of_another_identity(life: Life) -> None:
    """S4 Nothing of another identity, or of a session that has ended, is in any request."""
    taken = life.log[-1]
    ends = life.holds(Fact.BOOTED, taken.before) and not life.holds(Fact.BOOTED)
    for request in taken.asked:
        whom = for_whom(life, request)
        for user, session in owners_in(life, request):
            assert user in (None, whom), f"S4 {request.effect} has a value of another user"
            assert session == life.sessions - ends, f"S4 {request.effect} has an old value"


def owners_in(life: Life, root: object) -> list[tuple[str | None, int]]:
    """Whom the values belong to that can be got at, and in which session."""
    values = [value for value in reachable(root) if isinstance(value, str)]
    return [life.owners[value] for value in values if value in life.owners]


def for_whom(life: Life, request: Request) -> str | None:
    """The user whom a request is for, and says that it is for."""
    user, target = life.snapshot.state.registers
    match request.payload:
        case Identify(asked):
            assert asked.user_id == target, "S4 another target"
            carried = {life.owners.get(str(value)) for value in asked.visitor_changes.values()}
            assert {owner and owner[0] for owner in carried} <= {None}, "S4 a user's as a visitor's"
            return target
        case Dial(credentials):
            assert credentials.user_id == user, "S4 a dial as another user"
            return user if credentials.claim is None else target
        case FetchToken(_, named):
            assert named == (user or target), "S4 a token of another user"
            return named
        case _:
            return user


def test_every_promise_holds_on_every_life() -> None:
    reached, held = set[str](), set[str | None]()
    for seed in SEEDS:
        life = lived(seed)
        reached |= {taken.before.state.phase for taken in life.log}
        held |= {user for taken in life.log for user, _ in owners_in(life, taken.asked)}
    assert reached == set(Phase)
    assert held == {None, "ann", "bob"}, "requests that hold nothing of anybody prove nothing"


def replayed(seed: int, chart: Chart = CHART) -> None:
    """Raises AssertionError if the log of a life does not replay on another engine."""
    life = Life.begin(random.Random(seed), chart)
    life.live(STEPS)
    engine = Engine(chart, Settings(), KEYS)
    snapshot = engine.initial
    for number, taken in enumerate(life.log, 1):
        again = engine.step(snapshot, taken.happened, taken.now)
        same = plain(again) == plain(taken.reaction)
        assert same, f"replay: step {number} differs (seed {seed})"
        snapshot = again.snapshot


def plain(value: object) -> object:
    """The value with what cannot be compared (errors are equal only to themselves) in words."""
    if isinstance(value, BaseException):
        return type(value), str(value), plain(value.__cause__)
    if attrs.has(kind := type(value)):
        return kind, *(plain(getattr(value, field.name)) for field in attrs.fields(kind))
    if isinstance(value, tuple):
        return tuple(map(plain, cast("tuple[object, ...]", value)))
    return value


def test_a_log_of_inputs_replays_to_the_same_commands() -> None:
    for seed in SEEDS[:100]:
        replayed(seed)


# --- each promise can fail ------------------------------------------------------------------------


def nothing(effect: E) -> Chart:
    """The chart with this effect doing nothing."""
    return with_effect(effect, Note(doc="do nothing"))


def with_effect(effect: E, spec: EffectSpec) -> Chart:
    """The chart with another spec of this effect."""
    return attrs.evolve(CHART, effects={**CHART.effects, effect: spec})


def with_rows(changed: Callable[[tuple[str, ...]], tuple[str, ...]], having: E) -> Chart:
    """The chart with other effects in the rows that have this one."""
    rows = [
        attrs.evolve(row, effects=changed(row.effects)) if having in row.effects else row
        for row in CHART.transitions
    ]
    return attrs.evolve(CHART, transitions=rows)


def by_chance(context: Context, moment: Moment) -> float:
    return random.random()


def dial_as_the_target(context: Context, moment: Moment) -> Dial:
    target = context.target.user_id if context.target else context.user_id
    return Dial(attrs.evolve(requests.dial(context, moment).credentials, user_id=target))


BY_CHANCE = dict.fromkeys(DELAYS, by_chance)
DIAL: Any = CHART.effects[E.DIAL]
MUTANTS: dict[str, tuple[str, Chart]] = {
    "the end of a session does not cut its link": (
        "S25",
        with_rows(lambda effects: tuple(e for e in effects if e != E.CUT), having=E.FORGET),
    ),
    "the end of a session fails no boot": ("L1", nothing(E.FAIL_BOOT)),
    "the end of a session fails no identify": ("L1", nothing(E.FAIL_IDENTIFY)),
    "who waits for a parting alone waits for ever": ("L1", nothing(E.SETTLE_DETACHED)),
    "the end of a session forgets nothing": ("S4", nothing(E.FORGET)),
    "a target is not forgotten": ("S4", nothing(E.FORGET_TARGET)),
    "a dial is made as somebody else": (
        "S4",
        with_effect(E.DIAL, attrs.evolve(DIAL, request=dial_as_the_target)),
    ),
    "a link that comes too late is left open": ("S25", nothing(E.DISPOSE)),
    "a call that waits is told that it is done": (
        "S20",
        with_rows(lambda effects: (*effects, E.DONE), having=E.JOIN_BOOT),
    ),
    "a delay is drawn from elsewhere": (
        "replay",
        attrs.evolve(
            CHART, semantics=attrs.evolve(SEMANTICS, delays=dict.fromkeys(DELAYS, by_chance))
        ),
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_what_breaks_a_promise_is_found_and_its_seed_finds_it_again(mutant: str) -> None:
    promise, chart = MUTANTS[mutant]
    look = replayed if promise == "replay" else lived
    first = next((found for seed in SEEDS if (found := broken(look, seed, chart))), "")
    assert first.startswith(promise)
    seed = int(first.partition("(seed ")[2].partition(")")[0])
    assert broken(look, seed, chart) == first


def broken(look: Callable[[int, Chart], object], seed: int, chart: Chart) -> str:
    """What is wrong with the life of this seed, and its story; "" if nothing is."""
    try:
        look(seed, chart)
    except AssertionError as found:
        return str(found)
    return ""


# --- calls that nobody awaits ---------------------------------------------------------------------


@pytest.fixture
def life() -> Life:
    """A life in which everything goes well."""
    return Life.begin(GoesWell())


def live(life: Life, user: str | None = None) -> None:
    """Boots, and brings the session up."""
    life.call(T.BOOT, user_id=user, provider=user and Provider(user))
    while life.phase not in ONLINE:
        life.go_on()


def test_a_boot_is_abandoned_when_the_last_one_who_awaits_it_has_left(life: Life) -> None:
    first, second = (life.call(T.BOOT) for _ in range(2))
    assert life.take(AwaiterLeft(first)).reaction.fired == ()
    assert life.snapshot.abandoned == {first}
    reaction = life.take(AwaiterLeft(second)).reaction
    assert [row.name for row in reaction.rows] == ["boot.abandoned_waiting"]
    settled = [c for c in reaction.commands if isinstance(c, Settle)]
    assert [c.call for c in settled] == [first, second]
    assert {type(c.error) for c in settled} == {SessionEndedError}
    assert life.snapshot.abandoned == frozenset()


def test_a_call_that_is_awaited_again_goes_on(life: Life) -> None:
    first, second = (life.call(T.BOOT) for _ in range(2))
    life.take(AwaiterLeft(first))
    assert life.take(AwaiterCame(first)).reaction.commands == ()
    assert life.take(AwaiterLeft(second)).reaction.fired == (), "the first is awaited again"
    while life.phase not in ONLINE:
        life.go_on()
    assert life.unsettled == set()
    assert life.take(AwaiterLeft(second)).reaction == Reaction(life.snapshot, (), ())


def test_a_call_that_waits_for_no_slot_is_not_abandoned(life: Life) -> None:
    """A message that was sent is sent, whoever awaits it."""
    live(life)
    call = life.call(T.USE, use=ListConversations())
    assert life.take(AwaiterLeft(call)).reaction.commands == ()
    life.go_on()
    assert life.unsettled == set()


# --- what is superseded, and what no chart knows --------------------------------------------------


def test_an_outcome_that_is_over_its_limit_and_comes_all_the_same_is_superseded(
    life: Life,
) -> None:
    life.call(T.BOOT)
    while not (asked := [r for r in life.account.asked.values() if r.effect == E.DIAL]):
        life.go_on()
    life.take(Outcome(asked[0], error=LimitReachedError(5.0)))
    welcome = life.result(asked[0])
    late = life.take(Outcome(asked[0], welcome))
    assert not late.current
    close, revoke = late.reaction.commands
    assert close == Close(asked[0].number)
    assert isinstance(revoke, Perform)
    assert revoke.request.payload == Revoke(welcome.session)
    assert life.take(Outcome(revoke.request)).reaction == Reaction(life.snapshot, (), ())


def test_a_link_that_the_session_does_not_have_says_nothing(life: Life) -> None:
    live(life)
    for event in (TokenExpired(), SessionRevoked(), None):
        reaction = life.take(Heard(10_000, event)).reaction
        assert (reaction.commands, reaction.snapshot.state.phase) == ((), Phase.ANONYMOUS)


def test_what_no_request_asked_for_changes_nothing(life: Life) -> None:
    stranger = Request(E.CHECK_ADAPTERS, "load", 10_000, None)
    life.call(T.LOAD)
    assert life.take(Outcome(stranger)).reaction.commands == ()
    assert life.phase == Phase.LOADING


@pytest.mark.parametrize(
    "happened",
    [
        Expired("no such timer"),
        Hinted("no such trigger"),
        CallMade(1, "no such trigger"),
        Outcome(Request("no such effect", "load", 1, None)),
    ],
    ids=lambda happened: type(happened).__name__,
)
def test_what_the_chart_does_not_know_is_an_error_and_changes_nothing(happened: Input) -> None:
    engine = Engine(CHART, Settings(), KEYS)
    with pytest.raises(KeyError, match="no such"):
        engine.step(engine.initial, happened, Now(0.0))


def test_nothing_comes_of_an_effect_that_asks_for_nothing() -> None:
    engine = Engine(CHART, Settings(), KEYS)
    with pytest.raises(ChartError, match="asks for nothing"):
        engine.step(engine.initial, Outcome(Request(E.FORGET, "load", 1, None)), Now(0.0))


def test_a_chart_that_means_nothing_cannot_be_run() -> None:
    with pytest.raises(ChartError, match="give it `semantics`"):
        Engine(attrs.evolve(CHART, semantics=None), Settings(), KEYS)

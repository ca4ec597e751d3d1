"""N1, N3 and N4 once more, with the whole chart at work: whatever is called and whatever happens,
in whatever order, no path through the chart goes around the delays (`test_delays.py`).

- N1 dials keep their distance, and what the backend asks for;
- N3 so do token calls, but for those that a call asks for;
- N4 updates keep the burst of every window, across shutdown and boot.

A story says what happens next (which call, how an adapter answers, that time passes); the engine
says what is done, and each dial, token call and update is looked at when it starts. Nothing here
knows what a phase means.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping

import attrs
import pytest
from hypothesis import example, given, settings, strategies as st

from driving import GoesWell, Life, Provider, Taken
from support_chat import CHART, Chart, NetworkError, RateLimitedError, Settings
from support_chat.engine import Heard, Hinted, Moment, Outcome, Request
from support_chat.errors import AuthRefusedError, BackendRejectedError, TokenRefusedError
from support_chat.lifecycle.context import Context
from support_chat.lifecycle.names import Effect as E, Trigger as T
from support_chat.lifecycle.semantics import SEMANTICS
from support_chat.ports import TokenExpired

LIMITS = Settings(
    update_burst=3,
    update_window=60.0,
    update_interval=1.0,
    min_refresh_interval=5.0,
    backoff_min=0.1,
)
CLOSE = 1e-6  # times are sums of floats


# --- the promises, of everything that was done ----------------------------------------------------


def n1_dials_keep_their_distance(life: Life) -> None:
    last, wanted = -math.inf, 0.0
    for taken in life.log:
        match taken.happened:
            case Outcome(Request(E.DIAL), _, RateLimitedError() as error) if taken.current:
                wanted = max(wanted, taken.now.at + error.retry_after)
            case _:
                pass
        if E.DIAL in taken.effects:
            assert taken.now.at >= last + LIMITS.backoff_min - CLOSE, f"N1: {names(taken)}"
            assert taken.now.at >= wanted - CLOSE, f"N1: the backend is not ready: {names(taken)}"
            last = taken.now.at


def n3_renewals_keep_their_distance(life: Life) -> None:
    last = -math.inf
    for taken in life.log:
        if {E.FETCH_TOKEN, E.FETCH_TARGET_TOKEN} & set(taken.effects):
            by_call = any(row.startswith("identify.") for row in names(taken))
            kept = taken.now.at >= last + LIMITS.min_refresh_interval - CLOSE
            assert kept or by_call, f"N3: {names(taken)}"
            last = taken.now.at
        if E.FORGET in taken.effects:
            last = -math.inf  # the next session's first token is no renewal


def n4_updates_keep_the_burst_of_every_window(life: Life) -> None:
    left = [taken.now.at for taken in life.log if E.SEND_UPDATE in taken.effects]
    for first, beyond in zip(left, left[LIMITS.update_burst :], strict=False):
        assert beyond >= first + LIMITS.update_window - CLOSE, "N4"


def names(taken: Taken) -> list[str]:
    return [row.name for row in taken.reaction.rows]


# --- stories --------------------------------------------------------------------------------------

Thing = tuple[str, int, float]
"""What happens, and whatever it needs to be chosen: which one, and how long or how much."""
ERRORS: Mapping[str, Callable[[float], Exception]] = {
    "fails": lambda _: NetworkError("down"),
    "is limited": lambda seconds: RateLimitedError("later", retry_after=seconds),
    "is refused": lambda seconds: (TokenRefusedError if seconds < 10 else AuthRefusedError)("no"),
    "is rejected": lambda _: BackendRejectedError("no"),
}


def do(life: Life, thing: Thing) -> None:
    """Makes it happen, if it can."""
    what, which, number = thing
    link, pending = life.account.link, [request for request, _ in life.pending.values()]
    provider = Provider("tokens")
    match what:
        case "boot":
            life.call(T.BOOT)
        case "boot as a user":
            life.call(T.BOOT, user_id="ann", provider=provider)
        case "identify":
            life.call(T.IDENTIFY, user_id="ann", provider=provider if which % 2 else None)
        case "update":
            life.call(T.UPDATE, changes={"context.n": life.new()})
        case "shut down":
            life.call(T.SHUTDOWN, clear_storage=bool(which % 2))
        case "online" | "offline":
            life.take(Hinted(f"go_{what}"))
        case "the link breaks" | "the token expires" if link is not None:
            lost = what == "the link breaks"
            life.take(Heard(link, None if lost else TokenExpired(), NetworkError("down")))
        case "time passes":
            soon = [life.due[timer] for timer in life.account.timers]
            life.at = max(life.at, min([life.at + number, *soon]))
        case "a timer expires":
            life.wait()
        case "goes on":
            life.go_on()
        case "succeeds" if pending:
            request = pending[which % len(pending)]
            life.take(Outcome(request, life.result(request)))
        case _ if pending and what in ERRORS:
            request = pending[which % len(pending)]
            life.take(Outcome(request, error=ERRORS[what](number)))
        case _:
            pass


THINGS = st.one_of(
    st.just("goes on"),
    st.just("goes on"),
    st.sampled_from(
        (
            *("boot", "boot as a user", "identify", "update", "update", "shut down"),
            *("online", "offline", "the link breaks", "the token expires", "time passes"),
            *("a timer expires", "succeeds", "fails", "fails", *ERRORS),
        )
    ),
)
STORIES = st.lists(
    st.tuples(THINGS, st.integers(0, 5), st.floats(0.0, 20.0)), min_size=1, max_size=80
)
ROLLS = st.one_of(st.builds(GoesWell), st.integers(0, 2**32 - 1).map(random.Random))
BEGINNINGS = {
    "from nothing": [],
    "live as a visitor": ["boot", *["goes on"] * 4],
    "live as a user": ["boot as a user", *["goes on"] * 6],
}
ATTEMPT = ["a timer expires", "goes on"]
"""The timer of the retry, and the look at the visitor; then the token, or the dial."""
FLAPPING = ["the link breaks", *ATTEMPT, "goes on"] * 3
BROKEN_PROVIDER = ["the token expires", "the link breaks", *[*ATTEMPT, "fails"] * 3]
IMPATIENT = [
    *("the token expires", "the link breaks", *ATTEMPT, "fails", "online", *ATTEMPT, "fails"),
    *("online", *ATTEMPT),
]
LATE_TOKEN = [
    *("goes on", "goes on", "the link breaks", *ATTEMPT, "fails", *ATTEMPT),
    *("goes on", "fails", "a timer expires"),
]
RATE_LIMITED = ["the link breaks", *[*ATTEMPT, "is limited"] * 3]
SHORT_LIVED = ["goes on"] * 9
UPDATES = ["update", "goes on", "goes on"] * 6
LOST_UPDATES = ["update", "goes on", "fails", "the link breaks", *["goes on"] * 3] * 5


def plain(things: list[str]) -> list[Thing]:
    return [(thing, 1, 10.0) for thing in things]


def told(
    beginning: str, story: list[Thing], roll: random.Random | None = None, chart: Chart = CHART
) -> Life:
    """The life of a story, with every promise looked at. It begins well."""
    life = Life.begin(GoesWell(), chart, LIMITS)
    for thing in plain(BEGINNINGS[beginning]):
        do(life, thing)
    life.roll = roll or life.roll
    for thing in story:
        do(life, thing)
    n1_dials_keep_their_distance(life)
    n3_renewals_keep_their_distance(life)
    n4_updates_keep_the_burst_of_every_window(life)
    return life


@pytest.mark.parametrize(
    ("beginning", "phase"),
    [("live as a visitor", "anonymous"), ("live as a user", "authenticated")],
)
def test_the_beginnings_lead_where_they_say(beginning: str, phase: str) -> None:
    assert told(beginning, []).phase == phase


@pytest.mark.parametrize("beginning", BEGINNINGS)
@given(story=STORIES, roll=ROLLS)
@example(story=plain(FLAPPING), roll=GoesWell())
@example(story=plain(BROKEN_PROVIDER), roll=GoesWell())
@example(story=plain(IMPATIENT), roll=GoesWell())
@example(story=plain(LATE_TOKEN), roll=GoesWell())
@example(story=plain(RATE_LIMITED), roll=GoesWell())
@example(story=plain(SHORT_LIVED), roll=GoesWell())
@example(story=plain(UPDATES), roll=GoesWell())
@example(story=plain(LOST_UPDATES), roll=GoesWell())
@settings(max_examples=100, deadline=None, report_multiple_bugs=False)
def test_no_path_through_the_chart_goes_around_the_distances(
    beginning: str, story: list[Thing], roll: random.Random
) -> None:
    told(beginning, story, roll)


def at_once(context: Context, moment: Moment) -> float:
    """A delay that is none."""
    return 0.0


@pytest.mark.parametrize(
    ("promise", "hasty", "beginning", "story"),
    [
        ("N1", ("dial", "retry"), "live as a visitor", FLAPPING),
        ("N1", ("retry",), "from nothing", ["boot", *["goes on"] * 3, "is limited", "goes on"]),
        ("N3", ("retry",), "live as a user", BROKEN_PROVIDER),
        ("N3", ("renew",), "live as a user", ["the token expires", "goes on"]),
        ("N4", ("update",), "live as a visitor", UPDATES),
    ],
)
def test_a_delay_that_keeps_no_distance_is_found(
    promise: str, hasty: tuple[str, ...], beginning: str, story: list[str]
) -> None:
    delays = {**SEMANTICS.delays, **dict.fromkeys(hasty, at_once)}
    chart = attrs.evolve(CHART, semantics=attrs.evolve(SEMANTICS, delays=delays))
    with pytest.raises(AssertionError, match=promise):
        told(beginning, plain(story), chart=chart)

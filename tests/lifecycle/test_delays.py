"""The four numeric promises of the delays, for every valid `Settings` and over whole sequences of
attempts (N1 to N4).

Each sequence is played on a clock of its own: what a delay says is waited for, then more time may
pass, then the book notes what was done. Tolerances are a billionth of the times involved: a delay
is a difference of floats, and the timer adds it up again.
"""

from __future__ import annotations

import base64
import json
import math
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support_chat.lifecycle.occasion import Asked, Occasion

from support_chat import InvalidInputError, RateLimitedError, Settings, TokenProviderError, Trigger
from support_chat.chart.model import Arm
from support_chat.lifecycle.context import Book
from support_chat.lifecycle.delays import (
    DELAYS,
    Wait,
    backoff,
    backoff_bounds,
    dial_in,
    fetch_in,
    leaves_in,
    probe_in,
    renew_in,
    retry_in,
    update_in,
)
from support_chat.lifecycle.effects import EFFECTS
from support_chat.lifecycle.names import Effect as E
from support_chat.lifecycle.names import Lane
from support_chat.lifecycle.reducers import note
from support_chat.lifecycle.tokens import LONGEST_LIFE, Token, read_token
from support_chat.ports import IdentifyAnswer

ROLLS = st.floats(0.0, 1.0, exclude_max=True)
SECONDS = st.floats(1e-3, 1e5)
PAUSES = st.one_of(st.just(0.0), st.floats(0.0, 10.0), st.floats(0.0, 1e6))


@st.composite
def any_settings(draw: st.DrawFn) -> Settings:
    """Valid settings, the sensible and the silly."""
    backoff_min = draw(st.floats(1e-3, 100.0))
    return Settings(
        backoff_min=backoff_min,
        backoff_base=backoff_min + draw(SECONDS),
        backoff_max=backoff_min + draw(SECONDS),
        stable_after=draw(SECONDS),
        probe_interval=draw(SECONDS),
        refresh_before=draw(SECONDS),
        min_refresh_interval=draw(SECONDS),
        update_burst=draw(st.integers(1, 6)),
        update_window=draw(SECONDS),
        update_interval=draw(SECONDS),
    )


def at(now: float, trigger: Trigger = Trigger.PROCEED, **rest: Any) -> Occasion:
    return Occasion(trigger, now, **rest)


def no_sooner(one: float, other: float) -> bool:
    """Whether `one` is not before `other`, but for the rounding of floats."""
    return one >= other - 1e-9 * max(1.0, abs(other))


# --- N2: every wait has a width -------------------------------------------------------------------


@given(
    n=st.integers(0, 10_000),
    smallest=st.floats(0.0, exclude_min=True, max_value=1e6),
    base=st.floats(1.0, 1e3),
    most=st.floats(1.0, 1e3),
)
@example(n=0, smallest=5e-324, base=4.0, most=4.0)
@example(n=10_000, smallest=1e8, base=2.0, most=2.0)
def test_n2_the_wait_of_every_attempt_has_a_positive_width(
    n: int, smallest: float, base: float, most: float
) -> None:
    settings = Settings(
        backoff_min=smallest,
        backoff_base=max(smallest * base, math.nextafter(smallest, math.inf)),
        backoff_max=max(smallest * most, math.nextafter(smallest, math.inf)),
    )
    least, longest = backoff_bounds(n, settings)
    assert 0 < settings.backoff_min <= least < longest <= settings.backoff_max


@given(n=st.integers(0, 10_000), settings=any_settings(), roll=ROLLS)
def test_a_wait_lies_within_the_bounds_of_its_attempt(
    n: int, settings: Settings, roll: float
) -> None:
    least, longest = backoff_bounds(n, settings)
    assert least <= backoff(n, settings, roll) <= longest
    assert backoff(n, settings, 0.0) == least < backoff(n, settings, 1 - 2**-10)


@given(settings=any_settings(), n=st.integers(0, 60))
def test_the_wait_doubles_until_it_is_capped_and_never_shrinks(settings: Settings, n: int) -> None:
    (_, one), (_, next_one) = backoff_bounds(n, settings), backoff_bounds(n + 1, settings)
    assert next_one == min(2 * one, settings.backoff_max) or one == next_one == settings.backoff_max


def test_settings_whose_first_wait_would_have_no_width_are_refused() -> None:
    for smallest, base, most in (
        (0.5, 0.5, 20.0),
        (0.1, 0.5, 0.1),
        (0.1, 0.1, 20.0),
        (0.1, 0.05, 20.0),
    ):
        with pytest.raises(InvalidInputError, match="no width"):
            Settings(backoff_min=smallest, backoff_base=base, backoff_max=most)


def test_settings_beyond_what_a_clock_can_count_are_refused_like_any_other() -> None:
    for huge in (10**400, 1e308, math.inf, math.nan):
        with pytest.raises(InvalidInputError):
            Settings(backoff_max=huge)


# --- N1: dials keep their distance, whatever causes them ------------------------------------------

ATTEMPTS = st.lists(
    st.tuples(
        st.sampled_from((dial_in, retry_in, probe_in)),
        ROLLS,
        PAUSES,
        st.sampled_from(("fails", "asks to wait", "lives", "is forgotten")),
        st.floats(-10.0, 1000.0),
    ),
    max_size=30,
)


@given(settings=any_settings(), attempts=ATTEMPTS, start=st.floats(0.0, 1e6))
def test_n1_dials_keep_their_distance_and_what_the_backend_asks(
    settings: Settings, attempts: Any, start: float
) -> None:
    book, now, dials, asked_until = Book(), start, list[float](), -math.inf
    for delay, roll, pause, end, retry_after in attempts:
        waits = delay(Wait(book, at(now), settings, roll))
        assert waits >= 0.0
        now += waits
        assert no_sooner(now, asked_until)
        dials.append(now)
        book = note(book, E.DIAL, at(now), settings)
        now += pause
        match end:
            case "fails":
                book = note(book, E.COUNT_FAILURE, at(now, error=TimeoutError()), settings)
            case "asks to wait":
                asked = RateLimitedError("later", retry_after=retry_after)
                book = note(book, E.COUNT_FAILURE, at(now, error=asked), settings)
                asked_until = max(asked_until, now + retry_after)
            case "lives":
                book = attrs.evolve(book, up_at=now)
                now += pause
                book = note(book, E.CUT, at(now), settings)
            case _:
                book = note(book, E.FORGET, at(now), settings)
    for one, next_one in pairwise(dials):
        assert no_sooner(next_one, one + settings.backoff_min)
    window = 20 * settings.backoff_min
    for first in dials:
        assert len([t for t in dials if first <= t < first + window]) <= 21  # N1 in so many words


@given(settings=any_settings(), rolls=st.lists(ROLLS, min_size=2, max_size=20))
def test_a_dial_after_a_failure_waits_for_the_backoff_of_its_attempt(
    settings: Settings, rolls: list[float]
) -> None:
    book, now = Book(), 0.0
    for n, roll in enumerate(rolls):
        waits = retry_in(Wait(book, at(now), settings, roll))
        assert no_sooner(waits, backoff_bounds(n, settings)[0])
        now += waits
        book = note(note(book, E.DIAL, at(now), settings), E.COUNT_FAILURE, at(now), settings)


@pytest.mark.parametrize(("lived", "failures"), [(0.0, 4), (9.99, 4), (10.0, 0), (3600.0, 0)])
def test_only_a_link_that_was_stable_returns_the_backoff_to_its_beginning(
    lived: float, failures: int
) -> None:
    book = note(Book(failures=3, up_at=100.0), E.CUT, at(100.0 + lived), Settings())
    assert (book.failures, book.up_at) == (failures, None)
    # a link is lost once
    assert note(book, E.CUT, at(200.0), Settings()) == note(book, E.CUT, at(900.0), Settings())


@given(settings=any_settings(), roll=ROLLS)
def test_probes_come_at_their_interval_give_or_take_a_fifth(
    settings: Settings, roll: float
) -> None:
    waits = probe_in(Wait(Book(), at(0.0), settings, roll))
    assert 0.8 * settings.probe_interval <= waits <= 1.2 * settings.probe_interval


# --- N3: renewals keep their distance -------------------------------------------------------------

LIVES = st.one_of(
    st.floats(0.0, 20.0),
    st.just(0.0),
    st.just(LONGEST_LIFE),
    st.none(),
    st.floats(0.0, LONGEST_LIFE),
)
RENEWALS = st.lists(
    st.tuples(st.sampled_from(("arrives", "fails", "expires", "is not accepted")), LIVES, PAUSES),
    min_size=1,
    max_size=30,
)


@given(settings=any_settings(), renewals=RENEWALS, start=st.floats(0.0, 1e6))
def test_n3_renewals_keep_their_distance_whatever_lives_the_tokens_have(
    settings: Settings, renewals: Any, start: float
) -> None:
    """As `authenticated` has it: a fetch, its outcome, and the timer for the next one."""
    book, now, fetches = Book(user_id="u", provider=lambda: ""), start, list[float]()
    for number, (outcome, life, pause) in enumerate(renewals):
        fetches.append(now)
        book = note(book, E.FETCH_TOKEN, at(now), settings)
        now += pause
        if outcome != "fails":
            token = Token(f"token {number}", life)
            book = note(book, E.KEEP_TOKEN, at(now, Trigger.TOKEN_ARRIVED, result=token), settings)
        if outcome in ("arrives", "expires"):
            book = note(book, E.ACCEPT_TOKEN, at(now), settings)
        if outcome == "expires":  # the backend answers 401 sooner or later
            book = note(book, E.SPEND_TOKEN, at(now), settings)
        waits = renew_in(Wait(book, at(now), settings, 0.0))
        if waits is None:  # an opaque token: nothing to do until the backend says so
            assert book.token is None or book.token.life is None
            waits = fetch_in(Wait(book, at(now), settings, 0.0))
        assert waits >= 0.0
        now += waits
    for one, next_one in pairwise(fetches):
        assert no_sooner(next_one, one + settings.min_refresh_interval)


def arrived(life: float | None, *, accepted: bool = True, at_time: float = 100.0) -> Book:
    """A book whose token was fetched and arrived at `at_time`, and was presented."""
    book = note(Book(user_id="u", provider=lambda: ""), E.FETCH_TOKEN, at(at_time), Settings())
    book = note(
        book, E.KEEP_TOKEN, at(at_time, Trigger.TOKEN_ARRIVED, result=Token("t", life)), Settings()
    )
    return note(book, E.ACCEPT_TOKEN, at(at_time), Settings()) if accepted else book


@pytest.mark.parametrize(
    ("life", "now", "waits"),
    [
        (3600.0, 100.0, 3540.0),  # a minute before its expiry
        (120.0, 100.0, 60.0),
        (100.0, 100.0, 50.0),  # half its life
        (20.0, 100.0, 10.0),
        (8.0, 100.0, 5.0),  # min_refresh_interval
        (0.0, 100.0, 5.0),
        (0.0, 104.0, 1.0),
        (3600.0, 9000.0, 0.0),  # the lid was closed meanwhile
        (None, 100.0, None),  # opaque: the backend will say so
    ],
)
def test_a_token_is_renewed_in_time(life: float | None, now: float, waits: float | None) -> None:
    assert renew_in(Wait(arrived(life), at(now), Settings(), 0.5)) == waits


def test_without_a_token_nothing_is_renewed() -> None:
    assert renew_in(Wait(Book(), at(0.0), Settings(), 0.0)) is None


def test_a_token_that_the_backend_refused_is_renewed_as_soon_as_the_provider_may_be_asked() -> None:
    for life in (3600.0, None):
        book = note(arrived(life), E.SPEND_TOKEN, at(102.0), Settings())
        assert renew_in(Wait(book, at(102.0), Settings(), 0.0)) == 3.0
        assert retry_in(Wait(book, at(102.0), Settings(), 0.0)) == 3.0
        assert renew_in(Wait(book, at(200.0), Settings(), 0.0)) == 0.0


@pytest.mark.parametrize("life", [3600.0, None])
def test_a_renewal_that_could_not_be_presented_is_retried_soon(
    life: float | None,
) -> None:
    """The backend still has the old token, whose time is nearly over: the new one's life says
    nothing about it.
    """
    book = arrived(life, accepted=False)
    assert renew_in(Wait(book, at(100.0), Settings(), 0.0)) == 5.0


def test_after_a_failed_token_call_the_next_attempt_keeps_the_distance_of_token_calls() -> None:
    """While reconnecting the token call is the attempt: the backoff alone would call a broken
    provider twice a second.
    """
    book = note(arrived(3600.0), E.FETCH_TOKEN, at(4000.0), Settings())
    failed = at(
        4000.0, Trigger.TOKEN_FAILED, error=TokenProviderError("down"), lane=Lane.TOKEN, tag=1
    )
    book = note(book, E.COUNT_FAILURE, failed, Settings())
    assert retry_in(Wait(book, failed, Settings(), 0.0)) >= 5.0
    assert probe_in(Wait(book, failed, Settings(probe_interval=1.0), 0.0)) >= 5.0


@pytest.mark.parametrize(
    ("exp", "iat", "life"),
    [
        (1e9 + 20, 1e9, 20.0),
        (5.0, None, 0.0),
        (-1e300, 0, 0.0),
        (1e300, 0, LONGEST_LIFE),
        (1e9 + 7, None, 7.0),
        (5, 10, 0.0),
    ],
)
def test_absurd_lives_become_lives_that_a_renewal_can_be_computed_from(
    exp: float, iat: float | None, life: float
) -> None:
    claims = {"sub": "u", "exp": exp} | ({} if iat is None else {"iat": iat})
    raw = f"h.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.s"
    token = read_token(raw, user_id="u", spent=None, wall=1e9)
    assert token.life == life
    waits = renew_in(Wait(attrs.evolve(arrived(3600.0), token=token), at(100.0), Settings(), 0.0))
    assert waits is not None
    assert 5.0 <= waits <= LONGEST_LIFE


# --- N4: updates keep their limit -----------------------------------------------------------------

UPDATES = st.lists(
    st.tuples(st.sampled_from(("acknowledged", "failed", "forgotten", "link lost")), ROLLS, PAUSES),
    min_size=1,
    max_size=40,
)


@given(settings=any_settings(), updates=UPDATES, start=st.floats(0.0, 1e6))
def test_n4_updates_keep_the_burst_of_every_window_across_shutdown_and_boot(
    settings: Settings, updates: Any, start: float
) -> None:
    book, now, left = Book(), start, list[float]()
    for end, roll, pause in updates:
        book = note(
            book, E.RECORD, at(now, asked=Asked(changes={"context.n": len(left)})), settings
        )
        now += update_in(Wait(book, at(now), settings, roll))
        left.append(now)
        book = note(book, E.SEND_UPDATE, at(now), settings)
        now += pause
        if end == "failed":
            book = note(book, E.RESTORE, at(now, Trigger.UPDATE_FAILED, lane=Lane.UPDATE), settings)
        elif end == "link lost":
            book = note(book, E.RESTORE, at(now, Trigger.LINK_LOST, lane=Lane.LINK), settings)
        elif end == "forgotten":
            book = note(note(book, E.DROP_UPDATES, at(now), settings), E.FORGET, at(now), settings)
    burst, window = settings.update_burst, settings.update_window
    for first, beyond in zip(left, left[burst:], strict=False):
        assert no_sooner(beyond, first + window)
    # a long session does not remember every update it ever sent
    assert len(book.updated_at) <= burst


@given(settings=any_settings(), roll=ROLLS, now=st.floats(0.0, 1e6))
def test_updates_that_follow_each_other_leave_together_at_the_end_of_the_interval(
    settings: Settings, roll: float, now: float
) -> None:
    assert update_in(Wait(Book(), at(now), settings, roll)) == 0.0  # the first leaves at once
    if settings.update_interval < settings.update_window:
        book = note(Book(), E.SEND_UPDATE, at(now), settings)
        assert no_sooner(update_in(Wait(book, at(now), settings, roll)), settings.update_interval)


@given(settings=any_settings(), roll=ROLLS, failures=st.integers(1, 2000))
def test_an_update_that_failed_is_retried_after_a_backoff(
    settings: Settings, roll: float, failures: int
) -> None:
    waits = update_in(Wait(Book(update_failures=failures), at(0.0), settings, roll))
    assert waits >= settings.backoff_min


def test_a_caller_is_told_when_an_update_will_leave() -> None:
    settings, online = Settings(), Book(up_at=0.0)
    recorded = note(
        online, E.RECORD, at(50.0, asked=Asked(changes={"context.page": "a"})), settings
    )
    sent = note(recorded, E.SEND_UPDATE, at(50.0), settings)
    again = note(sent, E.RECORD, at(50.0, asked=Asked(changes={"context.page": "b"})), settings)
    held = note(online, E.HOLD, at(50.0, asked=Asked(changes={"user.name": "n"})), settings)
    for book, expected in (
        (online, 0.0),  # nothing to send
        (recorded, 0.0),
        (sent, 0.0),
        (again, 1.0),
        (attrs.evolve(again, up_at=None), math.inf),
        (held, math.inf),
    ):
        assert leaves_in(Wait(book, at(50.0), settings, 0.0)) == expected


# --- the names that the chart uses ----------------------------------------------------------------


def test_every_timer_of_the_chart_has_its_delay_and_no_delay_is_without_a_timer() -> None:
    assert set(DELAYS) == {spec.delay for spec in EFFECTS.values() if isinstance(spec, Arm)}


@given(
    settings=any_settings(),
    roll=ROLLS,
    now=st.floats(0.0, 1e6),
    timeout=st.one_of(st.none(), SECONDS),
)
def test_every_delay_of_a_call_s_own_bound_is_what_the_call_asked_for(
    settings: Settings, roll: float, now: float, timeout: float | None
) -> None:
    asked = Asked(user_id="u", timeout=timeout)
    for effect, name, default in (
        (E.ARM_BOOT, "boot", settings.boot_timeout),
        (E.ARM_IDENTIFY, "identify", settings.call_timeout),
    ):
        book = note(Book(), effect, at(now, asked=asked), settings)
        waits = DELAYS[name](Wait(book, at(now), settings, roll))
        assert waits == pytest.approx(default if timeout is None else timeout, abs=1e-6)


def test_silence_is_judged_from_the_last_sign_of_life() -> None:
    for heard, now, waits in ((100.0, 100.0, 35.0), (100.0, 120.0, 15.0), (100.0, 500.0, 0.0)):
        assert DELAYS["silence"](Wait(Book(), at(now, heard_at=heard), Settings(), 0.0)) == waits


def test_an_identify_s_answer_is_no_reason_to_wait() -> None:
    answered = at(5.0, Trigger.IDENTIFIED, result=IdentifyAnswer("u", True))
    assert answered.retry_after is None
    assert dial_in(Wait(Book(), answered, Settings(), 0.0)) == 0.0

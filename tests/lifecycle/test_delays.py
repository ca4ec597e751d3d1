"""How long things wait, for every valid `Settings` and over whole sequences of attempts.

- N1 dials keep their distance, and what the backend asks for;
- N2 every wait has a width, doubles until it is capped, and starts anew only after a stable link;
- N3 renewals keep their distance, and come in time;
- N4 updates keep the burst of every window, across shutdown and boot;
- each delay by its rule: the bounds of calls, silence, what an update() returns.

Each sequence is played on a clock of its own: what a delay says is waited for, then more time may
pass, then the reducers say what was done. Tolerances are a billionth of the times involved: a delay
is a difference of floats, and the timer adds it up again. That no path through the chart goes
around the delays is in `test_distances.py`.
"""

from __future__ import annotations

import base64
import json
import math
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import example, given, strategies as st

from driving import KEYS
from support_chat import InvalidInputError, RateLimitedError, Settings, TokenProviderError
from support_chat.chart.model import Arm
from support_chat.engine import Moment, Now, Request
from support_chat.lifecycle import reducers as do
from support_chat.lifecycle.calls import Arguments
from support_chat.lifecycle.context import LONGEST_STAY, Context, Target, replaced
from support_chat.lifecycle.delays import (
    DELAYS,
    SPANS,
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
from support_chat.lifecycle.names import Lane
from support_chat.lifecycle.outbox import Entry, Outbox
from support_chat.lifecycle.tokens import LONGEST_LIFE, Token, read_token
from support_chat.ports import IdentifyAnswer, Outgoing

ROLLS = st.floats(0.0, 1.0, exclude_max=True)
ENTROPY = st.binary(min_size=1, max_size=4)
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


def at(
    now: float,
    settings: Settings | None = None,
    entropy: bytes = b"",
    *,
    heard_at: float = 0.0,
    lane: Lane | None = None,
    **brings: Any,
) -> Moment:
    """A moment at this time, of a request on this lane."""
    request = Request("", lane, 1, None) if lane else None
    when = Now(now, heard_at, entropy=entropy)
    return Moment("", when, settings or Settings(), KEYS, request=request, **brings)


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
        ENTROPY,
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
    context, now, dials, asked_until = Context(), start, list[float](), -math.inf
    for delay, entropy, pause, end, retry_after in attempts:
        waits = delay(context, at(now, settings, entropy))
        assert waits >= 0.0
        now += waits
        assert no_sooner(now, asked_until)
        dials.append(now)
        context = do.dial(context, at(now, settings))
        now += pause
        match end:
            case "fails":
                context = do.count_failure(context, at(now, settings, error=TimeoutError()))
            case "asks to wait":
                asked = RateLimitedError("later", retry_after=retry_after)
                context = do.count_failure(context, at(now, settings, error=asked))
                asked_until = max(asked_until, now + retry_after)
            case "lives":
                context = do.cut(attrs.evolve(context, up_at=now), at(now + pause, settings))
                now += pause
            case _:
                context = do.forget(context, at(now, settings))
    for one, next_one in pairwise(dials):
        assert no_sooner(next_one, one + settings.backoff_min)
    window = 20 * settings.backoff_min
    for first in dials:
        assert len([t for t in dials if first <= t < first + window]) <= 21  # N1 in so many words


@given(settings=any_settings(), entropies=st.lists(ENTROPY, min_size=2, max_size=20))
def test_a_dial_after_a_failure_waits_for_the_backoff_of_its_attempt(
    settings: Settings, entropies: list[bytes]
) -> None:
    context, now = Context(), 0.0
    for n, entropy in enumerate(entropies):
        waits = retry_in(context, at(now, settings, entropy))
        assert no_sooner(waits, backoff_bounds(n, settings)[0])
        now += waits
        context = do.count_failure(do.dial(context, at(now, settings)), at(now, settings))


@pytest.mark.parametrize(("lived", "failures"), [(0.0, 4), (9.99, 4), (10.0, 0), (3600.0, 0)])
def test_only_a_link_that_was_stable_returns_the_backoff_to_its_beginning(
    lived: float, failures: int
) -> None:
    context = do.cut(Context(failures=3, up_at=100.0), at(100.0 + lived))
    assert (context.failures, context.up_at) == (failures, None)
    assert do.cut(context, at(200.0)) is context  # a link is lost once


@given(settings=any_settings(), entropy=ENTROPY)
def test_probes_come_at_their_interval_give_or_take_a_fifth(
    settings: Settings, entropy: bytes
) -> None:
    waits = probe_in(Context(), at(0.0, settings, entropy))
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
    context, now, fetches = A_USER, start, list[float]()
    for number, (outcome, life, pause) in enumerate(renewals):
        fetches.append(now)
        context = do.fetch(context, at(now, settings))
        now += pause
        when = at(now, settings, result=Token(f"token {number}", life))
        if outcome != "fails":
            context = do.keep_token(context, when)
        if outcome in ("arrives", "expires"):
            context = do.accept_token(context, when)
        if outcome == "expires":  # the backend answers 401 sooner or later
            context = do.spend_token(context, when)
        waits = renew_in(context, when)
        if waits is None:  # an opaque token: nothing to do until the backend says so
            assert context.token is None or not context.token.life
            waits = fetch_in(context, when)
        assert waits >= 0.0
        now += waits
    for one, next_one in pairwise(fetches):
        assert no_sooner(next_one, one + settings.min_refresh_interval)


A_USER = Context(user_id="u", provider=lambda: "")
"""A user's, with a token provider."""


def arrived(life: float | None, *, accepted: bool = True) -> Context:
    """A context whose token was fetched and arrived at 100 s, and was presented."""
    when = at(100.0, result=Token("t", life))
    context = do.keep_token(do.fetch(A_USER, when), when)
    return do.accept_token(context, when) if accepted else context


@pytest.mark.parametrize(
    ("life", "now", "waits"),
    [
        (3600.0, 100.0, 3540.0),  # a minute before its expiry
        (120.0, 100.0, 60.0),
        (100.0, 100.0, 50.0),  # half its life
        (20.0, 100.0, 10.0),
        (8.0, 100.0, 5.0),  # min_refresh_interval
        (0.0, 100.0, None),  # accepted, and over by our clock: it is our clock that is wrong
        (3600.0, 9000.0, 0.0),  # the lid was closed meanwhile
        (None, 100.0, None),  # opaque: the backend will say so
    ],
)
def test_a_token_is_renewed_in_time(life: float | None, now: float, waits: float | None) -> None:
    assert renew_in(arrived(life), at(now)) == waits


def test_without_a_token_nothing_is_renewed() -> None:
    assert renew_in(Context(), at(0.0)) is None


@pytest.mark.parametrize("life", [3600.0, None])
def test_a_token_that_the_backend_refused_is_renewed_as_soon_as_the_provider_may_be_asked(
    life: float | None,
) -> None:
    context = do.spend_token(arrived(life), at(102.0))
    assert renew_in(context, at(102.0)) == 3.0
    assert retry_in(context, at(102.0)) == 3.0
    assert renew_in(context, at(200.0)) == 0.0


@pytest.mark.parametrize("life", [3600.0, None])
def test_a_renewal_that_could_not_be_presented_is_retried_soon_whatever_the_life_of_its_token(
    life: float | None,
) -> None:
    """The backend still has the old token, whose time is nearly over: the new one's life says
    nothing about it.
    """
    assert renew_in(arrived(life, accepted=False), at(100.0)) == 5.0


def test_after_a_failed_token_call_the_next_attempt_keeps_the_distance_of_token_calls() -> None:
    """While reconnecting the token call is the attempt: the backoff alone would call a broken
    provider twice a second.
    """
    failed = at(
        4000.0, Settings(probe_interval=1.0), lane=Lane.TOKEN, error=TokenProviderError("down")
    )
    context = do.count_failure(do.fetch(arrived(3600.0), failed), failed)
    assert retry_in(context, failed) >= 5.0
    assert probe_in(context, failed) >= 5.0


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
    waits = renew_in(attrs.evolve(arrived(3600.0), token=token), at(100.0))
    assert (waits is None) == (life == 0.0)
    assert waits is None or 5.0 <= waits <= LONGEST_LIFE


# --- N4: updates keep their limit -----------------------------------------------------------------

UPDATES = st.lists(
    st.tuples(
        st.sampled_from(("acknowledged", "failed", "forgotten", "link lost")), ENTROPY, PAUSES
    ),
    min_size=1,
    max_size=40,
)


@given(settings=any_settings(), updates=UPDATES, start=st.floats(0.0, 1e6))
def test_n4_updates_keep_the_burst_of_every_window_across_shutdown_and_boot(
    settings: Settings, updates: Any, start: float
) -> None:
    context, now, left = Context(), start, list[float]()
    for end, entropy, pause in updates:
        changes = Arguments(changes={"context.n": len(left)})
        context = do.record(context, at(now, settings, arguments=changes))
        now += update_in(context, at(now, settings, entropy))
        left.append(now)
        context = do.send_update(context, at(now, settings))
        now += pause
        if end == "failed":
            context = do.restore(context, at(now, settings, lane=Lane.UPDATE))
        elif end == "link lost":
            context = do.restore(context, at(now, settings))
        elif end == "forgotten":
            context = do.forget(do.drop_updates(context, at(now)), at(now))
    burst, window = settings.update_burst, settings.update_window
    for first, beyond in zip(left, left[burst:], strict=False):
        assert no_sooner(beyond, first + window)
    # a long session does not remember every update it ever sent
    assert len(context.updated_at) <= burst


@given(settings=any_settings(), now=st.floats(0.0, 1e6))
def test_updates_that_follow_each_other_leave_together_at_the_end_of_the_interval(
    settings: Settings, now: float
) -> None:
    when = at(now, settings)
    assert update_in(Context(), when) == 0.0  # the first leaves at once
    if settings.update_interval < settings.update_window:
        assert no_sooner(update_in(do.send_update(Context(), when), when), settings.update_interval)


@given(settings=any_settings(), entropy=ENTROPY, failures=st.integers(1, 2000))
def test_an_update_that_failed_is_retried_after_a_backoff(
    settings: Settings, entropy: bytes, failures: int
) -> None:
    waits = update_in(Context(update_failures=failures), at(0.0, settings, entropy))
    assert waits >= settings.backoff_min


def test_a_caller_is_told_when_an_update_will_leave() -> None:
    one, other = (at(50.0, arguments=Arguments(changes={"context.page": p})) for p in "ab")
    online = Context(up_at=0.0)
    recorded = do.record(online, one)
    sent = do.send_update(recorded, at(50.0))
    again = do.record(sent, other)
    for context, expected in (
        (online, 0.0),  # nothing to send
        (recorded, 0.0),
        (sent, 0.0),
        (again, 1.0),
        (attrs.evolve(again, up_at=None), math.inf),
        (do.hold(online, one), math.inf),
    ):
        assert leaves_in(context, at(50.0)) == expected


# --- the least and the most of each ---------------------------------------------------------------


@st.composite
def contexts(draw: st.DrawFn, settings: Settings, now: float) -> Context:
    """Whatever a session may know at this time that a delay depends on."""
    past = st.floats(0.0, now)
    waits = max(settings.outbox_timeout, settings.call_timeout, settings.backoff_max, LONGEST_STAY)
    token = st.builds(Token, st.just("t"), st.one_of(st.none(), st.floats(0.0, LONGEST_LIFE)))
    entry = st.builds(
        Entry,
        number=st.integers(1, 3),
        message=st.builds(Outgoing, st.just("m"), st.just("hello"), st.sampled_from(["c", "d"])),
        until=st.floats(0.0, waits).map(lambda s: now + s),
        awaited=st.booleans(),
        not_before=st.floats(0.0, waits).map(lambda s: now + s),
    )
    return Context(
        user_id="u",
        provider=draw(st.sampled_from([None, lambda: "t"])),
        token=draw(st.one_of(st.none(), token)),
        accepted=draw(st.booleans()),
        arrived_at=draw(past),
        fetched_at=draw(st.one_of(st.none(), past)),
        failures=draw(st.integers(0, 100)),
        dialled_at=draw(st.one_of(st.none(), past)),
        not_before=now + draw(st.floats(-1e3, LONGEST_STAY)),
        updated_at=tuple(sorted(draw(st.lists(past, max_size=8)))),
        update_failures=draw(st.integers(0, 100)),
        outbox=Outbox(tuple(draw(st.lists(entry, max_size=3)))),
    )


@given(data=st.data(), now=st.floats(0.0, 1e6), settings=any_settings(), entropy=ENTROPY)
def test_each_delay_is_as_long_as_its_span_says(
    data: st.DataObject, now: float, settings: Settings, entropy: bytes
) -> None:
    context = data.draw(contexts(settings, now))
    lane = data.draw(st.sampled_from([None, Lane.DIAL, Lane.TOKEN]))
    asks = data.draw(st.one_of(st.none(), st.floats(0.0, 1e7)))
    error = None if asks is None else RateLimitedError("later", retry_after=asks)
    heard_at = data.draw(st.floats(0.0, now))
    when = at(now, settings, entropy, heard_at=heard_at, lane=lane, error=error)
    for name, delay in DELAYS.items():
        seconds, span = delay(context, when), SPANS[name](settings)
        assert seconds is None or (
            no_sooner(seconds, span.least) and seconds <= span.most + 1e-9 * max(1.0, now)
        ), f"{name}: {seconds} is not within {span}"


# --- the names that the chart uses ----------------------------------------------------------------


def test_every_timer_of_the_chart_has_its_delay_and_no_delay_is_without_a_timer() -> None:
    assert set(DELAYS) == {spec.delay for spec in EFFECTS.values() if isinstance(spec, Arm)}
    assert set(SPANS) == set(DELAYS)


@given(settings=any_settings(), now=st.floats(0.0, 1e6), timeout=st.one_of(st.none(), SECONDS))
def test_what_the_backend_puts_off_may_last_as_long_as_the_most_patient_of_the_calls(
    settings: Settings, now: float, timeout: float | None
) -> None:
    when = at(now, settings, arguments=Arguments(user_id="u", timeout=timeout))
    for reducer, field, default in (
        (do.bound_boot, "boot_until", settings.boot_timeout),
        (do.bound_identify, "identify_until", settings.call_timeout),
    ):
        own = now + (default if timeout is None else timeout)
        for other in (0.0, own + 1.0):
            before = replaced(Context(target=Target("u")), **{field: other})
            assert getattr(reducer(before, when), field) == pytest.approx(max(own, other))


def test_a_message_is_sent_again_or_given_up_when_that_is_due_first() -> None:
    waits = Entry(1, Outgoing("m-1", "hello", "c-1"), until=150.0)
    paused = attrs.evolve(waits, attempts=1, left=True, not_before=120.0)
    behind = Entry(2, Outgoing("m-2", "hello", "c-1"), until=110.0)
    unawaited = attrs.evolve(waits, awaited=False)
    for entries, seconds in (
        ((), None),
        ((waits,), 50.0),
        ((paused,), 20.0),
        ((paused, behind), 10.0),
        ((unawaited,), None),
        ((attrs.evolve(waits, until=90.0),), 0.0),
    ):
        assert DELAYS["outbox"](Context(outbox=Outbox(entries)), at(100.0)) == seconds


def test_silence_is_judged_from_the_last_sign_of_life() -> None:
    # when the limit is over, whoever listens has the time of a dial
    for heard, now, waits in ((100.0, 100.0, 35.0), (100.0, 120.0, 15.0), (100.0, 500.0, 10.0)):
        assert DELAYS["silence"](Context(), at(now, heard_at=heard)) == waits


def test_an_identify_s_answer_is_no_reason_to_wait() -> None:
    answered = at(5.0, lane=Lane.IDENTIFY, result=IdentifyAnswer("u", True))
    assert dial_in(Context(), answered) == 0.0


@given(entropy=ENTROPY)
def test_what_is_drawn_for_one_purpose_is_drawn_again_and_differs_from_any_other(
    entropy: bytes,
) -> None:
    now = Now(0.0, entropy=entropy)
    assert 0.0 <= now.roll("retry") < 1.0
    assert now.draw("retry") == now.draw("retry") != now.draw("probe")

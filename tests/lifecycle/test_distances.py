"""N1, N3 and N4 once more, with the whole chart at work: whatever is called and whatever happens,
in whatever order.

The delays keep their promises one by one (`test_delays.py`); here it is shown that no path through
the chart goes around them. A session is lived without a loop: the chart is stepped, the book is
written, timers and what the adapters were asked are kept in lists, and every choice (which call,
which outcome, how late, which timer) is drawn. Nothing here knows what a phase means.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support_chat.lifecycle.occasion import Asked, Occasion

from support_chat import (
    CHART,
    Compiled,
    Input,
    NetworkError,
    RateLimitedError,
    Settings,
    State,
    Trigger,
)
from support_chat.chart.model import Arm, Ask, Disarm, Raise
from support_chat.lifecycle.context import Book, facts
from support_chat.lifecycle.delays import DELAYS, Wait
from support_chat.lifecycle.names import Effect as E
from support_chat.lifecycle.names import Lane
from support_chat.lifecycle.reducers import arrive, note
from support_chat.lifecycle.tokens import Token
from support_chat.ports import IdentifyAnswer, UpdateAnswer, Welcome

COMPILED = Compiled(CHART)
LIMITS = Settings(
    update_burst=3,
    update_window=60.0,
    update_interval=1.0,
    min_refresh_interval=5.0,
    backoff_min=0.1,
)
CLOSE = 1e-6  # times are sums of floats


@attrs.frozen
class Asking:
    """What an adapter was asked and has not answered."""

    spec: Ask
    tag: int
    book: Book


@attrs.define
class Life:
    """A session without a loop; it checks every dial, token call and update when it starts."""

    roll: float = 0.5
    now: float = 1000.0
    state: State = COMPILED.initial
    book: Book = attrs.field(factory=Book)
    timers: dict[str, tuple[float, str]] = attrs.field(factory=dict[str, tuple[float, str]])
    asking: list[Asking] = attrs.field(factory=list[Asking])
    count: int = 0
    asked_until: float = 0.0
    dialled: float | None = None
    fetched: float | None = None
    updated: list[float] = attrs.field(factory=list[float])
    rows: list[str] = attrs.field(factory=list[str])

    def happen(self, trigger: str, **rest: Any) -> None:
        self.count += 1
        heard = rest.pop("heard_at", self.now)
        occasion = Occasion(
            Trigger(trigger), self.now, fresh_id=f"id {self.count}", heard_at=heard, **rest
        )
        internal = deque([occasion])
        while internal:
            occasion = internal.popleft()
            inside = Input(
                occasion.trigger, COMPILED.mask(facts(self.book, occasion, LIMITS)), occasion.named
            )
            self.state, row = COMPILED.fire(self.state, inside)
            self.rows.append(row.name)
            self.book = arrive(self.book, occasion)
            for effect in row.effects:
                self.book = note(self.book, effect, occasion, LIMITS)
                self.carry_out(effect, row.name, occasion)
                spec = CHART.effects[effect]
                if isinstance(spec, Raise):
                    internal.append(
                        attrs.evolve(occasion, trigger=Trigger(spec.trigger), lane=None, tag=0)
                    )

    def carry_out(self, effect: str, row: str, occasion: Occasion) -> None:
        spec = CHART.effects[effect]
        if isinstance(spec, Ask):
            self.asking.append(Asking(spec, self.book.tag(Lane(spec.lane)), self.book))
        elif isinstance(spec, Arm):
            delay = DELAYS[spec.delay](Wait(self.book, occasion, LIMITS, self.roll))
            self.timers.pop(spec.timer, None)
            if delay is not None:
                self.timers[spec.timer] = (self.now + delay, spec.expiry)
        elif isinstance(spec, Disarm):
            for timer in spec.timers:
                self.timers.pop(timer, None)
        match effect:
            case E.DIAL:
                assert (
                    self.dialled is None or self.now >= self.dialled + LIMITS.backoff_min - CLOSE
                ), f"N1: {row}"
                assert self.now >= self.asked_until - CLOSE, (
                    f"N1: before the backend wants us: {row}"
                )
                self.dialled = self.now
            case E.FETCH_TOKEN | E.FETCH_TARGET_TOKEN:
                by_call = row.startswith("identify.")  # what a call asks for is no renewal
                assert (
                    by_call
                    or self.fetched is None
                    or self.now >= self.fetched + LIMITS.min_refresh_interval - CLOSE
                ), f"N3: {row}"
                self.fetched = self.now
            case E.FORGET:
                self.fetched = None  # the next session's first token is no renewal
            case E.SEND_UPDATE:
                self.updated.append(self.now)
                burst = self.updated[-LIMITS.update_burst - 1 :]
                assert (
                    len(burst) <= LIMITS.update_burst
                    or burst[-1] >= burst[0] + LIMITS.update_window - CLOSE
                ), f"N4: {row}"
            case _:
                pass

    # --- what may happen next ---

    def wait(self) -> None:
        """Until the next timer expires."""
        if self.timers:
            timer, (due, expiry) = min(self.timers.items(), key=lambda item: item[1][0])
            del self.timers[timer]
            self.now = max(self.now, due)
            self.happen(expiry)

    def answer(self, which: int, how: str, number: float) -> None:
        """An adapter ends what it was asked in one of the declared outcomes; superseded ones may
        come in as well.
        """
        if not self.asking:
            return
        one = self.asking.pop(which % len(self.asking))
        spec, lane = one.spec, Lane(one.spec.lane)
        if how == "succeeds":
            result = self.result(spec.success, one.book, number)
            self.happen(spec.success, result=result, lane=lane, tag=one.tag)
            return
        error: Exception = NetworkError("down")
        if how == "is limited":
            error = RateLimitedError("later", retry_after=number)
            if lane is Lane.DIAL and one.tag == self.book.tag(lane):
                self.asked_until = max(self.asked_until, self.now + number)
        trigger = {"is refused": spec.refusal, "is rejected": spec.rejection}.get(
            how
        ) or spec.failure
        self.happen(trigger, error=error, lane=lane, tag=one.tag)

    def result(self, trigger: str, book: Book, number: float) -> object:
        target = book.target.user_id if book.target else "nobody"
        answer = IdentifyAnswer(target, number > 1.0)
        match trigger:
            case Trigger.LINK_UP if book.claim is not None and number > 2.0:
                return Welcome("s", "v", target, claim=answer)
            case Trigger.LINK_UP:
                return Welcome("s", "v", book.user_id)
            case Trigger.TOKEN_ARRIVED:
                return Token(f"token {self.count}", None if number > 15.0 else number)
            case Trigger.VISITOR_READ | Trigger.VISITOR_RETIRED:
                return "secret"
            case Trigger.IDENTIFIED:
                return answer
            case Trigger.UPDATED:
                return UpdateAnswer()
            case _:
                return None

    def do(self, what: str, which: int, number: float, roll: float) -> None:
        """One thing that happens; `which`, `number` and `roll` are whatever it needs to be
        chosen.
        """
        self.roll = roll
        link = {"lane": Lane.LINK, "tag": self.book.tag(Lane.LINK)}
        provider = (lambda: "token") if which % 2 else None
        match what:
            case "boot":
                self.happen(Trigger.BOOT, asked=Asked())
            case "boot as a user":
                self.happen(Trigger.BOOT, asked=Asked(user_id="user", provider=lambda: "token"))
            case "identify":
                self.happen(Trigger.IDENTIFY, asked=Asked(user_id="user", provider=provider))
            case "update":
                self.happen(Trigger.UPDATE, asked=Asked(changes={"context.n": self.count}))
            case "shut down":
                self.happen(Trigger.SHUTDOWN, asked=Asked(clear_storage=bool(which % 2)))
            case "online":
                self.happen(Trigger.GO_ONLINE)
            case "offline":
                self.happen(Trigger.GO_OFFLINE)
            case "the link breaks":
                self.happen(Trigger.LINK_LOST, error=NetworkError("down"), **link)
            case "the token expires":
                self.happen(Trigger.TOKEN_EXPIRED, **link)
            case "time passes":
                self.now = min([self.now + number, *(due for due, _ in self.timers.values())])
            case "a timer expires":
                self.wait()
            case (
                "goes on"
            ):  # what was asked last succeeds, or there is nothing to wait for but a timer
                self.answer(-1, "succeeds", number) if self.asking else self.wait()
            case _:
                self.answer(which, what, number)


THINGS = st.one_of(
    st.just("goes on"),
    st.just("goes on"),
    st.sampled_from(
        (
            *(
                "boot",
                "boot as a user",
                "identify",
                "update",
                "update",
                "shut down",
                "online",
                "offline",
            ),
            *("the link breaks", "the token expires", "time passes", "a timer expires"),
            *("succeeds", "fails", "fails", "is limited", "is refused", "is rejected"),
        )
    ),
)
STORY = st.lists(
    st.tuples(
        THINGS, st.integers(0, 5), st.floats(0.0, 20.0), st.floats(0.0, 1.0, exclude_max=True)
    ),
    min_size=1,
    max_size=80,
)
BEGINNINGS = {
    "from nothing": (),
    "live as a visitor": ("boot", *["goes on"] * 4),
    "live as a user": ("boot as a user", *["goes on"] * 6),
}


def plain(*things: str, number: float = 10.0) -> list[tuple[str, int, float, float]]:
    return [(thing, 1, number, 0.0) for thing in things]


@pytest.mark.parametrize(
    ("beginning", "phase"),
    [("live as a visitor", "anonymous"), ("live as a user", "authenticated")],
)
def test_the_beginnings_lead_where_they_say(beginning: str, phase: str) -> None:
    life = Life()
    for thing in plain(*BEGINNINGS[beginning]):
        life.do(*thing)
    assert life.state.phase == phase


FLAPPING = (
    "the link breaks",
    "goes on",
    "the link breaks",
    "goes on",
    "the link breaks",
    "goes on",
)
BROKEN_PROVIDER = (
    "the token expires",
    "the link breaks",
    "goes on",
    "fails",
    "goes on",
    "fails",
    "goes on",
    "fails",
)
IMPATIENT = (
    "the token expires",
    "the link breaks",
    "goes on",
    "fails",
    "online",
    "goes on",
    "fails",
    "online",
    "goes on",
)
LATE_TOKEN = (
    "goes on",
    "goes on",
    "the link breaks",
    "a timer expires",
    "fails",
    "a timer expires",
    "goes on",
    "fails",
    "a timer expires",
)


@pytest.mark.parametrize("beginning", BEGINNINGS)
@given(story=STORY)
@example(story=plain(*FLAPPING))
@example(story=plain(*BROKEN_PROVIDER))
@example(story=plain(*IMPATIENT))
@example(story=plain(*LATE_TOKEN))
@example(story=plain(*["update", "goes on", "goes on"] * 6))
@example(
    story=plain(
        *["update", "goes on", "fails", "the link breaks", "goes on", "goes on", "goes on"] * 5
    )
)
@settings(max_examples=100, deadline=None, report_multiple_bugs=False)
def test_no_path_through_the_chart_goes_around_the_distances(
    beginning: str, story: list[tuple[str, int, float, float]]
) -> None:
    life = Life()
    for thing in (*plain(*BEGINNINGS[beginning]), *story):
        life.do(*thing)


def test_a_story_that_breaks_a_promise_is_told() -> None:
    life = Life()
    life.carry_out(E.DIAL, "first", Occasion(Trigger.RETRY_DUE, life.now))
    with pytest.raises(AssertionError, match="N1: second"):
        life.carry_out(E.DIAL, "second", Occasion(Trigger.RETRY_DUE, life.now))
    life.carry_out(E.FETCH_TOKEN, "first", Occasion(Trigger.RETRY_DUE, life.now))
    with pytest.raises(AssertionError, match="N3: second"):
        life.carry_out(E.FETCH_TOKEN, "second", Occasion(Trigger.RETRY_DUE, life.now))
    for _ in range(LIMITS.update_burst):
        life.carry_out(E.SEND_UPDATE, "first", Occasion(Trigger.UPDATE_DUE, life.now))
    with pytest.raises(AssertionError, match="N4: second"):
        life.carry_out(E.SEND_UPDATE, "second", Occasion(Trigger.UPDATE_DUE, life.now))

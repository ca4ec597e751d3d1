"""When a link counts as silent: nothing was heard for the limit, and somebody listened.

A timer that expires late comes from a loop that was blocked, or from a machine that slept. What the
backend said meanwhile lies unread, so the session listens once more, for the time of a dial.
"""

from __future__ import annotations

import pytest

from driving import GoesWell, Life
from support_chat.engine import Arm, Expired, Now
from support_chat.lifecycle.names import Phase, Timer, Trigger as T
from support_chat.settings import Settings

LIMIT, DIAL = Settings().silence_timeout, Settings().connect_timeout
BLOCKED = 3600.0


@pytest.fixture
def life() -> Life:
    """A visitor who is live, and whose link was heard just now."""
    life = Life.begin(GoesWell())
    life.call(T.BOOT)
    while life.phase != Phase.ANONYMOUS:
        life.go_on()
    expire(life, heard=0.0)
    return life


def expire(life: Life, *, heard: float, late: float = 0.0) -> tuple[list[str], list[float]]:
    """The silence timer expires, so many seconds late; the link was heard so many seconds before.
    Returns the rows that fire, and how long the timer is armed then.
    """
    life.at = life.due[Timer.SILENCE] + late
    reaction = life.take(Expired(Timer.SILENCE), Now(life.at, life.at - heard)).reaction
    armed = [c.seconds for c in reaction.commands if isinstance(c, Arm) and c.timer == "silence"]
    return [row.name for row in reaction.rows], armed


LISTENS = ["link.heard"], [DIAL]
SILENT = ["link.silent"], list[float]()


def test_a_link_that_was_not_heard_for_the_limit_is_silent(life: Life) -> None:
    assert expire(life, heard=LIMIT) == SILENT
    assert life.phase == Phase.RECONNECTING


def test_a_link_that_was_heard_meanwhile_is_not(life: Life) -> None:
    for heard in (1.0, LIMIT - 1.0):
        assert expire(life, heard=heard) == (["link.heard"], [LIMIT - heard])


def test_whoever_was_blocked_listens_once_more_before_the_link_is_judged(life: Life) -> None:
    assert expire(life, heard=LIMIT + BLOCKED, late=BLOCKED) == LISTENS
    assert expire(life, heard=LIMIT + BLOCKED + DIAL) == SILENT


def test_and_only_once_though_the_loop_is_blocked_again(life: Life) -> None:
    assert expire(life, heard=LIMIT + BLOCKED, late=BLOCKED) == LISTENS
    assert expire(life, heard=LIMIT + 2 * BLOCKED, late=BLOCKED) == SILENT


def test_a_link_that_is_heard_in_that_time_has_the_whole_limit_again(life: Life) -> None:
    for _ in range(3):
        assert expire(life, heard=LIMIT + BLOCKED, late=BLOCKED) == LISTENS
        assert expire(life, heard=DIAL / 2) == (["link.heard"], [LIMIT - DIAL / 2])


def test_a_timer_that_is_a_little_late_is_no_blocked_loop(life: Life) -> None:
    assert expire(life, heard=LIMIT + 0.05, late=0.05) == SILENT

"""What the end of a WebSocket means, for every code there is."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from support_chat.errors import NetworkError, RateLimitedError
from support_chat.ports import SessionRevoked
from support_chat_adapters.transport.wire.closing import (
    DEFAULT_STAY,
    TERMINAL,
    CloseCode,
    meaning_of,
)
from wire_values import texts

ASK_TO_STAY_AWAY = {CloseCode.RATE_LIMITED, CloseCode.TRY_LATER}


def test_one_code_is_terminal_and_says_why() -> None:
    assert {CloseCode.SESSION_ENDED} == TERMINAL
    assert meaning_of(4403, "blocked") == SessionRevoked("blocked")
    assert meaning_of(4403, "") == SessionRevoked("revoked")


@pytest.mark.parametrize(
    "code",
    [
        *sorted(set(CloseCode) - TERMINAL - ASK_TO_STAY_AWAY),
        None,
        1002,
        1006,
        1011,
        1015,
        3000,
        4999,
    ],
)
def test_after_every_other_code_the_session_dials_again(code: int | None) -> None:
    meaning = meaning_of(code, "some words")
    assert (type(meaning), getattr(meaning, "recoverable", None)) == (NetworkError, True)
    assert getattr(meaning, "reason", "") == (None if code is None else f"close_{int(code)}")


def test_a_backend_that_restarts_may_say_when_to_dial_again() -> None:
    meaning = meaning_of(CloseCode.RESTART, "2.5")
    assert isinstance(meaning, RateLimitedError)
    assert meaning.retry_after == 2.5


@pytest.mark.parametrize("code", ASK_TO_STAY_AWAY)
def test_some_ask_to_stay_away_for_as_long_as_their_reason_says(code: CloseCode) -> None:
    for reason, seconds in (
        ("7", 7.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("", DEFAULT_STAY),
        ("busy", DEFAULT_STAY),
        ("inf", DEFAULT_STAY),
    ):
        meaning = meaning_of(code, reason)
        assert isinstance(meaning, RateLimitedError)
        assert meaning.retry_after == seconds


@given(st.none() | st.integers(0, 65535), texts())
def test_every_close_means_one_of_these_and_shows_no_reason_in_its_text(
    code: int | None, reason: str
) -> None:
    marked = f"secret-{reason}"
    meaning = meaning_of(code, marked)
    assert isinstance(meaning, SessionRevoked) == (code in TERMINAL)
    assert isinstance(meaning, SessionRevoked) or "secret-" not in f"{meaning} {meaning!r}"

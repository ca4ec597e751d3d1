"""Errors over the wire: each arrives as the kind of error that it was, and whatever else answers is
no backend.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime, formatdate

import msgspec
import pytest
from hypothesis import given, strategies as st

from support_chat.errors import (
    AuthRefusedError,
    BackendRejectedError,
    InvalidInputError,
    NetworkError,
    NotABackendError,
    RateLimitedError,
    StorageError,
    SupportChatError,
    VisitorEndedError,
)
from support_chat_adapters.transport.wire.problems import (
    CODES,
    Response,
    error_of,
    response_to,
    retry_after,
)
from wire_values import texts

HTML = b"<html><body>Sign in to the network</body></html>"
reasons = st.none() | texts(1)


def envelope(code: str = "internal_error", message: str = "It failed.", **more: object) -> bytes:
    return msgspec.json.encode(
        {"error": {"code": code, "message": message, "recoverable": False, **more}}
    )


@given(st.sampled_from(sorted(CODES)), texts(), reasons, st.booleans())
def test_a_refusal_of_who_you_are_arrives_as_one(
    code: str, message: str, reason: str | None, recoverable: bool
) -> None:
    sent = response_to(
        AuthRefusedError(message, code=code, reason=reason, recoverable=recoverable), "request-1"
    )
    got = error_of(sent)
    assert (sent.status, sent.headers["www-authenticate"], sent.headers["x-request-id"]) == (
        401,
        "Bearer",
        "request-1",
    )
    ended = code == VisitorEndedError.code
    assert type(got) is (VisitorEndedError if ended else AuthRefusedError)
    assert (got.code, got.message, got.reason, got.request_id, got.recoverable) == (
        code,
        message,
        reason,
        "request-1",
        recoverable,
    )


@given(st.sampled_from(sorted(CODES)), texts(), reasons, st.booleans())
def test_a_rejection_arrives_as_one_whatever_its_code(
    code: str, message: str, reason: str | None, recoverable: bool
) -> None:
    sent = response_to(
        BackendRejectedError(message, code=code, reason=reason, recoverable=recoverable),
        "request-1",
    )
    got = error_of(sent)
    assert 400 <= sent.status < 500
    assert sent.status not in (401, 407, 408, 425, 429)
    assert type(got) is BackendRejectedError
    assert (got.code, got.message, got.reason, got.request_id, got.recoverable) == (
        code,
        message,
        reason,
        "request-1",
        recoverable,
    )


@given(st.floats(0, 1e9), reasons)
def test_a_limit_arrives_with_its_seconds_rounded_up(seconds: float, reason: str | None) -> None:
    sent = response_to(RateLimitedError("Later.", retry_after=seconds, reason=reason), "request-1")
    got = error_of(sent)
    assert isinstance(got, RateLimitedError)
    assert (sent.status, got.reason, got.request_id, got.recoverable) == (
        429,
        reason,
        "request-1",
        True,
    )
    assert got.retry_after == math.ceil(seconds)


@pytest.mark.parametrize("error", [NetworkError("n"), StorageError("s"), SupportChatError("x")])
def test_what_failed_at_the_backend_may_work_later(error: SupportChatError) -> None:
    got = error_of(response_to(error, "request-1"))
    assert isinstance(got, NetworkError)
    assert (got.recoverable, got.request_id) == (True, "request-1")


def test_invalid_input_is_the_clients_fault() -> None:
    got = error_of(response_to(InvalidInputError("Too long."), "request-1"))
    assert (type(got), got.code, got.message) == (
        BackendRejectedError,
        "validation_error",
        "Too long.",
    )


def test_a_code_that_is_not_published_does_not_leave() -> None:
    got = error_of(response_to(BackendRejectedError("Secret.", code="made_up_inside"), "request-1"))
    assert got.code == "internal_error"


def test_a_code_of_a_newer_backend_is_passed_on() -> None:
    got = error_of(
        Response(
            422, body=envelope("article_locked", reason="r", requestId="q", docs="https://...")
        )
    )
    assert (type(got), got.code, got.reason, got.request_id) == (
        BackendRejectedError,
        "article_locked",
        "r",
        "q",
    )


NOT_FROM_THE_BACKEND: Mapping[str, Response] = {
    "a redirect": Response(302, {"location": "https://portal.example"}, HTML),
    "a redirect with an envelope": Response(307, body=envelope()),
    "not modified": Response(304),
    "a switch": Response(101),
    "a sign-in page": Response(403, body=HTML),
    "another server's 401": Response(401, {"www-authenticate": "Basic"}, HTML),
    "a 404 of a host that is no backend": Response(404, body=HTML),
    "a proxy that wants a password": Response(407, {"proxy-authenticate": "Basic"}, HTML),
    "a proxy that speaks JSON": Response(407, body=envelope("auth_required")),
    "a slow request": Response(408, body=envelope("validation_error")),
    "too early": Response(425, body=envelope("validation_error")),
    "a failure": Response(500, body=HTML),
    "a failure with an envelope": Response(500, body=envelope()),
    "a gateway": Response(502, body=HTML),
    "a timeout": Response(504),
    "unavailable, and does not say for how long": Response(503, body=HTML),
    "network authentication": Response(511, body=HTML),
    "an empty 400": Response(400),
    "an envelope without a code": Response(
        400, body=b'{"error": {"message": "m", "recoverable": true}}'
    ),
    "an envelope that is a list": Response(422, body=b"[]"),
    "an envelope that nests": Response(422, body=b'{"error":' * 50_000),
    "noise": Response(400, body=bytes(range(256))),
}


@pytest.mark.parametrize("answer", NOT_FROM_THE_BACKEND.values(), ids=NOT_FROM_THE_BACKEND.keys())
def test_what_says_nothing_of_the_request_may_work_later(answer: Response) -> None:
    got = error_of(answer)
    assert type(got) in (NetworkError, NotABackendError)
    assert (got.recoverable, got.code) == (True, "network_error")
    assert f"{answer.status}" in f"{got.reason} {got.message}"


@pytest.mark.parametrize("name", NOT_FROM_THE_BACKEND)
def test_what_does_not_pass_by_itself_is_no_backend(name: str) -> None:
    answer = NOT_FROM_THE_BACKEND[name]
    passes = answer.status in (408, 425) or answer.status >= 500
    says_why = b'"code"' in answer.body
    assert isinstance(error_of(answer), NotABackendError) == (not passes and not says_why)


@pytest.mark.parametrize("status", [408, 425, 500, 502, 504, 511])
def test_a_page_of_a_proxy_that_passes_by_itself_says_nothing_of_the_address(status: int) -> None:
    assert type(error_of(Response(status, body=HTML))) is NetworkError


def test_an_answer_that_is_no_backends_is_told_with_its_address() -> None:
    got = error_of(Response(404, body=HTML, address="chat.example.com:443"))
    assert got.message.startswith("chat.example.com:443 answered with status 404")


@given(
    st.integers(300, 599),
    st.binary(max_size=100) | texts().map(lambda text: envelope(message=text)),
    st.none() | texts(),
)
def test_every_answer_that_is_no_success_is_one_of_four_errors(
    status: int, body: bytes, later: str | None
) -> None:
    got = error_of(Response(status, {} if later is None else {"retry-after": later}, body))
    assert isinstance(got, AuthRefusedError | BackendRejectedError | NetworkError)
    assert isinstance(got, AuthRefusedError) <= (status == 401)
    assert isinstance(got, BackendRejectedError) <= (400 <= status < 500)
    assert isinstance(got, RateLimitedError) <= (status in (429, 503))


def test_every_text_of_an_answer_is_cut() -> None:
    texts = {name: name * 10_000 for name in ("message", "reason", "requestId")}
    for status in (401, 422, 429, 500):
        got = error_of(Response(status, body=envelope("code" * 10_000, **texts)))
        assert len(got.message) <= 550
        assert max(len(got.code), len(got.reason or ""), len(got.request_id or "")) == 64


RETRY_AFTER: Mapping[str, float | None] = {
    "0": 0.0,
    "7": 7.0,
    " 7 ": 7.0,
    "1.5": 1.5,
    "-3": 0.0,
    "1e9": 1e9,
    "9" * 300: float("9" * 300),
    "inf": None,
    "-inf": None,
    "nan": None,
    "9" * 400: None,
    "soon": None,
    "": None,
    "\ud800": None,
    "Wed": None,
    "Wed, 99 Nov 2026 10:00:00 GMT": None,
    "Wed, 25 Nov 99999999 10:00:00 GMT": None,
    "Wed, 21 Oct 2015 07:28:00 GMT": 0.0,
}


@pytest.mark.parametrize(
    ("value", "seconds"), RETRY_AFTER.items(), ids=[f"{value[:40]!r}" for value in RETRY_AFTER]
)
def test_retry_after_is_seconds_or_nothing_that_makes_sense(
    value: str, seconds: float | None
) -> None:
    assert retry_after(value) == seconds


def test_retry_after_may_be_a_date_in_any_zone_and_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        for date in (
            formatdate(time.time() + 90, usegmt=True),
            formatdate(time.time() + 90),  # -0000: the zone is not known, the time is UTC
            format_datetime(datetime.fromtimestamp(time.time() + 90).astimezone()),
        ):
            seconds = retry_after(date)
            assert seconds is not None
            assert 80 < seconds <= 91, date
    finally:
        monkeypatch.undo()
        time.tzset()


@given(texts() | st.text(alphabet="0123456789.-+eE_: ,GMTWedNov") | st.floats().map(repr))
def test_retry_after_is_never_an_error(value: str) -> None:
    seconds = retry_after(value)
    assert seconds is None or 0 <= seconds < float("inf")


def test_a_limit_that_makes_no_sense_is_still_a_limit() -> None:
    for later in ("inf", "soon", None):
        got = error_of(Response(429, {} if later is None else {"retry-after": later}, HTML))
        assert isinstance(got, RateLimitedError)
        assert got.retry_after == 0.0
    busy = error_of(Response(503, {"retry-after": "12"}, HTML))
    assert isinstance(busy, RateLimitedError)
    assert busy.retry_after == 12.0


def test_a_response_shows_no_header_and_no_body() -> None:
    assert repr(Response(200, {"set-cookie": "secret"}, b"secret")) == "Response(status=200)"

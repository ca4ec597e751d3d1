"""Errors on the wire: each error of the library as a status and an envelope, and each answer that
is an error as the library's.

The three families of errors keep apart on the way: *who you are is not accepted* is 401
(`AuthRefusedError`), *no retry will help* is another 4xx (`BackendRejectedError`), *come back
later* is 429 or 503 with Retry-After (`RateLimitedError`), and everything else may work later
(`NetworkError`): a 5xx, and whatever was not said by a backend of ours at all, such as the page of
a captive portal (`NotABackendError`, where it does not pass by itself). Texts of an answer are
shortened before anybody sees them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

import attrs
import msgspec

from support_chat.errors import (
    AuthRefusedError,
    BackendRejectedError,
    InvalidInputError,
    NetworkError,
    NotABackendError,
    RateLimitedError,
    SupportChatError,
    VisitorEndedError,
)

from .payloads import ErrorEnvelope, Problem

Code: TypeAlias = Literal[
    "not_ready",
    "not_booted",
    "auth_required",
    "auth_expired",
    "invalid_token",
    "invalid_origin",
    "widget_disabled",
    "rate_limited",
    "network_error",
    "conversation_not_found",
    "message_invalid",
    "message_send_failed",
    "attachment_too_large",
    "unsupported_file_type",
    "form_not_found",
    "article_not_found",
    "validation_error",
    "internal_error",
    "owner_changed",
    "visitor_ended",
]
"""The published words of the error envelope."""
CODES: Final = frozenset(get_args(Code))

_STATUSES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "auth_required": 403,  # a session that has ended: no token will bring it back, so no 401
        "invalid_origin": 403,
        "widget_disabled": 403,
        "conversation_not_found": 404,
        "form_not_found": 404,
        "article_not_found": 404,
        "owner_changed": 409,
        "attachment_too_large": 413,
        "unsupported_file_type": 415,
        "message_invalid": 422,
        "validation_error": 422,
    }
)
BODY_TOO_LARGE: Final = "body_too_large"
"""The reason of a `validation_error` that is told by status 413."""
_REASON_STATUSES: Final[Mapping[str, int]] = MappingProxyType(
    {BODY_TOO_LARGE: 413, "not_found": 404, "method_not_allowed": 405}
)
UNAVAILABLE: Final = frozenset({"busy", "restarting"})
"""The reasons of a `rate_limited` that is told by status 503."""
_LONGEST_MESSAGE: Final = 500
_LONGEST_WORD: Final = 64
# statuses of the 4xx family that pass by themselves, as 429 does, which has its own error
_OF_THE_MOMENT: Final = frozenset({408, 425})
# statuses of the 4xx family that say something of the way or of the moment, and nothing of the
# request
_FROM_ELSEWHERE: Final = _OF_THE_MOMENT | {407}


@attrs.frozen
class Response:
    """An answer as it came: status, headers by their lower-case names, body; and from where."""

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    address: str = attrs.field(default="The backend", repr=False)
    """Host and port, as errors show them."""


def response_to(error: SupportChatError, request_id: str) -> Response:
    """The answer that tells of `error`; `request_id` is what support asks for."""
    headers = {"content-type": "application/json", "x-request-id": request_id}
    match error:
        case RateLimitedError():
            # what is the backend's own trouble is no fault of who asks too often
            status, code = 503 if error.reason in UNAVAILABLE else 429, "rate_limited"
            headers["retry-after"] = str(math.ceil(error.retry_after))
        case AuthRefusedError():
            status, code = 401, error.code
            headers["www-authenticate"] = "Bearer"
        case BackendRejectedError() | InvalidInputError():
            status, code = _STATUSES.get(error.code, 422), error.code
            if code == "validation_error":
                status = _REASON_STATUSES.get(error.reason or "", status)
        case _:
            status, code = 500, "internal_error"
    problem = Problem(
        code=code if code in CODES else "internal_error",
        message=error.message,
        recoverable=error.recoverable,
        reason=error.reason,
        request_id=request_id,
    )
    return Response(status, headers, msgspec.json.encode(ErrorEnvelope(error=problem)))


def codes_of(status: int) -> tuple[str, ...]:
    """The codes that an answer of this status may carry, as `response_to` gives them out."""
    special = {
        401: ("auth_required", "auth_expired", "invalid_token", VisitorEndedError.code),
        429: ("rate_limited",),
        503: ("rate_limited",),
        500: ("internal_error",),
    }
    codes = {code for code, its in _STATUSES.items() if its == status}
    if status in _REASON_STATUSES.values():
        codes.add("validation_error")
    return special.get(status, tuple(sorted(codes)))


def error_of(response: Response) -> SupportChatError:
    """The error that an answer tells of, whoever gave it."""
    problem = _problem(response)
    after = retry_after(response.headers.get("retry-after"))
    if response.status == 429 or (response.status == 503 and after is not None):
        wait = 0.0 if after is None else after
        return RateLimitedError(
            f"The backend asks to come back after {wait:g} s.",
            retry_after=wait,
            reason=None if problem is None else problem.reason,
            request_id=None if problem is None else problem.request_id,
        )
    if problem is None:
        # what passes by itself, of a proxy for instance, says nothing of the address
        passing = response.status >= 500 or response.status in _OF_THE_MOMENT
        return (NetworkError if passing else NotABackendError)(
            f"{response.address} answered with status {response.status}, and not as a Widget API "
            "does: check base_url, and any proxy or sign-in page on the way.",
            reason=f"status_{response.status}",
        )
    details = {
        "code": problem.code,
        "reason": problem.reason,
        "request_id": problem.request_id,
        "recoverable": problem.recoverable,
    }
    if response.status == 401:
        ended = problem.code == VisitorEndedError.code
        kind = VisitorEndedError if ended else AuthRefusedError
        # one mapping of the four keywords
        return kind(problem.message, **details)  # type: ignore[arg-type]
    if 400 <= response.status < 500 and response.status not in _FROM_ELSEWHERE:
        return BackendRejectedError(problem.message, **details)  # type: ignore[arg-type]
    return NetworkError(
        f"{response.address} failed: {problem.message}",
        reason=problem.reason or f"status_{response.status}",
        request_id=problem.request_id,
    )


def retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, a number or a date (RFC 9110, section 10.2.3); None if there
    is none that makes sense.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time()
        except (ValueError, OverflowError, TypeError, IndexError):
            # The last two are email's, for some garbage.
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def shortened(text: str, most: int = _LONGEST_WORD) -> str:
    """A text of an answer as errors show it: `most` characters of it."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _problem(response: Response) -> Problem | None:
    try:
        problem = msgspec.json.decode(response.body, type=ErrorEnvelope).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return msgspec.structs.replace(
        problem,
        code=shortened(problem.code),
        message=shortened(problem.message, _LONGEST_MESSAGE),
        reason=None if problem.reason is None else shortened(problem.reason),
        request_id=None if problem.request_id is None else shortened(problem.request_id),
    )

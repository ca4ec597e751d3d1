"""Requests to bytes and answers from bytes, without doing any of the sending: the client's half of
the HTTP surface.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote, urlencode

import attrs
import msgspec

from support_chat.errors import InvalidInputError, NotABackendError

from .endpoints import BASE, OPEN, OWNER_HEADER, POLL, Endpoint
from .frames import FRAMES, Polled
from .payloads import SessionOpened
from .problems import Response, error_of

MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
"""The longest answer that a client reads, in bytes."""

P = TypeVar("P", bound=msgspec.Struct)


def decoded(body: bytes, kind: type[P]) -> P:
    """A payload from its bytes; raises msgspec.MsgspecError, UnicodeDecodeError or
    RecursionError.
    """
    return msgspec.json.decode(body, type=kind)


@attrs.frozen
class Request:
    """A request to be sent: method, path below the backend's address with its query, headers and
    body. `repr` shows no secrets.
    """

    method: str
    path: str = attrs.field(repr=lambda path: path.partition("?")[0])
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)


def request_to(
    endpoint: Endpoint,
    payload: msgspec.Struct | None = None,
    *,
    session: str | None = None,
    owner: str | None = None,
    conversation_id: str | None = None,
    query: Mapping[str, str] | None = None,
) -> Request:
    """The request to an endpoint, in the name of `session` (its credential), for this owner.

    Raises InvalidInputError for what neither JSON nor HTTP can carry, such as half of a surrogate
    pair.
    """
    # what is compressed has no size until it is unpacked
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    if session is not None:
        if not _is_visible(session):
            raise InvalidInputError(
                "A session's credential is made of visible ASCII characters; pass one that the "
                "backend has given out."
            )
        headers["authorization"] = f"Bearer {session}"
    if owner is not None:
        headers[OWNER_HEADER] = owner
    body = None
    try:
        path = BASE + endpoint.path.replace(
            "{conversation_id}", quote(conversation_id or "", safe="")
        )
        if query:
            path = f"{path}?{urlencode(query)}"
        if payload is not None:
            headers["content-type"] = "application/json"
            body = msgspec.json.encode(payload)
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError, RecursionError):
        raise InvalidInputError(
            f"{endpoint.name} holds what JSON cannot carry; pass clean text and JSON values."
        ) from None
    return Request(endpoint.method, path, headers, body)


def _is_visible(session: str) -> bool:
    return bool(session) and all("!" <= character <= "~" for character in session)


def opened_of(response: Response) -> SessionOpened:
    """The answer to a dial; raises as `answer_of` does, also for a credential that no header could
    carry.
    """
    opened = answer_of(OPEN, response, SessionOpened)
    if not _is_visible(opened.session):
        raise _unreadable(OPEN, response)
    return opened


def answer_of(endpoint: Endpoint, response: Response, kind: type[P]) -> P:
    """The payload of an answer, of the type that the endpoint declares; raises the error that the
    answer tells of.

    An answer that is neither is a NotABackendError: it did not come from a backend of this API.
    """
    _accepted(response)
    try:
        return decoded(response.body, kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _unreadable(endpoint, response) from None


def polled_of(response: Response) -> Polled:
    """The answer to a poll, without the frames of types that this version does not know; raises as
    `answer_of` does.
    """
    _accepted(response)
    try:
        answer = msgspec.json.decode(response.body)
        if isinstance(answer, dict):
            told = cast("dict[str, Any]", answer)
            told["frames"] = [frame for frame in told.get("frames", ()) if _is_known(frame)]
        return msgspec.convert(answer, Polled)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
        raise _unreadable(POLL, response) from None


def _is_known(frame: object) -> bool:
    """Not of a type that is unknown here; what is no frame at all is not skipped."""
    kind = cast("dict[str, Any]", frame).get("type") if isinstance(frame, dict) else None
    return not isinstance(kind, str) or kind in FRAMES


def may_answer_of(endpoint: Endpoint, response: Response, kind: type[P]) -> P | None:
    """As `answer_of`, of a request that may be answered with 204, which is None."""
    _accepted(response)
    return None if response.status == 204 else answer_of(endpoint, response, kind)


def done_of(endpoint: Endpoint, response: Response) -> None:
    """Returns if a request that is answered with 204 was done; raises the error that the answer
    tells of.

    Another answer is a NotABackendError, so that nobody takes a sign-in page, which comes with
    200, for a revocation.
    """
    _accepted(response)
    if response.status != 204:
        raise _unreadable(endpoint, response)


def _accepted(response: Response) -> None:
    if not 200 <= response.status < 300:
        raise error_of(response)


def _unreadable(endpoint: Endpoint, response: Response) -> NotABackendError:
    return NotABackendError(
        f"The answer of {response.address} to {endpoint.name} cannot be read: it is no Widget API, "
        "or another version of it. Check base_url, and any proxy or sign-in page on the way.",
        reason="unreadable_answer",
    )

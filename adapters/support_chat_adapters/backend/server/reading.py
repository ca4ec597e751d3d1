"""What a request says, taken out of it and checked: its session, its payload, its query; nothing is
done yet.
"""

from __future__ import annotations

import contextlib
import re
from typing import Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, HTTPConnection, Request

from support_chat.errors import AuthRefusedError, BackendRejectedError, InvalidInputError
from support_chat.values import MAX_ID_LENGTH, Identity, check_id

from ...transport.wire.codec import decoded
from ...transport.wire.endpoints import (
    LARGEST_PAGE,
    LONGEST_POLL,
    MAX_BODY_BYTES,
    OWNER_HEADER,
    PAGE,
)
from ...transport.wire.problems import BODY_TOO_LARGE
from ...transport.wire.translation import owner_from

P = TypeVar("P", bound=msgspec.Struct)

_PLACE: Final = re.compile(r"at `([^`]*)`$")
_CREDENTIAL: Final = re.compile(r"session-\d{1,19}\.[\w-]{32}", re.ASCII)
"""What a session's credential looks like. One that looks so and is unknown has ended, as all had if
the database was lost.
"""
_NUMBER: Final = re.compile(r"\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_LONGEST_CURSOR: Final = 64


def session_of(connection: HTTPConnection) -> str:
    """The session's credential; raises AuthRefusedError if there is none, or one that no backend of
    ours has ever given out.
    """
    scheme, _, credential = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise AuthRefusedError(
            "This needs a session: open one, and send `Authorization: Bearer <session>`.",
            code="auth_required",
            reason="session_missing",
        )
    if not _CREDENTIAL.fullmatch(credential.strip()):
        raise AuthRefusedError(
            "This is no session's credential; send the `session` that opening one has answered."
        )
    return credential.strip()


def owner_of(request: Request) -> Identity | None:
    """For whom the request is, None where it does not say; raises BackendRejectedError for what is
    no owner.
    """
    text = request.headers.get(OWNER_HEADER)
    try:
        return None if text is None else owner_from(text)
    except InvalidInputError as error:
        raise _invalid(error.message) from None


async def payload_of(request: Request, kind: type[P]) -> P:
    """The body, decoded; raises BackendRejectedError (`validation_error`), which names the place
    and shows no value.
    """
    body = await _body(request)
    try:
        return decoded(body, kind)
    except msgspec.ValidationError as error:
        place = _PLACE.search(str(error))
        where = f" at {place[1]}" if place else ""
        raise _invalid(
            f"The body does not keep to the form of {kind.__name__}{where}; see the OpenAPI "
            "document."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _invalid(
            "The body is not JSON that can be read; send a JSON object in UTF-8."
        ) from None


async def _body(request: Request) -> bytes:
    """The body as long as it is not too long; what is beyond that is not read."""
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise _invalid(
                    f"The body is longer than {MAX_BODY_BYTES} bytes; send less at once.",
                    reason=BODY_TOO_LARGE,
                )
            chunks.append(chunk)
    except ClientDisconnect:  # nobody reads this, but it is no failure of ours
        raise _invalid("The caller has gone before the body was complete; send it again.") from None
    return b"".join(chunks)


async def discard_body(request: Request) -> None:
    """Reads what is left of the body, up to four times the longest, and forgets it: an answer that
    is given before is lost on its way to a client, or a proxy, that is still sending when the
    connection closes. Who asks first whether to send it has not sent it.
    """
    if "expect" in request.headers:
        return
    size = 0
    with contextlib.suppress(ClientDisconnect, RuntimeError):  # gone, or there is nothing left
        async for chunk in request.stream():
            size += len(chunk)
            if size > 4 * MAX_BODY_BYTES:
                return


def conversation_id_of(request: Request) -> str:
    """The conversation that the path names; raises BackendRejectedError (`conversation_not_found`)
    for what cannot be an id.
    """
    try:
        return check_id("conversation_id", request.path_params["conversation_id"])
    except InvalidInputError:
        raise BackendRejectedError(
            "There is no such conversation; list the conversations of this session.",
            code="conversation_not_found",
        ) from None


def id_of(request: Request, name: str) -> str:
    """An id in the query; raises BackendRejectedError (`validation_error`) if it is missing or
    none.
    """
    try:
        return check_id(name, request.query_params.get(name))
    except InvalidInputError as error:
        raise _invalid(error.message) from None


def cursor_of(connection: HTTPConnection) -> str | None:
    """The cursor in the query; raises BackendRejectedError for one that is too long to be ours."""
    cursor = connection.query_params.get("cursor")
    if cursor is not None and len(cursor) > _LONGEST_CURSOR:
        raise _invalid(
            f"A cursor has at most {_LONGEST_CURSOR} characters; use one that was given out."
        )
    return cursor


def limit_of(request: Request) -> int:
    """How many items a page is to hold; raises BackendRejectedError for what is no number from 1 to
    the largest page.
    """
    limit = request.query_params.get("limit")
    if limit is None:
        return PAGE
    if not (
        limit.isascii() and limit.isdigit() and len(limit) < 9 and 1 <= int(limit) <= LARGEST_PAGE
    ):
        raise _invalid(f"limit must be a whole number from 1 to {LARGEST_PAGE}.")
    return int(limit)


def wait_of(request: Request) -> float:
    """How many seconds a poll may wait; raises BackendRejectedError for what is no number from 0 to
    the longest.
    """
    text = request.query_params.get("wait", "0")
    wait = float(text) if _NUMBER.fullmatch(text) else LONGEST_POLL + 1
    if not wait <= LONGEST_POLL:
        raise _invalid(f"wait must be a number of seconds from 0 to {LONGEST_POLL:g}.")
    return wait


def says(connection: HTTPConnection, name: str) -> bool:
    """Whether the query says that something is so; raises BackendRejectedError for anything but
    `true` or `false`.
    """
    said = connection.query_params.get(name, "false")
    if said not in ("true", "false"):
        raise _invalid(f"{name} must be true or false.")
    return said == "true"


def marked_of(request: Request) -> int | None:
    """The number of the last read mark that a poll knows of, None where it does not say; raises
    BackendRejectedError for what is no number.
    """
    marked = request.query_params.get("marked")
    if marked is None:
        return None
    if not (marked.isascii() and marked.isdigit() and len(marked) < 17 and int(marked) < 2**53):
        raise _invalid("marked must be a whole number, the one that the last poll has answered.")
    return int(marked)


def message_id_of(request: Request, name: str, *, may_be_empty: bool = False) -> str | None:
    """The id of a message in the query, None where there is none; raises BackendRejectedError for
    one that cannot be ours.
    """
    id = request.query_params.get(name)
    if id is None or (may_be_empty and not id) or 1 <= len(id) <= MAX_ID_LENGTH:
        return id
    raise _invalid(f"{name} must be an id of 1 to {MAX_ID_LENGTH} characters; name a message.")


def _invalid(message: str, reason: str | None = None) -> BackendRejectedError:
    return BackendRejectedError(message, code="validation_error", reason=reason)

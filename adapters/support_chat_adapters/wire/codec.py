"""Requests to bytes and answers from bytes, without doing any of the sending: the client's half of the HTTP surface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import attrs
import msgspec

from support_chat.errors import InvalidInputError, NetworkError

from .endpoints import BASE, Endpoint
from .problems import Response, error_of

MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
"""The longest answer that a client reads, in bytes."""

P = TypeVar("P", bound=msgspec.Struct)
_ENCODER: Final = msgspec.json.Encoder()
_DECODERS: Final[dict[type[msgspec.Struct], msgspec.json.Decoder[Any]]] = {}


@attrs.frozen
class Request:
    """A request to be sent: method, path below the backend's address with its query, headers and body. `repr` shows no secrets."""

    method: str
    path: str = attrs.field(repr=lambda path: path.partition("?")[0])
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)


def request_to(
    endpoint: Endpoint,
    payload: msgspec.Struct | None = None,
    *,
    session: str | None = None,
    conversation_id: str | None = None,
    query: Mapping[str, str] | None = None,
) -> Request:
    """The request to an endpoint, in the name of `session` (its credential).

    Raises InvalidInputError for what JSON cannot carry, such as half of a surrogate pair.
    """
    path = BASE + endpoint.path.replace("{conversation_id}", quote(conversation_id or "", safe=""))
    if query:
        path = f"{path}?{urlencode(query)}"
    headers = {"accept": "application/json"}
    if session is not None:
        headers["authorization"] = f"Bearer {session}"
    body = None
    if payload is not None:
        headers["content-type"] = "application/json"
        try:
            body = _ENCODER.encode(payload)
        except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
            raise InvalidInputError(f"{endpoint.name} holds what JSON cannot carry; pass clean text and JSON values.") from None
    return Request(endpoint.method, path, headers, body)


def answer_of(endpoint: Endpoint, response: Response, kind: type[P]) -> P:
    """The payload of an answer, of the type that the endpoint declares; raises the error that the answer tells of.

    An answer that is neither counts as a NetworkError: it did not come from a backend of this API.
    """
    done_of(endpoint, response)
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    try:
        answer: P = decoder.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NetworkError(
            f"The answer to {endpoint.name} cannot be read: check that base_url is a backend of the Widget API, and its version.",
            reason="unreadable_answer",
        ) from None
    return answer


def done_of(endpoint: Endpoint, response: Response) -> None:
    """Returns if the request was done; raises the error that the answer tells of."""
    if not 200 <= response.status < 300:
        raise error_of(response)

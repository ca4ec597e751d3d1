"""Requests as bytes and answers from bytes: what goes in comes out, and what is no answer is told
as what it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from support_chat.errors import (
    BackendRejectedError,
    InvalidInputError,
    NetworkError,
    NotABackendError,
    RateLimitedError,
    SupportChatError,
)
from support_chat.ports import IdentifyRequest
from support_chat.values import Message
from support_chat_adapters.transport.wire import codec, endpoints, payloads, translation
from support_chat_adapters.transport.wire.problems import Response
from wire_values import (
    PAYLOADS,
    beginnings,
    conversations,
    credentials,
    identify_answers,
    identify_requests,
    instances,
    messages,
    rejections,
    secrets,
    welcomes,
)

CAPTIVE_PORTAL = b"<!DOCTYPE html><html><body>Please sign in to Hotel-WLAN</body></html>"


def over_the_wire(payload: msgspec.Struct) -> Any:
    """The payload as the other side decodes it."""
    return msgspec.json.decode(msgspec.json.encode(payload), type=type(payload))


of_every_kind = pytest.mark.parametrize("kind", PAYLOADS, ids=lambda kind: kind.__name__)
# there are many kinds, and a kind that goes wrong does so at its first values
a_quarter = settings(max_examples=settings().max_examples // 4)


@of_every_kind
@a_quarter
@given(data=st.data())
def test_every_payload_arrives_as_it_was_sent_and_shows_nothing_of_what_it_holds(
    kind: type[msgspec.Struct], data: st.DataObject
) -> None:
    payload = data.draw(instances(kind))
    assert over_the_wire(payload) == payload
    assert repr(payload) == f"<{kind.__name__}>" == str(payload)


@of_every_kind
@a_quarter
@given(data=st.data())
def test_keys_that_a_reader_does_not_know_are_ignored(
    kind: type[msgspec.Struct], data: st.DataObject
) -> None:
    payload = data.draw(instances(kind))
    newer = {**json.loads(msgspec.json.encode(payload)), "addedInAYear": {"of": ["anything"]}}
    assert msgspec.json.decode(json.dumps(newer).encode(), type=kind) == payload


WAYS: dict[str, tuple[Any, Callable[[Any], msgspec.Struct], Callable[[Any], object]]] = {
    "credentials": (credentials, translation.opening_of, translation.credentials_of),
    "an identify": (
        identify_requests,
        lambda asked: translation.payload_of(asked, payloads.Identify),
        translation.identify_request_of,
    ),
    "its answer": (
        identify_answers,
        translation.identified_of,
        translation.identify_answer_of,
    ),
    "a welcome": (
        welcomes,
        lambda welcome: translation.opened_of(welcome, "realtime"),
        translation.welcome_of,
    ),
    "a message": (
        messages,
        lambda message: translation.payload_of(message, payloads.MessagePayload),
        lambda payload: translation.value_of(payload, Message),
    ),
    "a conversation, with what is said of it": (
        conversations,
        translation.conversation_from,
        translation.conversation_to,
    ),
    "a message that begins a conversation": (
        beginnings,
        translation.beginning_of,
        translation.outgoing_of,
    ),
    "rejected paths, with their reasons": (
        rejections,
        lambda rejected: payloads.EventTaken(rejected=translation.rejected_of(rejected)),
        lambda taken: translation.rejections_of(taken.rejected),
    ),
}


@pytest.mark.parametrize("way", WAYS)
@given(data=st.data())
def test_a_value_arrives_as_it_was_sent(way: str, data: st.DataObject) -> None:
    values, to_the_wire, from_the_wire = WAYS[way]
    value = data.draw(values)
    assert from_the_wire(over_the_wire(to_the_wire(value))) == value


def test_a_reason_of_a_rejection_is_cut() -> None:
    taken = payloads.EventTaken(rejected=translation.rejected_of((("context.x", "r" * 9000),)))
    ((path, reason),) = translation.rejections_of(over_the_wire(taken).rejected)
    assert (path, len(reason)) == ("context.x", 64)


def test_a_value_beyond_the_limits_of_its_payload_is_refused_as_the_backend_would() -> None:
    short = IdentifyRequest("identify-1", "ada", "short")
    with pytest.raises(BackendRejectedError) as caught:
        translation.payload_of(short, payloads.Identify)
    assert caught.value.code == "validation_error"
    assert "short" not in caught.value.message


def test_a_request_names_its_endpoint_its_session_and_its_type() -> None:
    sent = payloads.SendMessage(text="hi", client_message_id="m-1")
    request = codec.request_to(
        endpoints.SEND, sent, session="session-1.abc", conversation_id="a/b ?#é", query={"x": "ü&="}
    )
    assert (request.method, request.path) == (
        "POST",
        "/widget/v1/conversations/a%2Fb%20%3F%23%C3%A9/messages?x=%C3%BC%26%3D",
    )
    assert request.headers == {
        "accept": "application/json",
        "accept-encoding": "identity",
        "authorization": "Bearer session-1.abc",
        "content-type": "application/json",
    }
    assert request.body == b'{"text":"hi","clientMessageId":"m-1"}'
    assert "authorization" not in codec.request_to(endpoints.CONFIG).headers


@pytest.mark.parametrize(
    "unsendable",
    [
        {"payload": payloads.SendMessage(text="\ud800", client_message_id="m")},
        {"payload": payloads.ClientEvent(changes={"user.name": object()})},
        {"conversation_id": "\ud800"},
        {"query": {"cursor": "\ud800"}},
        {"session": "two words"},
        {"session": "line\r\nx-injected: 1"},
        {"session": "sëssion"},
        {"session": ""},
    ],
    ids=lambda given: next(iter(given)),
)
def test_what_cannot_be_sent_is_the_callers_fault_and_not_shown(unsendable: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        codec.request_to(endpoints.SEND, **unsendable)
    assert not any(str(value) in str(caught.value) for value in unsendable.values() if value)


@given(
    secrets,
    secrets.filter(lambda text: text.isascii() and text.isprintable() and " " not in text)
    | st.just("s" * 30),
    secrets,
)
def test_a_request_shows_no_secret(visitor: str, session: str, token: str) -> None:
    asked = payloads.Identify(identify_id="i", user_id="ann", visitor=visitor, token=token)
    request = codec.request_to(endpoints.IDENTIFY, asked, session=session, query={"cursor": token})
    assert repr(request) == "Request(method='POST', path=/widget/v1/sessions/identify)"


@given(instances(payloads.SessionOpened))
def test_an_answer_is_read_as_its_payload(opened: payloads.SessionOpened) -> None:
    answer = Response(200, body=msgspec.json.encode(opened))
    assert codec.answer_of(endpoints.OPEN, answer, payloads.SessionOpened) == opened


WRONG_ANSWERS = {
    "a sign-in page": CAPTIVE_PORTAL,
    "nothing": b"",
    "another API": b'{"ok": true}',
    "a list": b"[]",
    "a wrong type": b'{"session": 1, "visitorId": "v", "realtimeToken": "t"}',
    "an empty session": b'{"session": "", "visitorId": "v", "realtimeToken": "t"}',
    "half of it": b'{"session": "s", "visitorId": "v", "real',
    "no UTF-8": b'{"session": "\xff", "visitorId": "v", "realtimeToken": "t"}',
    "a deep one": b'{"session": "s", "visitorId": "v", "realtimeToken": "t", "x": '
    + b"[" * 100_000,
    "noise": bytes(range(256)),
}


@pytest.mark.parametrize("body", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS.keys())
def test_what_is_no_answer_of_this_api_may_be_one_later(body: bytes) -> None:
    for status in (200, 201, 299):
        with pytest.raises(NotABackendError, match="base_url") as caught:
            codec.answer_of(endpoints.OPEN, Response(status, body=body), payloads.SessionOpened)
        assert (type(caught.value), caught.value.reason, caught.value.recoverable) == (
            NotABackendError,
            "unreadable_answer",
            True,
        )


@given(st.binary(max_size=200), st.integers(100, 599))
def test_whatever_comes_is_an_answer_or_an_error_of_this_library(body: bytes, status: int) -> None:
    with pytest.raises(SupportChatError) as caught:  # no noise is a payload
        codec.answer_of(endpoints.OPEN, Response(status, body=body), payloads.SessionOpened)
    assert not isinstance(caught.value, InvalidInputError)


def test_an_empty_answer_is_a_204_and_a_sign_in_page_is_none() -> None:
    codec.done_of(endpoints.SHUTDOWN, Response(204))
    for elsewhere in (
        Response(200, body=CAPTIVE_PORTAL),
        Response(200),
        Response(202),
        Response(302),
        Response(511, body=CAPTIVE_PORTAL),
    ):
        with pytest.raises(NetworkError, match="base_url"):
            codec.done_of(endpoints.SHUTDOWN, elsewhere)


def test_an_error_is_told_whatever_answer_was_expected() -> None:
    busy = Response(429, {"retry-after": "3"})
    for ask in (
        lambda: codec.done_of(endpoints.SHUTDOWN, busy),
        lambda: codec.answer_of(endpoints.OPEN, busy, payloads.SessionOpened),
    ):
        with pytest.raises(RateLimitedError) as caught:
            ask()
        assert caught.value.retry_after == 3.0

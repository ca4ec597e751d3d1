"""Frames: events arrive as they happened, unknown ones are skipped, and what is none ends the
link.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from support_chat.errors import NetworkError
from support_chat.ports import LinkEvent
from support_chat_adapters.transport.wire import frames
from support_chat_adapters.transport.wire.frames import (
    FRAMES,
    Hello,
    Polled,
    decode_frame,
    encode_frame,
    event_of,
    frame_of,
)
from wire_values import JSON_VALUES, instances, link_events

MESSAGE = {"id": "m", "conversationId": "c", "author": "agent", "text": "hi", "createdAt": 1.5}
CREATED = {"type": "message.created", "cursor": "1", "message": MESSAGE}


@given(link_events)
def test_an_event_arrives_as_it_happened(event: LinkEvent) -> None:
    frame = decode_frame(encode_frame(frame_of(event)))
    assert frame is not None
    assert event_of(frame) == event


@given(link_events)
def test_text_and_bytes_are_the_same_frame(event: LinkEvent) -> None:
    text = encode_frame(frame_of(event))
    assert decode_frame(text.encode()) == decode_frame(text) == frame_of(event)


@given(instances(Hello))
def test_a_hello_is_the_links_own_business(hello: Hello) -> None:
    assert decode_frame(encode_frame(hello)) == hello
    assert event_of(hello) is None


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "agent.typing"},
        {"type": ""},
        {"type": "HELLO"},
        {"type": "message.created2", **MESSAGE},
    ],
)
def test_a_frame_of_an_unknown_type_is_skipped(frame: dict[str, Any]) -> None:
    assert decode_frame(json.dumps(frame)) is None


@given(
    st.text().filter(lambda name: name not in FRAMES),
    st.dictionaries(st.text(), JSON_VALUES, max_size=3),
)
def test_every_unknown_type_is_skipped_whatever_else_it_holds(
    name: str, more: dict[str, Any]
) -> None:
    if "\ud800" <= max(name, default="") <= "\udfff":
        name = "typing"
    assert decode_frame(json.dumps({**more, "type": name})) is None


def test_unknown_keys_of_a_known_frame_are_ignored() -> None:
    plain = decode_frame(json.dumps(CREATED))
    assert plain == decode_frame(
        json.dumps({**CREATED, "priority": 1, "message": {**MESSAGE, "reactions": ["+1"]}})
    )


MALFORMED: dict[str, str | bytes] = {
    "nothing": "",
    "no JSON": "hello",
    "half of it": json.dumps(CREATED)[:-5],
    "no object": "[]",
    "no type": "{}",
    "a type that is no text": '{"type": 1}',
    "a hello without a cursor": '{"type": "hello"}',
    "a cursor that is too long": json.dumps({"type": "hello", "cursor": "x" * 65}),
    "a negative count": '{"type": "hello", "cursor": "", "unread": -1}',
    "a message that is none": json.dumps({**CREATED, "message": {}}),
    "an author that nobody is": json.dumps({**CREATED, "message": {**MESSAGE, "author": "root"}}),
    "a time that is none": json.dumps({**CREATED, "message": {**MESSAGE, "createdAt": "today"}}),
    "a reason that is too long": json.dumps({"type": "session.revoked", "reason": "x" * 65}),
    "no UTF-8": b'{"type": "hello", "cursor": "\xff"}',
    "noise": bytes(range(256)),
    "a deep one": '{"type": "hello", "cursor": ' + "[" * 100_000,
    "a deep one of an unknown type": '{"type": "x", "y": ' + "[" * 100_000,
    "half of a pair": '{"type": "hello", "cursor": "\\ud800"}',
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_frame_that_is_none_is_an_error_that_shows_nothing_of_it(text: str | bytes) -> None:
    with pytest.raises(NetworkError, match="cannot be read") as caught:
        decode_frame(text)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(
    st.binary()
    | st.text()
    | st.binary().map(lambda noise: b'{"type": "message.created", "message": ' + noise)
)
def test_whatever_comes_is_a_frame_or_skipped_or_a_network_error(text: str | bytes) -> None:
    try:
        frame = decode_frame(text)
    except NetworkError:
        return
    assert frame is None or isinstance(frame, tuple(FRAMES.values()))


@given(st.data(), st.sampled_from(sorted(FRAMES)))
def test_a_frame_that_was_damaged_on_its_way_is_still_one_of_the_three(
    data: st.DataObject, name: str
) -> None:
    intact = bytearray(encode_frame(data.draw(instances(FRAMES[name]))).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        intact[data.draw(st.integers(0, len(intact) - 1))] = data.draw(st.integers(0, 255))
    try:
        frame = decode_frame(bytes(intact))
    except NetworkError:
        return
    assert frame is None or isinstance(frame, tuple(FRAMES.values()))


def test_every_frame_is_in_the_table_under_its_tag() -> None:
    assert {kind.__struct_config__.tag: kind for kind in frames.Frame.__args__} == FRAMES


@given(instances(Polled))
def test_what_a_poll_brings_are_events(polled: Polled) -> None:
    assert all(event_of(frame) is not None for frame in polled.frames)

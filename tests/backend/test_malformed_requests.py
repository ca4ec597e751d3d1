"""What no request may hold is refused by the backend as by the client; all else is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import pytest

from support_chat.errors import BackendRejectedError, InvalidInputError
from support_chat.ports import Claim, Credentials, IdentifyRequest, Outgoing
from support_chat.values import About, Visitor, check_id
from support_chat_adapters.backend import Backend, WidgetRules

WIDGET: Final[dict[str, Any]] = {"workspace_id": "acme", "widget_id": "help"}
SECRET: Final = "a secret of twenty-two or more"
NO_IDS: Final = ["", "  ", " padded", "padded ", "\tx", "a\nb", "a\x1fb", "a\x7fb", "a\x85b", "\0"]
NOT_CARRIED: Final = ["half \ud83d", "\ude00", "a\0b"]
ODD: Final = ["e\u0301", "é", "\u200d", "a\u00a0b", "ﬁ", "𝒳", "a  b", "\ufeffx", "İ", "\u202e"]
"""Odd, and carried."""


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


NO_JSON: Final = {
    "key that is no text": {1: "x"},
    "key that is no text, deeper": {"a": [{"b": {None: 1}}]},
    "half a character in a key": {"\ud83d": 1},
    "half a character, deeper": {"a": {"b": ["\ud83d"]}},
    "NUL": {"a": "\0"},
    "nan": {"a": float("nan")},
    "infinity": {"a": [float("inf")]},
    "a number that nobody reads": {"a": 10**5000},
    "an object": {"a": object()},
    "nested too deep": {"a": nested(100)},
    "nested much too deep": {"a": nested(5000)},
}


@pytest.fixture
def backend() -> Any:
    rules = WidgetRules(jwt_required_for_identified_users=False)
    with Backend(**WIDGET, rules=rules) as made:
        yield made


def credentials(**changed: Any) -> Credentials:
    return attrs.evolve(Credentials(**WIDGET, visitor=SECRET), **changed)


def identify(**changed: Any) -> IdentifyRequest:
    return attrs.evolve(IdentifyRequest("identify-1", "ann", SECRET), **changed)


def outgoing(**changed: Any) -> Outgoing:
    return attrs.evolve(Outgoing("message-1", "hello"), **changed)


REQUESTS: Final[dict[str, Callable[[Backend, str, str], object]]] = {
    "user of a dial": lambda b, s, x: b.open(credentials(user_id=x)),
    "identify of a claim": lambda b, s, x: b.open(credentials(claim=Claim(x, "ann"))),
    "user of a claim": lambda b, s, x: b.open(credentials(claim=Claim("identify-1", x))),
    "identify": lambda b, s, x: b.identify(s, identify(identify_id=x)),
    "user of an identify": lambda b, s, x: b.identify(s, identify(user_id=x)),
    "message": lambda b, s, x: b.send(s, outgoing(client_message_id=x)),
    "conversation of a message": lambda b, s, x: b.send(s, outgoing(conversation_id=x)),
}


@pytest.mark.parametrize("place", REQUESTS)
@pytest.mark.parametrize("value", [*NO_IDS, *NOT_CARRIED, "x" * 256], ids=ascii)
def test_what_is_no_id_is_refused(backend: Backend, place: str, value: str) -> None:
    session = backend.open(credentials()).welcome.session
    with pytest.raises(BackendRejectedError) as caught:
        REQUESTS[place](backend, session, value)
    assert caught.value.code == "validation_error"
    assert backend.agent.conversations() == ()
    assert backend.agent.users() == ()


TEXTS: Final[dict[str, Callable[[Backend, str, str], object]]] = {
    "a text": lambda b, s, x: b.send(s, outgoing(text=x)),
    "a subject": lambda b, s, x: b.send(s, outgoing(about=About(subject=x))),
    "a tag": lambda b, s, x: b.send(s, outgoing(about=About(tags=("a", x)))),
}


@pytest.mark.parametrize("place", TEXTS)
@pytest.mark.parametrize("value", NOT_CARRIED, ids=ascii)
def test_text_that_cannot_be_carried_is_refused(backend: Backend, place: str, value: str) -> None:
    session = backend.open(credentials()).welcome.session
    with pytest.raises(BackendRejectedError) as caught:
        TEXTS[place](backend, session, value)
    assert caught.value.code == "validation_error"
    assert backend.agent.conversations() == ()


@pytest.mark.parametrize("fields", ["custom_fields", "metadata"])
@pytest.mark.parametrize("value", NO_JSON.values(), ids=NO_JSON.keys())
def test_what_is_no_json_is_refused(backend: Backend, fields: str, value: Any) -> None:
    session = backend.open(credentials()).welcome.session
    with pytest.raises(BackendRejectedError) as caught:
        backend.send(session, outgoing(about=About(**{fields: value})))
    assert caught.value.code == "validation_error"


@pytest.mark.parametrize("value", NO_JSON.values(), ids=NO_JSON.keys())
def test_a_change_that_is_no_json_is_rejected_by_itself(backend: Backend, value: Any) -> None:
    opened = backend.open(credentials()).welcome
    answer = backend.update(opened.session, {"context.bad": value, "context.good": 1})
    assert answer.rejected == (("context.bad", "not_json"),)
    assert backend.agent.traits(Visitor(opened.visitor_id or "")) == {"context.good": 1}


def test_a_path_that_cannot_be_carried_is_rejected_by_itself(backend: Backend) -> None:
    session = backend.open(credentials()).welcome.session
    assert backend.update(session, {"context.\ud83d": 1}).rejected == (
        ("context.\ud83d", "not_json"),
    )


@pytest.mark.parametrize("value", [*NOT_CARRIED, "padded "], ids=ascii)
def test_there_is_no_conversation_and_no_session_of_such_a_name(
    backend: Backend, value: str
) -> None:
    session = backend.open(credentials()).welcome.session
    for call in (backend.messages, backend.mark_read):
        with pytest.raises(BackendRejectedError) as caught:
            call(session, value)
        assert caught.value.code == "conversation_not_found"
        with pytest.raises(BackendRejectedError) as caught:
            call(value, "conversation-1")
        assert caught.value.reason == "session_unknown"
    backend.revoke(value)


@pytest.mark.parametrize("text", ["", " \n", *NOT_CARRIED], ids=ascii)
def test_an_agent_sends_nothing_blank_and_nothing_that_cannot_be_carried(
    backend: Backend, text: str
) -> None:
    session = backend.open(credentials()).welcome.session
    to = backend.send(session, outgoing()).conversation_id
    with pytest.raises(InvalidInputError):
        backend.agent.reply(to, text)
    with pytest.raises(InvalidInputError, match="There is no"):
        backend.agent.reply("conversation-\ud83d", "hello")


def test_a_backend_is_not_made_for_ids_that_are_none() -> None:
    for wrong in NO_IDS:
        with pytest.raises(InvalidInputError, match="workspace_id"):
            Backend(workspace_id=wrong, widget_id="help")
        with pytest.raises(InvalidInputError, match="widget_id"):
            Backend(workspace_id="acme", widget_id=wrong)


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_all_else_is_kept_character_for_character(backend: Backend, text: str) -> None:
    opened = backend.open(credentials()).welcome
    about = About(subject=text, tags=(f" {text}",), custom_fields={text: [f" {text}\n"]})
    sent = backend.send(
        opened.session, outgoing(client_message_id=f"m{text}m", text=f" {text}\t\n", about=about)
    )
    (conversation,) = backend.conversations(opened.session)
    assert conversation.about == about
    assert backend.messages(opened.session, sent.conversation_id) == (sent,)
    assert (sent.text, sent.client_message_id) == (f" {text}\t\n", f"m{text}m")
    assert backend.update(opened.session, {f"context.{text}": text}).rejected == ()
    assert backend.agent.traits(Visitor(opened.visitor_id or "")) == {f"context.{text}": text}
    user = check_id("user", f"u{text}u")
    assert backend.open(credentials(user_id=user)).welcome.user_id == user


def test_json_may_be_nested_a_hundred_deep(backend: Backend) -> None:
    session = backend.open(credentials()).welcome.session
    assert backend.update(session, {"context.x": nested(99)}).rejected == ()

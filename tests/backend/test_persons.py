"""What is known of one person: all of it is handed over, and all of it is deleted, and nothing of
anybody else's.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Coroutine, Generator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from support_chat.errors import BackendRejectedError, InvalidInputError
from support_chat.ports import (
    Credentials,
    IdentifyRequest,
    MessageArrived,
    Outgoing,
    SessionRevoked,
)
from support_chat.testing import run
from support_chat.values import SignedIn, Visitor
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.backend.opening import Opened

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backend.db"


@pytest.fixture
def backend(file: Path) -> Generator[Backend, None, None]:
    with opened(file) as one:
        yield one


def opened(file: Path) -> Backend:
    return Backend(file, **WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=lambda: NOW)


def token(user: str) -> str:
    return sign_identity_token(user, SECRET, **WIDGET, now=NOW)


def visitor(backend: Backend, secret: str, **more: Any) -> Opened:
    return backend.open(Credentials(**WIDGET, visitor=secret, **more))


def user(backend: Backend, user_id: str, secret: str = "shared machine", **more: Any) -> Opened:
    return visitor(backend, secret, user_id=user_id, token=token(user_id), **more)


def become(backend: Backend, session: str, secret: str, user_id: str) -> None:
    request = IdentifyRequest(
        f"{secret} as {user_id}",
        user_id,
        secret,
        token(user_id),
        user_changes={"user.name": f"SECRET {user_id}"},
        visitor_changes={"context.page": f"SECRET page of {user_id}"},
    )
    assert backend.identify(session, request).merged


def lives(backend: Backend) -> dict[str, Opened]:
    """Ada, who was a visitor and became a user, and is signed in twice; Bob at the same machine; a
    visitor who is neither.
    """
    ada = visitor(backend, "ada's phone")
    backend.send(ada.welcome.session, Outgoing("m1", "SECRET ada"))
    become(backend, ada.welcome.session, "ada's phone", "ada")
    again = user(backend, "ada")
    backend.send(again.welcome.session, Outgoing("m2", "SECRET ada again"))
    backend.agent.reply(SignedIn("ada"), "SECRET answer to ada")
    bob = user(backend, "bob")
    backend.send(bob.welcome.session, Outgoing("m1", "bob's"))
    stranger = visitor(backend, "shared machine")
    backend.send(stranger.welcome.session, Outgoing("m1", "a stranger's"))
    return {"ada": ada, "again": again, "bob": bob, "stranger": stranger}


def everything(file: Path) -> str:
    """Every value in the database, as text."""
    with closing(sqlite3.connect(file)) as db:
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return "\n".join(
            str(row) for (name,) in tables for row in db.execute(f"SELECT * FROM {name}")
        )


def test_what_is_known_of_a_user_is_what_they_did_as_a_visitor_too(backend: Backend) -> None:
    them = lives(backend)
    known = cast("Any", backend.records.export(SignedIn("ada")))
    assert json.loads(json.dumps(known)) == known
    assert known["user"] == {"id": "ada", "created_at": NOW}
    [visitor_row] = known["visitors"]
    assert visitor_row["id"] == them["ada"].welcome.visitor_id
    texts = [m["text"] for each in known["conversations"] for m in each["messages"]]
    assert sorted(texts) == ["SECRET ada", "SECRET ada again", "SECRET answer to ada"]
    assert known["traits"]["user.name"] == "SECRET ada"
    assert known["traits"]["context.page"] == "SECRET page of ada"
    assert len(known["sessions"]) == 2
    said = json.dumps(known)
    assert "bob" not in said
    assert "stranger" not in said
    assert "hash" not in said


def test_what_is_known_of_a_visitor_is_nothing_of_the_users_at_their_machine(
    backend: Backend,
) -> None:
    them = lives(backend)
    known = cast("Any", backend.records.export(Visitor(them["stranger"].welcome.visitor_id or "")))
    assert known["user"] is None
    texts = [m["text"] for each in known["conversations"] for m in each["messages"]]
    assert texts == ["a stranger's"]
    assert len(known["sessions"]) == 1


def test_a_user_who_is_forgotten_leaves_nothing_and_others_keep_all(
    backend: Backend, file: Path
) -> None:
    them = lives(backend)
    of_others = [
        json.dumps(backend.records.export(each))
        for each in (SignedIn("bob"), Visitor(them["stranger"].welcome.visitor_id or ""))
    ]
    forgotten = backend.records.forget(SignedIn("ada"))
    assert (forgotten.conversations, forgotten.messages, forgotten.sessions) == (2, 3, 2)
    left = everything(file)
    assert "ada" not in left
    assert "SECRET" not in left
    assert of_others == [
        json.dumps(backend.records.export(each))
        for each in (SignedIn("bob"), Visitor(them["stranger"].welcome.visitor_id or ""))
    ]
    for session in (them["ada"], them["again"]):
        with pytest.raises(BackendRejectedError) as refused:
            backend.conversations(session.welcome.session)
        assert refused.value.reason == "session_unknown"
    assert len(backend.conversations(them["bob"].welcome.session)) == 1
    with pytest.raises(InvalidInputError, match="no user 'ada'"):
        backend.records.forget(SignedIn("ada"))


def test_what_was_forgotten_is_not_left_in_the_file(file: Path) -> None:
    with opened(file) as backend:
        lives(backend)
        backend.records.forget(SignedIn("ada"))
    assert b"SECRET" not in file.read_bytes()
    assert not file.with_name(f"{file.name}-wal").exists()


def test_whoever_was_forgotten_and_comes_back_is_somebody_new(backend: Backend) -> None:
    them = lives(backend)
    backend.records.forget(SignedIn("ada"))
    back = user(backend, "ada", "ada's phone")
    assert back.welcome.visitor_id != them["ada"].welcome.visitor_id
    assert backend.conversations(back.welcome.session) == ()
    assert backend.agent.traits(SignedIn("ada")) == {}
    stranger = Visitor(them["stranger"].welcome.visitor_id or "")
    backend.records.forget(stranger)
    back = visitor(backend, "shared machine")
    assert back.welcome.visitor_id != stranger.id
    assert backend.conversations(back.welcome.session) == ()
    assert len(backend.conversations(them["bob"].welcome.session)) == 1
    assert user(backend, "bob").welcome.user_id == "bob"


def test_a_visitor_who_has_become_a_user_is_named_by_the_user(backend: Backend) -> None:
    them = lives(backend)
    for what in (backend.records.export, backend.records.forget, backend.records.end_sessions):
        with pytest.raises(InvalidInputError, match="has become the user 'ada'; name the user"):
            what(Visitor(them["ada"].welcome.visitor_id or ""))
        with pytest.raises(InvalidInputError, match="no visitor 'visitor-none'"):
            what(Visitor("visitor-none"))


def in_two(file: Path, scenario: Callable[[Backend, Backend], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        with opened(file) as serving, opened(file) as operator:
            await scenario(serving, operator)

    run(main())


def test_their_links_in_another_process_are_told_and_nobody_misses_what_is_written_later(
    file: Path,
) -> None:
    """Numbers of messages and of changes go on, though the last of them were deleted."""

    async def scenario(serving: Backend, operator: Backend) -> None:
        bob = serving.connect(Credentials(**WIDGET, visitor="b", user_id="bob", token=token("bob")))
        ada = serving.connect(Credentials(**WIDGET, visitor="a", user_id="ada", token=token("ada")))
        operator.agent.reply(SignedIn("bob"), "one")
        operator.agent.reply(SignedIn("ada"), "the last message of all")
        serving.look_around()
        first = await bob.next()
        assert isinstance(first, MessageArrived)
        await ada.next()

        assert operator.records.end_sessions(SignedIn("ada")) == 1
        serving.look_around()
        assert await ada.next() == SessionRevoked("forgotten")
        operator.records.forget(SignedIn("ada"))
        serving.look_around()

        again = serving.attach(bob.welcome.session, first.cursor)
        assert not again.welcome.gap
        operator.agent.reply(SignedIn("bob"), "two")
        assert operator.records.end_sessions(SignedIn("bob")) == 1
        serving.look_around()
        for link in (bob, again):
            two = await link.next()
            assert isinstance(two, MessageArrived)
            assert two.message.text == "two"
            assert await link.next() == SessionRevoked("forgotten")

    in_two(file, scenario)

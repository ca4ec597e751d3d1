"""What a file remembers, what several backends on one file agree on, and what neither file nor log
gives away.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import attrs
import pytest

from support_chat.errors import AuthRefusedError, BackendRejectedError
from support_chat.ports import Claim, Credentials, IdentifyRequest, Outgoing
from support_chat.values import SignedIn, Visitor
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}


def backend(db: Path | str) -> Backend:
    return Backend(db, **WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=lambda: NOW)


def token(user: str) -> str:
    return sign_identity_token(user, SECRET, **WIDGET, now=NOW)


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "backend.db"
    with backend(file) as b:
        first = b.open(Credentials(**WIDGET, visitor="secret-1")).welcome
        revoked = b.open(Credentials(**WIDGET, visitor="secret-1")).welcome.session
        b.revoke(revoked)
        sent = b.send(first.session, Outgoing("m1", "hello"))
        asked = IdentifyRequest(
            "identify-1", "ann", "secret-1", token("ann"), user_changes={"user.name": "Ann"}
        )
        answer = b.identify(first.session, asked)
        b.agent.reply(SignedIn("ann"), "coming")
        b.open(Credentials(**WIDGET, visitor="secret-2", claim=Claim("identify-2", "bob")))
        listed = b.conversations(first.session)
    with backend(file) as b:
        back = b.open(
            Credentials(
                **WIDGET,
                visitor="secret-1",
                session=first.session,
                user_id="ann",
                token=token("ann"),
                cursor=first.cursor,
            )
        )
        assert [event.message.text for event in back.replay] == ["hello", "coming"]
        assert b.conversations(first.session) == listed
        assert b.send(first.session, Outgoing("m1", "hello")) == sent
        assert b.identify(first.session, asked) == attrs.evolve(answer, unread=1)
        assert b.agent.traits(SignedIn("ann")) == {"user.name": "Ann"}
        assert b.agent.merged_into(Visitor(first.visitor_id or "")) == SignedIn("ann")
        assert (
            b.open(Credentials(**WIDGET, visitor="secret-1")).welcome.visitor_id != first.visitor_id
        )
        with pytest.raises(BackendRejectedError):
            b.conversations(revoked)
        second = b.open(Credentials(**WIDGET, visitor="secret-2")).welcome
        with pytest.raises(AuthRefusedError) as caught:
            b.identify(
                second.session, IdentifyRequest("identify-2", "bob", "secret-2", token("bob"))
            )
        assert caught.value.reason == "superseded"


def test_a_backend_in_memory_forgets() -> None:
    seen: set[str | None] = set()
    for _ in range(2):
        with backend(":memory:") as b:
            seen.add(b.open(Credentials(**WIDGET, visitor="secret-1")).welcome.visitor_id)
    assert len(seen) == 2


def test_several_backends_on_one_file_make_one_visitor_one_user_and_one_merge(
    tmp_path: Path,
) -> None:
    """The rules hold between connections, as they must where a server has several workers."""
    file, workers = tmp_path / "backend.db", 4
    together = Barrier(workers, timeout=30)

    def work(number: int) -> tuple[str | None, int]:
        together.wait()
        with backend(file) as b:
            together.wait()
            welcome = b.open(Credentials(**WIDGET, visitor="secret-1")).welcome
            b.send(welcome.session, Outgoing("the-same", "hello"))
            together.wait()
            request = IdentifyRequest(f"identify-{number}", "ann", "secret-1", token("ann"))
            return welcome.visitor_id, b.identify(welcome.session, request).conversations_moved

    with ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(work, range(workers)))
    assert len({visitor_id for visitor_id, _ in done}) == 1
    assert sorted(moved for _, moved in done) == [0, 0, 0, 1]
    with backend(file) as b:
        assert b.agent.users() == (SignedIn("ann"),)
        assert [c.messages for c in b.agent.conversations(SignedIn("ann"))] == [1]
        assert b.agent.duplicates() == 0


def test_neither_the_file_nor_the_log_nor_an_error_gives_a_secret_away(tmp_path: Path) -> None:
    file = tmp_path / "backend.db"
    signed = token("ann")
    errors: list[str] = []
    with backend(file) as b:
        welcome = b.open(Credentials(**WIDGET, visitor="visitor-secret-1")).welcome
        b.identify(
            welcome.session,
            IdentifyRequest(
                "i", "ann", "visitor-secret-1", signed, user_changes={"user.name": "Ann"}
            ),
        )
        b.renew(welcome.session, signed)
        b.update(welcome.session, {"user.traits.diagnosis": "trait-value"})
        for bad in (
            Credentials(**WIDGET, visitor="visitor-secret-1", user_id="bob", token=signed),
            Credentials(**WIDGET, visitor="visitor-secret-1", session=welcome.session),
        ):
            with pytest.raises(AuthRefusedError) as caught:
                b.open(bad)
            errors.append(f"{caught.value!r} {caught.value} {caught.value.__dict__}")
        b.revoke(welcome.session)
        said = [repr(entry) for entry in b.log] + errors + [repr(welcome), repr(b), repr(b.log)]
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"ann" in stored, "or this test reads the wrong bytes"
    session_secret = welcome.session.partition(".")[2]
    assert len(session_secret) >= 22, "128 bits"
    for secret in ("visitor-secret-1", session_secret, signed, signed.rpartition(".")[2], SECRET):
        assert secret.encode() not in stored
        assert not [line for line in said if secret in line]
    assert not [line for line in said if "trait-value" in line]

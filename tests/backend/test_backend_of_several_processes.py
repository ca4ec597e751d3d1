"""Two backends on one file, as a server and an operator's command are: what either does, the live
links of the other hear of.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from support_chat.errors import WrongThreadError
from support_chat.ports import Credentials, MessageArrived, SessionRevoked, TokenExpired
from support_chat.testing import run
from support_chat.values import SignedIn
from support_chat_adapters.backend import Backend, Connection, IdentityKey, sign_identity_token
from support_chat_adapters.transport import LoopbackTransport

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}


def with_two(db: Path, scenario: Callable[[Backend, Backend], Coroutine[Any, Any, None]]) -> None:
    """Runs a scenario with the backend that serves and the one that an operator opens."""

    def opened() -> Backend:
        return Backend(db, **WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=lambda: NOW)

    async def main() -> None:
        with opened() as serving, opened() as operator:
            await scenario(serving, operator)

    run(main())


def connected(backend: Backend, user: str = "ann") -> Connection:
    """A live link of a user."""
    return backend.connect(
        Credentials(
            **WIDGET,
            visitor=f"secret-of-{user}",
            user_id=user,
            token=sign_identity_token(user, SECRET, **WIDGET, now=NOW),
        )
    )


async def is_quiet(connection: Connection) -> bool:
    """Nothing comes."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection.next(), 1.0)
    return not connection.is_closed


def test_a_session_that_an_operator_revokes_is_told_after_what_was_written_before(
    tmp_path: Path,
) -> None:
    async def scenario(serving: Backend, operator: Backend) -> None:
        revoked, other = connected(serving), connected(serving, "bob")
        operator.agent.reply(SignedIn("ann"), "goodbye")
        operator.revoke(revoked.welcome.session)
        assert not revoked.is_closed
        serving.look_around()
        event = await revoked.next()
        assert isinstance(event, MessageArrived)
        assert event.message.text == "goodbye"
        assert await revoked.next() == SessionRevoked()
        assert (revoked.is_closed, revoked.closed_because) == (True, "revoked")
        assert await is_quiet(other)
        serving.look_around()
        assert serving.log.count("revoked") == 1

    with_two(tmp_path / "chat.db", scenario)


def test_tokens_that_an_operator_expires_are_told_once_and_again_after_a_renewal(
    tmp_path: Path,
) -> None:
    async def scenario(serving: Backend, operator: Backend) -> None:
        expired, other = connected(serving), connected(serving, "bob")
        for _ in range(2):
            operator.faults.expire_tokens("ann")
            serving.look_around()
            serving.look_around()
            assert await expired.next() == TokenExpired()
            assert await is_quiet(expired)
            serving.renew(
                expired.welcome.session, sign_identity_token("ann", SECRET, **WIDGET, now=NOW)
            )
            serving.look_around()
            assert await is_quiet(expired)
        assert await is_quiet(other)

    with_two(tmp_path / "chat.db", scenario)


def test_in_another_thread_a_backend_says_whose_it_is() -> None:
    async def elsewhere() -> None:
        with pytest.raises(
            WrongThreadError, match=r"belongs to the thread .* on the same database"
        ):
            await LoopbackTransport(backend).open(Credentials("acme", "help", "secret"))

    with Backend(workspace_id="acme", widget_id="help") as backend:
        thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
        thread.start()
        thread.join(60.0)
        assert not thread.is_alive()
        assert backend.agent.visitors() == ()


def test_after_a_fork_a_backend_says_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with Backend(workspace_id="acme", widget_id="help") as backend:
        with monkeypatch.context() as forked:
            forked.setattr(os, "getpid", lambda: -1)
            with pytest.raises(WrongThreadError, match=r"process that made it"):
                backend.agent.users()
        assert backend.agent.users() == ()

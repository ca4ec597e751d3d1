"""Faults that rounds have found, each reduced to the one place where it was: a seed replays a round
only as far as timing allows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

import attrs
import pytest

from support_chat.ports import Claim, Credentials
from support_chat_adapters.backend import Backend
from support_chat_adapters.backend.server.app import create_app
from support_chat_adapters.transport.wire.endpoints import BASE, EVENTS
from support_chat_adapters.transport.wire.translation import credentials_of, opening_of

VISITOR = Credentials("ws_1", "wgt_1", "a-visitor-secret-of-128-bits")


def test_everything_that_a_dial_presents_arrives_at_the_backend() -> None:
    claim = Claim("identify-1", "ada")
    presented = {
        "a visitor": VISITOR,
        "a visitor who resumes": attrs.evolve(VISITOR, session="session-1.secret", cursor="7"),
        "a user": attrs.evolve(VISITOR, user_id="ada", token="a.b.c"),
        "a user who needs no token": attrs.evolve(VISITOR, user_id="ada"),
        "a visitor who asks for a lost identify": attrs.evolve(
            VISITOR, session="session-1.secret", token="a.b.c", claim=claim
        ),
        "one who asks for it without a token": attrs.evolve(
            VISITOR, session="session-1.secret", claim=claim
        ),
        "a user who asks for it": attrs.evolve(VISITOR, user_id="ada", token="a.b.c", claim=claim),
    }
    for who, credentials in presented.items():
        assert credentials_of(opening_of(credentials)) == credentials, who


def test_a_caller_who_goes_in_the_middle_of_a_request_is_no_failure_of_the_backend(
    caplog: pytest.LogCaptureFixture,
) -> None:
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    bearer = b"Bearer session-1." + b"x" * 32
    scope = {
        "type": "http",
        "method": "POST",
        "path": BASE + EVENTS.path,
        "headers": [(b"authorization", bearer)],
        "query_string": b"",
    }
    with Backend(workspace_id="ws_1", widget_id="wgt_1") as backend:
        asyncio.run(create_app(backend)(scope, receive, send))
    assert 400 <= statuses[0] < 500
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

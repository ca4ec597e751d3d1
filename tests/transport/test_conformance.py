"""The transport keeps every clause of its port against a real `serve`, with a WebSocket and with
polls.
"""

from __future__ import annotations

from typing import Any

import pytest

from served import Served
from served_arrangement import served_arrangement
from support_chat.testing import TRANSPORT_CLAUSES, check_transport

WAYS: dict[str, dict[str, Any]] = {"websocket": {}, "polls": {"websocket": None}}


@pytest.mark.parametrize("clause", [clause.id for clause in TRANSPORT_CLAUSES])
@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS.keys())
def test_the_transport_keeps_the_clause(
    backend: Served, clause: str, options: dict[str, Any]
) -> None:
    # a clause may start the server many times over, on a machine however busy
    report = check_transport(
        lambda: served_arrangement(backend, **options), only=clause, limit=180.0
    )
    assert report.passed == (clause,)

"""The transport keeps every clause of its port against a gateway on PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from served import Served
from served_arrangement import served_arrangement
from support_chat.testing import TRANSPORT_CLAUSES, check_transport

WAYS: dict[str, dict[str, Any]] = {"websocket": {}, "polls": {"websocket": None}}


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS.keys())
def test_the_transport_keeps_every_clause(lasting: Served, options: dict[str, Any]) -> None:
    report = check_transport(lambda: served_arrangement(lasting, **options), limit=180.0)
    assert report.passed == tuple(clause.id for clause in TRANSPORT_CLAUSES)

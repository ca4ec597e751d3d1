"""Each clause of the transport suite can fail: for each there is a transport with that fault, and
the error names the clause.
"""

from __future__ import annotations

from typing import Any

import pytest

from broken import assert_found, assert_healthy
from broken_transports import BROKEN, Healthy, arranged
from support_chat.testing import TRANSPORT_CLAUSES, Clause, check_transport


def test_the_transport_without_a_fault_passes_every_clause() -> None:
    assert_healthy(check_transport(arranged(Healthy)), TRANSPORT_CLAUSES)


def test_every_clause_has_its_broken_transport() -> None:
    assert set(BROKEN) == {clause.id for clause in TRANSPORT_CLAUSES}


@pytest.mark.parametrize("clause", TRANSPORT_CLAUSES, ids=lambda clause: clause.id)
def test_a_broken_transport_is_found_by_the_clause_that_it_breaks(clause: Clause[Any]) -> None:
    assert_found(
        clause, lambda: check_transport(arranged(BROKEN[clause.id]), only=[clause.id], limit=1.0)
    )

"""Each clause can fail: for each there is an adapter with that fault, and the error names the
clause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest

import broken_storages
import broken_stores
import broken_tokens
import broken_transports
from support_chat.testing import (
    STORAGE_CLAUSES,
    TOKEN_CLAUSES,
    TRANSPORT_CLAUSES,
    Clause,
    ConformanceError,
    Report,
    check_storage,
    check_token_provider,
    check_transport,
)
from support_chat_adapters.backend import SQLiteStore
from support_chat_adapters.backend.conformance import STORE_CLAUSES, check_store


class Suite(NamedTuple):
    """The clauses of a port, an adapter without a fault, and for each clause one that breaks it."""

    clauses: Sequence[Clause[Any]]
    healthy: Any
    broken: Mapping[str, Any]
    check: Callable[..., Report]
    made: Callable[[Any], Any]


SUITES: dict[str, Suite] = {
    "storage": Suite(
        STORAGE_CLAUSES,
        broken_storages.Healthy,
        broken_storages.BROKEN,
        check_storage,
        broken_storages.place,
    ),
    "tokens": Suite(
        TOKEN_CLAUSES,
        broken_tokens.Healthy,
        broken_tokens.BROKEN,
        check_token_provider,
        broken_tokens.source,
    ),
    "transport": Suite(
        TRANSPORT_CLAUSES,
        broken_transports.Healthy,
        broken_transports.BROKEN,
        check_transport,
        broken_transports.arranged,
    ),
    "store": Suite(
        STORE_CLAUSES, SQLiteStore, broken_stores.BROKEN, check_store, broken_stores.place
    ),
}
EACH = [(suite, clause) for suite in SUITES.values() for clause in suite.clauses]


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_the_adapter_without_a_fault_passes_every_clause(suite: Suite) -> None:
    report = suite.check(suite.made(suite.healthy))
    assert report.passed == tuple(clause.id for clause in suite.clauses)
    assert report.not_applicable == {}


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_every_clause_has_its_broken_adapter(suite: Suite) -> None:
    assert set(suite.broken) == {clause.id for clause in suite.clauses}


@pytest.mark.parametrize(("suite", "clause"), EACH, ids=[clause.id for _, clause in EACH])
def test_a_broken_adapter_is_found_by_the_clause_that_it_breaks(
    suite: Suite, clause: Clause[Any]
) -> None:
    broken = suite.made(suite.broken[clause.id])
    with pytest.raises(ConformanceError) as caught:
        suite.check(broken, only=[clause.id], limit=1.5)
    assert [failure.id for failure in caught.value.report.failures] == [clause.id]
    assert f"{clause.id}: {clause.sentence}\n    seen: " in str(caught.value)
    assert "the factory failed" not in str(caught.value)

"""The store in PostgreSQL keeps the port, and each of the things that keep works apart is missed by
some clause.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
import pytest

from support_chat.testing import ConformanceError
from support_chat_adapters.backend.conformance import STORE_CLAUSES, StorePlace, check_store
from support_chat_adapters.backend.pieces import Piece
from support_chat_adapters.backend.postgres import PostgresStore
from support_chat_adapters.backend.postgres.connection import Transaction
from support_chat_adapters.backend.postgres.order import Order

PATIENCE: Final = 5.0


def place(database: str) -> StorePlace:
    @contextmanager
    def locked() -> Generator[None, None, None]:
        with psycopg.connect(database) as db:
            db.execute("LOCK TABLE messages IN EXCLUSIVE MODE")
            yield

    return StorePlace(lambda: PostgresStore(database, patience=PATIENCE), locked, PATIENCE)


def test_it_keeps_every_clause(database: str) -> None:
    report = check_store(lambda: place(database), limit=120.0)
    assert report.passed == tuple(clause.id for clause in STORE_CLAUSES)


def without_locks_of_owners(_: str, patch: pytest.MonkeyPatch) -> None:
    def lock(self: Transaction, *owners: str) -> None: ...

    patch.setattr(Transaction, "lock", lock)


def drawing_without_a_lock(database: str, _: pytest.MonkeyPatch) -> None:
    PostgresStore(database).close()
    with psycopg.connect(database) as db:
        db.execute(
            "CREATE OR REPLACE FUNCTION draw() RETURNS BIGINT LANGUAGE sql AS"
            " $$ SELECT nextval('numbers') $$"
        )


def without_positions_of_what_is_under_way(_: str, patch: pytest.MonkeyPatch) -> None:
    def begun(self: Order, piece: Piece, settled: int) -> int:
        return settled

    patch.setattr(Order, "begun", begun)


FAULTS: dict[Callable[[str, Any], None], set[str]] = {
    without_locks_of_owners: {"order-of-an-owner", "late-request", "as-if-alone"},
    drawing_without_a_lock: {"overtaken-told", "overtaken-replayed"},
    without_positions_of_what_is_under_way: {"write-in-order"},
}
BESIDE: Final = {"overtaken-told", "overtaken-replayed", "order-of-an-owner", "late-request"}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_keeps_works_apart_is_missed(
    fault: Callable[[str, Any], None], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(database, monkeypatch)
    tried = [f"store.{each}" for each in sorted({*BESIDE, "as-if-alone", "write-in-order"})]
    with pytest.raises(ConformanceError) as caught:
        check_store(lambda: place(database), only=tried, limit=120.0)
    failed = {failure.id.removeprefix("store.") for failure in caught.value.report.failures}
    assert failed == FAULTS[fault]

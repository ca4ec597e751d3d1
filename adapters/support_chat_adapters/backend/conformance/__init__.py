"""The suite that finds out whether a store keeps the `Store` port, clause by clause.

    check_store(lambda: StorePlace(lambda: SQLiteStore(path)))

It works as those of `support_chat.testing` do: a plain function, which returns a `Report` or raises
a `ConformanceError` that names every clause that does not hold. What it writes are conversations of
an owner whom nobody else has, so a place may hold more.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from support_chat.testing import Clause, Report
from support_chat.testing.conformance.expecting import entered
from support_chat.testing.conformance.suites import LIMIT, check

from .. import conversations
from ..store import as_it_is
from .order import ORDER
from .overtaking import OVERTAKING
from .sharing import SHARING
from .trial import Follower, StoreFactory, StorePlace, StoreTrial

__all__ = ["STORE_CLAUSES", "StoreFactory", "StorePlace", "check_store"]

STORE_CLAUSES: Final[Sequence[Clause[StoreTrial]]] = (*ORDER, *OVERTAKING, *SHARING)
"""Every clause of the `Store` port."""


@asynccontextmanager
async def _trial(factory: StoreFactory) -> AsyncGenerator[StoreTrial, None]:
    async with entered(factory()) as place, _tried(place) as trial:
        yield trial


@asynccontextmanager
async def _tried(place: StorePlace) -> AsyncGenerator[StoreTrial, None]:
    trial = StoreTrial(place, Follower(place.open(), f"user:check-{secrets.token_hex(8)}"))
    trial.opened.append(trial.store)
    try:
        trial.conversation, trial.elsewhere = (
            trial.store.write_now(partial(conversations.start, owner=owner, now=0.0), as_it_is)
            for owner in (trial.first.owner, trial.somebody_else)
        )
        trial.first.begin()
        yield trial
    finally:
        for store in trial.opened:
            store.close()


def check_store(factory: StoreFactory, *, only: Iterable[str] = (), limit: float = LIMIT) -> Report:
    """Tries a store: `factory()` gives a `StorePlace`, or an async context manager of one, on the
    thread of each clause.

    `only` names the clauses to try (`"store.busy"`), all by default; `limit` is how many seconds
    each may take. Raises ConformanceError if a clause fails, InvalidInputError for a clause that
    does not exist.
    """
    return check(STORE_CLAUSES, lambda: _trial(factory), only=only, limit=limit)

"""The conformance suites: `check_storage`, `check_token_provider` and `check_transport`, for the
author of an adapter.

    check_storage(MemoryStorage)
    check_storage(lambda: SQLiteStorage(path))
    check_token_provider(lambda: HTTPTokenProvider(url))
    check_transport(my_arrangement)

`my_arrangement` is an async context manager: a backend, your transport to it, and a few hands. Each
suite is a plain function, to be called from any test runner or from none: it returns a `Report`, or
raises a `ConformanceError` that names every clause that does not hold, the sentence it stands for,
and what was seen. The factory is called for each clause, on the thread and the event loop of that
clause; what it makes is closed afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from .arrangement import TransportFactory, TransportTrial, transport_trial
from .storage.clauses import ONE_OBJECT
from .storage.ending import ENDED
from .storage.place import StorageFactory, StorageTrial, storage_trial
from .storage.together import TOGETHER
from .suites import LIMIT, NOTHING_WAIVED, Clause, Report, check
from .tokens.clauses import TOKENS
from .tokens.source import TokenFactory, TokenTrial, token_trial
from .transport.calls import CALLS
from .transport.ending import ENDING
from .transport.events import EVENTS
from .transport.opening import OPENING
from .transport.tabs import TABS

STORAGE_CLAUSES: Final[Sequence[Clause[StorageTrial]]] = (*ONE_OBJECT, *ENDED, *TOGETHER)
"""Every clause of the `Storage` port."""
TOKEN_CLAUSES: Final[Sequence[Clause[TokenTrial]]] = TOKENS
"""Every clause of a `TokenProvider`."""
TRANSPORT_CLAUSES: Final[Sequence[Clause[TransportTrial]]] = (
    *OPENING,
    *CALLS,
    *EVENTS,
    *TABS,
    *ENDING,
)
"""Every clause of the `Transport` port and of its links."""


def check_storage(
    factory: StorageFactory,
    *,
    only: Iterable[str] = (),
    waived: Mapping[str, str] = NOTHING_WAIVED,
    limit: float = LIMIT,
) -> Report:
    """Tries a storage: `factory()` gives one, or a `StoragePlace`, which allows for more to be
    tried.

    What is stored in the place already does no harm and stays: each clause has a scope of its own
    and removes it in the end. `only` names the clauses to try (`"storage.create-keeps"`), all by
    default; `waived` those that are not, each with the reason, which the report repeats; `limit` is
    how many seconds each may take. Raises ConformanceError if a clause fails, and InvalidInputError
    for a clause that does not exist.
    """
    return check(
        STORAGE_CLAUSES, lambda: storage_trial(factory), only=only, waived=waived, limit=limit
    )


def check_token_provider(
    factory: TokenFactory,
    *,
    only: Iterable[str] = (),
    waived: Mapping[str, str] = NOTHING_WAIVED,
    limit: float = LIMIT,
) -> Report:
    """Tries a token provider: `factory()` gives one, or a `TokenSource` with switches, which allows
    refusals and failures to be tried.

    `only`, `waived` and `limit` are as for `check_storage`, and so are the errors.
    """
    return check(TOKEN_CLAUSES, lambda: token_trial(factory), only=only, waived=waived, limit=limit)


def check_transport(
    factory: TransportFactory,
    *,
    only: Iterable[str] = (),
    waived: Mapping[str, str] = NOTHING_WAIVED,
    limit: float = LIMIT,
) -> Report:
    """Tries a transport and its links: `factory()` gives an `Arrangement`, or an async context
    manager of one.

    Backend and network may be as slow as real ones; people and sessions are new ones for each
    clause, so a backend may serve many. `only`, `waived` and `limit` are as for `check_storage`,
    and so are the errors; what the arrangement itself cannot do is said to be its fault.
    """
    return check(
        TRANSPORT_CLAUSES, lambda: transport_trial(factory), only=only, waived=waived, limit=limit
    )

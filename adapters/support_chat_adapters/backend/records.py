"""The operator's side of what is stored: what is known of a person, and what is kept no longer. No
access rules apply here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from support_chat.values import JSON, Identity

from . import persons, pruning
from .persons import Forgotten
from .pruning import Ages, Pruned
from .store import Store, as_it_is


class Records:
    """The records of one backend; reach it as `backend.records`. `live` says which sessions have a
    link open.
    """

    def __init__(
        self, store: Store, clock: Callable[[], float], live: Callable[[], Collection[int]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._live = live

    def export(self, identity: Identity) -> dict[str, JSON]:
        """All that is known of a user or a visitor, as JSON; raises InvalidInputError if there is
        none, and for a visitor who has become a user.
        """
        return self._store.read_now(
            lambda db: persons.export(db, persons.find(db, identity)), as_it_is
        )

    def end_sessions(self, identity: Identity) -> int:
        """Ends every session of a user or a visitor, in every process; returns how many there were.
        Raises as `export`.
        """
        return self._store.write_now(
            lambda db: persons.end_sessions(db, persons.find(db, identity)), as_it_is
        )

    def forget(self, identity: Identity) -> Forgotten:
        """Deletes all that is known of a user or a visitor. End their sessions first, so that live
        links are told; raises as `export`.
        """
        return self._store.write_now(
            lambda db: persons.forget(db, persons.find(db, identity)), as_it_is
        )

    async def prune(self, ages: Ages) -> Pruned:
        """Deletes some of what nobody has heard of for long; call it again while there is more."""
        live, now = self._live(), self._clock()
        return await self._store.write(lambda db: pruning.prune(db, ages, live, now), as_it_is)

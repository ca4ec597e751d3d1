"""What live links are told of what was written, whichever process has written it: new messages,
and sessions that were signed in, renewed, expired or ended.

Both are numbered in the order of their commits, so "what is new" is what comes after two numbers.
`read` finds it, inside a transaction on the store's thread; `tell` hands it to the links, on the
owner's.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from support_chat.ports import SessionRevoked

from . import conversations, sessions
from .connections import OpenConnections
from .conversations import Stored
from .log import Entry, short
from .sessions import Changed, Session
from .store import Transaction


@attrs.frozen
class News:
    """Some of what was written, in order."""

    changes: tuple[Changed, ...]
    messages: tuple[Stored, ...]


@attrs.define(eq=False)
class Delivery:
    """The news of one store for the links of one backend."""

    connections: OpenConnections
    log: Callable[[Entry], None]
    clock: Callable[[], float]
    _message: int | None = None
    """The number of the last message that was read."""
    _change: int = 0
    """The number of the last change of a session that was read."""

    def read(self, db: Transaction) -> News | None:
        """What was written since this was asked last, or None; asked first, nothing was."""
        if self._message is None:
            self._message, self._change = conversations.latest(db), sessions.latest_change(db)
            return None
        changes = sessions.changed_since(db, self._change)
        # a message may be for whom a session becomes by a change: so it comes after all of these
        all_of_them = len(changes) < sessions.CHANGES_AT_ONCE
        messages = conversations.since(db, self._message) if all_of_them else ()
        if changes:
            self._change = changes[-1].number
        if messages:
            self._message = messages[-1].number
        return News(changes, messages) if changes or messages else None

    def tell(self, news: News) -> None:
        """Hands the news to the links that they concern."""
        for change in news.changes:
            for connection in self.connections.change(change.session):
                connection.tell_expired()
        ended = {change.session.number: change.ended for change in news.changes if change.ended}
        for stored in news.messages:
            for connection in self.connections.of_owner(stored.owner):
                number = connection.session.number
                over = number in ended and stored.number > ended[number].after
                if number != stored.session and not over:
                    connection.push(stored.event)
        for change in news.changes:
            if change.ended is not None:
                self._end(change.session, change.ended.why)

    def _end(self, session: Session, why: str) -> None:
        self.log(Entry(self.clock(), "revoked", session.ref, session.identity, short((why,))))
        for connection in self.connections.of(session.number):
            connection.finish(SessionRevoked(why))

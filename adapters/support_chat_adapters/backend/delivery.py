"""What live links are told of what was written, whichever process has written it: new messages and
read marks, and sessions that were signed in, left behind by a merge, renewed, expired or ended.

Each of the three is numbered in the order of its commits, so "what is new" is what comes after
three numbers.
`read` finds it, inside a transaction on the store's thread; `tell` hands it to the links, on the
owner's.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from support_chat.ports import SessionRevoked

from . import conversations, sessions, stream
from .connections import OpenConnections
from .log import Entry, short
from .sessions import Changed, Session
from .store import Transaction
from .stream import Marked, Stored


@attrs.frozen
class News:
    """Some of what was written, in order."""

    changes: tuple[Changed, ...]
    messages: tuple[Stored, ...]
    marks: tuple[Marked, ...]


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
    _mark: int = 0
    """The number of the last read mark that was read."""

    def read(self, db: Transaction) -> News | None:
        """What was written since this was asked last, or None; asked first, nothing was."""
        if self._message is None:
            self._message, self._change = conversations.latest(db), sessions.latest_change(db)
            self._mark = conversations.latest_mark(db)
            return None
        changes = sessions.changed_since(db, self._change)
        # a message may be for whom a session becomes by a change: so it comes after all of these
        all_of_them = len(changes) < sessions.CHANGES_AT_ONCE
        messages = stream.since(db, self._message) if all_of_them else ()
        # and a mark comes after the message up to which it reads
        all_of_them = all_of_them and len(messages) < stream.AT_ONCE
        marks = stream.marked_since(db, self._mark) if all_of_them else ()
        if changes:
            self._change = changes[-1].number
        if messages:
            self._message = messages[-1].number
        if marks:
            self._mark = marks[-1].number
        return News(changes, messages, marks) if changes or messages or marks else None

    def tell(self, news: News) -> None:
        """Hands the news to the links that they concern."""
        for change in news.changes:
            left_behind = change.left_behind and change.ended is None
            for connection in self.connections.change(change.session, left_behind=left_behind):
                connection.tell_expired()
        ended = {change.session.number: change.ended for change in news.changes if change.ended}
        for stored in news.messages:
            for connection in self.connections.of_owner(stored.owner):
                number = connection.session.number
                if number not in ended or stored.number <= ended[number].after:
                    connection.push_message(stored)
        for mark in news.marks:
            for connection in self.connections.of_owner(mark.owner):
                connection.push_mark(mark)
        for change in news.changes:
            if change.ended is not None:
                self._end(change.session, change.ended.why)

    def _end(self, session: Session, why: str) -> None:
        self.log(Entry(self.clock(), "revoked", session.ref, session.identity, short((why,))))
        for connection in self.connections.of(session.number):
            connection.finish(SessionRevoked(why))

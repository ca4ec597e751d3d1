"""A backend of one person with a long history, and a store that shows what its requests do."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import attrs

from support_chat.ports import Credentials, Outgoing
from support_chat_adapters.backend import Backend, SQLiteStore

WIDGET: Final[dict[str, Any]] = {"workspace_id": "acme", "widget_id": "help"}
SECRET: Final = "secret-of-the-visitor"


class WatchedStore(SQLiteStore):
    """Counts the steps of SQLite's machine, and keeps the statements that it was given."""

    steps = 0
    statements: Sequence[str] = ()

    @contextmanager
    def watched(self) -> Generator[None, None, None]:
        """What is done within the block, is what `steps` and `statements` are of afterwards."""
        seen: list[str] = []
        self.steps = 0
        self._db.set_trace_callback(seen.append)
        self._db.set_progress_handler(self._step, 1)
        try:
            yield
        finally:
            self._db.set_progress_handler(None, 1)
            self._db.set_trace_callback(None)
            self.statements = tuple(seen)

    def _step(self) -> int:
        self.steps += 1
        return 0

    def plans(self) -> list[tuple[str, str]]:
        """Each statement, and each line of how SQLite goes about it."""
        return [
            (statement, str(row["detail"]))
            for statement in self.statements
            if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE")
            for row in self._db.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]

    def rows(self, sql: str) -> list[sqlite3.Row]:
        """What a question to the database answers."""
        return self._db.execute(sql).fetchall()

    def fill(self, owner: str, messages: int, conversations: int, prefix: str = "c") -> None:
        """Gives `owner` a history, as if it had come by requests: every other message is an
        agent's, and unread; the last is theirs, and unanswered.
        """
        self._db.execute("BEGIN")
        per = messages // conversations
        self._db.executemany(
            "INSERT INTO conversations (id, owner, messages, unread, created_at)"
            " VALUES (?, ?, ?, ?, 0)",
            [(f"{prefix}-{number}", owner, per, per // 2) for number in range(conversations)],
        )
        self._db.executemany(
            "INSERT INTO messages (conversation_id, owner, author, text, created_at)"
            " VALUES (?, ?, ?, 'some words', 0)",
            [
                (f"{prefix}-{number % conversations}", owner, ("agent", "visitor")[turn % 2])
                for turn in range(per)
                for number in range(conversations)
            ],
        )
        last = "(SELECT max(number) FROM messages WHERE conversation_id = id)"
        self._db.execute(
            f"UPDATE conversations SET last_message = {last}, unanswered = 1, waiting_from = {last}"
            " WHERE owner = ?",
            (owner,),
        )
        self._db.execute(
            "INSERT INTO owners VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET unread = ?",
            (owner, conversations * (per // 2), conversations * (per // 2)),
        )
        self._db.execute("COMMIT")


@attrs.frozen
class LongHistory:
    """A backend, its store, and a session of the person whose history is long."""

    backend: Backend
    store: WatchedStore
    session: str
    conversation: str


@contextmanager
def long_history(
    messages: int, conversations: int, path: str = ":memory:"
) -> Generator[LongHistory, None, None]:
    """One visitor with so many messages in so many conversations, in a store that waits for no
    disk.
    """
    store = WatchedStore(path, durable=False)
    with Backend(store, **WIDGET) as backend:
        welcome = backend.open(Credentials(**WIDGET, visitor=SECRET)).welcome
        sent = backend.send(welcome.session, Outgoing("first", "hello"))
        store.fill(f"visitor:{welcome.visitor_id}", messages, conversations)
        backend.look_around()  # it is no news any more
        yield LongHistory(backend, store, welcome.session, sent.conversation_id)

"""Backends that are broken on purpose, each in one place: a program text that breaks it and then
serves as `support-chat serve` does.

A round against such a backend must be judged as a violation; else the rounds that pass would show
nothing.
"""

from __future__ import annotations

from typing import Final

import attrs

from .evidence import Kind
from .plans import KINDS, MOMENTS, Moment

_SERVE: Final = "\nfrom support_chat_adapters.cli import main\nraise SystemExit(main())\n"


@attrs.frozen
class Sabotage:
    """What is broken, the rounds that come upon it, and words of the violation that they are judged
    as.
    """

    what: str
    kind: Kind
    moment: Moment
    seen_as: str
    breaks: str = attrs.field(repr=False)

    @property
    def program(self) -> str:
        """The broken backend's program."""
        return self.breaks + _SERVE

    def rounds(self, count: int) -> range:
        """The numbers of the first rounds of its kind and moment."""
        turn = len(KINDS) * len(MOMENTS)
        first = KINDS.index(self.kind) + len(KINDS) * MOMENTS.index(self.moment)
        return range(first, first + count * turn, turn)


SABOTAGES: Final = (
    Sabotage("one client id makes two messages", "send", Moment.AT_COMMIT, "is stored 2 times", """
from support_chat_adapters.backend import conversations as c

def send(db, owner, session, author, outgoing, now):
    conversation_id = outgoing.conversation_id or c.start(db, owner, now)
    id = outgoing.client_message_id
    return c.append(db, owner, conversation_id, author, outgoing.text, now, session, id), True

c.send = send
"""),
    Sabotage("what an identify came to is forgotten", "merge", Moment.AT_COMMIT, "identify(", """
from support_chat_adapters.backend import identifying
identifying._remembered = lambda *_: None
identifying._close = lambda *_: None
"""),
    Sabotage("the answer leaves before the commit", "update", Moment.AFTER, "is not on disk", """
import time
from support_chat_adapters.backend.sqlite_line import SQLiteConnection, Writer
execute, taken = SQLiteConnection.execute, Writer._taken

def later(self, sql, *values):
    SQLiteConnection.late |= self.writing and sql == "COMMIT"
    if SQLiteConnection.late and sql in ("BEGIN", "COMMIT"):
        return None
    return execute(self, sql, *values)

def first_commit(self, *, block):
    db = self._line._db
    if db.in_transaction:
        time.sleep(0.03)
        execute(db, "COMMIT")
        SQLiteConnection.late = False
    return taken(self, block=block)

SQLiteConnection.execute, Writer._taken = later, first_commit
SQLiteConnection.late = False
"""),
    Sabotage("a request is written by halves", "merge", Moment.AT_WRITE, "identify(", """
from support_chat_adapters.backend.sqlite_line import SQLiteConnection
really = SQLiteConnection.execute
TOGETHER = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "COMMIT")

def execute(self, sql, *values):
    halves = self.writing and sql.startswith(TOGETHER)
    return None if halves else really(self, sql, *values)

SQLiteConnection.execute = execute
"""),
    Sabotage("a session that was revoked lives on", "shutdown", Moment.DURING, "is not revoked", """
from support_chat_adapters.backend import sessions
really = sessions._revoke

def revoke(db, *what):
    session = really(db, *what)
    db.execute("UPDATE sessions SET revoked = 0")
    return session

sessions._revoke = revoke
"""),
    Sabotage("what was missed is not replayed", "send", Moment.BEFORE, "never arrived", """
import attrs
from support_chat_adapters.backend import stream
really = stream.replay
stream.replay = lambda *given: attrs.evolve(really(*given), messages=())
"""),
    Sabotage("a merge leaves conversations behind", "merge", Moment.BEFORE, "was left with", """
from support_chat_adapters.backend import conversations
conversations.move = lambda db, owner, new_owner: 0
"""),
    Sabotage("a conversation is lost", "send", Moment.BEFORE, "failed with BackendRejected", """
import attrs
from support_chat_adapters.backend import conversations
really = conversations.send

def send(db, owner, session, author, outgoing, now):
    if outgoing.conversation_id is not None:
        outgoing = attrs.evolve(outgoing, conversation_id="lost")
    return really(db, owner, session, author, outgoing, now)

conversations.send = send
"""),
    Sabotage("an update is half stored", "update", Moment.BEFORE, "is None, not one of", """
from support_chat_adapters.backend import profiles
really = profiles._store
profiles._store = lambda db, owner, path, value: (
    path.startswith("user.") or really(db, owner, path, value)
)
"""),
)  # fmt: skip
"""Those that the tests run."""

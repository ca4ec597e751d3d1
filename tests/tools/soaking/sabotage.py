"""Backends that lose, double or disorder some messages on purpose; a long run has to find it."""

from __future__ import annotations

from typing import Final

import attrs

_SERVE: Final = "\nfrom support_chat_adapters.cli import main\nraise SystemExit(main())\n"


@attrs.frozen
class Sabotage:
    """What is broken, and words of the violation that it is judged as."""

    what: str
    seen_as: str
    breaks: str = attrs.field(repr=False)

    @property
    def program(self) -> str:
        """The broken backend's program."""
        return self.breaks + _SERVE


SABOTAGES: Final = (
    Sabotage("a message is acknowledged and not kept", "acknowledged and is not stored", """
from support_chat_adapters.backend import conversations as c
append = c.append

def forgetful(db, owner, conversation, author, text, now, session=None, id=None):
    message = append(db, owner, conversation, author, text, now, session, id)
    number = int(message.id.removeprefix("message-"))
    if id is not None and number % 3 == 0:
        db.execute("DELETE FROM messages WHERE number = ?", (number,))
    return message

c.append = forgetful
"""),
    Sabotage("a message is stored twice", "is stored 2 times", """
from support_chat_adapters.backend import conversations as c
append = c.append

def eager(db, owner, conversation, author, text, now, session=None, id=None, **more):
    message = append(db, owner, conversation, author, text, now, session, id, **more)
    if id is not None and message.id.endswith("3"):
        append(db, owner, conversation, author, text, now, session, id, **more)
    return message

c.append = eager
"""),
    Sabotage("a link is not told of a message", "never arrived", """
from support_chat_adapters.backend.connections import Connection
from support_chat.ports import MessageArrived
put = Connection._put

def deaf(self, event):
    if not (isinstance(event, MessageArrived) and int(event.cursor.rpartition(".")[2]) % 3 == 0):
        put(self, event)

Connection._put = deaf
"""),
    Sabotage("a link is told of the next message first", "out of order", """
from support_chat_adapters.backend.connections import Connection
from support_chat.ports import MessageArrived
put = Connection._put

def confused(self, event):
    held = self.__dict__.pop("held", None)
    odd = isinstance(event, MessageArrived) and int(event.cursor.rpartition(".")[2]) % 2 == 0
    if held is None and odd:
        self.held = event
    else:
        put(self, event)
        if held is not None:
            put(self, held)

Connection._put = confused
"""),
)  # fmt: skip
"""Those that the tests run."""

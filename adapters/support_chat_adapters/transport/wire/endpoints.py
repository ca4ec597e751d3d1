"""Every endpoint of the Widget API in one table: the server routes by it, the client asks by it,
the documents are written from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import attrs
from msgspec import Struct

from . import payloads as p
from .frames import Polled

OWNER_HEADER: Final = "chat-owner"
"""Says for whom a request is: as text of an `Owner`. The backend refuses one whose session is
somebody else's by now; without it, it is for whoever the session is for.
"""
BASE: Final = "/widget/v1"
"""Where the Widget API begins below the backend's address."""
MAX_BODY_BYTES: Final = 128 * 1024
"""The longest body of a request, in bytes: three mappings of 16 KiB, a token, and room for JSON's
escapes.
"""
LONGEST_POLL: Final = 30.0
"""The longest that a poll is kept waiting, in seconds."""
PAGE: Final = 50
"""How many items a page of a listing holds when the request does not say."""
LARGEST_PAGE: Final = 200
"""How many it holds at the most."""


@attrs.frozen
class Parameter:
    """A query parameter: its JSON schema and what it is for."""

    doc: str
    schema: Mapping[str, object]
    required: bool = False


_CURSOR: Final = Parameter(
    "Where the listing or the replay goes on: the last cursor that was given out.",
    {"type": "string", "maxLength": 64},
)
_LIMIT: Final = Parameter(
    f"How many items at the most; {PAGE} if it is left out.",
    {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE},
)
_BEFORE: Final = Parameter(
    "The id of the message before which the page ends; empty for the last page.",
    {"type": "string", "maxLength": 255},
)
_UP_TO: Final = Parameter(
    "The id of the last message that was read; the last one of all if it is left out.",
    {"type": "string", "minLength": 1, "maxLength": 255},
)
ECHOES: Final = Parameter(
    "The client takes its own messages, too, and read marks and changes of the owner.",
    {"type": "boolean"},
)
_ID: Final[Mapping[str, object]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": p.ID_PATTERN,
}


@attrs.frozen(eq=False)
class Endpoint:
    """One method of one path: what it takes and answers, and who may ask."""

    name: str
    method: Literal["GET", "POST"]
    path: str
    """Below `BASE`; `{conversation_id}` stands for the id of a conversation."""
    doc: str
    answers: type[Struct] | None = None
    """The payload of the answer; None for an empty answer (204)."""
    takes: type[Struct] | None = None
    query: Mapping[str, Parameter] = attrs.field(factory=dict[str, Parameter])
    open: bool = False
    """Needs no session; every other endpoint wants `Authorization: Bearer <session>`."""
    owned: bool = False
    """Is for the session's identity: `Chat-Owner` may say whom it means."""
    may_be_empty: bool = False
    """Answers with 204 where there is nothing to say."""

    @property
    def mutates(self) -> bool:
        """Changes something at the backend, so its Origin is checked."""
        return self.method == "POST"


CONFIG: Final = Endpoint(
    "getConfig", "GET", "/config",
    "The public configuration of a widget.",
    answers=p.WidgetConfig, open=True,
    query={
        "workspace_id": Parameter("The workspace.", _ID, required=True),
        "widget_id": Parameter("The widget.", _ID, required=True),
    },
)  # fmt: skip
OPEN: Final = Endpoint(
    "openSession", "POST", "/sessions/anonymous",
    "Begins or resumes a session: the visitor's own, or with `identity` a user's from its first "
    "moment.",
    answers=p.SessionOpened, takes=p.OpenSession, open=True,
)  # fmt: skip
IDENTIFY: Final = Endpoint(
    "identify", "POST", "/sessions/identify",
    "Turns the visitor of this session into a user, in one transaction; asked again with the same "
    "`identifyId` it answers the same.",
    answers=p.Identified, takes=p.Identify,
)  # fmt: skip
REFRESH: Final = Endpoint(
    "refresh", "POST", "/sessions/refresh",
    "Extends a user's session by a fresh identity token.",
    answers=p.Refreshed, takes=p.Refresh, may_be_empty=True,
)  # fmt: skip
SHUTDOWN: Final = Endpoint(
    "shutdown", "POST", "/sessions/shutdown",
    "Ends this session for good; one that has ended already is no error.",
)  # fmt: skip
END_VISITOR: Final = Endpoint(
    "endVisitor", "POST", "/visitors/end",
    "Ends every session that was opened with this visitor's secret, and refuses the secret from "
    "then on; one that nobody has used is no error.",
    takes=p.EndVisitor, open=True,
)  # fmt: skip
REALTIME_TOKEN: Final = Endpoint(
    "realtimeToken", "POST", "/sessions/realtime-token",
    "A short-lived token for the realtime gateway, good for one connection.",
    answers=p.RealtimeToken,
)  # fmt: skip
CONVERSATIONS: Final = Endpoint(
    "listConversations", "GET", "/conversations",
    "The conversations of the session's identity, the newest first.",
    answers=p.ConversationsPage, query={"cursor": _CURSOR, "limit": _LIMIT}, owned=True,
)  # fmt: skip
START: Final = Endpoint(
    "startConversation", "POST", "/conversations",
    "Begins a conversation with its first message.",
    answers=p.ConversationStarted, takes=p.StartConversation, owned=True,
)  # fmt: skip
CONVERSATION: Final = Endpoint(
    "getConversation", "GET", "/conversations/{conversation_id}",
    "One conversation of the session's identity.",
    answers=p.ConversationPayload, owned=True,
)  # fmt: skip
MARK_READ: Final = Endpoint(
    "markConversationRead", "POST", "/conversations/{conversation_id}/read",
    "Counts the messages of a conversation as read, up to one or to the last, and tells every link "
    "of the identity. A mark before the one in force changes nothing.",
    answers=p.ReadUpToNow, query={"up_to": _UP_TO}, owned=True,
)  # fmt: skip
MESSAGES: Final = Endpoint(
    "listMessages", "GET", "/conversations/{conversation_id}/messages",
    "The messages of a conversation, the oldest first: from the first on, or with `before` from "
    "the last one backwards.",
    answers=p.MessagesPage, query={"cursor": _CURSOR, "before": _BEFORE, "limit": _LIMIT},
    owned=True,
)  # fmt: skip
SEND: Final = Endpoint(
    "sendMessage", "POST", "/conversations/{conversation_id}/messages",
    "Sends a message to a conversation.",
    answers=p.MessagePayload, takes=p.SendMessage, owned=True,
)  # fmt: skip
EVENTS: Final = Endpoint(
    "sendEvent", "POST", "/events",
    "Tells what has changed about the client.",
    answers=p.EventTaken, takes=p.ClientEvent, owned=True,
)  # fmt: skip
POLL: Final = Endpoint(
    "poll", "GET", "/realtime",
    "What the realtime gateway would send, for networks without WebSocket; waits until there is "
    "something.",
    answers=Polled,
    query={
        "cursor": _CURSOR,
        "wait": Parameter(
            "How many seconds to wait at the most.",
            {"type": "number", "minimum": 0, "maximum": LONGEST_POLL},
        ),
        "token_expired": Parameter(
            "The client knows that its token has expired.", {"type": "boolean"}
        ),
        "echoes": ECHOES,
        "marked": Parameter(
            "The number of the last read mark that was told.",
            {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
        ),
    },
)  # fmt: skip

ENDPOINTS: Final = (
    CONFIG, OPEN, IDENTIFY, REFRESH, SHUTDOWN, END_VISITOR, REALTIME_TOKEN,
    CONVERSATIONS, START, CONVERSATION, MARK_READ, MESSAGES, SEND, EVENTS, POLL,
)  # fmt: skip
"""All of them."""

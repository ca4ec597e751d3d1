"""The ports: what a storage, a token provider and a transport must do for a session, as Protocols.

An adapter implements a port without inheriting from it. It moves bytes and translates failures; it
decides nothing: when to call, how often, what a late answer means and when to give up are the
chart's business. Every call here may be cancelled at any await, may be slow or hang (the session
has a limit for each), and raises only this library's errors:

- `NetworkError` (or `RateLimitedError`): it may work later; what was asked may or may not have
  happened;
- `NotABackendError`: what answers at the address is no backend; a boot ends by it;
- `AuthRefusedError`: this token or visitor is not accepted (`VisitorEndedError`: no visitor is
  behind this secret any more, since it was cleared elsewhere);
- `BackendRejectedError`: no retry will help;
- `StorageError`: the storage could not do it. Anything else that is raised counts as a failure of
  the adapter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import attrs

from .values import (
    JSON,
    NOTHING_SAID,
    About,
    Changes,
    Conversation,
    Identity,
    Message,
    NotMergedBecause,
)

TokenReason: TypeAlias = Literal["first", "expiry", "refused"]
"""Why a token is asked for: there was none, the one in use expires, or the backend took it no
longer.
"""


class ReasonedTokenProvider(Protocol):
    """A token provider with a required parameter named `reason`, which it gets by keyword."""

    def __call__(self, *, reason: TokenReason) -> str | Awaitable[str]:
        """A fresh identity token, or an awaitable of it."""
        ...


class ReasonedUserTokenProvider(Protocol):
    """A token provider for any user, with a required parameter named `reason` as well."""

    def __call__(self, user_id: str, /, *, reason: TokenReason) -> str | Awaitable[str]:
        """A fresh identity token of this user, or an awaitable of it."""
        ...


TokenProvider: TypeAlias = (
    Callable[[], "str | Awaitable[str]"]
    | Callable[[str], "str | Awaitable[str]"]
    | ReasonedTokenProvider
    | ReasonedUserTokenProvider
)
"""Called whenever a fresh identity token is needed; returns it, or an awaitable of it. One for any
user has a required parameter, which gets the user's id. One that caches its tokens has one named
`reason`, so that it knows when the one it has is bad (`"refused"`).

Raise `TokenRefusedError` to say that this user gets none (the session ends); any other exception is
a failure, which the session survives and retries. A plain function runs on a daemon thread, so it
may block; context variables are those of whoever caused the call, as in a coroutine.
"""


@runtime_checkable
class Storage(Protocol):
    """A small key-value store of text, shared by processes; every method raises StorageError when
    it cannot do its work.

    A call that has *ended* (it returned, raised, or was cancelled and has finished) can land no
    more: from then on it changes nothing that is stored, neither here nor at a server that it was
    sent to. So one that is cancelled ends only when its work is done, or certain never to be.
    """

    async def get(self, key: str) -> str | None:
        """The value stored under `key`, or None."""
        ...

    async def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent, in one atomic step between processes; returns what is
        stored afterwards.
        """
        ...

    async def delete(self, *keys: str) -> Mapping[str, str]:
        """Removes the keys and returns what it removed, in one atomic step between processes: those
        of them that were stored, each with its value. Absent ones are no error. Afterwards no byte
        of their values is left.

        A value that was damaged is removed too, and not in the answer.
        """
        ...

    async def keys(self) -> Sequence[str]:
        """Every key stored, of whatever scope, in any order."""
        ...

    async def aclose(self) -> None:
        """Releases files, threads and connections; later calls raise StorageError. A second call
        does nothing.
        """
        ...


@attrs.frozen
class Claim:
    """An identify whose reply was lost: presented on the next dial so that its outcome is learnt,
    not guessed. Of one that was committed the welcome is the user's.

    Presenting it closes it: if the backend has not committed this `identify_id` by now, it never
    will. One that cannot promise this says so (`Welcome.identify`).
    """

    identify_id: str
    user_id: str


@attrs.frozen
class Credentials:
    """What one dial presents. `visitor` and `token` are secrets.

    `session` names the backend session to resume (None: begin a new one), `user_id` is who we ask
    to be (None: the visitor), `cursor` the last message seen, so that what was missed is replayed.
    """

    workspace_id: str
    widget_id: str
    visitor: str = attrs.field(repr=False)
    session: str | None = attrs.field(default=None, repr=False)
    user_id: str | None = None
    token: str | None = attrs.field(default=None, repr=False)
    claim: Claim | None = None
    cursor: str | None = None


@attrs.frozen
class IdentifyAnswer:
    """The backend's answer to an identify: whom it accepted, and what became of the visitor."""

    user_id: str
    merged: bool
    conversations_moved: int = 0
    not_merged_because: NotMergedBecause | None = None
    rejected: tuple[tuple[str, str], ...] = ()
    """The dotted paths of the changes that came along and were not stored, each with its reason."""
    unread: int | None = None
    """How many messages are unread for the user now, over all conversations; None: not known."""
    session: str | None = attrs.field(default=None, repr=False)
    """The session's new credential, where the backend replaces it; None: it is the same."""


@attrs.frozen
class Welcome:
    """The backend's answer to a dial: who we are and under which session.

    `session` is the credential that a reconnect resumes and a revocation names. `user_id` is None
    for a visitor, `visitor_id` may be None for a user. `claim` is the remembered answer of the
    `Claim` presented; what None means then, `identify` says. `gap` says that messages after
    `cursor` could not all be replayed. `cursor` is where the replay will end: a session moves there
    message by message, since a jump would lose what is still to be replayed if the link broke.
    """

    session: str = attrs.field(repr=False)
    visitor_id: str | None
    user_id: str | None = None
    claim: IdentifyAnswer | None = None
    cursor: str | None = None
    gap: bool = False
    unread: int | None = 0
    """How many messages are unread, over all conversations; None: not known."""
    echoes: bool = False
    """Whether this session's own messages come in its stream and its replay, too."""
    identify: Literal["remembered", "repeatable"] = "remembered"
    """What becomes of an identify whose reply was lost. *Remembered*: a claim that is answered with
    None was not committed and never will be. *Repeatable*: it may yet be, and is asked again under
    its id, which does nothing twice.
    """


@attrs.frozen
class IdentifyRequest:
    """Turns the visitor of this link into `user_id`, in one transaction at the backend; idempotent
    by `identify_id`.

    `visitor` authorises the merge. `visitor_changes` were recorded for the visitor, `user_changes`
    for the user.
    """

    identify_id: str
    user_id: str
    visitor: str = attrs.field(repr=False)
    token: str | None = attrs.field(default=None, repr=False)
    visitor_changes: Changes = attrs.field(factory=dict[str, JSON], repr=False)
    user_changes: Changes = attrs.field(factory=dict[str, JSON], repr=False)


@attrs.frozen
class RenewAnswer:
    """The backend's answer to a fresh token: `session` is the session's new credential, None if it
    is the same.
    """

    session: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class UpdateAnswer:
    """The backend's answer to an update: the dotted paths it rejected, each with its reason; the
    rest is stored.
    """

    rejected: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class Outgoing:
    """A message to send; `client_message_id` makes retries harmless. Without `conversation_id` it
    begins one, told of by `about`.

    `owner` is who was shown when it was asked for, here and below: the backend refuses it
    (BackendRejectedError, code `owner_changed`) if the session is somebody else's by now. None:
    whoever the session is for. A message that the session has sent before is answered with what was
    stored, whoever it is for by now.
    """

    call: ClassVar = "send_message"
    client_message_id: str
    text: str = attrs.field(repr=False)
    conversation_id: str | None = None
    about: About = NOTHING_SAID
    owner: Identity | None = None


@attrs.frozen
class ListConversations:
    """Asks for the conversations of the session's identity."""

    call: ClassVar = "conversations"
    owner: Identity | None = None


@attrs.frozen
class ListMessages:
    """Asks for the last `limit` messages of a conversation before the one with the id `before`; for
    all of them without.
    """

    call: ClassVar = "messages"
    conversation_id: str
    before: str | None = None
    limit: int | None = None
    owner: Identity | None = None


@attrs.frozen
class MarkRead:
    """Asks to count the messages of a conversation as read, up to the one with the id `up_to`; all
    so far without.
    """

    call: ClassVar = "mark_read"
    conversation_id: str
    up_to: str | None = None
    owner: Identity | None = None


@attrs.frozen
class ReadAnswer:
    """The backend's answer to a `MarkRead`: how many messages are unread now, over all
    conversations; None: not known.
    """

    unread: int | None


Use: TypeAlias = "ListConversations | ListMessages"
"""What a call asks of an open link; `call` is the name of the method that users know it by."""


@attrs.frozen
class MessageArrived:
    """A link event: a message for this session, replayed or new; `cursor` is where a reconnect
    would go on. `own` says that this very session has sent it.
    """

    message: Message
    cursor: str
    unread: int | None = 0
    own: bool = False


@attrs.frozen
class ReadUpTo:
    """A link event: on some link of this identity, this one included, a conversation was read up
    to the message with the id `up_to`.
    """

    conversation_id: str
    up_to: str
    unread: int | None = None


@attrs.frozen
class OwnerChanged:
    """A link event: the session is somebody else's at the backend, since its visitor was merged in
    another one. Who it is, the next dial says; nothing that is asked on this link is done any more.
    """


@attrs.frozen
class TokenExpired:
    """A link event: the backend no longer accepts the token this link was opened with (an HTTP 401
    counts too).
    """


@attrs.frozen
class SessionRevoked:
    """A link event: the backend has ended this session for good."""

    reason: str = "revoked"


LinkEvent: TypeAlias = "MessageArrived | ReadUpTo | OwnerChanged | TokenExpired | SessionRevoked"
"""What a link yields by itself."""


class Link(Protocol):
    """One open connection of one session. After `abort()` it delivers nothing and every pending
    call raises NetworkError.
    """

    @property
    def welcome(self) -> Welcome:
        """What the backend answered when this link was opened."""
        ...

    @property
    def heard_at(self) -> float:
        """When the last sign of life came (any frame, a ping's answer), in the running loop's
        `time()`.
        """
        ...

    def events(self) -> AsyncIterator[LinkEvent]:
        """Yields what the backend sends, in order, once; raises NetworkError (or just ends) when
        the link is lost.
        """
        ...

    async def identify(self, request: IdentifyRequest) -> IdentifyAnswer:
        """Upgrades the visitor to a user; AuthRefusedError leaves the visitor exactly as they
        were.
        """
        ...

    async def renew(self, token: str) -> RenewAnswer:
        """Presents a fresh token for the same user."""
        ...

    async def update(self, changes: Changes, owner: Identity | None = None) -> UpdateAnswer:
        """Stores changed traits of the session's identity, its company and its context."""
        ...

    async def send(self, message: Outgoing) -> Message:
        """Sends a message; returns it as the backend stored it.

        What is raised decides whether it is sent again, under its id:

        - `BackendRejectedError` (`InvalidInputError`): never, it is refused for good. Only a
          backend says so: a 4xx status with an error of the Widget API, but for those below.
        - `RateLimitedError` (429, or 503 with Retry-After) and `AuthRefusedError` (401): yes, and
          nothing was stored; the pause is the one asked for, or the token's renewal.
        - `NetworkError` (408, 425, 5xx), `NotABackendError` (a proxy's page, whatever its status),
          anything else that is raised or returned, and no answer in time: yes, it may be stored.
        """
        ...

    async def conversations(self, asked: ListConversations) -> Sequence[Conversation]:
        """Lists the conversations of the session's identity, newest first."""
        ...

    async def messages(self, asked: ListMessages) -> Sequence[Message]:
        """Lists messages of a conversation, oldest first; BackendRejectedError if it is not the
        identity's.
        """
        ...

    async def mark_read(self, asked: MarkRead) -> ReadAnswer:
        """Counts messages of a conversation as read, and tells every link of the identity, this one
        included, before it answers; BackendRejectedError if it is not the identity's.
        """
        ...

    async def aclose(self) -> None:
        """Says goodbye and closes; bounded by the caller, who aborts afterwards."""
        ...

    def abort(self) -> None:
        """Closes at once, synchronously, without a goodbye; a second call does nothing."""
        ...


class Transport(Protocol):
    """Opens links to one backend. One object may serve many sessions; whoever made it closes it."""

    async def open(self, credentials: Credentials) -> Link:
        """Dials, presents the credentials and returns once the backend has said who we are.

        Raises NetworkError, RateLimitedError, AuthRefusedError or BackendRejectedError. When
        cancelled it leaves nothing open.
        """
        ...

    async def revoke(self, session: str) -> None:
        """Ends the named backend session and no other; needs no open link, and an unknown session
        is no error.
        """
        ...

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        """Tells the backend that nobody has this visitor's secret any more: it ends every session
        that was opened with it and refuses it from then on (VisitorEndedError). An unknown one is
        no error. It may come late or never.
        """
        ...

    async def aclose(self) -> None:
        """Releases pools and sockets of the transport itself; links are closed by their
        sessions.
        """
        ...

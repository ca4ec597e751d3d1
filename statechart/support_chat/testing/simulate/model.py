"""A backend and storages as pure models: what the level of engines runs against.

The backend does what the reference backend does for a session, no more: visitors by their secret
and their successors, sessions, identifies that are remembered or may come twice, messages in one
order, read marks, traits. It has no clock and no chance of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import attrs

from ...errors import AuthRefusedError, BackendRejectedError, NetworkError, VisitorEndedError
from ...ports import (
    Claim,
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    LinkEvent,
    MarkRead,
    MessageArrived,
    Outgoing,
    OwnerChanged,
    ReadAnswer,
    ReadUpTo,
    RenewAnswer,
    SessionRevoked,
    TokenExpired,
    UpdateAnswer,
    Welcome,
)
from ...values import JSON, Changes, Conversation, Identity, Message, SignedIn, Visitor
from .world import Stored


@attrs.define(eq=False)
class Session:
    """A session: a visitor's, who is known by a secret, or a user's."""

    name: str
    secret: str
    visitor: str
    user: str | None = None
    over: bool = False
    expired: bool = False

    @property
    def identity(self) -> Identity:
        """Whose it is."""
        return Visitor(self.visitor) if self.user is None else SignedIn(self.user)


@attrs.define(eq=False)
class Line:
    """A link: what it has still to tell, and whether it is open. `silent`: half open; it tells
    nothing more.
    """

    session: Session
    welcome: Welcome
    remembers: bool
    waiting: deque[LinkEvent] = attrs.field(factory=deque["LinkEvent"])
    open: bool = True
    silent: bool = False
    heard_at: float = 0.0
    left: bool = False
    """Its visitor was merged elsewhere: it tells nothing of anybody any more."""

    def tell(self, event: LinkEvent) -> None:
        """It has something to tell."""
        if self.open and not self.silent and not self.left:
            self.waiting.append(event)

    def close(self) -> None:
        """It ends, and what it has not told is lost."""
        self.open = False
        self.waiting.clear()


class ModelBackend:
    """A backend, and the storages of its tabs' scopes."""

    def __init__(self) -> None:
        self._minted = 0
        self.storages: dict[str, dict[str, str]] = {}
        self._visitors: dict[str, str] = {}
        self._merged: dict[str, str] = {}
        self._over: set[str] = set()
        self._sessions: dict[str, Session] = {}
        self._identifies: dict[tuple[str, str], IdentifyAnswer | None] = {}
        self._owners: dict[str, Identity] = {}
        self._order: list[Message] = []
        self._places: dict[str, int] = {}
        self._sent: dict[str, tuple[int, Session]] = {}
        self._read: dict[str, int] = {}
        self._traits: dict[Identity, dict[str, JSON]] = {}
        self._lines: list[Line] = []
        self._spent: set[str] = set()

    def mint(self, kind: str) -> str:
        """A name that nobody has had."""
        self._minted += 1
        return f"{kind}-{self._minted}"

    # --- what a judge looks at --------------------------------------------------------------------

    def stored(self) -> Sequence[Stored]:
        """Every message, in the backend's order."""
        return [Stored(self._owners[m.conversation_id], m) for m in self._order]

    def now(self, identity: Identity) -> Identity:
        """Who this is by now."""
        user = self._merged.get(identity.id) if isinstance(identity, Visitor) else None
        return identity if user is None else SignedIn(user)

    def traits(self, identity: Identity) -> Mapping[str, JSON]:
        """What is known of somebody."""
        return self._traits.get(identity, {})

    def links(self) -> int:
        """How many links are open."""
        return len(self.open_lines)

    def sessions(self) -> int:
        """How many sessions nobody has ended."""
        return sum(not session.over for session in self._sessions.values())

    def contents(self, scope: str) -> Mapping[str, str]:
        """What is stored for a scope."""
        return self.storages.get(scope, {})

    @property
    def open_lines(self) -> list[Line]:
        """The links that are open."""
        self._lines = [line for line in self._lines if line.open]
        return self._lines

    # --- what tabs ask ----------------------------------------------------------------------------

    def dial(self, asked: Credentials, *, remembers: bool) -> Line:
        """Begins or resumes a session, with a link. Raises AuthRefusedError, VisitorEndedError and
        BackendRejectedError.
        """
        if asked.visitor in self._over:
            raise VisitorEndedError("The visitor was cleared elsewhere; boot again.")
        user, claim, answer = asked.user_id, asked.claim, None
        if claim is not None and remembers:
            answer = self._recalled(asked.visitor, claim)
            user = claim.user_id if answer is not None else None
        if user is not None:
            self._check(asked.token)
        session = self._session(asked.session, asked.visitor)
        if session.user != user:
            if user is None and claim is not None and not remembers and session.user:
                # it may be the user's by now
                self._check(asked.token)
                user = claim.user_id
            if session.user is not None and session.user != user:
                raise AuthRefusedError("The session is another's.", code="auth_required")
            if session.user is None and asked.session is not None and answer is None:
                raise AuthRefusedError("The session is a visitor's.", code="auth_required")
            session.user = user
        session.expired = False
        if session.user is None:
            session.visitor = self._visitor(asked.visitor)
        owner = session.identity
        welcome = Welcome(
            session.name,
            session.visitor,
            session.user,
            claim=answer,
            cursor=str(len(self._order)),
            unread=self.unread(owner),
            echoes=True,
            identify="remembered" if remembers else "repeatable",
        )
        line = Line(session, welcome, remembers)
        since = len(self._order) if asked.cursor is None else int(asked.cursor)
        for place, message in enumerate(self._order[since:], since):
            if self._owners[message.conversation_id] == owner:
                line.waiting.append(self._arrived(place, message, session))
        self._lines.append(line)
        return line

    def identify(self, session: Session, asked: IdentifyRequest) -> IdentifyAnswer:
        """Turns the session's visitor into a user, once. Raises AuthRefusedError."""
        self._alive(session)
        self._check(asked.token)
        if session.user not in (None, asked.user_id):
            raise AuthRefusedError("The session is another user's.", code="auth_required")
        key = asked.visitor, asked.identify_id
        if key in self._identifies:
            answer = self._identifies[key]
            if answer is None or answer.user_id != asked.user_id:
                raise AuthRefusedError("This identify was given up.", code="invalid_token")
            session.user = asked.user_id
            return attrs.evolve(answer, unread=self.unread(session.identity))
        answer = self._merge(session, asked.user_id)
        visitor, user = Visitor(session.visitor), SignedIn(asked.user_id)
        if answer.merged:
            self._traits.setdefault(visitor, {}).update(asked.visitor_changes)
        self._traits.setdefault(user, {}).update(asked.user_changes)
        self._identifies[key] = answer
        return attrs.evolve(answer, unread=self.unread(user))

    def update(self, session: Session, changes: Changes, owner: Identity | None) -> UpdateAnswer:
        """Stores traits."""
        self._for(session, owner)
        self._traits.setdefault(session.identity, {}).update(changes)
        return UpdateAnswer()

    def renew(self, session: Session, token: str) -> RenewAnswer:
        """Takes a fresh token. Raises AuthRefusedError."""
        self._alive(session, expired=True)
        self._check(token)
        session.expired = False
        return RenewAnswer()

    def send(self, session: Session, asked: Outgoing) -> Message:
        """Stores a message, once for each of its ids."""
        name = asked.client_message_id
        self._alive(session)
        known = self._sent.get(name)
        if known is not None and known[1] is session:
            return self._order[known[0]]
        self._for(session, asked.owner)
        owner, conversation = session.identity, asked.conversation_id
        if conversation is None:
            conversation = self.mint("conversation")
            self._owners[conversation] = owner
        elif self._owners.get(conversation) != owner:
            raise BackendRejectedError("There is no such conversation.", code="not_found")
        author = "visitor" if session.user is None else "user"
        message = self._store(conversation, author, asked.text, name)
        self._sent[name] = len(self._order) - 1, session
        self._tell(owner, message, session)
        return message

    def mark_read(self, session: Session, asked: MarkRead) -> ReadAnswer:
        """Counts messages as read."""
        self._for(session, asked.owner)
        owner, conversation = session.identity, asked.conversation_id
        if self._owners.get(conversation) != owner:
            raise BackendRejectedError("There is no such conversation.", code="not_found")
        place = len(self._order) - 1 if asked.up_to is None else self._places[asked.up_to]
        self._read[conversation] = max(place, self._read.get(conversation, -1))
        unread = self.unread(owner)
        for line in self._of(owner):
            line.tell(ReadUpTo(conversation, asked.up_to or "", unread))
        return ReadAnswer(unread)

    def conversations(self, session: Session, owner: Identity | None) -> Sequence[Conversation]:
        """The conversations of the session's identity."""
        self._for(session, owner)
        whose = session.identity
        return [
            Conversation(each, None, self._unread_in(each), 0.0)
            for each, owner in self._owners.items()
            if owner == whose
        ]

    def revoke(self, name: str) -> None:
        """Ends a session."""
        session = self._sessions.get(name)
        if session is not None and not session.over:
            session.over = True
            for line in self.open_lines:
                if line.session is session:
                    line.tell(SessionRevoked())
                    line.open = False

    def end_visitor(self, secret: str) -> None:
        """Ends what was opened with this secret, and refuses it from then on."""
        self._over.add(secret)
        for session in list(self._sessions.values()):
            if session.secret == secret:
                self.revoke(session.name)

    # --- what else happens ------------------------------------------------------------------------

    def answer(self, identity: Identity, text: str) -> None:
        """An agent writes to somebody, if there is such a one."""
        if isinstance(identity, Visitor) and identity.id in self._merged:
            return
        mine = [each for each, owner in self._owners.items() if owner == identity]
        conversation = mine[-1] if mine else self.mint("conversation")
        self._owners.setdefault(conversation, identity)
        self._tell(identity, self._store(conversation, "agent", text, None), None)

    def expire_tokens(self) -> None:
        """Every token that a session was opened with expires."""
        for session in self._sessions.values():
            session.expired = session.user is not None
        for line in self.open_lines:
            if line.session.expired:
                line.tell(TokenExpired())

    def unread(self, owner: Identity) -> int:
        """How many messages are unread for somebody."""
        mine = [each for each, whose in self._owners.items() if whose == owner]
        return sum(map(self._unread_in, mine))

    # --- helpers ----------------------------------------------------------------------------------

    def _unread_in(self, conversation: str) -> int:
        read = self._read.get(conversation, -1)
        return sum(
            message.author == "agent"
            for place, message in enumerate(self._order)
            if place > read and message.conversation_id == conversation
        )

    def _visitor(self, secret: str) -> str:
        """The visitor in force for a secret."""
        visitor = self._visitors.get(secret)
        if visitor is None or visitor in self._merged:
            visitor = self._visitors[secret] = self.mint("visitor")
        return visitor

    def _session(self, name: str | None, secret: str) -> Session:
        if name is None:
            session = Session(self.mint("session"), secret, self._visitor(secret))
            self._sessions[session.name] = session
            return session
        session = self._sessions[name]
        self._alive(session, expired=True)
        if session.user is None and session.secret != secret:
            raise AuthRefusedError("The session is another visitor's.", code="auth_required")
        return session

    def _alive(self, session: Session, *, expired: bool = False) -> None:
        if session.over:
            raise BackendRejectedError("The session has ended; boot again.", code="auth_required")
        if session.expired and not expired:
            raise AuthRefusedError("The token has expired.", code="auth_expired")

    def _check(self, token: str | None) -> None:
        if token is None or token in self._spent:
            raise AuthRefusedError("This token is not accepted.", code="auth_expired")

    def _for(self, session: Session, owner: Identity | None) -> None:
        self._alive(session)
        merged = session.user is None and session.visitor in self._merged
        if merged or owner not in (None, session.identity):
            raise BackendRejectedError("The session is somebody else's.", code="owner_changed")

    def _recalled(self, secret: str, claim: Claim) -> IdentifyAnswer | None:
        key = secret, claim.identify_id
        answer = self._identifies.setdefault(key)
        return answer and attrs.evolve(answer, unread=self.unread(SignedIn(claim.user_id)))

    def _merge(self, session: Session, user: str) -> IdentifyAnswer:
        if session.user is not None:
            return IdentifyAnswer(user, False, not_merged_because="already_signed_in")
        visitor = session.visitor
        session.user = user
        other = self._merged.get(visitor)
        if other is not None:
            return IdentifyAnswer(
                user,
                other == user,
                not_merged_because=None if other == user else "merged_into_another_user",
            )
        self._merged[visitor] = user
        moved = [each for each, owner in self._owners.items() if owner == Visitor(visitor)]
        for conversation in moved:
            self._owners[conversation] = SignedIn(user)
        for line in self.open_lines:
            if line.session.user is None and line.session.visitor == visitor:
                line.tell(OwnerChanged())
                line.left = True
        return IdentifyAnswer(user, True, len(moved))

    def _store(self, conversation: str, author: str, text: str, name: str | None) -> Message:
        message = Message(
            id=f"message-{len(self._order)}",
            conversation_id=conversation,
            author=author,
            text=text,
            created_at=float(len(self._order)),
            client_message_id=name,
        )
        self._places[message.id] = len(self._order)
        self._order.append(message)
        return message

    def _arrived(self, place: int, message: Message, session: Session) -> MessageArrived:
        sent = self._sent.get(message.client_message_id or "")
        own = sent is not None and sent[1] is session
        owner = self._owners[message.conversation_id]
        return MessageArrived(message, str(place + 1), self.unread(owner), own)

    def _tell(self, owner: Identity, message: Message, sender: Session | None) -> None:
        place = len(self._order) - 1
        for line in self._of(owner):
            line.tell(self._arrived(place, message, line.session))

    def _of(self, owner: Identity) -> Iterator[Line]:
        return (line for line in self.open_lines if line.session.identity == owner)


def lost() -> NetworkError:
    """The error of what was under way on a link that has ended."""
    return NetworkError("The link broke; what was asked may have happened.")

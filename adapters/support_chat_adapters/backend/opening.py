"""Opening: what a dial presents becomes a session and a welcome.

One function, one transaction. Who is asked for comes from the credentials, or from a committed
claim; whether they get it is the widget's rules' and the token's business; which session it happens
in is decided last, and a session of anybody else is refused.
"""

from __future__ import annotations

import attrs

from support_chat.errors import AuthRefusedError, BackendRejectedError
from support_chat.ports import Credentials, IdentifyAnswer, MessageArrived, Welcome

from . import conversations, identifying, sessions, stream
from .sessions import Session, owner_key
from .store import Transaction, hashed, whose_secret
from .stream import Marked, Replay
from .widget import Widget


@attrs.frozen
class Opened:
    """An opened session: the answer to the dial, the first page of the messages to replay after it,
    the session behind it, and the read marks to tell after the messages.
    """

    welcome: Welcome
    missed: Replay
    session: Session
    marked: int
    """The number of the read mark after which the link is told of marks."""
    marks: tuple[Marked, ...] = ()

    @property
    def replay(self) -> tuple[MessageArrived, ...]:
        """The messages that were missed, the first page of them."""
        return self.missed.messages


def open_session(db: Transaction, widget: Widget, credentials: Credentials, now: float) -> Opened:
    """Begins or resumes a session; raises AuthRefusedError or BackendRejectedError and changes
    nothing.
    """
    widget.admit(credentials.workspace_id, credentials.widget_id)
    if not credentials.visitor:
        raise BackendRejectedError(
            "A dial needs the visitor's credential; mint one.", code="validation_error"
        )
    secret_hash = hashed(credentials.visitor)
    db.lock(whose_secret(secret_hash))
    sessions.require_not_over(db, secret_hash)
    claim, user_id = credentials.claim, credentials.user_id
    remembered = None
    if claim is not None:
        if user_id not in (None, claim.user_id):
            raise _other_identity()
        remembered = identifying.recall(db, secret_hash, claim)
        user_id = claim.user_id if remembered is not None else None
    if user_id is None:
        widget.admit_visitor()
        claims = None
    else:
        claims = widget.authenticate(user_id, credentials.token, now)
    visitor_id = sessions.visitor_of(db, secret_hash, now)
    if credentials.session is None:
        session, credential = sessions.begin(db, visitor_id)
    else:
        session, credential = sessions.find(db, credentials.session), credentials.session
        becomes_user = session.user_id is None and remembered is not None
        if session.user_id != user_id and not becomes_user:
            raise _other_identity()
        if session.user_id is None and not sessions.knows_secret(db, session, secret_hash):
            raise _other_identity()
    session = (
        sessions.succeeded(db, session, now)
        if user_id is None
        else sessions.sign_in(db, session, user_id, claims, now)
    )
    sessions.seen(db, session, visitor_id, now)
    return _opened(db, session, visitor_id, credential, credentials.cursor, claim=remembered)


def reopen_session(
    db: Transaction, credential: str, cursor: str | None, marked: int | None, now: float
) -> Opened:
    """The session of a credential as it is, with what it missed after `cursor`, and after the read
    mark of this number; raises BackendRejectedError if it has ended.
    """
    session = sessions.succeeded(db, sessions.find(db, credential), now)
    opened = _opened(db, session, session.visitor_id, credential, cursor)
    if marked is None:
        return opened
    marks = stream.marked_for(db, owner_key(session.identity), marked)
    return attrs.evolve(opened, marked=min(marked, opened.marked), marks=marks)


def _opened(
    db: Transaction,
    session: Session,
    visitor_id: str,
    credential: str,
    cursor: str | None,
    claim: IdentifyAnswer | None = None,
) -> Opened:
    owner = owner_key(session.identity)
    missed = stream.missed(db, owner, session.number, cursor)
    welcome = Welcome(
        session=credential,
        visitor_id=visitor_id,
        user_id=session.user_id,
        claim=claim,
        cursor=missed.cursor,
        gap=missed.gap,
        unread=conversations.unread(db, owner),
        echoes=True,
    )
    return Opened(welcome, missed.replay, session, conversations.latest_mark(db))


def _other_identity() -> AuthRefusedError:
    return AuthRefusedError(
        "The session to resume belongs to another identity; boot anew without it.",
        code="auth_required",
        reason="other_identity",
    )

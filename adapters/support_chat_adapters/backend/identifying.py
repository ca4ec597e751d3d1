"""identify(): a visitor becomes a user, once, in one transaction; and the memory that makes a lost
reply learnable.

The visitor's own secret authorises the merge, the token proves the user; both are needed. Each
answer is remembered under the secret and the client's `identify_id`: asked again it is given again,
and nothing is done twice. An id whose outcome was asked for before it was committed is closed, so
that its request, should it still be on its way, changes nothing. Two users are never merged: a
session that is signed in as somebody stays theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs

from support_chat.errors import AuthRefusedError
from support_chat.ports import Claim, IdentifyAnswer, IdentifyRequest
from support_chat.values import SignedIn, Visitor

from . import conversations, profiles, sessions
from .sessions import Session, owner_key
from .store import Row, Transaction, hashed, whose_secret
from .widget import Widget


@attrs.frozen
class Identified:
    """What identify() came to: the answer, the session as it now is, and whether the answer was a
    remembered one.
    """

    answer: IdentifyAnswer
    session: Session
    again: bool


def identify(
    db: Transaction,
    widget: Widget,
    session: Session,
    request: IdentifyRequest,
    refused: Mapping[str, str],
    now: float,
) -> Identified:
    """Signs the session in as the user and merges the visitor into them; raises AuthRefusedError
    and changes nothing.
    """
    claims = widget.authenticate(request.user_id, request.token, now)
    secret_hash = hashed(request.visitor)
    owners = owner_key(session.identity), owner_key(SignedIn(request.user_id))
    db.lock(whose_secret(secret_hash), *owners)
    if session.user_id is None and not sessions.knows_secret(db, session, secret_hash):
        raise AuthRefusedError(
            "The visitor's credential is not this session's; identify with the one the link was "
            "opened with.",
            code="auth_required",
            reason="wrong_visitor",
        )
    if session.user_id not in (None, request.user_id):
        raise AuthRefusedError(
            "This session belongs to another user, and two users are never merged; shut down and "
            "boot as the other one.",
            code="auth_required",
            reason="other_user",
        )
    row = _remembered(db, secret_hash, request.identify_id, request.user_id)
    if row is not None and row["answer"] is None:
        raise AuthRefusedError(
            "This identify was given up before it arrived; call identify() again.",
            reason="superseded",
        )
    if row is not None:
        became = sessions.sign_in(db, session, request.user_id, claims, now)
        return Identified(_counted(db, _answer(row)), became, again=True)
    became = sessions.sign_in(db, session, request.user_id, claims, now)
    answer = _merge(db, widget, session, request, refused, now)
    user = owner_key(SignedIn(request.user_id))
    rejected = profiles.apply(
        db, user, request.user_changes, user_id=request.user_id, refused=refused
    )
    answer = attrs.evolve(answer, rejected=(*answer.rejected, *rejected))
    _remember(db, secret_hash, request.identify_id, answer)
    return Identified(_counted(db, answer), became, again=False)


def recall(db: Transaction, secret_hash: str, claim: Claim) -> IdentifyAnswer | None:
    """The remembered answer to an identify whose reply was lost, or None if it was not committed.

    Answering None closes the id: whoever still wants to identify mints a new one. Raises
    AuthRefusedError if the id was another user's.
    """
    row = _remembered(db, secret_hash, claim.identify_id, claim.user_id)
    if row is not None:
        return None if row["answer"] is None else _counted(db, _answer(row))
    _close(db, secret_hash, claim)
    return None


def _merge(
    db: Transaction,
    widget: Widget,
    session: Session,
    request: IdentifyRequest,
    refused: Mapping[str, str],
    now: float,
) -> IdentifyAnswer:
    user_id, visitor_id = request.user_id, session.visitor_id
    merged_into = db.execute(
        "SELECT merged_into FROM visitors WHERE id = ?", (visitor_id,)
    ).fetchone()["merged_into"]
    visitor, user = owner_key(Visitor(visitor_id)), owner_key(SignedIn(user_id))
    if session.user_id is not None:
        return IdentifyAnswer(user_id, merged=False, not_merged_because="already_signed_in")
    if merged_into is not None:
        # Another session of this visitor was faster. If it signed in the same user, what was asked
        # for is done.
        other = merged_into != user_id
        return IdentifyAnswer(
            user_id,
            merged=not other,
            not_merged_because="merged_into_another_user" if other else None,
        )
    rejected = profiles.apply(db, visitor, request.visitor_changes, user_id=None, refused=refused)
    if not widget.rules.allow_merge:
        return IdentifyAnswer(
            user_id, merged=False, not_merged_because="merge_forbidden", rejected=rejected
        )
    db.lock(visitor, user)
    moved = conversations.move(db, visitor, user)
    db.execute("UPDATE visitors SET merged_into = ? WHERE id = ?", (user_id, visitor_id))
    sessions.leave_behind(db, session)
    db.execute(
        "INSERT INTO merges (visitor_id, user_id, conversations, merged_at) VALUES (?, ?, ?, ?)",
        (visitor_id, user_id, moved, now),
    )
    return IdentifyAnswer(user_id, merged=True, conversations_moved=moved, rejected=rejected)


def _remembered(db: Transaction, secret_hash: str, identify_id: str, user_id: str) -> Row | None:
    row: Row | None = db.execute(
        "SELECT user_id, answer FROM identifies WHERE secret_hash = ? AND identify_id = ?",
        (secret_hash, identify_id),
    ).fetchone()
    if row is not None and row["user_id"] != user_id:
        raise AuthRefusedError(
            "This identify_id was used for another user; mint a new one for each identify().",
            code="auth_required",
            reason="other_user",
        )
    return row


def _answer(row: Row) -> IdentifyAnswer:
    stored = json.loads(row["answer"])
    return IdentifyAnswer(
        **stored | {"rejected": tuple((path, reason) for path, reason in stored["rejected"])}
    )


def _counted(db: Transaction, answer: IdentifyAnswer) -> IdentifyAnswer:
    """The answer with what is unread now, which is not remembered."""
    user = owner_key(SignedIn(answer.user_id))
    return attrs.evolve(answer, unread=conversations.unread(db, user))


def _remember(db: Transaction, secret_hash: str, identify_id: str, answer: IdentifyAnswer) -> None:
    stored = json.dumps(attrs.asdict(answer))
    db.execute(
        "INSERT INTO identifies VALUES (?, ?, ?, ?)",
        (secret_hash, identify_id, answer.user_id, stored),
    )


def _close(db: Transaction, secret_hash: str, claim: Claim) -> None:
    db.lock(whose_secret(secret_hash))
    db.execute(
        "INSERT INTO identifies VALUES (?, ?, ?, NULL)",
        (secret_hash, claim.identify_id, claim.user_id),
    )

"""Sessions and the visitors behind them: who a credential stands for, now.

A *visitor* is known by a secret that the client minted; a *session* by a credential that the
backend mints, one for each boot. A visitor whose conversations were merged into a user is retired:
the secret then stands for a *successor*, a new, empty visitor, so nobody who finds an old secret
reads what the user wrote. A secret has one visitor in force, so the successor is the same for
whoever presents it; it can be merged itself, and has a successor then. A secret that is over stands
for nobody any more. Each function works inside the caller's transaction.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

import attrs

from support_chat.errors import AuthRefusedError, BackendRejectedError, VisitorEndedError
from support_chat.values import Identity, SignedIn, Visitor

from .identity_tokens import Claims
from .profiles import describe_new_user
from .store import EVERY, Row, Transaction, hashed, whose_secret

REVOKED: Final = "revoked"
"""Why a session ended, if nobody has said more."""
VISITOR_ENDED: Final = "visitor_ended"
"""Why the sessions of a visitor ended whose secret is over."""
CHANGES_AT_ONCE: Final = 100
"""How many changes of sessions are read at once."""


@attrs.frozen
class Session:
    """A backend session as stored: a visitor's until a sign-in, then a user's. `token_expires` is
    in epoch seconds.
    """

    number: int
    visitor_id: str
    user_id: str | None
    token_expires: float | None

    @property
    def ref(self) -> str:
        """The public name of the session, fit for logs."""
        return f"session-{self.number}"

    @property
    def identity(self) -> Identity:
        """Who the session belongs to."""
        return Visitor(self.visitor_id) if self.user_id is None else SignedIn(self.user_id)


@attrs.frozen
class Ended:
    """Why a session has ended, and after which message of all."""

    why: str
    after: int


@attrs.frozen
class Changed:
    """A session whose identity, token or life has changed, as it is now."""

    number: int
    """Where the change stands in the order of changes."""
    session: Session
    ended: Ended | None
    left_behind: bool
    """Its visitor was merged in another session."""


def session_ref(credential: str) -> str:
    """The public name inside a session's credential: what logs and `Faults.revoke` know the session
    by.
    """
    return credential.partition(".")[0]


def number_of(ref: str) -> int:
    """The number of the session of this public name; 0, which no session has, for what is none."""
    number = ref.removeprefix("session-")
    is_one = number.isascii() and number.isdigit() and len(number) < 19
    return int(number) if is_one else 0


def owner_key(identity: Identity) -> str:
    """The key under which conversations and traits of an identity are stored; a user called
    `visitor-1` is no visitor.
    """
    return f"visitor:{identity.id}" if isinstance(identity, Visitor) else f"user:{identity.user_id}"


def identity_of(owner: str) -> Identity:
    """The identity whose key this is."""
    kind, _, id = owner.partition(":")
    return Visitor(id) if kind == "visitor" else SignedIn(id)


def visitor_of(db: Transaction, secret_hash: str, now: float) -> str:
    """The id of the visitor in force for a secret; an unknown secret, or one whose visitor is
    retired, gets a new one.
    """
    row = db.execute(
        "SELECT id FROM visitors WHERE secret_hash = ? AND merged_into IS NULL", (secret_hash,)
    ).fetchone()
    if row is not None:
        return str(row["id"])
    db.lock(whose_secret(secret_hash))
    visitor_id = f"visitor-{secrets.token_hex(6)}"
    db.execute(
        "INSERT INTO visitors (id, secret_hash, created_at) VALUES (?, ?, ?)",
        (visitor_id, secret_hash, now),
    )
    db.begins(owner_key(Visitor(visitor_id)))
    return visitor_id


def begin(db: Transaction, visitor_id: str) -> tuple[Session, str]:
    """A new session of a visitor, and the credential that resumes and revokes it."""
    db.lock()
    secret = secrets.token_urlsafe(24)
    # The number is part of the credential, so the hash is filled in once the number is known.
    row = db.execute(
        "INSERT INTO sessions (secret_hash, visitor_id) VALUES (?, ?) RETURNING id",
        (hashed(secret), visitor_id),
    ).fetchone()
    session = Session(row["id"], visitor_id, None, None)
    credential = f"{session.ref}.{secret}"
    db.execute(
        "UPDATE sessions SET secret_hash = ? WHERE id = ?", (hashed(credential), session.number)
    )
    return session, credential


def seen(db: Transaction, session: Session, visitor_id: str, now: float) -> None:
    """Takes note that this session and this visitor have dialled."""
    db.execute("UPDATE sessions SET seen_at = ? WHERE id = ?", (now, session.number))
    db.execute("UPDATE visitors SET seen_at = ? WHERE id = ?", (now, visitor_id))


def find(db: Transaction, credential: str) -> Session:
    """The session of a credential; raises BackendRejectedError if it is unknown or was revoked: it
    will not come back.
    """
    row = db.execute(
        "SELECT * FROM sessions WHERE secret_hash = ?", (hashed(credential),)
    ).fetchone()
    if row is None or row["revoked"]:
        raise BackendRejectedError(
            "The backend has ended this session; boot again for a new one.",
            code="auth_required",
            reason="session_unknown" if row is None else "session_revoked",
        )
    return _session(row)


def require_fresh_token(session: Session, now: float) -> None:
    """Raises AuthRefusedError if the token that the session was signed in with has expired."""
    if session.token_expires is not None and session.token_expires <= now:
        raise AuthRefusedError(
            "The session's token has expired; present a fresh one.",
            code="auth_expired",
            recoverable=True,
        )


def latest_change(db: Transaction) -> int:
    """The number of the last change of a session, as far as it is settled, also if it was deleted;
    0 if there was none.
    """
    return db.settled(newest_change(db))


def newest_change(db: Transaction) -> int:
    """As `latest_change`, settled or not."""
    row = db.execute(
        "SELECT (SELECT max(changed) FROM sessions WHERE changed > 0) AS latest,"
        " deleted_changes_up_to FROM replay"
    ).fetchone()
    return max(int(row["latest"] or 0), int(row["deleted_changes_up_to"]))


def changed_since(db: Transaction, number: int) -> tuple[Changed, ...]:
    """The sessions that were changed after this change, in order; not all of them at once, where
    there are many.
    """
    rows = db.execute(
        "SELECT sessions.*, merged_into FROM sessions JOIN visitors ON visitors.id = visitor_id"
        " WHERE changed > 0 AND changed > ? AND changed <= ? ORDER BY changed LIMIT ?",
        (number, db.settled(EVERY), CHANGES_AT_ONCE),
    ).fetchall()
    return tuple(
        Changed(
            row["changed"],
            _session(row),
            Ended(row["revoked_because"] or REVOKED, row["revoked_after"])
            if row["revoked"]
            else None,
            left_behind=row["user_id"] is None and row["merged_into"] is not None,
        )
        for row in rows
    )


def succeeded(db: Transaction, session: Session, now: float) -> Session:
    """The same session with the successor of a retired visitor in their place; unchanged for
    everybody else.

    A session is left behind by a merge when another one of the visitor (another tab) signed in.
    """
    visitor = db.execute(
        "SELECT secret_hash, merged_into FROM visitors WHERE id = ?", (session.visitor_id,)
    ).fetchone()
    if session.user_id is not None or visitor["merged_into"] is None:
        return session
    session = attrs.evolve(session, visitor_id=visitor_of(db, visitor["secret_hash"], now))
    _change(db, session, "visitor_id = ?", session.visitor_id)
    return session


def leave_behind(db: Transaction, session: Session) -> None:
    """Tells the other sessions of a visitor whom this one has merged: they are the successor's."""
    rows = db.execute(
        "SELECT * FROM sessions WHERE visitor_id = ? AND user_id IS NULL AND revoked = 0"
        " AND id <> ? ORDER BY id",
        (session.visitor_id, session.number),
    ).fetchall()
    for row in rows:
        _change(db, _session(row), "visitor_id = visitor_id")


def require_not_over(db: Transaction, secret_hash: str) -> None:
    """Raises VisitorEndedError for a secret that is over."""
    over = "SELECT 1 FROM ended_visitors WHERE secret_hash = ?"
    if db.execute(over, (secret_hash,)).fetchone() is not None:
        raise VisitorEndedError(
            "The visitor of this secret is over: it was cleared elsewhere. Boot again, which "
            "begins with a new one."
        )


def end_visitor(db: Transaction, secret_hash: str, now: float) -> None:
    """Ends every session that was opened with this secret, a user's included, and refuses it from
    then on; a second call, and one for a secret that nobody has used, does no more than that.
    """
    db.lock(whose_secret(secret_hash))
    db.execute(
        "INSERT INTO ended_visitors (secret_hash, ended_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (secret_hash, now),
    )
    rows = db.execute(
        "SELECT sessions.id FROM sessions JOIN visitors ON visitors.id = visitor_id"
        " WHERE visitors.secret_hash = ? AND revoked = 0 ORDER BY sessions.id",
        (secret_hash,),
    ).fetchall()
    for row in rows:
        _revoke(db, "id = ?", row["id"], VISITOR_ENDED)


def forget_ended_visitors(db: Transaction, before: float) -> None:
    """Knows no more of the secrets that were over before this time."""
    db.execute("DELETE FROM ended_visitors WHERE ended_at < ?", (before,))


def knows_secret(db: Transaction, session: Session, secret_hash: str) -> bool:
    """Whether the session was opened with this visitor's secret."""
    row = db.execute(
        "SELECT secret_hash FROM visitors WHERE id = ?", (session.visitor_id,)
    ).fetchone()
    return secrets.compare_digest(str(row["secret_hash"]), secret_hash)


def sign_in(
    db: Transaction, session: Session, user_id: str, claims: Claims | None, now: float
) -> Session:
    """Makes the session the user's; the first sign-in of an id creates the user, described by the
    token's claims.
    """
    db.lock(owner_key(session.identity), owner_key(SignedIn(user_id)))
    created = db.execute(
        "INSERT INTO users (id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING", (user_id, now)
    ).rowcount
    if created and claims is not None:
        describe_new_user(db, owner_key(SignedIn(user_id)), claims.details)
    expires = None if claims is None else claims.expires
    _change(db, session, "user_id = ?, token_expires = ?", user_id, expires)
    return attrs.evolve(session, user_id=user_id, token_expires=expires)


def revoke(db: Transaction, credential: str) -> Session | None:
    """Ends the session of a credential; returns it, or None if there was none to end."""
    return _revoke(db, "secret_hash = ?", hashed(credential), None)


def revoke_by_ref(db: Transaction, ref: str, reason: str) -> Session | None:
    """Ends a session by its public name, as only the backend itself may."""
    return _revoke(db, "id = ?", number_of(ref), None if reason == REVOKED else reason)


def expire(db: Transaction, user_id: str | None, now: float) -> None:
    """Ends the life of the tokens that sessions of a user (None: of anybody) were opened with."""
    signed_in = "SELECT * FROM sessions WHERE revoked = 0 AND token_expires IS NOT NULL"
    rows = (
        db.execute(signed_in).fetchall()
        if user_id is None
        else db.execute(f"{signed_in} AND user_id = ?", (user_id,)).fetchall()
    )
    found = [_session(row) for row in rows]
    db.lock(*(owner_key(session.identity) for session in found))
    for session in found:
        _change(db, session, "token_expires = ?", now)


def _revoke(db: Transaction, which: str, value: str | int, reason: str | None) -> Session | None:
    row = db.execute(f"SELECT * FROM sessions WHERE revoked = 0 AND {which}", (value,)).fetchone()
    if row is None:
        return None
    session = _session(row)
    db.lock(owner_key(session.identity))
    _change(
        db,
        session,
        "revoked = 1, revoked_because = ?,"
        " revoked_after = (SELECT coalesce(max(number), 0) FROM messages)",
        reason,
    )
    return session


def _change(db: Transaction, session: Session, what: str, *values: Any) -> None:
    """Changes a session, and the number that tells links of it that there is news."""
    db.execute(
        f"UPDATE sessions SET changed = ?, {what} WHERE id = ?",
        (db.following(newest_change(db)), *values, session.number),
    )


def _session(row: Row) -> Session:
    return Session(row["id"], row["visitor_id"], row["user_id"], row["token_expires"])

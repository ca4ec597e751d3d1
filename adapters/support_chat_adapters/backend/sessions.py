"""Sessions and the visitors behind them: who a credential stands for, now.

A *visitor* is known by a secret that the client minted; a *session* by a credential that the
backend mints, one for each boot. A visitor whose conversations were merged into a user is retired:
the secret alone then stands for a new, empty visitor, so nobody who finds an old secret reads what
the user wrote. Each function works inside the caller's transaction.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Collection

import attrs

from support_chat.errors import AuthRefusedError, BackendRejectedError
from support_chat.values import Identity, SignedIn, Visitor

from .identity_tokens import Claims
from .profiles import describe_new_user
from .store import hashed


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


def session_ref(credential: str) -> str:
    """The public name inside a session's credential: what logs and `Faults.revoke` know the session
    by.
    """
    return credential.partition(".")[0]


def owner_key(identity: Identity) -> str:
    """The key under which conversations and traits of an identity are stored; a user called
    `visitor-1` is no visitor.
    """
    return f"visitor:{identity.id}" if isinstance(identity, Visitor) else f"user:{identity.user_id}"


def visitor_of(db: sqlite3.Connection, secret_hash: str, now: float) -> str:
    """The id of the visitor in force for a secret; an unknown secret, or one whose visitor is
    retired, gets a new one.
    """
    row = db.execute(
        "SELECT id FROM visitors WHERE secret_hash = ? AND merged_into IS NULL", (secret_hash,)
    ).fetchone()
    if row is not None:
        return str(row["id"])
    visitor_id = f"visitor-{secrets.token_hex(6)}"
    db.execute(
        "INSERT INTO visitors (id, secret_hash, created_at) VALUES (?, ?, ?)",
        (visitor_id, secret_hash, now),
    )
    return visitor_id


def begin(db: sqlite3.Connection, visitor_id: str) -> tuple[Session, str]:
    """A new session of a visitor, and the credential that resumes and revokes it."""
    secret = secrets.token_urlsafe(24)
    # The number is part of the credential, so the hash is filled in once the number is known.
    cursor = db.execute(
        "INSERT INTO sessions (secret_hash, visitor_id) VALUES (?, ?)", (hashed(secret), visitor_id)
    )
    session = Session(int(cursor.lastrowid or 0), visitor_id, None, None)
    credential = f"{session.ref}.{secret}"
    db.execute(
        "UPDATE sessions SET secret_hash = ? WHERE id = ?", (hashed(credential), session.number)
    )
    return session, credential


def find(db: sqlite3.Connection, credential: str) -> Session:
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


def has_expired(db: sqlite3.Connection, number: int, now: float) -> bool:
    """Whether the token that this session was signed in with last has expired."""
    row = db.execute("SELECT token_expires FROM sessions WHERE id = ?", (number,)).fetchone()
    return row["token_expires"] is not None and row["token_expires"] <= now


def expired_among(db: sqlite3.Connection, numbers: Collection[int], now: float) -> list[Session]:
    """Those of the numbered sessions whose token has expired."""
    return _among(db, numbers, "token_expires <= ?", now)


def numbered(db: sqlite3.Connection, numbers: Collection[int]) -> list[Session]:
    """The numbered sessions."""
    return _among(db, numbers, "true")


def revoked_among(db: sqlite3.Connection, numbers: Collection[int]) -> list[Session]:
    """Those of the numbered sessions that have ended."""
    return _among(db, numbers, "revoked = 1")


def _among(
    db: sqlite3.Connection, numbers: Collection[int], which: str, *values: float
) -> list[Session]:
    named = f"SELECT * FROM sessions WHERE id IN (SELECT value FROM json_each(?)) AND {which}"
    return [_session(row) for row in db.execute(named, (json.dumps(sorted(numbers)), *values))]


def succeeded(db: sqlite3.Connection, session: Session, now: float) -> Session:
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
    db.execute(
        "UPDATE sessions SET visitor_id = ? WHERE id = ?", (session.visitor_id, session.number)
    )
    return session


def knows_secret(db: sqlite3.Connection, session: Session, secret_hash: str) -> bool:
    """Whether the session was opened with this visitor's secret."""
    row = db.execute(
        "SELECT secret_hash FROM visitors WHERE id = ?", (session.visitor_id,)
    ).fetchone()
    return secrets.compare_digest(str(row["secret_hash"]), secret_hash)


def sign_in(
    db: sqlite3.Connection, session: Session, user_id: str, claims: Claims | None, now: float
) -> Session:
    """Makes the session the user's; the first sign-in of an id creates the user, described by the
    token's claims.
    """
    created = db.execute(
        "INSERT INTO users (id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING", (user_id, now)
    ).rowcount
    if created and claims is not None:
        describe_new_user(db, owner_key(SignedIn(user_id)), claims.details)
    expires = None if claims is None else claims.expires
    db.execute(
        "UPDATE sessions SET user_id = ?, token_expires = ? WHERE id = ?",
        (user_id, expires, session.number),
    )
    return attrs.evolve(session, user_id=user_id, token_expires=expires)


def of_owner(db: sqlite3.Connection, owner: str) -> list[int]:
    """The numbers of the sessions that belong to an identity, by its `owner_key`."""
    kind, _, name = owner.partition(":")
    column = "user_id" if kind == "user" else "user_id IS NULL AND visitor_id"
    return [row["id"] for row in db.execute(f"SELECT id FROM sessions WHERE {column} = ?", (name,))]


def revoke(db: sqlite3.Connection, credential: str) -> Session | None:
    """Ends the session of a credential; returns it, or None if there was none to end."""
    return _revoke(db, "secret_hash = ?", hashed(credential))


def revoke_by_ref(db: sqlite3.Connection, ref: str) -> Session | None:
    """Ends a session by its public name, as only the backend itself may."""
    return _revoke(db, "'session-' || id = ?", ref)


def expire(db: sqlite3.Connection, user_id: str | None, now: float) -> list[Session]:
    """Ends the life of the tokens that sessions of a user (None: of anybody) were opened with;
    returns those sessions.
    """
    signed_in = "revoked = 0 AND token_expires IS NOT NULL AND user_id = coalesce(?, user_id)"
    db.execute(f"UPDATE sessions SET token_expires = ? WHERE {signed_in}", (now, user_id))
    return [
        _session(row) for row in db.execute(f"SELECT * FROM sessions WHERE {signed_in}", (user_id,))
    ]


def _revoke(db: sqlite3.Connection, which: str, value: str) -> Session | None:
    row = db.execute(f"SELECT * FROM sessions WHERE revoked = 0 AND {which}", (value,)).fetchone()
    if row is None:
        return None
    db.execute("UPDATE sessions SET revoked = 1 WHERE id = ?", (row["id"],))
    return _session(row)


def _session(row: sqlite3.Row) -> Session:
    return Session(row["id"], row["visitor_id"], row["user_id"], row["token_expires"])

"""What is known of an identity: the traits that update() sends, as dotted paths with JSON values.

Only the paths of the update format are stored; any other is rejected by itself and the rest goes
in. A company is named before it is described, and naming another one forgets the description of the
former.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from support_chat.errors import InvalidInputError
from support_chat.values import JSON, Changes, check_id, is_json

from .store import Transaction

_TEXTS = frozenset({"user.email", "user.name", "company.name", "company.plan"})
_NAMED = ("user.traits.", "company.traits.", "context.")


def apply(
    db: Transaction,
    owner: str,
    changes: Changes,
    *,
    user_id: str | None,
    refused: Mapping[str, str],
) -> tuple[tuple[str, str], ...]:
    """Stores `changes` for `owner`, None erasing; returns the paths that were rejected, each with
    its reason.

    `user_id` is whose session it is (a `user.id` of somebody else is rejected), `refused` the paths
    this backend rejects on principle, with the reasons.
    """
    db.lock(owner)
    rejected: list[tuple[str, str]] = []
    for path in sorted(changes, key=lambda path: path != "company.id"):
        value = changes[path]
        reason = refused.get(path) or _rejection(db, owner, path, value, user_id)
        if reason is not None:
            rejected.append((path, reason))
        elif path != "user.id":
            _store(db, owner, path, value)
    return tuple(rejected)


def profile(db: Transaction, owner: str) -> dict[str, JSON]:
    """Everything known of `owner`: dotted path to value."""
    rows = db.execute("SELECT path, value FROM traits WHERE owner = ? ORDER BY path", (owner,))
    return {row["path"]: json.loads(row["value"]) for row in rows}


def describe_new_user(db: Transaction, owner: str, details: Mapping[str, str]) -> None:
    """What a first token says of its user. Only of a new one: a later token must not undo what
    update() has set since.
    """
    paths = {"email": "user.email", "name": "user.name", "company_id": "company.id"}
    for name, value in details.items():
        _store(db, owner, paths[name], value)


def _rejection(
    db: Transaction, owner: str, path: str, value: JSON, user_id: str | None
) -> str | None:
    if not is_json({path: value}):
        return "not_json"
    if path == "user.id":
        return None if value == user_id else "other_user"
    if path == "company.id":
        return None if value is None or _is_id(value) else "not_an_id"
    if path not in _TEXTS and not any(
        path.startswith(prefix) and path != prefix for prefix in _NAMED
    ):
        return "unknown_path"
    if path in _TEXTS and not isinstance(value, str | None):
        return "not_text"
    if path.startswith("company.") and not _has_company(db, owner):
        return "company_unknown"
    return None


def _is_id(value: JSON) -> bool:
    try:
        check_id("company.id", value)
    except InvalidInputError:
        return False
    return True


def _has_company(db: Transaction, owner: str) -> bool:
    return (
        db.execute(
            "SELECT 1 FROM traits WHERE owner = ? AND path = 'company.id'", (owner,)
        ).fetchone()
        is not None
    )


def _store(db: Transaction, owner: str, path: str, value: JSON) -> None:
    stored = json.dumps(value)
    if path == "company.id":
        other = "SELECT 1 FROM traits WHERE owner = ? AND path = ? AND value = ?"
        if db.execute(other, (owner, path, stored)).fetchone() is None:
            db.execute("DELETE FROM traits WHERE owner = ? AND path LIKE 'company.%'", (owner,))
    if value is None:
        db.execute("DELETE FROM traits WHERE owner = ? AND path = ?", (owner, path))
    else:
        db.execute(
            "INSERT INTO traits (owner, path, value) VALUES (?, ?, ?)"
            " ON CONFLICT (owner, path) DO UPDATE SET value = excluded.value",
            (owner, path, stored),
        )

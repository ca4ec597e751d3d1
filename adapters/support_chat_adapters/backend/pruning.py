"""Pruning: what nobody has heard of for long is deleted, a little at a time, so that no request
waits for it.

A session is known to a client's memory only, so one that has not dialled for weeks will not come
back; if it has ended, it could not. A visitor is known to a client's storage, and may come back
after months to what they wrote. Who has a link open is heard of, however long ago it dialled. That
a secret is over is known as long as a visitor is: by then nobody will present it any more.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final

import attrs

from support_chat.errors import InvalidInputError

from . import persons
from .persons import Person
from .sessions import forget_ended_visitors
from .store import MAX_PARAMETERS, Transaction

DAY: Final = 86_400.0
"""Seconds."""
SESSIONS_AT_ONCE: Final = 200
"""How many sessions one transaction deletes at the most."""
VISITORS_AT_ONCE: Final = 20
"""How many visitors, with all that they wrote."""


def _an_age(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value < math.inf:
        raise InvalidInputError(f"{attribute.name} must be zero (never) or more, not {value}.")


@attrs.frozen(kw_only=True)
class Ages:
    """After how many seconds without a word something is deleted; 0 is never."""

    sessions: float = attrs.field(default=30 * DAY, validator=_an_age)
    """Sessions, and visitors who never wrote anything or have become users."""
    visitors: float = attrs.field(default=365 * DAY, validator=_an_age)
    """Visitors, with their conversations, and what is known of secrets that are over."""


@attrs.frozen
class Pruned:
    """How much was deleted, and whether there is more to delete."""

    sessions: int
    visitors: int
    more: bool


def prune(db: Transaction, ages: Ages, live: Collection[int], now: float) -> Pruned:
    """Deletes some of what has not been heard of for so long. `live` are the numbers of the
    sessions that have a link open.
    """
    db.lock()
    _hear_of(db, sorted(live), now)
    sessions = _silent_sessions(db, now - ages.sessions) if ages.sessions else []
    if sessions:
        persons.keep_numbers(db)
    for number in sessions:
        persons.delete_session(db, number)
    visitors = _silent_visitors(db, ages, now)
    db.lock(*Person(None, tuple(visitors)).owners)
    for visitor in visitors:
        persons.forget(db, Person(None, (visitor,)))
    if ages.visitors:
        forget_ended_visitors(db, now - ages.visitors)
    more = len(sessions) >= SESSIONS_AT_ONCE or len(visitors) >= VISITORS_AT_ONCE
    return Pruned(len(sessions), len(visitors), more)


def _hear_of(db: Transaction, live: Sequence[int], now: float) -> None:
    for begin in range(0, len(live), MAX_PARAMETERS - 2):
        some = live[begin : begin + MAX_PARAMETERS - 2]
        named = ", ".join("?" * len(some))
        values = (now, now - DAY, *some)
        db.execute(f"UPDATE sessions SET seen_at = ? WHERE seen_at < ? AND id IN ({named})", values)
        db.execute(
            "UPDATE visitors SET seen_at = ? WHERE seen_at < ? AND id IN"
            f" (SELECT visitor_id FROM sessions WHERE id IN ({named}))",
            values,
        )


def _silent_sessions(db: Transaction, before: float) -> list[int]:
    rows = db.execute(
        "SELECT id FROM sessions WHERE seen_at < ? ORDER BY seen_at LIMIT ?",
        (before, SESSIONS_AT_ONCE),
    )
    return [int(row["id"]) for row in rows]


def _silent_visitors(db: Transaction, ages: Ages, now: float) -> list[str]:
    """Visitors whose time has come, and whose secret no session of a user was opened with."""
    unused = "NOT EXISTS (SELECT 1 FROM sessions WHERE visitor_id = visitors.id"
    nothing_written = (
        "NOT EXISTS (SELECT 1 FROM conversations WHERE owner = 'visitor:' || visitors.id)"
    )
    found: list[str] = []
    for age, which in (
        (ages.sessions, f"{unused}) AND (merged_into IS NOT NULL OR {nothing_written})"),
        (ages.visitors, f"{unused} AND user_id IS NOT NULL)"),
    ):
        if age:
            rows = db.execute(
                f"SELECT id FROM visitors WHERE seen_at < ? AND {which} ORDER BY seen_at LIMIT ?",
                (now - age, VISITORS_AT_ONCE - len(found)),
            )
            found += [str(row["id"]) for row in rows if row["id"] not in found]
    return found

"""What update() recorded and where each value is on its way: a pure record, changed by pure
functions.

A value is *recorded* (to be sent for the session's identity), *sent* (in a request without an
answer yet), *held* (recorded while an identify is not settled: it will be the user's or nobody's),
*carried* (travels with an identify request, the visitor's and the user's apart), or *known* (the
backend has acknowledged it). Keys are dotted paths, so that a merge is a dict merge: the last
writer wins, None erases. A value the backend knows is not sent again; one that was restored never
overwrites a newer one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import attrs

from ..values import JSON, Changes

_NONE: Changes = {}


@attrs.frozen
class Updates:
    """The record; `repr` shows how many values there are, never the values."""

    recorded: Changes = attrs.field(default=_NONE, repr=lambda values: f"<{len(values)}>")
    sent: Changes = attrs.field(default=_NONE, repr=lambda values: f"<{len(values)}>")
    held: Changes = attrs.field(default=_NONE, repr=lambda values: f"<{len(values)}>")
    carried: Changes = attrs.field(default=_NONE, repr=lambda values: f"<{len(values)}>")
    carried_held: Changes = attrs.field(default=_NONE, repr=lambda values: f"<{len(values)}>")
    known: Changes = attrs.field(default=_NONE, repr=lambda values: f"<{len(values)}>")


NO_UPDATES = Updates()


def record(updates: Updates, changes: Changes) -> Updates:
    """Adds changes of the session's identity; what the backend knows, or is just being told, needs
    no sending.
    """
    if not changes:
        return updates
    return attrs.evolve(updates, recorded=_unknown(updates, {**updates.recorded, **changes}))


def hold(updates: Updates, changes: Changes) -> Updates:
    """Adds changes that wait for an identify to settle."""
    return attrs.evolve(updates, held={**updates.held, **changes}) if changes else updates


def take(updates: Updates) -> Updates:
    """What is recorded leaves in a request."""
    return attrs.evolve(updates, sent=updates.recorded, recorded=_NONE)


def acknowledge(updates: Updates, rejected: Iterable[str] = ()) -> Updates:
    """The backend has what was sent, but for the rejected keys, which are dropped (a newer value of
    one is kept).
    """
    refused = set(rejected)
    known = {**updates.known, **{k: v for k, v in updates.sent.items() if k not in refused}}
    return _without_known(attrs.evolve(updates, sent=_NONE, known=known))


def restore(updates: Updates) -> Updates:
    """What was sent without an answer is recorded again, unless something newer was recorded
    meanwhile.

    The backend may have it or not: what it knew of these keys before is no longer known.
    """
    if not updates.sent:
        return updates
    known = {path: value for path, value in updates.known.items() if path not in updates.sent}
    return attrs.evolve(
        updates, recorded={**updates.sent, **updates.recorded}, sent=_NONE, known=known
    )


def drop_sent(updates: Updates) -> Updates:
    """The backend refused the whole request: nothing of it is tried again."""
    return _without_known(attrs.evolve(updates, sent=_NONE))


def carry(updates: Updates) -> Updates:
    """Everything not yet sent leaves with an identify request: the visitor's as the visitor's, the
    user's as the user's.
    """
    return attrs.evolve(
        updates,
        carried={**updates.carried, **updates.recorded},
        recorded=_NONE,
        carried_held={**updates.carried_held, **updates.held},
        held=_NONE,
    )


def become_user(updates: Updates, rejected: Iterable[str] = ()) -> Updates:
    """The identify was committed: what it carried is known, but for the rejected keys; what was
    held since is the user's to send.
    """
    refused = set(rejected)
    known = {path: value for path, value in updates.carried_held.items() if path not in refused}
    after = Updates(known=known)
    return record(after, updates.held)


def unclaim(updates: Updates) -> Updates:
    """The identify was not committed: what it carried goes back where it came from, under anything
    newer.
    """
    return attrs.evolve(
        updates,
        recorded={**updates.carried, **updates.recorded},
        held={**updates.carried_held, **updates.held},
        carried=_NONE,
        carried_held=_NONE,
    )


def nothing_is_known(updates: Updates) -> Updates:
    """The backend speaks to somebody else now: what it knew of the former is neither known of them
    nor theirs to be told.
    """
    return attrs.evolve(updates, known=_NONE)


def drop_held(updates: Updates) -> Updates:
    """Nobody waits for the identify any more: what was held since it left is dropped."""
    return attrs.evolve(updates, held=_NONE)


def forget_target(updates: Updates) -> Updates:
    """The identify has failed: the visitor's goes back to be sent, what was recorded for the user
    is dropped.
    """
    return attrs.evolve(unclaim(updates), held=_NONE)


def _without_known(updates: Updates) -> Updates:
    """What was recorded while a request was under way may turn out to be what the backend knows
    after all.
    """
    return attrs.evolve(updates, recorded=_unknown(updates, updates.recorded))


def _unknown(updates: Updates, changes: Changes) -> Changes:
    base = {**updates.known, **updates.sent}
    return {
        key: value
        for key, value in changes.items()
        if key not in base or not _same(base[key], value)
    }


def _same(one: JSON, other: JSON) -> bool:
    """Equality as JSON has it: 1, 1.0 and True are equal in Python and different values on the
    wire.
    """
    return one is other or json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

"""What somebody was told of one conversation: a pure record, changed by pure functions.

Each message is told once, in the backend's order. What the stream brings comes in that order and
may leave out what a link missed; pages are asked for backwards, from the newest message on, until
they meet what was told before, or the beginning. While they are, what the stream brings waits: a
page may have it, or may have been asked for before it was stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import TypeAlias

import attrs

from ..values import Message


@attrs.frozen
class Gap:
    """A place in a timeline where messages may be missing that the backend has no longer."""


Item: TypeAlias = "Message | Gap"
"""What a timeline tells."""


@attrs.frozen
class Timeline:
    """The record. With `loading` pages are asked for, of which `loaded` are there, oldest first."""

    told: frozenset[str] = frozenset()
    last: str | None = None
    """The id of the message told last."""
    loading: bool = True
    loaded: tuple[Message, ...] = ()
    arrived: tuple[Message, ...] = ()
    """What the stream has brought meanwhile: a page that was asked for before may not have it."""


def missed(timeline: Timeline) -> Timeline:
    """The stream has left something out, or nobody has listened to it yet: pages will tell."""
    return attrs.evolve(timeline, loading=True, loaded=(), arrived=())


def heard(timeline: Timeline, message: Message) -> tuple[Timeline, Sequence[Item]]:
    """The stream has brought a message; what is to be told now."""
    if message.id in timeline.told:
        return timeline, ()
    if timeline.loading:
        return attrs.evolve(timeline, arrived=(*timeline.arrived, message)), ()
    return _telling(timeline, (message,))


def before(timeline: Timeline) -> str | None:
    """The message that the next page ends before; None: it ends with the newest one."""
    return timeline.loaded[0].id if timeline.loaded else None


def page(
    timeline: Timeline, messages: Sequence[Message], limit: int
) -> tuple[Timeline, Sequence[Item]]:
    """A page has come that was asked for with this limit; what is to be told now. One that is not
    as long as that is the last: there are no more, or the backend knows no pages.
    """
    if not timeline.loading:
        return timeline, ()
    mine = {message.id for message in timeline.loaded}
    older = tuple({m.id: m for m in messages if m.id not in mine}.values())
    loaded = (*older, *timeline.loaded)
    met = timeline.last is not None and any(m.id == timeline.last for m in loaded)
    if not met and older and len(messages) == limit:
        return attrs.evolve(timeline, loaded=loaded), ()
    # pages have all from their first message to the newest: what they have not is newer, but for
    # one that the backend has deleted since it was brought
    first = loaded[0].created_at if loaded else 0.0
    arrived = sorted(timeline.arrived, key=attrgetter("created_at"))  # a replay goes back
    gone = tuple(m for m in arrived if m.created_at < first and not met)
    newer = tuple(m for m in arrived if m.created_at >= first)
    every = {message.id: message for message in (*gone, *loaded, *newer)}.values()
    new = tuple(message for message in every if message.id not in timeline.told)
    after, told = _telling(attrs.evolve(timeline, loading=False, loaded=(), arrived=()), new)
    lost = timeline.last is not None and not met
    return after, (Gap(), *told) if lost else told


def _telling(
    timeline: Timeline, messages: tuple[Message, ...]
) -> tuple[Timeline, tuple[Item, ...]]:
    if not messages:
        return timeline, ()
    told = timeline.told | {message.id for message in messages}
    return attrs.evolve(timeline, told=told, last=messages[-1].id), messages

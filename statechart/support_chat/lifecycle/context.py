"""The book: everything a session knows that the chart's guards do not spell out, in one frozen
value.

Counters, tags, clocks, records and secrets live here and nowhere else. `note` writes down what an
effect means, `facts` reads the guards' booleans out of it; both are pure, so the book can be run by
a checker as it is run by a session. What is bound to the user is gone after `FORGET`; what protects
the backend (the distance of dials, the limit of updates) stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from ..ports import Claim, TokenProvider
from ..settings import Settings
from ..values import Identity
from . import updates as u
from .names import Fact, Lane
from .occasion import Occasion
from .tokens import Token

LANES: Final = tuple(Lane)
_PLACE: Final[Mapping[Lane, int]] = {lane: i for i, lane in enumerate(LANES)}
LONGEST_STAY: Final = 3600.0
"""Longest `retry_after` that is believed, in seconds: a backend that asks for more is asked again
after this.
"""
_NO_TAGS: Final = (0,) * len(LANES)


@attrs.frozen
class Target:
    """The user to be identified: who it is, who mints their tokens, and the id of the request that
    is out for them.
    """

    user_id: str
    provider: TokenProvider | None = attrs.field(default=None, repr=False)
    identify_id: str | None = None


@attrs.frozen
class Book:
    """What is known. Times are in seconds on the session's clock; `tags` has what is current on
    each lane, 0 for nothing.
    """

    serial: int = 0
    tags: tuple[int, ...] = _NO_TAGS
    # who we are
    user_id: str | None = None
    identity: Identity | None = None
    provider: TokenProvider | None = attrs.field(default=None, repr=False)
    target: Target | None = None
    visitor: str | None = attrs.field(default=None, repr=False)
    session: str | None = attrs.field(default=None, repr=False)
    cursor: str | None = None
    unread: int = 0
    # the token
    token: Token | None = attrs.field(default=None, repr=False)
    accepted: bool = False
    """Whether the backend has accepted this token."""
    arrived_at: float = 0.0
    fetched_at: float | None = None
    spent: bytes | None = attrs.field(default=None, repr=False)
    # dialling
    failures: int = 0
    dialled_at: float | None = None
    not_before: float = 0.0
    up_at: float | None = None
    # calls
    boot_until: float = 0.0
    identify_until: float = 0.0
    # updates
    updates: u.Updates = u.NO_UPDATES
    updated_at: tuple[float, ...] = ()
    update_failures: int = 0

    def tag(self, lane: Lane) -> int:
        """The tag of what is current on this lane, 0 for nothing."""
        return self.tags[_PLACE[lane]]

    def tagged(self, lane: Lane, tag: int) -> Book:
        """The book with this tag current on the lane; 0 for nothing."""
        place = _PLACE[lane]
        return attrs.evolve(self, tags=(*self.tags[:place], tag, *self.tags[place + 1 :]))

    @property
    def claim(self) -> Claim | None:
        """What a dial presents of an identify whose answer is not known."""
        if self.target is None or self.target.identify_id is None:
            return None
        return Claim(self.target.identify_id, self.target.user_id)


def facts(book: Book, occasion: Occasion, settings: Settings) -> tuple[Fact, ...]:
    """The facts that are true of this occasion: those of the book, and those the trigger
    carries.
    """
    answer = occasion.identified
    true = {
        Fact.LATE: occasion.lane is not None and occasion.tag != book.tag(occasion.lane),
        Fact.PROVIDER: book.provider is not None,
        Fact.TARGET_PROVIDER: book.target is not None and book.target.provider is not None,
        Fact.PENDING: bool(book.updates.recorded),
        Fact.FULL: occasion.asked is not None and occasion.asked.clear_storage,
        Fact.MERGED: answer is not None and answer.merged,
        Fact.BEYOND: _beyond(book, occasion),
        Fact.SILENT: occasion.heard_at + settings.silence_timeout <= occasion.now,
    }
    return tuple(fact for fact, holds in true.items() if holds)


def _beyond(book: Book, occasion: Occasion) -> bool:
    after = occasion.retry_after
    if occasion.lane is Lane.IDENTIFY:  # only this very answer says that the identify was not done
        return after is not None and occasion.now + after > book.identify_until
    until = not_before(book, occasion)
    return until > max(occasion.now, book.boot_until)


def not_before(book: Book, occasion: Occasion) -> float:
    """The moment before which the backend does not want to be dialled, as far as is known after
    this.
    """
    after = occasion.retry_after
    return (
        book.not_before
        if after is None
        else max(book.not_before, occasion.now + min(after, LONGEST_STAY))
    )

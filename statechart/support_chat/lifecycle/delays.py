"""How long each timer runs: pure functions of the book, the settings and one random number.

Four promises are kept here, each for itself whatever the chart does: dials keep their distance
(N1), every wait has a width, so that a thousand clients do not come back in step (N2), renewals
keep theirs (N3), and updates keep their limit across shutdown and boot (N4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from ..settings import Settings
from .context import Book
from .names import Lane
from .occasion import Occasion


@attrs.frozen
class Wait:
    """What a delay is computed from; `roll` is a random number in [0, 1)."""

    book: Book
    occasion: Occasion
    settings: Settings
    roll: float

    @property
    def now(self) -> float:
        """The time on the session's clock, in seconds."""
        return self.occasion.now


def backoff_bounds(n: int, settings: Settings) -> tuple[float, float]:
    """The least and the most that attempt `n` (from 0) waits, in seconds; the first is always
    smaller (N2).
    """
    most = min(settings.backoff_max, settings.backoff_base * 2.0 ** min(n, 64))
    return max(settings.backoff_min, most / 2), most


def backoff(n: int, settings: Settings, roll: float) -> float:
    """How long attempt `n` waits, in seconds: spread over the upper half, after the cap."""
    least, most = backoff_bounds(n, settings)
    return least + roll * (most - least)


def dial_in(wait: Wait) -> float:
    """Seconds until the next attempt may start: `backoff_min` after the last dial, not before the
    backend wants us (N1).

    An attempt that needs another token begins with a token call, and keeps the distance of those
    (N3).
    """
    book, now = wait.book, wait.now
    spaced = 0.0 if book.dialled_at is None else book.dialled_at + wait.settings.backoff_min - now
    return max(
        0.0, spaced, book.not_before - now, fetch_in(wait) if _begins_with_a_token(wait) else 0.0
    )


def _begins_with_a_token(wait: Wait) -> bool:
    book = wait.book
    if wait.occasion.lane is Lane.TOKEN:  # a token call has failed: it is what will be tried again
        return True
    provider = book.provider or (
        book.target.provider if book.target is not None and book.claim is not None else None
    )
    return provider is not None and book.token is None


def retry_in(wait: Wait) -> float:
    """Seconds until the next attempt after a failed one: the backoff."""
    return max(backoff(wait.book.failures, wait.settings, wait.roll), dial_in(wait))


def probe_in(wait: Wait) -> float:
    """Seconds until the next probe: the interval, give or take a fifth."""
    return max(wait.settings.probe_interval * (0.8 + 0.4 * wait.roll), dial_in(wait))


def fetch_in(wait: Wait) -> float:
    """Seconds until the token provider may be called again for a renewal (N3)."""
    if wait.book.fetched_at is None:
        return 0.0
    return max(0.0, wait.book.fetched_at + wait.settings.min_refresh_interval - wait.now)


def renew_in(wait: Wait) -> float | None:
    """Seconds until the token is to be renewed; None when that is not known beforehand (an opaque
    one) or nobody provides any.
    """
    token = wait.book.token
    if token is None:
        return fetch_in(wait) if wait.book.provider is not None else None
    # it could not be presented: the backend still has the one before, whose time is nearly over
    if not wait.book.accepted:
        return fetch_in(wait)
    if token.life is None:
        return None
    before = wait.settings.refresh_before
    margin = before if token.life >= 2 * before else token.life / 2
    return max(0.0, wait.book.arrived_at + token.life - margin - wait.now, fetch_in(wait))


def update_in(wait: Wait) -> float:
    """Seconds until an update may leave: at the end of the interval, within the burst, after a
    backoff if the last failed (N4).
    """
    book, settings, now = wait.book, wait.settings, wait.now
    recent = [t for t in book.updated_at if t > now - settings.update_window]
    spaced = recent[-1] + settings.update_interval - now if recent else 0.0
    full = (
        recent[-settings.update_burst] + settings.update_window - now
        if len(recent) >= settings.update_burst
        else 0.0
    )
    failed = backoff(book.update_failures, settings, wait.roll) if book.update_failures else 0.0
    return max(0.0, spaced, full, failed)


def leaves_in(wait: Wait) -> float:
    """Seconds until what update() recorded will leave: 0.0 for now, infinity while there is no link
    or an identify is open.
    """
    if not wait.book.updates.recorded:
        return 0.0 if not wait.book.updates.held else math.inf
    return math.inf if wait.book.up_at is None or wait.book.target is not None else update_in(wait)


DELAYS: Final[Mapping[str, Callable[[Wait], float | None]]] = MappingProxyType(
    {
        "boot": lambda wait: wait.book.boot_until - wait.now,
        "identify": lambda wait: wait.book.identify_until - wait.now,
        "dial": dial_in,
        "retry": retry_in,
        "probe": probe_in,
        "give_up": lambda wait: wait.settings.disconnected_after,
        "silence": lambda wait: max(
            0.0, wait.occasion.heard_at + wait.settings.silence_timeout - wait.now
        ),
        "renew": renew_in,
        "update": update_in,
        "destroy": lambda wait: wait.settings.destroy_timeout,
    }
)
"""The delay of each timer by the name that the chart gives it; None means that the timer is not to
run.
"""

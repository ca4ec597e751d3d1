"""How long each timer runs: pure functions of the context and the moment.

Four promises are kept here, each for itself whatever the chart does: dials keep their distance
(N1), every wait has a width, so that a thousand clients do not come back in step (N2), renewals
keep theirs (N3), and updates keep their limit across shutdown and boot (N4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from ..chart.model import Span
from ..engine import Moment
from ..settings import Settings
from . import outbox as o
from .context import LONGEST_STAY, Context, not_before
from .names import Lane
from .tokens import LONGEST_LIFE


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


def dial_in(context: Context, moment: Moment) -> float:
    """Seconds until the next attempt may start: `backoff_min` after the last dial, not before the
    backend wants us (N1).

    An attempt that needs another token begins with a token call, and keeps the distance of those
    (N3).
    """
    settings: Settings = moment.settings
    now, spaced = moment.now.at, 0.0
    if context.dialled_at is not None:
        spaced = context.dialled_at + settings.backoff_min - now
    fetch = fetch_in(context, moment) if _begins_with_a_token(context, moment) else 0.0
    return max(0.0, spaced, context.not_before - now, fetch)


def _begins_with_a_token(context: Context, moment: Moment) -> bool:
    if moment.request is not None and moment.request.lane == Lane.TOKEN:
        return True  # a token call has failed: it is what will be tried again
    provider = context.provider
    if provider is None and context.target is not None and context.claim is not None:
        provider = context.target.provider
    return provider is not None and context.token is None


def retry_in(context: Context, moment: Moment) -> float:
    """Seconds until the next attempt after a failed one: the backoff."""
    wait = backoff(context.failures, moment.settings, moment.now.roll("retry"))
    return max(wait, dial_in(context, moment))


def probe_in(context: Context, moment: Moment) -> float:
    """Seconds until the next probe: the interval, give or take a fifth."""
    settings: Settings = moment.settings
    wait = settings.probe_interval * (0.8 + 0.4 * moment.now.roll("probe"))
    return max(wait, dial_in(context, moment))


def fetch_in(context: Context, moment: Moment) -> float:
    """Seconds until the token provider may be called again for a renewal (N3)."""
    if context.fetched_at is None:
        return 0.0
    settings: Settings = moment.settings
    next_call = context.fetched_at + settings.min_refresh_interval
    return max(0.0, next_call - moment.now.at)


def renew_in(context: Context, moment: Moment) -> float | None:
    """Seconds until the token is to be renewed, not before the backend wants it; None when that is
    not known beforehand (an opaque one) or nobody provides any.
    """
    due = _renewal_due(context, moment)
    return None if due is None else max(due, not_before(context, moment) - moment.now.at)


def _renewal_due(context: Context, moment: Moment) -> float | None:
    token = context.token
    if token is None:
        return fetch_in(context, moment) if context.provider is not None else None
    if not context.accepted:
        # it could not be presented: the backend still has the one before, which is nearly over
        return fetch_in(context, moment)
    if not token.life:
        # opaque, or by our clock over when it was accepted: then it is our clock that is wrong
        return None
    settings: Settings = moment.settings
    before = settings.refresh_before
    margin = before if token.life >= 2 * before else token.life / 2
    due = context.arrived_at + token.life - margin
    return max(0.0, due - moment.now.at, fetch_in(context, moment))


def update_in(context: Context, moment: Moment) -> float:
    """Seconds until an update may leave: at the end of the interval, within the burst, after a
    backoff if the last failed, not before the backend wants it (N4).
    """
    settings: Settings = moment.settings
    now = moment.now.at
    recent = [t for t in context.updated_at if t > now - settings.update_window]
    spaced = recent[-1] + settings.update_interval - now if recent else 0.0
    full = 0.0
    if len(recent) >= settings.update_burst:
        full = recent[-settings.update_burst] + settings.update_window - now
    failed = 0.0
    if context.update_failures:
        failed = backoff(context.update_failures, settings, moment.now.roll("update"))
    return max(0.0, spaced, full, failed, context.not_before - now)


def leaves_in(context: Context, moment: Moment) -> float:
    """Seconds until what update() recorded will leave: 0.0 for now, infinity while there is no link
    or an identify is open.
    """
    if not context.updates.recorded:
        return 0.0 if not context.updates.held else math.inf
    if context.up_at is None or context.target is not None:
        return math.inf
    return update_in(context, moment)


def silence_in(context: Context, moment: Moment) -> float:
    """Seconds until the link will have been silent for its limit. If it has been, whoever listens
    was blocked, and has the time of a dial to hear it after all.
    """
    settings: Settings = moment.settings
    left = moment.now.heard_at + settings.silence_timeout - moment.now.at
    return left if left > 0 else settings.connect_timeout


def outbox_in(context: Context, moment: Moment) -> float | None:
    """Seconds until a message is to be sent again or given up; None: never."""
    due = o.due(context.outbox, moment.now.at)
    return None if due is None else max(0.0, due - moment.now.at)


DELAYS: Final[Mapping[str, Callable[[Context, Moment], float | None]]] = MappingProxyType(
    {
        "dial": dial_in,
        "retry": retry_in,
        "probe": probe_in,
        "give_up": lambda context, moment: moment.settings.disconnected_after,
        "silence": silence_in,
        "renew": renew_in,
        "update": update_in,
        "outbox": outbox_in,
        "destroy": lambda context, moment: moment.settings.destroy_timeout,
    }
)
"""The delay of each timer by the name that the chart gives it; None means that the timer is not to
run.
"""


# --- the least and the most of each ---------------------------------------------------------------

_ASKED: Final = ("retry_after", LONGEST_STAY)
"""A backend may ask to stay away for so long, whatever the settings."""


def _span(least: float, settings: Settings, *names: str, other: tuple[str, float] = _ASKED) -> Span:
    """From `least` to the longest of what these settings, and something `other`, say."""
    by, most = max([*((name, getattr(settings, name)) for name in names), other], key=_seconds)
    return Span(least, most, by)


def _seconds(named: tuple[str, float]) -> float:
    return named[1]


def _exactly(name: str) -> Callable[[Settings], Span]:
    return lambda settings: Span(getattr(settings, name), getattr(settings, name), name)


_APART: Final = ("backoff_min", "min_refresh_interval")
"""What dials, and the token calls that they begin with, keep between them."""

SPANS: Final[Mapping[str, Callable[[Settings], Span]]] = MappingProxyType(
    {
        "dial": lambda settings: _span(0.0, settings, *_APART),
        "retry": lambda settings: _span(
            backoff_bounds(0, settings)[0], settings, "backoff_max", *_APART
        ),
        "probe": lambda settings: _span(
            0.8 * settings.probe_interval,
            settings,
            *_APART,
            other=max(_ASKED, ("probe_interval", 1.2 * settings.probe_interval), key=_seconds),
        ),
        "give_up": _exactly("disconnected_after"),
        "silence": lambda settings: _span(
            0.0, settings, "silence_timeout", other=("connect_timeout", settings.connect_timeout)
        ),
        "renew": lambda settings: _span(
            0.0, settings, "min_refresh_interval", other=("the token's life", LONGEST_LIFE)
        ),
        "update": lambda settings: _span(
            0.0, settings, "update_interval", "update_window", "backoff_max"
        ),
        "outbox": lambda settings: _span(
            0.0, settings, "outbox_timeout", "call_timeout", "backoff_max"
        ),
        "destroy": _exactly("destroy_timeout"),
    }
)
"""How long each of the `DELAYS` is with these settings, whatever the context, but for calls that
bring a `timeout` of their own.
"""

"""Every limit and every delay of a session, in seconds unless its name says otherwise, checked when
the object is made.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from .errors import InvalidInputError

LONGEST: Final = 1e9
"""Longest time there is to set, in seconds: some thirty years, which no clock here overflows on."""


def _seconds(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST:
        raise InvalidInputError(
            f"Settings.{attribute.name} must be a number of seconds above 0 and at most 1e9, not "
            f"{value!r}."
        )


def _count(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInputError(
            f"Settings.{attribute.name} must be an int of at least 1, not {value!r}."
        )


def _time(default: float) -> Any:
    return attrs.field(default=default, validator=_seconds)


@attrs.frozen(kw_only=True)
class Settings:
    """Limits and delays of a session; the defaults suit a person in front of a chat panel.
    `attrs.evolve` makes variants.

    Raises InvalidInputError for a value that is not positive, or for limits that contradict each
    other.
    """

    connect_timeout: float = _time(10.0)
    """One dial, until the backend has said who we are."""
    boot_timeout: float = _time(30.0)
    """A whole boot(), waiting and retries included; boot(timeout=...) overrides it."""
    call_timeout: float = _time(30.0)
    """An identify(), an update request, a message; identify(timeout=...) overrides it."""
    storage_timeout: float = _time(5.0)
    """One request to the storage: a read, a write, or a clear with all that it removes. A
    shutdown() may wait for a boot's write, and then for its clear.
    """
    token_timeout: float = _time(10.0)
    """One call of the token provider."""
    backoff_base: float = _time(0.5)
    """Attempt n waits at most `backoff_base * 2**n`..."""
    backoff_min: float = _time(0.1)
    """... at least this long; dials of one session start at least this far apart, whatever causes
    them.
    """
    backoff_max: float = _time(20.0)
    """... and never longer than this."""
    stable_after: float = _time(10.0)
    """A link live for this long returns the backoff to its beginning."""
    disconnected_after: float = _time(120.0)
    """From the loss of the link until `reconnecting` becomes `disconnected`."""
    probe_interval: float = _time(30.0)
    """Between two probes while `disconnected`, give or take a fifth."""
    silence_timeout: float = _time(35.0)
    """A link from which nothing was heard for this long is lost."""
    refresh_before: float = _time(60.0)
    """How long before its expiry a token is renewed (half its life if it lives less than twice
    this).
    """
    min_refresh_interval: float = _time(5.0)
    """Two calls of the token provider for renewals start at least this far apart."""
    update_burst: int = attrs.field(default=20, validator=_count)
    """At most this many update requests leave in any `update_window`."""
    update_window: float = _time(30 * 60.0)
    """The window of `update_burst`."""
    update_interval: float = _time(1.0)
    """Updates that follow each other within this time leave together at its end."""
    outbox_size: int = attrs.field(default=100, validator=_count)
    """At most this many messages are without an answer at a time, and as many read marks."""
    outbox_timeout: float = _time(5 * 60.0)
    """How long a send_message() waits, for a link, its turn and its answer;
    send_message(timeout=...) overrides it.
    """
    revoke_timeout: float = _time(5.0)
    """The revocation that a shutdown() asks for and the goodbye of its link, side by side; and each
    request of which nobody awaits the outcome.
    """
    destroy_timeout: float = _time(5.0)
    """What destroy() lets a clear or a revocation under way take, and again the release of the
    adapters.
    """

    def __attrs_post_init__(self) -> None:
        if self.backoff_min >= min(self.backoff_base, self.backoff_max):
            raise InvalidInputError(
                "Settings.backoff_min must be smaller than backoff_base and backoff_max, else the "
                "first wait has no width."
            )

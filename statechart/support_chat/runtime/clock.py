"""The session's clock and its timers, which count the time of a suspension too: a laptop that slept
an hour has a token that is over and a link that is dead, whatever the loop's own timers believe.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

_LOOK_AGAIN: Final = 30.0
"""Longest uninterrupted wait, in seconds: the loop's own timers do not count the time of a
suspension.
"""
_READ_APART: Final = 1.0
"""Seconds by which two clocks may seem to differ because they are read one after the other."""


def _suspended() -> float:
    """Seconds for which this machine has been suspended; only differences of it mean anything."""
    boottime: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    # macOS and Windows: their monotonic clocks already count it, or nothing does
    if boottime is None:
        return 0.0
    try:
        return time.clock_gettime(boottime) - time.monotonic()
    except OSError:  # Pyodide names the clock and has none
        return 0.0


class Clock:
    """Seconds since some moment, never going back, suspensions included."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._before = _suspended()
        self._slept = 0.0

    def __call__(self) -> float:
        slept = _suspended() - self._before
        if slept > self._slept + _READ_APART:
            self._slept = slept
        return self._loop.time() + self._slept


class Timers:
    """At most one timer of each kind (property S10)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._running: dict[str, asyncio.TimerHandle] = {}

    def arm(self, timer: str, delay: float, expired: Callable[[], None]) -> None:
        """Starts the timer, or starts it anew; `expired` is called after `delay` seconds of the
        clock.
        """
        self.disarm((timer,))
        self._wait(timer, self._clock() + delay, expired)

    def _wait(self, timer: str, until: float, expired: Callable[[], None]) -> None:
        left = until - self._clock()
        self._running[timer] = self._loop.call_later(
            max(0.0, min(left, _LOOK_AGAIN)), self._look, timer, until, expired
        )

    def _look(self, timer: str, until: float, expired: Callable[[], None]) -> None:
        del self._running[timer]
        if until - self._clock() > 1e-9:
            self._wait(timer, until, expired)
        else:
            expired()

    def disarm(self, timers: Iterable[str]) -> None:
        """Stops these timers; one that does not run is fine."""
        for timer in timers:
            handle = self._running.pop(timer, None)
            if handle is not None:
                handle.cancel()

    @property
    def running(self) -> frozenset[str]:
        """The timers that run."""
        return frozenset(self._running)

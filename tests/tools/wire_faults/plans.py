"""The faults still to come: which request, connection or frame meets which of them, and how
often.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import attrs

from .faults import (
    FRAME_FAULTS,
    PASSED_FAULTS,
    Fault,
    FrameFault,
    PassedFault,
    Refuse,
    Sender,
    addresses,
    path_matches,
)


@attrs.frozen
class Plan:
    """A fault, met by `times` of what it addresses (None: by all, until healed) after the first
    `skip` have passed unharmed.

    What is addressed is a connection for `Refuse` and the WebSocket faults, a request for the
    others. `required`: that it was not met `times` times is an error when the proxy is healed or
    left.
    """

    fault: Fault
    times: int | None = 1
    skip: int = 0
    required: bool = True

    def __attrs_post_init__(self) -> None:
        if (self.times is not None and self.times < 1) or self.skip < 0:
            raise ValueError("times counts from 1 (None: always), skip from 0")


@attrs.define(eq=False)
class _Open:
    """A plan and what has come of it."""

    plan: Plan
    applied: int = 0
    claimed: int = 0
    passed: int = 0
    seen: dict[int, dict[Sender, int]] = attrs.field(factory=dict[int, "dict[Sender, int]"])
    """For a WebSocket fault: the connections met, and how many frames each side had sent by then.
    """
    spared: set[int] = attrs.field(factory=set[int])

    @property
    def is_open(self) -> bool:
        return self.plan.times is None or self.applied + self.claimed < self.plan.times


@attrs.define(eq=False)
class Claim:
    """One fault that is about to be met: `took_effect()` when it has, then or never; `settle()` at
    the end in any case.
    """

    fault: Fault
    _open: _Open
    _effect: bool = False

    def took_effect(self) -> bool:
        """Counts it, at once: whoever sees the effect may look at the plan. True the first time."""
        if self._effect:
            return False
        self._effect = True
        self._open.claimed -= 1
        self._open.applied += 1
        return True

    @property
    def has_effect(self) -> bool:
        """Whether it took effect."""
        return self._effect

    def settle(self) -> None:
        """Gives it back to the plan if it never took effect: what it addressed was too short, or
        broke before.
        """
        if not self._effect:
            self._open.claimed -= 1


class Plans:
    """Every plan since the last healing, in the order in which they were made; the first that fits
    is met.
    """

    def __init__(self) -> None:
        self._plans: list[_Open] = []
        self._lock = threading.Lock()

    def add(self, plan: Plan) -> None:
        """Adds a plan behind the others."""
        with self._lock:
            self._plans.append(_Open(plan))

    def clear(self) -> tuple[str, ...]:
        """Forgets every plan; returns one line for each that was required and not met."""
        with self._lock:
            plans, self._plans = self._plans, []
        return tuple(
            f"{open_.plan.fault} took effect {open_.applied} of {open_.plan.times} times"
            for open_ in plans
            if open_.plan.required
            and open_.plan.times is not None
            and open_.applied < open_.plan.times
        )

    def connection(self) -> Claim | None:
        """The fault that a new connection meets."""
        return self._claim(lambda fault: isinstance(fault, Refuse))

    def request(self, method: str, path: str, *, upgrade: bool) -> Claim | None:
        """The fault that a request meets."""
        return self._claim(lambda fault: addresses(fault, method, path, upgrade=upgrade))

    def _claim(self, fits: Callable[[Fault], bool]) -> Claim | None:
        with self._lock:
            for open_ in self._plans:
                if not open_.is_open or not fits(open_.plan.fault):
                    continue
                open_.passed += 1
                if open_.passed > open_.plan.skip:
                    return self._claimed(open_)
        return None

    def frame(
        self, connection: int, path: str, of: Sender, counts: dict[Sender, int]
    ) -> tuple[FrameFault, Claim] | None:
        """The fault that the frame meets that has just arrived from `of`; `counts` includes it."""
        with self._lock:
            for open_ in self._met(connection, path, counts, arrived=of):
                fault = open_.plan.fault
                if not isinstance(fault, FRAME_FAULTS) or fault.of != of:
                    continue
                if counts[of] - open_.seen[connection][of] == fault.frame:
                    return fault, self._claimed(open_)
        return None

    def passed(
        self, connection: int, path: str, counts: dict[Sender, int]
    ) -> tuple[PassedFault, Claim] | None:
        """The fault that is due now that so many frames have passed."""
        with self._lock:
            for open_ in self._met(connection, path, counts):
                fault = open_.plan.fault
                if (
                    isinstance(fault, PASSED_FAULTS)
                    and counts[fault.of] - open_.seen[connection][fault.of] >= fault.after
                ):
                    open_.spared.add(connection)  # once for each connection
                    return fault, self._claimed(open_)
        return None

    def _met(
        self, connection: int, path: str, counts: dict[Sender, int], arrived: Sender | None = None
    ) -> list[_Open]:
        """The plans for WebSockets that this connection may meet; it is counted by those that see
        it for the first time.
        """
        met: list[_Open] = []
        for open_ in self._plans:
            fault = open_.plan.fault
            if isinstance(fault, FRAME_FAULTS + PASSED_FAULTS) and path_matches(fault.path, path):
                if connection not in open_.seen:
                    if len(open_.seen) < open_.plan.skip:
                        open_.spared.add(connection)
                    open_.seen[connection] = {
                        of: count - (of == arrived) for of, count in counts.items()
                    }
                if open_.is_open and connection not in open_.spared:
                    met.append(open_)
        return met

    def _claimed(self, open_: _Open) -> Claim:
        open_.claimed += 1
        return Claim(open_.plan.fault, open_)

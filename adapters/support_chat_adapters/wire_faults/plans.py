"""The faults still to come: which connection, request or frame meets which of them, and how often;
and plans drawn by a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

import attrs

from .faults import (
    CloseWith,
    Cut,
    CutFrame,
    Duplicate,
    Fault,
    FrameFault,
    Garbage,
    HTTPFault,
    LinkFault,
    Refuse,
    RepeatFrame,
    ReplaceFrame,
    Sender,
    Slow,
    SlowFrames,
    Stall,
    StallFrames,
    Status,
    Swallow,
    WebSocketFault,
    addresses,
    path_matches,
)

_Fault = TypeVar("_Fault", bound=Fault)
Counts: TypeAlias = dict[Sender, int]
"""How many data frames each side has sent."""


@attrs.frozen
class Plan:
    """A fault, met by `times` of what it addresses (None: by all, until healed) after the first
    `skip` have passed unharmed.

    What is addressed is a connection for `Refuse` and the WebSocket faults, a request for the
    others. A `required` fault that was met less often is an error when the proxy is healed or left.
    Raises ValueError for numbers that cannot be meant.
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
    seen: dict[int, Counts] = attrs.field(factory=dict[int, Counts])
    """The WebSockets met, and what each side of them had sent by then."""
    done: set[int] = attrs.field(factory=set[int])
    """The WebSockets that it does not meet: skipped, or met already."""

    @property
    def is_open(self) -> bool:
        return self.plan.times is None or self.applied + self.claimed < self.plan.times

    def claim(self, fault: _Fault) -> Claim[_Fault]:
        self.claimed += 1
        return Claim(fault, self)


@attrs.define(eq=False)
class Claim(Generic[_Fault]):
    """A fault that is about to be met: call `take_effect()` when it is, and `settle()` in any case
    at the end.
    """

    fault: _Fault
    _open: _Open
    has_effect: bool = attrs.field(default=False, init=False)

    def take_effect(self) -> bool:
        """Counts it, at once: whoever sees the effect may look at the plan. True the first time."""
        if self.has_effect:
            return False
        self.has_effect = True
        self._open.claimed -= 1
        self._open.applied += 1
        return True

    def settle(self) -> None:
        """Gives it back to the plan if it never took effect: what it addressed was too short, or
        broke before.
        """
        if not self.has_effect:
            self._open.claimed -= 1


class Plans:
    """Every plan since the last healing; the first that fits is met."""

    def __init__(self) -> None:
        self._plans: list[_Open] = []

    def add(self, plan: Plan) -> None:
        """Adds a plan behind the others."""
        self._plans.append(_Open(plan))

    def clear(self) -> tuple[str, ...]:
        """Forgets every plan; returns one line for each that was required and not met."""
        plans, self._plans = self._plans, []
        return tuple(
            f"{one.plan.fault} took effect {one.applied} of {one.plan.times} times"
            for one in plans
            if one.plan.required and one.plan.times is not None and one.applied < one.plan.times
        )

    def connection(self) -> Claim[Fault] | None:
        """The fault that a new connection meets."""
        return self._claimed(lambda fault: isinstance(fault, Refuse))

    def request(self, method: str, path: str, *, upgrade: bool) -> Claim[Fault] | None:
        """The fault that a request meets."""
        return self._claimed(
            lambda fault: (
                isinstance(fault, HTTPFault) and addresses(fault, method, path, upgrade=upgrade)
            )
        )

    def _claimed(self, fits: Callable[[Fault], bool]) -> Claim[Fault] | None:
        for one in self._plans:
            if one.is_open and fits(one.plan.fault):
                one.passed += 1
                if one.passed > one.plan.skip:
                    return one.claim(one.plan.fault)
        return None

    def frame(
        self, connection: int, path: str, of: Sender, counts: Counts
    ) -> Claim[FrameFault] | None:
        """The fault that the frame meets that has just arrived from `of`; `counts` includes it."""
        for one in self._met(connection, path, counts):
            fault, before = one.plan.fault, one.seen[connection]
            if (
                isinstance(fault, FrameFault)
                and fault.of == of
                and counts[of] - before[of] == fault.frame
            ):
                return one.claim(fault)
        return None

    def due(self, connection: int, path: str, counts: Counts) -> Claim[LinkFault] | None:
        """The fault that is due now that so many frames have passed; met once by a connection.

        To be asked for when the WebSocket opens and when a plan is made: frames are counted from
        the first time.
        """
        for one in self._met(connection, path, counts):
            fault, before = one.plan.fault, one.seen[connection]
            if isinstance(fault, LinkFault) and counts[fault.of] - before[fault.of] >= fault.after:
                one.done.add(connection)
                return one.claim(fault)
        return None

    def _met(self, connection: int, path: str, counts: Counts) -> Iterator[_Open]:
        """The plans that this WebSocket may meet; each counts it when it sees it first."""
        for one in self._plans:
            fault = one.plan.fault
            if isinstance(fault, WebSocketFault) and path_matches(fault.path, path):
                if connection not in one.seen:
                    if len(one.seen) < one.plan.skip:
                        one.done.add(connection)
                    one.seen[connection] = dict(counts)
                if one.is_open and connection not in one.done:
                    yield one


_SENDERS: Final[tuple[Sender, ...]] = ("client", "server")
_CLOSES: Final = (1000, 1001, 1006, 1011, 1012, 1013)
_ERRORS: Final = (429, 500, 502, 503, 504)


def random_faults(
    seed: int,
    count: int = 6,
    *,
    requests: Sequence[tuple[str, str]] = (("*", "*"),),
    realtime: str = "*",
    longest: float = 0.3,
) -> tuple[Plan, ...]:
    """`count` plans, the same for the same seed, each met at most once and none required; hand them
    to `plan(*random_faults(seed))`.

    `requests` are the methods and paths, `realtime` the WebSocket path that they address. What
    stalls, stalls for at most `longest` seconds. Refusals are among them; terminal answers (401,
    403, a close that forbids to come back) are not.
    """
    draw = random.Random(seed)

    def fault() -> Fault:
        at, of = draw.choice(requests), draw.choice(_SENDERS)
        after, frame, seconds = draw.randrange(4), draw.randrange(1, 4), draw.uniform(0, longest)
        rate, offset = draw.uniform(1000, 20000), draw.randrange(300)
        made: tuple[Fault, ...] = (
            Refuse(),
            Status(*at, code=draw.choice(_ERRORS)),
            Status("UPGRADE", realtime, code=draw.choice((426, 502, 503))),
            Stall(*at, of=of, after=draw.choice((0, offset)), seconds=seconds),
            Slow(*at, of=of, rate=rate),
            Cut(*at, of=of, after=offset),
            Garbage(*at, data=draw.randbytes(16), at=offset // 3),
            Swallow(*at, then=draw.choice(("close", "reset"))),
            Duplicate(*at),
            CloseWith(realtime, code=draw.choice(_CLOSES), after=after, of=of),
            StallFrames(
                realtime, after=after, of=of, stalled=draw.choice((of, "both")), seconds=seconds
            ),
            SlowFrames(realtime, rate=rate, after=after, of=of),
            CutFrame(realtime, frame=frame, after=draw.randrange(8), of=of),
            ReplaceFrame(realtime, frame=frame, data=draw.randbytes(8)),
            ReplaceFrame(realtime, frame=frame, of=of),
            RepeatFrame(realtime, frame=frame, of=of),
        )
        return draw.choice(made)

    return tuple(Plan(fault(), skip=draw.randrange(4), required=False) for _ in range(count))

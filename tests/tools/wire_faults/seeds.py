"""Faults by seed: the same number, the same plans, in whatever process."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from .faults import (
    BlockUpgrade,
    CloseWith,
    Cut,
    CutFrame,
    Delay,
    DelayFrame,
    DropAfter,
    Duplicate,
    Fault,
    Garbage,
    GarbageFrame,
    LoseFrame,
    Refuse,
    RepeatFrame,
    Sender,
    Slow,
    SlowFrames,
    Stall,
    StallFrames,
    Status,
    Swallow,
)
from .plans import Plan

CODES = (1000, 1001, 1011, 1012, 1013)
STATUSES = (429, 500, 502, 503, 504)


def random_faults(
    seed: int,
    count: int = 6,
    *,
    requests: Sequence[tuple[str, str]] = (("*", "*"),),
    realtime: str = "*",
    longest: float = 0.3,
) -> tuple[Plan, ...]:
    """`count` plans, each met at most once and none required; hand them to
    `plan(*random_faults(seed))`.

    `requests` are the methods and paths, `realtime` the WebSocket path that they address. Nothing
    stays stalled: what waits, waits at most `longest` seconds. Refusals are among them, terminal
    answers (401, 403, a close that forbids to come back) are not.
    """
    chance = random.Random(seed)
    plans: list[Plan] = []
    for _ in range(count):
        make = chance.choice(_MAKERS)
        fault = make(chance, chance.choice(list(requests)), realtime, longest)
        plans.append(Plan(fault, skip=chance.randrange(4), required=False))
    return tuple(plans)


def _of(chance: random.Random) -> Sender:
    return chance.choice(("client", "server"))


_Maker = Callable[[random.Random, tuple[str, str], str, float], Fault]
_MAKERS: tuple[_Maker, ...] = (
    lambda c, at, ws, s: Refuse(),
    lambda c, at, ws, s: Status(*at, code=c.choice(STATUSES)),
    lambda c, at, ws, s: Stall(*at, of=_of(c), after=c.randrange(300), seconds=c.uniform(0, s)),
    lambda c, at, ws, s: Delay(*at, of=_of(c), seconds=c.uniform(0, s)),
    lambda c, at, ws, s: Slow(*at, of=_of(c), rate=c.uniform(1000, 20000)),
    lambda c, at, ws, s: Cut(*at, of=_of(c), after=c.randrange(300)),
    lambda c, at, ws, s: Garbage(*at, data=c.randbytes(16), at=c.randrange(100)),
    lambda c, at, ws, s: Swallow(*at, then=c.choice(("close", "reset"))),
    lambda c, at, ws, s: Duplicate(*at),
    lambda c, at, ws, s: BlockUpgrade(ws, code=c.choice((426, 502, 503))),
    lambda c, at, ws, s: CloseWith(ws, code=c.choice(CODES), after=c.randrange(4), of=_of(c)),
    lambda c, at, ws, s: DropAfter(ws, after=c.randrange(4), of=_of(c)),
    lambda c, at, ws, s: StallFrames(ws, after=c.randrange(4), of=_of(c), seconds=c.uniform(0, s)),
    lambda c, at, ws, s: SlowFrames(
        ws, rate=c.uniform(1000, 20000), after=c.randrange(4), of=_of(c)
    ),
    lambda c, at, ws, s: CutFrame(ws, frame=c.randrange(1, 4), after=c.randrange(8), of=_of(c)),
    lambda c, at, ws, s: GarbageFrame(ws, frame=c.randrange(1, 4), data=c.randbytes(8)),
    lambda c, at, ws, s: LoseFrame(ws, frame=c.randrange(1, 4), of=_of(c)),
    lambda c, at, ws, s: RepeatFrame(ws, frame=c.randrange(1, 4), of=_of(c)),
    lambda c, at, ws, s: DelayFrame(
        ws, frame=c.randrange(1, 4), of=_of(c), seconds=c.uniform(0, s)
    ),
)

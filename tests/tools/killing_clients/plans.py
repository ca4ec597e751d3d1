"""A seed becomes a plan: what the client's process was doing, on which storage, and when it dies.

Calls and storages are dealt out in turn, not drawn, so that a dozen rounds have all of them;
everything else is drawn.
"""

from __future__ import annotations

import random
from typing import Final, Literal, TypeAlias, get_args

import attrs

Call: TypeAlias = Literal["boot", "send", "clear", "destroy"]
"""What is under way when the process dies; a destroy has sends under way."""
Kept: TypeAlias = Literal["file", "sqlite", "redis"]
"""Where the visitor's secret is kept."""
CALLS: Final[tuple[Call, ...]] = get_args(Call)
STORAGES: Final[tuple[Kept, ...]] = get_args(Kept)
TURN: Final = len(CALLS) * len(STORAGES)

_STEPS: Final[dict[tuple[Call, Kept], int]] = {
    ("boot", "file"): 90,
    ("boot", "sqlite"): 96,
    ("boot", "redis"): 132,
    ("clear", "file"): 76,
    ("clear", "sqlite"): 60,
    ("clear", "redis"): 102,
}
"""How many steps (`lives.Death`) these calls take, about."""
_A_SEND: Final = 10
"""How many each message takes."""


@attrs.frozen
class Plan:
    """A round. The process dies before or after its `step`-th call into the world, from when the
    call is under way; or from outside, `after` so many seconds; or when the network holds what its
    storage has sent (`held`).
    """

    seed: int
    call: Call
    storage: Kept
    step: int | None
    after: float | None
    held: bool
    in_time: bool
    """Whether what was held gets through before its deadline, or after it."""
    messages: int
    """How many messages are under way, in one conversation."""
    pause: float
    """Seconds that they have before a destroy."""
    begun: bool
    """Whether that conversation has a message before."""
    resends: bool
    """Whether the next process sends again what has no answer."""
    successors: int
    """How many processes take the storage over at the same time, before the last one does."""
    watched: bool
    """Whether another tab of the visitor is open from the beginning to the end."""

    @property
    def scope(self) -> str:
        """The scope of the round."""
        return f"round-{self.seed}"

    @property
    def calls(self) -> tuple[str, ...]:
        """The messages under way, by their client ids, in the order of the calls."""
        return tuple(f"message-{self.seed}-{n}" for n in range(self.messages))


def plan_of(number: int) -> Plan:
    """The plan of the round with this number, the same each time."""
    rng = random.Random(f"killing a client {number}")
    call = CALLS[number % len(CALLS)]
    storage = STORAGES[number // len(CALLS) % len(STORAGES)]
    held = storage == "redis" and call in ("boot", "clear") and number // TURN % 2 == 0
    by_clock = not held and rng.random() < 0.2
    resends, sends = rng.random() < 0.6, call in ("send", "destroy")
    messages = rng.randint(1, 5) if sends else 1
    watched = sends and rng.random() < 0.4
    steps = _STEPS.get((call, storage), _A_SEND * messages)
    return Plan(
        seed=number,
        call=call,
        storage=storage,
        step=None if held or by_clock else rng.randint(1, steps),
        after=rng.uniform(0.0, 0.03) if by_clock else None,
        held=held,
        in_time=rng.random() < 0.3,
        messages=messages,
        pause=rng.choice((0.0, rng.uniform(0.0, 0.02))),
        begun=sends and rng.random() < 0.5,
        resends=resends,
        successors=max(int(held or (watched and resends)), rng.choice((0, 0, 1, 2))),
        watched=watched,
    )

"""A seed becomes a plan: who boots, calls and leaves in which order, which request the kill is
aimed at, and at which moment of it.

Kinds and moments are dealt out in turn, not drawn, so that a few dozen rounds have all of them;
everything else is drawn.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, get_args

import attrs

from .evidence import Ending, Kind

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class Moment(enum.StrEnum):
    """When the process dies, as the request sees it."""

    BEFORE = "before"
    """Before the request leaves."""
    DURING = "during"
    """A few milliseconds after it has left, wherever that is."""
    AT_WRITE = "at_write"
    """As soon as anything at all is written to the database; that is a commit, unless the backend
    writes by halves.
    """
    AT_COMMIT = "at_commit"
    """As soon as its commit can be seen in the database; the answer is lost."""
    AFTER = "after"
    """When the answer has come, before the client has read it: what it says must be true after all.
    """


MOMENTS: Final = tuple(Moment)

Act: TypeAlias = Literal["send", "update", "identify", "reply", "pause", "until_aimed"]
"""What a client does; `until_aimed` waits until the request that the kill is aimed at is on its
way.
"""


@attrs.frozen
class Step:
    """One thing that a client does; `waits` for its end before the next one, `fresh` begins another
    conversation.
    """

    act: Act
    waits: bool = True
    fresh: bool = True
    seconds: float = 0.0


@attrs.frozen
class LifePlan:
    """One life: as whom it boots (None: the visitor), what is done, how it ends and whether what is
    open is waited for before.
    """

    user: str | None
    steps: tuple[Step, ...]
    ending: Ending
    patient: bool = True
    waits_for_end: bool = True
    identifies_as: str | None = None
    """Whom its identify step names."""


@attrs.frozen
class ClientPlan:
    """One client: by polls or a WebSocket, on which storage, and its lives."""

    name: str
    polls: bool
    on_disk: bool
    lives: tuple[LifePlan, ...]


@attrs.frozen
class Plan:
    """A round. The backend is killed at the first client's `nth` request of this kind; the
    process is dead for `lull` seconds.
    """

    seed: int
    kind: Kind
    moment: Moment
    nth: int
    lag: float
    lull: float
    again: float | None
    """Seconds after its return when it is killed once more; None: it is not."""
    flood: int
    """How many messages an agent writes to the first client meanwhile; if any, it is killed once
    more as soon as that is live again.
    """
    clients: tuple[ClientPlan, ...]
    users: tuple[str, ...]


def kind_of(number: int) -> Kind:
    """The kind of the round with this number."""
    return KINDS[number % len(KINDS)]


def plan_of(number: int) -> Plan:
    """The plan of the round with this number, the same each time."""
    rng = random.Random(f"killing {number}")
    kind, moment = kind_of(number), MOMENTS[number // len(KINDS) % len(MOMENTS)]
    users = (f"user-{number}-a", f"user-{number}-b")
    nth, lives = _aimed(kind, users[0], rng)
    first = ClientPlan("first", rng.random() < 0.4, rng.random() < 0.5, lives)
    others = tuple(
        ClientPlan(name, rng.random() < 0.4, rng.random() < 0.3, _any_lives(rng.choice(users), rng))
        for name in ("second", "third")[: rng.choice((0, 1, 1, 2))]
    )
    return Plan(
        seed=number,
        kind=kind,
        moment=moment,
        nth=nth,
        lag=rng.uniform(0.0, 0.004),
        lull=rng.choice((0.0, rng.uniform(0.0, 0.15))),
        again=rng.uniform(0.0, 0.1) if rng.random() < 0.2 else None,
        flood=80 if rng.random() < 0.1 else 0,
        clients=(first, *others),
        users=users,
    )


def _aimed(kind: Kind, user: str, rng: random.Random) -> tuple[int, tuple[LifePlan, ...]]:
    """The lives of the client that the kill is aimed at, and at which of its requests of this
    kind.
    """
    match kind:
        case "boot":
            lives = _any_lives(user, rng)
            return rng.randint(1, len(lives)), lives
        case "identify":
            return 1, _and_then(
                _life(user, [*_before(rng), _identify(rng), *_tail(rng)], rng), user, rng
            )
        case "merge":
            sends = [Step("send", True, rng.random() < 0.6) for _ in range(rng.randint(1, 3))]
            replies = [Step("reply")] if rng.random() < 0.6 else []
            return 1, _and_then(
                _life(user, [*sends, *_before(rng), *replies, _identify(rng), *_tail(rng)], rng),
                user,
                rng,
            )
        case "update":
            newer = [Step("until_aimed"), *(Step("update") for _ in range(rng.randint(0, 3)))]
            return 1, _and_then(
                _life(user, [Step("update"), *newer, *_tail(rng)], rng, as_user=rng.random() < 0.5),
                user,
                rng,
            )
        case "send":
            count = rng.randint(1, 4)
            sends = [Step("send", rng.random() < 0.5, rng.random() < 0.5) for _ in range(count)]
            life = _life(user, [*sends, *_tail(rng)], rng, as_user=rng.random() < 0.5)
            return rng.randint(1, count), _and_then(life, user, rng)
        case "shutdown":
            steps = [*_tail(rng), *([_identify(rng), *_tail(rng)] if rng.random() < 0.4 else [])]
            life = _life(
                user,
                steps,
                rng,
                as_user=rng.random() < 0.3,
                ending=rng.choice(("shutdown", "clear")),
            )
            return 1, (life, *_any_lives(user, rng))


def _life(
    user: str,
    steps: Sequence[Step],
    rng: random.Random,
    *,
    as_user: bool = False,
    ending: Ending = "stay",
) -> LifePlan:
    steps = [step for step in steps if step.act != "identify" or not as_user]
    identifies = any(step.act == "identify" for step in steps)
    patient, waits = rng.random() < 0.5, rng.random() < 0.5
    return LifePlan(
        user if as_user else None,
        tuple(steps),
        ending,
        patient,
        waits,
        user if identifies else None,
    )


def _any_lives(user: str, rng: random.Random) -> tuple[LifePlan, ...]:
    """One to three lives of any kind, all but the last shut down."""
    count = rng.choice((1, 1, 2, 2, 3))
    lives: list[LifePlan] = []
    for index in range(count):
        steps = [*_tail(rng), *([_identify(rng), *_tail(rng)] if rng.random() < 0.5 else [])]
        ending: Ending = "stay" if index == count - 1 else rng.choice(("shutdown", "clear"))
        lives.append(_life(user, steps, rng, as_user=rng.random() < 0.4, ending=ending))
    return tuple(lives)


def _and_then(life: LifePlan, user: str, rng: random.Random) -> tuple[LifePlan, ...]:
    """The life as it is, to stay and be judged strictly; or, sometimes, shut down while the backend
    is dead or just back.
    """
    if rng.random() < 0.7:
        return (life,)
    return (attrs.evolve(life, ending=rng.choice(("shutdown", "clear"))), *_any_lives(user, rng))


def _identify(rng: random.Random) -> Step:
    return Step("identify", waits=rng.random() < 0.5)


def _before(rng: random.Random) -> list[Step]:
    return [Step("update", rng.random() < 0.5) for _ in range(rng.choice((0, 0, 1, 2)))]


def _tail(rng: random.Random) -> list[Step]:
    acts: tuple[Act, ...] = ("send", "send", "update", "update", "reply", "pause")
    return [
        Step(rng.choice(acts), rng.random() < 0.5, rng.random() < 0.4, rng.uniform(0.0, 0.03))
        for _ in range(rng.randint(0, 4))
    ]  # fmt: skip

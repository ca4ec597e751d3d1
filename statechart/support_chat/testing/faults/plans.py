"""Faults by seed: what goes wrong with the calls of a port, decided beforehand and written down
when it happens.

`Faults` says how often what goes wrong, or what exactly; `FaultyStorage`, `FaultyTransport` and
`FaultyTokens` make it happen around any adapter, and say what each fault means there. The n-th call
of an operation meets the same fault for the same seed, whatever other operations do meanwhile: so a
run that failed is repeated by its seed, in virtual time or in real time.
"""

from __future__ import annotations

import asyncio
import enum
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

import attrs

from ...errors import InvalidInputError

_T = TypeVar("_T")


class Fault(enum.StrEnum):
    """What can go wrong with a call."""

    DELAY = "delay"
    """It is done, but late: it, or its answer, takes up to `Faults.longest` seconds."""
    FAIL = "fail"
    """It is not done, and raises the port's error."""
    HANG = "hang"
    """It is not done, and never ends by itself; cancelling it ends it, and so does the end of its
    link.
    """
    DUPLICATE = "duplicate"
    """It is done twice, one after the other; the second answer is given."""
    DROP = "drop"
    """It is done, but the answer is lost: it raises the port's error."""
    REORDER = "reorder"
    """It is done after the call that follows it, or after `Faults.longest` seconds if none does."""
    STUBBORN = "stubborn"
    """It hangs, and is deaf to being cancelled: it ends, with the port's error, `Faults.longest`
    seconds after it was cancelled last.
    """


OPERATIONS: Final = {
    "storage": ("get", "create", "delete", "keys"),
    "tokens": ("fetch",),
    "transport": ("open", "revoke", "end_visitor"),
    "link": (
        "identify",
        "renew",
        "update",
        "send",
        "conversations",
        "messages",
        "mark_read",
        "close",
        "events",
    ),
}
"""The operations that can meet a fault, by their port; `close` is a link's `aclose()`, `events`
what arrives on it.
"""
_Scripts: TypeAlias = "Mapping[str, Sequence[Fault | str | None]]"


def _probability(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidInputError(
            f"Faults({attribute.name}=...) is a probability: a number from 0 to 1."
        )


def _chance() -> Any:
    return attrs.field(default=0.0, validator=_probability)


def _names(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _scripts(value: _Scripts) -> Mapping[str, tuple[Fault | None, ...]]:
    return MappingProxyType(
        {
            name: tuple(None if fault is None else Fault(fault) for fault in plan)
            for name, plan in value.items()
        }
    )


@attrs.frozen(kw_only=True)
class Faults:
    """What goes wrong: by chance, or by an explicit script.

    `seed` decides the chances, a number from 0 to 1 for each kind of fault, 1 in all at most.
    `longest` is the longest delay, in seconds. `only` names the operations that faults happen to
    (`"create"`, `"open"`, `"events"`), all by default. `script` lists for an operation what its
    calls meet one by one, None for nothing, whatever the chances are; afterwards nothing happens to
    it any more: `Faults(script={"create": [None, "drop"]})`. Raises InvalidInputError for chances
    that are none, and for operations that no port has (`OPERATIONS`).
    """

    seed: int = 0
    delay: float = _chance()
    fail: float = _chance()
    hang: float = _chance()
    duplicate: float = _chance()
    drop: float = _chance()
    reorder: float = _chance()
    stubborn: float = _chance()
    longest: float = 0.5
    only: tuple[str, ...] = attrs.field(default=(), converter=_names)
    script: Mapping[str, Sequence[Fault | str | None]] = attrs.field(
        factory=dict[str, "Sequence[Fault | str | None]"], converter=_scripts, hash=False
    )

    def __attrs_post_init__(self) -> None:
        known = {operation for operations in OPERATIONS.values() for operation in operations}
        for named in (*self.only, *self.script):
            if named not in known:
                raise InvalidInputError(
                    f"Faults(...) names an operation {named!r}; there are: "
                    f"{', '.join(sorted(known))}."
                )
        if sum(chance for _, chance in self._chances()) > 1 + 1e-9:
            raise InvalidInputError(
                "The chances of Faults(...) add up to more than 1; a call meets one fault at most."
            )

    def _chances(self) -> Sequence[tuple[Fault, float]]:
        return [(fault, getattr(self, fault.value)) for fault in Fault]

    def of(self, port: str, operation: str, number: int) -> tuple[Fault | None, float]:
        """What the call of this number (from 1) meets, and how many seconds it takes if it is
        late.
        """
        dice = random.Random(f"{self.seed}/{port}.{operation}/{number}")
        rolled, seconds = dice.random(), dice.uniform(0.0, self.longest)
        if operation in self.script:
            plan = self.script[operation]
            fault = plan[number - 1] if number <= len(plan) else None
            return (None if fault is None else Fault(fault)), seconds
        if self.only and operation not in self.only:
            return None, seconds
        for fault, chance in self._chances():
            if rolled < chance:
                return fault, seconds
            rolled -= chance
        return None, seconds


@attrs.frozen
class Injected:
    """A fault that happened: to the `number`-th call (from 1) of `operation` of `port`, at the
    loop's time `at`.
    """

    port: str
    operation: str
    number: int
    fault: Fault
    seconds: float = attrs.field(default=0.0, eq=False)
    """How late it was, if it was late."""
    at: float = attrs.field(default=0.0, eq=False)

    def __str__(self) -> str:
        return f"{self.port}.{self.operation} {self.number}: {self.fault}"


class FaultLog:
    """The faults that happened, oldest first, for a test to assert; several wrappers may share
    one.
    """

    def __init__(self) -> None:
        self._injected: list[Injected] = []

    def add(self, injected: Injected) -> None:
        """Adds a fault; a wrapper of your own may share the log by it."""
        self._injected.append(injected)

    def of(self, *faults: Fault | str) -> list[Injected]:
        """Those of these kinds: `log.of("drop", "hang")`."""
        return [one for one in self._injected if one.fault in faults]

    def __iter__(self) -> Iterator[Injected]:
        return iter(tuple(self._injected))

    def __len__(self) -> int:
        return len(self._injected)

    def __repr__(self) -> str:
        return f"FaultLog({list(map(str, self._injected))})"


class Injector:
    """Makes the faults of one port happen; for wrappers."""

    def __init__(
        self, port: str, faults: Faults, log: FaultLog, failure: Callable[[str], Exception]
    ) -> None:
        self._port, self._faults, self._log, self._failure = port, faults, log, failure
        self._numbers: Counter[str] = Counter()
        self._held: list[asyncio.Future[None]] = []

    def meets(self, operation: str) -> tuple[Fault | None, float]:
        """What the next call of the operation meets; it is written down."""
        self._numbers[operation] += 1
        number = self._numbers[operation]
        fault, seconds = self._faults.of(self._port, operation, number)
        if fault is not None:
            late = seconds if fault is Fault.DELAY else 0.0
            self._log.add(
                Injected(
                    self._port, operation, number, fault, late, asyncio.get_running_loop().time()
                )
            )
        return fault, seconds

    async def call(
        self,
        operation: str,
        work: Callable[[], Awaitable[_T]],
        *,
        over: asyncio.Future[None] | None = None,
        undo: Callable[[_T], None] | None = None,
    ) -> _T:
        """Does the work of a call, with whatever it meets. `over` ends a wait early; `undo`
        disposes of an answer that is lost.
        """
        fault, seconds = self.meets(operation)
        if fault is Fault.REORDER:
            await self._after_the_next(over)
            return await work()
        try:
            return await self.carry(fault, seconds, operation, work, over, undo)
        finally:
            held, self._held = self._held, []
            for waiting in held:
                if not waiting.done():
                    waiting.set_result(None)

    async def carry(
        self,
        fault: Fault | None,
        seconds: float,
        operation: str,
        work: Callable[[], Awaitable[_T]],
        over: asyncio.Future[None] | None = None,
        undo: Callable[[_T], None] | None = None,
    ) -> _T:
        """Does the work of a call that meets this fault, which `meets` has returned; REORDER is the
        caller's business.
        """
        match fault:
            case Fault.FAIL:
                raise self._failure(operation)
            case Fault.HANG | Fault.STUBBORN:
                await self.hang(fault, over)
                raise self._failure(operation)
            case Fault.DELAY:
                await self.pause(seconds / 2, over)
                answer = await work()
                await self.pause(seconds / 2, over)
            case Fault.DUPLICATE:
                first = await work()
                if undo is not None:
                    undo(first)
                answer = await work()
            case _:
                answer = await work()
        if fault is Fault.DROP:
            if undo is not None:
                undo(answer)
            raise self._failure(operation)
        return answer

    async def _after_the_next(self, over: asyncio.Future[None] | None) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append(waiting)
        await asyncio.wait(
            {waiting} if over is None else {waiting, over},
            timeout=self._faults.longest,
            return_when="FIRST_COMPLETED",
        )
        if waiting in self._held:
            self._held.remove(waiting)

    async def pause(self, seconds: float | None, over: asyncio.Future[None] | None) -> None:
        """Waits so many seconds, for ever if None; not longer than until what is `over` is over."""
        nothing: asyncio.Future[None] = (
            asyncio.get_running_loop().create_future() if over is None else over
        )
        await asyncio.wait({nothing}, timeout=seconds)

    async def hang(self, fault: Fault, over: asyncio.Future[None] | None) -> None:
        """Waits until what is `over` is over, for ever if None; STUBBORN, deaf to being cancelled
        (see there).
        """
        limit: float | None = None
        while True:
            try:
                return await self.pause(limit, over)
            except asyncio.CancelledError:
                if fault is not Fault.STUBBORN:
                    raise
                limit = self._faults.longest

"""How the doubles of this package get their answers from a test, and what they remember.

Every call to a double is added to a `CallLog`, which several doubles may share, so that a test sees
the calls of all ports in one order. Each double has a `Script`: by default a call succeeds at once
with a sensible answer; a test may hold an operation and settle its calls later, one by one, or
prepare the outcome of the next call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

from ...errors import InvalidInputError, SupportChatError
from ...values import UNSET, Unset

_T = TypeVar("_T")


def _read_only(arguments: Mapping[str, object]) -> Mapping[str, object]:
    return MappingProxyType(dict(arguments))


@attrs.frozen
class PortCall:
    """One call of a port: `transport.open`, say, with its arguments but for secrets, values of
    traits and texts.

    `at` is the loop's time in seconds. `request` is what was passed (a key, `Credentials`,
    `IdentifyRequest`...), secrets included: a test may look at it, but neither `repr` nor `==`
    does.
    """

    port: str
    operation: str
    arguments: Mapping[str, object] = attrs.field(
        factory=dict[str, object], converter=_read_only, hash=False
    )
    at: float = attrs.field(default=0.0, eq=False)
    request: Any = attrs.field(default=None, eq=False, repr=False)

    @property
    def name(self) -> str:
        """Port and operation in one word: `storage.get`, `transport.open`, `link.identify`,
        `tokens.fetch`.
        """
        return f"{self.port}.{self.operation}"


class CallLog:
    """The calls of one or several doubles, oldest first; iterate over it, or ask it for `names()`
    or the calls `of()` a name.
    """

    def __init__(self) -> None:
        self._calls: list[PortCall] = []

    def add(self, call: PortCall) -> None:
        """Adds a call; a double of your own may share the log by it."""
        self._calls.append(call)

    def names(self, *ports: str) -> list[str]:
        """The names of all calls in order, or of those to the ports named: `["storage.get",
        "transport.open"]`.
        """
        return [call.name for call in self._calls if not ports or call.port in ports]

    def of(self, name: str) -> list[PortCall]:
        """The calls of one name (`transport.open`), oldest first."""
        return [call for call in self._calls if call.name == name]

    def __iter__(self) -> Iterator[PortCall]:
        return iter(tuple(self._calls))

    def __len__(self) -> int:
        return len(self._calls)

    def __repr__(self) -> str:
        return f"CallLog({self.names()})"


@attrs.frozen(eq=False)
class Pending:
    """A held call that waits for the test. Its methods return False if the call has been settled or
    cancelled meanwhile.
    """

    call: PortCall
    _default: Callable[[], Any] = attrs.field(repr=False)
    _outcome: asyncio.Future[Any] = attrs.field(repr=False)

    @property
    def settled(self) -> bool:
        """Whether nothing can change this call's outcome any more."""
        return self._outcome.done()

    def succeed(self, answer: object = UNSET) -> bool:
        """Lets the call succeed: with `answer`, or, without one, by doing now what it would have
        done had it not been held.

        An `answer` is passed on unchecked, so that a test may try what becomes of a wrong one.
        """
        if self.settled:
            return False
        try:
            self._outcome.set_result(self._default() if isinstance(answer, Unset) else answer)
        except SupportChatError as error:  # what the double does raises too: a closed storage, say
            return self.fail(error)
        return True

    def fail(self, error: BaseException) -> bool:
        """Lets the call raise `error`, whatever that is; nothing is done."""
        if self.settled:
            return False
        self._outcome.set_exception(error)
        return True


class Script:
    """What the calls of one double answer. `operations` are those that exist; another name raises
    InvalidInputError.
    """

    def __init__(self, log: CallLog, operations: Sequence[str]) -> None:
        self.log = log
        self._operations = operations
        self._held: dict[str, bool] = {}
        self._waiting: list[Pending] = []
        self._prepared: defaultdict[str, deque[Callable[[], Any]]] = defaultdict(deque)

    def hold(self, *operations: str, stubborn: bool = False) -> None:
        """From now on calls of these operations wait until the test settles them; see `waiting()`.
        Never is possible too.

        `stubborn` calls are deaf to being cancelled, as those of a faulty adapter may be, and so
        can succeed too late. Settle them before the loop is closed, which waits for them.
        """
        for operation in operations:
            self._held[self._checked(operation)] = stubborn

    def release(self, *operations: str) -> None:
        """From now on calls of these operations answer at once again; those that wait succeed."""
        for operation in operations:
            self._held.pop(self._checked(operation), None)
        for pending in self.waiting(*operations):
            pending.succeed()

    def waiting(self, *operations: str) -> list[Pending]:
        """The held calls of these operations (of all, if none is named) that are neither settled
        nor cancelled, oldest first.
        """
        wanted = {self._checked(operation) for operation in operations or self._operations}
        return [
            pending
            for pending in self._waiting
            if pending.call.operation in wanted and not pending.settled
        ]

    def answer_next(self, operation: str, answer: object) -> None:
        """The next call of `operation` succeeds at once with `answer`, unchecked; several calls of
        this queue up.
        """
        self._prepared[self._checked(operation)].append(lambda: answer)

    def fail_next(self, operation: str, error: BaseException) -> None:
        """The next call of `operation` raises `error` at once; several calls of this queue up, also
        with `answer_next`.
        """

        def fail() -> None:
            raise error

        self._prepared[self._checked(operation)].append(fail)

    async def perform(self, call: PortCall, default: Callable[[], _T]) -> _T:
        """Records a call and answers it: as prepared, when the test says so, or with `default()`.
        For doubles to call.
        """
        call = attrs.evolve(call, at=asyncio.get_running_loop().time())
        self.log.add(call)
        return await self.answer(call, default)

    async def answer(self, call: PortCall, default: Callable[[], _T]) -> _T:
        """Answers a call as `perform` does, without recording it."""
        if prepared := self._prepared[self._checked(call.operation)]:
            return prepared.popleft()()  # type: ignore[no-any-return]
        if call.operation not in self._held:
            return default()
        outcome: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        pending = Pending(call, default, outcome)
        self._waiting.append(pending)
        try:
            while self._held.get(call.operation) and not outcome.done():
                with contextlib.suppress(asyncio.CancelledError):
                    # which, unlike an await, leaves the future alone when it is cancelled
                    await asyncio.wait({outcome})
            return await outcome
        finally:
            self._waiting.remove(pending)

    def _checked(self, operation: str) -> str:
        if operation not in self._operations:
            raise InvalidInputError(
                f"There is no operation {operation!r} here; there are: "
                f"{', '.join(self._operations)}."
            )
        return operation

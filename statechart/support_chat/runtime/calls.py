"""A call of the user under way: something to await, now, later, twice or never.

A `Call` is awaitable and a `collections.abc.Coroutine`, so that `await`, `create_task`, `TaskGroup`
and a GUI slot all take it. The call has been made when the object exists: awaiting it only waits.
It settles exactly once. If it fails and nobody can await it any more, the error is reported instead
of lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from ..lifecycle.calls import Arguments
from ..lifecycle.names import Trigger

T_co = TypeVar("T_co", covariant=True)


class CallKeeper(Protocol):
    """What a call needs of its session."""

    def awaiter_left(self, call: Call[Any]) -> None:
        """The last awaiter of this call was cancelled before it settled."""
        ...

    def awaiter_came(self, call: Call[Any]) -> None:
        """Somebody awaits a call again that everybody had left."""
        ...

    def nobody_heard(self, call: Call[Any], error: Exception) -> None:
        """The call failed, and nobody ever awaited it."""
        ...


class Call(Coroutine[Any, Any, T_co], Generic[T_co]):
    """One call of a session's method; await it for its result or its error, as often as you like.

    Cancelling an awaiter abandons a boot or an identify when it was the last one that anybody
    awaited; of every other call it abandons only the waiting.
    """

    def __init__(
        self,
        trigger: Trigger,
        arguments: Arguments,
        keeper: CallKeeper,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.trigger = trigger
        self.arguments = arguments
        self.number = 0
        """What the engine knows it by; given when it is made."""
        self._abandoned = False
        self._keeper = keeper
        self._loop = loop
        self._done = False
        self._awaited = False
        self._awaiters = 0
        self._result: Any = None
        self._error: Exception | None = None
        self._settled: asyncio.Future[None] | None = None
        self._driven: dict[asyncio.Task[Any] | None, Coroutine[Any, Any, T_co]] = {}

    def __repr__(self) -> str:
        state = "pending" if not self._done else "failed" if self._error else "done"
        return f"<Call {self.trigger} {state}>"

    @property
    def done(self) -> bool:
        """Whether the call has settled."""
        return self._done

    def settle(self, result: Any = None, error: Exception | None = None) -> None:
        """Ends the call, once: with a result, or with an error of its own (awaiters must not share
        a traceback).
        """
        if self._done:
            raise AssertionError(f"{self!r} settled twice")  # the engine broke property S20
        self._done, self._result, self._error = True, result, error
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)
        # a class of an adapter's that cannot be copied is told as it is
        with contextlib.suppress(Exception):
            self._error = copy.copy(error)
        if self._error is not None and error is not None:
            self._error.__cause__ = error.__cause__

    async def _wait(self) -> Any:
        self._awaited = True
        if not self._done:
            if self._settled is None:
                self._settled = self._loop.create_future()
            self._awaiters += 1
            if self._abandoned:
                self._abandoned = False
                self._keeper.awaiter_came(self)
            try:
                await asyncio.shield(self._settled)
            except asyncio.CancelledError:
                self._awaiters -= 1
                self._leave()
                raise
            self._awaiters -= 1
        if self._error is not None:
            raise self._error
        return self._result

    def _leave(self) -> None:
        if not self._awaiters and not self._done and not self._abandoned:
            self._abandoned = True
            self._keeper.awaiter_left(self)

    def __await__(self) -> Generator[Any, Any, T_co]:
        return self._wait().__await__()

    def send(self, value: Any) -> Any:
        """As a coroutine's: lets `asyncio.create_task(call)` drive it, any number of tasks each for
        itself.
        """
        return self._drive(lambda driven: driven.send(value))

    def throw(
        self,
        typ: type[BaseException] | BaseException,
        val: Any = None,
        tb: TracebackType | None = None,
    ) -> Any:
        """As a coroutine's. Cancelled before it ran counts as an awaiter that left."""
        if asyncio.current_task() not in self._driven:
            self._awaited = True
            # other tasks that were made to await it may start in this very turn
            self._loop.call_soon(self._leave)
            raise typ
        return self._drive(lambda driven: driven.throw(typ) if val is None else driven.throw(val))

    def _drive(self, move: Callable[[Coroutine[Any, Any, T_co]], Any]) -> Any:
        task = asyncio.current_task()
        driven = self._driven.get(task)
        if driven is None:
            driven = self._driven[task] = self._wait()
        try:
            return move(driven)
        except BaseException:  # it has come to its end, StopIteration included
            self._driven.pop(task, None)
            raise

    def close(self) -> None:
        """As a coroutine's: this task stops driving it. The call itself goes on."""
        if self._driven:  # there may be no loop running any more when nobody drives it
            driven = self._driven.pop(asyncio.current_task(), None)
            if driven is not None:
                driven.close()

    def __del__(self) -> None:
        if self._error is not None and not self._awaited:
            self._keeper.nobody_heard(self, self._error)

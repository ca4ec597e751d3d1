"""The one place where whatever an adapter does becomes one of the outcomes that its effect
declares.

It may return, return something of the wrong type, raise, hang, ignore its cancellation, or come
back long after its limit. Each ask delivers its outcome once; what comes afterwards is delivered
too, carries an old tag, and so is late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs

from ..chart.model import Ask
from ..errors import (
    AuthRefusedError,
    BackendRejectedError,
    InvalidInputError,
    NetworkError,
    StorageError,
    SupportChatError,
    TokenProviderError,
    TokenRefusedError,
)
from ..lifecycle.names import Lane
from .adapters import PERFORMERS, Work

Deliver = Callable[[str, object, Exception | None], None]
"""Takes the outcome's trigger, its result and its error."""


@attrs.frozen
class _Family:
    """Whose fault a failure on a lane is, as the session's callers are told, and which errors of
    that port speak for themselves.
    """

    fault: type[SupportChatError]
    who: str
    way_out: str
    refusals: tuple[type[SupportChatError], ...] = ()
    rejections: tuple[type[SupportChatError], ...] = ()

    def blame(self, spec: Ask, what: str) -> SupportChatError:
        return self.fault(f"{self.who} {what} when it was asked to {spec.doc}. {self.way_out}")


_STORAGE: Final = _Family(
    StorageError, "The storage", "Check it (its file, its permissions, its server) and try again."
)
_TOKENS: Final = _Family(
    TokenProviderError,
    "The token_provider",
    "Mend it, or raise TokenRefusedError in it to refuse; then try again.",
    refusals=(TokenRefusedError,),
)
_BACKEND: Final = _Family(
    NetworkError,
    "The transport",
    "Check the network and the backend's address; the session tries again while it is live.",
    refusals=(AuthRefusedError,),
    rejections=(BackendRejectedError, InvalidInputError),
)
_FAMILIES: Final = {
    Lane.LOAD: _STORAGE,
    Lane.VISITOR: _STORAGE,
    Lane.CLEAR: _STORAGE,
    Lane.TOKEN: _TOKENS,
}


def _blame(spec: Ask, what: str) -> SupportChatError:
    return _FAMILIES.get(Lane(spec.lane), _BACKEND).blame(spec, what)


def outcome(spec: Ask, error: BaseException | None) -> tuple[str, Exception | None]:
    """Which declared outcome an ask ends in, and the error that goes with it (None for a success).

    An error of another port than the one that was asked (a storage that raises NetworkError) is a
    failure of this one.
    """
    if error is None:
        return spec.success, None
    family = _FAMILIES.get(Lane(spec.lane), _BACKEND)
    if isinstance(error, family.refusals):
        return spec.refusal or spec.failure, error
    if isinstance(error, family.rejections):
        return spec.rejection or spec.failure, error
    if isinstance(error, family.fault):
        return spec.failure, error
    fault = family.blame(spec, f"raised {type(error).__name__}")
    fault.__cause__ = error
    return spec.failure, fault


@attrs.define(eq=False)
class _Under:
    """One ask under way."""

    spec: Ask
    task: asyncio.Task[None]
    limit: asyncio.TimerHandle | None = None


class Asks:
    """Everything a session has asked of its adapters and not heard back from."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._under: set[_Under] = set()

    def start(self, effect: str, spec: Ask, work: Work, limit: float, deliver: Deliver) -> None:
        """Asks the adapter; `deliver` is called with the outcome, at the latest after `limit`
        seconds.
        """
        performer, kinds = PERFORMERS[effect]
        answered = False

        def once(trigger: str, result: object, error: Exception | None) -> None:
            nonlocal answered
            answered = True
            deliver(trigger, result, error)

        async def run() -> None:
            result, error = None, None
            try:
                result = await performer(work)
                if not isinstance(result, kinds):
                    error = _blame(spec, f"returned {type(result).__name__}")
            except asyncio.CancelledError:
                if asyncio.current_task() is under.task and under.task.cancelling():
                    return  # superseded, or over its limit: somebody else has answered
                error = _blame(spec, "was cancelled from within")
            except Exception as raised:
                error = raised  # type: ignore[assignment]
            finally:
                self._under.discard(under)
                if under.limit is not None:
                    under.limit.cancel()
            trigger, failure = outcome(spec, error)
            if answered and spec.several:
                return  # its call has been told already, and nothing needs to be disposed of
            if failure is None or not answered:
                once(trigger, result if failure is None else None, failure)

        def expire() -> None:
            under.task.cancel()
            once(*_expired(spec, limit))

        under = _Under(spec, self._loop.create_task(run(), name=f"support-chat {effect}"))
        under.limit = self._loop.call_later(limit, expire)
        self._under.add(under)

    def abandon(self, lanes: Iterable[str]) -> None:
        """What is under way on these lanes is superseded; it is cancelled, and if it succeeds all
        the same it is late.
        """
        wanted = set(lanes)
        for under in tuple(self._under):
            if under.spec.lane in wanted:
                self._drop(under)

    def _drop(self, under: _Under) -> None:
        if under.limit is not None:
            under.limit.cancel()
        under.task.cancel()

    async def ended(self, but: asyncio.Task[Any] | None) -> None:
        """Waits until everything under way but the task given has ended."""
        others = [under.task for under in self._under if under.task is not but]
        if others:
            await asyncio.wait(others)


def _expired(spec: Ask, limit: float) -> tuple[str, None, Exception]:
    return spec.failure, None, _blame(spec, f"did not answer within {limit:g} s")

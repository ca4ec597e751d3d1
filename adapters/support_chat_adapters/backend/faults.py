"""Faults on demand: everything a network and a backend do to a client, switched on by a test or a
demo.

`Faults` is what the switches are; `cross` is where they take effect: every request of a client
passes through it, on its way in and on its way out, whichever transport carries it. Three kinds of
switches:

- *acts* happen now: `drop_links`, `silence_links`, `revoke`, `expire_tokens`, `drop_history`;
- *plans* wait for the next requests of an operation, `times` of them (None: until `heal`): `fail`
  with its short forms `refuse_dials`, `refuse`, `reject` and `rate_limit`; and `swallow`;
- *states* hold until they are changed or `heal` is called: `delay`, `black_hole`, `answer_as`,
  `reject_paths`.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import attrs

from support_chat.errors import (
    AuthRefusedError,
    BackendRejectedError,
    NetworkError,
    RateLimitedError,
    SupportChatError,
)
from support_chat.ports import IdentifyAnswer, Welcome

from .connections import Connection, OpenConnections
from .log import Operation

T = TypeVar("T")
Addressed = TypeVar("Addressed", Welcome, IdentifyAnswer)


@attrs.define
class _Plan:
    """What the next `times` requests of an operation meet: an error, or (None) the loss of their
    answer.
    """

    error: SupportChatError | None
    times: int | None
    silently: bool = False


class Faults:
    """The switches of one backend; a fresh one has none switched on. Reach it as
    `backend.faults`.
    """

    def __init__(
        self,
        connections: OpenConnections,
        *,
        requested: Callable[[Operation, Connection | None], None],
        revoke: Callable[[str, str], None],
        expire_tokens: Callable[[str | None], None],
        drop_history: Callable[[], None],
    ) -> None:
        self._connections = connections
        self._requested = requested
        self._hung: list[asyncio.Future[None]] = []
        self._revoke = revoke
        self._expire_tokens = expire_tokens
        self._drop_history = drop_history
        self._reset()

    def _reset(self) -> None:
        self._plans: dict[Operation, list[_Plan]] = {}
        self._delays: dict[Operation | None, tuple[float, float]] = {}
        self._black_hole = False
        self._answered_as: str | None = None
        self.rejected_paths: Mapping[str, str] = {}
        """The paths that updates are rejected for, with the reasons."""

    def heal(self) -> None:
        """Switches everything off, and lets dials go on that hang in a black hole. Links that fell
        silent stay silent.
        """
        self._reset()
        hung, self._hung = self._hung, []
        for future in hung:
            if not future.done():
                future.set_result(None)

    def drop_links(self) -> None:
        """Breaks every open link now; what was not delivered yet is lost (and replayed to who comes
        back).
        """
        for connection in self._connections.all():
            connection.close("dropped")

    def silence_links(self) -> None:
        """Every link open now falls silent for good, as if half open; new dials work."""
        for connection in self._connections.all():
            connection.silence()

    def black_hole(self) -> None:
        """Every link open now falls silent for good, and whatever else is asked hangs until
        `heal`.
        """
        self.silence_links()
        self._black_hole = True

    def revoke(self, session: str, reason: str = "revoked") -> None:
        """Ends a session as the backend, by its credential or its public name; its links are told,
        then closed.
        """
        self._revoke(session, reason)

    def expire_tokens(self, user_id: str | None = None) -> None:
        """Expires the tokens of a user's sessions (None: of all); their links are told, requests
        refused until renewed.
        """
        self._expire_tokens(user_id)

    def drop_history(self) -> None:
        """Lets no message sent so far be replayed: a reconnect whose cursor is older is told of a
        gap.
        """
        self._drop_history()

    def fail(self, operation: Operation, error: SupportChatError, *, times: int | None = 1) -> None:
        """The next `times` requests of this operation fail with (a copy of) `error`, and nothing is
        done at the backend.
        """
        self._plans.setdefault(operation, []).append(_Plan(error, times))

    def swallow(
        self, operation: Operation = "identify", *, times: int | None = 1, silently: bool = False
    ) -> None:
        """The next requests of this operation are carried out, but the link breaks before the
        answer.

        `silently`: the link does not break, the answer just never comes.
        """
        self._plans.setdefault(operation, []).append(_Plan(None, times, silently))

    def refuse_dials(self, times: int | None = None) -> None:
        """The backend cannot be reached: dials fail with NetworkError, `times` of them or until
        `heal`.
        """
        self.fail(
            "dial", NetworkError("The backend cannot be reached; check the network."), times=times
        )

    def refuse(
        self, operation: Operation, code: str = "invalid_token", *, times: int | None = 1
    ) -> None:
        """The next requests are answered with AuthRefusedError of this code (`auth_expired`,
        `invalid_token`...).
        """
        self.fail(
            operation,
            AuthRefusedError("The backend refuses the credentials; present others.", code=code),
            times=times,
        )

    def reject(
        self, operation: Operation = "dial", code: str = "widget_disabled", *, times: int | None = 1
    ) -> None:
        """The next requests are answered with BackendRejectedError of this code."""
        self.fail(
            operation,
            BackendRejectedError("The backend does not serve this widget.", code=code),
            times=times,
        )

    def rate_limit(
        self, retry_after: float, operation: Operation = "dial", *, times: int | None = 1
    ) -> None:
        """The next requests are answered with RateLimitedError: come back after `retry_after`
        seconds.
        """
        error = RateLimitedError(
            f"Too many requests; come back after {retry_after} s.", retry_after=retry_after
        )
        self.fail(operation, error, times=times)

    def delay(
        self, request: float = 0.0, *, answer: float = 0.0, operation: Operation | None = None
    ) -> None:
        """Requests take `request` seconds to arrive and answers `answer` seconds to come back; of
        one operation, or of all.
        """
        self._delays[operation] = (request, answer)

    def answer_as(self, user_id: str | None) -> None:
        """Dials and identifies are answered in the name of this user, whoever asked; None ends
        it.
        """
        self._answered_as = user_id

    def reject_paths(self, paths: Mapping[str, str]) -> None:
        """Updates of these paths are rejected, each with its reason; replaces what was rejected
        before.
        """
        self.rejected_paths = dict(paths)

    def addressed(self, answer: Addressed) -> Addressed:
        """The answer as it is given: to its user, or in the name of another while `answer_as` says
        so.
        """
        return (
            answer if self._answered_as is None else attrs.evolve(answer, user_id=self._answered_as)
        )

    async def cross(
        self,
        operation: Operation,
        work: Callable[[], T],
        *,
        connection: Connection | None = None,
        undo: Callable[[T], None] | None = None,
    ) -> T:
        """Carries a request to the backend, does `work` there, and carries the answer back, through
        whatever is switched on.

        Suspends at least once on each way, so no request is carried out within the step that made
        it. `connection` is the link it travels on, `undo` what the backend does about an answer
        that nobody is left to receive.
        """
        self._requested(operation, connection)
        request, _ = self._delay_of(operation)
        await asyncio.sleep(request)
        await self._passable(connection)
        plan = self._planned(operation)
        if plan is not None and plan.error is not None:
            raise copy.copy(plan.error)
        result = work()
        try:
            if plan is not None:
                await self._lose(connection, plan.silently)
            _, answer = self._delay_of(operation)
            await asyncio.sleep(answer)
            await self._passable(connection)
        except BaseException:
            if undo is not None:
                undo(result)
            raise
        return result

    def _delay_of(self, operation: Operation) -> tuple[float, float]:
        return self._delays.get(operation, self._delays.get(None, (0.0, 0.0)))

    def _planned(self, operation: Operation) -> _Plan | None:
        plans = self._plans.get(operation)
        if not plans:
            return None
        plan = plans[0]
        if plan.times is not None:
            plan.times -= 1
            if plan.times <= 0:
                plans.pop(0)
        return plan

    async def _passable(self, connection: Connection | None) -> None:
        if connection is not None and connection.silent:
            await _never()
        while self._black_hole:
            self._hung.append(asyncio.get_running_loop().create_future())
            await self._hung[-1]

    async def _lose(self, connection: Connection | None, silently: bool) -> None:
        if silently:
            if connection is not None:
                connection.silence()
            await _never()
        if connection is not None:
            connection.close("dropped")
        raise NetworkError(
            "The link broke before the answer came; what was asked may have happened."
        )


def _never() -> Awaitable[None]:
    """An answer that does not come; only cancelling ends the wait."""
    return asyncio.get_running_loop().create_future()

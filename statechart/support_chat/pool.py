"""`SessionPool`: the sessions that a server holds for its browsers, one for each *scope*.

A request takes the session of its scope for as long as its block lasts; between requests the
session stays live in the pool, and nobody waits for a boot again. What is unused for too long, or
beyond the maximum, is destroyed, which nobody notices: its next request makes another one, of the
same visitor.
"""

from __future__ import annotations

import asyncio
import signal
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from types import FrameType, TracebackType
from typing import Final

import attrs

from .errors import InvalidInputError, SessionDestroyedError, WrongThreadError
from .lifecycle.names import Phase
from .ports import Storage, TokenProvider, Transport
from .runtime.waiting import finished
from .session import SupportChat
from .settings import LONGEST, Settings
from .values import check_id

_AT_ONCE: Final = 16
"""How many unused sessions are looked at in one go: no request waits for all of them."""


@attrs.define(eq=False)
class _Kept:
    """A session of the pool, and how many blocks use it."""

    chat: SupportChat
    uses: int = 0


class SessionPool:
    """One session for each scope, made when a scope is first used, destroyed when it is no longer.

    `storage` is one that all share, or gives the storage of a scope; the pool closes neither it nor
    `transport`. `token_provider` is that of every session. The session of a scope that nobody has
    used for `idle` seconds is destroyed, and so are those used least recently where there are more
    than `maximum`; never one that is in use or `busy`, so that there may be more. One in which
    nobody is live is destroyed when its last block is left.

    Enter it with `async with` where the server starts, once for each event loop; the end of the
    block destroys every session. Several processes, each with a pool of its own, may share storage
    and backend: to those they are tabs of one visitor.

    Raises InvalidInputError for what cannot be one of these.
    """

    def __init__(
        self,
        *,
        workspace_id: str,
        widget_id: str,
        transport: Transport,
        storage: Storage | Callable[[str], Storage],
        token_provider: TokenProvider | None = None,
        settings: Settings | None = None,
        maximum: int = 1000,
        idle: float = 900.0,
    ) -> None:
        self._widget = (check_id("workspace_id", workspace_id), check_id("widget_id", widget_id))
        if not callable(storage) and not isinstance(storage, Storage):
            raise InvalidInputError(
                "storage must be a support_chat.Storage, or callable with a scope and give one."
            )
        if isinstance(maximum, bool) or not isinstance(maximum, int) or maximum < 1:
            raise InvalidInputError("maximum must be an int of at least 1: how many sessions.")
        if isinstance(idle, bool) or not isinstance(idle, int | float) or not 0 < idle <= LONGEST:
            raise InvalidInputError("idle must be a number of seconds above 0 and at most 1e9.")
        self._transport = transport
        self._storage = storage
        self._token_provider = token_provider
        self._settings = settings
        self._maximum = maximum
        self._idle = idle
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = False
        self._kept: dict[str, _Kept] = {}
        self._unused: OrderedDict[str, float] = OrderedDict()
        """Since when they are unused, or were found busy; the least recent one first."""
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        state = "open" if self._open else "closed"
        return f"<SessionPool {'/'.join(self._widget)} {state}, {len(self)} sessions>"

    def __len__(self) -> int:
        """How many sessions there are, but for those that are being destroyed."""
        return len(self._kept)

    @asynccontextmanager
    async def session(self, scope: str) -> AsyncGenerator[SupportChat]:
        """The session of this scope, to be used in an `async with` block by any number of requests
        at a time.

        It is not booted by this; a block that is left, or cancelled, leaves it as it is. A scope
        names a browser in storage keys and in logs: pass an id that opens nothing, and not the
        cookie itself.

        Raises:
            InvalidInputError: for a scope that cannot be an id.
            SessionDestroyedError: the pool was not entered, or has ended.
            WrongThreadError: the pool was entered in another event loop or process.
        """
        kept = await self._taken(check_id("scope", scope))
        try:
            yield kept.chat
        finally:  # nothing is awaited here: a request that was cancelled may not be able to
            self._leave(scope, kept)

    @asynccontextmanager
    async def ended_by(self, *signals: int) -> AsyncGenerator[SessionPool]:
        """Enters the pool, as `async with pool` does, so that one of these signals ends it at once,
        too; whoever handled it goes on to do so. To be entered on the main thread, where a server
        starts up.

        A server waits for open responses before it shuts down, and a response that tells the
        events of a session is open until that session ends.
        """
        async with self:
            with self._handled(signals):
                yield self

    @contextmanager
    def _handled(self, signals: Iterable[int]) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()
        handlers = {number: signal.getsignal(number) for number in signals}

        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._end_all)
            handler = handlers[number]
            if callable(handler):
                handler(number, frame)

        handled = [number for number, handler in handlers.items() if callable(handler)]
        for number in handled:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number in handled:
                signal.signal(number, handlers[number])

    async def __aenter__(self) -> SessionPool:
        if self._open:
            raise InvalidInputError("The pool has been entered already; share it, or make another.")
        self._loop, self._open = asyncio.get_running_loop(), True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_all()
        await finished(asyncio.ensure_future(self._all_ended()))

    async def _all_ended(self) -> None:
        while self._ending:
            await asyncio.wait(self._ending.values())

    # --- machinery --------------------------------------------------------------------------------

    async def _taken(self, scope: str) -> _Kept:
        """The living session of this scope, in use; one that is being destroyed is waited for, so
        that there are never two.
        """
        while True:
            self._check()
            kept = self._kept.get(scope)
            if kept is not None and kept.chat.is_in(Phase.DESTROYED):  # by whoever used it
                self._end(scope)
            if scope in self._ending:
                await asyncio.wait((self._ending[scope],))
                continue
            if kept is None:
                kept = self._kept[scope] = _Kept(self._made(scope))
            kept.uses += 1
            self._unused.pop(scope, None)
            self._tidy()
            return kept

    def _check(self) -> None:
        if not self._open:
            raise SessionDestroyedError(
                "The pool is not open: enter it with `async with` where the server starts, and ask "
                "it for no session after its end."
            )
        if self._loop is not asyncio.get_running_loop():
            raise WrongThreadError(
                "The pool was entered in another event loop, perhaps before a fork: make one in "
                "each process, and enter it in the loop that uses it."
            )

    def _made(self, scope: str) -> SupportChat:
        workspace_id, widget_id = self._widget
        return SupportChat(
            workspace_id=workspace_id,
            widget_id=widget_id,
            transport=self._transport,
            storage=self._storage(scope) if callable(self._storage) else self._storage,
            token_provider=self._token_provider,
            settings=self._settings,
            scope=scope,
        )

    def _leave(self, scope: str, kept: _Kept) -> None:
        kept.uses -= 1
        if kept.uses or self._kept.get(scope) is not kept:
            return
        if kept.chat.identity is None and not kept.chat.busy:
            self._end(scope)
        else:
            self._unused[scope] = asyncio.get_running_loop().time()
            self._tidy()

    def _tidy(self) -> None:
        """Ends what is unused for too long, or too much."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for _ in range(min(_AT_ONCE, len(self._unused))):
            scope, since = next(iter(self._unused.items()))
            if len(self._kept) <= self._maximum and now < since + self._idle:
                break
            if self._kept[scope].chat.busy:
                self._unused[scope] = now
                self._unused.move_to_end(scope)
            else:
                self._end(scope)
        if self._unused and self._timer is None:
            due = next(iter(self._unused.values())) + self._idle
            self._timer = loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        self._tidy()

    def _end(self, scope: str) -> None:
        """Destroys the session, in a task of the pool: whoever causes it need not last so long."""
        kept = self._kept.pop(scope)
        self._unused.pop(scope, None)
        task = asyncio.ensure_future(kept.chat.destroy())
        self._ending[scope] = task
        task.add_done_callback(lambda _: self._ending.pop(scope))

    def _end_all(self) -> None:
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for scope in tuple(self._kept):
            self._end(scope)

"""Lives of a session as data: what is called, what the backend says and what goes wrong, move by
move, and how a move is made.

`support_chat.testing.strategies.lives()` makes them up; `play()` plays one on a real `SupportChat`
in virtual time. To try a frontend of your own with one, build it on the `chat` of a `Life`, and let
the moves happen to it:

    life = Life()
    panel = Panel(life.chat)
    for move in moves:
        await life.do(move)
    await life.end()
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import attrs

from ..chart.machine import Compiled
from ..chart.model import Chart
from ..errors import SupportChatError
from ..lifecycle.chart import CHART
from ..ports import LinkEvent
from ..runtime.calls import Call
from ..session import SupportChat
from ..settings import Settings
from ..verify.trace import Trace
from .doubles.script import CallLog
from .doubles.storage import RecordingStorage
from .doubles.tokens import unsigned_token
from .doubles.transport import RecordingTransport
from .trace import watch
from .virtual_loop import run

CallName: TypeAlias = Literal[
    "load",
    "boot",
    "identify",
    "become",
    "update",
    "shutdown",
    "destroy",
    "send_message",
    "start_conversation",
    "conversations",
    "messages",
    "mark_read",
]
"""The methods of a `SupportChat` that a life calls."""
_TICKS: Final = 10
"""Rounds of the loop after each move, so that what needs no time has happened before the next one.
"""


@attrs.frozen
class Called:
    """The frontend calls this method with these arguments, and awaits it in a task of its own."""

    name: CallName
    arguments: Mapping[str, Any] = attrs.field(factory=dict[str, Any], hash=False)


@attrs.frozen
class Abandoned:
    """Whoever awaits the newest call that has not settled is cancelled; nothing happens if all
    have.
    """


@attrs.frozen
class Elapsed:
    """So many seconds pass."""

    seconds: float


@attrs.frozen
class Arrived:
    """The backend says this on the newest link; it gets lost if there is none, or if that one is
    over.
    """

    event: LinkEvent


@attrs.frozen
class LinkLost:
    """The newest link breaks, `quietly` or with an error; nothing happens if there is none."""

    quietly: bool = False


@attrs.frozen
class NextFails:
    """The next call of this operation of a port (`storage.create`, `transport.open`, `link.send`)
    raises this error.
    """

    operation: str
    error: Exception


@attrs.frozen
class NextAnswers:
    """The next call of this operation of a port returns this, whatever was asked."""

    operation: str
    answer: object


@attrs.frozen
class NetworkChanged:
    """The frontend hints that the network is there, or gone."""

    online: bool


Move: TypeAlias = (
    "Called | Abandoned | Elapsed | Arrived | LinkLost | NextFails | NextAnswers | NetworkChanged"
)
"""One thing that happens in the life of a session."""


@attrs.frozen
class MintedTokens:
    """A token provider for one user: each token is a new one and lives `lifetime` seconds, for ever
    if None.
    """

    user_id: str
    lifetime: int | None = None
    _numbers: itertools.count[int] = attrs.field(
        factory=itertools.count, init=False, repr=False, eq=False
    )

    async def __call__(self) -> str:
        """The next token."""
        expires = {} if self.lifetime is None else {"iat": 0, "exp": self.lifetime}
        return unsigned_token(sub=self.user_id, jti=str(next(self._numbers)), **expires)


@attrs.define(eq=False)
class Made:
    """A call that a life has made: its name, and its `Call`, or the error that was raised on the
    line of the call.
    """

    name: str
    call: Call[Any] | None = None
    refused: SupportChatError | None = None
    awaiter: asyncio.Task[Any] | None = None


class Life:
    """A session on recording doubles that moves happen to. Make it within the loop that it is to
    live in; `end()` it.

    `chat` is the session, `storage` and `transport` its doubles with one `log`, `calls` every call
    that was made, `trace` every step of its chart.
    """

    def __init__(
        self, settings: Settings | None = None, *, chart: Chart | Compiled = CHART
    ) -> None:
        self.log = CallLog()
        self.storage, self.transport = (
            RecordingStorage(log=self.log),
            RecordingTransport(log=self.log),
        )
        self.chat = SupportChat(
            workspace_id="acme",
            widget_id="help",
            storage=self.storage,
            transport=self.transport,
            settings=settings or Settings(),
        )
        self.trace: Trace = watch(self.chat, chart)
        self.calls: list[Made] = []

    async def do(self, move: Move) -> None:
        """Makes it happen, and lets everything happen that needs no time."""
        match move:
            case Called():
                self._call(move)
            case Abandoned():
                waiting = [
                    made.awaiter
                    for made in self.calls
                    if made.awaiter and made.call and not made.call.done
                ]
                if waiting:
                    waiting[-1].cancel()
            case Elapsed():
                await asyncio.sleep(move.seconds)
            case Arrived():
                if self.transport.links:
                    self.transport.link.emit(move.event)
            case LinkLost():
                if self.transport.links:
                    self.transport.link.lose(quietly=move.quietly)
            case NextFails():
                double, operation = self._asked(move.operation)
                double.fail_next(operation, move.error)
            case NextAnswers():
                double, operation = self._asked(move.operation)
                double.answer_next(operation, move.answer)
            case NetworkChanged():
                self.chat.set_online(move.online)
        for _ in range(_TICKS):
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Destroys the session and waits for every call that was made; whatever they raise is kept
        in them.
        """
        await asyncio.gather(
            self.chat.destroy(),
            *(made.awaiter for made in self.calls if made.awaiter),
            return_exceptions=True,
        )

    def _asked(self, operation: str) -> tuple[RecordingStorage | RecordingTransport, str]:
        """The double that this operation is one of, and its name there."""
        port, _, name = operation.partition(".")
        return (self.storage if port == "storage" else self.transport), name

    def _call(self, move: Called) -> None:
        made = Made(move.name)
        self.calls.append(made)
        try:
            made.call = getattr(self.chat, move.name)(**move.arguments)
        except SupportChatError as error:
            made.refused = error
        else:
            made.awaiter = asyncio.ensure_future(_awaited(made.call))


async def _awaited(call: Call[Any] | None) -> None:
    if call is not None:
        await asyncio.gather(call, return_exceptions=True)


def play(
    moves: Sequence[Move], settings: Settings | None = None, *, chart: Chart | Compiled = CHART
) -> Life:
    """Plays a life in virtual time to its end; returns it with all that it left: calls, steps,
    links, what the ports were asked.

    `chart` is what the session runs, the shipped one by default. Raises
    DeadlockError if something never ends.
    """

    async def main() -> Life:
        life = Life(settings, chart=chart)
        try:
            for move in moves:
                await life.do(move)
        finally:
            await life.end()
        return life

    return run(main())

"""What passed through the proxy, in order, and what was done to it: lengths, counts and names;
never a header, a query or a body.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import attrs

from .faults import Fault, Sender
from .http1 import Request
from .plans import Claim

Event: TypeAlias = Literal[
    "connected",
    "request",
    "response",
    "upgraded",
    "frame",
    "close",
    "applied",
    "unreachable",
    "broken",
    "closed",
    "down",
    "up",
]


@attrs.frozen
class Entry:
    """One thing that happened.

    `connected`, `closed`: a client's connection began, ended. `request`: one has come (`bytes`).
    `response`: one has passed (`status`). `upgraded`: a WebSocket is open. `frame`: a data frame
    has passed (`of`, `bytes`, and `frames`: its number among its sender's). `close`: a close frame
    has passed (`status`: its code). `applied`: a planned fault took effect (`fault`: its class's
    name; `bytes` or `frames`: where). `unreachable`: the upstream did not take a connection.
    `broken`: a connection ended in the middle of something, without a fault of the proxy's. `down`,
    `up`: the proxy stopped listening, listens again.
    """

    event: Event
    connection: int = 0
    method: str = ""
    path: str = ""
    fault: str = ""
    of: Sender | Literal[""] = ""
    status: int = 0
    bytes: int = 0
    frames: int = 0


class Log:
    """The entries so far; written by the proxy's thread, read and waited on from any."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._changed = threading.Condition()

    def add(
        self, event: Event, connection: int = 0, request: Request | None = None, **details: Any
    ) -> None:
        """Adds an entry, whose other fields are `details`, and wakes up who waits."""
        method, path = (request.method, request.path) if request is not None else ("", "")
        with self._changed:
            self._entries.append(Entry(event, connection, method, path, **details))
            self._changed.notify_all()

    def take_effect(
        self, claim: Claim[Any], connection: int, request: Request | None = None, **details: Any
    ) -> None:
        """The claimed fault takes effect; nothing is added if it had before."""
        if claim.take_effect():
            name = type(claim.fault).__name__
            self.add("applied", connection, request, fault=name, **details)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everything so far."""
        with self._changed:
            return tuple(self._entries)

    def applied(self, *kinds: type[Fault]) -> tuple[Entry, ...]:
        """The faults that took effect, of these classes or of all."""
        names = {kind.__name__ for kind in kinds}
        return tuple(
            entry
            for entry in self.entries
            if entry.event == "applied" and (not names or entry.fault in names)
        )

    def wait(self, happened: Callable[[], bool], within: float) -> None:
        """Waits until `happened`, looked at after each entry; AssertionError with the log after
        `within` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(happened, within):
                raise AssertionError(f"It did not happen within {within:g} s. The log:\n{self}")

    def __str__(self) -> str:
        return "\n".join(map(str, self.entries)) or "(nothing)"

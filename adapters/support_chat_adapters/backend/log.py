"""What happened at the backend, as frozen records a test or a demo can count; it names sessions and
paths, no secrets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import attrs

from support_chat.values import Identity

from .sessions import session_ref

REMEMBERED: Final = 100_000
"""Entries that are kept, unless it is said otherwise: some 40 MB of them."""
LONGEST_DETAIL: Final = 1000
"""Most characters that an entry's words have together."""
Operation: TypeAlias = Literal[
    "dial",
    "identify",
    "renew",
    "update",
    "send",
    "conversations",
    "messages",
    "mark_read",
    "listen",
    "revoke",
    "end_visitor",
    "close",
]
"""What a client asks for. Logged when it leaves the client, whatever becomes of it."""
Happening: TypeAlias = Literal[
    "opened", "closed", "identified", "renewed", "updated", "sent", "replied", "revoked", "refused"
]
"""What the backend did about it."""


@attrs.frozen
class Entry:
    """One thing that happened: `at` on the backend's clock, `kind`, in which session (its public
    name), for whom.

    `detail` holds the words that belong to the kind: `opened` new or resumed, then the claim's
    outcome if there was one; `closed` why; `identified` the identify_id, merged or why not, `again`
    for a remembered answer; `updated` the paths; `sent` the message's id, new or again; `replied`
    the message's id; `refused` the operation, the code and the reason.
    """

    at: float
    kind: Operation | Happening
    session: str | None = None
    identity: Identity | None = None
    detail: tuple[str, ...] = ()


def short(detail: tuple[str, ...]) -> tuple[str, ...]:
    """The words of an entry, 1,000 characters of them at the most: clients choose some, and the log
    is kept in memory.
    """
    if sum(map(len, detail)) <= LONGEST_DETAIL:
        return detail
    kept: list[str] = []
    room = LONGEST_DETAIL
    for word in detail:
        if room <= 0:
            break
        kept.append(word[:room])
        room -= len(word)
    return (*kept, "...")


class Log:
    """The backend's entries, oldest first (the latest so many of them), and the links that are open
    now.
    """

    def __init__(self, remembers: int = REMEMBERED) -> None:
        self._entries: deque[Entry] = deque(maxlen=remembers)
        self.open_links = 0
        """How many links are open now."""
        self.max_open_links = 0
        """How many were open at once, at most."""

    def add(self, entry: Entry) -> None:
        """Records an entry; `opened` and `closed` move the count of open links."""
        self._entries.append(entry)
        self.open_links += (entry.kind == "opened") - (entry.kind == "closed")
        self.max_open_links = max(self.max_open_links, self.open_links)

    def of(self, kind: Operation | Happening, *, session: str | None = None) -> list[Entry]:
        """The entries of a kind, of all sessions or of one (its credential or its public name)."""
        ref = None if session is None else session_ref(session)
        return [
            entry for entry in self._entries if entry.kind == kind and ref in (None, entry.session)
        ]

    def count(self, kind: Operation | Happening, *, session: str | None = None) -> int:
        """How many entries of a kind there are."""
        return len(self.of(kind, session=session))

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

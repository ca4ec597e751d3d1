"""Whether the server is fit to be sent anybody: it stops, or its database is in trouble.

A database that was deleted under a running server is the worst of these: SQLite goes on without a
word, and all that is answered from then on is lost. So the file is looked at several times a
second, and a server without its file answers nobody.
"""

from __future__ import annotations

import logging
import os
import random
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

from support_chat.errors import RateLimitedError

LOG: Final = logging.getLogger("support_chat.server")
_A_SECOND: Final = 100
"""How many clients may dial again in a second: a server that has just begun is slow."""
_LONGEST_STAY: Final = 60.0
_SHORTEST_STAY: Final = 1.0
_PAUSE: Final = 2.0
"""Seconds after which a client may ask again while the database refuses."""


@attrs.define
class Condition:
    """What stands in the way of requests; `dice` returns a number from 0 to 1."""

    database: Path | None = None
    """The file, None for a database in memory."""
    dice: Callable[[], float] = random.random
    draining: bool = False
    """The server has been told to end."""
    lost: bool = False
    """The database's file is not there any more."""
    deaf: bool = False
    """What other gateways write has not been heard of for long."""
    _refuses: dict[str, str] = attrs.field(factory=dict[str, str])
    """What the database has answered, while it answers with an error, by what was asked of it."""
    _stay: float = _SHORTEST_STAY
    _file: tuple[int, int] | None = None

    def __attrs_post_init__(self) -> None:
        self._file = None if self.database is None else file_at(self.database)

    @property
    def trouble(self) -> str | None:
        """Why nobody should be sent here; None if all is well."""
        if self.lost:
            return "the database's file is gone"
        if self.draining:
            return "the server is stopping"
        if self.deaf:
            return "the database has not told of any news for long"
        said = next(iter(self._refuses.values()), None)
        return None if said is None else f"the database answers: {said}"

    def drain(self, clients: int) -> None:
        """From now on clients are sent away; there are so many of them."""
        self.draining = True
        self._send_away(clients)

    def stay_away(self) -> float:
        """Seconds after which a client may dial again: each time others, so that they do not all
        come back at once.
        """
        return round(self.dice() * self._stay, 1)

    def admit(self, *, new: bool) -> None:
        """Raises RateLimitedError, which is told by status 503, for a request that is not to be
        answered now. While the server is stopping these are the `new` ones, which begin something.
        """
        if self.lost or ((self.draining or self.deaf) and new):
            raise RateLimitedError(
                f"{(self.trouble or '').capitalize()}; come back later.",
                retry_after=max(_SHORTEST_STAY, self.stay_away()),
                reason="restarting",
            )

    def database_failed(self, what: str, error: Exception) -> RateLimitedError:
        """Takes note of an error of the database, which the log tells once; `what` was tried is
        `reading` or `storing`. Returns what its request is answered with.
        """
        said = str(error).partition("\n")[0]
        if said != self._refuses.get(what):
            self._refuses[what] = said
            LOG.error(
                "the database answers: %s (%s)",
                said,
                what,
                extra={"fields": {"event": "database", "error": said, "what": what}},
            )
        return RateLimitedError(
            "The backend's database is in trouble; come back later.",
            retry_after=_PAUSE,
            reason="busy",
        )

    def grows_deaf(self, clients: int) -> None:
        """News are not heard of: from now on clients, of whom there are so many, are better off
        elsewhere.
        """
        self.deaf = True
        self._send_away(clients)
        LOG.error(
            "the database tells of no news: %d links are sent away",
            clients,
            extra={"fields": {"event": "database", "error": "deaf", "links": clients}},
        )

    def hears_again(self) -> None:
        """News are heard of."""
        self.deaf = False
        LOG.warning("the database tells of news again", extra={"fields": {"event": "database"}})

    def _send_away(self, clients: int) -> None:
        self._stay = min(_LONGEST_STAY, max(_SHORTEST_STAY, clients / _A_SECOND))

    def database_works(self, what: str) -> None:
        """Takes note that the database does again what it had refused."""
        if self._refuses.pop(what, None) is not None:
            LOG.warning(
                "the database works again (%s)", what, extra={"fields": {"event": "database"}}
            )

    def look_around(self) -> None:
        """Sees whether the database's file is still the one that was opened."""
        if self._file is None or self.database is None or self.lost:
            return
        if file_at(self.database) != self._file:
            self.lost = True
            LOG.error(
                "the database %s was deleted or replaced while it was served: what was answered "
                "last is in no file",
                self.database,
                extra={"fields": {"event": "database", "error": "lost"}},
            )


def file_at(path: Path) -> tuple[int, int] | None:
    """Which file this is: another one of the same name is told apart. None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def open_to_others(database: Path, key: Path) -> list[Path]:
    """Which of the files of a database, and of its key, others than their owner may open."""
    if os.name == "nt":  # which has no such modes
        return []
    beside = (database.with_name(database.name + end) for end in ("", "-wal", "-shm"))
    return [
        file
        for file in (*beside, key)
        if file.exists() and stat.S_IMODE(file.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    ]

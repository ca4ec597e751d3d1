"""Tokens that open the realtime gateway: short-lived, good for one connection, and the only
credential that ever stands in a URL.

A browser cannot give a WebSocket a header, so the gateway's credential is a query parameter, and
those end up in logs; hence not the session's own. They are kept in memory only: after a restart a
client dials anew, as it has to anyway.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

import attrs

from ..store import hashed

LIFETIME: Final = 60.0
"""How long a realtime token may wait to be used, in seconds."""


@attrs.define
class RealtimeTokens:
    """The tokens given out and not used yet; `clock` is monotonic, in seconds."""

    clock: Callable[[], float]
    _sessions: dict[str, tuple[str, float]] = attrs.field(
        factory=dict[str, tuple[str, float]], repr=False
    )

    def mint(self, session: str) -> str:
        """A new token for this session (its credential)."""
        now = self.clock()
        self._sessions = {token: entry for token, entry in self._sessions.items() if entry[1] > now}
        token = secrets.token_urlsafe(24)
        self._sessions[hashed(token)] = (session, now + LIFETIME)
        return token

    def redeem(self, token: str) -> str | None:
        """The session of a token, which is used up by this; None for one that is unknown, used or
        too old.
        """
        session, until = self._sessions.pop(hashed(token), ("", 0.0))
        return session if until > self.clock() else None

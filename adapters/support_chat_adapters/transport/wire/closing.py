"""Why a gateway closes its WebSocket: the codes, and what each means to the client.

Terminal is what dialling again cannot mend; after any other code the session dials again, at its
own pace. Codes below 4000 are those of RFC 6455, section 7.4; the others are ours.
"""

from __future__ import annotations

import enum
from typing import Final

from support_chat.errors import NetworkError, RateLimitedError
from support_chat.ports import SessionRevoked

from .problems import retry_after

DEFAULT_STAY: Final = 5.0
"""Seconds to stay away after a close that asks for it without saying for how long."""


class CloseCode(enum.IntEnum):
    """The codes that our gateway closes with, each with its `meaning` to the client, which the
    documents say too.
    """

    meaning: str

    def __new__(cls, code: int, meaning: str = "") -> CloseCode:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    GOODBYE = 1000, "Both sides are done."
    GOING_AWAY = 1001, "The backend stops; another one, or the same, will be there soon."
    TOO_LONG = 1009, "The client sent a frame that is longer than the gateway takes."
    RESTART = (
        1012,
        "The backend restarts; the close reason is the number of seconds to stay away, each time "
        "another, so that not all clients come back at once.",
    )
    TRY_LATER = (
        1013,
        "The backend has too much to do; the close reason is the number of seconds to stay away.",
    )
    DIAL_AGAIN = (
        4401,
        "The realtime token is unknown, used up or too old: dial anew for another one.",
    )
    SESSION_ENDED = 4403, "The session has ended for good; the close reason says why."
    SLOW_READER = 4408, "The client did not read what was sent."
    RATE_LIMITED = (
        4429,
        "Too many connections; the close reason is the number of seconds to stay away.",
    )


TERMINAL: Final = frozenset({CloseCode.SESSION_ENDED})
"""After these nobody dials again."""
_STAY_AWAY: Final = frozenset({CloseCode.RATE_LIMITED, CloseCode.TRY_LATER})


def meaning_of(code: int | None, reason: str) -> SessionRevoked | NetworkError:
    """What a close means: the end of the session as a link event, else the error that the loss of
    the link is told with.

    `code` is None if the connection broke without a close frame.
    """
    if code in TERMINAL:
        return SessionRevoked(reason or "revoked")
    wait = retry_after(reason)
    if code in _STAY_AWAY or (code == CloseCode.RESTART and wait is not None):
        wait = DEFAULT_STAY if wait is None else wait
        return RateLimitedError(
            f"The backend closed the link and asks to come back after {wait:g} s.", retry_after=wait
        )
    how = "broke" if code is None else f"was closed ({code})"
    return NetworkError(
        f"The link to the backend {how}; the session dials again.",
        reason=None if code is None else f"close_{code}",
    )

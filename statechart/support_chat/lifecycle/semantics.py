"""What running the shipped chart takes beside its rows, facts and effects."""

from __future__ import annotations

from typing import Final

from ..chart.model import Semantics
from ..errors import SupportChatError
from ..ports import (
    LinkEvent,
    MessageArrived,
    OwnerChanged,
    ReadUpTo,
    SessionRevoked,
    TokenExpired,
)
from .calls import RESULTS, called
from .context import Context, named
from .delays import DELAYS, SPANS
from .names import Trigger
from .reducers import changed, moved


def hears(event: LinkEvent | None) -> tuple[Trigger, Exception | None] | None:
    """The trigger of a link's event, and the error that it means; None as event: the link is lost.
    What a later backend may say and nobody here knows is nothing.
    """
    match event:
        case MessageArrived():
            return Trigger.MESSAGE_ARRIVED, None
        case ReadUpTo():
            return Trigger.READ_MARKED, None
        case OwnerChanged():
            return Trigger.OWNER_CHANGED, None
        case TokenExpired():
            return Trigger.TOKEN_EXPIRED, None
        case SessionRevoked(reason):
            message = "The backend ended this session: boot() begins a new one."
            return Trigger.SESSION_REVOKED, SupportChatError(message, reason=reason)
        case None:
            return Trigger.LINK_LOST, None
        case _:
            return None


SEMANTICS: Final = Semantics(
    context=Context(),
    delays=DELAYS,
    spans=SPANS,
    names=named,
    hears=hears,
    results=RESULTS,
    calls=called,
    moves=moved,
    changes=changed,
)

"""What each trigger of the shipped chart is called in a story, and who brings it about: one table,
in the words of the API.

A trigger that the table does not know, as those of a chart of your own, is called by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from ..lifecycle.names import Fact as F, Trigger as T

NOBODY: Final = "nobody"
"""What a story calls the user of a trigger that names none."""


@attrs.frozen
class Saying:
    """How a trigger is told: `by` whom, in which `text`; `{user}` is whom it names, `{facts}` what
    its facts add.

    `alone` is the text when it names nobody, `facts` what each fact that comes along adds to the
    text.
    """

    by: str
    text: str
    alone: str | None = None
    facts: Mapping[str, str] = MappingProxyType({})

    def text_for(self, user: str | None, facts: tuple[str, ...]) -> str:
        """The text for this user (None: nobody) and these facts."""
        text = self.alone if user is None and self.alone is not None else self.text
        return text.format(
            user=user or NOBODY, facts="".join(self.facts.get(fact, "") for fact in facts)
        )


_LATER: Final[Mapping[str, str]] = {
    F.BEYOND: ", and asks to come back later than the call can wait"
}
_DAMAGED: Final[Mapping[str, str]] = {F.DAMAGED: ", and no backend takes it"}
_AT_ONCE: Final[Mapping[str, str]] = {
    F.AT_ONCE: ", queue=False",
    F.CROWDED: ", the outbox full",
}
_OWN: Final[Mapping[str, str]] = {F.OWN: " of its own"}
_OUTDATED: Final[Mapping[str, str]] = {F.OUTDATED: ", which was replaced since"}
_DISOWNED: Final[Mapping[str, str]] = {F.DISOWNED: ", since it was for the visitor"}
_REPEATABLE: Final[Mapping[str, str]] = {F.REPEATABLE: ", and remembers no identify"}
_CLEARS: Final[Mapping[str, str]] = {F.FULL: ", clear_storage=True"}
_FULL: Final[Mapping[str, str]] = {F.FULL: "clear_storage=True"}
_SILENT: Final[Mapping[str, str]] = {F.SILENT: ", and nothing was heard for the whole limit"}

SAYINGS: Final[Mapping[str, Saying]] = MappingProxyType(
    {
        T.LOAD: Saying("user", "load()"),
        T.BOOT: Saying("user", "boot(user={user})", alone="boot()"),
        T.IDENTIFY: Saying("user", "identify(user={user})"),
        T.BECOME: Saying(
            "user", "become({user}{facts})", alone="become(None{facts})", facts=_CLEARS
        ),
        T.UPDATE: Saying("user", "update(user={user})", alone="update()"),
        T.SEND: Saying("user", "send_message(){facts}", facts=_AT_ONCE),
        T.USE: Saying("user", "conversations()"),
        T.SHUTDOWN: Saying("user", "shutdown({facts})", facts=_FULL),
        T.DESTROY: Saying("user", "destroy()"),
        T.ABANDON_BOOT: Saying("user", "nobody waits for boot() any more"),
        T.ABANDON_IDENTIFY: Saying("user", "nobody waits for identify() any more"),
        T.WITHDRAW: Saying("user", "the last awaiter of send_message() is cancelled"),
        T.GO_ONLINE: Saying("user", "set_online(True)"),
        T.GO_OFFLINE: Saying("user", "set_online(False)"),
        T.LOADED: Saying("storage", "the adapters work"),
        T.LOAD_FAILED: Saying("storage", "the adapters do not work"),
        T.VISITOR_READ: Saying("storage", "the visitor is read{facts}", facts=_DAMAGED),
        T.VISITOR_FAILED: Saying("storage", "the visitor cannot be read"),
        T.VISITOR_CHECKED: Saying("storage", "the stored visitor is the same, or cannot be read"),
        T.CLEARED: Saying("storage", "the storage is cleared"),
        T.CLEAR_FAILED: Saying("storage", "the storage cannot be cleared"),
        T.TOKEN_ARRIVED: Saying("provider", "the token arrives"),
        T.TOKEN_REFUSED: Saying("provider", "the token is refused"),
        T.TOKEN_FAILED: Saying("provider", "the token cannot be had"),
        T.LINK_UP: Saying(
            "backend",
            "the link is up, as {user}{facts}",
            alone="the link is up, as the visitor{facts}",
            facts=_REPEATABLE,
        ),
        T.DIAL_REFUSED: Saying("backend", "the dial is refused: not with this token"),
        T.DIAL_REJECTED: Saying("backend", "the dial is rejected: not for this widget"),
        T.DIAL_ASTRAY: Saying("backend", "the dial goes astray: what answers is no backend"),
        T.VISITOR_ENDED: Saying("backend", "the visitor was cleared elsewhere"),
        T.DIAL_FAILED: Saying("backend", "the dial fails{facts}", facts=_LATER),
        T.IDENTIFIED: Saying(
            "backend",
            "the visitor is identified as {user}",
            alone="the visitor is identified as nobody",
        ),
        T.IDENTIFY_REFUSED: Saying("backend", "the identify is refused"),
        T.IDENTIFY_FAILED: Saying(
            "backend", "the reply to the identify is lost{facts}", facts=_LATER
        ),
        T.UPDATED: Saying("backend", "the update is acknowledged"),
        T.UPDATE_REFUSED: Saying("backend", "the update is rejected"),
        T.UPDATE_UNAUTHORISED: Saying(
            "backend", "the update is refused: not with this token{facts}", facts=_OUTDATED
        ),
        T.UPDATE_FAILED: Saying("backend", "the reply to the update is lost"),
        T.RENEWED: Saying("backend", "the fresh token is accepted"),
        T.RENEW_REFUSED: Saying("backend", "the fresh token is refused"),
        T.RENEW_FAILED: Saying("backend", "the reply to the renewal is lost"),
        T.SENT: Saying("backend", "the message is stored"),
        T.SEND_UNAUTHORISED: Saying(
            "backend", "the message is refused: not with this token{facts}", facts=_OUTDATED
        ),
        T.SEND_REFUSED: Saying("backend", "the message is refused{facts}", facts=_DISOWNED),
        T.SEND_FAILED: Saying("backend", "the reply to the message is lost"),
        T.REPLIED: Saying("backend", "the reply to a use of the link arrives"),
        T.PARTED: Saying("backend", "the parting is over"),
        T.RELEASED: Saying("session", "the adapters are released"),
        T.MESSAGE_ARRIVED: Saying("backend", "a message{facts} arrives", facts=_OWN),
        T.READ_MARKED: Saying("backend", "messages were read, here or elsewhere"),
        T.OWNER_CHANGED: Saying("backend", "the visitor was merged in another tab"),
        T.TOKEN_EXPIRED: Saying("backend", "the backend says that the token has expired"),
        T.SESSION_REVOKED: Saying("backend", "the backend revokes the session"),
        T.LINK_LOST: Saying("backend", "the link is lost"),
        T.RETRY_DUE: Saying("session", "the retry timer fires"),
        T.GIVE_UP: Saying("session", "the time for reconnecting is over"),
        T.SILENCE_DUE: Saying("session", "the silence timer fires{facts}", facts=_SILENT),
        T.RENEW_DUE: Saying("session", "the renewal timer fires"),
        T.UPDATE_DUE: Saying("session", "the update timer fires"),
        T.OUTBOX_DUE: Saying("session", "the outbox timer fires"),
        T.DESTROY_TIMEOUT: Saying("session", "the time for the destroy is over"),
    }
)
"""How the triggers of the shipped chart are told; the internal ones are part of the step that
raises them.
"""


def saying_of(trigger: str) -> Saying | None:
    """How a trigger is told, if it is one of the shipped chart's: one of a chart of your own may
    have the same name by chance.
    """
    return SAYINGS.get(trigger) if isinstance(trigger, T) else None

"""What callers are told when the answer is no: whose fault it is, where the session stands, and the
way out.

`{call}` and `{phase}` are filled in by the engine. Nothing here names an id or a value.
"""

from __future__ import annotations

from typing import Final

from ..chart.model import Blame, Refusal
from ..engine import Moment
from ..errors import (
    AuthRefusedError,
    BackendRejectedError,
    CallTimeoutError,
    IdentityConflictError,
    InvalidInputError,
    MessageWithdrawnError,
    NetworkError,
    NotABackendError,
    NotBootedError,
    OutboxFullError,
    RateLimitedError,
    SessionDestroyedError,
    SessionEndedError,
    StorageError,
    TokenProviderError,
    TokenRefusedError,
    VisitorEndedError,
)
from .context import Context
from .outbox import OWNER_CHANGED

NOT_BOOTED: Final = Refusal(
    NotBootedError, "{call}() needs a booted session, and this one is {phase}: call boot() first."
)
DESTROYED: Final = Refusal(
    SessionDestroyedError, "{call}() on a destroyed session: make a new SupportChat."
)
WAS_DESTROYED: Final = Refusal(
    SessionDestroyedError, "The session was destroyed while the call was under way: make a new one."
)
ENDED: Final = Refusal(
    SessionEndedError,
    "shutdown() ended the session while the call was under way: boot() begins a new one.",
)
SUPERSEDED: Final = Refusal(
    SessionEndedError, "A later become() has named another identity: this call is over."
)
BOOT_ABANDONED: Final = Refusal(
    SessionEndedError,
    "The boot that this call waited for was cancelled, or its time was over: call boot() again.",
)
NO_LINK: Final = Refusal(
    NetworkError,
    "{call}() needs an open link, and the session is {phase}: try again when it is live.",
)

CROWDED: Final = Refusal(
    OutboxFullError,
    "Settings.outbox_size messages, or read marks, have no answer yet, and so {call}() takes no "
    "more ({phase}): call it again when some have left.",
)
NOT_SENT: Final = Refusal(
    CallTimeoutError,
    "The message could not be sent within its timeout, and will not be: send it again.",
)
NOT_ANSWERED: Final = Refusal(
    CallTimeoutError,
    "The message was sent and no answer came within its timeout; it may have arrived. MessageSent "
    "or MessageFailed says what became of it.",
)
WITHDRAWN: Final = Refusal(
    MessageWithdrawnError,
    "The message was taken back, by withdraw() or since the call that sent it was cancelled: send "
    "it again if it is wanted after all.",
)

OTHER_BOOT: Final = Refusal(
    IdentityConflictError,
    "{call}() names another identity than the boot under way ({phase}): await it, or shutdown() "
    "first, then boot() the other.",
)
VISITOR_IS_LIVE: Final = Refusal(
    IdentityConflictError,
    "{call}() names a user and a visitor's session is {phase}: use identify() to sign the visitor "
    "in.",
)
USER_IS_LIVE: Final = Refusal(
    IdentityConflictError,
    "{call}() names another identity than the user who is signed in ({phase}): shutdown() first, "
    "then boot() the other.",
)
OTHER_TARGET: Final = Refusal(
    IdentityConflictError,
    "{call}() names another user than the identify that is not settled yet ({phase}): await it, "
    "or shutdown() first.",
)


def not_theirs() -> BackendRejectedError:
    """The error of a message that was for somebody else than the session's owner."""
    return BackendRejectedError(
        "The message was written as somebody else than the session is for by now, and is not "
        "sent: send it again if it is to be theirs.",
        code=OWNER_CHANGED,
    )


def _stay_away(error: RateLimitedError, context: Context, moment: Moment) -> None:
    error.retry_after = max(0.0, context.not_before - moment.now.at)


def _name_the_trouble(error: CallTimeoutError, context: Context, moment: Moment) -> None:
    """Why it took so long: what the last attempt has failed of."""
    if context.trouble is not None:
        error.message = f"{error.message} The last attempt failed: {context.trouble}"
        error.args, error.__cause__ = (error.message,), context.trouble


NOT_IN_TIME: Final = Refusal(
    RateLimitedError,
    "The backend has asked to stay away for longer than boot() may take: call boot() again after "
    "`retry_after` seconds.",
    details=_stay_away,
)
BOOT_TIMED_OUT: Final = Refusal(
    CallTimeoutError,
    "{call}() took longer than its timeout, waiting for the boot: check the network, then call it "
    "again, or raise Settings.boot_timeout.",
    details=_name_the_trouble,
)
IDENTIFY_TIMED_OUT: Final = Refusal(
    CallTimeoutError,
    "identify() took longer than its timeout. If it was sent, its outcome is unknown and the "
    "session finds out by itself "
    "(AuthChanged); otherwise the visitor's session is as it was. Call identify() again to wait "
    "for it.",
)
DAMAGED: Final = Refusal(
    StorageError,
    "What the storage holds as the visitor cannot be one, or is over at the backend: it is "
    "replaced, and the visitor begins anew. Find out what else writes the session's keys, or "
    "whether they were restored from a backup.",
)
WRONG_USER: Final = Refusal(
    AuthRefusedError,
    "The backend answered as another user than was asked for; the link is closed. Check which "
    "user the token names.",
)
SIGNED_OUT: Final = Refusal(
    SessionEndedError,
    "The visitor was cleared in another tab or process, and so this session has ended: boot() "
    "begins a new one.",
)
EXPIRED: Final = Refusal(
    AuthRefusedError,
    "The token has expired and there is no token_provider to renew it: boot() again and pass a "
    "token_provider.",
)

# --- whose fault it is that an adapter has not done what it was asked to --------------------------

STORAGE: Final = Blame(
    StorageError,
    "The storage",
    "Check it (its file, its permissions, its server) and try again.",
    ended=(VisitorEndedError,),
)
TOKENS: Final = Blame(
    TokenProviderError,
    "The token_provider",
    "Mend it, or raise TokenRefusedError in it to refuse; then try again.",
    refusals=(TokenRefusedError,),
)
BACKEND: Final = Blame(
    NetworkError,
    "The transport",
    "Check the network and the backend's address; the session tries again while it is live.",
    refusals=(AuthRefusedError,),
    rejections=(BackendRejectedError, InvalidInputError),
    strangers=(NotABackendError,),
    ended=(VisitorEndedError,),
)
LINK_GONE: Final = Refusal(
    NetworkError,
    "The link closed before the message could leave, and it was not to wait for another: send it "
    "again.",
)
ANSWER_LOST: Final = Refusal(
    NetworkError,
    "The link closed before the answer came; it is not known whether the backend got it.",
)

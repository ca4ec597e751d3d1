"""The errors of the library: each says whose fault it is, where the session stands and what the way
out is.

Three parties can be at fault, and the classes fall into three families:

- *the caller*: `NotBootedError`, `IdentityConflictError`, `InvalidInputError`,
  `SessionDestroyedError`;
- *the world*: `NetworkError`, `NotABackendError`, `RateLimitedError`, `StorageError`,
  `TokenProviderError`, `CallTimeoutError`;
- *the answer is no*: `AuthRefusedError`, `TokenRefusedError`, `SessionEndedError`.

No message, and no `repr`, ever holds a token, a credential or the value of a trait.
"""

from __future__ import annotations

from typing import Any, ClassVar


class SupportChatError(Exception):
    """The base of every error this library raises; catch it when you want them all.

    `code` is a stable word for programs, `message` a sentence for people that ends with the way
    out, `reason` a short word from the one who refused (the backend, a storage), `request_id` the
    backend's reference for its support, `recoverable` whether the same call may succeed later
    without a change by the caller.
    """

    code: ClassVar[str] = "internal_error"
    recoverable_by_default: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        reason: str | None = None,
        request_id: str | None = None,
        recoverable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code  # type: ignore[misc]  # an instance may carry the backend's finer code
        self.reason = reason
        self.request_id = request_id
        self.recoverable = self.recoverable_by_default if recoverable is None else recoverable

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.message!r}, code={self.code!r}, "
            f"recoverable={self.recoverable})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.__dict__.copy()))


def _rebuild(kind: type[SupportChatError], message: str, state: dict[str, Any]) -> SupportChatError:
    """Errors travel between processes (a test runner, a worker); keyword-only options need this to
    be pickled.
    """
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class NotBootedError(SupportChatError):
    """The call needs a session that a boot() has begun; call boot() first."""

    code = "not_booted"


class OutboxFullError(SupportChatError):
    """As many messages as `Settings.outbox_size` have no answer yet; send this one again later."""

    code = "outbox_full"
    recoverable_by_default = True


class MessageWithdrawnError(SupportChatError):
    """The message was taken back, by withdraw() or since the call that sent it was cancelled; send
    it again if it is wanted after all.
    """

    code = "message_withdrawn"
    recoverable_by_default = True


class IdentityConflictError(SupportChatError):
    """The call names another identity than the session's; the message says which call changes
    identities.
    """

    code = "identity_conflict"


class InvalidInputError(SupportChatError, ValueError):
    """An argument cannot be what it is: wrong type, too long, not JSON. Raised on the line of the
    call.
    """

    code = "validation_error"


class WrongThreadError(SupportChatError, RuntimeError):
    """The call came from another thread or event loop than the session's; the message names the
    bridge to use.
    """

    code = "wrong_thread"


class SessionDestroyedError(SupportChatError):
    """destroy() has ended this object for good; make a new SupportChat."""

    code = "destroyed"


class SessionEndedError(SupportChatError):
    """The session that the call waited for was ended: by shutdown(), or by the backend (`reason`
    says which).
    """

    code = "session_ended"
    recoverable_by_default = True


class CallTimeoutError(SupportChatError, TimeoutError):
    """The call's time is over. Of an identify() that was sent the outcome is unknown; the session
    finds out by itself.
    """

    code = "timeout"
    recoverable_by_default = True


class NetworkError(SupportChatError, ConnectionError):
    """The backend could not be reached or the link broke; what was asked may or may not have
    happened.
    """

    code = "network_error"
    recoverable_by_default = True


class NotABackendError(NetworkError):
    """What answers at the backend's address is none: its certificate is not trusted, or it speaks
    no Widget API. Another attempt helps once somebody has changed something: the address, the
    trust, the sign-in page of a network.
    """


class RateLimitedError(NetworkError):
    """The backend asks to come back after `retry_after` seconds; nothing was done."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: float = 0.0, **options: Any) -> None:
        super().__init__(message, **options)
        self.retry_after = retry_after


class StorageError(SupportChatError):
    """The storage failed or did not answer in time; the message names the storage and what was
    tried.
    """

    code = "storage_error"
    recoverable_by_default = True


class TokenProviderError(SupportChatError):
    """The token provider failed (raised, timed out, returned no token): a fault, not a refusal; it
    may be tried again.
    """

    code = "token_provider_error"
    recoverable_by_default = True


class TokenRefusedError(SupportChatError):
    """Raise this in a token provider to say that this user gets no token: the session ends instead
    of trying again.
    """

    code = "auth_required"


class AuthRefusedError(SupportChatError):
    """The backend does not accept this token, visitor or user. `code` is the backend's
    (`auth_expired`, `invalid_token`...).
    """

    code = "invalid_token"


class VisitorEndedError(AuthRefusedError):
    """The visitor behind this secret was cleared, in another tab or by another process: a boot
    begins a new one.
    """

    code = "visitor_ended"


class BackendRejectedError(SupportChatError):
    """The backend will not do this, now or later (`widget_disabled`, `session_revoked`,
    `message_invalid`): no retry helps.
    """

    code = "widget_disabled"


class EventsLostError(SupportChatError):
    """An `events()` reader fell behind its buffer; read faster or ask for a larger `buffer`."""

    code = "events_lost"


class ChartError(SupportChatError):
    """A chart is faulty; `faults` lists every fault found, one sentence each."""

    code = "faulty_chart"

    def __init__(self, message: str, *, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults

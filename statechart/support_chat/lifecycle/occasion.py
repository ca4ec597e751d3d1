"""What a trigger brings along beside its name: the call's arguments, the outcome's result or error,
and the time.
"""

from __future__ import annotations

from typing import TypeVar

import attrs

from ..errors import RateLimitedError
from ..ports import (
    IdentifyAnswer,
    Link,
    MessageArrived,
    Outgoing,
    TokenProvider,
    UpdateAnswer,
    Use,
    Welcome,
)
from ..values import JSON, Changes
from .names import Lane, Trigger
from .tokens import Token

Kind = TypeVar("Kind")


@attrs.frozen
class Asked:
    """The arguments of a call. `timeout` is in seconds, None for the setting; `fallback` is the
    session's own token provider.
    """

    user_id: str | None = None
    changes: Changes = attrs.field(factory=dict[str, JSON], repr=False)
    provider: TokenProvider | None = attrs.field(default=None, repr=False)
    fallback: TokenProvider | None = attrs.field(default=None, repr=False)
    timeout: float | None = None
    clear_storage: bool = False
    use: Use | None = None
    """What to ask of the link."""

    def called(self, trigger: Trigger) -> str:
        """What users call the call that this trigger stands for."""
        return trigger if self.use is None else self.use.call

    @property
    def message(self) -> Outgoing | None:
        """The message to send, if this is about one."""
        return self.use if isinstance(self.use, Outgoing) else None


@attrs.frozen
class Occasion:
    """One trigger with everything that comes with it; `now` is the session's clock in seconds,
    `tag` says whose outcome it is.
    """

    trigger: Trigger
    now: float
    asked: Asked | None = None
    result: object = attrs.field(default=None, repr=False)
    error: Exception | None = None
    lane: Lane | None = None
    tag: int = 0
    fresh_id: str = ""
    """A new unique id, for whatever needs one in this step."""
    heard_at: float = 0.0
    """When the link last gave a sign of life, on the session's clock."""
    link: Link | None = attrs.field(default=None, repr=False)
    """The link that a dial has opened."""
    began: bool = False
    """Whether that dial began a backend session, rather than resuming one."""

    @property
    def named(self) -> str | None:
        """The user whom the trigger names: the call's, or the one the backend answered as."""
        if self.asked is not None:
            return self.asked.user_id
        if isinstance(self.result, Welcome | IdentifyAnswer):
            return self.result.user_id
        return None

    @property
    def changes(self) -> Changes:
        """The traits and context that the call brings, as a flat update."""
        return self.asked.changes if self.asked else {}

    @property
    def identified(self) -> IdentifyAnswer | None:
        """The answer to an identify, also when a dial learnt it afterwards."""
        if isinstance(self.result, Welcome):
            return self.result.claim
        return self.result if isinstance(self.result, IdentifyAnswer) else None

    @property
    def retry_after(self) -> float | None:
        """How many seconds the backend asks to stay away, if it does."""
        return self.error.retry_after if isinstance(self.error, RateLimitedError) else None

    @property
    def welcome(self) -> Welcome:
        """The backend's answer to the dial; only a LINK_UP has one (TypeError otherwise)."""
        return _of(Welcome, self.result)

    @property
    def token(self) -> Token:
        """The token that arrived; only a TOKEN_ARRIVED has one (TypeError otherwise)."""
        return _of(Token, self.result)

    @property
    def visitor(self) -> str:
        """The visitor's secret as stored; only a VISITOR_READ or VISITOR_RETIRED has one (TypeError
        otherwise).
        """
        return _of(str, self.result)

    @property
    def update_answer(self) -> UpdateAnswer:
        """The backend's answer to an update; only an UPDATED has one (TypeError otherwise)."""
        return _of(UpdateAnswer, self.result)

    @property
    def message(self) -> MessageArrived:
        """The message that arrived; only a MESSAGE_ARRIVED has one (TypeError otherwise)."""
        return _of(MessageArrived, self.result)


def _of(kind: type[Kind], value: object) -> Kind:
    if not isinstance(value, kind):
        raise TypeError(f"this occasion brings {type(value).__name__}, not {kind.__name__}")
    return value

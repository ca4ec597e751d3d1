"""The widget a backend serves: whose it is, which identity tokens it trusts, and which identities
it lets in.
"""

from __future__ import annotations

import attrs

from support_chat.errors import AuthRefusedError, BackendRejectedError, InvalidInputError
from support_chat.values import check_id

from .identity_tokens import Claims, IdentityKey, verified


@attrs.frozen(kw_only=True)
class WidgetRules:
    """Who may come in: the identity rules that the owner of a widget sets."""

    anonymous_allowed: bool = True
    """Visitors without a sign-in get a session."""
    jwt_required_for_identified_users: bool = True
    """A user is believed only with an identity token. Off, any client may claim to be any user: for
    demos only.
    """
    allow_merge: bool = True
    """identify() moves the visitor's conversations to the user."""
    clock_leeway: float = attrs.field(default=60.0, validator=attrs.validators.ge(0))
    """How many seconds the clocks of those who sign identity tokens may be ahead of the backend's:
    a token whose `nbf` lies so far in the future is in force already.
    """


@attrs.frozen(kw_only=True)
class Widget:
    """A widget's ids, keys and rules."""

    workspace_id: str
    widget_id: str
    keys: tuple[IdentityKey, ...]
    rules: WidgetRules

    def admit(self, workspace_id: str, widget_id: str) -> None:
        """Raises BackendRejectedError unless the caller means this widget."""
        if (workspace_id, widget_id) != (self.workspace_id, self.widget_id):
            raise BackendRejectedError(
                "This backend serves another widget; check workspace_id and widget_id.",
                reason="unknown_widget",
            )

    def admit_visitor(self) -> None:
        """Raises BackendRejectedError if visitors without a sign-in are not served."""
        if not self.rules.anonymous_allowed:
            raise BackendRejectedError(
                "This widget serves signed-in users only; boot with a user.",
                code="auth_required",
                reason="anonymous_not_allowed",
            )

    def authenticate(self, user_id: str, token: str | None, now: float) -> Claims | None:
        """Believes that the caller is `user_id`, or raises AuthRefusedError; None if it is believed
        without a token.
        """
        try:
            check_id("user_id", user_id)
        except InvalidInputError as error:
            raise BackendRejectedError(error.message, code="validation_error") from None
        if token is not None:
            return verified(
                token,
                user_id,
                keys=self.keys,
                workspace_id=self.workspace_id,
                widget_id=self.widget_id,
                now=now,
                leeway=self.rules.clock_leeway,
            )
        if self.rules.jwt_required_for_identified_users:
            raise AuthRefusedError(
                "This widget believes a user only with an identity token; give boot() or "
                "identify() a token_provider.",
                code="auth_required",
                reason="token_missing",
            )
        return None

"""Minting identity tokens: the few lines that a customer's own backend needs, and that our tests
and demos sign with.

Keep the secret on the server. A token is short-lived and says who, for which widget and until when;
the widget fetches a new one through its `token_provider` before the old one expires.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Mapping

from support_chat.errors import InvalidInputError
from support_chat.values import User, UserDict, check_id

from .identity_keys import AUDIENCE, Algorithm, prepared_key


def sign_identity_token(
    user: str | User | UserDict,
    secret: str | bytes,
    *,
    workspace_id: str,
    widget_id: str,
    lifetime: float = 900.0,
    now: float | None = None,
    algorithm: Algorithm = "HS256",
    company_id: str | None = None,
    key_id: str | None = None,
) -> str:
    """A signed identity token for `user` (an id, a `User` or a mapping of its keys), which says
    what is known of them.

    `secret` is the widget's shared secret (HS256, at least 32 bytes) or your private key as PEM
    (RS256, ES256); `key_id` names it where several are in use. The token lives `lifetime` seconds
    from `now` (epoch seconds, default: the clock). Raises InvalidInputError for a user without an
    id, a key that does not fit or a lifetime that is not positive.
    """
    key = prepared_key(algorithm, secret)
    import jwt

    if not (math.isfinite(lifetime) and lifetime > 0):
        raise InvalidInputError("lifetime must be a positive number of seconds; 900 is a good one.")
    known = _details(user)
    check_id("user.id", known.get("id"))
    issued = time.time() if now is None else now
    claims: dict[str, object] = {
        "sub": known["id"],
        "workspace_id": check_id("workspace_id", workspace_id),
        "widget_id": check_id("widget_id", widget_id),
        "aud": AUDIENCE,
        "iat": issued,
        "exp": issued + lifetime,
        "jti": secrets.token_hex(16),
    }
    described = {"email": known.get("email"), "name": known.get("name"), "company_id": company_id}
    claims |= {name: value for name, value in described.items() if isinstance(value, str)}
    return jwt.encode(
        claims, key, algorithm=algorithm, headers=None if key_id is None else {"kid": key_id}
    )


def _details(user: str | User | UserDict) -> Mapping[str, object]:
    if isinstance(user, str):
        return {"id": user}
    if isinstance(user, User):
        return {"id": user.id, "email": user.email, "name": user.name}
    return dict(user)

"""Reads an identity token as far as a client may: when to renew it, and whether it is another
user's. Nothing is verified here.

The token is a short-lived JWT (RFC 7519) which the customer's backend mints and ours verifies;
anything else is opaque: it has no known expiry and is renewed when the backend says so. Lifetimes
use `exp - iat`, so that a wrong wall clock does no harm.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from typing import Any, Final, cast

import attrs

from ..errors import TokenProviderError, TokenRefusedError

MAX_TOKEN_BYTES: Final = 16 * 1024
"""Largest token, in bytes of UTF-8."""
LONGEST_LIFE: Final = 30 * 24 * 3600.0
"""Longest life that is believed, in seconds: a token that claims more is renewed after this."""


@attrs.frozen
class Token:
    """A token in hand; `life` is how many seconds it lives from its arrival, None if that is not
    known.
    """

    value: str = attrs.field(repr=False)
    life: float | None = None

    @property
    def digest(self) -> bytes:
        """What is remembered of a refused token: enough to know its bytes again, not enough to use
        them.
        """
        return hashlib.sha256(self.value.encode()).digest()


def read_token(raw: object, *, user_id: str, spent: bytes | None, wall: float) -> Token:
    """Turns what a provider returned into a `Token`; `wall` is the time since the epoch in seconds.

    Raises TokenProviderError for something that is no token (a fault of the provider),
    TokenRefusedError for a token of another user and for the very bytes that the backend has just
    refused (`spent`): trying those again cannot help.
    """
    if not isinstance(raw, str):
        raise TokenProviderError(
            f"The token_provider returned {type(raw).__name__}; return the token as a str."
        )
    if not raw:
        raise TokenProviderError(
            "The token_provider returned an empty str; raise TokenRefusedError to refuse."
        )
    try:
        size = len(raw.encode())
    except UnicodeEncodeError:
        raise TokenProviderError(
            "The token_provider returned text that is not UTF-8; return the token unchanged."
        ) from None
    if size > MAX_TOKEN_BYTES:
        raise TokenProviderError(
            f"The token_provider returned {size} bytes; a token has at most {MAX_TOKEN_BYTES}."
        )
    claims = _claims(raw)
    subject = claims.get("sub")
    if isinstance(subject, str) and subject != user_id:
        raise TokenRefusedError(
            "The token_provider returned a token whose sub is another user; mint it for the user "
            "who is booted or identified."
        )
    token = Token(raw, _life(claims, wall))
    if spent is not None and token.digest == spent:
        raise TokenRefusedError(
            "The token has expired or was refused, and the token_provider returned the same one "
            "again; let it mint a new one.",
            code="auth_expired",
        )
    return token


def _claims(raw: str) -> dict[str, Any]:
    parts = raw.split(".")
    if len(parts) != 3:
        return {}
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims: dict[str, Any] | object = json.loads(payload)
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", claims) if isinstance(claims, dict) else {}


def _life(claims: dict[str, Any], wall: float) -> float | None:
    expires, issued = _number(claims.get("exp")), _number(claims.get("iat"))
    if expires is None:
        return None
    return min(max(expires - (wall if issued is None else issued), 0.0), LONGEST_LIFE)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None

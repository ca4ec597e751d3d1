"""How the backend tells a genuine identity token: the keys it trusts and the claims it insists on.

A token names its own algorithm, and believing it is the classic mistake: `none`, or an HMAC made
with a public key. So each key is bound to one algorithm, a token is checked with keys of exactly
its algorithm, and an algorithm without a key is refused. Times are judged by the backend's own
clock, handed in, never by one that a library reads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import attrs

from support_chat.errors import AuthRefusedError, InvalidInputError

from .pyjwt import require_pyjwt

Algorithm: TypeAlias = Literal["HS256", "RS256", "ES256"]
"""The signature algorithms an identity token may use: a shared secret, or a key pair (RSA, or
P-256).
"""

AUDIENCE: Final = "clad_support_chat"
"""The `aud` of an identity token that has one."""
MAX_TOKEN_BYTES: Final = 16 * 1024
"""The longest token looked at."""
_MIN_SECRET_BYTES: Final = 32


@attrs.frozen
class IdentityKey:
    """A key that vouches for identity tokens of one algorithm: the shared secret, or the customer's
    public key as PEM.

    Give a backend several while a key is being changed; `key_id` (`kid`) then picks one, without it
    each is tried. Raises InvalidInputError for an unknown algorithm, an HS256 secret under 32 bytes
    or a key that cannot be read.
    """

    algorithm: Algorithm
    key: str | bytes = attrs.field(repr=False)
    key_id: str | None = None
    prepared: Any = attrs.field(init=False, repr=False, eq=False)
    """The key as PyJWT wants it, read once."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "prepared", prepared_key(self.algorithm, self.key))


def prepared_key(algorithm: str, key: str | bytes) -> Any:
    """Reads a key for signing or verifying; raises InvalidInputError (which never shows the key) if
    it cannot serve.
    """
    require_pyjwt()
    import jwt

    if algorithm not in get_args(Algorithm):
        raise InvalidInputError(
            f"algorithm must be one of {', '.join(get_args(Algorithm))}, not {algorithm!r}."
        )
    if (
        algorithm == "HS256"
        and len(key.encode() if isinstance(key, str) else key) < _MIN_SECRET_BYTES
    ):
        raise InvalidInputError(
            f"An HS256 secret needs at least {_MIN_SECRET_BYTES} bytes; make one with "
            f"secrets.token_urlsafe({_MIN_SECRET_BYTES})."
        )
    try:
        return jwt.get_algorithm_by_name(algorithm).prepare_key(key)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise InvalidInputError(
            f"The key cannot be read as one for {algorithm}; pass it as PEM text."
        ) from None


@attrs.frozen
class Claims:
    """What a verified token says: who, until when (seconds since the epoch), and what is known of
    them.
    """

    user_id: str
    expires: float
    details: Mapping[str, str] = attrs.field(repr=False)
    """The user's `email`, `name` and `company_id`, those that the token carries."""


def verified(
    token: str,
    user_id: str,
    *,
    keys: Sequence[IdentityKey],
    workspace_id: str,
    widget_id: str,
    now: float,
) -> Claims:
    """The claims of `token` if it is genuine, in force, and for this user, widget and workspace;
    else AuthRefusedError.
    """
    payload = _payload(token, keys)
    for name, wanted in (
        ("widget_id", widget_id),
        ("workspace_id", workspace_id),
        ("sub", user_id),
    ):
        if payload.get(name) != wanted:
            raise _invalid(f"its {name!r} is not the one of this session", f"wrong_{name}")
    audience = payload.get("aud", AUDIENCE)
    if audience != AUDIENCE and not (
        isinstance(audience, list) and AUDIENCE in cast("list[object]", audience)
    ):
        raise _invalid(f"its 'aud' is not {AUDIENCE!r}", "wrong_aud")
    expires, not_before = _time(payload, "exp"), _time(payload, "nbf")
    if expires is None:
        raise _invalid("it has no 'exp'", "no_exp")
    if not_before is not None and not_before > now:
        raise _invalid("it is not in force yet ('nbf')", "not_yet_valid")
    if expires <= now:
        raise AuthRefusedError(
            "The identity token has expired; present a fresh one.",
            code="auth_expired",
            recoverable=True,
        )
    known = {name: payload.get(name) for name in ("email", "name", "company_id")}
    details = {name: value for name, value in known.items() if isinstance(value, str)}
    return Claims(user_id, expires, details)


def _payload(token: str, keys: Sequence[IdentityKey]) -> dict[str, object]:
    require_pyjwt()
    import jwt

    if len(token) > MAX_TOKEN_BYTES:
        raise _invalid(f"it is longer than {MAX_TOKEN_BYTES} bytes", "too_long")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        raise _invalid("it is not a JWT", "malformed") from None
    of_algorithm = [key for key in keys if key.algorithm == header.get("alg")]
    if not of_algorithm:
        raise _invalid("this widget has no key for its 'alg'", "wrong_alg")
    # Every check of a claim is ours (see the module's prose): PyJWT is asked about the signature
    # only.
    for key in of_algorithm:
        if header.get("kid") in (None, key.key_id) or key.key_id is None:
            try:
                signed: bytes = jwt.PyJWS().decode(token, key.prepared, algorithms=[key.algorithm])
                payload: object = json.loads(signed)
            except (jwt.PyJWTError, ValueError, RecursionError):
                continue
            if isinstance(payload, dict):
                return cast("dict[str, object]", payload)
    raise _invalid("no key of this widget has signed it", "wrong_signature")


def _time(payload: Mapping[str, object], name: str) -> float | None:
    value = payload.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _invalid(f"its {name!r} is not a number", f"wrong_{name}")
    return value


def _invalid(what: str, reason: str) -> AuthRefusedError:
    return AuthRefusedError(
        f"The identity token is not accepted: {what}; have your backend mint one for this user, "
        "widget and workspace.",
        code="invalid_token",
        reason=reason,
    )

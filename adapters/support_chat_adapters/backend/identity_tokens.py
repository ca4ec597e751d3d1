"""Identity tokens: how a customer's own backend signs them, and how this one tells a genuine one.

Signing needs the widget's secret, which stays on the server. A token is short-lived and says who,
for which widget and until when; the widget fetches a new one through its `token_provider` before
the old one expires.

A token names its own algorithm, and believing it is the classic mistake: `none`, or an HMAC made
with a public key. So each key is bound to one algorithm, a token is checked with keys of exactly
its algorithm, and an algorithm without a key is refused. Times are judged by the backend's own
clock, handed in, never by one that a library reads; `nbf` with some leeway, since the clock of who
signs is another one (RFC 7519, section 4.1.5).
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import attrs

from support_chat.errors import AuthRefusedError, InvalidInputError
from support_chat.values import User, UserDict, can_be_carried, check_id

from ..extras import require

Algorithm: TypeAlias = Literal["HS256", "RS256", "ES256"]
"""The signature algorithms an identity token may use: a shared secret, or a key pair (RSA, or
P-256).
"""

AUDIENCE: Final = "clad_support_chat"
"""The `aud` of an identity token that has one."""
MAX_TOKEN_BYTES: Final = 16 * 1024
"""The longest token looked at."""
_LATEST: Final = 253_402_300_799
"""The end of the year 9999, in seconds since the epoch: a later time is a mistake, or an attack."""
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
    _require_pyjwt()
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
    leeway: float,
) -> Claims:
    """The claims of `token` if it is genuine, in force, and for this user, widget and workspace;
    else AuthRefusedError. `leeway` is how many seconds ahead the clock of who signed it may be.
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
    if not_before is not None and not_before > now + leeway:
        raise _invalid("it is not in force yet ('nbf')", "not_yet_valid")
    if expires <= now:
        raise AuthRefusedError(
            "The identity token has expired; present a fresh one.",
            code="auth_expired",
            recoverable=True,
        )
    known = {name: payload.get(name) for name in ("email", "name", "company_id")}
    details = {
        name: value
        for name, value in known.items()
        if isinstance(value, str) and can_be_carried(value)
    }
    return Claims(user_id, expires, details)


def _payload(token: str, keys: Sequence[IdentityKey]) -> dict[str, object]:
    _require_pyjwt()
    import jwt

    if len(token) > MAX_TOKEN_BYTES:
        raise _invalid(f"it is longer than {MAX_TOKEN_BYTES} bytes", "too_long")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
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
    # compared as it is: an int may be too large for any float, a float may be no number
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not -_LATEST <= value <= _LATEST
    ):
        raise _invalid(f"its {name!r} is not a number of seconds since 1970", f"wrong_{name}")
    return float(value)


def _invalid(what: str, reason: str) -> AuthRefusedError:
    return AuthRefusedError(
        f"The identity token is not accepted: {what}; have your backend mint one for this user, "
        "widget and workspace.",
        code="invalid_token",
        reason=reason,
    )


def _require_pyjwt() -> None:
    """Called before `import jwt`: only signed-in users need it, so it is an extra."""
    require("jwt", extra="backend", purpose="Identity tokens are signed and verified with PyJWT")

"""Identity tokens: what the customer's backend signs, and everything that is refused.

Tokens are presented the way a client presents them: to a Backend, on a dial as a user.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from support_chat.errors import AuthRefusedError, InvalidInputError
from support_chat.ports import Credentials
from support_chat.values import SignedIn, User
from support_chat_adapters.backend import (
    Algorithm,
    Backend,
    IdentityKey,
    WidgetRules,
    sign_identity_token,
)

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
OTHER_SECRET = "fedcba9876543210fedcba9876543210"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}


def _pem_pair(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> tuple[str, str]:
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return secret.decode(), public.decode()


EC_PRIVATE, EC_PUBLIC = _pem_pair(ec.generate_private_key(ec.SECP256R1()))
RSA_PRIVATE, RSA_PUBLIC = _pem_pair(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def backend(*keys: IdentityKey, now: float = NOW) -> Backend:
    return Backend(**WIDGET, keys=keys or (IdentityKey("HS256", SECRET),), clock=lambda: now)


def dial(token: str, *keys: IdentityKey, now: float = NOW) -> str | None:
    """Who the backend takes the holder of `token`, who asks to be ann, for."""
    with backend(*keys, now=now) as b:
        credentials = Credentials(**WIDGET, visitor="visitor-secret", user_id="ann", token=token)
        return b.open(credentials).welcome.user_id


def refusal(token: str, *keys: IdentityKey, now: float = NOW) -> tuple[str, str | None]:
    """Code and reason of the refusal that `token` meets."""
    with pytest.raises(AuthRefusedError) as caught:
        dial(token, *keys, now=now)
    assert not token or token not in str(caught.value) + repr(caught.value)
    return caught.value.code, caught.value.reason


def claims(**changed: object) -> dict[str, Any]:
    """A good token's claims with some changed; one that is None is left out."""
    good: dict[str, object] = {"sub": "ann", **WIDGET, "exp": NOW + 900, "aud": "clad_support_chat"}
    return {name: value for name, value in (good | changed).items() if value is not None}


def raw_token(header: dict[str, object], payload: dict[str, object], signature: str = "") -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (header, payload)
    ]
    return ".".join([*parts, signature])


def test_a_signed_token_opens_a_session_of_its_user_with_each_algorithm() -> None:
    pairs: list[tuple[Algorithm, str, str]] = [
        ("HS256", SECRET, SECRET),
        ("RS256", RSA_PRIVATE, RSA_PUBLIC),
        ("ES256", EC_PRIVATE, EC_PUBLIC),
    ]
    for algorithm, private, public in pairs:
        token = sign_identity_token("ann", private, **WIDGET, now=NOW, algorithm=algorithm)
        assert dial(token, IdentityKey(algorithm, public)) == "ann"


def test_a_signed_token_says_who_for_which_widget_until_when_and_what_is_known() -> None:
    user = User("ann", email="ann@example.com", name="Ann")
    token = sign_identity_token(
        user, SECRET, **WIDGET, now=NOW, lifetime=60, company_id="acme-gmbh"
    )
    read = jwt.decode(
        token,
        SECRET,
        algorithms=["HS256"],
        options={"verify_exp": False, "verify_iat": False, "verify_aud": False},
    )
    assert len(read.pop("jti")) >= 16
    assert read == {
        "sub": "ann",
        "workspace_id": "acme",
        "widget_id": "help",
        "aud": "clad_support_chat",
        "iat": NOW,
        "exp": NOW + 60,
        "email": "ann@example.com",
        "name": "Ann",
        "company_id": "acme-gmbh",
    }


def test_no_two_tokens_are_the_same() -> None:
    assert sign_identity_token("ann", SECRET, **WIDGET, now=NOW) != sign_identity_token(
        "ann", SECRET, **WIDGET, now=NOW
    )


def test_what_is_not_known_of_a_user_is_not_in_the_token() -> None:
    for user in ("ann", User("ann"), User("ann", email=None), {"id": "ann", "email": None}):
        token = sign_identity_token(user, SECRET, **WIDGET, now=NOW)  # type: ignore[arg-type]
        read = jwt.decode(token, options={"verify_signature": False})
        assert not {"email", "name", "company_id"} & set(read), user


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"sub": "bob"}, ("invalid_token", "wrong_sub")),
        ({"sub": None}, ("invalid_token", "wrong_sub")),
        ({"sub": ["ann"]}, ("invalid_token", "wrong_sub")),
        ({"widget_id": "other"}, ("invalid_token", "wrong_widget_id")),
        ({"widget_id": None}, ("invalid_token", "wrong_widget_id")),
        ({"workspace_id": "other"}, ("invalid_token", "wrong_workspace_id")),
        ({"workspace_id": None}, ("invalid_token", "wrong_workspace_id")),
        ({"aud": "something_else"}, ("invalid_token", "wrong_aud")),
        ({"aud": ["something_else"]}, ("invalid_token", "wrong_aud")),
        ({"aud": []}, ("invalid_token", "wrong_aud")),
        ({"aud": {}}, ("invalid_token", "wrong_aud")),
        ({"exp": None}, ("invalid_token", "no_exp")),
        ({"exp": "tomorrow"}, ("invalid_token", "wrong_exp")),
        ({"exp": True}, ("invalid_token", "wrong_exp")),
        ({"exp": float("inf")}, ("invalid_token", "wrong_exp")),
        ({"exp": float("nan")}, ("invalid_token", "wrong_exp")),
        ({"exp": NOW}, ("auth_expired", None)),
        ({"exp": NOW - 1}, ("auth_expired", None)),
        ({"exp": 2**63}, ("invalid_token", "wrong_exp")),
        ({"exp": 10**400}, ("invalid_token", "wrong_exp")),
        ({"exp": -(10**400)}, ("invalid_token", "wrong_exp")),
        ({"nbf": 10**400}, ("invalid_token", "wrong_nbf")),
        ({"nbf": NOW + 61}, ("invalid_token", "not_yet_valid")),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(
    changed: dict[str, object], expected: tuple[str, str]
) -> None:
    token = jwt.api_jws.encode(json.dumps(claims(**changed)).encode(), SECRET, algorithm="HS256")
    assert refusal(token) == expected


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"aud": None},
        {"aud": ["x", "clad_support_chat"]},
        {"nbf": NOW},
        {"nbf": NOW + 60},
        {"iat": NOW + 3600},
        {"exp": NOW + 0.5},
    ],
)
def test_a_token_may_have_no_audience_and_an_issuer_whose_clock_is_ahead(
    changed: dict[str, object],
) -> None:
    assert dial(jwt.encode(claims(**changed), SECRET, algorithm="HS256")) == "ann"


FORGERIES: dict[str, Callable[[], str]] = {
    "alg none, no signature": lambda: raw_token({"alg": "none", "typ": "JWT"}, claims()),
    "alg None in capitals": lambda: raw_token({"alg": "NONE"}, claims()),
    "no alg at all": lambda: raw_token({"typ": "JWT"}, claims()),
    "alg that is no text": lambda: raw_token({"alg": ["HS256"]}, claims()),
    "right alg, no signature": lambda: raw_token({"alg": "HS256"}, claims()),
    "another secret": lambda: jwt.encode(claims(), OTHER_SECRET, algorithm="HS256"),
    "an algorithm without a key": lambda: jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
    "another's key pair": lambda: jwt.encode(
        claims(), _pem_pair(ec.generate_private_key(ec.SECP256R1()))[0], algorithm="ES256"
    ),
    "two parts": lambda: jwt.encode(claims(), SECRET, algorithm="HS256").rpartition(".")[0],
    "a changed payload": lambda: _with_payload(
        jwt.encode(claims(sub="bob"), SECRET, algorithm="HS256"), claims()
    ),
    "a payload that is no mapping": lambda: jwt.api_jws.encode(
        b'["ann"]', SECRET, algorithm="HS256"
    ),
    "a payload that is no JSON": lambda: jwt.api_jws.encode(b"ann", SECRET, algorithm="HS256"),
    "bytes beyond ASCII": lambda: "ü.ü.ü",
    "a lone surrogate": lambda: "\ud800.e30.e30",
    "a header nested too deep": lambda: ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b"[" * 9000, b"{}", b"x")
    ),
    "a payload nested too deep": lambda: jwt.api_jws.encode(b"[" * 9000, SECRET, algorithm="HS256"),
    "nothing": lambda: "",
    "17 KiB": lambda: jwt.encode(claims(filler="x" * 17 * 1024), SECRET, algorithm="HS256"),
}


def _with_payload(token: str, payload: dict[str, object]) -> str:
    header, _, signature = token.split(".")
    return ".".join([header, raw_token({}, payload).split(".")[1], signature])


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_or_broken_token_is_refused(forge: Callable[[], str]) -> None:
    assert (
        refusal(forge(), IdentityKey("HS256", SECRET), IdentityKey("ES256", EC_PUBLIC))[0]
        == "invalid_token"
    )


def test_a_public_key_is_no_shared_secret() -> None:
    """The classic confusion: an HMAC made with the public key, where both algorithms are
    trusted.
    """
    header, payload = raw_token({"alg": "HS256", "typ": "JWT"}, claims()).split(".")[:2]
    signature = jwt.get_algorithm_by_name("HS256").sign(
        f"{header}.{payload}".encode(), RSA_PUBLIC.encode()
    )
    forged = f"{header}.{payload}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert refusal(forged, IdentityKey("RS256", RSA_PUBLIC)) == ("invalid_token", "wrong_alg")
    keys = (IdentityKey("RS256", RSA_PUBLIC), IdentityKey("HS256", SECRET))
    assert refusal(forged, *keys) == ("invalid_token", "wrong_signature")


def test_while_keys_change_a_token_of_either_key_is_good_and_kid_picks_one() -> None:
    old, new = IdentityKey("HS256", SECRET, "old"), IdentityKey("HS256", OTHER_SECRET, "new")
    for secret, key_id in (
        (SECRET, None),
        (OTHER_SECRET, None),
        (SECRET, "old"),
        (OTHER_SECRET, "new"),
    ):
        assert (
            dial(sign_identity_token("ann", secret, **WIDGET, now=NOW, key_id=key_id), old, new)
            == "ann"
        )
    crossed = sign_identity_token("ann", SECRET, **WIDGET, now=NOW, key_id="new")
    assert refusal(crossed, old, new) == ("invalid_token", "wrong_signature")


def test_how_far_the_clock_of_a_signer_may_be_ahead_is_a_rule_of_the_widget() -> None:
    token = jwt.encode(claims(nbf=NOW + 90), SECRET, algorithm="HS256")
    credentials = Credentials(**WIDGET, visitor="v", user_id="ann", token=token)
    for leeway, accepted in ((120.0, True), (90.0, True), (89.0, False), (0.0, False)):
        rules = WidgetRules(clock_leeway=leeway)
        keys = [IdentityKey("HS256", SECRET)]
        with Backend(**WIDGET, keys=keys, rules=rules, clock=lambda: NOW) as b:
            if accepted:
                assert b.open(credentials).welcome.user_id == "ann"
            else:
                with pytest.raises(AuthRefusedError, match="not in force yet"):
                    b.open(credentials)


def test_what_a_token_says_of_its_user_is_left_out_where_it_cannot_be_stored() -> None:
    token = jwt.encode(
        claims(email="ann@example.com\0", name="cut \ud83d"), SECRET, algorithm="HS256"
    )
    with backend() as b:
        b.open(Credentials(**WIDGET, visitor="v", user_id="ann", token=token))
        assert b.agent.traits(SignedIn("ann")) == {}


def test_without_a_key_no_token_is_believed() -> None:
    token = sign_identity_token("ann", SECRET, **WIDGET, now=NOW)
    with Backend(**WIDGET, clock=lambda: NOW) as b, pytest.raises(AuthRefusedError) as caught:
        b.open(Credentials(**WIDGET, visitor="v", user_id="ann", token=token))
    assert caught.value.reason == "wrong_alg"


def test_expiry_is_judged_by_the_backends_clock() -> None:
    token = sign_identity_token("ann", SECRET, **WIDGET, now=NOW, lifetime=900)
    assert dial(token, now=NOW + 899) == "ann"
    assert refusal(token, now=NOW + 900)[0] == "auth_expired"


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("HS256", "x" * 31),
        ("none", SECRET),
        ("HS512", SECRET * 2),
        ("RS256", "no PEM"),
        ("ES256", "no PEM"),
        ("RS256", EC_PUBLIC),
    ],
    ids=[
        "short",
        "no algorithm",
        "short for HS512",
        "no PEM for RSA",
        "no PEM for EC",
        "EC for RSA",
    ],
)
def test_a_key_that_cannot_serve_is_refused_when_it_is_given_and_not_shown(
    algorithm: Any, key: str
) -> None:
    for make in (
        lambda: IdentityKey(algorithm, key),
        lambda: sign_identity_token("ann", key, **WIDGET, algorithm=algorithm),
    ):
        with pytest.raises(InvalidInputError) as caught:
            make()
        assert key not in str(caught.value)


def test_keys_hide_their_secret() -> None:
    assert SECRET not in repr(IdentityKey("HS256", SECRET))


@pytest.mark.parametrize(
    "wrong",
    [
        {"user": ""},
        {"user": {}},
        {"user": {"id": 7}},
        {"lifetime": 0.0},
        {"lifetime": float("nan")},
        {"widget_id": ""},
    ],
)
def test_nothing_is_signed_for_nobody_or_for_no_time(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"user": "ann", "secret": SECRET, **WIDGET}
    with pytest.raises(InvalidInputError):
        sign_identity_token(**(good | wrong))


def test_without_pyjwt_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)  # as if it were not installed
    with pytest.raises(ModuleNotFoundError, match=r'pip install "support-chat\[backend\]"'):
        sign_identity_token("ann", SECRET, **WIDGET)
    with Backend(**WIDGET) as b:
        assert b.open(Credentials(**WIDGET, visitor="v")).welcome.user_id is None, (
            "visitors need no PyJWT"
        )

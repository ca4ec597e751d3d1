"""What a client may read of an identity token, as a table: whose it is, how long it lives, and what
is no token at all.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from support_chat import TokenProviderError, TokenRefusedError
from support_chat.lifecycle.tokens import LONGEST_LIFE, MAX_TOKEN_BYTES, Token, read_token

WALL = 1_700_000_000.0
USER = "user_1"


def encoded(payload: bytes) -> str:
    return base64.urlsafe_b64encode(payload).decode().rstrip("=")


def jwt(**claims: Any) -> str:
    return with_payload(json.dumps({"sub": USER, **claims}).encode())


def with_payload(payload: bytes) -> str:
    return f"header.{encoded(payload)}.signature"


def read(raw: object, *, user_id: str = USER, spent: bytes | None = None) -> Token:
    return read_token(raw, user_id=user_id, spent=spent, wall=WALL)


LIVES: tuple[tuple[str, str, float | None], ...] = (
    ("issued and expiring: the wall clock does not matter", jwt(iat=10, exp=310), 300.0),
    (
        "issued in what this clock takes for the future",
        jwt(iat=WALL + 9e6, exp=WALL + 9e6 + 60),
        60.0,
    ),
    ("no iat: the wall clock has to do", jwt(exp=WALL + 60), 60.0),
    ("no iat, expired: it is used once whatever the clock says", jwt(exp=WALL - 60), 0.0),
    ("expired before it was issued", jwt(iat=100, exp=50), 0.0),
    ("fractions of a second", jwt(iat=0.5, exp=1.75), 1.25),
    ("no exp", jwt(iat=WALL), None),
    ("no claim of time at all", jwt(), None),
    ("a life that nobody believes", jwt(iat=0, exp=10**30), LONGEST_LIFE),
    ("an exp beyond what a float holds", jwt(exp=10**400), None),
    (
        "an iat beyond what a float holds: the wall clock has to do",
        jwt(iat=10**400, exp=WALL + 5),
        5.0,
    ),
    ("two numbers whose difference overflows", jwt(iat=-1.7e308, exp=1.7e308), LONGEST_LIFE),
    ("an exp before the beginning of time", jwt(iat=0, exp=-(10**300)), 0.0),
    ("a true exp is no number", jwt(iat=0, exp=True), None),
    ("a false iat is no number", jwt(iat=False, exp=WALL + 5), 5.0),
    ("an exp in text", jwt(exp="300"), None),
    ("an exp that is null", jwt(exp=None), None),
    ("an exp in a list", jwt(exp=[300]), None),
    ("an infinite exp, which is no JSON either", with_payload(b'{"exp": Infinity}'), None),
    ("an exp that is not a number", with_payload(b'{"exp": NaN}'), None),
    (
        "an exp of more digits than Python reads",
        with_payload(b'{"exp": ' + b"9" * 5000 + b"}"),
        None,
    ),
    # opaque tokens
    ("a plain secret", "opaque", None),
    ("two parts", "a.b", None),
    ("five parts, as an encrypted one has", "a.b.c.d.e", None),
    ("empty parts", "..", None),
    ("a payload that is not base64", "h.!!!!.s", None),
    ("a payload of a length that base64 never has", "h.abcde.s", None),
    ("a payload with text beyond ASCII", "h.äöü.s", None),
    ("a payload that is not JSON", with_payload(b"{sub: user_2}"), None),
    ("a payload that is not UTF-8", with_payload(bytes([0xFF, 0xFE, 0xFD, 0x00])), None),
    ("a payload that is no object", with_payload(b"[1, 2]"), None),
    ("a payload that is a number", with_payload(b"5"), None),
    ("a payload nested beyond any reader", with_payload(b"[" * 11_000), None),
    ("claims within claims are not ours", jwt(nested={"sub": "user_2", "exp": 5}), None),
)


@pytest.mark.parametrize(("case", "raw", "life"), LIVES, ids=[case for case, _, _ in LIVES])
def test_a_token_lives_as_long_as_it_says_within_reason(
    case: str, raw: str, life: float | None
) -> None:
    token = read(raw)
    assert token.value == raw
    assert token.life == life


NO_TOKENS: tuple[tuple[str, object, str], ...] = (
    ("None", None, "returned NoneType"),
    ("bytes", b"header.payload.signature", "returned bytes"),
    ("a dict with the token inside", {"token": jwt()}, "returned dict"),
    ("a number", 5, "returned int"),
    ("an empty str", "", "empty str"),
    ("one byte too many", "x" * (MAX_TOKEN_BYTES + 1), "16385 bytes"),
    ("one byte too many, in fewer characters", "ä" * (MAX_TOKEN_BYTES // 2) + "x", "16385 bytes"),
    ("half a surrogate pair", "a\ud800b", "not UTF-8"),
)


@pytest.mark.parametrize(("case", "raw", "said"), NO_TOKENS, ids=[case for case, _, _ in NO_TOKENS])
def test_what_is_no_token_is_a_failure_of_the_provider_and_no_refusal(
    case: str, raw: object, said: str
) -> None:
    with pytest.raises(TokenProviderError, match=said) as raised:
        read(raw)
    assert raised.value.recoverable


def test_the_largest_token_is_one() -> None:
    assert read("x" * MAX_TOKEN_BYTES).life is None


@pytest.mark.parametrize("subject", ["user_2", "", "USER_1", "user_1 ", "user_１"])
def test_a_token_of_another_user_is_refused_before_it_is_sent(subject: str) -> None:
    with pytest.raises(TokenRefusedError, match="another user") as raised:
        read(jwt(sub=subject, exp=WALL + 60))
    assert not subject or subject not in str(raised.value)


@pytest.mark.parametrize("subject", [None, 1, True, ["user_2"], {"id": "user_2"}])
def test_a_sub_that_is_no_text_is_left_to_the_backend(subject: object) -> None:
    assert read(jwt(sub=subject)).life is None


def test_the_very_bytes_that_the_backend_refused_are_refused_here() -> None:
    for raw in (jwt(exp=WALL + 60), "opaque"):
        refused = read(raw).digest
        with pytest.raises(TokenRefusedError, match="same one again") as raised:
            read(raw, spent=refused)
        assert raised.value.code == "auth_expired"
        assert read(raw + "x", spent=refused).value == raw + "x"
        assert read(raw, spent=None).value == raw


def test_what_is_remembered_of_a_refused_token_does_not_let_anybody_use_it() -> None:
    token = read("opaque")
    assert len(token.digest) == 32
    assert b"opaque" not in token.digest


@pytest.mark.parametrize(
    "raw", [jwt(sub="user_2", email="r@example.com"), "s3cret" * 3000, "s3cret\ud800"]
)
def test_no_error_shows_a_token_or_a_claim(raw: str) -> None:
    with pytest.raises((TokenRefusedError, TokenProviderError)) as raised:
        read(raw)
    shown = f"{raised.value} {raised.value!r} {raised.value.__dict__}"
    for secret in (raw, "s3cret", "user_2", "r@example.com"):
        assert secret not in shown


def test_the_repr_of_a_token_does_not_show_it() -> None:
    assert "s3cret" not in repr(Token("s3cret", 5.0))


@given(
    raw=st.one_of(
        st.text(max_size=60),
        st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True),
    )
)
def test_any_text_is_a_token_or_one_of_the_two_errors(raw: str) -> None:
    try:
        token = read(raw)
    except (TokenProviderError, TokenRefusedError):
        return
    assert token.value == raw
    assert token.life is None or 0.0 <= token.life <= LONGEST_LIFE


@given(
    claims=st.dictionaries(
        st.sampled_from(("exp", "iat")),
        st.one_of(st.floats(), st.integers(), st.booleans(), st.text()),
    )
)
def test_any_claims_of_time_give_a_life_that_can_be_computed_with(claims: dict[str, Any]) -> None:
    life = read(jwt(**claims)).life
    assert life is None or 0.0 <= life <= LONGEST_LIFE

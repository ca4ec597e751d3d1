"""What no request may hold is a 422 over HTTP, never a 500; all else comes back as it was sent."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import jwt
import pytest

from served import Served
from support_chat_adapters.backend.server.key_file import identity_secret
from widget_client import BASE, WidgetClient, problem

HALF: Final = "half \ud83d"
"""JSON can write it, and UTF-8 cannot carry it."""


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def message(**more: object) -> dict[str, object]:
    return {"message": "hello", "clientMessageId": f"m-{time.monotonic_ns()}", **more}


@pytest.mark.parametrize(
    "wrong",
    [
        {"message": HALF},
        {"message": "a\0b"},
        {"message": " \n"},
        {"subject": HALF},
        {"subject": "a\0b"},
        {"tags": ["a\0b"]},
        {"clientMessageId": " padded"},
        {"clientMessageId": "a\nb"},
        {"customFields": {"a": {"b": ["\0"]}}},
        {"customFields": {"a": HALF}},
        {"metadata": {"a": nested(120)}},
        {"metadata": {"a": nested(600)}},
    ],
)
def test_what_cannot_be_stored_is_refused(client: WidgetClient, wrong: dict[str, object]) -> None:
    client.begin()
    body = json.dumps(message(**wrong)).encode()
    answer = client.http.post(
        f"{BASE}/conversations", content=body, headers={"authorization": f"Bearer {client.session}"}
    )
    assert problem(answer)[0] == 422
    assert client.get("/conversations").json()["conversations"] == []


@pytest.mark.parametrize("user", [" ", "ada ", "a\tb", "a\0b"], ids=ascii)
def test_a_user_whose_id_is_none_is_refused(client: WidgetClient, user: str) -> None:
    answer = client.post("/sessions/anonymous", client.opening(identity={"userId": user}))
    assert problem(answer)[:2] == (422, "validation_error")


@pytest.mark.parametrize("exp", [2**63, 10**400, -(10**400)], ids=["2^63", "10^400", "-10^400"])
def test_a_token_that_never_ends_is_refused(shared: Served, client: WidgetClient, exp: int) -> None:
    claims = {"sub": "ada", "workspace_id": "demo", "widget_id": "web", "exp": exp}
    secret = identity_secret(shared.db.with_name(f"{shared.db.name}.key"))
    token = jwt.api_jws.encode(json.dumps(claims).encode(), secret, algorithm="HS256")
    identity = {"userId": "ada", "token": token}
    answer = client.post("/sessions/anonymous", client.opening(identity=identity))
    assert problem(answer) == (401, "invalid_token", "wrong_exp")


@pytest.mark.parametrize(
    "text", [" e\u0301 é ", "\u200d\u202e", "ﬁ\u00a0𝒳\r\n\t", "👩‍🚀"], ids=ascii
)
def test_all_else_comes_back_as_it_was_sent(client: WidgetClient, text: str) -> None:
    client.begin()
    sent = message(
        message=f"x{text}", subject=text, tags=[text], customFields={text: [text, nested(90)]}
    )
    begun = client.post("/conversations", sent).raise_for_status().json()
    assert begun["message"]["text"] == sent["message"]
    (listed,) = client.get("/conversations").json()["conversations"]
    for name in ("subject", "tags", "customFields"):
        assert listed[name] == begun["conversation"][name] == sent[name]

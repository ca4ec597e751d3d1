"""Where the tokens of a user come from."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode
from inspect import isawaitable
from pathlib import Path
from typing import Any, cast

import pytest

from support_chat import InvalidInputError, TokenProvider, TokenProviderError
from support_chat_adapters.backend.server.key_file import identity_secret
from support_chat_adapters.chat.person import from_key


def token_of(provider: TokenProvider) -> str:
    async def ask() -> str:
        answer = provider()
        return await answer if isawaitable(answer) else answer

    return asyncio.run(ask())


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return cast("dict[str, Any]", json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def test_a_token_is_minted_anew_for_each_renewal_and_for_the_user_who_is_asked_for(
    tmp_path: Path,
) -> None:
    identity_secret(tmp_path / "chat.db.key")
    provider_for = from_key(tmp_path / "chat.db.key", workspace_id="demo", widget_id="web")
    ada = provider_for("ada")
    first, second = token_of(ada), token_of(ada)
    assert first != second
    assert [claims(token)["sub"] for token in (first, second, token_of(provider_for("bob")))] == [
        "ada",
        "ada",
        "bob",
    ]
    assert {claims(first)["workspace_id"], claims(first)["widget_id"]} == {"demo", "web"}


def test_a_key_that_is_not_there_is_missed_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "chat.db.key"
    provider_for = from_key(path, workspace_id="demo", widget_id="web")
    with pytest.raises(InvalidInputError, match=r"chat\.db\.key here to mint a token for ada"):
        provider_for("ada")
    identity_secret(path)
    provider = provider_for("ada")
    path.unlink()
    with pytest.raises(TokenProviderError, match="bring it back"):
        token_of(provider)
    assert not path.exists()

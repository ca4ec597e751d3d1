"""After `shutdown(clear_storage=True)` nothing of the user is left, in whatever the storage writes
to; and only its scope is gone.

Told through the real session and the embedded backend, over every storage. What is looked for are
bytes, not keys.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from base64 import b64encode
from typing import Any

import pytest

from async_tests import LIMIT
from storages import Place
from support_chat import Phase, SupportChat, User
from support_chat.ports import Storage
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.transport import LoopbackTransport

KINDS = ["memory", "file", "sqlite", "redis", "keyring", "mapping", "shelf"]
OURS = "support-chat/ws_1/wgt_1/default/visitor"
THEIRS = "support-chat/ws_1/wgt_1/default2/visitor"
USER = "user_9f27c1"
EMAIL = "rachel.9f27c1@example.com"


def written(text: str) -> list[bytes]:
    """The text as it may lie in a file: as it is, as JSON escapes it, or as a keyring on a file
    encodes it (at any offset).
    """
    encoded = [
        b64encode(b"\0" * shift + text.encode())[4 if shift else 0 : -4] for shift in range(3)
    ]
    return [text.encode(), json.dumps(text).encode(), *encoded]


def found_in(place: Place, words: list[str]) -> list[tuple[str, str]]:
    left = place.left()
    return [
        (name, word)
        for word in words
        for name, content in left.items()
        if any(form in content for form in written(word))
    ]


@pytest.mark.parametrize("place", KINDS, indirect=True)
def test_a_cleared_session_leaves_no_byte_of_its_user(place: Place) -> None:
    tokens: list[str] = []
    visitors: list[str] = []
    secret = secrets.token_urlsafe(32)

    def fetch_token() -> str:
        tokens.append(sign_identity_token(USER, secret, workspace_id="ws_1", widget_id="wgt_1"))
        return tokens[-1]

    async def note_visitor(storage: Storage) -> None:
        visitors.append(await storage.get(OURS) or "")

    async def live(storage: Storage) -> None:
        widget: Any = {"workspace_id": "ws_1", "widget_id": "wgt_1"}
        with Backend(**widget, keys=[IdentityKey("HS256", secret)]) as backend:
            transport = LoopbackTransport(backend)
            await talk(storage, SupportChat(**widget, transport=transport, storage=storage))

    async def talk(storage: Storage, chat: SupportChat) -> None:
        async with chat:
            await chat.boot()
            await note_visitor(storage)
            await chat.send_message("How do I export my data?")
            await chat.identify(
                user=User(USER, email=EMAIL, name="Rachel"), token_provider=fetch_token
            )
            await note_visitor(storage)
            assert len(set(visitors)) == 1, "a merge leaves the visitor's secret where it is"
            chat.update(user={"id": USER, "traits": {"role": "admin"}})
            assert chat.is_in(Phase.AUTHENTICATED)
            if place.kind not in ("memory", "mapping"):
                assert found_in(place, visitors), "the search must be able to find what is there"
            await chat.shutdown(clear_storage=True)

    async def main() -> None:
        storage = place.open()
        await storage.create(THEIRS, "somebody else's")
        await storage.create("another program's", "theirs")
        await live(storage)
        assert found_in(place, [USER, EMAIL, *tokens, *visitors]) == []
        assert await storage.get(THEIRS) == "somebody else's"
        assert sorted(await storage.keys()) == sorted([THEIRS, "another program's"])
        await storage.aclose()

    asyncio.run(asyncio.wait_for(main(), LIMIT))
    assert all(visitors)
    assert tokens
    assert found_in(place, [USER, EMAIL, *tokens, *visitors]) == []

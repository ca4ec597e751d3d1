"""Stories that random play found, told once more by hand: what an adapter does wrong or too late
harms nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from support_chat import Phase, SupportChat
from support_chat.errors import StorageError
from support_chat.ports import TokenExpired
from support_chat.testing import (
    RecordingStorage,
    RecordingTransport,
    ScriptedTokens,
    run,
    unsigned_token,
)

KEY = "support-chat/acme/help/default/visitor"

Story = Callable[[SupportChat, RecordingStorage, RecordingTransport], Coroutine[None, None, None]]


def on_stage(story: Story) -> None:
    async def main() -> None:
        storage, transport = RecordingStorage(), RecordingTransport()
        async with SupportChat(
            workspace_id="acme", widget_id="help", transport=transport, storage=storage
        ) as chat:
            await story(chat, storage, transport)

    run(main())


def test_a_dial_that_answers_something_that_is_no_link_is_a_failed_dial() -> None:
    """L3: the session tries again, instead of waiting for ever for what has come already."""

    async def story(
        chat: SupportChat, storage: RecordingStorage, transport: RecordingTransport
    ) -> None:
        await chat.boot()
        transport.answer_next("open", 42)
        transport.link.lose()
        await asyncio.sleep(60)
        assert chat.state is Phase.ANONYMOUS

    on_stage(story)


def test_a_clear_over_its_limit_does_not_delete_what_a_later_boot_has_stored() -> None:
    """S2, S19: the storage swallows the cancellation and answers at last; the clear, which was
    superseded, goes no further.
    """

    async def story(
        chat: SupportChat, storage: RecordingStorage, transport: RecordingTransport
    ) -> None:
        await chat.boot()
        storage.hold("keys", stubborn=True)
        with pytest.raises(StorageError):
            await chat.shutdown(clear_storage=True)
        [late] = storage.waiting("keys")
        boot = chat.boot()
        await asyncio.sleep(0)
        for pending in storage.waiting("keys"):
            assert pending is late or pending.succeed()
        await boot
        assert late.succeed([KEY])
        storage.release("keys")
        await asyncio.sleep(1)
        assert list(await storage.keys()) == [KEY]

    on_stage(story)


def test_a_token_that_expires_during_a_renewal_that_fails_is_renewed_again() -> None:
    """S27, L6: there is no token left to say when, and yet another one is fetched."""

    async def story(
        chat: SupportChat, storage: RecordingStorage, transport: RecordingTransport
    ) -> None:
        tokens = ScriptedTokens(lambda n: unsigned_token(sub="ann", iat=0, exp=900, jti=str(n)))
        await chat.boot(user={"id": "ann"}, token_provider=tokens)
        tokens.hold("fetch")
        await asyncio.sleep(841)
        [renewal] = tokens.waiting("fetch")
        transport.link.emit(TokenExpired())
        await asyncio.sleep(1)
        renewal.fail(OSError("the customer's backend is down"))
        tokens.release("fetch")
        await asyncio.sleep(60)
        assert len(tokens.log.of("tokens.fetch")) == 3

    on_stage(story)

"""What may answer a send in the backend's place, over real HTTP: only a backend refuses a message
for good, and whatever else comes, it is stored once and in its place.
"""

from __future__ import annotations

import asyncio

import pytest

from dialling import on_loop, transport_to
from served import WIDGET, WORKSPACE, Served
from story import IMPATIENT, LIMIT
from support_chat import BackendRejectedError, MessageFailed, SupportChat
from support_chat_adapters import wire_faults as wire
from support_chat_adapters.storage import MemoryStorage

PAGE = b"<html><title>A proxy</title></html>"
REFUSAL = b'{"error": {"code": "message_invalid", "message": "No.", "recoverable": false}}'
SOON = (("retry-after", "0.1"),)
NOT_FINAL: dict[str, wire.Fault] = {
    "200 with a page": wire.Status("POST", "*", 200, PAGE),
    "408": wire.Status("POST", "*", 408, PAGE),
    "413 of a proxy": wire.Status("POST", "*", 413, PAGE),
    "422 of a proxy": wire.Status("POST", "*", 422, PAGE),
    "425": wire.Status("POST", "*", 425, PAGE),
    "429": wire.Status("POST", "*", 429, b"", SOON),
    "503": wire.Status("POST", "*", 503, PAGE, SOON),
    "503 without a time": wire.Status("POST", "*", 503, PAGE),
    "520": wire.Status("POST", "*", 520, PAGE),
    "an answer lost by a reset": wire.Swallow("POST", "*", "reset"),
    "an answer lost in silence": wire.Swallow("POST", "*", "silence"),
    "a request done twice": wire.Duplicate("POST", "*"),
}


@on_loop
async def test_only_a_backend_refuses_a_message_for_good(backend: Served) -> None:
    proxy = wire.FaultProxy(backend.url)
    async with (
        asyncio.timeout(LIMIT),
        proxy,
        transport_to(proxy.url) as transport,
        SupportChat(
            workspace_id=WORKSPACE,
            widget_id=WIDGET,
            transport=transport,
            storage=MemoryStorage(),
            settings=IMPATIENT,
        ) as chat,
    ):
        failed: list[MessageFailed] = []
        chat.on(MessageFailed, failed.append)
        await chat.boot()
        conversation = (await chat.send_message("begun")).conversation_id
        for what, fault in NOT_FINAL.items():
            proxy.plan(fault)
            call = chat.send_message(what, conversation)
            behind = chat.send_message(f"behind {what}", conversation)
            assert (await call).text == what
            await behind
        assert failed == []
        proxy.plan(wire.Status("POST", "*", 422, REFUSAL, (("content-type", "application/json"),)))
        refused = chat.send_message("refused", conversation)
        behind = chat.send_message("the last", conversation)
        with pytest.raises(BackendRejectedError):
            await refused
        await behind
        stored = [message.text for message in await chat.messages(conversation)]
        pairs = [text for what in NOT_FINAL for text in (what, f"behind {what}")]
        assert stored == ["begun", *pairs, "the last"]
        assert [event.text for event in failed] == ["refused"]

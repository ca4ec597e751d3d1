"""The first half of the story: a visitor asks something, signs in as Ada, and is described by what
she does.

Each scene finds the session as the one before left it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from support_chat import IdentityConflictError, MessageReceived, Phase, Visitor

from .stage import Stage, refusal
from .world import ADA, SIGNED_IN

ROUNDS: Final = 5
"""Of updates..."""
EACH: Final = 10
"""... with so many calls in each."""


async def a_visitor_asks(stage: Stage) -> None:
    """Load, boot, a message, an answer."""
    chat, backend = stage.chat, stage.world.backend
    async with stage.step("chat = SupportChat(...)") as step:
        step.check(
            "an object, and nothing else yet: no file, no link, no task",
            phase=(chat.state, Phase.NOT_INITIALIZED),
            files=([path.name for path in stage.folder.iterdir()], []),
        )
    async with stage.step("await chat.load()") as step:
        await chat.load()
        step.check(
            "the storage works; the network was not touched",
            phase=(chat.state, Phase.READY),
            dials=(stage.dials, 0),
        )
    async with stage.step("await chat.boot()") as step:
        who = await chat.boot()
        step.check(
            "live as a visitor: one dial, one link",
            phase=(chat.state, Phase.ANONYMOUS),
            identity=(type(who), Visitor),
            dials=(stage.dials, 1),
            links=(backend.log.open_links, 1),
        )
    async with stage.step('await chat.send_message("Where is my order?")') as step:
        sent = await chat.send_message("Where is my order?")
        desk = backend.agent.messages(sent.conversation_id)
        step.check(
            "the agent has it on the desk",
            texts=([message.text for message in desk], ["Where is my order?"]),
        )
    async with stage.step("the agent answers") as step:
        backend.agent.reply(sent.conversation_id, "On its way!")
        await stage.until(lambda: bool(stage.events(MessageReceived)))
        step.check(
            "the answer arrives as an event, without asking for it",
            texts=(stage.received(), ["On its way!"]),
        )


async def calls_overlap(stage: Stage) -> None:
    """Calls made while others are under way, which published SDKs of this field get wrong."""
    chat, backend = stage.chat, stage.world.backend
    before = chat.identity
    async with stage.step("await chat.shutdown()") as step:
        await chat.shutdown()
        step.check(
            "nobody is live, and the link is gone",
            phase=(chat.state, Phase.SHUTDOWN),
            identity=(chat.identity, None),
            links=(backend.log.open_links, 0),
        )
    dials = stage.dials
    async with stage.step("chat.boot(), chat.boot(), chat.boot(user=ada), all at once") as step:
        first, second, other = chat.boot(), chat.boot(), chat.boot(user=ADA)
        error = await refusal(other)
        both = await asyncio.gather(first, second)
        step.check(
            f"the first two share one dial; the third is told: {error}",
            visitors=(both, [before, before]),
            dials=(stage.dials - dials, 1),
            refused=(type(error), IdentityConflictError),
        )
    async with stage.step(
        "await chat.shutdown(); chat.boot(); chat.shutdown(); chat.boot()"
    ) as step:
        await chat.shutdown()
        calls = [chat.boot(), chat.shutdown(), chat.boot()]
        del calls  # nobody will ever await them
        await chat.wait_for(Phase.ANONYMOUS)
        step.check(
            "three calls that nobody awaits: live, with one link; the boot that lost says so as "
            "an event",
            phase=(chat.state, Phase.ANONYMOUS),
            links=(backend.log.open_links, 1),
            visitor=(chat.identity, before),
        )


async def the_visitor_signs_in(stage: Stage) -> None:
    """Identify, once as it should be and once with the reply lost on its way."""
    chat, backend, provider = (
        stage.chat,
        stage.world.backend,
        stage.world.customer.provider_for(ADA),
    )
    visitor, secret, dials = chat.identity, await stage.secret(), stage.dials
    async with stage.step("await chat.identify(user=ada, token_provider=...)") as step:
        result = await chat.identify(user=ADA, token_provider=provider)
        step.check(
            "Ada is signed in on the same link, and the conversation came along",
            identity=(chat.identity, SIGNED_IN),
            merged=(result.merged, True),
            moved=(result.conversations_moved, 1),
            new_dials=(stage.dials - dials, 0),
        )
    async with stage.step("look at the visitor") as step:
        became = backend.agent.merged_into(visitor) if isinstance(visitor, Visitor) else None
        step.check(
            "retired: the backend knows whom they became, the storage has a new secret",
            became=(became, SIGNED_IN),
            replaced=(await stage.secret() != secret, True),
        )
    async with stage.step("await chat.shutdown(); await chat.boot()") as step:
        await chat.shutdown()
        await chat.boot()
        seen = await chat.conversations()
        await chat.send_message("One more question")
        step.check(
            "a new visitor, who sees nothing of Ada's, and asks something too",
            conversations=(seen, []),
        )
    committed = backend.log.count("identified")
    async with stage.step(
        "await chat.identify(user=ada)   # the link breaks before the reply"
    ) as step:
        backend.faults.swallow("identify")
        result = await chat.identify(user=ADA, token_provider=provider)
        step.check(
            "the next link asks what became of it: signed in, once, and nothing guessed",
            identity=(chat.identity, SIGNED_IN),
            moved=(result.conversations_moved, 1),
            committed=(backend.log.count("identified") - committed, 1),
            learnt_by_the_dial=(backend.log.of("opened")[-1].detail, ("resumed", "committed")),
        )


async def fifty_updates(stage: Stage) -> None:
    """Many updates, few requests, the last value."""
    chat, log, settings = stage.chat, stage.world.backend.log, stage.world.pace.settings

    def sent(requests: int) -> bool:
        return log.count("updated") >= min(requests, settings.update_burst)

    async with stage.step(f"chat.update(...) {ROUNDS * EACH} times") as step:
        for page in range(ROUNDS):
            for click in range(EACH):
                stage.update(page=f"/page/{page + 1}", clicks=EACH * page + click + 1)
            await stage.until(partial(sent, page + 1))
        left = await chat.update(context={"page": f"/page/{ROUNDS}"})
        step.check(
            f"{settings.update_burst} requests have left, which is the limit; the rest waits "
            "together",
            requests=(log.count("update"), settings.update_burst),
            waits=(0 < left <= settings.update_window, True),
        )
    async with stage.step("wait until the limit allows another request") as step:
        await stage.until(lambda: log.count("updated") > settings.update_burst)
        await stage.round_trip()
        has = stage.world.backend.agent.traits(SIGNED_IN)
        step.check(
            "one more request; the backend has the last value of everything",
            requests=(log.count("update"), settings.update_burst + 1),
            page=(has.get("context.page"), f"/page/{ROUNDS}"),
            clicks=(has.get("context.clicks"), ROUNDS * EACH),
        )

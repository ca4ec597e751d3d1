"""The scenes: what the demo does to a session, in order, and what must come of it.

They are one story. A visitor asks something, signs in as Ada, loses the network, is locked out and let in again, and leaves. Each
scene finds the session as the one before left it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import attrs

from support_chat import (
    AuthExpired,
    IdentityConflictError,
    MessageReceived,
    Phase,
    PhaseChanged,
    SessionDestroyedError,
    SessionEndedError,
    SignedIn,
    User,
    Visitor,
)

from .stage import Stage, refusal

ADA: Final = User("ada", name="Ada", email="ada@example.com")
SIGNED_IN: Final = SignedIn(ADA.id)
ROUNDS: Final = 5
"""Of updates..."""
EACH: Final = 10
"""... with so many calls in each."""
LATE: Final = 0.5
"""How long the answer to a dial takes that is to come too late, in seconds."""


@attrs.frozen
class Scene:
    """A part of the demo: its title in plain words, and what is done."""

    title: str
    play: Callable[[Stage], Awaitable[None]]


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
        step.check("the storage works; the network was not touched", phase=(chat.state, Phase.READY), dials=(stage.dials, 0))
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
        step.check("the agent has it on the desk", texts=([message.text for message in desk], ["Where is my order?"]))
    async with stage.step("the agent answers") as step:
        backend.agent.reply(sent.conversation_id, "On its way!")
        await stage.until(lambda: bool(stage.events(MessageReceived)))
        step.check("the answer arrives as an event, without asking for it", texts=(stage.received(), ["On its way!"]))


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
    async with stage.step("await chat.shutdown(); chat.boot(); chat.shutdown(); chat.boot()") as step:
        await chat.shutdown()
        calls = [chat.boot(), chat.shutdown(), chat.boot()]
        del calls  # nobody will ever await them
        await chat.wait_for(Phase.ANONYMOUS)
        step.check(
            "three calls that nobody awaits: live, with one link; the boot that lost says so as an event",
            phase=(chat.state, Phase.ANONYMOUS),
            links=(backend.log.open_links, 1),
            visitor=(chat.identity, before),
        )


async def the_visitor_signs_in(stage: Stage) -> None:
    """Identify, once as it should be and once with the reply lost on its way."""
    chat, backend, provider = stage.chat, stage.world.backend, stage.world.customer.provider_for(ADA)
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
        step.check("a new visitor, who sees nothing of Ada's, and asks something too", conversations=(seen, []))
    committed = backend.log.count("identified")
    async with stage.step("await chat.identify(user=ada)   # the link breaks before the reply") as step:
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
            f"{settings.update_burst} requests have left, which is the limit; the rest waits together",
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


async def the_link_drops(stage: Stage) -> None:
    """A lost link, a message meanwhile, and a network that is known to be down."""
    chat, backend = stage.chat, stage.world.backend
    heard = len(stage.received())
    async with stage.step("the link breaks, and no dial gets through") as step:
        backend.faults.refuse_dials()
        backend.faults.drop_links()
        await chat.wait_for(Phase.RECONNECTING)
        step.check(
            "reconnecting; it is still Ada's session",
            phase=(chat.state, Phase.RECONNECTING),
            identity=(chat.identity, SIGNED_IN),
        )
    async with stage.step("an agent writes meanwhile; then dials get through again") as step:
        backend.agent.reply(SIGNED_IN, "Are you there?")
        stage.world.heal()
        await chat.wait_for(Phase.AUTHENTICATED)
        backend.agent.reply(SIGNED_IN, "Welcome back")
        await stage.until(lambda: stage.received()[-1:] == ["Welcome back"])
        step.check(
            "back, and what was missed arrived once and in order",
            phase=(chat.state, Phase.AUTHENTICATED),
            texts=(stage.received()[heard:], ["Are you there?", "Welcome back"]),
        )
    dials = stage.dials
    async with stage.step("chat.set_online(False)   # the platform says: no network") as step:
        backend.faults.refuse_dials()
        chat.set_online(False)
        at_once = chat.state
        await stage.until(lambda: stage.dials > dials)
        step.check(
            "disconnected at once; it only probes now and then",
            phase_at_once=(at_once, Phase.DISCONNECTED),
            phase_after_a_probe=(chat.state, Phase.DISCONNECTED),
        )
    async with stage.step("the network is back, and nobody says so") as step:
        stage.world.heal()
        await chat.wait_for(Phase.AUTHENTICATED)
        step.check("the next probe finds out", phase=(chat.state, Phase.AUTHENTICATED), identity=(chat.identity, SIGNED_IN))


async def the_token_expires(stage: Stage) -> None:
    """A renewal, and a refusal."""
    chat, backend, customer = stage.chat, stage.world.backend, stage.world.customer
    dials, calls = stage.dials, customer.calls
    async with stage.step("Ada's token expires") as step:
        backend.faults.expire_tokens(ADA.id)
        await stage.until(lambda: backend.log.count("renewed") == 1)
        await stage.round_trip()
        step.check(
            "a new one was fetched and presented on the same link",
            phase=(chat.state, Phase.AUTHENTICATED),
            told=(len(stage.events(AuthExpired)), 1),
            token_calls=(customer.calls - calls, 1),
            new_dials=(stage.dials - dials, 0),
        )
    async with stage.step("Ada is locked out, and her token expires") as step:
        customer.refusing = True
        backend.faults.expire_tokens(ADA.id)
        await chat.wait_for(Phase.SHUTDOWN)
        await asyncio.sleep(0)
        step.check(
            "her token is refused: the session ends, and nobody asks again",
            reason=(stage.events(PhaseChanged)[-1].reason, "auth_refused"),
            identity=(chat.identity, None),
            token_calls=(customer.calls - calls, 2),
        )
    async with stage.step("await chat.boot(user=ada)   # let in again") as step:
        customer.refusing = False
        await chat.boot(user={"id": ADA.id}, token_provider=customer.provider_for(ADA))
        step.check(
            "live at once as Ada, with both of her conversations",
            phase=(chat.state, Phase.AUTHENTICATED),
            conversations=(len(await chat.conversations()), 2),
        )


async def leaving_no_trace(stage: Stage) -> None:
    """What a shutdown keeps, and what a full clear leaves: nothing."""
    chat, storage = stage.chat, stage.storage
    key = "support-chat/demo/web/default/visitor"
    async with stage.step("await chat.shutdown()") as step:
        before = await storage.keys()
        await chat.shutdown()
        step.check(
            "nothing of Ada was ever stored; the visitor of this device is kept",
            keys_before=(before, [key]),
            keys_after=(await storage.keys(), [key]),
        )
    async with stage.step("await chat.boot(); await chat.shutdown(clear_storage=True)") as step:
        await chat.boot()
        secret = await stage.secret()
        found = stage.on_disk(secret)
        await chat.shutdown(clear_storage=True)
        step.check(
            "no key is left, and no byte of the visitor's secret in the file",
            on_disk_before=(found, True),
            on_disk_after=(stage.on_disk(secret), False),
            keys_after=(await storage.keys(), []),
        )


async def a_result_comes_too_late(stage: Stage) -> None:
    """A link that opens after the shutdown."""
    chat, backend, wire = stage.chat, stage.world.backend, stage.world.wire
    log = backend.log
    opened, revoked = log.count("opened"), log.count("revoked")
    async with stage.step("chat.boot(); await chat.shutdown()   # a dial is out and cannot be stopped") as step:
        wire.unstoppable = True
        backend.faults.delay(answer=LATE, operation="dial")
        boot = chat.boot()
        await stage.until(lambda: log.count("opened") > opened)
        await chat.shutdown()
        error = await refusal(boot)
        step.check(
            f"nobody is live; the boot is told: {error}",
            phase=(chat.state, Phase.SHUTDOWN),
            boot=(type(error), SessionEndedError),
        )
    async with stage.step("the link that nobody wants any more opens") as step:
        await stage.until(lambda: log.count("revoked") > revoked and log.open_links == 0)
        wire.unstoppable = False
        stage.world.heal()
        late = log.of("opened")[-1].session
        step.check(
            "closed, its session revoked, and nothing else has changed",
            phase=(chat.state, Phase.SHUTDOWN),
            closed=(log.of("closed")[-1].session, late),
            revoked=(log.of("revoked")[-1].session, late),
        )


async def the_end(stage: Stage) -> None:
    """Destroy."""
    chat, log = stage.chat, stage.world.backend.log
    async with stage.step("await chat.boot(); await chat.destroy()") as step:
        await chat.boot()
        await chat.destroy()
        step.check(
            "everything the session had opened is closed; the storage stays as it is",
            phase=(chat.state, Phase.DESTROYED),
            links=(log.open_links, 0),
            keys=(len(await stage.storage.keys()), 1),
        )
    async with stage.step("await chat.boot()") as step:
        error = await refusal(chat.boot())
        step.check(f"told: {error}", error=(type(error), SessionDestroyedError))
    async with stage.step("look back") as step:
        step.check(
            "all ten phases were visited, with never more than one link",
            phases=(len(stage.visited), len(Phase)),
            most_links=(log.max_open_links, 1),
        )


SCENES: Final = (
    Scene("A visitor asks, and an agent answers", a_visitor_asks),
    Scene("Calls overlap, and each still has one answer", calls_overlap),
    Scene("The visitor signs in, and keeps the conversation", the_visitor_signs_in),
    Scene("Fifty updates become a handful of requests", fifty_updates),
    Scene("The link drops, and nothing is missed", the_link_drops),
    Scene("The token expires, and then it is refused", the_token_expires),
    Scene("Leaving: what is kept, and how nothing is", leaving_no_trace),
    Scene("A result comes too late, and changes nothing", a_result_comes_too_late),
    Scene("The end", the_end),
)
"""The demo."""

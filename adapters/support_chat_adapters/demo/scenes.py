"""The scenes in their order: what the demo does to a session, and under which title.

They are one story: a visitor asks something, signs in as Ada, and is described by what she does;
Ada loses the network, is locked out and let in again, leaves, and nothing of her is left. Each
scene finds the session as the one before left it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from support_chat import (
    AuthExpired,
    IdentityConflictError,
    MessageReceived,
    Phase,
    PhaseChanged,
    SessionDestroyedError,
    SessionEndedError,
    Visitor,
)

from .environment import ADA, SIGNED_IN
from .play import Demo, Scenes

ROUNDS: Final = 5
"""Of updates..."""
EACH: Final = 10
"""... with so many calls in each."""
LATE: Final = 0.5
"""How long the answer to a dial takes that is to come too late, in seconds."""


async def a_visitor_asks(demo: Demo) -> None:
    """Load, boot, a message, an answer."""
    chat, backend = demo.chat, demo.environment.backend
    demo.step("chat = SupportChat(...)")
    await demo.check(
        "an object, and nothing else yet: no file, no link, no task",
        phase=(chat.state, Phase.NOT_INITIALIZED),
        files=([path.name for path in demo.folder.iterdir()], []),
    )
    demo.step("await chat.load()")
    await chat.load()
    await demo.check(
        "the storage works; the network was not touched",
        phase=(chat.state, Phase.READY),
        dials=(demo.dials, 0),
    )
    demo.step("await chat.boot()")
    who = await chat.boot()
    await demo.check(
        "live as a visitor: one dial, one link",
        phase=(chat.state, Phase.ANONYMOUS),
        identity=(type(who), Visitor),
        dials=(demo.dials, 1),
        links=(backend.log.open_links, 1),
    )
    demo.step('await chat.send_message("Where is my order?")')
    sent = await chat.send_message("Where is my order?")
    asked = backend.agent.messages(sent.conversation_id)
    await demo.check(
        "the agent has it",
        texts=([message.text for message in asked], ["Where is my order?"]),
    )
    demo.step("the agent answers")
    backend.agent.reply(who, "On its way!")
    await demo.until(lambda: bool(demo.events(MessageReceived)))
    await demo.check(
        "the answer arrives as an event, without asking for it",
        texts=([e.message.text for e in demo.events(MessageReceived)], ["On its way!"]),
    )


async def calls_overlap(demo: Demo) -> None:
    """Calls made while others are under way, which published SDKs of this field get wrong."""
    chat, backend = demo.chat, demo.environment.backend
    before = chat.identity
    demo.step("await chat.shutdown()")
    await chat.shutdown()
    await demo.check(
        "nobody is live, and the link is gone",
        phase=(chat.state, Phase.SHUTDOWN),
        identity=(chat.identity, None),
        links=(backend.log.open_links, 0),
    )
    dials = demo.dials
    demo.step("chat.boot(), chat.boot(), chat.boot(user=ada), all at once")
    first, second, other = chat.boot(), chat.boot(), chat.boot(user=ADA)
    [error] = await asyncio.gather(other, return_exceptions=True)
    both = await asyncio.gather(first, second)
    await demo.check(
        f"the first two share one dial; the third is refused: {error}",
        visitors=(both, [before, before]),
        dials=(demo.dials - dials, 1),
        refused=(type(error), IdentityConflictError),
    )
    demo.step("await chat.shutdown(); chat.boot(); chat.shutdown(); chat.boot()")
    await chat.shutdown()
    calls = [chat.boot(), chat.shutdown(), chat.boot()]
    del calls  # nobody will ever await them
    await chat.wait_for(Phase.ANONYMOUS)
    await demo.check(
        "three calls that nobody awaits: live, with one link; the boot that lost says so as "
        "an event",
        phase=(chat.state, Phase.ANONYMOUS),
        links=(backend.log.open_links, 1),
        visitor=(chat.identity, before),
    )


async def the_visitor_signs_in(demo: Demo) -> None:
    """Identify, once as it should be and once with the reply lost on its way."""
    chat, backend = demo.chat, demo.environment.backend
    visitor, secret, dials = chat.identity, await demo.secret(), demo.dials
    demo.step("await chat.identify(user=ada)")
    result = await chat.identify(user=ADA)
    await demo.check(
        "Ada is signed in on the same link, and the conversation came along",
        identity=(chat.identity, SIGNED_IN),
        merged=(result.merged, True),
        moved=(result.conversations_moved, 1),
        new_dials=(demo.dials - dials, 0),
    )
    demo.step("look at the visitor")
    became = backend.agent.merged_into(visitor) if isinstance(visitor, Visitor) else None
    await demo.check(
        "over: the backend knows whom they became, and answers their secret with a successor",
        became=(became, SIGNED_IN),
        secret_kept=(await demo.secret() == secret, True),
    )
    demo.step("await chat.shutdown(); await chat.boot()")
    await chat.shutdown()
    await chat.boot()
    seen = await chat.conversations()
    await chat.send_message("One more question")
    await demo.check(
        "a new visitor, who sees nothing of Ada's, and asks something too",
        conversations=(seen, []),
    )
    committed = backend.log.count("identified")
    demo.step("await chat.identify(user=ada)   # the link breaks before the reply")
    backend.faults.swallow("identify")
    result = await chat.identify(user=ADA)
    await demo.check(
        "the next link asks what became of it: signed in, once, and nothing guessed",
        identity=(chat.identity, SIGNED_IN),
        moved=(result.conversations_moved, 1),
        committed=(backend.log.count("identified") - committed, 1),
        learnt_by_the_dial=(backend.log.of("opened")[-1].detail, ("resumed", "committed")),
    )


async def fifty_updates(demo: Demo) -> None:
    """Many updates, few requests, the last value."""
    chat, log, settings = demo.chat, demo.environment.backend.log, demo.environment.settings

    def sent(requests: int) -> bool:
        return log.count("updated") >= min(requests, settings.update_burst)

    demo.step(f"chat.update(...) {ROUNDS * EACH} times")
    for page in range(ROUNDS):
        for click in range(EACH):
            demo.update(page=f"/page/{page + 1}", clicks=EACH * page + click + 1)
        await demo.until(partial(sent, page + 1))
    left = await chat.update(context={"page": f"/page/{ROUNDS}"})
    await demo.check(
        f"{settings.update_burst} requests have left, which is the limit; the rest waits together",
        requests=(log.count("update"), settings.update_burst),
        waits=(0 < left <= settings.update_window, True),
    )
    demo.step("wait until the limit allows another request")
    await demo.until(lambda: log.count("updated") > settings.update_burst)
    await demo.chat.conversations()  # afterwards the answers before it are there as well
    has = demo.environment.backend.agent.traits(SIGNED_IN)
    await demo.check(
        "one more request; the backend has the last value of everything",
        requests=(log.count("update"), settings.update_burst + 1),
        page=(has.get("context.page"), f"/page/{ROUNDS}"),
        clicks=(has.get("context.clicks"), ROUNDS * EACH),
    )


async def the_link_drops(demo: Demo) -> None:
    """A lost link, a message meanwhile, and a network that is known to be down."""
    chat, backend = demo.chat, demo.environment.backend
    conversation = await chat.newest_conversation()
    demo.step("the link breaks, and no dial gets through")
    backend.faults.refuse_dials()
    backend.faults.drop_links()
    await chat.wait_for(Phase.RECONNECTING)
    await demo.check(
        "reconnecting; it is still Ada's session",
        phase=(chat.state, Phase.RECONNECTING),
        identity=(chat.identity, SIGNED_IN),
    )
    demo.step('conversation.send("Hello?")   # an agent writes, too; then dials get through again')
    waits = conversation.send("Hello?")
    backend.agent.reply(SIGNED_IN, "Are you there?")
    demo.environment.heal()
    await waits
    said = [message.text for message in await conversation.messages()]
    await demo.check(
        "back: what waited was sent, what was missed is there, each once",
        phase=(chat.state, Phase.AUTHENTICATED),
        texts=(said[-2:], ["Are you there?", "Hello?"]),
    )
    dials = demo.dials
    demo.step("chat.set_online(False)   # the platform says: no network")
    backend.faults.refuse_dials()
    chat.set_online(False)
    at_once = chat.state
    await demo.until(lambda: demo.dials > dials)
    await demo.check(
        "disconnected at once; it only probes now and then",
        phase_at_once=(at_once, Phase.DISCONNECTED),
        phase_after_a_probe=(chat.state, Phase.DISCONNECTED),
    )
    demo.step("the network is back, and nobody says so")
    demo.environment.heal()
    await chat.wait_for(Phase.AUTHENTICATED)
    await demo.check(
        "the next probe finds out",
        phase=(chat.state, Phase.AUTHENTICATED),
        identity=(chat.identity, SIGNED_IN),
    )


async def the_token_expires(demo: Demo) -> None:
    """A renewal, and a refusal."""
    chat, backend, environment = demo.chat, demo.environment.backend, demo.environment
    dials, calls = demo.dials, environment.token_calls
    demo.step("Ada's token expires")
    backend.faults.expire_tokens(ADA.id)
    await demo.until(lambda: backend.log.count("renewed") == 1)
    await demo.chat.conversations()  # afterwards the answers before it are there as well
    await demo.check(
        "a new one was fetched and presented on the same link",
        phase=(chat.state, Phase.AUTHENTICATED),
        events=(len(demo.events(AuthExpired)), 1),
        token_calls=(environment.token_calls - calls, 1),
        new_dials=(demo.dials - dials, 0),
    )
    demo.step("Ada is locked out, and her token expires")
    environment.refusing = True
    backend.faults.expire_tokens(ADA.id)
    await chat.wait_for(Phase.SHUTDOWN)
    await asyncio.sleep(0)
    await demo.check(
        "her token is refused: the session ends, and nobody asks again",
        reason=(demo.events(PhaseChanged)[-1].reason, "auth_refused"),
        identity=(chat.identity, None),
        token_calls=(environment.token_calls - calls, 2),
    )
    demo.step("await chat.become(ada)   # let in again")
    environment.refusing = False
    await chat.become({"id": ADA.id})
    await demo.check(
        "live at once as Ada, with both of her conversations",
        phase=(chat.state, Phase.AUTHENTICATED),
        conversations=(len(await chat.conversations()), 2),
    )


async def leaving_no_trace(demo: Demo) -> None:
    """What a shutdown keeps, and what a full clear leaves: nothing."""
    chat, storage = demo.chat, demo.storage
    key = "support-chat/demo/web/default/visitor"
    demo.step("await chat.shutdown()")
    before = await storage.keys()
    await chat.shutdown()
    await demo.check(
        "nothing of Ada was ever stored; the visitor of this device is kept",
        keys_before=(before, [key]),
        keys_after=(await storage.keys(), [key]),
    )
    demo.step("await chat.boot(); await chat.shutdown(clear_storage=True)")
    await chat.boot()
    secret = await demo.secret()
    found = demo.on_disk(secret)
    await chat.shutdown(clear_storage=True)
    await demo.check(
        "no key is left, and no byte of the visitor's secret in the file",
        on_disk_before=(found, True),
        on_disk_after=(demo.on_disk(secret), False),
        keys_after=(await storage.keys(), []),
    )


async def a_result_comes_too_late(demo: Demo) -> None:
    """A link that opens after the shutdown."""
    chat, backend, wire = demo.chat, demo.environment.backend, demo.environment.wire
    log = backend.log
    opened = log.count("opened")

    def ended() -> list[str | None]:
        return [entry.session for entry in log.of("revoked")]

    demo.step("chat.boot(); await chat.shutdown()   # a dial is out and cannot be stopped")
    wire.unstoppable = True
    backend.faults.delay(answer=LATE, operation="dial")
    boot = chat.boot()
    await demo.until(lambda: log.count("opened") > opened)
    await chat.shutdown()
    [error] = await asyncio.gather(boot, return_exceptions=True)
    await demo.check(
        f"nobody is live; the boot has failed: {error}",
        phase=(chat.state, Phase.SHUTDOWN),
        boot=(type(error), SessionEndedError),
    )
    demo.step("the link that nobody wants any more opens")
    late = log.of("opened")[-1].session
    # the visitor of the scene before is told as over meanwhile, which ends sessions, too
    await demo.until(lambda: late in ended() and log.open_links == 0)
    wire.unstoppable = False
    demo.environment.heal()
    await demo.check(
        "closed, its session revoked, and nothing else has changed",
        phase=(chat.state, Phase.SHUTDOWN),
        closed=(log.of("closed")[-1].session, late),
        revoked=(late in ended(), True),
    )


async def the_end(demo: Demo) -> None:
    """Destroy."""
    chat, log = demo.chat, demo.environment.backend.log
    demo.step("await chat.boot(); await chat.destroy()")
    await chat.boot()
    await chat.destroy()
    await demo.check(
        "everything the session had opened is closed; the storage stays as it is",
        phase=(chat.state, Phase.DESTROYED),
        links=(log.open_links, 0),
        keys=(len(await demo.storage.keys()), 1),
    )
    demo.step("await chat.boot()")
    [error] = await asyncio.gather(chat.boot(), return_exceptions=True)
    await demo.check(f"refused: {error}", error=(type(error), SessionDestroyedError))
    demo.step("look back")
    await demo.check(
        "all ten phases were visited, with never more than one link",
        phases=(len(demo.visited), len(Phase)),
        most_links=(log.max_open_links, 1),
    )


SCENES: Final[Scenes] = {
    "A visitor asks, and an agent answers": a_visitor_asks,
    "Calls overlap, and each still has one answer": calls_overlap,
    "The visitor signs in, and keeps the conversation": the_visitor_signs_in,
    "Fifty updates become a handful of requests": fifty_updates,
    "The link drops, and nothing is missed": the_link_drops,
    "The token expires, and then it is refused": the_token_expires,
    "Leaving: what is kept, and how nothing is": leaving_no_trace,
    "A result comes too late, and changes nothing": a_result_comes_too_late,
    "The end": the_end,
}
"""The demo."""

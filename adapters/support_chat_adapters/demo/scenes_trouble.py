"""The second half of the story: Ada loses the network, is locked out and let in again, leaves, and
nothing of her is left.

Each scene finds the session as the one before left it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from support_chat import AuthExpired, Phase, PhaseChanged, SessionDestroyedError, SessionEndedError

from .stage import Stage, refusal
from .world import ADA, SIGNED_IN

LATE: Final = 0.5
"""How long the answer to a dial takes that is to come too late, in seconds."""


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
        step.check(
            "the next probe finds out",
            phase=(chat.state, Phase.AUTHENTICATED),
            identity=(chat.identity, SIGNED_IN),
        )


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
    async with stage.step(
        "chat.boot(); await chat.shutdown()   # a dial is out and cannot be stopped"
    ) as step:
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

"""The longest waits that `support_chat.verify.bounds` computes, played on real sessions in virtual
time: adapters that hang for as long as they may make each call wait so long, and nothing ever makes
one wait longer.

Settings are the defaults, and some whose limits all differ.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache, partial
from typing import Any, Final, TypeAlias

import attrs
import pytest

from support_chat import CHART, Phase, Settings, SupportChat, User
from support_chat.lifecycle.names import Phase as P, Trigger as T
from support_chat.testing import (
    RecordingStorage,
    RecordingTransport,
    ScriptedTokens,
    run,
    unsigned_token,
)
from support_chat.verify import explore
from support_chat.verify.bounds import Bound, Bounds, bounds

DIFFERENT: Final = Settings(
    storage_timeout=7.0,
    revoke_timeout=17.0,
    destroy_timeout=4.0,
    token_timeout=11.0,
    connect_timeout=13.0,
    call_timeout=29.0,
    boot_timeout=43.0,
    outbox_timeout=97.0,
    silence_timeout=31.0,
    disconnected_after=89.0,
)
SETTINGS: Final = {"the defaults": Settings(), "all different": DIFFERENT}
SEEDS: Final = 300
"""Lives at random, of 60 steps each."""
JUST_BEFORE: Final = 1e-3
"""Seconds before a limit in which something happens at the last moment."""
STORAGE: Final = ("get", "create", "delete", "keys")
TRANSPORT: Final = ("open", "revoke", "end_visitor")
LINK: Final = ("identify", "update", "send", "conversations", "mark_read", "close", "events")


@cache
def computed(name: str) -> Bounds:
    """Explored once for both."""
    return bounds(_explored(), SETTINGS[name])


@cache
def _explored() -> Any:
    return explore(CHART)


@attrs.define(eq=False)
class Site:
    """A session whose adapters hang when they are told to: for good, until their limit cancels
    them, or `deaf` to that, too.
    """

    settings: Settings
    deaf: bool = False
    storage: RecordingStorage = attrs.field(factory=RecordingStorage)
    transport: RecordingTransport = attrs.field(factory=RecordingTransport)
    chat: SupportChat = attrs.field(init=False)
    tasks: list[asyncio.Task[float]] = attrs.field(factory=list["asyncio.Task[float]"])

    def __attrs_post_init__(self) -> None:
        self.chat = SupportChat(
            workspace_id="acme",
            widget_id="help",
            storage=self.storage,
            transport=self.transport,
            settings=self.settings,
        )

    def begin(self, call: Awaitable[Any]) -> asyncio.Task[float]:
        """Somebody awaits the call; how many seconds it has waited, whatever comes of it."""

        async def timed() -> float:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await asyncio.gather(call, return_exceptions=True)
            return loop.time() - begun

        task = asyncio.ensure_future(timed())
        self.tasks.append(task)
        return task

    def hang(self, *operations: str) -> None:
        for operation in operations:
            double = self.storage if operation in STORAGE else self.transport
            double.hold(operation, stubborn=self.deaf)

    def answer(self, *operations: str) -> None:
        for operation in operations:
            double = self.storage if operation in STORAGE else self.transport
            double.release(operation)

    async def boot(self, user: str | None = None) -> None:
        await self.chat.boot(**({} if user is None else as_user(user)))

    async def reach(self, phase: Phase, user: str | None = None) -> None:
        """Brings the session into this phase; where one is on its way, what it waits for hangs."""
        chat = self.chat
        if phase in (P.ANONYMOUS, P.AUTHENTICATED, P.RECONNECTING, P.DISCONNECTED, P.SHUTDOWN):
            await self.boot("ann" if phase == P.AUTHENTICATED else user)
        if phase == P.LOADING:
            self.hang("get")
            self.begin(chat.load())
        elif phase == P.READY:
            await chat.load()
        elif phase == P.BOOTING:
            self.hang("open")
            self.begin(chat.boot(**({} if user is None else as_user(user))))
        elif phase in (P.RECONNECTING, P.DISCONNECTED):
            self.hang("open")
            self.transport.link.lose()
            await asyncio.sleep(1.0)  # the dial is under way
            chat.set_online(phase == P.RECONNECTING)
        elif phase == P.SHUTDOWN:
            self.hang("keys")
            self.begin(chat.shutdown())
        await settled()
        assert chat.state == phase

    async def write(self) -> asyncio.Task[float]:
        """A boot whose write of the visitor hangs."""
        self.hang("create")
        task = self.begin(self.chat.boot())
        await settled()
        return task

    async def end(self) -> None:
        self.answer(*STORAGE, *TRANSPORT, *LINK)
        await asyncio.gather(self.chat.destroy(), *self.tasks, return_exceptions=True)


def as_user(name: str) -> dict[str, Any]:
    tokens = ScriptedTokens(lambda n: unsigned_token(sub=name, jti=str(n)))
    return {"user": User(name), "token_provider": tokens}


async def settled() -> None:
    """What needs no time has happened."""
    for _ in range(20):
        await asyncio.sleep(0)


Play: TypeAlias = Callable[[Site, Phase], Coroutine[Any, Any, "asyncio.Task[float]"]]
"""Brings a session into a phase, makes the call there and does the worst to it."""


def played(play: Play, phase: Phase, settings: Settings, deaf: bool = False) -> float:
    """How long the call has waited."""

    async def main() -> float:
        site = Site(settings, deaf)
        try:
            call = await play(site, phase)
            return await call
        finally:
            await site.end()

    return run(main())


# --- the worst that can happen to each call -------------------------------------------------------


async def load(site: Site, phase: Phase) -> asyncio.Task[float]:
    site.hang("get")
    await site.reach(phase)
    return site.begin(site.chat.load())


async def boot(site: Site, phase: Phase, *, becomes: bool = False) -> asyncio.Task[float]:
    """Every dial hangs, until the boot's own time is over."""
    await site.reach(phase)
    site.hang("open")
    task = site.begin(site.chat.become(None) if becomes else site.chat.boot())
    site.answer("get", "keys")
    return task


async def identify(site: Site, phase: Phase) -> asyncio.Task[float]:
    """The boot that it waits for hangs, the dial of a lost link, or the backend's answer."""
    await site.reach(phase)
    site.hang("open", "identify")
    if phase in (P.LOADING, P.SHUTDOWN):
        site.begin(site.chat.boot())
    task = site.begin(site.chat.identify(**as_user("ann")))
    site.answer("get", "keys")
    return task


async def identify_as_booted(site: Site, phase: Phase) -> asyncio.Task[float]:
    """It waits for the boot that is for this very user."""
    await site.reach(phase, "ann")
    site.hang("open")
    if phase in (P.LOADING, P.SHUTDOWN):
        site.begin(site.chat.boot(**as_user("ann")))
    task = site.begin(site.chat.identify(**as_user("ann")))
    site.answer("get", "keys")
    return task


async def become_another(site: Site, phase: Phase) -> asyncio.Task[float]:
    """The session ends, and the dial of the next one hangs."""
    await site.reach(phase, "ann")
    site.hang("open")
    return site.begin(site.chat.become(**as_user("bob")))


async def become_another_than_the_target(site: Site, phase: Phase) -> asyncio.Task[float]:
    """An identify has left and is not answered: the session ends, and the next one hangs."""
    await site.reach(phase)
    site.hang("identify", "open")
    site.begin(site.chat.identify(**as_user("ann")))
    await settled()
    return site.begin(site.chat.become(**as_user("bob")))


async def send(site: Site, phase: Phase) -> asyncio.Task[float]:
    """Nothing answers the message, whether there is a link for it or not."""
    await site.reach(phase)
    site.hang("send")
    if phase in (P.LOADING, P.SHUTDOWN):
        site.begin(site.chat.boot())
    task = site.begin(site.chat.send_message("hello", conversation_id="c-1"))
    if phase in (P.LOADING, P.SHUTDOWN, P.BOOTING):
        site.answer("get", "keys", "open")
    return task


async def mark_read(site: Site, phase: Phase) -> asyncio.Task[float]:
    await site.reach(phase)
    site.hang("mark_read")
    return site.begin(site.chat.mark_read("c-1"))


async def use(site: Site, phase: Phase) -> asyncio.Task[float]:
    await site.reach(phase)
    site.hang("conversations")
    return site.begin(site.chat.conversations())


async def destroy(site: Site, phase: Phase) -> asyncio.Task[float]:
    """Something is under way that nothing stops: what is let end first, and what is let go of."""
    site.deaf = True
    if phase == P.NOT_INITIALIZED:
        site.hang("get")
        await site.begin(site.chat.load())
    elif phase in (P.READY, P.BOOTING):
        task = await site.write()
        if phase == P.READY:
            task.cancel()
            await settled()
    elif phase == P.DESTROYED:
        await site.reach(P.SHUTDOWN)
        site.begin(site.chat.destroy())
    else:
        if phase in (P.ANONYMOUS, P.AUTHENTICATED):
            site.hang("events")
        await site.reach(phase)
    assert site.chat.state == phase
    return site.begin(site.chat.destroy())


async def clear_all(site: Site, phase: Phase) -> asyncio.Task[float]:
    """The clear hangs, and before it the write that it waits for."""
    if phase == P.READY:
        (await site.write()).cancel()
        await settled()
    else:
        await site.reach(phase)
    assert site.chat.state == phase
    site.hang("keys")
    return site.begin(site.chat.shutdown(clear_storage=True))


async def write_and_clear(site: Site, phase: Phase) -> asyncio.Task[float]:
    """The write of the boot hangs, then the clear."""
    await site.write()
    site.hang("keys")
    if phase == P.SHUTDOWN:
        site.begin(site.chat.shutdown())
    assert site.chat.state == phase
    return site.begin(site.chat.shutdown())


async def part(site: Site, phase: Phase, *, again: bool = False) -> asyncio.Task[float]:
    """The revocation hangs, and the clear; `again`: at the last moment somebody else wants a full
    clear, which hangs.
    """
    await site.reach(P.ANONYMOUS if phase == P.SHUTDOWN else phase)
    site.hang("revoke", "close")
    if phase == P.SHUTDOWN:
        site.begin(site.chat.shutdown())
    assert site.chat.state == phase
    task = site.begin(site.chat.shutdown())
    if again:
        await asyncio.sleep(site.settings.revoke_timeout - JUST_BEFORE)
        site.hang("keys")
        site.begin(site.chat.shutdown(clear_storage=True))
    return task


async def clear(site: Site, phase: Phase) -> asyncio.Task[float]:
    await site.reach(phase)
    site.hang("keys")
    return site.begin(site.chat.shutdown())


become: Final = partial(boot, becomes=True)
part_again: Final = partial(part, again=True)
WORST: Final[dict[tuple[str, str], dict[Phase, tuple[Play, ...]]]] = {
    (T.LOAD, ""): dict.fromkeys((P.NOT_INITIALIZED, P.LOADING), (load,)),
    (T.BOOT, ""): dict.fromkeys(
        (P.NOT_INITIALIZED, P.LOADING, P.READY, P.BOOTING, P.SHUTDOWN), (boot,)
    ),
    (T.IDENTIFY, ""): {
        **dict.fromkeys((P.LOADING, P.BOOTING, P.SHUTDOWN), (identify, identify_as_booted)),
        **dict.fromkeys((P.ANONYMOUS, P.RECONNECTING, P.DISCONNECTED), (identify,)),
    },
    (T.BECOME, ""): {
        **dict.fromkeys((P.NOT_INITIALIZED, P.LOADING, P.READY, P.BOOTING, P.SHUTDOWN), (become,)),
        **dict.fromkeys((P.AUTHENTICATED, P.RECONNECTING, P.DISCONNECTED), (become_another,)),
        P.ANONYMOUS: (become_another_than_the_target,),
    },
    (T.SEND, "outbox_timeout"): dict.fromkeys(
        (
            P.LOADING,
            P.BOOTING,
            P.ANONYMOUS,
            P.AUTHENTICATED,
            P.RECONNECTING,
            P.DISCONNECTED,
            P.SHUTDOWN,
        ),
        (send,),
    ),
    (T.SEND, "call_timeout"): dict.fromkeys((P.ANONYMOUS, P.AUTHENTICATED), (mark_read,)),
    (T.USE, ""): dict.fromkeys((P.ANONYMOUS, P.AUTHENTICATED), (use,)),
    (T.DESTROY, ""): dict.fromkeys(P, (destroy,)),
    (T.SHUTDOWN, ""): {
        **dict.fromkeys((P.NOT_INITIALIZED, P.LOADING, P.READY), (clear_all,)),
        **dict.fromkeys(
            (P.ANONYMOUS, P.AUTHENTICATED, P.RECONNECTING, P.DISCONNECTED), (part, clear)
        ),
        P.BOOTING: (write_and_clear,),
        P.SHUTDOWN: (write_and_clear, part),
    },
}
"""The worst that can happen to a call that nothing else follows, by what it is kept for, and by the
phase; the longest of several counts.
"""
WORSE: Final[dict[tuple[str, str], tuple[Play, ...]]] = {(T.SHUTDOWN, ""): (part_again,)}
"""And by another call."""


@pytest.mark.parametrize("name", SETTINGS)
def test_each_call_can_wait_as_long_as_is_computed_and_no_longer(name: str) -> None:
    wrong: list[str] = []
    for bound in computed(name).calls:
        if not bound.alone.seconds:
            continue
        key = (bound.call, bound.kept)
        phase = Phase(bound.phase)
        plays = WORST[key][phase]
        alone = max(played(play, phase, SETTINGS[name]) for play in plays)
        beside = alone
        if bound.beside.seconds > bound.alone.seconds:
            beside = max(played(play, phase, SETTINGS[name]) for play in WORSE[key])
        for what, took, said in (
            ("alone", alone, bound.alone.seconds),
            ("beside others", beside, bound.beside.seconds),
        ):
            if not 0.99 * said <= took <= said + 1e-6:
                wrong.append(f"{bound.call} {bound.kept} in {phase} {what}: {took:g}, not {said:g}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("after", [0.0, 12.0])
def test_a_link_that_falls_silent_is_told_as_late_as_is_computed(name: str, after: float) -> None:
    told = {each.phase: each.beside.seconds for each in computed(name).told}

    async def main() -> dict[str, float]:
        site = Site(SETTINGS[name])
        await site.reach(P.ANONYMOUS)
        await asyncio.sleep(after)
        loop = asyncio.get_running_loop()
        begun, found = loop.time(), dict[str, float]()
        site.transport.link.fall_silent()
        site.hang("open")
        for phase in told:
            await site.chat.wait_for(Phase(phase))
            found[phase] = loop.time() - begun
        await site.end()
        return found

    assert run(main()) == pytest.approx(told, rel=0.01)


# --- and any life ---------------------------------------------------------------------------------

CALLED: Final = {
    "load": T.LOAD,
    "boot": T.BOOT,
    "identify": T.IDENTIFY,
    "become": T.BECOME,
    "shutdown": T.SHUTDOWN,
    "destroy": T.DESTROY,
    "send_message": T.SEND,
    "conversations": T.USE,
    "mark_read": T.SEND,
}


@attrs.frozen
class Made:
    """A call that was made, in which phase, and how many seconds it has waited; `alone` if nothing
    else was called meanwhile.
    """

    name: str
    phase: str
    took: float
    alone: bool


def lived(seed: int, settings: Settings, steps: int = 60) -> list[Made]:
    """The calls of a life at random, with adapters that hang, answer and fail, and links that are
    lost.
    """
    roll = random.Random(seed)
    operations = (*STORAGE, *TRANSPORT, *LINK[:-1])
    found: list[Made] = []

    async def main() -> None:
        site, calls = Site(settings), 0
        loop = asyncio.get_running_loop()

        async def watched(name: str, call: Awaitable[Any], phase: str, number: int) -> None:
            begun = loop.time()
            await asyncio.gather(call, return_exceptions=True)
            found.append(Made(name, phase, loop.time() - begun, calls == number))

        tasks: list[asyncio.Task[None]] = []
        for _ in range(steps):
            match roll.choices(
                ("call", "hang", "answer", "lose", "hint", "wait"), (6, 4, 3, 1, 1, 8)
            )[0]:
                case "call":
                    # nothing much happens after that
                    names = [n for n in CALLED if n != "destroy" or roll.random() < 0.1]
                    name, calls = roll.choice(names), calls + 1
                    phase = site.chat.state
                    call = _made(site.chat, name, roll)
                    tasks.append(asyncio.ensure_future(watched(name, call, phase, calls)))
                case "hang":
                    site.hang(*roll.sample(operations, 3))
                case "answer":
                    site.answer(*roll.sample(operations, 4))
                case "lose":
                    if site.transport.links:
                        site.transport.link.lose()
                case "hint":
                    calls += 1
                    site.chat.set_online(roll.random() < 0.5)
                case _:
                    await asyncio.sleep(roll.choice((0.0, 0.5, 3.0, 6.9, 16.9, 30.0)))
            await settled()
        site.begin(site.chat.destroy())
        await asyncio.gather(*tasks)
        await site.end()

    run(main())
    return found


def _made(chat: SupportChat, name: str, roll: random.Random) -> Awaitable[Any]:
    who = as_user(roll.choice(("ann", "bob")))
    match name:
        case "boot":
            return chat.boot(**roll.choice(({}, who)))
        case "identify":
            return chat.identify(**who)
        case "become":
            anybody: Any = roll.choice(({"user": None}, who))
            return chat.become(**anybody)
        case "shutdown":
            return chat.shutdown(clear_storage=roll.random() < 0.5)
        case "send_message":
            return chat.send_message("hello", conversation_id="c-1")
        case "mark_read":
            return chat.mark_read("c-1")
        case _:
            return getattr(chat, name)()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", SETTINGS)
def test_no_call_of_any_life_waits_longer(name: str) -> None:
    longest: dict[tuple[str, str], Bound] = {}
    for bound in computed(name).calls:
        key = (bound.call, bound.phase)
        if key not in longest or bound.beside.seconds > longest[key].beside.seconds:
            longest[key] = bound
    waited: dict[str, int] = {}
    for seed in range(SEEDS):
        for made in lived(seed, SETTINGS[name]):
            bound = longest[CALLED[made.name], made.phase]
            said = (bound.alone if made.alone else bound.beside).seconds
            assert made.took <= said + 1e-6, f"{made} of seed {seed}: at most {said:g} s"
            waited[made.name] = waited.get(made.name, 0) + (made.took > 0)
    assert set(waited) == set(CALLED)
    assert all(waited.values()), waited

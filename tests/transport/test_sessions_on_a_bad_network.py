"""A whole session over each fault of the wire, at each thing that it asks: it comes back by itself,
and nothing is lost or doubled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

from dialling import close_frame, frame, on_loop, suspended
from served import WIDGET, WORKSPACE, Served
from story import IMPATIENT, PING_EVERY, POLL_WAIT, Story
from support_chat import Phase, SupportChat
from support_chat.lifecycle.events import MessageReceived
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import WidgetAPITransport, widget_api
from wire_faults import (
    BlockUpgrade,
    CloseWith,
    Cut,
    CutFrame,
    Delay,
    DelayFrame,
    DropAfter,
    Duplicate,
    Fault,
    FaultProxy,
    Garbage,
    GarbageFrame,
    LoseFrame,
    Plan,
    Refuse,
    RepeatFrame,
    Slow,
    SlowFrames,
    Stall,
    StallFrames,
    Status,
    Swallow,
    random_faults,
)

OPERATIONS = {
    "open": ("POST", "/sessions/anonymous"),
    "identify": ("POST", "/sessions/identify"),
    "refresh": ("POST", "/sessions/refresh"),
    "events": ("POST", "/events"),
    "send": ("POST", "/conversations"),
    "shutdown": ("POST", "/sessions/shutdown"),
}
PAGE = b"<html>Sign in to the network</html>"
AT_A_REQUEST: dict[str, Callable[[str, str], Fault]] = {
    "a failure": lambda m, p: Status(m, p, 500),
    "a bad gateway": lambda m, p: Status(m, p, 502, PAGE),
    "busy": lambda m, p: Status(m, p, 503, b"", (("retry-after", "0.1"),)),
    "a limit": lambda m, p: Status(m, p, 429, b"", (("retry-after", "0.1"),)),
    "a sign-in page": lambda m, p: Status(m, p, 200, PAGE),
    "a redirect": lambda m, p: Status(m, p, 302, b"", (("location", "https://portal.example/"),)),
    "a request that stalls": lambda m, p: Stall(m, p, of="client"),
    "an answer that stalls": lambda m, p: Stall(m, p, of="server"),
    "an answer that stalls in its middle": lambda m, p: Stall(m, p, of="server", after=120),
    "a delay": lambda m, p: Delay(m, p, seconds=0.2),
    "a slow way": lambda m, p: Slow(m, p, rate=4000.0, of="both"),
    "a request cut in its head": lambda m, p: Cut(m, p, after=30, of="client"),
    "an answer cut in its head": lambda m, p: Cut(m, p, after=20),
    "no answer but a reset": lambda m, p: Cut(m, p),
    "noise instead of a head": lambda m, p: Garbage(m, p),
    "an answer lost by a close": lambda m, p: Swallow(m, p),
    "an answer lost by a reset": lambda m, p: Swallow(m, p, "reset"),
    "an answer lost in silence": lambda m, p: Swallow(m, p, "silence"),
    "a request done twice": lambda m, p: Duplicate(m, p),
}
AT_THE_WEBSOCKET: dict[str, tuple[Fault | Plan, ...]] = {
    "blocked": (BlockUpgrade("/realtime", 403),),
    "blocked without an answer": (BlockUpgrade("/realtime", None),),
    "refused connections": (Plan(Refuse(), times=3),),
    "closed with each code": tuple(
        CloseWith("/realtime", code, "0.1", after=1)
        for code in (1000, 1001, 1011, 1012, 1013, 4401, 4429)
    ),
    "closed at once": (
        GarbageFrame("/realtime", 1, close_frame(1012, "")),
        GarbageFrame("/realtime", 1, close_frame(4429, "0.1")),
    ),
    "dropped again and again": (Plan(DropAfter("/realtime", after=1), times=4),),
    "dropped after a message": (DropAfter("/realtime", after=2), DropAfter("/realtime", after=2)),
    "silent": (StallFrames("/realtime", after=1), StallFrames("/realtime", after=2)),
    "slow": (SlowFrames("/realtime", rate=2000.0),),
    "cut in a hello": (CutFrame("/realtime", 1, 5),),
    "cut in a message": (CutFrame("/realtime", 2, 1), CutFrame("/realtime", 2, 30)),
    "noise instead of a message": (
        GarbageFrame("/realtime", 2),
        GarbageFrame("/realtime", 2, frame(b"{}")),
    ),
    "a message that is too long": (GarbageFrame("/realtime", 2, frame(b"x" * 300_000)),),
    "a message twice": (RepeatFrame("/realtime", 2), RepeatFrame("/realtime", 3)),
    "a message late": (DelayFrame("/realtime", 2, 0.3),),
}
AT_POLLS: dict[str, tuple[Fault | Plan, ...]] = {
    "cut": (Plan(Cut("GET", "/realtime", after=30), times=3),),
    "swallowed": (Plan(Swallow("GET", "/realtime"), times=3, skip=1),),
    "silent": (Plan(Stall("GET", "/realtime", of="server"), skip=1),),
    "noise": (Plan(Garbage("GET", "/realtime", part="body"), times=3),),
    "failing": (Plan(Status("GET", "/realtime", 502, PAGE), times=3),),
    "limited": (Plan(Status("GET", "/realtime", 429, b"", (("retry-after", "0.1"),)), times=3),),
    "a sign-in page": (Plan(Status("GET", "/realtime", 200, PAGE), times=3),),
    "slow": (Plan(Slow("GET", "/realtime", rate=4000.0), times=3),),
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widget_api, "BLOCKED_FOR", 0.5)


def told(served: Served, *faults: Fault | Plan, **options: Any) -> FaultProxy:
    """Tells a story over a proxy with these faults, judges it, and returns the proxy with its
    log.
    """
    proxy = FaultProxy(served.url)

    async def scenario() -> None:
        async with proxy:
            proxy.plan(*faults)
            transport = WidgetAPITransport(
                proxy.url,
                ping_every=PING_EVERY,
                poll_wait=POLL_WAIT,
                socket_patience=0.5,
                **options,
            )
            story = Story(served, transport)

            async def calmed() -> None:
                await asyncio.to_thread(proxy.heal)

            try:
                await story.tell(calmed)
                story.judge()
            finally:
                await transport.aclose()

    on_loop(scenario)
    return proxy


@pytest.mark.parametrize("fault", AT_A_REQUEST.values(), ids=AT_A_REQUEST.keys())
def test_every_request_may_meet_the_fault(
    backend: Served, fault: Callable[[str, str], Fault]
) -> None:
    proxy = told(backend, *(fault(*at) for at in OPERATIONS.values()))
    assert {entry.path.removeprefix("/widget/v1") for entry in proxy.applied()} == {
        path for _, path in OPERATIONS.values()
    }


@pytest.mark.parametrize("faults", AT_THE_WEBSOCKET.values(), ids=AT_THE_WEBSOCKET.keys())
def test_the_websocket_may_meet_the_fault(
    backend: Served, faults: tuple[Fault | Plan, ...]
) -> None:
    proxy = told(backend, *faults)
    assert len(proxy.applied()) == sum(
        plan.times or 0 if isinstance(plan, Plan) else 1 for plan in faults
    )


@pytest.mark.parametrize("faults", AT_POLLS.values(), ids=AT_POLLS.keys())
def test_polls_may_meet_the_fault(backend: Served, faults: tuple[Fault | Plan, ...]) -> None:
    proxy = told(backend, *faults, websocket=None)
    assert len(proxy.applied()) == sum(
        plan.times or 0 if isinstance(plan, Plan) else 1 for plan in faults
    )


@pytest.mark.parametrize("way", ["websocket", "polls"])
def test_a_backend_that_falls_silent_is_noticed_and_waited_for(backend: Served, way: str) -> None:
    async def scenario() -> None:
        polls: dict[str, Any] = {"websocket": None} if way == "polls" else {}
        transport = WidgetAPITransport(
            backend.url, ping_every=PING_EVERY, poll_wait=POLL_WAIT, **polls
        )
        chat = SupportChat(
            workspace_id=WORKSPACE,
            widget_id=WIDGET,
            transport=transport,
            storage=MemoryStorage(),
            settings=IMPATIENT,
        )
        async with asyncio.timeout(30), chat:
            visitor = await chat.boot()
            async with chat.events(MessageReceived) as arrived:
                with suspended(backend):
                    assert await chat.wait_for(Phase.RECONNECTING) is Phase.RECONNECTING
                assert await chat.wait_for(Phase.ANONYMOUS) is Phase.ANONYMOUS
                with backend.backend() as operator:
                    operator.agent.reply(visitor, "back again")
                assert (await anext(arrived)).message.text == "back again"
        await transport.aclose()

    on_loop(scenario)


STORMS = 12 if settings().max_examples < 1000 else 200
"""How many seeds: more with `--hypothesis-profile=nightly`."""


@pytest.mark.parametrize("seed", range(STORMS))
def test_a_storm_of_faults_is_survived(backend: Served, seed: int) -> None:
    polls: dict[str, Any] = {"websocket": None} if seed % 3 == 0 else {}
    requests = [*OPERATIONS.values(), *([("GET", "/realtime")] * 4 if polls else [])]
    faults = random_faults(seed, 40, requests=requests, realtime="/realtime")
    # which no network does: TCP loses all or nothing
    faults = tuple(plan for plan in faults if not isinstance(plan.fault, LoseFrame))
    assert told(backend, *faults, **polls).applied()

"""A whole session over each fault of the wire, at each thing that it asks: it comes back by itself,
and nothing is lost or doubled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

from dialling import frame, on_loop, suspended, transport_to
from served import WIDGET, WORKSPACE, Served
from story import IMPATIENT, LIMIT, PING_EVERY, POLL_WAIT, Story
from support_chat import Phase, SupportChat
from support_chat.lifecycle.events import MessageReceived
from support_chat_adapters import wire_faults as wire
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import widget_api
from support_chat_adapters.wire_faults.websocket import close_frame

OPERATIONS = {
    "open": ("POST", "/sessions/anonymous"),
    "identify": ("POST", "/sessions/identify"),
    "refresh": ("POST", "/sessions/refresh"),
    "events": ("POST", "/events"),
    "send": ("POST", "/conversations"),
    "shutdown": ("POST", "/sessions/shutdown"),
}
PAGE = b"<html>Sign in to the network</html>"
AT_A_REQUEST: dict[str, Callable[[str, str], wire.Fault]] = {
    "a failure": lambda m, p: wire.Status(m, p, 500),
    "a bad gateway": lambda m, p: wire.Status(m, p, 502, PAGE),
    "busy": lambda m, p: wire.Status(m, p, 503, b"", (("retry-after", "0.1"),)),
    "a limit": lambda m, p: wire.Status(m, p, 429, b"", (("retry-after", "0.1"),)),
    "a sign-in page": lambda m, p: wire.Status(m, p, 200, PAGE),
    "a redirect": lambda m, p: wire.Status(
        m, p, 302, b"", (("location", "https://portal.example/"),)
    ),
    "a request that stalls": lambda m, p: wire.Stall(m, p, of="client"),
    "an answer that stalls": lambda m, p: wire.Stall(m, p, of="server"),
    "an answer that stalls in its middle": lambda m, p: wire.Stall(m, p, of="server", after=120),
    "a delay": lambda m, p: wire.Stall(m, p, of="server", seconds=0.2),
    "a slow way": lambda m, p: wire.Slow(m, p, rate=4000.0, of="both"),
    "a request cut in its head": lambda m, p: wire.Cut(m, p, after=30, of="client"),
    "an answer cut in its head": lambda m, p: wire.Cut(m, p, after=20),
    "no answer but a reset": lambda m, p: wire.Cut(m, p),
    "noise instead of a head": lambda m, p: wire.Garbage(m, p),
    "an answer lost by a close": lambda m, p: wire.Swallow(m, p),
    "an answer lost by a reset": lambda m, p: wire.Swallow(m, p, "reset"),
    "an answer lost in silence": lambda m, p: wire.Swallow(m, p, "silence"),
    "a request done twice": lambda m, p: wire.Duplicate(m, p),
}
AT_THE_WEBSOCKET: dict[str, tuple[wire.Fault | wire.Plan, ...]] = {
    "blocked": (wire.Status("UPGRADE", "/realtime", 403),),
    "blocked without an answer": (wire.Stall("UPGRADE", "/realtime"),),
    "refused connections": (wire.Plan(wire.Refuse(), times=3),),
    "closed with each code": tuple(
        wire.CloseWith("/realtime", code, "0.1", after=1)
        for code in (1000, 1001, 1011, 1012, 1013, 4401, 4429)
    ),
    "closed at once": (
        wire.ReplaceFrame("/realtime", 1, close_frame(1012, "")),
        wire.ReplaceFrame("/realtime", 1, close_frame(4429, "0.1")),
    ),
    "dropped again and again": (wire.Plan(wire.CloseWith("/realtime", 1006, after=1), times=4),),
    "dropped after a message": (
        wire.CloseWith("/realtime", 1006, after=2),
        wire.CloseWith("/realtime", 1006, after=2),
    ),
    "silent": (wire.StallFrames("/realtime", after=1), wire.StallFrames("/realtime", after=2)),
    "slow": (wire.SlowFrames("/realtime", rate=2000.0),),
    "cut in a hello": (wire.CutFrame("/realtime", 1, 5),),
    "cut in a message": (wire.CutFrame("/realtime", 2, 1), wire.CutFrame("/realtime", 2, 30)),
    "noise instead of a message": (
        wire.ReplaceFrame("/realtime", 2, b"\xff\xff\xff\xff"),
        wire.ReplaceFrame("/realtime", 2, frame(b"{}")),
    ),
    "a message that is too long": (wire.ReplaceFrame("/realtime", 2, frame(b"x" * 300_000)),),
    "a message twice": (wire.RepeatFrame("/realtime", 2), wire.RepeatFrame("/realtime", 3)),
    "a message late": (wire.StallFrames("/realtime", after=1, stalled="server", seconds=0.6),),
}
AT_POLLS: dict[str, tuple[wire.Fault | wire.Plan, ...]] = {
    "cut": (wire.Plan(wire.Cut("GET", "/realtime", after=30), times=3),),
    "swallowed": (wire.Plan(wire.Swallow("GET", "/realtime"), times=3, skip=1),),
    "silent": (wire.Plan(wire.Stall("GET", "/realtime", of="server"), skip=1),),
    "noise": (wire.Plan(wire.Garbage("GET", "/realtime", part="body"), times=3),),
    "failing": (wire.Plan(wire.Status("GET", "/realtime", 502, PAGE), times=3),),
    "limited": (
        wire.Plan(wire.Status("GET", "/realtime", 429, b"", (("retry-after", "0.1"),)), times=3),
    ),
    "a sign-in page": (wire.Plan(wire.Status("GET", "/realtime", 200, PAGE), times=3),),
    "slow": (wire.Plan(wire.Slow("GET", "/realtime", rate=4000.0), times=3),),
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widget_api, "BLOCKED_FOR", 0.5)


def told(served: Served, *faults: wire.Fault | wire.Plan, **options: Any) -> wire.FaultProxy:
    """Tells a story over a proxy with these faults, judges it, and returns the proxy with its
    log.
    """
    proxy = wire.FaultProxy(served.url)
    shortened = {"ping_every": PING_EVERY, "poll_wait": POLL_WAIT, "socket_patience": 0.5}

    @on_loop
    async def tell() -> None:
        async with proxy, transport_to(proxy.url, **shortened, **options) as transport:
            proxy.plan(*faults)
            story = Story(served, transport)
            await story.tell(lambda: asyncio.to_thread(proxy.heal))
            story.judge()

    tell()
    return proxy


@pytest.mark.parametrize("fault", AT_A_REQUEST.values(), ids=AT_A_REQUEST.keys())
def test_every_request_may_meet_the_fault(
    backend: Served, fault: Callable[[str, str], wire.Fault]
) -> None:
    proxy = told(backend, *(fault(*at) for at in OPERATIONS.values()))
    assert {entry.path.removeprefix("/widget/v1") for entry in proxy.applied()} == {
        path for _, path in OPERATIONS.values()
    }


@pytest.mark.parametrize("faults", AT_THE_WEBSOCKET.values(), ids=AT_THE_WEBSOCKET.keys())
def test_the_websocket_may_meet_the_fault(
    backend: Served, faults: tuple[wire.Fault | wire.Plan, ...]
) -> None:
    proxy = told(backend, *faults)
    assert len(proxy.applied()) == sum(
        plan.times or 0 if isinstance(plan, wire.Plan) else 1 for plan in faults
    )


@pytest.mark.parametrize("faults", AT_POLLS.values(), ids=AT_POLLS.keys())
def test_polls_may_meet_the_fault(
    backend: Served, faults: tuple[wire.Fault | wire.Plan, ...]
) -> None:
    proxy = told(backend, *faults, websocket=None)
    assert len(proxy.applied()) == sum(
        plan.times or 0 if isinstance(plan, wire.Plan) else 1 for plan in faults
    )


@pytest.mark.parametrize("way", ["websocket", "polls"])
@on_loop
async def test_a_backend_that_falls_silent_is_noticed_and_waited_for(
    backend: Served, way: str
) -> None:
    polls: dict[str, Any] = {"websocket": None} if way == "polls" else {}
    async with transport_to(
        backend.url, ping_every=PING_EVERY, poll_wait=POLL_WAIT, **polls
    ) as transport:
        chat = SupportChat(
            workspace_id=WORKSPACE,
            widget_id=WIDGET,
            transport=transport,
            storage=MemoryStorage(),
            settings=IMPATIENT,
        )
        async with asyncio.timeout(LIMIT), chat:
            visitor = await chat.boot()
            async with chat.events(MessageReceived) as arrived:
                with suspended(backend):
                    assert await chat.wait_for(Phase.RECONNECTING) is Phase.RECONNECTING
                assert await chat.wait_for(Phase.ANONYMOUS) is Phase.ANONYMOUS
                backend.reply(visitor, "back again")
                assert (await anext(arrived)).message.text == "back again"


STORMS = 12 if settings().max_examples < 1000 else 200
"""How many seeds: more with `--hypothesis-profile=nightly`."""


@pytest.mark.parametrize("seed", range(STORMS))
def test_a_storm_of_faults_is_survived(backend: Served, seed: int) -> None:
    polls: dict[str, Any] = {"websocket": None} if seed % 3 == 0 else {}
    requests = [*OPERATIONS.values(), *([("GET", "/realtime")] * 4 if polls else [])]
    faults = wire.random_faults(seed, 40, requests=requests, realtime="/realtime")
    faults = tuple(plan for plan in faults if not _loses_a_frame(plan.fault))
    assert told(backend, *faults, **polls).applied()


def _loses_a_frame(fault: wire.Fault) -> bool:
    """Which no network does: TCP loses all or nothing."""
    return isinstance(fault, wire.ReplaceFrame) and not fault.data

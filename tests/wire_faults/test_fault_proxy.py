"""Each fault of the proxy, as a client behind it feels it and as the upstream, a server in a
process of its own, hears of it.

A fault that is logged and does not happen would make every test that relies on it pass for nothing;
so each of them is seen from both ends here, and in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from async_tests import in_real_time
from support_chat_adapters import wire_faults as wire

ECHO = Path(__file__).with_name("echo.py")
fresh = itertools.count()


def started() -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, str(ECHO)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, f"http://127.0.0.1:{int(process.stdout.readline())}"


def stopped(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """Where the upstream is."""
    process, url = started()
    yield url
    stopped(process)


def word() -> str:
    """A text that was never sent before."""
    return f"word-{next(fresh)}-{os.getpid()}"


async def heard(upstream: str, text: str) -> int:
    """How often the upstream has heard it, asked past the proxy."""
    async with httpx2.AsyncClient(verify=False, timeout=60.0) as client:
        return int((await client.get(f"{upstream}/v1/heard")).json().count(text))


def through_a_proxy(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an asynchronous test with a proxy in front of the upstream, and a client of it."""
    signature = inspect.signature(test)
    own = [one for name, one in signature.parameters.items() if name not in ("proxy", "client")]

    async def tried(upstream: str, **given: Any) -> None:
        async with (
            wire.FaultProxy(upstream) as proxy,
            httpx2.AsyncClient(base_url=proxy.url, verify=False, timeout=60.0) as client,
        ):
            every = {"upstream": upstream, "proxy": proxy, "client": client, **given}
            await test(**{name: every[name] for name in signature.parameters})

    fixture = inspect.Parameter("upstream", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    rest = [one for one in own if one.name != "upstream"]
    functools.update_wrapper(tried, test)
    tried.__signature__ = signature.replace(parameters=[fixture, *rest])  # type: ignore[attr-defined]
    return in_real_time(tried)


def websocket(proxy: wire.FaultProxy, **options: Any) -> connect:
    return connect(f"{proxy.ws_url}/v1/ws?session_token=s3cr3t", proxy=None, **options)


async def echoed(ws: ClientConnection, *texts: str) -> None:
    for text in texts:
        await ws.send(text)
        assert await ws.recv() == text


async def closed(ws: ClientConnection) -> int:
    """The code that the client is told of the end."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await ws.recv()
    assert ws.close_code is not None
    return ws.close_code


def told(proxy: wire.FaultProxy) -> list[str]:
    return [entry.fault for entry in proxy.applied()]


@through_a_proxy
async def test_without_a_plan_everything_passes_unchanged(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient, upstream: str
) -> None:
    text = word()
    for _ in range(2):
        answer = await client.post("/v1/echo?key=s3cr3t", content=text, headers={"X-Key": "s3cr3t"})
        assert (answer.status_code, answer.text) == (200, text)
    assert (await client.get("/v1/drip")).text == "".join(str(number) * 10 for number in range(10))
    assert (await client.head("/v1/drip")).status_code == 200
    assert (await client.get("/v1/nowhere")).status_code == 404
    large = "x" * 1_000_000
    assert (await client.post("/v1/echo", content=large)).text == large
    async with websocket(proxy) as ws:
        await echoed(ws, "a", "b" * 70_000, "c" * 300)
        await (await ws.ping())
        await ws.send("bye")
        assert await closed(ws) == 4000
    assert await heard(upstream, text) == 2
    assert {entry.connection for entry in proxy.log} >= {1, 2}
    # kept alive
    assert (
        len([entry for entry in proxy.log if entry.event == "request" and entry.connection == 1])
        == 6
    )
    assert [(e.of, e.frames) for e in proxy.log if e.event == "frame"][:4] == [
        ("client", 1),
        ("server", 1),
        ("client", 2),
        ("server", 2),
    ]
    assert [e.status for e in proxy.log if e.event == "close"][:1] == [4000]
    assert proxy.applied() == ()


@through_a_proxy
async def test_the_log_holds_no_query_no_header_and_no_body(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient
) -> None:
    proxy.plan(wire.Status(code=401, body="s3cr3t", headers=(("X-Key", "s3cr3t"),)), skip=1)
    proxy.plan(wire.CloseWith(reason="s3cr3t", after=1))
    for _ in range(2):
        await client.post("/v1/echo?key=s3cr3t", content="s3cr3t", headers={"X-Key": "s3cr3t"})
    async with websocket(proxy) as ws:
        await ws.send("s3cr3t")
        await closed(ws)
    assert "/v1/echo" in repr(proxy.log)
    assert "s3cr3t" not in repr(proxy.log)
    proxy.plan(wire.Status(body="s3cr3t", headers=(("X-Key", "s3cr3t"),)))
    with pytest.raises(AssertionError) as caught:
        proxy.heal()
    assert "s3cr3t" not in str(caught.value)


@through_a_proxy
async def test_a_refused_connection_is_reset_before_a_byte_passes(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient, upstream: str
) -> None:
    text = word()
    proxy.plan(wire.Refuse())
    with pytest.raises(httpx2.TransportError):
        await client.post("/v1/echo", content=text)
    assert (await client.post("/v1/echo", content=text)).text == text
    proxy.plan(wire.Refuse())
    with pytest.raises((OSError, InvalidMessage)):
        async with websocket(proxy):
            pass
    assert (told(proxy), await heard(upstream, text)) == (["Refuse", "Refuse"], 1)


@through_a_proxy
async def test_while_it_is_down_nobody_listens_and_open_connections_stay(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient
) -> None:
    async with websocket(proxy) as ws:
        for heal in (proxy.up, proxy.heal):
            proxy.down()
            with pytest.raises(httpx2.ConnectError):
                await client.get("/v1/heard")
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", proxy.port)
            await echoed(ws, "still here")
            heal()
            assert (
                await client.get("/v1/heard", headers={"Connection": "close"})
            ).status_code == 200
    assert [entry.event for entry in proxy.log if entry.event in ("up", "down")] == [
        "up",
        "down",
        "up",
        "down",
        "up",
    ]


@pytest.mark.parametrize(
    ("code", "headers", "body"),
    [
        (503, (("Retry-After", "7"),), '{"error": {"code": "internal_error"}}'),
        (407, (("Proxy-Authenticate", "Basic"),), b""),
        (200, (("Content-Type", "text/html"),), "<html>Welcome to the Hotel</html>"),
        (302, (("Location", "http://portal.example/"),), b""),
    ],
)
@through_a_proxy
async def test_the_proxy_answers_in_place_of_the_upstream(
    proxy: wire.FaultProxy,
    client: httpx2.AsyncClient,
    upstream: str,
    code: int,
    headers: tuple[tuple[str, str], ...],
    body: Any,
) -> None:
    text = word()
    proxy.plan(wire.Status("POST", "/echo", code=code, headers=headers, body=body))
    answer = await client.post("/v1/echo", content=text)
    assert (answer.status_code, answer.content) == (
        code,
        body.encode() if isinstance(body, str) else body,
    )
    assert (
        dict(headers).items()
        <= {name.title(): value for name, value in answer.headers.items()}.items()
    )
    assert (await client.post("/v1/echo", content=text)).text == text
    assert (told(proxy), await heard(upstream, text)) == (["Status"], 1)


@through_a_proxy
async def test_faults_are_addressed_by_method_by_path_and_by_number(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient
) -> None:
    proxy.plan(wire.Status("POST", "/v1/echo", code=501), skip=1)
    proxy.plan(wire.Status("GET", "/echo", code=502), times=2)
    proxy.plan(wire.Status("*", "/dr?p", code=503), times=None)
    proxy.plan(wire.Status("GET", "*", code=504), skip=1)
    got = [
        (await client.request(method, f"/v1/{path}")).status_code
        for method, path in (
            ("POST", "echo"),
            ("GET", "echo?a=/drip"),
            ("POST", "echo"),
            ("GET", "echo"),
            ("GET", "drip"),
            ("GET", "drip"),
            ("GET", "echo"),
            ("GET", "echo"),
            ("POST", "echo"),
            ("GET", "drip"),
        )
    ]
    assert got == [200, 502, 501, 502, 503, 503, 200, 504, 200, 503]
    assert [(e.method, e.path, e.connection) for e in proxy.applied()][:2] == [
        ("GET", "/v1/echo", 1),
        ("POST", "/v1/echo", 1),
    ]
    proxy.heal()
    assert (await client.get("/v1/drip")).status_code == 200


@pytest.mark.parametrize(("of", "reached"), [("client", 0), ("both", 0), ("server", 1)])
@through_a_proxy
async def test_a_stalled_exchange_waits_until_it_is_released(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient, upstream: str, of: Any, reached: int
) -> None:
    text = word()
    proxy.plan(wire.Stall("POST", of=of))
    asking = asyncio.ensure_future(client.post("/v1/echo", content=text))
    await proxy.until_applied(wire.Stall)
    assert (await heard(upstream, text), asking.done()) == (reached, False)
    proxy.release()
    assert (await asking).text == text
    assert (told(proxy), await heard(upstream, text)) == (["Stall"], 1)


@through_a_proxy
async def test_a_stall_in_the_middle_of_a_body_ends_by_healing_or_by_its_time(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient
) -> None:
    for plan in (
        wire.Stall("GET", "/drip", of="server", part="body", after=30),
        wire.Stall("GET", "/drip", after=200, seconds=0.05),
    ):
        proxy.plan(plan)
        async with client.stream("GET", "/v1/drip") as answer:
            pieces = answer.aiter_text()
            assert (await anext(pieces)).startswith("0")
            if plan.seconds is None:
                await proxy.until_applied(wire.Stall)
                proxy.heal()
            assert len("".join([piece async for piece in pieces])) < 100
    assert [entry.fault for entry in proxy.applied(wire.Stall)] == ["Stall", "Stall"]


@through_a_proxy
async def test_a_client_that_gives_up_is_noticed_and_its_request_is_not_sent(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient, upstream: str
) -> None:
    text = word()
    proxy.plan(wire.Stall("POST"))
    with pytest.raises(httpx2.ReadTimeout):
        await client.post("/v1/echo", content=text, timeout=0.05)
    await proxy.until(lambda log: log[-1].event == "closed")
    proxy.release()
    assert (told(proxy), await heard(upstream, text)) == (["Stall"], 0)


@pytest.mark.parametrize("of", ["client", "server"])
@through_a_proxy
async def test_a_delay_and_a_slow_wire_take_their_time(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient, of: Any
) -> None:
    proxy.plan(wire.Stall("POST", of=of, seconds=0.2), wire.Slow("POST", of=of, rate=5000))
    for least in (0.2, 0.2):
        began = time.monotonic()
        assert (await client.post("/v1/echo", content="x" * 1000)).text == "x" * 1000
        assert time.monotonic() - began >= least
    assert told(proxy) == ["Stall", "Slow"]


@pytest.mark.parametrize(
    ("fault", "error", "reached"),
    [
        (wire.Cut("POST"), httpx2.TransportError, 1),
        (wire.Cut("POST", after=10), httpx2.TransportError, 1),
        (wire.Cut("POST", after=3, part="body"), httpx2.ReadError, 1),
        (wire.Cut("POST", of="client"), httpx2.TransportError, 0),
        (wire.Cut("POST", of="client", after=3, part="body"), httpx2.TransportError, 0),
    ],
)
@through_a_proxy
async def test_a_message_is_cut_where_the_plan_says(
    proxy: wire.FaultProxy,
    client: httpx2.AsyncClient,
    upstream: str,
    fault: wire.Cut,
    error: type[Exception],
    reached: int,
) -> None:
    text, came = word(), b""
    proxy.plan(fault)
    with pytest.raises(error):  # noqa: PT012  # the error comes while the body is read
        async with client.stream("POST", "/v1/echo", content=text) as answer:
            async for piece in answer.aiter_raw():
                came += piece
    assert came == (text[:3].encode() if fault.part == "body" and fault.of == "server" else b"")
    assert (told(proxy), await heard(upstream, text)) == (["Cut"], reached)
    passed = proxy.applied()[0].bytes
    assert passed == fault.after if fault.part == "message" else passed > fault.after
    assert (await client.post("/v1/echo", content=text)).text == text


@through_a_proxy
async def test_a_cut_in_a_chunked_body_leaves_it_without_an_end(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient
) -> None:
    proxy.plan(wire.Cut("GET", "/drip", after=40, part="body"))
    with pytest.raises(httpx2.TransportError):
        await client.get("/v1/drip")
    assert [entry.fault for entry in proxy.applied(wire.Cut)] == ["Cut"]


@through_a_proxy
async def test_garbage_replaces_bytes_in_the_head_or_in_the_body(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient, upstream: str
) -> None:
    text = word()
    proxy.plan(
        wire.Garbage("POST", "/echo"), wire.Garbage("POST", "/echo", data=b"##", at=1, part="body")
    )
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.post("/v1/echo", content=text)
    assert (await client.post("/v1/echo", content=text)).text == text[0] + "##" + text[3:]
    proxy.plan(wire.Garbage("POST", "/echo", data=b"##", at=1, part="body", of="client"))
    await client.post("/v1/echo", content=text)
    assert await heard(upstream, text) == 2
    assert await heard(upstream, text[0] + "##" + text[3:]) == 1
    assert told(proxy) == ["Garbage"] * 3


@pytest.mark.parametrize(
    ("then", "error"),
    [
        ("close", httpx2.RemoteProtocolError),
        ("reset", httpx2.ReadError),
        ("silence", httpx2.ReadTimeout),
    ],
)
@through_a_proxy
async def test_a_swallowed_reply_was_given_and_is_never_seen(
    proxy: wire.FaultProxy,
    client: httpx2.AsyncClient,
    upstream: str,
    then: Any,
    error: type[Exception],
) -> None:
    text = word()
    proxy.plan(wire.Swallow("POST", "/echo", then=then))
    with pytest.raises(error):
        await client.post("/v1/echo", content=text, timeout=0.5 if then == "silence" else 10)
    assert (told(proxy), await heard(upstream, text)) == (["Swallow"], 1)
    assert proxy.applied()[0].bytes > len(text)


@through_a_proxy
async def test_a_duplicated_request_is_carried_out_twice_and_answered_once(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient, upstream: str
) -> None:
    text = word()
    proxy.plan(wire.Duplicate("POST", "/echo"))
    assert (await client.post("/v1/echo", content=text)).text == text
    assert (told(proxy), await heard(upstream, text)) == (["Duplicate"], 2)
    assert (await client.post("/v1/echo", content=text)).text == text
    assert await heard(upstream, text) == 3


@pytest.mark.parametrize("code", [403, 426, 503])
@through_a_proxy
async def test_an_upgrade_can_be_blocked_while_plain_requests_pass(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient, code: int
) -> None:
    proxy.plan(wire.Status("UPGRADE", code=code), times=None)
    for _ in range(2):
        with pytest.raises(InvalidStatus) as caught:
            await websocket(proxy)
        assert caught.value.response.status_code == code
        assert (await client.get("/v1/heard")).status_code == 200
    assert told(proxy) == ["Status"] * 2
    proxy.heal()
    async with websocket(proxy) as ws:
        await echoed(ws, "open again")


@through_a_proxy
async def test_a_blocked_upgrade_can_hang(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient
) -> None:
    proxy.plan(wire.Stall("UPGRADE", "/ws"))
    dialling = asyncio.ensure_future(websocket(proxy).__aenter__())
    await proxy.until_applied(wire.Stall)
    assert (await client.get("/v1/heard")).status_code == 200
    assert not dialling.done()
    proxy.release()
    async with await dialling as ws:
        await echoed(ws, "open after all")


@pytest.mark.parametrize(("after", "code"), [(0, 1013), (0, 4001), (2, 1011), (2, 4401)])
@through_a_proxy
async def test_a_websocket_is_closed_with_a_code(
    proxy: wire.FaultProxy, after: int, code: int
) -> None:
    proxy.plan(wire.CloseWith("/ws", code=code, reason="told so", after=after))
    async with websocket(proxy) as ws:
        await echoed(ws, *"ab"[:after])
        assert (await closed(ws), ws.close_reason) == (code, "told so")
    async with websocket(proxy) as ws:
        await echoed(ws, "a", "b", "c")
    assert [(e.fault, e.frames, e.path) for e in proxy.applied()] == [
        ("CloseWith", after, "/v1/ws")
    ]


@through_a_proxy
async def test_each_of_two_planned_closes_meets_a_connection_of_its_own(
    proxy: wire.FaultProxy,
) -> None:
    proxy.plan(wire.CloseWith(code=4001, after=1), wire.CloseWith(code=4002, after=1))
    proxy.plan(wire.CloseWith(code=4003, after=1), skip=2)
    for code in (4001, 4002, 4003):
        async with websocket(proxy) as ws:
            await ws.send("a")
            assert await closed(ws) == code


@through_a_proxy
async def test_a_fault_planned_for_an_open_websocket_is_met_from_then_on(
    proxy: wire.FaultProxy,
) -> None:
    async with websocket(proxy) as ws:
        await echoed(ws, "a", "b")
        proxy.plan(wire.ReplaceFrame(frame=2))
        for text in "cde":
            await ws.send(text)
        assert [await ws.recv(), await ws.recv()] == ["c", "e"]
        proxy.plan(wire.CloseWith(code=4005))
        assert await closed(ws) == 4005


@through_a_proxy
async def test_a_websocket_is_dropped_after_some_frames(
    proxy: wire.FaultProxy, upstream: str
) -> None:
    for after in (0, 2):
        proxy.plan(wire.CloseWith("/ws", 1006, after=after))
        text = word()
        async with websocket(proxy) as ws:
            await echoed(ws, *[text] * after)
            assert await closed(ws) == 1006
        assert await heard(upstream, text) == after
    assert [(e.fault, e.frames) for e in proxy.applied()] == [
        ("CloseWith", 0),
        ("CloseWith", 2),
    ]


@through_a_proxy
async def test_a_websocket_dropped_after_a_frame_of_the_client_had_passed_it(
    proxy: wire.FaultProxy,
) -> None:
    proxy.plan(wire.CloseWith(code=1006, after=1, of="client"))
    async with websocket(proxy) as ws:
        await ws.send(word())
        assert await closed(ws) == 1006
    assert [(e.of, e.frames) for e in proxy.applied()] == [("client", 1)]


@through_a_proxy
async def test_a_stalled_websocket_lets_nothing_pass_not_even_a_ping(
    proxy: wire.FaultProxy, upstream: str
) -> None:
    text = word()
    async with websocket(proxy, ping_interval=None) as ws:
        await echoed(ws, "a")
        proxy.plan(wire.StallFrames())
        await ws.send(text)
        pong = asyncio.ensure_future(await ws.ping())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ws.recv(), 0.1)
        assert (pong.done(), await heard(upstream, text)) == (False, 0)
        proxy.release()
        assert await ws.recv() == text
        await pong
    assert told(proxy) == ["StallFrames"]


@through_a_proxy
async def test_a_plan_for_always_meets_every_websocket_once_until_it_is_healed(
    proxy: wire.FaultProxy,
) -> None:
    async with websocket(proxy) as first:
        proxy.plan(wire.StallFrames(seconds=0.05), wire.CloseWith(code=4006, after=1), times=None)
        async with websocket(proxy) as second:
            for ws in (first, second):
                await ws.send("a")
                assert await closed(ws) == 4006
    assert sorted(told(proxy)) == ["CloseWith"] * 2 + ["StallFrames"] * 2
    proxy.heal()
    async with websocket(proxy) as third:
        await echoed(third, "a")


@pytest.mark.parametrize(("stalled", "reached"), [("client", 0), ("server", 1)])
@through_a_proxy
async def test_a_websocket_stalls_in_one_direction(
    proxy: wire.FaultProxy, upstream: str, stalled: Any, reached: int
) -> None:
    text = word()
    proxy.plan(wire.StallFrames(stalled=stalled))
    async with websocket(proxy) as ws:
        await ws.send(text)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ws.recv(), 0.2)
        assert await heard(upstream, text) == reached
        proxy.heal()
        assert await ws.recv() == text


@through_a_proxy
async def test_a_client_that_pings_finds_out_that_the_link_is_silent(
    proxy: wire.FaultProxy,
) -> None:
    async with websocket(proxy, ping_interval=0.05, ping_timeout=0.1, close_timeout=0.1) as ws:
        await echoed(ws, "a")
        proxy.plan(wire.StallFrames())
        assert await closed(ws) == 1006
        assert ws.protocol.close_sent is not None
        assert (ws.protocol.close_sent.code, ws.protocol.close_sent.reason) == (
            1011,
            "keepalive ping timeout",
        )


@pytest.mark.parametrize("of", ["client", "server"])
@through_a_proxy
async def test_a_frame_is_cut_in_the_middle(proxy: wire.FaultProxy, upstream: str, of: Any) -> None:
    first, second = word(), word()
    proxy.plan(wire.CutFrame("/ws", frame=2, after=5, of=of))
    async with websocket(proxy) as ws:
        await echoed(ws, first)
        await ws.send(second)
        assert await closed(ws) == 1006
    assert [(e.fault, e.of, e.frames) for e in proxy.applied()] == [("CutFrame", of, 2)]
    assert await heard(upstream, second) == (1 if of == "server" else 0)


@through_a_proxy
async def test_garbage_in_place_of_a_frame_ends_the_connection_by_the_protocol(
    proxy: wire.FaultProxy,
) -> None:
    proxy.plan(wire.ReplaceFrame("/ws", frame=2, data=b"\xff\xff\xff\xff"))
    proxy.plan(wire.ReplaceFrame("/ws", frame=1, data=b"\x81\x02\xff\xfe"), skip=1)
    for texts, code in (("ab", 1002), ("a", 1007)):
        async with websocket(proxy) as ws:
            for text in texts:
                await ws.send(text)
            assert await closed(ws) == 1006
            assert ws.protocol.close_sent is not None
            assert ws.protocol.close_sent.code == code
    assert [(e.fault, e.frames) for e in proxy.applied()] == [
        ("ReplaceFrame", 2),
        ("ReplaceFrame", 1),
    ]


@pytest.mark.parametrize("of", ["client", "server"])
@through_a_proxy
async def test_frames_are_lost_repeated_and_held(
    proxy: wire.FaultProxy, upstream: str, of: Any
) -> None:
    texts = [word() for _ in range(4)]
    proxy.plan(
        wire.ReplaceFrame(frame=1, of=of),
        wire.RepeatFrame(frame=2, of=of),
        wire.StallFrames(after=2, of=of, stalled=of, seconds=0.2),
    )
    async with websocket(proxy) as ws:
        began = time.monotonic()
        for text in texts:
            await ws.send(text)
        assert [await ws.recv() for _ in range(4)] == [texts[1], texts[1], texts[2], texts[3]]
        assert time.monotonic() - began >= 0.2
    counts = [await heard(upstream, text) for text in texts]
    assert counts == ([0, 2, 1, 1] if of == "client" else [1, 1, 1, 1])
    assert [(e.fault, e.frames) for e in proxy.applied()] == [
        ("ReplaceFrame", 1),
        ("RepeatFrame", 2),
        ("StallFrames", 2),
    ]


@through_a_proxy
async def test_frames_are_slow(proxy: wire.FaultProxy) -> None:
    proxy.plan(wire.SlowFrames("/ws", rate=5000, after=1))
    async with websocket(proxy) as ws:
        await echoed(ws, "a")
        began = time.monotonic()
        await echoed(ws, "x" * 1000)
        assert time.monotonic() - began >= 0.2
    assert told(proxy) == ["SlowFrames"]


NEVER: list[tuple[wire.Fault, str]] = [
    (wire.Status("DELETE"), "took effect 0 of 1 times"),
    (wire.Cut("POST", after=10_000), "took effect 0 of 1 times"),
    (wire.Garbage("POST", at=10_000), "took effect 0 of 1 times"),
    (wire.CutFrame(frame=7), "took effect 0 of 1 times"),
    (wire.Refuse(), "took effect 0 of 1 times"),
]


@pytest.mark.parametrize(("fault", "line"), NEVER)
def test_a_planned_fault_that_never_took_effect_is_an_error(
    upstream: str, fault: wire.Fault, line: str
) -> None:
    proxy = wire.FaultProxy(upstream)
    with pytest.raises(AssertionError, match=line), proxy:  # noqa: PT012 - it is left
        with httpx2.Client(base_url=proxy.url, timeout=60.0) as client:
            # the connection is open before the plan
            assert client.post("/v1/echo", content="x").text == "x"
            proxy.plan(fault)
            assert client.post("/v1/echo", content="x").text == "x"
        with pytest.raises(AssertionError, match=line):
            proxy.heal()
        proxy.heal()
        proxy.plan(fault, times=None)
        proxy.plan(fault, required=False)
        proxy.heal()
        proxy.plan(fault)


@through_a_proxy
async def test_a_fault_met_less_often_than_planned_is_an_error_too(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient
) -> None:
    proxy.plan(wire.Status(), times=3)
    await client.get("/v1/heard")
    with pytest.raises(AssertionError, match="took effect 1 of 3 times"):
        proxy.heal()


def test_an_error_of_the_test_itself_is_not_covered_up(upstream: str) -> None:
    with pytest.raises(LookupError), wire.FaultProxy(upstream) as proxy:  # noqa: PT012
        proxy.plan(wire.Status())
        raise LookupError


@through_a_proxy
async def test_waiting_for_what_does_not_happen_ends_with_the_log(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient
) -> None:
    await client.get("/v1/heard")
    with pytest.raises(AssertionError, match="/v1/heard"):
        await proxy.until_applied(wire.Status, within=0.01)


def test_it_serves_clients_that_block_the_thread_of_the_test(upstream: str) -> None:
    with (
        wire.FaultProxy(upstream) as proxy,
        httpx2.Client(base_url=proxy.url, timeout=60.0) as client,
    ):
        proxy.plan(wire.Status(code=418))
        assert [client.get("/v1/heard").status_code for _ in range(2)] == [418, 200]
        proxy.wait_until(lambda log: log[-1].event == "response")


@in_real_time
async def test_a_killed_upstream_breaks_what_is_open_and_a_new_one_is_found() -> None:
    with contextlib.ExitStack() as ending:
        first, url = started()
        ending.callback(stopped, first)
        async with (
            wire.FaultProxy(url) as proxy,
            httpx2.AsyncClient(base_url=proxy.url, verify=False, timeout=60.0) as client,
        ):
            async with websocket(proxy) as ws:
                await echoed(ws, "a")
                first.send_signal(signal.SIGKILL)
                first.wait()
                assert await closed(ws) == 1006
            with pytest.raises(httpx2.TransportError):
                await client.get("/v1/heard")
            assert "unreachable" in [entry.event for entry in proxy.log]
            second, url = started()
            ending.callback(stopped, second)
            proxy.point_to(url)
            assert (await client.get("/v1/heard")).json() == []


def test_random_faults_are_the_same_for_the_same_number_and_cover_every_kind() -> None:
    assert wire.random_faults(7) == wire.random_faults(7)
    assert wire.random_faults(7) != wire.random_faults(8)
    kinds = {type(plan.fault) for seed in range(100) for plan in wire.random_faults(seed)}
    assert {kind.__name__ for kind in kinds} == set(wire.__all__) - {
        "Entry",
        "Fault",
        "FaultProxy",
        "Plan",
        "random_faults",
    }
    addressed = [
        plan.fault
        for plan in wire.random_faults(3, 50, requests=[("POST", "/echo")], realtime="/ws")
    ]
    assert {getattr(fault, "path", "/ws") for fault in addressed} == {"/echo", "/ws"}


@pytest.mark.parametrize("seed", range(12))
@through_a_proxy
async def test_after_random_faults_healing_makes_everything_well(
    proxy: wire.FaultProxy, client: httpx2.AsyncClient, seed: int
) -> None:
    proxy.plan(*wire.random_faults(seed, 8))
    for _ in range(6):
        try:
            await client.post("/v1/echo", content="x" * 200, timeout=2)
            async with websocket(proxy, open_timeout=2, close_timeout=0.2) as ws:
                for _ in range(3):
                    await ws.send("y" * 50)
                    await asyncio.wait_for(ws.recv(), 1)
        except (
            httpx2.TransportError,
            OSError,
            InvalidHandshake,
            ConnectionClosed,
            UnicodeError,
        ):
            pass
    proxy.heal()
    for _ in range(2):
        assert (await client.post("/v1/echo", content="well")).text == "well"
    async with websocket(proxy) as ws:
        await echoed(ws, "well", "again")


@pytest.mark.parametrize("numbers", [{"times": 0}, {"skip": -1}])
def test_a_plan_that_cannot_be_meant_is_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="times counts from 1"):
        wire.Plan(wire.Refuse(), **numbers)  # type: ignore[arg-type]  # a test of numbers

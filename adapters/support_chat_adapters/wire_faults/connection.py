"""One client's connection: its requests one after the other, each with the fault it meets, until
one of them ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from functools import partial
from typing import Any, Literal, TypeAlias

import attrs

from .faults import Duplicate, Fault, Stall, Status, Swallow
from .http1 import Request, Response, UnreadableError, read_request, read_response
from .log import Log
from .plans import Claim, Plans
from .streams import CutError, Gate, Wire, byte_fault, faulty
from .websocket import Tunnel

_Then: TypeAlias = Literal["keep", "close", "reset"]
"""What becomes of the client's connection after an exchange."""


@attrs.define(eq=False)
class Connection:
    """The connection of this number; `run` serves it."""

    number: int
    client: Wire
    upstream_at: tuple[str, int]
    plans: Plans
    log: Log
    gate: Gate
    tunnel: Tunnel | None = None

    async def run(self) -> None:
        """Serves it to its end; whatever breaks on the wire breaks it too."""
        self.log.add("connected", self.number)
        then: _Then = "reset"
        try:
            refused = self.plans.connection()
            if refused is not None:
                self.log.take_effect(refused, self.number)
            else:
                then = await self._serve()
        except (OSError, asyncio.IncompleteReadError, UnreadableError):
            self.log.add("broken", self.number)
        finally:
            (self.client.reset if then == "reset" else self.client.close)()
            self.log.add("closed", self.number)

    async def _serve(self) -> _Then:
        request = await read_request(self.client.reader)
        while request is not None:
            size = len(request.head) + len(request.body)
            self.log.add("request", self.number, request, bytes=size)
            claim = self.plans.request(request.method, request.path, upgrade=request.upgrade)
            try:
                if request.upgrade:
                    return await self._exchange(request, claim)
                upcoming = asyncio.ensure_future(read_request(self.client.reader))
                then = await self._while_the_client_is_there(request, claim, upcoming)
            finally:
                if claim is not None:
                    claim.settle()
            if then != "keep":
                return then
            request = await upcoming
        return "close"

    async def _while_the_client_is_there(
        self,
        request: Request,
        claim: Claim[Fault] | None,
        upcoming: asyncio.Future[Request | None],
    ) -> _Then:
        """One exchange; over when the client has gone. Reading on is how its going is seen."""
        exchange = asyncio.ensure_future(self._exchange(request, claim))
        then: _Then = "close"
        try:
            both: list[asyncio.Future[Any]] = [upcoming, exchange]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if exchange.done() or upcoming.result() is not None:
                then = await exchange
        finally:
            exchange.cancel()
            if then != "keep":
                upcoming.cancel()
                await asyncio.gather(upcoming, exchange, return_exceptions=True)
        return then

    async def _exchange(self, request: Request, claim: Claim[Fault] | None) -> _Then:
        """Carries a request to the upstream and its response back, or does instead what the fault
        says.
        """
        if claim is not None:
            if isinstance(claim.fault, Status):
                self.log.take_effect(claim, self.number, request)
                await self.client.send(_answer(claim.fault, request))
                return "close" if request.upgrade else "keep"
            if isinstance(claim.fault, Duplicate):
                await self._carry_out_and_drop(request, claim)
        upstream = await self._dial()
        if upstream is None:
            return "reset"
        try:
            return await self._through(upstream, request, claim)
        except CutError:
            upstream.reset()
            return "reset"
        finally:
            upstream.close()

    async def _through(self, upstream: Wire, request: Request, claim: Claim[Fault] | None) -> _Then:
        fault = claim.fault if claim is not None else None

        def take_effect(size: int) -> None:
            if claim is not None:
                self.log.take_effect(claim, self.number, request, bytes=size)

        sent = _pieces(request.head + request.body)
        shaped = partial(faulty, take_effect=take_effect, gate=self.gate)
        await upstream.pour(shaped(sent, len(request.head), byte_fault(fault, "client")))
        response = await read_response(upstream.reader, request.method)
        if isinstance(fault, Swallow):
            take_effect(await _size(response))
            if fault.then == "silence":
                await self.gate.wait()
            return "reset" if fault.then == "reset" else "close"
        # a stall of both is one stall
        stalled = isinstance(fault, Stall) and claim is not None and claim.has_effect
        answered = None if stalled else byte_fault(fault, "server")
        size = await self.client.pour(
            shaped(_pieces(response.head, response.body), len(response.head), answered)
        )
        self.log.add("response", self.number, request, status=response.status, bytes=size)
        if response.status != 101:
            return "keep" if response.keep else "close"
        self.log.add("upgraded", self.number, request)
        self.tunnel = Tunnel(
            self.number, request, self.client, upstream, self.plans, self.log, self.gate
        )
        await self.tunnel.run()
        return "close"

    async def _carry_out_and_drop(self, request: Request, claim: Claim[Fault]) -> None:
        upstream = await self._dial()
        if upstream is None:
            return
        try:
            await upstream.send(request.head + request.body)
            size = await _size(await read_response(upstream.reader, request.method))
        finally:
            upstream.close()
        self.log.take_effect(claim, self.number, request, bytes=size)

    async def _dial(self) -> Wire | None:
        try:
            return await Wire.to(*self.upstream_at)
        except OSError:
            self.log.add("unreachable", self.number)
            return None


async def _pieces(
    first: bytes, others: AsyncIterable[bytes] | None = None
) -> AsyncGenerator[bytes, None]:
    yield first
    if others is not None:
        async for piece in others:
            yield piece


async def _size(response: Response) -> int:
    return len(response.head) + sum([len(piece) async for piece in response.body])


def _answer(fault: Status, request: Request) -> bytes:
    body = fault.body.encode() if isinstance(fault.body, str) else fault.body
    content = body if request.method != "HEAD" else b""
    lines = [
        f"HTTP/1.1 {fault.code} Answered by the fault proxy",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in fault.headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content

"""One client's connection: its requests one after the other, each with the fault it meets, until
one of them ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from enum import Enum, auto
from typing import Any

import attrs

from .faults import BlockUpgrade, Duplicate, Stall, Status, Swallow
from .http1 import Request, Response, UnreadableError, read_request, read_response
from .log import Entry, Event, Log
from .plans import Claim, Plans
from .shaping import CutOffError, Took, shape_of, shaped
from .tunnel import Tunnel
from .wires import Gate, Wire


class _Then(Enum):
    """What becomes of the client's connection after an exchange."""

    KEEP = auto()
    CLOSE = auto()
    RESET = auto()


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
        self._note("connected")
        then = _Then.RESET
        try:
            refused = self.plans.connection()
            if refused is not None:
                self._took(refused, None, 0)
            else:
                then = await self._serve()
        except (OSError, asyncio.IncompleteReadError, UnreadableError):
            self._note("broken")
        finally:
            (self.client.reset if then is _Then.RESET else self.client.close)()
            self._note("closed")

    async def _serve(self) -> _Then:
        request = await read_request(self.client.reader)
        while request is not None:
            self._note("request", request, bytes=len(request.head) + len(request.body))
            claim = self.plans.request(request.method, request.path, upgrade=request.upgrade)
            try:
                if request.upgrade:
                    return await self._exchange(request, claim)
                upcoming = asyncio.ensure_future(read_request(self.client.reader))
                then = await self._while_the_client_is_there(request, claim, upcoming)
            finally:
                if claim is not None:
                    claim.settle()
            if then is not _Then.KEEP:
                return then
            request = await upcoming
        return _Then.CLOSE

    async def _while_the_client_is_there(
        self, request: Request, claim: Claim | None, upcoming: asyncio.Future[Request | None]
    ) -> _Then:
        """One exchange; over when the client has gone. Reading on is how its going is seen."""
        exchange = asyncio.ensure_future(self._exchange(request, claim))
        then = _Then.CLOSE
        try:
            both: list[asyncio.Future[Any]] = [upcoming, exchange]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if exchange.done() or upcoming.result() is not None:
                then = await exchange
        finally:
            exchange.cancel()
            if then is not _Then.KEEP:
                upcoming.cancel()
                await asyncio.gather(upcoming, exchange, return_exceptions=True)
        return then

    async def _exchange(self, request: Request, claim: Claim | None) -> _Then:
        """Carries a request to the upstream and its response back, or does instead what the fault
        says.
        """
        match claim and claim.fault:
            case Status() as fault:
                self._took(claim, request, 0)
                await self.client.send(
                    _answer(
                        fault.code, fault.headers, fault.body if request.method != "HEAD" else b""
                    )
                )
                return _Then.CLOSE if request.upgrade else _Then.KEEP
            case BlockUpgrade(code=code):
                self._took(claim, request, 0)
                if code is None:
                    await self.gate.wait()
                    return _Then.RESET
                await self.client.send(_answer(code, (), b""))
                return _Then.CLOSE
            case Duplicate():
                await self._carry_out_and_drop(request, claim)
            case _:
                pass
        upstream = await self._dial()
        if upstream is None:
            return _Then.RESET
        try:
            return await self._through(upstream, request, claim)
        except CutOffError:
            upstream.reset()
            return _Then.RESET
        finally:
            upstream.close()

    async def _through(self, upstream: Wire, request: Request, claim: Claim | None) -> _Then:
        fault = claim.fault if claim is not None else None

        def took(size: int) -> None:
            self._took(claim, request, size)

        sent = _pieces(request.head, request.body)
        await upstream.pour(
            shaped(sent, len(request.head), shape_of(fault, "client"), took, self.gate)
        )
        response = await read_response(upstream.reader, request.method)
        if isinstance(fault, Swallow):
            return await self._swallow(response, fault, took)
        # a stall of both is one stall
        released = isinstance(fault, Stall) and claim is not None and claim.has_effect
        shape = None if released else shape_of(fault, "server")
        back = shaped(_response_pieces(response), len(response.head), shape, took, self.gate)
        size = await self.client.pour(back)
        self._note("response", request, status=response.status, bytes=size)
        if response.status == 101:
            self._note("upgraded", request)
            self.tunnel = Tunnel(
                self.number,
                request,
                self.client,
                upstream,
                plans=self.plans,
                log=self.log,
                gate=self.gate,
            )
            await self.tunnel.run()
            return _Then.CLOSE
        return _Then.KEEP if response.keep else _Then.CLOSE

    async def _swallow(self, response: Response, fault: Swallow, took: Took) -> _Then:
        took(await _size(response))
        if fault.then == "silence":
            await self.gate.wait()
        return _Then.RESET if fault.then == "reset" else _Then.CLOSE

    async def _carry_out_and_drop(self, request: Request, claim: Claim | None) -> None:
        upstream = await self._dial()
        if upstream is None:
            return
        try:
            await upstream.send(request.head + request.body)
            size = await _size(await read_response(upstream.reader, request.method))
        finally:
            upstream.close()
        self._took(claim, request, size)

    async def _dial(self) -> Wire | None:
        try:
            return await Wire.to(*self.upstream_at)
        except OSError:
            self._note("unreachable")
            return None

    def _took(self, claim: Claim | None, request: Request | None, size: int) -> None:
        if claim is not None and claim.took_effect():
            self._note("applied", request, fault=type(claim.fault).__name__, bytes=size)

    def _note(
        self,
        event: Event,
        request: Request | None = None,
        *,
        fault: str = "",
        status: int = 0,
        bytes: int = 0,
    ) -> None:
        method, path = (request.method, request.path) if request is not None else ("", "")
        self.log.add(Entry(event, self.number, method, path, fault, status=status, bytes=bytes))


async def _pieces(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        if piece:
            yield piece


async def _response_pieces(response: Response) -> AsyncGenerator[bytes, None]:
    yield response.head
    async for piece in response.body:
        yield piece


async def _size(response: Response) -> int:
    return len(response.head) + sum([len(piece) async for piece in response.body])


def _answer(code: int, headers: tuple[tuple[str, str], ...], body: bytes | str) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    lines = [
        f"HTTP/1.1 {code} Told by the fault proxy",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content

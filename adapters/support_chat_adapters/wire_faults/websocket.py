"""A WebSocket (RFC 6455) through the proxy: frames pass one by one, as they came, and meet the
faults that are planned for them.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any, Final

import attrs

from .faults import (
    CloseWith,
    CutFrame,
    FrameFault,
    RepeatFrame,
    ReplaceFrame,
    Sender,
    SlowFrames,
    StallFrames,
)
from .http1 import Request
from .log import Log
from .plans import Claim, Counts, Plans
from .streams import Gate, Wire, trickle

_CLOSE: Final = 8
_CLOSE_TIMEOUT: Final = 2.0
"""How many seconds a client has to answer a close frame of the proxy's."""


_NONE: Final[Counts] = {"client": 0, "server": 0}


@attrs.frozen
class Frame:
    """One frame, masked if it was."""

    opcode: int
    raw: bytes = attrs.field(repr=False)
    code: int = 0
    """Of a close frame."""

    @property
    def is_data(self) -> bool:
        """Text, binary or a continuation; not a ping, a pong or a close."""
        return self.opcode < _CLOSE


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame; None if the connection ends before one begins."""
    try:
        raw = await reader.readexactly(2)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    opcode, size, masked = raw[0] & 0x0F, raw[1] & 0x7F, bool(raw[1] & 0x80)
    if size >= 126:
        longer = await reader.readexactly(2 if size == 126 else 8)
        raw, size = raw + longer, int.from_bytes(longer, "big")
    mask = await reader.readexactly(4) if masked else b""
    payload = await reader.readexactly(size)
    code = 0
    if opcode == _CLOSE and size >= 2:
        first, second, *_ = mask or bytes(4)
        code = (payload[0] ^ first) << 8 | payload[1] ^ second
    return Frame(opcode, raw + mask + payload, code)


def close_frame(code: int, reason: str) -> bytes:
    """A close frame as a server sends it; raises ValueError for a reason of more than 123 bytes."""
    payload = struct.pack("!H", code) + reason.encode()
    if len(payload) > 125:
        raise ValueError("the reason of a close has at most 123 bytes")
    return bytes([0x80 | _CLOSE, len(payload)]) + payload


@attrs.define(eq=False)
class Tunnel:
    """One open WebSocket of a client and the upstream's end of it; `run` serves it."""

    number: int
    request: Request
    client: Wire
    upstream: Wire
    plans: Plans
    log: Log
    gate: Gate
    _counts: Counts = attrs.field(init=False, factory=lambda: Counts(_NONE))
    _stalled: dict[Sender, asyncio.Future[None]] = attrs.field(
        init=False, factory=dict[Sender, "asyncio.Future[None]"]
    )
    _rates: dict[Sender, float] = attrs.field(init=False, factory=dict[Sender, float])
    _end: asyncio.Future[CloseWith] = attrs.field(init=False, factory=asyncio.Future["CloseWith"])

    async def run(self) -> None:
        """Passes frames until either end closes or a fault ends it."""
        pumps = [
            asyncio.ensure_future(self._pump("client", self.client, self.upstream)),
            asyncio.ensure_future(self._pump("server", self.upstream, self.client)),
        ]
        try:
            self.look()
            ends: list[asyncio.Future[Any]] = [*pumps, self._end]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._end.done():
                for pump in pumps:
                    pump.cancel()
                await asyncio.wait(pumps)
                await self._close(self._end.result())
            else:
                for pump in pumps:
                    if pump.done():
                        pump.result()
        finally:
            tasks = (*pumps, *self._stalled.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def look(self) -> None:
        """Meets every fault that is due now; called after each frame, and when a plan is made."""
        while not self._end.done() and (
            claim := self.plans.due(self.number, self.request.path, self._counts)
        ):
            self._take_effect(claim, claim.fault.of)
            match claim.fault:
                case CloseWith() as fault:
                    self._end.set_result(fault)
                case StallFrames(stalled=stalled, seconds=seconds):
                    for of in self._counts:
                        if stalled in (of, "both"):
                            self._stalled[of] = asyncio.ensure_future(self.gate.wait(seconds))
                case SlowFrames(of=of, rate=rate):
                    self._rates[of] = rate

    def _reset(self) -> None:
        self.client.reset()
        self.upstream.reset()

    async def _close(self, fault: CloseWith) -> None:
        if fault.code == 1006:
            self._reset()
            return
        self.upstream.close()
        self.log.add("close", self.number, self.request, of="server", status=fault.code)
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self.client.send(close_frame(fault.code, fault.reason))
                while (frame := await read_frame(self.client.reader)) and frame.opcode != _CLOSE:
                    pass
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went without a word

    async def _pump(self, of: Sender, source: Wire, target: Wire) -> None:
        while frame := await read_frame(source.reader):
            if not frame.is_data:
                await self._pass(of, target, frame.raw)
                if frame.opcode == _CLOSE:
                    self.log.add("close", self.number, self.request, of=of, status=frame.code)
                continue
            self._counts[of] += 1
            claim = self.plans.frame(self.number, self.request.path, of, self._counts)
            if claim is None:
                await self._pass_data(of, target, frame)
                continue
            try:
                await self._meet(claim, target, frame)
            finally:
                claim.settle()
            if isinstance(claim.fault, CutFrame):
                return
            self.look()

    async def _meet(self, claim: Claim[FrameFault], target: Wire, frame: Frame) -> None:
        of = claim.fault.of
        await self._until_released(of)
        self._take_effect(claim, of)
        match claim.fault:
            case CutFrame(after=after):
                await self._pass(of, target, frame.raw[:after])
                self._reset()
            case ReplaceFrame(data=data):
                await self._pass(of, target, data)
            case RepeatFrame():
                await self._pass(of, target, frame.raw)
                await self._pass_data(of, target, frame)

    async def _pass_data(self, of: Sender, target: Wire, frame: Frame) -> None:
        await self._pass(of, target, frame.raw)
        size, count = len(frame.raw), self._counts[of]
        self.log.add("frame", self.number, self.request, of=of, bytes=size, frames=count)
        self.look()

    async def _pass(self, of: Sender, target: Wire, data: bytes) -> None:
        await self._until_released(of)
        if of in self._rates:
            await target.pour(trickle(data, self._rates[of]))
        else:
            await target.send(data)

    async def _until_released(self, of: Sender) -> None:
        while (stalled := self._stalled.get(of)) is not None:
            await asyncio.wait([stalled])
            if self._stalled.get(of) is stalled:
                del self._stalled[of]

    def _take_effect(self, claim: Claim[Any], of: Sender) -> None:
        count = self._counts[of]
        self.log.take_effect(claim, self.number, self.request, of=of, frames=count)

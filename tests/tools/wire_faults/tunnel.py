"""A WebSocket through the proxy: frames pass one by one, and meet the faults that are planned for
them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from .faults import (
    CloseWith,
    CutFrame,
    DelayFrame,
    DropAfter,
    GarbageFrame,
    LoseFrame,
    RepeatFrame,
    Sender,
    SlowFrames,
    StallFrames,
)
from .frames import CLOSE, Frame, close_frame, read_frame
from .http1 import Request
from .log import Entry, Event, Log
from .plans import Claim, Plans
from .shaping import trickle
from .wires import Gate, Wire

GOODBYE = 2.0
"""How many seconds a client has to answer a close frame of ours."""

_End = Callable[[], Coroutine[Any, Any, None]]


class Tunnel:
    """One open WebSocket of a client and the upstream's end of it."""

    def __init__(
        self,
        number: int,
        request: Request,
        client: Wire,
        upstream: Wire,
        *,
        plans: Plans,
        log: Log,
        gate: Gate,
    ) -> None:
        self._number = number
        self._request = request
        self._wires: dict[Sender, Wire] = {"client": upstream, "server": client}
        """Where the bytes of each sender go."""
        self._readers: dict[Sender, asyncio.StreamReader] = {
            "client": client.reader,
            "server": upstream.reader,
        }
        self._client, self._upstream = client, upstream
        self._plans, self._log, self._gate = plans, log, gate
        self._counts: dict[Sender, int] = {"client": 0, "server": 0}
        self._stalled: dict[Sender, asyncio.Future[None]] = {}
        self._rates: dict[Sender, float] = {}
        self._end: asyncio.Future[_End] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Passes frames until either end closes or a fault ends it."""
        pumps: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self._pump("client")),
            asyncio.ensure_future(self._pump("server")),
        ]
        try:
            self.look()
            ends: list[asyncio.Future[Any]] = [*pumps, self._end]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._end.done():
                for pump in pumps:
                    pump.cancel()
                await asyncio.wait(pumps)
                await self._end.result()()
            else:
                for pump in pumps:
                    if pump.done():
                        pump.result()
        finally:
            for task in (*pumps, *self._stalled.values()):
                task.cancel()
            await asyncio.gather(*pumps, *self._stalled.values(), return_exceptions=True)

    def look(self) -> None:
        """Meets every fault that is due now; called after each frame, and when a plan is made."""
        while not self._end.done() and (
            due := self._plans.passed(self._number, self._request.path, self._counts)
        ):
            fault, claim = due
            self._took(claim, fault.of)
            match fault:
                case CloseWith():
                    # bound now
                    self._end.set_result(lambda fault=fault: self._say_goodbye(fault))  # type: ignore[misc]
                case DropAfter():
                    self._end.set_result(self._reset)
                case StallFrames():
                    self._stall(fault)
                case SlowFrames():
                    self._rates[fault.of] = fault.rate

    def _stall(self, fault: StallFrames) -> None:
        for of in self._wires:
            if fault.stalled in (of, "both"):
                self._stalled[of] = asyncio.ensure_future(self._gate.wait(fault.seconds))

    async def _reset(self) -> None:
        self._client.reset()
        self._upstream.reset()

    async def _say_goodbye(self, fault: CloseWith) -> None:
        self._upstream.close()
        self._note("close", "server", status=fault.code)
        try:
            async with asyncio.timeout(GOODBYE):
                await self._client.send(close_frame(fault.code, fault.reason))
                while (frame := await read_frame(self._client.reader)) and frame.opcode != CLOSE:
                    pass
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went without a word

    async def _pump(self, of: Sender) -> None:
        while frame := await read_frame(self._readers[of]):
            if not frame.is_data:
                await self._pass(of, frame.raw)
                if frame.opcode == CLOSE:
                    self._note("close", of, status=frame.code)
                continue
            self._counts[of] += 1
            met = self._plans.frame(self._number, self._request.path, of, self._counts)
            if met is None:
                await self._pass_data(of, frame)
                continue
            fault, claim = met
            try:
                if await self._meet(fault, claim, frame):
                    return
            finally:
                claim.settle()
            self.look()

    async def _meet(
        self,
        fault: CutFrame | GarbageFrame | LoseFrame | RepeatFrame | DelayFrame,
        claim: Claim,
        frame: Frame,
    ) -> bool:
        """Does to the frame what the fault says; True if that was the end."""
        of = fault.of
        await self._through(of)
        self._took(claim, of)
        match fault:
            case CutFrame():
                await self._pass(of, frame.raw[: fault.after])
                await self._reset()
                return True
            case GarbageFrame():
                await self._pass(of, fault.data)
            case LoseFrame():
                pass
            case RepeatFrame():
                await self._pass(of, frame.raw)
                await self._pass_data(of, frame)
            case DelayFrame():
                await asyncio.sleep(fault.seconds)
                await self._pass_data(of, frame)
        return False

    async def _pass_data(self, of: Sender, frame: Frame) -> None:
        await self._pass(of, frame.raw)
        self._note("frame", of, bytes=len(frame.raw), frames=self._counts[of])
        self.look()

    async def _pass(self, of: Sender, data: bytes) -> None:
        await self._through(of)
        wire = self._wires[of]
        await (wire.pour(trickle(data, self._rates[of])) if of in self._rates else wire.send(data))

    async def _through(self, of: Sender) -> None:
        while (stalled := self._stalled.get(of)) is not None:
            await asyncio.wait([stalled])
            if self._stalled.get(of) is stalled:
                del self._stalled[of]

    def _took(self, claim: Claim, of: Sender) -> None:
        if claim.took_effect():
            self._note("applied", of, fault=type(claim.fault).__name__, frames=self._counts[of])

    def _note(
        self,
        event: Event,
        of: Sender,
        *,
        fault: str = "",
        status: int = 0,
        bytes: int = 0,
        frames: int = 0,
    ) -> None:
        method, path = self._request.method, self._request.path
        self._log.add(Entry(event, self._number, method, path, fault, of, status, bytes, frames))

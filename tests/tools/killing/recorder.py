"""One client's HTTP: every request is written down on its way, and the one at which the backend is
killed is told to the killer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2

from support_chat_adapters.transport.wire import endpoints

from .evidence import Evidence, Exchange, Wire
from .killer import Killer

_ASKS: dict[str, Wire] = {
    endpoints.IDENTIFY.path: "identify",
    endpoints.EVENTS.path: "update",
    endpoints.SHUTDOWN.path: "shutdown",
}


class Recorder(httpx2.AsyncBaseTransport):
    """Passes requests on to the network; `heard` is told of each one when it is over, `killer` of
    each one before it leaves.
    """

    def __init__(
        self,
        evidence: Evidence,
        exchanges: list[Exchange],
        heard: Callable[[Exchange], None],
        killer: Killer | None,
    ) -> None:
        self._inner = httpx2.AsyncHTTPTransport(verify=False, trust_env=False)  # no TLS here
        self._evidence = evidence
        self._exchanges = exchanges
        self._heard = heard
        self._killer = killer

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Passes one request on; what becomes of it is written down."""
        exchange = _read(request, self._evidence.place())
        self._exchanges.append(exchange)
        killer = (
            self._killer if self._killer is not None and self._killer.aims_at(exchange) else None
        )
        try:
            if killer is not None:
                self._evidence.tell(f"the kill is aimed at this {exchange.asks}")
                killer.leaving(exchange)
            response = await self._inner.handle_async_request(request)
            if killer is not None:
                killer.answered()
                if killer.loses_the_answer:
                    await response.aclose()
                    raise httpx2.ReadError("reset by the peer that has died", request=request)
            exchange.status = response.status_code
            if killer is not None:
                self._evidence.kill.answered = True
            return response
        finally:
            self._heard(exchange)

    async def aclose(self) -> None:
        """Closes what is open."""
        await self._inner.aclose()


def _read(request: httpx2.Request, place: int) -> Exchange:
    path = request.url.path.removeprefix(endpoints.BASE)
    body: dict[str, Any] = json.loads(request.content) if request.content else {}
    session = request.headers.get("authorization", "").removeprefix("Bearer ") or body.get(
        "session"
    )
    return Exchange(_asked(request.method, path, body), place, session, body)


def _asked(method: str, path: str, body: dict[str, Any]) -> Wire:
    if method != "POST":
        return "other"
    if path == endpoints.OPEN.path:
        return "boot" if body.get("session") is None else "resume"
    if "clientMessageId" in body:
        return "send"
    return _ASKS.get(path, "other")

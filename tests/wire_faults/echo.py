"""An upstream to try faults on, as a process of its own: `python echo.py` prints its port and
serves until it is killed.

It echoes what is posted to `/echo` and what is sent to the WebSocket `/ws`, and remembers both, for
`/heard`, which is how a test knows what came through and how often.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

heard: list[str] = []


async def echo(request: Request) -> Response:
    """Answers with the request's body."""
    body = await request.body()
    heard.append(body.decode())
    return Response(body, media_type="text/plain")


async def tell(_: Request) -> Response:
    """What was heard so far."""
    return JSONResponse(heard)


async def drip(_: Request) -> Response:
    """Ten chunks of ten bytes."""

    async def chunks() -> AsyncGenerator[bytes, None]:
        for number in range(10):
            yield b"%d" % number * 10

    return StreamingResponse(chunks(), media_type="text/plain")


async def socket_echo(websocket: WebSocket) -> None:
    """Sends back each text; `bye` closes."""
    await websocket.accept()
    heard.append("open")
    try:
        while True:
            text = await websocket.receive_text()
            heard.append(text)
            if text == "bye":
                await websocket.close(4000, "goodbye")
                return
            await websocket.send_text(text)
    except WebSocketDisconnect as error:
        heard.append(f"closed {error.code}")


def main() -> None:
    """Serves on a free port."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    print(listening.getsockname()[1], flush=True)
    routes = [
        Route("/v1/echo", echo, methods=["GET", "POST"]),
        Route("/v1/heard", tell),
        Route("/v1/drip", drip),
        WebSocketRoute("/v1/ws", socket_echo),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), log_level="critical", ws="websockets-sansio", lifespan="off"
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()

"""A client of a served backend as plain as can be: the requests of a test as it writes them, and
what came back.

Real HTTP and WebSocket clients, without any of our own code between the test and the bytes.
"""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

BASE = "/widget/v1"
PATIENCE = 120.0
"""Seconds after which a test gives up on something that should have come at once, on a machine
however busy.
"""

_FRAMES = 10_000


class WidgetClient:
    """One visitor or user at one backend; `session` is presented once there is one. Made by
    `widget_client`.
    """

    def __init__(self, url: str, http: httpx2.Client) -> None:
        self.url = url
        self.http = http
        self.visitor = secrets.token_urlsafe(24)
        self.session = ""
        self.realtime_token = ""

    def opening(self, **more: object) -> dict[str, object]:
        """What a dial sends; `more` replaces or adds."""
        return {"workspaceId": "demo", "widgetId": "web", "visitor": self.visitor, **more}

    def begin(self, **more: object) -> dict[str, Any]:
        """Begins (or with `session` resumes) a session, and keeps it."""
        answer = self.post("/sessions/anonymous", self.opening(**more)).raise_for_status().json()
        self.session, self.realtime_token = answer["session"], answer["realtimeToken"]
        return dict(answer)

    def get(self, path: str, **query: str | int | float) -> httpx2.Response:
        """A GET below the API's base path."""
        return self.http.get(BASE + path, params=query, headers=self._headers(None))

    def post(
        self, path: str, body: object = None, *, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """A POST of a JSON body, or of none."""
        if body is None:
            return self.http.post(BASE + path, headers=self._headers(headers))
        return self.http.post(BASE + path, json=body, headers=self._headers(headers))

    def say(self, text: str, conversation: str | None = None) -> dict[str, Any]:
        """Sends a message, into a new conversation if none is named; the message as it is
        stored.
        """
        if conversation is None:
            begun = {"message": text, "clientMessageId": secrets.token_hex(8)}
            return dict(self.post("/conversations", begun).raise_for_status().json()["message"])
        sent = {"text": text, "clientMessageId": secrets.token_hex(8)}
        return dict(
            self.post(f"/conversations/{conversation}/messages", sent).raise_for_status().json()
        )

    def fresh_realtime_token(self) -> str:
        """Another token for the gateway."""
        return str(self.post("/sessions/realtime-token").raise_for_status().json()["realtimeToken"])

    def gateway(
        self,
        *,
        token: str | None = None,
        cursor: str | None = None,
        origin: str | None = None,
        reads: bool = True,
        echoes: bool = False,
    ) -> ClientConnection:
        """The realtime gateway, by a fresh realtime token unless one is given; a context manager
        that closes it.

        Without `reads` next to nothing is taken from the network before the test asks for a frame.
        """
        query = {"session_token": self.fresh_realtime_token() if token is None else token}
        if cursor is not None:
            query["cursor"] = cursor
        if echoes:
            query["echoes"] = "true"
        address = f"{self.url.replace('http', 'ws', 1)}{BASE}/realtime?{httpx2.QueryParams(query)}"
        said = None if origin is None else Origin(origin)
        host, _, port = self.url.removeprefix("http://").partition(":")
        own = socket.socket()
        if not reads:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        own.connect((host, int(port)))
        queue = None if reads else 1
        return connect(
            address,
            sock=own,
            origin=said,
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
            max_queue=queue,
            proxy=None,
            compression=None,
        )

    def _headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        session = {"authorization": f"Bearer {self.session}"} if self.session else {}
        return {**session, **(headers or {})}


@contextmanager
def widget_client(url: str) -> Generator[WidgetClient, None, None]:
    """A client of the backend at `url` that nobody knows yet."""
    with httpx2.Client(base_url=url, timeout=60, trust_env=False) as http:
        yield WidgetClient(url, http)


def frame(gateway: ClientConnection) -> dict[str, Any]:
    """The next frame."""
    return dict(json.loads(gateway.recv(timeout=PATIENCE)))


def texts(gateway: ClientConnection, count: int) -> list[str]:
    """The texts of the next `count` frames, which are messages."""
    return [frame(gateway)["message"]["text"] for _ in range(count)]


def closed_with(gateway: ClientConnection) -> tuple[int, str]:
    """The code and reason that the gateway closes with; what comes before it is read and left."""
    for _ in range(_FRAMES):
        if not isinstance(last := frame_or_close(gateway), dict):
            return last
    raise AssertionError(f"no close comes, but {_FRAMES} frames")


def frame_or_close(gateway: ClientConnection) -> dict[str, Any] | tuple[int, str]:
    """The next frame, or the code and reason of the close in its place."""
    try:
        return frame(gateway)
    except ConnectionClosed as closed:
        if closed.rcvd is None:
            raise AssertionError("the connection broke without a close frame") from closed
        return closed.rcvd.code, closed.rcvd.reason


def problem(response: httpx2.Response) -> tuple[int, str, str | None]:
    """The status, code and reason of an answer that is an error, in an envelope that is whole."""
    error = response.json()["error"]
    assert response.headers["content-type"] == "application/json"
    assert set(error) == {"code", "message", "recoverable", "reason", "requestId"}
    assert error["requestId"] == response.headers["x-request-id"]
    assert error["message"].endswith(".")
    return response.status_code, error["code"], error["reason"]

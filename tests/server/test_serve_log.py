"""The log of `serve --verbose`: one line a request with method, path template, status and id, and
nothing that anybody has said.
"""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Callable

import pytest
from websockets.exceptions import InvalidStatus

from served import Served
from widget_client import BASE, PATIENCE, WidgetClient, closed_with, frame, problem

Clients = Callable[[Served], WidgetClient]

_LINE = re.compile(
    r"\d\d:\d\d:\d\d (?P<method>[A-Z]+) (?P<path>/[a-z{}_/-]+|\(unknown\)) (?P<status>\d{3})(?: "
    r"[\d.]+ ms)? (?P<id>[0-9a-f]{32})",
    re.ASCII,
)

_UVICORNS = " ASGI callable returned without completing handshake."
"""What uvicorn says beside our line when a WebSocket is denied with an answer of its own, which has
arrived nevertheless.
"""


def lines_of(backend: Served) -> list[tuple[str, str, int]]:
    """What the log says of each request, once it has been checked that it says nothing else; ids
    occur once.
    """
    lines = [
        (_LINE.fullmatch(line), line)
        for line in backend.log.read_text().splitlines()
        if not line.endswith(_UVICORNS)
    ]
    found: list[tuple[str, str, int]] = []
    ids: set[str] = set()
    for match, line in lines:
        assert match is not None, line
        ids.add(match["id"])
        found.append((match["method"], match["path"], int(match["status"])))
    assert len(ids) == len(found)
    return found


def test_a_whole_lifecycle_leaves_one_line_a_request_and_no_secret(
    own: Served, client_of: Clients
) -> None:
    client = client_of(own)
    cursor = client.begin(context={"page": "SECRET-page"})["cursor"]
    visitor, anonymous, first = client.visitor, client.session, client.realtime_token
    with client.gateway(token=first, cursor=cursor) as gateway:
        frame(gateway)
        conversation = client.say("SECRET-message")["conversationId"]
        client.say("SECRET-again", conversation)
    token, fresh = own.token("SECRET-ada"), own.token("SECRET-ada")
    user = {"user": {"id": "SECRET-ada", "email": "SECRET@example.com"}}
    identifying = {
        "identifyId": "SECRET-id",
        "token": token,
        "visitor": client.visitor,
        "claim": None,
        "identity": user,
    }
    client.post("/sessions/identify", identifying)
    client.post("/events", {"changes": {"user.name": "SECRET-name", "context.x": "SECRET-trait"}})
    client.post("/sessions/refresh", {"token": fresh})
    client.get("/realtime", cursor=cursor, wait=0)
    client.get("/conversations", limit=5, cursor="SECRET-cursor")
    client.get(f"/conversations/{conversation}/messages")
    client.post(f"/conversations/{conversation}/read")
    client.post("/sessions/shutdown")
    known = [visitor, anonymous, first, token, fresh, client.session, conversation]

    found = lines_of(own)
    assert [(method, path) for method, path, _ in found] == [
        ("POST", "/sessions/anonymous"),
        ("GET", "/realtime"),
        ("POST", "/conversations"),
        ("POST", "/conversations/{conversation_id}/messages"),
        ("POST", "/sessions/identify"),
        ("POST", "/events"),
        ("POST", "/sessions/refresh"),
        ("GET", "/realtime"),
        ("GET", "/conversations"),
        ("GET", "/conversations/{conversation_id}/messages"),
        ("POST", "/conversations/{conversation_id}/read"),
        ("POST", "/sessions/shutdown"),
    ]
    assert [status for _, _, status in found[:4]] == [200, 101, 200, 200]
    said = own.log.read_text()
    for secret in ("SECRET", "?", "Bearer", "eyJ", *known):
        assert secret not in said, secret


def test_what_is_malformed_is_not_repeated_in_the_log(own: Served, client_of: Clients) -> None:
    client = client_of(own)
    client.begin()
    for content in (
        b"SECRET",
        b'{"changes": "SECRET"}',
        b'{"SECRET": 1}',
        b'{"changes": {"SECRET": "\xff"}}',
    ):
        answer = client.http.post(
            f"{BASE}/events", content=content, headers={"authorization": f"Bearer {client.session}"}
        )
        assert problem(answer)[0] == 422
    assert client.http.get(f"{BASE}/SECRET/SECRET?SECRET=SECRET").status_code == 404
    stranger = {"authorization": "SECRET SECRET"}
    assert client.http.get(f"{BASE}/conversations", headers=stranger).status_code == 401
    assert client.get("/conversations/SECRET").status_code == 404
    assert client.get("/realtime", wait="SECRET").status_code == 422
    with client.gateway(token="SECRET-token") as gateway:
        assert closed_with(gateway)[1] == "realtime_token_unknown"
    for origin, cursor in (("https://secret.example", None), (None, "SECRET" * 20)):
        with (
            pytest.raises(InvalidStatus) as status,
            client.gateway(token="SECRET-token", origin=origin, cursor=cursor),
        ):
            pass
        assert status.value.response.status_code in (403, 422)
        assert status.value.response.headers["x-request-id"] in own.log.read_text()
    said = lines_of(own)
    assert [status for _, _, status in said] == [
        200,
        422,
        422,
        422,
        422,
        404,
        401,
        404,
        422,
        101,
        403,
        422,
    ]
    assert "secret" not in own.log.read_text().lower()


def test_bytes_that_are_no_http_are_not_repeated_in_the_log(
    own: Served, client_of: Clients
) -> None:
    mark = f"SECRET{secrets.token_hex(4)}"
    for garbage in (
        f"{mark}\r\n\r\n",
        f"GET {BASE}/realtime?session_token={mark} HTTP/9.9\r\n\r\n",
        f"GET {BASE}/config HTTP/1.1\r\nHost: x\r\nbroken {mark}\r\n\r\n",
        f"GET {BASE}/realtime?session_token={mark} HTTP/1.1\r\nHost: x\r\nConnection: "
        "upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: {mark}\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", own.port), PATIENCE) as raw:
            raw.sendall(garbage.encode())
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
    assert client_of(own).begin()["session"], "it goes on"
    said = own.log.read_text()
    assert mark not in said
    assert "Traceback" not in said

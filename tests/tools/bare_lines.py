"""Clients that cost next to nothing, so that what is measured is the server: the Widget API and
XMPP over plain sockets, only as much of either as a benchmark says and hears.

A `Line` is one client of one person: it sends and waits until the server has said that it keeps
what it was sent, or it hears what arrives.
"""

from __future__ import annotations

import asyncio
import base64
import html
import itertools
import json
import os
import re
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

Reads = asyncio.StreamReader
Writes = asyncio.StreamWriter
NUMBERS: Final = itertools.count()
CONVERSATION: Final = 7
"""Which of the conversations of `WatchedStore.fill` is written to."""


class Line(Protocol):
    """One client of one person, connected."""

    async def send(self, text: str) -> None:
        """Sends a message and waits until the server has taken it."""

    async def arrival(self) -> str:
        """The text of the next message that arrives, on a line that hears."""
        ...

    def close(self) -> None:
        """Hangs up."""


class Dials(Protocol):
    """How a kind of server is dialled."""

    async def __call__(self, port: int, person: int, *, hears: bool) -> Line:
        """A line of the person with this number, once the server has let it in: one that hears
        what arrives, or else one that sends.
        """
        ...


class WidgetLine:
    """A session at `support-chat serve`: HTTP on one connection, and a WebSocket if it hears."""

    def __init__(self, session: str, conversation: str, http: _HTTP, heard: _Heard | None) -> None:
        self._path = f"/conversations/{conversation}/messages"
        self._session, self._http, self._heard = session, http, heard

    async def send(self, text: str) -> None:
        sent = {"text": text, "clientMessageId": f"{os.getpid()}-{next(NUMBERS)}"}
        await self._http.post(self._path, sent, self._session)

    async def arrival(self) -> str:
        assert self._heard is not None, "this line does not hear"
        return await self._heard.next()

    def close(self) -> None:
        self._http.close()
        if self._heard is not None:
            self._heard.close()


def visitor(person: int) -> str:
    """The secret of a visitor."""
    return f"secret-of-the-visitor-{person}"


async def dial_widget(port: int, person: int, *, hears: bool) -> WidgetLine:
    """Opens a session, and with `hears` its WebSocket, whose hello is awaited."""
    http = _HTTP(*await asyncio.open_connection("127.0.0.1", port))
    opening = {"workspaceId": "demo", "widgetId": "web", "visitor": visitor(person)}
    opened = await http.post("/sessions/anonymous", opening)
    heard = None
    if hears:
        reads, writes = await asyncio.open_connection("127.0.0.1", port)
        writes.write(
            f"GET /widget/v1/realtime?session_token={opened['realtimeToken']} HTTP/1.1\r\n"
            "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = await reads.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        hello = await _frame(reads, writes)
        assert hello["type"] == "hello", hello
        heard = _Heard(writes, lambda: _widget_text(reads, writes))
    return WidgetLine(opened["session"], f"c-{CONVERSATION}", http, heard)


async def _widget_text(reads: Reads, writes: Writes) -> str:
    while True:
        frame = await _frame(reads, writes)
        if frame["type"] == "message.created":
            return str(frame["message"]["text"])


async def _frame(reads: Reads, writes: Writes) -> dict[str, Any]:
    """The next frame that is not about the connection itself."""
    while True:
        first, length = await reads.readexactly(2)
        if length >= 126:
            length = int.from_bytes(await reads.readexactly(2 if length == 126 else 8), "big")
        content = await reads.readexactly(length)
        if first == 0x81:
            return dict(json.loads(content))
        if first == 0x89:  # a ping; a mask of zeros leaves its content as it is
            writes.write(bytes((0x8A, 0x80 | length, 0, 0, 0, 0)) + content)
        else:
            raise AssertionError(f"the server closes the WebSocket: {content!r}")


class _HTTP:
    """Requests on one connection, one after the other."""

    def __init__(self, reads: Reads, writes: Writes) -> None:
        self._reads, self._writes = reads, writes

    async def post(self, path: str, body: object, session: str = "") -> dict[str, Any]:
        content = json.dumps(body).encode()
        authorization = f"Authorization: Bearer {session}\r\n" if session else ""
        self._writes.write(
            f"POST /widget/v1{path} HTTP/1.1\r\nHost: localhost\r\n{authorization}"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        head = (await self._reads.readuntil(b"\r\n\r\n")).decode().lower()
        length = re.search(r"content-length: (\d+)", head)
        answer = await self._reads.readexactly(int(length[1]) if length else 0)
        assert head.startswith("http/1.1 200"), (head, answer)
        return dict(json.loads(answer))

    def close(self) -> None:
        self._writes.close()


class XMPPLine:
    """A resource of an account at an XMPP server: available if it hears, else with acknowledgements
    (XEP-0198), which say that a message is stored.
    """

    def __init__(self, person: int, reads: Reads, writes: Writes, heard: _Heard | None) -> None:
        self._to = f"v{person}@localhost"
        self._reads, self._writes, self._heard = reads, writes, heard

    async def send(self, text: str) -> None:
        self._writes.write(
            f"<message to='{self._to}' type='chat' id='{next(NUMBERS)}'>"
            f"<body>{html.escape(text)}</body></message><r xmlns='urn:xmpp:sm:3'/>".encode()
        )
        while b"<a " not in (answer := await self._reads.readuntil(b">")):
            assert b"error" not in answer, answer

    async def arrival(self) -> str:
        assert self._heard is not None, "this line does not hear"
        return await self._heard.next()

    def close(self) -> None:
        self._writes.close()
        if self._heard is not None:
            self._heard.close()


async def dial_xmpp(port: int, person: int, *, hears: bool) -> XMPPLine:
    """Logs in and binds a resource. One that hears becomes available, and asks the archive for the
    last message, as who comes back must, to know from where it has missed something.
    """
    reads, writes = await asyncio.open_connection("127.0.0.1", port)
    begin = (
        "<stream:stream to='localhost' version='1.0' xmlns='jabber:client'"
        " xmlns:stream='http://etherx.jabber.org/streams'>"
    )
    plain = base64.b64encode(f"\0v{person}\0{visitor(person)}".encode()).decode()
    login = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"
    bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
    come = (
        "<presence/><iq type='set' id='m'><query xmlns='urn:xmpp:mam:2'>"
        "<set xmlns='http://jabber.org/protocol/rsm'><max>1</max><before/></set></query></iq>"
    )
    enable = "<enable xmlns='urn:xmpp:sm:3'/>"
    for said, answer in (
        (begin, b"</stream:features>"),
        (login, b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
        (begin, b"</stream:features>"),
        (bind, b"</iq>"),
        (come, b"</fin></iq>") if hears else (enable, b"<enabled xmlns='urn:xmpp:sm:3'/>"),
    ):
        writes.write(said.encode())
        await reads.readuntil(answer)
    heard = _Heard(writes, lambda: _xmpp_text(reads)) if hears else None
    return XMPPLine(person, reads, writes, heard)


async def _xmpp_text(reads: Reads) -> str:
    while True:
        stanza = (await reads.readuntil(b"</message>")).decode()
        if body := re.search("<body>(.*)</body>", stanza):
            return html.unescape(body[1])


class _Heard:
    """Takes what arrives at once, whether or not it is asked for: a server must not wait."""

    def __init__(self, writes: Writes, take: Callable[[], Coroutine[Any, Any, str]]) -> None:
        self._writes, self._take = writes, take
        self._texts = asyncio.Queue[str]()
        self._taking = asyncio.ensure_future(self._take_all())

    async def _take_all(self) -> None:
        while True:
            self._texts.put_nowait(await self._take())

    async def next(self) -> str:
        """The next text; raises what broke the line."""
        coming = asyncio.ensure_future(self._texts.get())
        await asyncio.wait((coming, self._taking), return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            coming.cancel()
            self._taking.result()
        return coming.result()

    def close(self) -> None:
        self._taking.cancel()
        self._writes.close()

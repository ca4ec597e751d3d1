"""A client as rude as can be: a bare TCP connection to a served backend, on which a test says what
it likes, and reads when it likes.
"""

from __future__ import annotations

import base64
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager

from served import Served
from widget_client import BASE, PATIENCE


class RawPeer:
    """One connection. Made by `raw_peer`."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def say(self, *lines: str, body: bytes = b"") -> None:
        """Sends the lines of a head, and the blank line that ends it, and a body."""
        self.send("\r\n".join((*lines, "", "")).encode() + body)

    def send(self, data: bytes) -> None:
        """Sends bytes; raises OSError once the server has ended the connection."""
        self._socket.sendall(data)

    def upgrade(self, query: str) -> None:
        """Asks for a WebSocket of the gateway, and reads nothing."""
        self.say(
            f"GET {BASE}/realtime?{query} HTTP/1.1",
            "Host: x",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
        )

    def is_cut_within(self, seconds: float) -> bool:
        """Whether the server ends the connection before so many seconds have passed; what it has
        sent before is not read.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            # a connection that was reset says so however much of it is unread
            if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return True
            try:
                if not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    return True
            except BlockingIOError:
                pass
            except OSError:
                return True
            time.sleep(0.02)
        return False

    def sends_in_vain(self, data: bytes, *, every: float, within: float) -> bool:
        """Whether the server ends the connection, before so many seconds have passed, of one who
        sends and sends.
        """
        deadline = time.monotonic() + within
        try:
            while time.monotonic() < deadline:
                self.send(data)
                time.sleep(every)
        except OSError:
            return True
        return False

    def read(self) -> bytes:
        """All that comes until the server ends the connection."""
        read = bytearray()
        while chunk := self._socket.recv(65536):
            read += chunk
        return bytes(read)

    def read_until(self, end: bytes) -> bytes:
        """What comes, up to this end."""
        read = bytearray()
        while not read.endswith(end):
            chunk = self._socket.recv(1)
            assert chunk, f"the connection ended after {bytes(read[-200:])!r}"
            read += chunk
        return bytes(read)


@contextmanager
def raw_peer(backend: Served, *, room: int = 4096) -> Generator[RawPeer, None, None]:
    """A connection to this backend, whose system keeps next to nothing (`room` bytes) of what is
    not read.
    """
    with socket.socket() as connection:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        connection.connect(("127.0.0.1", backend.port))
        yield RawPeer(connection)

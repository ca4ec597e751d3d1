"""The faults, as data: what happens to which connection, request or frame.

Most HTTP faults are addressed by method and path; the method `UPGRADE` is a WebSocket upgrade,
which is a `GET` too. A path that begins with a slash addresses the end of the real one
(`/sessions/identify` is also `/widget/v1/sessions/identify`); `*` and `?` match as in file names;
the query is never looked at. A WebSocket fault is addressed by the path of the upgrade and by data
frames, counted from 1 for each sender (on a connection that was open before, from when the fault
was planned); pings and closes are not counted.

`of` says whose bytes are meant: those that the `client` sends, those that the `server` (the
upstream) sends, or `both`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

import attrs

Sender: TypeAlias = Literal["client", "server"]
Senders: TypeAlias = Literal["client", "server", "both"]
Part: TypeAlias = Literal["message", "body"]
"""Where bytes are counted from: the first of the head, or the first of the body (as sent, chunk
headers included).
"""


@attrs.frozen
class Refuse:
    """A connection is accepted and reset before a byte passes."""


@attrs.frozen
class HTTPFault:
    """What happens to the requests of this method and path, or to their responses."""

    method: str = "*"
    path: str = "*"


@attrs.frozen
class Status(HTTPFault):
    """The proxy answers by itself; the upstream never sees the request."""

    code: int = 503
    body: bytes | str = attrs.field(default=b"", repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)


@attrs.frozen
class Stall(HTTPFault):
    """`after` bytes pass, then none until `release()`, `heal()` or the end of `seconds`."""

    of: Senders = "both"
    after: int = 0
    part: Part = "message"
    seconds: float | None = None


@attrs.frozen
class Slow(HTTPFault):
    """Bytes pass at `rate` a second."""

    rate: float = 1000.0
    of: Senders = "server"


@attrs.frozen
class Cut(HTTPFault):
    """`after` bytes pass, then both connections are reset."""

    after: int = 0
    part: Part = "message"
    of: Sender = "server"


@attrs.frozen
class Garbage(HTTPFault):
    """`data` replaces as many bytes from offset `at` on; what comes after passes unchanged."""

    data: bytes = b"\x00\xff\xfe\x01" * 4
    at: int = 0
    part: Part = "message"
    of: Sender = "server"


@attrs.frozen
class Swallow(HTTPFault):
    """The request is carried out and its response dropped; then the client's connection closes, is
    reset, or stays open in silence.
    """

    then: Literal["close", "reset", "silence"] = "close"


@attrs.frozen
class Duplicate(HTTPFault):
    """The request is carried out twice, one after the other; the client gets the second
    response.
    """


@attrs.frozen
class WebSocketFault:
    """What happens to the WebSockets of this path."""

    path: str = "*"


@attrs.frozen
class CloseWith(WebSocketFault):
    """After `after` frames of `of`, the client gets a close frame with this code, and the
    upstream's connection ends. With 1006, the code that no close frame can have, both are reset.
    """

    code: int = 1011
    reason: str = attrs.field(default="", repr=False)
    after: int = 0
    of: Sender = "server"


@attrs.frozen
class StallFrames(WebSocketFault):
    """After `after` frames of `of`, nothing that `stalled` sends passes, pings included, until
    `release()`, `heal()` or the end of `seconds`.
    """

    after: int = 0
    of: Sender = "server"
    stalled: Senders = "both"
    seconds: float | None = None


@attrs.frozen
class SlowFrames(WebSocketFault):
    """After `after` frames of `of`, its bytes pass at `rate` a second."""

    rate: float = 1000.0
    after: int = 0
    of: Sender = "server"


@attrs.frozen
class CutFrame(WebSocketFault):
    """Of this frame `after` bytes pass, its header counted; then both connections are reset."""

    frame: int = 1
    after: int = 1
    of: Sender = "server"


@attrs.frozen
class ReplaceFrame(WebSocketFault):
    """`data` passes instead of this frame, as raw bytes: with none the frame is lost, and what is
    no frame is noise.
    """

    frame: int = 1
    data: bytes = b""
    of: Sender = "server"


@attrs.frozen
class RepeatFrame(WebSocketFault):
    """This frame passes twice."""

    frame: int = 1
    of: Sender = "server"


ByteFault: TypeAlias = Stall | Slow | Cut | Garbage
"""What happens to the bytes of a request or a response on their way."""
FrameFault: TypeAlias = CutFrame | ReplaceFrame | RepeatFrame
"""What happens when a frame arrives."""
LinkFault: TypeAlias = CloseWith | StallFrames | SlowFrames
"""What happens to a WebSocket when a number of frames have passed; with 0 at once."""
Fault: TypeAlias = Refuse | ByteFault | Status | Swallow | Duplicate | FrameFault | LinkFault


def path_matches(pattern: str, path: str) -> bool:
    """Whether `pattern` addresses `path`."""
    return fnmatchcase(path, f"*{pattern}" if pattern.startswith("/") else pattern)


def addresses(fault: HTTPFault, method: str, path: str, *, upgrade: bool) -> bool:
    """Whether an HTTP fault addresses this request."""
    methods = ("*", method, "UPGRADE") if upgrade else ("*", method)
    return fault.method in methods and path_matches(fault.path, path)

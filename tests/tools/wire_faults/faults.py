"""The faults, as data: what happens to which request, connection or frame.

An HTTP fault is addressed by method and path, a WebSocket fault by the path of its upgrade and by
data frames, counted from 1 for each sender on its connection (or from when the plan was made, if
the connection was open by then); pings and closes are not counted. `of` says whose bytes meet it:
those that the `client` sends, those that the `server` (the upstream) sends, or `both`. A path that
begins with a slash addresses the end of the real one (`/sessions/identify` is also
`/widget/v1/sessions/identify`); `*` and `?` match as in file names; the query is never looked at.
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
class Status:
    """The proxy answers by itself; the upstream never hears of the request. A WebSocket upgrade is
    a GET.
    """

    method: str = "*"
    path: str = "*"
    code: int = 503
    body: bytes | str = attrs.field(default=b"", repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)


@attrs.frozen
class Stall:
    """`after` bytes pass, then none until `release()`, `heal()` or the end of `seconds`."""

    method: str = "*"
    path: str = "*"
    of: Senders = "both"
    after: int = 0
    part: Part = "message"
    seconds: float | None = None


@attrs.frozen
class Delay:
    """The request (or the response, by `of`) is held for `seconds`."""

    method: str = "*"
    path: str = "*"
    seconds: float = 0.1
    of: Senders = "server"


@attrs.frozen
class Slow:
    """Bytes pass at `rate` a second."""

    method: str = "*"
    path: str = "*"
    rate: float = 1000.0
    of: Senders = "server"


@attrs.frozen
class Cut:
    """`after` bytes pass, then both connections are reset."""

    method: str = "*"
    path: str = "*"
    after: int = 0
    part: Part = "message"
    of: Sender = "server"


@attrs.frozen
class Garbage:
    """`data` replaces as many bytes from offset `at` on; what comes after passes unchanged."""

    method: str = "*"
    path: str = "*"
    data: bytes = b"\x00\xff\xfe\x01" * 4
    at: int = 0
    part: Part = "message"
    of: Sender = "server"


@attrs.frozen
class Swallow:
    """The request is carried out, and the whole response dropped; then the connection closes, is
    reset, or stays open in silence.
    """

    method: str = "*"
    path: str = "*"
    then: Literal["close", "reset", "silence"] = "close"


@attrs.frozen
class Duplicate:
    """The request is carried out twice, one after the other; the client gets the second
    response.
    """

    method: str = "*"
    path: str = "*"


@attrs.frozen
class BlockUpgrade:
    """A WebSocket upgrade is answered with `code`; with None it hangs until `release()` and is then
    reset. Other requests pass.
    """

    path: str = "*"
    code: int | None = 403


@attrs.frozen
class CloseWith:
    """After `after` frames of `of`, the client gets a close frame with this code; the upstream's
    connection just ends.
    """

    path: str = "*"
    code: int = 1011
    reason: str = attrs.field(default="", repr=False)
    after: int = 0
    of: Sender = "server"


@attrs.frozen
class DropAfter:
    """After `after` frames of `of`, both connections are reset."""

    path: str = "*"
    after: int = 0
    of: Sender = "server"


@attrs.frozen
class StallFrames:
    """After `after` frames of `of`, nothing that `stalled` sends passes, pings included, until
    `release()` or for `seconds`.
    """

    path: str = "*"
    after: int = 0
    of: Sender = "server"
    stalled: Senders = "both"
    seconds: float | None = None


@attrs.frozen
class SlowFrames:
    """After `after` frames of `of`, its bytes pass at `rate` a second."""

    path: str = "*"
    rate: float = 1000.0
    after: int = 0
    of: Sender = "server"


@attrs.frozen
class CutFrame:
    """Of this frame `after` bytes pass, its header counted; then both connections are reset."""

    path: str = "*"
    frame: int = 1
    after: int = 1
    of: Sender = "server"


@attrs.frozen
class GarbageFrame:
    """`data` passes instead of this frame, as raw bytes: not as a frame, unless it is one."""

    path: str = "*"
    frame: int = 1
    data: bytes = b"\xff\xff\xff\xff"
    of: Sender = "server"


@attrs.frozen
class LoseFrame:
    """This frame does not pass; those after it do."""

    path: str = "*"
    frame: int = 1
    of: Sender = "server"


@attrs.frozen
class RepeatFrame:
    """This frame passes twice."""

    path: str = "*"
    frame: int = 1
    of: Sender = "server"


@attrs.frozen
class DelayFrame:
    """This frame, and what its sender sends after it, is held for `seconds`."""

    path: str = "*"
    frame: int = 1
    seconds: float = 0.1
    of: Sender = "server"


ShapeFault: TypeAlias = Stall | Delay | Slow | Cut | Garbage
"""What happens to the bytes of a request or a response on their way."""
HTTPFault: TypeAlias = ShapeFault | Status | Swallow | Duplicate | BlockUpgrade
FrameFault: TypeAlias = CutFrame | GarbageFrame | LoseFrame | RepeatFrame | DelayFrame
"""What happens when a frame arrives."""
PassedFault: TypeAlias = CloseWith | DropAfter | StallFrames | SlowFrames
"""What happens when a number of frames have passed; with 0 at once."""
Fault: TypeAlias = Refuse | HTTPFault | FrameFault | PassedFault

FRAME_FAULTS = (CutFrame, GarbageFrame, LoseFrame, RepeatFrame, DelayFrame)
PASSED_FAULTS = (CloseWith, DropAfter, StallFrames, SlowFrames)


def path_matches(pattern: str, path: str) -> bool:
    """Whether `pattern` addresses `path`."""
    return fnmatchcase(path, f"*{pattern}" if pattern.startswith("/") else pattern)


def addresses(fault: Fault, method: str, path: str, *, upgrade: bool) -> bool:
    """Whether an HTTP fault addresses this request."""
    match fault:
        case BlockUpgrade():
            return upgrade and path_matches(fault.path, path)
        case Status() | Stall() | Delay() | Slow() | Cut() | Garbage() | Swallow() | Duplicate():
            return fault.method in ("*", method) and path_matches(fault.path, path)
        case _:
            return False

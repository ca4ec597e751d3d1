"""A reconnect storm: a thousand sessions lose their links at one moment and find no server for a
minute, in virtual time, under the delays of three libraries.

Ours are real sessions; of the others only when they dial is played, from what they publish:

- Centrifugo's clients: `minReconnectDelay` 500 ms, `maxReconnectDelay` 20 s, "full jitter" on top
  of the least (README and `backoff` in utils.ts of github.com/centrifugal/centrifuge-js).
- Ably's: RTB1 of its features specification (`disconnectedRetryTimeout` 15 s, times at most 2 that
  grows by a third, times 0.8 to 1), once as it stands, and once after the attempt that RTN15a asks
  for at once when a link is lost.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final
from unittest import mock

import attrs

from support_chat import NetworkError, SupportChat
from support_chat.ports import Credentials
from support_chat.testing import CallLog, RecordingTransport, ScriptedLink, run
from support_chat_adapters.storage import MemoryStorage

from .lines import Found, Line, Part

OUTAGE: Final = 60.0
START: Final = 20.0
BUCKET: Final = 0.1
LIMIT: Final = 600.0

Policy = Callable[[int, float], float]
"""Seconds before attempt `n` (from 0), of a random number in [0, 1)."""


def centrifugo(n: int, roll: float) -> float:
    """Centrifugo's delay."""
    least, most = 0.5, 20.0
    return min(most, least + roll * min(most, least * 2.0 ** min(n, 31)))


def ably(n: int, roll: float) -> float:
    """Ably's delay while it is disconnected."""
    return 15.0 * min((n + 3) / 3, 2.0) * (1.0 - 0.2 * roll)


def ably_at_once(n: int, roll: float) -> float:
    """The same, after a first attempt without any."""
    return ably(n - 1, roll) if n else 0.0


POLICIES: Final[Mapping[str, Policy]] = {
    "Centrifugo": centrifugo,
    "Ably": ably,
    "Ably, with its first attempt": ably_at_once,
}


@attrs.define
class Outage:
    """The network: when it was dialled, since the moment when all links were lost."""

    lost_at: float = 0.0
    dials: list[float] = attrs.Factory(list[float])

    def dial(self) -> None:
        """Raises NetworkError unless the server is back."""
        since = asyncio.get_running_loop().time() - self.lost_at
        self.dials.append(since)
        if since < OUTAGE:
            raise NetworkError("Nobody is there; try again.")

    def largest(self, since: float, until: float = LIMIT) -> float:
        """Dials of the fullest 100 ms of this time."""
        buckets = Counter(int(at / BUCKET + 1e-6) for at in self.dials if since <= at < until)
        return float(max(buckets.values(), default=0))


@attrs.frozen
class Dialling:
    """A double that is reached through the network; what it does itself is left to `inner`."""

    inner: RecordingTransport
    outage: Outage

    async def open(self, credentials: Credentials) -> ScriptedLink:
        """Dials."""
        if self.outage.lost_at:
            self.outage.dial()
        return await self.inner.open(credentials)

    async def revoke(self, session: str) -> None:
        """As the double."""
        await self.inner.revoke(session)

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        """As the double."""
        await self.inner.end_visitor(workspace_id, widget_id, visitor)

    async def aclose(self) -> None:
        """As the double."""
        await self.inner.aclose()


async def of_sessions(count: int) -> Outage:
    """Real sessions, with their default settings."""
    outage, log, storage = Outage(), CallLog(), MemoryStorage()
    transport = Dialling(RecordingTransport(log=log), outage)
    chats = [
        SupportChat(
            workspace_id="acme",
            widget_id="help",
            transport=transport,
            storage=storage,
            scope=str(number),
        )
        for number in range(count)
    ]
    await asyncio.gather(*(chat.boot() for chat in chats))
    await asyncio.sleep(100.0)
    outage.lost_at = asyncio.get_running_loop().time()
    for link in transport.inner.open_links:
        link.lose()
    async with asyncio.timeout(LIMIT):
        while len(transport.inner.open_links) < count:  # noqa: ASYNC110  # a second is virtual
            await asyncio.sleep(1.0)
    await asyncio.gather(*(chat.destroy() for chat in chats))
    return outage


async def of_policy(count: int, policy: Policy, dice: random.Random) -> Outage:
    """Clients that only dial."""
    outage = Outage()

    async def client() -> None:
        for attempt in range(1000):
            await asyncio.sleep(policy(attempt, dice.random()))
            try:
                return outage.dial()
            except NetworkError:
                continue

    await asyncio.gather(*(client() for _ in range(count)))
    return outage


OURS: Final = "SupportChat"
MOMENTS: Final = {
    "largest 100 ms of dials, first 20 s": (0.0, START),
    "largest 100 ms of dials, after 20 s": (START, LIMIT),
    "largest 100 ms of dials, server back": (OUTAGE, LIMIT),
}
BACK: Final = "until all are back"
TRIES: Final = "dials of one session"


def of_seed(count: int, seed: int) -> dict[str, Outage]:
    """The storm of each, with the dice of this seed."""
    with mock.patch("os.urandom", random.Random(seed).randbytes):
        storms = {OURS: run(of_sessions(count))}
    for name, policy in POLICIES.items():
        storms[name] = run(of_policy(count, policy, random.Random(seed)))
    return storms


def measure(quick: bool) -> Found:
    """One storm after the other, each with dice of its own."""
    count, seeds = (10, 1) if quick else (1000, 5)
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        for name, outage in of_seed(count, seed).items():
            figures = {moment: outage.largest(*when) for moment, when in MOMENTS.items()}
            figures[BACK] = max(outage.dials) - OUTAGE
            figures[TRIES] = len(outage.dials) / count
            for moment, figure in figures.items():
                found.setdefault(f"{name}: {moment}", []).append(figure)
    return Found(found)


STORM: Final = Part(
    "storm",
    "A reconnect storm",
    "A thousand sessions lose their links at one moment; for 60 s every dial fails at once, then "
    "every one succeeds. Counted are the dials of the fullest tenth of a second, in virtual time, "
    "over five seeds. Sessions are real; of "
    "[Centrifugo](https://github.com/centrifugal/centrifuge-js)'s and "
    "[Ably](https://github.com/ably/specification)'s clients only their published delays are "
    "played, by the same loop. Ably's are shown twice, since its clients dial once at the moment "
    "when the link is lost. The first wait decides the first 20 s: ours is 0.25 to 0.5 s, "
    "Centrifugo's 0.5 to 1 s, Ably's 12 to 15 s; a link that is back in a second is worth more "
    "than the peak, and that is what Ably's first attempt is for, too.",
    tuple(
        Line(moment, unit, f"{OURS}: {moment}", f"{name}: {moment}")
        for moment, unit in (*((one, "dials") for one in MOMENTS), (BACK, "s"), (TRIES, "dials"))
        for name in POLICIES
    ),
    measure,
)

"""What a live session takes: memory, and processor time at rest."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final

from support_chat import CHART, Compiled, Fact, Phase, State, SupportChat
from support_chat.ports import Credentials
from support_chat.testing import CallLog, PortCall, RecordingTransport, run
from support_chat_adapters.storage import MemoryStorage

from .lines import Found, Goal, Line, Part

TOOLS: Final = Path(__file__).parents[1]
CHILD: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from figures.living import tell; "
    "tell(sys.argv[2], int(sys.argv[3]))"
)
SESSION: Final = "a session and its link"
LINK: Final = "the double's link"
TASK: Final = "a task that waits"
STATE: Final = "a state of the shipped chart"
REST: Final = 60.0
"""Seconds of virtual time in which nothing happens; no timer of a quiet session is longer."""
AT_ONCE: Final = 500

Make = Callable[[int], Awaitable[Any]]


class Forgetting(CallLog):
    """Keeps no call: what a test wants to know would be counted as the session's."""

    def add(self, call: PortCall) -> None:
        """Forgets it."""


def made() -> dict[str, Make]:
    """What is counted, each made by its number: a session on the doubles, what the double has of
    it, and the least that waits for anything.
    """
    transport, storage = RecordingTransport(log=Forgetting()), MemoryStorage()

    async def session(number: int) -> SupportChat:
        chat = SupportChat(
            workspace_id="acme",
            widget_id="help",
            transport=transport,
            storage=storage,
            scope=f"scope {number}",
        )
        await chat.boot()
        return chat

    async def link(number: int) -> object:
        return await transport.open(Credentials("acme", "help", f"visitor {number}"))

    async def task(_: int) -> object:
        waits = asyncio.create_task(asyncio.Queue[None]().get())
        await asyncio.sleep(0)
        return waits

    return {SESSION: session, LINK: link, TASK: task}


async def end(kept: Iterable[Any]) -> None:
    """Ends what was made; a link ends with its loop."""
    for one in kept:
        if isinstance(one, asyncio.Task):
            one.cancel()
        elif isinstance(one, SupportChat):
            await one.destroy()


async def in_memory(kind: str, count: int) -> float:
    """What one of so many takes, by `tracemalloc`."""
    make = made()[kind]
    kept = [await make(number) for number in range(10)]  # what all of them share is made
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(10, count + 10):
        kept.append(await make(number))
    gc.collect()
    size = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    await end(kept)
    return size / count


def resident() -> int:
    """The bytes of this process that are in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def thousands(kind: str, count: int) -> dict[str, float]:
    """What so many take together: bytes of each, and seconds of processor."""
    make = made()[kind]
    kept = [await make(-1)]
    before, began = resident(), time.process_time()
    for first in range(0, count, AT_ONCE):
        kept += await asyncio.gather(*map(make, range(first, min(first + AT_ONCE, count))))
    up, after = time.process_time() - began, resident()
    began = time.process_time()
    await asyncio.sleep(REST)
    rest = (time.process_time() - began) / REST
    began = time.process_time()
    await end(kept)
    down = time.process_time() - began
    return {"bytes": (after - before) / count, "up": up, "rest": rest * 1000, "down": down}


def tell(kind: str, count: int) -> None:
    """Prints it as JSON: for a process that has nothing else in memory."""
    print(json.dumps(run(thousands(kind, count))))


def asked(kind: str, count: int) -> dict[str, float]:
    """What a process of its own tells."""
    command = [sys.executable, "-c", CHILD, str(TOOLS), kind, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    return dict(json.loads(done.stdout))


def bytes_of_a_state(count: int) -> float:
    """What one of so many users' states takes."""
    facts = Compiled(CHART).mask((Fact.BOOTED, Fact.SENDING))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [
        State(Phase.AUTHENTICATED.value, facts, (f"user_{number:08}", None))
        for number in range(count)
    ]
    size = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return size / len(kept)


def measure(quick: bool) -> Found:
    """Each once: memory has no noise."""
    few, many = (20, 20) if quick else (1000, 10_000)
    kinds = (SESSION, LINK, TASK)
    found = {kind: [run(in_memory(kind, few))] for kind in kinds}
    found[STATE] = [bytes_of_a_state(many)]
    taken = {kind: asked(kind, many) for kind in kinds}
    for kind in kinds:
        found[f"{kind}, resident"] = [taken[kind]["bytes"]]
    for what in ("up", "rest", "down"):
        found[what] = [taken[SESSION][what]]
    return Found(found)


SESSIONS: Final = Part(
    "sessions",
    "Live sessions",
    "Sessions of visitors, booted on the doubles of `support_chat.testing` with one storage in "
    "memory, so that the library and nothing else is counted, and without their log of calls; the "
    "double's link is in the figure, and is a line of its own. The 10,000 are in one process, with "
    "default settings; at rest is a minute of virtual time in which no call is made and nothing "
    "comes. Bytes by `tracemalloc` over 1,000, by what is resident over 10,000.",
    (
        Line(
            "a live session, of 10,000", "bytes", f"{SESSION}, resident", f"{TASK}, resident",
            goal=Goal(
                most=15_000,
                figure=True,
                why="the double's link is in it, as the next line says, and so is the task that "
                "listens to it",
            ),
        ),
        Line("what the double has of it", "bytes", f"{LINK}, resident", f"{TASK}, resident"),
        Line("a live session, of 1,000", "bytes", SESSION, TASK),
        Line("what the double has of it, of 1,000", "bytes", LINK, TASK),
        Line("a state", "bytes", STATE, goal=Goal(most=200, figure=True)),
        Line("10,000 sessions are brought up", "s", "up"),
        Line("10,000 sessions, a second at rest", "ms", "rest"),
        Line("10,000 sessions are ended", "s", "down"),
    ),
    measure,
)  # fmt: skip

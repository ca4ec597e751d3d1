"""What a pool of sessions costs as it grows: `python tests/benchmarks/pool.py`.

As many browsers as named have a session each, on one embedded backend: 100, and 10,000 (`--quick`:
1,000). What a request of one of them costs is processor time, the median of many, which a busy
machine hardly changes; the ratio is what to look at, and the goal is at most 1.5.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import statistics
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Final

from support_chat import SessionPool
from support_chat.testing import VirtualLoop
from support_chat_adapters.backend import Backend
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

GOAL: Final = 1.5
IDLE: Final = 60.0
SAMPLE: Final = 20
"""How many of the last scopes are looked at for what they hold: to trace memory takes long."""


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    """Processor time of one piece of work."""
    began = time.process_time()
    await work()
    return time.process_time() - began


async def measured(scopes: int, rounds: int) -> list[float]:
    """The rows of a pool of so many scopes, in microseconds and KiB."""
    backend, storage = Backend(workspace_id="acme", widget_id="help"), MemoryStorage()
    dice, new = random.Random(1), iter(range(10**9))
    pool = SessionPool(
        workspace_id="acme",
        widget_id="help",
        transport=LoopbackTransport(backend),
        storage=storage,
        maximum=scopes,
        idle=IDLE,
    )

    async def boot() -> None:
        async with pool.session(f"new {next(new)}") as chat:
            await chat.boot()

    async def use() -> None:
        async with pool.session(f"scope {dice.randrange(scopes)}") as chat:
            await chat.boot()

    async def robot() -> None:
        async with pool.session(f"new {next(new)}"):
            pass

    async with pool:
        await boot()  # what all of them share is made
        for number in range(scopes):
            if number == scopes - SAMPLE:
                tracemalloc.start()
            async with pool.session(f"scope {number}") as chat:
                await chat.boot()
        gc.collect()
        memory = tracemalloc.get_traced_memory()[0] / SAMPLE / 1024
        tracemalloc.stop()
        gc.freeze()
        rows = [
            statistics.median([await seconds(work) for _ in range(rounds)]) * 1e6
            for work in (use, robot, boot)
        ]
        began, kept = time.process_time(), len(pool)
        await asyncio.sleep(IDLE + 1)
        ended = (time.process_time() - began) / kept * 1e6
        assert len(pool) == 0
    gc.unfreeze()
    backend.close()
    return [*rows, ended, memory]


ROWS: Final = (
    ("a request of a session that lives", "us"),
    ("a request of a robot, which boots none", "us"),
    ("a new session beyond the maximum", "us"),
    ("the end of an idle one", "us"),
    ("memory of a live one and its link", "KiB"),
)


def main(arguments: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer scopes, fewer rounds")
    quick = parser.parse_args(arguments).quick
    sizes, rounds = ((20, 200), 30) if quick else ((100, 10_000), 500)
    sides: list[list[float]] = []
    for size in sizes:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            sides.append(runner.run(measured(size, rounds)))
    print(f"{'':40} {sizes[0]:>8,} scopes {sizes[1]:>8,} scopes (goal: {GOAL}x)")
    for (name, unit), few, many in zip(ROWS, *sides, strict=True):
        print(f"  {name:<38} {few:>11,.1f} {unit:<3} {many:>11,.1f} {unit:<3} {many / few:>6.2f}x")


if __name__ == "__main__":
    main()

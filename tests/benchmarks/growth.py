"""What a request costs as the history grows: `python tests/benchmarks/growth.py`.

Two databases in files stand side by side, one person's each: 100 messages in 10 conversations, and
100,000 in 10,000 (`--quick`: 10,000 in 1,000). Every request has its turn on both in each round;
what is measured is processor time, which a busy machine hardly changes, and the ratio of the
medians is what to look at. The goal is at most 1.5. No fsync is waited for (`durable=False`): it
takes what it takes whatever is in the file.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from long_history import SECRET, WIDGET, LongHistory, long_history
from support_chat.ports import Credentials, Outgoing
from support_chat_adapters.backend import conversations, operations

GOAL: Final = 1.5
REPLAYED: Final = 80
NUMBERS: Final = itertools.count()
Request = Callable[[LongHistory], object]


def replay(history: LongHistory) -> None:
    """Reads some messages of a replay from its beginning."""

    async def read() -> None:
        connection = history.backend.attach(history.session, "10")
        for _ in range(REPLAYED):
            await connection.next()
        connection.close("goodbye")

    asyncio.run(read())


def whole_replay(history: LongHistory) -> float:
    """Seconds for each message of all that there are."""

    async def read() -> int:
        connection, came = history.backend.attach(history.session, "1"), 0
        while events := await connection.ready():
            came += len(events)
        connection.close("goodbye")
        return came

    began = time.process_time()
    came = asyncio.run(read())
    return (time.process_time() - began) / came


def page(history: LongHistory) -> None:
    """A page of conversations and one of messages, each as far into it as there is."""
    read = operations.reading(
        "conversations",
        history.session,
        lambda db, owner: (
            conversations.conversation_page(db, owner, "9", 5),
            conversations.message_page(db, owner, "c-7", None, 10),
        ),
    )
    asyncio.run(history.backend.ask(read))


def mark_read(history: LongHistory) -> None:
    """An agent's answer, and that it was read."""
    history.backend.agent.reply("c-7", "hello")
    history.backend.mark_read(history.session, "c-7")


REQUESTS: Final[dict[str, Request]] = {
    "a boot": lambda h: h.backend.open(Credentials(**WIDGET, visitor=SECRET)),
    "coming back": lambda h: h.backend.open(
        Credentials(**WIDGET, visitor=SECRET, session=h.session, cursor="10")
    ),
    "a message": lambda h: h.backend.send(
        h.session, Outgoing(f"id-{next(NUMBERS)}", "hello", h.conversation)
    ),
    "a page of each listing": page,
    "an answer, and marking it read": mark_read,
    f"{REPLAYED} messages of a replay": replay,
}


def medians(sides: Sequence[LongHistory], request: Request, rounds: int) -> list[float]:
    """The median of a request on each side, in seconds."""
    taken: list[list[float]] = [[] for _ in sides]
    for turn in range(rounds + 3):
        for side, times in zip(sides, taken, strict=True):
            began = time.process_time()
            request(side)
            if turn >= 3:
                times.append(time.process_time() - began)
    return [statistics.median(times) for times in taken]


def show(name: str, few: float, many: float) -> None:
    """A line of the table."""
    print(f"  {name:<34} {few * 1e6:>10,.1f} us {many * 1e6:>10,.1f} us {many / few:>7.2f}x")


def main(arguments: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a shorter history, fewer rounds")
    quick = parser.parse_args(arguments).quick
    most, rounds = (10_000, 30) if quick else (100_000, 300)
    sizes = ((100, 10), (most, most // 10))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sides = [
            stack.enter_context(long_history(*size, f"{folder}/{size[0]}.db")) for size in sizes
        ]
        print(f"{'':36} {sizes[0][0]:>9,} messages {sizes[1][0]:>9,} (goal: {GOAL}x)")
        for name, request in REQUESTS.items():
            show(name, *medians(sides, request, rounds))
        few = min(whole_replay(sides[0]) for _ in range(20))
        show("... of all of it, each message", few, min(whole_replay(sides[1]) for _ in range(3)))


if __name__ == "__main__":
    main()

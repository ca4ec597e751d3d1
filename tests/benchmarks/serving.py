"""What a server carries: `python tests/benchmarks/serving.py [--before WHEEL|COMMIT]`. Medians and
ratios of one run, never a test with a stop-watch.

Side by side stand this `support-chat serve`; with `--before` a former one, a wheel or a commit of
which one is made, in an environment of its own; and Prosody, an XMPP server that keeps an archive
of messages in SQLite, if it is installed. Each has one person with a short history and one with a
long one (`--messages`), written straight into its database. In each round every side has its turn,
in a process of its own on a fresh copy of its data, so that a busy machine slows all of them alike,
and no round sees what another has written.

A boot is a session that is let in and hears: with `serve` a POST and a WebSocket up to its hello,
with Prosody a login, presence, and a look for the last message of the archive. A message is sent by
one session of the person, and another hears it; it counts once the server has said that it keeps
it. Every server commits to the disk before it says so. The clients speak over plain sockets; they
and the servers share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import attrs

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from bare_lines import Line
from compared_servers import (
    INSTALL_PROSODY,
    Server,
    former_version,
    is_prosody_installed,
    prosody,
    this_version,
)

ABREAST: Final = 8
"""Clients that ask at the same time."""
LIMIT: Final = 900.0
"""Seconds after which a round is given up: a server has hung."""
ROWS: Final = {
    "boots": "boots/s",
    "messages": "messages/s",
    "boot_cpu": "CPU s/1000 boots",
    "message_cpu": "CPU s/1000 sends",
    "p50": "arrival p50, ms",
    "p99": "arrival p99, ms",
    "memory": "KiB/link",
}


@attrs.frozen
class Effort:
    """How much is done in a round on each side, and for how many seconds at most each thing."""

    rounds: int = 5
    boots: int = 200
    messages: int = 200
    trips: int = 100
    links: int = 200
    seconds: float = 5.0


QUICK: Final = Effort(rounds=1, boots=10, messages=10, trips=5, links=5)


@attrs.frozen
class Side:
    """A server with a history of so many messages; its data lies in `folder`."""

    server: Server
    messages: int
    folder: Path


@attrs.frozen
class Round:
    """What one round found of a side."""

    boots: float
    boot_cpu: float
    messages: float
    message_cpu: float
    trips: Sequence[float]
    memory: float


def cpu_of(process: int) -> float:
    """The seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(process: int) -> float:
    """The KiB of a process that are in memory."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


async def burst(
    process: int, clients: Sequence[Callable[[], Awaitable[object]]], count: int, seconds: float
) -> tuple[float, float]:
    """How often a second these clients do what they do, `count` times together unless time is over,
    and how many seconds of the server's processor a thousand times take.
    """
    left, done = iter(range(count)), itertools.count()
    began, cpu = time.perf_counter(), cpu_of(process)

    async def go_on(client: Callable[[], Awaitable[object]]) -> None:
        while time.perf_counter() - began < seconds and next(left, None) is not None:
            await client()
            next(done)

    await asyncio.gather(*(go_on(client) for client in clients))
    number = next(done)
    took = time.perf_counter() - began
    return number / took, (cpu_of(process) - cpu) / number * 1000


async def trip(sender: Line, hearer: Line, text: str) -> float:
    """The seconds from the beginning of a send until another session hears the message."""
    began = time.perf_counter()
    sending = asyncio.ensure_future(sender.send(text))
    while await hearer.arrival() != text:
        pass
    took = time.perf_counter() - began
    await sending
    return took


async def one_round(side: Side, port: int, process: int, effort: Effort) -> Round:
    """Everything once, on a server that has just begun."""
    dial = side.server.dial

    async def boot(person: int = 0) -> None:
        (await dial(port, person, hears=True)).close()

    def sends(line: Line) -> Callable[[], Awaitable[object]]:
        return lambda: line.send("some words")

    for person in range(5):  # what is loaded late is loaded
        await boot(person)
    before = memory_of(process)
    links = [await dial(port, person, hears=True) for person in range(1, effort.links + 1)]
    memory = (memory_of(process) - before) / len(links)
    for link in links:
        link.close()

    boots, boot_cpu = await burst(process, [boot] * ABREAST, effort.boots, effort.seconds)
    hearer = await dial(port, 0, hears=True)
    senders = [await dial(port, 0, hears=False) for _ in range(ABREAST)]
    clients = [sends(line) for line in senders]
    messages, message_cpu = await burst(process, clients, effort.messages, effort.seconds)
    until, trips = time.perf_counter() + effort.seconds, list[float]()
    while len(trips) < effort.trips and time.perf_counter() < until:
        trips.append(await trip(senders[0], hearer, f"trip {len(trips)}"))
    for line in (hearer, *senders):
        line.close()
    return Round(boots, boot_cpu, messages, message_cpu, trips, memory)


def rounds_of(sides: Sequence[Side], effort: Effort, folder: Path) -> list[list[Round]]:
    """The rounds of each side; in every round each has its turn."""
    found: list[list[Round]] = [[] for _ in sides]
    for _ in range(effort.rounds):
        for side, rounds in zip(sides, found, strict=True):
            copy = shutil.copytree(side.folder, folder / "copy")
            with side.server.running(copy) as (port, process):
                whole = asyncio.wait_for(one_round(side, port, process, effort), LIMIT)
                rounds.append(asyncio.run(whole))
            shutil.rmtree(copy)
    return found


def figures(rounds: Sequence[Round]) -> dict[str, float]:
    """The rows of a side: medians of its rounds, and shares of all its trips."""
    trips = sorted(took * 1000 for one in rounds for took in one.trips)
    return {
        **{
            name: statistics.median(getattr(one, name) for one in rounds)
            for name in ("boots", "messages", "boot_cpu", "message_cpu", "memory")
        },
        "p50": trips[len(trips) // 2],
        "p99": trips[len(trips) * 99 // 100],
    }


def show(sides: Sequence[Side], found: Sequence[dict[str, float]]) -> None:
    """Prints the table: each figure, and how often it holds that of the first side."""
    print(f"{'':16}" + "".join(f"{side.server.name[:13]:>14}" for side in sides))
    print(f"{'history':16}" + "".join(f"{side.messages:>14,}" for side in sides))
    for name, title in ROWS.items():
        first = found[0][name]
        cells = (f"{short(one[name]):>7}{short(one[name] / (first or 1)):>6}x" for one in found)
        print(f"{title:16}" + "".join(cells))


def short(number: float) -> str:
    """A number in at most six characters, as long as it is below 100,000."""
    return f"{number:,.{2 if number < 10 else 1 if number < 100 else 0}f}"


def main(arguments: list[str] | None = None) -> None:
    """Prints the table, or with `--json` the same as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", metavar="WHEEL|COMMIT", help="a former version, beside this")
    parser.add_argument("--messages", metavar="FEW,MANY", help="default: 100,100000")
    parser.add_argument("--quick", action="store_true", help="next to nothing, without Prosody")
    parser.add_argument("--json", action="store_true", help="one object, for programs")
    options = parser.parse_args(arguments)
    effort = QUICK if options.quick else Effort()
    sizes = [int(size) for size in (options.messages or "100,100000").split(",")]
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder, servers = Path(name), [this_version()]
        if options.before is not None:
            servers.append(former_version(options.before, folder))
        if not options.quick and is_prosody_installed():
            servers.append(prosody())
        sides = list[Side]()
        for server, size in itertools.product(servers, sizes):
            sides.append(Side(server, size, folder / str(len(sides))))
            server.prepare(sides[-1].folder, size)
        found = [figures(rounds) for rounds in rounds_of(sides, effort, folder)]
    loads = (load, os.getloadavg()[0])
    if options.json:
        table = [
            {"server": side.server.name, "history": side.messages, **one}
            for side, one in zip(sides, found, strict=True)
        ]
        print(json.dumps({"load": loads, "cores": os.cpu_count(), "sides": table}, indent=2))
        return
    print(
        f"{effort.rounds} rounds on {os.cpu_count()} cores, whose load was {loads[0]:.1f} at the "
        f"beginning and {loads[1]:.1f} at the end"
    )
    show(sides, found)
    if not options.quick and not is_prosody_installed():
        print(f"without Prosody, which is not installed: {INSTALL_PROSODY}")


if __name__ == "__main__":
    main()

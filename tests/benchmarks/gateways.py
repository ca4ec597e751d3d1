"""What gateways on PostgreSQL carry, and what a hint costs, by when it is given:
`python tests/benchmarks/gateways.py`. Medians of one run, never a test with a stop-watch.

A gateway is a process with a store of four connections; eight conversations of different owners are
written to at a time, each message awaited before the next. The server is a real one that waits for
its disk, on the same machine.

- `batched` is what ships: the hint is given outside of the transactions, one for all that was
  committed since the last one.
- `after` gives one more for each message, outside, too.
- `inside` gives one more for each message, in its transaction.

With `--pause` so many milliseconds pass in each transaction between the draw of its number and its
commit, so that neither the processor nor the disk is what gateways wait for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from postgres_server import postgres_server
from support_chat_adapters.backend import conversations
from support_chat_adapters.backend.postgres import PostgresStore
from support_chat_adapters.backend.postgres.order import CHANNEL
from support_chat_adapters.backend.store import Transaction, as_it_is

TOOLS: Final = Path(__file__).parents[1] / "tools"
ABREAST: Final = 8
"""Owners to whom one gateway writes at a time."""
HINTS: Final = ("batched", "after", "inside")
_NOTIFY: Final = "SELECT pg_notify(%s, 'benchmark')"


async def gateway(address: str, name: str, hint: str, pause: float, seconds: float) -> None:
    """One gateway at work: says that it is ready, waits for the word, and prints what it did."""
    store = PostgresStore(address)
    apart = await psycopg.AsyncConnection.connect(address, autocommit=True)
    await apart.execute("SET synchronous_commit = off")
    owners = [f"user:{name}-{number}" for number in range(ABREAST)]
    begun = {owner: store.write_now(partial(_begin, owner), as_it_is) for owner in owners}
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    until = time.monotonic() + seconds
    used = time.process_time()

    async def write(owner: str) -> int:
        def say(db: Transaction) -> None:
            db.lock(owner)
            conversations.append(db, owner, begun[owner], "user", "hello", 0.0)
            if pause:
                db.execute("SELECT pg_sleep(?)", (pause / 1000,))
            if hint == "inside":
                db.execute("SELECT pg_notify(?, 'benchmark')", (CHANNEL,))

        count = 0
        while time.monotonic() < until:
            await store.write(say, as_it_is)
            if hint == "after":
                await apart.execute(_NOTIFY, (CHANNEL,))
            count += 1
        return count

    done = sum(await asyncio.gather(*map(write, owners)))
    print(json.dumps({"done": done, "cpu": time.process_time() - used}), flush=True)
    await apart.close()
    store.close()


def _begin(owner: str, db: Transaction) -> str:
    db.lock(owner)
    return conversations.start(db, owner, 0.0)


def rate(address: str, gateways: int, hint: str, pause: float, seconds: float) -> dict[str, float]:
    """Messages a second of so many gateways, and their CPU seconds for a thousand."""
    paths = os.pathsep.join([str(TOOLS), *sys.path])
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, __file__, "--gateway", address),
                *(f"{number}-{time.time_ns()}", hint, str(pause), str(seconds)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
            text=True,
        )
        for number in range(gateways)
    ]
    told: list[dict[str, float]] = []
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        said, _ = process.communicate(timeout=600.0)
        told.append(json.loads(said))
    done = sum(each["done"] for each in told)
    return {
        "messages": done / seconds,
        "cpu": 1000 * sum(each["cpu"] for each in told) / max(1, done),
    }


def main(arguments: list[str]) -> None:
    """Prints a row for each kind of hint, and one with a pause."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each turn takes")
    parser.add_argument("--rounds", type=int, default=3, help="how many turns each side has")
    parser.add_argument("--pause", type=float, default=20.0, help="milliseconds")
    parser.add_argument("--quick", action="store_true", help="only shows that it runs")
    asked = parser.parse_args(arguments)
    seconds, rounds = (0.3, 1) if asked.quick else (asked.seconds, asked.rounds)
    sides = [(hint, 0.0) for hint in HINTS] + [("batched", asked.pause)]
    turns: dict[tuple[str, float, int], list[dict[str, Any]]] = {}
    with postgres_server() as server:
        address = server.create("chat")
        for _ in range(rounds):
            for hint, pause in sides:
                for gateways in (1, 2):
                    turn = rate(address, gateways, hint, pause, seconds)
                    turns.setdefault((hint, pause, gateways), []).append(turn)
    cores, load = os.cpu_count(), os.getloadavg()[0]
    print(f"{rounds} rounds of {seconds:g} s on {cores} cores, whose load was {load:.1f}")
    print(f"{'hint':20}{'one gateway':>14}{'two':>10}{'':>8}{'CPU s/1000 sends':>20}")
    for hint, pause in sides:
        one, two = (_median(turns[hint, pause, n], "messages") for n in (1, 2))
        cpu = [_median(turns[hint, pause, n], "cpu") for n in (1, 2)]
        name = f"{hint}, {pause:g} ms" if pause else hint
        print(
            f"{name:20}{one:>12.0f}/s{two:>8.0f}/s{two / one:>7.2f}x{cpu[0]:>12.2f}{cpu[1]:>8.2f}"
        )


def _median(turns: list[dict[str, Any]], name: str) -> float:
    return float(sorted(turn[name] for turn in turns)[len(turns) // 2])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--gateway"]:
        where, who, when, slow, how_long = sys.argv[2:]
        asyncio.run(gateway(where, who, when, float(slow), float(how_long)))
    else:
        main(sys.argv[1:])

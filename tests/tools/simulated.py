"""Random schedules of sessions, by seed, and of mutants of the shell: a share of them runs in CI.

python tests/tools/simulated.py sessions --schedules 1000 --jobs 2   # real ones
python tests/tools/simulated.py engines --schedules 20000 --jobs 2   # stepped without a loop
python tests/tools/simulated.py mutants --write docs/simulation.md   # seeds until each is found

`--shard I/N` plays each N-th chunk of seeds from the I-th on; `--results FILE` keeps what was
played, so that a run that was ended goes on where it was. A schedule that is judged as wrong is
made as short as it gets, and told with the line that replays it:

python tests/tools/simulated.py sessions --seed 7 --tabs 2 --scopes 1 --moves 3,8,21
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Final
from unittest import mock

import attrs

from shell_mutants import MUTANTS, Mutant
from support_chat import Settings
from support_chat.testing import run
from support_chat.testing.simulate import (
    Counts,
    Plan,
    Verdict,
    shrunk,
    simulate,
    simulate_engines,
    too_few,
    turns,
)
from support_chat.testing.simulate.engines import MOVES
from support_chat.testing.simulate.judge import limits
from two_tabs import TwoTabs

CHUNK: Final = 50
"""Schedules that a process plays before it reports."""
TOLD: Final = 3
"""So many wrong schedules are told in full."""
CALLS: Final = (
    "load", "boot", "identify", "become", "update", "send_message", "mark_read", "conversations",
    "shutdown", "destroy",
)  # fmt: skip
FAULTS: Final = {
    "sessions": (
        "a caller leaves", "a process dies", "a request fails", "a request is one too many",
        "a session is revoked", "an answer is lost", "an answer never comes", "goodbyes are slow",
        "history is dropped", "links break", "links fall silent", "the backend is slow",
        "the network is bad", "the storages fail", "the storages hang", "tokens expire",
    ),
    "engines": (
        "a caller leaves", "a process dies", "a request fails", "a request hangs",
        "a session is revoked", "an answer is lost", "links break", "links fall silent",
        "tokens expire",
    ),
}  # fmt: skip
LEAST: Final = 0.01
"""The least number of times a schedule, on average, that a call of each kind succeeds while
something is wrong, and that a fault of each kind happens.
"""
BEGIN, END = "<!-- mutants -->\n", "<!-- /mutants -->\n"


# --- one schedule ---------------------------------------------------------------------------------


def sessions(plan: Plan) -> Verdict:
    """Plays this schedule with real sessions; it replays whatever ran before it."""

    async def play() -> Verdict:
        world = TwoTabs(plan)
        with world.backend:
            return await simulate(world, plan)

    # delays are rolled from the one, `secrets` draws from another, everybody else from the third
    random.seed(f"{plan.seed} rolls")
    drawn = random.Random(f"{plan.seed} bytes").randbytes
    with mock.patch("random._urandom", drawn), mock.patch("os.urandom", drawn):
        return run(play(), choose=turns(plan))


PLAYS: Final[Mapping[str, Callable[[Plan], Verdict]]] = {
    "sessions": sessions,
    "engines": simulate_engines,
}


def plan_of(level: str, seed: int) -> Plan:
    """The schedule of this seed."""
    return Plan.of(seed) if level == "sessions" else Plan.of(seed, moves=MOVES)


# --- many -----------------------------------------------------------------------------------------


@attrs.frozen
class Played:
    """What some schedules in a row have come to: which were wrong, and how many CPU-seconds they
    took.
    """

    first: int
    schedules: int
    wrong: tuple[int, ...]
    counts: Counts
    seconds: float

    def line(self) -> str:
        """As a line of a file of results."""
        return json.dumps(attrs.asdict(self)) + "\n"

    @staticmethod
    def read(line: str) -> Played:
        """From a line of a file of results."""
        told = json.loads(line)
        counted = told["counts"]
        counts = Counts(
            Counter(counted["made"]),
            Counter(counted["succeeded"]),
            Counter(counted["disturbed"]),
            Counter(counted["faults"]),
            counted["steps"],
        )
        return Played(
            told["first"], told["schedules"], tuple(told["wrong"]), counts, told["seconds"]
        )


def played(level: str, first: int, schedules: int) -> Played:
    """Plays some schedules in a row."""
    counts, wrong, begun = Counts(), list[int](), time.process_time()
    for seed in range(first, first + schedules):
        verdict = PLAYS[level](plan_of(level, seed))
        counts += verdict.counts
        if verdict.violations:
            wrong.append(seed)
    return Played(first, schedules, tuple(wrong), counts, time.process_time() - begun)


def many(asked: argparse.Namespace) -> int:
    """Plays what is asked for; 1 if something is wrong, or if it says too little."""
    last = asked.first + asked.schedules
    firsts = list(range(asked.first, last, CHUNK))[asked.shard[0] :: asked.shard[1]]
    done = {} if asked.results is None else _kept(asked.results)
    todo = [first for first in firsts if first not in done]
    limits(Settings())  # computed once, before there are processes
    with ProcessPoolExecutor(asked.jobs) as processes:
        begun = [
            processes.submit(played, asked.level, first, min(CHUNK, last - first)) for first in todo
        ]
        for number, future in enumerate(begun, 1):
            chunk = future.result()
            done[chunk.first] = chunk
            if asked.results is not None:
                with asked.results.open("a") as file:
                    file.write(chunk.line())
            if number % 20 == 0:
                print(f"{number} of {len(todo)} chunks", file=sys.stderr, flush=True)
    return _reported(asked.level, [done[first] for first in firsts])


def _kept(results: Path) -> dict[int, Played]:
    lines = results.read_text().splitlines() if results.exists() else []
    return {each.first: each for each in map(Played.read, lines)}


def _reported(level: str, chunks: Sequence[Played]) -> int:
    counts = sum((chunk.counts for chunk in chunks), Counts())
    schedules = sum(chunk.schedules for chunk in chunks)
    wrong = [seed for chunk in chunks for seed in chunk.wrong]
    seconds = sum(chunk.seconds for chunk in chunks)
    for line in told(level, counts):
        print(line)
    print(
        f"{schedules:,} schedules of {level}, {counts.steps:,} steps, {seconds:,.0f} CPU-s "
        f"({1000 * seconds / max(1, schedules):.1f} ms each): {len(wrong)} wrong"
    )
    if wrong:
        print(f"commit {_commit()}, Python {platform.python_version()}")
    for seed in wrong[:TOLD]:
        failing = PLAYS[level](plan_of(level, seed))
        print(f"seed {seed}, as short as it gets: {level}", shrunk(failing, PLAYS[level]))
    floor = round(LEAST * schedules)
    few = list(too_few(counts, dict.fromkeys((*CALLS, *FAULTS[level]), floor)))
    for line in few:
        print(f"This run says too little: {line}")
    return 1 if wrong or few else 0


def told(level: str, counts: Counts) -> Iterator[str]:
    """The counts, as a table."""
    yield f"{'call':16} {'awaited':>9} {'succeeded':>9} {'while something is wrong':>25}"
    for call in CALLS:
        made, well, ill = (c[call] for c in (counts.made, counts.succeeded, counts.disturbed))
        yield f"{call:16} {made:9,} {well:9,} {ill:25,}"
    for kind in FAULTS[level]:
        yield f"{kind:26} {counts.faults[kind]:9,}"


def _commit() -> str:
    asked = ("git", "rev-parse", "--short", "HEAD")
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


# --- mutants --------------------------------------------------------------------------------------


def shows(mutant: Mutant, seed: int) -> Sequence[str]:
    """The promises that the schedule of this seed breaks with this mutant."""
    with mutant.at_work():
        violations = sessions(Plan.of(seed)).violations
    return [violation.promise for violation in violations]


@attrs.frozen
class Search:
    """What became of the search for a mutant: the seed that shows it and the promise that it
    breaks; none has in the first `tried` schedules, if there is no seed.
    """

    does: str
    tried: int
    seed: int | None = None
    promise: str = ""


def searched(number: int, begun: int, most: int) -> Search:
    """Plays the seeds from the one at which the search had ended."""
    mutant = MUTANTS[number]
    for seed in range(begun, most):
        if broken := shows(mutant, seed):
            return Search(mutant.does, seed + 1, seed, broken[0])
    return Search(mutant.does, max(begun, most))


def mutants(asked: argparse.Namespace) -> int:
    """Looks for each; 1 if one is not found."""
    known = {} if asked.results is None else _searched(asked.results)
    limits(Settings())  # computed once, before there are processes
    with ProcessPoolExecutor(asked.jobs) as processes:
        begun: list[Future[Search]] = []
        for number, mutant in enumerate(MUTANTS):
            before = known.get(mutant.does, Search(mutant.does, 0))
            if before.seed is None and before.tried < asked.schedules:
                begun.append(processes.submit(searched, number, before.tried, asked.schedules))
        for future in as_completed(begun):
            search = future.result()
            known[search.does] = search
            if asked.results is not None:
                with asked.results.open("a") as file:
                    file.write(json.dumps(attrs.asdict(search)) + "\n")
    rows = list(_rows([known.get(mutant.does) for mutant in MUTANTS]))
    print("\n".join(rows))
    if asked.write is not None:
        page = asked.write.read_text()
        before_table, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        table = "\n".join(rows)
        asked.write.write_text(f"{before_table}{BEGIN}{table}\n{END}{after}")
    found = {search.does for search in known.values() if search.seed is not None}
    return 0 if found >= {mutant.does for mutant in MUTANTS} else 1


def _searched(results: Path) -> dict[str, Search]:
    lines = results.read_text().splitlines() if results.exists() else []
    return {each.does: each for each in (Search(**json.loads(line)) for line in lines)}


def _rows(found: Iterable[Search | None]) -> Iterator[str]:
    yield "| mutant | steps | seeds | it breaks |"
    yield "|---|---|---|---|"
    for mutant, search in zip(MUTANTS, found, strict=True):
        seed, promise = (None, "") if search is None else (search.seed, search.promise)
        seeds = "not found" if seed is None else str(seed + 1)
        yield f"| {mutant.does} | {mutant.steps} | {seeds} | {promise} |"


# --- the command ----------------------------------------------------------------------------------


def _shard(text: str) -> tuple[int, int]:
    one, _, of = text.partition("/")
    return int(one) - 1, int(of)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 if nothing is wrong, 1 if a schedule was judged as a violation, or if all of
    them say too little; of mutants, if one is not found.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("level", choices=("sessions", "engines", "mutants"))
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed (0)")
    parser.add_argument("--schedules", type=int, default=200, metavar="N", help="how many (200)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="J", help="processes")
    parser.add_argument("--shard", type=_shard, default=(0, 1), metavar="I/N", help="a share")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keeps what was played")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="the page with the table")
    parser.add_argument("--seed", type=int, metavar="S", help="plays one schedule, and tells it")
    parser.add_argument("--tabs", type=int, metavar="N", help="of that one")
    parser.add_argument("--scopes", type=int, metavar="N", help="of that one")
    parser.add_argument("--moves", metavar="N,N", help="of that one: which of its moves are made")
    parser.add_argument("--salt", type=int, default=0, metavar="N", help="of that one")
    asked = parser.parse_args(arguments)
    if asked.level == "mutants":
        return mutants(asked)
    if asked.seed is None:
        return many(asked)
    verdict = PLAYS[asked.level](_one(asked))
    print(verdict, verdict.digest, sep="\n")
    return 1 if verdict.violations else 0


def _one(asked: argparse.Namespace) -> Plan:
    """The schedule that is asked for, or a part of it."""
    plan = attrs.evolve(plan_of(asked.level, asked.seed), salt=asked.salt)
    for name in ("tabs", "scopes"):
        if getattr(asked, name) is not None:
            plan = attrs.evolve(plan, **{name: getattr(asked, name)})
    if asked.moves is not None:
        moves = tuple(int(number) for number in asked.moves.split(",") if number)
        plan = attrs.evolve(plan, moves=moves)
    return plan


if __name__ == "__main__":
    sys.exit(main())

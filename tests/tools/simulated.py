"""Random schedules of two tabs, by seed, against the reference backend: a share of them runs in CI.

python tests/tools/simulated.py --schedules 5000            # in processes, one a core
python tests/tools/simulated.py --first 325 --schedules 1   # one of them, told in full
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from unittest import mock

from support_chat.testing import run
from support_chat.testing.simulate import Verdict, simulate
from two_tabs import TwoTabs


def schedule(seed: int) -> Verdict:
    """Plays the schedule of this seed in virtual time; it replays whatever ran before it."""

    async def play() -> Verdict:
        world = TwoTabs(seed)
        with world.backend:
            return await simulate(world, seed=seed)

    drawn = random.Random(seed).randbytes
    # `secrets` draws from the one, everybody else from the other
    with mock.patch("random._urandom", drawn), mock.patch("os.urandom", drawn):
        return run(play())


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 if nothing is wrong, 1 if a schedule was judged as a violation."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed (0)")
    parser.add_argument("--schedules", type=int, default=200, metavar="N", help="how many (200)")
    asked = parser.parse_args(arguments)
    seeds = range(asked.first, asked.first + asked.schedules)
    wrong = 0
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        for done, verdict in enumerate(processes.map(schedule, seeds, chunksize=5), 1):
            if verdict.violations or len(seeds) == 1:
                print(verdict, flush=True)
            wrong += bool(verdict.violations)
            if done % 100 == 0:
                print(f"{done} of {len(seeds)}: {wrong} wrong", file=sys.stderr, flush=True)
    print(f"{len(seeds)} schedules from seed {asked.first}: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

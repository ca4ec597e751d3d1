"""A long run: many clients for a long time, on a `support-chat serve` that is killed by seed.

`python tests/tools/soak.py --clients 1000 --minutes 30 --folder DIR` plays it, and
`--resume` goes on where a sitting in DIR ended, also by Ctrl-C or SIGKILL: with the same database,
and all of it is judged. The verdict is by what the clients saw and what the database holds:

    0  nothing lost, doubled or out of order; memory flat; each kind of call succeeded under faults
    1  a violation, named
    2  an option that cannot be
    3  nothing wrong, and too little seen to say that all is well; it says what is missing
    4  nothing wrong so far, and minutes are left: --resume
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

sys.path.insert(0, str(Path(__file__).parent))

from killing import stored
from soaking import driver, evidence, judge, memory
from soaking.driver import Run
from soaking.evidence import KINDS, Seen

PASSED, VIOLATED, INCONCLUSIVE, UNFINISHED = 0, 1, 3, 4
_SHOWN: Final = 50
_ROUNDING: Final = 1e-6
_PLANNED: Final = ("clients", "minutes", "calm", "every", "pace", "seed")
"""What stays as it was when a run is gone on with."""


@attrs.frozen
class Verdict:
    """What came of a run, as far as it was played."""

    status: int
    violations: list[str]
    missing: list[str]
    """What it would have to show and does not."""
    kills: int
    minutes: float
    during: dict[str, int]
    across: dict[str, int]
    unknown: int
    sent: int
    arrived: int
    growth: float | None
    """Of the memory, in MiB an hour."""


def verdict(seen: Seen, violations: Sequence[str], minutes: float, bound: float) -> Verdict:
    """Judges a run that was to have so many minutes with faults; `bound` is what memory may grow,
    in MiB an hour, and 0 that it is not judged.
    """
    during, across = seen.succeeded()
    kills = sum(len(outages) for outages in seen.outages.values())
    growth, played = memory.growth(seen.memory.values()), seen.played["faults"] / 60
    found, missing = (
        [*violations],
        [f"no {kind} succeeded while faults were on" for kind in KINDS if not during[kind]],
    )
    if not kills:
        missing.append("nothing was killed")
    if bound and growth is None:
        missing.append("no process lived long enough to tell whether memory grows")
    elif bound and growth is not None and growth > bound:
        found.append(f"memory grows by {growth:.1f} MiB an hour, more than {bound:g}")
    if found:
        status = VIOLATED
    elif played < minutes - _ROUNDING:
        status = UNFINISHED
    else:
        status = INCONCLUSIVE if missing else PASSED
    return Verdict(
        status,
        found,
        missing,
        kills,
        played,
        {kind: during[kind] for kind in KINDS},
        {kind: across[kind] for kind in KINDS},
        seen.unknown(),
        sum(bool(sent.numbers) for life in seen.lives.values() for sent in life.sent.values()),
        sum(len(life.got) for life in seen.lives.values()),
        growth,
    )


def told(verdict: Verdict) -> list[str]:
    """The verdict, for people."""
    growth = "too little seen" if verdict.growth is None else f"{verdict.growth:+.1f} MiB an hour"
    lines = [
        f"{verdict.minutes:.1f} minutes with faults, {verdict.kills} kills",
        f"{verdict.sent} messages acknowledged, {verdict.arrived} arrived at links, "
        f"{verdict.unknown} sends of unknown end",
        f"memory: {growth}",
        f"{'succeeded':14} {'under faults':>13} {'across a kill':>14}",
        *(f"{kind:14} {verdict.during[kind]:13} {verdict.across[kind]:14}" for kind in KINDS),
        *(f"VIOLATION {one}" for one in verdict.violations[:_SHOWN]),
    ]
    if len(verdict.violations) > _SHOWN:
        lines.append(f"... and {len(verdict.violations) - _SHOWN} more")
    lines += [f"MISSING {one}" for one in verdict.missing]
    words = {
        PASSED: "passed: 0 lost, 0 doubled, 0 out of order",
        VIOLATED: f"violated: {len(verdict.violations)} violations",
        INCONCLUSIVE: "inconclusive: nothing wrong was seen, and too little of what was to be seen",
        UNFINISHED: "not finished: nothing wrong so far; go on with --resume",
    }
    return [*lines, words[verdict.status]]


def judged(folder: Path, minutes: float, bound: float) -> Verdict:
    """Judges what lies in the folder of a run."""
    seen = evidence.read(folder)
    rows = stored.read(folder / "chat.db", look_for_damage=True)
    log = (folder / "serve.log").read_text("utf-8", "replace")
    wrong = [f"serve.log: {line}" for line in log.splitlines() if line.startswith("Traceback")]
    return verdict(seen, [*judge.judge(seen, rows), *wrong], minutes, bound)


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays a sitting, judges all of the run, and returns the exit status."""
    parser = options()
    given = parser.parse_args(arguments)
    if given.resume and given.folder is None:
        parser.error("--resume needs --folder")
    if min(given.clients, given.processes) < 1 or min(given.minutes, given.every, given.pace) <= 0:
        parser.error("--clients, --processes, --minutes, --every and --pace must be above 0")
    folder = given.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    plan = folder / "run.json"
    if plan.exists() != given.resume:
        parser.error(f"{plan} is {'there: --resume goes on' if plan.exists() else 'not there'}")
    folder.mkdir(parents=True, exist_ok=True)
    if given.resume:
        vars(given).update(json.loads(plan.read_text()))
    else:
        plan.write_text(json.dumps({name: getattr(given, name) for name in _PLANNED}))
    run = Run(
        folder, given.seed, given.clients, given.processes, given.every, given.pace, given.patience
    )
    played = evidence.read(folder).played
    faults, calm = given.minutes * 60 - played["faults"], given.calm * 60 - played["calm"]
    if given.sitting is not None and faults > given.sitting * 60:
        faults, calm = given.sitting * 60, 0.0
    if max(faults, calm) > _ROUNDING:
        _play(run, faults, calm, _quietly if given.json else _aloud)
    found = judged(folder, given.minutes, given.memory_bound)
    if given.json:
        print(json.dumps(attrs.asdict(found)))
    else:
        print("\n".join([*told(found), f"folder: {folder}, seed: {run.seed}"]))
    if given.folder is None and found.status == PASSED:
        shutil.rmtree(folder)
    return found.status


def options() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--clients", type=int, default=1000, metavar="N", help="sessions at once (1000)")
    add("--processes", type=int, default=2, metavar="N", help="processes that hold them (2)")
    add("--minutes", type=float, default=30.0, metavar="M", help="with faults, in all (30)")
    add("--calm", type=float, default=6.0, metavar="M", help="minutes without, at the end (6)")
    add("--sitting", type=float, metavar="M", help="minutes with faults in this sitting (all)")
    add("--every", type=float, default=30.0, metavar="S", help="about so often is it killed (30)")
    add("--pace", type=float, default=10.0, metavar="S", help="between a client's acts (10)")
    add("--patience", type=float, default=120.0, metavar="S", help="for whatever must come (120)")
    add("--seed", type=int, default=0, metavar="S", help="of clients, agents and kills (0)")
    add("--folder", type=Path, metavar="DIR", help="of database and evidence (a temporary one)")
    add("--resume", action="store_true", help="go on with the run in --folder")
    add(
        "--memory-bound",
        type=float,
        default=30.0,
        metavar="MIB",
        help="an hour, that serve may grow; 0: not judged (30)",
    )
    add("--json", action="store_true", help="the verdict as JSON, and no progress")
    return parser


def _play(run: Run, faults: float, calm: float, tell: driver.Tell) -> None:
    try:
        driver.play(run, faults, calm, tell)
    except driver.SittingFailed as failed:
        tell(f"the sitting has failed: {failed}")
    except KeyboardInterrupt:
        tell("the sitting was cut off")


def _aloud(line: str) -> None:
    print(line, flush=True)


def _quietly(line: str) -> None:
    """Nothing."""


if __name__ == "__main__":
    raise SystemExit(main())

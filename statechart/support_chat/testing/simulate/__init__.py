"""Several tabs on shared storages and one backend, in schedules that a seed chooses, judged from
outside: by what callers were told, what listeners heard, and what backend and storages have; and by
each session's log, which must be a path of the chart.

*Sessions* (`simulate`) are real ones, in a world that you make of your backend, your transport or
your storage:

    plan = Plan.of(seed=7)
    verdict = run(simulate(world, plan), choose=turns(plan))
    assert not verdict.violations, verdict

A schedule calls, gives up, loses links, makes adapters fail and hang, ends sessions, and kills
tabs: a killed tab's adapters do nothing more, as those of a process that has died. On a loop with
`choose` the tabs' callbacks take turns by the seed. Then everything heals, and after a while of
quiet it is judged; every tab must be online, every call settled, every message stored.

*Engines* (`simulate_engines`) are stepped without a loop, with a backend and storages that are pure
models: many more schedules in the same time, of the chart alone.

What fails, `shrunk` makes as short as it gets.
"""

from .engines import simulate_engines
from .plan import Plan
from .sessions import simulate, turns
from .shrinking import shrunk
from .tally import too_few
from .verdict import Counts, Verdict, Violation
from .world import Disturbance, Stored, World

__all__ = [
    "Counts",
    "Disturbance",
    "Plan",
    "Stored",
    "Verdict",
    "Violation",
    "World",
    "shrunk",
    "simulate",
    "simulate_engines",
    "too_few",
    "turns",
]

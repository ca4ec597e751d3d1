"""What a step, a session and an import cost: `python tests/benchmarks/steps.py`. A table of ratios,
never a test with a stop-watch.

The same rows of the shipped chart run side by side: by `Compiled.step`, by a stock
`transitions.Machine` (with a registered model, and with an unregistered one through
`machine.events`), and, as the least that a dispatch can cost, by an equally small machine of
`automat` that has no guards, no facts and no data. The rounds are interleaved and the medians
compared, so that a busy machine slows all of them alike; the ratios are what to look at, and they
are those of one run.

Memory is counted by `tracemalloc` over ten thousand states, and by adding up what each object
itself takes. Imports are measured in fresh interpreters with compiled bytecode, as CPU time, over
`attrs`, `transitions` and `asyncio`, which a user has anyway.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from stock_machine import CYCLE, Model, automat_door, beside_stock, engine_steps, moments, stock
from support_chat import CHART, Compiled, Fact, Phase, SignedIn, State
from support_chat.lifecycle.context import Context
from support_chat.lifecycle.tokens import Token
from support_chat.lifecycle.updates import Updates

ENGINE_TARGETS = {"renew.due_offline": 0.75, "use.message": 1.3, "boot.begin": 1.7}
"""Steps of the whole engine and what they may cost, as a share of a stock trigger of the same row:
one reducer; a message with two events; a boot() in `ready`.
"""


def engine_ratios(repeat: int, laps: int) -> dict[str, tuple[float, float]]:
    """For each row of ENGINE_TARGETS the least nanoseconds of a whole step of the engine, and of a
    stock trigger of the same row in the same state, over interleaved rounds.
    """
    engine, found = engine_steps()
    model = Model()
    model.state, model.facts = str(CHART.initial), set()
    model.value = dict.fromkeys((*CHART.registers, str(CHART.named)))
    stock(CHART, model, registered=True)
    ratios: dict[str, tuple[float, float]] = {}
    for name in ENGINE_TARGETS:
        ours, theirs = beside_stock(engine, model, *found[name])
        times: tuple[list[float], list[float]] = [], []
        for _ in range(repeat):
            for taken, run in zip(times, (ours, theirs), strict=True):
                begin = time.perf_counter_ns()
                for _ in range(laps):
                    run()
                taken.append((time.perf_counter_ns() - begin) / laps)
        ratios[name] = min(times[0]), min(times[1])
    return ratios


# --- what is measured -----------------------------------------------------------------------------


def runners() -> dict[str, tuple[int, Callable[[int], None]]]:
    """For each competitor how many steps a round has, and what runs so many rounds."""
    compiled = Compiled(CHART)
    cycle = moments(compiled)

    def ours(rounds: int) -> None:
        step = compiled.step
        for _ in range(rounds):
            for state, happening in cycle:
                step(state, happening)

    def prepared(registered: bool) -> Callable[[int], None]:
        model = Model()
        model.state = str(CHART.initial)
        model.facts = set()
        model.value = dict.fromkeys((*CHART.registers, str(CHART.named)))
        machine = stock(CHART, model, registered=registered)
        start = [
            (
                set(compiled.names(s.facts | h.facts)),
                dict(zip((*CHART.registers, CHART.named), (*s.registers, h.named), strict=True)),
            )
            for s, h in cycle
        ]
        by_name = [str(happening.trigger) for _, happening in cycle]
        phases = [str(state.phase) for state, _ in cycle]

        def run(rounds: int) -> None:
            for _ in range(rounds):
                for name, phase, (facts, value) in zip(by_name, phases, start, strict=True):
                    model.state, model.facts, model.value = phase, facts.copy(), value  # type: ignore[assignment]
                    if registered:
                        model.trigger(name)
                    else:
                        machine.events[name].trigger(model)

        return run

    door = automat_door()

    def automat(rounds: int) -> None:
        for _ in range(rounds):
            door.push()
            door.pull()

    return {
        "support_chat step": (len(cycle), ours),
        "transitions, registered model": (len(cycle), prepared(registered=True)),
        "transitions, unregistered model": (len(cycle), prepared(registered=False)),
        "automat, plain dispatch": (2, automat),
    }


def nanoseconds(steps: int, rounds: int, repeat: int) -> dict[str, float]:
    """The median time of a step of each competitor, in nanoseconds, over interleaved rounds."""
    measured = runners()
    times: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(repeat):
        for name, (length, run) in measured.items():
            laps = max(1, rounds * steps // length)
            begin = time.perf_counter_ns()
            run(laps)
            times[name].append((time.perf_counter_ns() - begin) / (laps * length))
    return {name: statistics.median(values) for name, values in times.items()}


def deep_size(value: Any, seen: set[int] | None = None) -> int:
    """What an object and everything that only it holds take, in bytes; enum members, types and
    functions belong to everybody.
    """
    seen = set() if seen is None else seen
    if (
        id(value) in seen
        or value is None
        or isinstance(value, bool | type | Phase)
        or callable(value)
    ):
        return 0
    seen.add(id(value))
    size: int = sys.getsizeof(value)
    fields: list[Any] = list(getattr(value, "__attrs_attrs__", ()))
    parts: list[Any] = [getattr(value, field.name) for field in fields]
    if issubclass(type(value), dict):
        parts = [part for pair in value.items() for part in pair]
    elif issubclass(type(value), tuple | list | set | frozenset):
        parts = list(value)
    return size + sum(deep_size(part, seen) for part in parts)


def full_context() -> Context:
    """The context of a signed-in user in the middle of a session."""
    traits = {
        f"user.traits.{name}": f"value of {name}" for name in ("role", "plan", "team", "locale")
    }
    return Context(
        user_id="user_" + "1" * 8,
        identity=SignedIn("user_" + "1" * 8),
        provider=lambda: "",
        visitor="v" * 43,
        session="s" * 43,
        cursor="c" * 20,
        token=Token("t" * 800, 600.0),
        updates=Updates(known=traits),
        updated_at=tuple(float(i) for i in range(5)),
    )


def bytes_of_a_state(count: int) -> float:
    """What one of many live states takes, by `tracemalloc`."""
    compiled = Compiled(CHART)
    facts = compiled.mask((Fact.BOOTED, Fact.SENDING))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    states = [
        State(Phase.AUTHENTICATED.value, facts, (f"user_{number:08}", None))
        for number in range(count)
    ]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / len(states)


_TIMED_IMPORT = """
import attrs, transitions, asyncio, sys, time
before = time.process_time()
import support_chat
print(time.process_time() - before)
"""


def import_milliseconds(repeat: int) -> float:
    """The best of `repeat` fresh interpreters: the CPU time of `import support_chat` over that of
    what it stands on.
    """
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        }
        environment["PYTHONPYCACHEPREFIX"] = cache
        command = [sys.executable, "-c", _TIMED_IMPORT]
        times = [
            float(
                subprocess.run(
                    command, env=environment, check=True, capture_output=True, text=True
                ).stdout
            )
            for _ in range(repeat + 1)
        ]
    return 1000 * min(times[1:])  # the first one has compiled


# --- the table ------------------------------------------------------------------------------------


def verdict(value: float, target: float) -> str:
    """Whether a value is within its target."""
    return "ok" if value <= target else "MISSED"


def main(arguments: list[str] | None = None) -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description="What a step, a session and an import cost.")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one short round: to see that it runs, not what it costs",
    )
    quick: bool = parser.parse_args(arguments).quick
    rounds, repeat, states, interpreters = (1, 1, 100, 1) if quick else (400, 15, 10_000, 11)

    times = nanoseconds(len(CYCLE), rounds, repeat)
    ours = times["support_chat step"]
    print(f"{'one step':<40}{'ns':>10}{'ours is':>12}{'target':>10}")
    for name, took in times.items():
        ratio = ours / took
        target = {"support_chat step": None, "automat, plain dispatch": 1.0}.get(name, 0.25)
        told = "" if target is None else f"{ratio:>11.2f}x{target:>9.2f}x  {verdict(ratio, target)}"
        print(f"{name:<40}{took:>10.0f}{told}")

    heads = f"{'ns':>10}{'stock':>10}{'ours is':>12}{'target':>10}"
    print(f"\n{'a step of the whole engine, least':<40}{heads}")
    for name, (took, theirs) in engine_ratios(5 * repeat, rounds).items():
        ratio, target = took / theirs, ENGINE_TARGETS[name]
        told = f"{ratio:>11.2f}x{target:>9.2f}x  {verdict(ratio, target)}"
        print(f"{name:<40}{took:>10.0f}{theirs:>10.0f}{told}")

    print(f"\n{'memory of one session':<40}{'bytes':>10}")
    a_state = State(Phase.AUTHENTICATED.value, 1, ("user_1", None))
    for name, size in (
        (f"a state, one of {states} (tracemalloc)", bytes_of_a_state(states)),
        ("a state (deep)", deep_size(a_state)),
        ("an empty context (deep)", deep_size(Context())),
        ("a context in the middle of a session (deep)", deep_size(full_context())),
    ):
        print(f"{name:<40}{size:>10.0f}")

    took = import_milliseconds(interpreters)
    print(f"\n{'import support_chat':<40}{'ms':>10}{'':>12}{'target':>10}")
    print(
        f"{'over attrs + transitions + asyncio':<40}{took:>10.1f}{'':>12}{'20 ms':>10}  "
        f"{verdict(took, 20.0)}"
    )


if __name__ == "__main__":
    main()

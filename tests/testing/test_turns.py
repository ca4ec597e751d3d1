"""Independent sources take turns by chance; what one of them makes ready keeps its order."""

from __future__ import annotations

import asyncio
import contextvars
import random

from support_chat.testing import run
from support_chat.testing.turns import SOURCE


def told(seed: int | None, *, timers: bool = False) -> list[str]:
    """What two sources do that are made ready at one instant, ten times each."""
    done: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for name in ("a", "b"):
            context = contextvars.copy_context()
            context.run(SOURCE.set, name)
            for number in range(10):
                if timers:
                    context.run(loop.call_later, 1.0, done.append, f"{name}{number}")
                else:
                    context.run(loop.call_soon, done.append, f"{name}{number}")
        await asyncio.sleep(2.0)

    run(main(), choose=None if seed is None else random.Random(seed))
    return done


def of(source: str, done: list[str]) -> list[str]:
    return [each for each in done if each.startswith(source)]


def test_what_one_source_makes_ready_runs_in_its_order() -> None:
    for seed in range(20):
        for timers in (False, True):
            done = told(seed, timers=timers)
            assert of("a", done) == [f"a{number}" for number in range(10)]
            assert of("b", done) == [f"b{number}" for number in range(10)]


def test_seeds_draw_other_orders_and_each_draws_its_own() -> None:
    for timers in (False, True):
        orders = {tuple(told(seed, timers=timers)) for seed in range(20)}
        assert len(orders) == 20
        assert told(3, timers=timers) == told(3, timers=timers)


def test_without_a_choice_everything_runs_in_the_order_in_which_it_became_ready() -> None:
    assert told(None) == [*of("a", told(None)), *of("b", told(None))]


def test_tasks_are_of_the_source_that_made_them() -> None:
    seen: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        seen.append(SOURCE.get())

    async def main() -> None:
        context = contextvars.copy_context()
        context.run(SOURCE.set, "a")
        await context.run(lambda: asyncio.ensure_future(work()))

    run(main(), choose=random.Random(1))
    assert seen == ["a"]

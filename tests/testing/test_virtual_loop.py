"""The loop with virtual time: what it jumps over, what it waits for, and what it calls a
deadlock.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from async_tests import in_virtual_time
from support_chat.errors import SupportChatError
from support_chat.testing import DeadlockError, VirtualLoop, run, virtual_loop


@pytest.fixture(autouse=True)
def turns(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """Each look of a loop for what is ready; one that spins fails."""
    select = virtual_loop._Selector.select  # pyright: ignore[reportPrivateUsage]
    turns: list[float | None] = []

    def looking(self: Any, timeout: float | None = None) -> Any:
        turns.append(timeout)
        assert len(turns) < 200_000, "the loop spins"
        return select(self, timeout)

    monkeypatch.setattr(virtual_loop._Selector, "select", looking)  # pyright: ignore[reportPrivateUsage]
    return turns


def virtual() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def test_a_year_of_sleep_takes_no_time_and_lands_exactly_on_the_hour() -> None:
    async def main() -> float:
        for _ in range(365):
            await asyncio.sleep(86400.0)
        return virtual().time()

    began = time.perf_counter()
    assert run(main()) == 365 * 86400.0
    assert time.perf_counter() - began < 5.0


@pytest.mark.parametrize("start", [0.0, 0.1, 1e7, 1e9, 1e12])
@in_virtual_time
async def test_a_timer_never_runs_early_and_always_runs_however_late_it_is(start: float) -> None:
    loop = virtual()
    await asyncio.sleep(start)
    for delay in (0.0, 0.0, 0.2, 1.0 / 3.0, 1e-3, 0.0):
        due = loop.time() + delay
        ran = asyncio.Event()
        loop.call_at(due, ran.set)
        await ran.wait()
        assert loop.time() == due


@pytest.mark.parametrize("start", [0.0, 2.0**24 - 3600.0, 1_764_201_600.0, 2.0**40])
def test_it_spins_at_no_time(start: float, turns: list[float | None]) -> None:
    """2**24 s are 194 days; 1,764,201,600 s after the epoch is a day of 2025."""

    async def timers_close_together() -> None:
        await asyncio.sleep(start)
        ran: list[float] = []
        for delay in (3600.0, 1.0, 1.0 / 3.0, 1e-3, 1e-6, 1e-9, 0.0) * 20:
            due = virtual().time() + delay
            ran.clear()
            # beside others that are due a moment earlier and later, and one that is ready
            for when in (math.nextafter(due, 0.0), due, math.nextafter(due, math.inf)):
                virtual().call_at(when, lambda: ran.append(virtual().time()))
            await asyncio.sleep(0)
            await asyncio.sleep(delay + 1e-3)
            assert len(ran) == 3
            assert all(time >= due - 1e-9 for time in ran[1:])

    run(timers_close_together())
    assert len(turns) < 140 * 12


def test_it_runs_over_400_days_without_a_turn_too_many(turns: list[float | None]) -> None:
    async def hours() -> None:
        for hour in range(400 * 24):
            await asyncio.sleep(3600.0)
            assert virtual().time() == 3600.0 * (hour + 1)

    run(hours())
    assert len(turns) < 400 * 24 * 3


def test_timers_of_one_instant_run_in_the_order_in_which_they_were_set() -> None:
    async def main() -> list[int]:
        ran: list[int] = []
        for i in range(100):
            virtual().call_later(7.0, ran.append, i)
        virtual().call_later(3.0, ran.append, -1)
        await asyncio.sleep(8.0)
        return ran

    assert run(main()) == [-1, *range(100)]


def test_a_cancelled_timer_does_not_move_time() -> None:
    async def main() -> float:
        virtual().call_later(1.0, print).cancel()
        await asyncio.sleep(2.0)
        virtual().call_later(50.0, print).cancel()
        await asyncio.sleep(0)
        return virtual().time()

    assert run(main()) == 2.0


def test_tasks_groups_and_timeouts_are_those_of_asyncio() -> None:
    async def main() -> tuple[float, float]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30.0):
                await asyncio.Event().wait()
        timed_out = virtual().time()
        async with asyncio.TaskGroup() as group:
            for seconds in (3.0, 1.0, 2.0):
                group.create_task(asyncio.sleep(seconds))
        return timed_out, virtual().time()

    assert run(main()) == (30.0, 33.0)


def test_it_serves_as_the_loop_factory_of_a_runner() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(asyncio.sleep(3600.0))
        assert runner.get_loop().time() == 3600.0


def test_run_cancels_what_is_left_and_closes_the_loop() -> None:
    async def left() -> None:
        try:
            await asyncio.sleep(math.inf)
        finally:
            await asyncio.sleep(1.0)
            ended.append(virtual().time())

    async def main() -> None:
        loops.append(virtual())
        tasks.append(asyncio.create_task(left()))
        await asyncio.sleep(5.0)

    ended: list[float] = []
    loops: list[VirtualLoop] = []
    tasks: list[asyncio.Task[None]] = []
    run(main())
    assert tasks[0].cancelled()
    assert ended == [6.0]
    assert loops[0].is_closed()


# --- threads --------------------------------------------------------------------------------------


async def in_the_default_executor(work: Callable[[], None]) -> None:
    await asyncio.to_thread(work)


async def in_an_executor_of_its_own(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as executor:
        await virtual().run_in_executor(executor, work)


async def in_a_bare_thread_within_outside_work(work: Callable[[], None]) -> None:
    loop, done = virtual(), asyncio.Event()

    def body() -> None:
        work()
        loop.call_soon_threadsafe(done.set)

    thread = threading.Thread(target=body)
    with loop.outside_work():
        thread.start()
        await done.wait()
    thread.join()


@pytest.mark.parametrize(
    "way",
    [in_the_default_executor, in_an_executor_of_its_own, in_a_bare_thread_within_outside_work],
)
def test_time_stands_still_while_a_thread_works(
    way: Callable[[Callable[[], None]], Awaitable[None]],
) -> None:
    async def main() -> list[float]:
        loop, rounds = virtual(), [0]
        started, enough = threading.Event(), threading.Event()

        # ends only after the loop has been through many rounds with nothing else to do
        def work() -> None:
            started.set()
            while not enough.is_set():
                answered = threading.Event()
                loop.call_soon_threadsafe(count, answered)
                answered.wait()

        def count(answered: threading.Event) -> None:
            rounds[0] += 1
            if rounds[0] == 50:
                enough.set()
            answered.set()

        rings: list[float] = []
        loop.call_later(0.001, lambda: rings.append(loop.time()))
        async with asyncio.timeout(1.0):
            await way(work)
        assert rings == []
        assert loop.time() == 0.0
        await asyncio.sleep(10.0)
        return rings

    assert run(main()) == [0.001]


def test_time_goes_on_when_the_thread_has_ended_or_nobody_waits_for_it() -> None:
    async def main() -> float:
        release = threading.Event()
        task = asyncio.create_task(asyncio.to_thread(release.wait))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(60.0)
        release.set()
        assert await asyncio.to_thread(int, "7") == 7
        await asyncio.sleep(60.0)
        return virtual().time()

    assert run(main()) == 120.0


def test_a_thread_that_never_reports_is_an_error_after_the_patience() -> None:
    async def main() -> None:
        await asyncio.to_thread(release.wait)

    release = threading.Event()
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(patience=0.01)) as runner:
        with pytest.raises(
            DeadlockError,
            match=r"within 0\.01 real seconds(?s:.)*main \(test_virtual_loop.py:\d+\)",
        ):
            runner.run(main())
        release.set()  # or the executor could not end


# --- deadlocks ------------------------------------------------------------------------------------


async def on_a_future() -> None:
    await virtual().create_future()


async def on_an_event() -> None:
    await asyncio.Event().wait()


async def for_ever() -> None:
    await asyncio.sleep(math.inf)


@pytest.mark.parametrize("wait", [on_a_future, on_an_event, for_ever])
def test_a_deadlock_names_who_waits_and_where(wait: Callable[[], Awaitable[None]]) -> None:
    async def patient() -> None:
        await wait()

    async def main() -> None:
        task = asyncio.create_task(patient(), name="the patient one")
        await asyncio.sleep(3.0)
        await task

    with pytest.raises(DeadlockError, match="Deadlock at 3 s") as caught:
        run(main())
    patient_one = next(
        waiter for waiter in caught.value.waiting if waiter.task == "the patient one"
    )
    assert "patient (test_virtual_loop.py:" in patient_one.where[0]
    assert f"{wait.__name__} (test_virtual_loop.py:" in patient_one.where[1]
    assert str(patient_one) in str(caught.value)
    assert len(caught.value.waiting) == 2


def test_a_deadlock_cannot_be_swallowed_by_the_task_that_waits() -> None:
    async def main() -> None:
        with contextlib.suppress(Exception):
            await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        run(main())
    assert not issubclass(DeadlockError, SupportChatError)


def test_a_loop_without_any_task_says_so() -> None:
    loop = VirtualLoop()
    try:
        with pytest.raises(DeadlockError, match="no task is pending"):
            loop.run_forever()
    finally:
        loop.close()

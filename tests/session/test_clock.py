"""The clock that counts suspensions, and timers on it: what a laptop does that sleeps while timers
run, and what machines do that cannot say how long they slept.
"""

from __future__ import annotations

import asyncio
import time

import attrs
import pytest

from async_tests import in_virtual_time
from support_chat import SupportChat, User
from support_chat.runtime.shell import Clock, Timers
from support_chat.testing import (
    RecordingStorage,
    RecordingTransport,
    ScriptedTokens,
    unsigned_token,
)

HOUR = 3600.0
LOOKS_AGAIN = 30.0
"""After a suspension a timer that is due runs within this time."""


@attrs.define
class Machine:
    """A machine that can be suspended: its CLOCK_BOOTTIME counts that, and no other clock does."""

    slept: float = 0.0
    apart: float = 0.0
    readings: int = 0

    def clock_gettime(self, clock: int) -> float:
        self.readings += 1  # two clocks are never read at one moment
        return time.monotonic() + self.slept + self.apart * (1 - 2 * (self.readings % 2))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 7, raising=False)
    monkeypatch.setattr(time, "clock_gettime", machine.clock_gettime, raising=False)
    return machine


def loop_time() -> float:
    return asyncio.get_running_loop().time()


def clock_and_timers() -> tuple[Clock, Timers]:
    loop = asyncio.get_running_loop()
    clock = Clock(loop)
    return clock, Timers(loop, clock)


# --- the clock ------------------------------------------------------------------------------------


@in_virtual_time
async def test_it_moves_on_with_the_loop_and_with_suspensions(machine: Machine) -> None:
    clock, _ = clock_and_timers()
    began = clock()
    await asyncio.sleep(10.0)
    assert clock() - began == pytest.approx(10.0)
    machine.slept += HOUR
    assert clock() - began == pytest.approx(HOUR + 10.0, abs=1.0)
    await asyncio.sleep(10.0)
    machine.slept += HOUR
    assert clock() - began == pytest.approx(2 * HOUR + 20.0, abs=1.0)


@in_virtual_time
async def test_it_never_goes_back_however_the_two_clocks_are_read(machine: Machine) -> None:
    clock, _ = clock_and_timers()
    machine.apart = 0.01
    for slept in (0.0, 1.0, 1.0, 2.0, 2.5, 2.5, HOUR):
        machine.slept = slept
        read = [clock() for _ in range(10)]
        assert read == sorted(read), f"after {slept:g} s of suspensions"
    assert clock() >= HOUR - 1.0


@in_virtual_time
async def test_many_short_suspensions_count_as_one_long_one(machine: Machine) -> None:
    clock, _ = clock_and_timers()
    for _ in range(1000):
        machine.slept += 0.5
        clock()
    assert clock() == pytest.approx(500.0, abs=1.1)


@in_virtual_time
async def test_a_suspension_before_the_session_began_is_none_of_its_own(machine: Machine) -> None:
    machine.slept = HOUR
    clock, _ = clock_and_timers()
    assert clock() == loop_time()


@in_virtual_time
async def test_a_clock_that_exists_and_cannot_be_read_counts_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(clock: int) -> float:
        raise OSError(28, "Invalid argument")  # as Pyodide's does

    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 7, raising=False)
    monkeypatch.setattr(time, "clock_gettime", refuse, raising=False)
    clock, timers = clock_and_timers()
    rang: list[float] = []
    timers.arm("boot", 100.0, lambda: rang.append(clock()))
    await asyncio.sleep(200.0)
    assert rang == [100.0]


@in_virtual_time
async def test_a_machine_without_such_a_clock_counts_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.delattr(time, "clock_gettime", raising=False)  # Windows has neither
    clock, timers = clock_and_timers()
    rang: list[float] = []
    timers.arm("boot", 100.0, lambda: rang.append(clock()))
    await asyncio.sleep(200.0)
    assert rang == [100.0]


# --- timers ---------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_timer_that_is_due_after_a_suspension_runs_soon_after_it(machine: Machine) -> None:
    clock, timers = clock_and_timers()
    rang: list[tuple[float, float]] = []
    timers.arm("renew", HOUR, lambda: rang.append((loop_time(), clock())))
    await asyncio.sleep(70.0)
    machine.slept += 2 * HOUR
    await asyncio.sleep(LOOKS_AGAIN)
    ((by_the_loop, by_the_clock),) = rang
    assert 70.0 <= by_the_loop <= 70.0 + LOOKS_AGAIN
    assert by_the_clock >= 2 * HOUR
    assert timers.running == frozenset()


@in_virtual_time
async def test_a_timer_that_is_not_due_after_a_suspension_waits_for_the_rest(
    machine: Machine,
) -> None:
    clock, timers = clock_and_timers()
    rang: list[float] = []
    timers.arm("renew", 2 * HOUR, lambda: rang.append(clock()))
    await asyncio.sleep(10.0)
    machine.slept += HOUR
    await asyncio.sleep(HOUR - 12.0)
    assert rang == [], "the loop's own hour is not over"
    assert timers.running == {"renew"}
    await asyncio.sleep(LOOKS_AGAIN)
    assert rang == [pytest.approx(2 * HOUR, abs=1.0)]


@in_virtual_time
async def test_each_timer_runs_once_in_the_order_of_their_times(machine: Machine) -> None:
    _, timers = clock_and_timers()
    rang: list[str] = []
    for name, delay in (("silence", 95.0), ("boot", 100.0), ("renew", 90.0), ("probe", 0.0)):
        timers.arm(name, delay, lambda name=name: rang.append(name))  # type: ignore[misc]
    assert timers.running == {"silence", "boot", "renew", "probe"}
    timers.arm("renew", 97.0, lambda: rang.append("renew, anew"))
    timers.disarm(("boot", "give_up"))
    await asyncio.sleep(200.0)
    assert rang == ["probe", "silence", "renew, anew"]


@in_virtual_time
async def test_a_timer_may_arm_itself_and_a_disarmed_one_stays_silent(machine: Machine) -> None:
    _, timers = clock_and_timers()
    rang: list[float] = []

    def again() -> None:
        rang.append(loop_time())
        timers.arm("probe", 50.0, again)

    timers.arm("probe", 50.0, again)
    await asyncio.sleep(160.0)
    assert rang == [50.0, 100.0, 150.0]
    timers.disarm(("probe",))
    machine.slept += HOUR
    await asyncio.sleep(HOUR)
    assert len(rang) == 3


# --- a session ------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_token_that_ran_out_in_a_suspension_is_renewed_soon_after_it(
    machine: Machine,
) -> None:
    tokens = ScriptedTokens(lambda n: unsigned_token(sub="ada", iat=0, exp=7200, jti=str(n)))
    chat = SupportChat(
        workspace_id="acme",
        widget_id="help",
        transport=RecordingTransport(),
        storage=RecordingStorage(),
    )
    await chat.boot(user=User("ada"), token_provider=tokens)
    await asyncio.sleep(HOUR)
    assert len(tokens.log.of("tokens.fetch")) == 1
    machine.slept += 3 * HOUR
    await asyncio.sleep(LOOKS_AGAIN + 1.0)
    assert len(tokens.log.of("tokens.fetch")) == 2
    await chat.destroy()

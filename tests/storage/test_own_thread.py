"""The thread of a storage: calls in order, an end that nothing hangs on, and what is said of one
that cannot be used.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from async_tests import in_real_time
from support_chat.errors import StorageError
from support_chat_adapters.storage.thread import OwnThread

T = TypeVar("T")


def begun(call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """The call, which is under way from the next turn of the loop on."""
    return asyncio.ensure_future(call)


async def occupied(own: OwnThread) -> threading.Event:
    """Keeps the thread busy until the event is set."""
    go_on = threading.Event()
    begun(own.run(go_on.wait))
    await asyncio.sleep(0)
    return go_on


def raise_it(error: BaseException) -> None:
    raise error


@in_real_time
async def test_calls_run_in_order_on_one_daemon_thread() -> None:
    def note(i: int) -> threading.Thread:
        ran.append(i)
        return threading.current_thread()

    own, ran = OwnThread("Worker", "one", 3.0), list[int]()
    (thread,) = set(await asyncio.gather(*(own.run(note, i) for i in range(50))))
    await own.aclose()
    await asyncio.to_thread(thread.join, 10.0)
    assert thread.daemon
    assert thread.name == "Worker one"
    assert not thread.is_alive()
    assert ran == list(range(50))


@in_real_time
async def test_where_no_thread_can_be_started_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at a limit of the system, or in Pyodide."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    own = OwnThread("Worker", "one", 3.0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StorageError, match="'one' needs a thread of its own") as caught:
            await own.run(int, "7")
        assert caught.value.reason == "no_threads"
    assert await own.run(int, "7") == 7, "later it may work"
    await own.aclose()


@in_real_time
async def test_a_call_that_raises_harms_no_other() -> None:
    own = OwnThread("Worker", "one", 3.0)
    for error in (ValueError("no"), KeyError(1)):
        with pytest.raises(type(error)):
            await own.run(raise_it, error)
    assert await own.run(int, "7", base=8) == 7
    await own.aclose()


@in_real_time
async def test_what_is_queued_at_the_end_is_done_and_nothing_new_is_taken() -> None:
    ended: list[str] = []
    own = OwnThread("Worker", "one", 3.0, lambda: ended.append("closed"))
    go_on = await occupied(own)
    queued = [begun(own.run(int, "7")) for _ in range(5)]
    closing = asyncio.ensure_future(own.aclose())
    await asyncio.sleep(0)
    with pytest.raises(StorageError, match=r"The Worker 'one' is closed; make a new one\."):
        await own.run(int)
    go_on.set()
    assert await asyncio.gather(*queued) == [7] * 5
    await closing
    await own.aclose()
    assert ended == ["closed"]


@in_real_time
async def test_a_call_cancelled_before_it_began_never_runs() -> None:
    own, ran = OwnThread("Worker", "one", 3.0), list[int]()
    go_on = await occupied(own)
    queued = [begun(own.run(ran.append, i)) for i in range(3)]
    await asyncio.sleep(0)
    queued[1].cancel()
    await asyncio.wait({queued[1]})
    assert queued[1].cancelled()
    go_on.set()
    await own.aclose()
    assert ran == [0, 2]


class Work:
    """A call in two parts, each of which waits to be let go: it looks, and then it changes
    something.
    """

    def __init__(self, own: OwnThread) -> None:
        self.own = own
        self.looking, self.changing, self.go_on = (threading.Event() for _ in range(3))
        self.landed = False

    def __call__(self) -> None:
        self.looking.set()
        assert self.go_on.wait(60.0)
        self.own.land()
        self.go_on.clear()
        self.changing.set()
        assert self.go_on.wait(60.0)
        self.own.land()
        self.landed = True


@in_real_time
async def test_a_call_cancelled_before_it_changes_anything_ends_at_once_and_changes_nothing() -> (
    None
):
    own = OwnThread("Worker", "one", 3.0)
    work = Work(own)
    call = begun(own.run(work))
    await asyncio.to_thread(work.looking.wait, 60.0)
    call.cancel()
    await asyncio.wait({call})
    assert call.cancelled()
    work.go_on.set()
    assert await own.run(int, "7") == 7, "the thread goes on with the next"
    assert not work.changing.is_set()
    await own.aclose()


@in_real_time
async def test_a_call_cancelled_while_it_changes_something_ends_when_that_is_done() -> None:
    own = OwnThread("Worker", "one", 3.0)
    work = Work(own)
    call = begun(own.run(work))
    work.go_on.set()
    await asyncio.to_thread(work.changing.wait, 60.0)
    for _ in range(3):
        call.cancel()
        await asyncio.sleep(0.001)
        assert not call.done(), "it could land still"
    work.go_on.set()
    await asyncio.wait({call})
    assert call.cancelled()
    assert work.landed
    await own.aclose()


@in_real_time
async def test_what_a_cancelled_call_raises_while_it_changes_something_is_lost() -> None:
    def fail() -> None:
        own.land()
        changing.set()
        assert go_on.wait(60.0)
        raise ValueError("no")

    own, changing, go_on = OwnThread("Worker", "one", 3.0), threading.Event(), threading.Event()
    call = begun(own.run(fail))
    await asyncio.to_thread(changing.wait, 60.0)
    call.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait({call})
    assert call.cancelled()
    await own.aclose()


def test_one_never_used_has_no_thread_to_end() -> None:
    asyncio.run(OwnThread("Worker", "one", 3.0, lambda: raise_it(ValueError())).aclose())


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on we are the child; a real fork of a process with threads is what Python warns
    of.
    """
    return lambda: monkeypatch.setattr(os, "getpid", lambda: -1)


@in_real_time
async def test_the_child_of_a_fork_is_told_to_make_its_own_and_waits_for_no_thread(
    forked: Callable[[], None],
) -> None:
    own = OwnThread("Worker", "one", 3.0)
    assert await own.run(int, "7") == 7
    forked()
    async with asyncio.timeout(60):
        with pytest.raises(StorageError, match=r"used before a fork.*make a new one") as caught:
            await own.run(int, "7")
        assert caught.value.reason == "forked"
        await own.aclose()


@in_real_time
async def test_what_was_made_before_a_fork_and_not_used_serves_the_child(
    forked: Callable[[], None],
) -> None:
    own = OwnThread("Worker", "one", 3.0)
    forked()
    assert await own.run(int, "7") == 7
    await own.aclose()


@in_real_time
async def test_while_a_call_hangs_others_are_told_so_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hang(began: threading.Event, go_on: threading.Event) -> bool:
        began.set()
        return go_on.wait(60.0)

    own = OwnThread("Worker", "one", 3.0)
    began, go_on = threading.Event(), threading.Event()
    hanging = begun(own.run(hang, began, go_on))
    await asyncio.to_thread(began.wait, 60.0)
    waiting = begun(own.run(int, "7"))
    await asyncio.sleep(0)
    with monkeypatch.context() as later:
        now = time.monotonic() + 9.0
        later.setattr(time, "monotonic", lambda: now)
        with pytest.raises(StorageError, match=r"The Worker 'one' hangs: .* 9 s ago") as caught:
            await own.run(int)
    assert caught.value.recoverable
    go_on.set()
    assert (await hanging, await waiting, await own.run(int, "8")) == (True, 7, 8)
    await own.aclose()

"""The executor with one daemon thread: the contract of `concurrent.futures.Executor`, kept in
order.
"""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future

import pytest

from support_chat_adapters.storage.daemon import DaemonExecutor


def test_calls_run_in_order_on_one_daemon_thread() -> None:
    def note(i: int) -> threading.Thread:
        ran.append(i)
        return threading.current_thread()

    executor, ran = DaemonExecutor("worker"), list[int]()
    futures = [executor.submit(note, i) for i in range(50)]
    threads = {future.result() for future in futures}
    executor.shutdown()
    assert ran == list(range(50))
    (thread,) = threads
    assert thread.daemon
    assert thread.name == "worker"
    assert not thread.is_alive()


def test_a_call_that_raises_harms_no_other() -> None:
    executor = DaemonExecutor("worker")
    for error in (ValueError("no"), SystemExit(1)):
        with pytest.raises(type(error)):
            executor.submit(raise_it, error).result()
    assert executor.submit(int, "7", base=8).result() == 7
    executor.shutdown()


def occupied(executor: DaemonExecutor) -> tuple[Future[bool], threading.Event]:
    """Keeps the thread busy until the event is set."""

    def work() -> bool:
        began.set()
        return go_on.wait()

    began, go_on = threading.Event(), threading.Event()
    running = executor.submit(work)
    began.wait()
    return running, go_on


def raise_it(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("cancel", [True, False])
def test_after_shutdown_nothing_new_is_taken_and_what_is_queued_is_done_or_dropped(
    cancel: bool,
) -> None:
    executor = DaemonExecutor("worker")
    running, go_on = occupied(executor)
    queued = [executor.submit(int, "7") for _ in range(5)]
    executor.shutdown(wait=False, cancel_futures=cancel)
    executor.shutdown(wait=False, cancel_futures=cancel)
    with pytest.raises(RuntimeError, match="worker is shut down"):
        executor.submit(int)
    go_on.set()
    assert running.result() is True
    for future in queued:
        if cancel:
            with pytest.raises(CancelledError):
                future.result()
        else:
            assert future.result() == 7
    executor.shutdown(wait=True)


def test_a_call_cancelled_before_it_began_never_runs() -> None:
    executor, ran = DaemonExecutor("worker"), list[int]()
    _, go_on = occupied(executor)
    queued = [executor.submit(ran.append, i) for i in range(3)]
    assert queued[1].cancel()
    go_on.set()
    executor.shutdown(wait=True)
    assert ran == [0, 2]


def test_an_executor_never_used_has_no_thread_to_end() -> None:
    DaemonExecutor("worker").shutdown(wait=True)

"""Judges mutants in several processes, which keep what the first one has worked out."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any, TypeAlias, cast

from support_chat.errors import SupportChatError
from support_chat.verify.mutants.edits import Edit
from support_chat.verify.mutants.judging import Judge, Ruling
from support_chat.verify.mutants.results import Result

from .terminal import Misuse

Pipe: TypeAlias = "Connection[Any, Any]"


def judged(judge: Judge, edits: Sequence[Edit], jobs: int) -> Iterator[Result]:
    """What becomes of each edit, as it is known; with several `jobs` in no order.

    Whoever stops to iterate stops the processes. Raises Misuse where there is no fork,
    SupportChatError if one of them ends before its time.
    """
    if jobs == 1:
        yield from (Result(edit, judge.judge(edit)) for edit in edits)
        return
    if "fork" not in multiprocessing.get_all_start_methods():
        raise Misuse("--jobs: processes cannot be forked here; take a --shard in each of several")
    context = multiprocessing.get_context("fork")
    workers: dict[Pipe, ForkProcess] = {}
    try:
        for number in range(jobs):
            ours, theirs = context.Pipe(duplex=False)
            worker = context.Process(
                target=_work, args=(judge, edits, range(number, len(edits), jobs), theirs)
            )
            worker.start()
            theirs.close()
            workers[ours] = worker
        pipes = list(workers)
        while pipes:
            for pipe in cast("list[Pipe]", wait(pipes)):
                try:
                    place, ruling = cast("tuple[int, Ruling]", pipe.recv())
                    yield Result(edits[place], ruling)
                except EOFError:
                    pipes.remove(pipe)
                    worker = workers[pipe]
                    worker.join()
                    if worker.exitcode:
                        raise SupportChatError(
                            "A process that judges mutants has ended before its time (exit status "
                            f"{worker.exitcode}); what it says stands above. Try --jobs 1."
                        ) from None
    finally:
        for pipe, worker in workers.items():
            worker.terminate()
            worker.join()
            pipe.close()


def _work(judge: Judge, edits: Sequence[Edit], places: range, pipe: Pipe) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends us
    for place in places:
        pipe.send((place, judge.judge(edits[place])))

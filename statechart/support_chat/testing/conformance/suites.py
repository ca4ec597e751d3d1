"""Runs conformance suites: each clause of a port on a fresh event loop, with a limit, and all that
fail reported together.

A *clause* is a small async function with a stable id and the sentence that it checks. It needs no
test runner and no plugin: the `check_...` functions of `support_chat.testing` are plain functions,
which return a `Report` or raise a `ConformanceError`.

A clause runs on a daemon thread of its own, in real time. So a suite may be called where a loop
already runs, and an adapter that blocks its loop or ignores being cancelled is a clause that fails,
not a test run that hangs.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar, cast

import attrs

from ...errors import InvalidInputError
from ...runtime.threads import DaemonThreads
from ..here import need_threads_and_sockets
from .expecting import NotApplicable, Unmet, described, where

_Trial = TypeVar("_Trial")

LIMIT: Final = 20.0
"""How long a clause may take unless the caller says otherwise, in seconds."""


@attrs.frozen
class Clause(Generic[_Trial]):
    """One promise of a port: its stable `id` (`storage.create-keeps`), the `sentence` that says it,
    and what checks it.

    `body` gets the trial, and raises `Unmet` (or anything else) if the promise is broken,
    `NotApplicable` if it cannot be tried.
    """

    id: str
    sentence: str
    body: Callable[[_Trial], Awaitable[None]] = attrs.field(repr=False)


def clause(id: str) -> Callable[[Callable[[_Trial], Awaitable[None]]], Clause[_Trial]]:
    """Makes an async function the clause of this id; its docstring is the sentence. For suites of
    your own, too.
    """

    def made(body: Callable[[_Trial], Awaitable[None]]) -> Clause[_Trial]:
        return Clause(id, inspect.getdoc(body) or id, body)  # `python -OO` leaves no docstring

    return made


def clauses_of(names: Mapping[str, object], trial: type[_Trial]) -> Sequence[Clause[_Trial]]:
    """The clauses of such a trial among the names of a module (`vars()`), in their order."""
    return tuple(
        cast("Clause[_Trial]", one) for one in names.values() if issubclass(type(one), Clause)
    )


@attrs.frozen
class Failure:
    """A clause that is not kept, and what was `seen` instead."""

    id: str
    sentence: str
    seen: str

    def __str__(self) -> str:
        return f"{self.id}: {self.sentence}\n    seen: {self.seen}"


@attrs.frozen
class Report:
    """What a suite found: the ids of the clauses that `passed`, those `not_applicable` with the
    reason, and the `failures`.
    """

    passed: tuple[str, ...]
    not_applicable: Mapping[str, str]
    failures: tuple[Failure, ...] = ()

    def __str__(self) -> str:
        counted = (
            f"{len(self.passed)} passed, {len(self.failures)} failed, "
            f"{len(self.not_applicable)} not applicable"
        )
        skipped = [
            f"{id}: not applicable, since {reason}" for id, reason in self.not_applicable.items()
        ]
        return "\n".join([*map(str, self.failures), *skipped, counted])


class ConformanceError(AssertionError):
    """An adapter breaks clauses of its port; the message names each with its sentence and what was
    seen, `report` has it as data.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(f"the adapter breaks its port\n{report}")
        self.report = report

    def __reduce__(self) -> tuple[Any, ...]:
        report = self.report
        return _error, (report.passed, dict(report.not_applicable), report.failures)


def _error(
    passed: tuple[str, ...], not_applicable: dict[str, str], failures: tuple[Failure, ...]
) -> ConformanceError:
    """Errors travel between processes of a test runner, which a read-only mapping does not."""
    return ConformanceError(Report(passed, MappingProxyType(not_applicable), failures))


def check(
    clauses: Sequence[Clause[_Trial]],
    trial: Callable[[], AbstractAsyncContextManager[_Trial]],
    *,
    only: Iterable[str] = (),
    limit: float = LIMIT,
) -> Report:
    """Tries each clause with a fresh `trial()`; returns the report, or raises ConformanceError if a
    clause fails.

    `only`: the ids of the clauses to try, all by default; `limit`: how many seconds each may take.
    Raises InvalidInputError for an id that no clause has, NotImplementedError in Pyodide.
    """
    need_threads_and_sockets("A conformance suite")
    chosen, passed, failures = _chosen(clauses, only), list[str](), list[Failure]()
    not_applicable: dict[str, str] = {}
    for one in chosen:
        try:
            seen = _tried(one, trial, limit)
        except NotApplicable as reason:
            not_applicable[one.id] = str(reason)
            continue
        if seen:
            failures.append(Failure(one.id, one.sentence, seen))
        else:
            passed.append(one.id)
    report = Report(tuple(passed), MappingProxyType(not_applicable), tuple(failures))
    if failures:
        raise ConformanceError(report)
    return report


def _chosen(clauses: Sequence[Clause[_Trial]], only: Iterable[str]) -> Sequence[Clause[_Trial]]:
    wanted = (only,) if isinstance(only, str) else tuple(only)
    known = {one.id for one in clauses}
    for id in wanted:
        if id not in known:
            raise InvalidInputError(
                f"There is no clause {id!r} in this suite; there are: {', '.join(sorted(known))}."
            )
    return [one for one in clauses if not wanted or one.id in wanted]


def _tried(
    one: Clause[_Trial], trial: Callable[[], AbstractAsyncContextManager[_Trial]], limit: float
) -> str:
    """What was seen that breaks the clause, "" if nothing; raises NotApplicable."""
    running = DaemonThreads().submit(_on_a_loop_of_its_own, one, trial, limit)
    try:
        # its limit, and as much for what the factory and the end of the loop take
        return running.result(2 * limit + 1.0)
    except TimeoutError:
        return (
            f"it did not come back in {2 * limit + 1.0:g} s: something blocks its event loop, "
            "or ignores being cancelled"
        )


def _on_a_loop_of_its_own(
    one: Clause[_Trial], trial: Callable[[], AbstractAsyncContextManager[_Trial]], limit: float
) -> str:
    left: list[str] = []

    def report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        left.append(
            context["message"]
            + (f": {described(error)}" if isinstance(error, BaseException) else "")
        )

    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(report)
        seen = runner.run(_attempt(one, trial, limit))
    gc.collect(1)  # a failure that nobody looked at is reported when its task is collected
    return seen or (f"asyncio was left to report {left[0]}" if left else "")


async def _attempt(
    one: Clause[_Trial], trial: Callable[[], AbstractAsyncContextManager[_Trial]], limit: float
) -> str:
    seen: str | NotApplicable | None = None
    try:
        async with trial() as made:
            seen = await _seen(one, made, limit)
    except asyncio.CancelledError as error:
        seen = seen or f"CancelledError, though nobody cancelled ({where(error)})"
    except Exception as error:
        seen = (
            seen
            or f"{'the factory' if seen is None else 'cleaning up'} failed with {described(error)}"
        )
    if isinstance(seen, NotApplicable):
        raise seen
    return seen


async def _seen(one: Clause[_Trial], trial: _Trial, limit: float) -> str | NotApplicable:
    time = asyncio.timeout(limit)
    try:
        async with time:
            await one.body(trial)
    except NotApplicable as reason:
        return reason
    except TimeoutError as error:
        if not time.expired():
            return described(error)
        # Python 3.11.2 raises without a cause
        waiting = error.__cause__ or error.__context__ or error
        notes = "".join(f": {note}" for note in getattr(waiting, "__notes__", ()))
        return f"no end within {limit:g} s{notes} ({where(waiting)})"
    except Unmet as error:
        return str(error)
    except Exception as error:
        return described(error)
    return ""

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
from .expecting import ArrangementFailed, NotApplicable, Unmet, described, where

_Trial = TypeVar("_Trial")

LIMIT: Final = 20.0
"""How long a clause may take unless the caller says otherwise, in seconds."""
NOTHING_WAIVED: Final[Mapping[str, str]] = MappingProxyType({})
"""Every clause is tried."""


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
    """A clause that is not kept, and what was `seen` instead. `of_arrangement`: it could not be
    tried, since a control of the suite's own arrangement failed; that says nothing of the adapter.
    """

    id: str
    sentence: str
    seen: str
    of_arrangement: bool = False

    def __str__(self) -> str:
        return f"{self.id}: {self.sentence}\n    seen: {self.seen}"


@attrs.frozen
class Report:
    """What a suite found: the ids of the clauses that `passed`, those `not_applicable` with the
    reason, the `failures`, and those that were `waived`, with the reason.
    """

    passed: tuple[str, ...]
    not_applicable: Mapping[str, str]
    failures: tuple[Failure, ...] = ()
    waived: Mapping[str, str] = NOTHING_WAIVED

    def __str__(self) -> str:
        counted = (
            f"{len(self.passed)} passed, {len(self.failures)} failed, "
            f"{len(self.not_applicable)} not applicable"
        )
        if self.waived:
            counted += f", {len(self.waived)} waived"
        skipped = [
            *(f"{id}: not applicable, since {why}" for id, why in self.not_applicable.items()),
            *(f"{id}: waived, since {why}" for id, why in self.waived.items()),
        ]
        return "\n".join([*map(str, self.failures), *skipped, counted])


class ConformanceError(AssertionError):
    """An adapter breaks clauses of its port; the message names each with its sentence and what was
    seen, `report` has it as data.
    """

    def __init__(self, report: Report) -> None:
        arranged = all(failure.of_arrangement for failure in report.failures)
        what = "the arrangement of the suite failed" if arranged else "the adapter breaks its port"
        super().__init__(f"{what}\n{report}")
        self.report = report

    def __reduce__(self) -> tuple[Any, ...]:
        report = self.report
        waived, not_applicable = dict(report.waived), dict(report.not_applicable)
        return _error, (report.passed, not_applicable, report.failures, waived)


def _error(
    passed: tuple[str, ...],
    not_applicable: dict[str, str],
    failures: tuple[Failure, ...],
    waived: dict[str, str],
) -> ConformanceError:
    """Errors travel between processes of a test runner, which a read-only mapping does not."""
    return ConformanceError(
        Report(passed, MappingProxyType(not_applicable), failures, MappingProxyType(waived))
    )


def check(
    clauses: Sequence[Clause[_Trial]],
    trial: Callable[[], AbstractAsyncContextManager[_Trial]],
    *,
    only: Iterable[str] = (),
    waived: Mapping[str, str] = NOTHING_WAIVED,
    limit: float = LIMIT,
) -> Report:
    """Tries each clause with a fresh `trial()`; returns the report, or raises ConformanceError if a
    clause fails.

    `only`: the ids of the clauses to try, all by default; `waived`: those that are not, each with
    the reason; `limit`: how many seconds each may take. Raises InvalidInputError for an id that no
    clause has, NotImplementedError in Pyodide.
    """
    need_threads_and_sockets("A conformance suite")
    chosen, passed, failures = _chosen(clauses, only), list[str](), list[Failure]()
    _chosen(clauses, waived)
    not_applicable: dict[str, str] = {}
    for one in chosen:
        if one.id in waived:
            continue
        try:
            seen = _tried(one, trial, limit)
        except NotApplicable as reason:
            not_applicable[one.id] = str(reason)
            continue
        except ArrangementFailed as fault:
            failures.append(Failure(one.id, one.sentence, str(fault), of_arrangement=True))
            continue
        if seen:
            failures.append(Failure(one.id, one.sentence, seen))
        else:
            passed.append(one.id)
    left_out = {one.id: waived[one.id] for one in chosen if one.id in waived}
    report = Report(
        tuple(passed),
        MappingProxyType(not_applicable),
        tuple(failures),
        MappingProxyType(left_out),
    )
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
    """What was seen that breaks the clause, "" if nothing; raises NotApplicable, and
    ArrangementFailed.
    """
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
    seen: str | NotApplicable | ArrangementFailed | None = None
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
    if isinstance(seen, NotApplicable | ArrangementFailed):
        raise seen
    return seen


async def _seen(
    one: Clause[_Trial], trial: _Trial, limit: float
) -> str | NotApplicable | ArrangementFailed:
    time = asyncio.timeout(limit)
    try:
        async with time:
            await one.body(trial)
    except (NotApplicable, ArrangementFailed) as reason:
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

"""Traces a real session: every step of its engine, and whether it holds what the account says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Set
from typing import Any

from ..chart.machine import Compiled
from ..chart.model import Chart
from ..engine import Input
from ..lifecycle.chart import CHART
from ..runtime.shell import Shell
from ..session import SupportChat
from ..verify.trace import Account, Trace


def watch(chat: SupportChat, chart: Chart | Compiled = CHART) -> Trace:
    """Traces a session that nothing was asked of yet, from within its loop; it runs `chart`."""
    compiled = chart.chart if isinstance(chart, Compiled) else chart
    parts = (chat._storage, chat._transport, chat._keys, chat._settings)  # pyright: ignore[reportPrivateUsage]
    told = (chat._listeners, chat._log)  # pyright: ignore[reportPrivateUsage]
    shell = Shell(*parts, *told, asyncio.get_running_loop(), compiled)
    trace, take = Trace(shell.engine), shell.take

    def taking(happened: Input) -> None:
        take(happened)
        if trace.steps and not shell._working:  # pyright: ignore[reportPrivateUsage]
            trace.steps[-1].faults += _misheld(shell, trace.account)

    shell.engine = trace  # type: ignore[assignment]  # it stands in for the engine
    shell.take = taking  # type: ignore[method-assign]
    chat._shell = shell  # pyright: ignore[reportPrivateUsage]
    return trace


def _misheld(shell: Shell, account: Account) -> Iterator[str]:
    """Where what a shell holds is not what the account says, once all commands are obeyed."""
    groups = (*account.slots.values(), account.detached, account.held)
    waiting = {call for calls in groups for call in calls}
    using = {request.call for request in account.asked.values() if request.call is not None}
    kept = set[int]() if account.link is None else {account.link}
    # one that says goodbye is heard until it is closed, or until it ends by itself
    leaving = account.open - kept
    pairs: tuple[tuple[str, Set[Any], Set[Any]], ...] = (
        ("timers", shell.timers.running, account.timers),
        ("requests", shell.performing, {*account.asked, *account.apart}),
        ("links", shell.listening - leaving, kept),
        ("calls", shell.waiting, waiting | using),
    )
    for what, held, said in pairs:
        if held != said:
            yield f"the session holds the {what} {held}, and {said} are under way by the account"

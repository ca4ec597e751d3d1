"""Asynchronous tests: each is run by a decorator, on a loop of its own and within a limit."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec

from support_chat.testing import run

P = ParamSpec("P")

LIMIT: Final = 300.0
"""How many seconds a test in real time may take."""


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs the test on a virtual loop, which fails where nothing can happen any more."""

    @functools.wraps(test)
    def tried(*args: P.args, **kwargs: P.kwargs) -> None:
        run(test(*args, **kwargs))

    return tried


def in_real_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs the test on an ordinary loop, for at most `LIMIT` seconds."""

    @functools.wraps(test)
    def tried(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), LIMIT))

    return tried

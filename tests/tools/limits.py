"""Each part of a test has a limit, so that a call that never settles fails one test instead of
holding the run for ever.

The limit is far beyond what any test needs on a machine however busy. The test is failed where it
hangs, again and again if somebody on the way up catches everything; if that does not help, every
thread's stack is printed and the process ends, which xdist reports as a crash of this test.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Generator
from types import FrameType
from typing import Any, Final

import pytest
from hypothesis import settings

_PATIENCE: Final = 60.0
"""Seconds that a test which has been failed has for its end."""
_AGAIN: Final = 5.0
"""Seconds after which it is failed once more."""
_STDERR: Final = pytest.StashKey[int]()
"""The terminal's, whatever pytest captures."""


def pytest_configure(config: pytest.Config) -> None:
    """Nothing is captured at this moment."""
    config.stash[_STDERR] = os.dup(2)


def seconds() -> float:
    """How long setup, call and teardown of a test may take, each: more where random tests look
    longer.
    """
    return 600.0 if settings().max_examples < 1000 else 7200.0


def _limited(item: pytest.Item) -> Generator[None, Any, Any]:
    limit = seconds()

    def fail(_: int, __: FrameType | None) -> None:
        pytest.fail(f"this has not ended within {limit:g} s; where it was is above")

    before = signal.signal(signal.SIGALRM, fail)
    stderr = item.config.stash[_STDERR]
    faulthandler.dump_traceback_later(limit + _PATIENCE, exit=True, file=stderr)
    signal.setitimer(signal.ITIMER_REAL, limit, _AGAIN)
    try:
        return (yield)
    finally:
        _lift()
        signal.signal(signal.SIGALRM, before)


def _lift() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    faulthandler.cancel_dump_traceback_later()


pytest_runtest_setup = pytest.hookimpl(wrapper=True)(_limited)
pytest_runtest_call = pytest.hookimpl(wrapper=True)(_limited)
pytest_runtest_teardown = pytest.hookimpl(wrapper=True)(_limited)


def pytest_enter_pdb() -> None:
    """Who looks around takes their time."""
    _lift()

"""How hard the random tests look: `ci` replays the same examples everywhere, `nightly` looks for
new ones.

`pytest --hypothesis-profile=nightly` chooses; what it finds it prints as a blob that
`@reproduce_failure` replays. `--kill-rounds` says how many times a served backend is killed, and a
client, `--kill-seed` with which round that begins.

Where `CI` is set, a test that would be skipped has failed: everything that can be installed is
there. (IPv6 cannot.)
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

# What a shell runs in its background ignores Ctrl-C, and so would what the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What the tests start, hundreds of processes, would compile the same modules each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

pytest_plugins = ("any_order", "forking", "leftovers", "limits", "once", "redis_place")

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "nightly",
    settings.get_profile("ci"),
    derandomize=False,
    max_examples=2000,
    stateful_step_count=60,
)
settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `tests/killing`; they must be known before its own conftest is."""
    group = parser.getgroup(
        "killing", "rounds in which a served backend, or a client, is killed (tests/killing)"
    )
    group.addoption(
        "--kill-rounds",
        type=int,
        metavar="N",
        help="how many rounds of both kinds (default: 200 of a backend, 12 of a client)",
    )
    group.addoption(
        "--kill-seed",
        type=int,
        default=0,
        metavar="S",
        help="the first round (default: 0); S with N=1 replays one",
    )


def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: every other test waits for another process, or for real time."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_finish() -> None:
    """Thousands of tests are no garbage."""
    _set_aside()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """Nor is what a file of tests leaves in caches."""
    yield
    if nextitem is None or nextitem.path != item.path:
        _set_aside()


def _set_aside() -> None:
    """Spares what is there now, and no garbage, the looks of later garbage collections: many tests
    make one, to see what they left.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI nothing is skipped."""
    report = yield
    _insist(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Nor is a whole module."""
    report = yield
    _insist(report)
    return report


def _insist(report: Any) -> None:
    if (
        os.environ.get("CI")
        and report.skipped
        and not hasattr(report, "wasxfail")
        and "IPv6" not in str(report.longrepr)
    ):
        report.outcome, report.longrepr = (
            "failed",
            f"skipped in CI, where everything is there: {report.longrepr}",
        )


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """What the rounds have come upon; with xdist it is only here that all of them are seen."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
    ]
    for killed, module in (("killed", "killing"), ("client killed", "killing_clients")):
        tallies = [
            tuple(value)
            for report in reports
            for name, value in report.user_properties
            if name == killed
        ]
        if tallies:
            terminalreporter.section(f"rounds with SIGKILL ({module})")
            for line in importlib.import_module(f"{module}.summary").lines(tallies):
                terminalreporter.write_line(line)

"""A pytest plugin: which transitions and guard values of a chart your suite never exercised.

`pytest --chart-cov` prints them after the run, `--chart-cov-fail-under=N` fails a run that
exercised less than N per cent. It sees the steps of every session in the process of the tests and,
under pytest-xdist, in its workers; not those in processes that a test starts. Nothing is watched,
and nothing of the library imported, unless one of the options is given.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import pytest

from support_chat_adapters.cli.options import number

if TYPE_CHECKING:
    from support_chat import Chart
    from support_chat.testing.chart_coverage import Coverage, Sighting

_DEFAULT: Final = "support_chat:CHART"
_SENT: Final = "support_chat_sightings"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("support-chat", "coverage of a support-chat chart")
    group.addoption(
        "--chart-cov",
        action="store_true",
        help="print the transitions and guard values that no test exercised",
    )
    group.addoption(
        "--chart-cov-chart", metavar="MODULE:NAME", help=f"the chart to watch (default: {_DEFAULT})"
    )
    group.addoption(
        "--chart-cov-fail-under",
        metavar="N",
        type=number(float, 0, "a number from 0 to 100", most=100),
        help="fail if less than N per cent of the chart is exercised",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watches if it is asked to."""
    named, least = config.getoption("--chart-cov-chart"), config.getoption("--chart-cov-fail-under")
    if config.getoption("--chart-cov") or named is not None or least is not None:
        config.pluginmanager.register(
            _ChartCoverage(config, named or _DEFAULT, least), "support-chat-coverage"
        )


class _ChartCoverage:
    """The hooks of a session that watches a chart."""

    def __init__(self, config: pytest.Config, named: str, least: float | None) -> None:
        self._config, self._named, self._least = config, named, least
        self._sightings: set[Sighting] = set()
        self._found: Coverage | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionstart(self, session: pytest.Session) -> Iterator[None]:
        """Begins to watch, when what the tests may import can be imported."""
        from support_chat.testing.chart_coverage import Watch

        yield
        self._chart = _load(self._named, str(self._config.invocation_params.dir))
        self._watch = Watch(self._chart)
        self._watch.begin()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of pytest-xdist is done: what it saw counts, too."""
        sent = getattr(node, "workeroutput", {}).get(_SENT, ())
        self._sightings.update((phase, trigger, true, row) for phase, trigger, true, row in sent)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Watches no longer; a worker sends what it saw, everybody else judges it."""
        from support_chat.testing.chart_coverage import coverage

        if not hasattr(self, "_watch"):
            return  # the session never came to start
        self._watch.end()
        self._sightings |= self._watch.sightings
        workeroutput: dict[str, Any] | None = getattr(self._config, "workeroutput", None)
        if workeroutput is not None:
            workeroutput[_SENT] = [list(sighting) for sighting in self._sightings]
            return
        self._found = coverage(self._chart, self._sightings)
        if self._short and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints what was never exercised."""
        found = self._found
        if found is None:
            return
        terminalreporter.write_sep("=", f"chart coverage of {self._named}")
        for line in report(found):
            terminalreporter.write_line(line)
        if self._short:
            terminalreporter.write_line(
                f"FAIL: {found.percent:.1f} % is less than the {self._least:g} % required", red=True
            )

    @property
    def _short(self) -> bool:
        return (
            self._least is not None
            and self._found is not None
            and self._found.percent < self._least
        )


def report(found: Coverage) -> Iterator[str]:
    """What was not exercised, an entry a line: rows whose trigger never came, that never fired,
    guard values; then how much was.
    """
    untried = found.untried
    if not found.fired:
        yield (
            "no step of this chart was seen: do the tests run a session, and of the very Chart "
            "that --chart-cov-chart names?"
        )
    else:
        yield from (f"never tried: {row}" for row in untried)
        yield from (f"never fired: {row}" for row in found.unfired if row not in untried)
        for row, values in groupby(found.unseen, key=lambda value: value.row):
            if row not in untried:
                told = ", ".join(
                    f"{value.fact} {'true' if value.value else 'false'}" for value in values
                )
                yield f"never seen:  {row}: {told}"
    yield (
        f"{len(found.fired)} of {len(found.transitions)} transitions fired, "
        f"{len(found.seen)} of {len(found.values)} guard values were seen: {found.percent:.1f} %"
    )


def _load(named: str, directory: str) -> Chart:
    """The chart, as for the command line; the tests' own path stays as it is."""
    from support_chat import SupportChatError
    from support_chat_adapters.cli.charts import chart_named
    from support_chat_adapters.cli.terminal import Misuse

    path = list(sys.path)
    try:
        return chart_named(named, "--chart-cov-chart ", directory)
    except Misuse as error:
        raise pytest.UsageError(str(error)) from error
    except (SupportChatError, OSError) as error:
        raise pytest.UsageError(f"--chart-cov-chart {named}: {error}") from error
    finally:
        sys.path[:] = path

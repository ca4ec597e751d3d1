"""What a run leaves behind: no process, nothing in the folder of temporary files; and a test leaves
Ctrl-C to whom it was before, and no module of its own to the next one.

Every process that a test starts, and whatever that one starts, inherits a mark of the run and the
name of the test. Whoever still bears the mark at the end has been left: it is ended, told, and the
run has failed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest

_MARK: Final = "SUPPORT_CHAT_TESTS"
_TEST: Final = "PYTEST_CURRENT_TEST"
_PATIENCE: Final = 20.0
"""Seconds that a process which is on its way out has for it."""
_HANDLERS: Final = pytest.StashKey[list[object]]()
_MODULES: Final = pytest.StashKey[tuple[list[str], set[str]]]()
_ROOT: Final = Path(__file__).parents[2]
_KEPT: Final = [
    Path(sys.prefix),
    Path(sys.base_prefix),
    *map(_ROOT.joinpath, ("statechart", "adapters", "tests")),
]
_LEFT: Final = pytest.StashKey[list[str]]()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """Marks this process's future children, xdist's workers among them."""
    if not _is_worker(config):
        os.environ[_MARK] = uuid.uuid4().hex


@pytest.fixture(scope="session", autouse=True)
def _own_temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Generator[None, None, None]:
    """What anybody puts beside their own files lies in a folder that pytest removes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)
        yield


def _handlers() -> list[object]:
    return [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Sees who handles the signals, and which modules there are."""
    item.stash[_HANDLERS] = _handlers()
    item.stash[_MODULES] = list(sys.path), set(sys.modules)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Looks whether they still do. What was imported from a folder of the test, or from an example,
    is forgotten: the next test may have another one of that name.
    """
    sys.path[:], known = item.stash[_MODULES]
    for name in sys.modules.keys() - known:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and not any(map(Path(file).resolve().is_relative_to, _KEPT)):
            del sys.modules[name]
    assert _handlers() == item.stash[_HANDLERS], "this test leaves a signal to somebody else"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Looks once all workers have ended."""
    if _is_worker(session.config):
        return
    until = time.monotonic() + _PATIENCE
    while (left := dict(_marked())) and time.monotonic() < until:
        time.sleep(0.1)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    if left:
        session.config.stash[_LEFT] = sorted(left.values())
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    left = config.stash.get(_LEFT, list[str]())
    if left:
        terminalreporter.section("left behind, and killed", red=True)
        for line in left:
            terminalreporter.write_line(line)


def _marked() -> Iterator[tuple[int, str]]:
    """The processes of this run, each with what it is and who started it. Where there is no /proc
    nobody looks.
    """
    mark = f"{_MARK}={os.environ[_MARK]}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            variables = (folder / "environ").read_bytes().split(b"\0")
            if mark in variables:
                command = (
                    (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                test = next(
                    (one.decode() for one in variables if one.startswith(f"{_TEST}=".encode())), ""
                )
                yield int(folder.name), f"{command.strip()[:200]} (pid {folder.name}), {test}"

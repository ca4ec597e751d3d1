"""Takes each protection from other people's code away in turn, and prints the cells that fail then.

The protections are the edits listed in `tests/session/protections.toml`. Each is made in a copy of
the product, which the tables of `tests/session` are run against until a cell fails; `--all` runs
every cell, and prints all that fail. An edit that no longer applies, or that no cell notices, is an
error: then the table lacks a cell, or what was edited protects nobody.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

ROOT: Final = Path(__file__).parents[2]
LISTED: Final = ROOT / "tests/session/protections.toml"
TABLES: Final = (
    "tests/session/test_other_peoples_code.py",
    "tests/session/test_what_an_adapter_hands_over.py",
)
PRODUCT: Final = ("statechart", "adapters")
CELL: Final = 20.0
"""Seconds that a cell may take: without its protection, a session may spin for ever."""
RUN: Final = 600.0
"""Seconds that all cells of one protection may take."""
_SAID: Final = 12
"""How many lines of what pytest said are told where it ran no cell."""
RECORD, FIRST, COPY = "CELLS_RECORD", "CELLS_FIRST", "CELLS_COPY"
"""What the run of the cells is told by its environment."""


@attrs.frozen
class Protection:
    """One line of the list: see the head of `protections.toml`."""

    name: str
    file: str
    before: str
    after: str
    first: Sequence[str] = ()
    tests: Sequence[str] = TABLES
    python: str = "3.11"

    @property
    def needed(self) -> bool:
        """Whether this Python can do without it."""
        return sys.version_info >= tuple(int(part) for part in self.python.split("."))

    def removed(self, root: Path = ROOT) -> str:
        """The file without it. Raises ValueError unless the edit applies once."""
        text = (root / self.file).read_text(encoding="utf-8")
        if (times := text.count(self.before)) != 1:
            raise ValueError(f"the edit applies {times} times in {self.file}, not once")
        return text.replace(self.before, self.after)


def protections() -> tuple[Protection, ...]:
    """All that are listed, in the order of the list."""
    listed = tomllib.loads(LISTED.read_text(encoding="utf-8"))["protection"]
    return tuple(Protection(**entry) for entry in listed)


def failing(protection: Protection, every: bool) -> list[str]:
    """The cells that fail without it, or the first that does. Raises ValueError when the edit does
    not apply, RuntimeError when the cells cannot be run.
    """
    edited = protection.removed()
    with tempfile.TemporaryDirectory(prefix="without-") as folder:
        copy, record = Path(folder), Path(folder, "record")
        for part in PRODUCT:
            shutil.copytree(
                ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        (copy / protection.file).write_text(edited, encoding="utf-8")
        paths = [*(str(copy / part) for part in PRODUCT), str(ROOT / "tests/tools")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
            RECORD: str(record),
            FIRST: json.dumps(protection.first),
            COPY: folder,
        }
        said = _run_cells(protection.tests, every, environment)
        return _failed(record, said)


def _run_cells(tests: Sequence[str], every: bool, environment: dict[str, str]) -> str:
    """Runs them to their end or their limit; returns what pytest said."""
    plugins = ["-p", "no:cacheprovider", "-p", Path(__file__).stem]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, *([] if every else ["-x"]), *tests]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=RUN)[0]
    except subprocess.TimeoutExpired:
        return f"the cells took longer than {RUN:g} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _failed(record: Path, said: str) -> list[str]:
    """Those that failed, and the one that never ended, of the record of a run."""
    begun: dict[str, str] = {}
    for line in record.read_text(encoding="utf-8").splitlines() if record.exists() else ():
        cell, outcome = json.loads(line)
        if begun.get(cell) != "failed":
            begun[cell] = outcome
    if not begun:
        last = "\n".join(said.splitlines()[-_SAID:])
        raise RuntimeError(f"the cells could not be run:\n{last}")
    return [cell for cell, outcome in begun.items() if outcome != "passed"]


# --- the run of the cells: this file is its plugin ------------------------------------------------


def _note(cell: str, outcome: str) -> None:
    with Path(os.environ[RECORD]).open("a", encoding="utf-8") as record:
        record.write(json.dumps([cell, outcome]) + "\n")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those where a failure is expected come first. The copy is what is tried."""
    import support_chat
    import support_chat_adapters

    for package in (support_chat, support_chat_adapters):
        assert str(package.__file__).startswith(os.environ[COPY]), "the copy is not what is tried"
    first = json.loads(os.environ[FIRST])
    items.sort(key=lambda item: not any(part in item.nodeid for part in first))


def pytest_configure() -> None:
    """A cell has ended long before other tests need have."""
    import limits  # not before pytest has it rewritten

    limits.seconds = lambda: CELL


def pytest_runtest_logstart(nodeid: str) -> None:
    """Keeps that a cell has begun: if its run is ended with it, it is the one that failed."""
    _note(nodeid, "did not end")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keeps what became of a cell: it has passed if its teardown has."""
    if report.failed or report.when == "teardown":
        _note(report.nodeid, "failed" if report.failed else "passed")


# --- the command ----------------------------------------------------------------------------------


def _tried(chosen: Sequence[Protection], every: bool) -> Iterator[tuple[Protection, Any]]:
    """Each with the cells that fail without it, or with the error that kept them from being run."""

    def one(protection: Protection) -> list[str] | Exception | None:
        try:
            return failing(protection, every) if protection.needed else None
        except (ValueError, RuntimeError) as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from zip(chosen, pool.map(one, chosen), strict=True)


def _shown(found: Any) -> tuple[str, list[str]]:
    match found:
        case None:
            return "not needed", ["by this Python; run it under a later one"]
        case Exception():
            return "ERROR", str(found).splitlines()
        case []:
            return "UNNOTICED", ["no cell fails: the table lacks one, or this protects nobody"]
        case _:
            return f"{len(found)} fail", [cell.removeprefix("tests/session/") for cell in found]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="TEXT", help="those whose name or file has this in it")
    parser.add_argument("--all", action="store_true", help="run every cell; print all that fail")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    options = parser.parse_args(arguments)
    wanted = options.only or ""
    chosen = [p for p in protections() if wanted in p.name or wanted in p.file]
    if not chosen:
        parser.error(f"no protection has {wanted!r} in its name or its file")
    results: list[dict[str, Any]] = []
    for number, (protection, found) in enumerate(_tried(chosen, options.all), 1):
        said, lines = _shown(found)
        bad = isinstance(found, Exception) or found == []
        results.append({"name": protection.name, "result": said, "cells": lines, "bad": bad})
        out = sys.stderr if options.json else sys.stdout
        print(f"{number}/{len(chosen)} without: {protection.name}: {said}", file=out)
        for line in lines:
            print(f"    {line}", file=out, flush=True)
    bad = sum(result["bad"] for result in results)
    if options.json:
        print(json.dumps({"bad": bad, "protections": results}, indent=2))
    else:
        print(f"{len(results)} protections; {bad} with an error or an empty list")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

"""Who may import whom: the contracts in `pyproject.toml`, kept, and each of them seen to break when
a module slips through.

The contracts are written inverted (everything is forbidden, with the exceptions named), so that a
new module is forbidden from its first line on. The planted modules below are such new modules.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter", reason="needs import-linter: pip install -e '.[test]'")
import grimp

ROOT = Path(__file__).parents[2]
PACKAGES = {"support_chat": ROOT / "statechart", "support_chat_adapters": ROOT / "adapters"}


def lint_imports(search: list[Path]) -> subprocess.CompletedProcess[str]:
    """Runs the linter over the packages found in `search`, with the project's own contracts."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            f"--config={ROOT / 'pyproject.toml'}",
            "--no-cache",
            "--no-logo",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, search)), "COLUMNS": "200"},
        cwd=search[0],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_are_kept() -> None:
    result = lint_imports(list(PACKAGES.values()))
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 broken" in result.stdout


PLANTED = (
    ("support_chat/lifecycle/planted.py", "import asyncio", "know of event loops and threads"),
    (
        "support_chat/chart/planted.py",
        "def f():\n    import threading",
        "know of event loops and threads",
    ),
    (
        "support_chat/planted.py",
        "from concurrent.futures import Future",
        "know of event loops and threads",
    ),
    (
        "support_chat/lifecycle/planted.py",
        "from ..runtime.shell import Clock",
        "Imports go down the list",
    ),
    ("support_chat/chart/planted.py", "from transitions import Machine", "knows transitions"),
    ("support_chat/runtime/planted.py", "import transitions.extensions", "knows transitions"),
    ("support_chat_adapters/planted.py", "import transitions", "knows transitions"),
    (
        "support_chat/runtime/planted.py",
        "import support_chat_adapters.storage",
        "never imports its adapters",
    ),
    (
        "support_chat/chart/planted.py",
        "from ..lifecycle.chart import CHART",
        "Imports go down the list",
    ),
    (
        "support_chat/lifecycle/planted.py",
        "from ..runtime.calls import Call",
        "Imports go down the list",
    ),
)


@pytest.mark.parametrize(("file", "line", "contract"), PLANTED)
def test_a_module_that_slips_through_breaks_its_contract(
    file: str, line: str, contract: str, tmp_path: Path
) -> None:
    for package, folder in PACKAGES.items():
        shutil.copytree(
            folder / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    (tmp_path / file).write_text(f'"""Planted by a test."""\n{line}\n', "utf-8")
    result = lint_imports([tmp_path])
    assert result.returncode == 1, result.stdout + result.stderr
    assert any(contract in told and " BROKEN" in told for told in result.stdout.splitlines())
    assert file.removesuffix(".py").replace("/", ".") in result.stdout


def test_the_library_stands_on_attrs_transitions_and_the_standard_library_alone() -> None:
    graph = grimp.build_graph("support_chat", include_external_packages=True, cache_dir=None)
    outside = {module.split(".")[0] for module in graph.modules} - {"support_chat", "__future__"}
    outside -= {*sys.stdlib_module_names, "support_chat_adapters"}
    assert outside == {"attrs", "transitions", "hypothesis"}
    assert graph.find_modules_that_directly_import("support_chat_adapters") == {
        "support_chat.chart.model"
    }, "a chart that is asked for its picture"
    strategies = "support_chat.testing.strategies"
    assert graph.find_modules_that_directly_import("hypothesis") == {strategies}, (
        "the one exception, for tests of users"
    )
    assert graph.find_modules_that_directly_import(strategies) == set(), (
        "whoever wants it imports it"
    )


def test_importing_the_library_imports_no_adapter_no_drawing_no_checker_and_no_test_tool() -> None:
    unwanted = (
        "support_chat_adapters",
        "support_chat.testing",
        "support_chat.verify",
        "hypothesis",
        "pytest",
        "argparse",
        "sqlite3",
    )
    code = (
        "import sys, support_chat; print([name for name in sys.modules if "
        f"name.startswith({unwanted!r})])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"

"""In Pyodide, as in a page of a browser, whole sessions run, and what needs threads or sockets says
so. Pyodide is Python 3.14; here it runs on Node.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.metadata import distribution
from pathlib import Path

from node import MODULES, NODE, ROOT, needs_node

HERE = Path(__file__).parent


def copied(names: tuple[str, ...], folder: Path) -> Path:
    """These distributions, and nothing else of this environment."""
    for name in names:
        for file in distribution(name).files or ():
            if file.suffix == ".py":
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), folder / file)
    return folder


@needs_node("pyodide")
def test_sessions_run_in_pyodide_and_what_cannot_run_says_so(tmp_path: Path) -> None:
    assert NODE is not None
    needed = copied(("attrs", "transitions", "six"), tmp_path)
    folders = (ROOT / "statechart", ROOT / "adapters", needed)
    ran = subprocess.run(
        [NODE, HERE / "pyodide.cjs", HERE / "in_pyodide.py", *folders],
        env={**os.environ, "NODE_PATH": str(MODULES)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "12 trials passed in Pyodide" in ran.stdout, ran.stdout + ran.stderr

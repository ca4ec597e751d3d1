"""Node and the packages of npm that tests run on it, where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
INSTALL: Final = "npm install --no-save --prefix .venv $(cat .ci/npm)"
MODULES: Final = Path(os.environ.get("NODE_PATH") or Path(sys.prefix) / "node_modules")
"""Where the packages of `.ci/npm` lie."""
NODE: Final = shutil.which("node")


def needs_node(*packages: str) -> pytest.MarkDecorator:
    """For tests that run Node with these packages; says how to install what is missing."""
    missing = [name for name in packages if not (MODULES / name).is_dir()]
    return pytest.mark.skipif(
        NODE is None or bool(missing), reason=f"needs Node and {', '.join(packages)}: {INSTALL}"
    )


def laid(folder: Path, *files: Path) -> Path:
    """A folder in which these modules find one another and the packages."""
    for file in files:
        shutil.copy(file, folder)
    (folder / "node_modules").symlink_to(MODULES)
    return folder


def node(script: Path, *arguments: object, limit: float = 300) -> subprocess.CompletedProcess[str]:
    """A run of a script where it lies; packages warn of what they do not like, as they do to
    developers.
    """
    assert NODE is not None
    command = [NODE, "--conditions=development", str(script), *map(str, arguments)]
    return subprocess.run(
        command, cwd=script.parent, capture_output=True, encoding="utf-8", timeout=limit
    )

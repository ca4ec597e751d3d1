"""What each run of this suite promises can fail: a limit for each test, nothing left behind, and
any order.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"
# neither a cache nor a second's import for nothing
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:schemathesis")
CONFTEST = 'pytest_plugins = ("any_order", "leftovers", "limits")\n'


def ran(folder: Path, conftest: str, tests: str, *options: str) -> tuple[int, str]:
    """How a run of these tests ended, and what it said."""
    (folder / "conftest.py").write_text(CONFTEST + conftest, "utf-8")
    (folder / "test_it.py").write_text(tests, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *WITHOUT, "-v", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TOOLS), "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout


def ended(process: Path) -> None:
    """Waits for the end of a process that was killed; whoever inherited it may not have looked."""
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        try:
            if ") Z " in (process / "stat").read_text("utf-8"):
                return
        except OSError:
            return
        time.sleep(0.01)
    raise AssertionError(f"{process} has not ended")


def test_a_test_that_hangs_fails_where_it_hangs_and_the_next_one_runs(tmp_path: Path) -> None:
    code, said = ran(
        tmp_path,
        "import limits\nlimits.seconds = lambda: 0.2\n",
        "import threading\ndef test_hangs(): threading.Event().wait()\ndef test_next(): pass\n",
    )
    assert code == 1
    assert "1 failed, 1 passed" in said
    assert "threading.Event().wait()" in said
    assert "has not ended within 0.2 s" in said


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "in a worker"])
def test_a_test_that_cannot_be_failed_ends_its_process_and_shows_every_stack(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    code, said = ran(
        tmp_path,
        "import limits\nlimits.seconds, limits._PATIENCE = (lambda: 0.2), 0.5\n",
        "import time\n"
        "def test_deaf():\n"
        "    while True:\n"
        "        try:\n"
        "            time.sleep(60)\n"
        "        except BaseException:\n"
        "            pass\n",
        *workers,
    )
    assert code == 1
    assert re.search(r'test_it.py", line [5-7] in test_deaf', said), said
    if workers:
        assert "crashed while running" in said


def test_a_process_that_is_left_is_ended_and_fails_the_run_and_its_test_is_named(
    tmp_path: Path,
) -> None:
    code, said = ran(
        tmp_path,
        "import leftovers\nleftovers._PATIENCE = 0.1\n",
        "import subprocess\n"
        "class Left: started = None\n"
        "def test_leaves(): Left.started = subprocess.Popen(['sleep', '1000'])\n"
        "def test_ends(): subprocess.run(['true'], check=True)\n",
        "-n1",
    )
    assert code == 1
    assert "2 passed" in said
    left = re.search(r"sleep 1000 \(pid (\d+)\), .*::test_leaves", said)
    assert left, said
    ended(Path(f"/proc/{left[1]}"))


def test_temporary_files_lie_in_a_folder_of_the_run(tmp_path: Path) -> None:
    code, said = ran(
        tmp_path,
        "",
        "import subprocess, sys, tempfile\n"
        "def test_here(tmp_path_factory):\n"
        "    folder = str(tmp_path_factory.getbasetemp())\n"
        "    assert tempfile.gettempdir().startswith(folder)\n"
        "    code = 'import tempfile; print(tempfile.gettempdir())'\n"
        "    there = subprocess.check_output([sys.executable, '-c', code], text=True)\n"
        "    assert there.startswith(folder)\n",
    )
    assert code == 0, said


def test_a_seed_is_an_order_of_its_own_and_the_same_each_time(tmp_path: Path) -> None:
    tests = "".join(f"def test_{number}(): pass\n" for number in range(9))

    def order(*options: str) -> list[str]:
        code, said = ran(tmp_path, "", tests, *options)
        assert code == 0, said
        return re.findall(r"::test_(\d) PASSED", said)

    usual, seven = order(), order("--order-seed=7")
    assert usual == sorted(usual)
    assert seven != usual
    assert sorted(seven) == usual
    assert order("--order-seed=7") == seven


def test_a_module_of_a_test_is_not_the_one_that_the_next_test_gets(tmp_path: Path) -> None:
    code, said = ran(
        tmp_path,
        "",
        "import sys\nimport pytest\n"
        "@pytest.mark.parametrize('number', [1, 2])\n"
        "def test_its_own(number, tmp_path):\n"
        "    (tmp_path / 'shop.py').write_text(f'NUMBER = {number}')\n"
        "    sys.path.insert(0, str(tmp_path))\n"
        "    import shop\n"
        "    assert shop.NUMBER == number\n",
    )
    assert (code, "2 passed" in said) == (0, True), said

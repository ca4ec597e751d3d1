"""The page about the fault proxy is run as it stands, against a real `serve`; its table has every
fault.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

from served import served
from support_chat_adapters import wire_faults

PAGE = (Path(__file__).parents[2] / "docs/test-on-a-bad-network.md").read_text("utf-8")


def test_the_program_of_the_page_prints_what_the_page_shows(tmp_path: Path) -> None:
    [(program, shown)] = re.findall(
        r"^```python\n(.*?)^```\n```text\n(.*?)^```$", PAGE, re.S | re.M
    )
    with served(tmp_path) as server:
        assert "http://127.0.0.1:8787" in program
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-c",
                program.replace("http://127.0.0.1:8787", server.url),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.stderr, done.stdout) == ("", shown)


def test_the_table_has_every_fault_as_it_is_made() -> None:
    made = re.findall(r"^\| `(.*?)` \|", PAGE, re.M)
    faults = [eval(code, vars(wire_faults).copy()) for code in made]
    assert {type(fault) for fault in faults} == set(get_args(wire_faults.Fault))


def test_the_methods_that_are_mentioned_exist() -> None:
    methods = set(re.findall(r"`(?:await\nproxy\.)?([a-z_]+)\(", PAGE)) - {"random_faults"}
    assert len(methods) >= 6
    for method in methods:
        assert hasattr(wire_faults.FaultProxy, method), method

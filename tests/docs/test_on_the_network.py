"""The page about the network is run as it stands, against a real `serve`; its table names extras
and classes that exist.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from served import served

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/on-the-network.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
HOMES = (
    "support_chat_adapters.storage",
    "support_chat_adapters.transport",
    "support_chat_adapters.tokens",
)


def test_the_session_of_the_page_runs_against_a_real_backend(tmp_path: Path) -> None:
    [program] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    with served(tmp_path) as server:
        assert "http://127.0.0.1:8787" in program
        script = tmp_path / "page.py"
        script.write_text(program.replace("http://127.0.0.1:8787", server.url), "utf-8")
        environment = {**os.environ, "CHAT_TOKEN": server.token("ada")}
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "['My export is empty.']\n"
        with server.backend() as backend:
            [conversation] = backend.agent.conversations()
            assert (conversation.messages, conversation.unread) == (1, 0)


def test_every_extra_and_every_class_that_the_page_names_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]
    named = set(re.findall(r"support-chat\[([a-z-]+)\]", PAGE))
    assert len(named) >= 7
    assert named <= set(extras)
    rows = re.findall(r"^\|[^|]*\|[^|]*\|(.*)\|$", PAGE, re.MULTILINE)
    classes = {name for row in rows for name in re.findall(r"`([A-Z]\w+)\(", row)}
    assert len(classes) >= 7
    for name in classes:
        assert any(hasattr(importlib.import_module(home), name) for home in HOMES), name


def test_the_terminals_of_the_readme_are_those_of_the_two_terminals_test(tmp_path: Path) -> None:
    """What the README types is what `tests/chat/test_two_terminals.py` types, but for the port and
    the folder.
    """
    commands = re.findall(r"^(support-chat (?:serve|chat|reply)[^\n]*)$", README, re.MULTILINE)
    assert commands == [
        "support-chat serve",
        "support-chat chat --url http://127.0.0.1:8787",
        'support-chat reply "We are back in a minute."',
    ]
    screen = re.search(r"<!-- the client's screen -->\n```text\n(.*?)```", README, re.DOTALL)
    assert screen is not None
    played = (ROOT / "tests/chat/test_two_terminals.py").read_text("utf-8")
    for told in (
        "reconnecting: the connection is lost; trying again",
        "back after",
        "(missed while away)",
    ):
        assert told in screen[1]
        assert told in played

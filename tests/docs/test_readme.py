"""The README is run as its readers run it: every Python snippet in order, every link followed,
every command asked for its help.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from async_tests import in_virtual_time
from support_chat import SupportChat
from support_chat_adapters.backend import Backend
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
COMMANDS = sorted(set(re.findall(r"[`/]support-chat ([a-z]+)", README)))
LINKS = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", README)


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_snippet_runs_one_after_the_other_in_an_empty_folder(tmp_path: Path) -> None:
    assert len(SNIPPETS) >= 3
    story = tmp_path / "readme.py"
    story.write_text("\n\n".join(SNIPPETS), "utf-8")
    done = run(["-W", "error", str(story)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-4:] == [
        "booting -> anonymous",
        "anonymous -> authenticated",
        "authenticated -> shutdown",
        "shutdown -> destroyed",
    ]


@in_virtual_time
async def test_the_chat_screen_shows_what_is_said_while_links_break(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names: dict[str, Any] = {"asyncio": asyncio, "SupportChat": SupportChat}
    source = next(snippet for snippet in SNIPPETS if "def screen" in snippet)
    assert len([line for line in source.splitlines() if line.strip()]) <= 20
    exec(compile(source, "README.md", "exec", dont_inherit=True), names)
    with Backend(workspace_id="acme", widget_id="help") as backend:

        async def typed() -> AsyncIterator[str]:
            yield "Hello?"
            await asyncio.sleep(1)
            [conversation] = backend.agent.conversations()
            backend.faults.drop_links()
            backend.agent.reply(conversation.id, "How can I help?")
            yield "My export is empty."
            yield "It was not yesterday."
            await asyncio.sleep(60)

        async with SupportChat(
            workspace_id="acme",
            widget_id="help",
            transport=LoopbackTransport(backend),
            storage=MemoryStorage(),
        ) as chat:
            await chat.boot()
            await names["screen"](chat, typed())
            assert chat.unread == 0
    assert capsys.readouterr().out.splitlines() == [
        "visitor: Hello?",
        "agent: How can I help?",
        "visitor: My export is empty.",
        "visitor: It was not yesterday.",
    ]


def test_the_table_of_calls_is_the_generated_one() -> None:
    shown = re.search(r"<!-- calls -->\n(.*?)<!-- /calls -->", README, re.DOTALL)
    assert shown is not None
    generated = (ROOT / "diagrams" / "calls.md").read_text("utf-8")
    table = [line for line in generated.splitlines() if line.startswith("|")]
    assert shown[1].splitlines() == table, (
        "paste the table of diagrams/calls.md between the calls marks"
    )


def test_the_tests_of_a_minute_are_there() -> None:
    shown = re.search(r"<!-- tests of a minute -->\n```sh\n\S+/pytest (.*)\n```", README)
    assert shown is not None
    folders = [word for word in shown[1].split() if word.startswith("tests")]
    assert folders
    assert all((ROOT / folder).is_dir() for folder in folders), folders


@pytest.mark.parametrize("link", LINKS)
def test_every_link_leads_somewhere(link: str) -> None:
    assert link.startswith("https://") or (ROOT / link).exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_exists_and_has_a_help(command: str, tmp_path: Path) -> None:
    done = run(
        [
            "-c",
            "import sys; from support_chat_adapters.cli import main; sys.exit(main())",
            command,
            "--help",
        ],
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert f"{command} [-h]" in done.stdout

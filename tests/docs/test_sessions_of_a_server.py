"""The page about the sessions of a server is run as it stands: by `uvicorn` in processes of its
own, in front of a real `serve`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

import attrs
import httpx2
import pytest

from served import Served, served
from support_chat import SignedIn
from support_chat_adapters.storage import SQLiteStorage

PAGE = (Path(__file__).parents[2] / "docs/sessions-of-a-server.md").read_text("utf-8")
[PROGRAM] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
[COMMAND] = re.findall(r"<!-- terminal -->\n```sh\n(.*?)\n```", PAGE)

LIMIT = 60.0


@attrs.frozen
class Site:
    """A process that serves the page."""

    url: str
    process: subprocess.Popen[str]

    def browser(self, cookie: str | None = "one", **headers: str) -> httpx2.Client:
        cookies = None if cookie is None else {"browser": cookie}
        return httpx2.Client(base_url=self.url, cookies=cookies, headers=headers, timeout=LIMIT)

    def say(self, text: str, cookie: str = "one", **headers: str) -> httpx2.Response:
        with self.browser(cookie, **headers) as browser:
            return browser.post("/say", content=text).raise_for_status()


@contextlib.contextmanager
def site(folder: Path, backend: Served) -> Generator[Site, None, None]:
    """The page, served by the command that it names; but for its socket, which listens already."""
    (folder / "page.py").write_text(PROGRAM, "utf-8")
    environment = {**os.environ, "CHAT_URL": backend.url, "CHAT_SECRET": backend.secret}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]
        options = [f"--fd={fd}", "--log-level=warning"]
        process = subprocess.Popen(
            [sys.executable, "-m", *COMMAND.split(), *options],
            cwd=folder,
            env=environment,
            pass_fds=[fd],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Site(f"http://127.0.0.1:{port}", process)
    finally:
        process.kill()
        process.communicate()


def stored(folder: Path) -> Sequence[str]:
    """What the page's storage holds."""

    async def keys() -> Sequence[str]:
        storage = SQLiteStorage(folder / "visitors.db")
        try:
            return await storage.keys()
        finally:
            await storage.aclose()

    return asyncio.run(keys())


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, -15), (signal.SIGINT, 0)])
def test_a_browser_talks_hears_and_the_server_ends_while_it_listens(
    number: int, status: int, tmp_path: Path
) -> None:
    with served(tmp_path) as backend, site(tmp_path, backend) as shop:
        answer = shop.say("Where is my parcel?")
        with shop.browser() as browser, browser.stream("GET", "/events") as stream:
            lines = stream.iter_lines()
            assert next(lines) == ": from now on"
            backend.reply(answer.json()["conversation"], "On its way.")
            assert next(line for line in lines if line.startswith("data")) == 'data: "On its way."'
            shop.process.send_signal(number)
            assert [line for line in lines if line] == [], "the response ends as it should"
        told, _ = shop.process.communicate(timeout=LIMIT)
        assert (told, shop.process.returncode) == ("", status), "as uvicorn ends"


def test_one_browser_in_three_processes_is_one_visitor_and_one_user(tmp_path: Path) -> None:
    with served(tmp_path) as backend, contextlib.ExitStack() as stack:
        shops = [stack.enter_context(site(tmp_path, backend)) for _ in range(3)]
        for turn, shop in enumerate(shops * 2):
            shop.say(f"As nobody, {turn}")
        assert len(stored(tmp_path)) == 1
        for turn, shop in enumerate(shops * 2):
            shop.say(f"As Ada, {turn}", **{"x-user": "ada"})
        with backend.backend() as opened:
            everybodys = opened.agent.conversations()
            adas = opened.agent.conversations(SignedIn("ada"))
        assert adas == everybodys
        assert sum(each.messages or 0 for each in adas) == 12


def test_who_sends_no_cookie_is_nobody_to_the_storage_and_to_the_backend(tmp_path: Path) -> None:
    with served(tmp_path) as backend, site(tmp_path, backend) as shop:
        for _ in range(50):
            with shop.browser(None) as robot:
                assert "browser" in robot.get("/").raise_for_status().cookies
        with backend.backend() as opened:
            assert not opened.agent.conversations()
        assert not stored(tmp_path)

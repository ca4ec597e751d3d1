"""A page in a real browser, Chromium without a window, where it is installed: what the page makes
of its scripts.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium: apt-get install chromium"
)
FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
    "--disable-sync", "--disable-breakpad", "--disable-crash-reporter",
)  # fmt: skip
"""It asks nothing of the network, and needs none of a desktop."""
PATIENCE: Final = 120.0
"""Seconds a page has to come to its answer."""


class _Files(SimpleHTTPRequestHandler):
    """The files of a folder, and a place for the answer."""

    def __init__(self, answer: _Answer, *args: Any, **options: Any) -> None:
        self.answer = answer
        super().__init__(*args, **options)

    def do_POST(self) -> None:
        self.answer.text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(204)
        self.end_headers()
        self.answer.came.set()

    def log_message(self, format: str, *args: Any) -> None:  # it would go to standard error
        pass


class _Answer:
    def __init__(self) -> None:
        self.text = ""
        self.came = threading.Event()


def answered(folder: Path, script: str) -> Any:
    """What a module in a page of this folder, served over HTTP, returns: `script` is the body of an
    asynchronous function.
    """
    page = f"""<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body><script
    type="module">
    let answer;
    try {{ answer = {{ came: await (async () => {{ {script} }})() }}; }}
    catch (error) {{ answer = {{ failed: String(error.stack ?? error) }}; }}
    await fetch("/", {{ method: "POST", body: JSON.stringify(answer) }});
    </script>"""
    (folder / "page.html").write_text(page, "utf-8")
    answer = _Answer()
    with (
        ThreadingHTTPServer(
            ("127.0.0.1", 0), partial(_Files, answer, directory=str(folder))
        ) as server,
        _browser(f"http://127.0.0.1:{server.server_port}/page.html", folder / "profile"),
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        came = answer.came.wait(PATIENCE)
        server.shutdown()
    assert came, f"no answer in {PATIENCE:.0f} s"
    told = json.loads(answer.text)
    assert "failed" not in told, told["failed"]
    return told["came"]


@contextmanager
def _browser(address: str, profile: Path) -> Generator[None, None, None]:
    assert CHROMIUM is not None
    running = subprocess.Popen(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(running.pid, signal.SIGKILL)  # with all that it has started
        running.wait()

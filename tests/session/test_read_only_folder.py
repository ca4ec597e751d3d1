"""A storage in a folder that may not be written to: a typed error that says what to do, and the
session stays where it was.

Root may write anywhere, so the session runs in a process of its own that gives up its rights once
everything is imported.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPT = """
import asyncio, json, os, sqlite3, sys
from support_chat import SupportChat, SupportChatError
from support_chat.testing import RecordingTransport
from support_chat_adapters.storage import SQLiteStorage

if os.getuid() == 0:
    os.setgroups([])
    os.setuid(65534)

async def main():
    storage = SQLiteStorage(sys.argv[1] + "/chat.db")
    transport = RecordingTransport()
    chat = SupportChat(
        workspace_id="ws_1", widget_id="wgt_1", transport=transport, storage=storage
    )
    told = []
    for call in (chat.load, chat.boot):
        try:
            await call()
        except SupportChatError as error:
            told.append([type(error).__name__, str(error), str(chat.state)])
    await chat.destroy()
    await storage.aclose()
    print(json.dumps(told))

asyncio.run(main())
"""


def test_a_read_only_folder_is_a_storage_error_that_says_what_to_do() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, folder],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        left = list(Path(folder).iterdir())
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [(name, state) for name, _, state in told] == [("StorageError", "not_initialized")] * 2
    for _, message, _ in told:
        assert "chat.db" in message
        assert "Make its folder writable" in message
    assert left == []

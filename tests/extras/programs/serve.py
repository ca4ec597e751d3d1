"""`support-chat serve`, from an environment that has no client: asked with the standard library."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from typing import Any

COMMAND = f"{os.environ['BIN']}/support-chat"


def ask(url: str, payload: Any = None, session: str | None = None) -> Any:
    """An answer of the Widget API."""
    request = urllib.request.Request(
        url, data=None if payload is None else json.dumps(payload).encode()
    )
    if session is not None:
        request.add_header("Authorization", f"Bearer {session}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


with subprocess.Popen(
    [COMMAND, "serve", "--json", "--port=0"], stdout=subprocess.PIPE, text=True
) as server:
    assert server.stdout is not None
    api = json.loads(server.stdout.readline())["url"] + "/widget/v1"
    visitor = {"workspaceId": "demo", "widgetId": "web", "visitor": "a-secret-of-128-bits-or-more"}
    opened = ask(f"{api}/sessions/anonymous", visitor)
    begun = ask(
        f"{api}/conversations", {"message": "Hello", "clientMessageId": "one"}, opened["session"]
    )
    subprocess.run([COMMAND, "reply", "Hello!"], check=True, capture_output=True)
    polled = ask(f"{api}/realtime?cursor={opened['cursor']}&wait=5", session=opened["session"])
    assert [frame["message"]["text"] for frame in polled["frames"]] == ["Hello!"], polled
    assert begun["conversation"]["messages"] == 1
    subprocess.run([COMMAND, "token", "--user", "ada"], check=True, capture_output=True)
    server.send_signal(signal.SIGINT)
assert server.returncode == 0, server.returncode
print("served, answered and stopped")

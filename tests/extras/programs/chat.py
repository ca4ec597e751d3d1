"""`support-chat chat`, piped, with a backend that another environment serves."""

from __future__ import annotations

import json
import os
import subprocess

said = subprocess.run(
    [
        f"{os.environ['BIN']}/support-chat",
        "chat",
        "--json",
        "--memory",
        "--url",
        os.environ["URL"],
        "--user",
        "ada",
        "--db",
        os.environ["DB"],
    ],
    input="Is it plugged in?\n",
    capture_output=True,
    text=True,
    check=False,
    timeout=60,
)
assert said.returncode == 0, said
events = [json.loads(line) for line in said.stdout.splitlines()]
assert "message_sent" in [event.get("type") for event in events], events
print("a message was sent from a pipe")

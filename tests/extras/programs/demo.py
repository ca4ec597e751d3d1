"""`support-chat demo`."""

from __future__ import annotations

import os
import subprocess

said = subprocess.run(
    [f"{os.environ['BIN']}/support-chat", "demo", "--plain"],
    capture_output=True,
    text=True,
    check=False,
    timeout=120,
)
assert said.returncode == 0, said
print("the demo ran to its end")

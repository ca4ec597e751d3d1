"""The test tools that stand on hypothesis and pytest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from hypothesis import given

from support_chat import SupportChat
from support_chat.testing import RecordingStorage, RecordingTransport, run, strategies

boots = 0


@given(strategies.boot_options())
def check(options: dict[str, object]) -> None:
    global boots
    boots += 1

    async def main() -> None:
        async with SupportChat(
            workspace_id="w",
            widget_id="w",
            transport=RecordingTransport(),
            storage=RecordingStorage(),
        ) as chat:
            await chat.boot(**options)  # type: ignore[arg-type]

    run(main())


check()
TEST = """
from support_chat import SupportChat
from support_chat.testing import RecordingStorage, RecordingTransport, run

def test_a_boot():
    async def main():
        async with SupportChat(
            workspace_id="w",
            widget_id="w",
            transport=RecordingTransport(),
            storage=RecordingStorage(),
        ) as chat:
            await chat.boot()
    run(main())
"""
Path("test_coverage.py").write_text(TEST)
said = subprocess.run(
    [sys.executable, "-m", "pytest", "-q", "--chart-cov"],
    capture_output=True,
    text=True,
    check=False,
    env=os.environ,
)
fired = re.search(r"(\d+) of \d+ transitions fired", said.stdout)
assert fired is not None, said
assert int(fired[1]) > 5, said
print(f"{boots} boots of options that a strategy made, and a chart's coverage")

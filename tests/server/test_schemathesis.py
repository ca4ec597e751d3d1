"""The served backend is what its OpenAPI document says: Schemathesis sends it what the document
allows and what it forbids.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

from hypothesis import settings

from served import served
from support_chat_adapters.transport.wire.endpoints import ENDPOINTS

EXAMPLES = settings.default.max_examples // 10 if settings.default else 10
"""How many requests each operation gets in each phase: 10 in CI, 200 in a nightly run."""
SEED = (
    "20260401" if settings.default is None or settings.default.derandomize else os.urandom(4).hex()
)
"""The same requests in CI each time, others every night; what is found is printed with its seed."""


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(
        resources.files("support_chat_adapters.transport.wire")
        .joinpath("openapi.json")
        .read_text("utf-8"),
        encoding="utf-8",
    )
    with served(tmp_path, "--opens-per-minute=0", "--requests-per-minute=0") as backend:
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            str(document),
            f"--url={backend.url}",
            "--checks=all",
            "--phases=examples,coverage,fuzzing,stateful",
            f"--max-examples={EXAMPLES}",
            f"--seed={int(SEED, 16)}",
            "--continue-on-failure",
            "--warnings=off",
            "--no-color",
        ]
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            "SERVED_URL": backend.url,
            "SERVED_KEY_FILE": f"{backend.db}.key",
            "PYTHONPATH": str(Path(__file__).parents[1] / "tools"),
        }
        ran = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=3600
        )

    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-5_000:]
    assert re.search(r"Tested: 15\b", ran.stdout), ran.stdout
    assert "Traceback" not in backend.log.read_text("utf-8")
    done = set(re.findall(r" (GET|POST) (/\S+) 20[04] ", backend.log.read_text("utf-8")))
    assert done == {(one.method, one.path) for one in ENDPOINTS}, (
        "not every operation was ever done"
    )

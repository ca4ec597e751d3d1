"""Each extra alone: installed from the wheel into a fresh environment, where its adapter passes its
suite. Not a pytest test.

    python tests/extras/alone.py dist/support_chat-*.whl            all of them
    python tests/extras/alone.py dist/support_chat-*.whl redis      one

What runs in an environment is the program of that name in `programs/`. The other side (a Redis
server, a served backend, a Secret Service) is started from here, so that no environment holds more
than its extra. Exit status 0 if all pass, 1 if one does not.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from postgres_server import postgres_server
from redis_server import redis_server
from served import served

EXTRAS: Final = (
    "",
    "file",
    "redis",
    "postgres",
    "keyring",
    "http",
    "widget-api",
    "backend",
    "serve",
    "chat",
    "demo",
    "testing",
)
"""The extras that users install; the empty one is the bare distribution."""
PROGRAMS: Final = Path(__file__).parent / "programs"
SECRET_SERVICE: Final = (
    "dbus-run-session",
    "--",
    "sh",
    "-c",
    'printf pass | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec "$0" "$@"',
)
"""Runs what follows beside a real Secret Service: `apt-get install gnome-keyring dbus-daemon`
brings it.
"""


def alone(extra: str, wheel: Path, folder: Path, world: Mapping[str, str]) -> tuple[bool, str]:
    """Whether the extra works alone, and what its program said."""
    home = folder / (extra or "bare")
    venv.create(home / "env", with_pip=True)
    python = str(home / "env/bin/python")
    requirement = f"{wheel}[{extra}]" if extra else str(wheel)
    said = _run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
        home,
        world,
    )
    if said.returncode == 0:
        command = [python, "-I", str(PROGRAMS / f"{(extra or 'bare').replace('-', '_')}.py")]
        said = _run([*SECRET_SERVICE, *command] if extra == "keyring" else command, home, world)
    return said.returncode == 0, said.stdout


def _run(
    command: Sequence[str], home: Path, world: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        **world,
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "BIN": str(home / "env/bin"),
    }
    return subprocess.run(
        command,
        env=environment,
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )


def main(wheel: Path, extras: Sequence[str]) -> int:
    """Tries each extra, two at a time; tells the outcome of each."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="extras-")))
        server = stack.enter_context(
            served(folder, "--opens-per-minute=0", "--requests-per-minute=0")
        )
        world = {
            "SUPPORT_CHAT": str(Path(sys.executable).with_name("support-chat")),
            "URL": server.url,
            "DB": str(server.db),
            "POSTGRES_URL": stack.enter_context(postgres_server("-c fsync=off")).create("chat"),
            "REDIS_URL": stack.enter_context(redis_server()),
        }
        with ThreadPoolExecutor(2) as pool:
            outcomes = list(
                pool.map(partial(alone, wheel=wheel, folder=folder, world=world), extras)
            )
    for extra, (passed, said) in zip(extras, outcomes, strict=True):
        print(f"[{extra}] {said.strip().splitlines()[-1] if passed else 'FAILED'}")
        if not passed:
            print(said)
    return 0 if all(passed for passed, _ in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:] or EXTRAS))

"""A client of the former version at this server, and one of this version at the former server: each
does all that both can, and is told of nothing that it would misread.

The former version is the one of a commit, taken out of this repository's history.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

ROOT: Final = Path(__file__).parents[2]
FORMER: Final = "b8a180f6d72fb65e3b3acc41b27dce8cb7002e34"
"""The last commit whose clients knew no echoes, no owner and no end of a visitor."""
CLIENT: Final = ROOT / "tests" / "tools" / "either_client.py"
LIMIT: Final = 90.0
"""Seconds that a process may take, on a machine however busy."""
USER: Final = "Ann@Example.COM"
_MAIN: Final = "from support_chat_adapters.cli import main; raise SystemExit(main())"


@attrs.frozen
class Version:
    """A version of the library, by the folder of its sources."""

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        """`support-chat` of this version."""
        return [sys.executable, "-c", _MAIN, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """In which a Python imports this version."""
        packages = os.pathsep.join(str(self.folder / name) for name in ("statechart", "adapters"))
        return {**os.environ, "PYTHONPATH": packages}

    def run(self, *arguments: str) -> str:
        """What a command of this version prints."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        ).stdout


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """The former version, from this repository's history."""
    git = shutil.which("git")
    wanted = ["archive", "--format=tar", FORMER, "statechart", "adapters"]
    found = git and subprocess.run([git, *wanted], cwd=ROOT, capture_output=True, timeout=LIMIT)
    if not found or found.returncode:
        pytest.skip(f"needs the commit {FORMER}: git fetch --unshallow")
    folder = tmp_path_factory.mktemp("former")
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        if hasattr(tarfile, "data_filter"):  # not in Debian's 3.11.2
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(folder)
    return Version(folder)


@contextmanager
def process(
    version: Version, command: list[str], folder: Path
) -> Generator[subprocess.Popen[str], None, None]:
    """A process of this version; it is killed at the end, or at the limit."""
    with (folder / "complaints.log").open("a") as complaints:
        one = subprocess.Popen(
            command,
            env=version.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
    limit = threading.Timer(LIMIT, one.kill)
    limit.start()
    try:
        yield one
    finally:
        limit.cancel()
        one.kill()
        one.wait()
        for pipe in (one.stdin, one.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError), closing(pipe):
                    pass


def line_of(one: subprocess.Popen[str], folder: Path) -> dict[str, Any]:
    """The next line of JSON that a process prints."""
    assert one.stdout is not None
    line = one.stdout.readline()
    assert line, (folder / "complaints.log").read_text()[-3000:]
    return dict(json.loads(line))


def life(client: Version, server: Version, way: str, folder: Path) -> dict[str, Any]:
    """The whole life of a client of one version at a server of the other: all that it says."""
    db = f"--db={folder / 'chat.db'}"
    serving = server.command("serve", "--json", db, "--port=0")
    with process(server, serving, folder) as served:
        url = line_of(served, folder)["url"]
        token = server.run("token", db, f"--user={USER}").split()[-1]
        asking = [sys.executable, str(CLIENT), url, way, USER, token]
        with process(client, asking, folder) as one:
            assert one.stdin is not None

            def then(act: Callable[[], object]) -> None:
                act()
                assert one.stdin is not None
                one.stdin.write("go on\n")
                one.stdin.flush()

            said = line_of(one, folder)
            named = said["conversation"]
            then(lambda: server.run("reply", db, f"--conversation={named}", "coming"))
            said |= line_of(one, folder)
            said |= line_of(one, folder)
            then(lambda: server.run("reply", db, f"--user={USER}", "to the user"))
            said |= line_of(one, folder)
            said |= line_of(one, folder)
            return said


@pytest.mark.parametrize("way", ["websocket", "polls"])
@pytest.mark.parametrize("side", ["the client", "the server"])
def test_one_side_may_be_of_the_former_version(
    former: Version, side: str, way: str, tmp_path: Path
) -> None:
    present = Version(ROOT)
    client, server = (former, present) if side == "the client" else (present, former)
    said = life(client, server, way, tmp_path)
    assert (said["unread"], said["read"], said["count"]) == (1, 0, 3)
    assert (said["merged"], said["author"], said["listed"]) == (True, "user", 1)
    assert said["anew"] == 0, "after a sign-out there is a new visitor"
    assert said["received"] == ["coming", "to the user"], "nobody's own, and each once"
    assert said["sent"] == ["hello", "and more", "as the user"]
    assert said["other"] == ["hello", "and more", "coming"]


def test_a_database_of_the_former_version_is_served_on(former: Version, tmp_path: Path) -> None:
    present, db = Version(ROOT), f"--db={tmp_path / 'chat.db'}"
    for version in (former, present):
        said = life(version, version, "websocket", tmp_path)
        assert said["received"] == ["coming", "to the user"]
    kept = json.loads(present.run("export-person", db, f"--user={USER}"))
    assert len(kept["conversations"]) == 2

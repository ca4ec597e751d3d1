"""`support-chat chat` for pipes: a line in is a message or a command, lines of text or of JSON come
out; real processes.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import attrs
import pytest

from loopback_arrangement import WIDGET
from served import Served, served
from support_chat.errors import BackendRejectedError
from support_chat_adapters.backend import Backend
from support_chat_adapters.chat.desk import Person
from support_chat_adapters.chat.person import from_text
from support_chat_adapters.chat.piped import PipedShell
from support_chat_adapters.chat.run import chat
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

PROGRAM = "from support_chat_adapters.cli import main; raise SystemExit(main())"


@attrs.define(eq=False)
class Client:
    """A client whose standard streams are pipes."""

    process: subprocess.Popen[str]

    def says(self, line: str) -> None:
        """Writes a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def until(self, kind: str, **fields: object) -> dict[str, Any]:
        """Reads JSON up to the first of this type with these fields."""
        assert self.process.stdout is not None
        seen: list[str] = []
        for line in self.process.stdout:
            seen.append(line)
            told: dict[str, Any] = json.loads(line)
            if told["type"] == kind and all(told[name] == value for name, value in fields.items()):
                return told
        raise AssertionError(f"no {kind} {fields} in:\n{''.join(seen)}")

    def rest(self) -> tuple[int, str]:
        """Closes its input and waits for its end: its exit status, and what it still wrote."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        told = self.process.stdout.read()
        return self.process.wait(timeout=60), told


@contextmanager
def client(folder: Path, *options: str) -> Generator[Client, None, None]:
    """A client that is killed at the end, and after a minute: a test that waits for what never
    comes fails then.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "chat", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        yield Client(process)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()
        watchdog.join()


def once(folder: Path, said: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A client that is given all its input at once."""
    command = [sys.executable, "-c", PROGRAM, "chat", *options]
    return subprocess.run(
        command, input=said, capture_output=True, text=True, timeout=60, cwd=folder, check=False
    )


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served, None, None]:
    with served(tmp_path_factory.mktemp("served")) as one:
        yield one


@pytest.mark.parametrize("user", [None, "ada"])
def test_a_program_sees_the_server_go_and_come_back_with_what_was_missed(
    user: str | None, tmp_path: Path
) -> None:
    with served(tmp_path) as server:
        identity = [] if user is None else [f"--user={user}", f"--db={server.db}"]
        phase = "anonymous" if user is None else "authenticated"
        with client(tmp_path, f"--url={server.url}", "--json", "--memory", *identity) as c:
            c.until("phase_changed", current=phase)
            c.says("Where do I export?")
            sent = c.until("message_sent")["message"]
            assert sent["text"] == "Where do I export?"
            server.kill()
            c.until("phase_changed", current="reconnecting")
            c.says("Hello?")
            failed = c.until("message_failed")
            with server.backend() as data:
                data.agent.reply(sent["conversation_id"], "Under Settings.")
            server.start()
            c.until("phase_changed", current=phase, previous="reconnecting")
            assert c.until("message_received")["message"]["text"] == "Under Settings."
            c.says("/retry")
            retried = c.until("message_sent")["message"]
            assert retried["client_message_id"] == failed["client_message_id"]
            assert retried["conversation_id"] == sent["conversation_id"]
            assert c.until("command_done", command="retry")["sent"] == 1
            status, rest = c.rest()
        assert status == 0
        assert "Under Settings." not in rest
        with server.backend() as data:
            texts = [message.text for message in data.agent.messages(sent["conversation_id"])]
        assert texts == ["Where do I export?", "Under Settings.", "Hello?"]


def test_a_message_by_pipe_is_sent_before_the_client_leaves(
    backend: Served, tmp_path: Path
) -> None:
    done = once(tmp_path, "one\ntwo\n/list\n", f"--url={backend.url}", "--memory")
    assert (done.returncode, done.stderr) == (0, "")
    shown = [line[10:] for line in done.stdout.splitlines()]
    assert shown[:2] == [f"·      booting: looking for {backend.url}", "·      anonymous: live"]
    assert shown[3:5] == ["you    one", "you    two"]
    assert ": 2 messages, 0 unread" in shown[5]
    assert "\x1b" not in done.stdout


def test_letters_that_a_pipe_does_not_know_end_nothing(backend: Served, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, "chat", f"--url={backend.url}", "--memory"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        command,
        input="caf\xe9\nbye\n".encode(),
        capture_output=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode("ascii").splitlines()
    assert "caf??" in shown[-2]
    assert shown[-1].endswith("you    bye")


def test_a_visitor_kept_in_a_file_is_the_same_at_the_next_start_and_another_in_another_scope(
    backend: Served, tmp_path: Path
) -> None:
    def identity(*options: str) -> object:
        done = once(
            tmp_path, "", f"--url={backend.url}", "--json", "--storage=visitor.json", *options
        )
        assert (done.returncode, done.stderr) == (0, "")
        return next(
            told["identity"]
            for line in done.stdout.splitlines()
            if (told := json.loads(line))["type"] == "ready"
        )

    first = identity()
    assert identity() == first
    assert identity("--scope=two") != first


def test_the_default_scope_keeps_backends_apart(backend: Served, tmp_path: Path) -> None:
    once(tmp_path, "", f"--url={backend.url}", "--storage=visitor.json")
    kept = json.loads((tmp_path / "visitor.json").read_text("utf-8"))
    assert all(f"/127.0.0.1:{backend.port}/" in key for key in kept)


def test_the_visitor_is_kept_in_the_data_folder_of_the_user(
    backend: Served, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM, "chat", f"--url={backend.url}"]
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    done = subprocess.run(
        command, input="", capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.rglob("storage.json"))


def test_a_visitor_becomes_a_user_by_a_token_minted_here(backend: Served, tmp_path: Path) -> None:
    done = once(
        tmp_path,
        "one\n/identify bob\n",
        f"--url={backend.url}",
        "--json",
        "--memory",
        f"--db={backend.db}",
    )
    (result,) = [
        told
        for line in done.stdout.splitlines()
        if (told := json.loads(line))["type"] == "command_done"
    ]
    assert (result["merged"], result["conversations_moved"]) == (True, 1)


REFUSALS = (
    ("--token={bob}", "mallory"),
    ("--token=rubbish", "ada"),
)


@pytest.mark.parametrize(("option", "user"), REFUSALS)
def test_a_first_boot_that_is_refused_ends_with_one_and_shows_no_token(
    option: str, user: str, backend: Served, tmp_path: Path
) -> None:
    option = option.format(bob=backend.token("bob"))
    for form in ("--json", "--plain"):
        done = once(
            tmp_path, "Hello\n", f"--url={backend.url}", "--memory", f"--user={user}", option, form
        )
        assert done.returncode == 1
        assert done.stderr.startswith("support-chat: error: ")
        assert len(done.stderr.splitlines()) == 1
        assert option.removeprefix("--token=") not in done.stdout + done.stderr


def test_a_session_that_ends_by_itself_ends_the_client_which_takes_no_further_line() -> None:
    reading, writing = os.pipe()
    out = io.StringIO()

    async def story(source: TextIO) -> str | None:
        with Backend(**WIDGET) as data:
            running = asyncio.create_task(
                chat(
                    PipedShell(source, out, as_data=True),
                    Person(None, {}, from_text("none")),
                    transport=LoopbackTransport(data),
                    storage=MemoryStorage(),
                    url="http://here",
                    **WIDGET,
                    scope="default",
                )
            )
            try:
                while not data.agent.visitors():  # noqa: ASYNC110 - the backend has no event for it
                    await asyncio.sleep(0.01)
                data.faults.fail("dial", BackendRejectedError("Not any more."))
                data.faults.drop_links()
                return await asyncio.wait_for(running, 20)
            finally:
                os.close(writing)  # the thread that reads ends

    with open(reading) as source:
        assert "rejected" in (asyncio.run(story(source)) or "")
    types = [json.loads(line)["type"] for line in out.getvalue().splitlines()]
    assert types.count("error_occurred") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_way_of_leaving(
    number: signal.Signals, backend: Served, tmp_path: Path
) -> None:
    with client(tmp_path, f"--url={backend.url}", "--json", "--memory") as c:
        c.until("ready")
        c.process.send_signal(number)
        assert c.process.wait(timeout=60) == 0


def test_a_reader_that_goes_away_ends_the_client_without_a_word(
    backend: Served, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM, "chat", f"--url={backend.url}", "--json", "--memory"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        while json.loads(process.stdout.readline())["type"] != "ready":
            pass
        process.stdout.close()
        process.stdin.write("one\ntwo\nthree\n")
        process.stdin.flush()
        assert process.wait(timeout=60) == 1
        assert process.stderr.read() == ""

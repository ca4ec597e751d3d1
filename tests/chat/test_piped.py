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

from chat_client import PROGRAM, VISITOR
from loopback_arrangement import WIDGET
from served import Served, served
from support_chat import BackendRejectedError, SignedIn, Visitor
from support_chat_adapters.backend import Backend
from support_chat_adapters.chat.piped import PipedShell
from support_chat_adapters.chat.run import chat
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport


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
            event: dict[str, Any] = json.loads(line)
            if event["type"] == kind and fields.items() <= event.items():
                return event
        raise AssertionError(f"no {kind} {fields} in:\n{''.join(seen)}")


def started(folder: Path, *options: str, **more: Any) -> subprocess.Popen[str]:
    """A client whose standard streams are pipes."""
    command = [sys.executable, "-c", PROGRAM, "chat", *options]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, cwd=folder, encoding="utf-8", **{**pipes, **more})


@contextmanager
def client(folder: Path, *options: str) -> Generator[Client, None, None]:
    """A client that is killed at the end, and after a minute: a test that waits for what never
    comes fails then.
    """
    with started(folder, *options) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            yield Client(process)
        finally:
            watchdog.cancel()
            process.kill()
            watchdog.join()


@attrs.frozen
class Ended:
    """A client that has ended."""

    status: int
    out: str
    error: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def once(folder: Path, said: str, *options: str, **environment: str) -> Ended:
    """A client that is given all its input at once."""
    with started(folder, *options, env={**os.environ, **environment}) as process:
        try:
            out, error = process.communicate(said, timeout=60)
        finally:
            process.kill()
    return Ended(process.returncode, out, error)


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
            queued = c.until("message_queued")
            server.reply(sent["conversation_id"], "Under Settings.")
            server.start()
            c.until("phase_changed", current=phase, previous="reconnecting")
            assert c.until("message_received")["message"]["text"] == "Under Settings."
            later = c.until("message_sent")["message"]
            assert later["client_message_id"] == queued["client_message_id"]
            assert later["conversation_id"] == sent["conversation_id"]
            rest, _ = c.process.communicate(timeout=60)  # the end of the input leaves
        assert c.process.returncode == 0
        assert "Under Settings." not in rest
        with server.backend() as data:
            texts = [message.text for message in data.agent.messages(sent["conversation_id"])]
        assert texts == ["Where do I export?", "Under Settings.", "Hello?"]


def test_a_message_by_pipe_is_sent_before_the_client_leaves(
    backend: Served, tmp_path: Path
) -> None:
    ended = once(tmp_path, "one\ntwo\n/list\n", f"--url={backend.url}", "--memory")
    assert (ended.status, ended.error) == (0, "")
    shown = [line[10:] for line in ended.out.splitlines()]
    assert shown[:2] == [f"·      booting: looking for {backend.url}", "·      anonymous: live"]
    assert shown[3:5] == ["you    one", "you    two"]
    assert ": 2 messages, 0 unread" in shown[5]
    assert "\x1b" not in ended.out


def test_letters_that_a_pipe_does_not_know_end_nothing(backend: Served, tmp_path: Path) -> None:
    options = (f"--url={backend.url}", "--memory")
    ended = once(tmp_path, "caf\xe9\nbye\n", *options, PYTHONIOENCODING="ascii")
    assert (ended.status, ended.error) == (0, "")
    *_, cafe, bye = ended.out.splitlines()
    assert "caf??" in cafe
    assert bye.endswith("you    bye")


CLOSED = (
    ("--name=Ada", "", Visitor, {"user.name": "Ada"}),
    ("--user=ada --name=Ada", "", SignedIn, {"user.name": "Ada"}),
    ("--memory", "/update role=admin\n", Visitor, {"user.traits.role": "admin"}),
)


@pytest.mark.parametrize(("options", "said", "kind", "traits"), CLOSED)
def test_what_is_said_of_somebody_arrives_although_the_input_is_over(
    options: str, said: str, kind: type[Any], traits: object, backend: Served, tmp_path: Path
) -> None:
    where = (f"--url={backend.url}", f"--db={backend.db}", "--storage=visitor.json", "--json")
    ended = once(tmp_path, said, *where, *options.replace("--memory", "").split())
    assert (ended.status, ended.error) == (0, "")
    assert not [event for event in ended.events if event["type"] == "error_occurred"]
    (identity,) = (event["identity"] for event in ended.events if event["type"] == "ready")
    with backend.backend() as data:
        assert data.agent.traits(kind(*identity.values())) == traits


@pytest.mark.parametrize("form", ["--plain", "--json", "--memory"])
def test_a_closed_input_is_one_that_has_ended(form: str, backend: Served, tmp_path: Path) -> None:
    closed = ["sh", "-c", 'exec "$@" <&-', "sh"]
    command = [sys.executable, "-c", PROGRAM, "chat", f"--url={backend.url}", "--memory", form]
    ended = subprocess.run(
        [*closed, *command], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_visitor_kept_in_a_file_is_the_same_at_the_next_start_and_another_in_another_scope(
    backend: Served, tmp_path: Path
) -> None:
    def identity(*options: str) -> object:
        ended = once(
            tmp_path, "", f"--url={backend.url}", "--json", "--storage=visitor.json", *options
        )
        assert (ended.status, ended.error) == (0, "")
        return next(event["identity"] for event in ended.events if event["type"] == "ready")

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
    home, data = str(tmp_path), str(tmp_path / "data")
    ended = once(tmp_path, "", f"--url={backend.url}", HOME=home, XDG_DATA_HOME=data)
    assert (ended.status, ended.error) == (0, "")
    assert list(tmp_path.rglob("storage.json"))


def test_a_visitor_becomes_a_user_by_a_token_minted_here(backend: Served, tmp_path: Path) -> None:
    options = (f"--url={backend.url}", "--json", "--memory", f"--db={backend.db}")
    ended = once(tmp_path, "one\n/identify bob\n", *options)
    (result,) = (event for event in ended.events if event["type"] == "command_done")
    assert (result["merged"], result["conversations_moved"]) == (True, 1)


REFUSALS = (
    ("--token={bob}", "mallory"),
    ("--token=rubbish", "ada"),
)


@pytest.mark.parametrize("form", ["--json", "--plain"])
@pytest.mark.parametrize(("option", "user"), REFUSALS)
def test_a_first_boot_that_is_refused_ends_with_one_and_shows_no_token(
    option: str, user: str, form: str, backend: Served, tmp_path: Path
) -> None:
    option = option.format(bob=backend.token("bob"))
    url = f"--url={backend.url}"
    ended = once(tmp_path, "Hello\n", url, "--memory", f"--user={user}", option, form)
    assert ended.status == 1
    assert ended.error.startswith("support-chat: error: ")
    assert len(ended.error.splitlines()) == 1
    assert option.removeprefix("--token=") not in ended.out + ended.error


def test_a_session_that_ends_by_itself_ends_the_client_which_takes_no_further_line() -> None:
    reading, writing = os.pipe()
    out = io.StringIO()

    async def story(source: TextIO) -> str | None:
        with Backend(**WIDGET) as data:
            running = asyncio.create_task(
                chat(
                    PipedShell(source, out, as_data=True),
                    VISITOR,
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
                return await asyncio.wait_for(running, 120)
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
    with client(tmp_path, f"--url={backend.url}", "--json", "--memory") as c:
        c.until("ready")
        assert c.process.stdout is not None
        assert c.process.stderr is not None
        c.process.stdout.close()
        c.says("one\ntwo\nthree")
        assert c.process.wait(timeout=60) == 1
        assert c.process.stderr.read() == ""

"""Two terminals, `support-chat serve` and `support-chat chat`: the server goes and comes back, and
so does the client.

Real programs on real terminals; what a person would see is read off the screen.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chat_client import PROGRAM
from support_chat_adapters.backend import Backend, sign_identity_token
from support_chat_adapters.backend.server.key_file import identity_secret

pytest.importorskip(
    "pexpect.pty_spawn", reason="terminals are made with pexpect, which knows none on Windows"
)

if TYPE_CHECKING:
    from .conftest import Open, Serve

# Making a terminal forks, of which newer Pythons warn when other tests have left threads behind;
# the child executes at once.
pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


def reply(folder: Path, text: str, *options: str) -> None:
    """An agent answers, whether the server runs or not."""
    command = [sys.executable, "-c", PROGRAM, "reply", "--db=chat.db", *options, text]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


def is_begun(folder: Path) -> bool:
    """Whether the backend has a conversation."""
    with Backend(folder / "chat.db", workspace_id="demo", widget_id="web") as backend:
        return bool(backend.agent.conversations())


@pytest.mark.parametrize("end", ["stopped", "killed"])
@pytest.mark.parametrize(
    ("options", "phase", "to"),
    [
        (("--storage=visitor.json",), "anonymous", ()),
        (("--memory", "--user=ada", "--db=chat.db"), "authenticated", ("--user=ada",)),
    ],
    ids=["visitor", "user"],
)
def test_the_client_is_reconnecting_while_the_server_is_gone_and_comes_back_with_the_missed_message(
    end: str,
    options: tuple[str, ...],
    phase: str,
    to: tuple[str, ...],
    terminal: Open,
    serve: Serve,
    tmp_path: Path,
) -> None:
    server = serve()
    client = terminal("chat", f"--url={server.url}", *options)
    client.until(lambda: client.foot.startswith(f" {phase} "))
    client.types("Where do I export?")
    client.shows("you    Where do I export?")
    client.until(lambda: is_begun(tmp_path))  # else the answer would begin another one
    reply(tmp_path, "I am having a look.", *to)
    client.shows("agent  I am having a look.")

    if end == "killed":
        server.kill()
    else:
        server.presses("c")
        assert server.left() == 0
    client.until(lambda: client.foot.startswith(" reconnecting "))
    client.shows("reconnecting: the connection is lost; trying again")
    client.types("Hello?")
    client.shows("it is sent when the connection is back")
    client.until(lambda: "sending 1" in client.foot)
    reply(tmp_path, "Under Settings.", *to)

    serve()
    client.until(lambda: client.foot.startswith(f" {phase} "))
    client.shows("agent  Under Settings.  (missed while away)")
    client.shows(f"{phase}: back after")
    client.until(lambda: "sending" not in client.foot)
    reply(tmp_path, "The end.", *to)  # whatever might come twice would have come before this
    client.shows("agent  The end.")
    assert sum("Under Settings." in line for line in client.lines) == 1

    client.presses("d")
    assert client.left() == 0
    with Backend(tmp_path / "chat.db", workspace_id="demo", widget_id="web") as backend:
        (conversation,) = backend.agent.conversations()
        texts = [message.text for message in backend.agent.messages(conversation.id)]
        assert texts.count("Where do I export?") == texts.count("Hello?") == 1
        assert backend.agent.duplicates() == 0


def test_a_terminal_that_cannot_move_its_cursor_shows_each_message_once_and_whole_words(
    terminal: Open, serve: Serve
) -> None:
    client = terminal("chat", f"--url={serve().url}", "--memory", TERM="dumb")
    client.shows("anonymous: live")
    client.types("Where do I export the whole of my data?")
    client.types("/update role")
    client.shows("!      /update takes pairs with an equals sign, such as role=admin;")
    client.shows(" " * 17 + "null erases, as in role=null.")
    assert sum("Where do I export" in line for line in client.lines) == 1
    client.presses("d")
    assert client.left() == 0
    assert b"\x1b" not in client.written


def test_control_c_asks_first_and_the_terminal_is_left_as_it_was(
    terminal: Open, serve: Serve
) -> None:
    client = terminal("chat", f"--url={serve().url}", "--memory")
    client.until(lambda: client.foot.startswith(" anonymous "))
    client.presses("c")
    client.shows("Ctrl-C again to leave")
    client.presses("c")
    assert client.left() == 0
    assert not any(line.startswith((" anonymous ", "> ")) for line in client.lines), (
        "the status and the prompt are gone"
    )
    assert any("you are visitor-" in line for line in client.lines), "what was said stays"


def test_without_colour_nothing_is_coloured(terminal: Open, serve: Serve) -> None:
    server = serve()
    for environment, coloured in (({"NO_COLOR": "1"}, False), ({}, True)):
        client = terminal("chat", f"--url={server.url}", "--memory", **environment)
        # bound for each turn
        client.until(lambda client=client: client.foot.startswith(" anonymous "))  # type: ignore[misc]
        client.presses("d")
        assert client.left() == 0
        assert (b"\x1b[0;30;42" in client.written or b";42m" in client.written) is coloured


def test_a_session_that_ends_by_itself_ends_the_client_and_says_why(
    terminal: Open, serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    secret = identity_secret(tmp_path / "chat.db.key")
    token = sign_identity_token("ada", secret, workspace_id="demo", widget_id="web")
    client = terminal("chat", f"--url={server.url}", "--memory", "--user=ada", f"--token={token}")
    client.until(lambda: client.foot.startswith(" authenticated "))
    server.kill()
    (tmp_path / "chat.db.key").unlink()  # with another key the server accepts the token no longer
    serve()
    assert client.left() == 1
    assert any("The session ended by itself (auth_refused)" in line for line in client.lines), (
        client.lines
    )
    assert token.encode() not in client.written

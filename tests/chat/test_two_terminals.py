"""Two terminals, `support-chat serve` and `support-chat chat`: the server goes and comes back, and
so does the client.

Real programs on real terminals; what a person would see is read off the screen.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip(
    "pexpect.pty_spawn", reason="terminals are made with pexpect, which knows none on Windows"
)

if TYPE_CHECKING:
    from .conftest import Open, Serve, Terminal

PROGRAM = "from support_chat_adapters.cli import main; raise SystemExit(main())"
# Making a terminal forks, of which newer Pythons warn when other tests have left threads behind;
# the child executes at once.
pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


def reply(folder: Path, text: str, *options: str) -> None:
    """An agent answers, whether the server runs or not."""
    command = [sys.executable, "-c", PROGRAM, "reply", "--db=chat.db", *options, text]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


def stopped(server: Terminal) -> None:
    server.presses("c")
    assert server.left() == 0


def killed(server: Terminal) -> None:
    server.kill()


@pytest.mark.parametrize("end", [stopped, killed])
@pytest.mark.parametrize(
    ("options", "phase", "to"),
    [
        (("--storage=visitor.json",), "anonymous", ()),
        (("--memory", "--user=ada", "--db=chat.db"), "authenticated", ("--user=ada",)),
    ],
    ids=["visitor", "user"],
)
def test_the_client_is_reconnecting_while_the_server_is_gone_and_comes_back_with_the_missed_message(
    end: Callable[[Terminal], None],
    options: tuple[str, ...],
    phase: str,
    to: tuple[str, ...],
    terminal: Open,
    serve: Serve,
    url: Callable[[Terminal], str],
    tmp_path: Path,
) -> None:
    server = serve()
    client = terminal("chat", f"--url={url(server)}", *options)
    client.until(lambda: client.foot.startswith(f" {phase} "))
    client.types("Where do I export?")
    client.shows("you    Where do I export?")
    reply(tmp_path, "I am having a look.", *to)
    client.shows("agent  I am having a look.")

    end(server)
    client.until(lambda: client.foot.startswith(" reconnecting "))
    client.shows("reconnecting: the connection is lost; trying again")
    client.types("Hello?")
    client.shows("not sent, no connection: /retry")
    client.until(lambda: "1 unsent: /retry" in client.foot)
    reply(tmp_path, "Under Settings.", *to)

    serve()
    client.until(lambda: client.foot.startswith(f" {phase} "))
    client.shows("agent  Under Settings.  (missed while away)")
    client.shows(f"{phase}: back after")
    client.types("/retry")
    client.shows("sent 1 of 1")
    client.until(lambda: "unsent" not in client.foot)
    reply(tmp_path, "The end.", *to)  # whatever might come twice would have come before this
    client.shows("agent  The end.")
    assert sum("Under Settings." in line for line in client.lines) == 1

    client.presses("d")
    assert client.left() == 0


def test_what_was_typed_arrived_once_and_in_one_conversation(
    terminal: Open, serve: Serve, url: Callable[[Terminal], str], tmp_path: Path
) -> None:
    from support_chat_adapters.backend import Backend

    server = serve()
    client = terminal("chat", f"--url={url(server)}", "--memory")
    client.until(lambda: client.foot.startswith(" anonymous "))
    client.types("one")
    client.types("two")
    client.until(
        lambda: (
            sum("you    " in line for line in client.lines) == 2 and "sending" not in client.foot
        )
    )
    server.kill()
    client.until(lambda: client.foot.startswith(" reconnecting "))
    client.types("three")
    client.until(lambda: "1 unsent" in client.foot)
    serve()
    client.until(lambda: client.foot.startswith(" anonymous "))
    client.types("/retry")
    client.shows("sent 1 of 1")
    client.types("/quit")
    assert client.left() == 0

    with Backend(tmp_path / "chat.db", workspace_id="demo", widget_id="web") as backend:
        (conversation,) = backend.agent.conversations()
        assert [message.text for message in backend.agent.messages(conversation.id)] == [
            "one",
            "two",
            "three",
        ]
        assert backend.agent.duplicates() == 0


def test_control_c_asks_first_and_the_terminal_is_left_as_it_was(
    terminal: Open, serve: Serve, url: Callable[[Terminal], str]
) -> None:
    client = terminal("chat", f"--url={url(serve())}", "--memory")
    client.until(lambda: client.foot.startswith(" anonymous "))
    client.presses("c")
    client.shows("Ctrl-C again to leave")
    client.presses("c")
    assert client.left() == 0
    assert not any(line.startswith((" anonymous ", "> ")) for line in client.lines), (
        "the status and the prompt are gone"
    )
    assert any("you are visitor-" in line for line in client.lines), "what was said stays"


def test_without_colour_nothing_is_coloured(
    terminal: Open, serve: Serve, url: Callable[[Terminal], str]
) -> None:
    server = serve()
    for environment, coloured in (({"NO_COLOR": "1"}, False), ({}, True)):
        client = terminal("chat", f"--url={url(server)}", "--memory", **environment)
        # bound for each turn
        client.until(lambda client=client: client.foot.startswith(" anonymous "))  # type: ignore[misc]
        client.presses("d")
        assert client.left() == 0
        assert (b"\x1b[0;30;42" in client.written or b";42m" in client.written) is coloured


def test_a_session_that_ends_by_itself_ends_the_client_and_says_why(
    terminal: Open, serve: Serve, url: Callable[[Terminal], str], tmp_path: Path
) -> None:
    from support_chat_adapters.backend import sign_identity_token
    from support_chat_adapters.backend.server.key_file import identity_secret

    server = serve()
    secret = identity_secret(tmp_path / "chat.db.key")
    token = sign_identity_token("ada", secret, workspace_id="demo", widget_id="web", lifetime=3)
    client = terminal("chat", f"--url={url(server)}", "--memory", "--user=ada", f"--token={token}")
    client.until(lambda: client.foot.startswith(" authenticated "))
    assert client.left() == 1
    assert any("The session ended by itself (auth_refused)" in line for line in client.lines), (
        client.lines
    )
    assert token.encode() not in client.written

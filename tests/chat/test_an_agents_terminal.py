"""An agent's terminal beside the server's and a client's: real programs on terminals of 80 x 24;
what a person would see is read off the screens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip(
    "pexpect.pty_spawn", reason="terminals are made with pexpect, which knows none on Windows"
)

if TYPE_CHECKING:
    from .conftest import Open, Serve

# see test_two_terminals.py
pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)
DB = "--db=chat.db"


def test_an_agent_follows_looks_and_answers_and_the_client_sees_it(
    terminal: Open, serve: Serve
) -> None:
    client = terminal("chat", f"--url={serve().url}", "--memory")
    client.until(lambda: client.foot.startswith(" anonymous "))
    follows = terminal("inbox", "follow", DB)
    follows.shows("Ctrl-C ends it")
    client.types("Where do I export the whole of my data, and in which of the formats?")
    follows.shows("    Where do I export")
    (told,) = (row for row in follows.lines if " in conversation-" in row)
    conversation = told.rpartition(" ")[2]
    follows.presses("c")
    assert follows.left() == 0

    lists = terminal("inbox", "list", "--waiting", DB)
    assert lists.left() == 0
    assert lists.lines[0].startswith(f"{conversation}  visitor-")
    assert lists.lines[0].endswith(", 1 unanswered")
    assert lists.lines[1].startswith("    Where do I export")
    assert b"\x1b[33mwaits" in lists.written

    answers = terminal("inbox", "answer", conversation, "Under Settings.", DB)
    assert answers.left() == 0
    assert answers.lines[0].startswith("message-2 in conversation-")
    client.shows("agent  Under Settings.")

    opens = terminal("inbox", "open", conversation, DB, NO_COLOR="1")
    assert opens.left() == 0
    assert [row[18:25].strip() for row in opens.lines[1:4]] == ["visitor", "", "agent"]
    assert opens.lines[4].startswith("answered ")
    assert b"\x1b[3" not in opens.written
    client.presses("d")
    assert client.left() == 0

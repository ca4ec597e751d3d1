"""Several processes on one database: what any of them writes reaches every live client once and in
order, and a kill loses nothing.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from itertools import count as counting
from pathlib import Path
from typing import Any

import httpx2

from served import Served, served
from widget_client import PATIENCE, WidgetClient, frame, texts, widget_client

Clients = Callable[[Served], WidgetClient]

WRITER = """
import sys
from support_chat_adapters.backend import Backend
with Backend(sys.argv[1], workspace_id="demo", widget_id="web") as backend:
    for number in range(int(sys.argv[4])):
        backend.agent.reply(sys.argv[2], f"{sys.argv[3]}-{number}")
"""


def writer(backend: Served, conversation: str, name: str, count: int) -> subprocess.Popen[bytes]:
    """A process that writes `count` replies, as fast as it can."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(backend.db), conversation, name, str(count)]
    )


def kill_at(backend: Served, enough: threading.Event) -> None:
    """SIGKILL, when there is enough."""
    enough.wait(PATIENCE)
    backend.kill()


def sound(database: Path) -> bool:
    """Whether SQLite finds nothing wrong with a database."""
    with closing(sqlite3.connect(database)) as db:
        return (
            db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            and not db.execute("PRAGMA foreign_key_check").fetchall()
        )


def messages_of(client: WidgetClient, conversation: str) -> list[str]:
    """The texts of a conversation, through every page."""
    found: list[str] = []
    query: dict[str, str] = {}
    while True:
        page = (
            client.get(f"/conversations/{conversation}/messages", limit=200, **query)
            .raise_for_status()
            .json()
        )
        found += [message["text"] for message in page["messages"]]
        if page["nextCursor"] is None:
            return found
        query = {"cursor": page["nextCursor"]}


def test_what_other_processes_write_reaches_every_live_client_once_and_in_order(
    shared: Served, client: WidgetClient
) -> None:
    client.begin()
    conversation = client.say("help")["conversationId"]
    with client.gateway() as one, client.gateway() as another:
        frame(one)
        frame(another)
        writers = [writer(shared, conversation, name, 100) for name in ("a", "b")]
        came = texts(one, 200)
        assert came == texts(another, 200)
        assert [each.wait() for each in writers] == [0, 0]
    assert ["help", *came] == messages_of(client, conversation)
    for name in ("a", "b"):
        assert [text for text in came if text.startswith(name)] == [
            f"{name}-{number}" for number in range(100)
        ]


def test_a_client_that_comes_and_goes_while_they_write_gets_each_message_once(
    shared: Served, client: WidgetClient
) -> None:
    """A reconnect goes on at the last cursor: what is written while it attaches is either replayed
    or passed on, never both.
    """
    cursor = client.begin()["cursor"]
    conversation = client.say("help")["conversationId"]
    came: list[str] = []
    writing = writer(shared, conversation, "x", 300)
    connections = 0
    while len(came) < 300:
        connections += 1
        with client.gateway(cursor=cursor) as socket:
            frame(socket)
            for _ in range(min(7, 300 - len(came))):
                last = frame(socket)
                came.append(last["message"]["text"])
                cursor = last["cursor"]
    assert writing.wait() == 0
    assert connections >= 300 // 7
    assert came == [f"x-{number}" for number in range(300)]


def test_polls_one_after_the_other_get_each_message_once(
    shared: Served, client: WidgetClient
) -> None:
    cursor = client.begin()["cursor"]
    conversation = client.say("help")["conversationId"]
    came: list[str] = []
    writing = writer(shared, conversation, "x", 300)
    while len(came) < 300:
        answer: dict[str, Any] = (
            client.get("/realtime", cursor=cursor, wait=20).raise_for_status().json()
        )
        came += [each["message"]["text"] for each in answer.get("frames", [])]
        cursor = answer["cursor"]
    assert writing.wait() == 0
    assert came == [f"x-{number}" for number in range(300)]


def test_an_agents_reply_from_the_command_line_is_delivered_while_it_runs_and_after_it_was_stopped(
    own: Served, client_of: Clients
) -> None:
    client = client_of(own)
    cursor = client.begin()["cursor"]
    conversation = client.say("help")["conversationId"]
    program = "from support_chat_adapters.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, "reply", f"--db={own.db}"]
    with client.gateway(cursor=cursor) as socket:
        frame(socket)
        subprocess.run([*command, "while it runs"], check=True, stdout=subprocess.DEVNULL)
        last = frame(socket)
        assert last["message"]["text"] == "while it runs"
    own.stop()
    subprocess.run(
        [*command, "while it is stopped", f"--conversation={conversation}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    own.start()
    with client.gateway(cursor=last["cursor"]) as socket:
        assert "gap" not in frame(socket)
        assert texts(socket, 1) == ["while it is stopped"]


def test_two_servers_on_one_database_serve_the_same_and_harm_nothing(tmp_path: Path) -> None:
    """Not how it is meant to be run; but whoever does it loses nothing, and each server's clients
    hear of what the other's wrote.
    """
    limits = ("--opens-per-minute=0", "--requests-per-minute=0")
    with ExitStack() as stack:
        first, second = (stack.enter_context(served(tmp_path, *limits)) for _ in range(2))
        with widget_client(first.url) as here, widget_client(second.url) as there:
            there.visitor = here.visitor
            conversation = (here.begin(), here.say("help"))[1]["conversationId"]
            there.begin()
            with here.gateway() as near, there.gateway() as far, ThreadPoolExecutor(2) as threads:
                frame(near)
                frame(far)
                sent = threads.submit(
                    lambda: [here.say(f"here-{number}", conversation) for number in range(50)]
                )
                also = threads.submit(
                    lambda: [there.say(f"there-{number}", conversation) for number in range(50)]
                )
                assert texts(near, 50) == [f"there-{number}" for number in range(50)]
                assert texts(far, 50) == [f"here-{number}" for number in range(50)]
                assert (len(sent.result()), len(also.result())) == (50, 50)
            found = messages_of(here, conversation)
    assert len(found) == len(set(found)) == 101
    assert sound(first.db)


def test_every_write_that_was_acknowledged_is_there_after_a_kill(
    own: Served, client_of: Clients
) -> None:
    client = client_of(own)
    begun = client.begin()
    conversation = client.say("help")["conversationId"]
    acknowledged: list[str] = ["help"]
    for life in range(3):
        enough = threading.Event()
        killing = threading.Thread(target=kill_at, args=(own, enough))
        killing.start()
        # it has gone in the middle of a request: whether that was stored is unknown
        with suppress(httpx2.HTTPError):
            for number in counting():
                client.say(f"{life}-{number}", conversation)
                acknowledged.append(f"{life}-{number}")
                if number == 20 + 7 * life:
                    enough.set()
        killing.join()
        own.start()
        assert client.begin(session=client.session)["visitorId"] == begun["visitorId"]
        stored = messages_of(client, conversation)
        assert [text for text in stored if text in acknowledged] == acknowledged
        assert len(stored) == len(set(stored)) <= len(acknowledged) + 1
        acknowledged = stored
    assert sound(own.db)

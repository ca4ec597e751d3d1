"""`support-chat inbox`: what an agent sees is what is stored, what an agent answers is delivered,
while the backend is served and while it is not.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chat_client import PROGRAM
from served import Served, served
from support_chat.values import About, Conversation, Message, SignedIn, Visitor
from support_chat_adapters.backend import Listed
from support_chat_adapters.cli.inbox_lines import rows
from support_chat_adapters.ui.terminal import fitted
from widget_client import WidgetClient, frame, widget_client

if TYPE_CHECKING:
    from tests.cli.conftest import Run
_PATIENCE = 120.0
"""Seconds that a command has, on a machine however busy."""


@pytest.fixture
def backend(tmp_path: Path) -> Generator[Served, None, None]:
    """A backend of the test's own."""
    with served(tmp_path) as one:
        yield one


@pytest.fixture
def client(backend: Served) -> Generator[WidgetClient, None, None]:
    """A client of it that nobody knows yet."""
    with widget_client(backend.url) as one:
        one.begin()
        yield one


def listed(run: Run, backend: Served, *options: str) -> dict[str, Any]:
    status, printed, complaint = run("inbox", "list", "--json", f"--db={backend.db}", *options)
    assert (status, complaint) == (0, "")
    document: dict[str, Any] = json.loads(printed)
    assert (document["schema"], document["version"]) == ("support-chat/inbox", 1)
    return document


@contextmanager
def following(backend: Served, *options: str) -> Generator[subprocess.Popen[str], None, None]:
    """`support-chat inbox follow` in a process of its own, which is killed if it takes too long."""
    command = [sys.executable, "-c", PROGRAM, "inbox", "follow", f"--db={backend.db}", *options]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        limit = threading.Timer(_PATIENCE, process.kill)
        limit.start()
        try:
            yield process
        finally:
            limit.cancel()
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline()


def test_an_agent_sees_who_waits_and_what_was_said_and_the_answer_is_delivered(
    run: Run, backend: Served, client: WidgetClient
) -> None:
    begun = client.begin()
    conversation = client.say("Where do I export my data?")["conversationId"]
    client.say("Hello?", conversation)
    (one,) = listed(run, backend, "--waiting")["conversations"]
    assert one["id"] == conversation
    assert one["owner"] == {"visitor": begun["visitorId"]}
    assert (one["messages"], one["unanswered"]) == (2, 2)
    assert one["last_message"]["text"] == "Hello?"

    status, printed, _ = run("inbox", "open", conversation, f"--db={backend.db}")
    assert status == 0
    assert printed.index("Where do I export my data?") < printed.index("Hello?")
    assert "2 unanswered" in printed

    with client.gateway(cursor=begun["cursor"]) as gateway:
        frame(gateway)
        status, printed, _ = run(
            "inbox", "answer", conversation, "Under Settings.", "--json", f"--db={backend.db}"
        )
        stored = json.loads(printed)
        assert (status, stored["again"]) == (0, False)
        while (told := frame(gateway)).get("message", {}).get("author") != "agent":
            pass
        assert (told["message"]["id"], told["message"]["text"]) == (stored["id"], "Under Settings.")

    assert listed(run, backend, "--waiting")["conversations"] == []
    (one,) = listed(run, backend)["conversations"]
    assert (one["unanswered"], one["waiting_since"]) == (0, None)
    shown = run("inbox", "open", conversation, "--json", f"--db={backend.db}")[1]
    assert [message["author"] for message in json.loads(shown)["said"]] == [
        "visitor",
        "visitor",
        "agent",
    ]


def test_an_answer_given_again_with_its_id_stores_nothing_and_says_so(
    run: Run, backend: Served, client: WidgetClient
) -> None:
    conversation = client.say("help")["conversationId"]
    other = client.say("of something else")["conversationId"]
    db = f"--db={backend.db}"
    answer = ("inbox", "answer", conversation, "It is fixed.", db)
    status, printed, _ = run(*answer)
    assert status == 0
    (made,) = (word for word in printed.split() if word.startswith("answer-"))
    for id in (made, "ticket-7"):
        first, again = (run(*answer, "--id", id) for _ in range(2))
        assert (first[0], again[0]) == (0, 0)
        assert (made in first[1]) is (id == made)
        assert again[1].endswith(f"was stored before as {id}; nothing new\n")
    told = json.loads(run(*answer, "--id", made, "--json")[1])
    assert (told["answer_id"], told["again"]) == (made, True)
    for where, text in ((conversation, "It is not."), (other, "It is fixed.")):
        status, printed, complaint = run("inbox", "answer", where, text, db, "--id", made)
        assert (status, printed) == (2, "")
        assert "another answer; choose another id" in complaint
    first, again = (run("reply", "Anything else?", db, "--id=r-1") for _ in range(2))
    assert (first[0], again[0]) == (0, 0)
    assert "nothing new" in again[1]
    with backend.backend() as data:
        texts = [message.text for message in data.agent.messages(conversation)]
        assert texts == ["help", "It is fixed.", "It is fixed."]
        assert [message.text for message in data.agent.messages(other)][1:] == ["Anything else?"]


def test_an_answer_tells_which_agent_gave_it(
    run: Run, backend: Served, client: WidgetClient
) -> None:
    begun = client.begin()
    conversation = client.say("help")["conversationId"]
    db = f"--db={backend.db}"
    grace = ("--agent=7", "--agent-name=Grace Hopper")
    answers = (
        ("inbox", "answer", conversation, "from a name", *grace),
        ("inbox", "answer", conversation, "from an id", "--agent=8"),
        ("reply", "from a reply", *grace),
        ("reply", "from nobody who is named"),
    )
    with client.gateway(cursor=begun["cursor"]) as gateway:
        told: list[Any] = []
        for words in answers:
            assert run(*words, db)[0] == 0
        while len(told) < len(answers):
            message = frame(gateway).get("message", {})
            if message.get("author") == "agent":
                told.append(message.get("agent"))
    named, nameless = {"id": "7", "name": "Grace Hopper"}, {"id": "8", "name": None}
    assert [one and {"name": None, **one} for one in told] == [named, nameless, named, None]
    printed = run("inbox", "open", conversation, db)[1]
    for said in ("agent Grace Hopper  from a name", "agent 8  from an id", "agent    from nobody"):
        assert said in printed, printed
    shown = json.loads(run("inbox", "open", conversation, "--json", db)[1])
    assert [one["agent"] for one in shown["said"]] == [None, named, nameless, named, None]
    assert run("reply", "last", *grace, db)[0] == 0
    assert "agent Grace Hopper: last" in run("inbox", "list", db)[1]


def test_the_pages_of_a_list_are_named_by_the_page_before(
    run: Run, backend: Served, client: WidgetClient
) -> None:
    begun = [client.say(str(number))["conversationId"] for number in range(5)]
    for options, order in (((), begun[::-1]), (("--waiting",), begun)):
        found: list[str] = []
        words = ["inbox", "list", f"--db={backend.db}", "--limit=2", *options]
        for _ in range(3):
            status, printed, _ = run(*words)
            assert status == 0
            *entries, foot = printed.splitlines()
            if foot.startswith("more: support-chat "):
                words = foot.removeprefix("more: support-chat ").split()
            else:
                entries.append(foot)
            found += [entry.split()[0] for entry in entries[::2]]
        assert found == order, options
        assert listed(run, backend, *options, "--limit=5")["next"] is None
    status, printed, _ = run("inbox", "open", begun[0], f"--db={backend.db}")
    assert "earlier" not in printed
    for number in range(60):
        backend.reply(begun[0], f"answer {number}")
    status, printed, _ = run("inbox", "open", begun[0], f"--db={backend.db}")
    (earlier,) = (row for row in printed.splitlines() if row.startswith("earlier: support-chat "))
    assert "answer 59" in printed
    assert "answer 9\n" not in printed
    status, printed, _ = run(*earlier.removeprefix("earlier: support-chat ").split())
    assert "answer 9\n" in printed
    assert "answer 10\n" not in printed


def test_an_empty_inbox_says_so(run: Run, backend: Served) -> None:
    for options, said in ((), "nobody has written yet"), (("--waiting",), "nobody waits"):
        status, printed, _ = run("inbox", "list", f"--db={backend.db}", *options)
        assert status == 0
        assert printed.startswith(said)
    assert listed(run, backend) == {
        "schema": "support-chat/inbox",
        "version": 1,
        "conversations": [],
        "next": None,
    }


def test_what_is_not_there_or_cannot_be_said_is_a_line_and_stores_nothing(
    run: Run, backend: Served, client: WidgetClient, tmp_path: Path
) -> None:
    conversation = client.say("help")["conversationId"]
    db = f"--db={backend.db}"
    for words, complaint in (
        (("open", "nothing", db), "there is no conversation 'nothing'; support-chat inbox list"),
        (("answer", "nothing", "hello", db), "there is no conversation 'nothing'"),
        (("answer", conversation, " \n", db), "the text is blank"),
        (("answer", conversation, "We", "are", "back", db), f"answer {conversation} 'We are back'"),
        (("answer", conversation, "hello", "--id= ", db), "answer_id is empty"),
        (("answer", conversation, "hello", "--agent=", db), "agent.id is empty"),
        (("answer", conversation, "hello", "--agent=7", "--agent-name= ", db), "agent.name is"),
        (("answer", conversation, "hello", "--agent-name=Grace", db), "add --agent ID"),
        (("list", "--after=12", db), "'12' is no message's id"),
        (("open", conversation, "--before=x", db), "'x' is no message's id"),
        (("follow", "--after=x", db), "'x' is no message's id"),
        (("list", "--limit=0", db), "'0' is not a whole number from 1 to 1000"),
        (("list", f"--db={tmp_path / 'none.db'}"), "name the database of your backend with --db"),
        ((), "the following arguments are required: ACTION"),
    ):
        status, _, complained = run("inbox", *words)
        assert status == 2, words
        assert complaint in complained
        assert len(complained.splitlines()) <= 3 or "usage:" in complained
    assert not (tmp_path / "none.db").exists()
    with backend.backend() as data:
        assert len(data.agent.messages(conversation)) == 1


def test_what_visitors_and_users_write_is_followed_until_control_c(
    backend: Served, client: WidgetClient
) -> None:
    with following(backend) as process:
        assert "Ctrl-C ends it" in line(process)
        said = client.say("first")
        backend.reply(said["conversationId"], "an answer, which is not told")
        client.say("second\nand its second line", said["conversationId"])
        for text in ("first", "second", "and its second line"):
            if text != "and its second line":
                assert line(process).endswith(f" in {said['conversationId']}\n")
            assert line(process) == f"    {text}\n"
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=_PATIENCE)
        assert (process.returncode, rest, errors) == (0, "", "")


def test_who_follows_after_a_message_misses_none_and_hears_of_each_once(
    backend: Served, client: WidgetClient
) -> None:
    first = client.say("0")
    backend.restart()
    client.url = backend.url
    for number in range(1, 120):
        client.say(str(number), first["conversationId"])
    with following(backend, "--json", f"--after={first['id']}") as process:
        told = [json.loads(line(process)) for _ in range(119)]
        client.say("120", first["conversationId"])
        told.append(json.loads(line(process)))
        process.send_signal(signal.SIGINT)
        assert process.wait(_PATIENCE) == 0
    assert [message["text"] for message in told] == [str(number) for number in range(1, 121)]
    assert {message["schema"] for message in told} == {"support-chat/message"}
    assert {tuple(message["owner"]) for message in told} == {("visitor",)}


@pytest.mark.parametrize("replaced", [False, True])
def test_who_follows_a_database_that_is_gone_is_told(
    replaced: bool, backend: Served, tmp_path: Path
) -> None:
    backend.stop()
    with following(backend) as process:
        line(process)
        if replaced:
            shutil.copy(backend.db, tmp_path / "copy.db")
            os.replace(tmp_path / "copy.db", backend.db)
        else:
            backend.db.unlink()
        _, errors = process.communicate(timeout=_PATIENCE)
        assert process.returncode == 1
        assert "was deleted or replaced; begin again" in errors


def test_what_people_choose_steers_no_terminal(run: Run, backend: Served) -> None:
    steers = "\x1b[31m\u202e\x9bred\ttab"
    with widget_client(backend.url) as client:
        identity = {"userId": "ad\u202ea", "token": backend.token("ad\u202ea")}
        client.session = (
            client.post("/sessions/anonymous", client.opening(identity=identity))
            .raise_for_status()
            .json()["session"]
        )
        described = {"type": "profile.updated", "changes": {"user.name": steers}}
        client.post("/events", described).raise_for_status()
        conversation = client.say(steers)["conversationId"]
    db = f"--db={backend.db}"
    for words in (("list", db), ("open", conversation, db)):
        status, printed, _ = run("inbox", *words)
        assert status == 0
        assert "red tab" in printed
        assert not set(printed) & set("\x1b\u202e\x9b\t"), words


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("", 3, "   "),
        ("ab", 3, "ab "),
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("田中", 4, "田中"),
        ("田中さ", 5, "田中…"),
        ("田中さ", 4, "田… "),
        ("a田中", 4, "a田…"),
    ],
)
def test_a_line_takes_as_many_columns_as_it_is_given(text: str, width: int, shown: str) -> None:
    assert fitted(text, width) == shown


def test_a_conversation_is_two_rows_that_fit_on_a_terminal() -> None:
    now = 1_800_000_000.0
    for ago, says in ((0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (1e7, "115 d")):
        for owner in (SignedIn("ada"), SignedIn("田" * 200), Visitor("visitor-4a209a43f7e2")):
            for width in (80, 120, None):
                one = Listed(
                    Conversation("conversation-4a209a43f7e2", 3, 0, now, About(subject="s" * 99)),
                    owner,
                    Message("message-1", "c", "visitor", "word " * 99, now - ago),
                    999,
                    now - ago,
                )
                first, second = rows(one, now, width).split("\n")
                assert f"waits {says}, 999 unanswered" in first
                if width is None:
                    assert second.endswith("word word")
                else:
                    assert max(len(first), len(second)) < width

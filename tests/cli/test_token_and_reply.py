"""`support-chat token` and `support-chat reply`: what they make is what a served backend takes and
delivers.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import jwt
import pytest

from served import Served, served
from support_chat.values import SignedIn
from widget_client import WidgetClient, frame, problem, widget_client

if TYPE_CHECKING:
    from tests.cli.conftest import Run
_PROGRAM = [
    sys.executable,
    "-c",
    "from support_chat_adapters.cli import main; raise SystemExit(main())",
]


@pytest.fixture
def backend(tmp_path: Path) -> Generator[Served, None, None]:
    """A backend of the test's own."""
    with served(tmp_path) as one:
        yield one


@pytest.fixture
def client(backend: Served) -> Generator[WidgetClient, None, None]:
    """A client of it that nobody knows yet."""
    with widget_client(backend.url) as one:
        yield one


def signed_in(client: WidgetClient, token: str, user_id: str = "ada") -> httpx2.Response:
    """The answer to a user who begins a session."""
    return client.post(
        "/sessions/anonymous", client.opening(identity={"userId": user_id, "token": token})
    )


def test_a_token_is_accepted_and_describes_a_user_who_is_new(
    run: Run, backend: Served, client: WidgetClient
) -> None:
    status, token, complaint = run(
        "token", "--user=ada", "--name=Ada L.", "--email=ada@example.com", f"--db={backend.db}"
    )
    assert (status, complaint) == (0, "")
    assert signed_in(client, token.strip()).status_code == 200
    with backend.backend() as data:
        assert data.agent.traits(SignedIn("ada")) == {
            "user.name": "Ada L.",
            "user.email": "ada@example.com",
        }

    status, printed, _ = run("token", "--user=bob", "--json", f"--db={backend.db}")
    assert status == 0
    assert list(json.loads(printed)) == ["schema", "version", "token"]
    assert signed_in(client, json.loads(printed)["token"], "bob").status_code == 200


def test_a_token_is_for_one_widget_of_one_backend(
    run: Run, backend: Served, client: WidgetClient, tmp_path: Path
) -> None:
    for other in (
        [f"--db={backend.db}", "--widget=other"],
        [f"--db={backend.db}", "--workspace=other"],
        [f"--db={tmp_path}/other.db"],
    ):
        _, token, _ = run("token", "--user=ada", *other)
        assert problem(signed_in(client, token.strip()))[:2] == (401, "invalid_token"), other


def test_a_token_lives_as_long_as_it_was_asked_for(
    run: Run, backend: Served, client: WidgetClient
) -> None:
    for options, lifetime in (([], 900.0), (["--lifetime=20"], 20.0), (["--lifetime=0.5"], 0.5)):
        _, token, _ = run("token", "--user=ada", f"--db={backend.db}", *options)
        claims = jwt.decode(token.strip(), options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == pytest.approx(lifetime, abs=0.001)
        assert abs(claims["iat"] - time.time()) < 5
    for wrong_lifetime in ("0", "-1", "nan", "inf"):
        status, token, complaint = run(
            "token", "--user=ada", f"--lifetime={wrong_lifetime}", f"--db={backend.db}"
        )
        assert (status, token) == (2, "")
        assert "lifetime must be a positive number of seconds" in complaint
    for wrong in (["--user="], ["--user=ada", "--lifetime=soon"], []):
        status, token, complaint = run("token", f"--db={backend.db}", *wrong)
        assert (status, token) == (2, "")
        assert complaint


def test_whichever_command_comes_first_makes_the_key_for_its_owner_alone(
    tmp_path: Path, run: Run
) -> None:
    before = os.umask(0)
    try:
        assert run("token", "--user=ada", f"--db={tmp_path / 'first.db'}")[0] == 0
    finally:
        os.umask(before)
    with served(tmp_path) as second:
        for key in (tmp_path / "first.db.key", Path(f"{second.db}.key")):
            assert stat.S_IMODE(key.stat().st_mode) == 0o600, key
    assert sorted(path.name for path in tmp_path.glob("*.key*")) == [
        "chat.db.key",
        "first.db.key",
    ], "and no draft of it is left"


def test_processes_that_come_at_once_make_one_key(tmp_path: Path) -> None:
    command = [*_PROGRAM, "token", "--user=ada", f"--db={tmp_path / 'chat.db'}"]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            for _ in range(4)
        ]
        tokens = [process.communicate(timeout=60)[0].strip() for process in processes]
    key = (tmp_path / "chat.db.key").read_text().strip()
    for token in tokens:
        assert (
            jwt.decode(token, key, algorithms=["HS256"], audience="clad_support_chat", leeway=60)[
                "sub"
            ]
            == "ada"
        )
    assert len(list(tmp_path.iterdir())) == 1


def test_a_reply_goes_to_the_newest_conversation_or_to_whom_it_names(
    run: Run, backend: Served, client: WidgetClient
) -> None:
    visitor = client.begin()["visitorId"]
    older = client.say("first")["conversationId"]
    newest = client.say("second")["conversationId"]
    with widget_client(backend.url) as another:
        assert signed_in(another, backend.token("ada")).status_code == 200
    for options, conversation in (
        ([], newest),
        ([f"--conversation={older}"], older),
        ([f"--visitor={visitor}"], newest),
    ):
        status, printed, _ = run("reply", f"to {options}", "--json", f"--db={backend.db}", *options)
        assert status == 0
        stored = json.loads(printed)
        assert stored["conversation_id"] == conversation, options
        said = client.get(f"/conversations/{conversation}/messages").json()["messages"][-1]
        assert (said["id"], said["text"], said["author"]) == (
            stored["id"],
            f"to {options}",
            "agent",
        )
    status, printed, _ = run("reply", "to ada", "--user=ada", f"--db={backend.db}")
    assert status == 0
    with backend.backend() as data:
        (conversation,) = data.agent.conversations(SignedIn("ada"))
        (message,) = data.agent.messages(conversation.id)
    assert message.text == "to ada"
    assert printed.startswith(f"{message.id} in {conversation.id} as answer-")


def test_a_reply_is_delivered_at_once_or_as_missed(
    run: Run, backend: Served, client: WidgetClient
) -> None:
    cursor = client.begin()["cursor"]
    client.say("help")
    with client.gateway(cursor=cursor) as gateway:
        frame(gateway)
        assert run("reply", "while it runs", f"--db={backend.db}")[0] == 0
        last = frame(gateway)
        assert last["message"]["text"] == "while it runs"
    backend.stop()
    assert run("reply", "while it is stopped", f"--db={backend.db}")[0] == 0
    backend.start()
    with client.gateway(cursor=last["cursor"]) as gateway:
        frame(gateway)
        assert frame(gateway)["message"]["text"] == "while it is stopped"


def test_a_reply_to_nobody_is_a_line_and_stores_nothing(
    run: Run, backend: Served, client: WidgetClient, tmp_path: Path
) -> None:
    db = f"--db={backend.db}"
    garbage = tmp_path / "garbage.db"
    garbage.write_text("this is no database, and it is long enough to be taken for a header")
    for arguments, complaint in (
        (["reply", "hello", db], "nobody has written yet; name somebody with --user or --visitor."),
        (["reply", "hello", db, "--user=nobody"], "there is no user 'nobody'"),
        (["reply", "hello", db, "--visitor=nobody"], "there is no visitor 'nobody'"),
        (["reply", "hello", db, "--conversation=none"], "there is no conversation 'none'"),
        (
            ["reply", "hello", f"--db={tmp_path / 'none.db'}"],
            "name the database of your backend with --db",
        ),
        (["reply", "hello", f"--db={garbage}"], "file is not a database; name another with --db"),
        (
            ["reply", "hello", f"--db={tmp_path}"],
            "unable to open database file; name another with --db",
        ),
        (["reply", "hello", db, "--user=a", "--visitor=b"], "not allowed with argument --user"),
    ):
        status, printed, complained = run(*arguments)
        assert (status, printed) == (2, ""), arguments
        assert complaint in complained
        assert len(complained.splitlines()) == 1 or "usage:" in complained
    assert not (tmp_path / "none.db").exists()
    client.begin()
    assert client.get("/conversations").json()["conversations"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([""], "the text is blank"),
        ([" \n"], "the text is blank"),
        (["We", "are", "back"], "put the text into quotes: support-chat reply 'We are back'"),
    ],
)
def test_a_reply_is_one_text_that_says_something(
    words: list[str], said: str, run: Run, backend: Served, client: WidgetClient
) -> None:
    client.begin()
    client.say("first")
    status, printed, complaint = run("reply", *words, f"--db={backend.db}")
    assert (status, printed) == (2, "")
    assert said in complaint
    (conversation,) = client.get("/conversations").json()["conversations"]
    messages = client.get(f"/conversations/{conversation['id']}/messages").json()["messages"]
    assert [message["text"] for message in messages] == ["first"]

"""`support-chat forget`, `export-person` and `backup`, beside a server that runs on."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import threading
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from served import Served, served
from support_chat.values import SignedIn
from widget_client import WidgetClient, closed_with, frame, problem, widget_client

if TYPE_CHECKING:
    from tests.cli.conftest import Run


@pytest.fixture
def backend(tmp_path: Path) -> Generator[Served, None, None]:
    """A backend of the test's own."""
    with served(tmp_path, "--opens-per-minute=0", "--requests-per-minute=0") as one:
        yield one


@pytest.fixture
def client(backend: Served) -> Generator[WidgetClient, None, None]:
    """A client of it that nobody knows yet."""
    with widget_client(backend.url) as one:
        yield one


def as_ada(client: WidgetClient, backend: Served) -> str:
    """Signs in; returns where a replay begins."""
    identity = {"userId": "ada", "token": backend.token("ada")}
    return str(client.begin(identity=identity)["cursor"])


def test_a_person_is_exported_and_forgotten_while_the_server_runs(
    backend: Served, client: WidgetClient, run: Run
) -> None:
    as_ada(client, backend)
    client.say("SECRET-text")
    with client.gateway() as link:
        assert frame(link)["type"] == "hello"
        status, printed, _ = run("export-person", "--user=ada", f"--db={backend.db}")
        assert status == 0
        known = json.loads(printed)
        assert (known["schema"], known["version"]) == ("support-chat/person", 1)
        assert known["conversations"][0]["messages"][0]["text"] == "SECRET-text"

        status, printed, _ = run("forget", "--user=ada", f"--db={backend.db}")
        assert status == 0
        assert printed == "deleted 1 conversations, 1 messages, 0 traits, 1 sessions\n"
        assert frame(link) == {"type": "session.revoked", "reason": "forgotten"}
        assert closed_with(link)[0] == 4403
    assert problem(client.get("/conversations")) == (403, "auth_required", "session_unknown")
    files = [backend.db, backend.db.with_name(f"{backend.db.name}-wal")]
    assert b"SECRET" not in b"".join(file.read_bytes() for file in files if file.exists())

    status, _, complaint = run("forget", "--user=ada", f"--db={backend.db}")
    assert status == 2
    assert "There is no user 'ada'." in complaint
    as_ada(client, backend)
    assert client.get("/conversations").json()["conversations"] == []


@pytest.mark.parametrize("command", ["forget", "export-person"])
def test_somebody_is_named_and_there_is_a_database(command: str, tmp_path: Path, run: Run) -> None:
    assert run(command)[0] == 2
    assert run(command, "--user=a", "--visitor=b")[0] == 2
    status, _, complaint = run(command, "--user=ada", f"--db={tmp_path / 'none.db'}")
    assert status == 2
    assert "none.db; name the database" in " ".join(complaint.split())
    assert not (tmp_path / "none.db").exists()


def test_what_was_deleted_is_told_to_programs(
    backend: Served, client: WidgetClient, run: Run
) -> None:
    visitor = client.begin()["visitorId"]
    client.say("hello")
    status, printed, _ = run("forget", f"--visitor={visitor}", f"--db={backend.db}", "--json")
    assert status == 0
    assert json.loads(printed) == {
        "schema": "support-chat/forget",
        "version": 1,
        "conversations": 1,
        "messages": 1,
        "traits": 0,
        "sessions": 1,
    }


def test_a_backup_that_is_made_while_many_write_is_whole_and_of_one_moment(
    backend: Served, client: WidgetClient, run: Run, tmp_path: Path
) -> None:
    client.begin()
    conversation = client.say("0")["conversationId"]
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            client.say(str(number), conversation)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            copy = tmp_path / f"copy-{number}.db"
            status, printed, complaint = run("backup", copy, f"--db={backend.db}")
            assert (status, complaint) == (0, "")
            assert printed == f"{copy}: {copy.stat().st_size} bytes\n"
            assert stat.S_IMODE(copy.stat().st_mode) == 0o600
            with closing(sqlite3.connect(copy)) as db:
                texts = [
                    text for (text,) in db.execute("SELECT text FROM messages ORDER BY number")
                ]
                [(counted,)] = db.execute("SELECT messages FROM conversations").fetchall()
            assert texts == [str(number) for number in range(len(texts))]
            assert counted == len(texts)
    finally:
        done.set()
        writer.join()
    assert sorted(each.name for each in tmp_path.glob("*copy*")) == [
        f"copy-{number}.db" for number in range(3)
    ]


def test_a_backup_takes_no_other_files_place_and_needs_a_database(
    backend: Served, run: Run, tmp_path: Path
) -> None:
    there = tmp_path / "there.db"
    there.write_text("precious")
    status, _, complaint = run("backup", there, f"--db={backend.db}")
    assert status == 2
    assert "already; name another" in complaint
    assert there.read_text() == "precious"
    assert run("backup", tmp_path / "copy.db", f"--db={tmp_path / 'none.db'}")[0] == 2
    assert run("backup", tmp_path / "no" / "folder.db", f"--db={backend.db}")[0] == 2
    garbage = tmp_path / "garbage.db"
    garbage.write_text("this is no database, and it is long enough to be taken for a header")
    assert run("backup", tmp_path / "copy.db", f"--db={garbage}")[0] == 2
    assert not (tmp_path / "copy.db").exists()


def test_clients_live_on_with_a_backup_in_place_and_miss_nothing_that_is_written_then(
    backend: Served, client: WidgetClient, run: Run, tmp_path: Path
) -> None:
    """Their positions are another database's: a gap is told, and who reads again has everything."""
    as_ada(client, backend)
    conversation = client.say("in the copy")["conversationId"]
    copy = tmp_path / "copy.db"
    status, printed, _ = run("backup", copy, f"--db={backend.db}", "--json")
    assert status == 0
    assert json.loads(printed)["bytes"] == copy.stat().st_size
    backend.reply(SignedIn("ada"), *(f"lost {number}" for number in range(5)))
    ahead = client.get("/realtime").json()["cursor"]

    backend.stop()
    for end in ("", "-wal", "-shm"):
        backend.db.with_name(f"{backend.db.name}{end}").unlink(missing_ok=True)
    shutil.copy2(copy, backend.db)
    backend.start()

    client.url = backend.url
    backend.reply(SignedIn("ada"), *(f"new {number}" for number in range(5)))
    told = client.get("/realtime", cursor=ahead).raise_for_status().json()
    assert told["gap"] is True
    page = client.get(f"/conversations/{conversation}/messages").raise_for_status().json()
    new = [f"new {number}" for number in range(5)]
    assert [each["text"] for each in page["messages"]] == ["in the copy", *new]

    backend.reply(SignedIn("ada"), "after the gap")
    answer = client.get("/realtime", cursor=told["cursor"]).raise_for_status().json()
    assert "gap" not in answer
    assert [each["message"]["text"] for each in answer["frames"]] == ["after the gap"]

"""The page on several processes is followed: its statements by a real server, its commands by the
command line, and a restored copy is told as a gap.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from postgres_server import PostgresServer
from support_chat.ports import Credentials, Outgoing
from support_chat_adapters.backend import Backend
from support_chat_adapters.backend.postgres import PostgresStore
from support_chat_adapters.cli import main, parser

PAGE = (Path(__file__).parents[2] / "docs/from-one-process-to-several.md").read_text("utf-8")
DATABASE, RIGHTS, RESTORED = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = "".join(re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
WIDGET: dict[str, Any] = {"workspace_id": "demo", "widget_id": "web"}


def test_its_roles_and_rights_are_enough(
    postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as db:
        for statement in DATABASE.split(";"):
            db.execute(statement.encode())
    making, *serving = COMMANDS.splitlines()
    here = f"127.0.0.1:{postgres.port}"
    assert main(shlex.split(making.replace("127.0.0.1", here))[1:]) == 0
    for command in serving:
        parser().parse_args(shlex.split(command)[1:])
    owner = postgres.url("chat").replace("postgres@", "chat_owner@")
    with psycopg.connect(owner) as db:
        db.execute(RIGHTS.encode())
        db.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    gateway = owner.replace("chat_owner@", "chat_gateway@")
    with Backend(PostgresStore(gateway), **WIDGET) as backend:
        session = backend.open(Credentials(**WIDGET, visitor="v")).welcome.session
        backend.send(session, Outgoing("m", "hello"))
        assert [each.last.text for each in backend.agent.inbox().items] == ["hello"]


def test_a_restored_copy_tells_a_gap(
    postgres: PostgresServer, database: str, tmp_path: Path
) -> None:
    with Backend(PostgresStore(database), **WIDGET) as backend:
        session = backend.open(Credentials(**WIDGET, visitor="v")).welcome.session
        backend.send(session, Outgoing("m1", "before"))
        dump = subprocess.run(
            [str(postgres.bin / "pg_dump"), "--format=custom", database],
            capture_output=True,
            check=True,
        ).stdout
        backend.send(session, Outgoing("m2", "after"))
        dial = Credentials(**WIDGET, visitor="v", session=session)
        cursor = backend.open(dial).welcome.cursor
    copy = postgres.create("restored")
    restoring = [str(postgres.bin / "pg_restore"), "--no-owner", "-d", copy]
    subprocess.run(restoring, input=dump, capture_output=True, check=True)
    with psycopg.connect(copy) as db:
        db.execute(RESTORED.encode())
    with Backend(PostgresStore(copy), **WIDGET) as backend:
        opened = backend.open(Credentials(**WIDGET, visitor="v", session=session, cursor=cursor))
        assert opened.welcome.gap
        [conversation] = backend.conversations(session)
        texts = [message.text for message in backend.messages(session, conversation.id)]
        assert texts == ["before"]
        again = backend.open(
            Credentials(**WIDGET, visitor="v", session=session, cursor=opened.welcome.cursor)
        )
        assert not again.welcome.gap
        sent = backend.send(session, Outgoing("m3", "new"))
        assert int(sent.id.removeprefix("message-")) > 1_000_000

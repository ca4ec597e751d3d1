"""The version of the schema, and what becomes of a file of an older or a newer one."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from support_chat.errors import (
    AuthRefusedError,
    BackendRejectedError,
    InvalidInputError,
    VisitorEndedError,
)
from support_chat.ports import Credentials, IdentifyRequest, Outgoing
from support_chat.values import About, SignedIn, Visitor
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.backend.schema import VERSION
from support_chat_adapters.backend.stream import number_in

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
BEFORE_VERSIONS = Path(__file__).with_name("files") / "before_versions.sql"
"""What the last backend without a schema version had written, dumped by SQLite."""
VISITORS = "session-1.qV6_5h_jHMnG8JI7OY807OL0itJYFbv4"
ANNS = "session-2.osYyV_aCscg2QPA7chgOgUz0s5UILgiO"
ENDED = "session-3.cnBt2Jp9i0WdDQalXGxPQT-wiw_T1Ta5"
"""Sessions in that file: of a visitor with a conversation, of one who became ann, and one over."""
VERSION_1 = Path(__file__).with_name("files") / "version_1.sql"
"""What the last backend of version 1 had written, who knew no epoch, no marks and no end of a
visitor."""
OF_VISITOR = "session-1.Hu4PCxxLh6EeiBkAzvNkM_Nd-IcO_hXd"
OF_ANN = "session-2.zE-6rxyuZUceRjp4grx8hVIKDBBhNhBh"
LEFT_BEHIND = "session-3.x0Zlv7gMuB2jK6ebzqUU-mzQQuzhaKZN"
"""Sessions in that file: of a visitor, of one who became ann, and of ann's other tab."""
OLD_FILES = {"before versions": BEFORE_VERSIONS, "version 1": VERSION_1}


def backend(db: Path) -> Backend:
    return Backend(db, **WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=lambda: NOW)


def old_file(folder: Path, written: Path = BEFORE_VERSIONS) -> Path:
    path = folder / "old.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(written.read_text())
    return path


def described(path: Path) -> dict[str, Any]:
    """The columns and indexes of each table, and the version."""
    with closing(sqlite3.connect(path)) as db:
        tables = [
            name
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith("sqlite_")
        ]
        columns = {table: sorted(_columns(db, table)) for table in tables}
        indexes = sorted(
            " ".join(sql.split())
            for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE type = 'index'")
            if sql is not None
        )
        mode = db.execute("PRAGMA journal_mode").fetchone()
        return {"columns": columns, "indexes": indexes, "version": _version(db), "mode": mode}


def _columns(db: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    return [
        (name, kind, required, default, key)
        for _, name, kind, required, default, key in db.execute(f"PRAGMA table_info({table})")
    ]


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_a_file_of_before_there_were_versions_goes_on_with_all_that_is_in_it(
    tmp_path: Path,
) -> None:
    with backend(old_file(tmp_path)) as b:
        (conversation,) = b.conversations(VISITORS)
        assert (conversation.messages, conversation.unread) == (4, 2)
        assert conversation.about == About(subject="Printer", tags=("a", "b"))
        texts = [message.text for message in b.messages(VISITORS, conversation.id)]
        assert texts == ["It's broken; really", "one", "two", "three"]
        back = b.open(Credentials(**WIDGET, visitor="secret-1", session=VISITORS, cursor="2"))
        assert [event.message.text for event in back.replay] == ["two", "three"]
        assert back.welcome.unread == 2
        assert number_in(back.welcome.cursor or "") == 7
        assert b.mark_read(VISITORS, conversation.id).unread == 0

        assert [c.messages for c in b.conversations(ANNS)] == [1, 2]
        assert sum(c.unread or 0 for c in b.conversations(ANNS)) == 1
        again = Outgoing("m2", "more")
        assert b.send(ANNS, again).id == "message-7", "a client id is known as before"
        assert b.send(ANNS, Outgoing("m3", "new")).id == "message-8"
        assert b.agent.merged_into(Visitor("visitor-3658cc0837c5")) == SignedIn("ann")
        for one in b.agent.inbox().items:
            said = b.agent.messages(one.conversation.id)
            answers = [n for n, message in enumerate(said) if message.author == "agent"]
            unanswered = said[max(answers, default=-1) + 1 :]
            assert (one.last, one.unanswered) == (said[-1], len(unanswered))
            assert one.waiting_since == (unanswered[0].created_at if unanswered else None)
        assert len(b.agent.inbox().items) == len(b.agent.conversations()) == 4
        session = b.open(Credentials(**WIDGET, visitor="secret-4")).welcome.session
        token = sign_identity_token("bob", SECRET, **WIDGET, now=NOW)
        with pytest.raises(AuthRefusedError, match="given up"):
            b.identify(session, IdentifyRequest("i2", "bob", "secret-4", token))
        b.revoke(ENDED)
        assert b.log.count("revoked") == 0, "it was over before"


def test_a_file_of_version_1_goes_on_with_what_it_did_not_know(tmp_path: Path) -> None:
    with backend(old_file(tmp_path, VERSION_1)) as b:
        (conversation,) = b.conversations(OF_VISITOR)
        assert (conversation.messages, conversation.unread) == (4, 2)
        back = b.open(Credentials(**WIDGET, visitor="secret-1", session=OF_VISITOR, cursor="1"))
        assert [event.message.text for event in back.replay] == ["one", "two", "three"]
        assert (back.welcome.gap, back.welcome.unread, back.welcome.echoes) == (False, 2, True)
        again = Credentials(
            **WIDGET, visitor="secret-1", session=OF_VISITOR, cursor=back.welcome.cursor
        )
        assert not b.open(again).welcome.gap
        marked = back.replay[1].message.id
        assert b.mark_read(OF_VISITOR, conversation.id, marked).unread == 1
        assert b.mark_read(OF_VISITOR, conversation.id, back.replay[0].message.id).unread == 1

        (anns,) = b.conversations(OF_ANN, SignedIn("ann"))
        assert b.send(OF_ANN, Outgoing("m1", "as the visitor")).conversation_id == anns.id
        tab = Credentials(**WIDGET, visitor="secret-2", session=LEFT_BEHIND)
        successor = b.open(tab).welcome.visitor_id
        assert b.open(Credentials(**WIDGET, visitor="secret-2")).welcome.visitor_id == successor
        b.end_visitor(**WIDGET, visitor="secret-2")
        for credential in (OF_ANN, LEFT_BEHIND):
            with pytest.raises(BackendRejectedError):
                b.conversations(credential)
        with pytest.raises(VisitorEndedError):
            b.open(tab)


@pytest.mark.parametrize("written", OLD_FILES.values(), ids=OLD_FILES)
def test_it_becomes_what_a_new_file_is(tmp_path: Path, written: Path) -> None:
    new, old = tmp_path / "new.db", old_file(tmp_path, written)
    with backend(new), backend(old):
        pass
    assert described(old) == described(new)
    assert described(new)["version"] == VERSION
    with closing(sqlite3.connect(old)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_several_processes_may_open_an_old_file_at_once(tmp_path: Path) -> None:
    path, workers = old_file(tmp_path), 4
    together = Barrier(workers, timeout=30)

    def work(_: int) -> int:
        together.wait()
        with backend(path) as b:
            return len(b.conversations(ANNS))

    with ThreadPoolExecutor(workers) as pool:
        assert list(pool.map(work, range(workers))) == [2] * workers


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old_file(tmp_path)
    before = described(path)
    with monkeypatch.context() as broken:
        broken.setattr(
            "support_chat_adapters.backend.schema._MIGRATIONS",
            ("ALTER TABLE messages ADD COLUMN owner TEXT; SELECT nothing FROM nowhere;",),
        )
        with pytest.raises(sqlite3.OperationalError):
            backend(path)
    assert described(path) == before


@pytest.mark.parametrize(
    ("made", "refused_as"),
    [
        (f"CREATE TABLE messages (x); PRAGMA user_version = {VERSION + 1}", InvalidInputError),
        ("CREATE TABLE songs (title)", sqlite3.OperationalError),
    ],
)
def test_a_file_of_a_newer_version_or_of_another_program_is_refused_and_left_alone(
    made: str, refused_as: type[Exception], tmp_path: Path
) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(made)
    before = described(path)
    with pytest.raises(refused_as):
        backend(path)
    assert described(path) == before

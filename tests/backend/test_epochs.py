"""Cursors carry the epoch of their database: after a restore from a backup they are a gap, and so
are those from ahead of it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from support_chat.ports import Credentials, Outgoing
from support_chat_adapters.backend import Backend, Opened
from support_chat_adapters.backend.backup import AHEAD, back_up
from support_chat_adapters.backend.stream import number_in

WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}


def opened(b: Backend, cursor: str | None = None, session: str | None = None) -> Opened:
    return b.open(Credentials(**WIDGET, visitor="secret-1", cursor=cursor, session=session))


def cursor_of(b: Backend) -> str:
    cursor = opened(b).welcome.cursor
    assert cursor is not None
    return cursor


def texts(answer: Opened) -> list[str]:
    return [event.message.text for event in answer.replay]


def test_a_database_keeps_its_epoch_and_no_other_has_it(tmp_path: Path) -> None:
    epochs: list[str] = []
    for _ in range(2):
        with Backend(tmp_path / "chat.db", **WIDGET) as b:
            epochs.append(cursor_of(b).partition(".")[0])
    for db in (tmp_path / "other.db", ":memory:"):
        with Backend(db, **WIDGET) as b:
            epochs.append(cursor_of(b).partition(".")[0])
    assert epochs[0] == epochs[1]
    assert len(set(epochs)) == 3


def test_a_bare_number_is_a_cursor_of_before_there_were_epochs() -> None:
    with Backend(**WIDGET) as b:
        session = opened(b).welcome.session
        for number in range(3):
            b.send(session, Outgoing(f"m-{number}", f"{number}"))
        for cursor in ("1", f"{cursor_of(b).partition('.')[0]}.1"):
            back = opened(b, cursor)
            assert (back.welcome.gap, texts(back)) == (False, ["1", "2"])
            assert back.welcome.cursor == cursor_of(b)


@pytest.mark.parametrize(
    "cursor", ["{epoch}.4", "{epoch}.99", "4", "other.2", ".2", "{epoch}2", "{epoch}."]
)
def test_a_cursor_of_another_epoch_or_from_ahead_is_a_gap_with_the_present_one(cursor: str) -> None:
    with Backend(**WIDGET) as b:
        session = opened(b).welcome.session
        for number in range(3):
            b.send(session, Outgoing(f"m-{number}", f"{number}"))
        now = cursor_of(b)
        back = opened(b, cursor.format(epoch=now.partition(".")[0]))
        assert (back.welcome.gap, back.replay, back.welcome.cursor) == (True, (), now)
        b.send(session, Outgoing("m-3", "3"))
        assert texts(opened(b, back.welcome.cursor)) == ["3"]


def test_after_a_restore_every_cursor_of_the_lost_database_is_a_gap(tmp_path: Path) -> None:
    path, copy = tmp_path / "chat.db", tmp_path / "copy.db"
    with Backend(path, **WIDGET) as b:
        session = opened(b).welcome.session
        b.send(session, Outgoing("m-0", "before"))
        kept = cursor_of(b)
        back_up(path, copy)
        b.send(session, Outgoing("m-1", "lost"))
        lost = cursor_of(b)
    for file in tmp_path.glob("chat.db*"):
        file.unlink()
    shutil.copy(copy, path)
    with Backend(path, **WIDGET) as b:
        present = cursor_of(b)
        for cursor in (kept, lost):
            back = opened(b, cursor, session)
            assert (back.welcome.gap, back.replay) == (True, ())
            assert back.welcome.cursor == present
        after = b.send(session, Outgoing("m-2", "after"))
        assert int(after.id.removeprefix("message-")) > AHEAD
        assert texts(opened(b, present, session)) == ["after"]


def test_a_plain_copy_put_back_is_a_gap_for_who_was_ahead_of_it(tmp_path: Path) -> None:
    path, copy = tmp_path / "chat.db", tmp_path / "copy.db"
    with Backend(path, **WIDGET) as b:
        session = opened(b).welcome.session
        b.send(session, Outgoing("m-0", "before"))
        kept = cursor_of(b)
    shutil.copy(path, copy)
    with Backend(path, **WIDGET) as b:
        b.send(session, Outgoing("m-1", "lost"))
        lost = cursor_of(b)
    shutil.copy(copy, path)
    with Backend(path, **WIDGET) as b:
        assert opened(b, lost, session).welcome.gap
        assert not opened(b, kept, session).welcome.gap
        assert number_in(lost) == number_in(kept) + 1

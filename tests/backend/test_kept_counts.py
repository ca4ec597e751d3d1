"""What is kept instead of counted equals the count, whatever happened; and whatever a request
changes belongs to somebody whose lock it has.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from support_chat.ports import Credentials, IdentifyRequest, Outgoing
from support_chat_adapters import backend as package
from support_chat_adapters.backend import Backend, SQLiteStore, Transaction, WidgetRules
from support_chat_adapters.backend.store import Work

T = TypeVar("T")
U = TypeVar("U")
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
COUNTED = """
SELECT conversations.id, conversations.owner, conversations.messages, conversations.unread,
  count(messages.number) AS in_all,
  coalesce(sum(messages.author = 'agent' AND messages.number > read_up_to), 0) AS not_read,
  last_message || ' ' || unanswered || ' ' || coalesce(waiting_from, '-') AS kept_for_agents,
  max(messages.number) || ' ' || sum(messages.author <> 'agent' AND messages.number > answered)
    || ' ' || coalesce(min(CASE WHEN messages.number > answered THEN messages.number END), '-')
    AS counted_for_agents,
  coalesce(sum(messages.owner <> conversations.owner), 0) AS astray
FROM (SELECT *, (SELECT coalesce(max(number), 0) FROM messages
    WHERE conversation_id = conversations.id AND author = 'agent') AS answered FROM conversations
  ) AS conversations LEFT JOIN messages ON conversation_id = conversations.id
GROUP BY conversations.id
"""
OWNED = """
SELECT owner, 'unread', unread FROM owners
UNION ALL SELECT owner, id, messages || ' ' || unread || ' ' || read_up_to FROM conversations
UNION ALL SELECT owner, path, value FROM traits
"""


class Locked:
    """A transaction that keeps whose lock was asked for, and refuses a change before any was."""

    def __init__(self, db: Transaction) -> None:
        self._db = db
        self.settled, self.following, self.begins = db.settled, db.following, db.begins
        self.locked: set[str] | None = None

    def lock(self, *owners: str) -> None:
        self._db.lock(*owners)
        self.locked = (self.locked or set()) | set(owners)

    def execute(self, sql: str, values: Any = (), /) -> Any:
        assert self.locked is not None or sql.startswith("SELECT"), sql
        return self._db.execute(sql, values)


class LockedStore(SQLiteStore):
    """A store whose works change nothing that they have not locked."""

    def write_now(self, work: Work[T], then: Callable[[T], U]) -> U:
        def checked(db: Transaction) -> T:
            before, locked = owned(db), Locked(db)
            answer = work(locked)
            after = owned(db)
            changed = {who for who in {*before, *after} if before.get(who) != after.get(who)}
            assert changed <= (locked.locked or set()), (changed, locked.locked)
            return answer

        return super().write_now(checked, then)

    def rows(self, sql: str) -> list[Any]:
        return self.read_now(lambda db: db.execute(sql).fetchall(), list)


def owned(db: Transaction) -> Mapping[str, Collection[object]]:
    """What belongs to each owner."""
    found: dict[str, set[object]] = {}
    for owner, name, value in db.execute(OWNED).fetchall():
        found.setdefault(owner, set()).add((name, value))
    return found


class Counts(RuleBasedStateMachine):
    """Everybody does as they like."""

    people = Bundle("people")

    def __init__(self) -> None:
        super().__init__()
        self.store = LockedStore(":memory:")
        rules = WidgetRules(jwt_required_for_identified_users=False)
        self.backend = Backend(self.store, **WIDGET, rules=rules)
        self.minted = 0

    def teardown(self) -> None:
        self.backend.close()

    def new(self) -> str:
        self.minted += 1
        return f"id-{self.minted}"

    @rule(target=people, secret=st.sampled_from("abc"))
    def somebody_comes(self, secret: str) -> tuple[str, str]:
        credentials = Credentials(**WIDGET, visitor=secret)
        return self.backend.open(credentials).welcome.session, secret

    @rule(who=people, again=st.booleans(), where=st.integers(0, 3))
    def they_write(self, who: tuple[str, str], again: bool, where: int) -> None:
        mine = self.backend.conversations(who[0])
        to = mine[where].id if where < len(mine) else None
        self.backend.send(who[0], Outgoing("again" if again else self.new(), "hello", to))

    @rule(where=st.integers(0, 5), times=st.integers(1, 3))
    def an_agent_answers(self, where: int, times: int) -> None:
        for conversation in self.backend.agent.conversations()[where : where + 1]:
            for _ in range(times):
                self.backend.agent.reply(conversation.id, "answer")

    @rule(who=people, where=st.integers(0, 3))
    def they_read(self, who: tuple[str, str], where: int) -> None:
        for conversation in self.backend.conversations(who[0])[where : where + 1]:
            left = self.backend.mark_read(who[0], conversation.id).unread
            assert left == sum(each.unread or 0 for each in self.backend.conversations(who[0]))

    @rule(who=people, user=st.sampled_from(["ann", "bob"]))
    def they_sign_in(self, who: tuple[str, str], user: str) -> None:
        if self.backend.agent.users() and self.named(who[0]) not in (None, user):
            return
        self.backend.identify(who[0], IdentifyRequest(self.new(), user, who[1], None))

    @rule(who=people, page=st.text("xyz", max_size=3))
    def they_tell_more(self, who: tuple[str, str], page: str) -> None:
        self.backend.update(who[0], {"context.page": page, "company.id": page or None})

    @rule(who=consumes(people))
    def they_go(self, who: tuple[str, str]) -> None:
        self.backend.revoke(who[0])

    def named(self, session: str) -> str | None:
        (row,) = self.store.rows(
            f"SELECT user_id FROM sessions WHERE id = {session.partition('.')[0].split('-')[1]}"
        )
        user: str | None = row["user_id"]
        return user

    @invariant()
    def what_is_kept_is_what_is_counted(self) -> None:
        owed: dict[str, int] = {}
        for row in self.store.rows(COUNTED):
            kept = (row["messages"], row["unread"], 0)
            assert kept == (row["in_all"], row["not_read"], row["astray"]), dict(row)
            assert row["kept_for_agents"] == row["counted_for_agents"], dict(row)
            owed[row["owner"]] = owed.get(row["owner"], 0) + row["not_read"]
        kept_of = {row["owner"]: row["unread"] for row in self.store.rows("SELECT * FROM owners")}
        assert {who: count for who, count in kept_of.items() if count} == {
            who: count for who, count in owed.items() if count
        }
        for who in self.backend.agent.users():
            listed = self.backend.agent.conversations(who)
            assert sum(each.unread or 0 for each in listed) == kept_of.get(f"user:{who.user_id}", 0)


Counts.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestCounts = Counts.TestCase


def test_the_check_sees_a_change_that_nobody_has_locked() -> None:
    store = LockedStore(":memory:")
    with Backend(store, **WIDGET) as backend:
        session = backend.open(Credentials(**WIDGET, visitor="a")).welcome.session
        backend.send(session, Outgoing("m", "hello"))
        for locks in ((), ("user:somebody",)):

            def careless(db: Transaction, locks: tuple[str, ...] = locks) -> None:
                db.lock(*locks)
                db.execute("UPDATE conversations SET unread = unread + 1")

            with pytest.raises(AssertionError):
                store.write_now(careless, bool)
        with pytest.raises(AssertionError):
            store.write_now(lambda db: db.execute("DELETE FROM owners"), bool)
        assert backend.agent.conversations()[0].unread == 0


SHARED = [
    path
    for path in sorted(Path(package.__path__[0]).glob("*.py"))
    if path.name not in ("schema.py", "sqlite_line.py", "sqlite_store.py")
]
ONLY_SQLITE = re.compile(
    r"\bPRAGMA\b|\bINSERT OR\b|\bREPLACE INTO\b|\bjson_\w+\(|\bIS (NOT )?\?|\bchar\(|\bGLOB\b|"
    r"\browid\b|\bAUTOINCREMENT\b|\blast_insert_rowid\b|\bdatetime\(|\bstrftime\(|\btotal\(|"
    r"\bLIMIT -1\b|\?\d|:\w+\b",
    re.IGNORECASE,
)


def statements(path: Path) -> Iterator[str]:
    """The SQL in a module, where values stand `?`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values
            )
        else:
            continue
        if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)\s", text):
            yield text


def test_requests_are_written_in_the_sql_that_other_databases_share() -> None:
    found = [statement for path in SHARED for statement in statements(path)]
    assert len(found) > 30
    assert [statement for statement in found if ONLY_SQLITE.search(statement)] == []

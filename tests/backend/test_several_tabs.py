"""Several sessions of one visitor, as tabs are: whom a request is for, what a merge in one tells
the others, who is behind a secret afterwards, and when it is over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from async_tests import in_virtual_time
from support_chat.errors import BackendRejectedError, SupportChatError, VisitorEndedError
from support_chat.ports import (
    Claim,
    Credentials,
    IdentifyRequest,
    LinkEvent,
    MarkRead,
    MessageArrived,
    Outgoing,
    OwnerChanged,
    SessionRevoked,
    Welcome,
)
from support_chat.values import Identity, SignedIn, Visitor
from support_chat_adapters.backend import (
    Ages,
    Backend,
    Connection,
    IdentityKey,
    operations,
    sign_identity_token,
)

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
ANN = SignedIn("ann")
ODD = ("Ann@Example.COM", "a|b", "größe-é", "visitor:ann", "%41", "a b", "日本")
"""Ids of users as other people's systems give them out."""


def backend(db: Path | str = ":memory:", now: Callable[[], float] = lambda: NOW) -> Backend:
    return Backend(db, **WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=now)


def token(user: str) -> str:
    return sign_identity_token(user, SECRET, **WIDGET, now=NOW)


def presents(secret: str = "secret-1", user: str | None = None, **more: Any) -> Credentials:
    signed: dict[str, Any] = {} if user is None else {"user_id": user, "token": token(user)}
    return Credentials(**WIDGET, visitor=secret, **signed, **more)


def opened(b: Backend, secret: str = "secret-1", **more: Any) -> Welcome:
    return b.open(presents(secret, **more)).welcome


def shown(welcome: Welcome) -> Visitor:
    """Whom the tab of this visitor's session shows."""
    return Visitor(welcome.visitor_id or "")


def asks(user: str = "ann", secret: str = "secret-1", id: str = "i-1") -> IdentifyRequest:
    return IdentifyRequest(id, user, secret, token(user))


def refused(asked: Callable[[], object]) -> str:
    with pytest.raises(SupportChatError) as caught:
        asked()
    return caught.value.code


async def heard(connection: Connection) -> list[LinkEvent]:
    return await connection.ready()


# --- for whom -------------------------------------------------------------------------------------


def test_what_is_asked_for_another_than_the_session_is_for_is_refused_and_changes_nothing() -> None:
    with backend() as b:
        first, second = opened(b), opened(b)
        sent = b.send(first.session, Outgoing("m-1", "hello", owner=shown(first)))
        b.agent.reply(sent.conversation_id, "coming")
        b.identify(first.session, asks())
        before = (
            b.agent.conversations(),
            b.agent.traits(ANN),
            b.agent.messages(sent.conversation_id),
        )
        for session, owner in (
            (second.session, shown(second)),
            (first.session, shown(first)),
            (first.session, SignedIn("bob")),
            (first.session, Visitor("ann")),
        ):
            named = sent.conversation_id
            tried: list[Callable[[], object]] = [
                lambda: b.send(session, Outgoing("m-2", "for whom?", owner=owner)),  # noqa: B023
                lambda: b.send(session, Outgoing("m-2", "for whom?", named, owner=owner)),  # noqa: B023
                lambda: b.update(session, {"user.name": "V"}, owner),  # noqa: B023
                lambda: b.conversations(session, owner),  # noqa: B023
                lambda: b.messages(session, named, owner=owner),  # noqa: B023
                lambda: b.mark_read(session, named, owner=owner),  # noqa: B023
            ]
            assert {refused(one) for one in tried} == {"owner_changed"}
        after = (
            b.agent.conversations(),
            b.agent.traits(ANN),
            b.agent.messages(sent.conversation_id),
        )
        assert after == before
        assert len(b.agent.visitors()) == 1, "a refusal makes no successor"


@pytest.mark.parametrize("user", ODD)
def test_what_is_asked_for_the_sessions_own_identity_is_done_whatever_its_id(user: str) -> None:
    with backend() as b:
        session = opened(b, user=user).session
        owner = SignedIn(user)
        sent = b.send(session, Outgoing("m-1", "hello", owner=owner))
        assert [one.id for one in b.conversations(session, owner)] == [sent.conversation_id]
        assert b.messages(session, sent.conversation_id, owner=owner) == (sent,)
        assert b.mark_read(session, sent.conversation_id, owner=owner).unread == 0
        assert b.update(session, {"user.name": "A"}, owner).rejected == ()


def test_a_message_that_was_sent_as_the_visitor_is_not_stored_again_as_the_user() -> None:
    with backend() as b:
        tab = opened(b)
        first = b.send(tab.session, Outgoing("m-1", "hello", owner=shown(tab)))
        b.identify(tab.session, asks())
        again = Outgoing("m-1", "hello", owner=ANN)
        assert b.send(tab.session, again) == first
        assert b.send(opened(b, user="ann").session, again) == first, "from another device, too"
        not_stored = Outgoing("m-2", "as the user", owner=ANN)
        assert b.send(tab.session, not_stored).author == "user"
        assert b.agent.duplicates() == 0


def test_a_late_copy_of_what_was_sent_before_the_merge_is_answered_with_what_was_stored() -> None:
    with backend() as b:
        tab, merging = opened(b), opened(b)
        begins = Outgoing("m-1", "hello", owner=shown(tab))
        first = b.send(tab.session, begins)
        goes_on = Outgoing("m-2", "and", first.conversation_id, owner=shown(tab))
        second = b.send(tab.session, goes_on)
        others = b.send(merging.session, Outgoing("m-3", "mine", owner=shown(merging)))
        b.identify(merging.session, asks())
        assert b.send(tab.session, begins) == first
        assert b.send(tab.session, goes_on) == second
        for not_its_own in (
            Outgoing("m-3", "mine", owner=shown(merging)),
            Outgoing("m-4", "new", first.conversation_id, owner=shown(tab)),
        ):
            with pytest.raises(BackendRejectedError) as caught:
                b.send(tab.session, not_its_own)
            assert caught.value.code == "owner_changed"
        listed = [b.agent.messages(one.id) for one in b.agent.conversations(ANN)]
        assert sorted(m.id for page in listed for m in page) == [first.id, second.id, others.id]


@in_virtual_time
async def test_the_id_of_a_message_outlives_its_session_which_was_pruned() -> None:
    now = NOW
    with backend(now=lambda: now) as b:
        first = b.send(opened(b).session, Outgoing("m-1", "hello"))
        now += 200.0
        pruned = await b.records.prune(Ages(sessions=100.0, visitors=1000.0))
        assert (pruned.sessions, pruned.visitors) == (1, 0)
        assert b.send(opened(b).session, Outgoing("m-1", "hello")) == first


# --- a merge is told ------------------------------------------------------------------------------


@in_virtual_time
async def test_a_merge_is_told_to_the_visitors_other_sessions_at_once_and_to_nobody_else() -> None:
    with backend() as b:
        tabs = [b.connect(presents()) for _ in range(3)]
        strangers = [b.connect(presents("secret-2")), b.connect(presents(user="ann"))]
        b.identify(tabs[0].welcome.session, asks())
        assert [await heard(tab) for tab in tabs] == [[], [OwnerChanged()], [OwnerChanged()]]
        assert [await heard(one) for one in strangers] == [[], []]
        b.agent.reply(ANN, "hello Ann")
        b.send(opened(b).session, Outgoing("m-1", "of the successor"))
        assert [len(await heard(tab)) for tab in tabs] == [1, 0, 0], "nothing more on that link"


@in_virtual_time
async def test_a_merge_is_told_by_whichever_process_serves_the_other_tab(tmp_path: Path) -> None:
    with backend(tmp_path / "chat.db") as one, backend(tmp_path / "chat.db") as other:
        tab = other.connect(presents())
        one.identify(opened(one).session, asks())
        other.look_around()
        assert await heard(tab) == [OwnerChanged()]


@in_virtual_time
async def test_what_was_sent_before_the_merge_is_told_before_it() -> None:
    with backend() as b:
        first, second = b.connect(presents()), b.connect(presents())
        sent = b.send(first.welcome.session, Outgoing("m-1", "hello"))
        b.identify(first.welcome.session, asks())
        came = await heard(second)
        assert [type(event) for event in came] == [MessageArrived, OwnerChanged]
        assert isinstance(came[0], MessageArrived)
        assert came[0].message == sent


@in_virtual_time
async def test_an_identify_that_does_not_merge_leaves_the_other_tabs_as_they_were() -> None:
    with backend() as b:
        tab, users = b.connect(presents()), opened(b, user="ann")
        answer = b.identify(users.session, asks())
        assert answer.not_merged_because == "already_signed_in"
        assert await heard(tab) == []
        b.send(tab.welcome.session, Outgoing("m-1", "still I", owner=shown(tab.welcome)))


@in_virtual_time
async def test_a_client_of_before_there_were_echoes_is_told_of_others_messages_alone() -> None:
    with backend() as b:
        session = opened(b).session
        old, tab = await b.listen(session, echoes=False), opened(b)
        b.send(session, Outgoing("m-1", "own"))
        other = b.send(tab.session, Outgoing("m-2", "the other tab's"))
        b.mark_read(session, other.conversation_id)
        b.identify(tab.session, asks())
        came = await heard(old)
        assert [event.message for event in came if isinstance(event, MessageArrived)] == [other]
        assert len(came) == 1


# --- one successor --------------------------------------------------------------------------------


@pytest.mark.parametrize("in_a_file", [False, True])
def test_a_merged_secret_has_one_successor_for_whoever_presents_it_generation_after_generation(
    in_a_file: bool, tmp_path: Path
) -> None:
    db = tmp_path / "chat.db" if in_a_file else ":memory:"
    with backend(db) as b:
        generations: list[str | None] = []
        for generation in range(4):
            tabs = [opened(b) for _ in range(3)]
            (visitor,) = {tab.visitor_id for tab in tabs}
            generations.append(visitor)
            b.send(tabs[0].session, Outgoing("m-1", f"generation {generation}"))
            b.identify(tabs[0].session, asks(f"user-{generation}", id=f"i-{generation}"))
            back = [
                opened(b, session=tabs[1].session),
                opened(b),
                opened(b, session=tabs[2].session),
                opened(b, session=tabs[1].session),
            ]
            (successor,) = {welcome.visitor_id for welcome in back}
            assert successor not in generations
            assert all(b.conversations(welcome.session) == () for welcome in back)
            users = opened(b, session=tabs[0].session, user=f"user-{generation}")
            assert users.user_id == f"user-{generation}"
        assert len(b.agent.visitors()) == 5
        for generation, visitor in enumerate(generations):
            assert b.agent.merged_into(Visitor(visitor or "")) == SignedIn(f"user-{generation}")


def test_the_identifying_session_keeps_its_secret_and_is_the_successor_after_a_sign_out() -> None:
    with backend() as b:
        tab = opened(b)
        b.identify(tab.session, asks())
        b.revoke(tab.session)
        boots = [opened(b), opened(b)]
        assert boots[0].visitor_id == boots[1].visitor_id != tab.visitor_id
        assert boots[0].user_id is None


@in_virtual_time
async def test_two_tabs_that_identify_as_one_user_or_two_merge_each_visitor_once() -> None:
    for users in (("ann", "ann"), ("ann", "bob")):
        with backend() as b:
            first, second = opened(b), opened(b)
            b.send(first.session, Outgoing("m-1", "hello"))
            answers = [
                b.identify(tab.session, asks(user, id=f"i-{number}"))
                for number, (tab, user) in enumerate(zip((first, second), users, strict=True))
            ]
            assert answers[0].merged
            assert answers[1].merged is (users[0] == users[1])
            assert b.agent.merged_into(shown(first)) == ANN
            assert len(b.agent.conversations(ANN)) == 1


# --- over -----------------------------------------------------------------------------------------


def ended(b: Backend, secret: str = "secret-1") -> None:
    b.end_visitor(**WIDGET, visitor=secret)


@in_virtual_time
async def test_when_a_visitor_is_over_every_session_of_the_secret_ends_and_no_other() -> None:
    with backend() as b:
        merging = b.connect(presents())
        b.identify(merging.welcome.session, asks("ann"))
        those = [
            merging,
            b.connect(presents()),
            b.connect(presents(user="bob")),
            b.connect(presents(session=opened(b).session)),
        ]
        others = [
            b.connect(presents("secret-2")),
            b.connect(presents("secret-2", user="ann")),
            b.connect(presents("secret-3", user="bob")),
        ]
        ended(b)
        for link in those:
            assert (await heard(link))[-1] == SessionRevoked("visitor_ended")
            assert link.is_closed
            assert refused(lambda: b.conversations(link.welcome.session)) == "auth_required"  # noqa: B023
        assert [await heard(link) for link in others] == [[], [], []]
        for link in others:
            assert b.conversations(link.welcome.session) == ()


def test_a_secret_that_is_over_is_refused_from_then_on_whoever_presents_it() -> None:
    with backend() as b:
        tab = opened(b)
        b.identify(tab.session, asks())
        users, visitors = opened(b, user="ann"), opened(b)
        ended(b)
        tried = (
            presents(),
            presents(user="ann"),
            presents(session=visitors.session),
            presents(user="ann", session=users.session),
            presents(session=tab.session, claim=Claim("i-1", "ann")),
        )
        for credentials in tried:
            with pytest.raises(VisitorEndedError) as caught:
                b.open(credentials)
            assert caught.value.code == "visitor_ended"
            assert "secret-1" not in f"{caught.value!r} {caught.value}"
        assert opened(b, "secret-2").user_id is None


def test_that_a_visitor_is_over_may_be_said_twice_late_or_of_a_secret_nobody_has_used() -> None:
    with backend() as b:
        kept = opened(b, "secret-2")
        for _ in range(3):
            ended(b)
        with pytest.raises(VisitorEndedError):
            opened(b)
        ended(b)
        assert opened(b, "secret-2").visitor_id == kept.visitor_id
        assert refused(lambda: b.end_visitor("acme", "other", "secret-2")) == "widget_disabled"
        assert b.log.count("revoked") == 0


def test_that_a_visitor_is_over_outlives_a_restart_and_is_forgotten_as_a_silent_visitor_is(
    tmp_path: Path,
) -> None:
    path, now = tmp_path / "chat.db", NOW
    with backend(path) as b:
        opened(b)
        ended(b)
    with backend(path, lambda: now) as b:
        with pytest.raises(VisitorEndedError):
            opened(b)
        with closing(sqlite3.connect(path)) as db:
            assert "secret-1" not in "".join(db.iterdump())


@in_virtual_time
async def test_the_memory_of_what_is_over_goes_when_silent_visitors_go() -> None:
    now = NOW
    with backend(now=lambda: now) as b:
        opened(b)
        ended(b)
        now += 500.0
        await b.records.prune(Ages(sessions=100.0, visitors=1000.0))
        with pytest.raises(VisitorEndedError):
            opened(b)
        now += 600.0
        await b.records.prune(Ages(sessions=100.0, visitors=0.0))
        with pytest.raises(VisitorEndedError):
            opened(b)
        await b.records.prune(Ages(sessions=100.0, visitors=1000.0))
        assert opened(b).user_id is None


@in_virtual_time
async def test_a_server_asks_all_of_this_in_the_same_words() -> None:
    with backend() as b:
        tab = opened(b)
        owner: Identity = SignedIn("bob")
        with pytest.raises(BackendRejectedError) as caught:
            await b.ask(operations.mark_read(tab.session, MarkRead("c", owner=owner)))
        assert caught.value.code == "owner_changed"
        await b.ask(operations.end_visitor(**WIDGET, visitor="secret-1"))
        with pytest.raises(VisitorEndedError):
            await b.ask(operations.dial(presents()))

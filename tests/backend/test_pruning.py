"""What nobody has heard of for long is deleted, a little at a time; whoever has a link open, or has
dialled lately, is not touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import attrs
import pytest

from support_chat.errors import BackendRejectedError, InvalidInputError
from support_chat.ports import Credentials, IdentifyRequest, MessageArrived, Outgoing
from support_chat.values import Visitor
from support_chat_adapters.backend import (
    Ages,
    Backend,
    IdentityKey,
    Pruned,
    sign_identity_token,
)
from support_chat_adapters.backend.opening import Opened
from support_chat_adapters.backend.pruning import DAY, SESSIONS_AT_ONCE, VISITORS_AT_ONCE

SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
AGES = Ages(sessions=30 * DAY, visitors=365 * DAY)


@attrs.define
class World:
    """A backend and its time."""

    backend: Backend
    now: float = 1_800_000_000.0

    def open(self, secret: str, user: str | None = None, session: str | None = None) -> Opened:
        token = None if user is None else self.token(user)
        return self.backend.open(
            Credentials(**WIDGET, visitor=secret, user_id=user, token=token, session=session)
        )

    def token(self, user: str) -> str:
        return sign_identity_token(user, SECRET, **WIDGET, now=self.now)

    def says(self, opened: Opened) -> None:
        self.backend.send(opened.welcome.session, Outgoing("m1", "hello"))

    async def prune(self, ages: Ages = AGES) -> tuple[int, int]:
        """How many sessions and visitors went."""
        pruned = Pruned(0, 0, True)
        sessions = visitors = 0
        while pruned.more:
            pruned = await self.backend.records.prune(ages)
            sessions, visitors = sessions + pruned.sessions, visitors + pruned.visitors
        return sessions, visitors


@pytest.fixture
def world(tmp_path: Path) -> Generator[World, None, None]:
    place: list[World] = []
    with Backend(
        tmp_path / "backend.db",
        **WIDGET,
        keys=[IdentityKey("HS256", SECRET)],
        clock=lambda: place[0].now if place else 1_800_000_000.0,
    ) as backend:
        place.append(World(backend))
        yield place[0]


def on_loop(story: Callable[[World], Awaitable[None]]) -> Callable[[World], None]:
    """Runs a story on a loop of its own."""

    def test(world: World) -> None:
        async def main() -> None:
            async with asyncio.timeout(60):
                await story(world)

        asyncio.run(main())

    test.__name__ = getattr(story, "__name__", "story")
    return test


def known(world: World, session: str) -> bool:
    try:
        world.backend.conversations(session)
    except BackendRejectedError as error:
        return error.reason != "session_unknown"
    return True


@on_loop
async def test_a_session_goes_when_it_has_not_dialled_for_its_age(world: World) -> None:
    silent, ended, resumed = world.open("a"), world.open("b"), world.open("c")
    world.says(silent)
    world.backend.revoke(ended.welcome.session)
    world.now += 20 * DAY
    world.open("c", session=resumed.welcome.session)
    assert await world.prune() == (0, 0)
    world.now += 10 * DAY + 1
    assert await world.prune() == (2, 1), "and a visitor who never wrote anything"
    assert not known(world, silent.welcome.session)
    assert not known(world, ended.welcome.session)
    assert known(world, resumed.welcome.session)


@on_loop
async def test_a_visitor_who_wrote_something_is_kept_longer_and_finds_it_until_then(
    world: World,
) -> None:
    first = world.open("a")
    world.says(first)
    world.now += 300 * DAY
    assert await world.prune() == (1, 0)
    back = world.open("a")
    assert len(world.backend.conversations(back.welcome.session)) == 1
    world.now += 365 * DAY + 1
    assert await world.prune() == (1, 1)
    somebody = world.open("a")
    assert somebody.welcome.visitor_id != first.welcome.visitor_id
    assert world.backend.conversations(somebody.welcome.session) == ()
    assert world.backend.agent.conversations() == ()


@on_loop
async def test_a_user_is_nobody_who_is_pruned(world: World) -> None:
    session = world.open("phone", "ada")
    world.says(session)
    world.now += 10 * 365 * DAY
    assert await world.prune() == (1, 1), "the session, and the visitor of the phone"
    assert len(world.backend.conversations(world.open("new phone", "ada").welcome.session)) == 1


@on_loop
async def test_a_visitor_who_became_a_user_goes_as_what_never_wrote_and_the_user_keeps_all(
    world: World,
) -> None:
    visitor = world.open("phone")
    world.says(visitor)
    request = IdentifyRequest("i1", "ada", "phone", world.token("ada"))
    assert world.backend.identify(visitor.welcome.session, request).merged
    world.now += 31 * DAY
    assert await world.prune() == (1, 1)
    assert world.backend.agent.visitors() == ()
    assert len(world.backend.conversations(world.open("phone", "ada").welcome.session)) == 1


@on_loop
async def test_whoever_has_a_link_open_is_heard_of_however_long_ago_they_dialled(
    world: World,
) -> None:
    session = world.open("a")
    link = world.backend.attach(session.welcome.session)
    world.now += 400 * DAY
    assert await world.prune() == (0, 0)
    link.close("goodbye")
    assert await world.prune() == (0, 0)
    assert known(world, session.welcome.session)
    world.now += 31 * DAY
    assert await world.prune() == (1, 1)


@on_loop
async def test_an_age_of_zero_is_never(world: World) -> None:
    session = world.open("a")
    world.says(session)
    world.now += 1000 * DAY
    assert await world.prune(Ages(sessions=0, visitors=0)) == (0, 0)
    assert await world.prune(Ages(sessions=30 * DAY, visitors=0)) == (1, 0)
    assert len(world.backend.conversations(world.open("a").welcome.session)) == 1


@on_loop
async def test_only_so_many_go_at_once(world: World) -> None:
    for number in range(SESSIONS_AT_ONCE + 50):
        world.open(str(number % 30))
    world.now += 31 * DAY
    first = await world.backend.records.prune(AGES)
    assert first == Pruned(SESSIONS_AT_ONCE, 0, more=True)
    second = await world.backend.records.prune(AGES)
    assert second == Pruned(50, VISITORS_AT_ONCE, more=True)
    assert await world.backend.records.prune(AGES) == Pruned(0, 30 - VISITORS_AT_ONCE, more=False)


@on_loop
async def test_what_is_written_after_the_last_message_was_pruned_arrives(world: World) -> None:
    reader = world.open("reader")
    world.says(world.open("the last to write"))
    link = world.backend.attach(reader.welcome.session)
    world.now += 366 * DAY
    assert (await world.prune())[1] == 1
    again = world.backend.attach(reader.welcome.session, link.welcome.cursor)
    assert not again.welcome.gap
    world.backend.agent.reply(Visitor(reader.welcome.visitor_id or ""), "news")
    for each in (link, again):
        event = await each.next()
        assert isinstance(event, MessageArrived)
        assert event.message.text == "news"


def test_an_age_is_not_negative() -> None:
    for wrong in ({"sessions": -1.0}, {"visitors": float("nan")}, {"visitors": float("inf")}):
        with pytest.raises(InvalidInputError, match="must be zero"):
            Ages(**wrong)

"""The visitor in the storage: minted once, shared by whoever shares the storage, kept from whoever
does not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from support_chat import NetworkError, Phase, SupportChat

if TYPE_CHECKING:
    from tests.session.conftest import Stage

OWN = "support-chat/acme/help/default/"


def test_the_visitor_is_stored_before_the_first_dial_and_nothing_of_a_user_ever(
    stage: Stage,
) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold("create")
        booting = chat.boot(user={"id": "ann", "name": "Ann"}, token_provider=stage.tokens("ann"))
        await stage.quiet(1)
        assert "dial" not in stage.log
        stage.release()
        await booting
        await chat.update(context={"page": "billing"})
        await stage.quiet()
        (own,) = (key for key in stage.stored if key.startswith(OWN))
        assert stage.stored[own] == stage.dials[0].visitor
        assert len(stage.stored[own]) >= 22, "128 bits or more"
        assert "ann" not in str(stage.stored).lower()

    stage.run(scenario)


def test_two_sessions_that_begin_together_on_one_storage_are_one_visitor(stage: Stage) -> None:
    async def scenario() -> None:
        one, other = stage.chat(), stage.chat()
        assert await one.boot() == await other.boot()
        assert stage.log.count("write") == 1

    stage.run(scenario)


def test_a_reconnect_and_a_second_boot_write_nothing(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        await chat.boot()
        before = list(stage.storage_log)
        stage.fail("dial", NetworkError("down"), NetworkError("down"))
        stage.links[-1].lose()
        await stage.quiet(30)
        assert chat.is_in(Phase.ANONYMOUS)
        assert stage.storage_log == before
        await chat.shutdown()
        await chat.boot()
        assert stage.log.count("write") == 1
        assert len({credentials.visitor for credentials in stage.dials}) == 1

    stage.run(scenario)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"scope": "browser-1"}, {"scope": "browser-2"}),
        ({"scope": "a"}, {"scope": "a/b"}),
        ({"workspace_id": "a/b", "widget_id": "c"}, {"workspace_id": "a", "widget_id": "b/c"}),
        ({"scope": "a%2Fb"}, {"scope": "a/b"}),
    ],
)
def test_s23_two_scopes_share_no_visitor_and_no_clear(
    stage: Stage, one: dict[str, str], other: dict[str, str]
) -> None:
    async def scenario() -> None:
        ids = {"workspace_id": "acme", "widget_id": "help"}
        mine, theirs = (
            SupportChat(**{**ids, **names}, transport=stage.transport, storage=stage.storage)  # type: ignore[arg-type]
            for names in (one, other)
        )
        assert await mine.boot() != await theirs.boot()
        stored = dict(stage.stored)
        await mine.shutdown(clear_storage=True)
        assert len(stage.stored) == len(stored) - 1
        assert stage.stored.items() <= stored.items()
        assert stage.dials[1].visitor in stage.stored.values()
        await asyncio.gather(mine.destroy(), theirs.destroy())

    stage.run(scenario)


def test_a_merged_visitor_is_retired_and_who_comes_second_adopts_what_is_stored(
    stage: Stage,
) -> None:
    async def scenario() -> None:
        first, second = stage.chat(), stage.chat()
        await asyncio.gather(first.boot(), second.boot())
        merged = stage.dials[0].visitor
        for chat in (first, second):
            await chat.identify(user={"id": "ann"}, token_provider=stage.tokens("ann"))
        await stage.quiet()
        (fresh,) = (value for key, value in stage.stored.items() if key.startswith(OWN))
        assert fresh != merged
        assert stage.log.count("write") == 2, "the second one adopted what the first had stored"
        for chat in (first, second):
            await chat.shutdown()
            await chat.boot()
            assert stage.dials[-1].visitor == fresh

    stage.run(scenario)


def test_each_boot_reads_the_visitor_afresh(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        await chat.boot()
        await chat.shutdown()
        (own,) = (key for key in stage.stored if key.startswith(OWN))
        stage.stored[own] = "another process has put this here"
        await chat.boot()
        assert stage.dials[-1].visitor == stage.stored[own]
        await chat.shutdown()
        del stage.stored[own]
        await chat.boot()
        assert stage.dials[-1].visitor == stage.stored[own]

    stage.run(scenario)


def test_a_visitor_that_could_not_be_retired_harms_nobody(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        await chat.boot()
        stage.fail("replace", OSError("disk"))
        await chat.identify(user={"id": "ann"}, token_provider=stage.tokens("ann"))
        await stage.quiet()
        assert chat.is_in(Phase.AUTHENTICATED)
        await chat.shutdown()
        await chat.boot()
        assert chat.is_in(Phase.ANONYMOUS)

    stage.run(scenario)

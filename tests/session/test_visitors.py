"""The visitor in the storage: minted once, shared by whoever shares the storage, kept from whoever
does not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from support_chat import (
    ErrorOccurred,
    NetworkError,
    Phase,
    SessionEndedError,
    StorageError,
    SupportChat,
)

if TYPE_CHECKING:
    from tests.session.conftest import Rig

OWN = "support-chat/acme/help/default/"


def test_the_visitor_is_stored_before_the_first_dial_and_nothing_of_a_user_ever(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold("create")
        booting = chat.boot(user={"id": "ann", "name": "Ann"}, token_provider=rig.tokens("ann"))
        await rig.quiet(1)
        assert "dial" not in rig.log
        rig.release()
        await booting
        await chat.update(context={"page": "billing"})
        await rig.quiet()
        (own,) = (key for key in rig.stored if key.startswith(OWN))
        assert rig.stored[own] == rig.dials[0].visitor
        assert len(rig.stored[own]) >= 22, "128 bits or more"
        assert "ann" not in str(rig.stored).lower()

    rig.run(scenario)


def test_two_sessions_that_begin_together_on_one_storage_are_one_visitor(rig: Rig) -> None:
    async def scenario() -> None:
        one, other = rig.chat(), rig.chat()
        assert await one.boot() == await other.boot()
        assert rig.log.count("write") == 1

    rig.run(scenario)


DAMAGE = ("", "short", " " * 32, "a space in what has the length of one", "é" * 32, "x" * 513)


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_cannot_be_a_visitor_is_told_and_mended_before_the_first_dial(
    rig: Rig, damage: str
) -> None:
    async def scenario() -> None:
        rig.stored[f"{OWN}visitor"] = damage
        chat = rig.chat()
        await chat.boot()
        assert rig.log == ["clear-visitor", "write", "dial"]
        assert rig.dials[0].visitor == rig.stored[f"{OWN}visitor"] != damage
        (told,) = rig.of(ErrorOccurred)
        assert type(told.error) is StorageError
        assert damage.strip() == "" or damage not in str(told.error)

    rig.run(scenario)


def test_who_comes_second_to_mend_it_leaves_what_the_first_has_stored(rig: Rig) -> None:
    async def scenario() -> None:
        rig.stored[f"{OWN}visitor"] = "damage"
        rig.hold("delete")
        one, other = rig.chat(), rig.chat()
        booting = [one.boot(), other.boot()]
        await rig.quiet(1)
        assert rig.storage_log.count("delete") == 2, "both have found the damage"
        rig.release()
        assert await booting[0] == await booting[1]
        assert {credentials.visitor for credentials in rig.dials} == {rig.stored[f"{OWN}visitor"]}

    rig.run(scenario)


def test_a_storage_that_keeps_what_cannot_be_a_visitor_ends_the_boot(rig: Rig) -> None:
    async def scenario() -> None:
        rig.stored[f"{OWN}visitor"] = "damage"

        async def delete(*keys: str) -> dict[str, str]:
            rig.storage_log.append("delete")
            return {}

        rig.storage.delete = delete  # type: ignore[method-assign]
        chat = rig.chat()
        with pytest.raises(StorageError):
            await chat.boot()
        assert chat.is_in(Phase.READY)
        assert (rig.log, rig.storage_log.count("delete")) == ([], 1)

    rig.run(scenario)


def test_a_shutdown_waits_until_what_cannot_be_a_visitor_is_mended(rig: Rig) -> None:
    async def scenario() -> None:
        rig.stored[f"{OWN}visitor"] = "damage"
        rig.hold("delete")
        chat = rig.chat()
        booting = chat.boot()
        await rig.quiet(1)
        ending = chat.shutdown(clear_storage=True)
        await rig.quiet(1)
        assert "keys" not in rig.storage_log
        rig.release()
        await ending
        with pytest.raises(SessionEndedError):
            await booting
        assert rig.kept() == set()

    rig.run(scenario)


def test_a_reconnect_looks_before_each_dial_and_a_second_boot_writes_nothing(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        before = len(rig.storage_log)
        rig.fail("dial", NetworkError("down"), NetworkError("down"))
        rig.links[-1].lose()
        await rig.quiet(30)
        assert chat.is_in(Phase.ANONYMOUS)
        assert rig.storage_log[before:] == ["get"] * 3
        await chat.shutdown()
        await chat.boot()
        assert rig.log.count("write") == 1
        assert len({credentials.visitor for credentials in rig.dials}) == 1

    rig.run(scenario)


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
    rig: Rig, one: dict[str, str], other: dict[str, str]
) -> None:
    async def scenario() -> None:
        ids = {"workspace_id": "acme", "widget_id": "help"}
        mine, theirs = (
            SupportChat(**{**ids, **names}, transport=rig.transport, storage=rig.storage)  # type: ignore[arg-type]
            for names in (one, other)
        )
        assert await mine.boot() != await theirs.boot()
        stored = dict(rig.stored)
        await mine.shutdown(clear_storage=True)
        assert len(rig.stored) == len(stored) - 1
        assert rig.stored.items() <= stored.items()
        assert rig.dials[1].visitor in rig.stored.values()
        await asyncio.gather(mine.destroy(), theirs.destroy())

    rig.run(scenario)


def test_a_merge_leaves_the_visitors_secret_where_it_is(rig: Rig) -> None:
    """The backend answers it with one successor, whoever presents it."""

    async def scenario() -> None:
        first, second = rig.chat(), rig.chat()
        await asyncio.gather(first.boot(), second.boot())
        secret, stored = rig.dials[0].visitor, dict(rig.stored)
        for chat in (first, second):
            await chat.identify(user={"id": "ann"}, token_provider=rig.tokens("ann"))
        await rig.quiet()
        assert rig.stored == stored
        for chat in (first, second):
            await chat.shutdown()
            await chat.boot()
            assert rig.dials[-1].visitor == secret

    rig.run(scenario)


def test_each_boot_reads_the_visitor_afresh(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        await chat.shutdown()
        (own,) = (key for key in rig.stored if key.startswith(OWN))
        rig.stored[own] = "another process has put this here"
        await chat.boot()
        assert rig.dials[-1].visitor == rig.stored[own]
        await chat.shutdown()
        del rig.stored[own]
        await chat.boot()
        assert rig.dials[-1].visitor == rig.stored[own]

    rig.run(scenario)

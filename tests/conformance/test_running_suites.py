"""How a suite is run: clause by clause, on loops of their own, with limits, and everything that
fails told together.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pickle
import pkgutil
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import attrs
import pytest

from async_tests import in_real_time
from loopback_arrangement import LoopbackArrangement, loopback
from support_chat.errors import InvalidInputError
from support_chat.ports import TokenProvider
from support_chat.testing import (
    STORAGE_CLAUSES,
    TOKEN_CLAUSES,
    TRANSPORT_CLAUSES,
    Clause,
    ConformanceError,
    RecordingStorage,
    StoragePlace,
    check_storage,
    check_token_provider,
    check_transport,
)
from support_chat.values import Identity
from support_chat_adapters.storage import MemoryStorage, SQLiteStorage


class Careless(RecordingStorage):
    """It overwrites, and forgets nothing."""

    async def create(self, key: str, value: str) -> str:
        self.contents[key] = value
        return value

    async def delete(self, *keys: str) -> Mapping[str, str]:
        return {}


def test_all_clauses_that_fail_are_told_together_by_id_sentence_and_what_was_seen() -> None:
    with pytest.raises(ConformanceError) as told:
        check_storage(Careless)
    report = told.value.report
    assert {"storage.create-keeps", "storage.delete-removes", "storage.keys"} <= {
        failure.id for failure in report.failures
    }
    for failure in report.failures:
        assert f"{failure.id}: {failure.sentence}\n    seen: {failure.seen}" in str(told.value)
    assert "create() of a stored key came to 'two' instead of 'one'" in str(told.value)
    assert f"{len(report.passed)} passed, {len(report.failures)} failed" in str(told.value)
    assert len(report.passed) + len(report.failures) + len(report.not_applicable) == len(
        STORAGE_CLAUSES
    )


def test_a_report_says_what_passed_and_why_something_could_not_be_tried() -> None:
    report = check_storage(MemoryStorage)
    assert "storage.create-keeps" in report.passed
    assert (
        report.not_applicable["storage.no-residue"]
        == "the factory's StoragePlace has no raw_bytes()"
    )
    assert (
        report.not_applicable["storage.one-place"]
        == "each storage that the factory makes is a place of its own"
    )
    assert "storage.no-residue: not applicable, since the factory's" in str(report)


def test_clauses_are_selected_by_id() -> None:
    assert check_storage(Careless, only=["storage.absent"]).passed == ("storage.absent",)
    assert check_storage(Careless, only="storage.absent").passed == ("storage.absent",)
    with pytest.raises(InvalidInputError, match=r"There is no clause 'storage\.nothing'"):
        check_storage(Careless, only=["storage.nothing"])


def test_ids_and_sentences_are_unlike_each_other_and_every_clause_has_them() -> None:
    clauses: list[Clause[Any]] = [*STORAGE_CLAUSES, *TOKEN_CLAUSES, *TRANSPORT_CLAUSES]
    assert len({clause.id for clause in clauses}) == len(clauses)
    assert len({clause.sentence for clause in clauses}) == len(clauses)
    assert all(clause.sentence.endswith(".") and clause.sentence != clause.id for clause in clauses)


def test_no_clause_is_left_out_of_its_suite() -> None:
    from support_chat.testing import conformance

    found = pkgutil.walk_packages(conformance.__path__, f"{conformance.__name__}.")
    modules = [importlib.import_module(module.name) for module in found]
    values: list[Any] = [value for module in modules for value in vars(module).values()]
    tables: list[Iterable[Any]] = [value for value in values if isinstance(value, tuple)]
    named = [*values, *chain.from_iterable(tables)]
    listed: list[Clause[Any]] = [*STORAGE_CLAUSES, *TOKEN_CLAUSES, *TRANSPORT_CLAUSES]
    assert {one.id for one in named if isinstance(one, Clause)} == {clause.id for clause in listed}


# --- what hangs, and what is left behind ----------------------------------------------------------


async def hangs() -> str:
    await asyncio.get_running_loop().create_future()
    return ""


async def blocks() -> str:
    time.sleep(2.0)  # noqa: ASYNC251  # which is its fault
    return "token"


async def ignores_being_cancelled() -> str:
    until = asyncio.get_running_loop().time() + 3.0
    while asyncio.get_running_loop().time() < until:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3.0)
    return "token"


async def cancels_itself() -> str:
    raise asyncio.CancelledError


async def leaves_a_failure_behind() -> str:
    async def fail() -> None:
        raise OSError("nobody looks at this")

    task = asyncio.ensure_future(fail())
    await asyncio.sleep(0)
    del task
    return "token"


@pytest.mark.parametrize(
    ("provider", "seen"),
    [
        (
            blocks,
            "it did not come back in 1.4 s: something blocks its event loop, or ignores being "
            "cancelled",
        ),
        (
            ignores_being_cancelled,
            "it did not come back in 1.4 s: something blocks its event loop, or ignores being "
            "cancelled",
        ),
        (cancels_itself, "CancelledError, though nobody cancelled (test_running_suites.py:"),
        (
            leaves_a_failure_behind,
            "asyncio was left to report Task exception was never retrieved: OSError: nobody looks "
            "at this",
        ),
    ],
)
def test_an_adapter_that_blocks_or_leaves_something_behind_is_a_clause_that_fails(
    provider: TokenProvider, seen: str
) -> None:
    with pytest.raises(ConformanceError) as told:
        check_token_provider(lambda: provider, only=["tokens.text"], limit=0.2)
    assert told.value.report.failures[0].seen.startswith(seen)


def test_an_adapter_that_hangs_is_told_with_the_line_that_it_waits_in() -> None:
    with pytest.raises(ConformanceError) as told:  # the limit leaves a busy machine time to begin
        check_token_provider(lambda: hangs, only=["tokens.text"], limit=3.0)
    seen = told.value.report.failures[0].seen
    assert seen.startswith("no end within 3 s (test_running_suites.py:")


def test_a_factory_that_fails_is_told_as_what_failed() -> None:
    def factory() -> MemoryStorage:
        raise OSError("no server")

    with pytest.raises(ConformanceError, match="the factory failed with OSError: no server"):
        check_storage(factory, only=["storage.absent"])


def test_an_end_that_fails_is_told_unless_the_clause_has_failed_before() -> None:
    @asynccontextmanager
    async def factory() -> AsyncGenerator[RecordingStorage, None]:
        yield kind()
        raise OSError("cannot stop the server")

    kind = RecordingStorage
    with pytest.raises(
        ConformanceError, match="cleaning up failed with OSError: cannot stop the server"
    ):
        check_storage(factory, only=["storage.create-keeps"])
    kind = Careless
    with pytest.raises(ConformanceError, match="seen: create"):
        check_storage(factory, only=["storage.create-keeps"])


# --- where it can be called -----------------------------------------------------------------------


@in_real_time
async def test_a_suite_may_be_called_where_a_loop_runs() -> None:
    assert check_storage(MemoryStorage, only=["storage.absent"]).passed


def test_an_error_travels_between_the_processes_of_a_test_runner() -> None:
    with pytest.raises(ConformanceError) as told:
        check_storage(Careless, only=["storage.create-keeps"])
    copied = pickle.loads(pickle.dumps(told.value))
    assert (str(copied), copied.report) == (str(told.value), told.value.report)


@pytest.mark.parametrize("option", ["-O", "-OO"])
def test_a_suite_finds_faults_without_assertions_without_docstrings_and_without_pytest(
    option: str,
) -> None:
    program = (
        "import sys\n"
        "from support_chat.testing import ConformanceError, RecordingStorage, check_storage\n"
        "class Careless(RecordingStorage):\n"
        "    async def delete(self, *keys): return {}\n"
        "try:\n"
        "    check_storage(Careless)\n"
        "except ConformanceError as error:\n"
        "    print([failure.id for failure in error.report.failures], 'pytest' in sys.modules, "
        "'hypothesis' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, option, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'storage.delete-removes'" in done.stdout
    assert done.stdout.endswith("False False\n")


# --- what a place holds besides -------------------------------------------------------------------


def test_what_a_place_holds_already_does_no_harm_and_stays_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chat.db"

    async def before() -> None:
        storage = SQLiteStorage(path)
        await storage.create("support-chat/acme/help/default/visitor", "mine")
        await storage.aclose()

    async def after() -> dict[str, str | None]:
        storage = SQLiteStorage(path)
        held = {key: await storage.get(key) for key in await storage.keys()}
        await storage.aclose()
        return held

    asyncio.run(before())
    report = check_storage(lambda: SQLiteStorage(path))
    assert "storage.one-winner-of-threads" in report.passed, (
        "a path is one place, which is found out"
    )
    assert asyncio.run(after()) == {"support-chat/acme/help/default/visitor": "mine"}


def test_a_factory_may_be_a_context_manager_of_a_storage_or_of_a_place() -> None:
    left: list[str] = []

    @asynccontextmanager
    async def of_a_storage() -> AsyncGenerator[MemoryStorage, None]:
        yield MemoryStorage()
        left.append("storage")

    @asynccontextmanager
    async def of_a_place() -> AsyncGenerator[StoragePlace, None]:
        contents: dict[str, str] = {}

        def opened() -> RecordingStorage:
            storage = RecordingStorage()
            storage.contents = contents
            return storage

        yield StoragePlace(opened)
        left.append("place")

    only = ["storage.absent", "storage.one-place"]
    assert check_storage(of_a_storage, only=only).passed == ("storage.absent",)
    assert check_storage(of_a_place, only=only).passed == tuple(only)
    assert left == ["storage"] * 2 + ["place"] * 2


def test_a_clause_is_waived_with_a_reason_that_the_report_repeats() -> None:
    why = "this one keeps nothing, as its page says"
    waived = {"storage.create-keeps": why, "storage.delete-removes": why}
    report = check_storage(MemoryStorage, only=[*waived, "storage.keys"], waived=waived)
    assert report.passed == ("storage.keys",)
    assert dict(report.waived) == waived
    assert str(report).endswith("1 passed, 0 failed, 0 not applicable, 2 waived")
    assert "storage.create-keeps: waived, since this one keeps nothing" in str(report)
    with pytest.raises(InvalidInputError):
        check_storage(MemoryStorage, waived={"storage.no-such-clause": "why"})
    with pytest.raises(ConformanceError) as told:
        check_storage(Careless, waived=waived)
    assert not {failure.id for failure in told.value.report.failures} & set(waived)
    copy = pickle.loads(pickle.dumps(told.value))
    assert dict(copy.report.waived) == waived


def test_a_fault_of_the_arrangement_is_told_apart_from_the_adapters() -> None:
    @attrs.frozen
    class Clumsy(LoopbackArrangement):
        async def say(self, identity: Identity, text: str) -> None:
            raise ConnectionRefusedError("the helpdesk is closed")

    @asynccontextmanager
    async def clumsy() -> AsyncGenerator[Clumsy, None]:
        async with loopback() as healthy:
            yield Clumsy(healthy.backend, healthy.transport)

    with pytest.raises(ConformanceError, match=r"^the arrangement of the suite failed\n") as told:
        check_transport(clumsy, only=["link.events", "link.send"])
    (failure,) = told.value.report.failures
    assert failure.of_arrangement
    assert "say() of the arrangement failed with ConnectionRefusedError" in failure.seen
    assert told.value.report.passed == ("link.send",)

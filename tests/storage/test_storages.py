"""What every storage does: one list of cases, run on each storage that ships."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from support_chat.errors import StorageError
from support_chat.ports import Storage
from support_chat.testing import run

if TYPE_CHECKING:
    from tests.storage.conftest import Place

Case = Callable[[Storage], Awaitable[None]]
KEY = "support-chat/acme/help/default/visitor"
TEXTS = [
    "",
    "v",
    "it's",
    'say "hi"',
    "a\nb",
    "nul\0inside",
    "%_*?[a]",
    "é ü 日本語 🎈",
    "x" * 100_000,
]


async def an_absent_key_has_no_value(storage: Storage) -> None:
    assert await storage.get(KEY) is None
    assert list(await storage.keys()) == []


async def create_stores_a_value_and_answers_it(storage: Storage) -> None:
    assert await storage.create(KEY, "one") == "one"
    assert await storage.get(KEY) == "one"


async def create_leaves_a_stored_value_alone_and_answers_it(storage: Storage) -> None:
    await storage.create(KEY, "one")
    assert await storage.create(KEY, "two") == "one"
    assert await storage.get(KEY) == "one"


async def an_empty_value_is_a_stored_value(storage: Storage) -> None:
    await storage.create(KEY, "")
    assert await storage.create(KEY, "two") == ""
    assert await storage.get(KEY) == ""
    assert await storage.replace(KEY, "", "three") == "three"


async def replace_stores_the_new_for_the_old_and_answers_it(storage: Storage) -> None:
    await storage.create(KEY, "one")
    assert await storage.replace(KEY, "one", "two") == "two"
    assert await storage.get(KEY) == "two"


async def replace_leaves_another_value_alone_and_answers_it(storage: Storage) -> None:
    await storage.create(KEY, "one")
    assert await storage.replace(KEY, "zero", "two") == "one"
    assert await storage.get(KEY) == "one"


async def replace_leaves_an_absent_key_absent_and_answers_the_old(storage: Storage) -> None:
    assert await storage.replace(KEY, "one", "two") == "one"
    assert await storage.get(KEY) is None
    assert list(await storage.keys()) == []


async def delete_removes_these_keys_and_no_other(storage: Storage) -> None:
    for key in ("a", "b", "c", "d"):
        await storage.create(key, key)
    await storage.delete("a", "c", "absent")
    assert sorted(await storage.keys()) == ["b", "d"]
    assert await storage.get("a") is None
    assert await storage.get("b") == "b"


async def delete_without_keys_removes_nothing(storage: Storage) -> None:
    await storage.create(KEY, "one")
    await storage.delete()
    assert await storage.get(KEY) == "one"


async def a_deleted_key_can_be_created_anew(storage: Storage) -> None:
    await storage.create(KEY, "one")
    await storage.delete(KEY)
    assert await storage.create(KEY, "two") == "two"


async def delete_takes_thousands_of_keys(storage: Storage) -> None:
    await storage.create(KEY, "one")
    await storage.delete(*(f"absent {i}" for i in range(40_000)), KEY)
    assert list(await storage.keys()) == []


async def every_text_comes_back_as_it_was(storage: Storage) -> None:
    for text in TEXTS:
        assert await storage.create(f"key {text}", text) == text
    for text in TEXTS:
        assert await storage.get(f"key {text}") == text
        assert await storage.replace(f"key {text}", text, f"{text}!") == f"{text}!"
    assert sorted(await storage.keys()) == sorted(f"key {text}" for text in TEXTS)


async def keys_are_compared_exactly(storage: Storage) -> None:
    for key in ("key", "KEY", "key ", "kéy", "ke\u0301y", "k%y", "key\0", "key\0x"):
        assert await storage.create(key, key) == key
    assert len(await storage.keys()) == 8


async def of_many_creators_at_once_one_wins_and_all_learn_which(storage: Storage) -> None:
    answers = await asyncio.gather(*(storage.create(KEY, f"v{i}") for i in range(20)))
    assert set(answers) == {await storage.get(KEY)}


async def of_many_replacers_at_once_one_wins_and_all_learn_which(storage: Storage) -> None:
    await storage.create(KEY, "old")
    answers = await asyncio.gather(*(storage.replace(KEY, "old", f"v{i}") for i in range(20)))
    assert set(answers) == {await storage.get(KEY)}
    assert answers[0] != "old"


async def cancelled_calls_harm_no_later_one(storage: Storage) -> None:
    for _ in range(20):
        calls = [asyncio.ensure_future(storage.create(f"key {i}", "one")) for i in range(5)]
        await asyncio.sleep(0)
        for call in calls[1:]:
            call.cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert answers[0] == "one"
        assert await storage.create("key 0", "two") == "one"
        await storage.delete(*await storage.keys())
    assert await storage.get("key 0") is None


async def a_second_close_does_nothing_and_every_call_after_one_raises(storage: Storage) -> None:
    await storage.create(KEY, "one")
    await storage.aclose()
    await storage.aclose()
    await every_call_raises(storage)


async def an_unused_storage_can_be_closed_too(storage: Storage) -> None:
    await storage.aclose()
    await storage.aclose()
    await every_call_raises(storage)


async def every_call_raises(storage: Storage) -> None:
    calls: Sequence[Callable[[], Awaitable[object]]] = (
        lambda: storage.get(KEY),
        lambda: storage.create(KEY, "two"),
        lambda: storage.replace(KEY, "one", "two"),
        lambda: storage.delete(KEY),
        lambda: storage.keys(),
    )
    for call in calls:
        with pytest.raises(StorageError, match=r"closed; make a new") as caught:
            await call()
        assert not caught.value.recoverable


CASES: Sequence[Case] = [
    an_absent_key_has_no_value,
    create_stores_a_value_and_answers_it,
    create_leaves_a_stored_value_alone_and_answers_it,
    an_empty_value_is_a_stored_value,
    replace_stores_the_new_for_the_old_and_answers_it,
    replace_leaves_another_value_alone_and_answers_it,
    replace_leaves_an_absent_key_absent_and_answers_the_old,
    delete_removes_these_keys_and_no_other,
    delete_without_keys_removes_nothing,
    a_deleted_key_can_be_created_anew,
    delete_takes_thousands_of_keys,
    every_text_comes_back_as_it_was,
    keys_are_compared_exactly,
    of_many_creators_at_once_one_wins_and_all_learn_which,
    of_many_replacers_at_once_one_wins_and_all_learn_which,
    cancelled_calls_harm_no_later_one,
    a_second_close_does_nothing_and_every_call_after_one_raises,
    an_unused_storage_can_be_closed_too,
]


KINDS = ["memory", "file", "sqlite", "redis", "keyring", "mapping", "shelf"]
RUNNERS: dict[str, Callable[..., Any]] = {"real time": asyncio.run, "virtual time": run}
SOCKETS = {"redis"}
"""What waits for bytes on a socket, which a loop with virtual time does not."""

every_storage = pytest.mark.parametrize("place", KINDS, indirect=True)


@pytest.fixture
def storage(place: Place) -> Storage:
    return place.open()


@pytest.mark.parametrize(
    ("place", "time"),
    [
        (kind, time)
        for kind in KINDS
        for time in RUNNERS
        if time == "real time" or kind not in SOCKETS
    ],
    indirect=["place"],
)
@pytest.mark.parametrize("case", CASES)
def test_a_storage(case: Case, storage: Storage, time: str) -> None:
    async def main() -> None:
        try:
            async with asyncio.timeout(60.0):
                await case(storage)
        finally:
            await storage.aclose()

    RUNNERS[time](main())


@every_storage
def test_one_storage_serves_one_loop_after_the_other(place: Place, storage: Storage) -> None:
    async def first() -> None:
        await storage.create(KEY, "one")

    async def second() -> str | None:
        try:
            return await storage.get(KEY)
        finally:
            await storage.aclose()

    asyncio.run(first())
    assert (asyncio.run if place.kind in SOCKETS else run)(second()) == "one"


@every_storage
def test_one_storage_serves_loops_on_many_threads_at_once(storage: Storage) -> None:
    async def prepare() -> None:
        for i in range(50):
            await storage.create(f"given {i}", "old")

    def compete(name: str) -> None:
        async def main() -> None:
            for i in range(50):
                answers[name, i] = (
                    await storage.create(f"new {i}", name),
                    await storage.replace(f"given {i}", "old", name),
                )

        asyncio.run(main())

    async def stored() -> list[tuple[str | None, str | None]]:
        try:
            return [
                (await storage.get(f"new {i}"), await storage.get(f"given {i}")) for i in range(50)
            ]
        finally:
            await storage.aclose()

    answers: dict[tuple[str, int], tuple[str, str]] = {}
    asyncio.run(prepare())
    names = [f"thread {n}" for n in range(4)]
    threads = [threading.Thread(target=compete, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcome = asyncio.run(stored())
    for name in names:
        assert [answers[name, i] for i in range(50)] == outcome


MODULES = {
    "FileStorage": "file",
    "SQLiteStorage": "sqlite",
    "RedisStorage": "redis",
    "KeyringStorage": "keyring",
    "MappingStorage": "mapping",
    "FileLock": "files",
}


@pytest.mark.parametrize("name", ["MemoryStorage", *MODULES])
def test_each_is_imported_only_when_it_is_asked_for_and_no_library_before_it_is_made(
    name: str,
) -> None:
    code = f"""
import sys
import support_chat_adapters.storage as storage
storage.{name}
package = storage.__name__ + "."
print(sorted(module for module in {sorted(set(MODULES.values()) - {"files"})} if package + module in sys.modules))
print([library for library in ("redis", "keyring", "platformdirs") if library in sys.modules])
print("sqlite3" in sys.modules, sorted(set(storage.__all__)) == storage.__all__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    module = MODULES.get(name, "memory")
    imported = [module] if module not in ("memory", "files") else []
    assert done.stdout == f"{imported}\n[]\n{name == 'SQLiteStorage'} True\n"

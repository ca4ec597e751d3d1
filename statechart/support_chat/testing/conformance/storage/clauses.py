"""What the `Storage` port promises of one object, as clauses: values, keys, deletion, the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ....errors import StorageError
from ....ports import Storage
from ..expecting import expect, expect_that, raised, until
from ..suites import Clause, clause
from .place import StorageTrial

TEXTS: Final = (
    "",
    "v",
    " ",
    "it's",
    'say "hi"',
    "a\nb\r\nc",
    "%_*?[a]\\",
    "é ü 日本語 🎈",
    "x" * 100_000,
)
"""Values that have come back changed from one storage or another."""
KEYS: Final = (
    "key",
    "KEY",
    "key ",
    " key",
    "kéy",
    "ke\u0301y",
    "k%y",
    "k_y",
    "k/y",
    "k\\y",
    "日本語 🎈",
    "y" * 1000,
)
"""Keys that one storage or another takes for the same, or for a pattern."""
SECRETS: Final = (
    "a-visitor's-secret-5d41402abc4b2a76",
    "its-successor-7d793037a0760186574b",
    "é-日本語-🎈-9b71d224bd62f378",
)


@clause("storage.absent")
async def absent(tried: StorageTrial) -> None:
    """get() answers None for a key that nothing is stored under."""
    expect(await tried.storage.get(tried.key()), None, "get() of an absent key")


@clause("storage.create-stores")
async def create_stores(tried: StorageTrial) -> None:
    """create() stores the value under an absent key and returns it."""
    expect(await tried.storage.create(tried.key(), "one"), "one", "create() of an absent key")
    expect(await tried.storage.get(tried.key()), "one", "get() after it")


@clause("storage.create-keeps")
async def create_keeps(tried: StorageTrial) -> None:
    """create() leaves a stored value alone and returns it."""
    await tried.storage.create(tried.key(), "one")
    expect(await tried.storage.create(tried.key(), "two"), "one", "create() of a stored key")
    expect(await tried.storage.get(tried.key()), "one", "get() after it")


@clause("storage.empty-value")
async def empty_value(tried: StorageTrial) -> None:
    """An empty text is a value like any other."""
    await tried.storage.create(tried.key(), "")
    expect(await tried.storage.get(tried.key()), "", "get() of an empty value")
    expect(
        await tried.storage.create(tried.key(), "two"),
        "",
        "create() where an empty value is stored",
    )
    expect(
        await tried.storage.replace(tried.key(), "", "two"), "two", "replace() of an empty value"
    )


@clause("storage.replace-stores")
async def replace_stores(tried: StorageTrial) -> None:
    """replace() stores the new value if the old one is stored, and returns the new one."""
    await tried.storage.create(tried.key(), "one")
    expect(
        await tried.storage.replace(tried.key(), "one", "two"), "two", "replace() of what is stored"
    )
    expect(await tried.storage.get(tried.key()), "two", "get() after it")


@clause("storage.replace-keeps")
async def replace_keeps(tried: StorageTrial) -> None:
    """replace() leaves another value than the old one alone, and returns it."""
    await tried.storage.create(tried.key(), "one")
    expect(
        await tried.storage.replace(tried.key(), "zero", "two"),
        "one",
        "replace() of what is not stored",
    )
    expect(await tried.storage.get(tried.key()), "one", "get() after it")


@clause("storage.replace-absent")
async def replace_absent(tried: StorageTrial) -> None:
    """replace() leaves an absent key absent and returns the old value it was given."""
    expect(
        await tried.storage.replace(tried.key(), "one", "two"), "one", "replace() of an absent key"
    )
    expect(await tried.storage.get(tried.key()), None, "get() after it")


@clause("storage.delete-removes")
async def delete_removes(tried: StorageTrial) -> None:
    """delete() removes the keys that are named, and no other."""
    for name in ("a", "b", "c", "ab"):
        await tried.storage.create(tried.key(name), name)
    await tried.storage.delete(tried.key("a"), tried.key("c"))
    seen = [await tried.storage.get(tried.key(name)) for name in ("a", "b", "c", "ab")]
    expect(seen, [None, "b", None, "ab"], "get() of a, b, c and ab after delete() of a and c")


@clause("storage.delete-absent")
async def delete_absent(tried: StorageTrial) -> None:
    """delete() of an absent key is no error, and still removes the others that are named."""
    await tried.storage.create(tried.key(), "one")
    await tried.storage.delete(tried.key("absent"), tried.key())
    expect(await tried.storage.get(tried.key()), None, "get() of the other key that was named")


@clause("storage.delete-none")
async def delete_none(tried: StorageTrial) -> None:
    """delete() without a key removes nothing."""
    await tried.storage.create(tried.key(), "one")
    await tried.storage.delete()
    expect(await tried.storage.get(tried.key()), "one", "get() after delete() of nothing")


@clause("storage.delete-many")
async def delete_many(tried: StorageTrial) -> None:
    """delete() takes thousands of keys at once."""
    await tried.storage.create(tried.key(), "one")
    await tried.storage.delete(*(tried.key(f"absent {n}") for n in range(5000)), tried.key())
    expect(
        await tried.storage.get(tried.key()),
        None,
        "get() of the last of 5001 keys that were deleted",
    )


@clause("storage.deleted-is-absent")
async def deleted_is_absent(tried: StorageTrial) -> None:
    """A deleted key is absent: create() stores a new value under it."""
    await tried.storage.create(tried.key(), "one")
    await tried.storage.delete(tried.key())
    expect(
        await tried.storage.create(tried.key(), "two"), "two", "create() of a key that was deleted"
    )


@clause("storage.keys")
async def keys(tried: StorageTrial) -> None:
    """keys() lists every key that is stored, of whatever scope, each once, and no deleted one."""
    for name in ("one/visitor", "two/visitor", "gone"):
        await tried.storage.create(tried.key(name), "v")
    await tried.storage.replace(tried.key("one/visitor"), "v", "w")
    await tried.storage.delete(tried.key("gone"))
    expect(await tried.own_keys(), ["one/visitor", "two/visitor"], "keys()")


@clause("storage.scopes-apart")
async def scopes_apart(tried: StorageTrial) -> None:
    """Two scopes share nothing: what is stored and cleared in one changes nothing in the other."""
    mine, other = tried.key("one/visitor"), tried.key("two/visitor")
    await tried.storage.create(mine, "mine")
    expect(
        await tried.storage.create(other, "other"),
        "other",
        "create() of the same name in another scope",
    )
    await tried.storage.delete(mine)
    expect(
        await tried.storage.get(other), "other", "get() in one scope after the other was cleared"
    )


@clause("storage.any-value")
async def any_value(tried: StorageTrial) -> None:
    """Every text comes back as it was: empty, long, of many lines, of any script."""
    await _come_back(tried, TEXTS)


@clause("storage.nul-in-values")
async def nul_in_values(tried: StorageTrial) -> None:
    """A NUL inside a value does not end it."""
    await _come_back(tried, ("nul\0inside", "\0"))


async def _come_back(tried: StorageTrial, texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        expect(await tried.storage.create(tried.key(f"{number}"), text), text, "create() of a text")
        expect(await tried.storage.get(tried.key(f"{number}")), text, "get() of a text")
        expect(
            await tried.storage.replace(tried.key(f"{number}"), text, f"{text}!"),
            f"{text}!",
            "replace() of a text",
        )


@clause("storage.exact-keys")
async def exact_keys(tried: StorageTrial) -> None:
    """Keys are compared exactly: case, blanks, accents, wildcards and length count."""
    await _stay_apart(tried, KEYS)


@clause("storage.nul-in-keys")
async def nul_in_keys(tried: StorageTrial) -> None:
    """A NUL inside a key does not end it."""
    await _stay_apart(tried, ("key", "key\0", "key\0x"))


async def _stay_apart(tried: StorageTrial, names: Sequence[str]) -> None:
    for name in names:
        expect(
            await tried.storage.create(tried.key(name), name),
            name,
            f"create() of the key {name[:20]!r}, which nobody has used",
        )
    expect(await tried.own_keys(), sorted(names), "keys()")


@clause("storage.one-creator-wins")
async def one_creator_wins(tried: StorageTrial) -> None:
    """Of many create() at once one wins, and all learn which."""
    answers = await asyncio.gather(*(tried.storage.create(tried.key(), f"v{n}") for n in range(20)))
    expect(
        set(answers), {await tried.storage.get(tried.key())}, "what 20 create() at once answered"
    )


@clause("storage.one-replacer-wins")
async def one_replacer_wins(tried: StorageTrial) -> None:
    """Of many replace() at once one wins, and all learn which."""
    await tried.storage.create(tried.key(), "old")
    answers = await asyncio.gather(
        *(tried.storage.replace(tried.key(), "old", f"v{n}") for n in range(20))
    )
    expect(
        set(answers), {await tried.storage.get(tried.key())}, "what 20 replace() at once answered"
    )
    expect_that(answers[0] != "old", "20 replace() at once left the old value stored")


@clause("storage.cancelled")
async def cancelled(tried: StorageTrial) -> None:
    """A cancelled call ends, may or may not have been done, and harms no later call."""
    names = [f"{n}" for n in range(5)]
    for moment in (0.0, 0.0, 0.001, 0.005):
        for kept in (0, 1):  # all that are under way are cancelled, or all but the first
            calls = [
                asyncio.ensure_future(tried.storage.create(tried.key(name), "one"))
                for name in names
            ]
            await asyncio.sleep(moment)
            for call in calls[kept:]:
                call.cancel()
            for answer in await asyncio.gather(*calls[kept:], return_exceptions=True):
                expect_that(
                    answer == "one" or isinstance(answer, asyncio.CancelledError),
                    f"a cancelled create() came to {answer!r}",
                )
            for call in calls[:kept]:
                expect(await call, "one", "create() beside four that were cancelled")
            expect(await tried.storage.create(tried.key("0"), "one"), "one", "create() after them")
            await tried.storage.delete(*map(tried.key, names))
            expect(await tried.storage.get(tried.key("0")), None, "get() after delete() after them")


def _calls(storage: Storage, key: str) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "get()": lambda: storage.get(key),
        "create()": lambda: storage.create(key, SECRETS[0]),
        "replace()": lambda: storage.replace(key, SECRETS[0], SECRETS[1]),
        "delete()": lambda: storage.delete(key),
        "keys()": lambda: storage.keys(),
    }


@clause("storage.closed")
async def closed(tried: StorageTrial) -> None:
    """After aclose() every call raises StorageError."""
    await tried.storage.get(tried.key())
    await tried.storage.aclose()
    for name, call in _calls(tried.storage, tried.key()).items():
        await raised(StorageError, call(), f"{name} after aclose()")


@clause("storage.closed-twice")
async def closed_twice(tried: StorageTrial) -> None:
    """A second aclose() does nothing."""
    await tried.storage.get(tried.key())
    await tried.storage.aclose()
    # which is to be seen
    expect(await tried.storage.aclose(), None, "the second aclose()")  # type: ignore[func-returns-value]


@clause("storage.closed-unused")
async def closed_unused(tried: StorageTrial) -> None:
    """A storage that was never used can be closed, and is closed then."""
    await tried.storage.aclose()
    await raised(StorageError, tried.storage.get(tried.key()), "get() after aclose()")


@clause("storage.closed-leaves-no-task")
async def closed_leaves_no_task(tried: StorageTrial) -> None:
    """aclose() ends every task that the storage has started."""
    before = asyncio.all_tasks()
    await tried.storage.get(tried.key())
    await tried.storage.aclose()
    await until(lambda: asyncio.all_tasks() <= before, "a task still runs after aclose()")


@clause("storage.only-storage-errors")
async def only_storage_errors(tried: StorageTrial) -> None:
    """When it cannot do its work, every method raises StorageError and nothing else."""
    await tried.spoil()
    for name, call in _calls(tried.storage, tried.key()).items():
        await raised(StorageError, call(), f"{name} on a place that was spoilt")


@clause("storage.errors-hide-values")
async def errors_hide_values(tried: StorageTrial) -> None:
    """No error shows a value that is stored or was to be stored."""
    await tried.storage.create(tried.key(), SECRETS[0])
    await tried.spoil()
    for name, call in _calls(tried.storage, tried.key()).items():
        error = await raised(StorageError, call(), f"{name} on a place that was spoilt")
        for secret in SECRETS:
            expect_that(secret not in f"{error} {error!r}", f"the error of {name} shows the value")


@clause("storage.no-residue")
async def no_residue(tried: StorageTrial) -> None:
    """After delete() no byte of the values is left, of those replaced before neither; the rest
    stays.
    """
    await tried.storage.create(tried.key(), SECRETS[0])
    await tried.storage.replace(tried.key(), SECRETS[0], SECRETS[1])
    await tried.storage.create(tried.key("other"), SECRETS[2])
    await tried.bytes_of_the_place()
    await tried.storage.delete(tried.key(), tried.key("other"))
    left = await tried.bytes_of_the_place()
    for secret in SECRETS:
        for form in {secret.encode(), secret.encode("unicode-escape"), secret.encode("utf-16-le")}:
            expect_that(
                form not in left,
                f"the bytes of a value are still there after delete(): {secret.encode()!r}",
            )


ONE_OBJECT: Final[Sequence[Clause[StorageTrial]]] = (
    absent,
    create_stores,
    create_keeps,
    empty_value,
    replace_stores,
    replace_keeps,
    replace_absent,
    delete_removes,
    delete_absent,
    delete_none,
    delete_many,
    deleted_is_absent,
    keys,
    scopes_apart,
    any_value,
    nul_in_values,
    exact_keys,
    nul_in_keys,
    one_creator_wins,
    one_replacer_wins,
    cancelled,
    closed,
    closed_twice,
    closed_unused,
    closed_leaves_no_task,
    only_storage_errors,
    errors_hide_values,
    no_residue,
)

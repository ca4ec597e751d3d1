"""What the `Storage` port promises of one object, as clauses: values, keys, deletion, the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

from ....errors import StorageError
from ..expecting import expect, expect_that, raised, until
from ..suites import Clause, clause, clauses_of
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

_Ask: TypeAlias = "Callable[[StorageTrial], Awaitable[object]]"
_Step: TypeAlias = "tuple[_Ask] | tuple[_Ask, object, str]"
"""What is asked, what it must come to, and what a report calls it."""


def _get(name: str = "visitor") -> _Ask:
    return lambda trial: trial.storage.get(trial.key(name))


def _create(value: str, name: str = "visitor") -> _Ask:
    return lambda trial: trial.storage.create(trial.key(name), value)


def _delete(*names: str) -> _Ask:
    return lambda trial: trial.storage.delete(*map(trial.key, names))


def _steps(id: str, sentence: str, *steps: _Step) -> Clause[StorageTrial]:
    async def body(trial: StorageTrial) -> None:
        for step in steps:
            seen = await step[0](trial)
            if len(step) == 3:
                expect(seen, step[1], step[2])

    return Clause(id, sentence, body)


STEP_BY_STEP: Final = (
    _steps(
        "storage.absent",
        "get() answers None for a key that nothing is stored under.",
        (_get(), None, "get() of an absent key"),
    ),
    _steps(
        "storage.create-stores",
        "create() stores the value under an absent key and returns it.",
        (_create("one"), "one", "create() of an absent key"),
        (_get(), "one", "get() after it"),
    ),
    _steps(
        "storage.create-keeps",
        "create() leaves a stored value alone and returns it.",
        (_create("one"),),
        (_create("two"), "one", "create() of a stored key"),
        (_get(), "one", "get() after it"),
    ),
    _steps(
        "storage.empty-value",
        "An empty text is a value like any other.",
        (_create(""),),
        (_get(), "", "get() of an empty value"),
        (_create("two"), "", "create() where an empty value is stored"),
    ),
    _steps(
        "storage.delete-absent",
        "delete() of an absent key is no error, and still removes the others that are named.",
        (_create("one"),),
        (_delete("absent", "visitor"),),
        (_get(), None, "get() of the other key that was named"),
    ),
    _steps(
        "storage.delete-none",
        "delete() without a key removes nothing.",
        (_create("one"),),
        (_delete(),),
        (_get(), "one", "get() after delete() of nothing"),
    ),
    _steps(
        "storage.deleted-is-absent",
        "A deleted key is absent: create() stores a new value under it.",
        (_create("one"),),
        (_delete("visitor"),),
        (_create("two"), "two", "create() of a key that was deleted"),
    ),
    _steps(
        "storage.scopes-apart",
        "Two scopes share nothing: what is stored and cleared in one changes nothing in the other.",
        (_create("mine", "one/visitor"),),
        (_create("other", "two/visitor"), "other", "create() of the same name in another scope"),
        (_delete("one/visitor"),),
        (_get("two/visitor"), "other", "get() in one scope after the other was cleared"),
    ),
)
"""The clauses that are no more than calls, one after the other, and what each comes to."""


@clause("storage.delete-removes")
async def delete_removes(trial: StorageTrial) -> None:
    """delete() removes the keys that are named, and no other."""
    for name in ("a", "b", "c", "ab"):
        await trial.storage.create(trial.key(name), name)
    await trial.storage.delete(trial.key("a"), trial.key("c"))
    seen = [await trial.storage.get(trial.key(name)) for name in ("a", "b", "c", "ab")]
    expect(seen, [None, "b", None, "ab"], "get() of a, b, c and ab after delete() of a and c")


@clause("storage.delete-answers")
async def delete_answers(trial: StorageTrial) -> None:
    """delete() answers those of the keys that were stored, each with its value, and no other."""
    await trial.storage.create(trial.key("a"), "one")
    await trial.storage.create(trial.key("b"), "")
    answer = await trial.removed(trial.storage, "a", "absent", "b", "a")
    expect(answer, {"a": "one", "b": ""}, "delete() of two keys and an absent one")
    expect(await trial.removed(trial.storage, "a", "b"), {}, "delete() of what was deleted")
    expect(await trial.removed(trial.storage), {}, "delete() of nothing")


@clause("storage.delete-many")
async def delete_many(trial: StorageTrial) -> None:
    """delete() takes tens of thousands of keys at once."""
    await trial.storage.create(trial.key(), "one")
    await trial.storage.delete(*(trial.key(f"absent {n}") for n in range(40_000)), trial.key())
    expect(
        await trial.storage.get(trial.key()),
        None,
        "get() of the last of 40,001 keys that were deleted",
    )


@clause("storage.keys")
async def keys(trial: StorageTrial) -> None:
    """keys() lists every key that is stored, of whatever scope, each once, and no deleted one."""
    for name in ("one/visitor", "two/visitor", "gone"):
        await trial.storage.create(trial.key(name), "v")
    await trial.storage.delete(trial.key("gone"))
    expect(await trial.own_keys(), ["one/visitor", "two/visitor"], "keys()")


@clause("storage.any-value")
async def any_value(trial: StorageTrial) -> None:
    """Every text comes back as it was: empty, long, of many lines, of any script."""
    await _come_back(trial, TEXTS)


@clause("storage.nul-in-values")
async def nul_in_values(trial: StorageTrial) -> None:
    """A NUL inside a value does not end it."""
    await _come_back(trial, ("nul\0inside", "\0"))


async def _come_back(trial: StorageTrial, texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        expect(await trial.storage.create(trial.key(f"{number}"), text), text, "create() of a text")
        expect(await trial.storage.get(trial.key(f"{number}")), text, "get() of a text")
        removed = await trial.removed(trial.storage, f"{number}")
        expect(removed, {f"{number}": text}, "delete() of a text")


@clause("storage.exact-keys")
async def exact_keys(trial: StorageTrial) -> None:
    """Keys are compared exactly: case, blanks, accents, wildcards and length count."""
    await _stay_apart(trial, KEYS)


@clause("storage.nul-in-keys")
async def nul_in_keys(trial: StorageTrial) -> None:
    """A NUL inside a key does not end it."""
    await _stay_apart(trial, ("key", "key\0", "key\0x"))


async def _stay_apart(trial: StorageTrial, names: Sequence[str]) -> None:
    for name in names:
        expect(
            await trial.storage.create(trial.key(name), name),
            name,
            f"create() of the key {name[:20]!r}, which nobody has used",
        )
    expect(await trial.own_keys(), sorted(names), "keys()")


@clause("storage.one-creator-wins")
async def one_creator_wins(trial: StorageTrial) -> None:
    """Of many create() at once one wins, and all learn which."""
    answers = await asyncio.gather(*(trial.storage.create(trial.key(), f"v{n}") for n in range(20)))
    expect(
        set(answers), {await trial.storage.get(trial.key())}, "what 20 create() at once answered"
    )


@clause("storage.one-remover-wins")
async def one_remover_wins(trial: StorageTrial) -> None:
    """Of many delete() at once one answers what was stored, and no other."""
    await trial.storage.create(trial.key(), "one")
    answers = await asyncio.gather(*(trial.removed(trial.storage, "visitor") for _ in range(20)))
    expect(
        [answer for answer in answers if answer],
        [{"visitor": "one"}],
        "what was not empty of what 20 delete() at once answered",
    )


@clause("storage.cancelled")
async def cancelled(trial: StorageTrial) -> None:
    """A cancelled call ends, may or may not have been done, and harms no later call."""
    names = [f"{n}" for n in range(5)]
    for moment in (0.0, 0.0, 0.001, 0.005):
        for kept in (0, 1):  # all that are under way are cancelled, or all but the first
            calls = [
                asyncio.ensure_future(trial.storage.create(trial.key(name), "one"))
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
            expect(await trial.storage.create(trial.key("0"), "one"), "one", "create() after them")
            await trial.storage.delete(*map(trial.key, names))
            expect(await trial.storage.get(trial.key("0")), None, "get() after delete() after them")


async def _failures(trial: StorageTrial, when: str) -> Mapping[str, StorageError]:
    storage, key = trial.storage, trial.key()
    calls: Mapping[str, Callable[[], Awaitable[object]]] = {
        "get()": lambda: storage.get(key),
        "create()": lambda: storage.create(key, SECRETS[0]),
        "delete()": lambda: storage.delete(key),
        "keys()": lambda: storage.keys(),
    }
    return {
        name: await raised(StorageError, call(), f"{name} {when}") for name, call in calls.items()
    }


@clause("storage.closed")
async def closed(trial: StorageTrial) -> None:
    """After aclose() every call raises StorageError."""
    await trial.storage.get(trial.key())
    await trial.storage.aclose()
    await _failures(trial, "after aclose()")


@clause("storage.closed-twice")
async def closed_twice(trial: StorageTrial) -> None:
    """A second aclose() does nothing."""
    await trial.storage.get(trial.key())
    await trial.storage.aclose()
    # which is to be seen
    expect(await trial.storage.aclose(), None, "the second aclose()")  # type: ignore[func-returns-value]


@clause("storage.closed-unused")
async def closed_unused(trial: StorageTrial) -> None:
    """A storage that was never used can be closed, and is closed then."""
    await trial.storage.aclose()
    await raised(StorageError, trial.storage.get(trial.key()), "get() after aclose()")


@clause("storage.closed-leaves-no-task")
async def closed_leaves_no_task(trial: StorageTrial) -> None:
    """aclose() ends every task that the storage has started."""
    before = asyncio.all_tasks()
    await trial.storage.get(trial.key())
    await trial.storage.aclose()
    await until(lambda: asyncio.all_tasks() <= before, "a task still runs after aclose()")


@clause("storage.only-storage-errors")
async def only_storage_errors(trial: StorageTrial) -> None:
    """When it cannot do its work, every method raises StorageError and nothing else."""
    await trial.spoil()
    await _failures(trial, "on a place that was spoilt")


@clause("storage.errors-hide-values")
async def errors_hide_values(trial: StorageTrial) -> None:
    """No error shows a value that is stored or was to be stored."""
    await trial.storage.create(trial.key(), SECRETS[0])
    await trial.spoil()
    for name, error in (await _failures(trial, "on a place that was spoilt")).items():
        for secret in SECRETS:
            expect_that(secret not in f"{error} {error!r}", f"the error of {name} shows the value")


@clause("storage.no-residue")
async def no_residue(trial: StorageTrial) -> None:
    """After delete() no byte of the values is left, of those deleted before neither; the rest
    stays.
    """
    await trial.storage.create(trial.key(), SECRETS[0])
    await trial.storage.delete(trial.key())
    await trial.storage.create(trial.key(), SECRETS[1])
    await trial.storage.create(trial.key("other"), SECRETS[2])
    await trial.bytes_of_the_place()
    await trial.storage.delete(trial.key(), trial.key("other"))
    left = await trial.bytes_of_the_place()
    for secret in SECRETS:
        for form in {secret.encode(), secret.encode("unicode-escape"), secret.encode("utf-16-le")}:
            expect_that(
                form not in left,
                f"the bytes of a value are still there after delete(): {secret.encode()!r}",
            )


ONE_OBJECT = (*STEP_BY_STEP, *clauses_of(vars(), StorageTrial))

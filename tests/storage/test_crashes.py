"""A process that dies at any point leaves the old or the new value, nothing that stops the next
one, and nothing of a cleared user.

Where a storage works through Python's own calls, it dies before each of them in turn. (What a file
was not synced for is lost at once when it is renamed, the worst that a power failure may do.) The
others, and the same ones again, are killed at random.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess

import pytest

from storages import Place

pytestmark = pytest.mark.skipif(os.name != "posix", reason="fork and SIGKILL are POSIX")

OLD = "the old secret, 3f9c1d8e7b5a"
NEW = "the new secret, 81be0c6d2f94"

DYING = '''
import asyncio, builtins, json
from base64 import b64encode  # as a keyring on a file writes it

CODE, OPERATION, OLD, NEW, FOLDER = sys.argv[1:]


def dying_before(n):
    """Lets this process die before the nth of the calls by which the storage changes something, or
    once a file is open.
    """
    seen, synced = 0, set()

    def guarded(name, call):
        def guard(*arguments, **options):
            nonlocal seen
            seen += 1
            if seen == n:
                os._exit(9)
            if name == "fsync":
                synced.add(os.fstat(arguments[0]).st_ino)
            if name == "replace" and "corrupt" not in arguments[1]:
                if os.stat(arguments[0]).st_ino not in synced:
                    os.truncate(arguments[0], os.path.getsize(arguments[0]) // 2)
            answer = call(*arguments, **options)
            if name == "open" and (seen := seen + 1) == n:
                os._exit(9)  # opened, and emptied if it was opened for that, but not written
            return answer
        return guard

    if "keyring" in CODE:
        from keyrings.alt.file import PlaintextKeyring as place
        names = ("get_password", "set_password", "delete_password")
    else:
        place, names = os, ("open", "close", "unlink", "fsync", "replace")
        builtins.open = guarded("open", open)
    for name in names:
        setattr(place, name, guarded(name, getattr(place, name)))


async def prepare(storage):
    await storage.delete(*await storage.keys())
    await storage.create("another", "theirs")
    if OPERATION != "create":
        await storage.create("secret", OLD)
    await storage.aclose()


async def operate(storage):
    if OPERATION == "create":
        await storage.create("secret", NEW)
    else:
        await storage.delete("secret")
    await storage.aclose()


async def look(storage):
    found = {"value": await storage.get("secret"), "other": await storage.get("another")}
    await storage.aclose()
    return found


async def clear(storage):
    for key in await storage.keys():
        if key == "secret":
            await storage.delete(key)
    await storage.aclose()
    files = [os.path.join(FOLDER, name) for name in os.listdir(FOLDER)]
    contents = b"".join(open(file, "rb").read() for file in files)
    forms = {word: (word.encode(), b64encode(word.encode())[:32]) for word in (OLD, NEW)}
    return [word for word in forms if any(form in contents for form in forms[word])]


def after_death(n):
    """What is found after a process that died before its nth call, and whether it did die."""
    asyncio.run(prepare(eval(CODE)))
    child = os.fork()
    if not child:
        dying_before(n)
        asyncio.run(operate(eval(CODE)))
        os._exit(0)
    died = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert died in (0, 9), died
    return bool(died)


for n in range(1, 1000):
    died = after_death(n)
    found = asyncio.run(look(eval(CODE)))
    after_death(n)
    print(json.dumps({"died": died, "left": asyncio.run(clear(eval(CODE))), **found}), flush=True)
    if not died:
        break
'''


@pytest.mark.parametrize("operation", ["create", "delete"])
@pytest.mark.parametrize("place", ["file", "keyring"], indirect=True)
def test_dying_before_any_of_its_calls_leaves_the_old_or_the_new_value(
    place: Place, operation: str
) -> None:
    before, after = {"create": (None, NEW), "delete": (OLD, None)}[operation]
    with place.child(
        DYING, place.code, operation, OLD, NEW, str(place.folder), stdout=subprocess.PIPE
    ) as child:
        output, _ = child.communicate(timeout=120)
    assert child.returncode == 0
    reports = [json.loads(line) for line in output.splitlines()]
    assert [report["died"] for report in reports] == [True] * (len(reports) - 1) + [False]
    assert len(reports) > 4, "it must have died a few times"
    for report in reports:
        assert report["left"] == []
        assert report["other"] == "theirs"
        assert report["value"] in (before, after)
    assert reports[-1]["value"] == after


ENDLESS = """
import asyncio

async def write_for_ever():
    written = await storage.keys()
    n = max([int(key) for key in written], default=-1)
    while True:
        n += 1
        value = f"{n} " + "x" * 20_000
        assert await storage.create(f"{n}", value) == value
        await storage.delete(*(key for key in await storage.keys() if int(key) < n))
        print(n, flush=True)

asyncio.run(write_for_ever())
"""
KILLS = 25


@pytest.mark.parametrize("place", ["file", "sqlite", "redis"], indirect=True)
def test_a_process_killed_at_random_leaves_what_it_wrote_last_or_was_writing_until_a_clear(
    place: Place,
) -> None:
    async def stored() -> int:
        storage = place.open()
        keys = await storage.keys()
        values = [await storage.get(key) for key in keys]
        await storage.aclose()
        assert values == [f"{key} " + "x" * 20_000 for key in keys]
        assert len(keys) <= 2, "the one before is deleted before the next but one is written"
        return max(map(int, keys))

    async def cleared() -> None:
        storage = place.open()
        await storage.delete(*await storage.keys())
        await storage.aclose()

    chance, reported = random.Random(20), ""
    for _ in range(KILLS):
        with place.child(ENDLESS, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            assert child.stdout is not None
            for _ in range(chance.randint(1, 20)):
                reported = child.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(chance.uniform(0.0, 0.005))
            child.send_signal(signal.SIGKILL)
            reported = ([reported, *child.stdout.read().splitlines(keepends=True)])[-1]
        assert asyncio.run(stored()) in (int(reported), int(reported) + 1)
        asyncio.run(cleared())
        assert [name for name, content in place.left().items() if b"x" * 20 in content] == []

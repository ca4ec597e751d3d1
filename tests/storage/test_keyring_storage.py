"""What KeyringStorage owes beyond the port: unusable keyrings found at load, names that no keyring
mixes up, a list that heals.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
from contextlib import aclosing
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import attrs
import pytest
from keyring.backends import chainer
from keyring.errors import InitError, KeyringLocked, PasswordDeleteError, PasswordSetError

from async_tests import in_real_time
from storages import Warned, using
from support_chat import SupportChat
from support_chat.errors import StorageError, VisitorEndedError
from support_chat.ports import Credentials
from support_chat.testing import RecordingTransport
from support_chat_adapters.backend import Backend
from support_chat_adapters.storage import KeyringStorage
from support_chat_adapters.transport import LoopbackTransport


def backend(name: str) -> Any:
    """A real backend by its full name (Any: they have no types)."""
    module, _, kind = name.rpartition(".")
    return getattr(import_module(module), kind)()


@attrs.define
class DictKeyring:
    """A keyring in a dict, as strict as the strictest of the real ones; `failing` is raised by
    every call that it names.
    """

    # Any: in these tests it may be damaged
    entries: dict[str, Any] = attrs.field(factory=dict[str, Any])
    failing: dict[str, Exception] = attrs.field(factory=dict[str, Exception])
    calls: list[str] = attrs.field(factory=list[str])

    def _called(self, call: str, name: str) -> None:
        self.calls.append(f"{call} {name}")
        assert name == name.lower()
        assert name.isprintable()
        assert name
        if call in self.failing:
            raise self.failing[call]

    def get_password(self, service: str, username: str) -> str | None:
        self._called("get", username)
        if isinstance(value := self.entries.get(username), bytes):
            return value.decode()
        return value

    def set_password(self, service: str, username: str, password: str) -> None:
        self._called("set", username)
        self.entries[username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._called("delete", username)
        if username not in self.entries:
            raise PasswordDeleteError("no such password")
        del self.entries[username]


def dict_keyring(**failing: Exception) -> Any:
    """One whose calls of these names fail (Any: it stands in for a class of the keyring
    library).
    """
    return DictKeyring(failing=failing)


@pytest.fixture(autouse=True)
def own_folder_for_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


# --- found unusable at load -----------------------------------------------------------------------

UNUSABLE: list[tuple[str, Any, str]] = [
    ("none", backend("keyring.backends.fail.Keyring"), "this system has none. Install one"),
    ("disabled", backend("keyring.backends.null.Keyring"), "this system has none. Install one"),
    (
        "a chain of none",
        backend("keyring.backends.chainer.ChainerBackend"),
        "did not keep what it was given",
    ),
    (
        "locked",
        DictKeyring(failing={"get": KeyringLocked("the value was s3cret")}),
        "it is locked. Unlock it, then try again",
    ),
    (
        "locked for writing",
        DictKeyring(failing={"set": KeyringLocked()}),
        "it is locked. Unlock it, then try again",
    ),
    (
        "without a desktop",
        DictKeyring(failing={"get": InitError(), "set": InitError()}),
        "Sign in to the desktop",
    ),
    (
        "read-only",
        DictKeyring(failing={"set": PasswordSetError("could not set s3cret")}),
        "it failed. Try again",
    ),
    ("undeletable", DictKeyring(failing={"delete": PasswordDeleteError()}), "it failed. Try again"),
    ("out of order", DictKeyring(failing={"set": RuntimeError("s3cret")}), "it failed. Try again"),
]


@pytest.mark.parametrize(
    ("keyring", "words"),
    [(keyring, words) for _, keyring, words in UNUSABLE],
    ids=[name for name, _, _ in UNUSABLE],
)
def test_a_keyring_that_cannot_be_used_is_found_out_by_the_first_get(
    keyring: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [])
    with pytest.raises(StorageError) as caught:
        using(KeyringStorage(keyring=keyring), lambda storage: storage.get("key"))
    assert words in caught.value.message
    assert "s3cret" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@in_real_time
async def test_a_session_finds_it_out_when_it_is_loaded_and_has_not_dialled() -> None:
    storage = KeyringStorage(keyring=dict_keyring(set=KeyringLocked()))
    transport = RecordingTransport()
    chat = SupportChat(workspace_id="acme", widget_id="help", transport=transport, storage=storage)
    with pytest.raises(StorageError, match="it is locked"):
        await chat.boot()
    assert transport.log.names() == []
    await chat.destroy()
    await storage.aclose()


@in_real_time
async def test_the_keyring_is_tried_once_and_again_only_after_it_failed() -> None:
    keyring = dict_keyring(set=KeyringLocked())
    async with aclosing(KeyringStorage(keyring=keyring)) as storage:
        with pytest.raises(StorageError):
            await storage.get("key")
        keyring.failing.clear()
        for _ in range(3):
            assert await storage.get("key") is None
    assert keyring.calls.count("set %probe") == 2
    assert keyring.entries == {}


@in_real_time
async def test_a_keyring_that_is_locked_later_is_told_and_works_again_when_it_is_unlocked() -> None:
    keyring = dict_keyring()
    async with aclosing(KeyringStorage(keyring=keyring)) as storage:
        await storage.create("key", "one")
        keyring.failing = {"get": KeyringLocked(), "set": KeyringLocked()}
        with pytest.raises(StorageError, match="it is locked") as caught:
            await storage.create("another", "two")
        assert caught.value.recoverable
        keyring.failing = {}
        assert await storage.create("another", "two") == "two"


# --- entries --------------------------------------------------------------------------------------


@in_real_time
async def test_each_value_is_an_entry_of_its_own_that_is_gone_when_it_is_deleted() -> None:
    keyring = dict_keyring()
    async with aclosing(KeyringStorage(keyring=keyring)) as storage:
        await storage.create("support-chat/acme/Help/visitor", "one")
        assert keyring.entries == {
            "support-chat/acme/%48elp/visitor": "one",
            "%index": json.dumps(["support-chat/acme/Help/visitor"]),
        }
        await storage.delete("support-chat/acme/Help/visitor", "absent")
        assert keyring.entries == {}


@in_real_time
async def test_keys_that_a_careless_keyring_would_mix_up_are_kept_apart() -> None:
    async with aclosing(KeyringStorage(keyring=dict_keyring())) as storage:
        keys = ["", "key", "KEY", "%6bey", "index", "%index", "%probe", "a\0b", "kéy", "%"]
        for key in keys:
            assert await storage.create(key, f"of {key}") == f"of {key}"
        for key in keys:
            assert await storage.get(key) == f"of {key}"
        assert sorted(await storage.keys()) == sorted(keys)


def test_two_services_share_nothing(tmp_path: Path) -> None:
    keyring = backend("keyrings.alt.file.PlaintextKeyring")
    keyring.file_path = str(tmp_path / "keyring.cfg")
    using(KeyringStorage("one", keyring=keyring), lambda storage: storage.create("key", "one"))
    assert (
        using(KeyringStorage("two", keyring=keyring), lambda storage: storage.create("key", "two"))
        == "two"
    )
    assert (
        using(KeyringStorage("one", keyring=keyring), lambda storage: storage.get("key")) == "one"
    )


def test_the_lock_lies_in_the_folder_for_temporary_files_one_for_each_service(
    own_folder_for_locks: Path,
) -> None:
    for service in ("one", "one", "two"):
        using(KeyringStorage(service, keyring=dict_keyring()), lambda storage: storage.get("key"))
    locks = list(own_folder_for_locks.iterdir())
    assert len(locks) == 2
    assert all(
        lock.name.startswith("support-chat-keyring-") and lock.read_bytes() == b"" for lock in locks
    )


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["not JSON", "{}", "7", "[7]", '["key"', "[" * 100_000])
@in_real_time
async def test_a_damaged_list_is_set_aside_and_takes_up_each_key_again_when_it_is_read(
    content: str, warned: Warned
) -> None:
    keyring = dict_keyring()
    async with aclosing(KeyringStorage(keyring=keyring)) as storage:
        await storage.create("key", "one")
        for n in (1, 2):
            keyring.entries["%index"] = content
            assert list(await storage.keys()) == []
            (warning,) = warned()
            assert "list of keys" in warning
            assert f"set aside as '%index:corrupt-{n}'" in warning
            assert keyring.entries[f"%index:corrupt-{n}"] == content
            assert await storage.create("key", "two") == "one"
            assert list(await storage.keys()) == ["key"]


@pytest.mark.parametrize("content", [b"\xff", 7], ids=["bytes that are no text", "a number"])
@in_real_time
async def test_what_cannot_be_read_as_text_is_reported_removed_and_survived(
    content: object, warned: Warned
) -> None:
    keyring = dict_keyring()
    async with aclosing(KeyringStorage(keyring=keyring)) as storage:
        await storage.create("key", "one")
        keyring.entries["key"] = content
        assert list(await storage.keys()) == ["key"]
        assert await storage.create("key", "two") == "two"
        assert len(warned()) == 1
        keyring.entries["%index"] = content
        assert await storage.get("key") == "two"
        assert len(warned()) == 1
        assert list(await storage.keys()) == ["key"]


@pytest.mark.parametrize("content", [b"\xff", 7], ids=["bytes that are no text", "a number"])
@in_real_time
async def test_what_cannot_be_read_is_deleted_and_not_answered(content: object) -> None:
    keyring = dict_keyring()
    async with aclosing(KeyringStorage(keyring=keyring)) as storage:
        await storage.create("key", "one")
        await storage.create("another", "two")
        keyring.entries["key"] = content
        assert await storage.delete("key", "another") == {"another": "two"}
    assert keyring.entries == {}


@in_real_time
async def test_a_key_that_the_list_has_lost_is_deleted_and_answered(warned: Warned) -> None:
    keyring = dict_keyring()
    async with aclosing(KeyringStorage(keyring=keyring)) as storage:
        for lost in ({"%index": "not JSON"}, {"%index": '["another"]'}, {}):
            await storage.create("key", "one")
            keyring.entries.pop("%index")
            keyring.entries |= lost
            assert await storage.delete("key", "absent") == {"key": "one"}
            assert "key" not in keyring.entries, lost


@in_real_time
async def test_of_many_keys_only_those_that_the_list_names_are_asked_for() -> None:
    keyring = dict_keyring()
    async with aclosing(KeyringStorage(keyring=keyring)) as storage:
        await storage.create("key", "one")
        keyring.calls.clear()
        many = [f"absent {n}" for n in range(50_000)]
        assert await storage.delete("key", *many) == {"key": "one"}
        assert len(keyring.calls) < 10


@in_real_time
async def test_a_clear_removes_the_secret_that_the_list_has_lost() -> None:
    keyring = dict_keyring()
    widget: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
    async with aclosing(KeyringStorage(keyring=keyring)) as storage:
        with Backend(**widget) as backend:
            async with SupportChat(
                **widget, transport=LoopbackTransport(backend), storage=storage
            ) as chat:
                await chat.boot()
                (secret,) = (
                    value for name, value in keyring.entries.items() if name.endswith("visitor")
                )
                del keyring.entries["%index"]
                await chat.shutdown(clear_storage=True)
            assert keyring.entries == {}
            with pytest.raises(VisitorEndedError):
                backend.open(Credentials(**widget, visitor=secret))


# --- the rest -------------------------------------------------------------------------------------


@in_real_time
async def test_a_keyring_that_asks_its_user_holds_up_nobody_but_its_caller() -> None:
    class Asking(DictKeyring):
        def get_password(self, service: str, username: str) -> str | None:
            asked.set()
            answered.wait()
            return super().get_password(service, username)

    asked, answered = threading.Event(), threading.Event()
    storage = KeyringStorage("asking", keyring=cast("Any", Asking()))
    waiting = asyncio.create_task(storage.create("key", "one"))
    await asyncio.to_thread(asked.wait)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    answered.set()
    assert await storage.keys() == (), "it has ended, so it lands no more"
    assert await storage.create("key", "two") == "two"
    await storage.aclose()


SYSTEM = """
import asyncio
from support_chat_adapters.storage import KeyringStorage

async def main():
    storage = KeyringStorage()
    print(await storage.create("key", "one"))
    await storage.aclose()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("backend", "usable"),
    [("keyrings.alt.file.PlaintextKeyring", True), ("keyring.backends.fail.Keyring", False)],
)
def test_without_a_keyring_it_takes_the_one_that_the_system_is_set_to(
    tmp_path: Path, backend: str, usable: bool
) -> None:
    environment = {
        "PYTHON_KEYRING_BACKEND": backend,
        "XDG_DATA_HOME": str(tmp_path),
        "HOME": str(tmp_path),
        "PATH": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", SYSTEM], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout == "one\n") == usable, done.stderr
    assert usable or "this system has none" in done.stderr

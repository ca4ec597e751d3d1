"""What FileStorage owes beyond the port: a private file that people can read, in the right place,
and words when it cannot be used.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from async_tests import in_real_time
from storages import (
    names,
    using,
)
from support_chat.errors import StorageError
from support_chat_adapters.storage import FileStorage

posix = pytest.mark.skipif(os.name != "posix", reason="file modes and links are POSIX")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- the file -------------------------------------------------------------------------------------


def test_it_is_a_json_object_that_people_can_read(tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    using(FileStorage(path), lambda storage: storage.create("key", "日本語"))
    assert json.loads(path.read_text("utf-8")) == {"key": "日本語"}
    assert "日本語" in path.read_text("utf-8")


def test_only_a_change_makes_the_file_and_beside_it_stays_an_empty_lock(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "chat.json")
    assert names(tmp_path) == []
    using(storage, lambda storage: storage.get("key"))
    assert names(tmp_path) == ["chat.json.lock"]
    using(FileStorage(tmp_path / "chat.json"), lambda storage: storage.create("key", "one"))
    assert names(tmp_path) == ["chat.json", "chat.json.lock"]
    assert (tmp_path / "chat.json.lock").read_bytes() == b""


@posix
def test_only_the_owner_can_read_it_whatever_it_was_before(tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    path.touch()
    path.chmod(0o666)
    before = os.umask(0)
    try:
        using(FileStorage(path), lambda storage: storage.create("key", "one"))
    finally:
        os.umask(before)
    assert {file.name: mode(file) for file in tmp_path.iterdir()} == {
        "chat.json": 0o600,
        "chat.json.lock": 0o600,
    }


@posix
def test_what_somebody_put_where_it_writes_is_neither_followed_nor_kept(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("precious")
    (tmp_path / "chat.json.new").symlink_to(tmp_path / "theirs")
    using(FileStorage(tmp_path / "chat.json"), lambda storage: storage.create("key", "one"))
    assert (tmp_path / "theirs").read_text() == "precious"
    assert not (tmp_path / "chat.json").is_symlink()
    (tmp_path / "other.json.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        using(FileStorage(tmp_path / "other.json"), lambda storage: storage.create("key", "one"))
    assert not (tmp_path / "elsewhere").exists()


@posix
def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("chat.json")
    using(FileStorage(tmp_path / "link.json"), lambda storage: storage.create("key", "one"))
    assert (tmp_path / "link.json").is_symlink()
    assert using(FileStorage(tmp_path / "chat.json"), lambda storage: storage.get("key")) == "one"


DEFAULT = """
import asyncio
from support_chat_adapters.storage import FileStorage

async def main():
    storage = FileStorage()
    print(storage, await storage.create("key", "one"))
    await storage.aclose()

asyncio.run(main())
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"),
    reason="where the data folder is taken from the environment",
)
def test_without_a_path_it_is_in_the_users_own_data_folder(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "share")}
    said = subprocess.run(
        [sys.executable, "-c", DEFAULT], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert said == "<FileStorage 'storage.json'> one\n"
    folder = tmp_path / "share" / "support-chat"
    assert names(folder) == ["storage.json", "storage.json.lock"]
    assert mode(folder) == 0o700
    assert mode(folder / "storage.json") == 0o600


# --- what goes wrong ------------------------------------------------------------------------------


@in_real_time
async def test_a_full_disk_is_told_leaves_the_old_value_and_may_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    async with aclosing(FileStorage(tmp_path / "chat.json")) as storage:
        await storage.create("key", "one")
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", full)
            with pytest.raises(StorageError, match="Free some space") as caught:
                await storage.delete("key")
            assert caught.value.recoverable
        assert await storage.get("key") == "one"
        assert names(tmp_path) == ["chat.json", "chat.json.lock"]


# --- its thread -----------------------------------------------------------------------------------

"""A lock between processes and threads, which is free again when its holder leaves, fails or
dies.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from support_chat.errors import StorageError
from support_chat_adapters.storage import FileLock

HOLDER = """
import sys
from support_chat_adapters.storage import FileLock

with FileLock(sys.argv[1]).held():
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextlib.contextmanager
def holder(path: Path) -> Generator[subprocess.Popen[str], None, None]:
    """Another process that holds the lock, until it reads a line or dies."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def is_free(path: Path) -> bool:
    with contextlib.suppress(StorageError), FileLock(path, timeout=0.0).held():
        return True
    return False


def test_it_keeps_out_another_process_until_that_one_has_left(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path) as process:
        assert not is_free(path)
        process.communicate("leave\n")
        assert is_free(path)


def test_a_holder_that_is_killed_holds_it_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path) as process:
        process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        process.wait()
        assert is_free(path)


def test_it_keeps_out_other_objects_of_the_same_process_and_other_threads(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "lock", list[int](), list[int]()

    def enter(lock: FileLock) -> None:
        for _ in range(100):
            with lock.held():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    shared = FileLock(path, timeout=60.0)
    threads = [
        threading.Thread(target=enter, args=(lock,))
        for lock in (shared, shared, FileLock(path, timeout=60.0))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 300
    with shared.held():
        assert not is_free(path)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a lock is never shared")
def test_those_who_share_it_keep_out_only_those_who_want_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with FileLock(path).held(shared=True):
        with FileLock(path, timeout=0.0).held(shared=True):
            assert not is_free(path)
        assert not is_free(path)
    with FileLock(path).held(), pytest.raises(StorageError, match="kept by another"):
        FileLock(path, timeout=0.0).held(shared=True).__enter__()


def test_whoever_fails_inside_leaves_it_free(tmp_path: Path) -> None:
    with pytest.raises(KeyError), FileLock(tmp_path / "lock").held():
        raise KeyError
    assert is_free(tmp_path / "lock")


@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file cannot be removed")
def test_a_lock_file_that_was_removed_meanwhile_is_not_taken_for_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        real(descriptor, operation)
        if removals.pop():
            # between the opening and the locking, or after it: it is all the same to whoever holds
            # it
            path.unlink()

    path = tmp_path / "lock"
    import fcntl

    real, removals = fcntl.flock, [False, False, True]
    monkeypatch.setattr("fcntl.flock", flock)
    with FileLock(path).held():
        monkeypatch.undo()
        assert path.exists()
        assert not is_free(path)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_its_file_is_private_empty_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert is_free(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b""


def test_what_cannot_be_locked_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        StorageError,
        match=r"'lock' cannot be locked: No such file or directory\. Create its folder",
    ) as caught:
        FileLock(tmp_path / "missing" / "lock").held().__enter__()
    assert str(tmp_path) not in caught.value.message

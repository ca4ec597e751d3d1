"""`support-chat serve` as a command: what keeps it from beginning, what it says, and how it
ends.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from served import Served
from support_chat_adapters.cli import main
from widget_client import BASE, PATIENCE, WidgetClient, closed_with, frame, widget_client

Clients = Callable[[Served], WidgetClient]
Printed = pytest.CaptureFixture[str]
_PROGRAM = [
    sys.executable,
    "-c",
    "from support_chat_adapters.cli import main; raise SystemExit(main())",
    "serve",
]
_LEAVES_WITHIN = 120.0
"""Seconds in which a server has gone that was told to, on a machine however busy."""


@contextmanager
def process(*options: str) -> Generator[subprocess.Popen[str], None, None]:
    """A process of `serve` on a free port; killed at the end if it is still there."""
    command = [*_PROGRAM, "--port=0", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def url_of(running: subprocess.Popen[str]) -> str:
    """The address in its line of JSON, once it answers."""
    assert running.stdout is not None
    return str(json.loads(running.stdout.readline())["url"])


@pytest.fixture
def complaint(tmp_path: Path, capsys: Printed) -> Callable[..., str]:
    """Runs `serve` in this process, where it cannot begin, and gives the one line that it says."""

    def of(*options: str) -> str:
        status = main(["serve", "--port=0", f"--db={tmp_path / 'chat.db'}", *options])
        printed, complained = capsys.readouterr()
        assert (status, printed) == (2, ""), options
        assert len(complained.splitlines()) == 1, complained
        return complained

    return of


def test_what_keeps_it_from_beginning_is_one_line_that_names_the_way_out(
    complaint: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "garbage.db").write_text(
        "this is no database, and it is long enough to be taken for a header"
    )
    (tmp_path / "short.key").write_text("short")
    (tmp_path / "binary.key").write_bytes(b"\xff" * 64)
    for option, said in (
        (
            f"--db={tmp_path / 'garbage.db'}",
            "garbage.db as the database: file is not a database; name another with --db",
        ),
        (
            f"--db={tmp_path / 'none' / 'chat.db'}",
            f"there is no folder {tmp_path / 'none'}; make it",
        ),
        (f"--db={tmp_path}", "unable to open database file; name another with --db"),
        (f"--key-file={tmp_path / 'short.key'}", "short.key holds no secret of at least 32 bytes"),
        (
            f"--key-file={tmp_path / 'binary.key'}",
            "binary.key holds no secret of at least 32 bytes",
        ),
        (f"--key-file={tmp_path}", "Is a directory; name another with --key-file"),
        (
            f"--key-file={tmp_path / 'none' / 'key'}",
            "No such file or directory; name another with --key-file",
        ),
        (
            "--allow-origin=https://app.example.com/path",
            "'https://app.example.com/path' is no origin: write https://app.example.com",
        ),
        ("--opens-per-minute=-1", "opens_per_minute must be zero (no limit) or more, not -1.0"),
        ("--requests-per-minute=-0.5", "requests_per_minute must be zero (no limit) or more"),
        ("--requests-per-minute=nan", "requests_per_minute must be zero (no limit) or more"),
        ("--opens-per-minute=inf", "opens_per_minute must be zero (no limit) or more"),
        ("--prune-sessions=-1", "sessions must be zero (never) or more"),
        ("--links-per-session=-1", "links_per_session must be zero (no limit) or more, not -1"),
        ("--head-seconds=0", "head_seconds must be more than zero, not 0.0"),
        ("--port=65536", "port must be 0-65535; choose another --host or --port"),
        ("--port=-1", "port must be 0-65535; choose another --host or --port"),
        ("--host=192.0.2.1", "cannot listen on 192.0.2.1:0: "),
        ("--host=" + "a" * 64 + ".example", "choose another --host or --port"),
    ):
        assert said in complaint(option), option


def test_a_key_file_that_cannot_be_read_is_named(
    complaint: Callable[..., str], tmp_path: Path
) -> None:
    key = tmp_path / "a folder"  # which not even the superuser reads as a file
    key.mkdir()
    assert f"cannot use the key file {key}: Is a directory" in complaint(f"--key-file={key}")


def test_a_port_in_use_is_named(complaint: Callable[..., str], shared: Served) -> None:
    assert f"127.0.0.1:{shared.port}: Address already in use; choose another" in complaint(
        f"--port={shared.port}"
    )


@pytest.mark.parametrize("name", ["jwt", "starlette", "uvicorn", "websockets", "msgspec"])
def test_without_the_extra_it_says_the_line_that_installs_it(
    name: str, complaint: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    assert complaint().endswith(f'{name} is not installed: pip install "support-chat[serve]"\n')


def test_on_a_free_port_it_says_one_line_of_json(tmp_path: Path) -> None:
    with process(
        "--json", f"--db={tmp_path / 'chat.db'}", "--workspace=w", "--widget=x"
    ) as running:
        assert running.stdout is not None
        told = json.loads(running.stdout.readline())
        assert told == {
            "schema": "support-chat/serve",
            "version": 1,
            "url": told["url"],
            "workspace": "w",
            "widget": "x",
            "db": str(tmp_path / "chat.db"),
        }
        assert not told["url"].endswith(":0")
        answer = httpx2.get(
            f"{told['url']}{BASE}/config",
            params={"workspace_id": "w", "widget_id": "x"},
            trust_env=False,
        )
        assert answer.status_code == 200
        running.send_signal(signal.SIGINT)
        assert running.communicate(timeout=_LEAVES_WITHIN) == ("", "")
        assert running.returncode == 0


def ipv6() -> bool:
    """Whether this machine has an IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not ipv6(), reason="there is no IPv6 on this machine")
def test_it_listens_on_ipv6(tmp_path: Path) -> None:
    with process("--json", f"--db={tmp_path / 'chat.db'}", "--host=::1") as running:
        url = url_of(running)
        assert url.startswith("http://[::1]:")
        query = {"workspace_id": "demo", "widget_id": "web"}
        assert httpx2.get(f"{url}{BASE}/config", params=query, trust_env=False).status_code == 200


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end_it_says_goodbye_to_its_clients_closes_the_database_and_exits_0(
    how: signal.Signals, tmp_path: Path
) -> None:
    with process(f"--db={tmp_path / 'chat.db'}") as running:
        assert running.stdout is not None
        url = running.stdout.readline().rpartition(" ")[2].strip()
        with widget_client(url) as one, widget_client(url) as another:
            one.begin()
            another.begin()
            with one.gateway() as first, another.gateway() as second:
                frame(first)
                frame(second)
                running.send_signal(how)
                assert closed_with(first)[0] == closed_with(second)[0] == 1012
                printed, complained = running.communicate(timeout=_LEAVES_WITHIN)
    assert running.returncode == 0
    assert complained == ""
    assert printed.endswith("\nstopped; everything it answered is on disk\n")
    assert not (tmp_path / "chat.db-wal").exists(), (
        "closed in order: what was written is in the one file"
    )


def test_a_second_ctrl_c_and_a_client_that_does_not_listen_do_not_hold_it_up(
    tmp_path: Path,
) -> None:
    with process("--json", f"--db={tmp_path / 'chat.db'}") as running:
        url = url_of(running)
        with (
            widget_client(url) as client,
            socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), PATIENCE) as mute,
        ):
            client.begin()
            mute.sendall(
                (
                    f"POST {BASE}/events HTTP/1.1\r\nHost: x\r\nContent-Length: "
                    "9\r\nAuthorization: "
                    "Bearer x\r\n\r\n"
                ).encode()
            )
            with client.gateway(reads=False):
                running.send_signal(signal.SIGINT)
                running.send_signal(signal.SIGINT)
                _, complained = running.communicate(timeout=_LEAVES_WITHIN)
    assert running.returncode == 0
    assert "Traceback" not in complained


def test_the_port_of_a_killed_server_is_free_at_once(own: Served, client_of: Clients) -> None:
    client = client_of(own)
    client.begin()
    port = own.port
    with client.gateway() as gateway:
        frame(gateway)
        own.kill()
        own.start()
    assert own.port == port
    assert client_of(own).begin()["session"]

"""The page on nginx is run as it stands: its configuration by a real nginx, with TLS, in front of a
real `serve` that is started as the page says. Only ports and paths are those of the test.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import attrs
import httpx2
import pytest
import trustme

from served import Served, served
from support_chat import MessageReceived, Phase, SupportChat
from support_chat.values import Visitor
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import WidgetAPITransport
from support_chat_adapters.transport.wire.endpoints import LONGEST_POLL, MAX_BODY_BYTES
from widget_client import BASE, PATIENCE, WidgetClient

PAGE = (Path(__file__).parents[2] / "docs/serve-behind-nginx.md").read_text("utf-8")
[CONFIGURATION] = re.findall(r"^```nginx\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
[COMMAND] = re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@attrs.frozen
class Proxied:
    """A backend and the nginx in front of it."""

    backend: Served
    url: str
    tls: ssl.SSLContext
    log: Path

    def client(self, address: str) -> httpx2.Client:
        """A client at this address, another one than nginx's."""
        way = httpx2.HTTPTransport(verify=self.tls, local_address=address)
        return httpx2.Client(base_url=self.url, transport=way, timeout=PATIENCE)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Generator[Proxied, None, None]:
    """The page, running."""
    folder = tmp_path_factory.mktemp("nginx")
    program, command, *options = shlex.split(COMMAND)
    assert (program, command) == ("support-chat", "serve")
    options[options.index("--status") + 1] = "127.0.0.1:0"
    with (
        served(folder, *options, "--opens-per-minute=20") as backend,
        nginx(folder, backend) as proxied,
    ):
        yield proxied


@contextmanager
def nginx(folder: Path, backend: Served) -> Generator[Proxied, None, None]:
    """nginx with the configuration of the page."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    assert program is not None, "apt-get install nginx-light"
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "cert.key")
    tls = ssl.create_default_context()
    cast("Any", authority).configure_trust(tls)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    own = CONFIGURATION
    for of_the_page, of_the_test in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("http://127.0.0.1:8787;", f"{backend.url};"),
        ("/etc/ssl/chat.example.com.pem", f"{folder}/cert.pem"),
        ("/etc/ssl/chat.example.com.key", f"{folder}/cert.key"),
        ("/var/log/nginx/support-chat.log", f"{folder}/access.log"),
    ):
        assert own.count(of_the_page) == 1, of_the_page
        own = own.replace(of_the_page, of_the_test)
    places = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr;\n"
        f"events {{}}\nhttp {{\n{places}{own}}}\n"
    )
    how = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    with (folder / "nginx.log").open("w") as said:
        process = subprocess.Popen(how, stdout=said, stderr=said)
    try:
        _wait_for(port, process, folder / "nginx.log")
        yield Proxied(backend, f"https://127.0.0.1:{port}", tls, folder / "access.log")
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def _wait_for(port: int, process: subprocess.Popen[bytes], said: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize("way", [{}, {"websocket": None}], ids=["websocket", "polls"])
def test_a_session_lives_behind_nginx(way: dict[str, Any], proxied: Proxied) -> None:
    async def main() -> None:
        transport = WidgetAPITransport(proxied.url, tls=proxied.tls, **way)
        chat = SupportChat(
            workspace_id="demo", widget_id="web", transport=transport, storage=MemoryStorage()
        )
        received: asyncio.Queue[str] = asyncio.Queue()
        chat.on(MessageReceived, lambda event: received.put_nowait(event.message.text))
        async with asyncio.timeout(2 * PATIENCE), chat:
            await chat.boot()
            sent = await chat.start_conversation("hello")
            await asyncio.sleep(1)  # a poll is waiting by then
            await asyncio.to_thread(proxied.backend.reply, sent.conversation_id, "an answer")
            assert await received.get() == "an answer"
            assert chat.is_in(Phase.ANONYMOUS)
            assert isinstance(chat.identity, Visitor)
        await transport.aclose()

    asyncio.run(main())
    upgraded = " 101 " in proxied.log.read_text()
    assert upgraded or way


def test_an_invented_address_gets_around_no_limit_and_nobody_else_pays_for_it(
    proxied: Proxied,
) -> None:
    with proxied.client("127.0.0.2") as http:
        client = WidgetClient(proxied.url, http)
        statuses = [
            client.post(
                "/sessions/anonymous",
                client.opening(),
                headers={"x-forwarded-for": f"203.0.113.{number}"},
            ).status_code
            for number in range(25)
        ]
    assert statuses[:20] == [200] * 20
    assert set(statuses[20:]) == {429}
    with proxied.client("127.0.0.9") as http:
        other = WidgetClient(proxied.url, http)
        assert other.post("/sessions/anonymous", other.opening()).status_code == 200


def test_one_id_leads_through_both_logs_and_the_error_and_no_token_is_in_either(
    proxied: Proxied,
) -> None:
    with proxied.client("127.0.0.3") as http:
        headers = {"x-request-id": "a-clients-own-idea", "authorization": "Bearer invented"}
        answer = http.get(f"{BASE}/conversations", headers=headers)
        refused = http.get(f"{BASE}/realtime?session_token=SECRET", headers={"upgrade": "x"})
    found = answer.json()["error"]["requestId"]
    assert answer.headers["x-request-id"] == found
    assert f'"request_id": "{found}"' in proxied.backend.log.read_text()
    deadline = time.monotonic() + PATIENCE
    while found not in proxied.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert refused.status_code == 401
    assert "SECRET" not in proxied.log.read_text() + proxied.backend.log.read_text()


def test_a_body_that_is_too_long_is_refused_by_the_backend_in_its_own_words(
    proxied: Proxied,
) -> None:
    with proxied.client("127.0.0.4") as http:
        answer = http.post(f"{BASE}/events", content=b"x" * (MAX_BODY_BYTES + 1))
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "auth_required")
        answer = http.post(f"{BASE}/sessions/anonymous", content=b"x" * (MAX_BODY_BYTES + 1))
    assert (answer.status_code, answer.json()["error"]["reason"]) == (413, "body_too_large")


def test_nginx_waits_longer_than_any_poll() -> None:
    [seconds] = re.findall(r"proxy_read_timeout (\d+)s;", CONFIGURATION)
    assert int(seconds) > LONGEST_POLL
    [kibibytes] = re.findall(r"client_max_body_size (\d+)k;", CONFIGURATION)
    assert int(kibibytes) * 1024 > MAX_BODY_BYTES

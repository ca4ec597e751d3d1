"""A client belongs to the event loop that opened its connections: another one is told."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from support_chat.errors import TokenProviderError
from support_chat_adapters.tokens import HTTPTokenProvider


class Minting(BaseHTTPRequestHandler):
    """Answers with a token, and keeps the connection open."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"token")

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def url() -> Generator[str, None, None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Minting) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/token"
        server.shutdown()


async def asked(provider: HTTPTokenProvider) -> str:
    async with asyncio.timeout(60):
        return await provider()


def test_without_a_client_one_provider_serves_one_loop_after_the_other(url: str) -> None:
    provider = HTTPTokenProvider(url)
    assert [asyncio.run(asked(provider)) for _ in range(2)] == ["token", "token"]


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_client_of_another_loop_is_told(url: str) -> None:
    providers = [HTTPTokenProvider(url, httpx2.AsyncClient())]
    assert asyncio.run(asked(providers[0])) == "token"
    with pytest.raises(TokenProviderError, match="the client passed belongs to another") as caught:
        asyncio.run(asked(providers.pop()))
    assert caught.value.reason == "wrong_loop"
    del caught
    gc.collect()

"""HTTPTokenProvider, asking a server of the standard library."""

from __future__ import annotations

import itertools
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support_chat.testing import TokenSource, check_token_provider
from support_chat_adapters.tokens import HTTPTokenProvider

NUMBERS = itertools.count(1)
status = 200


class TokenServer(BaseHTTPRequestHandler):
    """Answers each request with another token, or with the status of the moment."""

    def do_POST(self) -> None:
        body = f"token-{next(NUMBERS)}".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def serving() -> Generator[str, None, None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), TokenServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/token"
    finally:
        server.shutdown()
        server.server_close()


def answer(with_status: int) -> None:
    global status
    status = with_status


@asynccontextmanager
async def source() -> AsyncGenerator[TokenSource, None]:
    answer(200)
    with serving() as url:
        yield TokenSource(
            HTTPTokenProvider(url), refuse=lambda: answer(403), fail=lambda: answer(500)
        )


print(check_token_provider(source))

"""A token server that cannot be asked is named with the system's reason."""

from __future__ import annotations

import asyncio
import socket

import pytest

from support_chat.errors import TokenProviderError
from support_chat_adapters.tokens import HTTPTokenProvider


def failure_of(url: str) -> TokenProviderError:
    with pytest.raises(TokenProviderError) as caught:
        asyncio.run(HTTPTokenProvider(url)())
    assert "hidden" not in caught.value.message
    return caught.value


def test_a_refused_connection() -> None:
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        port = plug.getsockname()[1]
    error = failure_of(f"http://user:hidden@127.0.0.1:{port}/token?key=hidden")
    assert error.message == (
        f"The token server http://127.0.0.1:{port}/token could not be asked (ConnectError: "
        "Connection refused). Check the server."
    )
    assert isinstance(error.__cause__, ConnectionRefusedError)


def test_an_unknown_host() -> None:
    error = failure_of("https://no-such-host.invalid/token")
    assert isinstance(error.__cause__, socket.gaierror)
    assert str(error.__cause__.strerror) in error.message

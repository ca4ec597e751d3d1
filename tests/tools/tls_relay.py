"""TLS in front of a server that has none, as a reverse proxy would be: for tests of
certificates.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import trustme

from piping import listening, relayed


def trust(context: ssl.SSLContext, authority: trustme.CA) -> None:
    """The context trusts this authority from now on."""
    # Any: trustme's types name a context that pyright does not know
    cast("Any", authority).configure_trust(context)


def certify(context: ssl.SSLContext, authority: trustme.CA, *names: str) -> None:
    """The context shows a certificate of this authority for these names from now on."""
    cast("Any", authority.issue_cert(*names)).configure_cert(context)


@asynccontextmanager
async def tls_relay(
    upstream: str, authority: trustme.CA, *names: str, client_certificates: bool = False
) -> AsyncGenerator[str, None]:
    """A TLS address for `upstream`, on the running loop, with a certificate of this authority for
    these names or for 127.0.0.1.
    """
    target = urlsplit(upstream)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certify(context, authority, *(names or ("127.0.0.1",)))
    if client_certificates:
        trust(context, authority)
        context.verify_mode = ssl.CERT_REQUIRED

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await relayed(reader, writer, str(target.hostname), int(target.port or 0))

    async with listening(serve, ssl=context) as port:
        yield f"https://127.0.0.1:{port}"

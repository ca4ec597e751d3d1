"""How each request is done, mostly in one line that asks one adapter. What is asked, when, and what
comes of it is the engine's to say; here is only how.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from ..engine import Request
from ..errors import NetworkError, TokenProviderError
from ..lifecycle import requests as r
from ..ports import (
    Link,
    ListConversations,
    ListMessages,
    MarkRead,
    Storage,
    Transport,
)
from .providers import called


@attrs.frozen
class Adapters:
    """Whom a session asks. `links` are those that are open, by number; `release` ends the rest, and
    `failed` is told of an error that is no outcome.
    """

    storage: Storage
    transport: Transport
    links: dict[int, Link]
    release: Callable[[], Awaitable[None]]
    failed: Callable[[Request, BaseException], None]

    def link(self, request: Request) -> Link:
        """The link that the request uses. Raises NetworkError if it is closed by now."""
        link = self.links.get(request.link or 0)
        if link is None:
            raise NetworkError("The link closed before it was used.")
        return link


async def perform(adapters: Adapters, request: Request) -> object:
    """Asks the adapter; returns what it returns, raises what it raises."""
    return await _PERFORMERS[type(request.payload)](adapters, request, request.payload)


async def _create(adapters: Adapters, request: Request, payload: r.CreateVisitor) -> str:
    return await adapters.storage.create(payload.key, secrets.token_urlsafe(32))


async def _mend(adapters: Adapters, request: Request, payload: r.MendVisitor) -> str:
    removed = (await adapters.storage.delete(payload.key)).get(payload.key)
    good = payload.mended(removed) or secrets.token_urlsafe(32)
    return await adapters.storage.create(payload.key, good)


async def _clear(adapters: Adapters, request: Request, payload: r.Clear) -> str | None:
    keys = await adapters.storage.keys()
    # the visitor by its name: a storage that has lost its list of keys still has the secret
    found = {payload.visitor, *(key for key in keys if key.startswith(payload.prefix))}
    found -= {payload.keep}
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError  # one that swallows the cancellation must not delete late
    if not found:
        return None
    removed = await adapters.storage.delete(*sorted(found))
    return removed.get(payload.visitor)


async def _fetch(adapters: Adapters, request: Request, payload: r.FetchToken) -> object:
    provider = payload.provider
    if provider is None:
        raise TokenProviderError("There is no token_provider; pass one to boot() or identify().")
    return await called(provider, payload.user_id, payload.reason)


async def _dial(adapters: Adapters, request: Request, payload: r.Dial) -> object:
    link: Any = await adapters.transport.open(payload.credentials)
    if not hasattr(link, "abort"):
        return None  # it is no link: there is nothing to keep, and nothing to close
    adapters.links[request.number] = link
    return link.welcome


async def _use(adapters: Adapters, request: Request, payload: r.UseLink) -> object:
    return await _USES[type(payload.use)](adapters.link(request), payload.use)


_USES: Final[Mapping[type, Callable[[Link, Any], Awaitable[object]]]] = MappingProxyType(
    {
        ListConversations: lambda link, use: link.conversations(use),
        ListMessages: lambda link, use: link.messages(use),
    }
)


async def _send(adapters: Adapters, request: Request, payload: r.SendMessage) -> object:
    link, message = adapters.link(request), payload.message
    return await (link.mark_read(message) if isinstance(message, MarkRead) else link.send(message))


async def _part(adapters: Adapters, request: Request, payload: r.Part) -> None:
    """Side by side: either may fail without harm to the other."""
    link = adapters.links.get(request.link or 0)
    parted = await asyncio.gather(
        *([] if payload.session is None else [_revoke(adapters, request, payload)]),
        *([] if link is None else [_goodbye(link)]),
        return_exceptions=True,
    )
    for error in parted:
        if error is not None:
            adapters.failed(request, error)


async def _revoke(adapters: Adapters, request: Request, payload: r.Part | r.Revoke) -> None:
    if payload.session is not None:
        await adapters.transport.revoke(payload.session)


async def _goodbye(link: Link) -> None:
    try:
        await link.aclose()
    finally:
        link.abort()  # a goodbye that fails must not stay open while the revocation hangs


_Performer = Callable[[Adapters, Request, Any], Awaitable[object]]
_PERFORMERS: Final[Mapping[type, _Performer]] = MappingProxyType(
    {
        r.CheckStorage: lambda adapters, _, payload: adapters.storage.get(payload.key),
        r.CheckVisitor: lambda adapters, _, payload: adapters.storage.get(payload.key),
        r.CreateVisitor: _create,
        r.MendVisitor: _mend,
        r.Clear: _clear,
        r.FetchToken: _fetch,
        r.Dial: _dial,
        r.Identify: lambda adapters, request, payload: adapters.link(request).identify(
            payload.request
        ),
        r.Update: lambda adapters, request, payload: adapters.link(request).update(
            payload.changes, payload.owner
        ),
        r.Renew: lambda adapters, request, payload: adapters.link(request).renew(payload.token),
        r.SendMessage: _send,
        r.UseLink: _use,
        r.Part: _part,
        r.Revoke: _revoke,
        r.EndVisitor: lambda adapters, _, payload: adapters.transport.end_visitor(
            payload.workspace_id, payload.widget_id, payload.visitor
        ),
        r.Release: lambda adapters, request, payload: adapters.release(),
    }
)

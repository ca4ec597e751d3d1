"""How each effect is done: one small coroutine that asks one adapter. Nothing is decided here.

A performer gets the book as it was when the effect was asked, and returns the effect's result or
raises; what that means, how long it may take and what happens when it comes too late is declared
with the effect.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import attrs

from ..errors import TokenProviderError
from ..lifecycle.context import Book
from ..lifecycle.names import Effect as E
from ..lifecycle.occasion import Asked
from ..lifecycle.tokens import Token, read_token
from ..ports import (
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    Link,
    ListMessages,
    MarkRead,
    Outgoing,
    ReadAnswer,
    Storage,
    TokenProvider,
    Transport,
    UpdateAnswer,
    Welcome,
)
from ..values import Conversation, Message
from .threads import DaemonThreads

VISITOR: Final = "visitor"
"""The name of the one key that is stored."""


@attrs.frozen
class Place:
    """Where a session keeps its keys and whom it speaks to."""

    workspace_id: str
    widget_id: str
    scope: str

    def key(self, name: str) -> str:
        """The storage key of `name`: no two scopes share one (property S23), whatever characters
        their ids hold.
        """
        parts = (self.workspace_id, self.widget_id, self.scope, name)
        return "/".join(
            ("support-chat", *(part.replace("%", "%25").replace("/", "%2F") for part in parts))
        )


@attrs.frozen
class Work:
    """What a performer works with."""

    storage: Storage
    transport: Transport
    place: Place
    book: Book
    """As it was when the effect was asked."""
    asked: Asked | None
    link: Link | None
    release: Callable[[], Awaitable[None]]


async def check_adapters(work: Work) -> str | None:
    """Reads the visitor's key, to see that the storage can be read."""
    return await work.storage.get(work.place.key(VISITOR))


async def read_visitor(work: Work) -> str:
    """The visitor's secret as stored; 256 bits are minted and stored first if there is none."""
    return await work.storage.create(work.place.key(VISITOR), secrets.token_urlsafe(32))


async def retire_visitor(work: Work) -> str:
    """Replaces the merged visitor's secret by a new one; returns what is stored, which another
    process may have put there.
    """
    fresh = secrets.token_urlsafe(32)
    return await work.storage.replace(work.place.key(VISITOR), work.book.visitor or "", fresh)


async def clear_user(work: Work) -> None:
    """Removes every key of the scope but the visitor."""
    await _clear(work, keep=work.place.key(VISITOR))


async def clear_all(work: Work) -> None:
    """Removes every key of the scope."""
    await _clear(work, keep=None)


async def _clear(work: Work, keep: str | None) -> None:
    prefix = work.place.key("")
    found = [key for key in await work.storage.keys() if key.startswith(prefix) and key != keep]
    task = asyncio.current_task()
    # a storage that swallows the cancellation must not make a late clear delete
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    if found:
        await work.storage.delete(*found)


async def fetch_token(work: Work) -> Token:
    """A token of the session's user."""
    return await _fetch(work.book, work.book.provider, work.book.user_id)


async def fetch_target_token(work: Work) -> Token:
    """A token of the user to be identified."""
    target = work.book.target
    if target is None:
        raise AssertionError("the chart asked for a token of nobody")
    return await _fetch(work.book, target.provider, target.user_id)


async def _fetch(book: Book, provider: TokenProvider | None, user_id: str | None) -> Token:
    if provider is None or user_id is None:
        raise TokenProviderError("There is no token_provider; pass one to boot() or identify().")
    raw = provider() if _may_be_called_here(provider) else await _elsewhere(provider)
    if inspect.isawaitable(raw):
        raw = await raw
    return read_token(raw, user_id=user_id, spent=book.spent, wall=time.time())


def _may_be_called_here(provider: TokenProvider) -> bool:
    call = getattr(provider, "__call__", None)  # noqa: B004  # asks for the method, to look at it
    is_async = inspect.iscoroutinefunction(provider) or inspect.iscoroutinefunction(call)
    return is_async or sys.platform in ("emscripten", "wasi")  # there are no threads in a browser


async def _elsewhere(provider: TokenProvider) -> object:
    return await asyncio.get_running_loop().run_in_executor(DaemonThreads(), provider)


async def dial(work: Work) -> Link:
    """Opens a link; its welcome says who the backend says we are."""
    book = work.book
    link = await work.transport.open(
        Credentials(
            workspace_id=work.place.workspace_id,
            widget_id=work.place.widget_id,
            visitor=book.visitor or "",
            session=book.session,
            user_id=book.user_id,
            token=book.token.value if book.token else None,
            claim=book.claim,
            cursor=book.cursor,
        )
    )
    welcome: object = getattr(link, "welcome", None)
    if not isinstance(welcome, Welcome):
        raise TypeError(f"open() returned {type(link).__name__}, which has no welcome")
    return link


def _open(work: Work) -> Link:
    if work.link is None:
        raise AssertionError("the chart asked for work on a link while none is open")
    return work.link


async def send_identify(work: Work) -> IdentifyAnswer:
    """Asks the backend to make the visitor this user."""
    book, target = work.book, work.book.target
    return await _open(work).identify(
        IdentifyRequest(
            identify_id=(target and target.identify_id) or "",
            user_id=target.user_id if target else "",
            visitor=book.visitor or "",
            token=book.token.value if book.token else None,
            visitor_changes=book.updates.carried,
            user_changes=book.updates.carried_held,
        )
    )


async def send_update(work: Work) -> UpdateAnswer:
    """Sends what was recorded."""
    return await _open(work).update(work.book.updates.sent)


async def send_token(work: Work) -> None:
    """Presents the fresh token."""
    await _open(work).renew(work.book.token.value if work.book.token else "")


async def use_link(work: Work) -> Message | Sequence[Conversation] | Sequence[Message] | ReadAnswer:
    """Asks of the link what the call is for."""
    link = _open(work)
    match work.asked.use if work.asked else None:
        case Outgoing() as message:
            return await link.send(message)
        case ListMessages(conversation_id):
            return await link.messages(conversation_id)
        case MarkRead(conversation_id):
            return await link.mark_read(conversation_id)
        case _:
            return await link.conversations()


async def part(work: Work) -> None:
    """Revokes the session and says goodbye on its link, side by side; either may fail without harm
    to the other.
    """
    session, link = work.book.session, work.link
    await asyncio.gather(
        *([work.transport.revoke(session)] if session is not None else []),
        *([_goodbye(link)] if link is not None else []),
        return_exceptions=True,
    )


async def _goodbye(link: Link) -> None:
    try:
        await link.aclose()
    finally:
        link.abort()


async def release(work: Work) -> None:
    """Ends what the session itself has under way."""
    await work.release()


PERFORMERS: Final[Mapping[str, tuple[Callable[[Work], Awaitable[object]], tuple[type, ...]]]] = (
    MappingProxyType(
        {
            E.CHECK_ADAPTERS: (check_adapters, (str, type(None))),
            E.READ_VISITOR: (read_visitor, (str,)),
            E.RETIRE_VISITOR: (retire_visitor, (str,)),
            E.CLEAR_USER: (clear_user, (type(None),)),
            E.CLEAR_ALL: (clear_all, (type(None),)),
            E.FETCH_TOKEN: (fetch_token, (Token,)),
            E.FETCH_TARGET_TOKEN: (fetch_target_token, (Token,)),
            E.DIAL: (dial, (object,)),
            E.SEND_IDENTIFY: (send_identify, (IdentifyAnswer,)),
            E.SEND_UPDATE: (send_update, (UpdateAnswer,)),
            E.SEND_TOKEN: (send_token, (type(None),)),
            E.USE_LINK: (use_link, (Message, Sequence, ReadAnswer)),
            E.PART: (part, (type(None),)),
            E.RELEASE: (release, (type(None),)),
        }
    )
)
"""For each adapter effect who performs it, and of which types its result is; anything else counts
as a failure.
"""

"""Which events an effect causes: one pure function from the book before it to what listeners are
told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from ..errors import BackendRejectedError, SupportChatError
from .context import Book
from .events import (
    AnyEvent,
    AuthChanged,
    AuthExpired,
    ConnectionChanged,
    ErrorOccurred,
    MessageReceived,
    Ready,
    UnreadChanged,
)
from .names import Effect as E
from .occasion import Occasion

Events = Iterable[AnyEvent]


def told(
    book: Book, effect: str, occasion: Occasion, error: Exception | None
) -> tuple[AnyEvent, ...]:
    """The events of this effect; `book` is as it was before it, `error` what the step is about if
    something failed.
    """
    teller = _TELLERS.get(effect)
    return () if teller is None else tuple(teller(book, occasion, error))


def changed(before: Book, after: Book) -> tuple[AnyEvent, ...]:
    """The events of a whole step: who we are and what is unread, if that is another than before
    it.
    """
    events: list[AnyEvent] = []
    if before.identity != after.identity:
        events.append(AuthChanged(after.identity))
    if before.unread != after.unread:
        events.append(UnreadChanged(after.unread))
    return tuple(events)


def _dropped(paths: Iterable[str], error: Exception | None, because: str) -> Events:
    names = tuple(sorted(paths))
    if names:
        yield ErrorOccurred(error or SupportChatError(because, code="updates_dropped"), names)


def _drop_updates(book: Book, occasion: Occasion, error: Exception | None) -> Events:
    updates = book.updates
    unsent = {
        *updates.recorded,
        *updates.sent,
        *updates.held,
        *updates.carried,
        *updates.carried_held,
    }
    return _dropped(
        unsent,
        error,
        "The session ended before these updates were sent; update() again after the next boot().",
    )


def _drop_held(book: Book, occasion: Occasion, error: Exception | None) -> Events:
    return _dropped(
        book.updates.held,
        error,
        "The identify that these updates waited for was given up; update() again.",
    )


def _forget_target(book: Book, occasion: Occasion, error: Exception | None) -> Events:
    held = {*book.updates.held, *book.updates.carried_held}
    return _dropped(
        held,
        error,
        "The identify that these updates waited for has failed; update() again after the next one.",
    )


def _drop_sent(book: Book, occasion: Occasion, error: Exception | None) -> Events:
    return _dropped(book.updates.sent, error, "The backend refused the update as a whole.")


def _acknowledge(book: Book, occasion: Occasion, error: Exception | None) -> Events:
    return _rejected(occasion.update_answer.rejected)


def _become_user(book: Book, occasion: Occasion, error: Exception | None) -> Events:
    return _rejected(occasion.identified.rejected if occasion.identified else ())


def _rejected(answer: tuple[tuple[str, str], ...]) -> Events:
    rejected = [path for path, _ in answer]
    if rejected:
        because = (
            "The backend rejected these keys of an update; the others are stored. Correct "
            "them and update() again."
        )
        yield ErrorOccurred(
            BackendRejectedError(because, code="validation_error"), tuple(sorted(rejected))
        )


_TELLERS: Final[Mapping[str, Callable[[Book, Occasion, Exception | None], Events]]] = (
    MappingProxyType(
        {
            E.TELL_READY: lambda book, occasion, error: (
                (Ready(book.identity),) if book.identity else ()
            ),
            E.TELL_CONNECTED: lambda book, occasion, error: (
                ConnectionChanged(True, occasion.welcome.gap),
            ),
            E.TELL_LOST: lambda book, occasion, error: (ConnectionChanged(False),),
            E.TELL_EXPIRED: lambda book, occasion, error: (AuthExpired(),),
            E.TELL_ERROR: lambda book, occasion, error: (ErrorOccurred(error),) if error else (),
            E.TELL_MESSAGE: lambda book, occasion, error: (
                MessageReceived(occasion.message.message),
            ),
            E.DROP_UPDATES: _drop_updates,
            E.DROP_HELD: _drop_held,
            E.FORGET_TARGET: _forget_target,
            E.DROP_SENT: _drop_sent,
            E.ACKNOWLEDGE: _acknowledge,
            E.BECOME_USER: _become_user,
        }
    )
)

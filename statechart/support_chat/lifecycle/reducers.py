"""Writes down in the book what each effect means: one pure function an effect, and `note`, which
finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from ..chart.model import Abandon, Ask, Detach
from ..ports import ReadAnswer
from ..settings import Settings
from ..values import SignedIn, Visitor
from . import updates as u
from .context import Book, Target, not_before
from .effects import EFFECTS
from .names import Effect as E
from .names import Lane
from .occasion import Occasion


def arrive(book: Book, occasion: Occasion) -> Book:
    """The outcome of what is current on its lane has come: whatever else comes with that tag is
    late.
    """
    if occasion.lane in (None, Lane.LINK) or occasion.tag != book.tag(occasion.lane):
        return book
    return book.tagged(occasion.lane, 0)


def note(book: Book, effect: str, occasion: Occasion, settings: Settings) -> Book:
    """The book after this effect. Pure; an effect that writes nothing down returns the same
    book.
    """
    spec = EFFECTS[effect]
    if isinstance(spec, Ask) and not spec.several:
        book = attrs.evolve(book.tagged(Lane(spec.lane), book.serial + 1), serial=book.serial + 1)
    elif isinstance(spec, Detach):
        book = book.tagged(Lane(spec.lane), 0)
    elif isinstance(spec, Abandon):
        for lane in spec.lanes:
            book = book.tagged(Lane(lane), 0)
    writer = _WRITERS.get(effect)
    return book if writer is None else writer(book, occasion, settings)


def outliving(book: Book) -> Book:
    """What an effect that outlives its session may know of it: which session to revoke and which
    visitor to retire (S4).
    """
    return Book(session=book.session, visitor=book.visitor)


# --- what each effect writes down -----------------------------------------------------------------

Writer = Callable[[Book, Occasion, Settings], Book]


def _adopt(book: Book, occasion: Occasion, settings: Settings) -> Book:
    asked = occasion.asked
    if asked is None:
        return book
    return attrs.evolve(
        book,
        user_id=asked.user_id,
        # a visitor needs no token; a later provider for the same user replaces the earlier one
        provider=(asked.provider or book.provider or asked.fallback)
        if asked.user_id is not None
        else None,
        # while an identify is open, what a call brings waits for its outcome like any other update
        updates=(u.record if book.target is None else u.hold)(book.updates, asked.changes),
    )


def _adopt_target(book: Book, occasion: Occasion, settings: Settings) -> Book:
    asked, target = occasion.asked, book.target
    if asked is None or asked.user_id is None:
        return book
    target = target or Target(asked.user_id)
    return attrs.evolve(
        book,
        target=attrs.evolve(target, provider=asked.provider or target.provider or asked.fallback),
        updates=u.hold(book.updates, asked.changes),
    )


def _arm_boot(book: Book, occasion: Occasion, settings: Settings) -> Book:
    timeout = occasion.asked.timeout if occasion.asked else None
    return attrs.evolve(book, boot_until=occasion.now + (timeout or settings.boot_timeout))


def _arm_identify(book: Book, occasion: Occasion, settings: Settings) -> Book:
    timeout = occasion.asked.timeout if occasion.asked else None
    return attrs.evolve(book, identify_until=occasion.now + (timeout or settings.call_timeout))


def _dial(book: Book, occasion: Occasion, settings: Settings) -> Book:
    return attrs.evolve(book, dialled_at=occasion.now)


def _count_failure(book: Book, occasion: Occasion, settings: Settings) -> Book:
    return attrs.evolve(book, failures=book.failures + 1, not_before=not_before(book, occasion))


def _cut(book: Book, occasion: Occasion, settings: Settings) -> Book:
    if book.up_at is None:
        return book
    stable = occasion.now - book.up_at >= settings.stable_after
    return attrs.evolve(
        book,
        up_at=None,
        failures=0 if stable else book.failures + 1,
        not_before=not_before(book, occasion),
    )


def _keep_link(book: Book, occasion: Occasion, settings: Settings) -> Book:
    welcome = occasion.welcome
    identity = Visitor(welcome.visitor_id) if welcome.user_id is None else SignedIn(welcome.user_id)
    another = (
        isinstance(book.identity, Visitor)
        and isinstance(identity, Visitor)
        and book.identity != identity
    )
    return attrs.evolve(
        book.tagged(Lane.LINK, occasion.tag),
        identity=identity,
        # a visitor who was retired is answered with a new one, of whom the backend knows nothing
        updates=u.nothing_is_known(book.updates) if another else book.updates,
        session=welcome.session,
        # messages that are replayed move it one by one: to jump ahead would lose them if the link
        # broke during the replay
        cursor=welcome.cursor if book.cursor is None or welcome.gap else book.cursor,
        unread=welcome.unread,
        up_at=occasion.now,
    )


def _fetch(book: Book, occasion: Occasion, settings: Settings) -> Book:
    return attrs.evolve(book, fetched_at=occasion.now)


def _keep_token(book: Book, occasion: Occasion, settings: Settings) -> Book:
    return attrs.evolve(book, token=occasion.token, accepted=False, arrived_at=occasion.now)


def _accept_token(book: Book, occasion: Occasion, settings: Settings) -> Book:
    return attrs.evolve(book, accepted=True, spent=None)


def _spend_token(book: Book, occasion: Occasion, settings: Settings) -> Book:
    return attrs.evolve(book, token=None, spent=book.token.digest if book.token else book.spent)


def _send_identify(book: Book, occasion: Occasion, settings: Settings) -> Book:
    target = book.target and attrs.evolve(book.target, identify_id=occasion.fresh_id)
    return attrs.evolve(book, target=target, updates=u.carry(book.updates))


def _become_user(book: Book, occasion: Occasion, settings: Settings) -> Book:
    target, answer = book.target, occasion.identified
    if target is None:
        return book
    rejected = [path for path, _ in answer.rejected] if answer else []
    return attrs.evolve(
        book,
        user_id=target.user_id,
        identity=SignedIn(target.user_id),
        provider=target.provider,
        target=None,
        updates=u.become_user(book.updates, rejected),
    )


def _unclaim(book: Book, occasion: Occasion, settings: Settings) -> Book:
    target = book.target and attrs.evolve(book.target, identify_id=None)
    return attrs.evolve(book, target=target, token=None, updates=u.unclaim(book.updates))


def _forget_target(book: Book, occasion: Occasion, settings: Settings) -> Book:
    return attrs.evolve(
        book, target=None, token=None, spent=None, updates=u.forget_target(book.updates)
    )


def _answer(book: Book, occasion: Occasion, settings: Settings) -> Book:
    answer = occasion.result
    return attrs.evolve(book, unread=answer.unread) if isinstance(answer, ReadAnswer) else book


def _forget(book: Book, occasion: Occasion, settings: Settings) -> Book:
    """Keeps what is nobody's: tags, the distance of dials and the limit of updates, which hold
    across boots.
    """
    return Book(
        serial=book.serial,
        tags=book.tags,
        failures=book.failures,
        dialled_at=book.dialled_at,
        not_before=book.not_before,
        fetched_at=None,
        updated_at=book.updated_at,
        update_failures=book.update_failures,
    )


def _send_update(book: Book, occasion: Occasion, settings: Settings) -> Book:
    since = occasion.now - settings.update_window
    times = (*(t for t in book.updated_at if t > since), occasion.now)[-settings.update_burst :]
    return attrs.evolve(book, updates=u.take(book.updates), updated_at=times)


def _acknowledge(book: Book, occasion: Occasion, settings: Settings) -> Book:
    rejected = (path for path, _ in occasion.update_answer.rejected)
    return attrs.evolve(book, updates=u.acknowledge(book.updates, rejected), update_failures=0)


def _restore(book: Book, occasion: Occasion, settings: Settings) -> Book:
    failures = book.update_failures + 1 if occasion.lane is Lane.UPDATE else book.update_failures
    return attrs.evolve(book, updates=u.restore(book.updates), update_failures=failures)


_WRITERS: Final[Mapping[str, Writer]] = MappingProxyType(
    {
        E.ADOPT: _adopt,
        E.ADOPT_TARGET: _adopt_target,
        E.ARM_BOOT: _arm_boot,
        E.ARM_IDENTIFY: _arm_identify,
        E.DIAL: _dial,
        E.COUNT_FAILURE: _count_failure,
        E.CUT: _cut,
        E.KEEP_LINK: _keep_link,
        E.KEEP_VISITOR: lambda book, occasion, settings: attrs.evolve(
            book, visitor=occasion.visitor
        ),
        E.FETCH_TOKEN: _fetch,
        E.FETCH_TARGET_TOKEN: _fetch,
        E.KEEP_TOKEN: _keep_token,
        E.ACCEPT_TOKEN: _accept_token,
        E.SPEND_TOKEN: _spend_token,
        E.DROP_TOKEN: lambda book, occasion, settings: attrs.evolve(book, token=None),
        E.SEND_IDENTIFY: _send_identify,
        E.BECOME_USER: _become_user,
        E.UNCLAIM: _unclaim,
        E.FORGET_TARGET: _forget_target,
        E.DROP_HELD: lambda book, occasion, settings: attrs.evolve(
            book, updates=u.drop_held(book.updates)
        ),
        E.ANSWER: _answer,
        E.FORGET: _forget,
        E.RECORD: lambda book, occasion, settings: attrs.evolve(
            book, updates=u.record(book.updates, occasion.changes)
        ),
        E.HOLD: lambda book, occasion, settings: attrs.evolve(
            book, updates=u.hold(book.updates, occasion.changes)
        ),
        E.SEND_UPDATE: _send_update,
        E.ACKNOWLEDGE: _acknowledge,
        E.RESTORE: _restore,
        E.DROP_SENT: lambda book, occasion, settings: attrs.evolve(
            book, updates=u.drop_sent(book.updates)
        ),
        E.DROP_UPDATES: lambda book, occasion, settings: attrs.evolve(book, updates=u.NO_UPDATES),
        E.TELL_MESSAGE: lambda book, occasion, settings: attrs.evolve(
            book, cursor=occasion.message.cursor, unread=occasion.message.unread
        ),
    }
)

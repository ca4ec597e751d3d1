"""The book: everything a session knows that the chart's guards do not spell out, in one frozen value.

Counters, tags, clocks, records and secrets live here and nowhere else. `note` writes down what an effect means, `facts` reads the
guards' booleans out of it; both are pure, so the book can be run by a checker as it is run by a session. What is bound to the user
is gone after `FORGET`; what protects the backend (the distance of dials, the limit of updates) stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from ..chart.model import Abandon, Ask, Detach
from ..lifecycle.alphabet import Effect as E
from ..lifecycle.alphabet import Fact, Lane
from ..lifecycle.effects import EFFECTS
from ..ports import Claim, TokenProvider
from ..settings import Settings
from ..values import Identity, SignedIn, Visitor
from . import updates as u
from .occasion import Occasion
from .tokens import Token

LANES: Final = tuple(Lane)
_PLACE: Final[Mapping[Lane, int]] = {lane: i for i, lane in enumerate(LANES)}
LONGEST_STAY: Final = 3600.0
"""Longest `retry_after` that is believed, in seconds: a backend that asks for more is asked again after this."""
_NO_TAGS: Final = (0,) * len(LANES)


@attrs.frozen
class Target:
    """The user to be identified: who it is, who mints their tokens, and the id of the request that is out for them."""

    user_id: str
    provider: TokenProvider | None = attrs.field(default=None, repr=False)
    identify_id: str | None = None


@attrs.frozen
class Book:
    """What is known. Times are in seconds on the session's clock; `tags` has what is current on each lane, 0 for nothing."""

    serial: int = 0
    tags: tuple[int, ...] = _NO_TAGS
    # who we are
    user_id: str | None = None
    identity: Identity | None = None
    provider: TokenProvider | None = attrs.field(default=None, repr=False)
    target: Target | None = None
    visitor: str | None = attrs.field(default=None, repr=False)
    session: str | None = attrs.field(default=None, repr=False)
    cursor: str | None = None
    unread: int = 0
    # the token
    token: Token | None = attrs.field(default=None, repr=False)
    accepted: bool = False
    """Whether the backend has accepted this token."""
    arrived_at: float = 0.0
    fetched_at: float | None = None
    spent: bytes | None = attrs.field(default=None, repr=False)
    # dialling
    failures: int = 0
    dialled_at: float | None = None
    not_before: float = 0.0
    up_at: float | None = None
    # calls
    boot_until: float = 0.0
    identify_until: float = 0.0
    # updates
    updates: u.Updates = u.NO_UPDATES
    updated_at: tuple[float, ...] = ()
    update_failures: int = 0

    def tag(self, lane: Lane) -> int:
        """The tag of what is current on this lane, 0 for nothing."""
        return self.tags[_PLACE[lane]]

    @property
    def claim(self) -> Claim | None:
        """What a dial presents of an identify whose answer is not known."""
        if self.target is None or self.target.identify_id is None:
            return None
        return Claim(self.target.identify_id, self.target.user_id)


def facts(book: Book, occasion: Occasion, settings: Settings) -> tuple[Fact, ...]:
    """The facts that are true of this occasion: those of the book, and those the trigger carries."""
    answer = occasion.identified
    true = {
        Fact.LATE: occasion.lane is not None and occasion.tag != book.tag(occasion.lane),
        Fact.PROVIDER: book.provider is not None,
        Fact.TARGET_PROVIDER: book.target is not None and book.target.provider is not None,
        Fact.PENDING: bool(book.updates.recorded),
        Fact.FULL: occasion.asked is not None and occasion.asked.clear_storage,
        Fact.MERGED: answer is not None and answer.merged,
        Fact.BEYOND: _beyond(book, occasion),
        Fact.SILENT: occasion.heard_at + settings.silence_timeout <= occasion.now,
    }
    return tuple(fact for fact, holds in true.items() if holds)


def _beyond(book: Book, occasion: Occasion) -> bool:
    after = occasion.retry_after
    if occasion.lane is Lane.IDENTIFY:  # only this very answer says that the identify was not done
        return after is not None and occasion.now + after > book.identify_until
    until = _not_before(book, occasion)
    return until > max(occasion.now, book.boot_until)


def arrive(book: Book, occasion: Occasion) -> Book:
    """The outcome of what is current on its lane has come: whatever else comes with that tag is late."""
    if occasion.lane in (None, Lane.LINK) or occasion.tag != book.tag(occasion.lane):
        return book
    return _tagged(book, occasion.lane, 0)


def note(book: Book, effect: str, occasion: Occasion, settings: Settings) -> Book:
    """The book after this effect. Pure; an effect that writes nothing down returns the same book."""
    spec = EFFECTS[effect]
    if isinstance(spec, Ask) and not spec.several:
        book = attrs.evolve(_tagged(book, Lane(spec.lane), book.serial + 1), serial=book.serial + 1)
    elif isinstance(spec, Detach):
        book = _tagged(book, Lane(spec.lane), 0)
    elif isinstance(spec, Abandon):
        for lane in spec.lanes:
            book = _tagged(book, Lane(lane), 0)
    writer = _WRITERS.get(effect)
    return book if writer is None else writer(book, occasion, settings)


def outliving(book: Book) -> Book:
    """What an effect that outlives its session may know of it: which session to revoke and which visitor to retire (S4)."""
    return Book(session=book.session, visitor=book.visitor)


def _tagged(book: Book, lane: Lane, tag: int) -> Book:
    place = _PLACE[lane]
    return attrs.evolve(book, tags=(*book.tags[:place], tag, *book.tags[place + 1 :]))


# --- what each effect writes down ---------------------------------------------------------------------------------------

Writer = Callable[[Book, Occasion, Settings], Book]


def _adopt(book: Book, occasion: Occasion, settings: Settings) -> Book:
    asked = occasion.asked
    if asked is None:
        return book
    return attrs.evolve(
        book,
        user_id=asked.user_id,
        # a visitor needs no token; a later provider for the same user replaces the earlier one
        provider=(asked.provider or book.provider or asked.fallback) if asked.user_id is not None else None,
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
    return attrs.evolve(book, failures=book.failures + 1, not_before=_not_before(book, occasion))


def _not_before(book: Book, occasion: Occasion) -> float:
    after = occasion.retry_after
    return book.not_before if after is None else max(book.not_before, occasion.now + min(after, LONGEST_STAY))


def _cut(book: Book, occasion: Occasion, settings: Settings) -> Book:
    if book.up_at is None:
        return book
    stable = occasion.now - book.up_at >= settings.stable_after
    return attrs.evolve(book, up_at=None, failures=0 if stable else book.failures + 1, not_before=_not_before(book, occasion))


def _keep_link(book: Book, occasion: Occasion, settings: Settings) -> Book:
    welcome = occasion.welcome
    identity = Visitor(welcome.visitor_id) if welcome.user_id is None else SignedIn(welcome.user_id)
    another = isinstance(book.identity, Visitor) and isinstance(identity, Visitor) and book.identity != identity
    return attrs.evolve(
        _tagged(book, Lane.LINK, occasion.tag),
        identity=identity,
        # a visitor who was retired is answered with a new one, of whom the backend knows nothing
        updates=u.nothing_is_known(book.updates) if another else book.updates,
        session=welcome.session,
        # messages that are replayed move it one by one: to jump ahead would lose them if the link broke during the replay
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
    return attrs.evolve(book, target=None, token=None, spent=None, updates=u.forget_target(book.updates))


def _forget(book: Book, occasion: Occasion, settings: Settings) -> Book:
    """Keeps what is nobody's: tags, the distance of dials and the limit of updates, which hold across boots."""
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
        E.KEEP_VISITOR: lambda book, occasion, settings: attrs.evolve(book, visitor=occasion.visitor),
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
        E.DROP_HELD: lambda book, occasion, settings: attrs.evolve(book, updates=u.drop_held(book.updates)),
        E.FORGET: _forget,
        E.RECORD: lambda book, occasion, settings: attrs.evolve(book, updates=u.record(book.updates, occasion.changes)),
        E.HOLD: lambda book, occasion, settings: attrs.evolve(book, updates=u.hold(book.updates, occasion.changes)),
        E.SEND_UPDATE: _send_update,
        E.ACKNOWLEDGE: _acknowledge,
        E.RESTORE: _restore,
        E.DROP_SENT: lambda book, occasion, settings: attrs.evolve(book, updates=u.drop_sent(book.updates)),
        E.DROP_UPDATES: lambda book, occasion, settings: attrs.evolve(book, updates=u.NO_UPDATES),
        E.TELL_MESSAGE: lambda book, occasion, settings: attrs.evolve(
            book, cursor=occasion.message.cursor, unread=occasion.message.unread
        ),
    }
)

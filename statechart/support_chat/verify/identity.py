"""Who is who in two tabs on one storage: the shipped chart twice, what is stored, and what the
backend knows. `support-chat check --composition support_chat.verify.identity:IDENTITY` explores it.

Secrets and visitors are whole numbers, 0 is nobody. A secret stands for a visitor at the backend;
once that is merged into the user, for a successor; once it is over, for none.

What is abstracted:

- There is one user, who needs no token, and whom the backend never refuses. Tabs are not destroyed,
  and their processes do not die (`WITHOUT`).
- What is asked is done at the moment at which its outcome is told, or, if that is told as lost,
  then or never. Whether it was done earlier nobody could tell: what another tab does in between
  could as well come right after. An identify, a message, and the request that a secret is over, of
  which that is not so, are under way until a place move.
- All tabs together have one message and one request that a secret is over under way. The outbox is
  not modelled: a message is for whom its tab shows, and for the user after the tab's own merge.
  What becomes of messages once *a request is accepted only for the owner shown* (I6) is explored in
  `support_chat.verify.delivery`, which takes that from here, and no more.
- A dial that is given up leaves a session that nobody knows. Sessions end by their tab, or because
  their secret is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import attrs

from ..chart.model import Chart
from ..lifecycle.chart import CHART, ONLINE
from ..lifecycle.names import Effect as E, Fact as F, Register, Trigger as T
from .composition.model import (
    Act,
    Component,
    Composition,
    Invariant,
    Place,
    PlaceMove,
    Places,
    Possible,
    Rule,
    Seen,
    StepInvariant,
    Taken,
    Whole,
)
from .views import View

After: TypeAlias = Iterator[Places]

NOBODY: Final = 0
USER: Final = -1
"""The user whom visitors become."""
OVER: Final = 0
"""What a secret that is over stands for."""
UNDER_WAY: Final = ("sent", "again", "forgotten")
"""Where an identify stands that has not arrived: it was asked for once, or again, or its tab no
longer waits for it.
"""
ACCEPTED: Final = "the message is accepted"
LATE: Final = "a call that was given up lands, or never does"
LEARNT: Final = "the backend learns that a secret is over, or never does"

WITHOUT: Final = (
    T.DESTROY, E.FETCH_TOKEN, E.FETCH_TARGET_TOKEN, T.TOKEN_EXPIRED, T.RENEW_DUE,
    T.DIAL_REFUSED, T.DIAL_REJECTED, T.IDENTIFY_REFUSED,
)  # fmt: skip
"""What is left out of a tab: its end, tokens, and noes that the backend has no reason for."""

PLACES: Final = (
    Place(name="stored", doc="the secret that is stored", initial=NOBODY),
    Place(name="stands_for", doc="secrets and the visitors that they stand for", initial=()),
    Place(name="clean", doc="a full clear is done, and no boot has read since", initial=False),
    Place(name="clear", doc="a full clear is under way", initial=False, each="tab"),
    Place(name="late", doc="a storage call that was given up", initial="", each="tab"),
    Place(name="known", doc="the secret that the tab knows", initial=NOBODY, each="tab"),
    Place(name="shown", doc="the visitor that the tab shows", initial=NOBODY, each="tab"),
    Place(name="aware", doc="the tab has learnt that its secret is over", initial=False,
          each="tab"),
    Place(name="booted", doc="the tab knows its session", initial=False, each="tab"),
    Place(name="owner", doc="whose the tab's session is", initial=NOBODY, each="tab"),
    Place(name="identify", doc="the identify whose outcome is open", initial="", each="tab"),
    Place(name="stray", doc="whom an identify of a session that is over would merge",
          initial=NOBODY, each="tab"),
    Place(name="news", doc="what the tab's link will tell", initial="", each="tab"),
    Place(name="message", doc="whose the tab's message is", initial=NOBODY, each="tab"),
    Place(name="over", doc="the secret that the backend is told is over", initial=NOBODY,
          each="tab"),
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Rules:
    """The rules that make two tabs right; a test takes each away and sees what fails."""

    told: bool = True
    """The backend tells a visitor's other sessions of a merge."""
    refused: bool = True
    """The backend refuses a request for another owner than the session's."""
    one_visitor: bool = True
    """A secret stands for the same visitor, a merged one for the same successor, whoever presents
    it.
    """
    ends: bool = True
    """That a secret is over ends its sessions."""
    its_own: bool = True
    """That a secret is over ends its sessions alone."""
    ended: bool = True
    """A storage call that has ended lands no more."""
    looks: bool = True
    """A look at the stored secret stores nothing."""
    remembers: bool = True
    """Not a rule: the backend remembers identifies, and does none whose claim it has answered. One
    that does not takes the same again.
    """
    strays: bool = False
    """Not a rule: an identify whose session has ended may still arrive. It makes the whole larger,
    so only a night run has it.
    """


# --- what is seen of a tab ------------------------------------------------------------------------


def _online(view: View) -> bool:
    return view.phase in ONLINE


def _user(view: View) -> bool:
    return view.who(Register.USER) != 0


SEES: Final = {"online": _online, "user": _user}


# --- names ----------------------------------------------------------------------------------------


def canonical(places: Places) -> Places:
    """The same with secrets and visitors named in the order in which they are met; what a secret
    stands for that nobody has any more is forgotten.
    """
    names: dict[int, int] = {}

    def of(value: Any) -> Any:
        if value.__class__ is int and value > 0:
            return names.setdefault(value, len(names) + 1)
        return value

    def each(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple([of(value) for value in values])

    stored, known, over = of(places.stored), each(places.known), each(places.over)
    stands_for = sorted([(names[s], v) for s, v in places.stands_for if s in names])
    return places._replace(
        stored=stored, known=known, over=over,
        stands_for=tuple([(s, of(v)) for s, v in stands_for]),
        shown=each(places.shown), owner=each(places.owner), stray=each(places.stray),
        message=each(places.message),
    )  # fmt: skip


def _fresh(places: Places) -> int:
    """A name that nobody has."""
    values = (
        places.stored, *places.known, *places.over, *places.shown, *places.owner, *places.stray,
        *places.message, *(name for pair in places.stands_for for name in pair),
    )  # fmt: skip
    newest: int = max(NOBODY, *values)
    return newest + 1


def _visitor(places: Places, secret: int) -> int:
    """Whom a secret stands for."""
    visitor: int = dict(places.stands_for).get(secret, OVER)
    return visitor


def _created(places: Places) -> Places:
    """A secret is stored if there is none; it will stand for a new visitor."""
    if places.stored:
        return places
    name = _fresh(places)
    return places._replace(stored=name, stands_for=(*places.stands_for, (name, name + 1)))


def _is_name(value: Any) -> bool:
    return value.__class__ is int and value > 0


# --- the storage ----------------------------------------------------------------------------------


def _storage(rules: Rules) -> tuple[list[Rule], list[PlaceMove]]:
    def has_read(p: Places, me: int, act: Act) -> After:
        if act.may(F.DAMAGED, False):
            p = _created(p)._replace(clean=False)
            kept = E.KEEP_VISITOR in act.effects
            yield p.put(me, known=p.stored, aware=False) if kept else p

    def has_not_read(p: Places, me: int, act: Act) -> After:
        yield p
        yield _created(p)._replace(clean=False)
        if not rules.ended and not p.late[me]:
            yield p.put(me, late="create")

    def clears(p: Places, me: int, act: Act) -> After:
        yield p.put(me, clear=True)

    def has_cleared(p: Places, me: int, act: Act) -> After:
        if p.clear[me]:
            # of two requests that a secret is over the first never arrives
            p = p._replace(over=(NOBODY,) * len(p.over), clean=True)
            yield p.put(me, clear=False, over=p.stored, stored=NOBODY)
        else:
            yield p  # a plain clear keeps the visitor

    def has_not_cleared(p: Places, me: int, act: Act) -> After:
        cleared = p.clear[me]
        p = p.put(me, clear=False)
        yield p
        if cleared:
            yield p._replace(stored=NOBODY)  # it has been done, and nobody tells the backend
            if not rules.ended and not p.late[me]:
                yield p.put(me, late="delete")

    def has_looked(p: Places, me: int, act: Act) -> After:
        yield p if rules.looks else _created(p)  # the same, or the look has failed

    def late_lands(p: Places, me: int) -> After:
        if p.late[me]:
            yield p.put(me, late="")
            after = p._replace(stored=NOBODY) if p.late[me] == "delete" else _created(p)
            yield after.put(me, late="")

    return [
        _rule(E.KEEP_VISITOR, "", _nothing),
        _rule(E.CLEAR_ALL, "clear", clears),
        _rule(T.VISITOR_READ, "stored stands_for clean known aware", has_read),
        _rule(T.VISITOR_FAILED, "stored stands_for clean late", has_not_read),
        _rule(T.CLEARED, "clear stored clean over", has_cleared),
        _rule(T.CLEAR_FAILED, "clear stored late", has_not_cleared),
        _rule(T.VISITOR_CHECKED, "stored stands_for", has_looked),
    ], [_move(LATE, "stored stands_for late", late_lands)]


# --- the backend: sessions and merges -------------------------------------------------------------


def _merged(rules: Rules, places: Places, visitor: int) -> Places:
    """The visitor is the user's: the secret stands for another, and the other sessions are told."""
    if visitor not in [v for _, v in places.stands_for]:
        return places  # another tab was faster
    fresh = _fresh(places)
    news = tuple(
        "changed" if rules.told and owner == visitor and not was else was
        for owner, was in zip(places.owner, places.news, strict=True)
    )
    stands_for = tuple((s, fresh if v == visitor else v) for s, v in places.stands_for)
    return places._replace(stands_for=stands_for, news=news)


def _backend(rules: Rules) -> tuple[list[Rule], list[PlaceMove]]:
    def is_up(p: Places, me: int, act: Act) -> After:
        visitor = _visitor(p, p.known[me])
        if visitor == OVER:
            return
        if act.before.user or p.identify[me] == "merged":
            if act.may_name(1):
                message = USER if p.message[me] else NOBODY  # its own merge
                yield p.put(me, shown=NOBODY, owner=USER, message=message, identify="", news="",
                            booted=True)  # fmt: skip
        elif act.may_name(0) and p.owner[me] != USER and act.may(F.REPEATABLE, not rules.remembers):
            if not rules.one_visitor:
                visitor = _fresh(p)
            left = "" if rules.remembers else p.identify[me]
            if left:  # the tab asks again, or believes that it is forgotten
                left = "again" if E.SEND_IDENTIFY in act.effects else "forgotten"
            yield p.put(me, shown=visitor, owner=visitor, identify=left, news="", booted=True)

    def is_not_up(p: Places, me: int, act: Act) -> After:
        yield p
        closes = rules.remembers and p.identify[me] == "sent"
        if closes and _visitor(p, p.known[me]) != OVER:
            yield p.put(me, identify="closed")  # the answer that it was not done is lost

    def cuts(p: Places, me: int, act: Act) -> After:
        yield p.put(me, news="")

    def identifies(p: Places, me: int, act: Act) -> After:
        yield p.put(me, identify=p.identify[me] or "sent")

    def identify_lands(p: Places, me: int) -> After:
        if p.identify[me] in UNDER_WAY and _is_name(p.owner[me]):
            visitor, awaited = p.owner[me], p.identify[me] != "forgotten"
            p = p.put(me, identify="merged" if awaited else "", owner=USER)
            yield _merged(rules, p, visitor)

    def is_identified(p: Places, me: int, act: Act) -> After:
        if p.identify[me] == "merged" and act.may_name(1):
            yield p.put(me, identify="", shown=NOBODY, message=USER if p.message[me] else NOBODY)

    def is_not_identified(p: Places, me: int, act: Act) -> After:
        if act.may(F.BEYOND, False):
            yield p  # nobody knows what became of it
        if act.may(F.BEYOND) and p.identify[me] == "sent":
            yield p.put(me, identify="")  # it was not even looked at

    def stray_lands(p: Places, me: int) -> After:
        if p.stray[me]:
            yield p.put(me, stray=NOBODY)
            yield _merged(rules, p, p.stray[me]).put(me, stray=NOBODY)

    def forgets(p: Places, me: int, act: Act) -> After:
        stray = p.owner[me] if p.identify[me] in UNDER_WAY and _is_name(p.owner[me]) else NOBODY
        p = p.put(
            me, known=NOBODY, shown=NOBODY, aware=False, booted=False, owner=NOBODY,
            identify="", news="", message=NOBODY,
        )  # fmt: skip
        yield p
        if rules.strays and stray and not any(p.stray):
            yield p.put(me, stray=stray)

    def hears(what: str) -> Callable[[Places, int, Act], After]:
        def hear(p: Places, me: int, act: Act) -> After:
            if p.news[me] == what:
                yield p.put(me, news="")

        return hear

    return [
        _rule(T.LINK_UP, "booted shown owner message identify news", is_up),
        _rule(T.DIAL_FAILED, "identify", is_not_up),
        _rule(E.CUT, "news", cuts),
        _rule(E.SEND_IDENTIFY, "identify", identifies),
        _rule(T.IDENTIFIED, "identify shown message", is_identified),
        _rule(T.IDENTIFY_FAILED, "identify", is_not_identified),
        _rule(E.FORGET, "known shown aware booted owner identify news message stray", forgets),
        _rule(T.OWNER_CHANGED, "news", hears("changed")),
        _rule(T.SESSION_REVOKED, "news", hears("ended")),
    ], [
        _move("the identify arrives", "stands_for owner identify news", identify_lands),
        _move("an identify of a session that is over arrives, or never does",
              "stands_for stray news", stray_lands),
    ]  # fmt: skip


# --- the backend: what is over --------------------------------------------------------------------


def _ending(rules: Rules) -> tuple[list[Rule], list[PlaceMove]]:
    def over_lands(p: Places, me: int) -> After:
        secret = p.over[me]
        if not secret:
            return
        yield p.put(me, over=NOBODY)  # or never does
        meant = [
            bool(owner) and rules.ends and (known == secret or not rules.its_own)
            for owner, known in zip(p.owner, p.known, strict=True)
        ]
        stands_for = tuple([(s, OVER if s == secret else v) for s, v in p.stands_for])
        owner = [NOBODY if ends else was for ends, was in zip(meant, p.owner, strict=True)]
        news = ["ended" if ends else was for ends, was in zip(meant, p.news, strict=True)]
        yield p.put(me, over=NOBODY)._replace(
            stands_for=stands_for, owner=tuple(owner), news=tuple(news)
        )

    def learns(p: Places, me: int, act: Act) -> After:
        # from the storage, while it was live, or from the backend
        elsewhere = p.booted[me] and p.stored != p.known[me]
        if elsewhere or _visitor(p, p.known[me]) == OVER:
            yield p.put(me, aware=True)

    return [_rule(T.VISITOR_ENDED, "aware", learns)], [
        _move(LEARNT, "over stands_for owner news", over_lands)
    ]


# --- a message ------------------------------------------------------------------------------------


def _messages(rules: Rules) -> tuple[list[Rule], list[PlaceMove]]:
    def is_sent(p: Places, me: int) -> After:
        if p.booted[me] and not any(p.message):
            yield p.put(me, message=p.shown[me] or USER)

    def is_accepted(p: Places, me: int) -> After:
        owner = _owner(p, me)
        if p.message[me] and owner and (owner == p.message[me] or not rules.refused):
            yield p.put(me, message=NOBODY, owner=owner)

    def is_not_accepted(p: Places, me: int) -> After:
        if p.message[me]:
            yield p.put(me, message=NOBODY)

    return [], [
        _move("send_message()", "message", is_sent),
        _move(ACCEPTED, "message owner", is_accepted),
        _move("the message is refused or withdrawn", "message", is_not_accepted),
    ]


def _owner(places: Places, me: int) -> int:
    """Whose a tab's session is for a request: of one that was left behind by a merge, the
    successor's.
    """
    owner: int = places.owner[me]
    if _is_name(owner) and owner not in [v for _, v in places.stands_for]:
        return _visitor(places, places.known[me])
    return owner


# --- the whole ------------------------------------------------------------------------------------


def _rule(on: str, changes: str, does: Callable[[Places, int, Act], After]) -> Rule:
    return Rule(of="tab", on=on, changes=changes.split(), does=does)


def _move(name: str, changes: str, does: Callable[[Places, int], After]) -> PlaceMove:
    return PlaceMove(name=name, each="tab", changes=changes.split(), does=does)


def _nothing(places: Places, me: int, act: Act) -> After:
    yield places


def _quiet(whole: Whole) -> bool:
    p = whole.places
    under_way = (p.late, p.identify, p.stray, p.news, p.message)
    return not any(any(each) for each in under_way)


def _counts(places: Places, me: int) -> bool:
    """Whether more is asked of this tab than that it goes on: its secret is stored, or it, or the
    backend, has learnt that it is not.
    """
    secret = places.known[me]
    return secret == places.stored or places.aware[me] or not _visitor(places, secret)


def _at_quiet(holds: Callable[[Places, list[tuple[int, Seen]]], bool]) -> Callable[[Whole], bool]:
    """Whether it holds, at quiet, of the tabs that are online and count."""

    def asked(whole: Whole) -> bool:
        if not _quiet(whole):
            return True
        places = whole.places
        tabs = [(i, tab) for i, tab in enumerate(whole.tab) if tab.online]
        return holds(places, tabs)

    return asked


def _shows_its_owner(places: Places, tabs: list[tuple[int, Seen]]) -> bool:
    return all(
        places.owner[i] == USER
        if tab.user
        else places.owner[i] == places.shown[i] == _visitor(places, places.known[i])
        for i, tab in tabs
    )


def _one_visitor(places: Places, tabs: list[tuple[int, Seen]]) -> bool:
    visitors = {places.shown[i] for i, tab in tabs if not tab.user and _counts(places, i)}
    return len(visitors) < 2


def _visitor_is_stored(places: Places, tabs: list[tuple[int, Seen]]) -> bool:
    return all(
        places.known[i] == places.stored for i, tab in tabs if not tab.user and _counts(places, i)
    )


def _no_deleted_secret(places: Places, tabs: list[tuple[int, Seen]]) -> bool:
    return all(places.known[i] == places.stored for i, _ in tabs if _counts(places, i))


def _for_whom_it_was(taken: Taken) -> bool:
    accepted = taken.act.trigger == ACCEPTED
    return not accepted or taken.after.owner[taken.copy] == taken.before.message[taken.copy]


def _from_absent(taken: Taken) -> bool:
    return not taken.before.stored or taken.after.stored in (NOBODY, taken.before.stored)


def _only_by_a_boot(taken: Taken) -> bool:
    minted = taken.after.stored and not taken.before.stored
    return not minted or taken.act.trigger in (T.VISITOR_READ, T.VISITOR_FAILED)


def _ends_its_own(taken: Taken) -> bool:
    before, after = taken.before, taken.after
    if taken.act.trigger != LEARNT:
        return True
    secret = before.over[taken.copy]
    ended = [i for i, owner in enumerate(before.owner) if owner and not after.owner[i]]
    return all(before.known[i] == secret != before.stored for i in ended)


def _nothing_is_left(whole: Whole) -> bool:
    return not (whole.places.clean and whole.places.stored)


PROPERTIES: Final = (
    Invariant("I1", "At quiet each tab shows its session's owner.", _at_quiet(_shows_its_owner)),
    Invariant("I2", "At quiet two live visitors are one.", _at_quiet(_one_visitor)),
    Invariant("I3", "At quiet the live visitor is the stored one.", _at_quiet(_visitor_is_stored)),
    Invariant("I4", "At quiet no tab is live on a deleted secret.", _at_quiet(_no_deleted_secret)),
    Invariant("I5", "After a full clear no key is left until a boot reads.", _nothing_is_left),
    StepInvariant("I6", "No message is accepted for another owner than the tab showed.",
                  _for_whom_it_was),
    StepInvariant("I7", "A secret is minted where none is stored, and by a boot alone.",
                  lambda taken: _from_absent(taken) and _only_by_a_boot(taken)),
    StepInvariant("I8", "A secret that is over ends no session of another, nor one that is stored.",
                  _ends_its_own),
    Possible("I9", "A boot can succeed.", lambda w: any(tab.online for tab in w.tab)),
)  # fmt: skip


def identity(
    chart: Chart = CHART, rules: Rules | None = None, *, tabs: int = 2, more: Sequence[str] = ()
) -> Composition:
    """Tabs with this chart under these rules (None: all of them), without what `WITHOUT` and `more`
    name.
    """
    kept = Rules() if rules is None else rules
    parts = [part(kept) for part in (_storage, _backend, _ending, _messages)]
    return Composition(
        name="identity",
        components=(
            Component(
                name="tab",
                chart=chart,
                copies=tabs,
                users=1,
                sees=SEES,
                without=(*WITHOUT, *more),
            ),
        ),
        places=PLACES,
        rules=tuple(rule for those, _ in parts for rule in those),
        moves=tuple(move for _, those in parts for move in those),
        properties=PROPERTIES,
        canonical=canonical,
    )


IDENTITY: Final = identity()
"""Two tabs, as they are shipped."""

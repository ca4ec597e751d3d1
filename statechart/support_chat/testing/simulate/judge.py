"""The one judge of both levels: what nobody outside may ever see.

It looks at what tabs were asked and have told (`witness`), and at what backend and storages have
(`Outside`); never into a session. `judged` is asked when everything has been well for long, then
`examined` asks a few things more of every tab. What concerns messages is in `messages`, whether a
log of steps is a path of the chart in `paths`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Final, TypeAlias

import attrs

from ...chart.model import Chart
from ...errors import AuthRefusedError, SupportChatError
from ...lifecycle.chart import CHART, LIVE, ONLINE
from ...lifecycle.events import (
    AuthChanged,
    ConnectionChanged,
    ErrorOccurred,
    PhaseChanged,
    Ready,
)
from ...lifecycle.names import Phase, Trigger
from ...settings import Settings
from ...values import SignedIn, Visitor
from ...verify.bounds import bounds
from ...verify.explore import explore
from .frontends import Tab
from .messages import kept, told_in_order
from .paths import no_path
from .processes import JUST
from .verdict import Violation
from .witness import Use, Witness
from .world import Outside

SETTLED: Final = 330.0
"""Seconds after which nothing of what went wrong has any effect, once everything is well."""
_TRIGGERS: Final[Mapping[str, Trigger]] = {
    "send_message": Trigger.SEND, "mark_read": Trigger.SEND, "conversations": Trigger.USE,
}  # fmt: skip
Limits: TypeAlias = "Mapping[tuple[str, str, str], float]"
"""How long a call can wait, by its trigger, the phase in which it is made, and the limit that
bounds it where several may.
"""


@cache
def limits(settings: Settings) -> Limits:
    """The table of bounds for these settings; computed once a process."""
    found = bounds(explore(CHART), settings).calls
    return {(str(b.call), str(b.phase), str(b.kept)): b.beside.seconds for b in found}


# --- what is asked of tabs in the end -------------------------------------------------------------


@attrs.frozen
class Asks:
    """The judge asks this tab for this, and waits until it has ended."""

    tab: Tab
    use: Use


@attrs.frozen
class Waits:
    """The judge waits until it is quiet; `healed`: after every link has ended once more."""

    healed: bool = False


@attrs.frozen
class Opens:
    """The judge opens one more tab on this scope."""

    scope: str


Examination: TypeAlias = "Generator[Asks | Waits | Opens, Any, None]"
"""What the judge wants done, in turn; an `Asks` is answered with a `Made`, `Opens` with a `Tab`."""


class Judge:
    """Judges a schedule; `found` has what is wrong."""

    def __init__(self, outside: Outside, settings: Settings, chart: Chart = CHART) -> None:
        self.outside, self.settings = outside, settings
        self.chart, self.found = chart, list[Violation]()
        self.healed_at = 0.0
        rows = [row for row in chart.transitions if row.target is not None]
        self._edges = {(source, row.target) for row in rows for source in row.sources}

    def _finds(self, promise: str, who: Tab | Witness | str, wrong: Iterable[str]) -> None:
        witness = who if isinstance(who, str | Witness) else who.witness
        name = witness if isinstance(witness, str) else witness.name
        self.found += [Violation(promise, f"{name} {told}") for told in wrong]

    # --- when it is quiet -------------------------------------------------------------------------

    def judged(self, tabs: Sequence[Tab], gone: Sequence[Witness]) -> None:
        """What all have told so far: `tabs` are there, `gone` were killed or destroyed."""
        stored = self.outside.stored()
        everybody = [*(tab.witness for tab in tabs), *gone]
        for witness in everybody:
            self._finds("a full clear begins with a new visitor", witness,
                        _known_visitors(witness, everybody))  # fmt: skip
        for tab in tabs:
            witness = tab.witness
            self._finds("every call settles", tab, _unsettled(witness))
            self._finds("each message is told once, in order", tab, told_in_order(tab, stored))
            self._finds("a message has an end", tab, _waits_still(tab))
            self._finds("links stay open when all is well", tab, self._flaps(witness))
            if tab.state in (Phase.RECONNECTING, Phase.DISCONNECTED, Phase.BOOTING, Phase.LOADING):
                told = f"is {tab.state} although everything is well"
                self._finds("whoever is booted comes online", tab, [told])
        for witness in everybody:
            self._finds("messages are stored once, whole, in order, for whom they are", witness,
                        kept(witness, stored, self.outside))  # fmt: skip
            if not witness.dead:
                self._alive(witness)

    def _alive(self, witness: Witness) -> None:
        """Whatever its adapters did, as those of a living process do."""
        self._finds("calls end in time", witness, self._too_late(witness))
        self._finds("a call returns what it is for", witness, _misreturned(witness))
        self._finds("phases follow each other by the chart", witness, self._leaps(witness))
        self._finds("nobody is told for another", witness, _mistaken(witness))
        self._finds("every listener hears the same", witness, _misheard(witness))
        self._finds("adapters are given up in time", witness, self._overdue(witness))
        self._finds("dials keep their distance", witness, self._crowded(witness))
        self._finds("a lost link is told in time", witness, self._impatient(witness))
        self._finds("whoever gives up waits no more", witness, _unasked(witness))
        if witness.left_at is not None:
            left = witness.left_at
            late = (a for a in witness.asked if a.at > left + JUST)
            told = (f"asks for {asked.operation} after its end" for asked in late)
            self._finds("what is destroyed does nothing", witness, told)

    def ended(self, witness: Witness) -> None:
        """The schedule is over for this tab."""
        wrong = no_path(self.chart, witness.steps)
        self._finds("a session's log is a path of the chart", witness, wrong)
        if not witness.dead:
            self._finds("nothing happens that must never be", witness, witness.wrong)

    def _too_late(self, witness: Witness) -> Iterator[str]:
        table = limits(self.settings)
        for made in witness.calls:
            if made.ended_at is None:
                continue
            use, trigger = made.use, str(_TRIGGERS.get(made.use.call, made.use.call))
            most = table.get((trigger, made.phase, _kept_by(use)), 0.0)
            if use.timeout is not None:
                most = min(most, use.timeout)
            waited = made.ended_at - made.at
            if waited > most + JUST:
                yield f"{use} in {made.phase} took {waited:g} s, and at most {most:g} are promised"

    def _leaps(self, witness: Witness) -> Iterator[str]:
        at = Phase.NOT_INITIALIZED
        for event in witness.events:
            if isinstance(event, PhaseChanged):
                if event.previous != at:
                    yield f"was {at}, and tells that it was {event.previous}"
                if (event.previous, event.current) not in self._edges:
                    yield f"went from {event.previous} to {event.current}"
                at = event.current
        if witness.left_at is not None and at != Phase.DESTROYED:
            yield f"was destroyed, and has told nobody: it was {at}"

    def _impatient(self, witness: Witness) -> Iterator[str]:
        """A lost link is told as such for the whole time that the settings give it."""
        since, least = 0.0, self.settings.disconnected_after
        for at, event in zip(witness.times, witness.events, strict=True):
            if isinstance(event, PhaseChanged):
                if event.reason == "attempts_spent" and at - since < least - JUST:
                    yield f"is disconnected after {at - since:g} s without a link"
                since = at

    def _flaps(self, witness: Witness) -> Iterator[str]:
        for at, event in zip(witness.times, witness.events, strict=True):
            late = at > self.healed_at + SETTLED
            if isinstance(event, ConnectionChanged) and not event.connected and late:
                yield "lost its link when everything had been well for long"

    def _overdue(self, witness: Witness) -> Iterator[str]:
        most = _limits_of_adapters(self.settings)
        for asked in witness.asked:
            ended = asked.ended_at
            if ended is not None and ended - asked.at > most[asked.operation] + JUST:
                yield f"let {asked.operation} take {ended - asked.at:g} s"

    def _crowded(self, witness: Witness) -> Iterator[str]:
        dials = [asked for asked in witness.asked if asked.operation == "open"]
        for one, other in pairwise(dials):
            if other.at - one.at < self.settings.backoff_min - JUST:
                yield f"dialled twice within {other.at - one.at:g} s"
            if one.ended_at is None or one.ended_at > other.at + JUST:
                yield "dialled while it dialled"

    # --- the examination --------------------------------------------------------------------------

    def examined(self, tabs: Sequence[Tab], scopes: Sequence[str]) -> Examination:
        """Everybody gets online, shows their owner, and leaves nothing behind."""
        # what a merge elsewhere has brought along a session learns by its next dial at the latest
        yield Waits(healed=True)
        for tab in tabs:
            if tab.state not in ONLINE:
                made = yield Asks(tab, Use("boot"))
                if not made.succeeded or tab.state not in ONLINE:
                    told = f"is {tab.state} after a boot() when all is well ({made.error!r})"
                    self._finds("whoever boots comes online", tab, [told])
        for tab in tabs:
            yield from self._shows_its_owner(tab)
        before, fresh = self.outside.sessions(), list[Tab]()
        for scope in scopes:
            one: Tab = yield Opens(scope)
            yield Asks(one, Use("boot"))
            fresh.append(one)
        # that its visitor was cleared elsewhere a session learns by its next dial at the latest
        yield Waits(healed=True)
        for scope, one in zip(scopes, fresh, strict=True):
            mine = [tab for tab in tabs if tab.witness.scope == scope]
            yield from self._is_one_visitor(scope, [*mine, one])
            yield Asks(one, Use("shutdown"))
        yield Waits()
        if self.outside.sessions() != before:
            told = f"leaves {self.outside.sessions() - before} sessions behind"
            self._finds("shutdown() ends the session at the backend", "somebody", [told])
        for scope, one in zip(scopes, fresh, strict=True):
            yield from self._clears(scope, [*(t for t in tabs if t.witness.scope == scope), one])
        yield Waits()
        for tab in tabs:
            yield Asks(tab, Use("destroy"))
        yield Waits()
        if open_still := self.outside.links():
            told = f"{open_still} links are open after every tab was destroyed"
            self._finds("no link is left open", "somebody:", [told])

    def _shows_its_owner(self, tab: Tab) -> Examination:
        if tab.state not in ONLINE:
            return  # it was said already
        shown, unread = tab.identity, tab.unread
        made = yield Asks(tab, Use("conversations"))
        listed = sum(one.unread or 0 for one in made.result or ())
        if unread != listed:
            told = f"shows {unread} unread, and the backend counts {listed}"
            self._finds("the unread number is the backend's", tab, [told])
        probe = f"probe of {tab.witness.name}"
        yield Asks(tab, Use("send_message", None, probe))
        owners = [s.owner for s in self.outside.stored() if s.message.client_message_id == probe]
        if owners != [shown]:
            told = f"shows {shown}, and what it sends is stored for {owners}"
            self._finds("a tab shows its owner", tab, [told])
        value = tab.witness.number
        yield Asks(tab, Use("update", value=value))
        yield Waits()
        if shown is not None and tab.identity == shown:
            known = self.outside.traits(shown).get(trait(tab.witness))
            if known != value:
                told = f"has recorded {value}, and {known} is known of {shown}"
                self._finds("what is recorded arrives", tab, [told])

    def _is_one_visitor(self, scope: str, tabs: Sequence[Tab]) -> Examination:
        here = {tab.identity for tab in tabs if tab.state in ONLINE}
        visitors = sorted(identity.id for identity in here if isinstance(identity, Visitor))
        if len(visitors) > 1:
            told = f"has several live visitors: {visitors}"
            self._finds("tabs of a storage are one visitor", scope, [told])
        yield from ()

    def _clears(self, scope: str, tabs: Sequence[Tab]) -> Examination:
        if len(left := self.outside.contents(scope)) != 1:
            told = f"holds {sorted(left)} after a shutdown()"
            self._finds("a shutdown() leaves the visitor alone", scope, [told])
        for tab in tabs:
            yield Asks(tab, Use("shutdown", clear=True))
            if tab.identity is not None:
                told = f"shows {tab.identity} after a shutdown()"
                self._finds("nothing of somebody is left", tab, [told])
        if left := self.outside.contents(scope):
            told = f"has kept {sorted(left)} after every tab has cleared it"
            self._finds("what is cleared is gone", scope, [told])
        yield Asks(tabs[-1], Use("destroy"))


def trait(witness: Witness) -> str:
    """The path of the trait that this tab updates, and no other."""
    return f"user.traits.t{witness.number}"


def _kept_by(use: Use) -> str:
    """The limit of a call that is kept."""
    if use.call == "send_message":
        return "outbox_timeout" if use.queue else "call_timeout"
    return "call_timeout" if use.call == "mark_read" else ""


def _limits_of_adapters(settings: Settings) -> Mapping[str, float]:
    storage = dict.fromkeys(("get", "create", "delete", "keys"), settings.storage_timeout)
    parting = dict.fromkeys(("revoke", "end_visitor", "aclose"), settings.revoke_timeout)
    asking = ("identify", "renew", "update", "send", "conversations", "messages", "mark_read")
    uses = dict.fromkeys(asking, settings.call_timeout)
    dials = {"open": settings.connect_timeout, "token": settings.token_timeout}
    return {**storage, **parting, **uses, **dials}


def _unsettled(witness: Witness) -> Iterator[str]:
    return (f"{made.use} has not ended" for made in witness.calls if not made.settled)


def _waits_still(tab: Tab) -> Iterator[str]:
    return (f"still waits for {name}" for name in tab.waiting)


def _misreturned(witness: Witness) -> Iterator[str]:
    for made in witness.calls:
        if (made.error is not None and not isinstance(made.error, SupportChatError)) or (
            type(made.error) is AuthRefusedError and _opens(made.use) and made.use.tokens == "good"
        ):
            yield f"{made.use} raised {made.error!r}"
        elif made.succeeded and made.use.call in ("boot", "become"):
            user, result = made.use.user, made.result
            is_right = isinstance(result, Visitor) if user is None else result == SignedIn(user)
            if not is_right:
                yield f"{made.use} returned {result}"


def _opens(use: Use) -> bool:
    return use.call in ("boot", "identify", "become")


def _known_visitors(witness: Witness, everybody: Sequence[Witness]) -> Iterator[str]:
    """A user whose storage was cleared as they left is followed by a visitor whom nobody knows."""
    for made in witness.calls:
        use, after = made.use, made.result
        if not (use.call == "become" and use.clear and isinstance(made.shown, SignedIn)):
            continue
        if isinstance(after, Visitor) and made.phase in LIVE:
            before = [
                at
                for each in everybody
                for at, event in zip(each.times, each.events, strict=True)
                if isinstance(event, Ready | AuthChanged) and event.identity == after
            ]
            if min(before, default=made.at) < made.at:
                yield f"{use} returned {after}, who had been there before"


def _mistaken(witness: Witness) -> Iterator[str]:
    """No backend here answers as another than was asked for, or refuses a good token; and who is
    shown was asked for.
    """
    good = all(made.use.tokens == "good" for made in witness.calls)
    asked = {SignedIn(made.use.user) for made in witness.calls if made.use.user is not None}
    for event in witness.events:
        if isinstance(event, ErrorOccurred) and type(event.error) is AuthRefusedError and good:
            yield f"ends, though every token was good: {event.error}"
        shown = event.identity if isinstance(event, Ready | AuthChanged) else None
        if isinstance(shown, SignedIn) and shown not in asked:
            yield f"shows {shown}, whom nobody has asked for"


def _unasked(witness: Witness) -> Iterator[str]:
    """A boot that nobody waits for any more ends; so whoever comes live was waited for."""
    for at, event in zip(witness.times, witness.events, strict=True):
        if not (isinstance(event, PhaseChanged) and event.previous == Phase.BOOTING):
            continue
        if event.current in ONLINE and not any(
            _opens(made.use)
            and made.at <= at
            and (made.ended_at is None or made.ended_at >= at - JUST)
            and (made.given_up_at is None or made.given_up_at >= at - JUST)
            for made in witness.calls
        ):
            yield f"became {event.current} though nobody waited for it"


def _misheard(witness: Witness) -> Iterator[str]:
    told = [event.id for event in witness.events]
    for who, events in (("an async handler", witness.heard), ("a stream", witness.streamed)):
        if events is not None and [event.id for event in events] != told:
            yield f"told {who} {len(events)} events, and a handler {len(told)}, or in another order"

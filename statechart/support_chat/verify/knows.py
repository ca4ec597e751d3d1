"""What a tab knows of messages, as a place of a composition holds it: a context of the chart,
changed by the chart's own reducers. So the outbox, the cursor, what is unread and what listeners
are told are the code that a session runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from ..chart.model import Chart
from ..engine import Moment, Now
from ..lifecycle.context import Context, replaced
from ..lifecycle.events import MessageReceived, MessageSent
from ..lifecycle.names import Effect as E, Trigger as T
from ..lifecycle.outbox import Entry, Outbox, due
from ..lifecycle.requests import Keys, SendMessage
from ..settings import Settings
from .composition.model import Act

SENT: Final = "sent"
RECEIVED: Final = "received"

_KINDS: Final = {MessageSent: SENT, MessageReceived: RECEIVED}
_SETTINGS: Final = Settings()
_KEYS: Final = Keys("w", "w", "default")
_NOW: Final = Now(0.0)
_LATER: Final = Now(1.0)


def _of_messages(context: Context) -> Any:
    """All of a context that steps here can change."""
    return context.outbox, context.cursor, context.unread, context.up_at, context.identity


@attrs.frozen(cache_hash=True)
class Knows:
    """A tab's context, from which the time is taken, and the messages that it has told listeners
    of: where each stands in the backend's order, and as what it was told.
    """

    context: Context = attrs.field(default=Context(), eq=_of_messages)
    told: tuple[tuple[int, str], ...] = ()

    def __repr__(self) -> str:
        context = self.context
        waiting = [entry.number for entry in context.outbox.entries]
        told = [f"{kind} {position}" for position, kind in self.told]
        return f"<cursor {context.cursor}, unread {context.unread}, outbox {waiting}, told {told}>"


@attrs.frozen
class After:
    """What a tab knows after a step, the numbers of the messages that leave, and whether its timer
    runs then, to send something again; None: as before.
    """

    knows: Knows
    leaving: tuple[int, ...]
    due: bool | None


class Steps:
    """What tabs with this chart know after each step, worked out once."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._after: dict[Any, After] = {}
        self._same: dict[Knows, Knows] = {}

    def after(self, knows: Knows, act: Act, of: Any, brings: Mapping[str, Any]) -> After:
        """What comes of an act; the moment `brings` what `of` names."""
        key = (knows, act.trigger, act.effects, of)
        found = self._after.get(key)
        if found is None:
            found = self._after[key] = self._worked_out(knows, act, brings)
        return found

    def _worked_out(self, knows: Knows, act: Act, brings: Mapping[str, Any]) -> After:
        now = _LATER if act.trigger == T.OUTBOX_DUE else _NOW
        moment = Moment(act.trigger, now, _SETTINGS, _KEYS, **brings)
        context, told, leaving = knows.context, list(knows.told), list[int]()
        runs: bool | None = None
        for effect in act.effects:  # it tells and asks before it changes the context
            spec: Any = self._chart.effects[effect]
            if effect == E.ARM_OUTBOX:
                runs = _waits(context.outbox, now.at)
            if getattr(spec, "batch", False):
                asked: Sequence[SendMessage] = spec.request(context, moment)
                leaving += [each.number for each in asked]
            if getattr(spec, "emits", None) is not None:
                told += [
                    (int(event.message.id), _KINDS[type(event)])
                    for event in spec.emits(context, moment)
                    if type(event) in _KINDS
                ]
            if getattr(spec, "reduce", None) is not None:
                context = spec.reduce(context, moment)
        after = Knows(_timeless(context, now.at), tuple(told))
        return After(self._same.setdefault(after, after), tuple(leaving), runs)


def _waits(outbox: Outbox, now: float) -> bool:
    """Whether something is to be sent again later; no call is given up here."""
    entries = tuple(attrs.evolve(each, awaited=False) for each in outbox.entries)
    return due(attrs.evolve(outbox, entries=entries), now) is not None


def _timeless(context: Context, now: float) -> Context:
    """The context without the time: what is to be sent again waits for later, or does not."""

    def entry(each: Entry) -> Entry:
        waits = 0.0 if each.under_way or each.not_before <= now else _LATER.at
        return attrs.evolve(each, not_before=waits, attempts=min(each.attempts, 1))

    old = context.outbox
    outbox = Outbox(tuple(map(entry, old.entries)), old.over, begun=old.begun)
    return replaced(context, failures=0, not_before=0.0, trouble=None, outbox=outbox)

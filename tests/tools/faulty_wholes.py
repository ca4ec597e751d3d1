"""What can be wrong with two tabs, each with the property that misses it: a rule that makes them
right is taken away, or the chart is edited. `explored` finds how it goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import attrs

from support_chat import CHART, Chart
from support_chat.lifecycle import reducers as do
from support_chat.lifecycle.context import replaced
from support_chat.lifecycle.events import MessageReceived
from support_chat.lifecycle.names import Effect as E, Fact as F
from support_chat.lifecycle.outbox import leave
from support_chat.lifecycle.requests import SendMessage
from support_chat.verify import Composition, Product, check_whole
from support_chat.verify.delivery import Rules as DeliveryRules, Size, delivery
from support_chat.verify.identity import Rules as IdentityRules, identity

ENOUGH: Final = 60_000
"""States after which a faulty whole is explored no further; each fault is found far sooner."""
FEW: Final = Size(mine=1, both=1, marks=1)
MUCH_TO_READ: Final = Size(mine=0, both=0, answers=2, marks=2)


@attrs.frozen(kw_only=True)
class Fault:
    """What is wrong, in a chart or in the `rules` that the places keep, and the property that
    misses it.
    """

    breaks: str
    wrong: str
    chart: Chart = CHART
    rules: Any
    sound: Any
    """The rules of which none is taken away."""
    whole: Composition

    def __str__(self) -> str:
        return f"{self.breaks}: {self.wrong}"


@cache
def explored(fault: Fault) -> Product:
    """The faulty whole, as far as the property needs it."""
    wanted = tuple(each for each in fault.whole.properties if each.id == fault.breaks)
    return check_whole(attrs.evolve(fault.whole, properties=wanted), max_states=ENOUGH)


# --- who is who -----------------------------------------------------------------------------------


def edited(**rows: Mapping[str, Any]) -> Chart:
    """The shipped chart with other values in some rows, named with `_` for the dot."""
    transitions = tuple(
        attrs.evolve(row, **rows.get(row.name.replace(".", "_"), {})) for row in CHART.transitions
    )
    return attrs.evolve(CHART, name="edited", transitions=transitions)


GOES_ON: Final[Mapping[str, Any]] = {
    "target": None,
    "sets": (F.RETRYING,),
    "clears": (),
    "assigns": {},
    "effects": (E.ARM_RETRY,),
    "error": None,
    "reason": "",
}
BELIEVING: Final = edited(
    link_back_identify_forgotten={"unless": (F.SIGNED_IN, F.IDENTIFYING)},
    link_back_identify_repeated={"when": (F.SAME_USER, F.UNRESOLVED, F.IDENTIFYING, F.REPEATABLE)},
)
"""It believes any backend that an identify that was given up has not been done."""


def _identity(breaks: str, wrong: str, chart: Chart = CHART, tabs: int = 2, **rules: bool) -> Fault:
    kept = IdentityRules(**rules)
    sound, whole = IdentityRules(remembers=kept.remembers), identity(chart, kept, tabs=tabs)
    return Fault(breaks=breaks, wrong=wrong, chart=chart, rules=kept, sound=sound, whole=whole)


IDENTITY_FAULTS: Final = (
    _identity("I1", "a merge is not told to the other tab", told=False),
    _identity(
        "I1",
        "a backend that remembers no identify is believed",
        BELIEVING,
        tabs=1,
        remembers=False,
    ),
    _identity("I2", "each dial gets a visitor of its own", one_visitor=False),
    _identity(
        "I3", "a tab that learns that its visitor is over goes on", edited(link_signed_out=GOES_ON)
    ),
    _identity("I4", "what is over ends no session", ends=False),
    _identity("I5", "a write that was given up lands late", ended=False),
    _identity("I6", "a request for another owner is done", refused=False),
    _identity("I7", "a look at the stored visitor mints one", looks=False),
    _identity("I8", "what is over ends every session", its_own=False),
    _identity(
        "I9",
        "a clear that failed is taken for one under way",
        edited(clear_failed={"clears": (F.BOOTED, F.IDENTIFYING)}),
        tabs=1,
    ),
)


# --- messages -------------------------------------------------------------------------------------


def doing(effect: str, **otherwise: Callable[[Any, Any], Any]) -> Chart:
    """The shipped chart, of which one effect does something else."""
    values: dict[str, Any] = {**otherwise}
    spec = attrs.evolve(CHART.effects[effect], **values)
    return attrs.evolve(CHART, name="edited", effects={**CHART.effects, effect: spec})


def without(row: str, effect: str) -> Chart:
    """The shipped chart, of which one row has an effect less."""
    transitions = tuple(
        attrs.evolve(each, effects=tuple(e for e in each.effects if e != effect))
        if each.name == row
        else each
        for each in CHART.transitions
    )
    return attrs.evolve(CHART, name="edited", transitions=transitions)


def everything_leaves(context: Any, moment: Any) -> Any:
    """All messages are under way at once."""
    for _ in context.outbox.entries:
        context = replaced(context, outbox=leave(context.outbox, moment.now.at, 0.0))
    entries = [attrs.evolve(e, under_way=True, attempts=1) for e in context.outbox.entries]
    return replaced(context, outbox=attrs.evolve(context.outbox, entries=tuple(entries)))


def all_that_waits(context: Any, moment: Any) -> Any:
    waiting = [entry for entry in context.outbox.entries if not entry.under_way]
    return [SendMessage(entry.message, entry.number, 1) for entry in waiting]


def _delivery(
    breaks: str, wrong: str, chart: Chart = CHART, size: Size | None = FEW, **rules: bool
) -> Fault:
    kept = DeliveryRules(**rules)
    sound, whole = DeliveryRules(), delivery(chart, kept, size)
    return Fault(breaks=breaks, wrong=wrong, chart=chart, rules=kept, sound=sound, whole=whole)


DELIVERY_FAULTS: Final = (
    _delivery("D1", "a message is stored for each copy", once=False),
    _delivery(
        "D1",
        "messages of one conversation leave at once",
        doing(E.SEND_MESSAGES, request=all_that_waits, reduce=everything_leaves),
        size=None,
    ),
    _delivery(
        "D2",
        "an answer is told although the stream tells it",
        doing(E.ANSWER_MESSAGES, emits=lambda c, m: do.over(replaced(c, echoes=False), m)),
        size=None,
    ),
    _delivery(
        "D2",
        "what is told moves no cursor",
        doing(E.TELL_MESSAGE, reduce=lambda c, m: replaced(do.receive(c, m), cursor=c.cursor)),
    ),
    _delivery(
        "D3",
        "own messages are told as received",
        doing(E.TELL_MESSAGE, emits=lambda c, m: (MessageReceived(m.result.message),)),
    ),
    _delivery("D4", "a link replays nothing", replays=False),
    _delivery(
        "D4",
        "a link that is up moves the cursor",
        doing(
            E.KEEP_LINK, reduce=lambda c, m: replaced(do.keep_link(c, m), cursor=m.result.cursor)
        ),
        size=Size(losses=2),
    ),
    _delivery("D5", "a mark is told to nobody", marks_told=False),
    _delivery(
        "D5",
        "the answer to a mark is believed, and may have been overtaken",
        doing(
            E.KEEP_SENT,
            reduce=lambda c, m: replaced(
                do.keep_sent(c, m), unread=getattr(m.result, "unread", c.unread)
            ),
        ),
        size=MUCH_TO_READ,
    ),
    _delivery("D6", "messages of all count", agents_alone=False),
    _delivery("D7", "the last mark is in force", size=MUCH_TO_READ, onwards=False),
    _delivery(
        "D8",
        "a message without an answer stays under way",
        without("send.failed", E.KEEP_UNANSWERED),
    ),
)

"""How long each call can wait, as Markdown tables: how long a spinner may spin.

`support_chat.verify.bounds` computes it from the limits that the chart declares.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from support_chat import Chart, Settings, Trigger
from support_chat.chart.model import Arm
from support_chat.verify import explore
from support_chat.verify.bounds import Bound, Bounds, Limit, Longest, Term, Told, bounds

_LEGEND: Final = """\
The longest wait of each call, by the phase in which it is made and the limits in `Settings` that
add up to it, whatever the adapters do: hang, fail, or answer at the last moment. *Alone*: nothing
else is called after it. *Whatever else is called*: any call or hint may come, also again and again;
where that takes longer, it says by what. *At once*: it is answered in the same step, or refused. A
`timeout` that a call brings takes the place of its limit. The loop is taken not to be blocked.
"""
_TOLD: Final = """\
From the last sign of life of a link, if nothing is heard any more: how long until the session says
so. It is told at once when the link says itself that it is lost.
"""
_LIMITS: Final = """\
What each limit ends, and the calls whose longest wait is longer if it is.
"""
_TIMERS: Final = """\
How long each timer runs. A backend may ask to stay away (`retry_after`); an hour of it is believed.
"""
_CALLED: Final[Mapping[tuple[str, str], str]] = {
    (Trigger.SEND, ""): "`send_message()`, `mark_read()`",
    (Trigger.SEND, "outbox_timeout"): "`send_message()`",
    (Trigger.SEND, "call_timeout"): "`send_message(queue=False)`, `mark_read()`",
    (Trigger.USE, ""): "`conversations()`, `messages()`",
    (Trigger.GO_ONLINE, ""): "`set_online(True)`",
    (Trigger.GO_OFFLINE, ""): "`set_online(False)`",
}
"""What users call a call, where it is not called as its trigger is; by what limits it, if it is
kept.
"""


def has_bounds(chart: Chart) -> bool:
    """Whether the chart says how long what it starts can last."""
    delays = {spec.delay for spec in chart.effects.values() if isinstance(spec, Arm)}
    return chart.semantics is not None and delays <= chart.semantics.spans.keys()


def bounds_tables(chart: Chart, settings: Settings | None = None) -> str:
    """The tables for these settings, the defaults if there are none.

    Raises InvalidInputError for a chart that does not say how long what it starts can last.
    """
    found = bounds(explore(chart), settings or Settings())
    return "\n".join(
        [
            "# How long each call can wait",
            "",
            _LEGEND,
            *_table(
                ("call", "made in", "alone", "whatever else is called", "what adds up"),
                _calls(chart, found),
            ),
            *_section("Until a lost link is told", _TOLD),
            *_table(("told as", "after", "what adds up"), map(_told, found.told)),
            *_section("Limits", _LIMITS),
            *_table(("limit", "seconds", "ends", "calls"), map(_limit, found.limits)),
            *_section("Timers", _TIMERS),
            *_table(("timer", "delay", "at least", "at most", "by"), _timers(found)),
            "",
        ]
    )


def _section(title: str, about: str) -> Sequence[str]:
    return ["", f"## {title}", "", about]


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield "|" + "---|" * len(titles)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _calls(chart: Chart, found: Bounds) -> Iterator[Sequence[str]]:
    """A row for each call and all phases in which it can wait equally long."""
    rows: dict[tuple[str, ...], list[str]] = {}
    order = {name: place for place, name in enumerate((*chart.external, *chart.phases))}
    kept = {(bound.call, bound.phase) for bound in found.calls if bound.kept}
    for bound in sorted(found.calls, key=lambda one: (order[one.call], order[one.phase])):
        if bound.kept or (bound.call, bound.phase) not in kept:
            rows.setdefault(_cells(bound), []).append(f"`{bound.phase}`")
    for (call, *cells), phases in rows.items():
        yield (call, ", ".join(phases), *cells)


def _cells(bound: Bound) -> tuple[str, ...]:
    alone, beside = bound.alone, bound.beside
    by = ", ".join(_called(trigger, "") for trigger in beside.by)
    longer = beside.seconds > alone.seconds
    sums = [_sum(alone.terms), *([_sum(beside.terms)] if longer else [])]
    return (
        _called(bound.call, bound.kept),
        _seconds(alone),
        f"{_seconds(beside)}, by {by}" if longer else _seconds(beside),
        "; ".join(filter(None, sums)),
    )


def _called(trigger: str, kept: str) -> str:
    return _CALLED.get((trigger, kept)) or f"`{trigger}()`" + (f", {kept}" if kept else "")


def _seconds(wait: Longest) -> str:
    if math.isinf(wait.seconds):
        return "without end"
    return _plain(wait.seconds) if wait.seconds else "at once"


def _plain(seconds: float) -> str:
    return f"{seconds:,.3f}".rstrip("0").rstrip(".") + " s"


def _sum(terms: Iterable[Term]) -> str:
    return " + ".join(f"`{term.limit}` {_plain(term.seconds)} ({term.what})" for term in terms)


def _told(told: Told) -> Sequence[str]:
    return f"`{told.phase}`", _seconds(told.beside), _sum(told.beside.terms)


def _limit(limit: Limit) -> Sequence[str]:
    ends = ", ".join(f"`{effect}`" for effect in limit.ends)
    calls = ", ".join(_called(call, "") for call in limit.calls)
    return f"`{limit.name}`", _plain(limit.seconds), ends, calls or "no call's wait depends on it"


def _timers(found: Bounds) -> Iterator[Sequence[str]]:
    for timer, delay, span in found.timers:
        yield f"`{timer}`", f"`{delay}`", _plain(span.least), _plain(span.most), span.by

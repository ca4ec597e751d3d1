"""How long each call of a chart can wait, in each phase, and on which limits that depends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import attrs

from ...chart.model import Arm, Ask, Chart, Hold, Join, Span
from ...lifecycle.chart import ONLINE
from ...lifecycle.names import Phase, Timer, Trigger
from ..explore import Space
from ..ways import Way
from .durations import Durations, durations, limited, span_of
from .longest import Longest, Moves, longest
from .waiting import NOBODY_ANSWERS, Calls, Waiting, during

_MUCH: Final = 1000.0
"""How many times as long a limit is made, to see whether a wait depends on it."""
_Begins: TypeAlias = "dict[tuple[int, Waiting], None]"
"""Where waits begin: the numbers of the states, each once and in order."""
_Calls: TypeAlias = "dict[tuple[str, str], dict[str, _Begins]]"
"""The same of each call, and of each limit of one that is kept, by the phase."""


@attrs.frozen
class Bound:
    """How long a `call` can wait that is made in `phase`, whatever adapters do: if nothing else is
    called after it (`alone`), and whatever else is (`beside`). `kept` is the limit of a call that
    is kept; one that several may bound has a bound for each.
    """

    call: str
    phase: str
    kept: str
    alone: Longest
    beside: Longest


@attrs.frozen
class Told:
    """How long it can take until a lost link is told as `phase`: from the last sign of life, if
    nothing is heard and the loop is not blocked.
    """

    phase: str
    alone: Longest
    beside: Longest


@attrs.frozen
class Limit:
    """A limit, what it ends, and the calls whose wait could be longer if it were."""

    name: str
    seconds: float
    ends: tuple[str, ...]
    calls: tuple[str, ...]


@attrs.frozen
class Bounds:
    """How long everything can take: each call, until a lost link is told, and each timer (its name,
    that of its delay, and how long that is). `limits` are those that the chart declares.
    """

    calls: tuple[Bound, ...]
    told: tuple[Told, ...]
    limits: tuple[Limit, ...]
    timers: tuple[tuple[str, str, Span], ...]


def bounds(space: Space, settings: Any) -> Bounds:
    """How long everything can take, by the limits that the chart declares and these settings say.

    Raises InvalidInputError for a limit that the settings have not, and for a delay of which the
    chart does not say how long it is.
    """
    model = space.model
    lasting = durations(model, settings)
    moves = Moves(space, lasting.bits)
    calls = _calls(moves, Calls(model, settings))
    found = tuple(_bounds(moves, lasting, calls))
    arms = (spec for spec in model.chart.effects.values() if isinstance(spec, Arm))
    return Bounds(
        found,
        tuple(_told(moves, lasting, settings)),
        tuple(_limits(moves, lasting, calls, found, settings)),
        tuple((arm.timer, arm.delay, span_of(model, arm.delay, settings)) for arm in arms),
    )


def _calls(moves: Moves, calls: Calls) -> _Calls:
    """Where the waits of calls begin; nowhere, where one is always answered at once."""
    space = moves.space
    made = {way: calls.begun_by(way) for way in dict.fromkeys(space.ways) if _is_outside(way)}
    answered = {way.happening.trigger for way, waits in made.items() if waits is not None}
    found: dict[tuple[str, str], dict[str, _Begins]] = {}
    for number, edge in space.entries():
        way, after = space.ways[edge], space.afters[edge]
        if way in made and way.happening.trigger in answered:
            call, phase = way.happening.trigger, space.model.phase_of(space.states[number])
            waits = made[way]
            if waits == ():
                found.setdefault((call, ""), {}).setdefault(phase, {})
            for waiting in (NOBODY_ANSWERS,) if waits is None else waits:
                begins = found.setdefault((call, waiting.kept), {}).setdefault(phase, {})
                if waiting.allows(moves.begins(way), space.states[after]):
                    begins[after, waiting] = None
    return found


def _is_outside(way: Way) -> bool:
    return bool(way.rows) and not way.happening.of


def _bounds(moves: Moves, lasting: Durations, calls: _Calls) -> Iterator[Bound]:
    for (call, kept), by_phase in calls.items():
        everywhere = [begin for begins in by_phase.values() for begin in begins]
        enough = longest(moves, lasting, everywhere, calls=True).seconds
        for phase, begins in by_phase.items():
            beside = longest(moves, lasting, begins, calls=True, enough=enough)
            alone = longest(moves, lasting, begins, calls=False, enough=beside.seconds)
            yield Bound(call, phase, kept, alone, beside)


def _told(moves: Moves, lasting: Durations, settings: Any) -> Iterator[Told]:
    """From whichever state with a link, at the moment of the last sign of life."""
    model, states = moves.space.model, moves.space.states
    if not {Timer.SILENCE, Timer.GIVE_UP} <= model.running.keys():
        return
    silence = limited(Timer.SILENCE, "silence_timeout", settings)
    online = [number for number, state in enumerate(states) if model.phase_of(state) in ONLINE]
    for phase, before in (
        (Phase.RECONNECTING, ONLINE),
        (Phase.DISCONNECTED, (*ONLINE, Phase.RECONNECTING)),
    ):
        timers = (Timer.SILENCE, Timer.GIVE_UP)
        waiting = during(model, before, timers, {Timer.SILENCE: silence})
        begins = [(number, waiting) for number in online]
        found = partial(longest, moves, lasting, begins, unless=(Trigger.LINK_UP,))
        beside = found(calls=True)
        yield Told(phase, found(calls=False, enough=beside.seconds), beside)


# --- limits ---------------------------------------------------------------------------------------


def _limits(
    moves: Moves, lasting: Durations, calls: _Calls, found: Sequence[Bound], settings: Any
) -> Iterator[Limit]:
    ends = _ends(moves.space.model.chart)
    depends = {limit: _of(found, limit) for limit in ends}
    # the others have a time of their own, whatever lasts longer
    open_ = {key: by_phase for key, by_phase in calls.items() if _is_open(by_phase)}
    while rest := [limit for limit, its in depends.items() if not its]:
        longer = tuple(_bounds(moves, lasting.stretched(rest, _MUCH), open_))
        more = {limit: _of(longer, limit) for limit in rest}
        if not any(more.values()):
            break
        depends |= more
    for limit, effects in ends.items():
        seconds = limited(limit, limit, settings).seconds
        yield Limit(limit, seconds, tuple(effects), tuple(depends[limit]))


def _is_open(by_phase: Mapping[str, _Begins]) -> bool:
    waits = {waiting for begins in by_phase.values() for _, waiting in begins}
    return any(waiting.own is None and not waiting.latest for waiting in waits)


def _ends(chart: Chart) -> Mapping[str, Sequence[str]]:
    """What each limit ends."""
    ends: dict[str, list[str]] = {}
    for effect, spec in chart.effects.items():
        match spec:
            case Ask(limit=limit) | Join(limit=str(limit)):
                ends.setdefault(limit, []).append(effect)
            case Hold(limit=limit, linked=linked):
                for each in filter(None, (limit, linked)):
                    ends.setdefault(each, []).append(effect)
            case _:
                pass
    return ends


def _of(bounds: Iterable[Bound], limit: str) -> Sequence[str]:
    """The calls whose longest wait has this limit in it."""
    return list(
        dict.fromkeys(
            bound.call
            for bound in bounds
            if any(term.limit == limit for way in (bound.alone, bound.beside) for term in way.terms)
        )
    )

"""Judges a log by following the set of all states in which its client may be.

A log says little (a trigger, a phase) or more (facts, rows, effects). A step leads from each state
of the set to every state that the model allows and the log does not deny; where no state is left,
the log is no path of the chart and its ledger. So a verdict "no" is certain, and a "yes" is as
strong as the log says much.

What is late changes nothing, and the model does not explore it. It is possible where a request of
that effect, or a link of that lane, has ended or been superseded before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from string import ascii_uppercase

import attrs

from ..chart.model import Ask, Carried, Chart, Present, Raise, Same, Transition
from .explore import explore
from .logs import LogFault, Logged, read
from .model import Happening, Model, State, Step
from .views import View


@attrs.frozen(kw_only=True)
class RuledOut:
    """A row that would want a trigger in a phase, and why it cannot have been it: the guards that
    do not hold (`needs` a fact, or `not` one), or what else it would have led to.
    """

    row: str
    guards: tuple[str, ...]
    because: str


@attrs.frozen(kw_only=True)
class Possibility:
    """A state in which a client may be when a step comes that it cannot take, in words, and why it
    cannot: `because` in general, `rows` row by row.
    """

    phase: str
    registers: Mapping[str, str | None]
    facts: tuple[str, ...]
    ledger: tuple[str, ...]
    because: str
    rows: tuple[RuledOut, ...]


@attrs.frozen(kw_only=True)
class Traced:
    """What became of a log: a path of the chart, if there is no `fault`; else the fault is at this
    `line`, and `possible` are the states that were possible before it.

    `steps` is how many steps are a path, `states` how many states are possible after them.
    """

    steps: int
    states: int
    line: int = 0
    fault: str = ""
    possible: tuple[Possibility, ...] = ()


def trace_log(
    chart: Chart | Model, lines: Iterable[str], *, max_states: int | None = None
) -> Traced:
    """Whether these lines are a log of a path of the chart and its ledger; of many logs each is
    judged sooner if the chart comes as one model.

    A log that begins in mid-life needs every reachable state; with more than `max_states` of them
    it cannot be judged, and counts as faulty.
    """
    steps, judge = 0, Judge(chart if isinstance(chart, Model) else Model(chart))
    try:
        log = read(judge.model.chart, lines)
        if log.begins is not None:
            judge.begin_anywhere(log.begins, max_states)
        for logged in log:
            if possible := judge.take(logged):
                return Traced(
                    steps=steps,
                    states=len(judge.states),
                    line=logged.line,
                    fault=f"{logged.trigger} cannot lead to {logged.phase} here.",
                    possible=possible,
                )
            steps += 1
    except LogFault as fault:
        return Traced(steps=steps, states=len(judge.states), line=fault.line, fault=fault.reason)
    return Traced(steps=steps, states=len(judge.states))


@attrs.frozen
class _Option:
    """A way to take a trigger: the facts that hold when it comes, and which of all facts that
    says.
    """

    step: Step
    facts: int
    known: int


class Judge:
    """The states in which a client may be, from the initial one, or from `begin` on."""

    def __init__(self, model: Model, begin: State | None = None) -> None:
        self.model, chart = model, model.chart
        self.states: dict[State, int] = {model.initial if begin is None else begin: 0}
        """And with each the bits of the ledger of which one has ended or been superseded."""
        self._ends = sum({*model.asked.values(), *model.open.values()})
        self._internal = _internal(chart)
        self._options = cache(self._options_of)

    def begin_anywhere(self, phase: str, max_states: int | None = None) -> None:
        """The client has begun before, and is in this phase. Raises LogFault if there are more
        than `max_states` states, or none in that phase.
        """
        space = explore(self.model.chart, max_states=max_states)
        if not space.complete:
            raise LogFault(
                1, f"The chart has more than {max_states:,} states: begin where a session begins."
            )
        here = [state for state in space.states if self.model.phase_of(state) == phase]
        if not here:
            raise LogFault(1, f"No client comes into the phase {phase!r}.")
        self.states = dict.fromkeys(here, self._ends)

    def take(self, logged: Logged) -> tuple[Possibility, ...]:
        """Takes a step; returns nothing, or, if no state allows it, what was possible."""
        after: dict[State, int] = {}
        for state, ended in self.states.items():
            for into, more in self._after(state, ended, logged):
                after[into] = after.get(into, 0) | more
        if not after:
            return tuple(self._explained(logged))
        self.states = after
        return ()

    def why_not(self, trigger: str) -> tuple[Possibility, ...]:
        """Each state that is possible, and what of its rows rules this trigger out, or where they
        lead.
        """
        return tuple(self._explained(Logged(line=0, trigger=trigger, phase="")))

    # --- where a step may lead --------------------------------------------------------------------

    def _after(self, state: State, ended: int, logged: Logged) -> Iterator[tuple[State, int]]:
        model = self.model
        if logged.late:
            rows = self._late_rows(model.phase_of(state), logged.trigger)
            stays = logged.phase == model.phase_of(state)
            if stays and self._may_be_late(ended, logged) and _says(logged, rows):
                yield state, ended
            return
        for option in self._options(state, logged.trigger):
            if self._fits(option, logged):
                step = option.step
                if model.phase_of(step.after) == logged.phase and _says(logged, step.rows):
                    yield step.after, ended | self._ended(step)

    def _options_of(self, state: State, trigger: str) -> Sequence[_Option]:
        model, chart = self.model, self.model.chart
        found = [each for each in model.happenings(state) if each.trigger == trigger]
        late = () if chart.late is None else (chart.late,)
        known = (
            sum(model.fact.values()) & ~sum(model.fact[f] for f in late) & ~self._open_facts(found)
        )
        options: list[_Option] = []
        for each in found:
            facts = model.facts_of(state, each.named) | each.carried
            ways = model.take(state, each)
            if not ways and not each.spends:
                ways = [Step(state, each, (), state, state)]
            options += [_Option(way, facts, known) for way in ways]
        return options

    def _open_facts(self, found: Sequence[Happening]) -> int:
        """The facts that these happenings do not tell apart: what comes along and no row reads."""
        model, chart = self.model, self.model.chart
        offered = 0
        for each in found:
            offered |= each.carried
        unnamed = {each.named for each in found} == {0}
        of_named = {fact for fact in chart.facts if unnamed and self._is_of_named(fact)}
        return sum(
            bit
            for fact, bit in model.fact.items()
            if fact in of_named or (isinstance(chart.facts[fact], Carried) and not bit & offered)
        )

    def _is_of_named(self, fact: str) -> bool:
        """Whether it says something of whom a trigger names."""
        named, kind = self.model.chart.named, self.model.chart.facts[fact]
        if isinstance(kind, Same):
            return named in (kind.left, kind.right)
        return isinstance(kind, Present) and kind.register == named

    def _fits(self, option: _Option, logged: Logged) -> bool:
        if logged.of is not None and option.step.happening.of != logged.of:
            return False
        return not self._denied(option, logged)

    def _denied(self, option: _Option, logged: Logged) -> list[str]:
        """The facts that the log says otherwise."""
        bits = self.model.fact
        return [
            fact
            for fact, holds in logged.facts.items()
            if option.known & bits[fact] and bool(option.facts & bits[fact]) != holds
        ]

    def _ended(self, step: Step) -> int:
        """The bits of the ledger of which this step ends or supersedes one."""
        asked = 0
        for row in step.rows:
            for effect in row.effects:
                asked |= self.model.asked.get(effect, 0)
        before, after = step.before, step.after
        gone = (before | asked) & ~after | before & asked
        return (gone | self.model.asked.get(step.happening.of, 0)) & self._ends

    def _may_be_late(self, ended: int, logged: Logged) -> bool:
        chart, model = self.model.chart, self.model
        bits = sum(
            model.asked[effect]
            for effect, spec in chart.effects.items()
            if isinstance(spec, Ask)
            and logged.trigger in spec.outcomes
            and logged.of in (None, effect)
        )
        lane = chart.events.get(logged.trigger)
        return bool(ended & (bits | (0 if lane is None else model.open.get(lane, 0))))

    def _late_rows(self, phase: str, trigger: str) -> tuple[Transition, ...]:
        chart = self.model.chart
        return tuple(row for row in chart.rows(phase, trigger) if chart.late in row.when)

    # --- why it leads nowhere ---------------------------------------------------------------------

    def _explained(self, logged: Logged) -> Iterator[Possibility]:
        model = self.model
        for state, ended in self.states.items():
            because, rows = self._why_not(state, ended, logged)
            view = View(model, state)
            held = zip(model.chart.registers, model.registers_of(state), strict=True)
            yield Possibility(
                phase=str(view.phase),
                registers={str(r): ascii_uppercase[who - 1] if who else None for r, who in held},
                facts=tuple(map(str, view.facts())),
                ledger=view.ledger(),
                because=because,
                rows=rows,
            )

    def _why_not(
        self, state: State, ended: int, logged: Logged
    ) -> tuple[str, tuple[RuledOut, ...]]:
        trigger, phase = logged.trigger, self.model.phase_of(state)
        if logged.late:
            if trigger not in self.model.chart.superseding:
                return f"{trigger} is never late", ()
            if not self._may_be_late(ended, logged):
                return f"nothing that {trigger} could be late of has ended before", ()
            return f"what is late changes nothing, and stays in {phase}", ()
        options = self._options(state, trigger)
        if not options:
            internal = trigger in self._internal
            return (
                f"{trigger} is internal: it is part of the step that raises it"
                if internal
                else f"nothing under way ends in {trigger}"
            ), ()
        meant = [each for each in options if logged.of in (None, each.step.happening.of)]
        if not meant:
            return f"{logged.of} is not under way", ()
        fitting = [each for each in meant if not self._denied(each, logged)]
        if not fitting:
            denied = min((self._denied(each, logged) for each in meant), key=len)
            says = [fact if logged.facts[fact] else f"not {fact}" for fact in denied]
            return f"the log says {', '.join(says)}", ()
        rows = tuple(
            ruled
            for row in self.model.chart.rows(phase, trigger)
            if self.model.chart.late not in row.when
            for ruled in (self._ruled_out(row, fitting, logged),)
        )
        return ("" if rows else f"no row wants {trigger} in {phase}: it stays there"), rows

    def _ruled_out(self, row: Transition, fitting: Sequence[_Option], logged: Logged) -> RuledOut:
        fired = [each.step for each in fitting if each.step.rows[:1] == (row,)]
        if fired:
            phases = dict.fromkeys(str(self.model.phase_of(step.after)) for step in fired)
            leads = f"leads to {' or '.join(phases)}"
            if logged.phase in phases:
                said = [step for step in fired if self.model.phase_of(step.after) == logged.phase]
                names = " + ".join(each.name for each in said[0].rows)
                effects = ", ".join(e for each in said[0].rows for e in each.effects)
                leads = f"goes by {names}, and asks for {effects or 'nothing'}"
            return RuledOut(row=row.name, guards=(), because=leads)
        bits = self.model.fact
        unmet = [
            tuple(
                f"needs {fact}" if fact in row.when else f"needs not {fact}"
                for fact in (*row.when, *row.unless)
                if bool(each.facts & bits[fact]) != (fact in row.when)
            )
            for each in fitting
        ]
        return RuledOut(row=row.name, guards=min(unmet, key=len), because="")


def _says(logged: Logged, rows: Sequence[Transition]) -> bool:
    """Whether the log says that these rows fired, and that they asked for what they ask for."""
    effects = tuple(effect for row in rows for effect in row.effects)
    return logged.rows in (None, tuple(row.name for row in rows)) and logged.effects in (
        None,
        effects,
    )


def _internal(chart: Chart) -> frozenset[str]:
    raised = {spec.trigger for spec in chart.effects.values() if isinstance(spec, Raise)}
    return frozenset(raised.difference(chart.external))

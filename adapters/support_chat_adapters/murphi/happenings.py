"""What can happen, as the rules of Murphi: one rule for each trigger and what it comes of, whatever
the phase.

A rule's parameters are what comes along (whom the trigger names, the facts) and the `choices` that
the step leaves to the context; each combination that makes a difference is a step of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

import attrs

from support_chat.chart.model import Arm, Ask, Chart, Join, Present, Raise, Same, Transition

from .effects import Effects
from .names import Names, quoted
from .rows import any_of, current


@attrs.frozen
class Rule:
    """One thing that can happen: `trigger`, as the outcome, event or expiry `of` something.

    `needs` is the field of the ledger without which it cannot happen, `spends` are those that are
    cleared by it. With `always` it is a step also where no row wants it, as one that spends is.
    """

    name: str
    trigger: str
    of: str = ""
    needs: str | None = None
    spends: tuple[str, ...] = ()
    always: bool = False


def rules(names: Names) -> tuple[Rule, ...]:
    """Everything that can happen."""
    return tuple(_rules(names))


def _rules(names: Names) -> Iterator[Rule]:
    chart, specs = names.chart, names.chart.effects
    for trigger in chart.external:
        if trigger not in chart.events:
            yield Rule(_plain(trigger), trigger, always=True)
    for trigger, lane in chart.events.items():
        if lane in names.open:
            yield Rule(_told(trigger, lane), trigger, lane, names.open[lane], always=True)
    for effect, field in names.asked.items():
        spec = specs[effect]
        assert isinstance(spec, Ask), "what is asked is an Ask"
        for trigger in spec.outcomes:
            erased = spec.erases if trigger == spec.success else ()
            spends = (field, *(names.stored[key] for key in erased))
            yield Rule(_told(trigger, effect), trigger, effect, field, spends)
        if spec.several:
            for trigger in spec.outcomes:
                yield Rule(f"{_told(trigger, effect)}, not the last", trigger, effect, field)
    abandoned = {s.slot: s.abandoned for s in specs.values() if isinstance(s, Join) and s.abandoned}
    for slot, trigger in abandoned.items():
        yield Rule(_told(trigger, slot), trigger, slot, names.waiting[slot], always=True)
    for timer, field in names.running.items():
        arms = (spec for spec in specs.values() if isinstance(spec, Arm) and spec.timer == timer)
        for trigger in dict.fromkeys(arm.expiry for arm in arms):
            yield Rule(_told(trigger, timer), trigger, timer, field, (field,))


def _plain(text: str) -> str:
    return quoted(text)[1:-1]


def _told(trigger: str, of: str) -> str:
    return _plain(f"{trigger} of {of}")


@attrs.frozen
class Apart:
    """What of a trigger is told apart in a phase: these facts, and whom it names; or nothing."""

    facts: frozenset[str]
    named: bool


def told_apart(chart: Chart, phase: str, trigger: str) -> Apart:
    """What this trigger carries; if the chart does not say it, what the rows of the trigger read or
    take, and those of the internal triggers that carry it on.
    """
    if chart.carries is not None:
        brought = chart.carries.get(trigger, ())
        return Apart(frozenset(brought), chart.named is not None and chart.named in brought)
    rows: list[Transition] = []
    todo, seen = [(phase, trigger)], set[tuple[str, str]]()
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        for row in chart.rows(*at):
            rows.append(row)
            specs = (chart.effects[effect] for effect in row.effects)
            carried = [s.trigger for s in specs if isinstance(s, Raise) and s.carries]
            todo += [(row.target or at[0], each) for each in carried]
    read = frozenset(fact for row in rows for fact in (*row.when, *row.unless))
    named = chart.named is not None and (
        any(chart.named in _registers(chart, fact) for fact in read)
        or any(chart.named in row.assigns.values() for row in rows)
    )
    return Apart(read, named)


def _registers(chart: Chart, fact: str) -> tuple[str, ...]:
    match chart.facts[fact]:
        case Same(left=left, right=right):
            return (left, right)
        case Present(register=register):
            return (register,)
        case _:
            return ()


def most_choices(effects: Effects) -> Callable[[str, str], int]:
    """How many choices one step may take that begins in a phase with a trigger, if no row fires
    more than twice in it.
    """
    chart = effects.names.chart
    seen: dict[tuple[str, tuple[str, ...], tuple[str, ...]], int] = {}
    by_pair: dict[tuple[str, str], list[tuple[Transition, int, tuple[str, ...]]]] = {}
    for row in current(effects.names):
        specs = (chart.effects[effect] for effect in row.effects)
        raised = tuple(spec.trigger for spec in specs if isinstance(spec, Raise))
        for pair in dict.fromkeys((s, t) for t in row.trigger for s in row.sources):
            by_pair.setdefault(pair, []).append((row, len(effects.left_open(row)), raised))

    def most(phase: str, queue: tuple[str, ...], fired: tuple[str, ...]) -> int:
        if not queue:
            return 0
        key = phase, queue, fired
        if key not in seen:
            rest = queue[1:]
            found = [most(phase, rest, fired)]
            for row, opened, raised in by_pair.get((phase, queue[0]), ()):
                if fired.count(row.name) < 2:
                    after = most(
                        row.target or phase, rest + raised, tuple(sorted((*fired, row.name)))
                    )
                    found.append(opened + after)
            seen[key] = max(found)
        return seen[key]

    return lambda phase, trigger: most(phase, (trigger,), ())


@attrs.frozen
class Happening:
    """A rule made ready to be written, with the facts that come along, the phases that have rows
    for it, and in each of them what is told apart and how many choices a step may take.

    Its ways are numbered from `first`: of a way, the rest by `choices` says what is left open, the
    rest by the facts which of them come along, and what remains whom it names.
    """

    rule: Rule
    name: str
    first: int
    facts: tuple[str, ...]
    where: tuple[str, ...]
    apart: Mapping[str, Apart]
    most: Mapping[str, int]
    users: int

    @property
    def choices(self) -> int:
        """In how many ways what is left open may go."""
        return 1 << max(self.most.values(), default=0)

    @property
    def named(self) -> tuple[str, ...]:
        """The phases in which whom it names makes a difference."""
        return tuple(phase for phase, apart in self.apart.items() if apart.named)

    @property
    def ways(self) -> int:
        """How many ways it has."""
        return (self.choices << len(self.facts)) * (self.users + 1 if self.named else 1)

    def of(self, number: int) -> tuple[int, frozenset[str]]:
        """Whom the way of this number names, and the facts that come along."""
        rest = (number - self.first) // self.choices
        come = frozenset(fact for i, fact in enumerate(self.facts) if rest >> i & 1)
        return rest >> len(self.facts), come


def happenings_of(effects: Effects, users: int) -> tuple[Happening, ...]:
    """Everything that can happen, what has the most ways first."""
    names, most = effects.names, most_choices(effects)
    chart, taken = names.chart, set[str]()
    found: list[Happening] = []
    for rule in rules(names):
        apart = {phase: told_apart(chart, phase, rule.trigger) for phase in chart.phases}
        where = tuple(phase for phase in chart.phases if chart.rows(phase, rule.trigger))
        facts = tuple(f for f in names.brought if any(f in each.facts for each in apart.values()))
        word = "ev_" + re.sub(r"\W+", "_", rule.name, flags=re.ASCII)
        while word in taken:
            word += "_"
        taken.add(word)
        choices = {phase: most(phase, rule.trigger) for phase in where}
        found.append(Happening(rule, word, 0, facts, where, apart, choices, users))
    found.sort(key=lambda each: -each.ways)
    firsts = accumulate((each.ways for each in found), initial=0)
    return tuple(
        attrs.evolve(each, first=first) for each, first in zip(found, firsts, strict=False)
    )


def read(names: Names, each: Happening) -> Iterator[str]:
    """What a way says: whom it names, what comes along, and how many ways there are from here."""
    count, facts = each.choices, len(each.facts)
    if each.ways > 1:
        yield f"way := number - {each.name};"
    if each.named:
        yield f"named := way / {count << facts};"
    for number, fact in enumerate(each.facts):
        yield f"{names.brought[fact]} := (way / {count << number}) % 2 = 1;"
    if count > 1:
        yield f"choices := way % {count}; room := {count};"
    for most in sorted({2**most for most in each.most.values()} - {count}):
        phases = [phase for phase, some in each.most.items() if 2**some == most]
        yield f"if {_in(names, phases)} then room := {most}; end;"


def condition(names: Names, each: Happening) -> str:
    """When it can happen, and with what."""
    rule = each.rule
    conditions = [] if rule.needs is None else [rule.needs]
    if not rule.spends:  # what is spent ends, whether or not the phase has a row for it
        conditions.append(_in(names, each.where))
    if each.choices > 1:
        conditions.append("choices < room")
    for fact in each.facts:
        reading = [phase for phase, apart in each.apart.items() if fact in apart.facts]
        conditions.append(_or(_in(names, reading), f"!{names.brought[fact]}"))
    if each.named:
        conditions.append(_or(_in(names, each.named), "named = NOBODY"))
        # users are numbered in the order of the registers: the next number is anybody else
        conditions.append("named <= newest() + 1")
        if rule.trigger in names.chart.naming:
            elsewhere = [phase for phase in names.phase if phase not in each.named]
            conditions.append(_or(_in(names, elsewhere), "named != NOBODY"))
    return " & ".join(each for each in conditions if each != "true") or "true"


def beginning(names: Names, each: Happening) -> Iterator[str]:
    """What a step begins with: its trigger, and what is spent."""
    yield f"queue[1] := {names.trigger[each.rule.trigger]};"
    yield from (f"{name} := false;" for name in each.rule.spends)
    if not (each.rule.spends or each.rule.always):
        yield "wanted := true;"


def _in(names: Names, phases: Sequence[str]) -> str:
    if not phases:
        return "false"
    return any_of("phase", [names.phase[phase] for phase in phases], len(names.phase))


def _or(one: str, other: str) -> str:
    return "true" if one == "true" else other if one == "false" else f"({one} | {other})"

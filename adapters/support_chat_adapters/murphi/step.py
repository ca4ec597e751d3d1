"""One step of a model: what can happen, the rows that fire, and what is judged of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from . import happenings
from .effects import Effects
from .formulas import negated, written
from .happenings import Happening
from .judged import Judged, Judgement
from .names import Names, quoted
from .readings import FIRED, TRIGGER
from .rows import clause, current, indented


def may_happen(names: Names, found: Sequence[Happening]) -> Iterator[str]:
    """Which of the ways are open in a state."""
    yield "function may_happen(number: Number): boolean;"
    yield "var"
    yield from _what_comes(names)
    yield "begin"
    for each, end in _ends(found):
        yield f"  if number < {end} then"
        yield from indented(" ".join(happenings.read(names, each)), "    ")
        yield from indented(f"return {happenings.condition(names, each)};", "    ")
        yield "  end;"
    yield "  return false;"
    yield "end;"


def rule(
    effects: Effects, found: Sequence[Happening], judged: Judged, counted: bool
) -> Iterator[str]:
    """The step that each way is."""
    names, reads = effects.names, judged.reads
    yield "ruleset number: 0..ENDS - 1 do"
    yield 'rule "something happens"'
    yield "  may_happen(number)"
    yield "==>"
    yield "var"
    yield from _variables(effects, judged)
    yield "begin"
    yield from indented(" ".join(_beginning(effects, judged)), "  ")
    for number, (each, end) in enumerate(_ends(found)):
        yield f"  {'elsif' if number else 'if'} number < {end} then"
        told = [*happenings.read(names, each), *happenings.beginning(names, each)]
        yield from indented(" ".join(told), "    ")
    yield "  end;"
    yield "  rest := choices;"
    yield f"  {TRIGGER} := queue[1];"
    yield ""
    yield from _firing(effects, reads, _broken(judged))
    yield ""
    yield "  -- a choice that nothing has left open is no step, nor is an answer that nobody wants"
    yield "  assume rest = 0;"
    yield '  if room = 0 then error "a row fires three times in a step"; end;'
    yield "  assume !wanted | rows > 0;"
    if FIRED in reads:
        yield from _not_thrice()
    for judgement in judged.judgements:
        if not judgement.of_states:
            yield from _judging(judgement, counted)
    yield ""
    yield "  -- users are called by numbers in the order of the registers that they are met in"
    yield "  clear known; count := NOBODY;"
    for r in names.register.values():
        yield f"  if {r} != NOBODY then"
        yield f"    if known[{r}] = NOBODY then count := count + 1; known[{r}] := count; end;"
        yield f"    {r} := known[{r}];"
        yield "  end;"
    yield "end;"
    yield "end;"


def of_states(judged: Judged, counted: bool) -> Iterator[str]:
    """What is judged of each state."""
    for each in judged.judgements:
        if each.of_states:
            yield ""
            if counted:
                yield f"cover {quoted(each.property.id)}"
                yield from indented(f"{written(negated(each.formula))};", "  ")
            else:
                yield f"invariant {_label(each)}"
                yield from indented(f"{written(each.formula)};", "  ")


def _ends(found: Sequence[Happening]) -> Iterator[tuple[Happening, str]]:
    """What can happen, and the number after its last way."""
    for each, after in zip_longest(found, found[1:]):
        yield each, after.name if after else "ENDS"


def _what_comes(names: Names) -> Iterator[str]:
    yield "  way: Number; named: Who; choices: Choices; room: Choices;"
    yield from (f"  {name}: boolean;" for name in names.brought.values())


def _variables(effects: Effects, judged: Judged) -> Iterator[str]:
    names, reads = effects.names, judged.reads
    yield from _what_comes(names)
    yield f"  {TRIGGER}: Trigger; on: Trigger; brings: boolean; who: Who; wanted: boolean;"
    yield "  rest: Choices; rows: 0..LONGEST_RUN;"
    yield "  taken: 0..LONGEST_RUN; raised: 0..LONGEST_RUN;"
    yield "  queue: array [1..LONGEST_RUN] of Trigger; carried: array [1..LONGEST_RUN] of boolean;"
    yield "  known: array [Who] of Who; count: Who;"
    yield from (f"  {name}_is_open: boolean;" for name in effects.openable)
    yield from (f"  before_{name}: Who;" for name in names.register.values())
    for name in _remembered(names, reads):
        kind = "Phase" if name == "phase" else "Who" if name in names.register.values() else ""
        yield f"  was_{name}: {kind or 'boolean'};"
    yield from (f"  {name}: boolean;" for name in names.effect.values() if name in reads)
    yield from (f"  {_broke(each)}: boolean;" for each in judged.judgements if each.effects)
    if FIRED in reads:
        yield "  fired: array [1..LONGEST_RUN] of Row;"


def _beginning(effects: Effects, judged: Judged) -> Iterator[str]:
    names, reads = effects.names, judged.reads
    yield "named := NOBODY; choices := 0; room := 1;"
    yield from (f"{name} := false;" for name in names.brought.values())
    yield from (f"{name}_is_open := false;" for name in effects.openable)
    yield "rows := 0; wanted := false; taken := 0; raised := 1; carried[1] := true;"
    yield from (f"was_{name} := {name};" for name in _remembered(names, reads))
    yield from (f"{name} := false;" for name in names.effect.values() if name in reads)
    yield from (f"{_broke(each)} := false;" for each in judged.judgements if each.effects)
    if FIRED in reads:
        yield "clear fired;"


def _remembered(names: Names, reads: frozenset[str]) -> tuple[str, ...]:
    """The variables of a state whose values before the step are asked for."""
    every = ("phase", *names.register.values(), *names.variables)
    return tuple(name for name in every if f"was_{name}" in reads)


def _firing(
    effects: Effects, reads: frozenset[str], broken: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """The trigger and then, first raised, first fired, the internal ones fire a row each, if one's
    guard holds.
    """
    names = effects.names
    yield "  while taken < raised do"
    yield "    taken := taken + 1;"
    yield "    on := queue[taken]; brings := carried[taken];"
    yield "    if brings then who := named; else who := NOBODY; end;"
    yield "    switch on"
    for trigger, constant in names.trigger.items():
        rows = [row for row in current(names) if trigger in row.trigger]
        if rows:
            yield f"    case {constant}:"
            for number, row in enumerate(rows):
                yield f"    -- {row.name} ({row.group})"
                for line, text in enumerate(clause(effects, row, reads, broken)):
                    first = ("    elsif " if number else "    if ") if line == 0 else "    "
                    yield f"{first}{text}"
            yield "    end;"
            yield ""
    yield "    end;"
    yield "  end;"


def _broken(judged: Judged) -> Mapping[str, Sequence[str]]:
    """What is judged at the moment at which an effect is asked."""
    found: dict[str, list[str]] = {}
    for each in judged.judgements:
        for effect in each.effects:
            told = f"if {written(negated(each.formula))} then {_broke(each)} := true; end;"
            found.setdefault(effect, []).append(told)
    return found


def _judging(each: Judgement, counted: bool) -> Iterator[str]:
    wrong = _broke(each) if each.effects else written(negated(each.formula))
    right = f"!{_broke(each)}" if each.effects else written(each.formula)
    yield ""
    if right == "true":
        yield f"  -- {each.property.id}: the rows make it true, whatever the state"
    yield f"  {'cover' if counted else 'assert'}"
    yield from indented(wrong if counted else right, "    ")
    yield f"    {quoted(each.property.id) if counted else _label(each)};"


def _label(each: Judgement) -> str:
    return quoted(f"{each.property.id}: {each.property.sentence}")


def _broke(each: Judgement) -> str:
    return f"broke_{re.sub(r'[^0-9A-Za-z]', '_', each.property.id)}"


def _not_thrice() -> Iterator[str]:
    """What is judged row by row takes it that no row fires three times in a step."""
    yield "  if rows > 2 then"  # a loop that goes nowhere would go backwards
    yield "    for i := 1 to rows do for j := 1 to rows do for k := 1 to rows do"
    yield "      if i < j & j < k & fired[i] = fired[j] & fired[j] = fired[k] then"
    yield '        error "a row fires three times in a step";'
    yield "      end;"
    yield "    end; end; end;"
    yield "  end;"

"""A counterexample as a story: what happens, step by step, in the words of the API, and what is
true after each step.

A model knows users by numbers and renames them as it goes, so the same number may be one user now
and another later. A story calls them A, B, C: whoever is in a register keeps the name, and one who
comes anew gets the first that nobody there has.

`occurrences` is the same as data, with concrete users, for whoever wants to play it back on a real
session.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_uppercase
from types import MappingProxyType
from typing import Final, TypeAlias

import attrs

from ..chart.model import Ask, Chart
from .model import Model, Step
from .properties import Verdict
from .views import View
from .wording import Saying, saying_of

Names: TypeAlias = Mapping[int, str]
"""What the users are called whom a state knows by numbers."""
NOBODY: Final[Names] = MappingProxyType({})
"""Of whom nobody is known."""


@attrs.frozen(kw_only=True)
class Occurrence:
    """One step of a story, with everybody called by name.

    `trigger` happens, naming `user` (None: nobody), with the facts `carried` that come along; `of`
    is what it is the outcome, event or expiry of (an effect, a lane, a timer; empty for a call or
    hint). `rows` are the transitions that fire, `effects` what they ask, in order. Afterwards the
    phase is `phase`, `registers` says who is who, `facts` are the facts that hold and `ledger` is
    what is under way. `words` tells it, `by` says who brings it about.
    """

    trigger: str
    user: str | None
    carried: tuple[str, ...]
    of: str
    words: str
    by: str
    rows: tuple[str, ...]
    effects: tuple[str, ...]
    phase: str
    registers: Mapping[str, str | None]
    facts: tuple[str, ...]
    ledger: tuple[str, ...]


def occurrences(model: Model, verdict: Verdict) -> tuple[Occurrence, ...]:
    """What happens on a shortest way to the failure, and then on the round that lasts for ever, if
    there is one.
    """
    return tuple(occurred(model, (*verdict.story, *verdict.round)))


def occurred(model: Model, steps: Sequence[Step], known: Names = NOBODY) -> Iterator[Occurrence]:
    """The occurrences of steps that follow each other from the initial state; users whose numbers
    are `known` keep these names.
    """
    names = known
    for step in steps:
        one, names = occurrence(model, step, names)
        names = {**known, **names}
        yield one


def occurrence(model: Model, step: Step, names: Names) -> tuple[Occurrence, Names]:
    """A step as it is told where users have these names, and the names that they have after it."""
    happening, after = step.happening, View(model, step.raw)
    names = {
        happening.named: next(name for name in letters() if name not in names.values()),
        **names,
    }
    user = names[happening.named] if happening.named else None
    carried = model.names(happening.carried)
    saying = saying_of(happening.trigger) or _by_name(happening.trigger, happening.of)
    held = model.registers_of(step.raw)
    told = Occurrence(
        trigger=str(happening.trigger),
        user=user,
        carried=tuple(map(str, carried)),
        of=str(happening.of),
        words=saying.text_for(user, carried),
        by=saying.by,
        rows=tuple(row.name for row in step.rows),
        effects=tuple(str(effect) for row in step.rows for effect in row.effects),
        phase=str(after.phase),
        registers={
            str(r): names[who] if who else None
            for r, who in zip(model.chart.registers, held, strict=True)
        },
        facts=tuple(map(str, after.facts())),
        ledger=after.ledger(),
    )
    renamed = zip(model.registers_of(step.after), held, strict=True)
    return told, {number: names[who] for number, who in renamed if who}


def letters() -> Iterator[str]:
    """What users are called: A, B, C, and so on without end."""
    yield from ascii_uppercase
    number = 1
    while True:
        yield f"U{number}"
        number += 1


def _by_name(trigger: str, of: str) -> Saying:
    told = f"{trigger}{{facts}}" if of else f"{trigger}({{user}})"
    return Saying("world" if of else "user", told, alone=str(trigger) if of else f"{trigger}()")


def story(model: Model, verdict: Verdict) -> str:
    """A counterexample for people: numbered steps, each with the rows that fire and what is true
    afterwards.
    """
    told = occurrences(model, verdict)
    lines = [f"The session begins in the phase {model.chart.initial}."]
    for number, one in enumerate(told, 1):
        if number == len(verdict.story) + 1:
            lines.append("From here on this goes round for ever:")
        lines += [f"{number:3}. {one.words}", *(f"       {line}" for line in _afterwards(one))]
    if verdict.detail and not verdict.round:
        lines.append(f"{verdict.detail[0].upper()}{verdict.detail[1:]}.")
    return "\n".join(lines) + "\n"


def _afterwards(one: Occurrence) -> Iterator[str]:
    who = [f"{register} {name}" for register, name in one.registers.items() if name is not None]
    yield f"-> {', '.join([one.phase, *who])}    [{', '.join(one.rows) or 'no transition'}]"
    if one.facts:
        yield f"facts:  {', '.join(one.facts)}"
    if one.ledger:
        yield f"ledger: {', '.join(one.ledger)}"


def sequence(model: Model, verdict: Verdict) -> str:
    """The counterexample as a Mermaid sequence diagram: user, session, storage, provider and
    backend, as far as they take part.
    """
    told = occurrences(model, verdict)
    partners = _partners(model.chart)
    lines: list[str] = []
    for number, one in enumerate(told, 1):
        if number == len(verdict.story) + 1:
            lines.append("loop for ever")
        arrow = "->>" if one.by in ("user", "session") else "-->>"
        lines.append(f"{one.by}{arrow}session: {_plain(one.words)}")
        lines.append(f"Note over session: {_plain(one.phase)}")
        for effect in one.effects:
            if effect in partners:
                lines.append(
                    f"session->>{partners[effect]}: {_plain(model.chart.effects[effect].doc)}"
                )
    if verdict.round:
        lines.append("end")
    lines.append(
        f"Note over session: {_plain(f'{verdict.property.id} fails: {verdict.property.sentence}')}"
    )
    taking_part = ("user", "session", "storage", "provider", "backend", "world")
    named = {
        name
        for one in told
        for name in (one.by, *(partners[e] for e in one.effects if e in partners))
    } | {"session"}
    head = ["sequenceDiagram", *(f"  participant {name}" for name in taking_part if name in named)]
    return "\n".join([*head, *(f"  {line}" for line in lines)]) + "\n"


def _partners(chart: Chart) -> dict[str, str]:
    """Whom each effect is asked of: whoever its outcome comes from."""
    return {
        str(effect): saying.by if (saying := saying_of(spec.success)) else "world"
        for effect, spec in chart.effects.items()
        if isinstance(spec, Ask)
    }


def _plain(text: str) -> str:
    return "".join(" " if character in ";#\n" else character for character in text)

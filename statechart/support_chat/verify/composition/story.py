"""A counterexample of a composition for people: who did what, step by step, and what became of the
places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..story import Occurrence, letters, occurred
from .expanding import Told
from .explore import Judgement, Product
from .model import Places
from .parts import Part


def each_story(
    product: Product, judgement: Judgement
) -> dict[tuple[str, int], tuple[Occurrence, ...]]:
    """What each copy of a component goes through in a story, by its name and number: each can be
    replayed by itself.
    """
    return each_part(product.parts, judgement.story)


def each_part(
    parts: Sequence[Part], story: Sequence[Told]
) -> dict[tuple[str, int], tuple[Occurrence, ...]]:
    """As `each_story`, of any story of a composition with these parts."""
    return {
        (part.component.name, copy): tuple(_occurred(part, copy, story))
        for part in parts
        for copy in range(part.component.copies)
    }


def whole_story(product: Product, judgement: Judgement) -> str:
    """The story in numbered steps, with the rows that fire and what the places became; empty if
    there is none.
    """
    if judgement.held is not False:
        return ""
    told = {who: iter(those) for who, those in each_story(product, judgement).items()}
    alone = {part.component.name for part in product.parts if part.component.copies == 1}
    places = product.composition.begin()
    lines = [f"At first: {_values(places, places._fields)}."]
    number = 0
    for entry in judgement.story:
        if entry.move:
            number += 1
            lines.append(f"{number:3}. {entry.move}")
        name = (
            entry.component if entry.component in alone else f"{entry.component} {entry.copy + 1}"
        )
        for _ in entry.steps:
            number += 1
            one = next(told[entry.component, entry.copy])
            lines.append(f"{number:3}. {name}: {one.words}")
            lines.append(f"       -> {', '.join(_stands(one))}")
        changed = [f for f in places._fields if getattr(places, f) != getattr(entry.places, f)]
        if changed:
            lines.append(f"       places: {_values(entry.places, changed)}")
        places = entry.places
    if judgement.detail:
        lines.append(f"{judgement.detail[0].upper()}{judgement.detail[1:]}.")
    return "\n".join(lines) + "\n"


def _occurred(part: Part, copy: int, story: Sequence[Told]) -> Iterator[Occurrence]:
    name, users = part.component.name, range(1, part.component.users + 1)
    steps = [s for each in story if (each.component, each.copy) == (name, copy) for s in each.steps]
    return occurred(part.space.model, steps, dict(zip(users, letters(), strict=False)))


def _stands(one: Occurrence) -> Iterator[str]:
    yield one.phase
    yield from (f"{register} {who}" for register, who in one.registers.items() if who is not None)
    yield f"[{', '.join(one.rows) or 'no transition'}]"


def _values(places: Places, names: Sequence[str]) -> str:
    return ", ".join(f"{name} = {getattr(places, name)}" for name in names)

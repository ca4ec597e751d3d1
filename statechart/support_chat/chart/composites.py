"""Writes composites out: every row gets the entry of what it begins and the exit of what it ends.

That is done once, before a `Chart` is made of the rows, so that whoever runs, draws or checks a
chart reads flat rows, and a row that is changed afterwards stays changed. The order in a row: the
entry of what it begins, its own effects, the exit of what ends, and then what the row starts
(timers, internal triggers). What a row does for the session that ends (tell it goodbye) still finds
it there, and a timer that it starts survives the exit that stops them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from ..errors import ChartError
from .model import Arm, Composite, EffectSpec, Raise, Transition


def written_out(
    rows: Iterable[Transition],
    composites: Sequence[Composite],
    effects: Mapping[str, EffectSpec],
) -> tuple[Transition, ...]:
    """The rows with the entries and exits of `composites`; `effects` says which ones start
    something. Raises ChartError for a row that begins or ends a composite from some of its sources.
    """
    return tuple(_written_out(row, composites, effects) for row in rows)


def _written_out(
    row: Transition, composites: Sequence[Composite], effects: Mapping[str, EffectSpec]
) -> Transition:
    ended = ending(row, composites)
    entry = tuple(effect for part in composites if part.begins(row) for effect in part.entry)
    if not (entry or ended):
        return row
    for part in outer(ended):
        if part.exit and part.fact is None and not set(row.sources) <= set(part.phases):
            raise ChartError(
                f"{row.name} ends {part.name!r} from some of its sources only: "
                "make a row of its own for those outside of it."
            )
    own, starts = _split(row.effects, effects) if ended else (row.effects, ())
    clears = dict.fromkeys((*row.clears, *(fact for part in ended for fact in part.clears)))
    return attrs.evolve(
        row,
        clears=tuple(fact for fact in clears if fact not in row.sets),
        assigns={**{r: of for part in ended for r, of in part.assigns.items()}, **row.assigns},
        effects=(*entry, *own, *(effect for part in outer(ended) for effect in part.exit), *starts),
    )


def ending(row: Transition, composites: Sequence[Composite]) -> tuple[Composite, ...]:
    """What ends with this row: the composites that it ends, and those within them."""
    ended = {part.name for part in composites if part.ends(row)}
    for part in composites:  # an inner one is listed after the one that it is within
        if part.within in ended:
            ended.add(part.name)
    return tuple(part for part in composites if part.name in ended)


def outer(ended: Sequence[Composite]) -> tuple[Composite, ...]:
    """Those that are within no other one of them: theirs are the exits that run."""
    names = {part.name for part in ended}
    return tuple(part for part in ended if part.within not in names)


def _split(
    effects: tuple[str, ...], specs: Mapping[str, EffectSpec]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The effects before what the row starts at its end, and what it starts."""
    own = len(effects)
    while own and isinstance(specs.get(effects[own - 1]), Arm | Raise):
        own -= 1
    return effects[:own], effects[own:]


@attrs.frozen
class Written:
    """A row as somebody writes it: without the entries and exits of what it begins and ends.

    `effects` have `begin NAME` and `end NAME` in their places.
    """

    clears: tuple[str, ...]
    assigns: Mapping[str, str | None]
    effects: tuple[str, ...]


def as_written(row: Transition, composites: Sequence[Composite]) -> Written:
    """A flat row, with what composites say once said once; one that leaves some of it out is shown
    as it is.
    """
    if any(left_open(row, composites)):
        return Written(row.clears, row.assigns, row.effects)
    ended, effects = ending(row, composites), row.effects
    for part in composites:
        if part.begins(row) and part.entry:
            effects = (f"begin {part.name}", *effects[len(part.entry) :])
    for part in outer(ended):
        if part.exit:
            start = _position(effects, part.exit) or 0
            effects = (*effects[:start], f"end {part.name}", *effects[start + len(part.exit) :])
    cleared = {fact for part in ended for fact in part.clears} - {part.fact for part in ended}
    assigned = {register for part in ended for register in part.assigns}
    return Written(
        tuple(fact for fact in row.clears if fact not in cleared),
        {register: of for register, of in row.assigns.items() if register not in assigned},
        effects,
    )


def left_open(row: Transition, composites: Sequence[Composite]) -> Iterator[str]:
    """What a flat row that begins or ends a composite leaves out of its entry or exit, in words."""
    for part in composites:
        if part.begins(row) and row.effects[: len(part.entry)] != part.entry:
            yield f"{row.name} begins {part.name} without its entry"
    ended = ending(row, composites)
    for part in ended:
        for fact in part.clears:
            if fact not in (*row.clears, *row.sets):
                yield f"{row.name} ends {part.name} and does not clear {fact}"
        for register in part.assigns:
            if register not in row.assigns:
                yield f"{row.name} ends {part.name} and does not assign {register}"
    for part in outer(ended):
        if _position(row.effects, part.exit) is None:
            yield f"{row.name} ends {part.name} without its exit"


def _position(effects: tuple[str, ...], block: tuple[str, ...]) -> int | None:
    """Where the block stands among the effects."""
    starts = range(len(effects) - len(block) + 1)
    return next((i for i in starts if effects[i : i + len(block)] == block), None)

"""What a row does to the facts and the ledger, all its effects together: what holds afterwards,
what does not, and what it leaves open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from support_chat.chart.model import Transition

from ..murphi.effects import Effects, Touch


@attrs.frozen
class Change:
    """What is cleared and then set; then each of `raises` that does not hold may come to hold, and
    each of `lowers` that holds may cease to.
    """

    clears: tuple[str, ...]
    sets: tuple[str, ...]
    raises: tuple[str, ...]
    lowers: tuple[str, ...]


@attrs.frozen
class _Fate:
    """What becomes of one thing: it `holds` (None: as before), and is then left open, or not."""

    holds: bool | None = None
    raises: bool = False
    lowers: bool = False

    def after(self, how: str) -> _Fate:
        match how:
            case "set":
                return _Fate(True)
            case "clear":
                return _Fate(False)
            case "free":
                return _Fate(False, raises=True)
            case "raise":
                return attrs.evolve(self, raises=True)
            case _:
                return attrs.evolve(self, lowers=True)


def changes_of(effects: Effects, row: Transition) -> dict[str, Change]:
    """What a row changes, by where it is: `facts`, under the chart's names, and `ledger`."""
    names = effects.names
    known = {word: fact for fact, word in names.kept.items()}
    fates: dict[str, _Fate] = {}
    for touch in _touches(effects, row):
        fates[touch.name] = fates.get(touch.name, _Fate()).after(touch.how)
    parts: dict[str, dict[str, _Fate]] = {"facts": {}, "ledger": {}}
    for word, fate in fates.items():
        if word in known:
            parts["facts"][known[word]] = fate
        else:
            parts["ledger"][word] = fate
    return {where: _change(part) for where, part in parts.items()}


def _touches(effects: Effects, row: Transition) -> Iterator[Touch]:
    kept = effects.names.kept
    yield from (Touch(kept[fact], "clear") for fact in row.clears)
    yield from (Touch(kept[fact], "set") for fact in row.sets)
    for effect in row.effects:
        yield from effects.touched[effect]


def _change(fates: dict[str, _Fate]) -> Change:
    def those(wanted: Iterable[tuple[str, bool]]) -> tuple[str, ...]:
        return tuple(sorted(name for name, is_one in wanted if is_one))

    each = fates.items()
    return Change(
        clears=those((name, fate.holds is False) for name, fate in each),
        sets=those((name, fate.holds is True) for name, fate in each),
        raises=those((name, fate.raises) for name, fate in each),
        lowers=those((name, fate.lowers) for name, fate in each),
    )

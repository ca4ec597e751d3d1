"""What each effect does to the ledger and to the facts of the context, as statements of Murphi.

What an effect may leave at either value is *left open* until its row has asked for all its effects:
then it gets one of the two. So a row leaves a thing open once, however many of its effects do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from support_chat.chart.model import (
    Abandon,
    Arm,
    Ask,
    Derived,
    Detach,
    Disarm,
    EffectSpec,
    Fail,
    Join,
    Note,
    Settle,
    Transition,
)

from .names import Names


@attrs.frozen
class Touch:
    """What an effect does to a variable of the state: `how` is set, clear, free, raise or lower."""

    name: str
    how: str
    of: str | None = None
    """The register without which it does not come to hold."""

    @property
    def opens(self) -> bool:
        """Whether it may leave it open."""
        return self.how in ("free", "raise", "lower")


@attrs.frozen
class Effects:
    """What the effects of a chart touch, each in the order in which it does."""

    names: Names
    touched: Mapping[str, tuple[Touch, ...]]

    @property
    def openable(self) -> tuple[str, ...]:
        """The variables that some effect may leave open."""
        found = (touch for touches in self.touched.values() for touch in touches if touch.opens)
        return tuple(dict.fromkeys(touch.name for touch in found))

    def left_open(self, row: Transition) -> tuple[str, ...]:
        """The variables that may be open when a row has asked for all its effects."""
        found: dict[str, None] = {}
        for touch in (touch for effect in row.effects for touch in self.touched[effect]):
            if touch.opens:
                found[touch.name] = None
            else:
                found.pop(touch.name, None)
        return tuple(found)

    def statements(self, effect: str) -> Iterator[str]:
        """What an effect does."""
        openable = self.openable
        for touch in self.touched[effect]:
            yield _statement(self.names, touch, touch.name in openable)


def effects_of(names: Names) -> Effects:
    """The effects of the chart that these names are of."""
    return Effects(
        names,
        {
            str(effect): (*_of_the_ledger(names, effect, spec), *_of_the_context(names, effect))
            for effect, spec in names.chart.effects.items()
        },
    )


def _of_the_ledger(names: Names, effect: str, spec: EffectSpec) -> Iterator[Touch]:
    match spec:
        case Ask():
            if not spec.several:  # the last one asked on a lane supersedes the others
                yield from _lane(names, spec.lane, but=effect)
            # a batch asks for any number of things, also for none
            yield Touch(names.asked[effect], "raise" if spec.batch else "set")
            yield from (Touch(names.stored[key], "set") for key in spec.writes)
        case Arm():
            yield Touch(names.running[spec.timer], "free" if spec.optional else "set")
        case Disarm():
            yield from _cleared(names.running, spec.timers)
        case Join():
            yield Touch(names.waiting[spec.slot], "set")
        case Settle() | Fail():
            yield Touch(names.waiting[spec.slot], "clear")
        case Note(opens=str(lane)):
            yield Touch(names.open[lane], "set")
        case Abandon():
            for lane in spec.lanes:
                yield from _lane(names, lane)
                yield from _cleared(names.open, [lane])
        case Detach():
            yield from _lane(names, spec.lane)
            yield from _cleared(names.waiting, spec.slots)
        case _:
            pass


def _lane(names: Names, lane: str, but: str = "") -> Iterator[Touch]:
    """What is asked on this lane counts no more."""
    for effect, spec in names.chart.effects.items():
        if isinstance(spec, Ask) and spec.lane == lane and effect != but:
            yield Touch(names.asked[effect], "clear")


def _cleared(table: Mapping[str, str], keys: Sequence[str]) -> Iterator[Touch]:
    yield from (Touch(table[key], "clear") for key in keys if key in table)


def _of_the_context(names: Names, effect: str) -> Iterator[Touch]:
    for fact, kind in names.chart.facts.items():
        if isinstance(kind, Derived) and fact in names.kept:
            ways = (
                ("clear", kind.clears),
                ("set", kind.sets),
                ("free", kind.frees),
                ("raise", kind.raises),
                ("lower", kind.lowers),
            )
            for how, effects in ways:
                if effect in effects:
                    yield Touch(names.kept[fact], how, kind.of)


def _statement(names: Names, touch: Touch, openable: bool) -> str:
    name, is_open = touch.name, f"{touch.name}_is_open"
    there = None if touch.of is None else f"{names.register[touch.of]} != NOBODY"
    closed = f" {is_open} := false;" if openable else ""
    match touch.how:
        case "set":
            return f"{name} := true;{closed}"
        case "clear":
            return f"{name} := false;{closed}"
        case "free":
            return f"{is_open} := {there or 'true'}; {name} := false;"
        case "raise":
            may = f"!{name}" if there is None else f"(!{name} & {there})"
            return f"{is_open} := {is_open} | {may};"
        case _:
            return f"{is_open} := {is_open} | {name};"

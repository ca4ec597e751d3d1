"""Leads a story on a stage, step for step, and says where what is real leaves it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import attrs

from leading.gates import settled
from leading.tab import Director, Tab
from support_chat.verify import Judgement, Places, Product, each_story

QUIET: Final = 900.0
"""Seconds until everything that is under way has ended, once nothing is held."""


class Stage(Director, Protocol):
    """Real sessions and what they share, which a story is about."""

    tabs: Sequence[Tab]

    async def moves(self, move: str, tab: Tab, before: Places, after: Places) -> str:
        """Does what places do by themselves; returns why it cannot be, "" if it was done."""
        ...

    async def differs(self, places: Places) -> str:
        """How what is real differs from what the story says; "" if it does not."""
        ...

    async def judged(self) -> Mapping[str, str]:
        """The properties that do not hold, each with what was seen; asked when nothing is held, and
        all has become quiet.
        """
        ...

    def close(self) -> None:
        """Closes what is shared."""
        ...


@attrs.frozen
class Led:
    """How far real sessions have gone along a story: in the `step` called `words` something `differs`
    (all empty if they have gone all the way). What is `wrong` then, by the property that it breaks.
    """

    step: int
    words: str
    differs: str
    wrong: Mapping[str, str]


async def led(stage: Stage, product: Product, judgement: Judgement, *, lost: bool = True) -> Led:
    """Leads a story as far as it goes; then lets go of everything, waits until it is quiet, and
    judges what has become of it. What is on its way and nobody waits for is `lost` then, or
    arrives.
    """
    try:
        step, words, differs = await _along(stage, product, judgement)
        for tab in stage.tabs:
            await tab.open(lost=lost)
        await asyncio.sleep(QUIET)
        wrong = {**await stage.judged()}
        faults = [fault for tab in stage.tabs for seen in tab.trace.steps for fault in seen.faults]
        assert not faults, faults
        for tab in stage.tabs:
            await tab.end()
        return Led(step, words, differs, wrong)
    finally:
        stage.close()


async def _along(stage: Stage, product: Product, judgement: Judgement) -> tuple[int, str, str]:
    told = {who: iter(those) for who, those in each_story(product, judgement).items()}
    before, step = product.composition.begin(), 0
    for entry in judgement.story:
        tab = stage.tabs[entry.copy]
        if entry.move:
            step, words = step + 1, entry.move
            differs = await stage.moves(entry.move, tab, before, entry.places)
            await settled()
            if differs:
                return step, words, differs
        for each in entry.steps:
            one = next(told[entry.component, entry.copy])
            after = entry.places if each is entry.steps[-1] else before
            step, words = step + 1, f"tab {entry.copy + 1}: {one.words}"
            if differs := await tab.does(one, stage, before, after):
                return step, words, differs
        if differs := await stage.differs(entry.places):
            return step, words, differs
        before = entry.places
    return 0, "", ""

"""Leads a story on a stage, step for step, and says where what is real leaves it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import attrs

from leading.gates import settled
from leading.tab import Director, Tab
from support_chat.verify import Places, Told
from support_chat.verify.composition.parts import Part
from support_chat.verify.composition.story import each_part
from support_chat.verify.replay import Impossible

QUIET: Final = 900.0
"""Seconds until everything that is under way has ended, once nothing is held."""


class Stage(Director, Protocol):
    """Real sessions and what they share, which a story is about."""

    tabs: Sequence[Tab]

    async def moves(self, move: str, tab: Tab, before: Places, after: Places) -> str:
        """Does what places do by themselves; returns how what is real differs, "" if it does not.
        Raises Impossible.
        """
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
class Left:
    """Where real sessions leave a story: the number of the step, what it is called, and how what is
    real differs, or why nobody can bring it about.
    """

    step: int
    words: str
    differs: str


@attrs.frozen
class Led:
    """What real sessions have done with a story: where they have `left` it, None if they have gone
    all the way, and what was `wrong` in the end, by the property that it breaks.
    """

    left: Left | None
    wrong: Mapping[str, str]


async def led(
    stage: Stage, begin: Places, parts: Sequence[Part], story: Sequence[Told], *, lost: bool = True
) -> Led:
    """Leads a story of a composition with these parts as far as it goes; then lets go of
    everything, waits until it is quiet, and judges what has become of it. What is on its way and
    nobody waits for is `lost` then, or arrives.
    """
    try:
        left = await _along(stage, begin, parts, story)
        for tab in stage.tabs:
            await tab.open(lost=lost)
        await asyncio.sleep(QUIET)
        wrong = await stage.judged()
        faults = [fault for tab in stage.tabs for seen in tab.trace.steps for fault in seen.faults]
        assert not faults, faults
        for tab in stage.tabs:
            await tab.end()
        return Led(left, wrong)
    finally:
        stage.close()


async def _along(
    stage: Stage, before: Places, parts: Sequence[Part], story: Sequence[Told]
) -> Left | None:
    told = {who: iter(those) for who, those in each_part(parts, story).items()}
    step, words = 0, ""
    try:
        for entry in story:
            tab, differs = stage.tabs[entry.copy], ""
            if entry.move:
                step, words = step + 1, entry.move
                differs = await stage.moves(entry.move, tab, before, entry.places)
                await settled()
            for number, _ in enumerate(entry.steps, 1):
                one = next(told[entry.component, entry.copy])
                after = entry.places if number == len(entry.steps) else before
                step, words = step + 1, f"tab {entry.copy + 1}: {one.words}"
                if differs := await tab.does(one, stage, before, after):
                    return Left(step, words, differs)
            if differs := differs or await stage.differs(entry.places):
                return Left(step, words, differs)
            before = entry.places
    except Impossible as impossible:
        return Left(step, words, str(impossible))
    return None

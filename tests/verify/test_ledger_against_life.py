"""Life against the ledger: whatever a real session does is a path of the model that the checker
explores, and what its shell holds is what its account says.

Dice tell stories of two sessions against the embedded backend (`stories`). That this can fail is
shown by shells and engines with one fault each, which the same lives catch.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

import attrs
import pytest

from stories.moves import MOVES
from stories.world import World
from support_chat import CHART
from support_chat.chart.model import Ask
from support_chat.engine import Expired, Heard, Input, Outcome, engine as engines, plan
from support_chat.engine.engine import Engine
from support_chat.lifecycle.names import Effect, Fact, Lane, Phase
from support_chat.runtime.shell import Shell
from support_chat.verify.trace import Seen

SEEDS: Final = range(24)
LENGTH: Final = 400
"""Moves of one life."""


def live(seed: int) -> tuple[list[str], list[Seen]]:
    """One life of two sessions: what is wrong with it, and its steps."""
    scopes = ("a", "a/b") if seed % 2 else ("default", "default")
    world, dice = World(scopes, seed), random.Random(seed)
    try:
        for move in dice.choices(tuple(MOVES), tuple(MOVES.values()), k=LENGTH):
            if world.happen(move, dice.randrange(2), dice.choice):
                break
        wrong = list(world.end())
        return wrong, [seen for session in world.sessions for seen in session.trace.steps]
    finally:
        world.close()


lived = cache(live)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_life_is_a_path_of_the_model(seed: int) -> None:
    wrong, _ = lived(seed)
    assert not wrong


def test_the_lives_are_lively() -> None:
    """What was never seen was not compared: most rows fire, every phase is seen, and late outcomes
    come.
    """
    steps = [seen for seed in SEEDS for seen in lived(seed)[1]]
    fired = {row.name for seen in steps for row in seen.rows}
    rows = {row.name for row in CHART.transitions}
    assert {seen.phase for seen in steps} == set(Phase)
    assert "late.dispose" in fired
    assert len(fired & rows) > 0.8 * len(rows)


# --- one fault each -------------------------------------------------------------------------------

Mutation = Callable[[pytest.MonkeyPatch], None]


def _nothing(*_: Any) -> None:
    return None


def disobeyed(command: type) -> Mutation:
    """A shell that never does what this command says."""
    return lambda patch: patch.setitem(Shell._OBEY, command, _nothing)  # pyright: ignore[reportPrivateUsage]


def taking(what: Callable[[Shell, Input], Iterator[Input]]) -> Mutation:
    """A shell that tells its engine something else than what has happened."""
    take = Shell.take

    def mutate(patch: pytest.MonkeyPatch) -> None:
        def wrong(self: Shell, happened: Input) -> None:
            for instead in what(self, happened):
                take(self, instead)

        patch.setattr(Shell, "take", wrong)

    return mutate


def _of_another(shell: Shell, happened: Input) -> Iterator[Input]:
    if isinstance(happened, Outcome):
        request = attrs.evolve(happened.request, number=happened.request.number - 1)
        happened = attrs.evolve(happened, request=request)
    yield happened


def _twice(shell: Shell, happened: Input) -> Iterator[Input]:
    yield happened
    if isinstance(happened, Outcome):
        yield happened


def _never(shell: Shell, happened: Input) -> Iterator[Input]:
    if not isinstance(happened, Outcome):
        yield happened


def _as_another(shell: Shell, happened: Input) -> Iterator[Input]:
    yield Expired("silence") if isinstance(happened, Expired) else happened


def _of_an_older_link(shell: Shell, happened: Input) -> Iterator[Input]:
    yield Heard(happened.link - 1, happened.event) if isinstance(happened, Heard) else happened


def _deaf(shell: Shell, happened: Input) -> Iterator[Input]:
    if not (isinstance(happened, Heard) and happened.event is None):
        yield happened


def cancelled_as_failed(patch: pytest.MonkeyPatch) -> None:
    ended = Shell._ended  # pyright: ignore[reportPrivateUsage]

    def wrong(self: Shell, performing: Any, task: asyncio.Task[object]) -> None:
        ended(self, performing, task)
        if task.cancelled():
            self.take(Outcome(performing.request, error=asyncio.CancelledError()))

    patch.setattr(Shell, "_ended", wrong)


def _with_kind(kind: type, make: Callable[..., plan.Action]) -> Mutation:
    """An engine whose plan for this kind of effect is another."""
    return lambda patch: patch.setitem(plan._KINDS, kind, make)  # pyright: ignore[reportPrivateUsage]


def skipped(kind: type) -> Mutation:
    """An engine that does nothing for this kind of effect."""
    return _with_kind(kind, lambda *_: _nothing)


def asking(change: Callable[[plan.Step, str, plan.Action], None]) -> Mutation:
    """An engine that does something else where an effect asks for something."""
    ask = plan._KINDS[Ask]  # pyright: ignore[reportPrivateUsage]

    def make(effect: str, *rest: Any) -> plan.Action:
        action = ask(effect, *rest)
        return lambda step: change(step, effect, action)

    return _with_kind(Ask, make)


def _update_twice(step: plan.Step, effect: str, ask: plan.Action) -> None:
    ask(step)
    if effect == Effect.SEND_UPDATE:
        ask(step)


def _same_number(step: plan.Step, effect: str, ask: plan.Action) -> None:
    ask(step)
    step.serial -= 1


def _not_current(step: plan.Step, effect: str, ask: plan.Action) -> None:
    before = step.current
    ask(step)
    step.current = before


def judged(lane: Lane, is_late: bool) -> Mutation:
    """An engine that takes every outcome on a lane for superseded, or none."""
    takes: Any = Engine._TAKE  # pyright: ignore[reportPrivateUsage]
    ended = takes[Outcome]

    def wrong(self: Engine, step: Any, happened: Outcome, now: Any) -> Any:
        moment = ended(self, step, happened, now)
        if happened.request.lane == lane:
            moment.late = is_late
        return moment

    return lambda patch: patch.setitem(takes, Outcome, wrong)


def heard_late(patch: pytest.MonkeyPatch) -> None:
    takes: Any = Engine._TAKE  # pyright: ignore[reportPrivateUsage]
    heard = takes[Heard]

    def wrong(self: Engine, step: Any, happened: Heard, now: Any) -> Any:
        moment = heard(self, step, happened, now)
        moment.late = False
        return moment

    patch.setitem(takes, Heard, wrong)


def unread(fact: Fact) -> Mutation:
    """An engine that does not read this fact."""
    readers = engines.Program._readers  # pyright: ignore[reportPrivateUsage]

    def wrong(self: engines.Program, *pair: Any) -> Any:
        return [(bit, read) for bit, read in readers(self, *pair) if bit != self.machine.bits[fact]]

    return lambda patch: patch.setattr(engines.Program, "_readers", wrong)


MUTANTS: Final[dict[str, Mutation]] = {
    **{f"{kind.__name__} is not obeyed": disobeyed(kind) for kind in Shell._OBEY},  # pyright: ignore[reportPrivateUsage]
    **{f"{kind.__name__} is skipped": skipped(kind) for kind in plan._KINDS},  # pyright: ignore[reportPrivateUsage]
    **{f"{fact} is not read": unread(fact) for fact in (Fact.FULL, Fact.BEYOND)},
    "an outcome is reported for another request": taking(_of_another),
    "an outcome is reported twice": taking(_twice),
    "an outcome is never reported": taking(_never),
    "a cancelled request is reported as failed": cancelled_as_failed,
    "a timer expires as another": taking(_as_another),
    "a link is heard as an older one": taking(_of_an_older_link),
    "the end of a link is not heard": taking(_deaf),
    "an update is sent twice": asking(_update_twice),
    "a request has the number of another": asking(_same_number),
    "a request is not current": asking(_not_current),
    "a late dial is taken for the current one": judged(Lane.DIAL, False),
    "a current token is taken for a late one": judged(Lane.TOKEN, True),
    "a late event is taken for a current one": heard_late,
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda name: name.replace(" ", "_"))
def test_a_faulty_session_leaves_the_model(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = engines._program  # pyright: ignore[reportPrivateUsage]
    compiled.cache_clear()  # what is compiled was compiled without the fault
    MUTANTS[mutant](monkeypatch)
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)  # a faulty shell complains
    try:
        assert any(live(seed)[0] for seed in SEEDS)
    finally:
        compiled.cache_clear()

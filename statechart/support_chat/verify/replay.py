"""Replays a story of the model checker on the real `SupportChat`, step by step, and compares where
both stand after each.

A story is the way to a state in which a property fails. If the session stands where the model does
after each of its steps, the story is real: a session that runs this chart can be led there.
`replay()` takes what `support_chat.verify.occurrences()` makes of a verdict, `as_test()` writes it
as a pytest file that stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ..chart.machine import Compiled
from ..chart.model import Chart
from ..testing.virtual_loop import run
from .acting import Actor, Impossible
from .story import Occurrence
from .trace import Seen


@attrs.frozen
class Replay:
    """How far a replay went: `steps` that went as in the story, and how the next one `differs` (""
    if they all went so).
    """

    steps: int
    differs: str = ""


def replay(chart: Chart, story: Sequence[Occurrence]) -> Replay:
    """Plays the story on a session that runs `chart`, in virtual time; returns how far it went as
    the story says.
    """
    return run(_play(Compiled(chart), story))


async def _play(compiled: Compiled, story: Sequence[Occurrence]) -> Replay:
    actor = Actor(compiled)
    try:
        for number, one in enumerate(story):
            seen_before = len(actor.trace.steps)
            try:
                await actor.perform(one, story[number + 1 :])
            except Impossible as impossible:
                return Replay(number, f"{one.trigger}: {impossible}")
            actor.trace.close()
            if differs := _differs(one, actor.trace.steps[seen_before:]):
                return Replay(number, f"{one.trigger}: {differs}")
        return Replay(len(story))
    finally:
        await actor.leave()


def _differs(one: Occurrence, steps: Sequence[Seen]) -> str:
    """How what the session did differs from what is told; "" if it does not."""
    # what is late changes nothing, and the model leaves it out
    made = [seen for seen in steps if seen.current]
    if [seen.trigger for seen in made] != [one.trigger]:
        return (
            "what happened in the session is "
            f"{', '.join(seen.trigger for seen in made) or 'nothing'}"
        )
    seen = made[0]
    pairs = (
        ("phase", [one.phase], [seen.phase]),
        (
            "registers",
            [who or "" for who in one.registers.values()],
            [who or "" for who in seen.registers],
        ),
        ("facts", sorted(one.facts), sorted(seen.facts)),
        (
            "ledger",
            sorted(entry for entry in one.ledger if not entry.startswith("stored ")),
            sorted(seen.ledger),
        ),
        ("effects", list(one.effects), [effect for row in seen.rows for effect in row.effects]),
    )
    for what, story, session in pairs:
        if story != session:
            only = [
                [str(entry) for entry in mine if entry not in other]
                for mine, other in ((story, session), (session, story))
            ]
            return f"{what}: {only[0]} only in the story, {only[1]} only in the session"
    return "; ".join(seen.faults)


def as_test(story: Sequence[Occurrence], chart: str, sentence: str, name: str) -> str:
    """The story as the text of a pytest file that stands alone: its test fails as long as the
    session goes all the way.

    `chart` says where the chart is, as `package.module:CHART`; `sentence` is the property that
    fails, `name` begins the test's name.
    """
    module, _, attribute = chart.partition(":")
    chart = attribute or "CHART"
    lines = "".join(f"    {_shown(one)},\n" for one in story)
    return (
        f'"""A way on which this does not hold: {sentence}"""\n\n'
        f"from {module} import {chart}\n"
        "from support_chat.verify.replay import replay\n"
        "from support_chat.verify import Occurrence\n\n"
        f"STORY = (\n{lines})\n\n\n"
        f"def test_{name}_no_session_goes_this_way() -> None:\n"
        f"    assert replay({chart}, STORY).differs\n"
    )


def _shown(one: Occurrence) -> str:
    values = ((field.name, getattr(one, field.name)) for field in attrs.fields(Occurrence))
    return f"Occurrence(\n        {', '.join(f'{name}={value!r}' for name, value in values)}\n    )"

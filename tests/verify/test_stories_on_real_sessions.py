"""What the checker finds wrong with several tabs is wrong with real sessions: each counterexample
is led, step for step, on real sessions with the real backend and a real storage, of which the same
is wrong; and there, too, the property is broken, as a frontend and the backend see it. Where
nothing is wrong, the sessions leave the story, at the step that is named here, and all is well.

And the model is real: wherever chance leads it, real sessions go, with the same values in the same
places, and nothing is wrong.
"""

from __future__ import annotations

import random
from functools import cache
from typing import Final

import attrs
import pytest

from faulty_wholes import DELIVERY_FAULTS, IDENTITY_FAULTS, MUCH_TO_READ, Fault, explored
from leading.delivery import DeliveryStage
from leading.identity import IdentityStage
from leading.leader import Led, Stage, led
from support_chat import CHART, Chart
from support_chat.lifecycle.names import Fact as F, Trigger as T
from support_chat.testing import run
from support_chat.verify import Composition, View
from support_chat.verify.composition.expanding import wandered
from support_chat.verify.composition.model import Seen
from support_chat.verify.composition.world import World
from support_chat.verify.delivery import DELIVERY, Rules as DeliveryRules, delivery
from support_chat.verify.identity import IDENTITY, Rules as IdentityRules, identity

FAULTS: Final = (*IDENTITY_FAULTS, *DELIVERY_FAULTS)
LEFT: Final = {
    "I1: a merge is not told to the other tab": "the identify arrives",
    "I1: a backend that remembers no identify is believed": (
        "tab 1: the link is up, as the visitor, and remembers no identify"
    ),
    "I2: each dial gets a visitor of its own": "tab 2: the link is up, as the visitor",
    "I3: a tab that learns that its visitor is over goes on": (
        "tab 1: the visitor was cleared elsewhere"
    ),
    "I4: what is over ends no session": "the backend learns that a secret is over, or never does",
    "I5: a write that was given up lands late": "a call that was given up lands, or never does",
    "I6: a request for another owner is done": "the message is accepted",
    "I7: a look at the stored visitor mints one": (
        "tab 1: the stored visitor is the same, or cannot be read"
    ),
    "I8: what is over ends every session": (
        "the backend learns that a secret is over, or never does"
    ),
    "I9: a clear that failed is taken for one under way": "tab 1: the storage cannot be cleared",
    "D1: a message is stored for each copy": "a message arrives",
    "D1: messages of one conversation leave at once": "tab 1: send_message()",
    "D2: an answer is told although the stream tells it": "tab 1: a message of its own arrives",
    "D2: what is told moves no cursor": "tab 1: a message arrives",
    "D3: own messages are told as received": "tab 1: a message of its own arrives",
    "D4: a link replays nothing": "tab 1: the link is up, as the visitor",
    "D4: a link that is up moves the cursor": "tab 1: the link is up, as the visitor",
    "D5: a mark is told to nobody": "a read mark arrives",
    "D5: the answer to a mark is believed, and may have been overtaken": (
        "tab 1: the message is stored"
    ),
    "D6: messages of all count": "a message arrives",
    "D7: the last mark is in force": "a read mark arrives",
    "D8: a message without an answer stays under way": "tab 1: the reply to the message is lost",
}
"""Where sessions of which nothing is wrong leave each story: at the step that a fault alone takes.
"""


async def staged(whole: Composition, chart: Chart, rules: object) -> Stage:
    """Real sessions with this chart, as many as there are in the whole, under these rules."""
    if isinstance(rules, IdentityRules):
        return IdentityStage(chart, rules, whole.component("tab").copies)
    assert isinstance(rules, DeliveryRules)
    return await DeliveryStage.begin(chart, rules)


def lead(fault: Fault, chart: Chart, rules: object, *, lost: bool = True) -> Led:
    """Leads the counterexample of a fault on sessions with this chart, under these rules."""

    async def leading() -> Led:
        product = explored(fault)
        (judgement,) = product.judgements
        stage, begin = await staged(fault.whole, chart, rules), fault.whole.begin()
        return await led(stage, begin, product.parts, judgement.story, lost=lost)

    return run(leading())


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_what_the_checker_finds_wrong_is_wrong_on_real_sessions(fault: Fault) -> None:
    went = lead(fault, fault.chart, fault.rules)
    assert went.left is None, went
    assert fault.breaks in went.wrong, went


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "late"])
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_where_nothing_is_wrong_they_leave_the_story_and_all_is_well(
    fault: Fault, lost: bool
) -> None:
    """Whether what nobody waits for any more is lost in the end, or comes late."""
    went = lead(fault, CHART, fault.sound, lost=lost)
    assert went.left is not None
    assert went.left.words == LEFT[str(fault)], went
    assert went.wrong == {}, went


def test_there_is_no_fault_that_is_not_led() -> None:
    assert len({str(fault) for fault in FAULTS}) == len(FAULTS) == len(LEFT) == 22


# --- where nothing is wrong -----------------------------------------------------------------------


def usual(whole: Composition, *more: str) -> Composition:
    """The same, but nobody brings traits or tokens, which places know nothing of, and without
    `more`.
    """
    (tab,) = whole.components

    def is_usual(view: View) -> bool:
        return not any(map(view.has, (F.PENDING, F.PROVIDER, F.TARGET_PROVIDER)))

    def where(seen: Seen) -> bool:
        return bool(seen.usual and tab.where(seen))

    sees, without = (
        {**tab.sees, "usual": is_usual},
        (*tab.without, *(name for name in more if isinstance(name, T))),
    )
    usual = attrs.evolve(tab, sees=sees, where=where, without=without)
    moves = tuple(move for move in whole.moves if move.name not in more)
    return attrs.evolve(whole, components=(usual,), moves=moves)


NOT_THERE: Final = (T.UPDATE, T.USE, T.SEND, "send_message()", T.DIAL_ASTRAY)
"""Where it is asked who is who, nobody knows of an outbox; no backend answers as somebody else."""
FORGETFUL: Final = IdentityRules(remembers=False)
WALKS: Final = {
    "identity": (usual(IDENTITY, *NOT_THERE), IdentityRules()),
    "a forgetful backend": (usual(identity(rules=FORGETFUL), *NOT_THERE), FORGETFUL),
    "delivery": (usual(DELIVERY), DeliveryRules()),
    # a message beside a mark would have to pause after a link is back, and stories know no pauses
    "reading": (usual(delivery(size=MUCH_TO_READ)), DeliveryRules()),
}
TIMED: Final = ("boot.not_in_time", "boot.rate_limited", "identify.rate_limited", "send.failed")
"""Rows after which a session waits longer than a story knows: it has no clock."""


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", WALKS)
def test_real_sessions_go_wherever_chance_leads_the_model(name: str, seed: int) -> None:
    """Each step, and each value of the places, is real; and nothing is wrong in the end."""
    whole, rules = WALKS[name]

    async def leading() -> Led:
        story = tuple(wandered(world(name), random.Random(seed), 40, TIMED))
        assert len(story) > 10
        return await led(await staged(whole, CHART, rules), whole.begin(), world(name).parts, story)

    assert run(leading()) == Led(None, {})


@cache
def world(name: str) -> World:
    """The world of this walk."""
    return World(WALKS[name][0], symmetric=False)

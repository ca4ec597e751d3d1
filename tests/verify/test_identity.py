"""Two tabs on one storage: each rule that makes them right is missed by a property if it is taken
away, and what goes wrong then is real: each tab's part of the story goes, step by step, on the
engine that a session runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import attrs
import pytest

from support_chat import CHART, Chart
from support_chat.lifecycle.names import Effect as E, Fact as F
from support_chat.verify import Composition, Product, check_whole, each_story
from support_chat.verify.identity import IDENTITY, Rules, identity
from support_chat.verify.replay import Replay, replay

ENOUGH: Final = 60_000
"""States after which a faulty whole is explored no further; each fault is found far sooner."""


def edited(**rows: Mapping[str, Any]) -> Chart:
    """The shipped chart with other values in some rows, named with `_` for the dot."""
    transitions = tuple(
        attrs.evolve(row, **rows.get(row.name.replace(".", "_"), {})) for row in CHART.transitions
    )
    return attrs.evolve(CHART, name="edited", transitions=transitions)


GOES_ON: Final[Mapping[str, Any]] = {
    "target": None,
    "sets": (F.RETRYING,),
    "clears": (),
    "assigns": {},
    "effects": (E.ARM_RETRY,),
    "error": None,
    "reason": "",
}


@attrs.frozen
class Fault:
    """What is wrong, and the property that misses it."""

    breaks: str
    wrong: str
    whole: Composition


FAULTS: Final = (
    Fault("I1", "a merge is not told to the other tab", identity(rules=Rules(told=False))),
    Fault("I2", "each dial gets a visitor of its own", identity(rules=Rules(one_visitor=False))),
    Fault(
        "I3",
        "a tab that learns that its visitor is over goes on",
        identity(edited(link_signed_out=GOES_ON)),
    ),
    Fault("I4", "what is over ends no session", identity(rules=Rules(ends=False))),
    Fault("I5", "a write that was given up lands late", identity(rules=Rules(ended=False))),
    Fault("I6", "a request for another owner is done", identity(rules=Rules(refused=False))),
    Fault("I7", "a look at the stored visitor mints one", identity(rules=Rules(looks=False))),
    Fault("I8", "what is over ends every session", identity(rules=Rules(its_own=False))),
    Fault(
        "I9",
        "a clear that failed is taken for one under way",
        identity(edited(clear_failed={"clears": (F.BOOTED, F.IDENTIFYING)}), tabs=1),
    ),
)


@cache
def explored(fault: Fault) -> Product:
    """The faulty whole, as far as the property needs it."""
    wanted = tuple(each for each in fault.whole.properties if each.id == fault.breaks)
    return check_whole(attrs.evolve(fault.whole, properties=wanted), max_states=ENOUGH)


def test_there_is_a_fault_for_each_property() -> None:
    assert [fault.breaks for fault in FAULTS] == [each.id for each in IDENTITY.properties]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.breaks)
def test_the_fault_makes_its_property_fail(fault: Fault) -> None:
    (found,) = explored(fault).judgements
    assert found.held is False, fault.wrong
    assert found.story


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.breaks)
def test_each_tab_goes_its_part_of_the_story_on_the_engine(fault: Fault) -> None:
    product = explored(fault)
    (found,) = product.judgements
    chart = fault.whole.component("tab").chart
    for story in each_story(product, found).values():
        assert replay(chart, story) == Replay(len(story))


def test_one_tab_alone_is_right() -> None:
    product = check_whole(identity(tabs=1))
    assert product.complete
    assert [each.property.id for each in product.judgements if each.held is not True] == []


BELIEVING: Final = edited(
    link_back_identify_forgotten={"unless": (F.SIGNED_IN, F.IDENTIFYING)},
    link_back_identify_repeated={"when": (F.SAME_USER, F.UNRESOLVED, F.IDENTIFYING, F.REPEATABLE)},
)
"""It believes any backend that an identify that was given up has not been done."""


def test_a_tab_and_a_backend_that_remembers_no_identify_agree_in_the_end() -> None:
    forgetful = Rules(remembers=False)
    for chart, broken in ((CHART, []), (BELIEVING, ["I1"])):
        product = check_whole(identity(chart, forgetful, tabs=1))
        assert product.complete
        assert [one.property.id for one in product.judgements if one.held is not True] == broken

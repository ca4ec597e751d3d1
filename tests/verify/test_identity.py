"""Two tabs on one storage: each rule that makes them right is missed by a property if it is taken
away, and what goes wrong then is real: each tab's part of the story goes, step by step, on the
engine that a session runs.
"""

from __future__ import annotations

import pytest

from faulty_wholes import IDENTITY_FAULTS, Fault, explored
from support_chat.verify import check_whole, each_story
from support_chat.verify.identity import IDENTITY, Rules, identity
from support_chat.verify.replay import Replay, replay


def test_there_is_a_fault_for_each_property() -> None:
    found = dict.fromkeys(fault.breaks for fault in IDENTITY_FAULTS)
    assert list(found) == [each.id for each in IDENTITY.properties]


@pytest.mark.parametrize("fault", IDENTITY_FAULTS, ids=str)
def test_the_fault_makes_its_property_fail(fault: Fault) -> None:
    (found,) = explored(fault).judgements
    assert found.held is False, fault.wrong
    assert found.story


@pytest.mark.parametrize("fault", IDENTITY_FAULTS, ids=str)
def test_each_tab_goes_its_part_of_the_story_on_the_engine(fault: Fault) -> None:
    product = explored(fault)
    (found,) = product.judgements
    for story in each_story(product, found).values():
        assert replay(fault.chart, story) == Replay(len(story))


def test_one_tab_alone_is_right() -> None:
    product = check_whole(identity(tabs=1))
    assert product.complete
    assert [each.property.id for each in product.judgements if each.held is not True] == []


def test_a_tab_and_a_backend_that_remembers_no_identify_agree_in_the_end() -> None:
    product = check_whole(identity(rules=Rules(remembers=False), tabs=1))
    assert product.complete
    assert [each.property.id for each in product.judgements if each.held is not True] == []

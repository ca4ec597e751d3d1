"""Messages in two tabs: each rule of the backend, and what a session does with a message, is missed
by a property if it is wrong.
"""

from __future__ import annotations

import pytest

from faulty_wholes import DELIVERY_FAULTS, FEW, MUCH_TO_READ, Fault, explored
from support_chat.verify import check_whole
from support_chat.verify.delivery import DELIVERY, Size, delivery


def test_there_is_a_fault_for_each_property() -> None:
    found = dict.fromkeys(fault.breaks for fault in DELIVERY_FAULTS)
    assert list(found) == [each.id for each in DELIVERY.properties]


@pytest.mark.parametrize("fault", DELIVERY_FAULTS, ids=str)
def test_the_fault_makes_its_property_fail(fault: Fault) -> None:
    (found,) = explored(fault).judgements
    assert found.held is False, fault.wrong
    assert found.story


@pytest.mark.parametrize("size", [FEW, MUCH_TO_READ], ids=["few messages", "much to read"])
def test_two_tabs_with_little_to_do_are_right(size: Size) -> None:
    product = check_whole(delivery(size=size))
    assert product.complete
    assert [each.property.id for each in product.judgements if each.held is not True] == []

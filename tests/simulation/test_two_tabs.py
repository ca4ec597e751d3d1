"""Two tabs of one visitor in random schedules, judged from outside; and that they can be judged as
wrong.

`python tests/tools/simulated.py --schedules 5000` plays as many as one likes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any
from unittest import mock

import attrs
import pytest

from simulated import schedule
from support_chat.lifecycle import outbox, requests
from support_chat.ports import MarkRead
from support_chat.runtime import adapters
from support_chat_adapters.transport import LoopbackTransport

SHARE = 60
"""How many schedules of those that were run once are run here."""
ENOUGH = 200
"""Within how many schedules a fault shows."""


@pytest.mark.parametrize("first", range(0, SHARE, 10))
def test_whatever_two_tabs_do_each_shows_its_owner_and_no_message_is_lost_or_doubled(
    first: int,
) -> None:
    for seed in range(first, first + 10):
        verdict = schedule(seed)
        assert not verdict.violations, verdict


def test_a_schedule_replays_by_its_seed() -> None:
    assert schedule(7) == schedule(7)


async def _nothing(*_: object) -> None:
    return None


def _performing(payload: type, performer: Callable[..., Any]) -> Any:
    known = adapters._PERFORMERS  # pyright: ignore[reportPrivateUsage]
    changed = {**known, payload: performer}
    return mock.patch.object(adapters, "_PERFORMERS", changed)


async def _same(_: object, __: object, payload: requests.CheckVisitor) -> str | None:
    return payload.visitor


def _each(box: outbox.Outbox) -> Any:
    return iter(box.entries)


async def _send_anew(
    asked: adapters.Adapters, request: Any, payload: requests.SendMessage
) -> object:
    message = payload.message
    if isinstance(message, MarkRead):
        return await asked.link(request).mark_read(message)
    name = f"{message.client_message_id} {payload.attempt}"
    return await asked.link(request).send(attrs.evolve(message, client_message_id=name))


@contextlib.contextmanager
def _both(one: Any, other: Any) -> Any:
    with one, other:
        yield


FAULTS: dict[str, tuple[str, Callable[[], Any]]] = {
    "messages do not wait for each other": (
        "which was sent first",
        lambda: mock.patch.object(outbox, "first", _each),
    ),
    "a message is sent again under another id": (
        "is stored 2 times",
        lambda: _performing(requests.SendMessage, _send_anew),
    ),
    "the backend is not told that a visitor is over, and nobody looks": (
        "live visitors",
        lambda: _both(
            mock.patch.object(LoopbackTransport, "end_visitor", _nothing),
            _performing(requests.CheckVisitor, _same),
        ),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_schedules_of_broken_sessions_are_judged_as_wrong(fault: str) -> None:
    said, broken = FAULTS[fault]
    with broken():
        for seed in range(ENOUGH):
            if any(said in wrong for wrong in schedule(seed).violations):
                return
    pytest.fail(f"{fault}: {ENOUGH} schedules show nothing of it")

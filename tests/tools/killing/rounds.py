"""One round from its seed to its evidence: the clients play, the backend is killed and comes
back, everything settles.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import httpx2

from served import Served
from support_chat import Phase
from support_chat_adapters.transport.wire.endpoints import BASE, CONVERSATIONS

from . import judge, stored
from .clients import SETTLES_WITHIN, Player, playing
from .evidence import Evidence
from .killer import Killer
from .plans import Plan

QUIET_WITHIN: Final = 60.0
"""Seconds within which what was recorded has left and what was missed has arrived, from when
everybody is live, on the slowest machine.
"""


class _Complaints(logging.Handler):
    """Whatever the library finds worth a warning is worth a look here."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(logging.WARNING)
        self._evidence = evidence

    def emit(self, record: logging.LogRecord) -> None:
        self._evidence.complain(
            f"logged by {record.name}: {record.getMessage()} {record.exc_info or ''}"
        )


async def play(
    plan: Plan, served: Served, folder: Path, quiet_within: float = QUIET_WITHIN
) -> Evidence:
    """Plays the round against `served`, which runs before and afterwards; `folder` takes the
    clients' files.
    """
    evidence = Evidence(plan.seed, plan.kind, plan.moment, plan.users)
    read_up_to = served.log.stat().st_size
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: evidence.complain(f"the loop: {_told(context)}")
    )
    handler = _Complaints(evidence)
    logging.getLogger("support_chat").addHandler(handler)
    try:
        killer = Killer(served, plan, evidence.kill, quiet_within)
        async with AsyncExitStack() as clients:
            players: list[Player] = [
                await clients.enter_async_context(
                    playing(one, evidence, served, folder, killer if number == 0 else None)
                )
                for number, one in enumerate(plan.clients)
            ]
            await asyncio.gather(
                _keep(plan, served, killer, players, evidence),
                *(player.play() for player in players),
            )
            await _settle(served, players, evidence, quiet_within)
            await _leave(plan, served, players, evidence)
        await _look_for_tasks(evidence)
    finally:
        logging.getLogger("support_chat").removeHandler(handler)
    said = served.log.read_bytes()[read_up_to:].decode()
    if "Traceback" in said or "ERROR" in said:
        evidence.complain(f"the backend's log: {said[-1500:]}")
    return evidence


async def _keep(
    plan: Plan, served: Served, killer: Killer, players: list[Player], evidence: Evidence
) -> None:
    """Waits for the kill, lets the agent write to those who cannot hear it, and starts the backend
    again.
    """
    try:
        async with asyncio.timeout(SETTLES_WITHIN):
            await killer.done()
    except TimeoutError:
        evidence.complain("nothing was killed: the request was never sent")
        return
    evidence.tell("the backend is dead")
    await asyncio.sleep(plan.lull)
    for number, player in enumerate(players):
        player.written_to(while_dead=True, times=plan.flood if plan.flood and number == 0 else 1)
    await _back(served, evidence)
    if plan.flood and not players[0].chat.is_in(Phase.SHUTDOWN):
        await players[0].live_again()
        os.kill(served.pid, signal.SIGKILL)  # now, in the middle of the replay
    elif plan.again is not None:
        await asyncio.sleep(plan.again)
    else:
        return
    await asyncio.to_thread(served.kill)
    evidence.tell("the backend is dead again")
    await _back(served, evidence)


async def _back(served: Served, evidence: Evidence) -> None:
    await asyncio.to_thread(served.start)
    evidence.tell("the backend is back")


async def _settle(served: Served, players: list[Player], evidence: Evidence, within: float) -> None:
    """Everybody is live by themselves, sends again what may be lost, and waits for what is on its
    way.
    """
    for player in players:
        await player.live_again()
    await asyncio.gather(*(player.send_again() for player in players))
    until = time.monotonic() + within
    while time.monotonic() < until and judge.is_on_its_way(evidence, stored.read(served.db)):  # noqa: ASYNC110 - a file tells nobody
        await asyncio.sleep(0.01)
    await asyncio.gather(*(player.list_conversations() for player in players))


async def _leave(plan: Plan, served: Served, players: list[Player], evidence: Evidence) -> None:
    """Everybody who is still live shuts down, this time with a backend that hears it; ended
    sessions are tried again.
    """
    for player in players:
        await player.leave(clear=plan.seed % 2 == 0)
    async with httpx2.AsyncClient(
        verify=False, trust_env=False, timeout=SETTLES_WITHIN
    ) as stranger:
        for client in evidence.clients:
            for session in judge.ended_sessions(client):
                answer = await stranger.get(
                    f"{served.url}{BASE}{CONVERSATIONS.path}",
                    headers={"authorization": f"Bearer {session}"},
                )
                evidence.refused[session] = answer.status_code


async def _look_for_tasks(evidence: Evidence) -> None:
    me = asyncio.current_task()
    for _ in range(5):
        await asyncio.sleep(0)
    for task in asyncio.all_tasks():
        if task is not me:
            evidence.complain(f"a task is left: {task.get_name()}")


def _told(context: dict[str, Any]) -> str:
    return f"{context.get('message')} {context.get('exception')!r}"

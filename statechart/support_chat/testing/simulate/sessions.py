"""The level of the shell: real sessions in virtual time, in a world that whoever tries an adapter
makes (`World`).

Each tab is a source of its own (`support_chat.testing.turns`), so that on a loop with a `choose`
the callbacks of tabs and backend take turns by the seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import logging
import random
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, Final, TypeVar, cast

from ...errors import TokenProviderError, TokenRefusedError
from ...lifecycle.chart import ONLINE
from ...lifecycle.events import AnyEvent
from ...lifecycle.names import Phase
from ...ports import Storage, Transport
from ...runtime.calls import Call
from ...session import SupportChat
from ...settings import Settings
from ...values import Identity
from ..turns import SOURCE
from .frontends import DISTURBED, Event, Move, moves_of
from .judge import Asks, Judge, Opens, trait
from .plan import Plan
from .processes import Process, WatchedStorage, WatchedTransport
from .tally import Tally, verdict
from .verdict import Verdict, Violation
from .witness import Made, Use, Witness
from .world import World

QUIET: Final = 450.0
"""Seconds until everything that waits has ended, once everything is well."""
BRIEF: Final = 60.0
"""Seconds until everything that was begun when everything was well has ended."""
MOST_STEPS: Final = 5_000
"""Steps that no tab takes in one schedule, unless it goes round in circles."""
_PAUSES: Final = (0.0, 0.0, 0.001, 0.002, 0.05, 0.4, 0.4, 2.0, 5.0, 40.0)
T = TypeVar("T")


async def simulate(world: World, plan: Plan, settings: Settings | None = None) -> Verdict:
    """Plays this schedule with real sessions, and judges it.

    Raises nothing that a session tells; what no session may tell is a violation.
    """
    return await _Schedule(world, plan, settings or Settings()).play()


class _Tab:
    """A real session that is watched. Whatever it does is of its own source."""

    def __init__(self, schedule: _Schedule, witness: Witness) -> None:
        self.witness, self._schedule = witness, schedule
        self.process = Process(witness, schedule.settings.silence_timeout)
        self.pending: dict[Made, tuple[Call[Any], asyncio.Task[Any]]] = {}
        self._lines: list[str] = []
        self._context = contextvars.copy_context()
        self._context.run(SOURCE.set, witness.name)
        self.chat = self.within(self._made)

    def within(self, work: Callable[[], T]) -> T:
        """Does it in the tab's context."""
        return self._context.run(work)

    def _made(self) -> SupportChat:
        world, scope = self._schedule.world, self.witness.scope
        chat = SupportChat(
            workspace_id="acme",
            widget_id="help",
            scope=scope,
            storage=cast("Storage", WatchedStorage(world.storage(scope), self.process)),
            transport=cast("Transport", WatchedTransport(world.transport(), self.process)),
            settings=self._schedule.settings,
        )
        chat.log_steps(self)
        self.witness.heard, self.witness.streamed = [], []
        chat.on(object, self._tells)
        chat.on(object, self._hears)
        self._reading = asyncio.ensure_future(self._reads(chat.events()))
        return chat

    def write(self, line: str) -> None:
        """Takes a line of the log of steps."""
        self._lines.append(line)
        if len(self._lines) == MOST_STEPS:
            self._schedule.stop(f"{self.witness.name} takes steps without end")

    def _tells(self, event: AnyEvent) -> None:
        self.witness.tell(self._schedule.now, event)

    async def _hears(self, event: AnyEvent) -> None:
        # a handler takes its time: events come one by one all the same
        heard = cast("list[AnyEvent]", self.witness.heard)
        await asyncio.sleep(len(heard) % 3 * 0.01)
        heard.append(event)

    async def _reads(self, stream: Any) -> None:
        async with stream:
            async for event in stream:
                cast("list[AnyEvent]", self.witness.streamed).append(event)

    @property
    def state(self) -> Phase:
        return self.chat.state

    @property
    def identity(self) -> Identity | None:
        return self.chat.identity

    @property
    def unread(self) -> int | None:
        return self.chat.unread

    @property
    def waiting(self) -> Sequence[str]:
        return [message.client_message_id for message in self.chat.outbox]

    # --- calls ------------------------------------------------------------------------------------

    def make(self, use: Use) -> Made:
        """Makes the call; somebody awaits it."""
        schedule = self._schedule
        made = Made(use, schedule.now, self.state, self.identity, schedule.tally.faults_so_far)
        call = self.within(lambda: self._call(use))
        awaiting: asyncio.Task[Any] = self.within(lambda: self._schedule.loop.create_task(call))
        awaiting.add_done_callback(lambda task: self._ended(made, task))
        self.witness.calls.append(made)
        self.pending[made] = call, awaiting
        return made

    def _call(self, use: Use) -> Call[Any]:
        chat = self.chat
        user: Any = None if use.user is None else {"id": use.user}
        provider = None if use.user is None else self._tokens(use)
        match use.call:
            case "load":
                return chat.load()
            case "boot":
                return chat.boot(user=user, token_provider=provider, timeout=use.timeout)
            case "identify":
                return chat.identify(user=user, token_provider=provider, timeout=use.timeout)
            case "become":
                return chat.become(user, token_provider=provider, clear_storage=use.clear)
            case "update":
                _, _, name = trait(self.witness).rpartition(".")
                described: Any = {"traits": {name: use.value}}
                return chat.update(user=described)
            case "send_message":
                text, timeout = use.text, use.timeout
                return chat.send_message(
                    text, use.conversation, text, queue=use.queue, timeout=timeout
                )
            case "mark_read":
                return chat.mark_read(cast("str", use.conversation), use.up_to)
            case "conversations":
                return chat.conversations()
            case "shutdown":
                return chat.shutdown(clear_storage=use.clear)
            case "destroy":
                return chat.destroy()

    def _tokens(self, use: Use) -> Any:
        schedule, user = self._schedule, cast("str", use.user)

        async def minted() -> str:
            if not schedule.healed:
                if use.tokens == "failing":
                    raise TokenProviderError("Nobody mints tokens now.")
                if use.tokens == "refusing":
                    raise TokenRefusedError("This user gets none.")
                await asyncio.sleep(12.0 if use.tokens == "slow" else 0.01)
            return schedule.world.token(user)

        async def token() -> Any:
            return await self.process.ask("token", minted, TokenRefusedError)

        return token

    def _ended(self, made: Made, awaiting: asyncio.Task[Any]) -> None:
        if awaiting.cancelled():
            return
        error = awaiting.exception()
        if error is None:
            made.result = awaiting.result()
        else:
            made.error = cast("Exception", error)
        made.ended_at = self._schedule.now
        self._schedule.ended(self, made)

    def give_up(self) -> str:
        """Whoever awaits the newest call leaves, if one has not ended."""
        open_still = [made for made, (_, awaiting) in self.pending.items() if not awaiting.done()]
        if not open_still:
            return "nobody waits"
        made = open_still[-1]
        made.given_up_at = self._schedule.now
        self.pending[made][1].cancel()
        return f"nobody waits any more for {made.use}"

    def looked_at(self) -> None:
        """Notes what has settled, and reads the log."""
        for made, (call, _) in self.pending.items():
            made.settled = call.done
        told = [json.loads(line) for line in self._lines]
        self.witness.steps = [
            {key: value for key, value in step.items() if key != "session"}
            for step in told
            if "trigger" in step
        ]

    def close(self) -> None:
        """It is not watched any more."""
        if self.witness.left_at is not None and not self._reading.done():
            self.witness.wrong.append("was destroyed, and its stream has not ended")
        self._reading.cancel()


class _Schedule:
    def __init__(self, world: World, plan: Plan, settings: Settings) -> None:
        self.world, self.plan, self.settings = world, plan, settings
        self.judge, self.tally = Judge(world, settings), Tally()
        self.healed = False
        self.story: list[str] = []
        self.loop = asyncio.get_running_loop()
        self._playing: asyncio.Task[None] | None = None
        self.all: list[_Tab] = []
        self.gone: list[_Tab] = []
        self.tabs: dict[int, _Tab] = {}

    @property
    def now(self) -> float:
        return self.loop.time()

    async def play(self) -> Verdict:
        wrong: list[str] = []
        self.loop.set_exception_handler(lambda _, context: wrong.append(f"{context['message']}"))
        with _warnings(wrong):
            self._playing = asyncio.ensure_future(self._play())
            await asyncio.wait([self._playing])
            if not self._playing.cancelled() and (error := self._playing.exception()) is not None:
                wrong.append(f"a call raises {error!r} on its line")
        self.judge.found += [Violation("nothing happens that must never be", w) for w in wrong]
        for tab in self.all:
            tab.looked_at()
            tab.close()
            self.tally.steps += len(tab.witness.steps)
            self.judge.ended(tab.witness)
        witnesses = [tab.witness for tab in self.all]
        return verdict(self.plan, self.story, self.judge.found, self.tally, witnesses)

    def stop(self, because: str) -> None:
        """The schedule ends here, judged as wrong."""
        self.judge.found.append(Violation("a schedule comes to its end", because))
        if self._playing is not None:
            self._playing.cancel()

    async def _play(self) -> None:
        plan = self.plan
        used = sorted({plan.tab_of(number) for number in plan.moves})
        self.tabs = {index: self._open(f"scope {index % plan.scopes}") for index in used}
        for number in plan.moves:
            self._move(number)
            await asyncio.sleep(plan.move(number).choice(_PAUSES))
        await self._judged()

    # --- what happens -----------------------------------------------------------------------------

    def _open(self, scope: str) -> _Tab:
        tab = _Tab(self, Witness(len(self.all) + 1, scope))
        self.all.append(tab)
        return tab

    def _tell(self, what: str) -> None:
        self.story.append(f"{self.now:9.3f} {what}")

    def ended(self, tab: _Tab, made: Made) -> None:
        self.tally.ended(made, self.world.disturbed)
        came = made.result if made.error is None else f"{type(made.error).__name__}: {made.error}"
        self._tell(f"{tab.witness.name}: {made.use} ends: {came}")

    def _move(self, number: int) -> None:
        roll = self.plan.move(number)
        index = roll.randrange(self.plan.tabs)
        if roll.random() < DISTURBED:
            disturbance = self.world.disturb(roll)
            self.tally.fault(disturbance.kind)
            self._tell(disturbance.told)
            return
        for move in moves_of(roll, str(number), self.tabs[index], self.world.users):
            self._do(self.tabs[index], index, move)

    def _do(self, tab: _Tab, index: int, move: Move) -> None:
        name, told = tab.witness.name, str(move)
        match move:
            case Use():
                made = tab.make(move)
                if move.call == "destroy":
                    self._replace(index)
                    tab.pending[made][1].add_done_callback(lambda _: self._left(tab))
            case Event("online" | "offline"):
                told = self._hint(tab, online=move.what == "online")
            case Event("answered"):
                if tab.identity is not None:
                    self.world.answer(tab.identity, move.text)
                told = f"is answered: {move.text}"
            case Event("given up"):
                told = tab.give_up()
                self.tally.fault("a caller leaves")
            case Event("withdraw"):
                tab.within(lambda: tab.chat.withdraw(move.text))
                told = f"takes {move.text} back"
            case Event():  # it is killed
                tab.process.die()
                self._replace(index)
                self.tally.fault("a process dies")
                told = f"is killed; {self.tabs[index].witness.name} begins in its place"
        self._tell(f"{name}: {told}")

    def _hint(self, tab: _Tab, *, online: bool) -> str:
        before = tab.state
        tab.within(lambda: tab.chat.set_online(online))
        if before in ONLINE and not online and tab.state != Phase.DISCONNECTED:
            tab.witness.wrong.append(f"is {tab.state} after set_online(False)")
        return f"set_online({online})"

    def _replace(self, index: int) -> None:
        gone = self.tabs[index]
        self.gone.append(gone)
        self.tabs[index] = self._open(gone.witness.scope)

    def _left(self, tab: _Tab) -> None:
        tab.witness.left_at = self.now

    # --- what is wrong ----------------------------------------------------------------------------

    async def _heal(self, quiet: float) -> None:
        """Everything is well from now on, every session dials anew, and it becomes quiet."""
        self.healed = True
        self.world.heal()
        for tab in self.all:
            tab.process.cut()
            tab.within(partial(tab.chat.set_online, True))
        await asyncio.sleep(quiet)

    async def _judged(self) -> None:
        self.judge.healed_at = self.now
        await self._heal(QUIET)
        self._tell("everything has been well for long")
        for tab in self.all:
            tab.looked_at()
        tabs = list(self.tabs.values())
        self.judge.judged(tabs, [tab.witness for tab in self.gone])
        scopes = dict.fromkeys(tab.witness.scope for tab in tabs)
        examination = self.judge.examined(tabs, list(scopes))
        answer: Any = None
        with contextlib.suppress(StopIteration):
            while True:
                asked = examination.send(answer)
                answer = None
                if isinstance(asked, Asks):
                    tab = cast("_Tab", asked.tab)
                    answer = tab.make(asked.use)
                    await asyncio.wait([tab.pending[answer][1]], timeout=QUIET)
                    if asked.use.call == "destroy":
                        tab.witness.left_at = self.now
                elif isinstance(asked, Opens):
                    answer = self._open(asked.scope)
                elif asked.healed:
                    await self._heal(BRIEF)
                else:
                    await asyncio.sleep(BRIEF)
        for tab in self.gone:
            if tab.witness.dead:
                await tab.within(tab.chat.destroy)
        left = [t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("support-")]
        self.judge.found += [
            Violation("what is destroyed does nothing", f"the task {name!r} is left")
            for name in sorted(left)
        ]


@contextlib.contextmanager
def _warnings(wrong: list[str]) -> Generator[None, None, None]:
    """What sessions warn of: no adapter here breaks its port, and every call is awaited."""

    class _Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            wrong.append(f"a session warns: {record.getMessage()}")

    logger, handler = logging.getLogger("support_chat"), _Handler(logging.WARNING)
    before = logger.propagate
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def turns(plan: Plan) -> random.Random:
    """What a loop draws from whose turn it is: `run(..., choose=turns(plan))`."""
    return plan.chance("turns")

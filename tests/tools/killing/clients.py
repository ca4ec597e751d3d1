"""One client at work: a real session on a real transport and storage, doing what its plan says and
what a person would do then.

A person waits for an answer or not, writes on while the link is gone, and sends again what is not
known to have arrived.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx2

from served import WIDGET, WORKSPACE, Served
from support_chat import (
    ConnectionChanged,
    Message,
    MessageReceived,
    MessageSent,
    Phase,
    PhaseChanged,
    Settings,
    SupportChat,
    User,
    Visitor,
)
from support_chat.errors import InvalidInputError, NetworkError, NotBootedError, SessionEndedError
from support_chat.ports import Storage
from support_chat_adapters.storage import MemoryStorage, SQLiteStorage
from support_chat_adapters.transport import WidgetAPITransport

from . import stored
from .evidence import Client, Evidence, Exchange, Identifying, Life, Recorded, Reply, Sent, owner_of
from .killer import Killer
from .plans import ClientPlan, LifePlan, Step
from .recorder import Recorder

T = TypeVar("T")

SETTLES_WITHIN: Final = 90.0
"""Seconds within which every call settles and every client is live again, from when the backend is
back.
"""
SETTINGS: Final = Settings(
    backoff_base=0.05,
    backoff_min=0.01,
    backoff_max=0.1,
    update_interval=0.02,
    update_burst=1000,
    connect_timeout=30.0,
    boot_timeout=SETTLES_WITHIN,
    call_timeout=SETTLES_WITHIN,
    storage_timeout=SETTLES_WITHIN,
    token_timeout=SETTLES_WITHIN,
    revoke_timeout=2.0,
)
"""As short as tests want delays, and with no limit of updates, of calls or of what they ask that a
round could reach: a disk that others keep busy takes its seconds.
"""
_PAUSE: Final = 0.01
"""Seconds between two attempts of one thing."""
_LONG: Final = 8000
"""How long each of many messages is, in characters: so long that their replay takes a while."""
LIVE: Final = (Phase.ANONYMOUS, Phase.AUTHENTICATED)


class Player:
    """Plays one client's plan; made by `playing`."""

    def __init__(
        self,
        plan: ClientPlan,
        evidence: Evidence,
        served: Served,
        storage: Storage,
        killer: Killer | None,
    ) -> None:
        self.plan = plan
        self.seen = Client(plan.name)
        evidence.clients.append(self.seen)
        self.storage = storage
        self.http = httpx2.AsyncClient(
            transport=Recorder(evidence, self.seen.exchanges, self._exchanged, killer)
        )
        options: dict[str, Any] = {"websocket": None} if plan.polls else {}
        self.transport = WidgetAPITransport(served.url, http=self.http, **options)
        self.chat = SupportChat(
            workspace_id=WORKSPACE,
            widget_id=WIDGET,
            transport=self.transport,
            storage=storage,
            settings=SETTINGS,
            scope=plan.name,
        )
        self._evidence = evidence
        self._served = served
        self._killer = killer
        self._rng = random.Random(f"{evidence.seed} {plan.name}")
        self._minted = 0
        self._pending: set[asyncio.Task[Any]] = set()
        self.chat.on(PhaseChanged, self._phase_changed)
        self.chat.on(MessageReceived, lambda event: self._life.received.append(event.message))
        self.chat.on(MessageSent, lambda event: self._life.told_sent.append(event.message))
        self.chat.on(ConnectionChanged, self._connection_changed)

    # --- a life -----------------------------------------------------------------------------------

    async def play(self) -> None:
        """Lives every life of the plan; the last one stays, with nothing pending."""
        for number, life in enumerate(self.plan.lives):
            await self._live(life, is_killed=self._killer is not None and number == 0)
        await self._all_settled()

    async def _live(self, plan: LifePlan, *, is_killed: bool) -> None:
        life = Life(plan.ending)
        self.seen.lives.append(life)
        user, provider = (
            (None, None) if plan.user is None else (User(plan.user), self._provider(plan.user))
        )
        identity = await self._settles("boot()", self.chat.boot(user=user, token_provider=provider))
        if identity is None:
            return
        life.owners.append((owner_of(identity), stored.newest(self._served.db)))
        for step in plan.steps:
            await self._do(step, life, plan)
        if plan.ending == "stay":
            return
        if is_killed and self._killer is not None and "shutdown" != self._evidence.kind != "boot":
            await self._within("the kill", self._killer.killed.wait())
        if plan.patient:
            await self._all_settled()
        await self.leave(clear=plan.ending == "clear", waits=plan.waits_for_end)

    async def leave(self, *, clear: bool, waits: bool = True) -> None:
        """Shuts down, and looks whether a clear has left anything."""
        self._tell(f"shutdown(clear_storage={clear})")
        ending = self._settles("shutdown()", self.chat.shutdown(clear_storage=clear))
        await self._spawn(ending, waits)
        if (
            clear
            and waits
            and (left := [key for key in await self.storage.keys() if f"/{self.plan.name}/" in key])
        ):
            self._evidence.complain(f"{self.plan.name}: a clear has left {left}")

    async def _do(self, step: Step, life: Life, plan: LifePlan) -> None:
        match step.act:
            case "send":
                known = next(
                    (
                        sent.answers[0].conversation_id
                        for sent in reversed(life.sent)
                        if sent.answers
                    ),
                    None,
                )
                sent = Sent(
                    self._mint("message"),
                    self._mint("text"),
                    life.owner,
                    None if step.fresh else known,
                )
                life.sent.append(sent)
                await self._spawn(self._send(sent, again=step.waits), step.waits)
            case "update":
                await self._update(life)
            case "identify":
                await self._spawn(self._identify(life, plan.identifies_as or ""), step.waits)
            case "reply":
                self.written_to(while_dead=False)
            case "pause":
                await asyncio.sleep(step.seconds)
            case "until_aimed":
                if self._killer is not None:
                    await self._within("the request that is aimed at", self._killer.aimed.wait())

    async def _send(self, sent: Sent, *, again: bool) -> None:
        """Sends; `again` under the same id as long as nobody knows what became of it."""

        def send() -> Awaitable[Message]:
            sent.attempts += 1
            return self.chat.send_message(sent.text, sent.conversation_id, sent.client_message_id)

        what = f"send {sent.client_message_id}"
        expected = (NetworkError, NotBootedError, SessionEndedError)
        if again:
            answer = await self._insists(what, send, *expected)
        else:
            answer = await self._settles(what, send(), *expected)
        if answer is not None:
            sent.answers.append(answer)

    async def _update(self, life: Life) -> None:
        value = None if self._rng.random() < 0.1 and life.recorded else self._mint("value")
        name = self._rng.choice(("plan", "role"))
        owner = life.owner_of_updates
        if self._rng.random() < 0.3:
            path, call = (
                f"context.{self.plan.name}-{name}",
                self.chat.update(context={f"{self.plan.name}-{name}": value}),
            )
        else:
            path = f"user.traits.{self.plan.name}-{name}"
            call = self.chat.update(user={"traits": {f"{self.plan.name}-{name}": value}})
        life.recorded.append(Recorded(owner, path, value))
        self._tell(f"update {path} = {value} for {owner}")
        await self._settles("update()", call)

    async def _identify(self, life: Life, user: str) -> None:
        identity = self.chat.identity
        if not isinstance(identity, Visitor):
            self._evidence.complain(
                f"{self.plan.name}: no visitor but {identity} where identify() was to be called"
            )
            return
        identifying = Identifying(identity.id, user)
        life.identifies.append(identifying)
        ended = () if life.ending == "stay" else (SessionEndedError,)
        call = self.chat.identify(user={"id": user}, token_provider=self._provider(user))
        identifying.result = await self._settles(f"identify({user})", call, *ended)
        if identifying.result is not None:
            life.owners.append((f"user:{user}", stored.newest(self._served.db)))

    # --- the end ----------------------------------------------------------------------------------

    async def live_again(self) -> bool:
        """Waits until the session is live by itself; False, and a complaint, if it does not come
        back, or if it has been left.
        """
        if self.chat.is_in(Phase.SHUTDOWN, Phase.BOOTING):
            return False
        phase = await self._within("being live again", self.chat.wait_for(*LIVE, Phase.SHUTDOWN))
        return phase in LIVE

    async def send_again(self) -> None:
        """Sends what may not have arrived, of this life, and of earlier ones of the same
        identity.
        """
        for life in self.seen.lives:
            for sent in life.sent:
                if not sent.answers and (life is self._life or sent.owner == self._life.owner):
                    await self._send(sent, again=True)

    async def list_conversations(self) -> None:
        """Asks the backend what is there: who gets an answer is live, and for whom."""
        if await self.live_again():
            listed = await self._insists("conversations()", self.chat.conversations, NetworkError)
            if listed is not None:
                self._life.listed = tuple((one.id, one.messages) for one in listed)

    async def _all_settled(self) -> None:
        while self._pending:
            await asyncio.gather(*self._pending)
            await asyncio.sleep(0)  # from Python 3.12 on it waits for nothing if all are done

    # --- the agent --------------------------------------------------------------------------------

    def written_to(self, *, while_dead: bool, times: int = 1) -> None:
        """An agent writes to this client, if there is anybody to write to."""
        life, identity = self._life, self.chat.identity
        if identity is None or not life.owners:
            return
        own = [sent.answers[0].conversation_id for sent in life.sent if sent.answers]
        to = self._rng.choice(own) if own else identity
        with self._served.backend() as backend:
            try:
                messages = [
                    backend.agent.reply(to, self._mint("reply") + " " * _LONG * (times > 1))
                    for _ in range(times)
                ]
            except InvalidInputError:  # a visitor who was merged a moment ago
                return
        owners = dict(stored.read(self._served.db).conversations)
        for message in messages:
            number, owner = (
                int(message.id.removeprefix("message-")),
                owners[message.conversation_id],
            )
            self._evidence.replies.append(Reply(number, message.conversation_id, owner, while_dead))
        last = self._evidence.replies[-1]
        dead = " while the backend is dead" if while_dead else ""
        self._tell(
            f"an agent writes {len(messages)} up to message-{last.number} to {last.owner}{dead}"
        )

    # --- how things are written down --------------------------------------------------------------

    @property
    def _life(self) -> Life:
        return self.seen.lives[-1]

    async def _settles(self, what: str, call: Awaitable[T], *expected: type[Exception]) -> T | None:
        """The call's result, or None for an expected error; every other end is a complaint."""
        self._tell(what)
        self.seen.unsettled.append(what)
        try:
            async with asyncio.timeout(SETTLES_WITHIN + 5):
                result = await call
        except expected as error:
            self._tell(f"{what} failed: {type(error).__name__} {getattr(error, 'reason', None)}")
        except TimeoutError as error:
            self._evidence.complain(f"{self.plan.name}: {what} has not settled in time ({error})")
            return None
        except Exception as error:
            self._evidence.complain(
                f"{self.plan.name}: {what} failed with {type(error).__name__}: {error}"
            )
        else:
            self._tell(f"{what} -> {result}")
            self.seen.unsettled.remove(what)
            return result
        self.seen.unsettled.remove(what)
        return None

    async def _insists(
        self, what: str, ask: Callable[[], Awaitable[T]], *expected: type[Exception]
    ) -> T | None:
        """The answer, asked for again once the session is live while an expected error comes in its
        place: for so long, and while nothing else goes wrong.
        """
        until = time.monotonic() + SETTLES_WITHIN
        while time.monotonic() < until and not self._evidence.complaints:
            answer = await self._settles(what, ask(), *expected)
            if answer is not None or not await self.live_again():
                return answer
            await asyncio.sleep(_PAUSE)
        self._evidence.complain(f"{self.plan.name}: {what} has no answer, and is not asked again")
        return None

    async def _spawn(self, work: Coroutine[Any, Any, None], waits: bool) -> None:
        task = asyncio.ensure_future(work)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        await (asyncio.wait((task,)) if waits else asyncio.sleep(0))

    async def _within(self, what: str, waiting: Awaitable[T]) -> T | None:
        try:
            async with asyncio.timeout(SETTLES_WITHIN):
                return await waiting
        except TimeoutError:
            self._evidence.complain(
                f"{self.plan.name}: {what} has not come within {SETTLES_WITHIN:g} s, in "
                f"{self.chat.state}"
            )
            return None

    def _provider(self, user: str) -> Callable[[], Any]:
        def token() -> str:
            return self._served.token(user)

        async def later() -> str:
            await asyncio.sleep(0)
            return token()

        return self._rng.choice((token, later))

    def _mint(self, what: str) -> str:
        self._minted += 1
        return f"{what}-{self._evidence.seed}-{self.plan.name}-{self._minted}"

    def _phase_changed(self, event: PhaseChanged) -> None:
        self.seen.phases.append(event)
        self._tell(f"{event.previous} -> {event.current} {event.reason}")

    def _connection_changed(self, event: ConnectionChanged) -> None:
        self._life.gap = self._life.gap or event.gap

    def _exchanged(self, exchange: Exchange) -> None:
        if exchange.asks != "other":
            self._tell(f"    {exchange.asks} on the wire: {exchange.status or 'no answer'}")

    def _tell(self, line: str) -> None:
        self._evidence.tell(f"{self.plan.name}: {line}")


@asynccontextmanager
async def playing(
    plan: ClientPlan, evidence: Evidence, served: Served, folder: Path, killer: Killer | None
) -> AsyncGenerator[Player, None]:
    """A client, to be played; afterwards all that is its own is closed."""
    async with AsyncExitStack() as closing:
        storage = (
            SQLiteStorage(folder / f"{plan.name}-{evidence.seed}.db")
            if plan.on_disk
            else MemoryStorage()
        )
        closing.push_async_callback(storage.aclose)
        player = Player(plan, evidence, served, storage, killer)
        closing.push_async_callback(player.http.aclose)
        closing.push_async_callback(player.transport.aclose)
        closing.push_async_callback(player.chat.destroy)
        yield player

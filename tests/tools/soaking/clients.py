"""The clients of one process, each a real session on a transport of its own, going about it as
people do: they write, read, sign in, lose their link, leave and come back.

The first half of them are visitors, who become users now and then; of the others, each two are
the devices of one user, in processes of their own where there are some.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import httpx2

from killing.evidence import owner_of
from served import WIDGET, WORKSPACE
from support_chat import (
    ConnectionChanged,
    Message,
    MessageReceived,
    Phase,
    Settings,
    SupportChat,
    User,
    Visitor,
)
from support_chat.errors import CallTimeoutError, NetworkError, RateLimitedError
from support_chat.ports import Credentials, Link
from support_chat_adapters.backend import sign_identity_token
from support_chat_adapters.backend.server.key_file import identity_secret
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import WidgetAPITransport

from .evidence import Kind, Notes

T = TypeVar("T")

SETTINGS: Final = Settings(
    backoff_base=0.3,
    backoff_min=0.05,
    backoff_max=3.0,
    update_interval=0.05,
    update_burst=1_000_000,
)
"""Nearly those of everybody: back a little sooner, and with no limit of updates."""
LIVE: Final = (Phase.ANONYMOUS, Phase.AUTHENTICATED)
_OFTEN: Final[dict[Kind, int]] = {
    "send": 40,
    "update": 10,
    "mark_read": 10,
    "conversations": 6,
    "messages": 8,
    "reconnect": 8,
    "identify": 6,
    "shutdown": 5,
}
"""How often each is done, one against the other."""
_ACTS: Final[list[Kind]] = [*_OFTEN]


@attrs.frozen
class Work:
    """What one process is told to do."""

    folder: Path
    url: str
    db: Path
    seed: str
    sitting: str
    process: int
    processes: int
    clients: int
    pace: float
    patience: float


@attrs.define(eq=False)
class Office:
    """What the clients of a process share."""

    work: Work
    notes: Notes
    db: sqlite3.Connection
    secret: str = attrs.field(repr=False)
    stopping: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Nobody begins anything from now on."""
    settling: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Nobody anywhere is doing anything any more."""
    done: Counter[str] = attrs.field(factory=Counter[str])

    def newest(self) -> int:
        """The number of the newest message of all."""
        return int(self.db.execute("SELECT coalesce(max(number), 0) FROM messages").fetchone()[0])

    def newest_for(self, owner: str, of_others_than: str) -> int:
        """The number of the owner's newest message that another one than this client has sent."""
        row = self.db.execute(
            "SELECT number FROM messages WHERE owner = ?"
            " AND coalesce(client_message_id, '') NOT LIKE ? ORDER BY number DESC LIMIT 1",
            (owner, f"{of_others_than}/%"),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def stored(self, owner: str, path: str) -> object:
        """The value at this path of the owner's profile."""
        row = self.db.execute(
            "SELECT value FROM traits WHERE owner = ? AND path = ?", (owner, path)
        ).fetchone()
        return None if row is None else json.loads(row[0])


class Droppable:
    """A transport whose link can be cut, as a network does."""

    def __init__(self, inner: WidgetAPITransport) -> None:
        self._inner = inner
        self._link: Link | None = None

    async def open(self, credentials: Credentials) -> Link:
        """Dials."""
        self._link = await self._inner.open(credentials)
        return self._link

    async def revoke(self, session: str) -> None:
        """Passed on."""
        await self._inner.revoke(session)

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        """Passed on."""
        await self._inner.end_visitor(workspace_id, widget_id, visitor)

    async def aclose(self) -> None:
        """Closes the network's part."""
        await self._inner.aclose()

    def cut(self) -> None:
        """Cuts the last link."""
        if self._link is not None:
            self._link.abort()


class Player:
    """One client."""

    def __init__(self, name: str, user: str | None, office: Office) -> None:
        self.name = name
        self._user = user
        self._office = office
        self._rng = random.Random(f"{office.work.seed} {name}")
        self._minted = 0
        self._lives = 0
        self._life = ""
        self._sent: list[Message] = []
        self._conversations: list[str] = []
        self._got = 0
        self._after = 0
        self._losses = 0
        self._leaving = False
        self._lost_at: float | None = None
        self.http = httpx2.AsyncClient(verify=False, trust_env=False)
        self.transport = Droppable(WidgetAPITransport(office.work.url, http=self.http))
        self.chat = SupportChat(
            workspace_id=WORKSPACE,
            widget_id=WIDGET,
            transport=self.transport,
            storage=MemoryStorage(),
            settings=SETTINGS,
            scope=name,
        )
        self.chat.on(MessageReceived, self._received)
        self.chat.on(ConnectionChanged, self._connection_changed)

    async def play(self) -> None:
        """One life after the other until it is time to stop; the last one is settled."""
        office = self._office
        await self._pause(self._rng.random())  # not all at once
        while not office.stopping.is_set():
            await self._boot()
            while not office.stopping.is_set():
                await self._pause(self._rng.expovariate(1.0))
                kind = self._rng.choices(_ACTS, [*_OFTEN.values()])[0]
                if office.stopping.is_set() or kind == "shutdown":
                    break
                await self._act(kind)
            if not office.stopping.is_set():
                await self._leave()

    async def settle(self) -> None:
        """Looks once more at all that is theirs, and leaves."""
        if not self._life:
            return
        listed = await self._does("conversations", self.chat.conversations)
        self._note("listed", conversations={one.id: one.messages for one in listed})
        await self._leave()

    async def close(self) -> None:
        """Releases what is open."""
        await self.chat.destroy()
        await self.transport.aclose()
        await self.http.aclose()

    # --- what is done -----------------------------------------------------------------------------

    async def _boot(self) -> None:
        self._lives += 1
        life = f"{self.name}/{self._lives}"
        user = self._user
        if user is None and self._lives > 1 and self._rng.random() < 0.3:
            user = self._own_user
        self._got, self._sent, self._conversations = 0, [], []
        self._life = life

        def boot() -> Awaitable[Any]:
            if user is None:
                return self.chat.boot()
            return self.chat.boot(user=User(user), token_provider=self._provider(user))

        identity = await self._does("boot", boot)
        self._is(owner_of(identity))

    def _is(self, owner: str) -> None:
        self._after = self._office.newest()
        self._note("is", owner=owner, after=self._after)

    async def _act(self, kind: Kind) -> None:
        match kind:
            case "send":
                await self._send()
            case "update":
                await self._update()
            case "identify":
                await self._identify()
            case "reconnect":
                losses = self._losses
                if self.chat.connected:
                    self.transport.cut()
                    await self._until(lambda: self._losses > losses)
                await self._live()
            case "conversations":
                listed = {one.id for one in await self._does(kind, self.chat.conversations)}
                if missing := {one.conversation_id for one in self._sent} - listed:
                    self._complain(f"lost: {self._life} does not list its {missing}")
                self._conversations = sorted(listed)
            case "messages":
                if self._sent:
                    await self._read_on(self._rng.choice(self._sent).conversation_id)
            case "mark_read":
                if self._conversations:
                    conversation = self._rng.choice(self._conversations)
                    await self._does(kind, lambda: self.chat.mark_read(conversation))
            case _:
                raise AssertionError(kind)

    async def _send(self) -> None:
        office, id = self._office, self._mint()
        conversation = None
        if self._conversations and self._rng.random() > 0.1:
            conversation = self._rng.choice(self._conversations)
        text, gives_up = f"text of {id}", self._rng.random() < 0.2
        self._note("sending", id=id, text=text, owner=self._owner, conversation=conversation)
        began = time.time()

        async def send() -> Message | None:
            try:
                return await self.chat.send_message(text, conversation, id, queue=not gives_up)
            except RateLimitedError:
                raise
            except NetworkError as error:
                self._note("unknown", id=id, error=str(error))
                return None

        message = await self._insists("send", send)
        if message is None:
            return
        self._note("sent", id=id, number=_number(message))
        self._did("send", began)
        self._sent.append(message)
        if message.conversation_id not in self._conversations:
            self._conversations.append(message.conversation_id)
        office.done["sent"] += 1

    async def _update(self) -> None:
        office, value = self._office, self._mint()
        owner, path = self._owner, f"user.traits.{self.name.replace('.', '-')}"
        self._note("setting", owner=owner, path=path, value=value)
        began = time.time()
        trait = path.removeprefix("user.traits.")
        await self._insists("update", lambda: self.chat.update(user={"traits": {trait: value}}))
        await self._until(lambda: office.stored(owner, path) == value)
        self._note("set", owner=owner, path=path, value=value)
        self._did("update", began)

    async def _identify(self) -> None:
        identity = self.chat.identity
        if not isinstance(identity, Visitor):
            return
        user = self._own_user
        self._note("identifying", visitor=identity.id, user=user)

        def identify() -> Awaitable[Any]:
            return self.chat.identify(user={"id": user}, token_provider=self._provider(user))

        result = await self._does("identify", identify)
        moved = result.conversations_moved if result.merged else None
        self._note("identified", visitor=identity.id, user=user, moved=moved)
        self._is(f"user:{user}")

    async def _read_on(self, conversation: str) -> None:
        mine = [one.id for one in self._sent if one.conversation_id == conversation]
        listed = await self._does("messages", lambda: self.chat.messages(conversation))
        ids = [one.id for one in listed]
        if [id for id in ids if id in {*mine}] != mine:
            self._complain(f"lost: {self._life} sent {mine} and lists {ids}")

    async def _leave(self) -> None:
        """Waits for all that was written to them until now, and shuts down."""
        office = self._office
        await self._live()
        up_to = office.newest_for(self._owner, self.name)
        arrived = await self._until(lambda: self._got >= up_to or up_to <= self._after)
        self._note("end", up_to=up_to, arrived=arrived)
        began, self._leaving, self._lost_at = time.time(), True, None
        await self.chat.shutdown(clear_storage=self._rng.random() < 0.2)
        self._life, self._leaving = "", False
        self._did("shutdown", began)

    # --- how it is done ---------------------------------------------------------------------------

    async def _does(self, kind: Kind, ask: Callable[[], Awaitable[T]]) -> T:
        began = time.time()
        result = await self._insists(kind, ask)
        self._did(kind, began)
        return result

    async def _insists(self, kind: Kind, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer, asked for again as long as the network is what failed."""
        until = time.monotonic() + self._office.work.patience
        while True:
            try:
                return await ask()
            except (NetworkError, CallTimeoutError):
                if time.monotonic() > until:
                    raise
            await self._pause_for(0.05)
            if kind != "boot":
                await self._live()

    async def _live(self) -> None:
        async with asyncio.timeout(self._office.work.patience):
            await self.chat.wait_for(*LIVE)

    async def _until(self, holds: Callable[[], bool]) -> bool:
        """Whether it has come to hold in time; nobody tells what another process has written."""
        until = time.monotonic() + self._office.work.patience
        while not holds():
            if time.monotonic() > until:
                self._complain(f"lost: {self._life} has waited in vain, with {self._got}")
                return False
            await asyncio.sleep(0.05)
        return True

    async def _pause(self, share: float) -> None:
        await self._pause_for(share * self._office.work.pace)

    async def _pause_for(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._office.stopping.wait()
        except TimeoutError:
            return

    # --- what is written down ---------------------------------------------------------------------

    def _received(self, event: MessageReceived) -> None:
        message = event.message
        number = _number(message)
        self._got = max(self._got, number)
        self._office.done["received"] += 1
        if message.conversation_id not in self._conversations:
            self._conversations.append(message.conversation_id)
        self._note("got", number=number, conversation=message.conversation_id, text=message.text)

    def _connection_changed(self, event: ConnectionChanged) -> None:
        if event.gap:
            self._note("gap")
        if not event.connected and not self._leaving:
            self._losses += 1
            self._lost_at = time.time()
        elif event.connected and self._lost_at is not None:
            self._did("reconnect", self._lost_at)
            self._lost_at = None

    def _did(self, kind: Kind, began: float) -> None:
        self._office.done[kind] += 1
        self._office.notes.add("did", kind=kind, began=began, at=time.time())

    def _note(self, what: str, **said: Any) -> None:
        self._office.notes.add(what, life=self._life, **said)

    def _complain(self, text: str) -> None:
        self._office.notes.add("complaint", text=text)

    @property
    def _owner(self) -> str:
        identity = self.chat.identity
        assert identity is not None
        return owner_of(identity)

    @property
    def _own_user(self) -> str:
        return f"own-{self.name}-{self._lives // 4}"

    def _provider(self, user: str) -> Callable[[], str]:
        return lambda: sign_identity_token(
            user, self._office.secret, workspace_id=WORKSPACE, widget_id=WIDGET, lifetime=900.0
        )

    def _mint(self) -> str:
        self._minted += 1
        return f"{self.name}/{self._minted}"


def _number(message: Message) -> int:
    return int(message.id.removeprefix("message-"))


def people(work: Work) -> list[tuple[str, str | None]]:
    """The names of this process's clients, and the user of each; None for a visitor."""
    visitors = work.clients // 2
    return [
        (
            f"{work.sitting}.{number}",
            None if number < visitors else f"pair-{(number - visitors) // 2}",
        )
        for number in range(work.process, work.clients, work.processes)
    ]


async def play(work: Work) -> None:
    """Plays all clients of this process; `stop` and `settle` come on standard input, and how it
    goes is told on standard output once a second.
    """
    notes = Notes(work.folder, f"{work.sitting}-clients-{work.process}")
    db = sqlite3.connect(work.db, isolation_level=None, timeout=work.patience)
    office = Office(work, notes, db, identity_secret(Path(f"{work.db}.key")))
    players = [Player(name, user, office) for name, user in people(work)]
    _listen(office)
    telling = asyncio.ensure_future(_tell(office, players))
    await _all(office, players, Player.play)
    print(json.dumps({"stopped": True}), flush=True)
    await office.settling.wait()
    await _all(office, players, Player.settle)
    await _all(office, players, Player.close)
    telling.cancel()
    db.close()
    notes.close()


async def _all(
    office: Office, players: list[Player], what: Callable[[Player], Awaitable[None]]
) -> None:
    """All of them; one who fails is a complaint, and does not go on."""

    async def one(player: Player) -> None:
        try:
            await what(player)
        except Exception as error:
            office.notes.add(
                "complaint", text=f"{player.name}: {type(error).__name__}: {error} ({player.chat})"
            )

    await asyncio.gather(*(one(player) for player in players))


def _listen(office: Office) -> None:
    loop = asyncio.get_running_loop()

    def listen() -> None:
        for line in sys.stdin:
            event = office.stopping if line.strip() == "stop" else office.settling
            loop.call_soon_threadsafe(event.set)
        os._exit(1)  # whoever plays us is gone, and what we would see now is no evidence

    threading.Thread(target=listen, daemon=True).start()


async def _tell(office: Office, players: list[Player]) -> None:
    while True:
        live = sum(player.chat.connected for player in players)
        print(json.dumps({"live": live, "done": office.done}), flush=True)
        await asyncio.sleep(1)


def main() -> None:
    """Plays what the argument says, as JSON."""
    told = json.loads(sys.argv[1])
    asyncio.run(play(Work(Path(told.pop("folder")), told.pop("url"), Path(told.pop("db")), **told)))

"""Every adapter and every double that ships passes the suites: one row each, which is all that
another one needs.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import shutil
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias, cast

import attrs
import httpx2
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked
from redis import Redis

from broken_transports import Healthy, arranged
from loopback_arrangement import LoopbackArrangement, loopback
from redis_server import INSTALL, is_installed, redis_server
from repeatable import RepeatableTransport
from support_chat.errors import TokenProviderError, TokenRefusedError
from support_chat.ports import MessageArrived, SessionRevoked, Storage, TokenExpired, TokenProvider
from support_chat.testing import (
    STORAGE_CLAUSES,
    TOKEN_CLAUSES,
    TRANSPORT_CLAUSES,
    Faults,
    FaultyStorage,
    FaultyTokens,
    FaultyTransport,
    RecordingStorage,
    RecordingTransport,
    ScriptedLink,
    ScriptedTokens,
    StoragePlace,
    TokenSource,
    check_storage,
    check_token_provider,
    check_transport,
    unsigned_token,
)
from support_chat.values import Identity, Message, SignedIn, Visitor
from support_chat_adapters.backend import SQLiteStore
from support_chat_adapters.backend.conformance import STORE_CLAUSES, StorePlace, check_store
from support_chat_adapters.storage import (
    FileStorage,
    KeyringStorage,
    MappingStorage,
    MemoryStorage,
    RedisStorage,
    SQLiteStorage,
)
from support_chat_adapters.tokens import HTTPTokenProvider, StaticToken

# --- storages -------------------------------------------------------------------------------------

Opens: TypeAlias = Callable[[Path], StoragePlace]
"""Makes a place in an empty folder."""

PLACE = (
    "storage.one-place",
    "storage.one-winner-of-two",
    "storage.one-remover-of-two",
    "storage.closing-one",
    "storage.one-winner-of-threads",
)
"""The clauses of what several objects share."""
SPOILT = ("storage.only-storage-errors", "storage.errors-hide-values")
RESIDUE = ("storage.no-residue",)
LOOPS = ("storage.many-loops",)


def memory(_: Path) -> StoragePlace:
    return StoragePlace(MemoryStorage, many_loops=True)


def recording(_: Path) -> StoragePlace:
    storage = RecordingStorage()
    return StoragePlace(lambda: storage, raw_bytes=lambda: repr(storage.contents).encode())


def in_a_file(kind: Callable[[Path], Storage]) -> Opens:
    def opens(folder: Path) -> StoragePlace:
        path = folder / "chat"

        def raw_bytes() -> bytes:
            return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())

        def spoil() -> None:
            shutil.rmtree(folder)
            path.parent.touch()  # a file where the folder was

        return StoragePlace(lambda: kind(path), raw_bytes, spoil, many_loops=True)

    return opens


def mapping(_: Path) -> StoragePlace:
    held: dict[str, str] = {}
    return StoragePlace(lambda: MappingStorage(held), lambda: repr(held).encode(), many_loops=True)


class Keyring(KeyringBackend):
    """A keyring in memory, whose owner can lock it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring has not annotated it
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = False

    def opened(self) -> dict[tuple[str, str], str]:
        if self.locked:
            raise KeyringLocked("locked")
        return self.entries

    def get_password(self, service: str, username: str) -> str | None:
        return self.opened().get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.opened()[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.opened()[service, username]


def in_a_keyring(_: Path) -> StoragePlace:
    keyring = Keyring()
    return StoragePlace(
        lambda: KeyringStorage("check", keyring=keyring),
        raw_bytes=lambda: repr(keyring.entries).encode(),
        spoil=lambda: setattr(keyring, "locked", True),
        many_loops=True,
    )


def on_a_server(folder: Path) -> StoragePlace:
    prefix, url = f"{secrets.token_hex(8)}:", (folder.parent / "redis-url").read_text()

    def raw_bytes() -> bytes:
        # redis-py leaves much of it without types
        with contextlib.closing(cast("Any", Redis).from_url(url)) as client:
            return b"".join(key + client.dump(key) for key in client.scan_iter(f"{prefix}*"))

    return StoragePlace(lambda: RedisStorage(url, prefix=prefix), raw_bytes)


@pytest.fixture
def redis(tmp_path: Path) -> Generator[None, None, None]:
    if not is_installed():
        pytest.skip(f"needs redis-server: {INSTALL}")
    with redis_server() as url:
        (tmp_path / "redis-url").write_text(url)
        yield


def faulty(faults: Faults) -> Opens:
    def opens(_: Path) -> StoragePlace:
        held: dict[str, str] = {}
        return StoragePlace(lambda: FaultyStorage(MappingStorage(held), faults))

    return opens


STORAGES: dict[str, tuple[Opens, tuple[str, ...]]] = {
    "memory": (memory, (*PLACE, *SPOILT, *RESIDUE)),
    "recording": (recording, (*PLACE, *SPOILT, *LOOPS)),
    "sqlite": (in_a_file(SQLiteStorage), ()),
    "file": (in_a_file(FileStorage), ()),
    "keyring": (in_a_keyring, ()),
    "mapping": (mapping, SPOILT),
    "redis": (on_a_server, (*SPOILT, *LOOPS)),
    "faulty, without faults": (faulty(Faults()), (*SPOILT, *RESIDUE, *LOOPS)),
    "faulty, late": (faulty(Faults(delay=1.0, longest=0.002)), (*SPOILT, *RESIDUE, *LOOPS)),
}
"""For each storage how a place of it is opened, and the clauses that cannot be tried there."""


@pytest.mark.parametrize("kind", STORAGES)
def test_a_storage_keeps_its_port(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "redis":
        request.getfixturevalue("redis")
    opens, left_out = STORAGES[kind]
    numbers = itertools.count()

    def factory() -> StoragePlace:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return opens(folder)

    report = check_storage(
        factory, only=[clause.id for clause in STORAGE_CLAUSES if clause.id not in left_out]
    )
    assert report.not_applicable == {}


# --- token providers ------------------------------------------------------------------------------

TOKEN = "a-token-9b71d224bd62f378"
API_KEY = "the-key-of-the-provider"


def scripted() -> TokenSource:
    tokens = ScriptedTokens()

    def fail_next_with(error: Exception) -> Callable[[], None]:
        return lambda: tokens.fail_next("fetch", error)

    return TokenSource(
        tokens,
        fail_next_with(TokenRefusedError("No.")),
        fail_next_with(TokenProviderError("Later.")),
    )


@asynccontextmanager
async def over_http() -> AsyncGenerator[TokenSource, None]:
    statuses = [200]

    def handler(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(statuses[-1], stream=httpx2.ByteStream(TOKEN.encode()))

    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with httpx2.AsyncClient(
        transport=httpx2.MockTransport(handler), headers=headers
    ) as client:
        yield TokenSource(
            HTTPTokenProvider(f"https://shop.example/token?key={API_KEY}", client),
            refuse=lambda: statuses.append(403),
            fail=lambda: statuses.append(500),
            secrets=(API_KEY,),
        )


def function() -> TokenSource:
    state: list[Exception] = []

    def provide() -> str:
        if state:
            raise state[-1]
        return TOKEN

    return TokenSource(
        provide,
        refuse=lambda: state.append(TokenRefusedError("This user gets none.")),
        fail=lambda: state.append(ConnectionError("Nobody answers.")),
    )


TOKENS: dict[str, tuple[Callable[[], Any], int]] = {
    "static": (lambda: StaticToken(TOKEN), 3),
    "scripted": (scripted, 0),
    "http": (over_http, 0),
    "a plain function": (function, 0),
    "faulty, without faults": (lambda: FaultyTokens(StaticToken(TOKEN), Faults()), 3),
    "faulty, late and twice": (
        lambda: FaultyTokens(StaticToken(TOKEN), Faults(delay=0.5, duplicate=0.5, longest=0.01)),
        3,
    ),
}
"""For each provider how it is made, and how many clauses cannot be tried since it neither refuses
nor fails.
"""


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_provider_keeps_its_port(kind: str) -> None:
    factory, not_applicable = TOKENS[kind]
    report = check_token_provider(factory)
    assert len(report.not_applicable) == not_applicable
    assert len(report.passed) == len(TOKEN_CLAUSES) - not_applicable


def test_a_token_provider_needs_no_more_than_to_be_given() -> None:
    provider: TokenProvider = StaticToken(TOKEN)
    assert "tokens.text" in check_token_provider(lambda: provider).passed


# --- transports -----------------------------------------------------------------------------------


def faulty_loopback(
    faults: Faults,
) -> Callable[[], AbstractAsyncContextManager[LoopbackArrangement]]:
    @asynccontextmanager
    async def made() -> AsyncGenerator[LoopbackArrangement, None]:
        async with loopback() as arrangement:
            yield attrs.evolve(
                arrangement, transport=FaultyTransport(arrangement.transport, faults)
            )

    return made


@asynccontextmanager
async def far_away() -> AsyncGenerator[LoopbackArrangement, None]:
    async with loopback() as arrangement:
        arrangement.backend.faults.delay(0.01, answer=0.01)
        yield arrangement


TRANSPORTS: dict[str, Callable[[], AbstractAsyncContextManager[LoopbackArrangement]]] = {
    "loopback": loopback,
    "loopback, far away": far_away,
    "a wrapper of one's own": arranged(Healthy),
    "faulty, without faults": faulty_loopback(Faults()),
    "faulty, late": faulty_loopback(Faults(delay=1.0, longest=0.02)),
}


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_a_transport_keeps_its_port(kind: str) -> None:
    report = check_transport(TRANSPORTS[kind])
    assert report.passed == tuple(clause.id for clause in TRANSPORT_CLAUSES)


def test_what_a_backend_need_not_remember_is_not_asked_of_one_that_takes_an_identify_again() -> (
    None
):
    @asynccontextmanager
    async def made() -> AsyncGenerator[LoopbackArrangement, None]:
        async with loopback() as arrangement:
            transport = RepeatableTransport(arrangement.transport, arrangement.backend)
            yield attrs.evolve(arrangement, transport=transport)

    report = check_transport(made)
    memory = ("claim-answered", "claim-closed", "lost-reply")
    reason = "the backend remembers no identify, as its welcome says"
    assert report.not_applicable == {f"transport.{each}": reason for each in memory}
    assert "transport.identify-late" in report.passed


@attrs.define(eq=False)
class DoubledBackend:
    """What a test plays at the other end of a `RecordingTransport`: enough for what a link
    promises, without a backend's memory.
    """

    transport: RecordingTransport = attrs.field(factory=RecordingTransport)
    workspace_id: str = "acme"
    widget_id: str = "help"
    numbers: itertools.count[int] = attrs.field(factory=itertools.count)

    async def token(self, user_id: str) -> str:
        return unsigned_token(sub=user_id, jti=str(next(self.numbers)))

    def of(self, identity: Identity) -> list[ScriptedLink]:
        is_user = isinstance(identity, SignedIn)
        welcomes = [(link, link.welcome) for link in self.transport.open_links]
        return [
            link
            for link, to in welcomes
            if identity == (SignedIn(to.user_id or "") if is_user else Visitor(to.visitor_id or ""))
        ]

    async def say(self, identity: Identity, text: str) -> None:
        number = str(next(self.numbers))
        for link in self.of(identity):
            link.emit(MessageArrived(Message(number, "conversation 1", "agent", text, 0.0), number))

    async def expire_tokens(self, user_id: str) -> None:
        for link in self.of(SignedIn(user_id)):
            link.emit(TokenExpired())

    async def revoke(self, session: str) -> None:
        for link in self.transport.open_links:
            if link.welcome.session == session:
                link.emit(SessionRevoked())
                link.lose()

    async def cut(self) -> None:
        for link in self.transport.open_links:
            link.lose()

    async def open_links(self) -> int:
        return len(self.transport.open_links)


def test_the_double_of_a_transport_keeps_what_its_port_says_of_links() -> None:
    """What a backend remembers or refuses is what a test tells the double to answer."""
    of_dials = (
        "welcomes-visitor",
        "welcomes-user",
        "same-visitor",
        "another-visitor",
        "resumes-visitor",
        "resumes-user",
    )
    of_links = (
        "events",
        "events-of-nobody-else",
        "token-expired-event",
        "revoked-event",
        "heard-at",
        "heard-no-more",
        "cut",
        "closed",
    )
    of_aborts = (
        "is-synchronous",
        "ends-pending",
        "delivers-nothing",
        "twice",
        "closes",
        "leaves-no-task",
        "keeps-session",
    )
    only = [
        *(
            f"transport.{name}"
            for name in (*of_dials, "cancelled-open", "revoke-unknown", "closed")
        ),
        *(f"link.{name}" for name in (*of_links, "renew", "send", "cancelled-call")),
        *(f"link.abort-{name}" for name in of_aborts),
    ]
    report = check_transport(DoubledBackend, only=only)
    assert len(report.passed) == len(only)


# --- stores ---------------------------------------------------------------------------------------


def test_a_store_in_memory_passes_every_clause_that_a_lone_store_has() -> None:
    """In a file it passes all of them: it is the healthy one beside those that are broken."""
    report = check_store(lambda: StorePlace(lambda: SQLiteStore(":memory:"), alone=True))
    several = ("committed-when-told", "news-of-others", "news-once", "work-that-waits")
    beside = ("overtaken-told", "overtaken-replayed", "order-of-an-owner", "late-request")
    a_lock = ("foreign-lock", "busy", "cancelled-while-locked")
    assert report.not_applicable.keys() == {
        f"store.{each}" for each in (*several, *beside, "write-in-order", *a_lock)
    }
    assert len(report.passed) == len(STORE_CLAUSES) - len(report.not_applicable)

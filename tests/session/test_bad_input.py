"""What people pass in by mistake, and what breaks around a session: a typed error that says what to
do, and the session stays put.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support_chat import (
    AuthRefusedError,
    Company,
    ErrorOccurred,
    IdentityConflictError,
    InvalidInputError,
    Phase,
    PhaseChanged,
    Settings,
    StorageError,
    SupportChat,
    SupportChatError,
    TokenProviderError,
    TokenRefusedError,
    User,
)
from support_chat.ports import Storage, TokenExpired
from support_chat.testing import run
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.storage import MemoryStorage, SQLiteStorage
from support_chat_adapters.tokens import StaticToken
from support_chat_adapters.transport import LoopbackTransport

if TYPE_CHECKING:
    from tests.session.conftest import Rig

SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}

Make = Callable[[SupportChat], object]


# --- arguments: on the line of the call -----------------------------------------------------------


def recursive() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


NO_USERS: dict[str, tuple[Any, str]] = {
    "no id": ({"name": "Ann"}, "id"),
    "an empty id": ({"id": ""}, "id"),
    "an id of 300 characters": ({"id": "x" * 300}, "255"),
    "an id that is a number": ({"id": 7}, "str"),
    "an id that is None": ({"id": None}, "str"),
    "an id that UTF-8 cannot carry": ({"id": "\ud800"}, "id"),
    "a str": ("ann", "mapping"),
    "a list": (["ann"], "mapping"),
    "a company": (Company("acme"), "User"),
    "an unknown key": ({"id": "ann", "plan": "pro"}, "put it in traits"),
    "an unknown key that is no str": ({"id": "ann", 3: "pro"}, "traits"),
    "a name that is a number": ({"id": "ann", "name": 7}, "str"),
    "an email that is a list": ({"id": "ann", "email": ["a@example.com"]}, "str"),
    "traits that are a list": ({"id": "ann", "traits": ["admin"]}, "mapping"),
    "a trait that is an object": ({"id": "ann", "traits": {"role": object()}}, "JSON"),
    "a trait that is bytes": ({"id": "ann", "traits": {"role": b"admin"}}, "JSON"),
    "a trait that is a set": ({"id": "ann", "traits": {"role": {"admin"}}}, "JSON"),
    "a trait that is not a number": ({"id": "ann", "traits": {"score": float("nan")}}, "JSON"),
    "a trait that holds itself": ({"id": "ann", "traits": {"role": recursive()}}, "JSON"),
    "a trait named by a number": ({"id": "ann", "traits": {7: "admin"}}, "str"),
    "traits of 17 KiB": ({"id": "ann", "traits": {"bio": "x" * 17 * 1024}}, "16384"),
}
"""Each with what its error has to say, besides the way out."""


def calling(method: str, user: Any) -> Make:
    return lambda chat: getattr(chat, method)(user=user)


BAD_ARGUMENTS: dict[str, tuple[Make, str]] = {
    **{
        f"boot: user is {name}": (calling("boot", user), says)
        for name, (user, says) in NO_USERS.items()
    },
    **{
        f"identify: user is {name}": (calling("identify", user), says)
        for name, (user, says) in NO_USERS.items()
    },
    **{
        f"update: user is {name}": (calling("update", user), says)
        for name, (user, says) in NO_USERS.items()
        if name != "no id"
    },
    "identify: nobody": (lambda chat: chat.identify(user=None), "boot()"),  # type: ignore[arg-type]
    "update: nothing": (lambda chat: chat.update(), "context"),
    "update: a context that is a str": (lambda chat: chat.update(context="billing"), "mapping"),  # type: ignore[arg-type]
    "update: a context that is not JSON": (
        lambda chat: chat.update(context={"page": object()}),
        "JSON",
    ),
    "update: a context of 17 KiB": (
        lambda chat: chat.update(context={"page": "x" * 17 * 1024}),
        "16384",
    ),
    "update: a company without an id": (lambda chat: chat.update(company={"name": "Acme"}), "id"),
    "update: a company with an unknown key": (
        lambda chat: chat.update(company={"id": "a", "size": 3}),
        "put it in traits",
    ),
    "boot: a token instead of a provider": (
        lambda chat: chat.boot(user=User("ann"), token_provider="eyJ"),  # type: ignore[arg-type]
        "StaticToken",
    ),
    "boot: a provider of nobody's tokens": (
        lambda chat: chat.boot(token_provider=lambda: "token"),
        "user",
    ),
    "boot: no time": (lambda chat: chat.boot(timeout=0), "timeout"),
    "boot: less than no time": (lambda chat: chat.boot(timeout=-1), "timeout"),
    "boot: no number of seconds": (lambda chat: chat.boot(timeout=float("nan")), "timeout"),
    "boot: for ever": (lambda chat: chat.boot(timeout=float("inf")), "timeout"),
    "boot: a timeout in words": (lambda chat: chat.boot(timeout="5"), "timeout"),  # type: ignore[arg-type]
    "identify: no time": (lambda chat: chat.identify(user=User("ann"), timeout=0), "timeout"),
    "send_message: nothing": (lambda chat: chat.send_message("  "), "text"),
    "send_message: bytes": (lambda chat: chat.send_message(b"hello"), "str"),  # type: ignore[arg-type]
    "send_message: 17 KiB": (lambda chat: chat.send_message("x" * 17 * 1024), "16384"),
    "send_message: a conversation without a name": (
        lambda chat: chat.send_message("hello", ""),
        "conversation_id",
    ),
    "shutdown: a clear_storage in words": (
        lambda chat: chat.shutdown(clear_storage="no"),  # type: ignore[arg-type]
        "clear_storage",
    ),
    "events: no room": (lambda chat: chat.events(ErrorOccurred, buffer=0), "buffer"),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_a_bad_argument_raises_on_the_line_of_the_call_and_the_session_stays_where_it_is(
    rig: Rig, name: str
) -> None:
    make, says = BAD_ARGUMENTS[name]

    async def scenario() -> None:
        chat = rig.chat()
        for situation in (Phase.NOT_INITIALIZED, Phase.ANONYMOUS):
            if situation is Phase.ANONYMOUS:
                await chat.boot()
                await rig.quiet()
            before = (chat.state, chat.identity, list(rig.log), list(rig.storage_log))
            with pytest.raises(InvalidInputError) as caught:
                make(chat)
            assert says in str(caught.value)
            assert isinstance(caught.value, ValueError)
            await rig.quiet()
            assert (chat.state, chat.identity, rig.log, rig.storage_log) == before
        assert not any(isinstance(event, ErrorOccurred) for event in rig.events)

    rig.run(scenario)


@pytest.mark.parametrize(
    "options",
    [
        {"workspace_id": ""},
        {"widget_id": "x" * 256},
        {"scope": 7},
        {"scope": ""},
        {"settings": {"boot_timeout": 3}},
        {"token_provider": "eyJ"},
    ],
    ids=repr,
)
def test_a_session_is_not_made_from_what_it_cannot_be_made_from(
    rig: Rig, options: dict[str, Any]
) -> None:
    made_from: dict[str, Any] = {
        **WIDGET,
        "transport": rig.transport,
        "storage": rig.storage,
        **options,
    }
    with pytest.raises(InvalidInputError):
        SupportChat(**made_from)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "5", True, None])
def test_settings_are_checked(value: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Settings(boot_timeout=value)
    assert "boot_timeout" in str(caught.value)


def test_what_is_changed_after_the_call_is_not_what_was_called_with(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        context = {"page": {"name": "billing"}}
        chat.update(context=context)
        context["page"]["name"] = "later"
        await rig.quiet()
        assert rig.updates == [(None, {"context.page": {"name": "billing"}})]
        chat.update(context=context)
        await rig.quiet()
        assert rig.updates[1:] == [(None, {"context.page": {"name": "later"}})], (
            "it is another value than was sent"
        )

    rig.run(scenario)


@pytest.mark.parametrize("call", ["boot", "identify", "update"])
def test_another_user_than_the_sessions_is_a_conflict_that_names_the_way_out(
    rig: Rig, call: str
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        if call != "identify":
            with pytest.raises(IdentityConflictError, match=r"identify\(\)"):
                await getattr(chat, call)(user={"id": "ann"})
        await chat.identify(user={"id": "ann"})
        with pytest.raises(IdentityConflictError, match=r"shutdown\(\)"):
            await getattr(chat, call)(user={"id": "bob"})
        with pytest.raises(IdentityConflictError):
            # exactly the same string, or another user
            await getattr(chat, call)(user={"id": "Ann"})

    rig.run(scenario)


# --- tokens ---------------------------------------------------------------------------------------


def token(user: str, **options: Any) -> str:
    return sign_identity_token(user, SECRET, **WIDGET, **options)


async def answered(value: Any) -> Any:
    return value


def provider_of(value: Any) -> Callable[[], Coroutine[Any, Any, Any]]:
    return lambda: answered(value)


NO_TOKENS: dict[str, tuple[Any, type[SupportChatError], str]] = {
    "None": (None, TokenProviderError, "NoneType"),
    "bytes": (b"eyJ", TokenProviderError, "bytes"),
    "a response": ({"token": "eyJ"}, TokenProviderError, "dict"),
    "nothing": ("", TokenProviderError, "empty"),
    "17 KiB": ("x" * 17 * 1024, TokenProviderError, "16384"),
    "half a character": ("\ud800", TokenProviderError, "UTF-8"),
    "another user's token": (token("bob"), TokenRefusedError, "sub"),
}


@pytest.mark.parametrize("name", NO_TOKENS)
@pytest.mark.parametrize("call", ["boot", "identify"])
def test_what_is_no_token_of_this_user_is_never_sent(rig: Rig, name: str, call: str) -> None:
    value, kind, says = NO_TOKENS[name]

    async def scenario() -> None:
        chat = rig.chat()
        await chat.load()
        if call == "identify":
            await chat.boot()
        before = (chat.state, chat.identity, list(rig.log))
        with pytest.raises(kind) as caught:
            await getattr(chat, call)(user={"id": "ann"}, token_provider=provider_of(value))
        assert says in str(caught.value)
        await rig.quiet()
        assert (chat.state, chat.identity, [entry for entry in rig.log if entry != "write"]) == (
            *before[:2],
            [entry for entry in before[2] if entry != "write"],
        )

    rig.run(scenario)


@pytest.mark.parametrize(
    ("value", "ends"),
    [(None, False), ("", False), ("x" * 17 * 1024, False), (token("bob"), True)],
    ids=["None", "empty", "oversized", "another user's"],
)
def test_a_renewal_that_returns_no_token_is_retried_and_one_of_another_user_ends_the_session(
    rig: Rig, value: Any, ends: bool
) -> None:
    answers: list[Any] = ["opaque-1", value]

    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot(
            user={"id": "ann"},
            token_provider=lambda: answered(answers.pop(0) if answers else "opaque-2"),
        )
        rig.links[-1].push(TokenExpired())
        await rig.quiet(60)
        assert chat.is_in(Phase.SHUTDOWN if ends else Phase.AUTHENTICATED)
        assert rig.log.count("renew") == (0 if ends else 1)
        if ends:
            assert rig.of(PhaseChanged)[-1].reason == "auth_refused"

    rig.run(scenario)


@contextlib.contextmanager
def backend(clock: Callable[[], float] = time.time) -> Generator[Backend]:
    with Backend(**WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=clock) as made:
        yield made


def test_an_expired_static_token_does_not_boot_and_says_why() -> None:
    async def scenario() -> None:
        with backend() as b:
            expired = StaticToken(token("ann", now=time.time() - 3600, lifetime=60))
            async with SupportChat(
                **WIDGET, transport=LoopbackTransport(b), storage=MemoryStorage()
            ) as chat:
                with pytest.raises((AuthRefusedError, TokenRefusedError)) as caught:
                    await chat.boot(user={"id": "ann"}, token_provider=expired)
                assert "expired" in str(caught.value) or caught.value.code == "auth_expired"
                assert chat.is_in(Phase.READY)
                assert asyncio.get_running_loop().time() < 1, "it is not tried again"

                await chat.boot()
                with pytest.raises((AuthRefusedError, TokenRefusedError)):
                    await chat.identify(user={"id": "ann"}, token_provider=expired)
                assert chat.is_in(Phase.ANONYMOUS)

    run(scenario())


def test_a_static_token_that_expires_ends_the_session_clearly_and_never_in_anonymity() -> None:
    async def scenario() -> None:
        began = time.time()
        with backend(lambda: began + asyncio.get_running_loop().time()) as b:
            errors: list[Any] = []
            async with SupportChat(
                **WIDGET, transport=LoopbackTransport(b), storage=MemoryStorage()
            ) as chat:
                phases: list[Any] = []
                chat.on(ErrorOccurred, errors.append)
                chat.on(PhaseChanged, phases.append)
                await chat.boot(
                    user={"id": "ann"},
                    token_provider=StaticToken(token("ann", now=began, lifetime=300)),
                )
                await asyncio.sleep(280)
                assert chat.is_in(Phase.AUTHENTICATED), "a token is good until it expires"
                await asyncio.sleep(3600)
                b.faults.expire_tokens()
                await asyncio.sleep(60)
                assert chat.is_in(Phase.SHUTDOWN)
                assert (phases[-1].current, phases[-1].reason) == (Phase.SHUTDOWN, "auth_refused")
                assert Phase.ANONYMOUS not in [event.current for event in phases]
                assert "expired" in str(errors[-1].error)

    run(scenario())


# --- storages -------------------------------------------------------------------------------------


def unusable(tmp_path: Path, kind: str) -> SQLiteStorage:
    file = tmp_path / "notes.db"
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE TABLE support_chat (diary TEXT)")
        db.execute("INSERT INTO support_chat VALUES ('Dear diary')")
    return SQLiteStorage(file if kind == "another program's" else file / "chat.db")


def diary(tmp_path: Path) -> str:
    with contextlib.closing(sqlite3.connect(tmp_path / "notes.db")) as db:
        return str(db.execute("SELECT diary FROM support_chat").fetchone()[0])


@pytest.mark.parametrize("kind", ["another program's", "under a regular file"])
@pytest.mark.parametrize("call", ["load", "boot", "async with"])
def test_a_storage_file_that_cannot_be_used_is_a_storage_error(
    rig: Rig, tmp_path: Path, kind: str, call: str
) -> None:
    async def scenario() -> None:
        storage = unusable(tmp_path, kind)
        made: Storage = storage
        chat = SupportChat(**WIDGET, transport=rig.transport, storage=made)
        try:
            with pytest.raises(StorageError) as caught:
                await (chat.__aenter__() if call == "async with" else getattr(chat, call)())
            assert ("notes.db" if kind == "another program's" else "chat.db") in str(caught.value)
            assert str(tmp_path) not in str(caught.value)
            assert chat.is_in(Phase.DESTROYED if call == "async with" else Phase.NOT_INITIALIZED)
            assert "dial" not in rig.log
        finally:
            await chat.destroy()
            await storage.aclose()
        assert diary(tmp_path) == "Dear diary", "a file of somebody else's is left as it is"

    run(scenario())


def test_once_the_file_is_mended_the_same_session_boots(rig: Rig, tmp_path: Path) -> None:
    async def scenario() -> None:
        storage = unusable(tmp_path, "another program's")
        chat = SupportChat(**WIDGET, transport=rig.transport, storage=storage)
        with pytest.raises(StorageError):
            await chat.boot()
        (tmp_path / "notes.db").unlink()
        assert await chat.boot() == chat.identity
        await chat.destroy()
        await storage.aclose()

    run(scenario())


# --- nothing secret comes out ---------------------------------------------------------------------

TRAIT = "a-trait-that-is-nobodys-business"
OPAQUE = "a-token-that-is-nobodys-business"


def everything_said(
    rig: Rig, errors: list[BaseException], caplog: pytest.LogCaptureFixture, *shown: object
) -> str:
    """All texts that somebody may read: errors and their causes, events, logs with their
    tracebacks, reprs.
    """
    texts = [repr(thing) for thing in shown]
    for error in [*errors, *(event.error for event in rig.of(ErrorOccurred))]:
        texts += [str(error), repr(error), str(error.__dict__)]
    return "\n".join([*texts, *map(repr, rig.events), caplog.text, *map(repr, rig.complaints)])


def test_no_secret_is_in_an_error_a_repr_an_event_or_a_log_line(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    user = User("ann", email=TRAIT, name=TRAIT, traits={"role": TRAIT})
    errors: list[BaseException] = []
    shown: list[object] = [user, Company("acme", name=TRAIT, plan=TRAIT, traits={"size": TRAIT})]
    refused: list[Any] = [
        OPAQUE + "\ud800",
        OPAQUE.encode(),
        OPAQUE * 1000,
        f"e30.eyJzdWIiOiAiYm9iIn0.{OPAQUE}",
        TokenRefusedError("no"),
        ValueError(OPAQUE),
    ]

    async def fetch() -> Any:
        value = refused.pop(0) if refused else f"{OPAQUE}-{len(rig.log)}"
        if isinstance(value, Exception):
            raise value
        return value

    async def heard(awaitable: Any) -> None:
        try:
            shown.append(await awaitable)
        except SupportChatError as error:
            errors.append(error)

    async def scenario() -> None:
        chat = rig.chat(token_provider=fetch)
        while refused:
            call = chat.boot(user=user)
            shown.append(call)
            await heard(call)
            shown.append(call)
        for operation in ("dial", "update", "send", "identify", "delete", "create", "revoke"):
            rig.fail(operation, ValueError(TRAIT + OPAQUE))
        await heard(chat.boot(user=user, company={"id": "acme", "name": TRAIT}))
        await heard(chat.boot(user=user))
        chat.update(user={"email": TRAIT}, context={"page": TRAIT})
        chat.update(user={"id": "bob", "email": TRAIT})
        await heard(chat.send_message(TRAIT))
        await rig.quiet()
        rig.links[-1].push(TokenExpired())
        await rig.quiet(10)
        rig.links[-1].lose()
        chat.update(context={"page": TRAIT, "password": OPAQUE})
        shown.extend([chat, chat.identity])
        await heard(chat.shutdown())
        await heard(chat.shutdown())
        await chat.boot()
        chat.identify(user=user)
        chat.update(user={"id": "ann", "name": TRAIT})
        await rig.quiet()
        for wrong in (
            {"traits": {"role": {TRAIT}}},
            {"name": [TRAIT]},
            {"email": TRAIT * 900},
            {"traits": TRAIT},
        ):
            for make in (chat.boot, chat.identify, chat.update):
                with pytest.raises(InvalidInputError) as caught:
                    make(user={"id": "ann", **wrong})
                errors.append(caught.value)
        shown.extend([*rig.dials, *rig.identifies, chat])
        await rig.collected()

    with caplog.at_level(logging.DEBUG):
        rig.run(scenario)
    said = everything_said(rig, errors, caplog, *shown)
    assert len(errors) > 15
    assert "by boot.begin" in said, "the log was read"
    assert TRAIT not in said
    assert OPAQUE not in said
    for visitor in {credentials.visitor for credentials in rig.dials}:
        assert visitor not in said
    assert "x" * 300 not in said


def test_traits_that_are_none_are_no_traits(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot(
            user={"id": "ann", "traits": None},
            company={"id": "acme", "traits": None},
            token_provider=rig.tokens("ann"),
        )
        await rig.quiet()
        await chat.update(user={"id": "ann", "traits": None, "name": "Ann"})
        await rig.quiet()
        sent = {path for _, changes in rig.updates for path in changes}
        assert "user.name" in sent
        assert not any("trait" in path for path in sent)

    rig.run(scenario)


@pytest.mark.parametrize("phases", [(), ("typo",), (Phase.READY, "typo"), (None,), (3,)], ids=repr)
def test_to_wait_for_what_is_no_phase_is_refused_at_once(rig: Rig, phases: Any) -> None:
    async def scenario() -> None:
        with pytest.raises(InvalidInputError, match=r"Phase\.AUTHENTICATED"):
            await rig.chat().wait_for(*phases)

    rig.run(scenario)


def test_a_phase_may_be_named_by_its_text(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        named: Any = "anonymous"
        assert await chat.wait_for(named) is Phase.ANONYMOUS

    rig.run(scenario)

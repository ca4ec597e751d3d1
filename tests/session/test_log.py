"""The log: every line names its session, a step says what failed last, what no port allows is told
once with its traceback, and no line holds a secret.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from support_chat import NetworkError, Phase, SupportChat, User
from support_chat.errors import AuthRefusedError, BackendRejectedError, RateLimitedError
from support_chat.ports import MessageArrived, TokenExpired

if TYPE_CHECKING:
    from tests.session.conftest import Rig

SECRET = "a-secret-that-is-nobodys-business"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, "support_chat"):
        yield caplog


def lines(log: pytest.LogCaptureFixture, level: int = 0) -> list[str]:
    return [r.getMessage() for r in log.records if r.name == "support_chat" and r.levelno >= level]


def faults(log: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in log.records if record.exc_info]


def label(chat: SupportChat) -> str:
    return repr(chat).removeprefix("<SupportChat ").rpartition(" ")[0]


async def a_life_with_faults(rig: Rig, chat: SupportChat) -> None:
    """A call of every sort, events, and a fault at each place that a session enters."""

    def handler(event: object) -> None:
        raise LookupError("a handler")

    async def slow_handler(event: object) -> None:
        raise LookupError("a handler")

    chat.on(object, handler)
    chat.on(object, slow_handler)
    for operation in ("get", "create", "dial", "token", "send", "identify", "update"):
        rig.fail(operation, LookupError(SECRET), NetworkError("on purpose"))
    for operation in ("renew", "goodbye", "revoke", "keys"):
        rig.fail(operation, LookupError(SECRET))
    for _ in range(5):
        await asyncio.gather(chat.boot(), return_exceptions=True)
    for _ in range(3):
        await asyncio.gather(chat.send_message("Hello"), return_exceptions=True)
    chat.update(context={"page": "billing"})
    user = User("ann")
    identify = chat.identify(user=user, token_provider=rig.tokens("ann"))
    await asyncio.gather(identify, return_exceptions=True)
    await rig.quiet(60)
    link: Any = rig.links[-1]
    link.push(TokenExpired())
    link.push(MessageArrived(None, "1"))  # type: ignore[arg-type]  # on purpose
    await rig.quiet(60)
    rig.links[-1].lose()
    await rig.quiet(60)
    chat.boot(user=user)
    chat.boot(user=User("bob"))  # fails, and nobody hears of it
    await rig.collected()
    for _ in range(2):
        await asyncio.gather(chat.shutdown(clear_storage=True), return_exceptions=True)
    await asyncio.gather(chat.boot(), return_exceptions=True)
    await chat.destroy()


def test_every_line_begins_with_its_session(rig: Rig, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        chat = rig.chat(scope="100%s of it")
        await a_life_with_faults(rig, chat)
        records = [record for record in log.records if record.name == "support_chat"]
        assert {record.levelname for record in records} == {"DEBUG", "WARNING", "ERROR"}
        assert label(chat).startswith("acme/help/100%s of it#")
        for record in records:
            assert vars(record)["session"] == label(chat)
            assert record.getMessage().startswith(f"{label(chat)}: ")

    rig.run(scenario)


def test_two_sessions_of_one_scope_have_two_names(rig: Rig) -> None:
    async def scenario() -> None:
        assert len({label(rig.chat()) for _ in range(5)}) > 1

    rig.run(scenario)


def test_a_record_says_where_it_was_written(rig: Rig, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await a_life_with_faults(rig, chat)
        places = {(record.filename, record.funcName) for record in log.records}
        assert {name for name, _ in places} <= {"shell.py", "listeners.py", "log.py"}
        assert {("shell.py", "_step"), ("listeners.py", "tell"), ("log.py", "failed")} <= places

    rig.run(scenario)


def test_the_line_of_a_step_says_what_failed_last(rig: Rig, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.fail("dial", NetworkError("chat.example.com:443 refuses the connection."))
        await chat.boot()
        (failed,) = (line for line in lines(log) if "--dial_failed-->" in line)
        assert failed == (
            f"{label(chat)}: booting --dial_failed--> booting by boot.retry "
            "(NetworkError: chat.example.com:443 refuses the connection.)"
        )
        _, again = (line for line in lines(log) if "--retry_due-->" in line)
        assert again.endswith("(NetworkError: chat.example.com:443 refuses the connection.)")
        assert "NetworkError" not in lines(log)[-1], "there is a link now"

    rig.run(scenario)


# --- what no port allows --------------------------------------------------------------------------


def test_what_fails_at_each_attempt_is_told_once(rig: Rig, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.fail("dial", *(KeyError("cursor") for _ in range(5)), *(TypeError() for _ in range(5)))
        await chat.boot(timeout=600)
        assert [record.levelname for record in faults(log)] == [
            "WARNING",
            *["DEBUG"] * 4,
            "WARNING",
            *["DEBUG"] * 4,
        ]
        first, *_ = faults(log)
        assert first.getMessage() == (
            f"{label(chat)}: The transport raised KeyError, which is no error of its port, when it "
            "was asked to open a link and learn who the backend says we are"
        )
        assert "Traceback" in log.text
        assert "in through" in log.text, "the line that raised it"
        other = rig.chat()
        log.clear()
        rig.fail("dial", KeyError("cursor"))
        await other.boot()
        assert [record.levelname for record in faults(log)] == ["WARNING"], "another session"

    rig.run(scenario)


def test_a_traceback_shows_the_classes_of_what_caused_it(
    rig: Rig, log: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        error = RuntimeError(SECRET)
        error.__cause__ = NetworkError("The proxy refuses.")
        error.__cause__.__context__ = KeyError(SECRET)
        rig.fail("dial", error)
        await rig.chat().boot()
        for said in ("RuntimeError: its text is left out", "KeyError: its text is left out"):
            assert said in log.text
        assert "support_chat.errors.NetworkError: The proxy refuses." in log.text
        assert SECRET not in log.text

    rig.run(scenario)


def test_a_chain_of_causes_without_an_end_is_cut(rig: Rig, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        error = RuntimeError()
        error.__cause__ = KeyError()
        error.__cause__.__cause__ = error
        rig.fail("dial", error)
        await rig.chat().boot()
        assert len(faults(log)) == 1

    rig.run(scenario)


def test_what_a_port_allows_is_no_fault_of_an_adapter(
    rig: Rig, log: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.fail("dial", NetworkError("down"), RateLimitedError("later"), NetworkError("down"))
        await chat.boot()
        rig.fail("send", BackendRejectedError("no"), NetworkError("down"), RateLimitedError("wait"))
        for _ in range(3):
            with pytest.raises((BackendRejectedError, NetworkError)):
                await chat.send_message("Hello", queue=False)
        rig.fail("send", NetworkError("down"), RateLimitedError("wait"))
        await chat.send_message("Hello, however long it takes")
        rig.fail("identify", AuthRefusedError("no"))
        with pytest.raises(AuthRefusedError):
            await chat.identify(user=User("ann"), token_provider=rig.tokens("ann"))
        rig.links[-1].lose()
        rig.fail("revoke", NetworkError("down"))
        await rig.quiet(60)
        assert chat.is_in(Phase.ANONYMOUS)
        await chat.shutdown()
        assert lines(log, logging.WARNING) == []

    rig.run(scenario)


def test_no_line_and_no_traceback_holds_a_secret(rig: Rig, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        await a_life_with_faults(rig, rig.chat())

    rig.run(scenario)
    assert len([r for r in faults(log) if r.levelno == logging.WARNING]) > 8
    said = log.text + repr([vars(record) for record in log.records])
    assert SECRET not in said
    for hidden in {*(dial.visitor for dial in rig.dials), *(dial.token for dial in rig.dials)}:
        assert hidden is None or hidden not in said

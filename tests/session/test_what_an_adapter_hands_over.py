"""What an adapter hands over may have the right type and wrong insides, or be late, or not be what
it seems: the session goes on, tries again, and leaves nothing open.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import math
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from async_tests import in_virtual_time
from support_chat import (
    AttemptFailed,
    AuthRefusedError,
    Identity,
    Message,
    MessageReceived,
    NetworkError,
    PhaseChanged,
    RateLimitedError,
    SupportChat,
    SupportChatError,
    TokenProviderError,
    ports,
)
from support_chat.testing import RecordingStorage, VirtualLoop
from support_chat.testing.trace import watch

TENANT: Final = contextvars.ContextVar("TENANT", default="nobody")


class Link:
    """A link that does what a port says, and keeps a log of its end."""

    def __init__(self, credentials: ports.Credentials) -> None:
        self.welcome: Any = ports.Welcome("session-1", "visitor-1", credentials.user_id)
        self.log: list[str] = []
        self.arrived = asyncio.Queue[Any]()

    @property
    def heard_at(self) -> float:
        return asyncio.get_running_loop().time()

    async def events(self) -> AsyncIterator[Any]:
        while (event := await self.arrived.get()) is not None:
            yield event

    async def identify(self, request: ports.IdentifyRequest) -> ports.IdentifyAnswer:
        return ports.IdentifyAnswer(request.user_id, merged=False)

    async def update(self, changes: Any, owner: Identity | None = None) -> ports.UpdateAnswer:
        return ports.UpdateAnswer()

    async def send(self, message: ports.Outgoing) -> Message:
        return Message("m", "c", "visitor", message.text, 0.0, message.client_message_id)

    async def conversations(self, asked: ports.ListConversations) -> Sequence[Any]:
        return ()

    async def messages(self, asked: ports.ListMessages) -> Sequence[Message]:
        return ()

    async def mark_read(self, asked: ports.MarkRead) -> ports.ReadAnswer:
        raise NotImplementedError

    async def renew(self, token: str) -> ports.RenewAnswer:
        return ports.RenewAnswer()

    async def aclose(self) -> None:
        self.log.append("goodbye")
        await asyncio.sleep(0.05)
        self.log.append("said")

    def abort(self) -> None:
        self.log.append("abort")
        self.arrived.put_nowait(None)


class Transport:
    """Opens links of a class."""

    def __init__(self, link: type[Link] = Link) -> None:
        self.link = link
        self.links: list[Any] = []
        self.revoked: list[str] = []

    async def open(self, credentials: ports.Credentials) -> Any:
        self.links.append(self.link(credentials))
        return self.links[-1]

    async def revoke(self, session: str) -> None:
        self.revoked.append(session)

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        return

    async def aclose(self) -> None:
        return


def chat_over(transport: Transport) -> SupportChat:
    return SupportChat(
        workspace_id="acme", widget_id="help", transport=transport, storage=RecordingStorage()
    )


# --- the end of a link ----------------------------------------------------------------------------


@in_virtual_time
async def test_an_answer_that_comes_while_the_session_ends_leaves_its_goodbye_alone() -> None:
    class Cancelled(Link):
        async def send(self, message: ports.Outgoing) -> Message:
            try:
                await asyncio.sleep(9)
            except asyncio.CancelledError:
                raise NetworkError("cancelled") from None
            raise AssertionError

    chat = chat_over(transport := Transport(Cancelled))
    await chat.boot()
    chat.send_message("Hello?")
    await asyncio.sleep(0.01)
    await chat.shutdown()
    assert transport.links[0].log[:3] == ["goodbye", "said", "abort"]
    await chat.destroy()


@in_virtual_time
async def test_a_revocation_that_raises_at_once_leaves_the_goodbye_alone() -> None:
    class Raises(Transport):
        def revoke(self, session: str) -> Any:  # as careless people do
            raise OSError

    chat = chat_over(transport := Raises())
    await chat.boot()
    await chat.shutdown()
    assert transport.links[0].log[:3] == ["goodbye", "said", "abort"]
    await chat.destroy()


@in_virtual_time
async def test_destroy_waits_for_the_events_of_its_link_to_end() -> None:
    class Tidies(Link):
        async def events(self) -> AsyncIterator[Any]:
            try:
                await asyncio.Event().wait()
                yield None
            finally:
                await asyncio.sleep(0.05)
                self.log.append("events ended")

    chat = chat_over(transport := Transport(Tidies))
    await chat.boot()
    await asyncio.sleep(0.01)
    await chat.destroy()
    assert transport.links[0].log[-1] == "events ended"
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("factory", [None, getattr(asyncio, "eager_task_factory", None)])
@in_virtual_time
async def test_a_link_that_ends_its_session_and_goes_on_is_cancelled(factory: Any) -> None:
    asyncio.get_running_loop().set_task_factory(factory)

    class GoesOn(Link):
        async def events(self) -> AsyncIterator[Any]:
            yield ports.SessionRevoked()
            await asyncio.Event().wait()

    chat = chat_over(Transport(GoesOn))
    await chat.boot()
    await asyncio.sleep(0.05)
    assert chat.state == "shutdown"
    await chat.destroy()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_virtual_time
async def test_what_a_link_of_an_earlier_session_delivers_is_not_told() -> None:
    class Deaf(Link):
        async def events(self) -> AsyncIterator[Any]:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(1.0)
            yield ports.MessageArrived(Message("m1", "c1", "agent", "For Ada", 0.0), "1")

    heard: list[MessageReceived] = []
    chat = chat_over(Transport(Deaf))
    chat.on(MessageReceived, heard.append)
    await chat.boot()
    await asyncio.sleep(0.01)
    await chat.shutdown()
    await chat.boot()
    await asyncio.sleep(10.0)
    assert (chat.state, heard) == ("anonymous", [])
    await chat.destroy()


@in_virtual_time
async def test_what_a_link_delivers_and_nobody_can_take_is_its_loss() -> None:
    class Lazy(ports.MessageArrived):
        def __getattribute__(self, name: str) -> Any:
            if name == "cursor":
                raise OSError
            return super().__getattribute__(name)

    class Odd(Link):
        async def events(self) -> AsyncIterator[Any]:
            yield Lazy(Message("m1", "c1", "agent", "Hi", 0.0), "1")
            await asyncio.Event().wait()

    chat = chat_over(transport := Transport(Odd))
    await chat.boot()
    await asyncio.sleep(10.0)
    assert len(transport.links) > 1
    await chat.destroy()


def test_the_end_of_the_loop_is_no_event(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    async def program() -> None:
        chat = chat_over(Transport())
        kept.append(chat)
        chat.on(PhaseChanged, lambda event: heard.append(event.current))
        await chat.boot()
        await asyncio.sleep(0.01)

    kept: list[SupportChat] = []
    asyncio.run(program())
    assert (heard[-1], kept[0].state) == ("anonymous", "anonymous")
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
    with pytest.warns(ResourceWarning):  # as it was dropped without destroy()
        kept.clear()


def test_a_request_that_ends_with_its_loop_has_not_failed() -> None:
    class Hangs(Transport):
        async def open(self, credentials: ports.Credentials) -> Any:
            await asyncio.Event().wait()

    async def program() -> None:
        kept.append(chat_over(Hangs()))
        kept[0].boot()
        await asyncio.sleep(0.01)

    kept: list[SupportChat] = []
    asyncio.run(program())
    assert (kept[0].state, kept[0].trouble) == ("booting", None)
    with pytest.warns(ResourceWarning):  # as it was dropped without destroy()
        kept.clear()


# --- what is no link, or half of one --------------------------------------------------------------


@in_virtual_time
async def test_what_cannot_be_aborted_is_no_link() -> None:
    class Half:
        welcome = ports.Welcome("session-1", "visitor-1")
        heard_at = 0.0

    class Halves(Transport):
        async def open(self, credentials: ports.Credentials) -> Any:
            await super().open(credentials)
            return Half() if len(self.links) == 1 else self.links[-1]

    chat = chat_over(transport := Halves())
    await chat.boot()
    assert (await chat.send_message("Hello?")).text == "Hello?"
    assert len(transport.links) == 2
    await chat.destroy()


@in_virtual_time
async def test_a_link_without_a_welcome_is_closed() -> None:
    class Silent(Link):
        @property
        def welcome(self) -> Any:
            raise NetworkError("closed meanwhile")

        @welcome.setter
        def welcome(self, value: Any) -> None:
            return

    chat = chat_over(transport := Transport(Silent))
    with pytest.raises(SupportChatError, match="closed meanwhile"):
        await chat.boot()
    assert len(transport.links) > 1
    assert all(link.log[0] == "abort" for link in transport.links)
    await chat.destroy()


@in_virtual_time
async def test_an_event_of_a_later_backend_is_ignored() -> None:
    chat = chat_over(transport := Transport())
    await chat.boot()
    transport.links[0].arrived.put_nowait(object())
    await asyncio.sleep(0.01)
    assert (chat.state, len(transport.links)) == ("anonymous", 1)
    await chat.destroy()


@in_virtual_time
async def test_a_sign_of_life_at_no_time_is_none() -> None:
    class Nowhen(Link):
        reads = 0

        @property
        def heard_at(self) -> float:
            Nowhen.reads += 1
            if Nowhen.reads > 1_000:  # a session that spins here ends, and the test fails
                raise OSError
            return math.nan

    chat = chat_over(transport := Transport(Nowhen))
    await chat.boot()
    await asyncio.sleep(300.0)
    assert len(transport.links) > 1, "silence was noticed"
    assert Nowhen.reads < 1_000
    await chat.destroy()


# --- answers and errors with wrong insides --------------------------------------------------------


@in_virtual_time
async def test_an_answer_that_no_reducer_can_take_is_a_failure_and_updates_leave_again() -> None:
    class Odd(Link):
        answers: ClassVar[list[ports.UpdateAnswer]] = [
            ports.UpdateAnswer(rejected=("user.name",)),  # type: ignore[arg-type]
            ports.UpdateAnswer(),
        ]
        sent = 0

        async def update(self, changes: Any, owner: Identity | None = None) -> ports.UpdateAnswer:
            Odd.sent += 1
            return self.answers[min(Odd.sent, 2) - 1]

    chat = chat_over(Transport(Odd))
    await chat.boot()
    await chat.update(context={"page": "billing"})
    await asyncio.sleep(300.0)
    assert Odd.sent == 2
    await chat.destroy()


@in_virtual_time
async def test_an_error_with_a_text_for_a_number_is_a_failed_attempt() -> None:
    class Limited(Transport):
        async def open(self, credentials: ports.Credentials) -> Any:
            link = await super().open(credentials)
            if len(self.links) == 1:
                raise RateLimitedError("slow down", retry_after="1")  # type: ignore[arg-type]
            return link

    chat = chat_over(transport := Limited())
    await chat.boot()
    assert len(transport.links) == 2
    await chat.destroy()


@in_virtual_time
async def test_an_error_that_cannot_be_copied_is_told_all_the_same() -> None:
    class Theirs(AuthRefusedError):
        def __init__(self, status: int) -> None:
            self.status = status

    class Refuses(Transport):
        async def open(self, credentials: ports.Credentials) -> Any:
            raise Theirs(401)

    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    chat = chat_over(Refuses())
    with pytest.raises(Theirs):
        await chat.boot()
    await chat.destroy()
    assert complaints == []


@in_virtual_time
async def test_each_call_raises_an_error_of_its_own_and_its_cause() -> None:
    """Awaiters that raised the same object would write into each other's tracebacks."""

    class Refuses(Transport):
        async def open(self, credentials: ports.Credentials) -> Any:
            raise AuthRefusedError("no") from OSError("why")

    chat = chat_over(Refuses())
    calls = [chat.boot(), chat.boot()]
    one, other = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(one, AuthRefusedError)
    assert isinstance(other, AuthRefusedError)
    assert one is not other
    assert (str(one.__cause__), str(other.__cause__)) == ("why", "why")
    await chat.destroy()


def test_a_failed_call_that_is_dropped_after_its_loop_complains_of_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Refuses(Transport):
        async def open(self, credentials: ports.Credentials) -> Any:
            raise AuthRefusedError("no")

    async def program() -> None:
        chat = chat_over(Refuses())
        kept.append(chat.boot())
        await asyncio.sleep(0.01)
        await chat.destroy()

    kept: list[object] = []
    complaints: list[object] = []
    asyncio.run(program())
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    kept.clear()
    assert complaints == []


def test_a_token_provider_that_hangs_keeps_no_program_from_ending(tmp_path: Path) -> None:
    """A plain function on a thread cannot be cancelled; a program does not wait for it."""
    program = tmp_path / "hangs.py"
    program.write_text(
        "import asyncio, time\n"
        "from support_chat import Settings, SupportChat\n"
        "from support_chat.testing import RecordingStorage, RecordingTransport\n"
        "async def main():\n"
        "    chat = SupportChat(workspace_id='w', widget_id='x', storage=RecordingStorage(),\n"
        "        transport=RecordingTransport(), settings=Settings(destroy_timeout=0.2))\n"
        "    chat.boot(user={'id': 'ada'}, token_provider=lambda: time.sleep(1_000))\n"
        "    await asyncio.sleep(0.2)\n"
        "    await chat.destroy()\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, program], check=True, timeout=60)


def interrupted_once(main: Coroutine[Any, Any, None]) -> None:
    """Runs it, as a notebook does, to its end; the interrupt in it reaches the program once."""
    loop = VirtualLoop()
    task = loop.create_task(main)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    loop.run_until_complete(task)
    loop.close()


def test_an_interrupt_in_what_an_adapter_hands_over_is_a_failed_attempt() -> None:
    class Interrupts(RateLimitedError):
        @property
        def retry_after(self) -> Any:
            raise KeyboardInterrupt

        @retry_after.setter
        def retry_after(self, value: Any) -> None:
            return

    class Limited(Transport):
        async def open(self, credentials: ports.Credentials) -> Any:
            link = await super().open(credentials)
            if len(self.links) == 1:
                raise Interrupts("slow down", retry_after=1.0)
            return link

    async def life() -> None:
        chat = chat_over(transport := Limited())
        await asyncio.wait_for(chat.boot(), 60.0)
        assert len(transport.links) == 2
        await chat.destroy()

    interrupted_once(life())


def test_a_step_that_an_interrupt_cuts_short_is_finished() -> None:
    """Although nothing happens afterwards that would begin another."""

    class Interrupts(AuthRefusedError):
        def __copy__(self) -> Any:
            raise KeyboardInterrupt

    class Refuses(Transport):
        async def open(self, credentials: ports.Credentials) -> Any:
            raise Interrupts("no")

    async def life() -> None:
        phases: list[str] = []
        chat = chat_over(Refuses())
        chat.on(PhaseChanged, lambda event: phases.append(event.current))
        calls = [asyncio.ensure_future(_waited(chat.boot())) for _ in range(2)]
        _, late = await asyncio.wait(calls, timeout=1.0)
        assert late == set(), "no timer had to fire"
        assert {str(call.exception()) for call in calls} == {"no"}
        assert phases[-1] == "ready"
        await chat.destroy()

    loop = VirtualLoop()
    task = loop.create_task(life())
    interrupts = 0
    while not task.done() and interrupts < 10:
        try:
            loop.run_until_complete(task)
        except KeyboardInterrupt:
            interrupts += 1
    loop.close()
    assert interrupts == 2, "one for each call"
    task.result()


async def _waited(call: Any) -> Any:
    return await call


@in_virtual_time
async def test_only_an_attempt_to_connect_is_told_as_one() -> None:
    class Loses(Link):
        async def identify(self, request: ports.IdentifyRequest) -> ports.IdentifyAnswer:
            raise NetworkError("lost")

    attempts: list[AttemptFailed] = []
    chat = chat_over(Transport(Loses))
    chat.on(AttemptFailed, attempts.append)
    await chat.boot()
    chat.identify(user={"id": "ada"})
    await asyncio.sleep(0.1)
    assert attempts == []
    await chat.destroy()


@in_virtual_time
async def test_what_is_superseded_stays_so_though_the_adapter_takes_its_cancellation_back() -> None:
    class Stubborn(Transport):
        async def open(self, credentials: ports.Credentials) -> Any:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(5.0)
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            await asyncio.sleep(5.0)
            return await super().open(credentials)

    transport = Stubborn()
    chat = chat_over(transport)
    trace = watch(chat)
    chat.boot()
    await asyncio.sleep(1.0)
    await chat.shutdown()
    await asyncio.sleep(10.0)
    await chat.destroy()
    assert [step.faults for step in trace.steps if step.faults] == []
    assert transport.revoked == ["session-1"], "what came too late was undone"


# --- token providers ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [True, False])
@in_virtual_time
async def test_a_token_provider_sees_the_context_variables_of_whoever_boots(is_async: bool) -> None:
    seen: list[str] = []

    def provide() -> str:
        seen.append(TENANT.get())
        return "a token"

    async def provide_later() -> str:
        return provide()

    TENANT.set("acme")
    chat = chat_over(Transport())
    await chat.boot(user={"id": "ada"}, token_provider=provide_later if is_async else provide)
    assert seen == ["acme"]
    await chat.destroy()


@in_virtual_time
async def test_where_no_thread_can_be_started_a_provider_is_told_to_be_async() -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    chat = chat_over(Transport())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(TokenProviderError, match="make it `async def`"):
            await chat.boot(user={"id": "ada"}, token_provider=lambda: "a token")
    await chat.destroy()


# --- tasks that run eagerly -----------------------------------------------------------------------


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_whoever_listens_hears_of_the_end_whatever_a_task_does_first(
    interrupt: type[BaseException],
) -> None:
    """Where tasks may run eagerly (Python 3.12), they do."""
    factory = getattr(asyncio, "eager_task_factory", None)
    phases: list[str] = []

    class Interrupted(Transport):
        async def open(self, credentials: ports.Credentials) -> Any:
            link = await super().open(credentials)
            if len(self.links) == 1:
                raise interrupt
            return link

    async def life() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        chat = chat_over(Interrupted())
        chat.on(PhaseChanged, lambda event: phases.append(event.current))
        await chat.boot()
        await chat.destroy()

    async def until_done(task: asyncio.Task[None]) -> None:
        await task

    loop = VirtualLoop()
    task = loop.create_task(life())
    with pytest.raises(interrupt):
        loop.run_until_complete(task)
    loop.run_until_complete(until_done(task))
    loop.close()
    assert phases[-2:] == ["anonymous", "destroyed"]

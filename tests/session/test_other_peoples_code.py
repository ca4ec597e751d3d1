"""Other people's code may end in any way: every place where a session enters it, times every way it
can end, and what holds in each cell.

Whatever happens there: every call settles in time, the session can be ended, and everybody else
hears every event, in order. An interrupt reaches the program, which runs the loop again; nothing
else reaches the loop's exception handler, which ends many a program. The places are read off the
ports, so that a member which a session begins to use has its cells. What protects in each cell is
listed in `protections.toml`, and taken away by `python tests/tools/without_protections.py`.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from functools import partial
from itertools import pairwise, product
from typing import Any, Final

import attrs
import pytest

from support_chat import (
    Message,
    MessageReceived,
    PhaseChanged,
    SupportChat,
    SupportChatError,
    User,
    ports,
)
from support_chat.testing import RecordingStorage, RecordingTransport, ScriptedTokens, VirtualLoop

IN_TIME: Final = 360.0
"""Every call settles within this time, in seconds: a message waits for up to 300 s, the other
limits are at most 30 s, and a boot tries again in between.
"""
UNUSED: Final = {"storage.aclose", "transport.aclose"}
"""What a session never calls: what is stored is added or deleted, and whoever made an adapter
closes it.
"""
PROPERTIES: Final = {"link.welcome", "link.heard_at"}
SYNCHRONOUS: Final = {*PROPERTIES, "link.abort", "link.events", "handler.call"}
INTERRUPTS: Final = (KeyboardInterrupt, SystemExit)


def members(port: type) -> Iterator[str]:
    return (name for name in vars(port) if not name.startswith("_"))


PLACES: Final = (
    *(f"storage.{name}" for name in members(ports.Storage)),
    *(f"transport.{name}" for name in members(ports.Transport)),
    *(f"link.{name}" for name in members(ports.Link)),
    *("link.events.next", "tokens.call", "tokens.await", "handler.call", "handler.await"),
)
ENDINGS: Final[dict[str, type[BaseException] | None]] = {
    "raises OSError": OSError,
    "is cancelled from within": asyncio.CancelledError,
    "raises KeyboardInterrupt": KeyboardInterrupt,
    "raises SystemExit": SystemExit,
    "raises StopIteration": StopIteration,
    "returns a number": None,
    "hangs": None,
    "hangs, deaf to cancellation": None,
}
TASKS: Final = ("scheduled", "eager") if sys.version_info >= (3, 12) else ("scheduled",)
CELLS: Final = [
    (place, ending)
    for place, ending in product(PLACES, ENDINGS)
    if place not in UNUSED and not (place in SYNCHRONOUS and ending.startswith("hangs"))
]


async def misbehave(ending: str) -> Any:
    """Ends in this way."""
    if kind := ENDINGS[ending]:
        raise kind("on purpose")
    if ending == "hangs":
        await asyncio.Event().wait()
    elif ending != "returns a number":
        until = asyncio.get_running_loop().time() + 100.0
        while asyncio.get_running_loop().time() < until:
            try:
                await asyncio.sleep(10.0)
            except asyncio.CancelledError:
                continue
    return 42


def misbehave_at_once(ending: str) -> Any:
    """As `misbehave`, for a member that nobody awaits."""
    if kind := ENDINGS[ending]:
        raise kind("on purpose")
    return 42


def _called(act: Callable[[str], Any], ending: str, *_: object) -> Any:
    return act(ending)


@attrs.define
class Foreign:
    """An adapter, or one of its links, one of whose members ends in another way."""

    inner: Any
    port: str
    place: str
    ending: str

    def __getattr__(self, name: str) -> Any:
        here = f"{self.port}.{name}"
        if here == "transport.open" and self.place != here:
            return self._open
        if here == "link.events" and self.place == "link.events.next":
            return self._events
        if here != self.place:
            return getattr(self.inner, name)
        if here in PROPERTIES:
            return misbehave_at_once(self.ending)
        act = misbehave_at_once if here in SYNCHRONOUS else misbehave
        return partial(_called, act, self.ending)

    async def _open(self, credentials: ports.Credentials) -> Foreign:
        return Foreign(await self.inner.open(credentials), "link", self.place, self.ending)

    async def _events(self) -> AsyncIterator[Any]:
        yield await misbehave(self.ending)


foreign: Callable[..., Any] = Foreign


@attrs.define
class Life:
    """A session with one place that is at fault, and what became of it."""

    place: str
    ending: str
    heard: list[object] = attrs.field(factory=list[object])
    late: list[str] = attrs.field(factory=list[str])
    results: list[object] = attrs.field(factory=list[object])
    errors: list[object] = attrs.field(factory=list[object])
    phase: str = ""

    def tokens(self) -> Any:
        if self.place == "tokens.call":
            return lambda: misbehave_at_once(self.ending)
        if self.place == "tokens.await":
            return lambda: misbehave(self.ending)
        return ScriptedTokens()

    def handler(self) -> Callable[[object], object]:
        if self.place == "handler.await":
            return lambda _: misbehave(self.ending)
        at_fault = self.place == "handler.call"
        return (lambda _: misbehave_at_once(self.ending)) if at_fault else (lambda _: None)

    async def lead(self) -> None:
        """Makes every call there is, each awaited for as long as it may take."""
        transport = RecordingTransport()
        chat = SupportChat(
            workspace_id="acme",
            widget_id="help",
            transport=foreign(transport, "transport", self.place, self.ending),
            storage=foreign(RecordingStorage(), "storage", self.place, self.ending),
        )
        chat.on(object, self.handler())
        chat.on(object, self.heard.append)
        calls: tuple[tuple[str, Callable[[], Awaitable[Any]]], ...] = (
            ("boot", chat.boot),
            ("identify", lambda: chat.identify(user=User("ada"), token_provider=self.tokens())),
            ("update", lambda: chat.update(context={"page": "billing"})),
            ("send_message", lambda: chat.send_message("Hello")),
            ("conversations", chat.conversations),
            ("messages", lambda: chat.messages("c1")),
            ("mark_read", lambda: chat.mark_read("c1")),
            ("shutdown", chat.shutdown),
            ("boot again", lambda: chat.boot(user=User("ada"), token_provider=self.tokens())),
            ("shutdown, cleared", lambda: chat.shutdown(clear_storage=True)),
            ("destroy", chat.destroy),
        )
        for name, call in calls:
            await self._settles(name, call())
            if transport.open_links:
                message = Message(f"m {name}", "c1", "agent", "Hi", 0.0)
                transport.open_links[-1].emit(ports.MessageArrived(message, name))
                transport.open_links[-1].emit(ports.TokenExpired())  # and it renews what it has
            await asyncio.sleep(10.0)
            assert isinstance(chat.trouble, Exception | None), "an interrupt is no trouble"
        self.phase = chat.state

    async def _settles(self, name: str, call: Awaitable[Any]) -> None:
        waiting = asyncio.ensure_future(call)
        done, _ = await asyncio.wait({waiting}, timeout=IN_TIME)
        if not done:
            self.late.append(name)
        elif error := waiting.exception():
            self.errors.append(error)
        else:
            self.results.append(waiting.result())


def until_it_ends(
    main: Coroutine[Any, Any, None], tasks: str = "scheduled"
) -> tuple[int, list[str]]:
    """Runs it as a notebook does: an interrupt ends the cell, and the loop runs on with the next
    one. Returns how many interrupts reached the program, and what reached the loop's exception
    handler.
    """
    loop, interrupts = VirtualLoop(), 0
    complaints: list[str] = []
    if sys.version_info >= (3, 12) and tasks == "eager":
        loop.set_task_factory(asyncio.eager_task_factory)

    def complain(_: object, context: dict[str, Any]) -> None:
        # of a task that an interrupt has ended Python may complain as well
        if not isinstance(context.get("exception"), INTERRUPTS):
            complaints.append(context["message"])

    loop.set_exception_handler(complain)
    task = loop.create_task(main)
    while not task.done() and interrupts < 200:
        try:
            loop.run_until_complete(task)
        except INTERRUPTS:
            interrupts += 1
    reached = list(complaints)
    loop.close()
    gc.collect()  # what an interrupt left half done complains here, not in another test
    assert task.done(), "the loop was interrupted again and again"
    task.result()
    return interrupts, reached


@pytest.fixture(scope="module")
def sound() -> list[str]:
    """What is heard of the phases in a life without a fault."""
    life = Life("nowhere", "hangs")
    until_it_ends(life.lead())
    assert (life.late, life.phase) == ([], "destroyed")
    return phases_of(life)


def phases_of(life: Life) -> list[str]:
    return [event.current for event in life.heard if isinstance(event, PhaseChanged)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("tasks", TASKS)
@pytest.mark.parametrize(("place", "ending"), CELLS)
def test_the_session_goes_on_and_can_be_ended(
    place: str, ending: str, tasks: str, sound: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    life = Life(place, ending)
    interrupts, complaints = until_it_ends(life.lead(), tasks)
    assert life.late == [], f"{life.late} did not settle within {IN_TIME:g} s"
    assert life.phase == "destroyed"
    phases = phases_of(life)
    assert phases[-1] == "destroyed", "whoever else listens hears of the end"
    assert all(a != b for a, b in pairwise(phases)), "in order, each once"
    assert 42 not in life.results, "what is no answer is none"
    assert [error for error in life.errors if not isinstance(error, SupportChatError)] == []
    if place.startswith("link.events") and not ending.startswith("hangs"):
        reasons = {event.reason for event in life.heard if isinstance(event, PhaseChanged)}
        assert "link_lost" in reasons, "it is noticed at once, not by a silence"
    if place.startswith("handler."):
        assert phases == sound, "a handler harms nobody"
        assert [e.message.id for e in life.heard if isinstance(e, MessageReceived)]
    if "KeyboardInterrupt" not in ending and "SystemExit" not in ending:
        assert interrupts == 0
    assert complaints == []


@pytest.mark.parametrize("place", sorted({place for place, _ in CELLS}))
def test_an_error_that_no_port_allows_is_told_once_with_its_traceback(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "support_chat")
    until_it_ends(Life(place, "raises OSError").lead())
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    faults = [record.getMessage() for record in told if record.exc_info]
    assert faults, "somebody is told"
    assert all("acme/help/default#" in line for line in faults)
    assert all(record.exc_info[0] is OSError for record in told if record.exc_info)
    assert "misbehave" in caplog.text, "the traceback leads to the culprit"
    if not place.startswith("handler."):  # the application's own code, told each time
        assert len(faults) == len(set(faults))


def test_the_table_has_every_member_of_every_port() -> None:
    """A port that gets a new member gets its cells, or is named as unused."""
    used = {place for place, _ in CELLS} | UNUSED
    for port, kind in (
        ("storage", ports.Storage),
        ("transport", ports.Transport),
        ("link", ports.Link),
    ):
        for name, member in inspect.getmembers(kind):
            if not name.startswith("_"):
                assert f"{port}.{name}" in used, member

"""The shell for a terminal, in this process: keys go in by a pipe, and what is drawn is read off an
emulated screen.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import attrs
import pyte
import pytest
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from loopback_arrangement import SECRET, WIDGET
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.chat.desk import Person
from support_chat_adapters.chat.run import chat
from support_chat_adapters.chat.screen import Screen
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

ROWS, COLUMNS = 24, 80
CTRL_C, CTRL_D, TAB, ALT_ENTER = "\x03", "\x04", "\t", "\x1b\r"
VISITOR = Person(None, {}, lambda user_id: lambda: sign_identity_token(user_id, SECRET, **WIDGET))


class Drawn(io.StringIO):
    """A terminal to draw on: keeps the screen, and says when it has changed."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.changed = asyncio.Event()
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self._stream.feed(text)
        self.changed.set()
        return len(text)

    @property
    def lines(self) -> list[str]:
        return [row.rstrip() for row in self.screen.display if row.strip()]


@attrs.define(eq=False)
class Sitting:
    """Somebody before a terminal."""

    backend: Backend
    keys: PipeInput
    drawn: Drawn
    running: asyncio.Task[str | None]

    def types(self, text: str) -> None:
        self.keys.send_text(text)

    async def until(self, seen: Callable[[list[str]], object]) -> None:
        async with asyncio.timeout(20):
            while not seen(self.drawn.lines):
                self.drawn.changed.clear()
                await self.drawn.changed.wait()

    async def shows(self, text: str) -> None:
        try:
            await self.until(lambda lines: any(text in line for line in lines))
        except TimeoutError:
            raise AssertionError(
                f"{text!r} is not on the screen:\n" + "\n".join(self.drawn.lines)
            ) from None

    async def left(self) -> str | None:
        return await asyncio.wait_for(self.running, 20)


@asynccontextmanager
async def sitting(person: Person = VISITOR) -> AsyncGenerator[Sitting, None]:
    drawn = Drawn()
    output = Vt100_Output(drawn, lambda: Size(rows=ROWS, columns=COLUMNS), term="xterm-256color")
    with (
        create_pipe_input() as keys,
        Backend(**WIDGET, keys=[IdentityKey("HS256", SECRET)]) as backend,
    ):
        transport, storage = LoopbackTransport(backend), MemoryStorage()
        screen = Screen(input=keys, output=output)
        running = asyncio.create_task(
            chat(
                screen,
                person,
                transport=transport,
                storage=storage,
                url="http://here",
                **WIDGET,
                scope="default",
            )
        )
        try:
            yield Sitting(backend, keys, drawn, running)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def test_a_message_is_shown_and_the_prompt_is_empty_again() -> None:
    async def story() -> None:
        async with sitting() as s:
            await s.shows(" anonymous ")
            await s.shows("> a message, or /help")
            s.types("Hello")
            await s.shows("> Hello")
            s.types("\r")
            await s.shows("you    Hello")
            await s.shows("> a message, or /help")
            s.types(CTRL_D)
            assert await s.left() is None

    asyncio.run(story())


def test_what_is_being_typed_survives_what_arrives_meanwhile() -> None:
    async def story() -> None:
        async with sitting() as s:
            s.types("first\r")
            await s.shows("you    first")
            s.types("half a sen")
            await s.shows("> half a sen")
            await s.until(lambda _: s.backend.agent.conversations())
            s.backend.agent.reply(s.backend.agent.conversations()[0].id, "An answer")
            await s.shows("agent  An answer")
            await s.shows("1 unread")
            s.types("tence\r")
            await s.shows("you    half a sentence")

    asyncio.run(story())


def test_the_bar_follows_the_phase_and_moves_while_reconnecting() -> None:
    async def story() -> None:
        async with sitting() as s:
            await s.shows(" anonymous ")
            s.backend.faults.refuse_dials()
            s.backend.faults.drop_links()
            await s.shows(" reconnecting ")
            frames: set[str] = set()

            def moved(lines: list[str]) -> bool:
                frames.add(lines[-1])
                return len(frames) > 2

            await s.until(moved)
            s.backend.faults.heal()
            await s.shows("anonymous: back after")
            await s.until(lambda lines: lines[-1].startswith(" anonymous "))

    asyncio.run(story())


@pytest.mark.parametrize(
    ("keys", "leaves"),
    [
        ("/quit\r", True),
        (CTRL_D, True),
        (CTRL_C * 2, True),
        (CTRL_C, False),
        ("x" + CTRL_C * 2, False),
    ],
)
def test_ways_of_leaving(keys: str, leaves: bool) -> None:
    async def story() -> None:
        async with sitting() as s:
            await s.shows(" anonymous ")
            s.types(keys)
            if leaves:
                assert await s.left() is None
            else:
                await s.shows("Ctrl-C again to leave")
                s.types("still here\r")
                await s.shows("you    still here")

    asyncio.run(story())


def test_control_c_empties_the_line_first() -> None:
    async def story() -> None:
        async with sitting() as s:
            await s.shows(" anonymous ")
            s.types("rubbish" + CTRL_C + "sense\r")
            await s.shows("you    sense")
            assert not any("rubbish" in line for line in s.drawn.lines)

    asyncio.run(story())


def test_a_command_is_completed_by_tab_and_alt_enter_makes_a_second_line() -> None:
    async def story() -> None:
        async with sitting() as s:
            await s.shows(" anonymous ")
            s.types("/he")
            await s.shows("> /help")
            s.types(TAB + "\r")
            await s.shows("/retry              send again")
            s.types("one" + ALT_ENTER + "two\r")
            await s.shows("you    one")
            await s.until(lambda lines: any(line.strip() == "two" for line in lines))
            await s.until(lambda _: s.backend.agent.conversations())
            (conversation,) = s.backend.agent.conversations()
            assert [message.text for message in s.backend.agent.messages(conversation.id)] == [
                "one\ntwo"
            ]

    asyncio.run(story())


def test_a_session_that_ends_by_itself_ends_the_screen_and_what_was_told_stays() -> None:
    async def story() -> None:
        async with sitting() as s:
            await s.shows(" anonymous ")
            from support_chat.errors import BackendRejectedError

            s.backend.faults.fail(
                "dial", BackendRejectedError("The widget is disabled; ask who runs it.")
            )
            s.backend.faults.drop_links()
            assert "rejected" in (await s.left() or "")
            assert any("The widget is disabled; ask who runs it." in line for line in s.drawn.lines)
            assert "/help" not in s.drawn.lines[-1]

    asyncio.run(story())


def test_a_warning_of_the_library_is_shown_above_the_prompt() -> None:
    import logging

    async def story() -> None:
        async with sitting() as s:
            await s.shows(" anonymous ")
            logging.getLogger("support_chat").warning("a file was %s", "set aside")
            await s.shows("a file was set aside")

    asyncio.run(story())


def test_a_terminal_that_goes_away_is_a_way_of_leaving() -> None:
    async def story() -> None:
        async with sitting() as s:
            await s.shows(" anonymous ")
            s.keys.close()
            assert await s.left() is None

    asyncio.run(story())


def test_the_terminal_is_not_given_back_while_something_is_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> None:
        async with sitting() as s:
            await s.shows(" anonymous ")
            given_back: list[PipeInput] = []

            def give_back(keys: PipeInput) -> contextlib.nullcontext[None]:
                given_back.append(keys)
                return contextlib.nullcontext()

            # the system would take a Ctrl-D that is pressed in that moment
            for way in ("cooked_mode", "detach"):
                monkeypatch.setattr(type(s.keys), way, give_back)
            s.types("Hello\r")
            await s.shows("you    Hello")
            await s.shows("> a message, or /help")
            assert given_back == []

    asyncio.run(story())

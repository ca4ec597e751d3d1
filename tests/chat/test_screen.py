"""The shell for a terminal, in this process: keys go in by a pipe, and what is drawn is read off an
emulated screen.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import attrs
import pyte
import pytest
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from chat_client import VISITOR, runs_in
from loopback_arrangement import SECRET, WIDGET
from support_chat import BackendRejectedError
from support_chat_adapters.backend import Backend, IdentityKey
from support_chat_adapters.chat.run import chat
from support_chat_adapters.chat.screen import Screen
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

ROWS, COLUMNS = 24, 80
CTRL_C, CTRL_D, TAB, ALT_ENTER = "\x03", "\x04", "\t", "\x1b\r"


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
        async with asyncio.timeout(120):
            while not seen(self.drawn.lines):
                self.drawn.changed.clear()
                await self.drawn.changed.wait()

    async def shows(self, *texts: str) -> None:
        for text in texts:
            try:
                await self.until(lambda lines, text=text: any(text in line for line in lines))  # type: ignore[misc]  # bound for each turn
            except TimeoutError:
                screen = "\n".join(self.drawn.lines)
                raise AssertionError(f"{text!r} is not on the screen:\n{screen}") from None

    async def left(self) -> str | None:
        return await asyncio.wait_for(self.running, 120)


@asynccontextmanager
async def sitting() -> AsyncGenerator[Sitting, None]:
    drawn = Drawn()
    output = Vt100_Output(drawn, lambda: Size(rows=ROWS, columns=COLUMNS), term="xterm-256color")
    with (
        create_pipe_input() as keys,
        Backend(**WIDGET, keys=[IdentityKey("HS256", SECRET)]) as backend,
    ):
        running = asyncio.create_task(
            chat(
                Screen(input=keys, output=output),
                VISITOR,
                transport=LoopbackTransport(backend),
                storage=MemoryStorage(),
                url="http://here",
                **WIDGET,
                scope="default",
            )
        )
        one = Sitting(backend, keys, drawn, running)
        await one.shows(" anonymous ")
        try:
            yield one
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


story = runs_in(sitting)


@story
async def test_a_message_is_shown_and_the_prompt_is_empty_again(s: Sitting) -> None:
    await s.shows("> a message, or /help")
    s.types("Hello")
    await s.shows("> Hello")
    s.types("\r")
    await s.shows("you    Hello", "> a message, or /help")
    s.types(CTRL_D)
    assert await s.left() is None


@story
async def test_what_is_being_typed_survives_what_arrives_meanwhile(s: Sitting) -> None:
    s.types("first\r")
    await s.shows("you    first")
    s.types("half a sen")
    await s.shows("> half a sen")
    await s.until(lambda _: s.backend.agent.conversations())
    s.backend.agent.reply(s.backend.agent.conversations()[0].id, "An answer")
    await s.shows("agent  An answer", "1 unread")
    s.types("tence\r")
    await s.shows("you    half a sentence")


@story
async def test_the_bar_follows_the_phase_and_moves_while_reconnecting(s: Sitting) -> None:
    s.backend.faults.refuse_dials()
    s.backend.faults.drop_links()
    await s.shows(" reconnecting ")
    frames: set[str] = set()
    await s.until(lambda lines: frames.add(lines[-1]) or len(frames) > 2)  # type: ignore[func-returns-value]
    s.backend.faults.heal()
    await s.shows("anonymous: back after")
    await s.until(lambda lines: lines[-1].startswith(" anonymous "))


@pytest.mark.parametrize("keys", ["/quit\r", CTRL_D, CTRL_C * 2])
@story
async def test_ways_of_leaving(s: Sitting, keys: str) -> None:
    s.types(keys)
    assert await s.left() is None


@pytest.mark.parametrize("keys", [CTRL_C, "x" + CTRL_C * 2])
@story
async def test_one_ctrl_c_asks_first(s: Sitting, keys: str) -> None:
    s.types(keys)
    await s.shows("Ctrl-C again to leave")
    s.types("still here\r")
    await s.shows("you    still here")


@story
async def test_control_c_empties_the_line_first(s: Sitting) -> None:
    s.types("rubbish" + CTRL_C + "sense\r")
    await s.shows("you    sense")
    assert not any("rubbish" in line for line in s.drawn.lines)


@story
async def test_a_command_is_completed_by_tab(s: Sitting) -> None:
    s.types("/he")
    await s.shows("> /help")
    s.types(TAB + "\r")
    await s.shows("/list               your conversations")


@story
async def test_alt_enter_makes_a_second_row_which_is_indented(s: Sitting) -> None:
    s.types("one" + ALT_ENTER + "two")
    await s.until(lambda lines: "> one" in lines and "  two" in lines)
    s.types("\r")
    await s.shows("you    one", " " * 17 + "two")
    await s.until(lambda _: s.backend.agent.conversations())
    (conversation,) = s.backend.agent.conversations()
    texts = [message.text for message in s.backend.agent.messages(conversation.id)]
    assert texts == ["one\ntwo"]


@story
async def test_what_is_longer_than_a_row_is_indented_as_it_is_typed(s: Sitting) -> None:
    s.types("x" * 100)
    await s.until(lambda lines: "> " + "x" * 78 in lines and "  " + "x" * 22 in lines)


@story
async def test_a_session_that_ends_by_itself_ends_the_screen_and_what_was_shown_stays(
    s: Sitting,
) -> None:
    refusal = "The widget is disabled; ask who runs it."
    s.backend.faults.fail("dial", BackendRejectedError(refusal))
    s.backend.faults.drop_links()
    assert "rejected" in (await s.left() or "")
    assert any(refusal in line for line in s.drawn.lines)
    assert "/help" not in s.drawn.lines[-1]


@story
async def test_a_warning_of_the_library_is_shown_above_the_prompt(s: Sitting) -> None:
    logging.getLogger("support_chat").warning("a file was %s", "set aside")
    await s.shows("a file was set aside")


@story
async def test_a_terminal_that_goes_away_is_a_way_of_leaving(s: Sitting) -> None:
    s.keys.close()
    assert await s.left() is None


@story
async def test_the_terminal_is_not_given_back_while_something_is_printed(
    s: Sitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[PipeInput] = []

    def give_back(keys: PipeInput) -> contextlib.nullcontext[None]:
        given_back.append(keys)
        return contextlib.nullcontext()

    # the system would take a Ctrl-D that is pressed in that moment
    for way in ("cooked_mode", "detach"):
        monkeypatch.setattr(type(s.keys), way, give_back)
    s.types("Hello\r")
    await s.shows("you    Hello", "> a message, or /help")
    assert given_back == []

"""Programs that are a chat in the terminal, each driven through the same scenes by its keys and its
screen, against a served backend that is killed and comes back.

A program is a module with `Chat(transport, storage, token_for)`, a Textual app: `#say` is where one
types a message, `/login NAME` or `/logout`; `#said` shows what was said, `#status` how it stands.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import attrs
import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from served import Served, served
from support_chat import SignedIn, Storage, Transport
from support_chat_adapters.storage import FileStorage
from support_chat_adapters.transport import WidgetAPITransport

PROGRAMS = ("textual_chat_before", "textual_chat")
_PATIENCE = 120.0
"""Seconds that anything may take, on a machine however busy."""


class Program(Protocol):
    """What a program is made with."""

    def __call__(
        self, transport: Transport, storage: Storage, token_for: Callable[[str], str]
    ) -> App[None]:
        """The app."""
        ...


def program(name: str) -> Program:
    """The `Chat` of the module of this name in this folder."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Program = module.Chat
    return made


@attrs.frozen
class Screen:
    """A person before a running program."""

    pilot: Pilot[None]

    async def types(self, *lines: str) -> None:
        """Types lines, each with Enter."""
        for line in lines:
            self.pilot.app.query_one("#say", Input).value = line
            await self.pilot.press("enter")

    def rows(self, of: str) -> list[str]:
        """What stands in a part of the screen, row by row."""
        return [
            widget.render_line(y).text.rstrip()
            for widget in self.pilot.app.query(f"{of}, {of} *")
            if not widget.children
            for y in range(widget.size.height)
            if widget.render_line(y).text.strip()
        ]

    async def until(self, seen: Callable[[], bool]) -> None:
        """Waits until this is so; fails with the screen."""
        try:
            async with asyncio.timeout(_PATIENCE):
                while not seen():
                    await self.pilot.pause(0.01)
        except TimeoutError:
            rows = [*self.rows("#said"), *self.rows("#status")]
            raise AssertionError("not seen; the screen:\n" + "\n".join(rows)) from None

    async def shows(self, *said: str) -> None:
        """Waits until just this was said, in this order."""
        await self.until(lambda: self.rows("#said") == list(said))

    async def is_as(self, *words: str) -> None:
        """Waits until these words stand in the status."""
        await self.until(lambda: all(word in " ".join(self.rows("#status")) for word in words))


@attrs.frozen
class World:
    """A served backend, and where programs keep their visitor."""

    server: Served
    folder: Path
    make: Program

    @asynccontextmanager
    async def runs(self, storage: str = "visitor.json") -> AsyncGenerator[Screen, None]:
        """The program, from when it is live as a visitor to its end."""
        transport, kept = WidgetAPITransport(self.server.url), FileStorage(self.folder / storage)
        try:
            app = self.make(transport, kept, self.server.token)
            async with app.run_test(size=(100, 60)) as pilot:
                screen = Screen(pilot)
                await screen.is_as("anonymous")
                yield screen
        finally:
            await kept.aclose()
            await transport.aclose()

    async def answers(self, *texts: str) -> None:
        """An agent writes into the newest conversation of all."""
        for text in texts:
            await asyncio.to_thread(self._answer, text)

    def _answer(self, text: str) -> None:
        with self.server.backend() as backend:
            newest = backend.agent.newest()
            assert newest is not None
            backend.agent.reply(newest.id, text)

    async def stored(self) -> list[list[str]]:
        """The texts of each conversation at the backend, the newest conversation first."""

        def look() -> list[list[str]]:
            with self.server.backend() as backend:
                assert backend.agent.duplicates() == 0
                return [
                    [message.text for message in backend.agent.messages(each.id)]
                    for each in backend.agent.conversations()
                ]

        return await asyncio.to_thread(look)

    async def unread(self) -> int:
        """How many messages of agents nobody has read."""

        def look() -> int:
            with self.server.backend() as backend:
                return sum(each.unread or 0 for each in backend.agent.conversations())

        return await asyncio.to_thread(look)


Scene = Callable[[World], Coroutine[Any, Any, None]]
SCENES: list[Scene] = []


def scene(play: Scene) -> Scene:
    """One of the scenes that every program is driven through."""
    SCENES.append(play)
    return play


@scene
async def what_is_typed_at_once_is_stored_and_shown_once_and_in_order(world: World) -> None:
    async with world.runs() as screen:
        texts = [f"[{number}] of twelve" for number in range(12)]
        await screen.types(*texts)
        await screen.shows(*(f"you: {text}" for text in texts))
        await settled(world.stored, [texts])
        await world.answers("yes", "and no")
        await screen.shows(*(f"you: {text}" for text in texts), "agent: yes", "agent: and no")
        await screen.is_as(" 0 unread")
        await settled(world.unread, 0)


@scene
async def who_comes_back_sees_what_was_said_each_once(world: World) -> None:
    async with world.runs() as screen:
        await screen.types("Where is my order?")
        await settled(world.stored, [["Where is my order?"]])
    await world.answers("On its way")
    async with world.runs() as screen:
        await screen.shows("you: Where is my order?", "agent: On its way")
        await settled(world.unread, 0)
        await screen.types("Thanks")
        await screen.shows("you: Where is my order?", "agent: On its way", "you: Thanks")
    await settled(world.stored, [["Where is my order?", "On its way", "Thanks"]])


@scene
async def two_of_one_visitor_show_the_same(world: World) -> None:
    async with world.runs() as one, world.runs() as other:
        said: list[str] = []
        for turn in range(3):
            for screen, text in ((one, f"one {turn}"), (other, f"other {turn}")):
                await screen.types(text)
                said.append(f"you: {text}")
                await one.shows(*said)
                await other.shows(*said)
        await world.answers("yes")
        await one.shows(*said, "agent: yes")
        await other.shows(*said, "agent: yes")
        await settled(world.unread, 0)


@scene
async def what_is_typed_while_the_server_is_gone_is_sent_when_it_is_back(world: World) -> None:
    async with world.runs() as screen:
        await screen.types("before")
        await screen.shows("you: before")
        await asyncio.to_thread(world.server.kill)
        await screen.is_as("reconnecting")
        texts = [f"{number} of twelve" for number in range(12)]
        await screen.types(*texts)
        await screen.until(lambda: len(screen.rows("#said")) == 13)
        for row, text in zip(screen.rows("#said")[1:], texts, strict=True):
            assert row.startswith(f"you: {text} "), "it is told that they wait"
        await world.answers("missed")
        await asyncio.to_thread(world.server.start)
        await screen.shows("you: before", "agent: missed", *(f"you: {text}" for text in texts))
        texts = ["before", "missed", *texts]
        await settled(world.stored, [texts])
        await settled(world.unread, 0)


@scene
async def a_visitor_becomes_a_user_another_user_and_a_visitor_again(world: World) -> None:
    async with world.runs() as screen:
        await screen.types("Where is my order?")
        await screen.shows("you: Where is my order?")
        await screen.types("/login ada")
        await screen.is_as("authenticated", "ada")
        await screen.types("It is me")
        await screen.shows("you: Where is my order?", "you: It is me")

        await screen.types("/login bob")
        await screen.is_as("authenticated", "bob")
        await screen.shows()
        await screen.types("Of bob")
        await screen.shows("you: Of bob")

        await screen.types("/logout")
        await screen.is_as("anonymous", "visitor")
        await screen.shows()
        await screen.types("Of nobody")
        await screen.shows("you: Of nobody")

        await screen.types("/login ada")
        await screen.is_as("authenticated", "ada")
        await world.answers("to whom it may concern")
        await screen.shows("you: Of nobody", "agent: to whom it may concern")
    with world.server.backend() as backend:
        said = {
            user: [
                [message.text for message in backend.agent.messages(each.id)]
                for each in backend.agent.conversations(SignedIn(user))
            ]
            for user in ("ada", "bob")
        }
    assert said == {
        "ada": [["Of nobody", "to whom it may concern"], ["Where is my order?", "It is me"]],
        "bob": [["Of bob"]],
    }


@scene
async def what_is_refused_for_good_is_told_and_the_next_goes_on(world: World) -> None:
    async with world.runs() as screen:
        await screen.types("first", "x" * 20_000, "last")
        await screen.shows("you: first", "you: last")
        await screen.is_as("not sent")
        await settled(world.stored, [["first", "last"]])


async def settled(look: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Waits until the backend has it."""
    end = asyncio.get_running_loop().time() + _PATIENCE
    while (seen := await look()) != wanted:
        assert asyncio.get_running_loop().time() < end, f"{seen!r} is not {wanted!r}"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("play", SCENES, ids=lambda play: play.__name__)
def test_a_chat_in_the_terminal(play: Scene, name: str, tmp_path: Path) -> None:
    with served(tmp_path) as server:
        asyncio.run(play(World(server, tmp_path, program(name))))

"""Programs that are a shop with a chat, each driven through the same scenes by browsers, over HTTP,
with the shop and its backend in processes of their own.

A program is a module with `app`, an ASGI application, which reads where its backend is from
`SHOP_BACKEND`, `SHOP_STORAGE` and `SHOP_SECRET`, and when it ends sessions from `SHOP_IDLE`
(seconds) and `SHOP_MOST`. `/` is the page, with all that was said as `<li class=AUTHOR>`; its forms
post to `/say` (`text`, and `id`, from the page), `/login` (`name`, `password`) and `/logout`;
`/stream` tells what was said, and what is said from then on, as server-sent events, until the
browser is somebody else.
"""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import httpx2
import pytest

from served import Served, served
from support_chat import SignedIn

PROGRAMS = {"shop_before": ("--timeout-graceful-shutdown=1",), "shop": ()}
"""The programs, and what uvicorn has to be told for them."""
_PATIENCE = 120.0
"""Seconds that anything may take, on a machine however busy."""
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Each client would read the system's trust, which takes longer than all that it does."""
Said: TypeAlias = "list[tuple[str, str]]"
"""Who said what: `visitor`, `user` or `agent`, and the text."""


class Shop:
    """A shop in a process of its own, on the same free port each time that it is started."""

    def __init__(self, name: str, folder: Path, server: Served, **settings: str) -> None:
        self.folder = folder
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.command = [
            *(sys.executable, "-m", "uvicorn", f"--app-dir={Path(__file__).parent}", f"{name}:app"),
            *(f"--fd={self.listener.fileno()}", "--log-level=warning", *PROGRAMS[name]),
        ]
        self.environment = {
            **os.environ,
            "SHOP_BACKEND": server.url,
            "SHOP_STORAGE": str(folder / "visitors.db"),
            "SHOP_SECRET": server.secret,
            **{f"SHOP_{key.upper()}": value for key, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it; who connects from now on is answered once it is there."""
        fd = self.listener.fileno()
        with (self.folder / "shop.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command, env=self.environment, pass_fds=(fd,), stdout=log, stderr=log
            )

    def stop(self) -> None:
        """SIGTERM, as from whoever operates it; fails if it does not end by itself."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_PATIENCE)
            finally:
                process.kill()
                process.wait()

    def close(self) -> None:
        """Ends it at once, if it is not told to."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.listener.close()


class Browser:
    """A browser: its cookies, and the page that it shows."""

    def __init__(self, url: str) -> None:
        self.http = httpx2.AsyncClient(
            base_url=url, follow_redirects=True, trust_env=False, timeout=_PATIENCE, verify=_NO_TLS
        )

    async def page(self) -> str:
        """Loads the page."""
        return (await self.http.get("/")).raise_for_status().text

    async def said(self) -> Said:
        """What was said, by the page."""
        return said_on(await self.page())

    async def says(self, *texts: str) -> None:
        """Sends texts, one after the other, each by the form of a fresh page."""
        for text in texts:
            await self.posts(text, form_of(await self.page()))

    async def posts(self, text: str, id: str) -> None:
        """Sends a text by the form of a page."""
        sent = {"text": text, "id": id}
        (await self.http.post("/say", data=sent)).raise_for_status()

    async def signs_in(self, name: str, password: str) -> str:
        """Signs in; the page that comes."""
        filled = {"name": name, "password": password}
        return (await self.http.post("/login", data=filled)).raise_for_status().text

    async def signs_out(self) -> str:
        """Signs out; the page that comes."""
        return (await self.http.post("/logout")).raise_for_status().text

    @asynccontextmanager
    async def tab(self) -> AsyncGenerator[Tab, None]:
        """A page that listens."""
        tab = Tab()
        reading = asyncio.create_task(tab.read(self.http))
        try:
            yield tab
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


@attrs.define
class Tab:
    """What a page hears; `over` once it is told no more."""

    heard: Said = attrs.field(factory=list[tuple[str, str]])
    over: bool = False

    async def read(self, http: httpx2.AsyncClient) -> None:
        """Listens until the end."""
        try:
            async with http.stream("GET", "/stream") as answer:
                async for line in answer.raise_for_status().aiter_lines():
                    if line.startswith("data: "):
                        said = json.loads(line.removeprefix("data: "))
                        self.heard.append((said["author"], said["text"]))
        finally:
            self.over = True

    async def hears(self, *said: tuple[str, str]) -> None:
        """Waits until just this was heard, in this order."""
        await until(lambda: self.heard, [*said])


def said_on(page: str) -> Said:
    found = re.findall(r"<li class=(\w+)>(.*?)</li>", page, re.DOTALL)
    return [(author, html.unescape(text)) for author, text in found]


def form_of(page: str) -> str:
    (id,) = re.findall(r"name=id value=(\w+)", page)
    return str(id)


async def until(look: Callable[[], object], wanted: object) -> None:
    """Waits until it is so; fails with what it is."""
    end = asyncio.get_running_loop().time() + _PATIENCE
    while (seen := await asyncio.to_thread(look)) != wanted:
        assert asyncio.get_running_loop().time() < end, f"{seen!r} is not {wanted!r}"
        await asyncio.sleep(0.02)


@attrs.define
class World:
    """A shop, its backend, and what can be seen of them from outside."""

    server: Served
    shop: Shop
    browsers: list[Browser] = attrs.field(factory=list[Browser])

    def browser(self) -> Browser:
        """A browser that nobody has used yet."""
        self.browsers.append(Browser(self.shop.url))
        return self.browsers[-1]

    async def close(self) -> None:
        """Closes the browsers."""
        for browser in self.browsers:
            await browser.http.aclose()

    async def answers(self, text: str, to: str) -> None:
        """An agent writes into the conversation in which this was said last."""

        def work() -> None:
            with self.server.backend() as backend:
                [found] = [
                    each.id
                    for each in backend.agent.conversations()
                    if backend.agent.messages(each.id)[-1].text == to
                ]
                backend.agent.reply(found, text)

        await asyncio.to_thread(work)

    def stored(self, user: str | None = None) -> list[list[str]]:
        """The texts of the conversations of a user, or of all; the newest conversation first."""
        with self.server.backend() as backend:
            assert backend.agent.duplicates() == 0
            whose = None if user is None else SignedIn(user)
            return [
                [message.text for message in backend.agent.messages(each.id)]
                for each in backend.agent.conversations(whose)
            ]

    def unread(self) -> int:
        """How many messages of agents nobody has read."""
        with self.server.backend() as backend:
            return sum(each.unread or 0 for each in backend.agent.conversations())

    def links(self) -> int:
        """How many sessions of the shop are live at the backend."""
        told = httpx2.get(f"{self.server.status_url}/metrics", trust_env=False).text
        (number,) = re.findall(r"^support_chat_links (\S+)$", told, re.MULTILINE)
        return int(float(number))

    def counted(self, what: str) -> int:
        """How many rows the backend's database has; `what` is a table, with a condition."""
        with closing(sqlite3.connect(self.server.db)) as db:
            return int(db.execute(f"SELECT count(*) FROM {what}").fetchone()[0])


@attrs.frozen
class Scene:
    """A scene, and the settings of the shop that it is played in."""

    play: Callable[[World], Coroutine[Any, Any, None]]
    settings: dict[str, str]


SCENES: list[Scene] = []


def scene(**settings: str) -> Callable[[Callable[[World], Coroutine[Any, Any, None]]], None]:
    """One of the scenes that every program is driven through."""
    return lambda play: SCENES.append(Scene(play, settings))


@scene()
async def robots_cost_nothing_that_lasts(world: World) -> None:
    for _ in range(20):
        assert await world.browser().said() == []
    assert world.links() == 0
    assert world.counted("visitors") == world.counted("sessions") == 0


@scene()
async def what_is_said_is_on_the_page_and_in_each_tab_once_and_in_order(world: World) -> None:
    browser = world.browser()
    await browser.page()
    async with browser.tab() as one, browser.tab() as other:
        await browser.says("<b>one</b> & two", "three")
        said = [("visitor", "<b>one</b> & two"), ("visitor", "three")]
        await one.hears(*said)
        await world.answers("yes", to="three")
        await browser.says("four")
        said += [("agent", "yes"), ("visitor", "four")]
        await one.hears(*said)
        await other.hears(*said)
        assert await browser.said() == said
        await until(world.unread, 0)
        async with browser.tab() as late:
            await late.hears(*said)
            await browser.says("five")
            for tab in (one, other, late):
                await tab.hears(*said, ("visitor", "five"))


@scene()
async def requests_that_come_at_once_make_one_session_and_one_message_for_each_form(
    world: World,
) -> None:
    browser = world.browser()
    await browser.page()
    pages = await asyncio.gather(*(browser.page() for _ in range(12)))  # connections are open now
    forms = [form_of(page) for page in pages[:4]]
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            for number, id in enumerate(forms):
                group.create_task(browser.posts(str(number), id))
            group.create_task(browser.said())
    [said] = world.stored()
    assert sorted(said) == ["0", "1", "2", "3"]
    assert [text for _, text in await browser.said()] == said
    assert world.counted("visitors") == world.counted("sessions") == world.links() == 1


@scene()
async def who_leaves_while_the_page_loads_harms_nobody_else(world: World) -> None:
    browser = world.browser()
    await browser.page()
    loads = [asyncio.create_task(browser.said()) for _ in range(20)]
    await asyncio.sleep(0)
    for load in loads[:10]:
        await asyncio.sleep(0.002)
        load.cancel()
    assert await asyncio.gather(*loads[10:]) == [[]] * 10
    await browser.says("still here")
    assert await browser.said() == [("visitor", "still here")]
    assert world.counted("visitors") == world.links() == 1


@scene()
async def a_visitor_signs_in_takes_along_what_was_said_and_signs_out(world: World) -> None:
    browser, other = world.browser(), world.browser()
    await browser.says("Where is my order?")
    await other.says("Of somebody else")
    async with browser.tab() as tab:
        await tab.hears(("visitor", "Where is my order?"))
        assert "ada" in await browser.signs_in("ada", "lovelace")
        await until(lambda: tab.over, True)
    assert [text for _, text in await browser.said()] == ["Where is my order?"]
    await browser.says("It is me")
    assert world.stored("ada") == [["Where is my order?", "It is me"]]

    async with browser.tab() as tab:
        await until(lambda: [text for _, text in tab.heard], ["Where is my order?", "It is me"])
        assert said_on(await browser.signs_out()) == []
        await until(lambda: tab.over, True)
        await world.answers("for ada alone", to="It is me")
        await browser.says("Of nobody")
        assert await browser.said() == [("visitor", "Of nobody")]
        assert ("agent", "for ada alone") not in tab.heard
    assert await other.said() == [("visitor", "Of somebody else")]

    await other.signs_in("ada", "lovelace")
    said = sorted(map(sorted, world.stored("ada")))
    assert said == [["It is me", "Where is my order?", "for ada alone"], ["Of somebody else"]]


@scene()
async def one_user_after_the_other_sees_nothing_of_the_one_before(world: World) -> None:
    browser = world.browser()
    await browser.page()
    await browser.signs_in("ada", "lovelace")
    await browser.says("Of ada")
    async with browser.tab() as tab:
        await until(lambda: [text for _, text in tab.heard], ["Of ada"])
        assert said_on(await browser.signs_in("bob", "builder")) == []
        await browser.says("Of bob")
        await until(lambda: tab.over, True)
        assert [text for _, text in tab.heard] == ["Of ada"]
    assert [text for _, text in await browser.said()] == ["Of bob"]
    with pytest.raises(httpx2.HTTPStatusError):
        await browser.signs_in("ada", "builder")
    assert "bob" in await browser.page()
    assert world.stored("ada") == [["Of ada"]]
    assert world.stored("bob") == [["Of bob"]]


@scene(idle="0.2")
async def a_session_that_nobody_uses_ends_and_the_browser_finds_all_again(world: World) -> None:
    browser = world.browser()
    await browser.says("before")
    await until(world.links, 0)
    await world.answers("meanwhile", to="before")
    said = [("visitor", "before"), ("agent", "meanwhile")]
    assert await browser.said() == said
    async with browser.tab() as tab:
        await tab.hears(*said)
        other = world.browser()
        await other.says("of another")
        await until(world.links, 1)  # the other one's has ended: so would this one's have
        await world.answers("still here", to="meanwhile")
        await tab.hears(*said, ("agent", "still here"))
    await until(world.links, 0)
    assert world.counted("visitors") == 2
    assert world.counted("sessions WHERE revoked") == 0


@scene(most="3", idle="2")
async def there_are_no_more_sessions_than_may_be_and_everybody_finds_all_again(
    world: World,
) -> None:
    browsers = [world.browser() for _ in range(8)]
    for number, browser in enumerate(browsers):
        await browser.says(str(number))
    await until(lambda: world.links() <= 3, True)
    for number, browser in enumerate(browsers):
        assert await browser.said() == [("visitor", str(number))]
    assert world.counted("visitors") == 8
    assert world.counted("sessions WHERE revoked") == 0


@scene()
async def a_shop_that_is_told_to_end_while_a_tab_listens_ends_and_comes_back(world: World) -> None:
    browser = world.browser()
    await browser.says("before")
    async with browser.tab() as tab:
        await tab.hears(("visitor", "before"))
        await asyncio.to_thread(world.shop.stop)
        await until(lambda: tab.over, True)
    await until(world.links, 0)
    world.shop.start()
    assert await browser.said() == [("visitor", "before")]
    assert world.counted("visitors") == 1


@scene()
async def what_was_not_sent_is_told_and_is_sent_once_when_it_is_sent_again(world: World) -> None:
    browser = world.browser()
    await browser.says("before")
    form = form_of(await browser.page())
    await asyncio.to_thread(world.server.kill)
    with pytest.raises(httpx2.HTTPStatusError, match="503"):
        await browser.posts("again", form)
    await asyncio.to_thread(world.server.start)
    for _ in range(2):
        await sent(browser, "again", form)
    assert await browser.said() == [("visitor", "before"), ("visitor", "again")]


async def sent(browser: Browser, text: str, form: str) -> None:
    """Posts again until it is sent."""
    end = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        try:
            return await browser.posts(text, form)
        except httpx2.HTTPStatusError:
            assert asyncio.get_running_loop().time() < end
            await asyncio.sleep(0.1)


@contextmanager
def opened(folder: Path, name: str, settings: dict[str, str]) -> Generator[World, None, None]:
    """A shop and its backend, which end with the block."""
    limits = ("--opens-per-minute=0", "--requests-per-minute=0", "--status=127.0.0.1:0")
    with served(folder, *limits) as server:
        shop = Shop(name, folder, server, **settings)
        try:
            shop.start()
            yield World(server, shop)
        finally:
            shop.close()


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.play.__name__)
def test_a_shop_with_a_chat(scene: Scene, name: str, tmp_path: Path) -> None:
    async def played(world: World) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await scene.play(world)
        finally:
            await world.close()

    with opened(tmp_path, name, scene.settings) as world:
        asyncio.run(played(world))

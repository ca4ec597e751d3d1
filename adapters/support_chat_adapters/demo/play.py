"""Plays scenes: steps on one session, each reported with its facts, and a summary at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json as jsonlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, TextIO, TypeAlias, TypeVar, cast, get_args

import attrs

from support_chat import AnyEvent, Phase, PhaseChanged, SupportChat, Transport
from support_chat.values import JSON
from support_chat_adapters.storage import SQLiteStorage

from ..ui.terminal import can_draw, columns, hanging
from .environment import WIDGET, WORKSPACE, Environment, brisk, watchable
from .report import Fact, Report, SceneBegun, Show, Step, StepBegun, Summary, as_json, lines_of

E = TypeVar("E")

SCENE_LIMIT: Final = 30.0
"""How long a scene may take, in seconds: the demo never hangs."""
_LOOK_AGAIN: Final = 0.005  # seconds


@attrs.define(eq=False)
class Demo:
    """What a scene works with. The session, the backend and the storage are the real ones; nothing
    is mocked.

    Attributes:
        scene: The number of the scene being played, from 1.
        doing: The step being done, None between two.
        heard: Every event of the session, the oldest first.
        steps: Every step that has ended.
    """

    chat: SupportChat
    environment: Environment
    storage: SQLiteStorage
    folder: Path
    show: Show
    scene: int = 0
    doing: str | None = None
    heard: list[AnyEvent] = attrs.field(factory=list[AnyEvent])
    steps: list[Step] = attrs.field(factory=list[Step])

    def __attrs_post_init__(self) -> None:
        for kind in get_args(AnyEvent):
            self.chat.on(kind, self.heard.append)
            self.chat.on(kind, self.show)

    def step(self, did: str) -> None:
        """A step begins, which does `did`; `check` ends it."""
        if self.doing is not None:
            self.end("", failure="nothing was checked")
        self.doing = did
        self.show(StepBegun(did))

    async def check(self, says: str, **facts: tuple[object, object]) -> None:
        """Ends the step: `says` in plain words what came of it; each fact is (seen, wanted), and
        both must be the same.
        """
        # events come a turn after the call, and should be read before its outcome
        await asyncio.sleep(0)
        self.end(says, *(Fact(name.replace("_", " "), *both) for name, both in facts.items()))
        await asyncio.sleep(self.environment.pause + self.environment.reading * len(says))

    def end(self, says: str, *facts: Fact, failure: str | None = None) -> None:
        """The step being done has ended: with what came of it and these facts, or in a failure."""
        counters = self.environment.counters()
        step = Step(self.scene, self.doing or "", says, facts, counters, failure)
        self.doing = None
        self.steps.append(step)
        self.show(step)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Waits until it is so; the time limit of the scene is the only one."""
        # the other side is looked at as a person would: it has no event to wait for
        while not reached():  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN)

    def events(self, kind: type[E]) -> list[E]:
        """The events of this kind, the oldest first."""
        return [event for event in self.heard if isinstance(event, kind)]

    @property
    def visited(self) -> tuple[Phase, ...]:
        """The phases in which the session was so far, the first first."""
        phases = (event.current for event in self.events(PhaseChanged))
        return tuple(dict.fromkeys((Phase.NOT_INITIALIZED, *phases)))

    @property
    def dials(self) -> int:
        """How many dials there were so far."""
        return self.environment.backend.log.count("dial")

    def update(self, **context: JSON) -> None:
        """Calls update() with this context, and counts it; nobody waits for the call."""
        self.environment.updates += 1
        self.chat.update(context=context)

    async def secret(self) -> str:
        """What the storage keeps of the visitor, and must keep to itself."""
        [key] = await self.storage.keys()
        return await self.storage.get(key) or ""

    def on_disk(self, secret: str) -> bool:
        """Whether the bytes of `secret` are in any file of the storage's folder."""
        files = (path for path in self.folder.iterdir() if path.is_file())
        return any(secret.encode() in path.read_bytes() for path in files)


Scenes: TypeAlias = Mapping[str, Callable[[Demo], Awaitable[None]]]
"""What is done, by titles in plain words."""


async def play(scenes: Scenes, environment: Environment, show: Show) -> int:
    """Plays the scenes on one session and shows how it goes; returns 0 if every step ended as
    expected, else 1.

    A scene that raises, or takes longer than `SCENE_LIMIT`, is the last.
    """
    began = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(environment.backend)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="support-chat-")))
        storage = SQLiteStorage(folder / "chat.sqlite")
        stack.push_async_callback(storage.aclose)
        chat = SupportChat(
            workspace_id=WORKSPACE,
            widget_id=WIDGET,
            transport=cast("Transport", environment.wire),
            storage=storage,
            settings=environment.settings,
            token_provider=environment.token,
        )
        stack.push_async_callback(chat.destroy)
        demo = Demo(chat, environment, storage, folder, show)
        for demo.scene, (title, scene) in enumerate(scenes.items(), 1):
            show(SceneBegun(demo.scene, len(scenes), title))
            limit = asyncio.timeout(SCENE_LIMIT)
            try:
                async with limit:
                    await scene(demo)
                if demo.doing is not None:
                    demo.end("", failure="nothing was checked")
            except Exception as error:
                hung = f"did not end within {SCENE_LIMIT:g} s" if limit.expired() else None
                demo.end("", failure=hung or f"raised {type(error).__name__}: {error}")
                break
    seconds, counters = time.monotonic() - began, environment.counters()
    summary = Summary(tuple(scenes), tuple(demo.steps), demo.visited, counters, seconds)
    show(summary)
    return 0 if summary.ok else 1


async def watch(scenes: Scenes, out: TextIO, *, plain: bool, json: bool) -> int:
    """Plays the scenes on `out`: as lines of text or of JSON, or in a live view on a terminal that
    can draw it. Returns 0 if every step ended as expected, else 1.
    """

    def show(report: Report) -> None:
        for head, text in lines_of(report):
            print(hanging(head, text, columns(out)), file=out, flush=True)

    def show_json(report: Report) -> None:
        print(jsonlib.dumps(as_json(report)), file=out, flush=True)

    unicode = (out.encoding or "").lower().startswith("utf")
    if plain or json or not (unicode and can_draw(out)):
        return await play(scenes, brisk(), show_json if json else show)
    from .view import view

    environment = watchable()
    async with view(out, environment.counters) as draw:
        return await play(scenes, environment, draw)

"""Every call in every phase, as `calls_in_each_phase.txt` beside this file says: each of its lines
is run.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import pytest

import support_chat
from support_chat import Call, NetworkError, Phase, PhaseChanged, SignedIn, SupportChat, Visitor

if TYPE_CHECKING:
    from tests.session.conftest import Rig

Calls: TypeAlias = list[Call[Any]]

CALLS: dict[str, Callable[[Rig, SupportChat], Call[Any]]] = {
    "boot()": lambda rig, chat: chat.boot(),
    "boot(ann)": lambda rig, chat: chat.boot(user={"id": "ann"}, token_provider=rig.tokens("ann")),
    "boot(bob)": lambda rig, chat: chat.boot(user={"id": "bob"}, token_provider=rig.tokens("bob")),
    "identify(ann)": lambda rig, chat: chat.identify(
        user={"id": "ann"}, token_provider=rig.tokens("ann")
    ),
    "identify(bob)": lambda rig, chat: chat.identify(
        user={"id": "bob"}, token_provider=rig.tokens("bob")
    ),
    "become()": lambda rig, chat: chat.become(None),
    "become(ann)": lambda rig, chat: chat.become({"id": "ann"}, token_provider=rig.tokens("ann")),
    "become(bob)": lambda rig, chat: chat.become({"id": "bob"}, token_provider=rig.tokens("bob")),
    "update()": lambda rig, chat: chat.update(context={"page": "billing"}),
    "update(ann)": lambda rig, chat: chat.update(user={"id": "ann", "name": "Ann"}),
    "update(bob)": lambda rig, chat: chat.update(user={"id": "bob", "name": "Bob"}),
    "send": lambda rig, chat: chat.send_message("hello"),
    "mark": lambda rig, chat: chat.mark_read("c1", "m1"),
    "shutdown()": lambda rig, chat: chat.shutdown(),
    "shutdown(clear)": lambda rig, chat: chat.shutdown(clear_storage=True),
    "destroy()": lambda rig, chat: chat.destroy(),
}

TABLE = (
    Path(__file__)
    .with_name("calls_in_each_phase.txt")
    .read_text(encoding="utf-8")
    .partition("=====")[2]
)


# --- how to get into each situation ---------------------------------------------------------------


async def not_initialized(rig: Rig, chat: SupportChat) -> Calls:
    return []


async def loading(rig: Rig, chat: SupportChat) -> Calls:
    rig.hold("get", "create", "delete", "keys")
    load = chat.load()
    await rig.quiet(1)
    return [load]


async def ready(rig: Rig, chat: SupportChat) -> Calls:
    await chat.load()
    return []


async def shutdown(rig: Rig, chat: SupportChat) -> Calls:
    await authenticated(rig, chat)
    await chat.shutdown()
    return []


async def clearing(rig: Rig, chat: SupportChat) -> Calls:
    await authenticated(rig, chat)
    rig.hold("get", "create", "delete", "keys")
    ended = chat.shutdown()
    await rig.quiet(1)
    return [ended]


async def clearing_everything(rig: Rig, chat: SupportChat) -> Calls:
    await authenticated(rig, chat)
    rig.hold("get", "create", "delete", "keys")
    ended = chat.shutdown(clear_storage=True)
    await rig.quiet(1)
    return [ended]


async def revoking(rig: Rig, chat: SupportChat) -> Calls:
    await authenticated(rig, chat)
    rig.hold("revoke")
    ended = chat.shutdown()
    await rig.quiet(1)
    return [ended]


async def dirty(rig: Rig, chat: SupportChat) -> Calls:
    await authenticated(rig, chat)
    rig.fail("delete", OSError("disk"))
    ended = chat.shutdown()
    with pytest.raises(support_chat.StorageError):
        await ended
    return [ended]


async def destroying(rig: Rig, chat: SupportChat) -> Calls:
    return [*await clearing(rig, chat), chat.destroy()]


async def destroyed(rig: Rig, chat: SupportChat) -> Calls:
    await authenticated(rig, chat)
    await chat.destroy()
    return []


async def anonymous(rig: Rig, chat: SupportChat) -> Calls:
    await chat.boot()
    return []


async def authenticated(rig: Rig, chat: SupportChat) -> Calls:
    await CALLS["boot(ann)"](rig, chat)
    return []


async def identified(rig: Rig, chat: SupportChat) -> Calls:
    await chat.boot()
    await CALLS["identify(ann)"](rig, chat)
    await rig.quiet()
    return []


def booting(boot: str) -> Situation:
    async def arrange(rig: Rig, chat: SupportChat) -> Calls:
        rig.hold("dial")
        call = CALLS[boot](rig, chat)
        await rig.quiet(1)
        return [call]

    return arrange


def asking(held: str) -> Situation:
    async def arrange(rig: Rig, chat: SupportChat) -> Calls:
        await chat.boot()
        rig.hold(held)
        call = CALLS["identify(ann)"](rig, chat)
        await rig.quiet(1)
        return [call]

    return arrange


async def asking_again(rig: Rig, chat: SupportChat) -> Calls:
    rig.remembers = False
    await chat.boot()
    rig.hold("identify")
    with pytest.raises(support_chat.CallTimeoutError):
        await chat.identify(user={"id": "ann"}, token_provider=rig.tokens("ann"), timeout=1)
    await rig.quiet()
    return []


def reconnecting(live: Situation) -> Situation:
    async def arrange(rig: Rig, chat: SupportChat) -> Calls:
        await live(rig, chat)
        rig.hold("dial")
        rig.links[-1].lose()
        await rig.quiet(1)
        return []

    return arrange


def disconnected(live: Situation) -> Situation:
    async def arrange(rig: Rig, chat: SupportChat) -> Calls:
        await live(rig, chat)
        chat.set_online(False)
        await rig.quiet(1)
        return []

    return arrange


def then(situation: Situation, call: str) -> Situation:
    async def arrange(rig: Rig, chat: SupportChat) -> Calls:
        return [*await situation(rig, chat), CALLS[call](rig, chat)]

    return arrange


Situation: TypeAlias = "Callable[[Rig, SupportChat], Awaitable[Calls]]"

SITUATIONS: dict[str, Situation] = {
    "not_initialized": not_initialized,
    "loading": loading,
    "loading, a boot() waits": then(loading, "boot()"),
    "loading, a boot(ann) waits": then(loading, "boot(ann)"),
    "ready": ready,
    "booting": booting("boot()"),
    "booting as ann": booting("boot(ann)"),
    "booting, an identify(ann) waits": then(booting("boot()"), "identify(ann)"),
    "anonymous": anonymous,
    "anonymous, an identify(ann) asks for its token": asking("token"),
    "anonymous, an identify(ann) was sent": asking("identify"),
    "anonymous, an identify(ann) that was given up is asked again": asking_again,
    "authenticated as ann": authenticated,
    "authenticated as ann by identify": identified,
    "reconnecting": reconnecting(anonymous),
    "reconnecting, an identify(ann) waits": then(reconnecting(anonymous), "identify(ann)"),
    "reconnecting as ann": reconnecting(authenticated),
    "disconnected": disconnected(anonymous),
    "disconnected, an identify(ann) waits": then(disconnected(anonymous), "identify(ann)"),
    "disconnected as ann": disconnected(authenticated),
    "shutdown": shutdown,
    "shutdown, it still clears": clearing,
    "shutdown, it still clears everything": clearing_everything,
    "shutdown, it still revokes": revoking,
    "shutdown, its clear has failed": dirty,
    "shutdown, a boot() waits": then(clearing, "boot()"),
    "shutdown, a boot(ann) waits": then(clearing, "boot(ann)"),
    "destroyed, it still clears": destroying,
    "destroyed": destroyed,
}


# --- the table as data ----------------------------------------------------------------------------


@attrs.frozen
class Row:
    """One line of the table."""

    situation: str
    call: str
    settles: str
    at_once: str = ""
    in_the_end: str = ""
    seen: str = "-"
    under_way: str = ""

    def __str__(self) -> str:
        return f"{self.situation}: {self.call}"


def rows() -> list[Row]:
    """The lines of the table, one row for each call."""
    found: list[Row] = []
    situation = ""
    for line in filter(str.strip, TABLE.splitlines()):
        if line.startswith(" "):
            settles, calls, *rest = (cell.strip() for cell in line.split("  ") if cell.strip())
            found += [Row(situation, call, settles, *rest) for call in calls.split()]
        else:
            situation = line
    return found


ROWS = rows()
REFUSED = [row for row in ROWS if not row.at_once]
TAKEN = [row for row in ROWS if row.at_once]


def error_of(name: str) -> type[Exception]:
    kind: type[Exception] = getattr(support_chat, f"{name}Error")
    return kind


async def let_through(rig: Rig, chat: SupportChat, under_way: Calls) -> str:
    """Lets everything happen that was held, and returns how the calls under way ended."""
    rig.release()
    if chat.is_in(Phase.DISCONNECTED):
        chat.set_online(True)
    await rig.quiet()
    assert all(call.done for call in under_way)
    ended = await asyncio.gather(*under_way, return_exceptions=True)
    words = [
        type(e).__name__.removesuffix("Error") if isinstance(e, BaseException) else "done"
        for e in ended
    ]
    return ", ".join(f"{call.trigger} {word}" for call, word in zip(under_way, words, strict=True))


async def arranged(rig: Rig, row: Row) -> tuple[SupportChat, Calls]:
    """A session in the situation of the row, on a storage that an earlier session has used."""
    earlier = rig.chat()
    await earlier.boot()
    await earlier.destroy()
    rig.leave_something()
    chat = rig.chat()
    under_way = await SITUATIONS[row.situation](rig, chat)
    phase = row.situation.split(",")[0].split(" ")[0]
    assert chat.state == phase
    if phase in ("anonymous", "authenticated", "reconnecting", "disconnected"):
        assert (
            chat.identity == SignedIn("ann")
            if "as ann" in row.situation
            else isinstance(chat.identity, Visitor)
        )
    else:
        assert chat.identity is None
    rig.log.clear()
    return chat, under_way


def test_the_table_is_complete() -> None:
    assert {row.situation for row in ROWS} == set(SITUATIONS)
    assert {situation.split(",")[0].split(" ")[0] for situation in SITUATIONS} == {
        phase.value for phase in Phase
    }
    for situation in SITUATIONS:
        assert [row.call for row in ROWS if row.situation == situation] == list(CALLS), situation


@pytest.mark.parametrize("row", REFUSED, ids=str)
def test_a_refused_call_raises_and_changes_nothing(rig: Rig, row: Row) -> None:
    async def scenario() -> None:
        chat, _ = await arranged(rig, row)
        before = (chat.state, chat.identity, len(rig.storage_log), len(rig.dials), rig.kept())
        call = CALLS[row.call](rig, chat)
        assert call.done
        with pytest.raises(error_of(row.settles)) as caught:
            await call
        assert type(caught.value) is error_of(row.settles)
        await asyncio.sleep(0)
        assert (
            chat.state,
            chat.identity,
            len(rig.storage_log),
            len(rig.dials),
            rig.kept(),
        ) == before
        assert rig.log == []

    rig.run(scenario)


@pytest.mark.parametrize("row", REFUSED, ids=str)
def test_what_is_under_way_ends_as_if_the_refused_call_had_not_been_made(
    rig: Rig, row: Row
) -> None:
    async def ending(*, refused: bool) -> tuple[object, ...]:
        rig.forget()
        chat, under_way = await arranged(rig, row)
        if refused:
            with pytest.raises(error_of(row.settles)):
                await CALLS[row.call](rig, chat)
        ended = await let_through(rig, chat, under_way)
        seen = sorted(rig.log)
        await chat.destroy()
        return seen, ended, [event.current for event in rig.of(PhaseChanged)], rig.kept()

    async def scenario() -> None:
        assert await ending(refused=True) == await ending(refused=False)

    rig.run(scenario)


@pytest.mark.parametrize("row", TAKEN, ids=str)
def test_an_accepted_call_does_what_the_table_says(rig: Rig, row: Row) -> None:
    async def scenario() -> None:
        chat, under_way = await arranged(rig, row)
        call = CALLS[row.call](rig, chat)
        assert chat.state == row.at_once
        assert call.done == (row.settles == "now"), (
            "settles in the same step if, and only if, the table says `now`"
        )
        assert await let_through(rig, chat, under_way) == row.under_way
        assert sorted(rig.log) == sorted(row.seen.removeprefix("-").split())
        result = await call
        phase, _, user = row.in_the_end.partition("(")
        assert chat.state == phase
        if phase == "authenticated":
            assert chat.identity == SignedIn(user.removesuffix(")") or "ann")
        else:
            assert isinstance(chat.identity, Visitor) == (phase == "anonymous")
        if row.settles == "joins" and len({c.trigger for c in (call, *under_way)}) == 1:
            assert result == await under_way[-1]
        assert rig.most_open == 1

    rig.run(scenario)


def test_a_message_that_is_not_to_wait_and_cannot_leave_is_not_kept(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        boot = chat.boot()
        with pytest.raises(NetworkError):
            await chat.send_message("hello", queue=False)
        await boot
        await rig.quiet()
        assert "send" not in rig.log

    rig.run(scenario)


# --- the table that is generated from the chart ---------------------------------------------------

GENERATED = Path(__file__).parents[2] / "diagrams" / "calls.md"


def generated() -> dict[tuple[str, bool], dict[str, set[str]]]:
    """The answers in each cell of the generated table, by the phase and whether a boot waits, and
    by the title of the column.
    """
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in GENERATED.read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    found: dict[tuple[str, bool], dict[str, set[str]]] = {}
    for phases, *cells in lines[2:]:
        for phase in re.findall(r"`(\w+)`", phases):
            answers = ({*cell.split(", ")} for cell in cells)
            found[phase, "a boot waits" in phases] = dict(zip(lines[0][1:], answers, strict=True))
    return found


def column(row: Row) -> str:
    """The title of the column that a call belongs to, by whom the session and its identify are
    for.
    """
    call, who = re.fullmatch(r"(\w+)(?:\((\w*)\))?", row.call).groups("")  # type: ignore[union-attr]
    user = "ann" if re.search(r"as ann|boot\(ann\)", row.situation) else ""
    target = "ann" if "identify(ann)" in row.situation else ""
    match call:
        case "boot":
            return "`boot()` same identity" if who == user else "`boot()` another"
        case "identify":
            fits = user in ("", who) and target in ("", who)
            return f"`identify()` {'a user' if fits else 'another'}"
        case "become":
            return f"`become()` {'the same' if who == (target or user) else 'another'}"
        case "send":
            return "`send_message()`"
        case _:
            return f"`{call}()`"


def answer(row: Row) -> str:
    """How the generated table says that the call is answered so."""
    phase = row.situation.split(",")[0].split(" ")[0]
    moves = f"→ {row.at_once}" if row.at_once not in ("", phase) else ""
    match row.settles:
        case "now":
            return f"now {moves}".strip()
        case "joins":
            return moves or "join"
        case "waits":
            return moves or "wait"
        case error:
            return "✗ " + re.sub(r"(?<!^)(?=[A-Z])", " ", error).lower()


PLAIN = [
    row
    for row in ROWS
    # a mark is held as a message is, and told at once where there is no link
    if row.call not in ("update(ann)", "update(bob)", "shutdown(clear)", "mark")
    # the chart has one row for a clear that is under way and for one that is owed
    and (row.situation, row.call) != ("shutdown, its clear has failed", "shutdown()")
]


@pytest.mark.parametrize("row", PLAIN, ids=str)
def test_the_generated_table_says_the_same(row: Row) -> None:
    phase, _, more = row.situation.partition(",")
    phase = phase.split(" ")[0]
    waits = "boot(" in more
    table = generated()
    cells = table.get((phase, waits)) or table[phase, False]
    assert answer(row) in cells[column(row)]


def test_the_generated_table_says_nothing_else() -> None:
    """Every answer of a column of the generated table is one that a line here gives, in this phase
    or, where an identify waits as it may in any, in another.
    """
    given: dict[str, set[str]] = {}
    for row in PLAIN:
        given.setdefault(column(row), set()).add(answer(row))
    for place, cells in generated().items():
        for title, answers in cells.items():
            assert answers - {"–"} <= given[title], (place, title)

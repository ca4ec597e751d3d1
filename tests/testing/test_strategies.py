"""What the strategies make up is always valid and of every kind: options, settings, steps that aim
at a row, and lives, which the real session lives through as the model says, every call settled.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections import Counter
from typing import Any, cast, get_args

import attrs
import pytest
from hypothesis import Phase as Stage, find, given, settings

from async_tests import in_real_time, in_virtual_time
from support_chat import (
    CHART,
    Compiled,
    Input,
    Message,
    Phase,
    Settings,
    State,
    SupportChat,
    Transition,
    ports,
)
from support_chat.chart.model import Ask
from support_chat.engine import CallMade
from support_chat.errors import InvalidInputError, NetworkError
from support_chat.lifecycle.calls import Arguments
from support_chat.testing import strategies as chats
from support_chat.testing.lives import (
    Abandoned,
    Arrived,
    Called,
    CallName,
    Elapsed,
    Life,
    LinkLost,
    MintedTokens,
    Move,
    NetworkChanged,
    NextAnswers,
    NextFails,
    play,
)
from support_chat.values import Company, Conversation, User
from support_chat.verify import Model
from support_chat.verify.following import follow

COMPILED = Compiled(CHART)
MODEL = Model(CHART)


# --- options --------------------------------------------------------------------------------------


def arguments_of(name: CallName, options: dict[str, Any]) -> Arguments:
    """What a session makes of a call with these options; it refuses none on the line."""
    life = play([Called(name, options)])
    assert life.calls[0].refused is None
    made = life.trace.steps[0].happened
    assert isinstance(made, CallMade)
    assert isinstance(made.arguments, Arguments)
    return made.arguments


@given(chats.boot_options())
def test_options_of_boot_are_taken(options: dict[str, Any]) -> None:
    assert (arguments_of("boot", options).user_id is None) == ("user" not in options)


@given(chats.identify_options())
def test_options_of_identify_are_taken_and_always_name_a_user(options: dict[str, Any]) -> None:
    assert "user" in options
    assert arguments_of("identify", options).user_id is not None


@given(chats.become_options())
def test_options_of_become_are_taken_and_always_say_who(options: dict[str, Any]) -> None:
    assert (arguments_of("become", options).user_id is None) == (options["user"] is None)


@given(chats.update_options())
def test_options_of_update_are_taken(options: dict[str, Any]) -> None:
    arguments_of("update", options)


def test_settings_are_valid_and_each_of_them_varies() -> None:
    seen: dict[str, set[object]] = {field.name: set() for field in attrs.fields(Settings)}

    @given(chats.settings())
    def look(drawn: Settings) -> None:
        for name, value in attrs.asdict(drawn).items():
            seen[name].add(value)

    look()
    assert all(len(values) > 5 for values in seen.values()), seen


def test_options_come_in_every_form() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=150)
    @given(chats.boot_options())
    def look(options: dict[str, Any]) -> None:
        user = options.get("user")
        seen.update(options.keys())
        seen["a visitor"] += user is None
        seen["a User"] += isinstance(user, User)
        seen["a mapping"] += isinstance(user, dict)
        seen["a Company"] += isinstance(options.get("company"), Company)

    look()
    wanted = (
        "user",
        "token_provider",
        "company",
        "timeout",
        "a visitor",
        "a User",
        "a mapping",
        "a Company",
    )
    assert all(seen[each] >= 5 for each in wanted), seen


@in_real_time
async def test_a_minted_token_is_a_new_one_each_time_and_its_users() -> None:
    provide = MintedTokens("ann", 300)
    assert len({await provide() for _ in range(3)}) == 3
    assert repr(provide) == "MintedTokens(user_id='ann', lifetime=300)"


# --- steps of a chart -----------------------------------------------------------------------------


@given(chats.steps(COMPILED))
def test_a_step_can_be_taken(step: tuple[State, Input]) -> None:
    state, happening = step
    after, _ = COMPILED.step(state, happening)
    assert after.phase in CHART.phases
    assert state.facts & ~COMPILED.mask(chats.stored_facts(COMPILED)) == 0
    assert happening.facts & COMPILED.mask(chats.stored_facts(COMPILED)) == 0


@pytest.mark.parametrize("row", CHART.transitions, ids=lambda row: row.name)
def test_a_row_that_is_aimed_at_fires(row: Transition) -> None:
    @settings(max_examples=10)
    @given(chats.firing(COMPILED, row))
    def fire(step: tuple[State, Input]) -> None:
        assert COMPILED.fire(*step)[1] == row

    fire()


# --- lives ----------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(chats.lives())
def test_whatever_happens_a_life_ends_with_every_call_settled_and_every_step_one_of_the_model(
    moves: list[Move],
) -> None:
    life = play(moves)
    assert life.chat.is_in(Phase.DESTROYED)
    assert [made.name for made in life.calls if made.call is not None and not made.call.done] == []
    assert not any(isinstance(made.refused, InvalidInputError) for made in life.calls)
    assert life.transport.open_links == []
    assert follow(life.trace, MODEL) == ""


@settings(max_examples=30)
@given(chats.lives(max_size=10), chats.settings())
def test_a_life_may_have_any_settings(moves: list[Move], drawn: Settings) -> None:
    assert play(moves, drawn).chat.is_in(Phase.DESTROYED)


SEARCH = settings(max_examples=5000, derandomize=True, database=None, phases=[Stage.generate])
"""Looks until it has found: what is rare must not make a verdict of luck."""


@pytest.mark.parametrize("phase", [one for one in Phase if one is not Phase.NOT_INITIALIZED])
def test_lives_reach_the_phase(phase: Phase) -> None:
    find(
        chats.lives(),
        lambda life: phase in {step.phase for step in play(life).trace.steps},
        settings=SEARCH,
    )


@pytest.mark.parametrize(
    "kind", [Called, Abandoned, Elapsed, Arrived, LinkLost, NextFails, NextAnswers, NetworkChanged]
)
def test_lives_are_made_of_the_move(kind: type[object]) -> None:
    find(chats.lives(), lambda life: kind in map(type, life), settings=SEARCH)


def coroutines(port: type) -> set[str]:
    """The names of what a session awaits of a port; closing it is its owner's."""
    return {name for name, method in vars(port).items() if inspect.iscoroutinefunction(method)} - {
        "aclose"
    }


def test_a_backend_says_whatever_the_port_knows_in_every_form() -> None:
    seen: dict[tuple[type, str], set[object]] = {}

    def note(value: Any) -> None:
        kind: type[Any] = value.__class__
        for name, item in [("", None), *attrs.asdict(value, recurse=False).items()]:
            seen.setdefault((kind, name), set()).add(item)

    @settings(max_examples=500)
    @given(chats.link_events())
    def look(event: ports.LinkEvent) -> None:
        note(event)
        if isinstance(event, ports.MessageArrived):
            note(event.message)

    look()
    kinds = get_args(eval(str(ports.LinkEvent), dict(vars(ports))))
    assert {kind for kind, _ in seen} == {*kinds, Message}
    same = {name for (_, name), values in seen.items() if name and len(values) == 1}
    assert same == {"conversation_id", "created_at"}, "what is the same in every one"


def test_whatever_a_session_asks_of_a_port_may_fail_in_every_way_that_the_ports_name() -> None:
    seen: dict[str, set[type]] = {}

    @settings(max_examples=1000)
    @given(chats.failures())
    def look(failure: NextFails) -> None:
        seen.setdefault(failure.operation, set()).add(type(failure.error))

    look()
    asked = {
        f"{port.__name__.lower()}.{name}"
        for port in (ports.Storage, ports.Transport, ports.Link)
        for name in coroutines(port)
    }
    assert seen.keys() == asked
    named = set(re.findall(r"[A-Z]\w+Error", ports.__doc__ or ""))
    for operation, kinds in seen.items():
        of_the_wire = named - {"StorageError"}
        wanted = {"StorageError"} if operation.startswith("storage.") else of_the_wire
        assert {kind.__name__ for kind in kinds} == wanted, operation


def test_a_backend_answers_whatever_the_ports_know_in_every_form() -> None:
    seen: dict[tuple[type, str], set[object]] = {}
    asked: set[str] = set()

    @settings(max_examples=1500)
    @given(chats.answers())
    def look(move: NextAnswers) -> None:
        asked.add(move.operation)
        several = isinstance(move.answer, list)
        for answer in cast("list[Any]", move.answer if several else [move.answer]):
            kind: type[Any] = answer.__class__
            for name, item in attrs.asdict(answer, recurse=False).items():
                seen.setdefault((kind, name), set()).add(item)

    look()
    assert asked == {"transport.open", *(f"link.{name}" for name in coroutines(ports.Link))}
    answered = {
        one
        for asks in CHART.effects.values()
        if isinstance(asks, Ask)
        for one in asks.answers
        if attrs.has(one)
    }
    assert {kind for kind, _ in seen} == {*answered, Message, Conversation}
    same = {f"{kind.__name__}.{name}" for (kind, name), values in seen.items() if len(values) < 2}
    assert same == {
        *("Conversation.about", "Conversation.created_at"),
        *("Message.conversation_id", "Message.created_at"),
    }


def test_a_life_makes_every_call_of_a_session() -> None:
    made = set(get_args(CallName))
    returning_calls = {
        name
        for name, method in vars(SupportChat).items()
        if not name.startswith("_")
        and str(getattr(method, "__annotations__", {}).get("return", "")).startswith("Call[")
    }
    assert made == returning_calls
    seen: set[str] = set()

    @settings(max_examples=500)
    @given(chats.calls())
    def look(call: Called) -> None:
        seen.add(call.name)

    look()
    assert seen == made


@in_virtual_time
async def test_each_move_happens_to_the_session() -> None:
    life = Life()
    await life.do(NextFails("transport.open", NetworkError("Not yet.")))
    await life.do(Called("boot", {"user": {"id": "ann"}, "token_provider": MintedTokens("ann")}))
    await life.do(Elapsed(30.0))
    assert life.chat.is_in(Phase.AUTHENTICATED)
    await life.do(LinkLost())
    assert life.chat.is_in(Phase.RECONNECTING)
    await life.do(NetworkChanged(False))
    assert life.chat.is_in(Phase.DISCONNECTED)
    await life.do(Called("boot", {"timeout": -1.0}))
    assert isinstance(life.calls[-1].refused, InvalidInputError)
    await life.do(NetworkChanged(True))
    await life.do(Elapsed(1.0))
    life.transport.hold("send")
    await life.do(Called("send_message", {"text": "hello"}))
    await life.do(Abandoned())
    assert life.calls[-1].awaiter is not None
    assert life.calls[-1].awaiter.cancelled()
    await life.end()
    assert life.chat.is_in(Phase.DESTROYED)


# --- without hypothesis ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "told"),
    [("support_chat.testing", "fine"), ("support_chat.testing.strategies", "[testing]")],
)
def test_what_is_missing_is_asked_for_by_the_line_that_installs_it(module: str, told: str) -> None:
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'hypothesis':\n"
        "            raise ModuleNotFoundError(\"No module named 'hypothesis'\", "
        "name='hypothesis')\n"
        "sys.meta_path.insert(0, Missing())\n"
        "try:\n"
        f"    import {module}\n"
        "    print('fine')\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error.name, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told in done.stdout
    assert (told == "fine") or 'pip install "support-chat[testing]"' in done.stdout

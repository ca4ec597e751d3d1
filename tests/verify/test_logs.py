"""Logs of what a client did: whatever a session of ours does is a path of the chart and its ledger,
however little or much its log says, and no doctored log is.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, TypeAlias

import pytest

from stories.moves import MOVES
from stories.world import MODEL, World
from support_chat import CHART
from support_chat.verify.possible import Traced, trace_log

Line: TypeAlias = dict[str, Any]

SEEDS: Final = range(4)
LENGTH: Final = 150
"""Moves of one life; in the middle of it another log begins."""


@cache
def logs_of(seed: int) -> tuple[str, ...]:
    """The logs of a life of two sessions: two that are whole, and two that begin in mid-life."""
    world, dice = World(("a", "a/b"), seed), random.Random(seed)
    files: list[io.StringIO] = []
    logs: list[Any] = []

    def log() -> None:
        for session in world.sessions:
            files.append(io.StringIO())
            logs.append(session.shell.log_steps(files[-1]))

    try:
        log()
        for number, move in enumerate(dice.choices(tuple(MOVES), tuple(MOVES.values()), k=LENGTH)):
            if number == LENGTH // 3:
                log()
            world.happen(move, dice.randrange(2), dice.choice)
        assert not list(world.end())
    finally:
        world.close()
    for each in logs:
        each.close()
    return tuple(file.getvalue() for file in files)


def traced(lines: list[Line] | str) -> Traced:
    text = lines if isinstance(lines, str) else "".join(json.dumps(each) + "\n" for each in lines)
    return trace_log(MODEL, io.StringIO(text))


def parsed(text: str) -> list[Line]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_a_session_logs_is_a_path(seed: int) -> None:
    for text in logs_of(seed)[:2]:
        verdict = traced(text)
        assert not verdict.fault, verdict
        assert verdict.steps == len(text.splitlines()) - 2 > 30


def test_a_log_may_begin_in_mid_life() -> None:
    begun = {}
    for text in logs_of(0)[2:]:
        begun = json.loads(text.splitlines()[0])
        verdict = traced(text)
        assert not verdict.fault, verdict
        assert verdict.states == 1
    assert "from" in begun


def test_a_log_that_says_less_is_a_path_as_well() -> None:
    for text in logs_of(1)[:2]:
        whole = parsed(text)
        for keys in (("trigger", "late", "phase"), ("trigger", "late", "phase", "facts")):
            less = [
                whole[0],
                *({k: v for k, v in line.items() if k in keys} for line in whole[1:-1]),
            ]
            verdict = traced([*less, whole[-1]])
            assert not verdict.fault, verdict


def test_a_log_holds_names_of_the_chart_alone() -> None:
    names = {
        *CHART.phases, *CHART.triggers, *CHART.facts, *CHART.effects,
        *(row.name for row in CHART.transitions),
    }  # fmt: skip
    for text in logs_of(0):
        head, *steps, _ = parsed(text)
        assert set(head) <= {"schema", "version", "chart", "session", "from"}
        assert {step["session"] for step in steps} == {head["session"]}
        told = {word for step in steps for word in _words({**step, "session": []})}
        assert told <= {*names, "session", "trigger", "of", "late", "facts", "rows", "phase"}


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif value.__class__ in (dict, list):
        for member in [*value, *(value.values() if value.__class__ is dict else ())]:
            yield from _words(member)


def test_a_file_that_cannot_be_written_to_disturbs_no_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Full:
        lines = 0

        def write(self, text: str) -> None:
            self.lines += 1
            if self.lines > 2:
                raise OSError("no space left")

    world, full = World(("a",)), Full()
    try:
        world.sessions[0].shell.log_steps(full)
        for _ in range(3):
            world.happen(lambda session, _: session.make("boot"), 0, lambda options: options[0])
        assert not list(world.end())
    finally:
        world.close()
    told = [r.getMessage() for r in caplog.records if "log of steps" in r.getMessage()]
    assert len(told) == 1
    assert full.lines == 3


# --- doctored logs --------------------------------------------------------------------------------

HEAD: Final[Line] = {"schema": "support-chat/trace", "version": 1, "session": "a"}
LIFE: Final[tuple[Line, ...]] = (
    HEAD,
    {"trigger": "boot", "phase": "loading"},
    {"trigger": "loaded", "phase": "booting"},
    {"trigger": "visitor_read", "phase": "booting", "facts": {"provider": False}},
    {"trigger": "retry_due", "phase": "booting"},
    {"trigger": "link_up", "phase": "anonymous"},
    {"trigger": "identify", "phase": "anonymous", "session": "a"},
    {"trigger": "identified", "phase": "authenticated", "facts": {"same_target": True}},
    {"trigger": "link_lost", "phase": "reconnecting"},
    {"trigger": "message_arrived", "late": True, "phase": "reconnecting"},
    {"trigger": "shutdown", "facts": {"full": True}, "phase": "shutdown"},
    {"trigger": "cleared", "phase": "shutdown", "note": {"mine": [1]}},
    {"trigger": "load", "effects": ["done"], "rows": ["load.done_already"], "phase": "shutdown"},
    {"end": 12},
)  # fmt: skip


def changed(line: int, **values: Any) -> Callable[[list[Line]], list[Line]]:
    return lambda log: [{**each, **values} if n == line else each for n, each in enumerate(log, 1)]


def without(*lines: int) -> Callable[[list[Line]], list[Line]]:
    return lambda log: [each for n, each in enumerate(log, 1) if n not in lines]


def added(line: int, *more: Line) -> Callable[[list[Line]], list[Line]]:
    return lambda log: [*log[: line - 1], *more, *log[line - 1 :]]


DOCTORED: Final[dict[str, tuple[Callable[[list[Line]], list[Line]], int, str]]] = {
    "another phase": (changed(6, phase="reconnecting"), 6, "cannot lead to reconnecting"),
    "an outcome of nothing": (changed(2, trigger="cleared"), 2, "nothing under way ends in"),
    "an outcome twice": (added(7, LIFE[5]), 7, "nothing under way ends in link_up"),
    "a step left out": (without(5), 5, "nothing under way ends in link_up"),
    "the timer that expires does not run": (
        added(7, {"trigger": "retry_due", "phase": "anonymous"}), 7,
        "nothing under way ends in retry_due",
    ),
    "of another effect": (changed(6, of="send_identify"), 6, "send_identify is not under way"),
    "a fact that does not hold": (changed(6, facts={"booted": False}), 6, "says not booted"),
    "a fact that did not come along": (
        changed(8, facts={"same_target": False}), 8, "identify.answered_as_another",
    ),
    "late before anything is over": (
        added(7, {"trigger": "link_lost", "late": True, "phase": "anonymous"}), 7,
        "nothing that link_lost could be late of has ended before",
    ),
    "a call is late": (changed(7, late=True), 7, "identify is never late"),
    "what is late moves on": (changed(10, phase="disconnected"), 10, "late changes nothing"),
    "an internal trigger": (
        added(7, {"trigger": "proceed", "phase": "anonymous"}), 7, "proceed is internal",
    ),
    "another row": (changed(13, rows=["load.join"]), 13, "goes by load.done_already"),
    "another effect": (changed(13, effects=[]), 13, "asks for done"),
    "it says that nothing fired": (changed(13, rows=[]), 13, "goes by load.done_already"),
    "nothing": (lambda log: [], 1, "The log is empty."),
    "no step": (lambda log: [HEAD, {"end": 0}], 2, "The log has no step."),
    "no head": (without(1), 1, "The first line is not"),
    "another schema": (changed(1, schema="support-chat/chart"), 1, "The first line is not"),
    "a newer version": (changed(1, version=2), 1, "is of version 2"),
    "of another chart": (changed(1, chart="panel"), 1, "of the chart 'panel'"),
    "it is cut": (without(14), 13, "cut after this line"),
    "it is cut in the middle": (without(8, 9, 10, 11, 12, 13, 14), 7, "cut after this line"),
    "lines are missing where nothing shows it": (without(13), 13, "of 12 steps, and 11 are here"),
    "it goes on after its end": (added(15, LIFE[12]), 15, "goes on after its end"),
    "a second log follows": (lambda log: [*log, *log], 15, "goes on after its end"),
    "another log within": (added(4, HEAD), 4, "Another log begins here"),
    "two sessions in one": (changed(7, session="b"), 7, "of the session 'b'"),
    "a trigger that there is not": (changed(2, trigger="bot"), 2, "no trigger 'bot'"),
    "a phase that there is not": (changed(2, phase="loadng"), 2, "no phase 'loadng'"),
    "a fact that there is not": (changed(2, facts={"ful": True}), 2, "no fact 'ful'"),
    "a row that there is not": (changed(2, rows=["boot"]), 2, "no row 'boot'"),
    "an effect that there is not": (changed(2, effects=["go"]), 2, "no effect 'go'"),
    "a key that there is not": (changed(2, fact={"full": True}), 2, "no key 'fact'"),
    "no phase": (lambda log: [log[0], {"trigger": "boot"}, *log[2:]], 2, "says its phase"),
    "late in words": (changed(10, late="yes"), 10, "'late' is true or false"),
    "late among the facts": (changed(10, facts={"late": True}), 10, "said beside its facts"),
    "a fact in words": (changed(4, facts={"provider": "no"}), 4, "names to true or false"),
    "it begins elsewhere and does not say so": (
        lambda log: [HEAD, {"trigger": "link_lost", "phase": "reconnecting"}, {"end": 1}], 2,
        "nothing under way ends in link_lost",
    ),
    "it begins where nobody is": (changed(1, **{"from": "nowhere"}), 1, "no phase 'nowhere'"),
}  # fmt: skip


def test_the_log_that_is_doctored_is_a_path() -> None:
    verdict = traced(list(LIFE))
    assert not verdict.fault, verdict
    assert (verdict.steps, verdict.states > 0) == (12, True)


@pytest.mark.parametrize("case", DOCTORED)
def test_a_doctored_log_is_rejected_at_its_line(case: str) -> None:
    doctor, line, why = DOCTORED[case]
    verdict = traced(doctor(list(LIFE)))
    assert verdict.line == line
    assert why in f"{verdict.fault} {verdict.possible}"


def test_a_line_that_is_no_json_is_rejected() -> None:
    text = "".join(json.dumps(each) + "\n" for each in LIFE)
    for cut, why in (
        (text[:200], "the log is cut"),
        ("{]\n", "no line of JSON"),
        ("[]\n", "object"),
    ):
        assert why in traced(cut).fault
    assert "a key stands twice" in traced(text.replace('"end": 12', '"end": 12, "end": 12')).fault


def test_each_state_that_was_possible_says_which_guard_rules_it_out() -> None:
    """The boot was for one who is signed in, or not: the log left it open."""
    log = [*LIFE[:3], {"trigger": "boot", "phase": "anonymous"}, {"end": 3}]
    verdict = traced(log)
    assert verdict.line == 4
    assert {each.registers["user"] for each in verdict.possible} == {None, "A"}
    for each in verdict.possible:
        assert each.phase == "booting"
        rows = {row.row: row for row in each.rows}
        assert rows["boot.join"].because == "leads to booting"
        assert rows["boot.refuse_other"].because == "leads to booting"
    log = [*LIFE[:3], {"trigger": "boot", "facts": {"same_user": False}, "phase": "ready"}]
    ruled = traced(log).possible[0].rows
    assert {row.guards for row in ruled if row.row == "boot.join"} == {("needs same_user",)}

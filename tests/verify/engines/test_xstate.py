"""XState, a library that others wrote, takes an exported chart without a warning, goes each step as
we go it, finds our shortest paths, and differs where its implementation is broken.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pytest

from desk import DESK, WANTED
from node import ROOT, laid, needs_node, node
from support_chat import CHART, Chart, ChartError
from support_chat.verify import Always, Model, Property, explore, trace_log
from support_chat.verify.catalogue import CATALOGUE
from support_chat.verify.explore import Space
from support_chat.verify.mutants.edits import edits
from support_chat_adapters.cli import main
from support_chat_adapters.cli.charts import chart_named
from support_chat_adapters.diagrams.exported import from_json, to_json
from support_chat_adapters.xstate.machine import to_xstate
from xstate_steps import Asked, machine

HERE: Final = Path(__file__).parent
EXAMPLES: Final = ROOT / "docs" / "examples"
MODULES: Final = [EXAMPLES / "xstate.mjs", EXAMPLES / "xstate-paths.mjs", *HERE.glob("*.mjs")]
SEEDS: Final = (1, 7)
LENGTH: Final = 2500
"""Steps of one walk."""

READ: Final = Always(
    "P1",
    "What is open and has the focus is read.",
    lambda v: not (v.phase == "open" and v.has("focused") and v.has("unread")),
)

needs_xstate = needs_node("xstate")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the modules find XState."""
    return laid(tmp_path_factory.mktemp("xstate"), *MODULES)


def stepped(folder: Path, lines: Iterable[str]) -> str:
    """The last line that XState answers after these, and what differs before it."""
    file = folder / "lines.jsonl"
    file.write_text("\n".join(lines), "utf-8")
    done = node(folder / "stepping.mjs", file)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


def found(
    folder: Path, chart: Chart, how: str, properties: Iterable[Property] = ()
) -> dict[str, Any]:
    """What XState finds of a chart."""
    file = folder / "machine.json"
    file.write_text(to_xstate(chart, properties), "utf-8")
    done = node(folder / "finding.mjs", file, how, limit=540)
    assert (done.stderr, done.returncode) == ("", 0)
    return dict(json.loads(done.stdout))


def of(chart: Chart) -> Iterator[str]:
    """A chart with every step of it."""
    space = explore(chart)
    asked = Asked(space.model)
    yield machine(chart)
    yield from asked.every_step(space.states)
    yield from asked.what_is_late()
    yield from asked.what_cannot_happen(space.states[::100])


# --- step for step --------------------------------------------------------------------------------


@needs_xstate
def test_each_trigger_in_each_phase_with_all_facts_that_are_ever_met_steps_as_ours(
    folder: Path,
) -> None:
    answer = stepped(folder, of(CHART))
    steps = int(answer.split()[2])
    assert steps > 100 * len(CHART.transitions)
    assert answer == f"1 machines, {steps} steps, 0 states, 0 differ\n"


@needs_xstate
def test_the_properties_of_states_hold_where_ours_do(folder: Path) -> None:
    """In states that are reached, and in many that are not."""

    def lines() -> Iterator[str]:
        dice = random.Random(5)
        for chart, properties in ((CHART, CATALOGUE), (DESK, WANTED)):
            asked, space = Asked(Model(chart)), explore(chart)
            yield machine(chart, properties)
            for state in dice.sample(space.states, 400):
                any_other = state ^ dice.getrandbits(space.model.shift)
                yield asked.judged(state, properties)
                yield asked.judged(any_other, properties)

    assert stepped(folder, lines()) == "2 machines, 0 steps, 1600 states, 0 differ\n"


@needs_xstate
def test_charts_that_use_everything_and_mutants_of_them_step_as_ours(folder: Path) -> None:
    dice = random.Random(13)

    def lines() -> Iterator[str]:
        yield from of(DESK)
        yield from of(chart_named("panel:CHART", "", str(EXAMPLES)))
        for chart, count in ((DESK, 12), (CHART, 3)):
            for space in islice(mutants(dice, chart), count):
                asked = Asked(space.model)
                yield machine(space.model.chart)
                for state in dice.sample(space.states, min(20, len(space.states))):
                    yield from (asked.step(state, each) for each in asked.model.happenings(state))

    answer = stepped(folder, lines())
    assert answer.startswith("17 machines, ")
    assert answer.endswith(" 0 differ\n")


def mutants(dice: random.Random, chart: Chart) -> Iterator[Space]:
    """Mutants that pass validation and come to rest, explored."""
    every = list(edits(chart))
    for edit in dice.sample(every, len(every)):
        try:
            space = explore(edit.make(chart))
        except ChartError:
            continue
        yield space


@needs_xstate
@pytest.mark.parametrize("seed", SEEDS)
def test_the_walks_of_an_actor_are_paths_of_ours(folder: Path, seed: int) -> None:
    file = folder / "walked.json"
    file.write_text(to_xstate(CHART), "utf-8")
    done = node(folder / "wandering.mjs", file, seed, LENGTH)
    assert (done.stderr, done.returncode) == ("", 0)
    verdict = trace_log(Model(CHART), done.stdout.splitlines())
    assert not verdict.fault, verdict
    assert verdict.steps == LENGTH
    steps = [json.loads(line) for line in done.stdout.splitlines()[1:-1]]
    assert {step["phase"] for step in steps} >= {"authenticated", "anonymous", "reconnecting"}
    assert sum(step["late"] for step in steps) > 10


# --- XState's own search --------------------------------------------------------------------------


@needs_xstate
def test_the_shortest_paths_that_xstate_finds_by_itself_are_paths_of_ours(folder: Path) -> None:
    answer = found(folder, CHART, "stock", CATALOGUE)
    model, space = Model(CHART), explore(CHART)
    assert not answer["broken"]
    assert len(CHART.phases) < answer["states"] < len(space.states)
    reached = {path[-1]["phase"] for path in answer["paths"] if path}
    # it names nobody by itself
    assert reached == set(CHART.phases) - {CHART.initial, "authenticated"}
    for path in answer["paths"]:
        head, end = {"schema": "support-chat/trace", "version": 1}, {"end": len(path)}
        verdict = trace_log(model, map(json.dumps, (head, *path, end)))
        assert not path or not verdict.fault, (path, verdict)


@needs_xstate
def test_all_that_can_happen_leads_xstate_to_as_many_states_by_as_many_steps(
    folder: Path, pytestconfig: pytest.Config
) -> None:
    """Charts of many states take a minute: with --hypothesis-profile=nightly."""
    first = chart_named("panel:AT_FIRST", "", str(EXAMPLES))
    wanted: list[tuple[Chart, Sequence[Property], list[str]]] = [(first, [READ], ["P1"])]
    if pytestconfig.getoption("--hypothesis-profile", None) == "nightly":
        wanted += [(DESK, WANTED, ["D1", "D2"]), (CHART, CATALOGUE, [])]
    for chart, properties, broken in wanted:
        answer, space = found(folder, chart, "everything", properties), explore(chart)
        assert (answer["states"], answer["steps"], answer["depth"]) == (
            len(space.states),
            len(space.ways),
            space.depth,
        )
        assert answer["broken"] == broken


# --- what is no machine, and what is no implementation --------------------------------------------


def renamed(chart: Chart, words: dict[str, str]) -> Chart:
    """The chart with other names."""
    text = to_json(chart)
    for word, other in words.items():
        text = text.replace(json.dumps(word), json.dumps(other))
    return from_json(text)


@needs_xstate
def test_names_that_xstate_reads_otherwise_step_as_ours(folder: Path) -> None:
    words = {
        "idle": "#idle", "busy": "in.use", "enter": "enter.now", "begun": "has begun",
        "rich": "rích", "user": "the user", "key": "a key", "take": "xstate.take",
        "go_on": "go.on",
    }  # fmt: skip
    assert stepped(folder, of(renamed(DESK, words))).endswith(", 0 states, 0 differ\n")


def test_a_trigger_that_xstate_takes_for_a_wildcard_is_refused() -> None:
    with pytest.raises(ChartError, match=r"'enter\.\*' for a wildcard: give the trigger a name"):
        to_xstate(renamed(DESK, {"enter": "enter.*"}))


FAULTS: Final = {
    "what must not hold is not read": ("!unless.some(", "!([]).some("),
    "what is late counts": ("!isLate(context, event) ||", "true ||"),
    "nobody may be named": ("(!names ||", "(true ||"),
    "what is nobody's may be raised": ("&& somebody(name)", ""),
    "what may be lowered is not": ("...lowers.filter((name) => holds.has(name)),", ""),
    "what has ended is not spent": ("event.raised || event.more ? [] :", "true ? [] :"),
    "what is carried is lost": ("carries && {", "false && {"),
    "every row takes the same chances": ("event.raised ? rows + 1 : 0", "0"),
    "a register is read after it is written": (
        "source && who(source, context, event)", "source && who(source, { registers }, event)"
    ),
}  # fmt: skip


@needs_xstate
@pytest.mark.parametrize("fault", FAULTS)
def test_an_implementation_with_one_fault_does_not_step_as_ours(fault: str, tmp_path: Path) -> None:
    folder = laid(tmp_path, *MODULES)
    text, (right, wrong) = (folder / "xstate.mjs").read_text("utf-8"), FAULTS[fault]
    assert text.count(right) == 1
    (folder / "xstate.mjs").write_text(text.replace(right, wrong), "utf-8")
    lines = list(of(DESK))
    assert " 0 differ" not in stepped(folder, lines)


def test_the_command_writes_the_same_machine_each_time_with_the_properties_of_the_chart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["export", "--format", "xstate"]) == 0
    written = capsys.readouterr().out
    assert written == to_xstate(CHART, CATALOGUE)
    told = json.loads(written)["meta"]["properties"]
    assert [each["id"] for each in told] == [each.id for each in CATALOGUE]
    assert sum("holds" in each for each in told) > 10

"""The cases of a chart: every row fires in them, every fact of every guard is seen to hold and not
to hold, but for precautions; whoever runs the chart comes to what they say, and nobody else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import pytest

from once import ShippedCases
from support_chat import CHART, Chart, Compiled, Input, Transition
from support_chat.chart.machine import UNHANDLED, State
from support_chat.chart.model import Carried, Derived, Stored
from support_chat.lifecycle.names import Fact as F
from support_chat.verify import Model
from support_chat.verify.cases import cases
from support_chat.verify.possible import trace_log
from support_chat_adapters.cli.charts import chart_named
from support_chat_adapters.diagrams.exported_cases import cases_to_json

Step: TypeAlias = dict[str, Any]

UNSEEN: Final[Mapping[str, tuple[str, ...]]] = {
    "a live session, one that waits, and what it waits for belong to a boot that was accepted": (
        "boot.abandoned_waiting", "identify.signed_in_already", "identify.wait_for_outcome",
        "become.end_live", "become.end_live_clear", "become.end_unresolved",
        "become.end_unresolved_clear", "become.end_boot", "become.end_boot_clear", "send.due",
        "use.link",
    ),
    "somebody waits only while an identify is accepted": (
        "identify.given_up_after_sending", "identify.given_up_before_sending",
        "identify.given_up_offline",
    ),
    "the timer is armed for this user, and stopped while it is not to expire": (
        "renew.due", "renew.due_offline", "update.send",
    ),
    "what is released has superseded everything that could raise it again": (
        "destroy.release", "destroy.release_at_last",
    ),
    "what ends in this is superseded by destroy() alone, or by nothing": (
        "boot.not_in_time", "boot.visitor_damaged", "boot.visitor_known", "boot.visitor_unknown",
        "boot.visitor_known_token_wanted", "boot.visitor_unused", "clear.failed", "destroy.done",
        "load.done", "load.failed",
    ),
}  # fmt: skip
"""The rows of which some fact is never seen on one side, and why."""


@pytest.fixture(scope="module")
def exported(shipped_cases: ShippedCases) -> list[list[Step]]:
    document = json.loads(shipped_cases.text)
    assert (document["schema"], document["version"]) == ("support-chat/cases", 1)
    return list(document["cases"])


def test_every_row_fires_and_every_guard_is_seen_both_ways_but_for_precautions(
    shipped_cases: ShippedCases, exported: list[list[Step]]
) -> None:
    known = {row for rows in UNSEEN.values() for row in rows}
    assert {row for row, _, _ in shipped_cases.unseen} == known
    silent = [row for row, fact, _ in shipped_cases.unseen if not fact]
    assert not silent
    fired = {row for case in exported for step in case for row in of_row(step)} - {""}
    assert fired == {row.name for row in CHART.transitions}


def test_what_the_cases_claim_to_show_they_show(
    shipped_cases: ShippedCases, exported: list[list[Step]]
) -> None:
    """Counted anew, from what was written."""
    seen = set[tuple[str, str, bool]]()
    for case in exported:
        phase = str(CHART.initial)
        for step in case:
            for asked in step["asks"]:
                holds = set(asked.get("facts", ()))
                for row in CHART.rows(phase, asked["trigger"]):
                    late = F.LATE in holds and F.LATE not in row.when
                    facts = [F.LATE] if late else [*row.when, *row.unless]
                    seen |= {(row.name, str(fact), fact in holds) for fact in facts}
                    phase = (row.target or phase) if row.name == asked.get("row") else phase
            phase = step["phase"]
    sides = {
        (row.name, str(fact), holds)
        for row in CHART.transitions
        for fact in (*row.when, *row.unless)
        for holds in (False, True)
        if fact != F.LATE
    }
    assert sides - seen == {side for side in shipped_cases.unseen if side[1] != F.LATE}


def test_the_cases_are_short_few_and_the_same_each_time(
    shipped_cases: ShippedCases, exported: list[list[Step]]
) -> None:
    lengths = [len(case) for case in exported]
    assert max(lengths) <= 20
    assert len(lengths) < 2 * len(CHART.transitions)
    assert cases_to_json(cases(CHART)) == shipped_cases.text


def test_each_case_is_a_path(exported: list[list[Step]]) -> None:
    model = Model(CHART)
    for case in exported:
        verdict = trace_log(model, logged(case))
        assert not verdict.fault, verdict


def logged(case: list[Step]) -> Iterator[str]:
    """A case as the log of whoever went through it."""
    yield json.dumps({"schema": "support-chat/trace", "version": 1})
    for step in case:
        first, late = step["asks"][0], step.get("late", False)
        yield json.dumps(
            {
                "trigger": step["trigger"],
                "phase": step["phase"],
                "late": late,
                "facts": {} if late else dict.fromkeys(first.get("facts", ()), True),
                "rows": [asked["row"] for asked in step["asks"] if "row" in asked],
                "effects": step.get("effects", []),
            }
        )
    yield json.dumps({"end": len(case)})


# --- whoever runs the chart -----------------------------------------------------------------------


def differs(chart: Chart, case: list[Step]) -> str:
    """Where a machine that runs this chart does not do what the case says; "" if nowhere."""
    compiled = Compiled(chart)
    mine = compiled.mask(
        f for f, kind in chart.facts.items() if isinstance(kind, Carried | Derived)
    )
    stored = {str(f) for f, kind in chart.facts.items() if isinstance(kind, Stored)}
    state = compiled.initial
    for number, step in enumerate(case):
        effects = list[str]()
        for asked in step["asks"]:
            given = compiled.mask(asked.get("facts", ())) & mine
            carries = asked is step["asks"][0] or asked["trigger"] in CARRIED
            named = step.get("user") if carries else None
            state, row = compiled.fire(state, Input(asked["trigger"], given, named))
            if (None if row is UNHANDLED else row.name) != asked.get("row"):
                return f"{number}: {asked['trigger']} fires {row.name}"
            effects += map(str, row.effects)
        if differ(chart, compiled, state, step, stored) or effects != step.get("effects", []):
            return f"{number}: {step['words']} comes to {state} and {effects}"
    return ""


CARRIED: Final = ("boot", "identify", "become")
"""The internal triggers that go on with the call."""


def differ(chart: Chart, compiled: Compiled, state: State, step: Step, stored: set[str]) -> bool:
    facts = stored.intersection(map(str, compiled.names(state.facts)))
    registers = dict(zip(map(str, chart.registers), state.registers, strict=True))
    expected = step["phase"], set(step.get("facts", ())), step["registers"]
    return (state.phase, facts, registers) != expected


def test_the_machine_comes_to_what_each_case_says(exported: list[list[Step]]) -> None:
    assert not [wrong for case in exported if (wrong := differs(CHART, case))]


def _target(row: Transition) -> Transition:
    others = (phase for phase in CHART.phases if phase not in (row.target, *row.sources))
    return attrs.evolve(row, target=next(others, row.target))


EDITS: Final[dict[str, Callable[[Transition], Transition]]] = {
    "other targets": _target,
    "an effect less": lambda row: attrs.evolve(row, effects=row.effects[1:]),
    "two effects swapped": lambda row: attrs.evolve(row, effects=row.effects[::-1]),
    "nothing set": lambda row: attrs.evolve(row, sets=()),
    "nothing cleared": lambda row: attrs.evolve(row, clears=()),
    "nobody assigned": lambda row: attrs.evolve(row, assigns={}),
}


def test_no_machine_with_one_row_changed_comes_there(exported: list[list[Step]]) -> None:
    """Each fifth row in turn."""
    undetected = set[tuple[str, str]]()
    for number, row in list(enumerate(CHART.transitions))[::5]:
        told = [case for case in exported if any(row.name in of_row(step) for step in case)]
        for name, edit in EDITS.items():
            changed = edit(row)
            rows = [*CHART.transitions[:number], changed, *CHART.transitions[number + 1 :]]
            if changed != row and not any(differs(_unchecked(rows), case) for case in told):
                undetected.add((name, row.name))
    assert not undetected


def of_row(step: Step) -> list[str]:
    return [asked.get("row", "") for asked in step["asks"]]


def _unchecked(rows: list[Transition]) -> Any:
    """What a machine reads of a chart, with these rows: a whole chart would not pass validation."""
    names = ("facts", "registers", "named", "phases", "triggers", "initial", "late")
    return attrs.make_class("Rows", [*names, "transitions"])(
        *(getattr(CHART, name) for name in names), rows
    )


def test_a_chart_of_ones_own_has_cases() -> None:
    examples = Path(__file__).parents[2] / "docs" / "examples"
    panel = chart_named("panel:CHART", "", str(examples))
    own = cases(panel)
    fired = {row for case in own.cases for step in case for row in step.occurrence.rows}
    assert fired == {row.name for row in panel.transitions}
    assert not [side for side in own.unseen if not side[1]]

"""`support-chat diff`: what it says of two charts that differ, in Markdown and as JSON, and its
exit status.

The charts are a user's own, a door that opens and closes, and the shipped one with a fault.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from support_chat import CHART, Chart, Effect, Fact, Transition
from support_chat.chart.model import Carried
from support_chat_adapters.cli import main
from support_chat_adapters.diagrams.difference import Pair, answers, difference
from support_chat_adapters.diagrams.exported import to_json

Printed = pytest.CaptureFixture[str]
Diff = Callable[..., int]

DOOR = """
from support_chat import Chart, Transition
from support_chat.chart.model import Ask, Ignored, Join, Note, Raise, Refusal, Settle
from support_chat.errors import InvalidInputError

SHUT = Refusal(InvalidInputError, "The door is not open.")
CHART = Chart(
    name="door", initial="closed", phases=("closed", "opening", "open"),
    triggers=("open", "close", "opened", "failed"),
    external=("open", "close"),
    transitions=(
        Transition(name="door.open", group="door", trigger="open", sources="closed",
            target="opening", effects=({open})),
        Transition(name="door.opened", group="door", trigger="opened", sources="opening",
            target="open", effects="settle"),
        Transition(name="door.failed", group="door", trigger="failed", sources="opening",
            target="closed"{failed}),
        Transition(name="door.close", group="door", trigger="close", sources="open",
            target="closed"),
        {close}
    ),
    effects={{
        "wait": Join(doc="open() waits", slot="open"),
        "turn": Ask(doc="turn it", lane="turn", success="opened", failure="failed", limit="{limit}",
            dispose="drop it"),
        "settle": Settle(doc="open() is done", slot="open"),
        {effects}
    }},
    ignored=(
        Ignored(triggers="open", phases=("opening", "open"), because="{because}"),
        {ignored}
        Ignored(triggers=("opened", "failed"), phases=("closed", "open"), because="nothing turns"),
    ),
)
"""
REFUSED = """
        Transition(name="door.refuse", group="door", trigger="close", sources="closed",
            effects="refuse", error=SHUT),
        Transition(name="door.stop", group="door", trigger="close", sources="opening",
            effects="refuse", error=SHUT),"""
AS_IT_WAS = {
    "open": '"wait", "turn"', "failed": ', effects="settle"', "close": "", "effects": "",
    "limit": "", "because": "it is open",
    "ignored": 'Ignored(triggers="close", phases=("closed", "opening"), because="it is not open"),',
}  # fmt: skip
AS_IT_IS = AS_IT_WAS | {
    "open": '"turn", "wait"', "failed": "", "close": REFUSED,
    "effects": '"refuse": Note(doc="no"),', "limit": "turn_limit",
    "because": "it is open, or will be", "ignored": "",
}  # fmt: skip
RESTLESS = AS_IT_WAS | {
    "close": 'Transition(name="door.slam", group="door", trigger="close", sources="closed", '
    'effects="again"),',
    "effects": '"again": Raise(doc="again", trigger="close"),',
    "ignored": 'Ignored(triggers="close", phases="opening", because="it is not open"),',
}


@pytest.fixture
def diff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Diff:
    """Runs the command in a directory with the modules `was`, `is_now`, `more`, `restless` and
    `faulty`.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    texts = {
        "was": AS_IT_WAS,
        "is_now": AS_IT_IS,
        "restless": RESTLESS,
        "faulty": AS_IT_WAS | {"open": '"wait"'},
    }
    texts["more"] = AS_IT_WAS | {"open": '"wait", "turn", "settle"'}
    for name, parts in texts.items():
        (tmp_path / f"{name}.py").write_text(DOOR.format(**parts), encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    return lambda *arguments: main(["diff", *arguments])


def edited(name: str, **values: Any) -> str:
    """The shipped chart as JSON, with other values in one row."""

    def row(one: Transition) -> Transition:
        return attrs.evolve(one, **values) if one.name == name else one

    return to_json(attrs.evolve(CHART, transitions=tuple(row(one) for one in CHART.transitions)))


def test_a_chart_does_not_differ_from_its_export(
    diff: Diff, tmp_path: Path, capsys: Printed
) -> None:
    (tmp_path / "chart.json").write_text(to_json(CHART), encoding="utf-8")
    assert diff("chart.json", "support_chat:CHART") == 0
    assert "The charts do not differ." in capsys.readouterr().out
    assert diff("chart.json", "support_chat:CHART", "--json") == 0
    assert json.loads(capsys.readouterr().out)["differ"] is False


def test_the_order_of_rows_and_of_names_is_no_difference() -> None:
    turned = attrs.evolve(
        CHART,
        transitions=tuple(
            attrs.evolve(row, sources=row.sources[::-1], when=row.when[::-1])
            for row in CHART.transitions[::-1]
        ),
        phases=CHART.phases[::-1],
        facts=dict(reversed([*CHART.facts.items()])),
    )
    assert not difference(turned, CHART)
    assert difference(attrs.evolve(CHART, facts={**CHART.facts, Fact.LATE: Carried("late")}), CHART)


def test_a_pair_is_accepted_if_a_row_does_anything_at_all_but_refuse() -> None:
    """Also one that only changes who is who; and a row for superseded outcomes alone answers
    nothing.
    """
    chart = Chart(
        name="gate",
        initial="shut",
        phases="shut",
        triggers=("knock", "leave", "ring"),
        external=("knock", "leave", "ring"),
        facts={"late": Carried("too late")},
        late="late",
        events={"ring": "bell"},
        registers="by",
        named="who",
        transitions=(
            Transition(
                name="gate.knock",
                group="gate",
                trigger="knock",
                sources="shut",
                assigns={"by": "who"},
            ),
            Transition(name="gate.leave", group="gate", trigger="leave", sources="shut"),
            Transition(name="gate.ring", group="gate", trigger="ring", sources="shut", when="late"),
        ),
    )
    assert [set(answer) for answer in answers(chart).values()] == [{"accepted"}, {"ignored"}, set()]
    assert answers(CHART)[Pair("booting", "boot")] == {"accepted", "refused"}
    assert answers(CHART)[Pair("destroyed", "boot")] == {"refused"}
    assert answers(CHART)[Pair("not_initialized", "loaded")] == set()


def test_what_comes_into_a_list_and_what_goes_is_told_apart(diff: Diff, capsys: Printed) -> None:
    assert diff("was:CHART", "more:CHART") == 1
    assert "- `door.open`\n  - effects: + `settle`\n" in capsys.readouterr().out
    assert diff("more:CHART", "was:CHART") == 1
    assert "- `door.open`\n  - effects: − `settle`\n" in capsys.readouterr().out


def test_everything_that_differs_is_told(diff: Diff, capsys: Printed) -> None:
    assert diff("was:CHART", "is_now:CHART") == 1
    assert capsys.readouterr().out.splitlines() == [
        "# was:CHART → is_now:CHART",
        "",
        "| | old | new |",
        "|---|---|---|",
        "| transitions | 4 | 6 |",
        "| states | 3 | 4 |",
        "| steps | 4 | 8 |",
        "",
        "## Transitions added",
        "",
        "- `door.refuse`: `close` in closed `refuse`",
        "- `door.stop`: `close` in opening `refuse`",
        "",
        "## Transitions changed",
        "",
        "- `door.open`",
        "  - effects: `wait, turn` → `turn, wait`, in another order",
        "- `door.failed`",
        "  - effects: `settle` → nothing",
        "",
        "## Newly refused",
        "",
        "- `close` in closed, opening",
        "",
        "## Declarations",
        "",
        "- + effect `refuse`",
        "- effect `turn`: limit: nothing → `turn_limit`",
        "- ignored `open in opening`: because: `it is open` → `it is open, or will be`",
        "- ignored `open in open`: because: `it is open` → `it is open, or will be`",
        "",
        "## Verdicts that change",
        "",
        "| property | | old | new |",
        "|---|---|---|---|",
        "| G5 open | Every call that waits for open settles. | held | failed |",
        "",
        "How G5 open comes to fail:",
        "",
        "```text",
        "The session begins in the phase closed.",
        "  1. open()",
        "       -> opening    [door.open]",
        "       ledger: asked turn, waits for open",
        "  2. failed",
        "       -> closed    [door.failed]",
        "       ledger: waits for open",
        "From here on nothing more happens by itself.",
        "```",
    ]


def test_the_other_way_round_what_was_refused_is_ignored(diff: Diff, capsys: Printed) -> None:
    assert diff("is_now:CHART", "was:CHART") == 1
    out = capsys.readouterr().out
    assert "## Transitions removed\n\n- `door.refuse`" in out
    assert "## Newly ignored\n\n- `close` in closed, opening\n" in out
    assert "| G5 open | Every call that waits for open settles. | failed | held |" in out
    assert "```" not in out


def test_a_row_more_or_less_is_a_pair_newly_accepted_or_no_longer(
    diff: Diff, capsys: Printed
) -> None:
    assert diff("was:CHART", "restless:CHART") == 1
    assert "## Newly accepted\n\n- `close` in closed\n" in capsys.readouterr().out
    assert diff("restless:CHART", "was:CHART") == 1
    assert "## No longer accepted\n\n- `close` in closed\n" in capsys.readouterr().out


def test_a_chart_that_cannot_be_explored_is_compared_all_the_same(
    diff: Diff, capsys: Printed
) -> None:
    assert diff("was:CHART", "restless:CHART") == 1
    assert (
        "| states | 3 | not explored: On close the internal triggers never come to rest"
        in capsys.readouterr().out
    )
    assert diff("was:CHART", "restless:CHART", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["new"]["states"] is None
    assert "never come to rest" in found["new"]["trouble"]


def test_of_the_shipped_chart_the_verdicts_of_its_catalogue_are_compared(
    diff: Diff, tmp_path: Path, capsys: Printed
) -> None:
    (tmp_path / "new.json").write_text(
        edited("boot.rejected", effects=(Effect.CUT,)), encoding="utf-8"
    )
    assert diff("support_chat:CHART", "new.json", "--max-states", "5000") == 1
    out = capsys.readouterr().out
    assert "| L1 boot | Every call that waits for boot settles. | held | failed |" in out


def test_a_limit_that_is_hit_is_told(diff: Diff, capsys: Printed) -> None:
    assert diff("was:CHART", "is_now:CHART", "--max-states", "3") == 1
    out = capsys.readouterr().out
    assert "| 3 | 4 and more (--max-states) |" in out
    assert out.endswith(
        "\nA limit was hit before the new chart was explored: open are G1, G2, G3, G4, G5 open, "
        "G6.\n"
    )
    assert "| property |" not in out


def test_as_json_each_difference_is_an_entry(diff: Diff, capsys: Printed) -> None:
    assert diff("was:CHART", "is_now:CHART", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["differ"] is True
    assert found["old"] == {
        "chart": "was:CHART",
        "states": 3,
        "steps": 4,
        "complete": True,
        "trouble": None,
    }
    assert found["transitions"]["added"] == ["door.refuse", "door.stop"]
    assert found["transitions"]["changed"][1] == {
        "name": "door.failed",
        "changes": [{"what": "effects", "before": ["settle"], "after": []}],
    }
    assert found["declared"]["effects"]["added"] == ["refuse"]
    assert found["refused"] == [
        {"phase": "closed", "trigger": "close"},
        {"phase": "opening", "trigger": "close"},
    ]
    assert found["accepted"] == found["ignored"] == found["dropped"] == []
    assert [(turn["id"], turn["before"], turn["after"]) for turn in found["verdicts"]] == [
        ("G5 open", "held", "failed")
    ]


def test_a_difference_need_not_be_a_failure(diff: Diff, capsys: Printed) -> None:
    assert diff("was:CHART", "is_now:CHART", "--exit-zero") == 0
    assert "## Verdicts that change" in capsys.readouterr().out


OWN = """
from support_chat.verify import Always
PROPERTIES = [Always("D1", "Nobody waits at a closed door.",
    lambda view: view.phase != "closed" or view.idle)]
"""


def test_the_verdicts_may_be_those_of_properties_of_one_s_own(
    diff: Diff, tmp_path: Path, capsys: Printed
) -> None:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    assert diff("was:CHART", "is_now:CHART", "--properties", "own:PROPERTIES", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert ("D1", "held", "failed") in [
        (turn["id"], turn["before"], turn["after"]) for turn in found["verdicts"]
    ]
    assert (found["schema"], found["version"]) == ("support-chat/difference", 1)


def test_a_chart_may_come_from_standard_input(
    diff: Diff, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(to_json(CHART)))
    assert diff("-", "support_chat:CHART") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("old", "complaint"),
    [
        ("was", "was: there is no such file; write it as package.module:NAME"),
        ("no.json", "no.json: No such file or directory"),
        ("was.py", "was.py: This is no exported chart"),
        ("was:DOOR", "was has no 'DOOR'; its charts: CHART"),
        ("faulty:CHART", "faulty:CHART: The chart 'door' has "),
        (".", ".: Is a directory"),
    ],
)
def test_what_is_no_chart_is_a_misuse(
    old: str, complaint: str, diff: Diff, capsys: Printed
) -> None:
    assert diff(old, "was:CHART") == 2
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("number", ["0", "-1", "many", "1.5"])
def test_a_limit_is_a_whole_number(number: str, diff: Diff, capsys: Printed) -> None:
    assert diff("was:CHART", "was:CHART", "--max-states", number) == 2
    assert "is not a whole number, 1 or more" in capsys.readouterr().err

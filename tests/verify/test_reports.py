"""How a report reads: stories in the words of the API, diagrams, and texts that keep their form
whatever a chart puts into them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import attrs
import pytest

from support_chat import CHART, Chart, Transition
from support_chat.chart.model import Carried, Ignored, Raise
from support_chat.lifecycle.names import Effect as E, Phase as P, Trigger as T
from support_chat.verify import (
    Always,
    EachStep,
    Move,
    Report,
    Space,
    Verdict,
    check,
    decide_all,
    explore,
    occurrences,
    sequence,
    story,
)
from support_chat.verify.reports import (
    annotation,
    concerned,
    summary,
    to_json,
    to_junit,
    to_markdown,
)
from support_chat.verify.source_lines import place_of
from support_chat.verify.wording import SAYINGS


@pytest.fixture(scope="module")
def space() -> Space:
    """The whole space of the shipped chart."""
    return explore(CHART)


def way_to(space: Space, wanted: Any) -> Verdict:
    """The verdict whose story ends with the first step that is `wanted`."""
    verdict = decide_all(
        space, [EachStep("X", "it never comes to this", lambda move: not wanted(move))]
    )[0]
    assert verdict.held is False, "no step is wanted"
    return verdict


def told(space: Space, wanted: Any) -> str:
    """The words of that last step."""
    return occurrences(space.model, way_to(space, wanted))[-1].words


def on(trigger: T, *, named: int = 0, carries: str = "", **rest: Any) -> Any:
    def wanted(move: Move) -> bool:
        return (
            move.trigger == trigger
            and move.named == named
            and (not carries or move.carries(carries))
            and all(getattr(move.before, name) == value for name, value in rest.items())
        )

    return wanted


WORDS: tuple[tuple[Any, str], ...] = (
    (on(T.BOOT), "boot()"),
    (on(T.BOOT, named=1), "boot(user=A)"),
    (on(T.IDENTIFY, named=1, phase=P.ANONYMOUS), "identify(user=A)"),
    (on(T.UPDATE, phase=P.ANONYMOUS), "update()"),
    (on(T.UPDATE, named=2, phase=P.AUTHENTICATED), "update(user=B)"),
    (on(T.SHUTDOWN), "shutdown()"),
    (on(T.SHUTDOWN, carries="full"), "shutdown(clear_storage=True)"),
    (on(T.GO_OFFLINE), "set_online(False)"),
    (on(T.TOKEN_ARRIVED), "the token arrives"),
    (on(T.LINK_UP), "the link is up, as the visitor"),
    (on(T.LINK_UP, named=1, phase=P.RECONNECTING), "the link is up, as A"),
    (on(T.LINK_LOST), "the link is lost"),
    (on(T.RETRY_DUE), "the retry timer fires"),
    (
        on(T.SILENCE_DUE, carries="silent"),
        "the silence timer fires, and nothing was heard for the whole limit",
    ),
)


@pytest.mark.parametrize(("wanted", "words"), WORDS, ids=[words for _, words in WORDS])
def test_steps_are_told_in_the_words_of_the_api(space: Space, wanted: Any, words: str) -> None:
    assert told(space, wanted) == words


def test_every_trigger_that_is_not_internal_has_its_words() -> None:
    raised = {spec.trigger for spec in CHART.effects.values() if isinstance(spec, Raise)}
    internal = raised - set(CHART.external)
    assert {*SAYINGS, *internal} == set(CHART.triggers)
    assert not internal & set(SAYINGS)


def test_every_call_is_told_as_the_method_that_makes_it() -> None:
    from support_chat import SupportChat

    for trigger in (
        T.LOAD,
        T.BOOT,
        T.IDENTIFY,
        T.BECOME,
        T.UPDATE,
        T.SEND,
        T.USE,
        T.SHUTDOWN,
        T.DESTROY,
        T.GO_ONLINE,
        T.GO_OFFLINE,
    ):
        method = SAYINGS[trigger].text_for("A", ()).partition("(")[0]
        assert callable(getattr(SupportChat, method)), method


def test_a_story_has_the_phase_the_users_the_facts_and_the_ledger_after_each_step(
    space: Space,
) -> None:
    verdict = way_to(space, on(T.BOOT, named=2, phase=P.BOOTING))
    assert story(space.model, verdict).splitlines() == [
        "The session begins in the phase not_initialized.",
        "  1. boot(user=A)",
        "       -> loading, user A    [boot.load_first]",
        "       facts:  booted",
        "       ledger: asked check_adapters, waits for boot",
        "  2. the adapters work",
        "       -> booting, user A    [load.done, boot.go_on]",
        "       facts:  booted, writing",
        "       ledger: asked read_visitor, waits for boot, stored visitor",
        "  3. boot(user=B)",
        "       -> booting, user A    [boot.refuse_other]",
        "       facts:  booted, writing",
        "       ledger: asked read_visitor, waits for boot, stored visitor",
    ]


def test_a_story_is_data_with_everybody_by_name(space: Space) -> None:
    cleared = occurrences(space.model, way_to(space, on(T.SHUTDOWN, carries="full")))[-1]
    assert (cleared.user, cleared.carried, cleared.of) == (None, ("full",), "")
    verdict = way_to(space, on(T.IDENTIFIED, named=1))
    last = occurrences(space.model, verdict)[-1]
    assert (last.trigger, last.user, last.carried, last.of, last.by) == (
        "identified",
        "A",
        (),
        "send_identify",
        "backend",
    )
    assert last.rows[0] == "identify.done"
    assert "become_user" in last.effects
    assert last.registers == {"user": "A", "target": None}
    assert all(
        type(value) is str
        for value in (last.trigger, last.phase, last.of, *last.rows, *last.effects, *last.facts)
    )


def test_a_diagram_has_who_takes_part_and_nobody_else(space: Space) -> None:
    drawn = sequence(space.model, way_to(space, on(T.BOOT, named=2, phase=P.BOOTING))).splitlines()
    assert drawn[:4] == [
        "sequenceDiagram",
        "  participant user",
        "  participant session",
        "  participant storage",
    ]
    assert drawn[4:7] == [
        "  user->>session: boot(user=A)",
        "  Note over session: loading",
        "  session->>storage: see that the storage can be read",
    ]
    assert drawn[-1] == "  Note over session: X fails: it never comes to this"
    others = [
        f"{before}{name}" for before in (" ", ">>") for name in ("backend", "provider", "world")
    ]
    assert not any(line.strip().split(":")[0].endswith(tuple(others)) for line in drawn)


def without(row: str, *effects: str) -> Chart:
    """The shipped chart, but for these effects of a row."""
    return attrs.evolve(
        CHART,
        transitions=tuple(
            attrs.evolve(each, effects=tuple(e for e in each.effects if e not in effects))
            if each.name == row
            else each
            for each in CHART.transitions
        ),
    )


def test_what_goes_round_for_ever_is_told_as_a_round() -> None:
    from support_chat.verify.catalogue import CATALOGUE

    space = explore(without("link.lost", E.ARM_GIVE_UP))
    verdict = decide_all(space, [one for one in CATALOGUE if one.id == "L3"])[0]
    text = story(space.model, verdict)
    after = text.partition("From here on this goes round for ever:\n")[2]
    assert "the retry timer fires" in after
    assert "the dial goes astray" in after
    drawn = sequence(space.model, verdict)
    assert "  loop for ever\n" in drawn
    assert "  end\n" in drawn


def test_what_fails_from_the_beginning_has_a_story_of_no_steps(space: Space) -> None:
    verdict = decide_all(space, [Always("X", "never", lambda view: False)])[0]
    assert story(space.model, verdict) == "The session begins in the phase not_initialized.\n"


# --- charts of other people -----------------------------------------------------------------------

HOSTILE = 'go "on"; --> #1 | <b>\n`x` \x07 end'


def hostile() -> Report:
    """A report of a chart whose every name is chosen to break the form of what it is written
    into.
    """
    chart = Chart(
        name=HOSTILE,
        initial="a",
        phases=("a", "b"),
        triggers=HOSTILE,
        external=HOSTILE,
        facts={"{fact}": Carried("a fact whose name looks like a placeholder")},
        transitions=(
            Transition(
                name=HOSTILE, group="g", trigger=HOSTILE, sources="a", target="b", when="{fact}"
            ),
        ),
        ignored=(Ignored(triggers=HOSTILE, phases="b", because="enough"),),
    )
    return check(
        chart,
        [
            Always(HOSTILE, HOSTILE, lambda view: view.phase == "a"),
            Always("kept", "b", lambda view: True),
        ],
    )


def test_no_name_breaks_a_diagram() -> None:
    report = hostile()
    drawn = sequence(report.space.model, report.verdicts[0])
    assert len(drawn.splitlines()) == 6
    assert not set(";#") & set(drawn)


def test_no_name_breaks_the_xml() -> None:
    suite = ElementTree.fromstring(to_junit(hostile()))
    assert suite.get("failures") == "1"
    assert 'go "on"; --> #1 | <b>' in suite[0].get("name", "")


def test_no_name_breaks_the_table_of_the_summary() -> None:
    page = to_markdown(hostile())
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == 3, "the heading and a line for each property"
    assert [line.replace(r"\|", "").count("|") for line in rows] == [4, 4, 4]
    assert "<b>" not in page.split("```")[0].replace(r"\<b\>", "")


def test_no_name_breaks_an_annotation() -> None:
    text = annotation(hostile().verdicts[0], ("a,b:c.py", 7))
    assert "\n" not in text
    head, _, rest = text.removeprefix("::").partition("::")
    assert head.startswith("error file=a%2Cb%3Ac.py,line=7,title=go")
    assert "%0A" in rest


def test_a_trigger_of_another_chart_is_called_by_its_own_name_even_if_the_shipped_one_has_it() -> (
    None
):
    chart = Chart(
        name="panel",
        initial="off",
        phases=("off", "on"),
        triggers="boot",
        external="boot",
        transitions=(Transition(name="on", group="g", trigger="boot", sources="off", target="on"),),
        ignored=(Ignored(triggers="boot", phases="on", because="it is on"),),
    )
    report = check(chart, [Always("X", "never on", lambda view: view.phase == "off")])
    assert occurrences(report.space.model, report.verdicts[0])[0].words == "boot()"
    assert occurrences(report.space.model, report.verdicts[0])[0].by == "user"


# --- where it is ----------------------------------------------------------------------------------


def test_a_failure_concerns_the_row_of_the_last_step_or_the_one_it_names(space: Space) -> None:
    rows = [row.name for row in CHART.transitions]
    assert (
        concerned(way_to(space, on(T.BOOT, named=2, phase=P.BOOTING)), rows) == "boot.refuse_other"
    )
    dead = Verdict(
        Always("X", "", lambda view: True),
        False,
        detail="link.hurry never fires; use.link never fires",
    )
    assert concerned(dead, rows) == "link.hurry"
    assert concerned(attrs.evolve(dead, detail="something else"), rows) is None


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package whose chart takes its rows from another of its modules, which is imported."""
    directory = tmp_path / "rowsof"
    directory.mkdir()
    (directory / "__init__.py").write_text("", encoding="utf-8")
    (directory / "chart.py").write_text("from . import rows\n", encoding="utf-8")
    (directory / "rows.py").write_text(
        "A = dict(\n    name = 'a.row',\n)\nB = dict(name='b.row')  # not a_row\n"
        "def made(name: str): return dict(\n    name=f'c.{name}')\nC = made('open')\n"
        "D = [dict(name=f'd{i}') for i in range(3)]\nE = dict(row=str('e.row'))\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    __import__("rowsof.chart")
    yield directory
    for name in [name for name in sys.modules if name.partition(".")[0] == "rowsof"]:
        del sys.modules[name]


def test_a_transition_is_found_wherever_the_package_has_it(package: Path) -> None:
    assert place_of("a.row", "rowsof.chart") == (f"{package.as_posix()}/rows.py", 2)
    assert place_of("b.row", "rowsof.chart") == (f"{package.as_posix()}/rows.py", 4)
    assert place_of("a_row", "rowsof.chart") is None
    assert place_of("c.open", "rowsof.chart") == (f"{package.as_posix()}/rows.py", 7)
    assert place_of("d1", "rowsof.chart") == (f"{package.as_posix()}/rows.py", 8)
    assert place_of("e.row", "rowsof.chart") == (f"{package.as_posix()}/rows.py", 9)
    assert place_of("a.row", "nothing_of_the_kind") is None


def test_a_transition_of_an_exported_chart_is_found_in_its_file(tmp_path: Path) -> None:
    exported = tmp_path / "chart.json"
    exported.write_text('{\n"transitions": [\n  {"name": "a.row"}\n]}\n', encoding="utf-8")
    assert place_of("a.row", str(exported)) == (exported.as_posix(), 3)


def test_a_place_below_the_working_directory_is_relative_to_it(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(package.parent)
    assert place_of("a.row", "rowsof.chart") == ("rowsof/rows.py", 2)


def test_the_summary_says_when_it_is_not_all() -> None:
    whole, part = explore(CHART), explore(CHART, max_states=10)
    assert "cut short" not in summary(Report(whole, ()))
    assert summary(Report(part, ())).endswith("; cut short by a limit")
    assert '"complete": false' in to_json(Report(part, ()))

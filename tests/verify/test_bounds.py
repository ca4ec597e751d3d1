"""How long a call can wait, as computed from a chart: what a wrong limit, a wrong delay or a timer
that is armed anew changes in it, and how it is printed.

That what is computed is so in life is in `tests/session/test_longest_waits.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from support_chat import CHART, Chart, InvalidInputError, Settings, Transition
from support_chat.lifecycle.names import Effect as E, Fact as F, Phase as P, Trigger as T
from support_chat.verify import Space, decide_all, explore
from support_chat.verify.bounds import Bounds, bounds
from support_chat.verify.catalogue import CATALOGUE
from support_chat_adapters.cli import main

SLOW_STORAGE: Final = Settings(storage_timeout=7.0, revoke_timeout=17.0, destroy_timeout=4.0)
"""What is cleared, revoked and released takes its time, each another one."""


@cache
def _space(chart: Chart) -> Space:
    return explore(chart)


@cache
def _bounds(chart: Chart, settings: Settings) -> Bounds:
    return bounds(_space(chart), settings)


def waits(chart: Chart = CHART, settings: Settings = SLOW_STORAGE) -> dict[str, float]:
    """The longest waits that are asked for here, alone and beside other calls, and until a lost
    link is told.
    """
    found = _bounds(chart, settings)
    calls = {f"{b.call} in {b.phase}": b for b in found.calls if not b.kept}
    return {
        **{f"{name}, alone": bound.alone.seconds for name, bound in calls.items()},
        **{f"{name}, beside": bound.beside.seconds for name, bound in calls.items()},
        **{f"told {told.phase}": told.beside.seconds for told in found.told},
    }


def with_effect(effect: E, **values: Any) -> Chart:
    spec = attrs.evolve(CHART.effects[effect], **values)
    return attrs.evolve(CHART, effects={**CHART.effects, effect: spec})


def with_rows(name: str, *edits: Mapping[str, Any]) -> Chart:
    """In the place of this row one for each of these edits."""
    rows = list[Transition]()
    for row in CHART.transitions:
        if row.name != name:
            rows.append(row)
            continue
        rows += [
            attrs.evolve(row, **{**edit, "name": f"{name}_{number}"})
            for number, edit in enumerate(edits)
        ]
    return attrs.evolve(CHART, transitions=rows)


FAULTS: Final[Mapping[str, tuple[Chart, str, float]]] = {
    "a clear has the time of a request": (
        with_effect(E.CLEAR_USER, limit="call_timeout"),
        "shutdown in booting, alone",
        7.0 + 30.0,
    ),
    "a release has the time of a boot": (
        with_effect(E.RELEASE, limit="boot_timeout"),
        "destroy in anonymous, alone",
        30.0,
    ),
    "a destroy is bounded as late as a reconnecting": (
        with_effect(E.ARM_DESTROY, delay="give_up"),
        "destroy in shutdown, alone",
        17.0 + 4.0,
    ),
    "a destroy that joins another starts its timer anew": (
        with_rows(
            "destroy.join",
            {"unless": (F.RELEASING, F.RELEASED), "effects": (E.JOIN_DESTROY, E.ARM_DESTROY)},
            {"when": F.RELEASING},
        ),
        "destroy in shutdown, beside",
        17.0 + 4.0,
    ),
    "a hint to try at once starts the reconnecting anew": (
        with_rows(
            "link.hurry",
            {"sources": P.RECONNECTING, "effects": (E.ARM_DIAL, E.ARM_GIVE_UP)},
            {"sources": P.BOOTING},
        ),
        "told disconnected",
        float("inf"),
    ),
}
"""Faults of time, and what they make of which wait."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_time_that_nearly_every_property_lets_pass_changes_a_wait(fault: str) -> None:
    chart, wait, seconds = FAULTS[fault]
    found = waits(chart)
    assert found[wait] == pytest.approx(seconds)
    assert found[wait] > waits()[wait]
    broken = {v.property.id for v in decide_all(_space(chart), CATALOGUE) if not v.held}
    assert broken <= {"S44d"}, "S44d is of the one deadline that has a property"


def test_it_is_said_by_what_a_wait_becomes_longer() -> None:
    found = {(b.call, b.phase): b for b in _bounds(CHART, SLOW_STORAGE).calls}
    bound = found[T.SHUTDOWN, P.ANONYMOUS]
    assert (bound.alone.seconds, bound.beside.seconds) == (17.0, 24.0)
    assert bound.beside.by == (T.SHUTDOWN,)
    assert [term.limit for term in bound.beside.terms] == ["revoke_timeout", "storage_timeout"]


def test_of_each_limit_it_is_said_which_waits_depend_on_it() -> None:
    depends = {limit.name: limit.calls for limit in _bounds(CHART, Settings()).limits}
    assert {limit for limit, calls in depends.items() if not calls} == {
        "connect_timeout",
        "token_timeout",
    }
    # no wait of the defaults ends by it alone, and it would be longer all the same
    quick = attrs.evolve(Settings(), revoke_timeout=0.1)
    [revoke] = [each for each in _bounds(CHART, quick).limits if each.name == "revoke_timeout"]
    assert revoke.calls == (T.SHUTDOWN,)


def test_the_command_prints_what_lies_in_the_folder_of_diagrams(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "--bounds"]) == 0
    generated = (Path(__file__).parents[2] / "diagrams" / "bounds.md").read_text("utf-8")
    assert generated.endswith(capsys.readouterr().out)


def test_the_command_takes_settings_of_yours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slow_shop.py").write_text(
        "from support_chat import Settings\nSLOW = Settings(boot_timeout=123.0)\nNONE = None\n"
    )
    app_dir = ["--app-dir", str(tmp_path)]
    assert main(["check", "--bounds", "slow_shop:SLOW", *app_dir]) == 0
    assert "`boot_timeout` 123 s" in capsys.readouterr().out
    assert main(["check", "--bounds", "slow_shop:NONE", *app_dir]) == 2
    assert "no support_chat.Settings" in capsys.readouterr().err


def test_a_chart_that_does_not_say_how_long_its_delays_are_is_told_so() -> None:
    mute = attrs.evolve(CHART, semantics=None)
    with pytest.raises(InvalidInputError, match="spans"):
        bounds(explore(mute, max_states=10), Settings())
    lost = with_effect(E.DIAL, limit="patience")
    with pytest.raises(InvalidInputError, match="patience"):
        bounds(explore(lost, max_states=10), Settings())

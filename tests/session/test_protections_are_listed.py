"""The list of what protects a session from other people's code fits the product, and the command
that takes each protection away tells what fails then. (It takes them all in `.ci/run` of a night:
`python tests/tools/without_protections.py`.)
"""

from __future__ import annotations

import pytest

import without_protections
from without_protections import Protection, failing, main, protections

LISTED = protections()


@pytest.mark.parametrize("protection", LISTED, ids=lambda protection: protection.name)
def test_every_edit_applies_and_leaves_a_program(protection: Protection) -> None:
    compile(protection.removed(), protection.file, "exec")


def test_each_has_a_name_of_its_own() -> None:
    names = [protection.name for protection in LISTED]
    assert len(names) == len(set(names))


def test_the_command_prints_the_cell_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    name = "who ended its subscription meanwhile hears nothing more"
    assert main(["--only", name]) == 0
    printed = capsys.readouterr().out
    assert "test_whoever_leaves_while_others_are_told_hears_nothing_more" in printed
    assert "1 protections; 0 with an error or an empty list" in printed


def test_what_protects_nobody_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "from __future__ import annotations\n"
    tests = ("tests/session/test_listeners.py",)
    nobody = Protection("nobody", LISTED[0].file, line, f"{line}\n", tests=tests)
    gone = Protection("gone", LISTED[0].file, "no such line", "")
    monkeypatch.setattr(without_protections, "protections", lambda: (nobody, gone))
    assert main([]) == 1
    printed = capsys.readouterr().out
    assert "without: nobody: UNNOTICED" in printed
    assert "without: gone: ERROR" in printed


def test_a_protection_without_which_nothing_can_be_run_is_an_error() -> None:
    broken = Protection("broken", LISTED[0].file, "from __future__", "from __nowhere__")
    with pytest.raises(RuntimeError, match="could not be run"):
        failing(broken, every=False)

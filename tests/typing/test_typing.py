"""The types of the public API are tested as API: `public_api.py` has no error, and its expectations
are able to fail.
"""

from __future__ import annotations

from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api", reason="needs mypy: pip install -e '.[test]'")

ROOT = Path(__file__).parents[2]
PUBLIC_API = Path(__file__).with_name("public_api.py")


def mypy(file: Path) -> tuple[str, int]:
    """What strict mypy, with the project's own settings, says of one file, and its exit status."""
    told, trouble, status = api.run(
        [f"--config-file={ROOT / 'pyproject.toml'}", "--no-error-summary", str(file)]
    )
    assert not trouble
    return told, status


def test_the_public_api_has_the_types_that_its_users_rely_on() -> None:
    told, status = mypy(PUBLIC_API)
    assert status == 0, told


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        ("chat.load(), Call[None]", "chat.load(), Call[int]", "assert-type"),
        ("await chat.boot(), Visitor | SignedIn", "await chat.boot(), Visitor", "assert-type"),
        ("chat.boot(user=3)", "chat.boot(user=User('3'))", "unused-ignore"),
        ("Settings(5.0)", "Settings()", "unused-ignore"),
        ("event, MessageReceived", "event, PhaseChanged", "assert-type"),
    ],
)
def test_an_expectation_that_is_not_met_is_told(
    right: str, wrong: str, code: str, tmp_path: Path
) -> None:
    source = PUBLIC_API.read_text("utf-8")
    assert source.count(right) == 1
    spoilt = tmp_path / "spoilt.py"
    spoilt.write_text(source.replace(right, wrong), "utf-8")
    told, status = mypy(spoilt)
    assert status == 1
    assert f"[{code}]" in told

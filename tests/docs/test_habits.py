"""The pages for those who work on the project name things that exist: every link leads to a file
or to a heading of it, and every path and command in them can be found.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support_chat_adapters.cli import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("diagrams/*.md")])
HABITS = [ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
RECORDS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The fragments that the page's headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def broken(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        if re.match(r"https?:", target):
            continue
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_a_heading_of_it(page: Path) -> None:
    assert list(broken(page)) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Here it is!\n", "utf-8")
    page = tmp_path / "page.md"
    page.write_text("[a](other.md#here-it-is) [b](other.md#there) [c](none.md)", "utf-8")
    assert list(broken(page)) == ["other.md#there", "none.md"]


@pytest.mark.parametrize("page", HABITS, ids=name)
def test_every_path_and_every_command_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    named = {path.rstrip("/") for path in re.findall(r"\b(?:tests|docs|adapters)/[\w./-]*\w", text)}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    assert set(re.findall(r"^support-chat ([a-z]+)", text, re.MULTILINE)) <= set(COMMANDS)


def test_the_version_of_the_changelog_is_not_behind() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    released = re.findall(r"^## (\d\S+) \(\d{4}-\d\d-\d\d\)$", changelog, re.MULTILINE)
    assert "## Unreleased" in changelog
    assert released[:1] in ([], [version])


def test_the_decisions_are_short_numbered_and_listed() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))
    for record in RECORDS:
        lines = record.read_text("utf-8").splitlines()
        assert lines[0].startswith(f"# {int(record.name[:4])}. "), record.name
        assert len(lines) <= 25, record.name
        assert f"[{lines[0].removeprefix('# ')}]({record.name})" in index


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.parent.name != "diagrams"], ids=name
)
def test_a_line_has_at_most_a_hundred_characters_outside_of_tables(page: Path) -> None:
    lines = prose(page).splitlines()
    assert [line for line in lines if len(line) > 100 and "|" not in line[:5]] == []

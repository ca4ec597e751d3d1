"""A directory of diagrams: written in one go, and judged as stale, missing or superfluous file by
file.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import attrs

from support_chat import CHART, Chart
from support_chat_adapters.diagrams.as_mermaid import mermaid
from support_chat_adapters.diagrams.exported import from_json
from support_chat_adapters.diagrams.gallery import MARK, compare, gallery, write
from support_chat_adapters.diagrams.views import group

DIAGRAMS = Path(__file__).parents[2] / "diagrams"


def test_the_committed_diagrams_are_what_the_chart_says() -> None:
    assert not compare(DIAGRAMS, gallery(CHART)), "mend it with: support-chat draw --write diagrams"


def test_the_directory_holds_the_overview_thrice_each_group_twice_the_tables_and_the_json(
    player: Chart,
) -> None:
    assert set(gallery(player)) == {
        "overview.svg", "overview.mmd", "overview.dot", "playing.svg", "playing.mmd",
        "stopping.svg", "stopping.mmd",
        "table.md", "chart.json", "README.md",
    }  # fmt: skip
    assert {"calls.md", "staying-connected.svg"} <= set(gallery(CHART))


def test_groups_whose_names_are_alike_or_those_of_other_files_have_files_of_their_own(
    player: Chart,
) -> None:
    names = iter(("a b", "a-b", "overview", "Table", "...", "chart", "a b", "a b"))
    chart = attrs.evolve(
        player, transitions=[attrs.evolve(r, group=next(names)) for r in player.transitions]
    )
    files = gallery(chart)
    assert {name for name in files if name.endswith(".mmd")} == {
        "overview.mmd", "a-b.mmd", "a-b-2.mmd", "overview-2.mmd", "Table-2.mmd", "group.mmd",
        "chart-2.mmd",
    }  # fmt: skip
    assert "play.refuse" in files["a-b-2.mmd"]
    assert "play.refuse" in mermaid(group(chart, "a-b"))
    assert "play.resume" in mermaid(group(chart, "overview-2"))


def test_every_file_says_that_it_is_generated_and_is_still_what_its_name_says() -> None:
    files = gallery(CHART)

    assert [name for name, text in files.items() if MARK not in text.splitlines()[0]] == [
        "chart.json"
    ]
    assert from_json(files["chart.json"]) == CHART
    ElementTree.fromstring(files["overview.svg"])


def test_the_index_links_every_other_file() -> None:
    files = gallery(CHART)
    for name in files:
        assert name == "README.md" or f"]({name})" in files["README.md"]


def test_each_kind_of_difference_is_found_and_mended(tmp_path: Path, player: Chart) -> None:
    files = gallery(player)
    assert compare(tmp_path / "nowhere", files) == dict.fromkeys(files, "missing")
    write(tmp_path, files)
    assert not compare(tmp_path, files)

    (tmp_path / "table.md").write_text("old", encoding="utf-8")
    (tmp_path / "overview.dot").unlink()
    (tmp_path / "dancing.mmd").write_text(files["playing.mmd"], encoding="utf-8")
    (tmp_path / "notes.txt").write_text("a person's own", encoding="utf-8")
    expected = {"table.md": "stale", "overview.dot": "missing", "dancing.mmd": "superfluous"}

    assert compare(tmp_path, files) == expected
    assert write(tmp_path, files) == expected
    assert not compare(tmp_path, files)
    assert not (tmp_path / "dancing.mmd").exists()
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "a person's own"

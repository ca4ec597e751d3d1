"""The reference of the chart language is whole and true: every class and every field of the model
is named in it, nothing else is, and its program runs.
"""

from __future__ import annotations

import re
from typing import Final

import attrs
import pytest

from checked_pages import checked_page, run
from support_chat.chart import model
from support_chat.chart.model import Chart, EffectSpec, FactKind, Semantics, Span, Transition

PAGE = checked_page("chart-language.md", "panel.py")
PROSE: Final = re.sub(r"^```.*?^```$", "", PAGE.text, flags=re.DOTALL | re.MULTILINE)
CLASSES: Final = {
    name: {field.name for field in attrs.fields(kind) if field.init}
    for name, kind in vars(model).items()
    if isinstance(kind, type) and kind.__module__ == model.__name__ and attrs.has(kind)
}
FIELDS: Final = {*set[str]().union(*CLASSES.values()), *Span._fields}


def section(title: str) -> str:
    """What stands under a heading that begins so."""
    (found,) = re.findall(rf"^## {title}.*?\n(.*?)(?=^## |\Z)", PROSE, re.DOTALL | re.MULTILINE)
    return str(found)


def rows(text: str) -> dict[str, str]:
    """The rows of its tables by each name in their first cell."""
    return {
        name: line
        for line in text.splitlines()
        if line.startswith("|")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }


def names(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


@pytest.mark.parametrize("kind", sorted(CLASSES))
def test_every_field_of_every_class_is_named_where_the_class_is(kind: str) -> None:
    shared = {"doc", "reduce", "emits"}
    whole = getattr(model, kind)
    if issubclass(whole, EffectSpec | FactKind) and kind not in ("Ask", "EffectSpec", "FactKind"):
        of_kinds = section("Effects") if issubclass(whole, EffectSpec) else section("Facts")
        assert CLASSES[kind] - {"doc"} <= names(rows(of_kinds)[kind]), "in its row"
        assert "`doc`" in of_kinds
        return
    where = {
        "Chart": "`Chart`", "Transition": "Rows", "Ignored": "Rows", "Refusal": "Rows",
        "FactKind": "Facts", "EffectSpec": "Effects", "Ask": "Effects", "Blame": "Effects",
        "Composite": "Parts", "Semantics": "Run it",
    }[kind]  # fmt: skip
    assert CLASSES[kind] - names(section(where)) - shared == set()


@pytest.mark.parametrize(("title", "kind"), [("`Chart`", Chart), ("Run it", Semantics)])
def test_a_table_of_a_class_has_its_fields_and_no_others(title: str, kind: type) -> None:
    assert set(rows(section(title))) == CLASSES[kind.__name__]


def test_every_name_in_the_first_cells_is_one_of_the_model() -> None:
    first = set(rows(PROSE))
    assert first - FIELDS == set(CLASSES) & first
    assert CLASSES[Transition.__name__] <= FIELDS


def test_its_program_prints_what_the_page_shows() -> None:
    (program,) = PAGE.programs
    done = run("-c", program)
    assert done.stderr == ""
    assert done.stdout == PAGE.shown[program]

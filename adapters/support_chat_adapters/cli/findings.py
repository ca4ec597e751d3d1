"""`--sarif FILE`: the failures of a chart or a composition, each where it is written."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from importlib.metadata import version

from support_chat.verify import (
    Elsewhere,
    Judgement,
    Model,
    Product,
    Verdict,
    each_story,
    occurrences,
)
from support_chat.verify.reports import UNASKED, WORDS, concerned
from support_chat.verify.sarif import Finding, Note, Place, to_sarif
from support_chat.verify.source_lines import file_of, place_of

from .charts import is_file


def write_sarif(
    arguments: argparse.Namespace,
    model: Model,
    verdicts: Sequence[Verdict],
    elsewhere: Iterable[Elsewhere],
    word: Callable[[Verdict], str] = lambda verdict: WORDS[verdict.held],
) -> None:
    """Writes what became of the properties of a chart; `word` says that of each in a word."""
    others = tuple(elsewhere)
    rules = {verdict.property.id: verdict.property.sentence for verdict in verdicts}
    rules |= {one.id: one.sentence for one in others}
    findings = (_finding(arguments, model, verdict) for verdict in verdicts)
    notes = [note for verdict in verdicts for note in _notes(verdict.property.id, word(verdict))]
    notes += [Note(one.id, "note", f"decided by {one.by}: {one.where}") for one in others]
    _write(arguments, rules, (each for each in findings if each is not None), notes)


def write_sarif_of_whole(arguments: argparse.Namespace, product: Product) -> None:
    """Writes what became of the properties of a composition."""
    rules = {each.property.id: each.property.sentence for each in product.judgements}
    module = arguments.composition.partition(":")[0]
    found = [_found(product, each, module) for each in product.judgements if each.held is False]
    notes = [n for each in product.judgements for n in _notes(each.property.id, WORDS[each.held])]
    _write(arguments, rules, found, notes)


def _write(
    arguments: argparse.Namespace,
    rules: dict[str, str],
    findings: Iterable[Finding],
    notes: Iterable[Note],
) -> None:
    text = to_sarif(version("support-chat"), rules, findings, notes)
    arguments.sarif.write_text(text, encoding="utf-8", newline="\n")


def _notes(id: str, word: str) -> Iterator[Note]:
    if word == UNASKED:
        yield Note(id, "warning", "it is never asked of any state or step")
    elif word == WORDS[None]:
        yield Note(id, "warning", "inconclusive: a limit was hit")


def _finding(arguments: argparse.Namespace, model: Model, verdict: Verdict) -> Finding | None:
    if verdict.held is not False:
        return None
    named: str = arguments.chart
    source = named if is_file(named) else named.partition(":")[0]
    at = cache(partial(_place, source))
    row = concerned(verdict, [row.name for row in model.chart.transitions])
    steps = [
        (f"{one.words} -> {one.phase}", at(one.rows[0]) if one.rows else None)
        for one in occurrences(model, verdict)
    ]
    return Finding(
        id=verdict.property.id,
        text=f"{verdict.property.sentence} {verdict.detail}".strip(),
        place=at(row),
        row=row,
        steps=steps,
        round=len(verdict.story) + 1 if verdict.round else None,
    )


def _found(product: Product, judgement: Judgement, source: str) -> Finding:
    told = {who: iter(those) for who, those in each_story(product, judgement).items()}
    at = cache(partial(_place, source))
    steps: list[tuple[str, Place | None]] = []
    for entry in judgement.story:
        if entry.move:
            steps.append((entry.move, None))
        for _ in entry.steps:
            one = next(told[entry.component, entry.copy])
            words = f"{entry.component} {entry.copy + 1}: {one.words} -> {one.phase}"
            steps.append((words, at(one.rows[0]) if one.rows else None))
    return Finding(
        id=judgement.property.id,
        text=f"{judgement.property.sentence} {judgement.detail}".strip(),
        place=at(None),
        steps=steps,
    )


def _place(source: str, row: str | None) -> Place | None:
    """Where a row is written; else the file of the chart."""
    found = None if row is None else place_of(row, source)
    if found is None and (file := file_of(source)) is not None:
        return file, 1
    return found

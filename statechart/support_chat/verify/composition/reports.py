"""What was found of a composition, written for whoever reads it; pure functions, as those of
`support_chat.verify.reports` are for one chart.
"""

from __future__ import annotations

import json
from typing import Any

import attrs

from ..reports import WORDS, Case, junit
from .explore import Judgement, Product
from .parts import Part
from .story import each_story, whole_story


def summary(product: Product) -> str:
    """One line: states, steps, depth, time, and how many values the places had together."""
    pace = product.steps / product.seconds if product.seconds else 0.0
    text = (
        f"{product.composition.name}: {product.states:,} states, {product.steps:,} steps, depth "
        f"{product.depth}, {product.values:,} values of places, {product.seconds:.2f} s, "
        f"{pace:,.0f} steps/s"
    )
    return text if product.complete else f"{text}; not explored to the end"


def made_of(part: Part) -> str:
    """One line: how many copies of a component there are, how many states it has, how many blocks
    that can be told apart, and what is left out of it.
    """
    component = part.component
    text = (
        f"{component.copies} {component.name}: {len(part.numbers):,} states in "
        f"{len(part.blocks.member):,} blocks"
    )
    return f"{text}, without {', '.join(component.without)}" if component.without else text


def to_json(product: Product) -> str:
    """The whole as JSON: what was explored, then each property with its counterexample: of whom
    each step is, and the places after it.
    """
    whole = {
        "schema": "support-chat/composition",
        "version": 1,
        "composition": product.composition.name,
        "states": product.states,
        "steps": product.steps,
        "values": product.values,
        "depth": product.depth,
        "seconds": round(product.seconds, 3),
        "complete": product.complete,
        "components": [
            {
                "name": part.component.name,
                "copies": part.component.copies,
                "states": len(part.numbers),
                "blocks": len(part.blocks.member),
                "without": list(part.component.without),
            }
            for part in product.parts
        ],
        "verdict": WORDS[product.held],
        "properties": [_judgement(product, each) for each in product.judgements],
    }
    return json.dumps(whole, indent=2) + "\n"


def _judgement(product: Product, judgement: Judgement) -> dict[str, Any]:
    told = {who: iter(those) for who, those in each_story(product, judgement).items()}
    return {
        "id": judgement.property.id,
        "kind": type(judgement.property).__name__,
        "sentence": judgement.property.sentence,
        "verdict": WORDS[judgement.held],
        "detail": judgement.detail,
        "story": [
            {
                "component": entry.component,
                "copy": entry.copy,
                "move": entry.move,
                "steps": [
                    attrs.asdict(next(told[entry.component, entry.copy])) for _ in entry.steps
                ],
                "places": {f: repr(getattr(entry.places, f)) for f in entry.places._fields},
            }
            for entry in judgement.story
        ],
    }


def to_junit(product: Product) -> str:
    """JUnit XML, a test case for each property; what is inconclusive is skipped."""
    cases = [
        Case(
            each.property.id,
            each.property.sentence,
            failure=(each.detail or each.property.sentence, whole_story(product, each))
            if each.held is False
            else None,
            skipped="inconclusive: a limit was hit" if each.held is None else None,
        )
        for each in product.judgements
    ]
    return junit(product.composition.name, product.seconds, cases)

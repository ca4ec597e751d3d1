"""`support-chat check --composition`: explores components and the places that they share, and says
of each property of the whole whether it holds.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from pathlib import Path

import attrs

from support_chat.verify import Composition, Judgement, Product, check_whole, whole_story
from support_chat.verify.composition.reports import made_of, summary, to_json, to_junit
from support_chat.verify.reports import WORDS

from ..ui.terminal import columns, hanging
from .charts import DEFAULT, load
from .findings import write_sarif_of_whole
from .terminal import Misuse, coloured, say
from .verdicts import (
    STATUS,
    is_meant,
    print_counts,
    print_cut_short,
    print_line,
    print_list,
    print_story,
    progress,
)


def run(arguments: argparse.Namespace) -> int:
    """Checks a composition; 0 if every property holds, 1 if one fails, 3 if a limit left one
    open.
    """
    composition = _chosen(_composition(arguments), arguments.property)
    if arguments.list:
        return print_list([(each.id, each.sentence) for each in composition.properties], arguments)
    product = check_whole(
        composition,
        max_states=arguments.max_states,
        time_limit=arguments.time_limit,
        progress=progress(),
    )
    if arguments.json:
        sys.stdout.write(to_json(product))
    else:
        _print(product, arguments)
    if arguments.junit is not None:
        arguments.junit.write_text(to_junit(product), encoding="utf-8", newline="\n")
    if arguments.sarif is not None:
        write_sarif_of_whole(arguments, product)
    if arguments.counterexamples is not None:
        _write_counterexamples(product, arguments.counterexamples)
    return STATUS[product.held]


def _composition(arguments: argparse.Namespace) -> Composition:
    others = {
        "--chart": arguments.chart != DEFAULT,
        "--properties": arguments.properties,
        "--users": arguments.users,
    }
    for option, given in others.items():
        if given:
            raise Misuse(f"{option}: a composition says itself which charts, users and properties")
    named = arguments.composition
    found = load(
        named,
        "--composition ",
        arguments.app_dir,
        "compositions",
        lambda value: isinstance(value, Composition),
    )
    if not isinstance(found, Composition):
        raise Misuse(
            f"--composition {named}: {named.partition(':')[2]} is of type {type(found).__name__}, "
            "not a support_chat.verify.Composition"
        )
    return found


def _chosen(composition: Composition, ids: list[str]) -> Composition:
    known = [each.id for each in composition.properties]
    for wanted in ids:
        if not any(is_meant(wanted, id) for id in known):
            raise Misuse(
                f"--property {wanted}: there is no such property; there are: {', '.join(known)}"
            )
    if not ids:
        return composition
    chosen = tuple(
        each for each in composition.properties if any(is_meant(wanted, each.id) for wanted in ids)
    )
    return attrs.evolve(composition, properties=chosen)


def _print(product: Product, arguments: argparse.Namespace) -> None:
    if not arguments.quiet:
        print(coloured(hanging("", summary(product), columns(sys.stdout)), "bold", sys.stdout))
        for part in product.parts:
            say(made_of(part), "of ")
        for each in product.judgements:
            if each.held is not False:
                print_line(WORDS[each.held], each.property.id, each.property.sentence)
    for each in product.judgements:
        if each.held is False:
            print_line("failed", each.property.id, each.property.sentence)
            print_story(whole_story(product, each))
            words = ["support-chat", "check", f"--composition={arguments.composition}"]
            if arguments.app_dir:
                words.append(f"--app-dir={arguments.app_dir}")
            print(f"    {shlex.join([*words, f'--property={each.property.id}'])}")
    print_counts([WORDS[each.held] for each in product.judgements], WORDS[product.held])
    if any(each.held is None for each in product.judgements):
        print_cut_short()


def _write_counterexamples(product: Product, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for each in product.judgements:
        if each.held is False:
            (directory / _file_of(each)).write_text(
                f"{each.property.id}: {each.property.sentence}\n{whole_story(product, each)}",
                encoding="utf-8",
                newline="\n",
            )


def _file_of(judgement: Judgement) -> str:
    return re.sub(r"\W+", "_", judgement.property.id) + ".txt"

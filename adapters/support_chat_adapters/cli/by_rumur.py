"""`support-chat check --engine rumur`: the same properties of the same chart, explored by a checker
that others wrote.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence

from support_chat import Chart
from support_chat.verify import Elsewhere, Property
from support_chat.verify.known import UnknownNameError
from support_chat.verify.reports import WORDS, document, verdict_as_data

from ..murphi.engine import check
from ..murphi.retold import DisagreementError
from ..murphi.rumur import NoRumurError, missing
from ..ui.terminal import columns, hanging
from .charts import command
from .failures import decided, print_failures
from .findings import write_sarif
from .terminal import Misuse, coloured, emit
from .verdicts import STATUS, print_counts, print_line


def refuse_what_rumur_has_not(arguments: argparse.Namespace, most_states: int) -> None:
    """Raises Misuse for an option that only this package's own engine has, or if there is no Rumur
    here.
    """
    unknown = {
        "--junit": arguments.junit,
        "--counterexamples": arguments.counterexamples,
        "--time-limit": arguments.time_limit,
        "--max-states": arguments.max_states if arguments.max_states != most_states else None,
    }
    if given := [name for name, value in unknown.items() if value]:
        raise Misuse(f"{given[0]} is of this package's own engine: leave out --engine rumur")
    if (gone := missing()) is not None:
        raise Misuse(f"--engine rumur: {gone}")


def run_by_rumur(
    arguments: argparse.Namespace,
    chart: Chart,
    properties: Sequence[Property],
    elsewhere: Sequence[Elsewhere],
) -> int:
    """Checks with Rumur; 0 if every property holds that it decides, 1 if one fails."""
    again = command("check", arguments, "chart", "app_dir", "properties", "users")
    begun = time.perf_counter()
    try:
        found = check(
            chart,
            properties,
            users=arguments.users,
            again=lambda each: f"{again} {shlex.join([f'--property={each.id}'])}",
        )
    except UnknownNameError as slip:
        raise Misuse(f"--properties {arguments.properties}: {slip}") from None
    except (NoRumurError, DisagreementError) as error:
        raise Misuse(f"--engine rumur: {error}") from error
    seconds = time.perf_counter() - begun
    words = [WORDS[verdict.held] for verdict in found.verdicts]
    if arguments.sarif is not None:
        write_sarif(arguments, found.model, found.verdicts, (*found.elsewhere, *elsewhere))
    if arguments.json:
        values = {
            "engine": "rumur",
            "chart": chart.name,
            "states": found.states,
            "transitions": found.steps,
            "depth": None,
            "users": found.model.users,
            "seconds": round(seconds, 3),
            "complete": True,
            "verdict": WORDS[found.held],
            "properties": [
                verdict_as_data(found.model, each, asked=None) for each in found.verdicts
            ],
            "unanswered": None,
        }
        emit(document(values, (*found.elsewhere, *elsewhere)))
        return STATUS[found.held]
    if not arguments.quiet:
        head = (
            f"{chart.name}: {found.states:,} states, {found.steps:,} transitions, "
            f"{found.model.users} users, {seconds:.2f} s, by Rumur"
        )
        print(coloured(hanging("", head, columns(sys.stdout)), "bold", sys.stdout))
        for word, verdict in zip(words, found.verdicts, strict=True):
            if verdict.held:
                print_line(word, verdict.property.id, verdict.property.sentence)
        for one in (*found.elsewhere, *elsewhere):
            print_line("elsewhere", one.id, decided(one))
    print_failures(found.model, found.verdicts, arguments)
    print_counts(words, WORDS[found.held])
    return STATUS[found.held]

"""The page on what a chart means to a checker is true: what it shows is what is printed, and the
numbers of its tables are those of the model.
"""

from __future__ import annotations

import re
import shlex

from checked_pages import checked_page, support_chat
from rumur import needs_rumur
from support_chat.chart import model
from support_chat.chart.model import EffectSpec

PAGE = checked_page("chart-semantics.md", "panel.py")
EXPORT = ("export", "--format", "murphi", "--chart", "panel:CHART")


def timeless(text: str) -> str:
    return re.sub(r"[\d.]+ s, by Rumur", "T s, by Rumur", text)


@needs_rumur
def test_the_command_prints_what_the_page_shows() -> None:
    (command,) = PAGE.of("sh")
    done = support_chat(*shlex.split(command, comments=True)[1:])
    assert (done.stderr, done.returncode) == ("", 1)
    assert timeless(done.stdout) == timeless(PAGE.shown[command])


def test_the_model_has_what_the_page_shows_of_it() -> None:
    (shown,) = PAGE.of("murphi")
    assert shown in support_chat(*EXPORT).stdout


def test_every_kind_of_effect_that_the_page_names_is_one() -> None:
    table = PAGE.text.partition("| kind | what becomes")[2].partition("all others")[0]
    kinds = {name.lower() for name, kind in vars(model).items() if _is_kind(kind)}
    named = set(re.findall(r"^ *\| `(\w+)`", table, re.MULTILINE))
    named |= set(re.findall(r"^ *\| `\w+`, `(\w+)`", table, re.MULTILINE))
    assert named <= kinds
    others = {"done", "refuse", "reply", "hold", "answer", "settledetached", "inform", "dispose"}
    assert kinds - named == others


def _is_kind(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, EffectSpec) and value is not EffectSpec

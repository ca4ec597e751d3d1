"""A chart whose names and sentences are those that break pages: markup, quotes, spaces, other
scripts, nothing.
"""

from __future__ import annotations

from typing import Final

from support_chat import Chart, InvalidInputError, Transition
from support_chat.chart.model import Carried, Ignored, Note, Refusal, Stored

HOSTILE: Final = "</script><script>document.title = 'taken'</script><img src=x onerror=alert(1)>"
REFUSAL: Final = Refusal(InvalidInputError, f"{{call}}() says {HOSTILE}")

AWKWARD: Final = Chart(
    name="a 'chart' & <b>more</b>",
    initial="first & last",
    phases=("first & last", "<b>bold</b>", 'quo"ted', "ひらがな", "100%"),
    triggers=("go (now)!", "<i>", "it's"),
    external=("go (now)!", "<i>", "it's"),
    events={"<i>": "a lane"},
    facts={"is it?": Carried(HOSTILE), "empty": Stored("")},
    effects={"does'nt": Note(doc=HOSTILE), "--": Note(doc=""), "refuse": Note(doc="no")},
    composites={"<whole>": ('quo"ted', "ひらがな")},
    transitions=(
        Transition(
            name="row #1?", group="a & b", trigger="go (now)!", sources="first & last",
            target="<b>bold</b>", unless="is it?", sets="empty", effects=("does'nt", "--"),
            reason=HOSTILE,
        ),
        Transition(
            name="row 1/2", group="a & b", trigger="go (now)!", sources="first & last",
            when="is it?", effects="refuse", error=REFUSAL,
        ),
        Transition(
            name="<script>", group="</ul>", trigger="go (now)!", sources="<b>bold</b>",
            target='quo"ted',
        ),
        Transition(
            name="行", group="</ul>", trigger="<i>", sources=('quo"ted', "ひらがな"),
            target="100%", clears="empty",
        ),
        Transition(
            name="it's", group="</ul>", trigger="it's", sources='quo"ted', target="ひらがな",
            when="empty",
        ),
    ),
    ignored=(
        Ignored(triggers="go (now)!", phases=('quo"ted', "ひらがな", "100%"), because=HOSTILE),
        Ignored(triggers="<i>", phases=("first & last", "<b>bold</b>", "100%"), because="so"),
        Ignored(
            triggers="it's", phases=("first & last", "<b>bold</b>", "ひらがな", "100%"),
            because="so",
        ),
    ),
)  # fmt: skip

ALONE: Final = Chart(
    name="alone", initial="here", phases="here", triggers="wait", external="wait",
    transitions=(Transition(name="wait", group="waiting", trigger="wait", sources="here"),),
)  # fmt: skip
"""One phase, which nothing leaves, without facts and effects."""

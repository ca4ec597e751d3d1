"""What a property says of a state, as JSON: the name of a fact or of an entry of the ledger, which
holds; `not`, `and`, `or`, `if` with `then` and `else`; the `phase` is this one, `nobody` is in a
register, two registers or entries are the `same`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from ..murphi.formulas import FALSE, TRUE, Atom, Both, Choice, Either, Formula, Not
from ..murphi.names import Names

_EQUAL: Final = re.compile(r"\((\w+) = (\w+)\)")


def formula(names: Names, one: Formula) -> Any:
    """The formula of a state in these names as JSON."""
    match one:
        case Not(of):
            return {"not": formula(names, of)}
        case Both(of):
            return {"and": [formula(names, part) for part in of]}
        case Either(of):
            return {"or": [formula(names, part) for part in of]}
        case Choice(on, yes, no):
            parts = {"if": on, "then": yes, "else": no}
            return {word: formula(names, part) for word, part in parts.items()}
        case Atom():
            return one == TRUE if one in (TRUE, FALSE) else _atom(names, one.text)


def _atom(names: Names, text: str) -> Any:
    told = {word: name for name, word in (*names.kept.items(), *names.register.items())}
    equal = _EQUAL.fullmatch(text)
    if equal is None:
        return told.get(text, text)
    left, right = equal.groups()
    if left == "phase":
        return {"phase": next(phase for phase, word in names.phase.items() if word == right)}
    if right == "NOBODY":
        return {"nobody": told[left]}
    return {"same": [told.get(left, left), told.get(right, right)]}

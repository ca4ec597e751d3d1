"""Conditions of Murphi: put together so that what is the same on both sides of a decision is said
once, and written as short as that makes them.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

import attrs

_EQUAL: Final = re.compile(r"\(([\w\[\]]+) = (\w+)\)")


@attrs.frozen(cache_hash=True)
class Atom:
    """A condition as it is written: `text` binds tighter than any operator."""

    text: str


@attrs.frozen(cache_hash=True)
class Not:
    """It does not hold."""

    of: Formula


@attrs.frozen(cache_hash=True)
class Both:
    """Each of them holds."""

    of: tuple[Formula, ...]


@attrs.frozen(cache_hash=True)
class Either:
    """One of them holds."""

    of: tuple[Formula, ...]


@attrs.frozen(cache_hash=True)
class Choice:
    """`yes` where `on` holds, and `no` elsewhere."""

    on: Formula
    yes: Formula
    no: Formula


Formula: TypeAlias = "Atom | Not | Both | Either | Choice"
TRUE = Atom("true")
FALSE = Atom("false")


def negated(one: Formula) -> Formula:
    """That it does not hold."""
    if one in (TRUE, FALSE):
        return FALSE if one == TRUE else TRUE
    return one.of if isinstance(one, Not) else Not(one)


def both(*these: Formula) -> Formula:
    """That all of them hold."""
    flat = [part for one in these for part in (one.of if isinstance(one, Both) else (one,))]
    kept = tuple(dict.fromkeys(part for part in flat if part != TRUE))
    if FALSE in kept or any(negated(part) in kept for part in kept):
        return FALSE
    return (kept[0] if kept else TRUE) if len(kept) < 2 else Both(kept)


def either(*these: Formula) -> Formula:
    """That one of them holds."""
    flat = [part for one in these for part in (one.of if isinstance(one, Either) else (one,))]
    kept = tuple(dict.fromkeys(part for part in flat if part != FALSE))
    if TRUE in kept or any(negated(part) in kept for part in kept):
        return TRUE
    return (kept[0] if kept else FALSE) if len(kept) < 2 else Either(kept)


def choice(on: Formula, yes: Formula, no: Formula) -> Formula:
    """`yes` where `on` holds, `no` elsewhere."""
    if yes == no:
        return yes
    if isinstance(no, Choice):
        if no.yes == yes:
            return choice(either(on, no.on), yes, no.no)
        if no.no == yes:
            return choice(either(on, negated(no.on)), yes, no.yes)
    if isinstance(yes, Choice):
        if yes.no == no:
            return choice(both(on, yes.on), yes.yes, no)
        if yes.yes == no:
            return choice(both(on, negated(yes.on)), yes.no, no)
    if yes in (TRUE, on):
        return either(on, no)
    if yes == FALSE:
        return both(negated(on), no)
    if no == TRUE:
        return either(negated(on), yes)
    if no in (FALSE, on):
        return both(on, yes)
    return Choice(on, yes, no)


def written(one: Formula, within: bool = False) -> str:
    """The condition as text, in brackets where it stands `within` another."""
    match one:
        case Atom(text):
            return text
        case Not(Atom(text)) if equal := _EQUAL.fullmatch(text):
            return f"({equal[1]} != {equal[2]})"
        case Not(of):
            return f"!{written(of, True)}"
        case Both(of):
            text = " & ".join(written(part, True) for part in of)
        case Either(of):
            text = " | ".join(written(part, True) for part in of)
        case Choice(on, yes, no):
            text = f"{written(on, True)} ? {written(yes, True)} : {written(no, True)}"
    return f"({text})" if within else text

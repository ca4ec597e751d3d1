"""What may stand after a command, as values: a command lists its options, and commands share those
that they have in common.
"""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

Option: TypeAlias = Callable[[Any], object]
"""Adds itself to a parser, or to a group of one."""
_Number = TypeVar("_Number", int, float)


def option(*names: str, **how: Any) -> Option:
    """An argument, described as for `ArgumentParser.add_argument`."""
    return lambda parser: parser.add_argument(*names, **how)


def one_of(*options: Option, required: bool = False) -> Option:
    """Options of which at most one may be given; `required`: one must be."""
    return lambda parser: _add(parser.add_mutually_exclusive_group(required=required), options)


def group(title: str, *options: Option) -> Option:
    """Options that `--help` shows together, under a title."""
    return lambda parser: _add(parser.add_argument_group(title), options)


def _add(parser: Any, options: tuple[Option, ...]) -> None:
    for each in options:
        each(parser)


def number(
    kind: Callable[[str], _Number], least: float, wanted: str, *, most: float = math.inf
) -> Callable[[str], _Number]:
    """The type of an option that takes a number from `least` to `most`; `wanted` says that in
    words.
    """

    def read(text: str) -> _Number:
        with contextlib.suppress(ValueError):
            value = kind(text)
            if least <= value <= most:
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")

    return read

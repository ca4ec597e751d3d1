"""How long the programs are: as long as their README says, and no longer than they may be."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BOUNDS = {"textual_chat": 45, "shop": 60}
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def code_lines(source: str) -> int:
    """The lines that are neither blank, comment, docstring nor import."""
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in _NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
                code -= {*range(node.lineno, (node.end_lineno or node.lineno) + 1)}
            case _:
                pass
    return len(code)


def lines_of(name: str) -> int:
    return code_lines((HERE / f"{name}.py").read_text("utf-8"))


def test_lines_are_counted_as_the_readme_says() -> None:
    source = '"""Doc.\n\nMore."""\n\nfrom a import (\n    b,\n)\n\n# comment\nx = """\n\n"""\n'
    assert code_lines(source) == 3
    assert (
        code_lines('def f():\n    """Doc."""\n    import os\n    return (\n        1\n    )\n') == 4
    )


@pytest.mark.parametrize(("name", "bound"), BOUNDS.items())
def test_a_program_is_short(name: str, bound: int) -> None:
    assert lines_of(name) <= bound


def test_the_readme_has_the_figures() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|$", (HERE / "README.md").read_text(), re.M)
    assert {name: (int(before), int(now)) for name, before, now in rows} == {
        name: (lines_of(f"{name}_before"), lines_of(name)) for name in BOUNDS
    }

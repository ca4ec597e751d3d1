"""The shell decides nothing: no line of `support_chat.session` or `support_chat.runtime` branches
on the phase, but for the few named here.

What counts as a branch is wider than `if`: a comparison, a membership, a `match`, a conditional, a
boolean operator, a filter of a comprehension, an assertion, a look-up in a table by the phase, an
attribute named after it. What counts as speaking of the phase: `.phase`, `.state`, `is_in(...)`,
`Phase`, a variable called `phase` or assigned from any of these, and a phase's name in quotes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import support_chat.runtime
from support_chat import Phase

SHELL = Path(support_chat.runtime.__file__).parents[1]
MODULES = (
    *(SHELL / name for name in ("session.py", "conversation.py", "pool.py")),
    *sorted((SHELL / "runtime").glob("*.py")),
)

ALLOWED = {
    "session.py: SupportChat.is_in": "the caller asks for the phase",
    "session.py: SupportChat.wait_for": "the caller names the phases; all are treated alike",
    "pool.py: SessionPool._taken": "a session that a page has destroyed is replaced by another",
    "runtime/shell.py: Shell.busy": "a stored fact is told, in whatever phase",
    "runtime/log.py: SessionLog.step": "the phase that a row leads to is logged, whichever",
}
"""Where the shell may look at the phase, and why that decides nothing."""

ATTRIBUTES = {"phase", "phases", "state", "is_in", "previous", "current"}
NAMES = {"phase", "phases", "Phase"}
WORDS = {phase.value for phase in Phase} - {"shutdown", "loading"}
"""Phases in quotes; two of them are words that name other things as well (a call, a slot) and would
cry wolf.
"""
LOOKUPS = {
    "get", "pop", "setdefault", "getattr", "hasattr", "startswith", "endswith", "index", "count",
}  # fmt: skip

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def speaks_of_a_phase(node: ast.AST, tainted: set[str]) -> bool:
    """Whether an expression reads the phase, by whatever name."""
    for part in ast.walk(node):
        match part:
            case ast.Attribute(attr=name) if name in ATTRIBUTES:
                return True
            case ast.Name(id=name) if name in NAMES | tainted:
                return True
            case ast.Constant(value=str(word)) if word in WORDS:
                return True
            case _:
                pass
    return False


def deciding(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node on which it depends what happens next."""
    match node:
        case (
            ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) | ast.Assert(test=test)
        ):
            yield test
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            yield node
        case ast.Match(subject=subject, cases=cases):
            yield subject
            for case in cases:
                yield case.pattern
        case ast.comprehension(ifs=filters):
            yield from filters
        case ast.Subscript(slice=key):
            yield key
        case ast.Dict(keys=keys):
            yield from (key for key in keys if key is not None)
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=arguments) if (
            name in LOOKUPS
        ):
            yield from arguments
        case _:
            pass


def tainted_by(function: ast.AST) -> set[str]:
    """The variables of a function that were assigned something of the phase, over as many steps as
    it takes.
    """
    tainted: set[str] = set()
    while True:
        more = set(tainted)
        for node in ast.walk(function):
            match node:
                case ast.Assign(targets=targets, value=value):
                    names: list[ast.expr] = targets
                case (
                    ast.AnnAssign(target=target, value=ast.expr() as value)
                    | ast.NamedExpr(target=target, value=value)
                ):
                    names = [target]
                case _:
                    continue
            # A call's result that merely contains the phase is something else, or nothing could be
            # assigned.
            if not isinstance(value, ast.Call) and speaks_of_a_phase(value, tainted):
                more.update(
                    part.id
                    for name in names
                    for part in ast.walk(name)
                    if isinstance(part, ast.Name)
                )
        if more == tainted:
            return tainted
        tainted = more


def branches(source: str) -> Iterator[tuple[str, int]]:
    """The function and the line of every branch on the phase in a module."""

    def visit(node: ast.AST, where: str, tainted: set[str]) -> Iterator[tuple[str, int]]:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            where = f"{where}.{node.name}" if where else node.name
        if isinstance(node, Function):
            tainted = tainted | tainted_by(node)
        for part in deciding(node):
            if speaks_of_a_phase(part, tainted):
                yield where, getattr(node, "lineno", getattr(part, "lineno", 0))
        for child in ast.iter_child_nodes(node):
            yield from visit(child, where, tainted)

    yield from visit(ast.parse(source), "", set())


def test_the_shell_does_not_branch_on_the_phase() -> None:
    assert len(MODULES) > 5
    found = {
        f"{path.relative_to(SHELL).as_posix()}: {function}": line
        for path in MODULES
        for function, line in branches(path.read_text("utf-8"))
    }
    unexpected = {where: line for where, line in found.items() if where not in ALLOWED}
    assert not unexpected, f"the chart decides, not the shell; make these rows of it: {unexpected}"


@pytest.mark.parametrize("where", ALLOWED)
def test_every_exception_is_still_needed(where: str) -> None:
    module, function = where.split(": ")
    assert function in {where for where, _ in branches((SHELL / module).read_text("utf-8"))}


PLANTED = (
    "if self.state.phase == Phase.READY: self.go()",
    "if self.state.phase != before.phase: self.go()",
    "if chat.state is Phase.READY: self.go()",
    "while self.chat.is_in(Phase.BOOTING): self.go()",
    "if not self.is_in(Phase.BOOTING): self.go()",
    "delay = 1.0 if self.state.phase in LIVE else 2.0",
    "go = self.state.phase in (Phase.ANONYMOUS, Phase.AUTHENTICATED)",
    "go = link is not None and self.is_in(Phase.ANONYMOUS)",
    "go = self.ready or self.state",
    "assert self.state.phase == 'destroyed'",
    "calls = [call for call in waiting if call.phase != phase]",
    "handler = HANDLERS[self.state.phase]",
    "handler = HANDLERS.get(self.state.phase)",
    "handler = getattr(self, f'on_{self.state.phase}')",
    "handlers = {Phase.READY: self.go, Phase.BOOTING: self.wait}",
    "where = self.state.phase\n    if where == other: self.go()",
    "here = self.state\n    there = here\n    if there.ready: self.go()",
    "if (where := self.state.phase) and where: self.go()",
    "if name == 'reconnecting': self.go()",
    "go = lambda: self.state.phase == wanted",
    "match self.state.phase:\n        case 'x': self.go()",
    "match name:\n        case Phase.READY: self.go()",
    "match name:\n        case 'booting': self.go()",
)


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_branch_is_found(planted: str) -> None:
    source = f"class Runner:\n  async def act(self, chat, name):\n    {planted}\n"
    assert {where for where, _ in branches(source)} == {"Runner.act"}


HARMLESS = (
    "LOG.debug('%s in %s', trigger, self.state.phase)",
    "error = make(refusal, trigger, self.state.phase)\n    if error: raise error",
    "self.state, row = COMPILED.fire(self.state, happening)\n    if row.effects: self.go()",
    "return Phase((self.runner.state if self.runner else FIRST).phase)",
    "if link is None: self.go()",
    "self.told = PhaseChanged(self.state.phase, reason)",
)


@pytest.mark.parametrize("harmless", HARMLESS)
def test_passing_the_phase_on_is_no_branch(harmless: str) -> None:
    assert list(branches(f"def act(self):\n    {harmless}\n")) == []

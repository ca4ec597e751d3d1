"""Whether something can last for ever: strongly connected components of what happens by itself.

Without another call, only outcomes and expiries happen. What is waited for can last for ever in two ways: in a state in which nothing
at all can happen, or on a cycle. A cycle counts only if it is fair: a timer that runs in all of its states, and that no step of it
fires or starts anew, would fire at last and end it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

from .explore import Space, Step
from .model import State


def by_itself(space: Space) -> dict[State, list[Step]]:
    """For each state the steps that need no call, hint or event: outcomes and expiries."""
    edges: dict[State, list[Step]] = defaultdict(list)
    opened = set(space.model.chart.events)
    for step in space.steps:
        if step.happening.of and step.happening.trigger not in opened:
            edges[step.before].append(step)
    return edges


def lasting(space: Space, waits: set[State]) -> State | None:
    """A state from which `waits` can go on for ever, or None."""
    edges = by_itself(space)
    for state in waits:
        if not edges[state] and space.complete:
            return state
    inside = {state: [step for step in edges[state] if step.after in waits] for state in waits}
    for component in components(inside):
        members = set(component)
        steps = [step for state in component for step in inside[state] if step.after in members]
        if steps and _fair(space, component, steps):
            return component[0]
    return None


def _fair(space: Space, states: Iterable[State], steps: Iterable[Step]) -> bool:
    """Whether no timer runs all through this cycle without being fired or started anew by one of its steps."""
    model, always = space.model, -1
    for state in states:
        always &= state
    touched = {name for step in steps for row in step.rows for name in row.effects}
    for timer, bit in model.running.items():
        if always & bit:
            armed = any(getattr(model.chart.effects[effect], "timer", None) == timer for effect in touched)
            fired = any(step.happening.of == timer for step in steps)
            if not armed and not fired:
                return False
    return True


def components(edges: dict[State, list[Step]]) -> list[list[State]]:
    """The strongly connected components of a graph (Tarjan's algorithm, without recursion)."""
    index: dict[State, int] = {}
    low: dict[State, int] = {}
    stack: list[State] = []
    on_stack: set[State] = set()
    found: list[list[State]] = []
    for root in edges:
        if root in index:
            continue
        work = [(root, iter([step.after for step in edges[root]]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            state, successors = work[-1]
            for after in successors:
                if after not in index:
                    index[after] = low[after] = len(index)
                    stack.append(after)
                    on_stack.add(after)
                    work.append((after, iter([step.after for step in edges[after]])))
                    break
                if after in on_stack:
                    low[state] = min(low[state], index[after])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[state])
                if low[state] == index[state]:
                    component: list[State] = []
                    while not component or component[-1] != state:
                        component.append(stack.pop())
                        on_stack.discard(component[-1])
                    found.append(component)
    return found


def can_reach(space: Space, begins: set[State], ends: set[State], calls: bool) -> State | None:
    """A state of `begins` from which none of `ends` can be reached, or None; by what happens by itself, and by `calls` too."""
    before: dict[State, list[State]] = defaultdict(list)
    for step in space.steps:
        if calls or step.happening.of:
            before[step.after].append(step.before)
    reached, frontier = set(ends), deque(ends)
    while frontier:
        for state in before[frontier.popleft()]:
            if state not in reached:
                reached.add(state)
                frontier.append(state)
    return next((state for state in begins if state not in reached), None)

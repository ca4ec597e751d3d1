"""How pictures and tables put a chart into words: guards, sets of phases, calls. One wording for
every writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from support_chat import Chart, Transition

ANY = "any phase"
"""What every phase of a chart together is called."""


def guard(row: Transition) -> str:
    """The guard of a transition as `[booted & !late]`, or an empty text where there is none."""
    parts = [*(str(fact) for fact in row.when), *(f"!{fact}" for fact in row.unless)]
    return f"[{' & '.join(parts)}]" if parts else ""


def calls(chart: Chart) -> tuple[str, ...]:
    """The external triggers that do not come in by themselves: what a program calls or hints."""
    return tuple(str(trigger) for trigger in chart.external if trigger not in chart.events)


def composites(chart: Chart) -> Mapping[str, tuple[str, ...]]:
    """The phases of each composite that is drawn as a frame, by its name: the outermost ones."""
    spans = {part.name: tuple(map(str, part.phases)) for part in chart.composites if part.phases}
    return {
        name: phases
        for name, phases in spans.items()
        if not any(set(phases) < set(others) for others in spans.values())
    }


def spoken(
    chart: Chart, triggers: Iterable[str], rank: Callable[[str], tuple[int, ...]] = lambda _: ()
) -> tuple[str, ...]:
    """The triggers as labels, each once, calls as `boot()`: by `rank`, then calls first, then in
    the chart's order.
    """
    called, wanted = calls(chart), set(triggers)
    ordered = sorted(
        (t for t in chart.triggers if t in wanted), key=lambda t: (*rank(t), t not in called)
    )
    return tuple(f"{t}()" if t in called else str(t) for t in ordered)


def taken_together(chart: Chart, phases: Iterable[str]) -> tuple[str, ...]:
    """The phases in the chart's order, a whole composite by its name; all of them as `any
    phase`.
    """
    wanted = set(phases)
    if wanted >= set(chart.phases):
        return (ANY,)
    names: list[str] = []
    for phase in chart.phases:
        if phase not in wanted:
            continue
        whole = next(
            (
                name
                for name, members in composites(chart).items()
                if phase in members and wanted.issuperset(members)
            ),
            None,
        )
        name = whole or str(phase)
        if name not in names:
            names.append(name)
    return tuple(names)


def all_but(chart: Chart, phases: Iterable[str]) -> str:
    """The phases in one short phrase: `live, shutdown`, or `any phase but destroyed` where that is
    shorter.
    """
    wanted = set(phases)
    missing = [str(phase) for phase in chart.phases if phase not in wanted]
    if 0 < len(missing) <= 2 < len(wanted):
        return f"{ANY} but {', '.join(missing)}"
    return ", ".join(taken_together(chart, wanted))

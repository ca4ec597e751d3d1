"""The language of charts: transitions, facts and effects as plain data, and the `Chart` that owns
their alphabets.

A chart says everything about a lifecycle and does nothing. Whoever runs it (`chart.machine`), draws
it, compares it or checks it reads the same rows. Names are strings, so that a chart of your own may
extend the shipped one or stand alone; `StrEnum` members are strings too.

- A *phase* is where the lifecycle stands. A *trigger* is what happens: a call, an outcome, an
  expiry, an event, a hint.
- A *fact* is a named boolean; a guard is a conjunction of facts (`when`) and negated facts
  (`unless`), nothing else: it prints in a diagram, enumerates, and exports to any checker.
- A *register* holds who is who (a user's id or nobody); `Same` and `Present` make facts of
  registers by declaration.
- An *effect* is what is asked of the world; its spec declares what may come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import attrs

from ..errors import SupportChatError


def _rows(value: Iterable[Transition]) -> tuple[Transition, ...]:
    return tuple(value)


def _entries(value: Iterable[Ignored]) -> tuple[Ignored, ...]:
    return tuple(value)


def _names(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen
class Refusal:
    """An error as data: which class it is and the sentence that names the way out (`{call}` and
    `{phase}` are filled in).
    """

    error: type[SupportChatError]
    message: str

    def make(self, call: str, phase: str) -> SupportChatError:
        """The error itself, for this call in this phase."""
        return self.error(self.message.format(call=call, phase=phase))


@attrs.frozen(kw_only=True)
class Transition:
    """One row of a chart: in one of `sources`, on `trigger`, if the guard holds, go to `target`
    with these `effects`.

    `name` is unique and stable: logs, diffs, coverage and counterexamples use it. `group` says what
    the user is doing. `trigger` may name several triggers that are treated alike. `target` None
    stays where it is. `assigns` maps a register to the register it takes its value from (None: to
    nobody), all read before any is written. `error` is what the effects that refuse or fail a call
    raise, `reason` what a change of phase tells its listeners.
    """

    name: str
    group: str
    trigger: tuple[str, ...] = attrs.field(converter=_names)
    sources: tuple[str, ...] = attrs.field(converter=_names)
    target: str | None = None
    when: tuple[str, ...] = attrs.field(default=(), converter=_names)
    unless: tuple[str, ...] = attrs.field(default=(), converter=_names)
    sets: tuple[str, ...] = attrs.field(default=(), converter=_names)
    clears: tuple[str, ...] = attrs.field(default=(), converter=_names)
    assigns: Mapping[str, str | None] = attrs.field(factory=dict[str, "str | None"], hash=False)
    effects: tuple[str, ...] = attrs.field(default=(), converter=_names)
    error: Refusal | None = None
    reason: str = ""


@attrs.frozen(kw_only=True)
class Ignored:
    """Triggers that change nothing in these phases, on purpose, and why."""

    triggers: tuple[str, ...] = attrs.field(converter=_names)
    phases: tuple[str, ...] = attrs.field(converter=_names)
    because: str


# --- facts: where a guard's booleans come from ----------------------------------------------------


@attrs.frozen
class Stored:
    """A fact that transitions set and clear."""

    doc: str


@attrs.frozen
class Carried:
    """A fact that the trigger brings along: an option of the call, a property of the outcome. Free
    for a checker.
    """

    doc: str


@attrs.frozen
class Booked:
    """A fact computed from the book (counters, tags, records) by a pure function.

    For a checker, which has no book: `clears` are the effects after which it certainly does not
    hold, `raises` those after which it may hold and `frees` those after which it may be either.
    After every other effect it is as it was. What is booked `of` a register does not come to hold
    while that names nobody.
    """

    doc: str
    raises: tuple[str, ...] = attrs.field(default=(), converter=_names, kw_only=True)
    clears: tuple[str, ...] = attrs.field(default=(), converter=_names, kw_only=True)
    frees: tuple[str, ...] = attrs.field(default=(), converter=_names, kw_only=True)
    of: str | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class Same:
    """A fact that two registers name the same one (or both nobody)."""

    doc: str
    left: str
    right: str


@attrs.frozen
class Present:
    """A fact that a register names somebody."""

    doc: str
    register: str


FactKind: TypeAlias = "Stored | Carried | Booked | Same | Present"
"""How a fact of a chart comes to be true."""

# --- effects: what is asked of the world, and what may come back ----------------------------------


@attrs.frozen(kw_only=True)
class Ask:
    """An adapter is asked to do something that takes time; it ends in exactly one of the outcomes,
    each a trigger.

    `refusal` is the outcome of an AuthRefusedError or a TokenRefusedError, `rejection` of a
    BackendRejectedError or an InvalidInputError (no retry helps); where one is not named, and for
    everything else that is raised, for a result of the wrong type and for the limit, the outcome is
    `failure`. `limit` names the Settings attribute that bounds it. Only the last one asked on a
    `lane` is current, unless there may be `several`, which share the lane's tag; `dispose` says
    what becomes of a success that comes too late.
    """

    doc: str
    success: str
    failure: str
    refusal: str | None = None
    rejection: str | None = None
    limit: str
    dispose: str
    lane: str
    several: bool = False
    writes: tuple[str, ...] = attrs.field(default=(), converter=_names)
    """What may be stored from the moment this begins, whatever its outcome; the ledger of a checker
    keeps account of it.
    """
    erases: tuple[str, ...] = attrs.field(default=(), converter=_names)
    """What is certainly stored no more once this has succeeded."""

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Every trigger this effect may end in, each once."""
        return tuple(
            dict.fromkeys(
                t for t in (self.success, self.refusal, self.rejection, self.failure) if t
            )
        )


@attrs.frozen(kw_only=True)
class Arm:
    """A timer is started, or started anew; its expiry is a trigger. `delay` names the pure function
    that says how long.

    An `optional` one may have no delay to run for, and then does not run.
    """

    doc: str
    timer: str
    expiry: str
    delay: str
    optional: bool = False


@attrs.frozen(kw_only=True)
class Disarm:
    """Timers are stopped; stopping one that does not run is fine."""

    doc: str
    timers: tuple[str, ...] = attrs.field(converter=_names)


@attrs.frozen(kw_only=True)
class Join:
    """The call that is the trigger waits for what this slot waits for."""

    doc: str
    slot: str


@attrs.frozen(kw_only=True)
class Settle:
    """Every call waiting in the slot succeeds."""

    doc: str
    slot: str


@attrs.frozen(kw_only=True)
class Fail:
    """Every call waiting in the slot fails, with the row's error, else with the one the trigger
    brings.
    """

    doc: str
    slot: str


@attrs.frozen(kw_only=True)
class Raise:
    """An internal trigger, run to completion before the next call or outcome."""

    doc: str
    trigger: str


@attrs.frozen(kw_only=True)
class Note:
    """Something is written down (in the book), answered or told at once; nothing comes back.

    `opens` names a lane on which events may come in from now on, until it is abandoned.
    """

    doc: str
    opens: str | None = None


@attrs.frozen(kw_only=True)
class Detach:
    """Calls waiting in the slots wait from now on for what is under way on the lane, and for
    nothing else; it is not superseded.
    """

    doc: str
    slots: tuple[str, ...] = attrs.field(converter=_names)
    lane: str


@attrs.frozen(kw_only=True)
class Abandon:
    """What is under way on these lanes is superseded: cancelled where possible, disposed of when it
    comes in all the same.
    """

    doc: str
    lanes: tuple[str, ...] = attrs.field(converter=_names)


EffectSpec: TypeAlias = (
    "Ask | Arm | Disarm | Join | Settle | Fail | Raise | Note | Detach | Abandon"
)
"""What an effect declares."""


def _by_pair(chart: Chart) -> Mapping[tuple[str, str], tuple[Transition, ...]]:
    """The rows of each pair: checking, compiling and drawing ask for hundreds of pairs, and a pair
    has few rows.
    """
    index: dict[tuple[str, str], list[Transition]] = {}
    for row in chart.transitions:
        for pair in dict.fromkeys(
            (phase, trigger) for trigger in row.trigger for phase in row.sources
        ):
            index.setdefault(pair, []).append(row)
    return {pair: tuple(rows) for pair, rows in index.items()}


@attrs.frozen(kw_only=True)
class Chart:
    """A whole lifecycle as data; building one checks it, and a faulty one raises ChartError with
    every fault.

    `external` are the triggers that come from outside (calls, hints, events); every other one must
    be produced by an effect. `registers` are stored; `named` is the register that a trigger brings
    along (None where there is none).
    """

    name: str
    initial: str
    phases: tuple[str, ...] = attrs.field(converter=_names)
    triggers: tuple[str, ...] = attrs.field(converter=_names)
    external: tuple[str, ...] = attrs.field(converter=_names)
    facts: Mapping[str, FactKind] = attrs.field(factory=dict[str, "FactKind"], hash=False)
    registers: tuple[str, ...] = attrs.field(default=(), converter=_names)
    named: str | None = None
    effects: Mapping[str, EffectSpec] = attrs.field(factory=dict[str, "EffectSpec"], hash=False)
    transitions: tuple[Transition, ...] = attrs.field(converter=_rows)
    ignored: tuple[Ignored, ...] = attrs.field(default=(), converter=_entries)
    events: Mapping[str, str] = attrs.field(factory=dict[str, str], hash=False)
    """The external triggers that come in by themselves on an open lane, by that lane."""
    naming: tuple[str, ...] = attrs.field(default=(), converter=_names)
    """The triggers that always name somebody."""
    late: str | None = None
    """The fact that an outcome is superseded; what is not late is current."""
    composites: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict[str, "tuple[str, ...]"], hash=False
    )
    """Phases that a picture may show as one, by the name of the whole."""

    _rows: Mapping[tuple[str, str], tuple[Transition, ...]] = attrs.field(
        init=False, repr=False, eq=False, default=attrs.Factory(_by_pair, takes_self=True)
    )

    def __attrs_post_init__(self) -> None:
        from .validation import check

        check(self)

    def rows(self, phase: str, trigger: str) -> tuple[Transition, ...]:
        """The transitions that may fire on `trigger` in `phase`, in the order of the chart."""
        return self._rows.get((phase, trigger), ())

    @property
    def groups(self) -> tuple[str, ...]:
        """What the user may be doing, in the order in which the chart tells it."""
        return tuple(dict.fromkeys(row.group for row in self.transitions))

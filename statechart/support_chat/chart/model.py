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
- A *composite* is a part of the lifecycle with a beginning and an end, and says once what every row
  that begins or ends it does (`chart.composites`).

What a name means beyond that (how a fact is read from the context, what an effect changes in it) is
a pure function beside the name, for whoever runs the chart (`support_chat.engine`). Pictures,
checkers and exported files do without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias, cast

import attrs

from ..errors import SupportChatError


def _rows(value: Iterable[Transition]) -> tuple[Transition, ...]:
    return tuple(value)


def _entries(value: Iterable[Ignored]) -> tuple[Ignored, ...]:
    return tuple(value)


def _parts(value: Iterable[Composite] | Mapping[str, Iterable[str]]) -> tuple[Composite, ...]:
    if isinstance(value, Mapping):  # phases that a picture shows as one, by the name of the whole
        wholes = cast("Mapping[str, Iterable[str]]", value)
        return tuple(Composite(name=name, phases=phases) for name, phases in wholes.items())
    return tuple(value)


def _names(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


Reader: TypeAlias = "Callable[[Any, Any], bool]"
"""Reads a fact: takes the context and the moment (`support_chat.engine.Moment`)."""
Reducer: TypeAlias = "Callable[[Any, Any], Any]"
"""Changes the context: takes it and the moment, returns the next one."""
Emitter: TypeAlias = "Callable[[Any, Any], Iterable[Any]]"
"""The events of an effect: takes the context before it and the moment."""


def _carried(
    value: Mapping[str, str | Iterable[str]] | None,
) -> Mapping[str, tuple[str, ...]] | None:
    return None if value is None else {trigger: _names(what) for trigger, what in value.items()}


def _code() -> Any:
    """A function beside a name: it is neither compared nor exported."""
    return attrs.field(default=None, repr=False, eq=False, kw_only=True, metadata={"code": True})


@attrs.frozen
class Refusal:
    """An error as data: which class it is and the sentence that names the way out (`{call}` and
    `{phase}` are filled in). `details` completes the error from the context and the moment.
    """

    error: type[SupportChatError]
    message: str
    details: Callable[[Any, Any, Any], None] | None = _code()

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


@attrs.frozen(kw_only=True)
class Composite:
    """A part of the lifecycle with a beginning and an end: some `phases`, or the time while the
    stored `fact` holds.

    A row that begins it runs the effects in `entry`. One that ends it runs those in `exit`, clears
    the facts in `clears` and assigns the registers in `assigns`. A composite `within` another ends
    with it: its facts are cleared, and of all that end at once only the outermost runs its exit.
    One without entry and exit is there for pictures.
    """

    name: str
    doc: str = ""
    phases: tuple[str, ...] = attrs.field(default=(), converter=_names)
    fact: str | None = None
    within: str | None = None
    entry: tuple[str, ...] = attrs.field(default=(), converter=_names)
    exit: tuple[str, ...] = attrs.field(default=(), converter=_names)
    clears: tuple[str, ...] = attrs.field(default=(), converter=_names)
    assigns: Mapping[str, str | None] = attrs.field(factory=dict[str, "str | None"], hash=False)

    def begins(self, row: Transition) -> bool:
        """Whether this row begins it."""
        if self.fact is not None:
            return self.fact in row.sets
        return row.target in self.phases and set(self.phases).isdisjoint(row.sources)

    def ends(self, row: Transition) -> bool:
        """Whether this row ends it, from whichever of its sources."""
        if self.fact is not None:
            return self.fact in row.clears
        leaves = row.target is not None and row.target not in self.phases
        return leaves and not set(self.phases).isdisjoint(row.sources)


# --- facts: where a guard's booleans come from ----------------------------------------------------


@attrs.frozen
class FactKind:
    """How a fact of a chart comes to be true: in a sentence here, and by its class."""

    doc: str


@attrs.frozen
class Stored(FactKind):
    """A fact that transitions set and clear."""


@attrs.frozen
class Carried(FactKind):
    """A fact that the trigger brings along: an option of the call, a property of the outcome. Free
    for a checker; an internal trigger carries nothing. Which triggers may bring it says
    `Chart.carries`; `reads` finds it in the moment.
    """

    reads: Reader | None = _code()


@attrs.frozen
class Derived(FactKind):
    """A fact of the context (counters, records, secrets), which `reads` derives from it.

    For a checker, which has no context: `sets` are the effects after which it certainly holds,
    `clears` those after which it certainly does not, `raises` those after which it may hold,
    `lowers` those after which it may hold no more, and `frees` those after which it may be either.
    After every other effect it is as it was. What is derived `of` a register does not come to hold
    while that names nobody.
    """

    sets: tuple[str, ...] = attrs.field(default=(), converter=_names, kw_only=True)
    raises: tuple[str, ...] = attrs.field(default=(), converter=_names, kw_only=True)
    lowers: tuple[str, ...] = attrs.field(default=(), converter=_names, kw_only=True)
    clears: tuple[str, ...] = attrs.field(default=(), converter=_names, kw_only=True)
    frees: tuple[str, ...] = attrs.field(default=(), converter=_names, kw_only=True)
    of: str | None = attrs.field(default=None, kw_only=True)
    reads: Reader | None = _code()


@attrs.frozen
class Same(FactKind):
    """A fact that two registers name the same one (or both nobody)."""

    left: str
    right: str


@attrs.frozen
class Present(FactKind):
    """A fact that a register names somebody."""

    register: str


# --- effects: what is asked of the world, and what may come back ----------------------------------


@attrs.frozen
class Blame:
    """Whose fault a failure is: the error that callers are told, `who` failed and the `way_out`.

    Errors of the classes in `refusals`, `rejections`, `strangers` and `ended` speak for themselves,
    and so does `error`.
    """

    error: type[SupportChatError]
    who: str
    way_out: str
    refusals: tuple[type[SupportChatError], ...] = ()
    rejections: tuple[type[SupportChatError], ...] = ()
    strangers: tuple[type[SupportChatError], ...] = ()
    ended: tuple[type[SupportChatError], ...] = ()

    @property
    def allowed(self) -> tuple[type[SupportChatError], ...]:
        """What may be raised; anything else is a fault of the adapter."""
        return (self.error, *self.refusals, *self.rejections, *self.strangers, *self.ended)


def _disposal(value: Any) -> Any:
    return value if callable(value) else None  # 0.1 had a sentence here, which nobody read


@attrs.frozen(kw_only=True)
class EffectSpec:
    """What an effect declares: in a sentence here, and by its class."""

    doc: str


@attrs.frozen(kw_only=True)
class Ask(EffectSpec):
    """An adapter is asked to do something that takes time; it ends in exactly one of the outcomes,
    each a trigger.

    `refusal` is the outcome of an AuthRefusedError or a TokenRefusedError, `rejection` of a
    BackendRejectedError or an InvalidInputError (no retry helps), `stranger` of a NotABackendError
    (somebody else has answered), `ended` of a VisitorEndedError; where one is not named, and for
    everything else that is raised, for a result of the wrong type and for the limit, the outcome is
    `failure`. `limit` names the Settings attribute that bounds it. Only the last one asked on a
    `lane` is current, unless there may be `several`: those belong to the calls that asked them, or
    to nobody in a `batch`, for which `request` gives any number of things to ask for.

    `request` says what to ask, `answers` of which types the result may be, and `reads` makes of it
    what the chart needs (and may raise as the adapter may). `dispose` says by which commands a
    success that comes too late is undone. With `takes_link` the open link goes with the request,
    and is closed when that ends.
    """

    success: str
    failure: str
    refusal: str | None = None
    rejection: str | None = None
    stranger: str | None = None
    ended: str | None = None
    limit: str
    lane: str
    several: bool = False
    batch: bool = False
    takes_link: bool = False
    writes: tuple[str, ...] = attrs.field(default=(), converter=_names)
    """What may be stored from the moment this begins, whatever its outcome; the ledger of a checker
    keeps account of it.
    """
    erases: tuple[str, ...] = attrs.field(default=(), converter=_names)
    """What is certainly stored no more once this has succeeded."""
    request: Callable[[Any, Any], Any] | None = _code()
    answers: tuple[type, ...] = attrs.field(default=(object,), eq=False, metadata={"code": True})
    reads: Callable[[Any, Any, Any], Any] | None = _code()
    """Takes the request, the result and `Now`."""
    reduce: Reducer | None = _code()
    dispose: Callable[[Any, Any, Any], Iterable[Any]] | None = attrs.field(
        default=None, converter=_disposal, repr=False, eq=False, metadata={"code": True}
    )
    """Takes the request, the result (None: of no use) and the settings."""
    blame: Blame | None = _code()
    lost: Refusal | None = _code()
    """The error of a call that asked one of `several`, if it is abandoned."""

    @property
    def failures(self) -> tuple[str, ...]:
        """Every trigger that an error may end it in, the common one last."""
        noes = (self.refusal, self.rejection, self.stranger, self.ended, self.failure)
        return tuple(trigger for trigger in noes if trigger)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Every trigger this effect may end in, each once."""
        ends = (self.success, *self.failures)
        return tuple(dict.fromkeys(ends))


@attrs.frozen(kw_only=True)
class Arm(EffectSpec):
    """A timer is started, or started anew; its expiry is a trigger. `delay` names the pure function
    that says how long.

    An `optional` one may have no delay to run for, and then does not run.
    """

    timer: str
    expiry: str
    delay: str
    optional: bool = False
    reduce: Reducer | None = _code()
    emits: Callable[[Any, Any, float], Iterable[Any]] | None = _code()
    """The events: takes the context, the moment and the seconds that it will run."""


@attrs.frozen(kw_only=True)
class Disarm(EffectSpec):
    """Timers are stopped; stopping one that does not run is fine."""

    timers: tuple[str, ...] = attrs.field(converter=_names)


@attrs.frozen(kw_only=True)
class Join(EffectSpec):
    """The call that is the trigger waits for what this slot waits for.

    `limit` names the Settings attribute that bounds the wait, unless the call brings a `timeout` of
    its own; then it ends with the error `late`. `abandoned` is the trigger when nobody is left in
    the slot who is awaited, cancelled or out of time.
    """

    slot: str
    abandoned: str | None = None
    limit: str | None = None
    late: Refusal | None = _code()
    reduce: Reducer | None = _code()


@attrs.frozen(kw_only=True)
class Hold(EffectSpec):
    """The call that is the trigger is kept by the context, until an `Answer` says what came of it.
    `abandoned` is the trigger when nobody awaits it any more.

    `limit` names the Settings attribute that says how long it is kept, unless it brings a `timeout`
    of its own; `linked` that of calls which are kept no longer than a lane is open for events. The
    context sees to it: when a kept call has no time left, the `timer` expires.
    """

    abandoned: str
    limit: str | None = None
    linked: str | None = None
    timer: str | None = None
    reduce: Reducer | None = _code()
    emits: Emitter | None = _code()


@attrs.frozen(kw_only=True)
class Answer(EffectSpec):
    """Calls that the context keeps are told what came of them: `answers` gives a call, its result
    and its error, for each.
    """

    answers: Callable[[Any], Iterable[tuple[int, Any, Exception | None]]] | None = _code()
    reduce: Reducer | None = _code()
    emits: Emitter | None = _code()


@attrs.frozen(kw_only=True)
class Settle(EffectSpec):
    """Every call waiting in the slot succeeds."""

    slot: str


@attrs.frozen(kw_only=True)
class Fail(EffectSpec):
    """Every call waiting in the slot fails, with the row's error, else with the one the trigger
    brings.
    """

    slot: str


@attrs.frozen(kw_only=True)
class Done(EffectSpec):
    """The call that is the trigger succeeds, now."""


@attrs.frozen(kw_only=True)
class Refuse(EffectSpec):
    """The call that is the trigger fails with the row's error, now."""


@attrs.frozen(kw_only=True)
class Reply(EffectSpec):
    """The call that asked one of `several` is settled with the outcome that is the trigger."""

    reduce: Reducer | None = _code()


@attrs.frozen(kw_only=True)
class Raise(EffectSpec):
    """An internal trigger: it runs before anything else can happen. One that `carries` goes on with
    the call that has caused the step, as if that call had been made.
    """

    trigger: str
    carries: bool = False


@attrs.frozen(kw_only=True)
class Note(EffectSpec):
    """The context changes, or listeners hear something; nothing comes back.

    `opens` names a lane on which events may come in from now on, until it is abandoned: the link
    that the trigger brings is kept.
    """

    opens: str | None = None
    reduce: Reducer | None = _code()
    emits: Emitter | None = _code()


@attrs.frozen(kw_only=True)
class Detach(EffectSpec):
    """Calls waiting in the slots wait from now on for what is under way on the lane, and for
    nothing else; it is not superseded.
    """

    slots: tuple[str, ...] = attrs.field(converter=_names)
    lane: str


@attrs.frozen(kw_only=True)
class SettleDetached(EffectSpec):
    """Calls that wait for this outcome on the lane alone succeed; by any other trigger, all do that
    wait for one.
    """

    lane: str


@attrs.frozen(kw_only=True)
class Abandon(EffectSpec):
    """What is under way on these lanes is superseded: cancelled where possible, disposed of when it
    comes in all the same. A link that is open on one of them is closed.
    """

    lanes: tuple[str, ...] = attrs.field(converter=_names)
    reduce: Reducer | None = _code()


@attrs.frozen(kw_only=True)
class Inform(EffectSpec):
    """An adapter is asked for something of which nobody awaits the outcome: it may come late, fail
    or never be done without harm. `request` says what to ask, or None for nothing; `limit` names
    the Settings attribute that bounds it.
    """

    limit: str
    request: Callable[[Any, Any], Any] | None = _code()


@attrs.frozen(kw_only=True)
class Dispose(EffectSpec):
    """What came too late is undone, as its effect declares."""


class Span(NamedTuple):
    """How long a delay is, at least and at most, in seconds; `by` names what sets the most: an
    attribute of Settings, or what else it is.
    """

    least: float
    most: float
    by: str


@attrs.frozen(kw_only=True)
class Semantics:
    """What running a chart takes beside its rows, facts and effects; all functions are pure."""

    context: Any
    """What is known before anything has happened."""
    delays: Mapping[str, Callable[[Any, Any], float | None]]
    """Seconds that a timer runs, by the name in `Arm.delay`, from the context and the moment."""
    spans: Mapping[str, Callable[[Any], Span]] = attrs.field(factory=dict[str, Any], hash=False)
    """How long each of these delays is with given settings; for who computes how long a call can
    wait.
    """
    names: Callable[[Any], str | None]
    """Whom a moment names: the value of the register `Chart.named`."""
    hears: Callable[[Any], tuple[str, Exception | None] | None]
    """The trigger, and the error it brings, of an event of a link (None: the link is lost)."""
    results: Mapping[str, Callable[[Any, Any], Any]]
    """What a call returns when it succeeds, by its trigger, from the context and the moment."""
    calls: Callable[[str, Any], str]
    """What users call the call of this trigger with these arguments."""
    moves: Callable[[str, str, str], Any]
    """The event of a change of phase: from where, to where, for which reason."""
    changes: Callable[[Any, Any], Iterable[Any]]
    """The events of a whole step, from the context before and after it."""


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
    carries: Mapping[str, tuple[str, ...]] | None = attrs.field(
        default=None, converter=_carried, hash=False
    )
    """What each trigger may bring along from outside: carried facts, and `named` if it may name
    somebody; one that is not here brings nothing. A row reads no more of its trigger than that, and
    a checker tries all of it, whether a row reads it or not: a chart that forgets an option does
    not get by. None: each trigger brings what the rows of the phase read, and no more is tried.
    """
    late: str | None = None
    """The fact that an outcome or an event of a lane is superseded. Such a one fires the `late` row
    of its phase, of which there is exactly one; no other row is asked, so none need mention it.
    """
    composites: tuple[Composite, ...] = attrs.field(default=(), converter=_parts)
    """The parts of the lifecycle with entry and exit; `transitions` have both written out."""
    semantics: Semantics | None = _code()

    _rows: Mapping[tuple[str, str], tuple[Transition, ...]] = attrs.field(
        init=False, repr=False, eq=False, default=attrs.Factory(_by_pair, takes_self=True)
    )

    def __attrs_post_init__(self) -> None:
        from .validation import check

        check(self)

    def __repr__(self) -> str:
        sizes = f"{len(self.phases)} phases, {len(self.transitions)} transitions"
        return f"<Chart {self.name!r}: {sizes}, begins in {str(self.initial)!r}>"

    def _repr_svg_(self) -> str:
        """Its picture, which a notebook shows in its place."""
        # the one place where the library imports an adapter: when it is asked to show itself
        from support_chat_adapters.diagrams import picture

        return picture(self)

    def rows(self, phase: str, trigger: str) -> tuple[Transition, ...]:
        """The transitions that may fire on `trigger` in `phase`, in the order of the chart."""
        return self._rows.get((phase, trigger), ())

    @property
    def superseding(self) -> frozenset[str]:
        """The triggers that may be late: outcomes, and events of a lane."""
        asks = (spec for spec in self.effects.values() if isinstance(spec, Ask))
        return frozenset((*(trigger for ask in asks for trigger in ask.outcomes), *self.events))

    @property
    def groups(self) -> tuple[str, ...]:
        """What the user may be doing, in the order in which the chart tells it."""
        return tuple(dict.fromkeys(row.group for row in self.transitions))

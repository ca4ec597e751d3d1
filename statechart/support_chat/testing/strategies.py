"""Hypothesis strategies: options of the calls, steps of a chart, and whole lives of a session, for
property tests of your own.

    from hypothesis import given
    from support_chat.testing import strategies as chats

    @given(chats.lives())
    def test_my_panel_always_shows_the_phase(moves): ...

Everything drawn is valid: what a session refuses, it refuses for what it was called in, not for
how. It needs hypothesis, which `pip install "support-chat[testing]"` brings.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import attrs

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ModuleNotFoundError as error:
    if error.name != "hypothesis":
        raise
    raise ModuleNotFoundError(
        "support_chat.testing.strategies makes up examples with hypothesis: pip install "
        '"support-chat[testing]".',
        name="hypothesis",
    ) from None

from ..chart.machine import Compiled, Input, State
from ..chart.model import Present, Same, Stored, Transition
from ..errors import (
    AuthRefusedError,
    BackendRejectedError,
    NetworkError,
    NotABackendError,
    RateLimitedError,
    StorageError,
    VisitorEndedError,
)
from ..ports import (
    IdentifyAnswer,
    LinkEvent,
    MessageArrived,
    OwnerChanged,
    ReadAnswer,
    ReadUpTo,
    RenewAnswer,
    SessionRevoked,
    TokenExpired,
    UpdateAnswer,
    Welcome,
)
from ..settings import Settings
from ..values import JSON, UNSET, Agent, Company, Conversation, Message, NotMergedBecause, User
from .lives import (
    Abandoned,
    Arrived,
    Called,
    Elapsed,
    LinkLost,
    MintedTokens,
    Move,
    NetworkChanged,
    NextAnswers,
    NextFails,
)

PEOPLE: Final = ("ann", "bob")
"""The users of a life: two, so that calls of the same and of another user come up often."""


# --- values and options ---------------------------------------------------------------------------


def texts(*, max_size: int = 30) -> SearchStrategy[str]:
    """Texts that can be sent: of any script, empty ones too, but without lone surrogates."""
    return st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=max_size
    )


def ids() -> SearchStrategy[str]:
    """Ids of users, companies, workspaces: not empty, at most 255 characters, no control character,
    no blank at either end.
    """
    text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
    clean = text.filter(lambda made: made == made.strip())
    return st.one_of(st.sampled_from(PEOPLE), clean, st.just("x" * 255))


def json_values() -> SearchStrategy[JSON]:
    """What a trait may hold: any JSON, nested too, with finite numbers."""
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        texts(),
    )
    return st.recursive(
        plain,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(texts(), inner, max_size=3)
        ),
        max_leaves=6,
    )


def traits(*, max_size: int = 4) -> SearchStrategy[dict[str, JSON]]:
    """Traits, or a context: names to JSON, far below the 16 KiB that are allowed."""
    names = st.one_of(st.sampled_from(("role", "plan", "current_page")), texts().filter(bool))
    return st.dictionaries(names, json_values(), max_size=max_size)


def users(user_ids: SearchStrategy[str] | None = None) -> SearchStrategy[User]:
    """Users, with and without an e-mail, a name and traits; None among them, which erases."""
    described = st.one_of(st.just(UNSET), st.none(), texts())
    return st.builds(
        User,
        ids() if user_ids is None else user_ids,
        email=described,
        name=described,
        traits=traits(),
    )


def companies() -> SearchStrategy[Company]:
    """Companies, with and without a name, a plan and traits."""
    described = st.one_of(st.just(UNSET), st.none(), texts())
    return st.builds(Company, ids(), name=described, plan=described, traits=traits())


def contexts() -> SearchStrategy[dict[str, JSON]]:
    """Contexts, as update() takes them."""
    return traits()


def as_mapping(value: User | Company) -> dict[str, Any]:
    """The same as a mapping of its keys, without those that are not given: what a frontend passes
    on that has JSON.
    """
    return {
        name: item for name, item in attrs.asdict(value, recurse=False).items() if item is not UNSET
    }


def settings() -> SearchStrategy[Settings]:
    """Valid `Settings`: any limits and delays from milliseconds to hours."""
    seconds = st.floats(min_value=0.001, max_value=3600.0)
    free = {
        field.name: seconds
        for field in attrs.fields(Settings)
        if not field.name.startswith("backoff")
    }
    free |= dict.fromkeys(("update_burst", "outbox_size"), st.integers(1, 100))

    def completed(drawn: Mapping[str, Any]) -> Settings:
        shortest = drawn["shortest"]
        rest = {name: value for name, value in drawn.items() if name in free}
        return Settings(
            backoff_min=shortest,
            backoff_base=shortest + drawn["base"],
            backoff_max=shortest + drawn["longest"],
            **rest,
        )

    return st.fixed_dictionaries(
        {**free, "shortest": seconds, "base": seconds, "longest": seconds}
    ).map(completed)


def token_providers(user_id: str) -> SearchStrategy[MintedTokens]:
    """Token providers for a user, whose tokens live minutes, hours, or for ever."""
    return st.builds(MintedTokens, st.just(user_id), _LIFETIMES)


_LIFETIMES: Final = st.one_of(st.none(), st.integers(90, 7200))


def _options_of(
    people: SearchStrategy[User] | None, *, anonymous: bool
) -> SearchStrategy[dict[str, Any]]:
    given, company, seconds = (
        users() if people is None else people,
        companies(),
        st.floats(min_value=0.001, max_value=600.0),
    )

    @st.composite
    def options(draw: st.DrawFn) -> dict[str, Any]:
        drawn: dict[str, Any] = {}
        if not (anonymous and draw(st.booleans())):
            user = draw(given)
            drawn["user"] = as_mapping(user) if draw(st.booleans()) else user
            if draw(st.booleans()):
                drawn["token_provider"] = MintedTokens(user.id, draw(_LIFETIMES))
        if draw(st.booleans()):
            drawn["company"] = as_mapping(draw(company)) if draw(st.booleans()) else draw(company)
        if draw(st.integers(0, 3)) == 0:
            drawn["timeout"] = draw(seconds)
        return drawn

    return options()


def boot_options(people: SearchStrategy[User] | None = None) -> SearchStrategy[dict[str, Any]]:
    """Keyword arguments of boot(): of a visitor, or of one of `people`, with and without a
    provider, a company, a timeout.
    """
    return _options_of(people, anonymous=True)


def identify_options(people: SearchStrategy[User] | None = None) -> SearchStrategy[dict[str, Any]]:
    """Keyword arguments of identify(), as those of boot() but always with a user."""
    return _options_of(people, anonymous=False)


def become_options(people: SearchStrategy[User] | None = None) -> SearchStrategy[dict[str, Any]]:
    """Keyword arguments of become(), as those of boot(), and whether a former session is cleared;
    the user is None for nobody.
    """
    booted, clears = boot_options(people), st.booleans()

    @st.composite
    def options(draw: st.DrawFn) -> dict[str, Any]:
        return {"user": None, **draw(booted), "clear_storage": draw(clears)}

    return options()


def update_options(people: SearchStrategy[User] | None = None) -> SearchStrategy[dict[str, Any]]:
    """Keyword arguments of update(): at least one of user (also without an id), company and
    context.
    """
    given = users() if people is None else people
    named = given.map(as_mapping)
    nameless = named.map(lambda user: {name: item for name, item in user.items() if name != "id"})
    each: dict[str, SearchStrategy[Any]] = {
        "user": st.one_of(given, named, nameless),
        "company": st.one_of(companies(), companies().map(as_mapping)),
        "context": contexts(),
    }
    return st.fixed_dictionaries({}, optional=each).filter(bool)


# --- steps of a chart -----------------------------------------------------------------------------


def states(compiled: Compiled, people: Sequence[str] = PEOPLE) -> SearchStrategy[State]:
    """States of the chart: any phase, any stored facts, anybody in its registers. Not all of them
    can be reached.
    """
    chart = compiled.chart
    return st.builds(
        State,
        st.sampled_from(chart.phases),
        _bits(compiled, stored_facts(compiled)),
        st.tuples(*(st.sampled_from((None, *people)) for _ in chart.registers)),
    )


def inputs(compiled: Compiled, people: Sequence[str] = PEOPLE) -> SearchStrategy[Input]:
    """Inputs of the chart: any trigger, with any facts that can come along, naming anybody."""
    return st.builds(
        Input,
        st.sampled_from(compiled.chart.triggers),
        _bits(compiled, told_facts(compiled)),
        st.sampled_from((None, *people)),
    )


def steps(
    compiled: Compiled, people: Sequence[str] = PEOPLE
) -> SearchStrategy[tuple[State, Input]]:
    """A state and an input to step it with: `compiled.step(*step)`. Half of them are aimed at a row
    of the chart, so that guards which ask for much are met too."""
    anywhere = st.tuples(states(compiled, people), inputs(compiled, people))
    aimed = st.sampled_from(compiled.chart.transitions).flatmap(
        lambda row: firing(compiled, row, people)
    )
    return st.one_of(anywhere, aimed)


def firing(
    compiled: Compiled, row: Transition, people: Sequence[str] = PEOPLE
) -> SearchStrategy[tuple[State, Input]]:
    """A state and an input on which this row of the chart fires, whatever else is true."""
    who_fits = _who_fits(compiled, row, people)
    stored, told = stored_facts(compiled), told_facts(compiled)

    def made(
        phase: str, trigger: str, had: int, came: int, who: tuple[str | None, ...]
    ) -> tuple[State, Input]:
        return State(phase, _aimed(compiled, had, row, stored), who[:-1]), Input(
            trigger, _aimed(compiled, came, row, told), who[-1]
        )

    bits = (_bits(compiled, facts) for facts in (stored, told))
    return st.builds(
        made,
        st.sampled_from(row.sources),
        st.sampled_from(row.trigger),
        *bits,
        st.sampled_from(who_fits),
    )


def _who_fits(
    compiled: Compiled, row: Transition, people: Sequence[str]
) -> Sequence[tuple[str | None, ...]]:
    """Who may be in the registers, and last who may be named, so that what the row's guard says of
    them holds.
    """
    derived = sum(bit for bit, _, _ in compiled.derived)
    read, wanted = compiled.mask((*row.when, *row.unless)), compiled.mask(row.when)
    anybody = itertools.product((None, *people), repeat=len(compiled.chart.registers) + 1)
    return [who for who in anybody if not (compiled.derive(who) ^ wanted) & read & derived]


def stored_facts(compiled: Compiled) -> Sequence[str]:
    """The facts that a state holds."""
    return [fact for fact, kind in compiled.chart.facts.items() if isinstance(kind, Stored)]


def told_facts(compiled: Compiled) -> Sequence[str]:
    """The facts that come with an input: those that are carried, and those of the context."""
    return [
        fact
        for fact, kind in compiled.chart.facts.items()
        if not isinstance(kind, Stored | Same | Present)
    ]


def _bits(compiled: Compiled, facts: Sequence[str]) -> SearchStrategy[int]:
    return st.sets(st.sampled_from(facts)).map(compiled.mask) if facts else st.just(0)


def _aimed(compiled: Compiled, bits: int, row: Transition, facts: Sequence[str]) -> int:
    """The bits with those of these facts set and cleared that the guard of the row asks for; only
    the row for what is late gets what is late.
    """
    unwanted = {*row.unless, *([compiled.chart.late] if compiled.chart.late else [])}
    bits &= ~compiled.mask(unwanted & set(facts))
    return bits | compiled.mask(set(row.when) & set(facts))


# --- lives ----------------------------------------------------------------------------------------


def messages(author: str = "agent") -> SearchStrategy[Message]:
    """Messages of one conversation, as a backend brings them."""
    who = st.none() if author != "agent" else st.none() | st.builds(Agent, ids(), st.none() | ids())
    return st.builds(
        Message,
        ids(),
        st.just("conversation 1"),
        st.just(author),
        texts(),
        st.just(0.0),
        st.none() if author == "agent" else st.none() | ids(),
        who,
    )


def link_events() -> SearchStrategy[LinkEvent]:
    """What a backend says by itself: mostly messages."""
    cursor, unread = st.integers(0, 99).map(str), st.none() | st.integers(0, 5)
    arrived = st.builds(MessageArrived, messages(), cursor, unread)
    return st.one_of(
        arrived,
        arrived,
        st.builds(MessageArrived, messages("visitor"), cursor, unread, st.booleans()),
        st.builds(ReadUpTo, st.just("conversation 1"), ids(), unread),
        st.builds(OwnerChanged),
        st.builds(TokenExpired),
        st.builds(SessionRevoked, st.sampled_from(("revoked", "abuse"))),
    )


def calls() -> SearchStrategy[Called]:
    """Calls of a frontend, for one of two users: what is called often in a life comes up often."""
    known = users(st.sampled_from(PEOPLE))
    sent = st.fixed_dictionaries({"text": texts().filter(str.strip)})
    booted = st.builds(Called, st.just("boot"), boot_options(known))
    listed = {"conversation_id": st.just("conversation 1")}
    marked = st.fixed_dictionaries(listed, optional={"up_to": ids()})
    return st.one_of(
        booted,
        booted,
        st.builds(Called, st.just("identify"), identify_options(known)),
        st.builds(Called, st.just("update"), update_options(known)),
        st.builds(Called, st.just("become"), become_options(known)),
        st.builds(Called, st.just("send_message"), sent),
        st.builds(Called, st.just("start_conversation"), sent),
        st.builds(
            Called, st.just("shutdown"), st.fixed_dictionaries({"clear_storage": st.booleans()})
        ),
        st.builds(Called, st.sampled_from(("load", "conversations", "destroy"))),
        st.builds(Called, st.just("messages"), st.fixed_dictionaries(listed)),
        st.builds(Called, st.just("mark_read"), marked),
    )


def failures() -> SearchStrategy[NextFails]:
    """What may go wrong next: a storage that fails, a dial or a call of the link that is lost,
    refused, rejected or put off.
    """
    storage = st.builds(
        NextFails,
        st.sampled_from([f"storage.{name}" for name in ("get", "create", "delete", "keys")]),
        st.just(_STORAGE),
    )
    wire = st.builds(
        NextFails,
        st.sampled_from(
            [
                *(f"transport.{name}" for name in ("open", "revoke", "end_visitor")),
                *(f"link.{name}" for name in ("identify", "renew", "update", "send")),
                *(f"link.{name}" for name in ("conversations", "messages", "mark_read")),
            ]
        ),
        st.sampled_from(_WIRE),
    )
    return st.one_of(storage, wire)


_STORAGE: Final = StorageError("The disk is full.")
_WIRE: Final = (
    NetworkError("The network is gone."),
    NotABackendError("That is a sign-in page."),
    RateLimitedError("Later.", retry_after=5.0),
    AuthRefusedError("No."),
    VisitorEndedError("Not any more."),
    BackendRejectedError("Never."),
    BackendRejectedError("For somebody else.", code="owner_changed"),
)


def answers() -> SearchStrategy[NextAnswers]:
    """What a backend may answer next: any value of the ports, of whomever it is."""
    who, person = st.none() | st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)
    count, some = st.integers(0, 5), st.none() | ids()
    rejected = st.just(()) | st.just((("user.traits.role", "reserved"),))
    identified = st.builds(
        IdentifyAnswer,
        person,
        st.booleans(),
        count,
        st.none() | st.sampled_from(get_args(NotMergedBecause)),
        rejected,
        st.none() | count,
        some,
    )
    conversation = st.builds(
        Conversation, ids(), st.none() | count, st.none() | count, st.just(0.0)
    )
    asked: dict[str, SearchStrategy[Any]] = {
        "transport.open": st.builds(
            Welcome,
            ids(),
            some,
            who,
            st.none() | identified,
            st.none() | count.map(str),
            st.booleans(),
            st.none() | count,
            st.booleans(),
            st.sampled_from(("remembered", "repeatable")),
        ),
        "link.identify": identified,
        "link.renew": st.builds(RenewAnswer, some),
        "link.update": st.builds(UpdateAnswer, rejected),
        "link.send": messages("visitor"),
        "link.conversations": st.lists(conversation, max_size=3),
        "link.messages": st.lists(messages(), max_size=3),
        "link.mark_read": st.builds(ReadAnswer, st.none() | count),
    }
    return st.one_of(
        [st.builds(NextAnswers, st.just(name), answer) for name, answer in asked.items()]
    )


def moves() -> SearchStrategy[Move]:
    """One thing that happens to a session: a call, somebody who gives up, time, an event, a loss, a
    failure, an answer, a hint.
    """
    elapsed = st.builds(Elapsed, st.one_of(st.floats(0.001, 2.0), st.floats(2.0, 600.0)))
    return st.one_of(
        calls(),
        calls(),
        elapsed,
        st.builds(Arrived, link_events()),
        st.builds(LinkLost, st.booleans()),
        failures(),
        answers(),
        st.builds(NetworkChanged, st.booleans()),
        st.builds(Abandoned),
    )


def lives(*, max_size: int = 25) -> SearchStrategy[list[Move]]:
    """Lives of a session: up to `max_size` moves, the first of them a boot() as a rule.
    `support_chat.testing.lives` plays them.
    """
    boots = st.builds(Called, st.just("boot"), boot_options(users(st.sampled_from(PEOPLE))))
    one, most = moves(), max_size - 1
    # short ones alone see little
    rest = st.one_of(st.lists(one, max_size=most), st.lists(one, min_size=most // 2, max_size=most))

    @st.composite
    def life(draw: st.DrawFn) -> list[Move]:
        begun: list[Move] = [draw(boots)] if draw(st.integers(0, 4)) else []
        return [*begun, *draw(rest)]

    return life()

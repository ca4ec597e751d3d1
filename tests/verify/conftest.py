"""Charts with one seeded fault each: what somebody could get wrong, and the property that has to
find it.

A fault is data: edits of rows (an effect, a guard or a fact too many or too few, another target, no
row at all) that the chart's own validation lets pass. There is one for each property of the
catalogue; the tests of this folder share them, and explore each once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final, TypeAlias

import attrs
import pytest

from support_chat import CHART
from support_chat.chart.model import Arm, Chart, EffectSpec, Transition
from support_chat.lifecycle import refusals as R
from support_chat.lifecycle.chart import CONNECTING
from support_chat.lifecycle.names import Effect as E, Fact as F, Phase as P, Register, Trigger as T
from support_chat.verify import Model, Space, Verdict
from support_chat.verify.catalogue import CATALOGUE
from support_chat.verify.deciding import decide
from support_chat.verify.explore import explore_model

Edit: TypeAlias = Callable[[Transition], "Transition | None"]
"""What becomes of a row; None if it is dropped."""

ENOUGH: Final = 5_000
"""States after which a faulty chart is explored no further: a fault may open what the chart keeps
shut.
"""


def _evolved(row: Transition, values: Mapping[str, Any]) -> Transition:
    return attrs.evolve(row, **values)


def _several(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def without(**names: str | Iterable[str]) -> Edit:
    """The row, but for these effects, guards or facts."""

    def edit(row: Transition) -> Transition:
        gone = {field: _several(these) for field, these in names.items()}
        assert all(
            name in getattr(row, field) for field, these in gone.items() for name in these
        ), f"{row.name} has no such thing"
        return _evolved(
            row,
            {f: tuple(n for n in getattr(row, f) if n not in these) for f, these in gone.items()},
        )

    return edit


def adding(**names: str | Iterable[str]) -> Edit:
    """The row, and these effects, guards or facts at the end."""
    return lambda row: _evolved(
        row, {field: (*getattr(row, field), *_several(these)) for field, these in names.items()}
    )


def having(**values: Any) -> Edit:
    """The row with other values."""
    return lambda row: _evolved(row, values)


def instead(effect: str, other: str) -> Edit:
    """The row with another effect in the place of this one."""
    return lambda row: attrs.evolve(
        row, effects=tuple(other if each == effect else each for each in row.effects)
    )


def swapping(one: str, other: str) -> Edit:
    """The row with these two effects in each other's place."""
    other_way = {one: other, other: one}
    return lambda row: attrs.evolve(
        row, effects=tuple(other_way.get(each, each) for each in row.effects)
    )


def reversing(row: Transition) -> Transition:
    """The row with its effects the other way round."""
    return attrs.evolve(row, effects=row.effects[::-1])


def no_longer(row: Transition) -> None:
    """No row."""


def both(*edits: Edit) -> Edit:
    """One edit after the other."""

    def edit(row: Transition) -> Transition | None:
        changed: Transition | None = row
        for one in edits:
            changed = one(changed) if changed else None
        return changed

    return edit


@attrs.frozen(eq=False)
class Fault:
    """One fault: the property that fails by it, what is wrong in words, and the edits of the rows
    by their names.
    """

    breaks: str
    wrong: str
    edits: Mapping[str, Edit]
    effects: Mapping[str, EffectSpec] = attrs.field(factory=dict[str, EffectSpec])

    def chart(self) -> Chart:
        """The shipped chart with this fault."""
        assert self.edits.keys() <= {row.name for row in CHART.transitions}, (
            "a fault edits a row that does not exist"
        )
        edited = [
            self.edits[row.name](row) if row.name in self.edits else row
            for row in CHART.transitions
        ]
        return attrs.evolve(
            CHART,
            name=f"fault_{self.breaks.replace(' ', '_')}",
            transitions=tuple(row for row in edited if row is not None),
            effects={**CHART.effects, **self.effects} if self.effects else CHART.effects,
        )

    def space(self) -> Space:
        """The space of its chart; only what the edited rows have a say in is composed anew."""
        chart = self.chart()
        model = Model(chart) if self.effects else Model(chart, former=_shipped())
        return explore_model(model, ENOUGH)


@cache
def _shipped() -> Model:
    return Model(CHART)


ANOTHER_EXPIRY: Final = Arm(
    doc="connect at the slow cadence", timer="retry", expiry=T.GIVE_UP, delay="probe"
)

# fmt: off  # a fault reads as one entry of a list
FAULTS: Final = (
    Fault("S1", "a shutdown does not cut the link", {"shutdown.live": without(effects=E.CUT)}),
    Fault(
        "S2",
        "the parting of an earlier shutdown counts for this one",
        {"part.done_earlier": having(clears=(F.PARTING,))},
    ),
    Fault(
        "S3",
        "a shutdown leaves the fact of a boot behind",
        {"shutdown.booting": without(clears=F.BOOTED)},
    ),
    Fault("S4", "a shutdown does not forget who it was for", {"shutdown.live": having(assigns={})}),
    Fault(
        "S5",
        "a full clear is owed as a plain one",
        {"shutdown.live_clear": without(sets=F.OWED_FULL)},
    ),
    Fault("S6", "a clear waits for the revocation", {"clear.user": adding(unless=F.PARTING)}),
    Fault(
        "S8",
        "a hint dials beside a dial under way",
        {"link.hurry": both(without(when=F.RETRYING), adding(sets=F.RETRYING))},
    ),
    Fault(
        "S9", "what may go on fetches again", {"identify.fetch_token": without(unless=F.FETCHING)}
    ),
    Fault("S10", "the timer of the retry gives up in one phase", {}, {E.ARM_PROBE: ANOTHER_EXPIRY}),
    Fault(
        "S11",
        "a boot is live as whoever it asked to be",
        {
            "boot.live_as_user": without(when=F.SAME_USER),
            "boot.answered_as_another": adding(unless=F.SIGNED_IN),
        },
    ),
    Fault(
        "S12",
        "a boot of another user takes the live session over",
        {
            "boot.refuse_user_is_live": having(
                effects=(E.ADOPT, E.DONE), error=None, assigns={Register.USER: Register.NAMED}
            )
        },
    ),
    Fault(
        "S13",
        "a boot of another user joins",
        {"boot.refuse_other": having(effects=(E.JOIN_BOOT, E.ADOPT), error=None)},
    ),
    Fault(
        "S14",
        "a boot while reconnecting dials at once",
        {"boot.live_already": adding(effects=E.ARM_DIAL)},
    ),
    Fault(
        "S15",
        "a refused token is wanted again",
        {"link.target_token_refused": without(clears=F.TOKEN_WANTED)},
    ),
    Fault(
        "S15a",
        "a dial does not wait for the token that is wanted",
        {"connect.fetch_token": having(effects=(E.DIAL,), sets=())},
    ),
    Fault("S16", "a boot that was rejected dials again", {"boot.rejected": adding(effects=E.DIAL)}),
    Fault(
        "S17",
        "an update of another user is recorded",
        {"update.refuse_other_user": having(effects=(E.RECORD, E.DONE), error=None)},
    ),
    Fault(
        "S17a",
        "an update of another user is held",
        {"update.refuse_other_target": having(effects=(E.HOLD, E.DONE), error=None)},
    ),
    Fault(
        "S18",
        "an update leaves while an identify is open",
        {"update.send": without(unless=F.TARGETED)},
    ),
    Fault("S19", "a clear does not wait for a write", {"clear.user": without(unless=F.WRITING)}),
    Fault(
        "S20", "an update that is held is not answered", {"update.hold": without(effects=E.DONE)}
    ),
    Fault("S21", "a destroyed session may be used again", {"destroy.done": having(target=P.READY)}),
    Fault(
        "S21a",
        "the release leaves the timer running",
        {"destroy.release": without(effects=E.DISARM)},
    ),
    Fault(
        "S22",
        "a guard wants what never is",
        {"boot.abandoned": adding(when=(F.SIGNED_IN, F.TARGETED))},
    ),
    Fault("S22a", "nobody thought of a backend that is too busy", {"boot.rate_limited": no_longer}),
    Fault(
        "S26",
        "a lost link leaves the fact of a token call behind",
        {"link.lost": without(clears=F.FETCHING)},
    ),
    Fault(
        "S27",
        "a boot does not think of the renewal",
        {"boot.live_as_user": without(effects=E.ARM_RENEW)},
    ),
    Fault(
        "L1 load",
        "a shutdown forgets who waits for the load",
        {"shutdown.loading": without(effects=E.FAIL_LOAD)},
    ),
    Fault(
        "L1 boot",
        "a boot that is rejected tells nobody",
        {"boot.rejected": without(effects=E.FAIL_BOOT)},
    ),
    Fault(
        "L1 identify",
        "an identify without a token tells nobody",
        {"identify.no_token": without(effects=E.FAIL_IDENTIFY)},
    ),
    Fault(
        "L1 shutdown",
        "a clear that is done lets nothing go on",
        {"clear.user_done": without(effects=E.PROCEED)},
    ),
    Fault(
        "L1 clear",
        "a full clear that is done lets nothing go on",
        {"clear.all_done": without(effects=E.PROCEED)},
    ),
    Fault(
        "L1 destroy",
        "a second destroy waits for what is done",
        {"destroy.done_already": having(effects=(E.JOIN_DESTROY,))},
    ),
    Fault(
        "L2",
        "a boot goes on though nobody waits for it",
        {
            "boot.abandoned": having(
                target=None, clears=(), assigns={}, effects=(), error=None, reason=""
            )
        },
    ),
    Fault(
        "L3", "attempts to reconnect have no limit", {"link.lost": without(effects=E.ARM_GIVE_UP)}
    ),
    Fault(
        "L4",
        "nothing probes while the network is down",
        {"link.network_down": without(effects=E.ARM_PROBE)},
    ),
    Fault(
        "L4a",
        "nothing probes after a dial that went astray",
        {"link.probe_again": without(effects=E.ARM_PROBE)},
    ),
    Fault(
        "L5",
        "a clear that failed is taken for one under way",
        {"clear.failed": without(clears=F.CLEARING)},
    ),
    Fault(
        "L6",
        "a visitor's updates are not scheduled",
        {"update.schedule": having(sources=(P.AUTHENTICATED,))},
    ),
    Fault(
        "L7",
        "the release is announced and not asked for",
        {"destroy.release_at_last": without(effects=E.RELEASE)},
    ),
    Fault(
        "L8",
        "a shutdown forgets the revocation",
        {"shutdown.live": both(without(effects=E.PART), without(sets=F.PARTING))},
    ),
    Fault(
        "S4a",
        "an abandoned boot leaves the fact of a fresh token behind",
        {"boot.abandoned": without(clears=F.TOKEN_FRESH)},
    ),
    Fault(
        "S4b",
        "an identify that was refused keeps its user",
        {"identify.refused": having(assigns={})},
    ),
    Fault(
        "S6a",
        "the backend ends the session, and nothing is cleared",
        {"link.revoked": without(effects=E.CLEAN)},
    ),
    Fault(
        "S7",
        "what was under way when the network went down is lost",
        {"link.network_down": without(effects=E.RESTORE)},
    ),
    Fault(
        "S15b",
        "a refused token is not remembered",
        {"boot.old_token_refused": without(effects=E.SPEND_TOKEN)},
    ),
    Fault(
        "S15c",
        "attempts fail at the pace of the first",
        {"boot.retry": without(effects=E.COUNT_FAILURE)},
    ),
    Fault(
        "S18a",
        "an update that failed waits for the next call",
        {"update.failed": without(effects=E.PROCEED)},
    ),
    Fault("S22b", "nobody thought of a link that is lost", {"link.lost": no_longer}),
    Fault(
        "S22c",
        "a rejected boot keeps to itself what it drops",
        {"boot.rejected": without(effects=E.DROP_UPDATES)},
    ),
    Fault(
        "S22d",
        "an attempt is scheduled before the failure is counted",
        {"boot.retry": reversing},
    ),
    Fault(
        "S22e",
        "a lost link stops the timer that bounds the reconnecting",
        {"link.lost": adding(effects=E.DISARM_GIVE_UP)},
    ),
    Fault("S25", "a late link is left open", {"late.dispose": without(effects=E.DISPOSE)}),
    Fault(
        "S26a",
        "the link is back, and given up all the same",
        {"link.back_as_visitor": without(effects=E.DISARM_GIVE_UP)},
    ),
    Fault(
        "S26b",
        "a token counts as fresh after the link was lost",
        {"link.lost": without(clears=F.TOKEN_FRESH)},
    ),
    Fault(
        "S33",
        "a message without an answer counts as under way for ever",
        {"send.failed": without(effects=E.KEEP_UNANSWERED)},
    ),
    Fault(
        "S33a",
        "the time of a call is over, and it is not told",
        {"send.due": without(effects=E.ANSWER_MESSAGES)},
    ),
    Fault(
        "S33b",
        "a message waits for the next call",
        {"send.queue": without(effects=E.FLUSH)},
    ),
    Fault(
        "S33c",
        "nobody looks after what has left",
        {"send.leave": without(effects=E.ARM_OUTBOX)},
    ),
    Fault(
        "S28",
        "nobody is told why the session ended",
        {"link.rejected": without(effects=E.TELL_ERROR)},
    ),
    Fault(
        "L1a",
        "an identify waits for the next call",
        {"boot.live_as_visitor": without(effects=E.PROCEED)},
    ),
    Fault(
        "L6a",
        "a message waits for the link, and does not leave when it is there",
        {"send.leave": adding(when=F.SIGNED_IN)},
    ),
    Fault(
        "S13a",
        "become() ends the session of another user, and boots nobody",
        {"become.end_live": instead(E.CALL_BOOT, E.DONE)},
    ),
    Fault(
        "S29",
        "a live session dials without a look",
        {
            "connect.look": adding(unless=F.TOKEN_WANTED),
            "connect.boot_fetches_token": having(sources=CONNECTING),
        },
    ),
    Fault(
        "S30",
        "a session whose visitor is over tries again",
        {
            "link.signed_out": having(
                target=None,
                sets=(F.RETRYING,),
                clears=(),
                assigns={},
                error=None,
                reason="",
                effects=(E.COUNT_FAILURE, E.ARM_RETRY),
            )
        },
    ),
    Fault(
        "S31",
        "the backend is told that a visitor is over before the clear has succeeded",
        {
            "clear.all_done": without(effects=E.END_VISITOR),
            "clear.all": adding(effects=E.END_VISITOR),
        },
    ),
    Fault(
        "S32",
        "a session that is somebody else's by now stays on its link",
        {
            "link.owner_changed": having(
                target=None, sets=(), clears=(), effects=(E.TELL_LOST,), reason=""
            )
        },
    ),
    Fault(
        "S34",
        "a boot that is turned away has to load anew",
        {"boot.rejected": having(target=P.NOT_INITIALIZED)},
    ),
    Fault(
        "S35",
        "a visitor's session counts as a user's",
        {"boot.live_as_visitor": having(target=P.AUTHENTICATED)},
    ),
    Fault(
        "S36",
        "a shutdown() of what is not live leaves it as it was",
        {"shutdown.nothing_live": having(target=None, reason="")},
    ),
    Fault("S37", "a boot() forgets whom it names", {"boot.begin": having(assigns={})}),
    Fault(
        "S37a",
        "what an identify() of the same user brings is left lying",
        {"identify.signed_in_already": without(effects=E.ADOPT)},
    ),
    Fault(
        "S38",
        "an identify that was accepted leaves the session a visitor's",
        {"identify.done": having(target=None, reason="")},
    ),
    Fault(
        "S38a",
        "a backend that remembers no identify is believed, if nobody waits any more",
        {
            "link.back_identify_forgotten": without(unless=F.REPEATABLE),
            "link.back_identify_repeated": adding(when=F.IDENTIFYING),
        },
    ),
    Fault(
        "S39",
        "a link that is back is used and let go",
        {"link.back_as_visitor": adding(effects=E.DISPOSE)},
    ),
    Fault(
        "S40",
        "what another tab has signed out is not cleared here",
        {"link.signed_out": without(sets=F.OWED)},
    ),
    Fault(
        "S40a",
        "a second shutdown() cannot ask for a full clear",
        {"shutdown.clear_too": without(sets=F.OWED_FULL)},
    ),
    Fault(
        "S38c",
        "an identify that was given up for its token succeeds",
        {"link.target_token_refused": instead(E.FAIL_IDENTIFY, E.SETTLE_IDENTIFY)},
    ),
    Fault(
        "S38b",
        "a boot that is live tells nobody",
        {"boot.live_as_user": without(effects=E.SETTLE_BOOT)},
    ),
    Fault(
        "S20a",
        "a shutdown() waits for the boot that it ends",
        {"shutdown.booting": instead(E.JOIN_SHUTDOWN, E.JOIN_BOOT)},
    ),
    Fault(
        "S7a",
        "what was held for an identify outlives it",
        {"identify.given_up_offline": without(effects=E.DROP_HELD)},
    ),
    Fault(
        "S48a",
        "the visitor's secret is not remembered",
        {"boot.visitor_known": without(effects=E.KEEP_VISITOR)},
    ),
    Fault(
        "S6b",
        "a boot waits for a clear that nobody begins",
        {"boot.clear_first": without(effects=E.CLEAN)},
    ),
    Fault(
        "S18b",
        "an update is sent although there is none",
        {"update.send": without(when=F.PENDING)},
    ),
    Fault(
        "S27a",
        "a token that is due without a link is kept",
        {"renew.due_offline": without(sets=F.TOKEN_WANTED)},
    ),
    Fault(
        "S44b",
        "a boot tries at the slow cadence",
        {"boot.visitor_known": instead(E.ARM_DIAL, E.ARM_PROBE)},
    ),
    Fault(
        "S26c",
        "a call that joins makes the token on its way an old one",
        {"identify.join_boot": adding(clears=F.TOKEN_FRESH)},
    ),
    Fault(
        "S55",
        "whoever uses the link gets an answer only while an update is under way",
        {"use.replied": adding(when=F.SENDING)},
    ),
    Fault(
        "S51",
        "an identify whose answer is out is sent again",
        {"identify.send_without_token": without(unless=F.UNRESOLVED)},
    ),
    Fault(
        "S52",
        "a clear that fails counts as done",
        {},
        {E.CLEAR_ALL: attrs.evolve(CHART.effects[E.CLEAR_ALL], failure=T.CLEARED)},  # type: ignore[call-arg]
    ),
    Fault(
        "S53",
        "who calls what is destroyed is told that all is well",
        {"refuse.destroyed": instead(E.REFUSE, E.DONE)},
    ),
    Fault(
        "S54",
        "a message that is not to wait is lost without a link",
        {"send.refuse_no_link": instead(E.REFUSE, E.DONE)},
    ),
    Fault(
        "S57",
        "whoever has no link is told that the outbox is full",
        {"send.refuse_no_link": lambda row: attrs.evolve(row, error=R.CROWDED)},
    ),
    Fault(
        "S43a",
        "a boot() waits for the next probe",
        {"boot.try_at_once": without(effects=E.ARM_DIAL)},
    ),
    Fault(
        "S43b",
        "after a lost reply it dials at once",
        {"identify.reply_lost": instead(E.ARM_RETRY, E.ARM_DIAL)},
    ),
    Fault(
        "S43c",
        "a boot with a visitor who is known waits as after a failure",
        {"boot.visitor_known": instead(E.ARM_DIAL, E.ARM_RETRY)},
    ),
    Fault(
        "S18e",
        "an update that is due waits while a new token is presented",
        {"update.send": adding(unless=F.RENEWING)},
    ),
    Fault(
        "S44d",
        "a hint that the network is there gives a session that tries anew as long as a loss",
        {"link.network_up_while_trying": adding(sources=P.RECONNECTING)},
    ),
    Fault(
        "S46d",
        "a token that is renewed in time is taken for one that is wanted",
        {"renew.due": adding(sets=F.TOKEN_WANTED)},
    ),
    Fault(
        "S46e",
        "the refusal of an old token is not told",
        {"link.old_token_refused": without(effects=E.TELL_EXPIRED)},
    ),
    Fault(
        "S46f",
        "the token of an identify that is asked again counts as an old one",
        {"link.back_identify_repeated": adding(clears=F.TOKEN_FRESH)},
    ),
    Fault(
        "S63", "a renewal that fails is not told", {"renew.failed": without(effects=E.TELL_ERROR)}
    ),
    Fault(
        "S64a",
        "what is under way goes on when the adapters are let go",
        {"destroy.release": without(effects=E.ABANDON_REST)},
    ),
    Fault(
        "S64b",
        "a destroy() lets the load go on",
        {"destroy.begin": without(effects=E.ABANDON_LOAD)},
    ),
    Fault(
        "S64",
        "a clear that fails at the end leaves the rest to the deadline",
        {"clear.failed_at_the_end": without(effects=E.PROCEED)},
    ),
    Fault(
        "S46c",
        "the token that a boot's dial refuses is presented again",
        {"boot.old_token_refused": without(sets=F.TOKEN_WANTED)},
    ),
    Fault(
        "S44a",
        "who has given up tries as often as before",
        {"link.probe_again": instead(E.ARM_PROBE, E.ARM_RETRY)},
    ),
    Fault(
        "S56",
        "an identify overtakes an update that is out",
        {"identify.send_without_token": without(unless=F.SENDING)},
    ),
    Fault(
        "S40e",
        "whoever asks for a full clear waits for a plain one",
        {"shutdown.live_clear": instead(E.JOIN_CLEAR, E.JOIN_SHUTDOWN)},
    ),
    Fault(
        "S40b",
        "a full clear that has succeeded is owed for ever",
        {"clear.all_done": without(clears=F.OWED_FULL)},
    ),
    Fault(
        "S40c",
        "a full clear of what was never live is not owed",
        {"shutdown.nothing_live_clear": without(sets=F.OWED)},
    ),
    Fault(
        "S40d",
        "a write that ends forgets the clear that waits for it",
        {"clear.write_ended": without(effects=E.CLEAN)},
    ),
    Fault(
        "S41",
        "a token is asked for a visitor",
        {"boot.visitor_known": adding(sets=F.TOKEN_WANTED)},
    ),
    Fault(
        "S41a",
        "an identify without a provider asks for a token",
        {
            "identify.send_without_token": both(
                instead(E.SEND_IDENTIFY, E.FETCH_TARGET_TOKEN), having(sets=(F.FETCHING,))
            )
        },
    ),
    Fault(
        "S42",
        "a shutdown() is done while its parting is under way",
        {"clear.user_done_all_next_parting": adding(effects=E.SETTLE_SHUTDOWN)},
    ),
    Fault(
        "S43",
        "the network is up again, and nobody hurries",
        {"link.hurry": without(effects=E.ARM_DIAL)},
    ),
    Fault(
        "S44",
        "who has given up goes on as before",
        {"link.give_up": instead(E.ARM_PROBE, E.ARM_RETRY)},
    ),
    Fault(
        "S45", "a lost link takes along what it carried", {"link.lost": without(effects=E.RESTORE)}
    ),
    Fault(
        "S46",
        "nobody is told that the token has expired",
        {"renew.expired_for_good": without(effects=E.TELL_EXPIRED)},
    ),
    Fault(
        "S47",
        "who waits for an earlier parting is left waiting",
        {"destroy.done": without(effects=E.SETTLE_DETACHED)},
    ),
    Fault(
        "S48",
        "nobody is told that the stored visitor was damaged",
        {"boot.visitor_damaged": without(effects=E.TELL_ERROR)},
    ),
    Fault(
        "S49",
        "an update is sent under a token that has expired",
        {"update.send": without(unless=F.TOKEN_WANTED)},
    ),
    Fault(
        "S50",
        "a message that was refused under an earlier token spends the one in use",
        {"send.unauthorised_before": adding(effects=E.SAY_EXPIRED)},
    ),
    Fault(
        "L3a",
        "a hint that the network is up stops the attempts",
        {"link.retry": without(effects=E.ARM_RETRY)},
    ),
    Fault(
        "S58",
        "a boot() of whoever is being booted is refused as another's",
        {"boot.join": no_longer, "boot.refuse_other": without(unless=F.SAME_USER)},
    ),
    Fault(
        "S58a",
        "whoever is live as a visitor is told that a user is",
        {"boot.refuse_visitor_is_live": having(error=R.USER_IS_LIVE)},
    ),
    Fault(
        "S58b",
        "a shutdown() does not wait for its parting",
        {"shutdown.join_parting": instead(E.JOIN_SHUTDOWN, E.DONE)},
    ),
    Fault(
        "S58c",
        "a shutdown() of what was never live leaves it as it is",
        {"shutdown.nothing_live": having(target=None)},
    ),
    Fault(
        "S58d",
        "who is refused a boot() has the session forget that it reads",
        {"boot.refuse_other": adding(clears=F.WRITING)},
    ),
    Fault(
        "S58e",
        "a become() to whom an identify is under way for ends it and begins another",
        {
            "become.target": no_longer,
            "become.drop_target": without(unless=F.SAME_TARGET),
        },
    ),
    Fault(
        "S59",
        "a boot whose dial is to be repeated much later waits for ever longer",
        {"boot.rate_limited": no_longer, "boot.retry": without(unless=F.BEYOND)},
    ),
    Fault(
        "S59a",
        "whose token has expired for good is told no more than that it was refused",
        {"link.expired_for_good": having(error=None)},
    ),
    Fault(
        "S38d",
        "an identify that nobody waits for any more begins anew",
        {
            "link.back_identify_forgotten": no_longer,
            "link.back_not_identified": without(when=F.IDENTIFYING),
        },
    ),
    Fault(
        "S33d",
        "a message of somebody else lets the session's own leave",
        {"use.message": adding(effects=E.FLUSH)},
    ),
    Fault(
        "S26d",
        "a token that has arrived counts as an old one",
        {"connect.dial_with_token": without(sets=F.TOKEN_FRESH)},
    ),
    Fault(
        "S60",
        "whoever calls boot() again stops the token from being replaced",
        {"boot.live_already": adding(clears=F.TOKEN_WANTED)},
    ),
    Fault(
        "S61",
        "a plain shutdown() forgets the visitor",
        {"shutdown.live": adding(sets=F.OWED_FULL)},
    ),
    Fault(
        "S61a",
        "a session that has lost its link owes a clear",
        {"link.lost": adding(sets=F.OWED)},
    ),
    Fault(
        "S62",
        "a lost link makes a visitor of the user",
        {"boot.retry": having(assigns={Register.USER: None})},
    ),
    Fault(
        "S62a",
        "whoever calls boot() again forgets whom an identify is for",
        {"boot.live_already": having(assigns={Register.TARGET: None})},
    ),
    Fault(
        "S22f",
        "a lost link is given up before it is tried again",
        {"link.lost": swapping(E.ARM_RETRY, E.ARM_GIVE_UP)},
    ),
    Fault(
        "S60a",
        "a lost link tells that there is one",
        {"link.lost": adding(effects=E.TELL_CONNECTED)},
    ),
    Fault(
        "S59b",
        "who gives up a boot that waits is left waiting",
        {"boot.abandoned_waiting": without(effects=E.FAIL_BOOT)},
    ),
    Fault(
        "S22g",
        "what waits goes on before the update is noted as sent",
        {"update.sent": swapping(E.ACKNOWLEDGE, E.PROCEED)},
    ),
    Fault(
        "L2a",
        "a boot waits for a read that nobody has begun",
        {
            "boot.begin": having(sources=P.SHUTDOWN),
            "boot.begin_while_reading": lambda row: attrs.evolve(
                row, when=(), sources=P.READY, sets=(F.BOOTED,)
            ),
        },
    ),
    Fault(
        "S40f",
        "a full clear begins with a plain one",
        {
            "clear.user": having(unless=(F.CLEARING, F.WRITING, F.TARGETED)),
            "clear.all": adding(when=F.TARGETED),
        },
    ),
    Fault(
        "S15e",
        "a boot dials before it has its token",
        {
            "boot.visitor_known_token_wanted": no_longer,
            "boot.visitor_known": without(unless=F.PROVIDER),
        },
    ),
    Fault(
        "S61b",
        "a session that was never live is cleared as it is destroyed",
        {"clear.user": without(when=F.OWED), "destroy.begin": adding(effects=E.CLEAN)},
    ),
    Fault(
        "S61c",
        "after a plain clear everything is removed",
        {
            "clear.user_done": adding(when=F.PARTING),
            "clear.user_done_all_next": without(when=F.OWED_FULL),
        },
    ),
    Fault(
        "S18d",
        "a link on which something was heard sends messages although there are none",
        {"link.heard": adding(effects=E.SEND_MESSAGES)},
    ),
    Fault(
        "S46b",
        "a token that is on its way is spent since the former one has expired",
        {"renew.expired": without(unless=F.RENEWING)},
    ),
    Fault(
        "S62b",
        "a become() forgets whom an identify is for, and keeps what is known of them",
        {"become.target": having(assigns={Register.TARGET: None})},
    ),
    Fault(
        "S42a",
        "a plain shutdown() waits for the full clear of another",
        {"clear.user_done_all_next": without(effects=E.SETTLE_SHUTDOWN)},
    ),
    Fault(
        "S15d",
        "an identify that had left ends when its token has grown old",
        {
            "link.old_target_token_refused": no_longer,
            "link.fresh_target_token_refused": without(when=F.TOKEN_FRESH),
        },
    ),
    Fault(
        "S46a",
        "a token that was due without a link is wanted when there is one",
        {"link.back_as_user": without(clears=F.TOKEN_WANTED)},
    ),
    Fault(
        "S18c",
        "an update is scheduled under a token that is to be replaced",
        {"update.schedule": without(unless=F.TOKEN_WANTED)},
    ),
)


@attrs.frozen
class Faulty:
    """A fault, its chart as a model, and the verdict on the property that has to fail."""

    fault: Fault
    model: Model
    verdict: Verdict


@pytest.fixture(scope="session")
def faults() -> tuple[Fault, ...]:
    """Every seeded fault."""
    return FAULTS


@pytest.fixture(params=FAULTS, ids=lambda fault: fault.breaks.replace(" ", "_"))
def faulty(request: pytest.FixtureRequest) -> Faulty:
    """Each seeded fault in its turn, explored; the space itself is let go."""
    fault: Fault = request.param
    space = fault.space()
    broken = next(p for p in CATALOGUE if p.id == fault.breaks)
    return Faulty(fault, space.model, decide(space, broken))

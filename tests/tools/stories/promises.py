"""What every session keeps, whatever happens: small checks, each named by its number in the
catalogue of properties. Each yields what is broken.

Most are read in the account of what is under way (`support_chat.verify.trace`), which is kept by
inputs and commands and compared with what the session really holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs

from keeping import LANES, kept
from support_chat import Phase
from support_chat.engine import CallMade, Emit, Perform, Settle
from support_chat.errors import SupportChatError
from support_chat.lifecycle.chart import CHART, ENDED, LIVE, ONLINE
from support_chat.lifecycle.context import Context
from support_chat.lifecycle.events import AuthChanged, ErrorOccurred, MessageReceived
from support_chat.lifecycle.names import Effect, Fact, Lane, Timer, Trigger
from support_chat.settings import Settings
from support_chat.values import SignedIn, Visitor
from support_chat.verify.trace import Seen

if TYPE_CHECKING:
    from .world import Made, Session, World

PATIENCE = 45.0
"""No call but a message's may stay open longer, in seconds: the longest limits of the calls are
30 s, and a shutdown's add up to less.
"""
PATIENCE_OF_A_MESSAGE = Settings().outbox_timeout + 15.0
KEPT = (
    "failures",
    "dialled_at",
    "not_before",
    "updated_at",
    "update_failures",
    "boot_until",
    "identify_until",
)
"""What a context keeps after a shutdown: nothing of a user."""
WRITES = {Effect.READ_VISITOR}


@attrs.define
class Past:
    """What is to be remembered of the steps so far."""

    steps: int = 0
    last: Seen | None = None
    wanted: bool = False
    """Whether a boot() or a become() was called since the last shutdown."""
    cleared: bool = False
    """Whether a full clear has succeeded, and nothing was written since."""
    recorded: dict[str, str] = attrs.field(factory=dict[str, str])
    """The newest value that was recorded for each path and not dropped with an event."""

    def take(self, seen: Seen) -> Iterator[str]:
        """Takes a step; yields which promises it breaks."""
        happened, before = seen.happened, self.last.phase if self.last else CHART.initial
        becomes = seen.trigger == Trigger.BECOME and before != Phase.DESTROYED
        accepted = isinstance(happened, CallMade) and (becomes or seen.rows[0].error is None)
        if isinstance(happened, CallMade) and accepted:
            self.recorded.update(happened.arguments.changes)
        if seen.trigger in (Trigger.BOOT, Trigger.BECOME, Trigger.SHUTDOWN, Trigger.DESTROY):
            self.wanted = seen.trigger in (Trigger.BOOT, Trigger.BECOME)
        for command in seen.commands:
            if isinstance(command, Emit) and isinstance(command.event, ErrorOccurred):
                for path in command.event.dropped:
                    self.recorded.pop(path, None)
        performed = {c.request.effect for c in seen.commands if isinstance(c, Perform)}
        if seen.trigger == Trigger.CLEARED and seen.current:
            self.cleared = seen.of == Effect.CLEAR_ALL
        self.cleared = self.cleared and performed.isdisjoint(WRITES)
        if accepted and seen.trigger == Trigger.BOOT and before in (*ONLINE, Phase.RECONNECTING):
            is_settled = any(isinstance(command, Settle) for command in seen.commands)
            if performed or seen.phase != before or not is_settled:
                yield "S14 a boot of the live identity is done at once, and opens nothing"
        if before == Phase.DESTROYED != seen.phase:
            yield "S21 a destroyed session is used again"
        if not seen.current and self.last and _standing(seen) != _standing(self.last):
            yield "S2 a superseded outcome changes something"
        if seen.phase in (Phase.BOOTING, *LIVE) and not self.wanted:
            yield "S3 a session is live that nobody has booted"
        held = kept(seen.phase, seen.facts, seen.registers, set(seen.ledger), performed)
        after = seen.rows[0].name
        yield from (f"{promise}: not after {after}" for promise in held if not held[promise])
        self.steps, self.last = self.steps + 1, seen


def _standing(seen: Seen) -> tuple[Any, ...]:
    return seen.phase, seen.facts, seen.registers, seen.ledger


def of_session(session: Session) -> Iterator[str]:
    """What a session shows between two steps."""
    shell, past, account = session.shell, session.past, session.trace.account
    state, context = shell.snapshot.state, shell.snapshot.context
    facts = past.last.facts if past.last else ()
    if state.phase in ENDED and Fact.BOOTED not in facts:
        kept = attrs.evolve(Context(), **{name: getattr(context, name) for name in KEPT})
        if context != kept:
            yield "S4 something of the former user is known after shutdown"
    scopes = [other.scope for other in session.world.sessions]
    is_alone = scopes.count(session.scope) == 1
    left = [key for key in session.world.contents if key.startswith(session.prefix)]
    if past.cleared and session.stores_well and is_alone and left:
        yield f"S5 {left} are left after a full clear"
    updates = context.updates
    waiting = (updates.recorded, updates.sent, updates.held, updates.carried, updates.carried_held)
    kept_values = {str(value) for values in waiting for value in values.values()}
    if lost := set(past.recorded.values()) - kept_values - session.wire.sent:
        yield (
            f"S7 {lost} was recorded, and neither waits nor was sent nor was dropped with an event"
        )
    if state.phase == Phase.AUTHENTICATED:
        user, link = state.registers[0], shell.links.get(shell.snapshot.link or 0)
        if session.chat.identity != SignedIn(user or "") or getattr(link, "user", "") != user:
            yield f"S11 authenticated as {user}, whom the backend has not accepted on this link"
        expires = context.token is not None and context.token.life is not None
        under_way = {f"timer {Timer.RENEW}"} | {
            f"asked {e}" for e in LANES if LANES[e] in (Lane.TOKEN, Lane.RENEW)
        }
        if context.provider and expires and under_way.isdisjoint(account.ledger()):
            yield "S27 no renewal is scheduled or under way"
    # batches are told apart by the outbox: several are under way, and none is the current one
    alone = [r for r in account.asked.values() if r.call is None and r.lane != Lane.SEND]
    current = {LANES[request.effect] for request in alone}
    lanes = current if account.link is None else {*current, str(Lane.LINK)}
    numbers = dict(zip(session.trace.program.lanes, shell.snapshot.current, strict=True))
    if lanes != {lane for lane, number in numbers.items() if number}:
        yield f"S26 {lanes} are under way, and current by number are {numbers}"
    who = [event.identity for _, event in session.heard if isinstance(event, AuthChanged)]
    if any(isinstance(a, SignedIn) and b is not None for a, b in pairwise(who)):
        yield "S12 a user has turned into somebody else"


def of_call(made: Made, time: float) -> Iterator[str]:
    """What a call shows: L1 it settles in time, with an error of the library if it fails."""
    patience = PATIENCE_OF_A_MESSAGE if made.name == "send_message" else PATIENCE
    if not made.call.done and time - made.at >= patience:
        yield f"L1 {made.call!r} of {made.at:g} is open at {time:g}"
    if made.call.done and not isinstance(made.error, SupportChatError | None):
        yield f"L1 {made.call!r} raises {made.error!r}"


def at_the_end(world: World) -> Iterator[str]:
    """When both sessions are destroyed nothing is left, and everything is its owner's."""
    if tasks := [task.get_name() for task in asyncio.all_tasks(world.loop)]:
        yield f"S25 tasks are left: {tasks}"
    if world.backend.log.open_links:
        yield "S25 a link is left open"
    agent = world.backend.agent
    stored = [m.client_message_id for c in agent.conversations() for m in agent.messages(c.id)]
    acknowledged = [made for made in world.made if made.call.done and made.error is None]
    sent = {made.message for made in acknowledged if made.message}
    if agent.duplicates() or any(stored.count(message) != 1 for message in sent):
        yield "a message that was acknowledged is not stored once"
    for session in world.sessions:
        received = [(n, e.message.id) for n, e in session.heard if isinstance(e, MessageReceived)]
        if len(received) != len(set(received)):
            yield "a message was told twice"
        for call in session.storage.log:
            given: Mapping[str, Any] = call.arguments
            keys = [given.get("key", session.prefix), *given.get("keys", ())]
            if not all(str(key).startswith(session.prefix) for key in keys):
                yield f"S23 {call} is about another scope"
        if {"storage.aclose"} & set(session.storage.log.names()):
            yield "a session closed a storage that it does not own"
        if session.untold():
            yield "listeners have not heard what was emitted, in order"
    users = [user.user_id for user in agent.users()]
    if len(users) != len(set(users)):
        yield "S17 a user exists twice"
    identities: list[Visitor | SignedIn] = [*agent.users(), *agent.visitors()]
    for identity in identities:
        owner = identity.user_id if isinstance(identity, SignedIn) else "visitor"
        if any(str(v).split("|")[1] != owner for v in agent.traits(identity).values()):
            yield f"S7 the backend knows something of {owner} that is somebody else's"

"""What each effect changes in the context, and which events it causes: pure functions.

A reducer is named after its effect; it takes the context and the moment, and returns the next
context. Beside it stand the events, made of the context before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import attrs

from ..engine import Moment, Request
from ..errors import BackendRejectedError, SupportChatError
from ..ports import IdentifyAnswer, MarkRead, Outgoing, ReadAnswer, RenewAnswer
from ..values import Identity, Message, SignedIn, Visitor
from . import outbox as o, refusals as R, updates as u
from .context import (
    LONGEST_STAY,
    Context,
    Target,
    identified,
    not_before,
    replaced,
    retry_after,
)
from .delays import backoff, dial_in, probe_in, retry_in
from .events import (
    AnyEvent,
    AttemptFailed,
    AuthChanged,
    AuthExpired,
    ConnectionChanged,
    ErrorOccurred,
    MessageFailed,
    MessageQueued,
    MessageReceived,
    MessageSent,
    MessagesRead,
    PhaseChanged,
    Ready,
    UnreadChanged,
)
from .names import Lane, Phase
from .requests import SendMessage

Events = Sequence[AnyEvent]

# --- calls ----------------------------------------------------------------------------------------


def adopt(context: Context, moment: Moment) -> Context:
    """The call's traits and token provider become the session's."""
    arguments, provider = moment.arguments, None
    if arguments.user_id is not None:  # a visitor needs no token
        provider = arguments.provider or context.provider or arguments.fallback
    updates = context.updates
    if arguments.changes:
        # While an identify is open, what a call brings waits for its outcome as an update does.
        updates = (u.record if context.target is None else u.hold)(updates, arguments.changes)
    return replaced(context, user_id=arguments.user_id, provider=provider, updates=updates)


def adopt_target(context: Context, moment: Moment) -> Context:
    """The call's traits and token provider become those of the user to be identified."""
    arguments = moment.arguments
    target = context.target or Target(arguments.user_id)
    provider = arguments.provider or target.provider or arguments.fallback
    return replaced(
        context,
        target=attrs.evolve(target, provider=provider),
        updates=u.hold(context.updates, arguments.changes),
    )


def bound_boot(context: Context, moment: Moment) -> Context:
    """The boot has until then, if nobody waits longer."""
    timeout = moment.arguments.timeout or moment.settings.boot_timeout
    return replaced(context, boot_until=max(context.boot_until, moment.now.at + timeout))


def bound_identify(context: Context, moment: Moment) -> Context:
    """The identify has until then, if nobody waits longer."""
    until = moment.now.at + (moment.arguments.timeout or moment.settings.call_timeout)
    longest = until if context.target is None else max(context.identify_until, until)
    return replaced(context, identify_until=longest)


# --- messages -------------------------------------------------------------------------------------


def queue(context: Context, moment: Moment) -> Context:
    """The message waits its turn; it is for whom the session shows now."""
    outbox = o.add(context.outbox, _entry(context, moment))
    return replaced(context, outbox=outbox if context.up_at is not None else o.owed(outbox))


def queued(context: Context, moment: Moment) -> Events:
    """The message waits, unless it may leave at once."""
    entry = _entry(context, moment)
    leaving = o.sendable(o.add(context.outbox, entry), moment.now.at)
    leaves = context.up_at is not None and any(each.number == entry.number for each in leaving)
    if leaves or isinstance(entry.message, MarkRead):
        return ()
    return (MessageQueued(entry.message.client_message_id, entry.message.conversation_id),)


def _entry(context: Context, moment: Moment) -> o.Entry:
    asked, settings = moment.arguments, moment.settings
    stays = asked.queue and isinstance(asked.message, Outgoing)
    limit = settings.outbox_timeout if stays else settings.call_timeout
    return o.Entry(
        moment.call or 0,
        attrs.evolve(asked.message, owner=context.identity),
        until=moment.now.at + (asked.timeout or limit),
        thread=asked.message.conversation_id or asked.thread,
        waits=asked.queue,
    )


def send_messages(context: Context, moment: Moment) -> Context:
    """The messages that may leave are under way."""
    outbox = o.leave(context.outbox, moment.now.at, moment.now.roll("pace"))
    return replaced(context, outbox=outbox)


def keep_sent(context: Context, moment: Moment) -> Context:
    """The backend has the message, or the mark."""
    (sent, _), outbox, answer = _ended(moment), context.outbox, moment.result
    if isinstance(answer, ReadAnswer):
        is_told = context.echoes
        outbox = o.marked(outbox, sent.number, answer, is_told=is_told)
        # an answer may have been overtaken by what the stream has told
        unread = context.unread if is_told else answer.unread
        return replaced(context, outbox=outbox, unread=unread)
    return replaced(context, outbox=o.stored(outbox, sent.number, answer))


def keep_refused(context: Context, moment: Moment) -> Context:
    """The backend does not take the message."""
    sent, error = _ended(moment)
    outbox = o.refused(context.outbox, sent.number, sent.message.owner, error)
    return replaced(context, outbox=outbox)


def keep_disowned(context: Context, moment: Moment) -> Context:
    """The message waits until it is known whose it is."""
    (sent, error), after = _ended(moment), moment.now.at + _pause(moment)
    outbox = o.disowned(context.outbox, sent.number, sent.message.owner, error, after)
    return replaced(context, outbox=outbox)


def keep_unanswered(context: Context, moment: Moment) -> Context:
    """There is no answer; the message is sent again after a pause."""
    (sent, error), after = _ended(moment), moment.now.at + _pause(moment)
    return replaced(context, outbox=o.unanswered(context.outbox, sent.number, error, after))


def _ended(moment: Moment) -> tuple[SendMessage, SupportChatError]:
    """The attempt that a moment is the outcome of, and its error where it has failed."""
    request = cast("Request", moment.request)
    return request.payload, cast("SupportChatError", moment.error)


def _pause(moment: Moment) -> float:
    """Seconds until a message is sent again: what the backend asks for, else the backoff."""
    asked = retry_after(moment)
    if asked is not None:
        return min(asked, LONGEST_STAY)
    sent, _ = _ended(moment)
    return backoff(sent.attempt, moment.settings, moment.now.roll("send"))


def expire_messages(context: Context, moment: Moment) -> Context:
    """The time of some calls is over."""
    unsent, sent = (each.make("send_message", "") for each in (R.NOT_SENT, R.NOT_ANSWERED))
    return replaced(context, outbox=o.expire(context.outbox, moment.now.at, unsent, sent))


def withdraw_message(context: Context, moment: Moment) -> Context:
    """Nobody wants the message any more."""
    error = R.WITHDRAWN.make("send_message", "")
    return replaced(context, outbox=o.withdraw(context.outbox, moment.call or 0, error))


def drop_messages(context: Context, moment: Moment) -> Context:
    """The session has ended."""
    error = moment.failure or R.ENDED.make("send_message", "")
    return replaced(context, outbox=o.drop(context.outbox, error))


def answers(
    context: Context,
) -> Iterable[tuple[int, Message | ReadAnswer | None, Exception | None]]:
    """What the calls are told whose messages are over."""
    return [
        (over.entry.number, over.answer, over.error)
        for over in context.outbox.over
        if over.entry.awaited
    ]


def over(context: Context, moment: Moment) -> Events:
    """Messages have come to their end; of one that is stored the stream tells, where it echoes."""
    events: list[AnyEvent] = []
    for each in context.outbox.over:
        message = each.entry.message
        if isinstance(message, MarkRead):
            # of marks the stream tells; of one that was owed and is refused nobody else would
            if isinstance(each.error, BackendRejectedError) and not each.entry.awaited:
                events.append(ErrorOccurred(each.error))
        elif isinstance(each.answer, Message) and not context.echoes:
            events.append(MessageSent(each.answer))
        elif each.error is not None and each.ends:
            name, text = message.client_message_id, message.text
            events.append(MessageFailed(name, each.error, each.unknown, text=text))
    return events


def answered(context: Context, moment: Moment) -> Context:
    """They are told."""
    return replaced(context, outbox=o.told(context.outbox)) if context.outbox.over else context


# --- the link -------------------------------------------------------------------------------------


def dial(context: Context, moment: Moment) -> Context:
    """An attempt begins."""
    return replaced(context, dialled_at=moment.now.at)


def count_failure(context: Context, moment: Moment) -> Context:
    """An attempt has failed; the next wait is longer."""
    return replaced(
        context,
        failures=context.failures + 1,
        not_before=not_before(context, moment),
        trouble=moment.error or context.trouble,
    )


def cut(context: Context, moment: Moment) -> Context:
    """The link is gone; whether it was stable decides how long the next wait is."""
    if context.up_at is None:
        return context
    stable = moment.now.at - context.up_at >= moment.settings.stable_after
    return replaced(
        context,
        up_at=None,
        failures=0 if stable else context.failures + 1,
        not_before=not_before(context, moment),
        trouble=moment.error,
        outbox=o.link_gone(
            context.outbox,
            R.LINK_GONE.make("send_message", ""),
            R.ANSWER_LOST.make("send_message", ""),
        ),
    )


def keep_link(context: Context, moment: Moment) -> Context:
    """The backend has said who we are, and under which session."""
    welcome, settings = moment.result, moment.settings
    # a full outbox leaves before its first message is given up
    slowest = settings.outbox_timeout / settings.outbox_size
    user_id = welcome.user_id
    identity = Visitor(welcome.visitor_id or "") if user_id is None else SignedIn(user_id)
    updates = context.updates
    visitors = isinstance(context.identity, Visitor) and isinstance(identity, Visitor)
    if visitors and context.identity != identity:
        # a visitor who was merged elsewhere is answered with a successor, of whom nothing is known
        updates = u.nothing_is_known(updates)
    outbox = context.outbox
    if outbox.entries:
        outbox = _outbox_of(context, identity, identified(moment))
        outbox = o.link_up(outbox, moment.now.at, min(context.waited, slowest))
    return replaced(
        context,
        identity=identity,
        updates=updates,
        outbox=outbox,
        session=welcome.session,
        # Messages that are replayed move the cursor one by one: to jump ahead would lose them if
        # the link broke during the replay.
        cursor=welcome.cursor if context.cursor is None or welcome.gap else context.cursor,
        unread=welcome.unread,
        echoes=welcome.echoes,
        up_at=moment.now.at,
        trouble=None,
    )


def _outbox_of(context: Context, identity: Identity, answer: IdentifyAnswer | None) -> o.Outbox:
    """The outbox of a session that is for `identity`, by the answer to an identify if there is one:
    what its visitor has sent goes along with a merge, and not otherwise.
    """
    outbox = context.outbox
    if answer is not None and answer.merged:
        outbox = o.become(outbox, context.identity, identity)
    return o.owned(outbox, identity, R.not_theirs())


def arm_dial(context: Context, moment: Moment) -> Context:
    """The next dial waits so long."""
    return replaced(context, waited=dial_in(context, moment))


def arm_retry(context: Context, moment: Moment) -> Context:
    """The next dial waits so long."""
    return replaced(context, waited=retry_in(context, moment))


def arm_probe(context: Context, moment: Moment) -> Context:
    """The next dial waits so long."""
    return replaced(context, waited=probe_in(context, moment))


def arm_silence(context: Context, moment: Moment) -> Context:
    """The silence is judged at its limit; if that is over, nobody listened."""
    until = moment.now.heard_at + moment.settings.silence_timeout
    return replaced(context, listens_until=until if until > moment.now.at else None)


def attempt_failed(context: Context, moment: Moment, seconds: float) -> Events:
    """An attempt to connect has failed; the next one begins in so many seconds."""
    request, error = moment.request, moment.error
    if request is None or error is None or request.lane not in (Lane.DIAL, Lane.TOKEN):
        return ()  # what is waited for is no attempt that failed
    return (AttemptFailed(error, context.failures, seconds),)


def ready(context: Context, moment: Moment) -> Events:
    """The session is live."""
    return (Ready(context.identity),) if context.identity else ()


def connected(context: Context, moment: Moment) -> Events:
    """A link is open; what it replayed may have a gap."""
    return (ConnectionChanged(True, moment.result.gap),)


def lost(context: Context, moment: Moment) -> Events:
    """The link is gone."""
    return (ConnectionChanged(False),)


def receive(context: Context, moment: Moment) -> Context:
    """A message has arrived; one of this session's own needs no other answer."""
    arrived, outbox = moment.result, context.outbox
    if arrived.own:
        outbox = o.arrived(outbox, arrived.message)
    return replaced(context, cursor=arrived.cursor, unread=arrived.unread, outbox=outbox)


def received(context: Context, moment: Moment) -> Events:
    """A message has arrived, of somebody else or of this very session."""
    arrived = moment.result
    return ((MessageSent if arrived.own else MessageReceived)(arrived.message),)


def read_up_to(context: Context, moment: Moment) -> Context:
    """Messages were read."""
    told = moment.result
    outbox = o.told_of_mark(context.outbox, told.conversation_id, told.unread)
    return replaced(context, unread=told.unread, outbox=outbox)


def messages_read(context: Context, moment: Moment) -> Events:
    """Messages were read, here or elsewhere."""
    return (MessagesRead(moment.result.conversation_id, moment.result.up_to),)


def keep_visitor(context: Context, moment: Moment) -> Context:
    """The visitor's secret, as stored."""
    return replaced(context, visitor=moment.result)


# --- the token ------------------------------------------------------------------------------------


def fetch(context: Context, moment: Moment) -> Context:
    """The token provider is called."""
    return replaced(context, fetched_at=moment.now.at)


def keep_token(context: Context, moment: Moment) -> Context:
    """A token has arrived."""
    return replaced(context, token=moment.result, accepted=False, arrived_at=moment.now.at)


def accept_token(context: Context, moment: Moment) -> Context:
    """The backend has accepted the token, and may have given the session another credential."""
    answer = moment.result
    renewed = answer.session if isinstance(answer, IdentifyAnswer | RenewAnswer) else None
    return replaced(
        context,
        accepted=True,
        tokens_accepted=context.tokens_accepted + 1,
        spent=None,
        session=renewed or context.session,
    )


def spend_token(context: Context, moment: Moment) -> Context:
    """The backend has refused the token: its bytes are never sent again."""
    spent = context.token.digest if context.token else context.spent
    return replaced(context, token=None, spent=spent)


def drop_token(context: Context, moment: Moment) -> Context:
    """The token is about to expire."""
    return replaced(context, token=None)


def expired(context: Context, moment: Moment) -> Events:
    """The backend no longer accepts the token."""
    return (AuthExpired(),)


# --- identifying ----------------------------------------------------------------------------------


def send_identify(context: Context, moment: Moment) -> Context:
    """The identify leaves under an id of its own, with everything that was recorded; one that is
    asked again leaves as it was.
    """
    target = context.target
    if target is not None and target.identify_id is not None:
        return replaced(context, target=attrs.evolve(target, again=True))
    if target is not None:
        target = Target(target.user_id, target.provider, moment.now.draw("identify").hex())
    return replaced(context, target=target, updates=u.carry(context.updates))


def become_user(context: Context, moment: Moment) -> Context:
    """The visitor is the user now."""
    target, answer = context.target, identified(moment)
    if target is None:
        return context
    rejected = [path for path, _ in answer.rejected] if answer else []
    told = moment.result is answer and answer is not None and answer.unread is not None
    user = SignedIn(target.user_id)
    return replaced(
        context,
        outbox=_outbox_of(context, user, answer),
        unread=answer.unread if told and answer else context.unread,
        user_id=target.user_id,
        identity=user,
        provider=target.provider,
        target=None,
        updates=u.become_user(context.updates, rejected),
    )


def became_user(context: Context, moment: Moment) -> Events:
    """The visitor is the user now; some of what came along may have been rejected."""
    answer = identified(moment)
    return _rejected(answer.rejected if answer else ())


def unclaim(context: Context, moment: Moment) -> Context:
    """The identify was not committed: another one will have another id."""
    target = context.target and Target(context.target.user_id, context.target.provider)
    return replaced(context, target=target, token=None, updates=u.unclaim(context.updates))


def forget_target(context: Context, moment: Moment) -> Context:
    """Nobody is to be identified any more."""
    updates = u.forget_target(context.updates)
    return replaced(context, target=None, token=None, spent=None, updates=updates)


def target_forgotten(context: Context, moment: Moment) -> Events:
    """What was recorded for a user who was not identified is dropped."""
    held = {*context.updates.held, *context.updates.carried_held}
    because = "The identify that these updates waited for has failed; update() after the next one."
    return _dropped(held, moment, because)


# --- updates --------------------------------------------------------------------------------------


def record(context: Context, moment: Moment) -> Context:
    """The call's changes are to be sent."""
    return replaced(context, updates=u.record(context.updates, moment.arguments.changes))


def hold(context: Context, moment: Moment) -> Context:
    """The call's changes wait for the identify."""
    return replaced(context, updates=u.hold(context.updates, moment.arguments.changes))


def drop_held(context: Context, moment: Moment) -> Context:
    """What waits for the identify is dropped."""
    return replaced(context, updates=u.drop_held(context.updates))


def held_dropped(context: Context, moment: Moment) -> Events:
    """What was recorded for a user whom nobody waits for any more is dropped."""
    because = "The identify that these updates waited for was given up; update() again."
    return _dropped(context.updates.held, moment, because)


def send_update(context: Context, moment: Moment) -> Context:
    """An update leaves, and counts towards the limit of them."""
    settings, now = moment.settings, moment.now.at
    recent = tuple(t for t in context.updated_at if t > now - settings.update_window)
    updated_at = (*recent, now)[-settings.update_burst :]
    return replaced(context, updates=u.take(context.updates), updated_at=updated_at)


def acknowledge(context: Context, moment: Moment) -> Context:
    """The backend has the update."""
    rejected = (path for path, _ in moment.result.rejected)
    updates = u.acknowledge(context.updates, rejected)
    return replaced(context, updates=updates, update_failures=0)


def acknowledged(context: Context, moment: Moment) -> Events:
    """The backend has the update, but for the keys that it rejected."""
    return _rejected(moment.result.rejected)


def restore(context: Context, moment: Moment) -> Context:
    """What was sent without an answer is to be sent again."""
    failed = moment.request is not None and moment.request.lane == Lane.UPDATE
    return replaced(
        context,
        updates=u.restore(context.updates),
        update_failures=context.update_failures + failed,
        not_before=not_before(context, moment),
    )


def drop_sent(context: Context, moment: Moment) -> Context:
    """What the backend refused as a whole is dropped."""
    return replaced(context, updates=u.drop_sent(context.updates))


def sent_dropped(context: Context, moment: Moment) -> Events:
    """What the backend refused as a whole is dropped."""
    because = "The backend refused the update as a whole."
    return _dropped(context.updates.sent, moment, because)


def drop_updates(context: Context, moment: Moment) -> Context:
    """Everything that was not sent is dropped."""
    return replaced(context, updates=u.NO_UPDATES)


def updates_dropped(context: Context, moment: Moment) -> Events:
    """Every update that was not sent is dropped."""
    updates = context.updates
    unsent = {
        *updates.recorded,
        *updates.sent,
        *updates.held,
        *updates.carried,
        *updates.carried_held,
    }
    because = "The session ended before these updates were sent; update() again after boot()."
    return _dropped(unsent, moment, because)


# --- the end --------------------------------------------------------------------------------------


def forget(context: Context, moment: Moment) -> Context:
    """Keeps what is nobody's: the distance of dials and the limit of updates hold across boots."""
    return Context(
        failures=context.failures,
        dialled_at=context.dialled_at,
        not_before=context.not_before,
        updated_at=context.updated_at,
        update_failures=context.update_failures,
    )


def failed(context: Context, moment: Moment) -> Events:
    """An error that no call raises."""
    return (ErrorOccurred(moment.failure),) if moment.failure else ()


# --- any step ----------------------------------------------------------------------------------


def moved(previous: str, current: str, reason: str) -> AnyEvent:
    """The phase has changed."""
    return PhaseChanged(Phase(previous), Phase(current), reason)


def changed(before: Context, after: Context) -> Events:
    """A whole step has changed who we are, or what is unread."""
    events: list[AnyEvent] = []
    if after is not before:  # most steps change nothing
        if after.identity is not before.identity and after.identity != before.identity:
            events.append(AuthChanged(after.identity))
        if after.identity is not None and before.unread != after.unread:
            events.append(UnreadChanged(after.unread))
    return events


# --- helpers -----------------------------------------------------------------------------------


def _dropped(paths: Iterable[str], moment: Moment, because: str) -> Events:
    names = tuple(sorted(paths))
    if not names:
        return ()
    error = moment.failure or SupportChatError(because, code="updates_dropped")
    return (ErrorOccurred(error, names),)


def _rejected(rejected: Iterable[tuple[str, str]]) -> Events:
    paths = tuple(sorted(path for path, _ in rejected))
    if not paths:
        return ()
    because = (
        "The backend rejected these keys of an update; the others are stored. "
        "Correct them and update() again."
    )
    return (ErrorOccurred(BackendRejectedError(because, code="validation_error"), paths),)

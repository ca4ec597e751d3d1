"""Everything that can happen to a session, and around it.

Each move is done within the running loop. It takes the session that it is about and `choose`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from keeping import LANES
from support_chat.engine import Outcome, Request
from support_chat.errors import NetworkError, StorageError, TokenRefusedError
from support_chat.lifecycle.chart import ONLINE
from support_chat_adapters.backend import Backend

from .world import Choose, Move, Session

USERS: Final = ("ann", "bob")
TIMEOUTS: Final = (None, None, 0.001, 3.0)
STORES: Final = ("get", "create", "delete", "keys")
BREAKS: Final[dict[str, Callable[[Backend], object]]] = {
    "the links drop": lambda b: b.faults.drop_links(),
    "the links fall silent": lambda b: b.faults.silence_links(),
    "tokens expire": lambda b: b.faults.expire_tokens(),
    "the history is gone": lambda b: b.faults.drop_history(),
}
FAULTS: Final[dict[str, Callable[[Backend], object]]] = {
    "a black hole": lambda b: b.faults.black_hole(),
    "two dials fail": lambda b: b.faults.refuse_dials(2),
    "no dial gets through": lambda b: b.faults.refuse_dials(),
    "come back in 5 s": lambda b: b.faults.rate_limit(5.0),
    "come back tomorrow": lambda b: b.faults.rate_limit(86_400.0),
    "a dial is refused": lambda b: b.faults.refuse("dial"),
    "a dial is rejected": lambda b: b.faults.reject("dial"),
    "the answer to a dial is lost": lambda b: b.faults.swallow("dial"),
    "the answer to an identify is lost": lambda b: b.faults.swallow("identify"),
    "the answer to an identify never comes": lambda b: b.faults.swallow("identify", silently=True),
    "an identify is refused": lambda b: b.faults.refuse("identify"),
    "an identify is rejected": lambda b: b.faults.reject("identify"),
    "identify again in 2 s": lambda b: b.faults.rate_limit(2.0, "identify"),
    "identify again tomorrow": lambda b: b.faults.rate_limit(86_400.0, "identify"),
    "the answer to an update is lost": lambda b: b.faults.swallow("update"),
    "an update fails": lambda b: b.faults.fail("update", NetworkError("try again")),
    "an update is refused": lambda b: b.faults.refuse("update"),
    "an update is rejected": lambda b: b.faults.reject("update", "validation_error"),
    "a path is rejected": lambda b: b.faults.reject_paths({"user.traits.a": "no"}),
    "the answer to a send is lost": lambda b: b.faults.swallow("send"),
    "a renewal is refused": lambda b: b.faults.refuse("renew"),
    "the answer to a renewal is lost": lambda b: b.faults.swallow("renew"),
    "half a second each way": lambda b: b.faults.delay(0.5, answer=0.5),
    "answers take 12 s": lambda b: b.faults.delay(0.0, answer=12.0),
    "identifies take 40 s": lambda b: b.faults.delay(0.0, answer=40.0, operation="identify"),
    "answers are bob's": lambda b: b.faults.answer_as("bob"),
}


def _mostly(choose: Choose) -> bool:
    return choose((True, True, True, False))


# --- calls ----------------------------------------------------------------------------------------


def _described(session: Session, user: str, choose: Choose) -> dict[str, Any]:
    traits = {} if _mostly(choose) else {"a": session.value(user)}
    provider = session.providers[user] if _mostly(choose) else None
    return {"user": {"id": user, "traits": traits}, "token_provider": provider}


def boot(session: Session, choose: Choose) -> None:
    user = choose((None, *USERS))
    options = {} if user is None else _described(session, user, choose)
    session.make("boot", timeout=choose(TIMEOUTS), **options)


def identify(session: Session, choose: Choose) -> None:
    user = choose(USERS)
    options = _described(session, user, choose)
    session.make("identify", timeout=choose(TIMEOUTS), **options)


def become(session: Session, choose: Choose) -> None:
    user = choose((None, *USERS))
    session.epoch += session.is_ended_by_becoming(user)
    options = {"user": None} if user is None else _described(session, user, choose)
    clears = choose((False, False, True))
    session.make("become", clear_storage=clears, timeout=choose(TIMEOUTS), **options)


def update(session: Session, choose: Choose) -> None:
    named, (signed_in, target) = (
        choose((None, None, *USERS)),
        session.shell.snapshot.state.registers,
    )
    traits = {choose("ab"): session.value(named or target or signed_in)}
    user = {"traits": traits} if named is None else {"id": named, "traits": traits}
    session.make("update", user=user)


def shutdown(session: Session, choose: Choose) -> None:
    session.make("shutdown", clear_storage=choose((False, True)))


def destroy(session: Session, choose: Choose) -> None:
    if choose((False,) * 7 + (True,)):
        session.make("destroy")


def load(session: Session, choose: Choose) -> None:
    session.make("load")


def send_message(session: Session, choose: Choose) -> None:
    session.world.values += _mostly(choose)
    name = f"{session.world.sessions.index(session)} message {session.world.values}"
    queue = _mostly(choose)
    session.make("send_message", text="hi", client_message_id=name, queue=queue)


def conversations(session: Session, choose: Choose) -> None:
    session.make("conversations")


async def _left(call: Any, runs: bool) -> None:
    awaiter = asyncio.ensure_future(call.wait())
    if runs:
        await asyncio.sleep(0)
    awaiter.cancel()
    await asyncio.wait([awaiter])


def awaiter_leaves(session: Session, choose: Choose) -> Awaitable[None] | None:
    """One of the latest calls is awaited, and the awaiter cancelled, before or after it has run."""
    latest = session.world.made[-4:]
    return _left(choose(latest), choose((False, True))) if latest else None


def handler_calls(session: Session, choose: Choose) -> None:
    """The next change of phase finds a handler that calls into the session."""
    call, which = choose((boot, identify, become, shutdown, boot, destroy)), choose((0, -1))
    session.reactions.append(partial(call, session, lambda options: options[which]))


# --- time, hints, adapters ------------------------------------------------------------------------


def time_passes(session: Session, choose: Choose) -> Awaitable[None]:
    return asyncio.sleep(choose((0.0, 0.05, 0.3, 1.0, 3.0, 6.0, 31.0, 130.0, 900.0)))


async def _rest() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def all_comes_to_rest(session: Session, choose: Choose) -> Awaitable[None]:
    return _rest()


def hint(session: Session, choose: Choose) -> None:
    session.chat.set_online(choose((False, True)))


def storage_misbehaves(session: Session, choose: Choose) -> None:
    storage, operation = session.storage, choose(STORES)
    kinds: dict[str, Callable[[], None]] = {
        "fails": lambda: storage.fail_next(operation, StorageError("the disk is full")),
        "raises": lambda: storage.fail_next(operation, OSError("the disk is gone")),
        "lies": lambda: storage.answer_next(operation, 42),
        "hangs": lambda: storage.hold(operation),
        "is deaf": lambda: storage.hold(operation, stubborn=True),
    }
    kind = choose(tuple(kinds))
    session.stores_well = session.stores_well and kind not in ("lies", "is deaf")
    kinds[kind]()


def storage_goes_on(session: Session, choose: Choose) -> None:
    """What hung succeeds or fails."""
    fails = choose((False, True))
    for pending in session.storage.waiting() if fails else ():
        pending.fail(StorageError("the disk is full after all"))
    session.storage.release(*STORES)


def provider_misbehaves(session: Session, choose: Choose) -> None:
    tokens = session.providers[choose(USERS)]
    kinds: dict[str, Callable[[], None]] = {
        "refuses": lambda: tokens.fail_next("fetch", TokenRefusedError("not this user")),
        "raises": lambda: tokens.fail_next("fetch", OSError("the customer's backend is down")),
        "lies": lambda: tokens.answer_next("fetch", 42),
        "hangs": lambda: tokens.hold("fetch"),
        "is deaf": lambda: tokens.hold("fetch", stubborn=True),
    }
    kinds[choose(tuple(kinds))]()


def provider_goes_on(session: Session, choose: Choose) -> None:
    session.providers[choose(USERS)].release("fetch")


def tokens_are_odd(session: Session, choose: Choose) -> None:
    kinds = ("another's", "the same bytes", "forged", "short-lived", "opaque", "well")
    session.world.tokens = choose(kinds)


def transport_misbehaves(session: Session, choose: Choose) -> None:
    session.transport.behaves = choose(("raises", "lies", "deaf"))


def all_recovers(session: Session, choose: Choose) -> None:
    session.world.recover()


def leftover_is_found(session: Session, choose: Choose) -> None:
    if session.chat.is_in(*ONLINE):  # a clear that is under way does not look twice
        session.world.contents[session.prefix + "leftover"] = "x"


def superseded_outcome_arrives(session: Session, choose: Choose) -> None:
    """A request that nobody remembers ends."""
    effect, before = choose(tuple(LANES)), session.shell.snapshot
    request = Request(effect, LANES[effect], 10**9, None)
    session.shell.take(Outcome(request, error=choose((NetworkError("late"), OSError("late")))))
    if session.shell.snapshot != before:
        session.world.broken.append(f"S2 a late outcome of {effect} changes something")


# --- the backend ----------------------------------------------------------------------------------


def backend_misbehaves(session: Session, choose: Choose) -> None:
    FAULTS[choose(tuple(FAULTS))](session.world.backend)


def links_break(session: Session, choose: Choose) -> None:
    BREAKS[choose(tuple(BREAKS))](session.world.backend)


def backend_revokes(session: Session, choose: Choose) -> None:
    if name := session.shell.snapshot.context.session:
        session.world.backend.faults.revoke(name)


def agent_writes(session: Session, choose: Choose) -> None:
    agent = session.world.backend.agent
    for conversation in agent.conversations():
        agent.reply(conversation.id, "hello")


MOVES: Final[dict[Move, int]] = {
    boot: 22,
    identify: 10,
    become: 6,
    update: 8,
    shutdown: 4,
    destroy: 1,
    load: 2,
    send_message: 3,
    conversations: 2,
    awaiter_leaves: 3,
    handler_calls: 1,
    time_passes: 14,
    all_comes_to_rest: 8,
    hint: 4,
    storage_misbehaves: 3,
    storage_goes_on: 5,
    provider_misbehaves: 4,
    provider_goes_on: 6,
    tokens_are_odd: 3,
    transport_misbehaves: 1,
    all_recovers: 8,
    leftover_is_found: 1,
    superseded_outcome_arrives: 1,
    backend_misbehaves: 8,
    links_break: 9,
    backend_revokes: 1,
    agent_writes: 2,
}
"""Every move, and how often it happens where dice decide."""

"""Each rule of the judge can fail: a story that fits is doctored in one place, and the judge names
that place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from killing import judge
from killing.evidence import Client, Evidence, Exchange, Identifying, Life, Recorded, Reply, Sent
from killing.stored import Stored, StoredMerge, StoredMessage, StoredSession, StoredVisitor, hashed
from support_chat import IdentifyResult, Message, Phase, PhaseChanged

Doctor = Callable[[Evidence, Stored], Stored]

VISITOR, USER = "visitor:v", "user:user-7-a"
SENT = Message("message-1", "conversation-1", "visitor", "text-1", 0.0, "message-7-first-1")
REPLY = Message("message-2", "conversation-1", "agent", "reply-1", 0.0)


def story() -> tuple[Evidence, Stored]:
    """A visitor writes, is answered while the backend is dead, becomes a user, updates, and is shut
    down.
    """
    life = Life(
        "stay",
        owners=[(VISITOR, 0), (USER, 1)],
        sent=[Sent("message-7-first-1", "text-1", VISITOR, attempts=2, answers=[SENT])],
        recorded=[
            Recorded(VISITOR, "context.page", "one"),
            Recorded(USER, "context.page", "two"),
            Recorded(USER, "context.page", "three"),
        ],
        identifies=[Identifying("v", "user-7-a", IdentifyResult(True, 1))],
        received=[REPLY],
        told_sent=[SENT],
        listed=(("conversation-1", 2),),
    )
    exchanges = [
        Exchange("boot", 1, None, {}, 200),
        Exchange("update", 3, "session", {"changes": {"context.page": "two"}}, 200),
        Exchange("shutdown", 5, "session", {}, 204),
    ]
    client = Client(
        "first",
        [life],
        exchanges,
        [PhaseChanged(Phase.READY, Phase.BOOTING), PhaseChanged(Phase.BOOTING, Phase.ANONYMOUS)],
    )
    evidence = Evidence(
        7,
        "merge",
        "at_commit",
        ("user-7-a",),
        [client],
        [Reply(2, "conversation-1", USER, True)],
    )
    evidence.kill.done = evidence.kill.committed = True
    evidence.refused["session"] = 403
    stored = Stored(
        users=("user-7-a",),
        visitors=(StoredVisitor("v", "user-7-a"),),
        merges=(StoredMerge("v", "user-7-a", 1),),
        sessions=(StoredSession(hashed("session"), "v", "user-7-a", True),),
        conversations=(("conversation-1", USER),),
        messages=(
            StoredMessage(1, "conversation-1", USER, "visitor", "text-1", "message-7-first-1"),
            StoredMessage(2, "conversation-1", USER, "agent", "reply-1", None),
        ),
        traits={(VISITOR, "context.page"): "one", (USER, "context.page"): "three"},
    )
    return evidence, stored


def test_a_story_that_fits_is_no_violation() -> None:
    assert judge.judge(*story()) == []
    assert not judge.is_on_its_way(*story())


def _stored(**changes: Any) -> Doctor:
    return lambda evidence, stored: attrs.evolve(stored, **changes)


def _seen(change: Callable[[Evidence, Client, Life], object]) -> Doctor:
    def doctor(evidence: Evidence, stored: Stored) -> Stored:
        change(evidence, evidence.clients[0], evidence.clients[0].lives[0])
        return stored

    return doctor


def _message(number: int, **changes: Any) -> Doctor:
    def doctor(evidence: Evidence, stored: Stored) -> Stored:
        return attrs.evolve(
            stored,
            messages=tuple(
                attrs.evolve(one, **changes) if one.number == number else one
                for one in stored.messages
            ),
        )

    return doctor


_ROWS = story()[1].messages
_MERGE = StoredMerge("v", "user-7-a", 1)

DOCTORED: dict[str, tuple[Doctor, str]] = {
    "nobody killed": (
        _seen(lambda evidence, _, __: setattr(evidence.kill, "done", False)),
        "nothing was killed",
    ),
    "answered and not on disk": (
        _seen(lambda evidence, _, __: setattr(evidence.kill, "committed", False)),
        "is not on disk",
    ),
    "committed before it left": (
        _seen(lambda evidence, _, __: setattr(evidence, "moment", "before")),
        "died before it left",
    ),
    "a damaged file": (_stored(damage=("row 3 missing from index",)), "the database is damaged"),
    "half a transaction": (
        _stored(conversations=(("conversation-1", USER), ("conversation-2", USER))),
        "begun without a message",
    ),
    "a call under way": (
        _seen(lambda _, client, __: client.unsettled.append("boot()")),
        "boot() has not settled",
    ),
    "a phase skipped": (
        _seen(
            lambda _, client, __: client.phases.append(
                PhaseChanged(Phase.RECONNECTING, Phase.ANONYMOUS)
            )
        ),
        "the phase went to",
    ),
    "a user twice": (_stored(users=("user-7-a", "user-7-a")), "is 2 users"),
    "a user lost": (_stored(users=()), "is no user"),
    "a user from nowhere": (_stored(users=("user-7-a", "user-7-z")), "whom nobody asked for"),
    "a merge twice": (_stored(merges=(_MERGE, _MERGE)), "was merged 2 times"),
    "a merge lost": (
        _stored(merges=(), visitors=(StoredVisitor("v", None),)),
        "and the merge is None",
    ),
    "a merge half done": (_stored(visitors=(StoredVisitor("v", None),)), "are not the same"),
    "a merge into another": (_stored(merges=(StoredMerge("v", "user-7-b", 1),)), "into user-7-b"),
    "a conversation left behind": (
        _stored(conversations=(("conversation-1", VISITOR),)),
        "was left with visitor:v",
    ),
    "a conversation not counted": (
        _stored(merges=(StoredMerge("v", "user-7-a", 0),)),
        "said 1 conversations, the merge 0",
    ),
    "an identify without a result": (
        _seen(lambda _, __, life: setattr(life.identifies[0], "result", None)),
        "has no result",
    ),
    "an identify that lies": (
        _seen(
            lambda _, __, life: setattr(
                life.identifies[0], "result", IdentifyResult(False, 0, "already_signed_in")
            )
        ),
        "said IdentifyResult(merged=False",
    ),
    "a message twice": (
        _stored(messages=(*_ROWS, attrs.evolve(_ROWS[0], number=3))),
        "is stored 2 times",
    ),
    "a message lost": (_stored(messages=_ROWS[1:]), "acknowledged and is not stored"),
    "a message from nowhere": (
        _message(2, client_message_id="message-7-first-9"),
        "was never sent",
    ),
    "another text": (_message(1, text="another"), "is stored as"),
    "another owner": (_message(1, owner=VISITOR), "is stored as"),
    "a message given up": (
        _seen(lambda _, __, life: life.sent[0].answers.clear()),
        "was never acknowledged",
    ),
    "a message not told of": (
        _seen(lambda _, __, life: life.told_sent.clear()),
        "MessageSent told of",
    ),
    "news lost": (_seen(lambda _, __, life: life.received.clear()), "message-2 never arrived"),
    "news twice": (
        _seen(lambda _, __, life: life.received.append(REPLY)),
        "message-2 arrived 2 times",
    ),
    "news out of order": (
        _seen(lambda _, __, life: life.received.append(attrs.evolve(REPLY, id="message-1"))),
        "in the order",
    ),
    "news from nowhere": (
        _seen(lambda _, __, life: life.received.append(attrs.evolve(REPLY, id="message-9"))),
        "is stored as None",
    ),
    "news of one's own": (
        _seen(lambda _, __, life: life.received.append(attrs.evolve(SENT, id="message-3"))),
        "message-7-first-1 came back",
    ),
    "a value lost": (
        _stored(traits={(VISITOR, "context.page"): "one"}),
        "is None, not one of ['three']",
    ),
    "an older value": (
        _stored(traits={(VISITOR, "context.page"): "one", (USER, "context.page"): "two"}),
        "is 'two'",
    ),
    "a visitor's value at the user's": (
        _stored(traits={(USER, "context.page"): "three"}),
        "of visitor:v is None",
    ),
    "a session that lives on": (
        _stored(sessions=(StoredSession(hashed("session"), "v", "user-7-a", False),)),
        "is not revoked",
    ),
    "a session let in again": (
        _seen(lambda evidence, _, __: evidence.refused.update(session=200)),
        "was answered with 200",
    ),
    "a session used again": (
        _seen(lambda _, client, __: client.exchanges.append(Exchange("send", 7, "session"))),
        "send was asked in a session that it had ended",
    ),
    "not live": (_seen(lambda _, __, life: setattr(life, "listed", None)), "not live at the end"),
    "live for somebody else": (_seen(lambda _, __, life: setattr(life, "listed", ())), "lists ()"),
    "a visitor not recognised": (
        _seen(
            lambda _, client, __: client.lives.insert(
                0, Life("shutdown", owners=[("visitor:w", 0)])
            )
        ),
        "visitor:w was not recognised",
    ),
    "a visitor recognised after a clear": (
        _seen(lambda _, client, __: client.lives.insert(0, Life("clear", owners=[(VISITOR, 0)]))),
        "was recognised after a clear",
    ),
    "something that was complained of": (
        _seen(lambda evidence, _, __: evidence.complain("a task is left")),
        "a task is left",
    ),
}


def test_whatever_does_not_fit_is_seen_and_named() -> None:
    for what, (doctor, named) in DOCTORED.items():
        evidence, stored = story()
        violations = judge.judge(evidence, doctor(evidence, stored))
        assert any(named in violation for violation in violations), (what, violations)


def test_every_rule_has_something_that_it_sees() -> None:
    for rule in judge.RULES:
        seen = 0
        for doctor, _ in DOCTORED.values():
            evidence, stored = story()
            seen += any(True for _ in rule(evidence, doctor(evidence, stored)))
        assert seen, rule.__name__


def test_after_a_shutdown_what_was_on_its_way_may_have_happened_or_not() -> None:
    evidence, stored = story()
    life = evidence.clients[0].lives[0]
    life.ending = "shutdown"
    life.recorded.append(Recorded(USER, "context.page", "four"))
    life.identifies[0].result = None
    life.received.clear()
    assert judge.judge(evidence, stored) == []
    assert (
        judge.judge(
            evidence, attrs.evolve(stored, traits={**stored.traits, (USER, "context.page"): "four"})
        )
        == []
    )
    erased = attrs.evolve(
        stored, traits={(VISITOR, "context.page"): "one", (USER, "context.page"): "one"}
    )
    assert judge.judge(evidence, erased), "older than what was acknowledged"

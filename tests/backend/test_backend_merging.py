"""identify(): merging a visitor into a user exactly once, refusing without a trace, and learning a
lost reply.
"""

from __future__ import annotations

from typing import Any

import pytest

from support_chat.errors import AuthRefusedError, BackendRejectedError
from support_chat.ports import (
    Claim,
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    Outgoing,
    Welcome,
)
from support_chat.values import Identity, SignedIn, Visitor
from support_chat_adapters.backend import Backend, IdentityKey, WidgetRules, sign_identity_token

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}


def backend(**rules: bool) -> Backend:
    return Backend(
        **WIDGET, keys=[IdentityKey("HS256", SECRET)], rules=WidgetRules(**rules), clock=lambda: NOW
    )


def token(user: str, now: float = NOW) -> str:
    return sign_identity_token(user, SECRET, **WIDGET, now=now)


def visitor(
    b: Backend, secret: str = "secret-1", *, conversations: int = 0, **more: Any
) -> Welcome:
    welcome = b.open(Credentials(**WIDGET, visitor=secret, **more)).welcome
    for number in range(conversations):
        b.send(welcome.session, Outgoing(f"{welcome.session}-{number}", f"question {number}"))
    return welcome


def signed_in(b: Backend, user: str) -> str:
    """The session of a user who opened it with the secret `secret-1`."""
    credentials = Credentials(**WIDGET, visitor="secret-1", user_id=user, token=token(user))
    return b.open(credentials).welcome.session


def request(user: str = "ann", **changed: Any) -> IdentifyRequest:
    good: dict[str, Any] = {
        "identify_id": "identify-1",
        "user_id": user,
        "visitor": "secret-1",
        "token": token(user),
    }
    return IdentifyRequest(**(good | changed))


def everything(b: Backend) -> list[object]:
    """What an identify could change."""
    people: list[Identity] = [*b.agent.users(), *b.agent.visitors()]
    return [
        [(person, b.agent.conversations(person), b.agent.traits(person)) for person in people],
        b.agent.duplicates(),
    ]


def claimed(
    b: Backend, *, user: str = "ann", identify_id: str = "identify-1", **more: Any
) -> Welcome:
    credentials: dict[str, Any] = {"visitor": "secret-1", "claim": Claim(identify_id, user)} | more
    return b.open(Credentials(**WIDGET, **credentials)).welcome


def test_the_visitors_conversations_become_the_users_and_the_session_too() -> None:
    with backend() as b:
        welcome = visitor(b, conversations=2)
        before = b.conversations(welcome.session)
        assert b.identify(welcome.session, request()) == IdentifyAnswer(
            "ann", merged=True, conversations_moved=2, unread=0
        )
        assert b.conversations(welcome.session) == before == b.agent.conversations(SignedIn("ann"))
        assert b.agent.conversations(Visitor(welcome.visitor_id or "")) == ()
        assert b.agent.merged_into(Visitor(welcome.visitor_id or "")) == SignedIn("ann")
        assert b.send(welcome.session, Outgoing("m", "now as ann")).author == "user"


def test_a_visitor_with_nothing_is_merged_too() -> None:
    with backend() as b:
        welcome = visitor(b)
        assert b.identify(welcome.session, request()) == IdentifyAnswer(
            "ann", merged=True, conversations_moved=0, unread=0
        )
        assert visitor(b).visitor_id != welcome.visitor_id


def test_the_same_identify_again_gives_the_same_answer_and_does_nothing_twice() -> None:
    with backend() as b:
        welcome = visitor(b, conversations=1)
        asked = request(user_changes={"user.name": "Ann"})
        first = b.identify(welcome.session, asked)
        b.update(welcome.session, {"user.name": "Ann B."})
        before = everything(b)
        for _ in range(3):
            assert b.identify(welcome.session, asked) == first
        assert everything(b) == before
        assert [entry.detail[2:] for entry in b.log.of("identified")] == [
            (),
            ("again",),
            ("again",),
            ("again",),
        ]


def test_the_same_identify_from_another_session_of_the_visitor_signs_that_one_in_as_well() -> None:
    with backend() as b:
        first, second = visitor(b, conversations=1), visitor(b)
        answer = b.identify(first.session, request())
        assert b.identify(second.session, request()) == answer
        assert len(b.conversations(second.session)) == 1


def test_the_same_identify_id_for_another_user_is_refused() -> None:
    with backend() as b:
        first, second = visitor(b, conversations=1), visitor(b)
        b.identify(first.session, request("ann"))
        with pytest.raises(AuthRefusedError) as caught:
            b.identify(second.session, request("bob"))
        assert caught.value.reason == "other_user"
        assert b.agent.users() == (SignedIn("ann"),)


def test_an_identify_id_means_something_only_with_its_visitors_secret() -> None:
    with backend() as b:
        b.identify(visitor(b, conversations=1).session, request("ann"))
        other = visitor(b, "secret-2", conversations=2)
        assert (
            b.identify(other.session, request("bob", visitor="secret-2")).conversations_moved == 2
        )


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"token": None}, ("auth_required", "token_missing")),
        ({"token": "rubbish"}, ("invalid_token", "malformed")),
        ({"token": token("bob")}, ("invalid_token", "wrong_sub")),
        ({"token": token("ann", NOW - 900)}, ("auth_expired", None)),
        ({"visitor": "a-guess"}, ("auth_required", "wrong_visitor")),
        ({"visitor": "secret-2"}, ("auth_required", "wrong_visitor")),
    ],
)
def test_a_refused_identify_changes_nothing(
    changed: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    with backend() as b:
        welcome = visitor(b, conversations=2)
        visitor(b, "secret-2", conversations=1)
        before = everything(b)
        changes: dict[str, Any] = {
            "visitor_changes": {"user.name": "V"},
            "user_changes": {"user.name": "U"},
        }
        with pytest.raises(AuthRefusedError) as caught:
            b.identify(welcome.session, request(**(changes | changed)))
        assert (caught.value.code, caught.value.reason) == expected
        assert everything(b) == before
        assert b.send(welcome.session, Outgoing("m", "still here")).author == "visitor"
        assert b.identify(welcome.session, request()).merged, (
            "and the same identify_id may still be used"
        )


def test_a_fault_in_the_middle_rolls_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with backend() as b:
        welcome = visitor(b, conversations=2)
        before = everything(b)

        def torn(*_: object) -> None:
            raise RuntimeError("power cut")

        with monkeypatch.context() as patched:
            patched.setattr("support_chat_adapters.backend.identifying._remember", torn)
            with pytest.raises(RuntimeError, match="power cut"):
                b.identify(
                    welcome.session,
                    request(visitor_changes={"user.name": "V"}, user_changes={"user.name": "U"}),
                )
        assert everything(b) == before
        assert b.identify(welcome.session, request()).conversations_moved == 2


def test_two_users_are_never_merged() -> None:
    with backend() as b:
        session = signed_in(b, "ann")
        b.send(session, Outgoing("m", "ann's"))
        before = everything(b)
        with pytest.raises(AuthRefusedError) as caught:
            b.identify(session, request("bob"))
        assert caught.value.reason == "other_user"
        assert everything(b) == before


def test_a_user_who_is_signed_in_already_stays_so_without_a_merge() -> None:
    with backend() as b:
        session = signed_in(b, "ann")
        answer = b.identify(
            session, request(visitor="another-visitor", user_changes={"user.name": "Ann"})
        )
        assert answer == IdentifyAnswer(
            "ann", merged=False, not_merged_because="already_signed_in", unread=0
        )
        assert b.agent.traits(SignedIn("ann")) == {"user.name": "Ann"}


def test_a_visitor_merged_into_another_user_is_not_merged_again() -> None:
    with backend() as b:
        first, second = visitor(b, conversations=2), visitor(b)
        b.identify(first.session, request("ann"))
        answer = b.identify(
            second.session,
            request("bob", identify_id="identify-2", visitor_changes={"user.name": "V"}),
        )
        assert answer == IdentifyAnswer(
            "bob", merged=False, not_merged_because="merged_into_another_user", unread=0
        )
        assert b.conversations(second.session) == ()
        assert len(b.conversations(first.session)) == 2
        assert b.agent.merged_into(Visitor(first.visitor_id or "")) == SignedIn("ann")
        assert b.agent.traits(Visitor(first.visitor_id or "")) == {}


def test_a_visitor_whom_another_session_merged_into_this_user_counts_as_merged() -> None:
    with backend() as b:
        first, second = visitor(b, conversations=2), visitor(b)
        b.identify(first.session, request("ann"))
        answer = b.identify(second.session, request("ann", identify_id="identify-2"))
        assert answer == IdentifyAnswer("ann", merged=True, unread=0)
        assert b.conversations(first.session) == b.conversations(second.session)


def test_where_merging_is_forbidden_the_user_is_signed_in_without_it() -> None:
    with backend(allow_merge=False) as b:
        welcome = visitor(b, conversations=2)
        answer = b.identify(
            welcome.session,
            request(visitor_changes={"user.name": "V"}, user_changes={"user.name": "U"}),
        )
        assert answer == IdentifyAnswer(
            "ann", merged=False, not_merged_because="merge_forbidden", unread=0
        )
        assert b.conversations(welcome.session) == ()
        assert len(b.conversations(visitor(b).session)) == 2, "the visitor is not retired"
        assert b.agent.traits(Visitor(welcome.visitor_id or "")) == {"user.name": "V"}
        assert b.agent.traits(SignedIn("ann")) == {"user.name": "U"}


def test_what_was_recorded_for_the_visitor_and_for_the_user_goes_to_each() -> None:
    with backend() as b:
        welcome = visitor(b)
        b.identify(
            welcome.session,
            request(
                visitor_changes={"context.page": "/pricing"},
                user_changes={"user.id": "ann", "user.name": "Ann"},
            ),
        )
        assert b.agent.traits(Visitor(welcome.visitor_id or "")) == {"context.page": "/pricing"}
        assert b.agent.traits(SignedIn("ann")) == {"user.name": "Ann"}


def test_a_lost_reply_is_learnt_by_the_claim() -> None:
    for resumed in (False, True):
        with backend() as b:
            welcome = visitor(b, conversations=1)
            answer = b.identify(welcome.session, request())
            session = welcome.session if resumed else None
            back = claimed(b, token=token("ann"), session=session)
            assert (back.user_id, back.claim) == ("ann", answer)
            assert (back.session == welcome.session) is resumed
            assert len(b.conversations(back.session)) == 1


def test_a_claim_signs_in_another_session_of_the_same_visitor() -> None:
    with backend() as b:
        first, second = visitor(b, conversations=1), visitor(b)
        answer = b.identify(first.session, request())
        back = claimed(b, token=token("ann"), session=second.session)
        assert (back.user_id, back.claim, back.session) == ("ann", answer, second.session)
        assert len(b.conversations(second.session)) == 1


@pytest.mark.parametrize(
    "bad",
    [None, "rubbish", token("bob"), token("ann", NOW - 900)],
    ids=["none", "rubbish", "another's", "expired"],
)
def test_a_claim_of_a_committed_identify_takes_a_good_token(bad: str | None) -> None:
    with backend() as b:
        b.identify(visitor(b, conversations=1).session, request())
        before = everything(b)
        with pytest.raises(AuthRefusedError):
            claimed(b, token=bad)
        assert everything(b) == before
        assert claimed(b, token=token("ann")).user_id == "ann"


def test_a_claim_is_worth_nothing_without_the_visitors_secret() -> None:
    with backend() as b:
        b.identify(visitor(b, conversations=1).session, request())
        stranger = claimed(b, visitor="a-guess", token=token("ann"))
        assert (stranger.user_id, stranger.claim) == (None, None)
        assert b.conversations(stranger.session) == ()


def test_a_claim_of_another_users_identify_is_refused() -> None:
    with backend() as b:
        session = visitor(b, conversations=1).session
        b.identify(session, request())
        for resumed in (None, session):
            with pytest.raises(AuthRefusedError):
                claimed(b, user="bob", token=token("bob"), session=resumed)
        with pytest.raises(AuthRefusedError) as caught:
            claimed(b, user="ann", user_id="bob", token=token("bob"))
        assert caught.value.reason == "other_identity"


def test_a_claim_never_takes_over_another_users_session() -> None:
    with backend() as b:
        b.identify(visitor(b, conversations=1).session, request())
        of_bob = signed_in(b, "bob")
        with pytest.raises(AuthRefusedError) as caught:
            claimed(b, token=token("ann"), session=of_bob)
        assert caught.value.reason == "other_identity"
        assert b.conversations(of_bob) == ()


def test_a_claim_that_was_not_committed_opens_the_visitor_without_a_token() -> None:
    for bad in (None, "rubbish"):
        for user_id in (None, "ann"):
            with backend() as b:
                welcome = visitor(b, conversations=1)
                back = claimed(b, token=bad, user_id=user_id, session=welcome.session)
                assert (back.user_id, back.claim, back.visitor_id) == (
                    None,
                    None,
                    welcome.visitor_id,
                )
                assert back.session == welcome.session
                assert len(b.conversations(back.session)) == 1


def test_a_claim_that_was_not_committed_closes_its_identify_for_good() -> None:
    with backend() as b:
        welcome = visitor(b, conversations=1)
        claimed(b, session=welcome.session)
        before = everything(b)
        for _ in range(2):
            with pytest.raises(AuthRefusedError) as caught:
                b.identify(welcome.session, request())
            assert caught.value.reason == "superseded"
        assert everything(b) == before
        again = claimed(b, session=welcome.session, token=token("ann"))
        assert (again.user_id, again.claim) == (None, None)
        assert b.identify(welcome.session, request(identify_id="identify-2")).merged, (
            "a new identify is not affected"
        )


def test_a_closed_claim_closes_nothing_of_another_visitor() -> None:
    with backend() as b:
        claimed(b, visitor="a-guess")
        assert b.identify(visitor(b).session, request()).merged


def test_a_session_that_was_revoked_is_not_revived_by_a_claim() -> None:
    with backend() as b:
        welcome = visitor(b)
        b.identify(welcome.session, request())
        b.revoke(welcome.session)
        with pytest.raises(BackendRejectedError) as caught:
            claimed(b, token=token("ann"), session=welcome.session)
        assert caught.value.reason == "session_revoked"


def test_a_claim_signs_nobody_in_where_visitors_are_not_served() -> None:
    with backend(anonymous_allowed=False) as b, pytest.raises(BackendRejectedError) as caught:
        claimed(b, token=token("ann"), user_id="ann")
    assert caught.value.reason == "anonymous_not_allowed"


@pytest.mark.parametrize("merged_tab", [0, 1])
def test_whichever_tab_signs_in_first_each_conversation_moves_once(merged_tab: int) -> None:
    with backend() as b:
        tabs = [visitor(b, conversations=1), visitor(b, conversations=1)]
        answers = [
            b.identify(tabs[merged_tab].session, request(identify_id="a")),
            b.identify(tabs[1 - merged_tab].session, request(identify_id="b")),
        ]
        assert [answer.conversations_moved for answer in answers] == [2, 0]
        assert len(b.agent.conversations(SignedIn("ann"))) == 2 == len(b.agent.conversations())

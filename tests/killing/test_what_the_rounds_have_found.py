"""Faults that rounds have found, each reduced to the one place where it was: a seed replays a round only as far as timing allows."""

from __future__ import annotations

import attrs

from support_chat.ports import Claim, Credentials
from support_chat_adapters.wire.translation import credentials_of, opening_of

VISITOR = Credentials("ws_1", "wgt_1", "a-visitor-secret-of-128-bits")


def test_everything_that_a_dial_presents_arrives_at_the_backend() -> None:
    claim = Claim("identify-1", "ada")
    presented = {
        "a visitor": VISITOR,
        "a visitor who resumes": attrs.evolve(VISITOR, session="session-1.secret", cursor="7"),
        "a user": attrs.evolve(VISITOR, user_id="ada", token="a.b.c"),
        "a user who needs no token": attrs.evolve(VISITOR, user_id="ada"),
        "a visitor who asks for a lost identify": attrs.evolve(VISITOR, session="session-1.secret", token="a.b.c", claim=claim),
        "one who asks for it without a token": attrs.evolve(VISITOR, session="session-1.secret", claim=claim),
        "a user who asks for it": attrs.evolve(VISITOR, user_id="ada", token="a.b.c", claim=claim),
    }
    for who, credentials in presented.items():
        assert credentials_of(opening_of(credentials)) == credentials, who

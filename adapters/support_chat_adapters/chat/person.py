"""Who the client speaks for, and where the tokens for a user come from when nobody else mints them:
the key beside a database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from support_chat import InvalidInputError, TokenProvider, TokenProviderError, User

Providers = Callable[[str], TokenProvider]
"""From a user's id to the provider of their tokens; raises InvalidInputError if there can be none.
"""


@attrs.frozen
class Person:
    """Who the client speaks for: a user, or a visitor of whom a name may be `known`; and where
    tokens for a user come from.
    """

    user: User | None
    known: Mapping[str, str]
    provider_for: Providers


def from_key(path: Path, *, workspace_id: str, widget_id: str) -> Providers:
    """Tokens minted here with the secret of a backend on this machine, a fresh one for each
    renewal.
    """

    def provider_for(user_id: str) -> TokenProvider:
        if not path.exists():  # a new key would be accepted by nobody
            raise InvalidInputError(
                f"There is no {path.name} here to mint a token for {user_id} with: name the "
                "database of the backend with --db, "
                "or say with --token-url or --token where tokens come from."
            )

        def mint() -> str:
            from ..backend import sign_identity_token
            from ..backend.server.key_file import identity_secret

            if not path.exists():
                raise TokenProviderError(
                    f"{path.name} is gone, and with it what tokens are minted with; bring it back."
                )
            return sign_identity_token(
                user_id, identity_secret(path), workspace_id=workspace_id, widget_id=widget_id
            )

        return mint

    return provider_for

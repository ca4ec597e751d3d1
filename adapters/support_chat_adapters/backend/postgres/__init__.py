"""The `Store` in PostgreSQL, for several gateways on one database: `PostgresStore`, from the extra
`postgres`.
"""

from ...extras import require

require("psycopg", extra="postgres", purpose="PostgresStore speaks to its server with psycopg")

from .store import PostgresStore  # noqa: E402  # what is missing is told first

__all__ = ["PostgresStore"]

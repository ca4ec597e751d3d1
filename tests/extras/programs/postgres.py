"""PostgresStore on a real server."""

from __future__ import annotations

import os

from support_chat_adapters.backend.conformance import StorePlace, check_store
from support_chat_adapters.backend.postgres import PostgresStore

print(check_store(lambda: StorePlace(lambda: PostgresStore(os.environ["POSTGRES_URL"]))))
